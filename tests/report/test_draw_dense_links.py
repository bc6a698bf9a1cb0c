"""The picture of a dense grid shows every link by its strength, and what decoding keeps."""

import matplotlib.axes
import pytest
import torch
from matplotlib.patches import FancyBboxPatch, PathPatch, Rectangle

from wholenet.report.dense_links import PALE, draw_dense_links, relative_strengths
from wholenet.spaces.catalog import SPACES, create_model, discrete_from

OWN = {"layers": 3, "filters": 4}


@pytest.fixture
def drawn(monkeypatch):
    """All patches, as they are drawn."""
    found = []
    add = matplotlib.axes.Axes.add_patch
    monkeypatch.setattr(
        matplotlib.axes.Axes, "add_patch", lambda self, patch: (found.append(patch), add(self, patch))[1]
    )
    return found


def model_of():
    torch.manual_seed(0)
    model = create_model("dense-grid-nano", num_classes=2, **OWN)
    with torch.no_grad():
        for logits in model.arch.logits.values():
            logits.normal_()
    return model


def framed(patches):
    return [p for p in patches if isinstance(p, Rectangle) and not p.get_fill()]


def test_all_links_are_in_the_table_and_those_that_decoding_keeps_are_drawn(drawn, tmp_path):
    model = model_of()
    draw_dense_links(tmp_path / "a.png", model, "a run")
    space = SPACES["dense-grid"]
    found = space.decode(model.arch(), "threshold", 0.5, space.settings_of(model.spec.settings))
    assert len([p for p in drawn if isinstance(p, PathPatch)]) == found.links == len(framed(drawn))
    fields = [p for p in drawn if isinstance(p, Rectangle) and p.get_fill() and p.get_width() == p.get_height()]
    assert len(fields) == 16 * (1 + 2 + 3)
    parts = [p.get_alpha() for p in drawn if isinstance(p, Rectangle) and p.get_clip_path() is not None]
    assert parts.count(PALE) == 2 * (12 - len(found.cells)) > 0  # two operations
    assert parts.count(1.0) == 2 * len(found.cells)
    assert (tmp_path / "a.png").stat().st_size > 5000


def test_of_a_discrete_network_what_is_there_is_drawn(drawn, tmp_path):
    model = model_of()
    space = SPACES["dense-grid"]
    found = space.decode(model.arch(), "strongest", 0.5, space.settings_of(model.spec.settings))
    draw_dense_links(tmp_path / "a.png", discrete_from(model, found), "a run")
    assert len([p for p in drawn if isinstance(p, PathPatch)]) == found.links == len(found.cells)
    stems = {source for cell in found.cells for source in cell.inputs if source[0] == 0}
    boxes = [p for p in drawn if isinstance(p, FancyBboxPatch)]
    assert len(boxes) == len(found.cells) + len(stems) + 2 + 2  # image and decoder, two colours of the legend


def test_an_even_choice_is_one_however_many_there_are():
    model = model_of()
    model.arch.set_uniform()
    strengths = relative_strengths(model.net, model.arch()["beta"].detach().numpy())
    assert {round(strong, 6) for strong in strengths.values()} == {1.0}
