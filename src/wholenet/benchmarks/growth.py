"""How a weight step grows with layers, width and image: a ratio of 2 is twice the time of the network as it was.

Beside it, in a row of its own, the ratio of the multiply-adds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import torch

from wholenet.architecture import Architecture, uniform_weights
from wholenet.benchmarks.measure import CLASSES, LOSS, channels_last, interleaved, random_batch, row
from wholenet.benchmarks.row import Row, Setting
from wholenet.search.cost import flops
from wholenet.search.steps import Batch, weight_step
from wholenet.spaces.grid import Grid
from wholenet.spaces.sizes import GridSize, grid_size
from wholenet.spaces.space import Spec
from wholenet.spaces.supernet import Supernet


def run(setting: Setting) -> Iterator[Row]:
    base = grid_size(setting.size)
    height, width = setting.crop
    variants = {
        "layers": (replace(base, layers=2 * base.layers), setting.crop),
        "filters": (replace(base, filters=2 * base.filters), setting.crop),
        "image sides": (base, (2 * height, 2 * width)),
    }
    small = step(base, setting.crop, setting)
    for name, (size, crop) in variants.items():
        large = step(size, crop, setting)
        taken = interleaved({"once": small, "twice": large}, setting.rounds, setting.device)
        label = f"growth of the weight step, {name} doubled"
        yield row(label, "as it was", taken["twice"], taken["once"], None, setting.device)
        macs = flops(large) / flops(small)
        yield Row(f"{label}, multiply-adds", "as it was", macs, macs, macs, 1, None)


SPEC = Spec(space="grid", settings={}, outputs=CLASSES)
"""Of sizes that have no name: they are built by hand."""


def step(size: GridSize, crop: tuple[int, int], setting: Setting) -> Callable[[], object]:
    torch.manual_seed(0)
    net = Grid(size, CLASSES)
    model = (
        Supernet(net, Architecture.fixed(uniform_weights(net.masks), net.masks), SPEC).placed(setting.device).train()
    )
    batch: Batch = channels_last(random_batch(setting.batch, crop, setting.device))
    optimizer = torch.optim.SGD(model.net.parameters(), lr=1e-3, momentum=0.9)
    return lambda: weight_step(model, batch, LOSS, optimizer)
