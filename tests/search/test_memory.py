"""Running out of memory: the message names what fits, and the run can be continued."""

import functools
import re

import numpy as np
import pytest
import torch

import wholenet
import wholenet.run as training
import wholenet.search.memory as memory
from run_files import records
from wholenet.cli import main
from wholenet.commands.catalog import commands_for
from wholenet.search.memory import TooLarge, memory_advice, ran_out_of_memory, reason_of, what_fits
from wholenet.search.run_folder import RunFolder
from wholenet.spaces.space import Facts

pytestmark = pytest.mark.usefixtures("sliver")

SMALL = {"size": "nano", "epochs": 3, "batch": 2, "crop": "32x32", "device": "cpu", "val_every": 3}
REASON = "CUDA out of memory. Tried to allocate 2.00 GiB."


def test_torchs_messages_are_known():
    assert ran_out_of_memory(torch.OutOfMemoryError(REASON))
    assert ran_out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."))
    assert ran_out_of_memory(RuntimeError("could not create a primitive"))  # of a convolution on a CPU, as measured
    assert not ran_out_of_memory(RuntimeError("size mismatch"))
    with pytest.raises(MemoryError) as of_numpy:
        np.empty(2**60, np.uint8)
    assert ran_out_of_memory(of_numpy.value)
    assert reason_of(MemoryError()) == reason_of(RuntimeError("out of memory\nand more")) == "out of memory"
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert ran_out_of_memory(caught.value)


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("room", range(20))
def test_the_largest_batch_that_fits_is_found_and_recomputation_comes_before_a_smaller_one(room, recompute):
    def fits(batch, recompute):
        return batch <= (4 * room if recompute else room)

    found = what_fits(fits, 16, recompute)
    if room == 0:
        assert found is None
        return
    assert fits(*found)
    assert found[0] >= 8 or not fits(2 * found[0], recompute)
    assert not recompute or found[1]


@pytest.fixture
def failing(monkeypatch):
    """A training that runs out of memory in its second epoch, once."""
    real = training.train_epoch
    times = iter([False, True])

    def train_epoch(*args, **options):
        if next(times, False):
            raise torch.OutOfMemoryError(REASON)
        yield from real(*args, **options)

    monkeypatch.setattr(training, "train_epoch", train_epoch)


def test_the_run_goes_on_with_recomputation_as_the_message_says(discs, tmp_path, failing, capsys):
    out = tmp_path / "run"
    arguments = [f"--{name}={value}" for name, value in SMALL.items()]
    with pytest.raises(SystemExit) as caught:
        main(["fit", str(discs), "--out", str(out), *arguments])
    assert caught.value.code == 2
    message = capsys.readouterr().err
    assert REASON in message
    assert "A batch of 2 crops of 32x32 does not fit into the memory of cpu" in message
    assert f"`wholenet fit --resume {out} --recompute`; or start again with --batch 1" in message
    assert len(records(out)) == 1
    main(["fit", "--resume", str(out), "--recompute"])
    assert len(records(out)) == 3
    assert RunFolder(out).config.recompute


def test_python_s_own_word_for_it_is_advised_too(discs, tmp_path, monkeypatch):
    def train_epoch(*_args, **_options):
        raise MemoryError("Unable to allocate 9. GiB for an array")
        yield

    monkeypatch.setattr(training, "train_epoch", train_epoch)
    with pytest.raises(MemoryError, match=r"Unable to allocate 9. GiB .*\nA batch of 2 crops of 32x32 does not fit"):
        wholenet.fit(discs, tmp_path / "run", **SMALL)


@pytest.mark.parametrize(
    ("words", "smaller"),
    [(["fit"], "--batch, --crop or network"), (["fit", "--task", "language", "--data", "x"], "--batch or network")],
)
def test_what_says_nothing_else_is_advised_on_by_the_options_that_there_are(words, smaller, monkeypatch, capsys):
    def command(**_options):
        raise MemoryError

    monkeypatch.setattr("wholenet.cli.commands_for", lambda task: {**commands_for(task), "fit": advised(task)})

    def advised(task):
        return functools.wraps(commands_for(task)["fit"])(command)

    with pytest.raises(SystemExit):
        main([*words, "--epochs=1"])
    assert capsys.readouterr().err == f"wholenet fit: out of memory\nA smaller {smaller} needs less memory.\n"


