"""What tests/test_tasks_of_two_processes.py runs in two processes, and by itself: small runs on texts and on pairs.

Both processes run each of the ``CASES`` in float64, and write what it came to to OUT-found/NAME-0.pt and
OUT-found/NAME-1.pt; then a search on the text is run through, and another stopped by a signal to the second process
alone and continued, in OUT/whole and OUT/stopped. OUT-found/told-1.txt lists what the second one wrote.
"""

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

import toy_pairs
import wholenet.run as run_module
from run_files import TIMED, checkpoint
from two_processes import draw_nothing, stopping_after, watch_writing
from wholenet import control, parallel
from wholenet.cli import main
from wholenet.control import fit_with_control, resume_with_control
from wholenet.deploy import model_folder
from wholenet.jobs.catalog import task_config
from wholenet.search import start
from wholenet.search.early_stopping import RULES, StoppingRule
from wholenet.search.interruption import Interrupted
from wholenet.search.task_config import TaskConfig
from wholenet.spaces.catalog import create_from
from wholenet.tasks import perplexity

QUIET = Console(quiet=True)
BATCH, SIZE = 4, (32, 48)
MACHINE = {"device": "cpu", "threads": 1}
CELL = {"task": "language", "units": 6, "window": 5, "lr": 1.0, "epochs": 1, "steps_per_epoch": 2, **MACHINE}
SEARCH = {**CELL, "nodes": 2, "arch_lr": 0.05}
PAIRS = {"task": "stereo", "epochs": 1, **MACHINE}
SGD = {"optimizer": "sgd", "lr": 0.02, "momentum": 0.9}
SMALL = {**PAIRS, **SGD, "size": "tiny", "width": 4, "displacement": 2, "decoder": 1, "crop": "16x32"}
TOY = {**PAIRS, "space": toy_pairs.NAME, "lr": 0.01, "arch_lr": 0.05}
LOOKED_AT = {"eigenvalue_every": 1, "eigenvalue_tolerance": 0.5}
FIRST = {"gradient": "first-order"}
STOPS = {"method": "darts-es", "stopping": "paper"}
HALVES = {"epochs": 2, "warmup_share": 0.5, "search_share": 0.5}
CASES = {
    "text, second order": {**SEARCH, **LOOKED_AT},
    "text, stops early": {**SEARCH, **FIRST, **LOOKED_AT, **STOPS, "epochs": 3, "steps_per_epoch": 1},
    "text, exact": {**SEARCH, "gradient": "second-order-exact", "split": "same", "weight_decay": 1e-3},
    "text, attacked": {**SEARCH, **FIRST, "method": "sdarts-adv", "slowness": 0.5, "steps_per_epoch": 3},
    "text, sampled": {**SEARCH, **FIRST, "method": "gdas", "recalibrate": 2},
    "text, two stages": {**SEARCH, **FIRST, "protocol": "two-stage", "retrain_epochs": 1},
    "text, averaged": {**CELL, "genotype": "darts-rnn-v1", "average_after": 1, "lr": 8.0, "clip": 1.0, "epochs": 5},
    "text, fused": {**CELL, "genotype": "lstm", "optimizer": "adamw", "lr": 0.01, "steps_per_epoch": 3},
    "pairs, searched": {**SMALL, **FIRST, "steps_per_epoch": 1},
    "pairs, statistics anew": {**SMALL, "genotype": "random-autodispnet-0", "recalibrate": 1},
    "pairs, second order": {**TOY, **SGD, **LOOKED_AT, "gradient": "second-order"},
    "pairs, attacked": {**TOY, "method": "sdarts-adv"},
    "pairs, control": {**TOY, **HALVES, "method": "single-stage", "control": True},
}
"""By name."""
CONTINUED = ("text, two stages", "pairs, control")
"""Once they are done."""
SHORT = StoppingRule(window=1, lag=1, growth=1e-9, centred=False, earliest=0)


