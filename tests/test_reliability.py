"""What a run does when it is stopped, when its numbers are lost, when another one is there: on a toy space, for the
run is the same whatever it searches (test_fit.py goes on with one of the grid, test_search_runs.py of cells)."""

import dataclasses
import errno
import itertools
import json
import multiprocessing
import os
import shutil
import signal
from dataclasses import replace

import pytest
import torch

import wholenet
from run_files import assert_equal, checkpoint, records, untimed
from toy import TOY
from wholenet.search.cell_config import ADDED as ADDED_TO_CELLS
from wholenet.search.cell_config import cell_config
from wholenet.search.checkpoint import DiskFull, write_checkpoint
from wholenet.search.classifier_config import RetrainConfig
from wholenet.search.config import ADDED, FitConfig
from wholenet.search.config_files import read_config, write_config
from wholenet.search.cost import run_macs
from wholenet.search.folder import Folder
from wholenet.search.interruption import Interrupted
from wholenet.search.loop import train_epoch
from wholenet.search.run_folder import RunFolder
from wholenet.search.state import TrainState
from wholenet.search.steps import Batch, NotFinite, simultaneous_step, with_penalties
from wholenet.search.watch import Watch
from wholenet.spaces.catalog import create_model
from wholenet.tasks.segmentation import SegmentationLoss, evaluate

pytestmark = pytest.mark.usefixtures("toy")
SMALL = {
    **TOY,
    "epochs": 3,
    "batch": 2,
    "crop": "32x32",
    "lr": 0.05,
    "device": "cpu",
    "arch_update": "alternating",
    "warmup_share": 0.34,
    "search_share": 0.33,
}
STEPS = 5


@pytest.fixture(scope="module")
def run(toy, discs, tmp_path_factory):
    out = tmp_path_factory.mktemp("reliable") / "whole"
    wholenet.fit(discs, out, **SMALL)
    return out


def assert_same_run(first, second):
    assert_equal(checkpoint(first), checkpoint(second))
    assert untimed(records(first)) == untimed(records(second))
    weights = "model/model.safetensors"
    assert (first / weights).read_bytes() == (second / weights).read_bytes()


def at_step(epoch, step, does):
    """``train_epoch``, in which ``does()`` is called before a step is handed out."""

    def trains(state, *args, **kwargs):
        for done in train_epoch(state, *args, **kwargs):
            if (state.epoch, done.step) == (epoch, step):
                does()
            yield done

    return trains


@pytest.mark.parametrize(
    ("number", "epoch", "step"), [(signal.SIGTERM, 0, 0), (signal.SIGINT, 1, 2), (signal.SIGTERM, 2, STEPS - 1)]
)
def test_a_run_that_is_asked_to_stop_is_saved_in_mid_epoch_and_goes_on_to_the_bit(
    number, epoch, step, run, discs, tmp_path
):
    out = tmp_path / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("wholenet.run.train_epoch", at_step(epoch, step, lambda: os.kill(os.getpid(), number)))
        with pytest.raises(Interrupted) as stop:
            wholenet.fit(discs, out, **SMALL)
    message = f"stopped in epoch {epoch + 1}, after step {step + 1} of {STEPS}; saved. Continue with "
    assert stop.value.message == f"{message}`wholenet fit --resume {out}`"
    assert checkpoint(out)["tally"]["steps"] == step + 1
    assert len(records(out)) == epoch if epoch else not (out / "metrics.jsonl").exists()
    wholenet.resume(out)
    assert_same_run(out, run)


def test_a_run_that_is_stopped_between_epochs_names_the_one_that_ended(discs, tmp_path, monkeypatch):
    ends = TrainState.end_epoch
    monkeypatch.setattr(TrainState, "end_epoch", lambda self: (ends(self), os.kill(os.getpid(), signal.SIGINT)))
    with pytest.raises(Interrupted, match=r"^stopped after epoch 1; saved\. Continue with "):
        wholenet.fit(discs, tmp_path / "run", **SMALL)


