"""The picture of a recurrent cell: its nodes in a row, and of each the arrow from its predecessor."""

from __future__ import annotations

from pathlib import Path

import torch
from matplotlib.axes import Axes
from matplotlib.patches import Circle, FancyArrowPatch

from wholenet.report.style import BLUE, GREEN, INK, MUTED, ORANGE, VERMILION, bare_axes, headline, saved_figure
from wholenet.spaces.recurrent.genotype import (
    OPERATIONS,
    FusedGenotype,
    RecurrentGenotype,
    decode,
    genotype_from_dict,
    rows,
)
from wholenet.spaces.supernet import Supernet

COLORS = {"tanh": BLUE, "relu": VERMILION, "sigmoid": GREEN, "identity": ORANGE}
STEP, RADIUS = 1.05, 0.2
"""Inches from node to node, and of a node."""
HIGHEST = 1.8
"""Inches above the nodes that an arrow rises to, at most."""


def draw_recurrent(file: Path, model: Supernet, title: str) -> None:
    """Draw the cell of a network: of a supernet the one that decoding finds, with the weight of each choice; of torch's
    layers, which have no cell, nothing.

    Args:
        file: the picture; its suffix says the format.
        model: of the space "recurrent".
        title: a headline.
    """
    weights: list[float] = []
    if model.spec.genotype is None:
        with torch.no_grad():
            alpha = model.arch()["alpha"].cpu()
        genotype = decode({"alpha": alpha})
        places = zip(rows(len(genotype.cell)), genotype.cell, strict=True)
        weights = [float(alpha[into.start + source, OPERATIONS.index(name)]) for into, (name, source) in places]
        entropy = next(iter(model.arch.normalized_entropies().values()))
        said = f"The cell that decoding finds, with the weights of its choices (1/5 is uniform). Entropy {entropy:.3f}"
    else:
        genotype = genotype_from_dict(model.spec.genotype)
        said = "A discrete cell"
    if isinstance(genotype, FusedGenotype):
        return
    width, height = max(7.4, 2.6 + STEP * (len(genotype.cell) + 1)), 4.6
    with saved_figure(file, width, height) as figure:
        axes = bare_axes(figure, 0.0, 0.0, width, height)
        axes.set_xlim(0, width)
        axes.set_ylim(height, 0)
        headline(axes, 0.25, 0.3, title)
        axes.text(0.25, 0.6, said, color=MUTED, va="center")
        _draw_cell(axes, genotype, weights, height)


def _draw_cell(axes: Axes, genotype: RecurrentGenotype, weights: list[float], height: float) -> None:
    y, left = height - 1.75, 1.5

    def at(node: int) -> float:
        return left + STEP * node

    axes.text(0.25, y - 0.16, "word", va="center")
    axes.text(0.25, y + 0.16, "state", va="center")
    for shift in (-0.16, 0.16):
        _arrow(axes, (0.75, y + shift), (at(0) - RADIUS, y + shift / 3), INK, 0.0)
    for node, (name, source) in enumerate(genotype.cell, 1):
        far = node - source
        bend = 0.0 if far == 1 else min(0.55 * (1 if source % 2 else 0.85), 2 * HIGHEST / (far * STEP))
        start, end = (at(source), y - RADIUS), (at(node), y - RADIUS)
        if far == 1:
            start, end = (at(source) + RADIUS, y), (at(node) - RADIUS, y)
        _arrow(axes, start, end, COLORS[name], -bend)
        words = f"{name} {weights[node - 1]:.2f}" if weights else name
        # Labels stand under their node, where no arrow is.
        axes.text(at(node), y + 0.42, words, color=COLORS[name], ha="center", va="center", fontsize=8.5)
        axes.text(at(node), y + 0.62, f"from {source}", color=MUTED, ha="center", va="center", fontsize=8)
    for node in range(len(genotype.cell) + 1):
        on = node in genotype.output
        edge = INK if on else "#B8C1CC"
        axes.add_patch(Circle((at(node), y), RADIUS, facecolor="white", edgecolor=edge, linewidth=1.4, zorder=3))
        axes.text(at(node), y, str(node), ha="center", va="center", zorder=4)
    axes.text(
        0.25,
        height - 0.55,
        f"Next state: the mean of nodes {', '.join(map(str, genotype.output))}. Node 0 joins word and state (tanh).",
        color=MUTED,
        va="center",
    )
    x = 0.25
    for name, color in COLORS.items():
        axes.plot((x, x + 0.35), (height - 0.25,) * 2, color=color)
        axes.text(x + 0.43, height - 0.25, name, color=MUTED, va="center")
        x += 1.25


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], color: str, bend: float) -> None:
    look = {"arrowstyle": "-|>,head_length=5,head_width=2.5", "mutation_scale": 1, "linewidth": 1.8, "color": color}
    axes.add_patch(FancyArrowPatch(start, end, connectionstyle=f"arc3,rad={bend}", zorder=2, **look))
