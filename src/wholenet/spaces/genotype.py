"""A genotype: the discrete network inside a grid supernet, as a small text file that people can read.

One line per cell that is left: where it is, its operation, and the strides it reads from with their weights. The
paper's operations are written as sizes of kernels, as they were when there were no others.

Letters: L layers, K operations; level i = 0..3 stands for stride 4 * 2**i.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from wholenet.architecture import Weights
from wholenet.files import SHOWN, check_words, read_yaml, shown, write_whole
from wholenet.spaces.grid import DEFAULT
from wholenet.spaces.links import LEVELS, STRIDES, as_weight, check_connected, masks
from wholenet.spaces.sizes import MAX_LAYERS, operation_label, operation_names

FORMAT = 1
SPACE = "grid"
KERNELS = tuple(int(operation_label(name).split("x")[0]) for name in DEFAULT)
"""The paper's operations, as files have them."""


@dataclass(frozen=True)
class DiscreteCell:
    """One cell of a discrete network."""

    layer: int
    """From 1, as in the paper; layer 1 reads the stems."""
    stride: int
    operation: str
    inputs: dict[int, float]
    """Weight of the edge from each stride of the layer before."""


@dataclass(frozen=True)
class Genotype:
    """Which cells, edges and operations of a grid of ``layers`` layers are left.

    Raises:
        ValueError: if it is no sub-network of that grid: a cell twice or off the grid, an edge between strides that
            are not neighbours, a weight that is not above 0, or a cell that reads from one that is not there.
    """

    layers: int
    cells: tuple[DiscreteCell, ...]
    decoding: str = "by hand"
    """How it was made; for people to read."""
    operations: tuple[str, ...] = DEFAULT
    """Names of what the supernet chose from."""

    def __post_init__(self) -> None:
        if not 1 <= self.layers <= MAX_LAYERS:
            raise ValueError(f"the genotype has {shown(self.layers)} layers; a grid has 1 to {MAX_LAYERS}")
        operation_names(",".join(self.operations))
        check_words(self.decoding, "the genotype's decoding")
        full = masks(self.layers)
        seen = set()
        for cell in self.cells:
            where = f"the genotype's cell at layer {cell.layer}, stride {cell.stride}"
            if not 1 <= cell.layer <= self.layers or cell.stride not in STRIDES:
                raise ValueError(f"{where} lies off the grid of {self.layers} layers and strides {STRIDES}")
            if (cell.layer, cell.stride) in seen:
                raise ValueError(f"{where} is there twice")
            seen.add((cell.layer, cell.stride))
            if cell.operation not in self.operations:
                offered = ", ".join(self.operations)[: 4 * SHOWN]
                raise ValueError(
                    f"{where} has the operation {shown(cell.operation)}; the genotype chooses among {offered}"
                )
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
        alpha = torch.zeros(self.layers, LEVELS, len(self.operations), device="cpu")
        beta = torch.zeros(self.layers, LEVELS, 3, device="cpu")
        for cell in self.cells:
            target = STRIDES.index(cell.stride)
            alpha[cell.layer - 1, target, self.operations.index(cell.operation)] = 1
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
        papers = self.operations == DEFAULT
        cells = []
        for cell in self.cells:
            own = {"kernel": KERNELS[DEFAULT.index(cell.operation)]} if papers else {"operation": cell.operation}
            cells.append({"layer": cell.layer, "stride": cell.stride, **own, "inputs": dict(cell.inputs)})
        offered = {"kernels": KERNELS} if papers else {"operations": self.operations}
        plain = {"layers": self.layers, "cells": cells, "decoding": self.decoding, **offered}
        return {"format": FORMAT, "space": SPACE, **plain}


def genotype_from_weights(weights: Weights, decoding: str, operations: Sequence[str] = DEFAULT) -> Genotype:
    """The genotype of discrete ``weights``: ``alpha`` [L, 4, K] with at most one option per cell, ``beta`` [L, 4, 3].

    Cells without an edge or without an operation are left out. ``operations`` names the K.

    Raises:
        ValueError: if a cell has two operations, or reads from a cell that is left out; or if K is another number.
    """
    alpha, beta = weights["alpha"], weights["beta"]
    if alpha.shape[-1] != len(operations):
        raise ValueError(f"cells choose among {alpha.shape[-1]} operations; found names of {', '.join(operations)}")
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
            cells.append(DiscreteCell(layer + 1, STRIDES[target], operations[int(chosen[0])], inputs))
    return Genotype(len(beta), tuple(cells), decoding, tuple(operations))


