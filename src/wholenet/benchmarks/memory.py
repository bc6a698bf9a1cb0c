"""Memory of a weight step: what the forward pass keeps for the backward pass, and the peak of both."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from wholenet.benchmarks.measure import (
    LOSS,
    channels_last,
    float64_error,
    made,
    random_batch,
    torch_resize,
    written_plainly,
)
from wholenet.benchmarks.row import Row, Setting
from wholenet.ops.execution import Execution
from wholenet.search.steps import Batch
from wholenet.spaces.supernet import Supernet

os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # torch's profiler would tell of every start and stop


def run(setting: Setting) -> Iterator[Row]:
    fast = made(setting.size, setting.device).placed(setting.device)
    fast.arch.freeze()
    batch = channels_last(random_batch(setting.batch, setting.crop, setting.device))
    plain, recomputing, rounding = (copy.deepcopy(fast) for _ in range(3))
    recomputing.net.recompute = True
    rounding.execution = Execution(rounding.net, torch.bfloat16)
    with torch_resize():
        bytes_of = {"plain": used(written_plainly(plain), batch)}
    bytes_of |= {"fast": used(fast, batch), "recomputing": used(recomputing, batch), "bfloat16": used(rounding, batch)}
    rows = (
        ("fast", "plain", float64_error(setting)),
        ("recomputing", "plain", float64_error(setting, recompute=True)),
        ("recomputing", "fast", float64_error(setting, recompute=True, against="kept")),
        ("bfloat16", "fast", None),
    )
    for i, what in enumerate(("kept for the backward pass", "peak of a weight step")):
        for ours, baseline, error in rows:
            ratio = bytes_of[baseline][i] / bytes_of[ours][i]
            yield Row(f"memory, {what}, {ours}", baseline, ratio, ratio, ratio, 1, error)


def used(model: Supernet, batch: Batch) -> tuple[int, int]:
    """Bytes that the forward pass leaves allocated, and the most that are at any time of a forward and backward pass.
    Parameters and the batch are not counted."""
    if batch.images.is_cuda:
        return used_on_gpu(model, batch)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as forward:
        value = loss(model, batch)
    del value
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as both:
        loss(model, batch).backward()
    model.zero_grad(set_to_none=True)
    return sum(changes(forward)), highest(changes(both))


def loss(model: Supernet, batch: Batch) -> torch.Tensor:
    with torch.no_grad():
        weights = model.arch()
    return LOSS(model.execution(batch.images, weights), batch.targets)


def used_on_gpu(model: Supernet, batch: Batch) -> tuple[int, int]:
    loss(model, batch).backward()  # libraries take their workspaces
    model.zero_grad(set_to_none=True)
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    value = loss(model, batch)
    kept = torch.cuda.memory_allocated() - before
    value.backward()
    peak = torch.cuda.max_memory_allocated() - before
    model.zero_grad(set_to_none=True)
    return kept, peak


def changes(recorded: profile) -> list[int]:
    """Bytes allocated (or, below 0, freed), in the order of time."""
    assert recorded.profiler is not None
    assert recorded.profiler.kineto_results is not None
    events: list[Any] = [e for e in recorded.profiler.kineto_results.events() if e.name() == "[memory]"]
    return [e.nbytes() for e in sorted(events, key=lambda e: e.start_ns())]


def highest(steps: list[int]) -> int:
    level = top = 0
    for step in steps:
        level += step
        top = max(top, level)
    return top
