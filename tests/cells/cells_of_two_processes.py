"""What tests/cells/test_several_processes.py runs in two processes, and by itself: small runs on labelled images.

Both processes train each of the ``CASES`` in float64, run all of the ``WHOLE``, and write what each came to to
OUT-found/NAME-0.pt and OUT-found/NAME-1.pt; then a search is run through, and another stopped by a signal to the second
process alone and continued, in OUT/whole and OUT/stopped. OUT-found/told-1.txt lists what the second one wrote.
"""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rich.console import Console

import wholenet.run as run_module
from run_files import TIMED, checkpoint
from two_processes import draw_nothing, stopping_after, watch_writing
from wholenet import parallel
from wholenet.cells import best_of, retrain, search, start
from wholenet.cells.prepare import prepare_labels
from wholenet.cli import main
from wholenet.run import train
from wholenet.search import perturbation_selection
from wholenet.search.cell_config import CellConfig, cell_config
from wholenet.search.cell_folder import CellFolder
from wholenet.search.classifier_config import RetrainConfig
from wholenet.search.early_stopping import RULES, StoppingRule
from wholenet.search.interruption import Interrupted
from wholenet.search.methods import METHODS
from wholenet.search.perturbation_selection import Left
from wholenet.spaces import catalog
from wholenet.spaces.catalog import create_from, create_model
from wholenet.spaces.cell_tables import TABLES
from wholenet.spaces.darts_genotype import PUBLISHED

QUIET = Console(quiet=True)
CPU = torch.device("cpu")
BATCH, IMAGES = 8, 24
SMALL = {"channels": 4, "cells": 3, "epochs": 1, "shift": 1, "device": "cpu", "threads": 1}
SEARCH = {"space": "s2", "gradient": "first-order", "images": IMAGES, "eigenvalue_every": 0}
LOOKED_AT = {"eigenvalue_every": 1, "eigenvalue_tolerance": 0.5}
CASES = {
    "first-order": {**SEARCH, "space": "s1", **LOOKED_AT},
    "second-order": {**SEARCH, "gradient": "second-order", "cutout": 4},
    "exact": {**SEARCH, "space": "nb201", "gradient": "second-order-exact"},
    "dropped paths, noise, attacks": {**SEARCH, "space": "s4", "drop_path": 0.4, "epochs": 2, "method": "sdarts-adv"},
    "trained": {"genotype": "darts-v2", "drop_path": 0.4, "auxiliary": 0.0, "val_share": 0.25, "epochs": 2},
}
"""By name: the methods whose numbers are compared, and the training of a genotype."""
THREE_PHASES = {"epochs": 3, "warmup_share": 0.34, "search_share": 0.33}
STOPS = {"stopping": "paper", "eigenvalue_every": 1, "val_every": 9}
WHOLE = {
    "stops early": {**STOPS, "space": "nb201", "method": "darts-es", "epochs": 3},
    "goes back": {**STOPS, "space": "nb201", "method": "darts-ada", "epochs": 3},
    "by perturbation": {"method": "darts-pt", "tune_epochs": 1},
    "random": {"space": "nb201", "method": "random-ws", "samples": 3, "sample_batches": 1},
    "two stages": {"space": "nb201", "protocol": "two-stage", "retrain_epochs": 1},
    "several": {"space": "nb201", "method": "r-darts-l2", "retrain_epochs": 1},
    "pairs": {"space": "dots", "topology_epochs": 1},
    "a budget": {**THREE_PHASES, "space": "nb201", "method": "single-stage", "budget": "60%"},
    "control": {**THREE_PHASES, "space": "nb201", "method": "single-stage", "control": True},
}
"""By name: what is more than its steps, from the config to all that it comes to; on the space whose networks are
smallest, where that is one of what is told apart."""


