"""What tests/test_parallel.py runs in two processes, and by itself: the three phases on batches that are given.

The processes are forked (tests/forked.py), with the environment that torchrun gives to its own: they start at once,
where those of torchrun take seconds each.
"""

import importlib
import multiprocessing
import os
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from multiprocessing.connection import wait
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed.run as torchrun
from torch.distributed.launcher.api import elastic_launch

import fake_timm
from forked import COMMAND, Forked
from run_files import Pictures
from toy import shallow
from wholenet import parallel
from wholenet.cli import main
from wholenet.data.sample import IGNORE, Sample
from wholenet.diagnostics.curvature import curvature
from wholenet.search.folder import Folder
from wholenet.search.gradients import moving_statistics
from wholenet.search.interruption import Interrupted
from wholenet.search.keeper import Keeper
from wholenet.search.loop import train_epoch
from wholenet.search.parts import GRADIENTS
from wholenet.search.penalties import EntropyPenalty
from wholenet.search.perturbation import perturbed
from wholenet.search.phases import single_stage
from wholenet.search.schedule import Schedule
from wholenet.search.search_config import SearchConfig
from wholenet.search.state import TrainState
from wholenet.search.steps import Batch, make_optimizers
from wholenet.search.updates import Parts, architecture_first, together, weights_first
from wholenet.spaces.catalog import create_model
from wholenet.tasks.evaluation import measure_masks
from wholenet.tasks.losses import DiceLoss, SumOfLosses
from wholenet.tasks.segmentation import SegmentationLoss, evaluate, predict_mask

EPOCHS, STEPS, BATCH, CLASSES = 3, 1, 4, 3
RATES = {"lr": 0.05, "momentum": 0.9, "weight_decay": 1e-3, "arch_lr": 0.05, "arch_weight_decay": 1e-3}
PENALTIES = {"entropy penalty": EntropyPenalty({"alpha": 0.1, "beta": 0.1}, "constant", 0.0, 3.0)}
ATTACKED = perturbed(SearchConfig(data="x", out="y", perturbation="adversarial"))
WAYS = {
    "alternating": Parts(weights_first, moving_statistics, penalties=PENALTIES),
    "second-order": Parts(architecture_first, GRADIENTS["second-order-exact"]),
    "attacked": Parts(architecture_first, weights=ATTACKED),
    "drawn": Parts(architecture_first),
    "simultaneous": Parts(together, moving_statistics, penalties=PENALTIES),
    "trellis": Parts(weights_first),
    "drawn links": Parts(architecture_first),
}
"""How steps are taken, by name."""
RELAXATION = {"drawn": "dirichlet"}
"""How logits become weights, where that is not by a softmax."""
OTHERS = {
    "trellis": ("autodeeplab-tiny", {"layers": 2, "filters": 2, "blocks": 2}),
    "drawn links": ("dense-grid-nano", {"layers": 2, "filters": 4, "sampled_links": 2}),
}
"""Networks that are no grid."""


def batches(seed):
    """This process's share of random batches; the first half of each has more pixels that are ignored."""
    generator = torch.Generator().manual_seed(seed)
    own = BATCH // parallel.processes()
    first = parallel.rank() * own
    while True:
        images = torch.randn(BATCH, 3, 33, 40, generator=generator, dtype=torch.float64)
        masks = torch.randint(CLASSES, (BATCH, 33, 40), generator=generator)
        masks[0, :20] = IGNORE
        yield images[first : first + own], masks[first : first + own]


def network(name="grid"):
    """A small grid; of "simultaneous", one that reads an encoder with BatchNorms of its own library; or another one."""
    if name in OTHERS:
        other, settings = OTHERS[name]
        return create_model(other, num_classes=CLASSES, **settings)
    with shallow(), pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "timm", fake_timm.module())
        stem = {"stem": "timm/small_net"} if name == "simultaneous" else {}
        return create_model("grid-nano", num_classes=CLASSES, relaxation=RELAXATION.get(name, "softmax"), **stem)


