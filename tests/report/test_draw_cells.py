"""The picture of a cell pair: every operation has its own arrow and its own label, and nothing covers anything."""

from __future__ import annotations

import random
from itertools import combinations, pairwise
from pathlib import Path

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox
from PIL import Image

from wholenet.ops.candidates import CANDIDATES
from wholenet.report import cells as module
from wholenet.report.cells import arrows, draw_cells, kind_of

DARTS_V2 = {
    "normal": [
        [("sep_conv_3x3", 0), ("sep_conv_3x3", 1)],
        [("sep_conv_3x3", 0), ("sep_conv_3x3", 1)],
        [("sep_conv_3x3", 1), ("skip_connect", 0)],
        [("skip_connect", 0), ("dil_conv_3x3", 2)],
    ],
    "reduce": [
        [("max_pool_3x3", 0), ("max_pool_3x3", 1)],
        [("skip_connect", 2), ("max_pool_3x3", 1)],
        [("max_pool_3x3", 0), ("skip_connect", 2)],
        [("skip_connect", 2), ("max_pool_3x3", 1)],
    ],
}


def random_cell(seed: int, most: int = 2) -> list[list[tuple[str, int]]]:
    """One to ``most`` operations into each node, each from another source."""
    rng = random.Random(seed)
    return [
        [
            (rng.choice(list(CANDIDATES)), source)
            for source in rng.sample(range(2 + node), rng.randint(1, min(most, 2 + node)))
        ]
        for node in range(4)
    ]


def drawn(cell: list[list[tuple[str, int]]]) -> tuple[list[Bbox], list[Bbox]]:
    """Where the labels and the boxes of a drawn cell are, in pixels."""
    found = arrows(cell)
    layout = module._Layout(found, headline=True)
    figure = Figure(figsize=(layout.width_in, layout.height_in))
    canvas = FigureCanvasAgg(figure)
    axes = module.bare_axes(figure, 0, 0, layout.width_in, layout.height_in)
    axes.set_xlim(0, layout.width_in)
    axes.set_ylim(layout.height_in, 0)
    module._draw_cell(axes, layout, layout.top(0), "normal", found)
    renderer = canvas.get_renderer()
    names = {arrow.operation for arrow in found}
    labels = [text.get_window_extent(renderer) for text in axes.texts if text.get_text() in names]
    boxes = [p.get_window_extent(renderer) for p in axes.patches if isinstance(p, module.FancyBboxPatch)]
    return labels, boxes


@pytest.mark.parametrize("most", [2, 5])
def test_no_label_touches_another_or_a_node(most: int) -> None:
    for seed in range(5):
        cell = random_cell(seed, most)
        labels, boxes = drawn(cell)
        assert len(labels) == sum(len(choices) for choices in cell)
        assert len(boxes) == 2 + 4 + 1
        assert not [pair for pair in combinations(labels, 2) if Bbox.intersection(*pair)]
        assert not [(label, box) for label in labels for box in boxes if Bbox.intersection(label, box)]


def test_every_operation_has_its_own_lane() -> None:
    for seed in range(20):
        cell = random_cell(seed, most=5)
        found = arrows(cell)
        wanted = [(name, source, 2 + node) for node, choices in enumerate(cell) for name, source in choices]
        assert sorted((a.operation, a.source, a.target) for a in found) == sorted(wanted)
        layout = module._Layout(found, headline=False)
        heights = sorted(layout.lane(arrow) for arrow in found)
        assert all(b - a >= 0.2 for a, b in pairwise(heights))


def test_of_two_sources_the_later_own_node_comes_in_above_and_the_inputs_below() -> None:
    cell = [[("a", 1), ("b", 0)], [("a", 0), ("b", 2)], [("a", 2), ("b", 3)], [("a", 4)]]
    assert [arrow.source for arrow in arrows(cell)] == [0, 1, 2, 0, 3, 2, 4]


def test_every_known_operation_is_of_a_known_kind() -> None:
    assert {name: kind_of(name)[0] for name in CANDIDATES if kind_of(name)[0] == "other"} == {}
    assert kind_of("skip_connect") != kind_of("avg_pool_3x3") != kind_of("sep_conv_3x3") != kind_of("dil_conv_5x5")
    assert kind_of("none") == kind_of("noise")
    assert kind_of("my_operation")[0] == "other"


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_a_pair_of_cells_becomes_a_picture(tmp_path: Path, suffix: str) -> None:
    draw_cells(tmp_path / f"cells.{suffix}", DARTS_V2, title="$a_b$")
    if suffix == "png":
        with Image.open(tmp_path / "cells.png") as image:
            image.load()
            assert 1500 < image.width < 2200
            assert 900 < image.height < 1300


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"normal": []}, "the normal cell has 0 nodes; expected 4"),
        ({"normal": [("skip_connect", 0)] * 8}, "has 8 nodes; .* Group a flat list of eight by two"),
        ({"reduce": [*DARTS_V2["reduce"][:3], []]}, "node 3 of the reduce cell has no operation"),
        ({"reduce": [[("noise", 2)], *DARTS_V2["reduce"][1:]]}, "has noise from source 2; expected 0 to 1"),
        ({"normal": [[("noise", -1)], *DARTS_V2["normal"][1:]]}, "has noise from source -1; expected 0 to 1"),
    ],
)
def test_what_is_no_cell_is_refused(tmp_path: Path, change, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        draw_cells(tmp_path / "cells.png", DARTS_V2 | change)
    assert not list(tmp_path.iterdir())


def test_both_cells_are_needed(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the genotype has normal; expected normal and reduce"):
        draw_cells(tmp_path / "cells.png", {"normal": DARTS_V2["normal"]})
