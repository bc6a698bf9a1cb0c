"""A genotype: the discrete network inside a grid supernet, as a small text file that people can read.

One line per cell that is left: where it is, its kernel, and the strides it reads from with their weights.

Letters: L layers, K kernels; level i = 0..3 stands for stride 4 * 2**i.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from wholenet.architecture import Weights
from wholenet.files import SHOWN, read_yaml, shown, write_whole
from wholenet.spaces.grid import KERNELS, LEVELS, STRIDES, check_connected, masks

FORMAT = 1
SPACE = "grid"
MAX_LAYERS = 100
"""The paper's deepest grid has 14; a file that claims a billion would have us lay out a table of them."""


@dataclass(frozen=True)
class DiscreteCell:
    """One cell of a discrete network."""

    layer: int
    """From 1, as in the paper; layer 1 reads the stems."""
    stride: int
    kernel: int
    inputs: dict[int, float]
    """Weight of the edge from each stride of the layer before."""


@dataclass(frozen=True)
class Genotype:
    """Which cells, edges and kernels of a grid of ``layers`` layers are left.

    Raises:
        ValueError: if it is no sub-network of that grid: a cell twice or off the grid, an edge between strides that
            are not neighbours, a weight that is not above 0, or a cell that reads from one that is not there.
    """

    layers: int
    cells: tuple[DiscreteCell, ...]
    decoding: str = "by hand"
    """How it was made; for people to read."""
    kernels: tuple[int, ...] = KERNELS
    """The kernels that the supernet chose from."""

    def __post_init__(self) -> None:
        if not 1 <= self.layers <= MAX_LAYERS:
            raise ValueError(f"the genotype has {shown(self.layers)} layers; a grid has 1 to {MAX_LAYERS}")
        if self.kernels != KERNELS:
            raise ValueError(f"the genotype chooses among kernels {shown(self.kernels)}; the grid space has {KERNELS}")
        full = masks(self.layers)
        seen = set()
        for cell in self.cells:
            where = f"the genotype's cell at layer {cell.layer}, stride {cell.stride}"
            if not 1 <= cell.layer <= self.layers or cell.stride not in STRIDES:
                raise ValueError(f"{where} lies off the grid of {self.layers} layers and strides {STRIDES}")
            if (cell.layer, cell.stride) in seen:
                raise ValueError(f"{where} is there twice")
            seen.add((cell.layer, cell.stride))
            if cell.kernel not in self.kernels:
                raise ValueError(f"{where} has kernel {cell.kernel}; the space offers {self.kernels}")
            if not cell.inputs:
                raise ValueError(f"{where} reads from nowhere; leave it out, or give it an input")
            target = STRIDES.index(cell.stride)
            for stride, weight in cell.inputs.items():
                slot = STRIDES.index(stride) - target + 1 if stride in STRIDES else -1
                if not 0 <= slot <= 2 or not full["beta"][cell.layer - 1, target, slot]:
                    raise ValueError(f"{where} reads from stride {stride}; it can read from its neighbours alone")
                if not 0 < weight < math.inf:
                    raise ValueError(f"{where} reads stride {stride} with weight {weight}; expected a number above 0")
        check_connected(self.masks())

    def weights(self) -> Weights:
        """The weights that make the supernet compute this network: ``alpha`` [L, 4, K] one-hot in the cells that are
        left, ``beta`` [L, 4, 3] as in the file; zero elsewhere.
        """
        alpha = torch.zeros(self.layers, LEVELS, len(self.kernels), device="cpu")
        beta = torch.zeros(self.layers, LEVELS, 3, device="cpu")
        for cell in self.cells:
            target = STRIDES.index(cell.stride)
            alpha[cell.layer - 1, target, self.kernels.index(cell.kernel)] = 1
            for stride, weight in cell.inputs.items():
                beta[cell.layer - 1, target, STRIDES.index(stride) - target + 1] = weight
        return {"alpha": alpha, "beta": beta}

    def masks(self) -> dict[str, Tensor]:
        """The part of the space's masks that is left: what ``Grid`` builds."""
        return {name: weights > 0 for name, weights in self.weights().items()}

    def __str__(self) -> str:
        """How much is left, in a line."""
        full = int(masks(self.layers)["beta"].sum())
        edges = sum(len(cell.inputs) for cell in self.cells)
        return f"{len(self.cells)} of {LEVELS * self.layers} cells, {edges} of {full} edges ({self.decoding})"

    def to_dict(self) -> dict[str, Any]:
        """Plain values; :func:`genotype_from_dict` gives the genotype back."""
        return {"format": FORMAT, "space": SPACE, **asdict(self), "cells": [asdict(c) for c in self.cells]}


