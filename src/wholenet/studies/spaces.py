"""All methods on DARTS' space, each genotype trained from scratch, against random genotypes of the space and against a
supernet that never searched: who beats random by more than the spread?

Equal cost: the second control are random genotypes trained for as long as DARTS' search and training take together, the
third a frozen-uniform supernet, kept as the classifier, for the same time. What a method's search takes over DARTS' is
in the table.

Arithmetic of the scale "cpu", from CPU times of steps on a busy core: a search is 12 epochs of 10 steps of 0.73 s,
88 s; a training 10 epochs of 64 steps of 0.08 s, with scoring 65 s. In searches of DARTS the 22 methods take some 33
(those of R-DARTS are four each, with trainings; DARTS-PT tunes; adversarial perturbations take steps of their own).
Three seeds: 99 searches, 84 trainings, and controls of 1,500 s are 15,700 s, which is 2.2 hours on two busy cores;
they took 12,300 s (2026-11-30). A study that was stopped goes on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean, median
from typing import Any

import torch

from wholenet.cells.prepare import prepare_labels
from wholenet.deploy.model_folder import load_model
from wholenet.search import stages
from wholenet.search.cell_config import CellConfig, cell_config
from wholenet.search.cell_folder import SEARCHES, CellFolder
from wholenet.search.classifier_config import RetrainConfig
from wholenet.search.methods import METHODS
from wholenet.search.random_search import random_genotype
from wholenet.spaces.cell_tables import PUBLISHED
from wholenet.spaces.darts_genotype import CellGenotype, read_cell_genotype
from wholenet.studies.drawing import draw_arms
from wholenet.studies.outcomes import diverged, notes_on_diverged, result
from wholenet.studies.paired import Difference, paired_where_both
from wholenet.studies.pool import Pool
from wholenet.studies.result import Result, Spread, Table, spread
from wholenet.studies.robust_darts import RULE, training, written
from wholenet.studies.setting import CELL_SCALES, CellSetting
from wholenet.studies.step_times import relative_times

SPACE = "darts"
DRAWS = 3
"""Random genotypes for each seed."""
OWN = {
    "cpu": {"channels": 8, "images": 640, "epochs": 12, "samples": 100, "tune_epochs": 1, "retrain_epochs": 5},
    "gpu": {"retrain_epochs": 10},
    "paper": {},
}
"""By scale: what some methods do beside the epochs of a search, in proportion to these; PC-DARTS takes a quarter of
twice as many channels as others could do with, which so many searches pay for by fewer steps."""
SAME = ("mixed-level",)
"""Another name of a method that is there."""
RANDOM, LONGER = "random genotypes", "random genotypes, for the time of a search too"
UNIFORM, KEPT = "frozen-uniform supernet, kept, for that time", "single-stage supernet, kept, for that time"
CONTROLS = (RANDOM, LONGER, UNIFORM, KEPT)
SHAPE = ("channels", "cells", "images", "batch", "side", "shift", "device", "threads", "workers")
"""What supernets that are kept have of the trainings."""
FIGURE = "spaces.png"
TIMES = "spaces-times.json"


def methods() -> list[str]:
    """Those that end with a genotype."""
    return [name for name, m in METHODS.items() if name not in SAME and m.parts.get("protocol") != "single-stage"]


def search_config(setting: CellSetting, name: str) -> CellConfig:
    """The search of a method: its own parts, and the length, batch and rates of the scale for all alike.

    Recipes are for 50 epochs of batches of 64 to 256, so but for warm-up they are the paper's scale alone. Rates of an
    architecture that is moved by SGD are not Adam's, and stay.
    """
    method = METHODS[name]
    setting.refuse_fixed("method", "space", *(part for n in methods() for part in METHODS[n].parts | METHODS[n].choice))
    values = {field: value for field, value in CELL_SCALES[setting.scale].items() if field not in method.parts}
    values |= OWN[setting.scale]
    if setting.scale != "paper":
        values = {"batch": CellConfig.batch, **values, "eigenvalue_every": 0}
        values |= {"lr": CellConfig.lr, "lr_end": CellConfig.lr_end}
        if method.parts.get("arch_optimizer") == "sgd":
            values.pop("arch_lr")
    if "stopping" in method.parts:
        values.pop("eigenvalue_every", 0)  # which the rule says
        values["stopping"] = RULE[setting.scale]
    try:
        return cell_config(name, data=setting.data, out="", **{**values, **dict(setting.overrides), "space": SPACE})
    except ValueError as error:
        raise ValueError(f"the search by {name}: {error}") from error


@dataclass(frozen=True)
class Arm:
    """What a row is about, seed by seed; None where a run diverged."""

    errors: Sequence[float | None]
    """On the test split, in [0, 1]; of several genotypes of a seed their mean."""
    seconds: Sequence[float | None] = ()
    """Of the searches, at the median of their steps."""
    skips: Sequence[float | None] = ()
    """Skip connections among the genotype's 16 operations."""


