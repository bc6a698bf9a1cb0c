"""Search steps of Auto-DeepLab's supernet: every operation of every edge of every predecessor by itself, as public code
runs them, and all edges out of a map at once."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import torch

from wholenet.benchmarks.measure import (
    CLASSES,
    LOSS,
    channels_last,
    compared,
    interleaved,
    largest_difference,
    random_batch,
    torch_resize,
    written_plainly,
)
from wholenet.benchmarks.row import Row, Setting
from wholenet.search.steps import Batch, architecture_gradient, weight_step
from wholenet.spaces.catalog import create_model
from wholenet.spaces.supernet import Supernet

SHAPE = {"layers": 4, "filters": 4, "blocks": 5}
SIDE = 65
ROUNDS = 5
"""At most: a step of the plain form takes seconds."""
PLAIN = ["plain", "plain, channels_last"]


def made(device: torch.device, **shape: Any) -> Supernet:
    torch.manual_seed(0)
    return create_model("autodeeplab-tiny", num_classes=CLASSES, **shape).to(device).train()


def float64_error(device: torch.device) -> float:
    """Largest difference between the forms, over outputs and the gradients of all weights and logits."""
    model = made(device, layers=3, filters=2, blocks=2).double()
    batch = random_batch(2, (SIDE, SIDE), device, torch.float64)

    def gradients(model: Supernet) -> list[torch.Tensor]:
        out = model(batch.images)
        return [out.detach(), *torch.autograd.grad(LOSS(out, batch.targets), list(model.parameters()))]

    with torch_resize():
        plain = gradients(written_plainly(copy.deepcopy(model)))
    return largest_difference(gradients(model), plain)


def steps(model: Supernet, batch: Batch, plain: bool) -> dict[str, Callable[[], object]]:
    """The steps to time, by name."""
    optimizer = torch.optim.SGD(model.net.parameters(), lr=1e-3, momentum=0.9)

    def weight() -> None:
        weight_step(model, batch, LOSS, optimizer)

    def search() -> None:
        if plain:  # one backward pass through everything, as public code does it
            LOSS(model(batch.images), batch.targets).backward()
            model.zero_grad()
        else:
            architecture_gradient(model, batch, LOSS)
        weight()

    def by_torch(step: Callable[[], None]) -> Callable[[], None]:
        def run() -> None:
            with torch_resize():
                step()

        return run

    named = {"weight step": weight, "search step": search}
    return {name: by_torch(step) if plain else step for name, step in named.items()}


def run(setting: Setting) -> Iterator[Row]:
    device = setting.device
    error = float64_error(device)
    contiguous = made(device, **SHAPE)
    last = copy.deepcopy(contiguous).placed(device)
    batch = random_batch(setting.batch, (SIDE, SIDE), device)
    forms = {
        "plain": steps(written_plainly(contiguous), batch, plain=True),
        "plain, channels_last": steps(written_plainly(copy.deepcopy(last)), channels_last(batch), plain=True),
        "fast": steps(last, channels_last(batch), plain=False),
    }
    for name in forms["fast"]:
        taken = interleaved({form: named[name] for form, named in forms.items()}, min(setting.rounds, ROUNDS), device)
        yield from compared(f"Auto-DeepLab, {name}", taken, "fast", PLAIN, error, device)
