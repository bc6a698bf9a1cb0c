"""What steps and validations of a run take on this machine: measured, on its own data."""

from __future__ import annotations

import gc
import math
import resource
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median
from typing import Any

import torch

from wholenet.data.splits import evenly_spaced
from wholenet.deploy.tiles import Tiling
from wholenet.jobs.kept import STATISTICS
from wholenet.jobs.segmentation import MaskData, MaskStreams
from wholenet.machine import use_threads
from wholenet.planning.memory import step_bytes
from wholenet.search.config import FitConfig
from wholenet.search.loop import train_epoch
from wholenet.search.phases import Phase
from wholenet.search.protocols import PROTOCOLS
from wholenet.search.removal import removal_for
from wholenet.search.run_folder import space_of, spec_of
from wholenet.search.schedule import Schedule
from wholenet.search.shrinking import shrink_training
from wholenet.search.start import moves_with_time, parts_of, schedule_of, state_of
from wholenet.search.state import Tally, TrainState
from wholenet.spaces.catalog import SPACES, subnets
from wholenet.spaces.option_costs import check_costs
from wholenet.tasks.evaluation import measure_masks
from wholenet.tasks.segmentation import predict_mask

STEPS = 3
"""That are timed in each phase, after one that is not: the first allocates."""
MORE_TIME = "give more --minutes, or a smaller --size, --crop or --batch"
SCORED = 2
"""Validation images whose scoring is timed."""
WARM_UP, SEARCH, FINE_TUNE = (
    Phase("warm-up", 0, 1),
    Phase("search", 1, 2, moves_architecture=True),
    Phase("fine-tune", 2, 3),
)
"""Of which steps are timed."""


class StepTooLong(ValueError):
    """A step takes so long that there is not time for one of each phase."""


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
    paged_image: float | None = None
    """A validation image that is scored for the page of the run; None: as in a validation."""
    later_step: float | None = None
    """A step of the network that a budget leaves, or that the second stage trains; None without either."""
    later_scored: float | None = None
    """A validation image of that network."""
    removal: float = 0.0
    """All that choosing takes what goes for a budget."""


def measure(
    config: FitConfig,
    data: MaskData,
    device: torch.device,
    seconds: float = math.inf,
    subnet: Mapping[str, Any] | None = None,
) -> Measured:
    """Take some steps of each phase of a run as ``config`` says, and score some validation images; nothing is kept.

    With a budget, what goes is chosen after the few steps of a search, and what is left is timed too; of two stages
    the network that the second would train, if the search decided nothing more.

    Args:
        config: of the run, as it begins.
        data: of the run.
        device: to time on.
        seconds: that there are for the run: where not even a step of each phase fits, timing ends at the first.
        subnet: what the run starts with of its supernet; None: all.

    Raises:
        ValueError: for a budget that the network cannot meet.
        StepTooLong: if so many seconds are too short.
        RuntimeError: torch's, if a batch does not fit into memory.
    """
    timed, state = _begun(config, data, device, seconds, subnet)
    removal = None
    if config.budget is not None:
        removal = removal_for(config, state, SEARCH, lambda _: None, over=1.0)  # of one epoch
    weight_step = timed.step(state, WARM_UP)
    search_step = timed.step(state, replace(SEARCH, moves_architecture=config.moves_architecture))
    scored, paged = timed.scored_image(state), timed.paged_image(state)
    passed = timed.passed_batch(state)
    later_step = later_scored = None
    removing, retrains = 0.0, PROTOCOLS[config.protocol].retrains
    if removal is not None and config.removes:
        start = _now(device)
        removal.after_epoch()
        removing = _now(device) - start
    elif retrains:
        state = _second_stage(timed.config, data, state, device)
    if config.removes or retrains:
        later_step, later_scored = timed.step(state, FINE_TUNE), timed.scored_image(state)
        paged = timed.paged_image(state)
    return Measured(
        weight_step,
        search_step,
        scored,
        peak_bytes(device),
        passed_batch=passed,
        paged_image=paged,
        later_step=later_step,
        later_scored=later_scored,
        removal=removing,
    )


def measure_step(
    config: FitConfig,
    data: MaskData,
    device: torch.device,
    seconds: float = math.inf,
    subnet: Mapping[str, Any] | None = None,
) -> float:
    """Seconds of a step of warm-up alone; else as :func:`measure`."""
    timed, state = _begun(config, data, device, seconds, subnet)
    return timed.step(state, WARM_UP)


def _begun(
    config: FitConfig, data: MaskData, device: torch.device, seconds: float, subnet: Mapping[str, Any] | None
) -> tuple[_Timed, TrainState]:
    """A run as it begins, of which steps are to be timed."""
    if config.regularizer == "cost":
        check_costs(SPACES[config.space])
    use_threads(config.threads)
    forget_peak(device)
    if device.type != "cuda":
        _check_memory(config, data, device, subnet)
    timed = _Timed(replace(config, workers=0, stem_freeze_epochs=0), data, device, seconds)
    state = state_of(timed.config, spec_of(config, data.network()), device)
    if subnet is not None:
        shrink_training(state.model, state.weight_optimizer, subnets(state.model.spec).from_dict(subnet))
        state.average_anew()
    return timed, state