def spaces(setting: CellSetting, pool: Pool) -> Result:
    """A search and a training of each method for each seed, then the controls."""
    if prepare_labels(training(setting, "darts-v1", 0)).test is None:
        raise ValueError(f"study spaces scores on a test split, and {setting.data} has none")
    configs = {name: setting.over_seeds(search_config(setting, name)) for name in methods()}
    searched = pool.done([config for of_method in configs.values() for config in of_method])
    found = {name: pool.done(of_method) for name, of_method in configs.items()}
    drawn = [[_random(setting.seeds * i + seed) for i in range(DRAWS)] for seed in range(setting.seeds)]
    trainings = {
        (name, seed): [_training(setting, pool, _found(run), seed)]
        for name, runs in found.items()
        for seed, run in enumerate(runs)
        if not diverged(run)
    }
    trainings |= {
        (RANDOM, seed): [_training(setting, pool, genotype, seed) for genotype in genotypes]
        for seed, genotypes in enumerate(drawn)
    }
    trained = pool.done([config for of_arm in trainings.values() for config in of_arm])
    arms = {
        name: Arm(
            [_error(pool.done(trainings.get((name, seed), []))) for seed in range(setting.seeds)],
            [None if diverged(run) else search_seconds(run) for run in found.get(name, [])],
            [None if diverged(run) else _skips(_found(run)) for run in found.get(name, [])],
        )
        for name in (*found, RANDOM)
    }
    kept = _controls(
        setting, pool, found["darts"], pool.done([c for s in range(setting.seeds) for c in trainings[RANDOM, s]])
    )
    controls = {name: pool.done(of_arm) for name, of_arm in kept.items()}
    arms |= {name: Arm([_error([run]) for run in runs]) for name, runs in controls.items()}
    lost = notes_on_diverged([*searched, *trained, *(run for runs in controls.values() for run in runs)])
    epochs = {name: of_arm[0].epochs for name, of_arm in kept.items()}
    return _result(setting, arms, epochs, lost)


def _controls(
    setting: CellSetting, pool: Pool, searches: Sequence[CellFolder], random: Sequence[CellFolder]
) -> Mapping[str, Sequence[CellConfig] | Sequence[RetrainConfig]]:
    """What is trained for as long as a search and a training take: lengths by the medians of what ``searches`` and
    ``random`` took, and by steps of the supernet over those of a discrete network."""
    over, there = ([run for run in runs if not diverged(run)] for runs in (searches, random))
    if not over or not there:
        raise ValueError(
            "all searches of DARTS, or all trainings of random genotypes, diverged: nothing says how long the controls "
            "are to be; run the study with a lower rate (--set lr=...)"
        )
    took = median(_steady(run) for run in there)
    share = 1 + median(map(search_seconds, over)) / took
    example = training(setting, "darts-v1", 0)
    longer = [
        replace(_training(setting, pool, _random(seed), seed), epochs=round(share * example.epochs))
        for seed in range(setting.seeds)
    ]
    shape = {name: getattr(example, name) for name in SHAPE}
    search = {name: value for name, value in CELL_SCALES[setting.scale].items() if name not in shape}
    search |= {"eigenvalue_every": 0, "val_share": 0.0, "space": SPACE}
    single = cell_config("single-stage", data=setting.data, out="", **search, **shape)
    discrete = load_model(there[0].path, task="classification").network.spec
    settings = {**discrete.settings, "affine": True}
    supernet = replace(discrete, settings=settings, genotype=None, relaxation="softmax")
    ratio = relative_times({"supernet": supernet}, discrete, example, setting.out / TIMES)["supernet"]
    length = share * example.epochs / ratio
    # An architecture step takes about as long as a weight step.
    searching = length / (1 + single.search_share)
    uniform = single.frozen_uniform(epochs=max(1, round(length)))
    return {
        LONGER: longer,
        UNIFORM: setting.over_seeds(uniform),
        KEPT: setting.over_seeds(replace(single, epochs=max(3, round(searching)))),
    }


def _random(number: int) -> CellGenotype:
    """A genotype of the space, without ``none``, which a discretization never takes."""
    table = {
        kind: tuple(replace(e, operations=tuple(n for n in e.operations if n != "none")) for e in edges)
        for kind, edges in PUBLISHED[SPACE].items()
    }
    return random_genotype(table, torch.Generator().manual_seed(9000 + number))


def _training(setting: CellSetting, pool: Pool, genotype: CellGenotype, seed: int) -> RetrainConfig:
    return training(setting, written(pool, SPACE, genotype), seed)


def _error(runs: Sequence[CellFolder]) -> float | None:
    """Test error, mean over ``runs`` that did not diverge."""
    left = [result(run)["test_error"] for run in runs if not diverged(run)]
    return mean(left) if left else None


