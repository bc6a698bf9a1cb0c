"""Search steps on a cell space: the supernet as papers write it, in either memory layout, and as it is run here."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F

from wholenet.benchmarks.measure import channels_last, compared, interleaved, largest_difference, written_plainly
from wholenet.benchmarks.row import Row, Setting
from wholenet.search.steps import Batch, architecture_gradient, weight_step
from wholenet.search.unrolled import VirtualStep, unrolled_gradient
from wholenet.spaces.catalog import create_model
from wholenet.spaces.cell_space import CellSupernet
from wholenet.spaces.cell_tables import TABLES

CLASSES, SIDE, CHANNELS = 10, 32, 16
ON_CPU, ON_GPU = ("darts", "s2"), tuple(TABLES)
"""Spaces; of the second-order step always DARTS, and on a GPU that alone."""
CELLS = {"cpu": 5, "cuda": 8}
ROUNDS = {"cpu": 5, "cuda": 3}
"""At most: a second-order step of the plain form takes seconds."""
PLAIN = ["plain", "plain, channels_last"]


def made(space: str, device: torch.device, channels: int = 0, cells: int = 0) -> CellSupernet:
    torch.manual_seed(0)
    channels, cells = channels or CHANNELS, cells or CELLS[device.type]
    model = create_model(space, num_classes=CLASSES, channels=channels, cells=cells)
    return model.to(device).train()


def random_images(batch: int, device: torch.device, dtype: torch.dtype = torch.float32, side: int = 0) -> Batch:
    generator = torch.Generator().manual_seed(0)
    side = side or SIDE
    images = torch.randn(batch, 3, side, side, generator=generator, dtype=dtype)
    return Batch(images.to(device), torch.randint(CLASSES, (batch,), generator=generator).to(device))


def float64_error(space: str, device: torch.device) -> float:
    """Largest difference between the forms, over outputs and the gradients of all weights and logits."""
    model, batch = made(space, device, channels=4, cells=3).double(), random_images(2, device, torch.float64)

    def gradients(model: CellSupernet) -> list[torch.Tensor]:
        out = model(batch.images)
        return [out.detach(), *torch.autograd.grad(F.cross_entropy(out, batch.targets), list(model.parameters()))]

    return largest_difference(gradients(model), gradients(written_plainly(copy.deepcopy(model))))


def steps(model: CellSupernet, batch: Batch, plain: bool) -> dict[str, Callable[[], None]]:
    """The steps to time, by name."""
    optimizer = torch.optim.SGD(model.net.parameters(), lr=1e-3, momentum=0.9)

    def first_order() -> None:
        if plain:  # one backward pass through everything, as DARTS' code does it
            F.cross_entropy(model(batch.images), batch.targets).backward()
            model.zero_grad()
        else:
            architecture_gradient(model, batch, F.cross_entropy)
        weight_step(model, batch, F.cross_entropy, optimizer)

    def second_order() -> None:
        unrolled_gradient(model, batch, batch, F.cross_entropy, VirtualStep.of(optimizer))
        weight_step(model, batch, F.cross_entropy, optimizer)

    return {"first order": first_order, "second order": second_order}


def run(setting: Setting) -> Iterator[Row]:
    device = setting.device
    rounds = min(setting.rounds, ROUNDS[device.type])
    batch = random_images(setting.batch, device)
    for space in ON_GPU if device.type == "cuda" else ON_CPU:
        error = float64_error(space, device)
        contiguous = made(space, device)
        fast = copy.deepcopy(contiguous).placed(device)
        last = written_plainly(copy.deepcopy(fast))
        forms = {
            "plain": steps(written_plainly(contiguous), batch, plain=True),
            "plain, channels_last": steps(last, channels_last(batch), plain=True),
            "fast": steps(fast, channels_last(batch), plain=False),
        }
        for name in forms["fast"]:
            if name == "second order" and device.type == "cuda" and space != "darts":
                continue
            taken = interleaved({form: named[name] for form, named in forms.items()}, rounds, device)
            yield from compared(f"{space} search step, {name}", taken, "fast", PLAIN, error, device)
