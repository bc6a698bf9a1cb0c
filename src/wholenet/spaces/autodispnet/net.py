"""The networks of AutoDispNet: an encoder and a decoder of cells, with a prediction at each level of the decoder.

AutoDispNet-C correlates the features of both images. A stage "S" refines the estimate of a stage before it: it sees
both images, the right one warped by that estimate, and the estimate itself. Networks walk over the cells that
``layout.py`` lists.

Letters: N pairs, H x W pixels, h x w a level's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wholenet.architecture import Weights
from wholenet.ops.resize import resize
from wholenet.spaces.autodispnet.cells import Cell
from wholenet.spaces.autodispnet.correlation import Correlation
from wholenet.spaces.autodispnet.genotype import NODES
from wholenet.spaces.autodispnet.layout import STEM_LEVEL, CellAt, Shape
from wholenet.spaces.autodispnet.operations import Convolution, Prediction, Style
from wholenet.spaces.autodispnet.pair import Disparities, Pair
from wholenet.spaces.cell_masks import table_masks
from wholenet.spaces.cell_tables import Table

ESTIMATE_SCALE = 0.05
"""A refining stage reads the estimate before it in such units, so that its numbers are as large as images'."""


class Parts:
    """What cells are made of, and which of them were made so far.

    Args:
        table: the edges of each type of cell.
        style: of their layers.
        search: whether they are a supernet's.
    """

    def __init__(self, table: Table, style: Style, *, search: bool) -> None:
        self.table, self.style, self.search = table, style, search

    def cells(self, row: Sequence[CellAt], before: int, last: int) -> nn.ModuleList:
        """Cells one after the other.

        Args:
            row: which.
            before, last: channels of the first one's inputs.
        """
        made, older = nn.ModuleList(), "same"
        for at in row:
            made.append(self.cell(at, (before, last), older))
            before, last, older = last, NODES * at.channels, "reduce" if at.kind == "reduce" else "same"
        return made

    def cell(self, at: CellAt, inputs: Sequence[int], older: str) -> Cell:
        """One cell."""
        return Cell(at, self.table[at.kind], inputs, self.style, older=older, search=self.search)

    def stem(self, inputs: int, shape: Shape) -> nn.Sequential:
        """Two convolutions of stride 2."""
        first = Convolution(inputs, shape.stem, 7, 2, self.style)
        return nn.Sequential(first, Convolution(shape.stem, 2 * shape.stem, 5, 2, self.style))


class Decoder(nn.Module):
    """Upsampling cells, and a prediction before the first and after each.

    Args:
        parts: see :class:`Parts`.
        row: the cells.
        coarsest: channels of the encoder's output.
        support: channels of the encoder's features by level.
    """

    def __init__(self, parts: Parts, row: Sequence[CellAt], coarsest: int, support: Mapping[int, int]) -> None:
        super().__init__()
        self.cells = nn.ModuleList()
        self.predictions = nn.ModuleList([Prediction(coarsest)])
        before, last, older = coarsest, coarsest, "same"
        for at in row:
            self.cells.append(parts.cell(at, (before, last, 1, support[at.level]), older))
            before, last, older = last, NODES * at.channels, "upsample"
            self.predictions.append(Prediction(last))

    def forward(
        self, last: Tensor, support: Mapping[int, Tensor], weights: Weights, estimate: Tensor | None = None
    ) -> list[Tensor]:
        """
        Args:
            last: the encoder's output.
            support: its features by level, one reduction each.
            weights: of the architecture; none of a discrete network.
            estimate: of the stage before, [N, 1, H, W].

        Returns:
            The predictions [N, 1, h, w] from coarse to fine.
        """

        def base(size: tuple[int, int]) -> Tensor | None:
            return None if estimate is None else resize(estimate, size)

        before = last
        found = [self.predictions[0](last, base(_size(last)))]
        for cell, predict in zip(each(self.cells), list(self.predictions)[1:], strict=True):
            beside = support[cell.at.level]
            size = _size(beside)
            inputs = [before, last, resize(found[-1], size), beside]
            before, last = last, cell(inputs, weights.get("upsample"))
            found.append(predict(last, base(size)))
        return found


class Correlating(nn.Module):
    """AutoDispNet-C, or its supernet.

    Args:
        parts: see :class:`Parts`.
        shape: which cells there are.
        in_channels: of an image.
        correlation: of the features of both images.
    """

    def __init__(self, parts: Parts, shape: Shape, in_channels: int, correlation: Correlation) -> None:
        super().__init__()
        self.stem = parts.stem(in_channels, shape)
        stem = 2 * shape.stem
        features, encoder = shape.feature_cells(), shape.encoder_cells()
        self.features = parts.cells(features, stem, stem)
        width = NODES * features[-1].channels if features else stem
        self.correlation = correlation
        self.encoder = parts.cells(encoder, 2 * width, len(correlation.shifts))
        support = {STEM_LEVEL: stem} | {
            at.level: NODES * at.channels for at in (*features, *encoder) if at.kind == "reduce"
        }
        self.decoder = Decoder(parts, shape.decoder_cells(), NODES * encoder[-1].channels, support)

    def forward(self, pair: Pair, weights: Weights, estimate: Tensor | None = None) -> list[Tensor]:
        """The predictions [N, 1, h, w] from coarse to fine; there is no ``estimate`` before the first stage."""
        del estimate
        # As one batch: the two images have one BatchNorm.
        before = last = self.stem(torch.cat([pair.left, pair.right]))
        support = {STEM_LEVEL: last.chunk(2)[0]}
        for cell in each(self.features):
            before, last = last, cell([before, last], weights.get(cell.at.kind))
            support[cell.at.level] = last.chunk(2)[0]
        left, right = last.chunk(2)
        last = _encoded(self.encoder, torch.cat([left, right], 1), self.correlation(left, right), support, weights)
        return self.decoder(last, support, weights)