def _found(run: CellFolder) -> CellGenotype:
    """The genotype that a finished run came to: of several searches the last one's, or the best."""
    return read_cell_genotype(run.genotype, SPACE)


def _skips(genotype: CellGenotype) -> float:
    return float(sum(genotype.operations(kind)["skip_connect"] for kind in ("normal", "reduce")))


def _steady(run: CellFolder) -> float:
    return sum(record.get("steady_seconds", record["seconds"]) for record in run.records())


def search_seconds(run: CellFolder) -> float:
    """What a search took at the median of its steps; of a method that searches several times all of it, the short
    trainings too, and of one whose searches follow each other all of these."""
    parts = [part for path in sorted((run.path / SEARCHES).glob("*")) if (part := CellFolder.at(path)) is not None]
    inside = [one for part in parts for one in (part, CellFolder.at(part.parts["second stage"])) if one is not None]
    config = run.config
    assert isinstance(config, CellConfig)
    following = [CellFolder.at(Path(one.out)) for one in stages.later(replace(config, out=str(run.path)))]
    return sum(_steady(one) for one in inside or [run, *(one for one in following if one is not None)])


def verdict(difference: Difference | None) -> str:
    """What the 95 % interval of a difference says.

    >>> [verdict(Difference(0.02, low, high, 3)) for low, high in ((0.01, 0.03), (-0.01, 0.05))]
    ['better', 'not told apart']
    """
    if difference is None or not difference.told_apart:
        return "not told apart"
    return "better" if difference.mean > 0 else "worse"


def _result(setting: CellSetting, arms: Mapping[str, Arm], epochs: Mapping[str, int], lost: Sequence[str]) -> Result:
    control, longer = arms[RANDOM].errors, arms[LONGER].errors
    times = [seconds for seconds in arms["darts"].seconds if seconds is not None]
    rows: list[list[str | Spread]] = []
    values: dict[str, dict[str, Any]] = {}
    for name, arm in arms.items():
        gain, of_cost = (paired_where_both(own, arm.errors) for own in (control, longer))  # positive: fewer errors
        cost = spread([s and s / median(times) for s in arm.seconds]).shown(digits=2) if arm.seconds else "-"
        skips = spread(arm.skips).shown() if arm.skips else "-"
        told = ["-" if name == own or d is None else d.shown() for own, d in ((RANDOM, gain), (LONGER, of_cost))]
        said = "-" if name == RANDOM else verdict(gain)
        rows.append([name, cost, skips, spread(arm.errors), *told, said])
        values[name] = {
            "test_error": list(arm.errors),
            "search_seconds": list(arm.seconds),
            "skips": list(arm.skips),
            "better_than_random": gain and [gain.mean, gain.low, gain.high] if gain and gain.n > 1 else None,
            "verdict": said,
            "epochs": epochs.get(name),
        }
    by_verdict = {
        said: [name for name in arms if name not in CONTROLS and values[name]["verdict"] == said]
        for said in ("better", "worse", "not told apart")
    }
    shown = {name: [100 * e for e in arm.errors if e is not None] for name, arm in arms.items()}
    draw_arms(setting.out / FIGURE, shown, {}, quantity="test error, %", ours=f"{setting.counted_seeds}")
    columns = ["method", "search, DARTS = 1", "skips, of 16", "test error, %", "better than random, points"]
    return Result(
        title="All methods on DARTS' space, against chance",
        source="Ours; Li and Talwalkar 2019 asked it of DARTS",
        table=Table([*columns, "than random for that time, points", "told apart from random"], rows),
        values=values,
        notes=[*_notes(setting, by_verdict, epochs), *lost],
        figure=FIGURE,
    )


def _notes(setting: CellSetting, by_verdict: Mapping[str, Sequence[str]], epochs: Mapping[str, int]) -> list[str]:
    search, trained = search_config(setting, "darts"), training(setting, "darts-v1", 0)
    return [
        "Against random genotypes, trained alike: "
        + "; ".join(f"{said}: {', '.join(names) or 'none'}" for said, names in by_verdict.items())
        + ".",
        "Differences are paired by seed, with their 95 % interval by Student's t; told apart where it leaves out zero. "
        "Of twenty methods that are no better than chance one comes out so by chance.",
        f"Random: {DRAWS} genotypes for each seed, their mean. For the time of a search too: one for each seed, "
        f"{epochs[LONGER]} epochs. Frozen-uniform: the supernet of the trainings' size, never searched, "
        f"{epochs[UNIFORM]} epochs; single-stage: the same, searching, {epochs[KEPT]} epochs. A method whose search "
        "takes more than DARTS' got more than these.",
        f"Searches: {search.cells} cells of {search.channels} channels, {search.epochs} epochs, methods' own parts, "
        f"one length, batch and rate for all. Trainings: {trained.cells} cells of {trained.channels} channels, "
        f"{trained.epochs} epochs; scored on the test split after the last. Each genotype is trained once.",
        setting.how_shown,
    ]
