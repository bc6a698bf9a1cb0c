"""What steps and validations of a run take on this machine: measured, on its own data."""

from __future__ import annotations

import resource
import sys
import time
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median

import torch

from wholenet.data.splits import evenly_spaced
from wholenet.jobs.kept import STATISTICS
from wholenet.jobs.segmentation import MaskData
from wholenet.jobs.task import TaskStreams
from wholenet.search.config import FitConfig
from wholenet.search.loop import train_epoch
from wholenet.search.phases import Phase
from wholenet.search.run_folder import spec_of
from wholenet.search.start import parts_of, schedule_of, state_of
from wholenet.search.state import Tally, TrainState

STEPS = 3
"""That are timed in each phase, after one that is not: the first allocates."""
SCORED = 2
"""Validation images whose scoring is timed."""


@dataclass(frozen=True)
class Measured:
    """Seconds, and bytes."""

    weight_step: float
    """A step of warm-up or fine-tuning, its data included; the median."""
    search_step: float
    """A step of the search."""
    scored_image: float
    peak_bytes: int
    """Memory of this process (on a GPU, of its tensors there) at its highest so far."""
    passed_batch: float = 0.0
    """A training batch that passes through the network for its BatchNorm statistics."""

    def step(self, search_share: float) -> float:
        """A step of a run, of whose steps a share are of the search: the mean.

        >>> Measured(1.0, 2.0, 0.1, 0).step(0.5)
        1.5
        """
        return (1 - search_share) * self.weight_step + search_share * self.search_step


def measure(config: FitConfig, data: MaskData, device: torch.device) -> Measured:
    """Take some steps of each phase of a run as ``config`` says, and score some validation images; nothing is kept.

    Raises:
        RuntimeError: torch's, if a batch does not fit into memory.
    """
    if config.threads:
        torch.set_num_threads(config.threads)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    phases = (Phase("warm-up", 0, 1), Phase("search", 1, 2, moves_architecture=config.moves_architecture))
    schedule = schedule_of(config, len(phases), STEPS + 1)
    state = state_of(config, spec_of(config, data.network()), device)
    parts, loss = parts_of(config, phases), data.loss(config, device)
    streams = data.streams(replace(config, workers=0), schedule, device)
    seconds = []
    for epoch, phase in enumerate(phases):
        state.epoch, state.tally = epoch, Tally()
        batches = streams.epoch(state, phase)
        times = [_now(device)]
        for _ in train_epoch(state, phase, schedule, parts, loss, *batches, device):
            times.append(_now(device))
        seconds.append(median(after - before for before, after in pairwise(times[1:])))
    warm_up, search = seconds
    scored = _scored_image(data, state, device)
    return Measured(warm_up, search, scored, peak_bytes(device), _passed_batch(streams, state, device))


def _scored_image(data: MaskData, state: TrainState, device: torch.device) -> float:
    count = min(SCORED, len(data.prepared.val))
    some = replace(data, prepared=replace(data.prepared, val=evenly_spaced(data.prepared.val, count)))
    some.score(state.model, device)  # decodes and allocates
    start = _now(device)
    some.score(state.model, device)
    return (_now(device) - start) / count


@torch.no_grad()
def _passed_batch(streams: TaskStreams, state: TrainState, device: torch.device) -> float:
    times = [_now(device)]
    for number in range(STEPS + 1):
        state.model(streams.one(STATISTICS, number, epoch=0).images)
        times.append(_now(device))
    return median(after - before for before, after in pairwise(times[1:]))


def peak_bytes(device: torch.device) -> int:
    """Memory of this process at its highest so far; on a GPU, of its tensors there since they were last counted."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if sys.platform == "darwin" else 1024 * used  # in kilobytes, but for macOS


def free_bytes(device: torch.device) -> int | None:
    """Memory that can be had now; None where the system does not say."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        with open("/proc/meminfo") as file:  # noqa: PTH123  # no file of the user's
            lines = dict(line.split(":") for line in file)
    except (OSError, ValueError):
        return None
    return 1024 * int(lines["MemAvailable"].split()[0]) if "MemAvailable" in lines else None


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
