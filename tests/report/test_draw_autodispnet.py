"""The picture of AutoDispNet's cells has an arrow for each operation, in the colour of its kind, into lanes that no two
share."""

from collections import Counter

import matplotlib.axes
import pytest
import torch
from matplotlib.colors import to_hex
from matplotlib.patches import FancyArrowPatch

from wholenet.report.autodispnet import arrows, draw_disparity_cells
from wholenet.report.cells import JOIN, kind_of
from wholenet.spaces.autodispnet.genotype import KINDS, PUBLISHED, random_cells
from wholenet.spaces.catalog import SPACES, create_model


@pytest.mark.parametrize("name", [None, "autodispnet"])
def test_each_operation_has_an_arrow_in_the_colour_of_its_kind(monkeypatch, tmp_path, name):
    found, said = [], []
    add, write = matplotlib.axes.Axes.add_patch, matplotlib.axes.Axes.text
    monkeypatch.setattr(matplotlib.axes.Axes, "add_patch", lambda self, p: (found.append(p), add(self, p))[1])
    monkeypatch.setattr(
        matplotlib.axes.Axes, "text", lambda self, *a, **k: (said.append(a[2]), write(self, *a, **k))[1]
    )
    torch.manual_seed(0)
    model = create_model("autodispnet-tiny", num_classes=1, width=1, genotype=PUBLISHED.get(name))
    draw_disparity_cells(tmp_path / "a.png", model, "a run")
    space = SPACES["autodispnet"]
    genotype = PUBLISHED.get(name) or space.decode(model.arch(), None, 0.0, space.settings_of({"size": "tiny"}))
    operations = [edge.operations[0] for row in genotype.table().values() for edge in row]
    drawn = Counter(to_hex(p.get_edgecolor()).upper() for p in found if isinstance(p, FancyArrowPatch))
    kinds = {kind_of(operation) for operation in operations}  # each once in the legend, as "concatenated"
    expected = Counter(color for _, color in map(kind_of, operations)) + Counter(color for _, color in kinds)
    assert drawn == expected + Counter({JOIN.upper(): 3 * len(KINDS) + 1})
    assert Counter(text for text in said if text in operations) == Counter(operations)
    assert any("Entropy" in text for text in said) == (name is None)
    assert (tmp_path / "a.png").stat().st_size > 5000


def test_no_two_arrows_into_a_node_have_one_lane():
    for seed in range(20):
        for kind in KINDS:
            cell = getattr(random_cells(seed), kind)
            drawn = arrows(kind, cell)
            assert sorted((a.operation, a.source) for a in drawn) == sorted(edge for node in cell for edge in node)
            assert len({(a.target, a.lane) for a in drawn}) == len(drawn)
            assert all(0 <= a.lane < a.lanes for a in drawn)
