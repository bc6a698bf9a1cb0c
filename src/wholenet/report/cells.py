"""The picture of a discrete DARTS cell pair: which operation leads from which node to which.

Every arrow has a lane of its own, a horizontal line into its target, and takes it right behind its source. Its label
sits on the lane's last stretch, in the gap before the target, where no other label and no bend can be: whatever the
cell, labels do not overlap.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from pathlib import Path as FilePath
from typing import NamedTuple, Protocol

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path

from wholenet.report.style import BLUE, GREEN, MUTED, ORANGE, PURPLE, SKY, VERMILION, bare_axes, headline, saved_figure
from wholenet.spaces.cell_tables import INPUTS, NODES, TYPES

Choice = tuple[str, int]
"""(operation, source): 0 and 1 are the cell's inputs, 2 to 5 its own nodes."""
Genotype = Mapping[str, Sequence[Sequence[Choice]]]
"""For "normal" and "reduce": the choices of each of the four nodes, two in DARTS."""

HEADINGS = {"normal": "Normal cell", "reduce": "Reduction cell (stride 2 from both inputs)"}
INPUT_NAMES = ("$c_{k-2}$", "$c_{k-1}$")
OUTPUT_NAME = "$c_{k}$"

KINDS = (
    ("skip", GREEN, ("skip",)),
    ("pooling", ORANGE, ("max_pool", "avg_pool")),
    ("separable conv", BLUE, ("sep_conv",)),
    ("dilated conv", PURPLE, ("dil_conv",)),
    ("noise or none", VERMILION, ("noise", "none")),
    ("convolution", SKY, ("conv", "nor_conv")),
    ("other", MUTED, ("",)),
)
"""Kinds of operation: name, colour, and how the names of its operations begin. The first that fits counts."""
JOIN = "#B8C1CC"
"""Colour of the arrows to the output, which carry no operation."""


class Arrow(NamedTuple):
    """One operation, with its place among those into its target: 0 is the uppermost of ``lanes``."""

    operation: str
    source: int
    target: int
    lane: int
    lanes: int


def kind_of(operation: str) -> tuple[str, str]:
    """What the legend calls an operation's kind, and its colour.

    >>> kind_of("sep_conv_5x5")[0]
    'separable conv'
    """
    return next((kind, color) for kind, color, prefixes in KINDS if operation.startswith(prefixes))


def arrows(cell: Sequence[Sequence[Choice]]) -> list[Arrow]:
    """The operations of a cell, with lanes such that two into the same target cross as little as possible.

    Nodes stand on a staircase that leads down. Of two own nodes the later one bends down last, and would cut through
    any lane above its own: it gets the upper one. The inputs come from the left, below both.
    """
    found = []
    for target, choices in enumerate(cell, start=INPUTS):
        nodes = sorted((c for c in choices if c[1] >= INPUTS), key=lambda choice: -choice[1])
        inputs = sorted((c for c in choices if c[1] < INPUTS), key=lambda choice: choice[1])
        found += [Arrow(*choice, target, lane, len(choices)) for lane, choice in enumerate([*nodes, *inputs])]
    return found


def draw_cells(path: str | FilePath, genotype: Genotype, title: str = "") -> None:
    """Draw the normal and the reduction cell, one above the other, from left to right.

    Args:
        path: the picture; its suffix says the format.
        genotype: "normal" and "reduce", each four nodes of one or more (operation, source): source 0 and 1 are the
            inputs c_{k-2} and c_{k-1}, 2 to 5 the cell's own nodes, which the picture calls 0 to 3.
        title: a headline, optional.

    Raises:
        ValueError: if a cell is missing, has not four nodes, or a node has no operation, or one that is not from a node
            before it.
    """
    for kind in TYPES:
        _check(genotype, kind)
    cells = {kind: arrows(genotype[kind]) for kind in TYPES}
    every = [arrow for some in cells.values() for arrow in some]
    layout = _Layout(every, headline=bool(title))
    with saved_figure(path, layout.width_in, layout.height_in) as figure:
        axes = sheet(figure, layout, title)
        for i, kind in enumerate(TYPES):
            _draw_cell(axes, layout, layout.top(i), kind, cells[kind])
        draw_legend(axes, layout, {kind_of(arrow.operation) for arrow in every})


