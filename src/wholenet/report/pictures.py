"""Pictures of architectures, by the space that they are of; users register theirs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch

from wholenet.plugins import load_plugins
from wholenet.registry import Registry
from wholenet.report.architecture import draw_architecture
from wholenet.report.autodispnet import draw_disparity_cells
from wholenet.report.dense_links import draw_dense_links
from wholenet.report.recurrent import draw_recurrent
from wholenet.report.trellis import draw_trellis
from wholenet.spaces.catalog import subnets
from wholenet.spaces.grid_subnets import GridSubnets
from wholenet.spaces.sizes import operation_label
from wholenet.spaces.supernet import Supernet


@dataclass(frozen=True)
class Picture:
    """How the architecture of a network is drawn."""

    name: str
    """Of the space."""
    draw: Callable[[Path, Supernet, str], None]
    """(file, network, headline); the network may be a discrete one."""


def _grid(file: Path, model: Supernet, title: str) -> None:
    with torch.no_grad():
        weights = {name: w.cpu().numpy() for name, w in model.arch().items()}
    names = [operation_label(name) for name in model.net.operations]
    left = _bottlenecks_left(model)
    about = {"source": "image" if model.net.encoder is None else "encoder", "skips": model.net.skips}
    draw_architecture(file, weights["beta"], weights["alpha"], operations=names, title=title, left=left, **about)


def _dense(file: Path, model: Supernet, title: str) -> None:
    draw_dense_links(file, model, title, _bottlenecks_left(model))


def _bottlenecks_left(model: Supernet) -> np.ndarray | None:
    """What of each cell's channels is left, [L, 4], as :func:`draw_architecture` takes it."""
    if model.spec.subnet is None:
        return None
    known = cast(GridSubnets, subnets(model.spec))
    subgrid = known.from_dict(model.spec.subnet)
    widths, found = known.widths_of(subgrid), np.full((subgrid.layers, len(known.widths)), np.nan)
    for at in subgrid.cells:
        found[at] = widths.get(at, 0) / known.widths[at[1]]
    return found


PICTURES: Registry[Picture] = Registry(
    "picture",
    {
        picture.name: picture
        for picture in (
            Picture("grid", _grid),
            Picture("dense-grid", _dense),
            Picture("autodeeplab", draw_trellis),
            Picture("recurrent", draw_recurrent),
            Picture("autodispnet", draw_disparity_cells),
        )
    },
    load_plugins,
)
"""By space; :func:`wholenet.register` adds to them."""