def test_a_run_stopped_before_its_first_checkpoint_starts_over(run, discs, tmp_path, monkeypatch):
    def stopping(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("wholenet.run.train_epoch", stopping)
    with pytest.raises(KeyboardInterrupt):
        wholenet.fit(discs, tmp_path / "early", **SMALL)
    monkeypatch.undo()
    wholenet.resume(tmp_path / "early")
    assert_same_run(tmp_path / "early", run)


def test_a_second_control_c_loses_what_came_since_the_last_checkpoint_and_no_more(run, discs, tmp_path):
    def twice():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    out = tmp_path / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("wholenet.run.train_epoch", at_step(1, 2, twice))
        with pytest.raises(Interrupted, match="at once; what came since the last checkpoint is lost"):
            wholenet.fit(discs, out, **SMALL)
    saved = checkpoint(out)
    assert (saved["epoch"], saved["tally"]["steps"]) == (1, 0)
    wholenet.resume(out)
    assert_same_run(out, run)


DAMAGED = [
    b"garbage",
    b"\0" * 40,
    b"\xff\xfe{}",
    b"[1, 2]",
    b'{"loss": 1.0}',
    b'{"epoch": 0, "epoch": 1}',
    b'{"epoch": true}',
    b'{"epoch": -1}',
]


def without_records(run):
    """Take the records out of the checkpoints, as those of before 2026-11-29 had none."""
    for path in run.glob("checkpoint*.pt"):
        write_checkpoint(path, {k: v for k, v in torch.load(path, weights_only=True).items() if k != "records"})


@pytest.mark.parametrize("lost", [[], [0], [1], [2], [0, 2], [0, 1, 2]])
def test_what_the_file_of_records_has_lost_is_in_the_checkpoint(lost, run, tmp_path, capsys):
    out = tmp_path / "run"
    shutil.copytree(run, out)
    metrics = out / "metrics.jsonl"
    lines = metrics.read_bytes().splitlines()
    whole = RunFolder(run).records()
    for damage in DAMAGED:
        metrics.write_bytes(b"\n".join([*(damage if n in lost else line for n, line in enumerate(lines)), b'{"ep']))
        assert RunFolder(out).records() == whole
    assert RunFolder(out).training_seconds() == sum(record["seconds"] for record in whole)
    wholenet.resume(out)
    assert RunFolder(out).records() == whole
    assert metrics.read_bytes().splitlines() == lines
    said = " ".join(capsys.readouterr().out.split())
    assert [f"{metrics}, line {n + 1} is damaged (what it was is in the checkpoint)" in said for n in range(3)] == [
        n in lost for n in range(3)
    ]


def test_lines_that_are_none_and_lines_that_came_twice_change_nothing(run, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(run, out)
    metrics = out / "metrics.jsonl"
    first, *others = metrics.read_bytes().splitlines()
    metrics.write_bytes(
        b"\n".join([DAMAGED[0], b'{"epoch": 0, "loss": 9.0, "seconds": 1}', first, *DAMAGED, *others, b""])
    )
    assert RunFolder(out).records() == RunFolder(run).records()


def test_records_that_nothing_has_any_more_are_no_epochs_that_never_were(run, tmp_path, capsys):
    out = tmp_path / "run"
    shutil.copytree(run, out)
    without_records(out)
    metrics = out / "metrics.jsonl"
    lines = metrics.read_bytes().splitlines(keepends=True)
    metrics.write_bytes(b"".join(lines) + b'{"ep')
    assert len(RunFolder(out).records()) == 3  # cut in the line of an epoch that was to be repeated
    for damaged in ([lines[0], b"garbage\n", lines[2]], [*lines[:2], b"garbage\n"], [lines[0], lines[2]]):
        metrics.write_bytes(b"".join(damaged))
        with pytest.raises(
            ValueError, match=rf"{metrics} is not whole, and no checkpoint has what is lost \((line|ther)"
        ):
            RunFolder(out).records()
    metrics.write_bytes(b"".join([lines[0], b"garbage\n", lines[2]]))
    wholenet.resume(out)  # goes on with what there is, and says so
    assert f"{metrics}, line 2 is damaged (it is left out)" in " ".join(capsys.readouterr().out.split())
    assert metrics.read_bytes() == lines[0] + lines[2]


def test_records_are_read_from_a_file_of_bounded_size_alone(run, tmp_path, monkeypatch):
    out = tmp_path / "run"
    shutil.copytree(run, out)
    monkeypatch.setattr("wholenet.search.records.LIMIT", 100)
    with pytest.raises(ValueError, match="expected at most 100"):
        RunFolder(out).records()
    (out / "metrics.jsonl").unlink()
    os.mkfifo(out / "metrics.jsonl")
    with pytest.raises(ValueError, match="is no regular file"):
        RunFolder(out).records()


@pytest.mark.parametrize("content", [b"\0\0", b"[]", b'{"a": ', b"{}", b'{"train": 1}', b'{"train": {}, "val": {}}'])
def test_damaged_facts_of_the_data_are_told_of_and_written_anew(content, run, tmp_path, capsys):
    out = tmp_path / "run"
    shutil.copytree(run, out)
    environment = out / "environment.json"
    before = json.loads(environment.read_text())
    environment.write_bytes(content)
    with pytest.raises(ValueError, match=str(environment)):
        run_macs(RunFolder(out))
    wholenet.resume(out)
    said = " ".join(capsys.readouterr().out.split())
    assert f"warning: {environment}" in said
    assert "whether the data has changed is not checked" in said
    assert json.loads(environment.read_text()) == before


@pytest.mark.parametrize(
    "config",
    [
        FitConfig(data="x", out="y", lr=0.5, noise=0.1),
        cell_config("darts-es", data="x", out="y"),
        RetrainConfig(data="x", out="y", genotype="darts-v1", drop_path=0.1),
    ],
)
def test_a_config_that_was_cut_at_the_end_of_a_line_is_refused_and_one_of_before_there_was_a_mark_is_read(
    config, tmp_path
):
    path = tmp_path / "config.yaml"
    write_config(config, path)
    assert read_config(path) == config
    *fields, _mark = lines = path.read_text().splitlines(keepends=True)
    assert len(fields) >= len(dataclasses.fields(config))
    path.write_text("".join(fields))
    assert read_config(path) == config
    # Then there were fewer fields, too.
    added = ADDED if isinstance(config, FitConfig) else ADDED_TO_CELLS
    path.write_text("".join(line for line in fields if line.partition(":")[0] not in added))
    assert read_config(path) == dataclasses.replace(config, **{n: v for n, v in added.items() if hasattr(config, n)})
    text, last = "".join(lines), sum(map(len, fields[:-1]))
    cuts = [*itertools.accumulate(map(len, fields[:-1])), *range(last, last + len(fields[-1]))]
    for cut in cuts:  # at the end of each line, and anywhere in the last value: 0. of 0.4 is a number too
        path.write_text(text[:cut])
        with pytest.raises(ValueError, match=r"config\.yaml"):
            read_config(path)
    path.write_text("".join(fields[:-1]))
    with pytest.raises(ValueError, match=f"has no {fields[-1].split(':')[0]}: it was cut short"):
        read_config(path)


def runs_out(*_, **__):
    """An epoch that ends before its first step."""
    raise torch.OutOfMemoryError("out of memory")
    yield


def test_a_start_that_is_refused_leaves_the_place_free(discs, tmp_path, monkeypatch):
    def full(*_):
        raise DiskFull("no room")

    own = tmp_path / "run" / "notes.txt"
    for options in ({}, {"protocol": "two-stage", "retrain_epochs": 1}):
        with monkeypatch.context() as patch:
            patch.setattr("wholenet.search.keeper.check_room", full)
            with pytest.raises(DiskFull, match="no room"):
                wholenet.fit(discs, own.parent, **SMALL, **options)
        assert list(own.parent.iterdir()) == []
    with monkeypatch.context() as patch:
        patch.setattr("wholenet.run.train_epoch", runs_out)
        with pytest.raises(MemoryError) as caught:
            wholenet.fit(discs, own.parent, **SMALL)
    assert list(own.parent.iterdir()) == []
    assert "--resume" not in str(caught.value)  # there is nothing to go on from
    own.write_text("mine")
    with pytest.raises(ValueError, match="not an empty folder"):
        wholenet.fit(discs, own.parent, **SMALL)
    assert own.read_text() == "mine"


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("segmentation.evaluate", f"after step {STEPS} of {STEPS}; saved"),
        ("job.save_model", f"after step {STEPS} of {STEPS}; saved"),
        ("job.draw_run", "after epoch 3; saved"),
    ],
)
def test_a_signal_between_the_epochs_loses_nothing(where, said, run, discs, tmp_path):
    def asked(*args, **kwargs):
        os.kill(os.getpid(), signal.SIGTERM)
        raise AssertionError("the signal came later")

    out = tmp_path / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(f"wholenet.jobs.{where}", asked)
        with pytest.raises(Interrupted, match=said):
            wholenet.fit(discs, out, **SMALL)
    wholenet.resume(out)
    assert_same_run(out, run)


