"""The picture of Auto-DeepLab's architecture: the trellis, what each move weighs, the most probable path, and the cell.

Letters: L layers, E edges of a cell, O operations.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import pairwise
from pathlib import Path as FilePath

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.patches import FancyBboxPatch, PathPatch, Rectangle
from matplotlib.path import Path

from wholenet.report.architecture import FIXED, edge_opacity, edge_width_pt, strength
from wholenet.report.style import BLUE, INK, MUTED, VERMILION, bare_axes, headline, saved_figure
from wholenet.spaces.autodeeplab.genotype import OPERATIONS, PathGenotype, edges, genotype_from_dict, name_of
from wholenet.spaces.autodeeplab.trellis import LEVELS, STRIDES, Move, all_moves, levels, unpacked
from wholenet.spaces.catalog import SPACES
from wholenet.spaces.supernet import Supernet

ROW, BOX = 0.72, 0.26
"""Inches from one level to the next, and side of a node."""
TOP, LEFT = 1.4, 1.5
CELL = 0.26
"""Inches of a field of the cell's table."""
LEGEND = 8.1
"""Inches of what colours and line widths mean."""
EVEN = 2.0
"""Of an even choice, the least that the darkest field has: a search that decided nothing is not dark."""
PATH_PT, MIN_PATH_PT = 3.0, 1.6


def draw_trellis(file: FilePath, model: Supernet, title: str) -> None:
    """Draw a supernet: a box per node, a curve per move, the thicker the stronger, with the path that decoding finds;
    and the weights of all operations on all edges of the cell, those that decoding keeps framed. Of a discrete network
    the path and the cell alone.

    Args:
        file: the picture; its suffix says the format.
        model: of the space "autodeeplab".
        title: a headline.
    """
    space = SPACES[model.spec.space]
    settings = space.settings_of(model.spec.settings)
    with torch.no_grad():
        weights = {name: w.cpu() for name, w in model.arch().items()}
    if model.spec.genotype is not None:
        genotype: PathGenotype = genotype_from_dict(model.spec.genotype)
        moves, alpha, entropies = [], _of_genotype(genotype), {}
    else:
        genotype = space.decode(weights, None, 0.0, settings)
        beta = unpacked(weights["beta"], settings.shape.layers, settings.transitions)
        # Of moves and operations that are gone weights are zero.
        moves = [pair for pair in _weighed(beta.numpy(), settings.transitions) if pair[1]]
        alpha, entropies = weights["alpha"].numpy(), model.arch.normalized_entropies()
    layers, blocks = len(genotype.path), len(genotype.cell)
    column = min(max(9.0 / (layers + 2), 0.62), 1.2)
    width = max(LEFT + (layers + 1.6) * column, 2.3 + CELL * len(edges(blocks)) + 0.5, LEGEND)
    table = TOP + 3 * ROW + 1.25
    with saved_figure(file, width, table + CELL * len(OPERATIONS) + 0.75) as figure:
        axes = bare_axes(figure, 0.0, 0.0, *figure.get_size_inches())
        axes.set_xlim(0, width)
        axes.set_ylim(table + CELL * len(OPERATIONS) + 0.75, 0)
        headline(axes, 0.25, 0.3, title)
        said = "   ".join(f"{name} {value:.3f}" for name, value in entropies.items())
        said = f"Entropy (1 = uniform, 0 = one-hot):   {said}" if said else "A discrete network"
        axes.text(0.25, 0.6, said, color=MUTED, va="center", fontsize=10)
        _draw_moves(axes, moves, genotype.path, column)
        _draw_nodes(axes, genotype.path, column, {(move.layer, move.target) for move, _ in moves})
        _draw_cell(axes, table, alpha, genotype)


def _weighed(beta: np.ndarray, transitions: str) -> list[tuple[Move, float]]:
    """All moves with their strengths in [0, 1]: 1/2 is an even choice, however many there are to choose from."""
    found = []
    for move in all_moves(len(beta)):
        place = move.place(transitions)  # pyright: ignore[reportArgumentType]
        rivals = sum(other.place(transitions)[:2] == place[:2] for other in all_moves(len(beta)))  # pyright: ignore[reportArgumentType]
        weight = float(beta[place])
        found.append((move, weight if rivals == 1 else strength(weight, rivals)))
    return found


def _of_genotype(genotype: PathGenotype) -> np.ndarray:
    """[E, O], one where the genotype has an operation."""
    alpha = np.zeros((len(edges(len(genotype.cell))), len(OPERATIONS)))
    rows = {edge: row for row, edge in enumerate(edges(len(genotype.cell)))}
    for block, choices in enumerate(genotype.cell, 2):
        for i, name in choices:
            alpha[rows[i, block], OPERATIONS.index(name)] = 1
    return alpha


def _x(layer: int, column: float) -> float:
    return LEFT + layer * column


def _y(level: int) -> float:
    return TOP + level * ROW