def write_data(root: Path) -> Path:
    """A text in ROOT/text, pairs in ROOT/pairs."""
    (root / "text").mkdir(parents=True)
    source = random.Random(0)
    for name, lines in (("train", 40), ("valid", 80)):
        words = [" ".join(source.choice("abcdefgh") for _ in range(5)) for _ in range(lines)]
        (root / "text" / f"{name}.txt").write_text("\n".join(words) + "\n")
    toy_pairs.write_pairs(root / "pairs", SIZE)
    return root


def config_of(options: dict, data: Path, out: Path, batch: int = BATCH) -> TaskConfig:
    """Each process has its share of a batch."""
    where = data / ("text" if options["task"] == "language" else "pairs")
    given = {**options, "data": str(where), "out": str(out), "batch": batch // parallel.processes()}
    return task_config(given.pop("task"), **given)


def doubled(model):
    """The network in float64, images too. Biases begin at random: at zero, what a prediction of zero becomes lies on
    the kink of a leaky ReLU, and rounding decides about its slope."""

    def wide(_net, given):
        first, *others = given
        return (first._make(x.double() if x is not None and x.is_floating_point() else x for x in first), *others)

    model.double()
    model.net.register_forward_pre_hook(wide)
    for name, parameter in model.net.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(parameter, 0.0, 0.1)
    return model


def came_to(name: str, data: Path, out: Path) -> dict[str, torch.Tensor]:
    """All that a run and its parts come to, in tensors."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (start, model_folder):
            patch.setattr(module, "create_from", lambda spec: doubled(create_from(spec)))
        patch.setattr(control, "equal_time_epochs", lambda *_: 1)
        patch.setitem(RULES, "paper", SHORT)
        patch.setattr(perplexity, "LEAST", 150)  # the text that is held out has three parts
        config = config_of(CASES[name], data, out / name)
        ended = fit_with_control(config, QUIET)
        again = resume_with_control(config.out, QUIET) if name in CONTINUED else ended
    parallel.meet()
    found = {"random": torch.get_rng_state()}
    for path in sorted(Path(config.out).rglob("checkpoint.pt")):
        found |= flat(path.parent.name, checkpoint(path.parent))
    for part in ("learned", "uniform"):
        if (done := getattr(ended, part)) is not None:
            assert done.scores == getattr(again, part).scores
            found[f"{part} score"] = torch.tensor(done.scores, dtype=torch.float64)
    return found


def flat(name: str, value: Any) -> dict[str, torch.Tensor]:
    """Every tensor and number in ``value`` by its place in it."""
    if isinstance(value, torch.Tensor):
        return {name: value}
    if isinstance(value, int | float):
        return {name: torch.tensor(value, dtype=torch.float64)}
    parts = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list | tuple) else ()
    found = {}
    for key, part in parts:
        if key not in (*TIMED, "each"):
            found |= flat(f"{name}/{key}", part)
    return found


NOISY = {**SEARCH, **FIRST, "epochs": 2, "steps_per_epoch": 4}
"""A search of one column in each process."""


def both(argument: tuple[Path, Path]) -> None:
    """What each of the two does."""
    data, out = argument
    parallel.start()
    toy_pairs.register()
    written = watch_writing(out) if parallel.rank() else []
    draw_nothing()
    folder = out.with_name(f"{out.name}-found")
    for name in CASES:
        torch.save(came_to(name, data, out), folder / f"{name}-{parallel.rank()}.pt")
    fit_with_control(config_of(NOISY, data, out / "whole", 2), QUIET)
    epochs = run_module.train_epoch
    run_module.train_epoch = stopping_after(2, epochs)
    try:
        fit_with_control(config_of(NOISY, data, out / "stopped", 2), QUIET)
    except Interrupted as ended:
        message = ended.message
    run_module.train_epoch = epochs
    carried = checkpoint(out / "stopped")["carried"] if parallel.is_first() else {}
    parallel.meet()
    parallel.stop, stop = (lambda: None), parallel.stop  # the command leaves the other when it is done
    main(["fit", "--resume", str(out / "stopped")])
    told = [message, *(f"{name} {tuple(state.shape)}" for name, state in carried.items()), *written]
    (folder / f"told-{parallel.rank()}.txt").write_text("\n".join(told))
    stop()
