"""RobustDARTS on tasks whose runs are supernets': what a table of ``studies/robust_tables.py`` says is searched, and
early stopping replayed; each genotype is trained from scratch, with random cells and other networks beside it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any

import torch
from rich.console import Console

from wholenet.deploy.decode import decode_network
from wholenet.deploy.model_folder import load_model
from wholenet.files import read_json, write_whole
from wholenet.jobs.catalog import task_called
from wholenet.machine import choose_device, use_threads
from wholenet.search.run_folder import RunFolder
from wholenet.search.task_config import TaskConfig
from wholenet.studies.outcomes import diverged, notes_on_diverged
from wholenet.studies.pool import Pool
from wholenet.studies.result import Result
from wholenet.studies.robust_darts import eigenvalues, stops
from wholenet.studies.robust_page import Found, Row, page_of
from wholenet.studies.robust_tables import Place
from wholenet.studies.step_times import relative_run_times
from wholenet.studies.task_setting import TaskSetting

TIMES = "robust-darts{}-times.json"
"""What steps were timed to take."""


def robust_task(setting: TaskSetting, pool: Pool) -> Result:
    """A search of each kind for each seed, and the trainings; all that does not wait for another at once."""
    table, plain_search = setting.table, setting.example
    varied = {option for changed in table.arms(setting.scale, plain_search, 1).values() for option in changed}
    setting.refuse_fixed(*varied, "genotype", "architecture", "method")
    if not plain_search.eigenvalue_every:
        raise ValueError("--set eigenvalue_every=0: this study is about the eigenvalue; leave it out")
    steps = _check_data(setting, plain_search)
    changes = table.arms(setting.scale, plain_search, steps)
    searches = {name: setting.over_seeds(setting.config(**changed)) for name, changed in changes.items()}
    plain = next(iter(searches))
    uniform = [_frozen_uniform(config) for config in searches[plain]]
    known = {name: setting.over_seeds(setting.training(name)) for name in (*table.random, *table.controls)}
    pool.done([config for configs in (*searches.values(), uniform, *known.values()) for config in configs])

    found = {name: pool.done(configs) for name, configs in searches.items()}
    stopped_at = stops(found[plain], table.rule)
    genotypes = {name: [_genotype(pool, run) for run in runs] for name, runs in found.items()}
    early = f"{plain}, stopped early"
    genotypes[early] = [_genotype(pool, run, at) for run, at in zip(found[plain], stopped_at, strict=True)]
    trainings: dict[str, list[TaskConfig | None]] = {
        name: [None if path is None else setting.training(path, seed=seed) for seed, path in enumerate(of_arm)]
        for name, of_arm in genotypes.items()
    }
    pool.done([config for configs in trainings.values() for config in configs if config is not None])
    timed = {
        name: [replace(config, epochs=_equal_time(setting, pool, known, name)) for config in known[name]]
        for name in table.timed
    }
    pool.done([config for configs in timed.values() for config in configs])

    look = _Scorer(setting, pool)
    arms = [
        Row(
            name,
            look.trained(trainings[name]),
            eigenvalue=eigenvalues(found[plain if name == early else name], stopped_at if name == early else []),
            one_shot=[] if name == early else look.one_shot(found[name]),
        )
        for name in trainings
    ]
    random = [Row(name, look.trained(known[name])) for name in table.random]
    controls = [Row(name, look.trained(known[name])) for name in table.controls]
    controls += [Row(f"{name}, equal time", look.trained(configs)) for name, configs in timed.items()]
    supernets = pool.done(uniform)
    whole = Found(
        arms=arms,
        stopped_at=stopped_at,
        random=random,
        uniform=Row("supernet, frozen-uniform", [], one_shot=look.one_shot(supernets)),
        controls=controls,
        floors=look.floors,
        genotypes=genotypes,
        lost=notes_on_diverged([*(run for runs in found.values() for run in runs), *supernets, *look.runs]),
    )
    return page_of(setting, whole, _described(setting, plain_search, uniform[0], changes))


def _described(
    setting: TaskSetting, search: TaskConfig, uniform: TaskConfig, changes: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """What was run."""
    training = setting.training(setting.table.controls[0])
    sizes = [f"{config.settings}, {config.task_settings}" for config in (search, training)]
    told = {name: ", ".join(f"{option}={value}" for option, value in arm.items()) for name, arm in changes.items()}
    return [
        f"Arms: {'; '.join(f'{name}: {options}' for name, options in told.items())}.",
        f"Searches: {search.epochs} epochs of batch {search.batch}, {search.gradient} gradient, {search.optimizer} at "
        f"{search.lr:g}; {sizes[0]}. The frozen-uniform supernet learns from all of train for {uniform.epochs} epochs: "
        "as many steps.",
        f"Trainings: {training.epochs} epochs of batch {training.batch}, {training.optimizer} at {training.lr:g}; "
        f"{sizes[1]}. Scored after the last epoch.",
    ]


def _check_data(setting: TaskSetting, search: TaskConfig) -> int:
    """Weight steps of a search; makes sure before the first one that there is something to train and to score on.

    Raises:
        ValueError: if not.
    """
    task, quiet = task_called(setting.task), Console(quiet=True)
    data = task.prepare(search, quiet)
    task.prepare(setting.training(setting.table.controls[0]), quiet)
    if any(place.data == setting.data for place in setting.table.places):
        raise ValueError(
            f"study robust-darts --task {setting.task} scores how networks do on {setting.data} without having seen "
            "it: search on other data"
        )
    for place in setting.table.places:
        where, options = _scored_on(setting, place)
        known = setting.table.splits(where, options)
        if place.split not in known:
            raise ValueError(
                f"study robust-darts scores on the {place.split} split, and {where} has none; it has {', '.join(known)}"
            )
    return search.epochs * (search.steps_per_epoch or data.steps_per_epoch(search.batch))


def _scored_on(setting: TaskSetting, place: Place) -> tuple[str, Mapping[str, Any]]:
    """The data of a place, and the settings that it is read with: the study's own has those of its searches."""
    if place.data is not None:
        return place.data, {}
    return setting.data, setting.example.task_settings


