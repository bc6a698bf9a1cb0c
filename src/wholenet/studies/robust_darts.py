"""RobustDARTS (Sec. 4.3, 5): what early stopping, adaptive and stronger regularisation do for DARTS, on two spaces on
which it fails; each genotype trained from scratch, and random genotypes of the space beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from wholenet.cells.prepare import prepare_labels
from wholenet.search.cell_config import CellConfig
from wholenet.search.cell_folder import CellFolder
from wholenet.search.classifier_config import RetrainConfig
from wholenet.search.early_stopping import RULES
from wholenet.search.folder import Folder
from wholenet.search.random_search import random_genotype
from wholenet.spaces.cell_tables import TABLES, TYPES, CellEdge
from wholenet.spaces.cell_tables import Table as SpaceTable
from wholenet.spaces.darts_genotype import CellGenotype, cell_genotype_from_dict, write_cell_genotype
from wholenet.studies.drawing import draw_arms
from wholenet.studies.outcomes import diverged, error, notes_on_diverged, result
from wholenet.studies.pool import Pool
from wholenet.studies.result import Result, Spread, Table, spread
from wholenet.studies.setting import CellSetting

CHOSEN = ("s2", "s4")
"""Skip connections are what DARTS falls for on the first, noise on the second."""
ARMS = ("DARTS", "DARTS-ES", "DARTS-ADA", "DARTS, L2 x 27", "random")
STRONGER = 27
PAPER = {
    "s2": {"DARTS": "4.42 ± 0.40", "DARTS-ES": "3.41 ± 0.14", "DARTS-ADA": "3.59 ± 0.31"},
    "s4": {"DARTS": "6.95 ± 0.18", "DARTS-ES": "4.17 ± 0.21", "DARTS-ADA": "3.89 ± 0.67"},
}
"""Test error in per cent on CIFAR-10, from memory of the paper's Table 1 (3 searches)."""
RULE = {"cpu": "paper", "gpu": "paper", "paper": "code"}
"""The code's rule looks every second epoch and cannot fire before the 23rd: too late for short searches."""
RETRAINING = {
    "cpu": {"channels": 8, "cells": 5, "epochs": 10, "images": 2048, "batch": 32, "cutout": 0, "drop_path": 0.0},
    "gpu": {"channels": 16, "cells": 8, "epochs": 30, "images": 0, "batch": 96},
    "paper": {"channels": 16, "cells": 20, "epochs": 600, "images": 0, "batch": 96},
}
"""Fields of ``RetrainConfig`` by scale. CIFAR-10 in the paper: 20 cells of 16 or 36 channels."""
OF_DATA = ("images",)
"""Fields of these that ``--set`` replaces, as it does those of the searches."""
FIGURE = "robust-darts.png"
COLUMNS = ("space", "method", "skip or noise, of 16", "eigenvalue", "one-shot error, %", "retrained error, %")


