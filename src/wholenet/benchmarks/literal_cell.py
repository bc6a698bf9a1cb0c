"""The literal cell, a bottleneck per kernel: run as one over concatenated channels, against one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch

from wholenet.benchmarks.measure import LOSS, channels_last, compared, interleaved, largest_difference, random_batch
from wholenet.benchmarks.row import Row, Setting
from wholenet.ops.bottleneck import SeparateCell
from wholenet.search.steps import Batch, architecture_gradient
from wholenet.spaces.catalog import create_model
from wholenet.spaces.supernet import Supernet


def made(size: str, device: torch.device) -> Supernet:
    torch.manual_seed(0)
    return create_model(f"grid-{size}", num_classes=11, cell="separate").placed(device).train()


def form(model: Supernet, plain: bool) -> None:
    """Set that of the cells; everything else runs as ever."""
    for layer in model.net.modules():
        if isinstance(layer, SeparateCell):
            layer.plain = plain


def gradients(model: Supernet, batch: Batch) -> list[torch.Tensor]:
    """The output, and the gradients of all weights and logits."""
    out = model(batch.images)
    return [out.detach(), *torch.autograd.grad(LOSS(out, batch.targets), list(model.parameters()))]


def run(setting: Setting) -> Iterator[Row]:
    device = setting.device
    double, probe = made("nano", device).double(), random_batch(2, (64, 96), device, torch.float64)
    found = []
    for plain in (True, False):
        form(double, plain)
        found.append(gradients(double, probe))
    error = largest_difference(*found)

    model = made(setting.size, device)
    batch = channels_last(random_batch(setting.batch, setting.crop, device))

    def inference() -> None:
        model.eval()
        with torch.no_grad():
            model(batch.images)
        model.train()

    def formed(step: Callable[[], object], plain: bool) -> Callable[[], None]:
        def run() -> None:
            form(model, plain)
            step()

        return run

    steps: dict[str, Callable[[], object]] = {
        "weight step": lambda: gradients(model, batch),
        "architecture step": lambda: architecture_gradient(model, batch, LOSS),
        "inference": inference,
    }
    for name, step in steps.items():
        taken = interleaved({"one by one": formed(step, True), "as one": formed(step, False)}, setting.rounds, device)
        yield from compared(f"literal cell, {name}", taken, "as one", ["one by one"], error, device)
