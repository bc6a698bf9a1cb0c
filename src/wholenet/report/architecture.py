"""The picture of a grid supernet's architecture: which edges and operations the weights prefer, and how much.

Letters: L layers, 4 scale levels (strides 4, 8, 16, 32), 3 incoming slots (finer, same, coarser level), K operations.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path as FilePath
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import to_rgba
from matplotlib.patches import FancyBboxPatch, Rectangle
from matplotlib.path import Path

from wholenet.architecture import normalized_entropy
from wholenet.report.style import CYCLE, INK, MUTED, bare_axes, headline, saved_figure
from wholenet.spaces.links import LEVELS, STRIDES, incoming, masks

MAX_WIDTH_PT = 5.0
MIN_WIDTH_PT = 0.4

FIXED = {"facecolor": "#F1F4F7", "edgecolor": "#B8C1CC", "linewidth": 1.0}
"""Look of what the architecture parameters do not touch: image or encoder, stems, decoder."""


class Edge(NamedTuple):
    """One incoming edge of the cell at (layer, level), from ``source`` (a level) of the layer before."""

    layer: int
    level: int
    source: int
    weight: float
    siblings: int
    """How many edges enter this cell, this one included: 2 or 3."""


def existing_edges(beta: np.ndarray) -> list[Edge]:
    """The 10 L edges that the grid has, whatever their weights in ``beta`` [L, 4, 3]; the other slots do not exist."""
    return [
        Edge(layer, level, edge.source, float(beta[layer, level, edge.slot]), siblings=len(edges))
        for layer in range(len(beta))
        for level in range(LEVELS)
        for edges in [incoming(layer, level)]
        for edge in edges
    ]


def strength(weight: float, siblings: int) -> float:
    """How decided an edge is: 0 at weight 0, 1/2 at uniform weight 1/n, 1 at weight 1, for every n of ``siblings``.

    Without this a uniform picture would show thicker edges at the border of the grid, where cells have two inputs.

    >>> [round(strength(w, siblings=3), 2) for w in (0, 1 / 3, 1)]
    [0.0, 0.5, 1.0]
    """
    return min(max(weight, 0.0), 1.0) ** (math.log(2) / math.log(siblings))


def edge_width_pt(strength: float) -> float:
    """Line width: steeper than linear, so that a decided edge stands out (uniform is a quarter of the range)."""
    return MIN_WIDTH_PT + (MAX_WIDTH_PT - MIN_WIDTH_PT) * strength**2


def edge_opacity(strength: float) -> float:
    """Opacity: an edge of weight 0 stays just visible, because it still exists and may come back."""
    return 0.08 + 0.82 * strength


def draw_architecture(
    path: str | FilePath,
    beta: np.ndarray,
    alpha: np.ndarray,
    *,
    operations: Sequence[str] = ("3x3", "5x5"),
    title: str = "",
    left: np.ndarray | None = None,
    source: str = "image",
    skips: bool = False,
) -> None:
    """Draw the grid: one box per cell, split by its operation weights; one curve per edge, the thicker the stronger.

    Args:
        path: the picture; its suffix says the format.
        beta: [L, 4, 3] softmaxed weights of each cell's incoming edges, from the finer, same and coarser level of the
            layer before (the stems, for the first layer). Edges that do not exist are 0.
        alpha: [L, 4, K] softmaxed weights of each cell's operations.
        operations: what the K are called.
        title: a headline, optional.
        left: [L, 4] share of each cell's bottleneck, its channels, that is left where some were removed: the height of
            its box. NaN where the cell is gone. None: nothing was removed.
        source: what the stems read: the image, or an encoder.
        skips: whether the decoder reads maps of the source, too.

    Raises:
        ValueError: if the shapes do not fit each other, a weight is not a number in [0, 1], or an edge that does not
            exist has weight.
    """
    beta, alpha = np.asarray(beta, dtype=float), np.asarray(alpha, dtype=float)
    _check(beta, alpha, operations)
    labels = [legible(name) for name in operations]
    layout = Layout(len(beta), at_least=legend_width(labels, WEIGHTS_LEGEND))
    with saved_figure(path, layout.width_in, layout.height_in) as figure:
        axes = bare_axes(figure, 0.0, 0.0, layout.width_in, layout.height_in)
        axes.set_xlim(0, layout.width_in)
        axes.set_ylim(layout.height_in, 0)
        edges = existing_edges(beta)
        if left is not None:
            edges = [edge for edge in edges if edge.weight]
        stems = range(LEVELS) if left is None else {edge.source for edge in edges if edge.layer == 0}
        draw_frame(axes, layout, stems, source, skips=skips)
        _draw_edges(axes, layout, edges)
        for layer in range(len(beta)):
            for level in range(LEVELS):
                share = 1.0 if left is None else left[layer, level]
                if not np.isnan(share):
                    draw_cell(axes, layout, layer, level, alpha[layer, level], share)
        choices = masks(*alpha.shape[::2])
        if left is not None:
            choices = {"beta": torch.from_numpy(beta > 0), "alpha": torch.from_numpy(alpha > 0)}
        beside = f"dashed: maps of the {source} that the decoder reads" if skips else ""
        _draw_words(axes, layout, beta, alpha, title, choices, beside)
        _draw_legend(axes, layout, labels)


class Layout:
    """Where things are, in inches from the upper left corner. Column 0 holds the stems, column l layer l, from 1."""

    ROW = 0.8
    BOX_WIDTH, BOX_HEIGHT = 0.34, 0.3
    SIDE_WIDTH = 0.3
    """Width of the two tall boxes, source and decoder."""
    PAST = 0.21
    """How far above its row a connection runs that goes past the cells."""

    def __init__(self, num_layers: int, at_least: float = 0.0) -> None:
        """``at_least``: inches that the legend takes."""
        self.num_layers = num_layers
        self.column = min(max(10.0 / (num_layers + 3), 0.72), 1.2)
        self.left = 1.15
        self.top = 1.35
        self.width_in = max(self.x(num_layers + 1) + 0.4, 7.4, at_least)
        self.height_in = self.y(3) + 0.98

    def x(self, column: int) -> float:
        """Middle of a column; -1 is the image, L + 1 the decoder."""
        return self.left + (column + 1) * self.column

    def y(self, level: int) -> float:
        """Middle of a scale level's row."""
        return self.top + level * self.ROW