def sheet(figure: Figure, layout: Layout, title: str) -> Axes:
    """All of ``figure``, in inches from its upper left corner, with its headline if there is one."""
    axes = bare_axes(figure, 0.0, 0.0, layout.width_in, layout.height_in)
    axes.set_xlim(0, layout.width_in)
    axes.set_ylim(layout.height_in, 0)
    if title:
        headline(axes, layout.MARGIN, 0.33, title)
    return axes


def _check(genotype: Genotype, kind: str) -> None:
    if kind not in genotype:
        raise ValueError(f"the genotype has {', '.join(genotype) or 'no cells'}; expected {' and '.join(TYPES)}")
    cell = genotype[kind]
    if len(cell) != NODES:
        raise ValueError(
            f"the {kind} cell has {len(cell)} nodes; expected {NODES}, each with its (operation, source) pairs. Group "
            "a flat list of eight by two"
        )
    for node, choices in enumerate(cell):
        if not choices:
            raise ValueError(f"node {node} of the {kind} cell has no operation; expected one or more")
        for operation, source in choices:
            if not 0 <= source < INPUTS + node:
                raise ValueError(
                    f"node {node} of the {kind} cell has {operation} from source {source}; expected 0 to "
                    f"{INPUTS + node - 1} (0 and 1 are the inputs, 2 is node 0)"
                )


class Layout(Protocol):
    """What arrows ask of where things are, all in inches."""

    MARGIN: float
    BEND: float
    """Part of a gap where arrows leave their source; labels are behind it."""
    label_in: float
    """Width of the longest label."""
    width_in: float
    height_in: float

    def left(self, node: int) -> float:
        """Left side of a node."""
        ...

    def right(self, node: int) -> float:
        """Right side of a node, where its arrows begin."""
        ...

    def row(self, node: int) -> float:
        """Middle of a node, below the middle of the first row."""
        ...

    def lane(self, arrow: Arrow) -> float:
        """Height at which an arrow arrives."""
        ...


class _Layout:
    """Where things are, in inches from the upper left corner: inputs, four nodes, output, with gaps between them."""

    MARGIN = 0.3
    NODE = 0.42
    """Side of a node's box, which is higher if lanes need it."""
    INPUT_WIDTH = 0.55
    LANE = 0.24
    """Between two lanes into one node; larger than a label is high."""
    BEND = 0.75
    """Part of a gap where arrows leave their source; labels are behind it."""
    HEADING = 0.29
    """From the middle of a cell's heading to its boxes."""

    def __init__(self, drawn: Sequence[Arrow], *, headline: bool) -> None:
        lanes = max(arrow.lanes for arrow in drawn)
        self.node_height = max(self.NODE, lanes * self.LANE - 0.04)
        self.step = self.node_height + 0.24
        self.label_in = 0.078 * max(len(arrow.operation) for arrow in drawn) + 0.1
        self.gap = self.BEND + self.label_in + 0.3
        self.above = 0.62 if headline else 0.2
        self.cell_in = self.HEADING + (NODES - 1) * self.step + self.node_height + 0.48
        self.width_in = self.output + self.NODE + self.MARGIN
        self.height_in = self.above + len(TYPES) * self.cell_in + 0.35

    def top(self, cell: int) -> float:
        """Where a cell of the picture begins."""
        return self.above + 0.15 + cell * self.cell_in

    def left(self, node: int) -> float:
        """Left side of one of the cell's own nodes, 2 to 5."""
        return self.MARGIN + self.INPUT_WIDTH + self.gap * (node - INPUTS + 1) + self.NODE * (node - INPUTS)

    def right(self, node: int) -> float:
        """Right side of a node, where its arrows begin; the inputs are 0 and 1."""
        return self.MARGIN + self.INPUT_WIDTH if node < INPUTS else self.left(node) + self.NODE

    @property
    def output(self) -> float:
        """Left side of the output; no labels are before it."""
        return self.right(INPUTS + NODES - 1) + 0.6

    def row(self, node: int) -> float:
        """Middle of a node, below the middle of the first row; the inputs are beside rows 0 to 1, and 2 to 3."""
        return self.step * (0.5 + 2 * node if node < INPUTS else node - INPUTS)

    def lane(self, arrow: Arrow) -> float:
        """Height at which an arrow arrives."""
        return self.row(arrow.target) + self.LANE * (arrow.lane - (arrow.lanes - 1) / 2)