def robust_darts(setting: CellSetting, pool: Pool) -> Result:
    """A search and a training of each kind for each seed."""
    rule = RULE[setting.scale]
    _check_data(setting)
    every: dict[str, Any] = {"eigenvalue_every": 1} if rule == "paper" else {}
    base = setting.config(space=CHOSEN[0], **every)
    strong = base.weight_decay * STRONGER
    special: dict[str, tuple[str, dict[str, Any]]] = {
        "DARTS": ("darts", {}),
        "DARTS-ADA": ("darts-ada", {"stopping": rule}),
        f"DARTS, L2 x {STRONGER}": ("darts", {"weight_decay": strong}),
    }
    searches: dict[tuple[str, str], list[CellConfig]] = {
        (space, arm): _by_seed(setting, method, {"space": space, **every, **changes})
        for space in CHOSEN
        for arm, (method, changes) in special.items()
    }
    pool.done([config for configs in searches.values() for config in configs])
    found = {key: pool.done(configs) for key, configs in searches.items()}
    genotypes: dict[tuple[str, str], list[CellGenotype | None]] = {}
    """By seed; None where the search diverged."""
    for place, space in enumerate(CHOSEN):
        for arm in special:
            genotypes[space, arm] = [_found(run) for run in found[space, arm]]
        genotypes[space, "DARTS-ES"] = [_stopped(run, rule) for run in found[space, "DARTS"]]
        genotypes[space, "random"] = _random(space, place, setting.seeds)
    trainings = {
        (space, arm): [
            None if genotype is None else training(setting, written(pool, space, genotype), seed)
            for seed, genotype in enumerate(genotypes[space, arm])
        ]
        for space in CHOSEN
        for arm in ARMS
    }
    trained = pool.done([config for configs in trainings.values() for config in configs if config is not None])
    lost = notes_on_diverged([*(run for runs in found.values() for run in runs), *trained])

    rows: list[list[str | Spread]] = []
    values: dict[str, Any] = {}
    shown: dict[str, list[float]] = {}
    for (space, arm), configs in trainings.items():
        searched = found.get((space, "DARTS" if arm == "DARTS-ES" else arm), [])
        of_arm = genotypes[space, arm]
        empty = [genotype and float(genotype.without_weights) for genotype in of_arm]
        errors = [config and _error(*pool.done([config])) for config in configs]
        at = stops(found[space, "DARTS"], rule) if arm == "DARTS-ES" else []
        eigenvalue = eigenvalues(searched, at)
        one_shot = [] if arm == "DARTS-ES" else [_error(run) for run in searched]
        missing = sum(e is None for e in errors)
        rows.append(
            [
                space.upper(),
                arm,
                spread(empty).shown(),
                spread(eigenvalue).shown(digits=3) if eigenvalue else "-",
                spread(one_shot) if one_shot else "-",
                spread(errors),
                PAPER[space].get(arm, "-"),
                *([f"{missing} of {setting.seeds}"] if lost else []),
            ]
        )
        values[f"{space}, {arm}"] = {
            "skip_or_noise": empty,
            "eigenvalue": eigenvalue,
            "one_shot_error": one_shot,
            "went_back": [(run.path / "discarded.jsonl").exists() for run in searched] if arm == "DARTS-ADA" else [],
            "retrained_error": errors,
            "stopped_at": at,
            "genotypes": [genotype and genotype.to_dict() for genotype in of_arm],
        }
        shown[f"{space.upper()}, {arm}"] = [100 * e for e in errors if e is not None]
    draw_arms(setting.out / FIGURE, shown, {}, quantity="test error after training from scratch, %", ours="seeds")
    return Result(
        title="RobustDARTS: stopping early and regularising",
        source="RobustDARTS, Sec. 4.3 and 5, Table 1",
        table=Table([*COLUMNS, "paper, %", *(["diverged"] if lost else [])], rows),
        values=values,
        notes=[*_notes(setting, rule, values), *lost],
        figure=FIGURE,
    )


def _check_data(setting: CellSetting) -> None:
    """Make sure before the first search that the last training has something to train and to be scored on.

    Raises:
        ValueError: if not.
    """
    data = prepare_labels(training(setting, "darts-v1", 0))
    if data.test is None:
        raise ValueError(f"study robust-darts scores on a test split, and {setting.data} has none")


def training(setting: CellSetting, genotype: str, seed: int) -> RetrainConfig:
    """The training of ``genotype``, a file or a published one."""
    example = setting.example
    options = {name: getattr(example, name) for name in ("data", "side", "shift", "device", "threads", "workers")}
    if example.side:
        options["auxiliary"] = 0.0  # that head is made for images of 32 x 32
    return RetrainConfig(out="", genotype=genotype, seed=seed, **{**options, **_retraining(setting)})


def _retraining(setting: CellSetting) -> dict[str, Any]:
    """The scale's, on as many images as are asked for, which there may be fewer of."""
    asked = {name: value for name, value in setting.overrides if name in OF_DATA}
    return {**RETRAINING[setting.scale], **asked}


def written(pool: Pool, space: str, genotype: CellGenotype) -> str:
    """The file of ``genotype``, which was found in ``space``."""
    return pool.genotype_file(space, genotype, partial(write_cell_genotype, space=space))


def _error(run: CellFolder) -> float | None:
    return None if diverged(run) else error(run)