def _check(beta: np.ndarray, alpha: np.ndarray, operations: Sequence[str]) -> None:
    if beta.ndim != 3 or beta.shape[1:] != (4, 3) or len(beta) == 0:
        raise ValueError(f"beta has shape {beta.shape}, expected [L, 4, 3]: layers, scale levels, incoming edges.")
    if alpha.shape != (len(beta), 4, len(operations)):
        raise ValueError(
            f"alpha has shape {alpha.shape}, expected {(len(beta), 4, len(operations))}: the {len(beta)} layers of "
            f"beta, 4 scale levels, and one weight for each of operations={tuple(operations)}."
        )
    for name, weights in (("beta", beta), ("alpha", alpha)):
        if not ((weights >= 0) & (weights <= 1 + 1e-6)).all():  # false for NaN as well
            raise ValueError(f"{name} holds numbers outside [0, 1]; pass the softmaxed weights, not the logits.")
    if beta[:, 0, 0].any() or beta[:, 3, 2].any():
        raise ValueError(
            "beta gives weight to edges that do not exist: beta[:, 0, 0] (finer than stride 4) and beta[:, 3, 2] "
            "(coarser than stride 32) must be 0. Slots are ordered finer, same, coarser."
        )


def draw_frame(
    axes: Axes, layout: Layout, stems: Collection[int], source: str = "image", *, skips: bool = False
) -> None:
    """The source of the stems, those of these levels and decoder, with the connections that are always there, and with
    those past the grid where it ``skips``."""
    last = layout.num_layers
    for level in range(4):
        for start, end in ((-1, 0), (last, last + 1)):
            xs, y = (layout.x(start), layout.x(end)), layout.y(level)
            if end or level in stems:
                axes.plot(xs, (y, y), color="#B8C1CC", linewidth=1.0, zorder=1)
        if level in stems:
            box(axes, layout.x(0), layout.y(level), layout.BOX_WIDTH, layout.BOX_HEIGHT)
        if skips:
            xs, y = (layout.x(-1), layout.x(last + 1)), layout.y(level) - layout.PAST
            axes.plot(xs, (y, y), color="#B8C1CC", linewidth=1.0, linestyle=(0, (4, 3)), zorder=1)
    tall = 3 * layout.ROW + 2 * layout.PAST + 0.1 if skips else 3 * layout.ROW + layout.BOX_HEIGHT
    for column, name in ((-1, source), (last + 1, "decoder")):
        x, y = layout.x(column), (layout.y(0) + layout.y(3)) / 2
        box(axes, x, y, layout.SIDE_WIDTH, tall)
        axes.text(x, y, name, rotation=90, ha="center", va="center", color=MUTED, zorder=4)


def box(axes: Axes, x: float, y: float, width: float, height: float, **look: Any) -> FancyBboxPatch:
    """A rounded box around (x, y)."""
    corner = (x - width / 2, y - height / 2)
    patch = FancyBboxPatch(
        corner, width, height, boxstyle="round,pad=0,rounding_size=0.07", zorder=3, **(look or FIXED)
    )
    axes.add_patch(patch)
    return patch


def _draw_edges(axes: Axes, layout: Layout, edges: Sequence[Edge]) -> None:
    """All edges as one collection, weak ones first so that strong ones are never covered."""
    edges = sorted(edges, key=lambda edge: strength(edge.weight, edge.siblings))
    strengths = [strength(edge.weight, edge.siblings) for edge in edges]
    curves = [
        _curve(
            (layout.x(edge.layer) + layout.BOX_WIDTH / 2, layout.y(edge.source)),
            (layout.x(edge.layer + 1) - layout.BOX_WIDTH / 2, layout.y(edge.level)),
        )
        for edge in edges
    ]
    axes.add_collection(_lines(curves, strengths), autolim=False)


