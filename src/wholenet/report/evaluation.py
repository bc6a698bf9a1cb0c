"""What an evaluation found, as a table for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from wholenet.report.data_check import printable
from wholenet.tasks.boundary import TOLERANCE
from wholenet.tasks.evaluation import Evaluation, mean

COLUMNS = ("IoU", "Dice", "precision", "recall", "boundary F", "of pixels")


def evaluation_lines(found: Evaluation, names: Sequence[str]) -> list[str]:
    """A line per class, their means, and the images and confusions that cost most. In percent; "-" where there is
    nothing to divide by.

    Args:
        found: what was measured.
        names: of the classes.
    """
    scores = (found.iou, found.dice, found.precision, found.recall, found.boundary_f)
    rows = [(printable(name), *values) for name, *values in zip(names, *scores, found.share, strict=True)]
    rows.append(("mean", *map(mean, scores), None))
    width = max(len(name) for name, *_ in rows)
    lines = [f"{'%':{width}}  " + "  ".join(f"{column:>{_width(column)}}" for column in COLUMNS)]
    for name, *values in rows:
        cells = [f"{_percent(value):>{_width(column)}}" for value, column in zip(values, COLUMNS, strict=True)]
        lines.append(f"{name:{width}}  {'  '.join(cells)}".rstrip())
    lines[-1] = lines[-1].removesuffix("-").rstrip()
    lines += [
        f"mIoU {100 * found.miou:.1f} %   pixel accuracy {100 * found.pixel_accuracy:.1f} %, {found.images} "
        f"image{'s' * (found.images != 1)}",
        f"boundary F: within {100 * TOLERANCE:g} % of the diagonal (Csurka et al., 2013), counted over all images",
    ]
    if confusions := found.confusions():
        lines += ["", "most pixels are lost where"]
        lines += [
            f"  {printable(names[true])} is taken for {printable(names[predicted])} ({100 * share:.1f} % of it)"
            for true, predicted, share in confusions
        ]
    if found.images > 1 and found.worst:
        lines += ["", "worst images, by the mIoU of the image alone"]
        lines += [f"  {_percent(image.miou):>5} %  {printable(image.name)}" for image in found.worst]
    return lines


def _width(column: str) -> int:
    return max(len(column), 5)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}"
