from pathlib import Path

import numpy as np
import pytest
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from PIL import Image

from wholenet.report import architecture as module
from wholenet.report.architecture import (
    draw_architecture,
    edge_opacity,
    edge_width_pt,
    existing_edges,
    strength,
)

EXISTS = np.ones((4, 3))
EXISTS[0, 0] = EXISTS[3, 2] = 0


def weights(num_layers: int, *, sharpness: float, kernels: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Softmaxed (beta, alpha); sharpness 0 is uniform."""
    rng = np.random.default_rng(0)
    beta = np.exp(sharpness * rng.normal(size=(num_layers, 4, 3))) * EXISTS
    alpha = np.exp(sharpness * rng.normal(size=(num_layers, 4, kernels)))
    return beta / beta.sum(-1, keepdims=True), alpha / alpha.sum(-1, keepdims=True)


@pytest.mark.parametrize("num_layers", [1, 3, 14])
def test_ten_different_edges_per_layer_whatever_their_weight(num_layers: int) -> None:
    beta, _ = weights(num_layers, sharpness=1)
    beta[0, 1] = (1, 0, 0)
    edges = existing_edges(beta)
    assert len(edges) == len({(e.layer, e.level, e.source) for e in edges}) == 10 * num_layers
    assert all(abs(e.level - e.source) <= 1 for e in edges)


def test_edges_carry_the_weights_of_their_slots() -> None:
    beta, _ = weights(3, sharpness=2)
    assert all(e.weight == beta[e.layer, e.level, e.source - e.level + 1] for e in existing_edges(beta))
    assert sum(e.weight for e in existing_edges(beta)) == pytest.approx(12)  # nothing lost: one per cell


def test_exactly_the_existing_edges_are_drawn() -> None:
    axes = Figure().subplots()
    module._draw_edges(axes, module.Layout(4), existing_edges(weights(4, sharpness=1)[0]))
    [drawn] = [c for c in axes.collections if isinstance(c, PathCollection)]
    assert len(drawn.get_paths()) == len(drawn.get_linewidths()) == 40


@pytest.mark.parametrize("siblings", [2, 3])
def test_thickness_and_opacity_grow_with_the_weight(siblings: int) -> None:
    strengths = [strength(weight, siblings) for weight in np.linspace(0, 1, 50)]
    for look in (edge_width_pt, edge_opacity):
        assert (np.diff([look(s) for s in strengths]) > 0).all()
    assert 0 < edge_opacity(0) < edge_opacity(1) <= 1


def test_a_uniform_architecture_has_one_thickness() -> None:
    widths = {
        round(edge_width_pt(strength(e.weight, e.siblings)), 9) for e in existing_edges(weights(5, sharpness=0)[0])
    }
    assert len(widths) == 1


@pytest.mark.parametrize(
    ("num_layers", "operations"), [(1, ("3x3",)), (3, ("3x3", "5x5")), (14, ("3x3", "dil_conv_3x3", "mine"))]
)
def test_the_picture_is_a_png_of_sane_size(tmp_path: Path, num_layers: int, operations: tuple[str, ...]) -> None:
    draw_architecture(
        tmp_path / "a.png",
        *weights(num_layers, sharpness=1, kernels=len(operations)),
        operations=operations,
        title="$a_b$",
    )
    with Image.open(tmp_path / "a.png") as image:
        image.load()
        assert image.format == "PNG"
        assert 900 < image.width < 2200
        assert 500 < image.height < 900


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda beta, alpha: (beta[:, :3], alpha), r"beta has shape \(3, 3, 3\), expected \[L, 4, 3\]"),
        (lambda beta, alpha: (beta, alpha[:2]), r"alpha has shape \(2, 4, 2\), expected \(3, 4, 2\)"),
        (lambda beta, alpha: (beta[:, ::-1], alpha), "edges that do not exist"),
        (lambda beta, alpha: (beta, 3 * alpha), "alpha holds numbers outside"),
        (lambda beta, alpha: (beta * np.nan, alpha), "beta holds numbers outside"),
    ],
)
def test_wrong_weights_are_refused(tmp_path: Path, change, message: str) -> None:
    beta, alpha = weights(3, sharpness=0)
    beta[:, 0] = (0, 0.9, 0.1)
    beta[:, 3] = (0.1, 0.9, 0)
    if message == "edges that do not exist":
        beta[:, 0] = (0.1, 0.9, 0)
    with pytest.raises(ValueError, match=message):
        draw_architecture(tmp_path / "a.png", *change(beta, alpha))
    assert not list(tmp_path.iterdir())


def test_of_what_was_removed_nothing_is_drawn_and_boxes_are_as_high_as_what_is_left(
    monkeypatch, tmp_path: Path
) -> None:
    beta, alpha = weights(2, sharpness=1)
    beta[0], beta[1] = 0, 0
    beta[0, 1, 1] = 1  # one cell in the first layer reads one stem
    for level, slot in ((0, 2), (1, 1), (2, 0)):
        beta[1, level, slot] = 1
    left = np.full((2, 4), np.nan)
    left[0, 1], left[1, :3] = 1.0, (0.5, 0.0, 1.0)
    boxes, edges = [], []
    box, draw_edges = module.box, module._draw_edges
    monkeypatch.setattr(module, "box", lambda axes, *at, **look: boxes.append(at) or box(axes, *at, **look))
    monkeypatch.setattr(
        module, "_draw_edges", lambda axes, layout, of: edges.extend(of) or draw_edges(axes, layout, of)
    )
    draw_architecture(tmp_path / "a.png", beta, alpha, left=left)
    layout = module.Layout(2)
    assert len(edges) == 4
    [stem] = [at for at in boxes if at[0] == layout.x(0)]
    assert stem[1] == layout.y(1)
    cells = {at[:2]: at[3] / layout.BOX_HEIGHT for at in boxes if at[0] in (layout.x(1), layout.x(2))}
    assert cells == {  # of the bare one, a bar that is no box
        (layout.x(1), layout.y(1)): 1.0,
        (layout.x(2), layout.y(0)): 0.5,
        (layout.x(2), layout.y(2)): 1.0,
    }


def test_maps_that_the_decoder_reads_of_an_encoder_run_past_the_cells(tmp_path: Path) -> None:
    layout = module.Layout(3)
    for skips in (False, True):
        axes = Figure().add_subplot()
        module.draw_frame(axes, layout, range(4), "encoder", skips=skips)
        assert [text.get_text() for text in axes.texts] == ["encoder", "decoder"]
        ends = (layout.x(-1), layout.x(4))
        past = [line.get_ydata()[0] for line in axes.get_lines() if tuple(line.get_xdata()) == ends]
        assert len(past) == 4 * skips
        for y, level in zip(past, range(4), strict=False):
            above = layout.y(level) - layout.BOX_HEIGHT / 2
            assert above - layout.ROW + layout.BOX_HEIGHT < y < above
    draw_architecture(tmp_path / "a.png", *weights(3, sharpness=1), source="encoder", skips=True)
    assert (tmp_path / "a.png").stat().st_size
