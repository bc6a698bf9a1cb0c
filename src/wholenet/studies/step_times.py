"""What a training step of a network takes, by that of another: interleaved in one process, in CPU time.

Runs of other networks get equal time by these. Times that the runs themselves took would tell of what else the machine
did.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from statistics import median
from typing import Any

import torch
from rich.console import Console

from wholenet.files import read_text, write_whole
from wholenet.jobs.catalog import task_of_run
from wholenet.jobs.job import job_of
from wholenet.machine import choose_device, on_threads
from wholenet.search.classifier_config import ClassifierConfig
from wholenet.search.config import FitConfig
from wholenet.search.loop import train_epoch
from wholenet.search.run_folder import RunFolder
from wholenet.search.state import Tally
from wholenet.search.steps import Batch, weight_step
from wholenet.spaces.catalog import create_from
from wholenet.spaces.space import Spec
from wholenet.tasks.classification import ClassificationLoss
from wholenet.tasks.segmentation import SegmentationLoss

Sized = FitConfig | ClassifierConfig
"""A run on images with masks, or on labelled ones: whose batches are of a size."""
SIDE = 32
"""Of labelled images that are left as they are: CIFAR's."""
Step = Callable[[], object]
"""Takes a step of a training."""
ROUNDS = 9
"""Steps of each network that are timed, after one that is not."""


def relative_times(specs: Mapping[str, Spec], to: Spec, config: Sized, path: Path) -> dict[str, float]:
    """Time of a weight step of each of ``specs`` over one of ``to``, on a batch and on threads as ``config`` has them:
    the median of rounds. Kept in the file ``path``: a study that is continued goes on with what it began with."""
    keys = {name: _key(spec, to, config) for name, spec in specs.items()}
    with on_threads(config.threads):  # of more, which wait for each other, the CPU's time says little
        return _kept(path, keys, lambda name: _step(specs[name], config), lambda: _step(to, config))


def relative_run_times(runs: Mapping[str, RunFolder], to: RunFolder, path: Path) -> dict[str, float]:
    """Likewise of a step of the last phase of each of ``runs``, on its own data, over one of ``to``. All begin as the
    runs did; windows of a text, say, are as long in each round as in that step of the run."""
    keys = {name: f"{run.path.name} over {to.path.name}" for name, run in runs.items()}
    return _kept(path, keys, lambda name: _step_of(runs[name]), lambda: _step_of(to))


def _kept(path: Path, keys: Mapping[str, str], step: Callable[[str], Step], to: Callable[[], Step]) -> dict[str, float]:
    """What the file ``path`` has under ``keys``, and what it lacks, timed and written there."""
    kept: dict[str, float] = json.loads(read_text(path)) if path.exists() else {}
    if missing := [name for name, key in keys.items() if key not in kept]:
        ratios = _ratios({name: step(name) for name in missing}, to())
        kept |= {keys[name]: ratio for name, ratio in ratios.items()}
        write_whole(path, json.dumps(kept, indent=1) + "\n")
    return {name: kept[key] for name, key in keys.items()}


def _key(spec: Spec, to: Spec, config: Sized) -> str:
    size = config.crop if isinstance(config, FitConfig) else config.side
    said = [_told(spec), _told(to), config.batch, size, config.threads]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]


def _told(spec: Spec) -> dict[str, Any]:
    """Its values as they were before there were layers to choose: what was measured then is known by them."""
    values = spec.to_dict()
    settings = {name: value for name, value in values["settings"].items() if (name, value) != ("layers", None)}
    return {**values, "settings": settings}


def _step_of(run: RunFolder) -> Step:
    quiet = Console(quiet=True)
    job = job_of(run, task_of_run(run.config).prepare(run.config, quiet), choose_device(run.config.device), quiet)
    phase = job.phases[-1]

    def steps() -> Iterator[object]:
        while True:  # an epoch may have fewer than there are rounds
            job.state.epoch, job.state.tally, job.state.carried = phase.first, Tally(), {}
            batches = job.streams.epoch(job.state, phase)
            yield from train_epoch(job.state, phase, job.schedule, job.parts, job.loss, *batches, job.device)

    endless = steps()
    return lambda: next(endless)


def _step(spec: Spec, config: Sized) -> Step:
    torch.manual_seed(0)
    model = create_from(spec).train()
    optimizer = torch.optim.SGD(model.net.parameters(), lr=0.0, momentum=0.9)
    masks = isinstance(config, FitConfig)
    size = config.crop_size if masks else (config.side or SIDE,) * 2
    loss = SegmentationLoss() if masks else ClassificationLoss()
    images = torch.randn(config.batch, spec.channels, *size).contiguous(memory_format=torch.channels_last)
    batch = Batch(images, torch.randint(spec.outputs, (config.batch, *(size if masks else ()))))
    return lambda: weight_step(model, batch, loss, optimizer)


def _ratios(steps: Mapping[str, Step], to: Step) -> dict[str, float]:
    found: dict[str, list[float]] = {name: [] for name in steps}
    for round_ in range(ROUNDS + 1):
        base = _cpu_seconds(to)
        for name, step in steps.items():
            took = _cpu_seconds(step)
            if round_:
                found[name].append(took / base)
    return {name: median(ratios) for name, ratios in found.items()}


def _cpu_seconds(step: Step) -> float:
    began = time.process_time()
    step()
    return time.process_time() - began
