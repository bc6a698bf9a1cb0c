"""Disparity of image files, in pairs by name, as files of numbers and as pictures.

Letters: H, W height and width.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from wholenet.data.folder import IMAGE_SUFFIXES, files_below
from wholenet.data.opening import MAX_MEGAPIXELS
from wholenet.data.pictures import read_image
from wholenet.data.sample import DataError
from wholenet.data.stereo.disparity_files import clipped_told, write_disparity
from wholenet.deploy.overlay import FONT, INK, PAPER
from wholenet.deploy.predict import all_done, check_targets, refuse_collisions, target_in
from wholenet.deploy.stereo import TrainedStereo

FORMATS = ("png", "pfm")
SHOWN = 3
"""Names in a message."""
PALETTE = cv2.COLORMAP_TURBO
TICKS = 5
"""Numbers below a bar."""


@dataclass
class Written:
    """What was written."""

    files: list[Path]
    """Of disparities, in the order of the left images."""
    clipped: dict[Path, int] = field(default_factory=dict)
    """Of files that could not hold some numbers, how many these are."""

    def notes(self) -> list[str]:
        """What to say of them."""
        if not self.clipped:
            return []
        return [clipped_told(sum(self.clipped.values()), f"{len(self.clipped)} of {len(self.files)} files")]


def pair_files(left: str | Path, right: str | Path) -> list[tuple[Path, Path]]:
    """The pairs of two files, or of two folders whose files go together by their names without suffix.

    Raises:
        DataError: if one is not there, or an image has no partner; some of these are named.
    """
    left, right = Path(left), Path(right)
    for side in (left, right):
        if not side.exists():
            raise DataError(f"{side} does not exist; give two image files, or two folders of them: left, then right")
    if left.is_file() and right.is_file():
        return [(left, right)]
    if not (left.is_dir() and right.is_dir()):
        raise DataError(f"{left} and {right} are a file and a folder; give two image files, or two folders of them")
    by_name = _by_name(left), _by_name(right)
    for (folder, own), (other, there) in zip(
        ((left, by_name[0]), (right, by_name[1])), ((right, by_name[1]), (left, by_name[0])), strict=True
    ):
        if alone := [name for name in own if name not in there]:
            more = f" and {len(alone) - SHOWN} more" if len(alone) > SHOWN else ""
            raise DataError(
                f"{len(alone)} of the {len(own)} images in {folder} have no partner of their name in {other}: "
                f"{', '.join(alone[:SHOWN])}{more}. Add these, or take them out"
            )
    return [(file, by_name[1][name]) for name, file in by_name[0].items()]


def _by_name(folder: Path) -> Mapping[str, Path]:
    """The images in a folder, by their place in it without suffix."""
    files = files_below(folder, IMAGE_SUFFIXES)
    if not files:
        raise DataError(f"{folder} holds no images ({', '.join(IMAGE_SUFFIXES)})")
    found: dict[str, Path] = {}
    for file in files:
        name = file.relative_to(folder).with_suffix("").as_posix()
        if name in found:
            raise DataError(f"{found[name]} and {file} have one name; a pair is known by it: rename one")
        found[name] = file
    return found


def write_disparities(
    model: TrainedStereo,
    left: str | Path,
    right: str | Path,
    out: str | Path,
    *,
    form: str = "png",
    color: bool = False,
    progress: Callable[[int, int], None] | None = None,
    max_megapixels: float = MAX_MEGAPIXELS,
) -> Written:
    """Write ``out``/STEM.png or .pfm, the disparity of each left image in pixels, and what else is asked.

    A pair that cannot be answered does not stop the others.

    Args:
        model: the network.
        left: an image file, or a folder of them.
        right: likewise; see :func:`pair_files`.
        out: folder for the files; made if it is not there.
        form: "png", 16 bits of 1/256 pixel as KITTI has it, or "pfm".
        color: write STEM_color.png too, the disparity in colours above a bar in pixels.
        progress: called with (pairs done, pairs in all).
        max_megapixels: larger images are refused before they are decoded.

    Raises:
        DataError: before anything is written: for what is no pairs, or two that would be written to one file.
        ValueError: likewise, where nothing can be written to ``out``.
        SomeFailed: at the end, for pairs that could not be read or answered.
    """
    if form not in FORMATS:
        raise ValueError(f"unknown format {form!r} of disparity; known: {', '.join(FORMATS)}")
    pairs, out = pair_files(left, right), Path(out)
    images = [pair[0] for pair in pairs]
    endings = [f".{form}", *(["_color.png"] if color else [])]
    targets = {ending: [target_in(out, f"{image.stem}{ending}", image) for image in images] for ending in endings}
    every = [target for of_kind in targets.values() for target in of_kind]
    refuse_collisions(images * len(targets), every)
    check_targets(out, every)
    out.mkdir(parents=True, exist_ok=True)
    failed: dict[Path, str] = {}
    written = Written([])
    for i, (one, other) in enumerate(pairs):
        target = targets[endings[0]][i]
        try:
            found = model.predict(read_image(one, max_megapixels), read_image(other, max_megapixels))
        except (ValueError, FloatingPointError) as error:
            failed[one] = str(error)
        else:
            if clipped := write_disparity(target, found):
                written.clipped[target] = clipped
            if color:
                Image.fromarray(in_color(found)).save(targets[endings[1]][i])
        if progress is not None:
            progress(i + 1, len(pairs))
    written.files += all_done(images, targets[endings[0]], failed)
    return written


def in_color(disparity: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Disparity [H, W] from 0 to its largest in colours, near things red; below it a bar in pixels. uint8 [h, W, 3]."""
    height, width = disparity.shape
    most = max(float(disparity.max()), 1.0)
    size = min(max(width // 50, 9), 28)
    bar, gap = size, size // 2
    whole = Image.new("RGB", (width, height + 2 * gap + bar + size + gap), PAPER)
    whole.paste(Image.fromarray(_colored(disparity / most)))
    top, inside = height + gap, max(width - 2 * size, 1)
    whole.paste(Image.fromarray(_colored(np.tile(np.linspace(0, 1, inside), (bar, 1)))), (size, top))
    draw, font = ImageDraw.Draw(whole), ImageFont.truetype(str(FONT), size)
    room = max(2, min(TICKS, inside // (5 * size)))
    for place in np.linspace(0, 1, room):
        anchor = "lt" if place == 0 else "rt" if place == 1 else "mt"
        unit = " px" if place == 1 else ""
        text = f"{place * most:.3g}{unit}"
        draw.text((size + place * (inside - 1), top + bar + gap // 2), text, fill=INK, font=font, anchor=anchor)
    return np.asarray(whole)


def _colored(share: NDArray[np.floating]) -> NDArray[np.uint8]:
    levels = np.rint(255 * share.clip(0, 1)).astype(np.uint8)
    return np.asarray(cv2.applyColorMap(levels, PALETTE)[..., ::-1], np.uint8, order="C")


def two_sides(inputs: Sequence[str | Path]) -> tuple[str | Path, str | Path]:
    """The left and the right images of what was given.

    Raises:
        ValueError: if these are not two.
    """
    if len(inputs) != 2:
        raise ValueError(
            "a network for disparity looks at pairs: give the left images and the right images, two files or two "
            f"folders; found: {len(inputs)}"
        )
    return inputs[0], inputs[1]
