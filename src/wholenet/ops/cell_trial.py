"""A candidate operation of the cell spaces, tried on a small map before a run begins.

Letters: B images, C channels, H x W feature map.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor, nn

from wholenet.ops.candidates import CellOperation
from wholenet.ops.cell_forms import Path, shared_cell
from wholenet.ops.shares import shares_of

CHANNELS, HEIGHT, WIDTH = 16, 12, 8


@cache
def check_cell_operation(operation: CellOperation) -> None:
    """Try ``operation`` at both strides, in a supernet and alone, in float64.

    Raises:
        ValueError: if it makes no layer, fails, changes its input, makes a map of another shape, or does not compute
            what it declares.
    """
    with torch.random.fork_rng(devices=[]), torch.device("cpu"), torch.no_grad():
        for stride in (1, 2):
            for search in (True, False):
                _check(operation, stride, search)


def _check(operation: CellOperation, stride: int, search: bool) -> None:
    which = f"operation {operation.name!r} at stride {stride}"
    x = torch.linspace(-1, 1, 2 * CHANNELS * HEIGHT * WIDTH, dtype=torch.float64).view(2, CHANNELS, HEIGHT, WIDTH)
    given = x.clone()
    try:
        layer = operation.make(CHANNELS, stride, search, not search)
        out = layer.double().eval()(given) if isinstance(layer, nn.Module) else layer
    except Exception as error:  # whatever somebody's layer raises
        raise ValueError(
            f"{which} fails on a map {tuple(x.shape)} ({type(error).__name__}: {error}); a cell needs it at strides 1 "
            "and 2, for any number of channels, in float64 too"
        ) from error
    if not isinstance(layer, nn.Module):
        raise ValueError(f"{which} makes a {type(layer).__name__}; expected a torch.nn.Module")
    if not torch.equal(given, x):
        raise ValueError(f"{which} changes its input, which others read too: let it make a new map")
    expected = (2, CHANNELS, HEIGHT // stride, WIDTH // stride)
    if not isinstance(out, Tensor) or out.shape != expected:
        found = tuple(out.shape) if isinstance(out, Tensor) else type(out).__name__
        raise ValueError(f"{which} makes {found} of a map {tuple(x.shape)}; expected {expected}")
    if shares_of(layer) is None:
        return
    path = Path(0, 1, stride, {operation.name: layer}, None)
    (shared,) = shared_cell([x], [path], torch.full((1, 1), 0.5, dtype=torch.float64), 1, 0.0)
    if not torch.allclose(shared, out / 2, rtol=1e-9, atol=1e-9):
        raise ValueError(
            f"{which} does not compute what it declares by its `shares`: let the two agree, or declare nothing"
        )