def write_genotype(genotype: Genotype, path: Path) -> None:
    """Write the text file; :func:`read_genotype` gives the same genotype back."""
    papers = genotype.operations == DEFAULT
    word = "kernel" if papers else "operation"
    offered = list(KERNELS if papers else genotype.operations)
    lines = [
        f"# A genotype: the discrete network inside a grid supernet. One line per cell: its {word}, and the strides",
        "# that it reads from in the layer before (layer 1 reads the stems), with the weight of each edge.",
        f"format: {FORMAT}",
        f"space: {SPACE}",
        f"layers: {genotype.layers}",
        f"{word}s: {json.dumps(offered)}",  # names in quotes: some words are no text to YAML
        yaml.safe_dump({"decoding": genotype.decoding}, width=1000).strip(),
        "cells:",
    ]
    for cell in genotype.cells:
        inputs = ", ".join(f"{stride}: {weight}" for stride, weight in cell.inputs.items())
        own = KERNELS[DEFAULT.index(cell.operation)] if papers else json.dumps(cell.operation)
        lines.append(f"- {{layer: {cell.layer}, stride: {cell.stride}, {word}: {own}, inputs: {{{inputs}}}}}")
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
    if isinstance(content, Mapping) and content.get("space", SPACE) != SPACE:
        raise ValueError(f"this is a genotype of the space {shown(content['space'])}; expected one of {SPACE!r}")
    if not isinstance(content, Mapping) or "space" not in content or "cells" not in content:
        raise ValueError("this is no genotype (it has no `space` and `cells`); `wholenet decode RUN` writes one")
    if type(content.get("format")) is not int or content["format"] != FORMAT:
        raise ValueError(f"genotype format {shown(content.get('format'))}; this wholenet reads format {FORMAT}")
    if unknown := [key for key in content if key not in KEYS] + ["kernels"] * (len(set(CHOICES) & set(content)) > 1):
        raise ValueError(f"the genotype has {shown(unknown[0])}; expected {', '.join(KEYS)}, and of the last two one")
    if type(content.get("layers")) is not int:
        raise ValueError(f"the genotype has layers: {shown(content.get('layers'))}; expected a whole number")
    if not isinstance(content["cells"], list | tuple):
        raise ValueError(f"a line of the genotype is not {LINE}: cells is {shown(content['cells'])}")
    cells, operations = tuple(map(_cell, content["cells"])), _operations(content)
    return Genotype(content["layers"], cells, content.get("decoding", "by hand"), operations)


CHOICES = ("kernels", "operations")
KEYS = ("format", "space", "layers", "decoding", "cells", *CHOICES)
LINE = "{layer, stride, kernel, inputs: {stride: weight}}"


def _cell(values: Any) -> DiscreteCell:
    if not isinstance(values, Mapping):
        raise ValueError(f"a line of the genotype is not {LINE}: it is {shown(values)}")
    own = "operation" if "operation" in values else "kernel"
    if lacking := [name for name in ("layer", "stride", own, "inputs") if name not in values]:
        raise ValueError(f"a line of the genotype is not {LINE}: it has no {lacking[0]!r}")
    if unknown := [key for key in values if key not in ("layer", "stride", own, "inputs")]:
        raise ValueError(f"a line of the genotype is not {LINE}: it has {shown(unknown[0])}")
    if not isinstance(values["inputs"], Mapping):
        raise ValueError(f"a line of the genotype is not {LINE}: its inputs are {shown(values['inputs'])}")
    where = "a cell of the genotype has an input of weight"
    inputs = {_whole("stride", stride): as_weight(weight, where) for stride, weight in values["inputs"].items()}
    if len(inputs) != len(values["inputs"]):
        raise ValueError(f"a cell of the genotype reads a stride twice: {shown(values['inputs'])}; expected it once")
    operation = values[own] if own == "operation" else "conv_{0}x{0}".format(_whole(own, values[own]))
    return DiscreteCell(_whole("layer", values["layer"]), _whole("stride", values["stride"]), operation, inputs)


MANY = 1_000_000_000
"""Digits of more would only fill messages."""


def _whole(name: str, value: Any) -> int:
    """Keys are text in JSON."""
    if (type(value) is int and abs(value) < MANY) or (isinstance(value, str) and value.isdecimal() and len(value) < 10):
        return int(value)
    raise ValueError(f"a cell of the genotype has {name}: {shown(value)}; expected a whole number")


def _operations(content: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of what the genotype chooses among."""
    if "operations" in content:
        names = content["operations"]
        if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
            raise ValueError(f"the genotype has operations: {shown(names)}; expected a list of names")
        return tuple(names)
    kernels = content.get("kernels")
    kernels = tuple(kernels) if isinstance(kernels, list | tuple) else kernels
    if kernels != KERNELS:
        raise ValueError(f"the genotype chooses among kernels {shown(kernels)}; the grid space has {KERNELS}")
    return DEFAULT
