from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wholenet.data.sample import IGNORE, Classes
from wholenet.report import predictions as module
from wholenet.report.predictions import draw_predictions

CLASSES = Classes(("_background_", "$5_bill$", "traffic light"), ((0, 0, 0), (230, 159, 0), (0, 114, 178)))


def samples(*sizes: tuple[int, int]) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
    """(images, truths, predictions) of these heights and widths."""
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]
    truths = [rng.choice(np.array([0, 1, IGNORE], np.uint8), size) for size in sizes]
    return images, truths, [rng.integers(0, 2, size, dtype=np.uint8) for size in sizes]


@pytest.mark.parametrize("sizes", [[(32, 64)], [(64, 48), (20, 90), (300, 20)], [(32, 32)] * 6])
def test_images_of_any_sizes_make_one_page(tmp_path: Path, sizes: list[tuple[int, int]]) -> None:
    draw_predictions(tmp_path / "p.png", *samples(*sizes), CLASSES)
    with Image.open(tmp_path / "p.png") as image:
        image.load()
        assert image.format == "PNG"
        assert 1200 < image.width < 1800
        assert 200 < image.height < 700 * len(sizes)


def test_masks_that_are_ignored_everywhere_can_be_drawn(tmp_path: Path) -> None:
    [image], *_ = samples((16, 16))
    ignored = np.full((16, 16), IGNORE, np.uint8)
    draw_predictions(tmp_path / "p.png", [image], [ignored], [ignored], CLASSES)


def test_the_legend_names_the_classes_that_occur_in_either_mask() -> None:
    truth, prediction = np.array([[0, IGNORE]], np.uint8), np.array([[2, 0]], np.uint8)
    assert module._occurring([truth], [prediction], num_classes=3) == [0, 2]


def test_a_legend_never_leaves_the_page() -> None:
    for names in (["a"], ["a"] * 150, ["x" * 40] * 3):
        columns, width_in = module._legend_columns(names)
        assert columns * width_in <= module._total_width()


def test_unequal_numbers_are_refused(tmp_path: Path) -> None:
    images, truths, predictions = samples((8, 8), (8, 8))
    with pytest.raises(ValueError, match="found 2 images, 2 true and 1 predicted"):
        draw_predictions(tmp_path / "p.png", images, truths, predictions[:1], CLASSES)
    with pytest.raises(ValueError, match="at least one"):
        draw_predictions(tmp_path / "p.png", [], [], [], CLASSES)
