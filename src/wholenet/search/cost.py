"""What training costs in multiply-adds, forward and backward, counted where little is computed.

Convolutions only (not the products that resize feature maps on a CPU), in the form that runs on a CPU;
`torch.utils.flop_counter` does the counting (it
counts a multiply-add twice, this once). A weight step is about three forward passes, an architecture step two or less.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import torch
from torch import Size
from torch.utils.flop_counter import FlopCounterMode

from wholenet.search.draw import steps_per_epoch
from wholenet.search.run_folder import RunFolder, recorded_facts
from wholenet.search.steps import Batch, architecture_gradient, weight_step
from wholenet.spaces.catalog import create_from
from wholenet.spaces.count import COARSEST
from wholenet.spaces.space import Spec
from wholenet.tasks.segmentation import SegmentationLoss

CONVOLUTIONS = (torch.ops.aten.convolution, torch.ops.aten.convolution_backward)
SMALL_BATCH = 2
"""BatchNorm needs two values per channel."""


@dataclass(frozen=True)
class StepCost:
    """Multiply-adds of one step on one batch."""

    weight: int
    architecture: int
    """Of an alternating step. A simultaneous one adds nothing that counts."""


def _convolution_backward(grad: Size, _x: Size, weight: Size, *args: Any, **_: Any) -> int:
    """FLOPs of a convolution's backward pass: once the forward pass for each gradient asked for.

    torch's own formula counts the weight gradient of a grouped convolution as if it were dense (as of 2.13): a factor
    of the width for a depthwise one.
    """
    output_mask = next(a for a in args if isinstance(a, list | tuple) and len(a) == 3 and isinstance(a[0], bool))
    return 2 * grad.numel() * Size(weight[1:]).numel() * sum(output_mask[:2])


def flops(step: Callable[[], object]) -> int:
    """FLOPs of the convolutions of a step, two for a multiply-add."""
    formula = {torch.ops.aten.convolution_backward: _convolution_backward}
    with FlopCounterMode(display=False, custom_mapping=formula) as counter:
        step()
    counts = counter.get_flop_counts()["Global"]
    return sum(count for operation, count in counts.items() if operation in CONVOLUTIONS)


def step_cost(spec: Spec, batch: int, crop: tuple[int, int]) -> StepCost:
    """Count one step of each kind of the model ``spec`` on ``batch`` crops."""
    return _step_cost(json.dumps(spec.to_dict(), sort_keys=True), batch, crop)


@lru_cache(maxsize=32)  # counting takes a second, and a study asks of every run
def _step_cost(arguments: str, batch: int, crop: tuple[int, int]) -> StepCost:
    spec = Spec(**json.loads(arguments))
    if crop[0] % COARSEST or crop[1] % COARSEST:
        return _counted(spec, (batch, *crop), "meta")
    # As in spaces/count.py: by running steps on a patch and on two, which is much faster than pretending to.
    one, two = (_counted(spec, (SMALL_BATCH, COARSEST, n * COARSEST), "cpu") for n in (1, 2))
    further = crop[0] * crop[1] // COARSEST**2 - 1
    weight, architecture = (
        batch * (first + further * (second - first)) // SMALL_BATCH
        for first, second in ((one.weight, two.weight), (one.architecture, two.architecture))
    )
    return StepCost(weight, architecture)


def _counted(spec: Spec, shape: tuple[int, int, int], device: str) -> StepCost:
    """On batches of ``shape`` = (B, h, w)."""
    model = create_from(spec).to(device).train()
    with torch.device(device):
        size = (shape[0], spec.channels, *shape[1:])
        images = torch.linspace(-1, 1, math.prod(size)).view(size)  # of a constant, BatchNorm's gradient explodes
        data = Batch(images, torch.zeros(shape, dtype=torch.long))
        loss, optimizer = SegmentationLoss(), torch.optim.SGD(model.net.parameters(), lr=0.0)
        model.arch.freeze()
        sampled = getattr(model.net, "sampled", None) is not None
    # Links that are drawn: each count is of the same ones, and the run's own draws stay as they are.
    with torch.random.fork_rng([], enabled=sampled), torch.device(device):
        if sampled:
            torch.manual_seed(0)
        weight = flops(lambda: weight_step(model, data, loss, optimizer)) // 2
        if model.discrete:  # nothing to search
            return StepCost(weight, 0)
        model.arch.unfreeze()
        return StepCost(weight, flops(lambda: architecture_gradient(model, data, loss)) // 2)


def run_macs(run: RunFolder) -> int:
    """Multiply-adds that the training of ``run`` has cost so far, its first stage included if it has two.

    Validation is not counted. Passing batches through the network to look at them (diagnosis) is neither.

    Raises:
        ValueError: if the run has not begun.
    """
    config, records, facts = run.config, run.records(), run.environment()
    search = RunFolder.at(run.search)
    first_stage = run_macs(search) if search else 0
    if facts is None and first_stage:
        return first_stage
    if facts is None:
        raise ValueError(f"the run in {run.path} has not begun: it has cost nothing yet")
    if config.gradient not in ("first-order", "one-level"):
        raise ValueError(
            f"{run.path}: the arithmetic of architecture steps by gradient={config.gradient!r} is not counted"
        )
    if config.update not in ("simultaneous", "alternating", "architecture-first"):
        raise ValueError(f"{run.path}: the arithmetic of the update arch_update={config.update!r} is not counted")
    spec, crop = run.spec(recorded_facts(facts)), tuple(facts["crop"])
    steps = config.steps_per_epoch or steps_per_epoch(facts["images"]["weights"], config.batch)
    own = 0
    for record in records:
        # With a budget, the network of an epoch is smaller than that of one before.
        cost = step_cost(replace(spec, subnet=record.get("subnet")), config.batch, crop)
        searched = record["arch_loss"] is not None and not config.simultaneous
        own += steps * (cost.weight + searched * cost.architecture)
    return own + first_stage
