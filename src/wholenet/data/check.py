"""What a split holds, and whether it can be trained on: is every sample readable, does the crop fit?

Data in files is surveyed (``data/review.py``); here samples are read that may come from anywhere.
Letters: H x W pixels, K classes.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from wholenet.data.finding import EXAMPLES, but_for_numbers
from wholenet.data.pixels import PHOTO, TYPES, Pixels, band_stats, is_photo, pixels_of
from wholenet.data.sample import IGNORE, Classes, DataError, Sample, SegmentationData
from wholenet.data.stored import PictureError

_SHOWN_PROBLEMS = 10
PAPER_CROP = (512, 1024)
"""(height, width): the default crop is no larger."""
_CROP_STEP = 32
"""Networks here reduce the picture by up to this factor, so crops are best multiples of it."""


@dataclass(frozen=True)
class SplitStats:
    """What a split holds."""

    images: int
    min_height: int
    min_width: int
    max_height: int
    max_width: int
    class_pixels: tuple[int, ...]
    """Pixels of each class; K numbers."""
    ignore_pixels: int

    def best_constant_miou(self) -> float:
        """The mIoU, in [0, 1], of the most frequent class given for every pixel: what any trained network must beat.

        Its class has the IoU of its share of the pixels, every other class that occurs has 0, and classes that neither
        occur nor are predicted are left out of the mean.

        >>> SplitStats(1, 8, 8, 8, 8, class_pixels=(48, 16, 0), ignore_pixels=0).best_constant_miou()
        0.375
        """
        return max(self.class_pixels) / sum(self.class_pixels) / len(_present(self))


def joined_stats(parts: Sequence[SplitStats]) -> SplitStats:
    """Of all samples of several splits together.

    Raises:
        ValueError: if there is none.
    """
    return SplitStats(
        images=sum(part.images for part in parts),
        min_height=min(part.min_height for part in parts),
        min_width=min(part.min_width for part in parts),
        max_height=max(part.max_height for part in parts),
        max_width=max(part.max_width for part in parts),
        class_pixels=tuple(map(sum, zip(*(part.class_pixels for part in parts), strict=True))),
        ignore_pixels=sum(part.ignore_pixels for part in parts),
    )


@dataclass(frozen=True)
class _Read:
    """One sample, read: its size and its pixels per mask value (256 numbers); or what is wrong with it."""

    name: str = ""
    problem: str = ""
    """What is wrong; what a data set says of itself has the name in it."""
    size: tuple[int, int] = (0, 0)
    counts: np.ndarray | None = None


def check_split(
    data: SegmentationData,
    classes: Classes,
    *,
    name: str,
    pixels: Pixels = PHOTO,
    threads: int = min(8, os.cpu_count() or 1),
    progress: Callable[[int, int], None] | None = None,
) -> SplitStats:
    """Read every sample of one split and count its pixels.

    Args:
        data: the split.
        classes: what its masks may hold.
        name: how to call the split in messages.
        pixels: what its images must be.
        threads: how many samples are read at a time.
        progress: called with (samples done, samples in all) after each, in the calling thread.

    Raises:
        DataError: one for all problems together, each of which is said once, and their number; or if the split is
            empty or every pixel is ignored.
    """
    if len(data) == 0:
        raise DataError(f"{name}: this split is empty")
    findings = []
    for finding in _findings(data, classes, pixels, threads):
        findings.append(finding)
        if progress:
            progress(len(findings), len(data))
    _refuse_problems([finding for finding in findings if finding.problem], len(data), name)
    return _summed(findings, classes, name)


def measured(data: SegmentationData) -> Pixels:
    """What the images of ``data``, a training split, are; all of it is read unless it begins with 8-bit RGB.

    What is wrong with an image is for :func:`check_split` to say, whose ``pixels`` this is. Those of another kind than
    the first are left out.
    """
    try:
        first = data[0].image
    except (OSError, ValueError, IndexError):
        return PHOTO
    if first.ndim != 3 or first.dtype.name not in TYPES or is_photo(first.shape[2], first.dtype.name):
        return PHOTO
    found = []
    for i in range(len(data)):
        image = data[i].image
        if image.shape[2:] == first.shape[2:] and image.dtype == first.dtype:
            found.append((image.shape[0] * image.shape[1], band_stats(image)))
    return pixels_of(first.dtype.name, "auto", found)


def check_trainable(stats: SplitStats, classes: Classes) -> list[str]:
    """The names of the classes that never occur in ``stats``, the training split's: no network can learn those.

    Raises:
        DataError: if only one class occurs.
    """
    present = _present(stats)
    if len(present) < 2:
        raise DataError(
            f'train: every pixel that counts is of one class, "{classes.names[present[0]]}"; {stats.ignore_pixels} '
            f"pixels are ignored ({ignored_codes(classes)}). There is nothing to learn. If one of the ignored values "
            "is a class, such as 255 in a two-class mask, give it that id in classes.json."
        )
    return [name for name, pixels in zip(classes.names, stats.class_pixels, strict=True) if not pixels]


def check_crop(stats: SplitStats, crop: tuple[int, int], name: str) -> None:
    """Make sure that a crop (height, width) fits into every image of the split.

    Raises:
        DataError: naming the crop, the smallest image and the largest crop that fits.
    """
    height, width = stats.min_height, stats.min_width
    if crop[0] > height or crop[1] > width:
        raise DataError(f"{name}: {crop_advice(stats, crop)}")


def crop_advice(stats: SplitStats, crop: tuple[int, int]) -> str:
    """What to say where ``crop`` does not fit into every image."""
    height, width = stats.min_height, stats.min_width
    fits = (height // _CROP_STEP * _CROP_STEP, width // _CROP_STEP * _CROP_STEP)
    advice = f"the largest that fits is {fits[0]}x{fits[1]}" if min(fits) else f"enlarge them to {_CROP_STEP} or more"
    return (
        f"a crop of {crop[0]}x{crop[1]} is larger than the images, of which the smallest height x width is "
        f"{height}x{width}; {advice} (multiples of {_CROP_STEP})."
    )


def ignored_codes(classes: Classes) -> str:
    """What of masks is ignored.

    >>> ignored_codes(Classes(("a", "b"), ((9, 0, 0), (0, 9, 0)), ignore_values=(0, 255), ignore_colors=((1, 1, 1),)))
    'values 0, 255; colours (1, 1, 1)'
    """
    values, colors = (", ".join(map(str, some)) for some in (classes.ignore_values, classes.ignore_colors))
    told = [f"{what} {listed}" for what, listed in (("values", values), ("colours", colors)) if listed]
    return "; ".join(told) or "no value is"


def _present(stats: SplitStats) -> list[int]:
    return [index for index, pixels in enumerate(stats.class_pixels) if pixels]


def _findings(data: SegmentationData, classes: Classes, pixels: Pixels, threads: int) -> Iterator[_Read]:
    with ThreadPoolExecutor(threads) as pool:
        yield from pool.map(lambda index: _examine(data, index, classes, pixels), range(len(data)))


def _examine(data: SegmentationData, index: int, classes: Classes, pixels: Pixels) -> _Read:
    try:
        sample = data[index]
    except (OSError, ValueError) as error:  # a DataError is a ValueError; other people's data sets raise their own
        if isinstance(error, PictureError):
            return _Read(error.place, f"{error.reason}. {error.advice}")
        return _Read(*(("", str(error)) if isinstance(error, DataError) else (f"sample {index}", repr(error))))
    name = f"sample {index} ({sample.name})"
    problem = _misshapen(sample, pixels)
    if problem:
        return _Read(name, problem)
    counts = np.bincount(sample.mask.ravel(), minlength=256)
    strange = [value for value in np.flatnonzero(counts).tolist() if value >= len(classes) and value != IGNORE]
    if strange:
        listed = ", ".join(f"{value} ({counts[value]} pixels)" for value in strange[:10])
        return _Read(name, f"mask values {listed}; expected 0..{len(classes) - 1} or {IGNORE}")
    return _Read(size=sample.mask.shape, counts=counts)


def _misshapen(sample: Sample, pixels: Pixels) -> str:
    image, mask = sample.image, sample.mask
    if image.dtype != pixels.type or image.ndim != 3 or image.shape[2] != pixels.channels:
        as_others = "" if pixels.photo else ", as those before it are"
        expected = f"{pixels.type} [H, W, {pixels.channels}]{as_others}"
        return f"the image must be {expected}, found {image.dtype} {list(image.shape)}"
    if mask.dtype != np.uint8 or mask.ndim != 2:
        return f"the mask must be uint8 [H, W], found {mask.dtype} {list(mask.shape)}"
    if image.shape[:2] != mask.shape:
        return f"image {list(image.shape[:2])} and mask {list(mask.shape)} differ in [H, W]"
    return ""


def _refuse_problems(found: list[_Read], total: int, name: str) -> None:
    """What holds for several samples, but for numbers, is said once."""
    if not found:
        return
    groups: dict[str, list[_Read]] = defaultdict(list)
    for one in found:
        groups[but_for_numbers(one.problem)].append(one)
    lines = []
    for group in groups.values():
        others = [one.name for one in group[1 : 1 + EXAMPLES] if one.name]
        more = ", ..." if len(group) > 1 + EXAMPLES else ""
        also = f"; so it is with {', '.join(others)}{more}" if others else ""
        lines.append(f"- {group[0].name}: {group[0].problem}{also}" if group[0].name else f"- {group[0].problem}")
    rest = f"\n- and {len(lines) - _SHOWN_PROBLEMS} more" if len(lines) > _SHOWN_PROBLEMS else ""
    shown = "\n".join(lines[:_SHOWN_PROBLEMS])
    raise DataError(f"{name}: {len(found)} of {total} samples cannot be used:\n{shown}{rest}")


def _summed(findings: list[_Read], classes: Classes, name: str) -> SplitStats:
    counts = np.sum([finding.counts for finding in findings if finding.counts is not None], axis=0).tolist()
    if not any(counts[: len(classes)]):
        raise DataError(
            f"{name}: all {counts[IGNORE]} pixels of its {len(findings)} masks are ignored ({ignored_codes(classes)}). "
            "There is nothing to learn or to score; check the masks and the ids in classes.json."
        )
    return stats_of([finding.size for finding in findings], counts, classes)


def stats_of(sizes: Sequence[tuple[int, int]], counts: Sequence[int], classes: Classes) -> SplitStats:
    """Of images of these (height, width), whose masks hold ``counts`` pixels of each train id; 256 numbers."""
    heights, widths = zip(*sizes, strict=True)
    return SplitStats(
        images=len(sizes),
        min_height=min(heights),
        min_width=min(widths),
        max_height=max(heights),
        max_width=max(widths),
        class_pixels=tuple(counts[: len(classes)]),
        ignore_pixels=counts[IGNORE],
    )