def _curve(start: tuple[float, float], end: tuple[float, float]) -> Path:
    """A cubic curve that leaves and arrives horizontally."""
    middle = (start[0] + end[0]) / 2
    return Path([start, (middle, start[1]), (middle, end[1]), end], [Path.MOVETO, *[Path.CURVE4] * 3])


def _lines(curves: Sequence[Path], strengths: Sequence[float]) -> PathCollection:
    return PathCollection(
        curves,
        facecolors="none",
        edgecolors=[to_rgba(INK, edge_opacity(s)) for s in strengths],
        linewidths=[edge_width_pt(s) for s in strengths],
        zorder=2,
    )


def draw_cell(
    axes: Axes, layout: Layout, layer: int, level: int, shares: np.ndarray, kept: float, opacity: float = 1.0
) -> None:
    """The cell at (layer, level): a box split from left to right by ``shares`` [K], as high as the share of its
    channels that is ``kept``; without any, a bar for its residual path."""
    x, y, width = layout.x(layer + 1), layout.y(level), layout.BOX_WIDTH
    if not kept:
        axes.add_patch(Rectangle((x - width / 2, y - 0.02), width, 0.04, color=MUTED, linewidth=0, zorder=3.5))
        return
    height = layout.BOX_HEIGHT * max(kept, 0.2)
    outline = box(axes, x, y, width, height, facecolor="white", edgecolor="none")
    left = x - width / 2
    for k, share in enumerate(shares):
        part = Rectangle((left, y - height / 2), share * width, height, color=CYCLE[k % len(CYCLE)], linewidth=0)
        part.set(alpha=opacity, zorder=3.5, clip_path=outline)
        axes.add_patch(part)
        left += share * width


def _draw_words(
    axes: Axes,
    layout: Layout,
    beta: np.ndarray,
    alpha: np.ndarray,
    title: str,
    choices: Mapping[str, torch.Tensor],
    beside: str,
) -> None:
    headline(axes, 0.25, 0.3, title or "Learned architecture")
    edges = normalized_entropy(torch.from_numpy(beta), choices["beta"]).item()
    operations = normalized_entropy(torch.from_numpy(alpha), choices["alpha"]).item()
    subtitle = f"Entropy (1 = uniform, 0 = one-hot):   edges {edges:.3f}   operations {operations:.3f}   {beside}"
    axes.text(0.25, 0.6, subtitle, color=MUTED, va="center", fontsize=10)
    name_rows_and_columns(axes, layout)


def name_rows_and_columns(axes: Axes, layout: Layout) -> None:
    """Strides at the left, layers above."""
    header = layout.top - 0.36
    for level, stride in enumerate(STRIDES):
        axes.text(layout.x(-1) - 0.28, layout.y(level), f"stride {stride}", color=MUTED, ha="right", va="center")
    axes.text(layout.x(0), header, "stems", color=MUTED, ha="center", va="center")
    for layer in range(1, layout.num_layers + 1):
        word = f"layer {layer}" if layer == 1 else str(layer)
        axes.text(layout.x(layer), header, word, color=MUTED, ha="center", va="center")


def legible(name: str) -> str:
    """An operation as a legend has it: sizes with a cross.

    >>> legible("3x3"), legible("dil_conv_3x3")
    ('3×3', 'dil_conv_3x3')
    """
    return name.replace("x", "×") if name.replace("x", "").isdigit() else name


def _step(label: str) -> float:
    """Inches that an operation takes in a legend."""
    return max(0.75, 0.48 + 0.085 * len(label))


def legend_width(labels: Sequence[str], rest: float) -> float:
    """Inches that a legend takes, of operations and, behind them, of so many inches more."""
    return 0.5 + sum(map(_step, labels)) + rest


def draw_operations(axes: Axes, y: float, labels: Sequence[str]) -> float:
    """Which operation has which colour, in a row at height ``y``; where the row goes on."""
    x = 0.25
    for k, label in enumerate(labels):
        box(axes, x + 0.1, y, 0.2, 0.2, facecolor=CYCLE[k % len(CYCLE)], edgecolor="none")
        axes.text(x + 0.29, y, label, va="center", color=MUTED)
        x += _step(label)
    return x + 0.25


WEIGHTS_LEGEND = 5.4
"""Inches of what line widths mean."""


def _draw_legend(axes: Axes, layout: Layout, labels: Sequence[str]) -> None:
    """What colours and line widths mean, in a row below the grid."""
    y = layout.y(3) + 0.66
    x = draw_operations(axes, y, labels)
    axes.text(x, y, "weight of one of a cell's n edges:", va="center", color=MUTED)
    x += 2.4
    for number, word in ((0.0, "0"), (0.5, "1/n (uniform)"), (1.0, "1")):
        axes.add_collection(_lines([Path([(x, y), (x + 0.35, y)])], [number]), autolim=False)
        axes.text(x + 0.43, y, word, va="center", color=MUTED)
        x += 0.65 + 0.07 * len(word)
