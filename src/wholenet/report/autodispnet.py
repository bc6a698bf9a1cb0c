"""The picture of AutoDispNet's cells: of each of the three, which operation leads from which node to which.

Arrows have lanes, as in the picture of DARTS' cells (``report/cells.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from matplotlib.axes import Axes

from wholenet.report.cells import Arrow, draw_arrow, draw_box, draw_join, draw_legend, kind_of, sheet
from wholenet.report.style import MUTED, saved_figure
from wholenet.spaces.autodispnet.genotype import INPUTS, KINDS, NODES, DisparityGenotype, genotype_from_dict
from wholenet.spaces.catalog import SPACES
from wholenet.spaces.supernet import Supernet

HEADINGS = {
    "normal": "Normal cell",
    "reduce": "Reduction cell (stride 2 from both inputs)",
    "upsample": "Upsampling cell (both cells before are enlarged first)",
}
INPUT_NAMES = ("$c_{k-2}$", "$c_{k-1}$", "disparity", "encoder")


def draw_disparity_cells(file: Path, model: Supernet, title: str) -> None:
    """Draw the cells of a network: of a supernet those that decoding finds.

    Args:
        file: the picture; its suffix says the format.
        model: of the space "autodispnet".
        title: a headline.
    """
    if model.spec.genotype is not None:
        draw_genotype(file, genotype_from_dict(model.spec.genotype), title)
        return
    space = SPACES[model.spec.space]
    with torch.no_grad():
        weights = {name: found.cpu() for name, found in model.arch().items()}
    entropies = [f"{name} {entropy:.3f}" for name, entropy in model.arch.normalized_entropies().items()]
    said = f"The cells that decoding finds. Entropy (1 is uniform): {', '.join(entropies)}"
    draw_genotype(file, space.decode(weights, None, 0.0, space.settings_of(model.spec.settings)), title, said)


def draw_genotype(file: Path, genotype: DisparityGenotype, title: str = "", said: str = "") -> None:
    """Draw the three cells one above the other, each from left to right.

    Args:
        file: the picture; its suffix says the format.
        genotype: the cells.
        title: a headline, optional.
        said: a line below it, optional.
    """
    cells = {kind: arrows(kind, getattr(genotype, kind)) for kind in KINDS}
    every = [arrow for some in cells.values() for arrow in some]
    longest = max(len(arrow.operation) for arrow in every)
    layouts = {kind: _Layout(kind, max(arrow.lanes for arrow in drawn), longest) for kind, drawn in cells.items()}
    whole = layouts["upsample"]
    above = 0.35 + 0.3 * bool(title) + 0.3 * bool(said)
    whole.height_in = above + sum(layout.height_in for layout in layouts.values()) + 0.35
    with saved_figure(file, whole.width_in, whole.height_in) as figure:
        axes = sheet(figure, whole, title)
        if said:
            axes.text(whole.MARGIN, above - 0.32, said, color=MUTED, va="center")
        for kind, drawn in cells.items():
            _draw_cell(axes, layouts[kind], above, drawn)
            above += layouts[kind].cell_in
        draw_legend(axes, whole, {kind_of(arrow.operation) for arrow in every})


def arrows(kind: str, cell: Sequence[Sequence[tuple[str, int]]]) -> list[Arrow]:
    """The operations of a cell. Of those into one node, that from the latest own node has the uppermost lane, since its
    source stands lowest; the inputs follow from top to bottom."""
    inputs, found = INPUTS[kind], []
    for target, choices in enumerate(cell, start=inputs):
        own = sorted((c for c in choices if c[1] >= inputs), key=lambda choice: -choice[1])
        given = sorted((c for c in choices if c[1] < inputs), key=lambda choice: choice[1])
        found += [Arrow(*choice, target, lane, len(choices)) for lane, choice in enumerate([*own, *given])]
    return found


class _Layout:
    """Where things of one cell are, in inches: inputs above each other, three nodes on a staircase, the output."""

    MARGIN = 0.3
    NODE = 0.42
    INPUT_WIDTH = 0.85
    LANE = 0.24
    BEND = 0.75
    HEADING = 0.29

    def __init__(self, kind: str, lanes: int, longest: int) -> None:
        self.kind, self.inputs = kind, INPUTS[kind]
        self.node_height = max(self.NODE, lanes * self.LANE - 0.04)
        self.step = self.node_height + 0.2
        self.label_in = 0.078 * longest + 0.1
        self.gap = self.BEND + self.label_in + 0.3
        self.width_in = self.output + self.NODE + self.MARGIN
        self.cell_in = self.HEADING + NODES * self.step + 0.34
        self.height_in = self.cell_in
        """Of the cell; of the layout that the sheet has, of that."""

    def left(self, node: int) -> float:
        """Left side of one of the cell's own nodes."""
        own = node - self.inputs
        return self.MARGIN + self.INPUT_WIDTH + self.gap * (own + 1) + self.NODE * own

    def right(self, node: int) -> float:
        """Right side of a node, where its arrows begin."""
        return self.MARGIN + self.INPUT_WIDTH if node < self.inputs else self.left(node) + self.NODE

    @property
    def output(self) -> float:
        """Left side of the output; no labels are before it."""
        return self.right(self.inputs + NODES - 1) + 0.6

    def row(self, node: int) -> float:
        """Middle of a node, below the middle of the first row; the inputs share the height of all rows."""
        if node >= self.inputs:
            return self.step * (node - self.inputs)
        return self.step * (NODES * (node + 0.5) / self.inputs - 0.5)

    def lane(self, arrow: Arrow) -> float:
        """Height at which an arrow arrives."""
        return self.row(arrow.target) + self.LANE * (arrow.lane - (arrow.lanes - 1) / 2)


def _draw_cell(axes: Axes, layout: _Layout, top: float, drawn: Sequence[Arrow]) -> None:
    axes.text(layout.MARGIN, top, HEADINGS[layout.kind], weight="bold", fontsize=11, va="center")
    first = top + layout.HEADING + layout.node_height / 2
    for arrow in drawn:
        draw_arrow(axes, layout, first, arrow)
    height = NODES * layout.step / layout.inputs - 0.2
    for node in range(layout.inputs):
        draw_box(axes, layout.MARGIN, first + layout.row(node), layout.INPUT_WIDTH, height, INPUT_NAMES[node])
    for node in range(layout.inputs, layout.inputs + NODES):
        y = first + layout.row(node)
        draw_box(axes, layout.left(node), y, layout.NODE, layout.node_height, str(node - layout.inputs))
        draw_join(axes, layout.right(node), layout.output, y)
    rows = (NODES - 1) * layout.step
    draw_box(axes, layout.output, first + rows / 2, layout.NODE, rows + layout.node_height, "$c_{k}$")