def config_of(name: str, data: Path, out: Path) -> CellConfig | RetrainConfig:
    given = {**SMALL, "data": str(data), "out": str(out / name), **CASES[name], "batch": BATCH // parallel.processes()}
    return RetrainConfig(**given) if "genotype" in given else cell_config(given.pop("method", "darts"), **given)


def trained(name: str, data: Path, out: Path) -> dict:
    """All that the run comes to: tensors by name, and the numbers of its records."""
    config = config_of(name, data, out)
    found = prepare_labels(config)
    run = CellFolder.of_all(config)
    if isinstance(config, RetrainConfig):
        job = retrain.job_of(run, config, PUBLISHED[config.genotype], found, CPU)
    else:
        job = search.job_of(run, config, found, CPU, QUIET)
    job.state.model.double()
    job.state.model.net.register_forward_pre_hook(lambda _net, given: (given[0].double(), *given[1:]))
    ended = train(job, QUIET)
    state = job.state
    momenta = [s["momentum_buffer"] for s in state.weight_optimizer.state_dict()["state"].values()]
    numbers = [
        value
        for record in state.records
        for name, value in record.items()
        if isinstance(value, float) and name not in TIMED
    ]
    return {
        **state.model.state_dict(),
        "momenta": torch.cat([momentum.flatten() for momentum in momenta]),
        "records": torch.tensor(numbers, dtype=torch.float64),
        "random": torch.get_rng_state(),
        "error": torch.tensor(ended.error, dtype=torch.float64),
    }


def two_of_the_edges(_table, score, tune, _seed, _progress, _family):
    """Selection by perturbation that ends after two edges; what it scored decides between two genotypes."""
    left = Left.all_of(TABLES["s2"])
    scores = []
    for edge in (0, 1):
        scores += [score(left.without("normal", edge, option)) for option in (0, 1)]
        left = left.with_decided("normal", edge, 1)
        tune(left)
    return PUBLISHED["darts-v1" if sum(scores) > 1.5 else "darts-v2"]


def whole_run(name: str, data: Path, out: Path) -> dict:
    """What such a run and its parts come to, begun and then continued where there is nothing to do."""

    def in_float64(create):
        def created(*arguments, **given):
            model = create(*arguments, **given).double()
            model.net.register_forward_pre_hook(lambda _net, given: (given[0].double(), *given[1:]))
            return model

        return created

    special = WHOLE[name]
    given = {**SMALL, **SEARCH, "data": str(data), "out": str(out / name), "batch": BATCH // parallel.processes()}
    several = METHODS["r-darts-l2"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(METHODS._known, several.name, replace(several, searches=several.searches[::3]))
        for module in (start, catalog):  # where a network begins, and where it gets smaller
            patch.setattr(module, "create_from", in_float64(create_from))
        patch.setattr(retrain, "create_model", in_float64(create_model))
        patch.setattr(perturbation_selection, "select", two_of_the_edges)
        patch.setattr(best_of, "equal_time_epochs", lambda _records: 2)
        patch.setattr(
            search, "_ends_of_spectrum", lambda *at: {"eigenvalue": 2.0 ** at[-1].epoch, "lowest_eigenvalue": 0.0}
        )
        patch.setitem(RULES, "paper", StoppingRule(window=1, lag=1, growth=1.5, centred=False, earliest=0))
        found = best_of.fit_cells(cell_config(**{"method": "darts", **given, **special}), QUIET)
        assert best_of.resume_cells(found.run, QUIET) == found
    parallel.meet()
    runs = sorted(path.parent for path in found.run.rglob("checkpoint.pt"))
    weights = {f"{run.name}/{key}": value for run in runs for key, value in checkpoint(run)["model"].items()}
    results = {run.name: json.loads((run / "result.json").read_text()) for run in runs}
    return {**weights, "results": json.dumps(results), "random": torch.get_rng_state()}


NOISY = {**SMALL, **SEARCH, "space": "s4", "images": 4 * BATCH, "batch": BATCH // 2}


def both(argument: tuple[Path, Path]) -> None:
    """What each of the two does."""
    data, out = argument
    parallel.start()
    written = watch_writing(out) if parallel.rank() else []
    draw_nothing()
    for name in CASES:
        found = trained(name, data, out)
        torch.save(found, out.with_name(f"{out.name}-found") / f"{name}-{parallel.rank()}.pt")
    for name in WHOLE:
        torch.save(whole_run(name, data, out), out.with_name(f"{out.name}-found") / f"{name}-{parallel.rank()}.pt")
    # The command leaves the others when it is done; here there is more to come.
    parallel.stop, stop = (lambda: None), parallel.stop
    words = [word for name, value in NOISY.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    main(["fit", str(data), "--out", str(out / "whole"), *words])
    epochs = run_module.train_epoch
    run_module.train_epoch = stopping_after(0, epochs)
    try:
        search.search(cell_config(data=str(data), out=str(out / "stopped"), **NOISY), QUIET)
    except Interrupted as ended:
        message = ended.message
    run_module.train_epoch = epochs
    main(["fit", "--resume", str(out / "stopped")])
    told = out.with_name(f"{out.name}-found") / f"told-{parallel.rank()}.txt"
    told.write_text("\n".join([message, *written]))
    stop()