def _draw_cell(axes: Axes, layout: _Layout, top: float, kind: str, drawn: Sequence[Arrow]) -> None:
    axes.text(layout.MARGIN, top, HEADINGS[kind], weight="bold", fontsize=11, va="center")
    first = top + layout.HEADING + layout.node_height / 2
    for arrow in drawn:
        draw_arrow(axes, layout, first, arrow)
    rows = (NODES - 1) * layout.step
    for node, name in enumerate(INPUT_NAMES):
        draw_box(
            axes, layout.MARGIN, first + layout.row(node), layout.INPUT_WIDTH, layout.step + layout.node_height, name
        )
    for node in range(INPUTS, INPUTS + NODES):
        y = first + layout.row(node)
        draw_box(axes, layout.left(node), y, layout.NODE, layout.node_height, str(node - INPUTS))
        draw_join(axes, layout.right(node), layout.output, y)
    draw_box(axes, layout.output, first + rows / 2, layout.NODE, rows + layout.node_height, OUTPUT_NAME)


def draw_arrow(axes: Axes, layout: Layout, first: float, arrow: Arrow) -> None:
    """From its source's right side in a bend to its lane, along it to the target; the label is on its last stretch."""
    _, color = kind_of(arrow.operation)
    start, end = layout.right(arrow.source), layout.left(arrow.target)
    y0, y1 = first + layout.row(arrow.source), first + layout.lane(arrow)
    middle, bent = start + layout.BEND / 2, start + layout.BEND
    steps = [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4, Path.LINETO]
    _line(axes, Path([(start, y0), (middle, y0), (middle, y1), (bent, y1), (end, y1)], steps), color, 1.8, zorder=2)
    box = {"boxstyle": "square,pad=0.15", "facecolor": "white", "edgecolor": "none"}
    x = end - 0.24 - layout.label_in / 2
    axes.text(x, y1, arrow.operation, fontsize=8.5, ha="center", va="center", bbox=box, zorder=4)


def _line(axes: Axes, path: Path, color: str, width_pt: float, zorder: float) -> None:
    head = "-|>,head_length=5,head_width=2.5"
    axes.add_patch(
        FancyArrowPatch(path=path, arrowstyle=head, mutation_scale=1, color=color, linewidth=width_pt, zorder=zorder)
    )


def draw_join(axes: Axes, start: float, end: float, y: float) -> None:
    """From a node to the output, which has it beside the others."""
    _line(axes, Path([(start, y), (end, y)]), JOIN, 1.2, zorder=1)


def draw_box(axes: Axes, left: float, y: float, width: float, height: float, name: str) -> None:
    """A node: a rounded box with its name, ``y`` being its middle."""
    look = {"facecolor": "#F1F4F7", "edgecolor": "#B8C1CC", "linewidth": 1.0, "zorder": 3}
    shape = FancyBboxPatch((left, y - height / 2), width, height, boxstyle="round,pad=0,rounding_size=0.07", **look)
    axes.add_patch(shape)
    axes.text(left + width / 2, y, name, parse_math=True, fontsize=11, ha="center", va="center", zorder=4)


def draw_legend(axes: Axes, layout: Layout, present: Set[tuple[str, str]], *, joined: bool = True) -> None:
    """A row at the bottom, of the kinds that occur; their order is the same in every picture. ``joined``: with what
    leads to an output that is the nodes side by side."""
    entries = [(kind, color) for kind, color, _ in KINDS if (kind, color) in present]
    x, y = layout.MARGIN, layout.height_in - 0.3
    for word, color in [*entries, ("concatenated", JOIN)] if joined else entries:
        _line(axes, Path([(x, y), (x + 0.35, y)]), color, 1.8, zorder=2)
        axes.text(x + 0.43, y, word, color=MUTED, va="center")
        x += 0.7 + 0.078 * len(word)
