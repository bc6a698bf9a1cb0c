"""What a network sees: images beside their true and predicted masks.

Letters: H x W pixels (each image its own), N images.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

from wholenet.data.pictures import drawing_colors
from wholenet.data.sample import IGNORE, Classes
from wholenet.deploy.overlay import outlined
from wholenet.report.style import MUTED, bare_axes, saved_figure

CELL_IN = 3.2
"""Width of one picture of the table, in inches."""
TITLE_LETTERS = 24
"""Longer titles of columns are written smaller."""
GAP_IN, MARGIN_IN, HEADER_IN = 0.08, 0.2, 0.42
LEGEND_ROW_IN = 0.27
MAX_ASPECT = 1.3
"""Pictures taller than this many widths are shown smaller, so that one portrait does not fill the page."""
OPACITY = 0.6


def draw_predictions(
    path: str | Path,
    images: Sequence[np.ndarray],
    truths: Sequence[np.ndarray],
    predictions: Sequence[np.ndarray],
    classes: Classes,
    title: str = "Image",
) -> None:
    """Draw one row per image: the image, its true mask, its predicted mask; below, the classes that occur.

    Pixels that count nowhere show the bare image in the truth; the prediction says something everywhere.

    Args:
        path: the picture; its suffix says the format.
        images: N of uint8 [H, W, 3], RGB. About six fit on a page.
        truths: N of uint8 [H, W], train ids and ``IGNORE``.
        predictions: N of uint8 [H, W], train ids.
        classes: the classes' names and colours.
        title: of the column of images.

    Raises:
        ValueError: if there are no images, the three differ in number, or a mask differs from its image in size.
    """
    if not len(images) == len(truths) == len(predictions) > 0:
        raise ValueError(
            f"found {len(images)} images, {len(truths)} true and {len(predictions)} predicted masks; "
            "expected the same number of each, and at least one."
        )
    rows = [
        (image, outlined(image, truth, classes, OPACITY), outlined(image, prediction, classes, OPACITY))
        for image, truth, prediction in zip(images, truths, predictions, strict=True)
    ]
    heights = [min(image.shape[0] / image.shape[1], MAX_ASPECT) * CELL_IN for image in images]
    shown = [(classes.names[k], drawing_colors(classes)[k]) for k in _occurring(truths, predictions, len(classes))]
    columns, column_in = _legend_columns([name for name, _ in shown])
    legend_in = LEGEND_ROW_IN * -(-len(shown) // columns)
    height_in = HEADER_IN + sum(heights) + GAP_IN * len(rows) + legend_in + 1.5 * MARGIN_IN

    with saved_figure(path, _total_width(), height_in) as figure:
        bottom = height_in - HEADER_IN
        for row, row_height in zip(rows, heights, strict=True):
            bottom -= row_height
            for column, picture in enumerate(row):
                left = MARGIN_IN + column * (CELL_IN + GAP_IN)
                bare_axes(figure, left, bottom, CELL_IN, row_height).imshow(picture)
            bottom -= GAP_IN
        page = bare_axes(figure, 0, 0, _total_width(), height_in)
        page.set_xlim(0, _total_width())
        page.set_ylim(0, height_in)
        for column, name in enumerate((title, "Truth", "Prediction")):
            left = MARGIN_IN + column * (CELL_IN + GAP_IN)
            size = 11 if len(name) < TITLE_LETTERS else 8
            page.text(left, height_in - HEADER_IN / 2, name, weight="bold", fontsize=size, va="center")
        _draw_legend(page, shown, columns, column_in, top=MARGIN_IN + legend_in)


def _total_width() -> float:
    return 3 * CELL_IN + 2 * GAP_IN + 2 * MARGIN_IN


def _occurring(truths: Sequence[np.ndarray], predictions: Sequence[np.ndarray], num_classes: int) -> list[int]:
    """The train ids in any of the masks, ascending: a legend of all 150 classes of ADE20K would help nobody."""
    found = set().union(*(np.unique(mask).tolist() for mask in (*truths, *predictions)))
    return sorted(k for k in found - {IGNORE} if k < num_classes)


def _legend_columns(names: Sequence[str]) -> tuple[int, float]:
    """As many columns as the longest name lets fit, and their width in inches."""
    usable_in = _total_width() - 2 * MARGIN_IN
    needed_in = 0.5 + 0.085 * max((len(name) for name in names), default=0)
    columns = max(1, min(len(names), int(usable_in / needed_in)))
    return columns, max(needed_in, min(usable_in / columns, 2.0))


def _draw_legend(
    page: Axes, shown: Sequence[tuple[str, tuple[int, int, int]]], columns: int, column_in: float, top: float
) -> None:
    """Swatches by hand, row by row: matplotlib's legend drops names that start with an underscore."""
    for i, (name, color) in enumerate(shown):
        x, y = MARGIN_IN + i % columns * column_in, top - (i // columns + 0.5) * LEGEND_ROW_IN
        look: dict[str, Any] = {"facecolor": np.array(color) / 255, "edgecolor": "#00000022", "linewidth": 0.6}
        page.add_patch(FancyBboxPatch((x, y - 0.07), 0.2, 0.14, boxstyle="round,pad=0,rounding_size=0.035", **look))
        page.text(x + 0.28, y, name, va="center_baseline", color=MUTED)