class Refining(nn.Module):
    """A stage "S".

    Args:
        parts: see :class:`Parts`.
        shape: which cells there are.
        in_channels: of an image.
    """

    def __init__(self, parts: Parts, shape: Shape, in_channels: int) -> None:
        super().__init__()
        self.stem = parts.stem(3 * in_channels + 1, shape)
        stem, encoder = 2 * shape.stem, shape.encoder_cells(reduce_first=True)
        self.encoder = parts.cells(encoder, stem, stem)
        support = {STEM_LEVEL: stem} | {at.level: NODES * at.channels for at in encoder if at.kind == "reduce"}
        self.decoder = Decoder(parts, shape.decoder_cells(), NODES * encoder[-1].channels, support)

    def forward(self, pair: Pair, weights: Weights, estimate: Tensor) -> list[Tensor]:
        """Likewise; ``estimate`` [N, 1, H, W] is what it refines."""
        warped = warp(pair.right, estimate)
        first = self.stem(torch.cat([pair.left, pair.right, warped, ESTIMATE_SCALE * estimate], 1))
        support = {STEM_LEVEL: first}
        last = _encoded(self.encoder, first, first, support, weights)
        return self.decoder(last, support, weights, estimate)


class DisparityNet(nn.Module):
    """One stage, or several of which each refines the one before.

    Args:
        table: the edges of each type of cell, a supernet's or a discrete network's.
        shape: which cells there are.
        in_channels: of an image.
        search: whether it is a supernet, whose operations are mixed.
        norm: a BatchNorm after each activation.
        affine: with an affine map.
        correlation: of the first stage.
        stages: how many.
    """

    def __init__(
        self,
        table: Table,
        shape: Shape,
        in_channels: int,
        *,
        search: bool,
        norm: bool,
        affine: bool,
        correlation: Correlation,
        stages: int = 1,
    ) -> None:
        super().__init__()
        self.masks = table_masks(table) if search else {}
        self.multiple = shape.multiple
        """Both sides of an image are a multiple of this."""
        self.reach = shape.reach
        """The largest disparity that features are compared at, in pixels of the image."""
        parts = Parts(table, Style(norm, affine), search=search)
        self.stages = nn.ModuleList([Correlating(parts, shape, in_channels, correlation)])
        self.stages.extend(Refining(parts, shape, in_channels) for _ in range(stages - 1))

    def forward(self, pair: Pair, weights: Weights) -> Disparities:
        """A pair of images, and of a supernet weights as its masks -> disparities of the last stage.

        Raises:
            ValueError: if the images differ in shape, or a side is not a multiple of ``multiple``.
        """
        left, right = pair
        size = _size(left)
        self._check(left, right)
        estimate: Tensor | None = None
        levels: list[Tensor] = []
        for stage in self.stages:
            levels = stage(Pair(left, right), weights, estimate)
            estimate = resize(levels[-1], size)
        assert estimate is not None
        return Disparities(estimate[:, 0], tuple(level[:, 0] for level in reversed(levels)))

    def _check(self, left: Tensor, right: Tensor) -> None:
        if torch.compiler.is_compiling():  # sizes are not known there
            return
        if left.shape != right.shape:
            raise ValueError(f"a pair of {list(left.shape)} and {list(right.shape)}; expected images of one shape")
        height, width = _size(left)
        if height % self.multiple or width % self.multiple or not height or not width:
            near = "x".join(str(-(-max(side, 1) // self.multiple) * self.multiple) for side in (height, width))
            raise ValueError(
                f"a pair of {height}x{width}: expected sides that are multiples of {self.multiple}, the stride of the "
                f"coarsest features; resize it to {near}, say"
            )


def each(cells: nn.ModuleList) -> Iterator[Cell]:
    """The cells of a list, which torch takes for any modules."""
    yield from cast(Iterable[Cell], cells)


def _encoded(
    cells: nn.ModuleList, before: Tensor, last: Tensor, support: dict[int, Tensor], weights: Weights
) -> Tensor:
    """The output of the last of the encoder's ``cells``; those of its reduction cells are added to ``support``."""
    for cell in each(cells):
        before, last = last, cell([before, last], weights.get(cell.at.kind))
        if cell.at.kind == "reduce":
            support[cell.at.level] = last
    return last


def warp(right: Tensor, disparity: Tensor) -> Tensor:
    """What the left eye would see if ``disparity`` were true: ``right`` [N, C, H, W] at x - ``disparity`` [N, 1, H, W],
    bilinear, zero beside the image."""
    n, _, height, width = right.shape
    x = torch.arange(width, device=right.device, dtype=right.dtype) - disparity[:, 0]
    y = torch.arange(height, device=right.device, dtype=right.dtype)[:, None].expand(n, height, width)
    # In grid_sample's units, -1 and 1 are the outer edges of the corner pixels.
    grid = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], -1)
    return F.grid_sample(right, grid, align_corners=False)


def _size(x: Tensor) -> tuple[int, int]:
    return x.shape[-2], x.shape[-1]