def loss_of(name):
    """Where anything is differentiated twice, one that is no sum over the pixels."""
    entropy = SegmentationLoss(torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64))
    return SumOfLosses(entropy, DiceLoss()) if name == "second-order" else entropy


def trained(name):
    torch.manual_seed(0)
    model = network(name).double()
    for norm in model.modules():
        if isinstance(norm, torch.nn.BatchNorm2d) and norm.affine:  # not the symmetric start, which would hide errors
            torch.nn.init.normal_(norm.weight, 1.0, 0.2)
            torch.nn.init.normal_(norm.bias, 0.0, 0.2)
    state = TrainState(model, *make_optimizers(model, **RATES))
    gates = {key: torch.ones_like(logits, requires_grad=True) for key, logits in model.arch.logits.items()}
    slopes = {f"gates.{key}": torch.zeros_like(gate) for key, gate in gates.items()}

    def look(*_given):
        for key, gate in gates.items():
            slopes[f"gates.{key}"] += gate.grad
            gate.grad = None

    model.arch.gates = lambda: gates
    state.weight_optimizer.register_step_pre_hook(look)
    loss, losses, streams = loss_of(name), [], (batches(1), batches(2))
    for phase in single_stage(EPOCHS, 0.34, 0.33):
        epoch = train_epoch(
            state,
            phase,
            Schedule(epochs=EPOCHS, steps_per_epoch=STEPS, lr=0.05),
            WAYS[name],
            loss,
            *streams,
            torch.device("cpu"),
        )
        losses += [(step.loss, step.arch_loss or 0.0) for step in epoch]
        state.end_epoch()
    ends = torch.zeros(2, dtype=torch.float64)
    if name == "second-order":
        found = curvature(model, Batch(*next(batches(3))), loss, tolerance=0.1)
        ends += torch.tensor([found.lowest, found.highest])
    return {**model.state_dict(), **slopes, "losses": torch.tensor(losses, dtype=torch.float64), "curvature": ends}


def scored():
    """What a network that was not trained scores on three images, and what is measured of its masks."""
    torch.manual_seed(1)
    rng = np.random.default_rng(0)
    data = [
        Sample(
            rng.integers(256, size=(40, 48, 3), dtype=np.uint8), rng.integers(3, size=(40, 48), dtype=np.uint8), name
        )
        for name in ("first", "second, \u00e9", "third")
    ]
    model = network()
    scores = evaluate(model, data, CLASSES)
    found = asdict(measure_masks(partial(predict_mask, model.eval()), data, CLASSES))
    return {"iou": list(scores.iou), "images": scores.images, "accuracy": scores.pixel_accuracy, "found": repr(found)}


def stopped(folder):
    """The step after which this process stops, and the message, if the last one alone gets a signal in the fourth."""
    model = network()
    state = TrainState(model, *make_optimizers(model, **RATES))
    keeper = Keeper(Folder(folder), state, 10.0, 9)
    try:
        with keeper.watching(), keeper.steps():
            for step in range(9):
                if step == 3 and parallel.rank() == parallel.processes() - 1:
                    os.kill(os.getpid(), signal.SIGTERM)
                state.tally.steps += 1
                keeper.step_done()
    except Interrupted as stop:
        return {"steps": state.tally.steps, "number": stop.number, "message": stop.message}


def command(words: list[str]) -> None:
    """``wholenet``, whose smallest grid is smaller still."""
    with shallow():
        main(words)


def written(argument: tuple[Path, list[str]]) -> None:
    """Each process writes into a folder parameters and losses (alternating-0.pt and so on), scores, and where a run
    ends of which one process alone is asked to stop. Then the two run a command."""
    out, words = argument
    parallel.start()
    for name in WAYS:
        torch.save(trained(name), out / f"{name}-{parallel.rank()}.pt")
    torch.save(scored(), out / f"scored-{parallel.rank()}.pt")
    torch.save(stopped(out), out / f"stopped-{parallel.rank()}.pt")
    parallel.stop()
    command(words)


