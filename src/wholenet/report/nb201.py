"""The picture of a cell of NAS-Bench-201: four nodes on a staircase, and what leads from which to which.

Arrows have lanes, as in the picture of DARTS' cells (``report/cells.py``).
"""

from __future__ import annotations

from pathlib import Path

from wholenet.report.cells import Arrow, draw_arrow, draw_box, draw_legend, kind_of, sheet
from wholenet.report.style import MUTED, saved_figure
from wholenet.spaces.nb201.genotype import KIND, NODES, Nb201Genotype

NAMES = ("in", *(str(node) for node in range(1, NODES - 1)), "out")


def arrows(genotype: Nb201Genotype) -> list[Arrow]:
    """The operations of the cell; of those into one node, that from the latest node before it has the uppermost lane,
    since its source stands lowest and its arrow would cut through any lane above."""
    return [
        Arrow(edge.operations[0], edge.source, edge.target, edge.target - 1 - edge.source, edge.target)
        for edge in genotype.table()[KIND]
    ]


def draw_cell(path: str | Path, genotype: Nb201Genotype, title: str = "") -> None:
    """Draw the cell from left to right, ``none`` included, with its string below.

    Args:
        path: the picture; its suffix says the format.
        genotype: the cell.
        title: a headline, optional.
    """
    drawn = arrows(genotype)
    layout = _Layout(drawn, headline=bool(title))
    with saved_figure(path, layout.width_in, layout.height_in) as figure:
        axes = sheet(figure, layout, title)
        for arrow in drawn:
            draw_arrow(axes, layout, layout.first, arrow)
        for node, name in enumerate(NAMES):
            y = layout.first + layout.row(node)
            draw_box(axes, layout.left(node), y, layout.NODE, layout.node_height, name)
        below = layout.height_in - 0.68
        axes.text(layout.MARGIN, below, str(genotype), color=MUTED, fontsize=8.5, va="center", family="monospace")
        draw_legend(axes, layout, {kind_of(arrow.operation) for arrow in drawn}, joined=False)


class _Layout:
    """Where things are, in inches from the upper left corner."""

    MARGIN = 0.3
    NODE = 0.46
    """Width of a node's box."""
    LANE = 0.24
    """Between two lanes into one node; larger than a label is high."""
    BEND = 0.75

    def __init__(self, drawn: list[Arrow], *, headline: bool) -> None:
        self.node_height = (NODES - 1) * self.LANE
        self.step = self.node_height + 0.24
        self.label_in = 0.078 * max(len(arrow.operation) for arrow in drawn) + 0.1
        self.gap = self.BEND + self.label_in + 0.3
        self.first = (0.72 if headline else 0.3) + self.node_height / 2
        self.width_in = self.right(NODES - 1) + self.MARGIN
        self.height_in = self.first + self.row(NODES - 1) + self.node_height / 2 + 0.95

    def left(self, node: int) -> float:
        """Left side of a node."""
        return self.MARGIN + node * (self.NODE + self.gap)

    def right(self, node: int) -> float:
        """Right side of a node, where its arrows begin."""
        return self.left(node) + self.NODE

    def row(self, node: int) -> float:
        """Middle of a node, below the middle of the first row."""
        return self.step * node

    def lane(self, arrow: Arrow) -> float:
        """Height at which an arrow arrives."""
        return self.row(arrow.target) + self.LANE * (arrow.lane - (arrow.lanes - 1) / 2)
