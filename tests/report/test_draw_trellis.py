"""The picture of Auto-DeepLab's architecture shows the weights and what decoding keeps."""

import matplotlib.axes
import pytest
import torch
from matplotlib.colors import to_hex
from matplotlib.patches import FancyBboxPatch, PathPatch, Rectangle

from wholenet.report import trellis as picture
from wholenet.report.style import VERMILION
from wholenet.report.trellis import draw_trellis
from wholenet.spaces.catalog import SPACES, create_model


@pytest.fixture
def drawn(monkeypatch):
    """All patches, as they are drawn."""
    found = []
    add = matplotlib.axes.Axes.add_patch
    monkeypatch.setattr(
        matplotlib.axes.Axes, "add_patch", lambda self, patch: (found.append(patch), add(self, patch))[1]
    )
    return found


def model_of(**options):
    torch.manual_seed(0)
    model = create_model("autodeeplab-tiny", num_classes=2, layers=5, filters=2, blocks=2, **options)
    with torch.no_grad():
        for logits in model.arch.logits.values():
            logits.normal_()
    return model


def in_red(patches, kind):
    return [p for p in patches if isinstance(p, kind) and to_hex(p.get_edgecolor()).upper() == VERMILION]


@pytest.mark.parametrize("transitions", ["outgoing", "incoming"])
def test_a_supernet_is_drawn_whole_with_what_decoding_keeps(drawn, tmp_path, transitions):
    model = model_of(transitions=transitions)
    draw_trellis(tmp_path / "a.png", model, "a run")
    space = SPACES["autodeeplab"]
    genotype = space.decode(model.arch(), "best-path", 0.5, space.settings_of(model.spec.settings))
    nodes = [p for p in drawn if isinstance(p, FancyBboxPatch)]
    assert len(nodes) == 1 + 2 + 3 + 4 + 4 + 4
    assert len([p for p in drawn if isinstance(p, PathPatch)]) == 2 + 5 + 8 + 10 + 10 + 5
    heights = [round((p.get_y() + picture.BOX / 2 - picture.TOP) / picture.ROW) for p in in_red(nodes, FancyBboxPatch)]
    assert tuple(heights) == genotype.path
    assert len(in_red(drawn, Rectangle)) == 4
    assert (tmp_path / "a.png").stat().st_size > 5000


def test_of_a_discrete_network_the_path_alone_is_drawn(drawn, tmp_path):
    draw_trellis(tmp_path / "a.png", model_of(genotype={"path": "0 1", "cell": ["skip_connect(H-1)"]}), "a run")
    assert len([p for p in drawn if isinstance(p, PathPatch)]) == 2
    assert len([p for p in drawn if isinstance(p, FancyBboxPatch)]) == 3
    assert len(in_red(drawn, Rectangle)) == 1


def test_an_even_choice_is_drawn_alike_however_many_there_are():
    model = model_of()
    model.arch.set_uniform()
    weights = picture.unpacked(model.arch()["beta"].detach(), 5, "outgoing").numpy()
    assert {round(strong, 6) for _, strong in picture._weighed(weights, "outgoing")} == {0.5}


def test_a_choice_that_is_even_is_half_as_dark_as_can_be(drawn, tmp_path):
    model = model_of()
    model.arch.set_uniform()
    draw_trellis(tmp_path / "a.png", model, "a run")
    fields = [p.get_facecolor()[3] for p in drawn if isinstance(p, Rectangle) and p.get_fill()]
    assert fields == pytest.approx([0.04 + 0.9 / 2] * 8 * (2 + 3))