def _frozen_uniform(search: TaskConfig) -> TaskConfig:
    """The control of a search: it learns from all of train, and for as many steps."""
    share = search.weights_share if search.separate_data and not search.steps_per_epoch else 1.0
    return search.frozen_uniform(epochs=max(1, round(search.epochs * share)))


def _genotype(pool: Pool, run: RunFolder, epoch: int | None = None) -> str | None:
    """The file of what ``run`` found, at its end or after ``epoch``; None where it diverged."""
    if diverged(run):
        return None
    network = load_model(run.path, torch.device("cpu")).network
    if epoch is not None:
        logits = next(record["logits"] for record in run.records() if record["epoch"] == epoch)
        with torch.no_grad():
            for name, own in network.arch.logits.items():
                own.copy_(torch.tensor(logits[name], dtype=torch.float64))
    space, genotype = decode_network(network)
    return pool.genotype_file(space.name, genotype, space.write_genotype)


def _equal_time(setting: TaskSetting, pool: Pool, known: Mapping[str, Sequence[TaskConfig]], name: str) -> int:
    """Epochs of the control ``name`` in the CPU time of a training of a random cell, the median of them."""
    (control,), cells = pool.done(known[name][:1]), pool.done([known[cell][0] for cell in setting.table.random])
    names = dict(zip(setting.table.random, cells, strict=True))
    times = relative_run_times(names, control, setting.out / TIMES.format(setting.suffix))
    return max(1, round(control.config.epochs * median(times.values())))


@dataclass
class _Scorer:
    """What finished runs come to."""

    setting: TaskSetting
    pool: Pool
    runs: list[RunFolder] = field(default_factory=list)
    """Trainings that were looked at."""
    floors: dict[str, dict[str, float]] = field(default_factory=dict)
    """Place -> scores of simple answers."""

    def __post_init__(self) -> None:
        self.score = task_called(self.setting.task).score
        # As in the runs: threads that wait for each other at every word of a text take minutes for seconds of work.
        use_threads(self.setting.example.threads)

    def one_shot(self, runs: Sequence[RunFolder]) -> list[float | None]:
        """Of supernets on what is held out, at their end."""
        return [None if diverged(run) else run.records()[-1][self.score.name] for run in runs]

    def trained(self, configs: Sequence[TaskConfig | None]) -> list[Mapping[str, float] | None]:
        """Of each training its scores by place, "validation", "parameters" and "epochs"; None where there is none."""
        return [None if config is None else self._trained(config) for config in configs]

    def _trained(self, config: TaskConfig) -> Mapping[str, float] | None:
        (run,) = self.pool.done([config])
        self.runs.append(run)
        if diverged(run):
            return None
        record = run.records()[-1]
        places = {place.name: self._at(run, place) for place in self.setting.table.places}
        parameters = sum(p.numel() for p in load_model(run.path, torch.device("cpu")).network.net.parameters())
        return {
            "validation": record[self.score.name],
            "parameters": parameters,
            "epochs": config.epochs,
            **places,
        }

    def _at(self, run: RunFolder, place: Place) -> float:
        """The score at a place; kept in the run's folder, as scoring takes a while."""
        data, options = _scored_on(self.setting, place)
        digest = hashlib.sha256(json.dumps([data, place.split]).encode()).hexdigest()[:10]
        kept = run.path / f"scored-{digest}.json"
        if not kept.exists():
            model: Any = load_model(run.path, choose_device(self.setting.example.device))
            value, floors = self.setting.table.scores(model, data, place.split, options)
            write_whole(kept, json.dumps({"value": value, "floors": dict(floors)}))
        values = read_json(kept)
        self.floors[place.name] = values["floors"]
        self.floors.setdefault("validation", (run.environment() or {}).get("floors", {}))
        return values["value"]
