"""Predictions for image files, written as index PNGs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image

from wholenet.data.bands import read_bands
from wholenet.data.folder import IMAGE_SUFFIXES, files_below
from wholenet.data.opening import MAX_MEGAPIXELS
from wholenet.data.pictures import overlay, picture_of, write_mask
from wholenet.data.pixels import PHOTO, Pixels
from wholenet.data.sample import Classes, DataError
from wholenet.deploy.tiles import Tiling
from wholenet.files import check_output

LONGEST_NAME = 255
"""Bytes of a file's name, on nearly all file systems."""


class SomeFailed(DataError):
    """Inputs that could not be answered, after all the others were.

    Args:
        failed: each with what is wrong with it.
        inputs: how many there were.
        written: what was written of the others.
    """

    def __init__(self, failed: Mapping[Path, str], inputs: int, written: Sequence[Path]) -> None:
        listed = [f"- {why}" if why.startswith(str(path)) else f"- {path}: {why}" for path, why in failed.items()]
        others = "; the others are done" if len(failed) < inputs else ""
        super().__init__("\n".join([f"{len(failed)} of {inputs} could not be answered{others}:", *listed]))
        self.failed = dict(failed)
        self.inputs = inputs
        self.written = list(written)


class Predictor(Protocol):
    """A trained network in whatever form: a ``TrainedModel``, an ``OnnxModel``."""

    @property
    def classes(self) -> Classes:
        """What it tells apart."""
        ...

    def predict(self, image: np.ndarray) -> np.ndarray:
        """[H, W, C] -> train ids, uint8 [H, W]."""
        ...


def pixels_of(model: Predictor) -> Pixels:
    """What the images of ``model`` are; of somebody else's that does not say, 8-bit RGB."""
    return getattr(model, "pixels", PHOTO)


def predict_files(
    model: Predictor,
    inputs: Sequence[str | Path],
    out: str | Path,
    *,
    with_overlay: bool = False,
    tiling: Tiling | None = None,
    progress: Callable[[int, int], None] | None = None,
    max_megapixels: float = MAX_MEGAPIXELS,
) -> list[Path]:
    """Write ``out``/STEM.png (class indices, size of the image) for every image, and STEM_overlay.png if asked.

    An image that cannot be answered does not stop the others; nothing is written for it.

    Args:
        model: see :func:`wholenet.load`.
        inputs: image files, and folders that are searched for them, sub-folders included.
        out: folder for the masks; made if it is not there.
        with_overlay: write STEM_overlay.png too; of bands as :func:`wholenet.data.pictures.picture_of` shows them.
        tiling: how large images are cut; None is :class:`Tiling` as it is.
        progress: as :func:`predicted` takes it.
        max_megapixels: larger images are refused before they are decoded.

    Returns:
        The masks written, in the order of the inputs.

    Raises:
        DataError: before anything is written: for an input that does not exist, a folder without images, or two
            images whose masks would have the same name.
        ValueError: likewise, where nothing can be written to ``out``.
        SomeFailed: at the end, for images that could not be read or answered.
    """
    images = list_images(inputs)
    out = Path(out)
    targets = [target_in(out, f"{image.stem}.png", image) for image in images]
    overlays = [target_in(out, f"{image.stem}_overlay.png", image) for image in images] if with_overlay else []
    refuse_collisions([*images, *images[: len(overlays)]], [*targets, *overlays])
    check_targets(out, [*targets, *overlays])
    out.mkdir(parents=True, exist_ok=True)
    failed: dict[Path, str] = {}
    for i, image, mask in predicted(model, images, failed, progress, tiling, max_megapixels):
        write_mask(targets[i], mask)
        if with_overlay:
            Image.fromarray(overlay(picture_of(image), mask, model.classes)).save(overlays[i])
    return all_done(images, targets, failed)


def list_images(inputs: Sequence[str | Path]) -> list[Path]:
    """The image files named, and those in the folders named, without repeats.

    Raises:
        DataError: for an input that does not exist, or a folder without images.
    """
    images: list[Path] = []
    for name in inputs:
        path = Path(name)
        if path.is_dir():
            found = files_below(path, IMAGE_SUFFIXES)
            if not found:
                raise DataError(f"{path} holds no images ({', '.join(IMAGE_SUFFIXES)})")
            images += found
        elif path.is_file():
            images.append(path)
        else:
            raise DataError(f"{path} does not exist; give image files or folders of images")
    return list(dict.fromkeys(images))


def target_in(out: Path, name: str, source: Path) -> Path:
    """Where what is made of ``source`` goes: ``name`` directly in ``out``, whatever the file is called.

    Raises:
        DataError: for a name that is none, is too long, or that of a symbolic link there, which would lead out.
    """
    if not source.stem.strip(".") or "/" in name or len(os.fsencode(name)) > LONGEST_NAME:
        raise DataError(
            f"{str(source)!r} would be written as {name!r}; expected a name of up to {LONGEST_NAME} bytes, and not of "
            "dots alone: rename it"
        )
    target = out / name
    if target.is_symlink():
        raise DataError(f"{target} is a symbolic link, to {target.resolve()}; remove it, or choose another --out")
    return target


def refuse_collisions(images: Sequence[Path], targets: Sequence[Path]) -> None:
    """Make sure that each image has a target of its own, which is not the image itself.

    Raises:
        DataError: naming the images and the target.
    """
    first: dict[Path, Path] = {}
    for image, target in zip(images, targets, strict=True):
        if image.resolve() == target.resolve():
            raise DataError(f"the mask of {image} would overwrite the image itself; choose another --out")
        if target in first:
            raise DataError(f"{first[target]} and {image} would both be written to {target}; predict them separately")
        first[target] = image


def check_targets(out: Path, targets: Sequence[Path]) -> None:
    """Make sure that files can be written into the folder ``out``, over those of ``targets`` that are there too.

    Raises:
        ValueError: saying what is in the way.
    """
    check_output(out, folder=True)
    for target in targets:
        if target.exists():
            check_output(target)


def all_done(images: Sequence[Path], targets: Sequence[Path], failed: Mapping[Path, str]) -> list[Path]:
    """The targets, if no image failed.

    Raises:
        SomeFailed: if some did.
    """
    written = [target for image, target in zip(images, targets, strict=True) if image not in failed]
    if failed:
        raise SomeFailed(failed, len(images), written)
    return written


def predicted(
    model: Predictor,
    images: Sequence[Path],
    failed: dict[Path, str],
    progress: Callable[[int, int], None] | None = None,
    tiling: Tiling | None = None,
    max_megapixels: float = MAX_MEGAPIXELS,
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """The place of each image in ``images``, the image [H, W, C], and its mask of train ids, uint8 [H, W]; one at a
    time, when asked for. Images that cannot be read or answered are left out, and put into ``failed``.

    ``progress`` is told of an image once the next is asked for, so that the caller's own work on it is done too.
    """
    pixels = pixels_of(model)
    for place, path in enumerate(images):
        try:
            image = read_bands(path, pixels.bands, max_megapixels)
            pixels.check(image)
            mask = (tiling or Tiling()).predict(model.predict, image)
        except (ValueError, FloatingPointError) as error:
            failed[path] = str(error)
        else:
            yield place, image, mask
        if progress is not None:
            progress(place + 1, len(images))