def test_a_scheduler_that_repeats_itself_does_not_cut_the_saving_short(run, discs, tmp_path, monkeypatch):
    save = Folder.save_checkpoint

    def saving(self, *arguments):
        if len(asked) == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        save(self, *arguments)

    asked = []
    out = tmp_path / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Folder, "save_checkpoint", saving)
        once = at_step(1, 2, lambda: (asked.append(1), os.kill(os.getpid(), signal.SIGTERM)))
        patch.setattr("wholenet.run.train_epoch", once)
        with pytest.raises(Interrupted, match="after step 3 of 5; saved"):
            wholenet.fit(discs, out, **SMALL)
    assert checkpoint(out)["tally"]["steps"] == 3


def test_a_signal_to_all_processes_leaves_the_workers_at_work(run, discs, tmp_path):
    def to_all():
        for child in multiprocessing.active_children():
            os.kill(child.pid, signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)

    out = tmp_path / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("wholenet.run.train_epoch", at_step(0, 2, to_all))
        with pytest.raises(Interrupted, match="after step 3 of 5; saved"):
            wholenet.fit(discs, out, **SMALL, workers=1)
    wholenet.resume(out)
    assert_same_run(out, run)


def test_checkpoints_come_as_often_as_asked(discs, tmp_path, monkeypatch):
    saved, save = [], Folder.save_checkpoint

    def saving(self, state, name=None):
        saved.append((state["epoch"], state["tally"]["steps"]))
        save(self, state, name)

    monkeypatch.setattr(Folder, "save_checkpoint", saving)
    wholenet.fit(discs, tmp_path / "often", **{**SMALL, "epochs": 1}, checkpoint_minutes=0)
    assert saved == [(0, 1), (0, 2), (0, 3), (0, 4), (0, 5), (1, 0)]
    del saved[:]
    wholenet.fit(discs, tmp_path / "seldom", **{**SMALL, "epochs": 1})
    assert saved == [(1, 0)]


