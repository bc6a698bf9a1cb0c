"""The picture of a recurrent cell has an arrow for each node, in the colour of its operation."""

from collections import Counter

import matplotlib.axes
import pytest
import torch
from matplotlib.colors import to_hex
from matplotlib.patches import Circle, FancyArrowPatch

from wholenet.report.recurrent import COLORS, draw_recurrent
from wholenet.spaces.catalog import create_model
from wholenet.spaces.recurrent.genotype import PUBLISHED, decode


@pytest.fixture
def drawn(monkeypatch):
    """All patches, and all texts, as they are drawn."""
    found, said = [], []
    add, write = matplotlib.axes.Axes.add_patch, matplotlib.axes.Axes.text
    monkeypatch.setattr(matplotlib.axes.Axes, "add_patch", lambda self, p: (found.append(p), add(self, p))[1])
    monkeypatch.setattr(
        matplotlib.axes.Axes, "text", lambda self, *a, **k: (said.append(a[2]), write(self, *a, **k))[1]
    )
    return found, said


@pytest.mark.parametrize("name", [None, "enas-rnn"])
def test_each_node_has_an_arrow_in_the_colour_of_its_operation(drawn, tmp_path, name):
    torch.manual_seed(0)
    model = create_model("recurrent", num_classes=3, units=2, genotype=PUBLISHED.get(name))
    draw_recurrent(tmp_path / "a.png", model, "a run")
    cell = PUBLISHED[name].cell if name else decode(model.arch()).cell
    patches, said = drawn
    assert len([p for p in patches if isinstance(p, Circle)]) == len(cell) + 1
    arrows = Counter(to_hex(p.get_edgecolor()).upper() for p in patches if isinstance(p, FancyArrowPatch))
    expected = Counter(COLORS[operation] for operation, _ in cell)
    assert {color: arrows[color] for color in expected} == expected
    assert [text for text in said if text.startswith("from ")] == [f"from {source}" for _, source in cell]
    assert (tmp_path / "a.png").stat().st_size > 5000


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_of_torchs_layers_which_have_no_cell_there_is_no_picture(name, tmp_path):
    draw_recurrent(tmp_path / "a.png", create_model("recurrent", num_classes=3, genotype=PUBLISHED[name]), "a run")
    assert not (tmp_path / "a.png").exists()