def _curve(layer: int, source: int, target: int, column: float) -> Path:
    """From a node to one of the next layer, leaving and arriving horizontally."""
    start = _x(layer - 1, column) + BOX / 2, _y(source)
    end = _x(layer, column) - BOX / 2, _y(target)
    middle = (start[0] + end[0]) / 2
    return Path([start, (middle, start[1]), (middle, end[1]), end], [Path.MOVETO, *[Path.CURVE4] * 3])


def _draw_moves(axes: Axes, moves: Sequence[tuple[Move, float]], path: Sequence[int], column: float) -> None:
    for move, strong in sorted(moves, key=lambda pair: pair[1]):
        curve = _curve(move.layer, move.source, move.target, column)
        look = to_rgba(INK, edge_opacity(strong))
        axes.add_patch(PathPatch(curve, fill=False, edgecolor=look, linewidth=edge_width_pt(strong), zorder=2))
    strong = dict(moves)
    for layer, (source, target) in enumerate(pairwise((0, *path)), 1):
        curve, move = _curve(layer, source, target, column), Move(layer, source, target)
        # As wide as its strength says, but seen.
        width = max(edge_width_pt(strong[move]), MIN_PATH_PT) if moves else PATH_PT
        axes.add_patch(PathPatch(curve, fill=False, edgecolor=VERMILION, linewidth=width, zorder=2.5))


def _draw_nodes(axes: Axes, path: Sequence[int], column: float, there: Collection[tuple[int, int]]) -> None:
    """The nodes of the path, and those that are ``there`` beside it."""
    kept = {(layer, level) for layer, level in enumerate((0, *path))}
    for layer in range(len(path) + 1):
        for level in levels(layer):
            on = (layer, level) in kept
            if not on and (layer, level) not in there:
                continue
            look = {"facecolor": "white", "edgecolor": VERMILION if on else "#8A96A3", "linewidth": 1.8 if on else 1.0}
            corner = _x(layer, column) - BOX / 2, _y(level) - BOX / 2
            box = FancyBboxPatch(
                corner, BOX, BOX, boxstyle="round,pad=0,rounding_size=0.06", zorder=3, **(look if layer else FIXED)
            )
            axes.add_patch(box)
        word = "stem" if not layer else f"layer {layer}" if layer == 1 else str(layer)
        axes.text(_x(layer, column), TOP - 0.38, word, color=MUTED, ha="center", va="center")
    for level in range(LEVELS):
        axes.text(LEFT - 0.45, _y(level), f"stride {STRIDES[level]}", color=MUTED, ha="right", va="center")
    y, x = _y(LEVELS - 1) + 0.52, 0.25
    axes.plot((x, x + 0.35), (y, y), color=VERMILION, linewidth=PATH_PT)
    axes.text(x + 0.43, y, "the most probable path" if there else "the path", va="center", color=MUTED)
    if not there:
        return
    x += 2.4
    axes.text(x, y, "weight of one of a node's n moves:", va="center", color=MUTED)
    x += 2.5
    for number, word in ((0.0, "0"), (0.5, "1/n (uniform)"), (1.0, "1")):
        look = to_rgba(INK, edge_opacity(number))
        axes.plot((x, x + 0.35), (y, y), color=look, linewidth=edge_width_pt(number))
        axes.text(x + 0.43, y, word, va="center", color=MUTED)
        x += 0.65 + 0.07 * len(word)


def _draw_cell(axes: Axes, top: float, alpha: np.ndarray, genotype: PathGenotype) -> None:
    """A table: a column per edge, a row per operation, the darker the stronger; what decoding keeps is framed."""
    left = 2.0
    axes.text(0.25, top - 0.36, "The cell", weight="bold", va="center")
    for row, name in enumerate(OPERATIONS):
        axes.text(left - 0.1, top + (row + 0.5) * CELL, name, color=MUTED, ha="right", va="center")
    darkest = max(float(alpha.max()), EVEN / len(OPERATIONS))
    x = left
    bottom = top + len(OPERATIONS) * CELL
    for column, (i, block) in enumerate(edges(len(genotype.cell))):
        kept = dict(genotype.cell[block - 2]).get(i)
        for row, name in enumerate(OPERATIONS):
            shade = to_rgba(BLUE, 0.04 + 0.9 * float(alpha[column, row]) / darkest)
            corner = x, top + row * CELL
            axes.add_patch(Rectangle(corner, CELL - 0.02, CELL - 0.02, facecolor=shade, edgecolor="none"))
            if name == kept:
                frame = {"fill": False, "edgecolor": VERMILION, "linewidth": 1.8, "zorder": 4}
                axes.add_patch(Rectangle(corner, CELL - 0.02, CELL - 0.02, **frame))
        short = name_of(i).replace("block", "b")
        axes.text(x + CELL / 2, bottom + 0.12, short, color=MUTED, ha="center", va="center", fontsize=7)
        if i == 0:
            axes.text(x, bottom + 0.33, name_of(block), color=MUTED, va="center", fontsize=8)
        x += CELL + (0.14 if i == block - 1 else 0)
    for y, word, size in ((0.12, f"from (darkest: {darkest:.2f})", 7), (0.33, "into", 8)):
        axes.text(left - 0.1, bottom + y, word, color=MUTED, ha="right", va="center", fontsize=size)