@pytest.mark.parametrize(
    ("error", "more"),
    [
        (TooLarge("take less"), ""),
        (MemoryError("of a--b.png"), "A smaller --batch, --crop or network needs less memory.\n"),
    ],
)
def test_it_is_advised_once(error, more, monkeypatch, capsys):
    def command(**_options):
        raise error

    wrapped = functools.wraps(commands_for("segmentation")["fit"])(command)
    monkeypatch.setattr("wholenet.cli.commands_for", lambda task: {**commands_for(task), "fit": wrapped})
    with pytest.raises(SystemExit):
        main(["fit", "--epochs=1"])
    assert capsys.readouterr().err == f"wholenet fit: {error}\n{more}"


def test_continued_with_recomputation_a_run_comes_to_the_same_numbers(discs, tmp_path, failing):
    wholenet_options = {**SMALL, "threads": 1}
    with pytest.raises(MemoryError):
        wholenet.fit(discs, tmp_path / "one", **wholenet_options)
    wholenet.resume(tmp_path / "one", recompute=True)
    wholenet.fit(discs, tmp_path / "two", **wholenet_options)
    assert [r["loss"] for r in records(tmp_path / "one")] == [r["loss"] for r in records(tmp_path / "two")]


def test_only_what_the_machine_is_may_change(discs, tmp_path):
    wholenet.fit(discs, tmp_path / "run", **SMALL)
    with pytest.raises(ValueError, match="so lr cannot be given with it; only device, workers, threads"):
        wholenet.resume(tmp_path / "run", lr=0.1)


def test_what_is_typed_with_resume_counts_even_if_it_is_the_default(discs, tmp_path, failing, capsys):
    out = tmp_path / "run"
    with pytest.raises(MemoryError, match=rf"wholenet fit --resume {out} --execution eager --recompute`"):
        wholenet.fit(discs, out, **SMALL, execution="kernels")
    main(["fit", "--resume", str(out), "--execution", "eager", "--recompute"])
    config = RunFolder(out).config
    assert (config.execution, config.recompute) == ("eager", True)
    main(["fit", "--resume", str(out), "--recompute", "false", "--workers=0"])
    assert not RunFolder(out).config.recompute


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_resume_that_cannot_be_leaves_the_settings_as_they_were(discs, tmp_path):
    wholenet.fit(discs, tmp_path / "run", **{**SMALL, "epochs": 1})
    with pytest.raises(ValueError, match="sees no GPU"):
        wholenet.resume(tmp_path / "run", device="cuda")
    assert RunFolder(tmp_path / "run").config.device == "cpu"


def test_of_a_part_of_a_run_the_whole_run_is_named(discs, tmp_path, failing):
    out = tmp_path / "two"
    with pytest.raises(MemoryError, match=rf"wholenet fit --resume {out} --recompute`"):
        wholenet.fit(discs, out, **SMALL, protocol="two-stage")
    assert RunFolder(out / "search").outermost.path == out
    assert RunFolder(out).outermost.path == out
    wholenet.resume(out, recompute=True)
    assert RunFolder(out / "search").config.recompute
    assert RunFolder(out).config.recompute


@pytest.mark.parametrize(
    ("accepted", "said"),
    [
        ((2, True), r"With --recompute .* \(tried: it fits\)"),
        ((1, False), r"A batch of 1 does \(tried\)"),
        ((1, True), r"A batch of 1 with --recompute does \(tried\)"),
        (None, "Not even one does"),
    ],
)
def test_on_a_gpu_what_is_said_has_been_tried(discs, tmp_path, monkeypatch, accepted, said):
    wholenet.fit(discs, tmp_path / "run", **{**SMALL, "epochs": 1})
    monkeypatch.setattr(
        memory, "_fits", lambda run, classes, shape, recompute, device: (shape[0], recompute) == accepted
    )
    cuda = torch.device("cuda")
    advice = memory_advice(RunFolder(tmp_path / "run"), 2, (32, 32), cuda, REASON)
    assert advice.startswith(REASON)
    assert re.search(said, advice)


def test_trying_runs_a_step_and_leaves_nothing(discs, tmp_path):
    wholenet.fit(discs, tmp_path / "run", **{**SMALL, "epochs": 1})
    run = RunFolder(tmp_path / "run")
    assert memory._fits(run, Facts(2), (1, 64, 64), True, torch.device("cpu"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory, "simultaneous_step", lambda *_: (_ for _ in ()).throw(torch.OutOfMemoryError(REASON)))
        assert not memory._fits(run, Facts(2), (1, 64, 64), True, torch.device("cpu"))


def test_other_errors_are_not_taken_for_it(discs, tmp_path, monkeypatch):
    def train_epoch(*args, **options):
        raise RuntimeError("size mismatch")
        yield

    monkeypatch.setattr(training, "train_epoch", train_epoch)
    with pytest.raises(RuntimeError, match="size mismatch"):
        wholenet.fit(discs, tmp_path / "run", **SMALL)
