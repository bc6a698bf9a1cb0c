"""Pictures of architectures, small and large: no word of theirs is cut off at the edge."""

import pytest

from wholenet.report import style
from wholenet.report.pictures import PICTURES
from wholenet.spaces.catalog import create_model

THREE = "conv_3x3,conv_5x5,conv_7x7"
MANY = f"{THREE},dil_conv_3x3"
DRAWN = [
    ("autodeeplab-tiny", {"layers": 1, "filters": 2, "blocks": 1}),
    ("autodeeplab-tiny", {"layers": 12, "filters": 2, "blocks": 2}),
    ("autodeeplab-tiny", {"genotype": {"path": "0", "cell": ["skip_connect(H-1)"]}}),
    ("dense-grid-nano", {"layers": 1, "filters": 4}),
    ("dense-grid-nano", {"layers": 2, "filters": 4, "operations": MANY}),
    ("grid-nano", {}),
    ("grid-nano", {"operations": THREE}),
    ("grid-nano", {"operations": MANY}),
]


@pytest.fixture
def beyond(monkeypatch):
    """The words that leave the figure, of pictures that are drawn and not written."""
    found = []

    def look(figure, _path):
        renderer, (width, height) = figure.canvas.get_renderer(), figure.bbox.size
        words = [text for axes in figure.axes for text in axes.texts if text.get_text()]
        assert words
        for text in words:
            box = text.get_window_extent(renderer)
            if min(box.x0, box.y0, width - box.x1, height - box.y1) < 0:
                found.append(text.get_text())

    monkeypatch.setattr(style, "_write", look)
    return found


@pytest.mark.parametrize(("name", "settings"), DRAWN)
def test_words_of_an_architecture_are_within_its_picture(name, settings, beyond, tmp_path):
    model = create_model(name, num_classes=2, **settings)
    for run in ("a run", "a-run-of-a-study-776bb6d26d", "of-a-name-beyond-all-measure-" * 8):
        PICTURES[model.spec.space].draw(tmp_path / "a.png", model, f"{run} after epoch 3 of 3")
        assert beyond == []


@pytest.mark.parametrize("times", [1, 18, 60])
def test_a_headline_of_a_whole_figure_is_within_it(times, monkeypatch, tmp_path):
    monkeypatch.setattr(style, "_write", lambda *_: None)
    with style.saved_figure(tmp_path / "a.png", 11.0, 2.0) as figure:
        style.headline(figure, 0.02, 0.5, "Diagnosis of " + "a-run-" * times)
        (words,) = figure.texts
        box = words.get_window_extent(figure.canvas.get_renderer())
    assert (words.get_fontsize() == style.HEADLINE_PT) == (times == 1)
    assert 0 < box.x0 < box.x1 < figure.bbox.width