def genotype_from_weights(weights: Weights, decoding: str) -> Genotype:
    """The genotype of discrete ``weights``: ``alpha`` [L, 4, K] with at most one option per cell, ``beta`` [L, 4, 3].

    Cells without an edge or without an operation are left out.

    Raises:
        ValueError: if a cell has two operations, or reads from a cell that is left out.
    """
    alpha, beta = weights["alpha"], weights["beta"]
    cells = []
    for layer in range(len(beta)):
        for target in range(LEVELS):
            chosen = alpha[layer, target].nonzero().flatten().tolist()
            slots = beta[layer, target].nonzero().flatten().tolist()
            if not chosen or not slots:
                continue
            if len(chosen) > 1:
                raise ValueError(
                    f"the cell at layer {layer + 1}, stride {STRIDES[target]} has {len(chosen)} operations; a genotype "
                    "has one per cell: decode the architecture first (spaces.decoding)"
                )
            inputs = {STRIDES[target + slot - 1]: float(f"{beta[layer, target, slot].item():.6g}") for slot in slots}
            cells.append(DiscreteCell(layer + 1, STRIDES[target], KERNELS[chosen[0]], inputs))
    return Genotype(len(beta), tuple(cells), decoding)


def write_genotype(genotype: Genotype, path: Path) -> None:
    """Write the text file; :func:`read_genotype` gives the same genotype back."""
    lines = [
        "# A genotype: the discrete network inside a grid supernet. One line per cell: its kernel, and the strides",
        "# that it reads from in the layer before (layer 1 reads the stems), with the weight of each edge.",
        f"format: {FORMAT}",
        f"space: {SPACE}",
        f"layers: {genotype.layers}",
        f"kernels: {list(genotype.kernels)}",
        f"decoding: {genotype.decoding}",
        "cells:",
    ]
    for cell in genotype.cells:
        inputs = ", ".join(f"{stride}: {weight}" for stride, weight in cell.inputs.items())
        lines.append(f"- {{layer: {cell.layer}, stride: {cell.stride}, kernel: {cell.kernel}, inputs: {{{inputs}}}}}")
    write_whole(path, "\n".join(lines) + "\n")  # a run takes its being there as the end of its first stage


def read_genotype(path: str | Path, layers: int | None = None) -> Genotype:
    """Read what :func:`write_genotype` wrote.

    Args:
        path: the file.
        layers: layers of the network it is meant for; None takes any.

    Raises:
        ValueError: if there is no such file, it is no genotype, or one of another space or another number of layers.
    """
    try:
        content = read_yaml(path)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read as a genotype: {error}") from error
    try:
        genotype = genotype_from_dict(content)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    if layers is not None and genotype.layers != layers:
        raise ValueError(
            f"{path} is a genotype of {genotype.layers} layers, but the size asked for has {layers}; give the --size "
            "that it was decoded from"
        )
    return genotype


def genotype_from_dict(content: Any) -> Genotype:
    """The genotype of plain values.

    Raises:
        ValueError: if they are none, or of another space.
    """
    if not isinstance(content, Mapping) or "space" not in content or "cells" not in content:
        raise ValueError("this is no genotype (it has no `space` and `cells`); `wholenet decode RUN` writes one")
    if content["space"] != SPACE:
        raise ValueError(f"this is a genotype of the space {shown(content['space'])}; expected one of {SPACE!r}")
    if type(content.get("format")) is not int or content["format"] != FORMAT:
        raise ValueError(f"genotype format {shown(content.get('format'))}; this wholenet reads format {FORMAT}")
    try:
        cells = tuple(_cell(cell) for cell in content["cells"])
        layers, kernels = content["layers"], tuple(content["kernels"])
        if type(layers) is not int:
            raise ValueError(f"the genotype has layers: {shown(layers)}; expected a whole number")
    except (KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(
            f"a line of the genotype is not {{layer, stride, kernel, inputs: {{stride: weight}}}}: {shown(error)}"
        ) from error
    return Genotype(layers, cells, str(content.get("decoding", "by hand"))[:SHOWN], kernels)


def _cell(values: Mapping[str, Any]) -> DiscreteCell:
    inputs = {int(stride): float(weight) for stride, weight in values["inputs"].items()}
    return DiscreteCell(int(values["layer"]), int(values["stride"]), int(values["kernel"]), inputs)
