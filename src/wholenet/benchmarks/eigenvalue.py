"""The dominant eigenvalue of the loss's Hessian in 224 logits: Lanczos iteration, against the whole matrix by rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F

from wholenet.benchmarks.cell_steps import made, random_images
from wholenet.benchmarks.measure import row
from wholenet.benchmarks.row import Row, Setting
from wholenet.diagnostics.curvature import Curvature, curvature
from wholenet.ops.execution import seconds

SPACE = "darts"
ROUNDS = 2
"""At most: all rows take a minute."""
TOLERANCE = 1e-3


def run(setting: Setting) -> Iterator[Row]:
    device = setting.device
    # Small, so that all rows can be had; float64, so that they can be trusted.
    model = made(SPACE, device, channels=4, cells=3).double()
    batch = random_images(2, device, torch.float64, side=16)
    found: dict[str, Curvature] = {}

    def by_rows() -> None:
        found["rows"] = curvature(model, batch, F.cross_entropy, method="rows")

    def by_lanczos() -> None:
        found["lanczos"] = curvature(model, batch, F.cross_entropy, method="lanczos", tolerance=TOLERANCE)

    runs: dict[str, Callable[[], object]] = {"rows": by_rows, "lanczos": by_lanczos}
    by_lanczos()  # which warms up for both
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(min(setting.rounds, ROUNDS)):
        for name, call in runs.items():
            taken[name].append(seconds(call, device))
    exact, ours = found["rows"], found["lanczos"]
    error = abs(ours.highest - exact.highest) / abs(exact.highest)
    name = f"dominant eigenvalue, {ours.logits} logits, {ours.products} products"
    # The error is relative.
    yield row(name, "all rows", taken["rows"], taken["lanczos"], error, device)
