"""The picture of a network for disparity: pairs with what it estimates, the truth, and the error, all in pixels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from wholenet.data.stereo.sample import StereoSample
from wholenet.report.data_check import printable
from wholenet.report.style import INK, MUTED, bare_axes, saved_figure

DISPARITY = "disparity.png"
"""Name of the picture, in the run's folder."""
SHOWN = 4
"""Pairs in it."""
CELL_IN, GAP_IN, MARGIN_IN, HEAD_IN, NAME_IN, FOOT_IN = 3.0, 0.08, 0.2, 0.4, 0.24, 0.62
"""Inches: width of a panel, between panels, around all, above, of a row's name, and for the bars."""
MAX_ASPECT = 1.3
"""Panels taller than this many widths are shown smaller."""
UNKNOWN = "#E4E7EB"
"""Where the truth is not known."""
COLUMNS = ("Left image", "Prediction", "Truth", "Error")


class _Scale(NamedTuple):
    """What colours mean."""

    norm: Normalize
    cmap: Colormap


def draw_disparities(
    file: str | Path, found: Sequence[tuple[StereoSample, NDArray[np.float32]]], names: Sequence[str]
) -> None:
    """Draw a row for each pair: the left image, prediction and truth on one scale, and their absolute difference.

    Scales are of all rows together, from 0 to the largest truth or prediction, and to the largest error but for one
    pixel in a hundred; below each is a bar in pixels. Pixels whose truth is not known are grey.

    Args:
        file: the picture; its suffix says the format.
        found: pairs with predictions [H, W] in pixels.
        names: of the pairs.
    """
    errors = [np.abs(prediction - sample.disparity) for sample, prediction in found]
    known = [error[~np.isnan(error)] for error in errors]
    most = max(float(np.nanmax(part, initial=1.0)) for sample, own in found for part in (sample.disparity, own))
    worst = max([1.0, *(float(np.quantile(error, 0.99)) for error in known if error.size)])
    heights = [min(own.shape[0] / own.shape[1], MAX_ASPECT) * CELL_IN for _, own in found]
    width = len(COLUMNS) * (CELL_IN + GAP_IN) - GAP_IN + 2 * MARGIN_IN
    height = HEAD_IN + sum(heights) + len(found) * (NAME_IN + GAP_IN) + FOOT_IN
    disparity = _scale("turbo", most)
    error_scale = _scale("inferno", worst)
    with saved_figure(file, width, height) as figure:
        page = bare_axes(figure, 0, 0, width, height)
        page.set_xlim(0, width)
        page.set_ylim(0, height)
        for column, title in enumerate(COLUMNS):
            page.text(_left(column), height - HEAD_IN / 2, title, weight="bold", fontsize=11, va="center")
        bottom = height - HEAD_IN
        for (sample, own), error, of, name, high in zip(found, errors, known, names, heights, strict=True):
            bottom -= NAME_IN + high
            told = f"EPE {of.mean():.2f} px" if of.size else "no pixel's truth is known"
            _caption(page, bottom + high + 0.06, printable(name), told)
            bare_axes(figure, _left(0), bottom, CELL_IN, high).imshow(sample.left)
            for column, (values, scale) in enumerate(
                ((own, disparity), (sample.disparity, disparity), (error, error_scale)), 1
            ):
                axes = bare_axes(figure, _left(column), bottom, CELL_IN, high)
                axes.imshow(np.ma.masked_invalid(values), cmap=scale.cmap, norm=scale.norm, interpolation="nearest")
            bottom -= GAP_IN
        _bar(figure, disparity, _left(1), 2 * CELL_IN + GAP_IN, "disparity, px")
        _bar(figure, error_scale, _left(3), CELL_IN, "absolute error, px", beyond=worst < max(_largest(known), 1.0))


def _largest(known: Sequence[NDArray[np.float32]]) -> float:
    return max((float(error.max()) for error in known if error.size), default=0.0)


def _left(column: int) -> float:
    return MARGIN_IN + column * (CELL_IN + GAP_IN)


def _scale(name: str, most: float) -> _Scale:
    return _Scale(Normalize(0, most), matplotlib.colormaps[name].with_extremes(bad=UNKNOWN))


def _caption(page: Axes, y: float, name: str, told: str) -> None:
    page.text(_left(0), y, name, color=MUTED, fontsize=8.5, va="bottom")
    page.text(_left(3), y, told, color=INK, fontsize=8.5, va="bottom")


def _bar(figure: Figure, scale: _Scale, left: float, width: float, label: str, *, beyond: bool = False) -> None:
    whole, high = figure.get_size_inches()
    axes = figure.add_axes((left / whole, (FOOT_IN - 0.2) / high, width / whole, 0.13 / high))
    bar = figure.colorbar(
        ScalarMappable(*scale), cax=axes, orientation="horizontal", extend="max" if beyond else "neither"
    )
    bar.set_label(label, fontsize=8.5, color=MUTED)
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    axes.tick_params(labelsize=8)