def as_rank(rank: int, port: int, work: Callable, argument) -> None:
    """``work(argument)``, with the environment that torchrun gives."""
    where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    os.environ.update(where, RANK=str(rank), LOCAL_RANK=str(rank))
    work(argument)


def in_two(work: Callable, argument) -> None:
    """``work(argument)`` in two processes; when one fails the other is ended, and so is this one."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    fork = multiprocessing.get_context("fork")
    both = [fork.Process(target=as_rank, args=(rank, port, work, argument), daemon=True) for rank in (0, 1)]
    for process in both:
        process.start()
    running = {process.sentinel: process for process in both}
    while running:
        for sentinel in wait(list(running)):
            ended = running.pop(sentinel)
            ended.join()
            if ended.exitcode:
                raise SystemExit(f"process {both.index(ended)} of 2 ended with {ended.exitcode}")


def run_in_two(both: Callable, data: Path, folder: Path) -> tuple[Path, Path]:
    """``both((data, out))`` in two processes. Returns ``out``, where the runs are, and that of what they found."""
    out = folder / "runs"
    found = out.with_name("runs-found")
    out.mkdir()
    found.mkdir()
    env = os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    process = Forked(in_two, both, (data, out), log=out.with_name("log"), env=env)
    text = process.communicate(timeout=300)[0]
    assert process.returncode == 0, text
    return out, found


def assert_two_came_to(expected: dict[str, torch.Tensor], found: Path, name: str) -> None:
    """Both processes wrote what is ``expected`` of the run ``name``, and the two of them the same to the bit."""
    first, second = (torch.load(found / f"{name}-{rank}.pt", weights_only=True) for rank in (0, 1))
    assert first.keys() == second.keys() == expected.keys()
    for key, value in expected.items():
        torch.testing.assert_close(first[key], value, rtol=1e-7, atol=1e-9, msg=lambda m, key=key: f"{key}: {m}")
        assert torch.equal(first[key], second[key]), key


def launched(words: list[str]) -> None:
    """``torchrun --standalone --nproc-per-node 2 -m wholenet``, and ``words``: torchrun's own agent starts both
    processes, looks after them and stops the other when one is lost; but they are forked, not started anew."""

    def in_process(*given: str) -> None:
        assert given[:3] == ("-u", "-m", "wholenet")
        command(list(given[3:]))

    def launch(config, entrypoint):
        assert entrypoint == COMMAND[0]
        return elastic_launch(replace(config, start_method="fork"), in_process)

    torchrun.elastic_launch = launch
    torchrun.main(["--standalone", "--nproc-per-node", "2", "-m", "wholenet", *words])


def draw_nothing() -> None:
    for place in Pictures.PLACES:
        module, _, name = place.rpartition(".")
        setattr(importlib.import_module(module), name, lambda *_: None)


def watch_writing(out: Path) -> list[str]:
    """Every path below ``out`` that this process opens to write, makes, renames or removes, from now on; without the
    file without a name, by which it is tried whether one could be written: what is opened for that is the folder."""
    written: list[str] = []

    def hook(event: str, arguments: tuple) -> None:
        if event == "open":
            path, mode, flags = arguments
            changes = any(c in (mode or "") for c in "wax+") or flags & (os.O_WRONLY | os.O_RDWR)
            changes = changes and not Path(str(path)).is_dir()
        else:
            path, changes = arguments[0] if arguments else "", event in ("os.mkdir", "os.rename", "os.remove")
        if changes and str(path).startswith(f"{out}/"):
            written.append(str(path))

    sys.addaudithook(hook)
    return written


def stopping_after(steps: int, epochs):
    """A training loop in which the last process alone gets a signal after so many steps of an epoch."""

    def some(*arguments):
        for step in epochs(*arguments):
            if step.step == steps and parallel.rank() == parallel.processes() - 1:
                os.kill(os.getpid(), signal.SIGTERM)
            yield step

    return some
