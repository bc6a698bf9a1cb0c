"""What the parts of a trellis cost: multiply-adds of their convolutions for one image, in closed form.

In the form that runs: edges from H-2 run once for all moves into a node, and what a cell reads is convolved at the
smaller of two sizes. A convolution that keeps the size costs as many multiply-adds per pixel as it has weights.

Letters: H x W pixels; level s = 0..3 is stride 4 * 2**s.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from torch import nn

from wholenet.spaces.autodeeplab.genotype import OPERATIONS
from wholenet.spaces.autodeeplab.trellis import LEVELS
from wholenet.spaces.grid_costs import macs_in_words

if TYPE_CHECKING:
    from wholenet.spaces.autodeeplab.supernet import Trellis


class TrellisMacs:
    """Multiply-adds of the parts of ``net``, a whole supernet that need not have memory, for an image of ``size``."""

    name = "macs"

    def __init__(self, net: Trellis, size: tuple[int, int]) -> None:
        self.size = size
        sizes = [size]
        for _ in range(1 + LEVELS):
            sizes.append(((sizes[-1][0] - 1) // 2 + 1, (sizes[-1][1] - 1) // 2 + 1))
        pixels = [height * width for height, width in sizes]
        self.pixels = pixels[2:]
        """Of each level."""
        first, second, third = (weights_of(layer) for layer in net.stem)
        self.stem = (first + second) * pixels[1] + third * pixels[2]
        self.heads = {int(level): self._head(int(level), head) for level, head in net.heads.items()}
        """By level."""
        self.operations = dict[int, list[int]]()
        """Of a run of each operation, by level."""
        self.reads, self.two_back = dict[tuple[int, int], int](), dict[int, int]()
        """What brings H-1 to a cell, by level and that of H-1; and H-2, by level."""
        for cell in map(_known, net.cells.values()):
            level, at = cell.level, self.pixels[cell.level]
            one = next(iter(cell.edges.values()))
            self.operations[level] = [weights_of(one[name]) * at for name in OPERATIONS]
            for source, align in cell.before.items():
                least = at if align.resize_first else min(at, self.pixels[int(source)])
                self.reads[level, int(source)] = weights_of(align) * least
            if cell.two_back is not None:
                self.two_back[level] = weights_of(cell.two_back) * at

    def in_words(self, amount: int) -> str:
        """An amount, for people: "1.23 GMACs"."""
        return macs_in_words(amount)

    def _head(self, level: int, head: nn.Module) -> int:
        parts: Mapping[str, nn.Module] = dict(head.named_children())
        return sum(weights_of(part) * (1 if name == "all" else self.pixels[level]) for name, part in parts.items())


def _known(cell: nn.Module) -> Any:
    """As what it is: a ``supernet.Cell``."""
    return cell


def weights_of(module: nn.Module) -> int:
    """Weights of the convolutions in it."""
    return sum(layer.weight.numel() for layer in module.modules() if isinstance(layer, nn.Conv2d))