def _check_memory(config: FitConfig, data: MaskData, device: torch.device, subnet: Mapping[str, Any] | None) -> None:
    """Before a step is taken: a CPU's memory is lent beyond what there is, and who takes it is killed.

    Raises:
        torch.OutOfMemoryError: if a step needs more than is free.
    """
    free = free_bytes(device)
    if free is not None and (needed := step_bytes(config, data, subnet)) > free:
        raise torch.OutOfMemoryError(
            f"out of memory: a step needs about {needed / 2**30:.1f} GiB, and {free / 2**30:.1f} GiB are free"
        )


class _Timed:
    """Steps and scorings of a run, timed on its data."""

    def __init__(self, config: FitConfig, data: MaskData, device: torch.device, seconds: float) -> None:
        self.config, self.data, self.device, self.seconds = config, data, device, seconds
        self.phases = (WARM_UP, replace(SEARCH, moves_architecture=config.moves_architecture), FINE_TUNE)
        self.schedule: Schedule = schedule_of(config, self.phases, STEPS + 1)
        self.loss = data.loss(config, device)
        self.streams: MaskStreams = data.streams(config, self.schedule, device)

    def step(self, state: TrainState, phase: Phase) -> float:
        """Seconds of a step of ``phase``, its data included: the median."""
        state.epoch, state.tally = phase.first, Tally()
        parts = replace(parts_of(self.config, self.phases), at=moves_with_time(state.model, self.config))
        if self.config.regularizer == "cost":  # its term takes no time that counts, and nobody has counted the costs
            parts = replace(parts, penalties={})
        times, batches = [_now(self.device)], self.streams.epoch(state, phase)
        for _ in train_epoch(state, phase, self.schedule, parts, self.loss, *batches, self.device):
            times.append(_now(self.device))
            if (took := times[-1] - times[-2]) * len(self.phases) > self.seconds:
                raise StepTooLong(
                    f"a step takes {took:.2f} s here, and there are {max(0.0, self.seconds):.0f} s for the run; "
                    f"expected time for one in each of the {len(self.phases)} phases at least: {MORE_TIME}"
                )
        return median(after - before for before, after in pairwise(times[1:]))

    def scored_image(self, state: TrainState) -> float:
        """Of a validation."""
        prepared = self.data.prepared
        count = min(SCORED, len(prepared.val))
        some = replace(self.data, prepared=replace(prepared, val=evenly_spaced(prepared.val, count)))
        some.score(state.model, self.device)  # decodes and allocates
        start = _now(self.device)
        some.score(state.model, self.device)
        return (_now(self.device) - start) / count

    def paged_image(self, state: TrainState) -> float:
        """For the page of the run: the mask that is predicted for an image, and its boundaries."""
        prepared, model = self.data.prepared, state.model
        some = evenly_spaced(prepared.val, min(SCORED, len(prepared.val)))
        training = model.training
        model.eval()
        start = _now(self.device)
        measure_masks(
            lambda image: Tiling().predict(lambda part: predict_mask(model, part, self.device, prepared.pixels), image),
            some,
            len(prepared.source.classes),
        )
        model.train(training)
        return (_now(self.device) - start) / len(some)

    @torch.no_grad()
    def passed_batch(self, state: TrainState) -> float:
        """Through the network, for BatchNorm statistics: the median."""
        times = [_now(self.device)]
        for number in range(STEPS + 1):
            state.model(self.streams.one(STATISTICS, number, epoch=0).images)
            times.append(_now(self.device))
        return median(after - before for before, after in pairwise(times[1:]))


def _second_stage(config: FitConfig, data: MaskData, searched: TrainState, device: torch.device) -> TrainState:
    """The discrete network that is cut out of what was ``searched``, before its training."""
    space, settings = space_of(config)
    genotype = space.decode(searched.model.arch(), config.decoding, config.decoding_tau, settings)
    spec = replace(spec_of(config, data.network()), relaxation="softmax", genotype=genotype.to_dict())
    return state_of(config, spec, device)


def forget_peak(device: torch.device) -> None:
    """What was timed before, perhaps of a larger network, is not to count for :func:`peak_bytes`. Of a CPU, only Linux
    can forget."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif sys.platform == "linux":
        with suppress(OSError), open("/proc/self/clear_refs", "w") as file:  # noqa: PTH123  # no file of the user's
            file.write("5")


def peak_bytes(device: torch.device) -> int:
    """Memory of this process at its highest since :func:`forget_peak`; on a GPU, of its tensors there."""
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
