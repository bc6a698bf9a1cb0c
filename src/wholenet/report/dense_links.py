"""The picture of a dense grid: the links that decoding keeps among its cells, and how strong every link is, as a table.

Letters: L layers, K operations, S slots; level i = 0..3 stands for stride 4 * 2**i.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path as FilePath

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path
from torch import Tensor

from wholenet.report.architecture import (
    Layout,
    draw_cell,
    draw_frame,
    draw_operations,
    legend_width,
    legible,
    name_rows_and_columns,
)
from wholenet.report.style import BLUE, INK, MUTED, VERMILION, bare_axes, headline, saved_figure
from wholenet.spaces.catalog import SPACES
from wholenet.spaces.dense_genotype import DenseGenotype, Place, dense_genotype_from_dict
from wholenet.spaces.grid import Grid
from wholenet.spaces.links import LEVELS
from wholenet.spaces.sizes import operation_label
from wholenet.spaces.supernet import Supernet

TAU = 0.5
"""Threshold of the links that are shown as kept: that of a run where none is given."""
PALE = 0.25
"""Opacity of cells that decoding leaves out."""
LEFT, BESIDE = 1.3, 0.75
"""Inches on the left of the table, and between the two parts."""


def draw_dense_links(file: FilePath, model: Supernet, title: str, left: np.ndarray | None = None) -> None:
    """Draw the cells, each split by the weights of its operations, with the links that decoding by threshold keeps, and
    pale those that it leaves out; below a table of all links, a row per cell and a column per place that it may read,
    the darker the stronger, those that are kept framed. Of a discrete network, and of what a budget left, what is
    there.

    Args:
        file: the picture; its suffix says the format.
        model: of the space "dense-grid".
        title: a headline.
        left: [L, 4] share of each cell's channels that is left, as :func:`draw_architecture` takes it.
    """
    net = model.net
    assert isinstance(net, Grid)
    space = SPACES[model.spec.space]
    with torch.no_grad():
        weights = {name: w.cpu() for name, w in model.arch().items()}
    if model.spec.subnet is not None:
        kept = _left(net, weights["beta"])
    else:
        found: DenseGenotype = (
            space.decode(weights, "threshold", TAU, space.settings_of(model.spec.settings))
            if model.spec.genotype is None
            else dense_genotype_from_dict(model.spec.genotype)
        )
        kept = {cell.at: cell.inputs for cell in found.cells}
    strengths = relative_strengths(net, weights["beta"].numpy())
    whole = model.spec.genotype is None and model.spec.subnet is None
    words = f"{'links that decoding by threshold keeps' if whole else 'its links'}, the thicker the stronger"
    labels = [legible(operation_label(name)) for name in net.operations]
    layout = Layout(net.layers, at_least=legend_width(labels, 0.55 + 0.066 * len(words)))
    side = min(0.21, 8.0 / (LEVELS * net.layers))
    table = LEVELS * net.layers * side
    width = max(layout.width_in, LEFT + table + 0.4)
    top = layout.height_in + BESIDE
    height = top + table + 0.5
    with saved_figure(file, width, height) as figure:
        axes = bare_axes(figure, 0.0, 0.0, width, height)
        axes.set_xlim(0, width)
        axes.set_ylim(height, 0)
        _draw_words(axes, layout, model, title)
        draw_frame(axes, layout, {source[1] for inputs in kept.values() for source in inputs if source[0] == 0})
        _draw_kept(axes, layout, kept)
        alpha = weights["alpha"].numpy()
        for layer in range(net.layers):
            for level in range(LEVELS):
                if f"{layer}_{level}" in net.cells:
                    opacity = 1.0 if (layer + 1, level) in kept else PALE
                    share = 1.0 if left is None else left[layer, level]
                    draw_cell(axes, layout, layer, level, alpha[layer, level], share, opacity)
        _draw_legend(axes, layout, labels, words)
        _draw_table(axes, strengths, kept, (LEFT, top), side, net.layers)


def _left(net: Grid, beta: Tensor) -> dict[Place, dict[Place, float]]:
    """The links that are left into each cell, and their weights."""
    return {
        (layer + 1, level): {
            (layer + 1 - edge.back, edge.source): float(beta[layer, level, edge.slot]) for edge in edges
        }
        for layer, row in enumerate(net.edges)
        for level, edges in enumerate(row)
        if edges
    }


def relative_strengths(net: Grid, beta: np.ndarray) -> dict[tuple[Place, Place], float]:
    """The weight of every link times the number of links into its cell, so that 1 is an even choice: by (cell, source),
    layers from 1, and 0 for the stems."""
    return {
        ((layer + 1, level), (layer + 1 - edge.back, edge.source)): len(edges) * float(beta[layer, level, edge.slot])
        for layer, row in enumerate(net.edges)
        for level, edges in enumerate(row)
        for edge in edges
    }


def _draw_words(axes: Axes, layout: Layout, model: Supernet, title: str) -> None:
    headline(axes, 0.25, 0.3, title)
    said = "A discrete network"
    if model.spec.genotype is None:
        entropies = model.arch.normalized_entropies()
        said = (
            f"Entropy (1 = uniform, 0 = one-hot):   links {entropies['beta']:.3f}   operations {entropies['alpha']:.3f}"
        )
    axes.text(0.25, 0.6, said, color=MUTED, va="center", fontsize=10)
    name_rows_and_columns(axes, layout)


def _draw_kept(axes: Axes, layout: Layout, kept: Mapping[Place, Mapping[Place, float]]) -> None:
    for (layer, level), inputs in kept.items():
        for (before, source), weight in inputs.items():
            start = layout.x(before) + layout.BOX_WIDTH / 2, layout.y(source)
            end = layout.x(layer) - layout.BOX_WIDTH / 2, layout.y(level)
            look = {"edgecolor": to_rgba(VERMILION, 0.25 + 0.65 * weight), "linewidth": 0.6 + 2.4 * weight}
            axes.add_patch(PathPatch(_link(start, end, layer - before, layout.ROW), fill=False, zorder=2, **look))


def _link(start: tuple[float, float], end: tuple[float, float], back: int, row: float) -> Path:
    """A curve that leaves and arrives horizontally; of one that skips layers it passes between two rows of cells."""
    (x0, y0), (x1, y1) = start, end
    middle = (x0 + x1) / 2
    if back == 1:
        return Path([start, (middle, y0), (middle, y1), end], [Path.MOVETO, *[Path.CURVE4] * 3])
    turn = min(0.25, (x1 - x0) / 4)
    between = min(y0, y1) + row / 2
    points = [start, (x0 + turn, y0), (x0 + turn / 2, between), (x0 + 2 * turn, between)]
    points += [(x1 - 2 * turn, between), (x1 - turn / 2, between), (x1 - turn, y1), end]
    return Path(points, [Path.MOVETO, *[Path.CURVE4] * 3, Path.LINETO, *[Path.CURVE4] * 3])


def _draw_legend(axes: Axes, layout: Layout, labels: Sequence[str], words: str) -> None:
    y = layout.y(LEVELS - 1) + 0.66
    x = draw_operations(axes, y, labels)
    axes.plot((x, x + 0.35), (y, y), color=VERMILION, linewidth=2)
    axes.text(x + 0.43, y, words, va="center", color=MUTED)


def _draw_table(
    axes: Axes,
    strengths: Mapping[tuple[Place, Place], float],
    kept: Mapping[Place, Mapping[Place, float]],
    corner: tuple[float, float],
    side: float,
    layers: int,
) -> None:
    left, top = corner
    strongest = max((2.0, *strengths.values()))
    words = f"All links, rows read columns: weight times their number (1 = an even choice, darkest {strongest:.2f})"
    axes.text(0.25, top - 0.52, words, weight="bold", va="center")
    for (cell, source), strong in strengths.items():
        x, y = (left + (LEVELS * place[0] + place[1]) * side for place in (source, cell))
        y += top - left - LEVELS * side
        shade = to_rgba(BLUE, 0.05 + 0.9 * strong / strongest)
        axes.add_patch(Rectangle((x, y), 0.92 * side, 0.92 * side, facecolor=shade, edgecolor="none", zorder=2))
        if source in kept.get(cell, {}):
            frame = {"fill": False, "edgecolor": VERMILION, "linewidth": 1.0, "zorder": 3}
            axes.add_patch(Rectangle((x, y), 0.92 * side, 0.92 * side, **frame))
    size = LEVELS * side
    for layer in range(layers):
        word = "stems" if layer == 0 else f"layer {layer}"
        axes.text(left + (layer + 0.5) * size, top - 0.14, word, color=MUTED, ha="center", va="center", fontsize=8)
        word = f"layer {layer + 1}"
        axes.text(left - 0.12, top + (layer + 0.5) * size, word, color=MUTED, ha="right", va="center", fontsize=8)
        for y in (top + layer * size, top + (layer + 1) * size):
            axes.plot((left, left + layers * size), (y, y), color=INK, linewidth=0.3, zorder=1)
    within = "within a layer: strides 4, 8, 16, 32"
    axes.text(left, top + layers * size + 0.2, within, color=MUTED, va="center", fontsize=8)
