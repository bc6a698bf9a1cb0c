"""Checkpoint files: whole or noticed, and never fewer than one."""

import errno
import os
from pathlib import Path

import pytest
import torch

from wholenet.search import checkpoint as module
from wholenet.search.checkpoint import (
    DamagedCheckpoint,
    DiskFull,
    check_room,
    previous,
    read_checkpoint,
    room_needed,
    saying_what_a_full_disk_needs,
    state_bytes,
    write_checkpoint,
)
from wholenet.search.folder import Folder

CPU = torch.device("cpu")


def state(epoch):
    return {"epoch": epoch, "model": {"w": torch.full((300,), float(epoch))}, "steps": [1, {"m": torch.ones(4)}]}


@pytest.fixture
def run(tmp_path):
    (tmp_path / "config.yaml").write_text("")
    return Folder(tmp_path)


def test_what_is_written_is_read_back_and_the_one_before_is_kept(tmp_path):
    path = tmp_path / "checkpoint.pt"
    for epoch in (1, 2, 3):
        write_checkpoint(path, state(epoch))
    assert read_checkpoint(path, CPU)["epoch"] == 3
    assert read_checkpoint(previous(path), CPU)["epoch"] == 2
    assert {p.name for p in tmp_path.iterdir()} == {"checkpoint.pt", "checkpoint.previous.pt"}
    write_checkpoint(tmp_path / "epoch-4.pt", state(4), keep_previous=False)
    write_checkpoint(tmp_path / "epoch-4.pt", state(4), keep_previous=False)
    assert not previous(tmp_path / "epoch-4.pt").exists()


def test_any_altered_byte_and_any_cut_is_noticed(tmp_path):
    path = tmp_path / "checkpoint.pt"
    write_checkpoint(path, state(1))
    whole = path.read_bytes()
    places = torch.randint(len(whole), (40,), generator=torch.Generator().manual_seed(0)).tolist()
    for place in [0, len(whole) - 1, *places]:
        damaged = bytearray(whole)
        damaged[place] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(DamagedCheckpoint, match=r"checkpoint.pt (has been altered|is cut short)"):
            read_checkpoint(path, CPU)
        path.write_bytes(whole[:place])
        with pytest.raises(DamagedCheckpoint, match="is cut short, or no checkpoint"):
            read_checkpoint(path, CPU)


def test_a_pickle_that_would_run_something_is_refused_though_its_checksum_is_right(tmp_path, monkeypatch):
    class Payload:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    path = tmp_path / "checkpoint.pt"
    write_checkpoint(path, {"epoch": Payload()})
    with pytest.raises(DamagedCheckpoint, match="cannot be read"):
        read_checkpoint(path, CPU)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("moment", ["write", "verify", "first name", "second name"])
def test_an_end_at_any_moment_of_the_writing_leaves_a_whole_checkpoint(moment, run, monkeypatch):
    path = run.path / "checkpoint.pt"
    for epoch in (1, 2):
        run.save_checkpoint(state(epoch))

    def ends(*_):
        raise KeyboardInterrupt

    real, calls = Path.replace, []

    def replace(self, target):
        calls.append(target)
        if len(calls) == (1 if moment == "first name" else 2):
            raise KeyboardInterrupt
        return real(self, target)

    with monkeypatch.context() as patch:
        if moment == "write":
            patch.setattr(module.os, "fsync", ends)
        elif moment == "verify":
            patch.setattr(module.hashlib, "file_digest", ends)
        else:
            patch.setattr(Path, "replace", replace)
        with pytest.raises(KeyboardInterrupt):
            run.save_checkpoint(state(3))
    said = []
    found = run.load_checkpoint(CPU, said.append)
    assert found is not None
    assert found["epoch"] == 2
    assert said == []
    run.save_checkpoint(state(3))  # what was left over is in nobody's way
    assert read_checkpoint(path, CPU)["epoch"] == 3


def test_a_damaged_checkpoint_is_told_of_and_the_one_before_is_used(run):
    for epoch in (1, 2):
        run.save_checkpoint(state(epoch))
    path = run.path / "checkpoint.pt"
    path.write_bytes(path.read_bytes()[:-100])
    said = []
    found = run.load_checkpoint(CPU, said.append)
    assert found is not None
    assert found["epoch"] == 1
    (text,) = said
    assert "checkpoint.pt is cut short" in text
    assert "goes on from the checkpoint before it, checkpoint.previous.pt" in text
    run.save_checkpoint(state(9))
    assert read_checkpoint(previous(path), CPU)["epoch"] == 1  # not the damaged one
    path.write_bytes(b"cut")
    previous(path).write_bytes(b"neither")
    with pytest.raises(
        ValueError, match=r"checkpoint.pt is cut .*; .*previous.pt is cut.*start it again, with another"
    ):
        run.load_checkpoint(CPU, said.append)


def test_what_was_not_written_as_it_was_meant_never_replaces_the_old_one(run, monkeypatch):
    run.save_checkpoint(state(1))
    monkeypatch.setattr(module.os, "fsync", lambda _: (run.path / "checkpoint.partial").write_bytes(b"zeros"))
    with pytest.raises(OSError, match="not what is read back"):
        run.save_checkpoint(state(2))
    monkeypatch.undo()
    assert read_checkpoint(run.path / "checkpoint.pt", CPU)["epoch"] == 1
    assert not (run.path / "checkpoint.partial").exists()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_says_what_is_needed_and_how_to_go_on(number, run, monkeypatch):
    run.save_checkpoint(state(1))

    def full(_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(module.os, "fsync", full)
    with (
        pytest.raises(DiskFull, match=r"are free. Up to 1 MB are needed .* continue with `wholenet fit --resume RUN`"),
        saying_what_a_full_disk_needs(run.path, lambda: state(2), "wholenet fit --resume RUN"),
    ):
        run.save_checkpoint(state(2))
    assert read_checkpoint(run.path / "checkpoint.pt", CPU)["epoch"] == 1
    assert not (run.path / "checkpoint.partial").exists()


def test_other_errors_of_the_system_are_left_as_they_are(tmp_path):
    with (
        pytest.raises(PermissionError),
        saying_what_a_full_disk_needs(tmp_path, lambda: state(2), "again"),
    ):
        raise PermissionError(errno.EACCES, "no")


def test_room_is_asked_for_before_anything_is_trained(tmp_path, monkeypatch):
    needed = room_needed(state(1))
    assert state_bytes(state(1)) == 4 * 304
    assert needed == 3 * max(4 * 304, 2 * 4 * 300) + 4 * 300
    assert room_needed(state(1), models=2) == needed + 4 * 300  # with keep="best"
    usage = module.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: usage._replace(free=needed))
    check_room(tmp_path, state(1))
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: usage._replace(free=needed - 1))
    with pytest.raises(DiskFull, match="Make room, or put the run on another disk"):
        check_room(tmp_path, state(1))