def test_a_full_disk_stops_a_run_that_can_go_on(run, discs, tmp_path, monkeypatch):
    real, calls = os.fsync, []

    def full(descriptor):
        calls.append(descriptor)
        if len(calls) > 6:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    out = tmp_path / "run"
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"no space left on device.*MB are free. Up to .* MB are needed.*fit --resume"):
        wholenet.fit(discs, out, **SMALL, checkpoint_minutes=0)
    monkeypatch.undo()
    wholenet.resume(out, checkpoint_minutes=10.0)
    assert_same_run(out, run)


def test_a_disk_that_is_full_when_the_model_is_written_is_one_too(discs, tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("wholenet.deploy.model_files.save", full)
    with pytest.raises(OSError, match=r"no space left on device.*MB are free"):
        wholenet.fit(discs, tmp_path / "run", **{**SMALL, "epochs": 1}, checkpoint_minutes=10.0)


def test_the_first_stage_is_locked_while_it_is_trained(discs, tmp_path):
    def taken(job, *_):
        with pytest.raises(ValueError, match="is being trained by process"), job.run.locked():
            pass
        raise StopIteration

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("wholenet.training.train", taken)
        with pytest.raises(StopIteration):
            wholenet.fit(discs, tmp_path / "run", **SMALL, protocol="two-stage")


def test_what_a_process_left_that_ended_before_there_was_a_run_is_in_nobodys_way(discs, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.77.partial").write_text("data:")
    wholenet.fit(discs, tmp_path / "run", **{**SMALL, "epochs": 1})


def test_the_second_of_two_in_one_folder_is_refused(run):
    folder = RunFolder(run)
    with folder.locked(), pytest.raises(ValueError, match=rf"is being trained by process {os.getpid()} on .*; wait"):
        wholenet.resume(run)
    wholenet.resume(run)


def test_of_two_that_make_a_folder_at_once_one_is_refused(run, tmp_path):
    config = replace(RunFolder(run).config, out=str(tmp_path / "new"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunFolder, "check_free", lambda _: None)  # both have looked
        RunFolder.create(config)
        before = (tmp_path / "new" / "config.yaml").read_text()
        with pytest.raises(ValueError, match="has just been taken by another run; choose another --out"):
            RunFolder.create(replace(config, epochs=9))
    assert (tmp_path / "new" / "config.yaml").read_text() == before
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["config.yaml"]


# ---- numbers that are lost


class Spoilt:
    """A loss that is not finite from its ``calls``-th call on: in its value, or in its gradient alone."""

    def __init__(self, calls, gradient):
        self.left = calls
        self.gradient = gradient

    def __call__(self, logits, target):
        self.left -= 1
        value = torch.nn.functional.cross_entropy(logits, target, ignore_index=255)
        if self.left:
            return value
        # sqrt has no slope at 0: 0 as a number, 0 / 0 as a gradient.
        return value + (logits * 0).sum().sqrt() if self.gradient else value * float("nan")


@pytest.mark.parametrize(
    ("calls", "gradient", "said"),
    [
        (
            3,
            False,
            r"the loss became nan in epoch 1, step 2 \(learning rate .*\), on batch 2 of the weights: \d\d, \d\d\.",
        ),
        (3, True, r"the gradient of .* became nan in epoch 1, step 2 .*, on batch 2 of the weights: \d\d, \d\d\."),
        (
            STEPS + 2,
            True,
            r"the gradient of kernel became nan in epoch 2, step 0 .*, on batch 0 of the architecture: ",
        ),
    ],
)
def test_numbers_that_are_not_finite_move_nothing_and_the_images_are_named(calls, gradient, said, discs, tmp_path):
    out, before = tmp_path / "run", {}

    def keeps(state, *args, **kwargs):
        """What the state is before each step."""
        epoch = train_epoch(state, *args, **kwargs)
        while True:
            before.update({name: value.clone() for name, value in state.model.named_parameters()})
            before["model"] = state.model
            try:
                yield next(epoch)
            except StopIteration:
                return

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("wholenet.run.train_epoch", keeps)
        patch.setattr("wholenet.jobs.segmentation.mask_loss", lambda *_: Spoilt(calls, gradient))
        with pytest.raises(FloatingPointError, match=said) as error:
            wholenet.fit(discs, out, **SMALL, checkpoint_minutes=0)
    assert "It has moved nothing, and what was saved before is whole. The run would come to it again" in str(
        error.value
    )
    model = before.pop("model")
    kept = "arch." if calls > STEPS else ""  # after the weights have moved, it is the architecture that has not
    for name, value in model.named_parameters():
        if name.startswith(kept):
            assert torch.equal(value, before[name]), name
    assert checkpoint(out)["weight_steps"] == min(calls - 1, STEPS)
    assert all(value.isfinite().all() for value in checkpoint(out)["model"].values())


def test_the_term_that_is_lost_is_named(monkeypatch):
    torch.manual_seed(0)
    model = create_model("grid-nano", num_classes=2)
    batch = Batch(torch.randn(2, 3, 32, 32), torch.zeros(2, 32, 32, dtype=torch.long))
    optimizer = torch.optim.SGD(model.net.parameters(), lr=0.1)
    before = [value.clone() for value in model.parameters()]

    def lost(arch):
        return {"entropy penalty": arch.logits["beta"].sum() * 0 + torch.inf}

    for step in (
        lambda: simultaneous_step(model, batch, SegmentationLoss(), optimizer, lost),
        lambda: with_penalties(model.arch, [torch.zeros_like(g) for g in model.arch.parameters()], lost(model.arch)),
    ):
        with pytest.raises(NotFinite, match="the entropy penalty became inf"):
            step()
        assert all(torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True))


# ---- early warnings


def record(epoch, loss=1.0, phase="search", alpha=0.9, beta=0.9, **more):
    arch_loss = 1.0 if phase == "search" else None
    entropy = {"alpha": alpha, "beta": beta}
    return {"epoch": epoch, "phase": phase, "loss": loss, "arch_loss": arch_loss, "entropy": entropy, **more}


def test_a_loss_that_runs_away_is_told_of_once():
    watch = Watch(["a", "b"], [5, 5], 10, penalised=False)
    first, slower = record(0, 1.0), record(1, 1.9)
    assert watch([], first, None) == {}
    assert watch([first], slower, None) == {}
    found = watch([first, slower], record(2, 2.1), None)
    assert list(found) == ["runaway loss"]
    assert "from 1.000 in epoch 1 to 2.100 in epoch 3" in found["runaway loss"]
    assert watch([first, slower, record(2, 2.1, warnings=["runaway loss"])], record(3, 9.0), None) == {}
    assert watch([record(0, 0.05)], record(1, 0.3), None) == {}  # a small loss moves by more than its size


def test_an_architecture_that_is_decided_early_is_told_of_unless_that_is_wanted():
    watch = Watch(["a", "b"], [5, 5], 10, penalised=False)
    found = watch([], record(4, alpha=0.05), None)
    assert list(found) == ["entropy collapse"]
    assert "normalised entropy of alpha 0.05" in found["entropy collapse"]
    assert watch([], record(4, phase="fine-tune", alpha=0.05), None) == {}
    assert Watch(["a", "b"], [5, 5], 10, penalised=True)([], record(4, alpha=0.05), None) == {}


def test_classes_that_are_never_found_are_named_from_the_middle_of_the_run_on():
    watch = Watch(["road", "pole", "sky", "fog"], [7, 5, 0, 0], 10, penalised=False)
    scores = (0.9, 0.0, None, 0.0)  # fog is not there to be found
    assert watch([], record(3), scores) == {}
    found = watch([], record(4), scores)
    assert list(found) == ["dead classes"]
    assert "never finds pole on the validation images" in found["dead classes"]
    assert watch([], record(4), (0.9, 0.1, None, 0.0)) == {}


def test_warnings_reach_the_user_and_the_log_once(discs, tmp_path, capsys, monkeypatch):
    def blind(*args, **kwargs):
        return replace(evaluate(*args, **kwargs), iou=(0.5, 0.0))

    monkeypatch.setattr("wholenet.jobs.segmentation.evaluate", blind)
    wholenet.fit(discs, tmp_path / "run", **SMALL)
    assert capsys.readouterr().out.count("warning: after epoch 2 of 3 the network never finds disc") == 1
    assert [r["warnings"] for r in records(tmp_path / "run")] == [[], ["dead classes"], []]
