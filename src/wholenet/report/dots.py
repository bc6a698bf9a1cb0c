"""The picture of what DOTS ranks: the pairs of edges into each node, by strength."""

from __future__ import annotations

from pathlib import Path

from wholenet.architecture import Weights
from wholenet.report.style import BLUE, MUTED, saved_figure
from wholenet.spaces.cell_tables import INPUTS, NODES, TYPES
from wholenet.spaces.dots.pairs import pairs

HEADINGS = {"normal": "Normal cell", "reduce": "Reduction cell"}
INPUT_NAMES = ("$c_{k-2}$", "$c_{k-1}$")


def name_of(source: int) -> str:
    """What the picture of the cells calls a node that an edge comes from."""
    return INPUT_NAMES[source] if source < INPUTS else str(source - INPUTS)


def ranked(weights: Weights, kind: str, node: int) -> list[tuple[float, str]]:
    """The pairs of edges into one of a cell's own nodes, the strongest first: weight, and where its edges come from."""
    names = [f"{name_of(first)}, {name_of(second)}" for first, second in pairs(INPUTS + node)]
    row = weights[kind][node, : len(names)].tolist()
    return sorted(zip(row, names, strict=True), key=lambda pair: -pair[0])


def draw_pairs(path: str | Path, weights: Weights) -> None:
    """Draw a bar for each pair, node by node, the one that stays in colour. The first node has one pair alone.

    Args:
        path: the picture; its suffix says the format.
        weights: for "normal" and "reduce" those of the pairs, [4, 10].
    """
    with saved_figure(path, 9.6, 6.6) as figure:
        grid = figure.subplots(len(TYPES), NODES - 1)
        for axes, kind in zip(grid, TYPES, strict=True):
            for axis, node in zip(axes, range(1, NODES), strict=True):
                bars = ranked(weights, kind, node)
                places = range(len(bars))
                colors = [BLUE if place == 0 else MUTED for place in places]
                axis.barh(places, [weight for weight, _ in bars], color=colors, height=0.7)
                axis.set_yticks(places, [name for _, name in bars], parse_math=True)
                axis.set_ylim(len(bars) - 0.4, -0.6)
                axis.set_xlim(0, 1)
                axis.set_title(f"{HEADINGS[kind]}, node {node}", loc="left", fontsize=10.5)
        figure.supxlabel("weight of a pair of edges into the node", fontsize=10)
        figure.tight_layout()
