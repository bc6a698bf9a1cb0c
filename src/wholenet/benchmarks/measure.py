"""What the benchmarks share: interleaved timing, ratios with their spread, and the plain form of a network.

Every ratio is a baseline's time (or memory) by that of what is measured: above 1, ours is faster (or smaller).
"""

from __future__ import annotations

import copy
import statistics
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from wholenet.benchmarks.row import Row, Setting
from wholenet.ops import forms
from wholenet.ops.execution import seconds
from wholenet.search.steps import Batch
from wholenet.spaces.catalog import create_model
from wholenet.spaces.supernet import Supernet
from wholenet.tasks.segmentation import SegmentationLoss

LOSS = SegmentationLoss()
CLASSES = 11


@contextmanager
def torch_resize() -> Iterator[None]:
    """Every resize by torch's own kernel."""
    limit = forms.MATMUL_LIMIT
    forms.MATMUL_LIMIT = 0
    try:
        yield
    finally:
        forms.MATMUL_LIMIT = limit


def written_plainly(model: Supernet) -> Supernet:
    """``model`` with every layer in its plain form from now on; with :func:`torch_resize`, as papers write it."""
    for layer in model.modules():
        if isinstance(layer, forms.TwoForms):
            layer.plain = True
    return model


def made(size: str, device: torch.device, seed: int = 0) -> Supernet:
    """An untrained network, in the memory layout that torch gives it."""
    torch.manual_seed(seed)
    return create_model(f"grid-{size}", num_classes=CLASSES).to(device).train()


def random_batch(batch: int, shape: tuple[int, int], device: torch.device, dtype: torch.dtype = torch.float32) -> Batch:
    """Noise, with labels that are noise too."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(batch, 3, *shape, generator=generator, dtype=dtype)
    return Batch(images.to(device), torch.randint(CLASSES, (batch, *shape), generator=generator).to(device))


def channels_last(batch: Batch) -> Batch:
    return batch._replace(images=batch.images.contiguous(memory_format=torch.channels_last))


def interleaved(runs: Mapping[str, Callable[[], object]], rounds: int, device: torch.device) -> dict[str, list[float]]:
    """Seconds of every run in every round, one after the other in each; a first round warms up and is not counted."""
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for round_ in range(rounds + 1):
        for name, run in runs.items():
            took = seconds(run, device)
            if round_:
                taken[name].append(took)
    return taken


def row(
    name: str, baseline: str, theirs: list[float], ours: list[float], error: float | None, device: torch.device
) -> Row:
    """Of seconds; with milliseconds on a GPU alone: on a shared CPU they tell of the neighbours."""
    ratios = [t / o for t, o in zip(theirs, ours, strict=True)]
    ms = round(1e3 * statistics.median(ours), 3) if device.type == "cuda" else None
    return Row(name, baseline, statistics.median(ratios), min(ratios), max(ratios), len(ratios), error, ms)


def compared(
    name: str,
    taken: Mapping[str, list[float]],
    ours: str,
    baselines: list[str],
    error: float | None,
    device: torch.device,
) -> Iterator[Row]:
    """A row for each baseline."""
    for baseline in baselines:
        yield row(name, baseline, taken[baseline], taken[ours], error, device)


def largest_difference(first: list[Tensor], second: list[Tensor]) -> float:
    """Over all entries of all tensors."""
    return max((f - s).abs().max().item() for f, s in zip(first, second, strict=True))


def float64_error(setting: Setting, *, recompute: bool = False, against: str = "plain") -> float:
    """Largest difference between the network as it is trained and in the form ``against``: "plain", or "kept" (the same
    without recomputation). Over outputs and the gradients of all weights and logits, of a small network in float64."""
    model = made("nano", setting.device).double().placed(setting.device)
    other = copy.deepcopy(model)
    batch = random_batch(2, (64, 96), setting.device, torch.float64)

    def gradients(model: Supernet) -> list[Tensor]:
        out = model(batch.images)
        return [out.detach(), *torch.autograd.grad(LOSS(out, batch.targets), list(model.parameters()))]

    model.net.recompute = recompute
    found = gradients(model)
    if against == "kept":
        return largest_difference(found, gradients(other))
    with torch_resize():
        return largest_difference(found, gradients(written_plainly(other)))