def _by_seed(setting: CellSetting, method: str, changes: dict[str, Any]) -> list[CellConfig]:
    return [setting.seeded(setting.config(method, **changes), seed) for seed in range(setting.seeds)]


def _random(space: str, place: int, seeds: int) -> list[CellGenotype | None]:
    """A genotype for each seed; ``place``: of the space, so that no two spaces draw the same."""
    draws = [torch.Generator().manual_seed(1000 * (1 + place) + seed) for seed in range(seeds)]
    return [random_genotype(_without_none(space), draw) for draw in draws]


def _found(run: CellFolder) -> CellGenotype | None:
    if diverged(run):
        return None
    return cell_genotype_from_dict(result(run)["genotype"])


def stops(runs: Sequence[Folder], rule: str) -> list[int | None]:
    """The epoch that the rule would have gone back to, run by run. After its last epoch a search is not stopped."""
    looks = [run.records() if diverged(run) else run.records()[:-1] for run in runs]
    histories = [[(r["epoch"], r["eigenvalue"]) for r in some if r["eigenvalue"] is not None] for some in looks]
    return [RULES[rule].first(history) for history in histories]


def _stopped(run: CellFolder, rule: str) -> CellGenotype | None:
    """What early stopping would have taken out of this search: RobustDARTS' way to get both results from one run. None
    of a search that diverged without having been stopped before."""
    (epoch,) = stops([run], rule)
    records = run.records()
    return _found(run) if epoch is None else cell_genotype_from_dict(records[epoch]["genotype"])


def eigenvalues(runs: Sequence[Folder], at: Sequence[int | None]) -> list[float | None]:
    """At the end of each search, or where it was stopped; None where it diverged before."""
    values: list[float | None] = []
    for i, run in enumerate(runs):
        stopped = at[i] if at else None
        epochs = {r["epoch"]: r["eigenvalue"] for r in run.records() if r["eigenvalue"] is not None}
        if stopped is None:
            values.append(None if diverged(run) else epochs[max(epochs)])
        else:
            values.append(epochs[stopped])
    return values


def _without_none(space: str) -> SpaceTable:
    """The space without ``none``, which a discretization never takes."""

    def offered(edge: CellEdge) -> CellEdge:
        return replace(edge, operations=tuple(name for name in edge.operations if name != "none"))

    return {kind: tuple(map(offered, TABLES[space][kind])) for kind in TYPES}


def _notes(setting: CellSetting, rule: str, values: Mapping[str, Any]) -> list[str]:
    base = setting.example
    back = {space: sum(values[f"{space}, DARTS-ADA"]["went_back"]) for space in CHOSEN}
    stops = {space: values[f"{space}, DARTS-ES"]["stopped_at"] for space in CHOSEN}
    fired = {space: sum(epoch is not None for epoch in found) for space, found in stops.items()}
    trained = RetrainConfig(data="", out="", genotype="", **_retraining(setting))
    return [
        f"Mean and sample standard deviation of {setting.counted_seeds}. The control: random genotypes of the same "
        "space, without any search. Each genotype is trained once, with the seed of its search.",
        f"Early stopping by the {rule}'s rule, replayed on DARTS' own runs as RobustDARTS does it; it fired on "
        + " and ".join(f"{n} of {setting.seeds} ({space.upper()})" for space, n in fired.items())
        + ". Where it did not, the genotype, and the number, are DARTS'. DARTS-ADA goes back to before the growth and "
        "regularises tenfold; it went back on "
        + " and ".join(f"{n} of {setting.seeds} ({space.upper()})" for space, n in back.items())
        + ", and is DARTS where it did not.",
        "All seeds use the same images and the same halves, so the spread is without that part.",
        "The paper's errors are quoted from memory of its Table 1; ours are of much smaller networks and fewer images.",
        f"Searches: {base.cells} cells of {base.channels} channels, {base.epochs} epochs, {base.gradient} gradient, "
        + (f"{base.images} images" if base.images else "all images")
        + (f" of {base.side}x{base.side}" if base.side else "")
        + f". Trainings: {trained.cells} cells of {trained.channels} channels, {trained.epochs} epochs; scored on the "
        "test split after the last.",
    ]
