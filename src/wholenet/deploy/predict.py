"""Predictions for image files, written as index PNGs; and as pictures, probabilities and polygons if asked."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image

from wholenet.data.bands import read_bands
from wholenet.data.channels import joined_channels
from wholenet.data.folder import IMAGE_SUFFIXES, files_below
from wholenet.data.guess import masks_among
from wholenet.data.opening import MAX_MEGAPIXELS
from wholenet.data.pictures import picture_of, write_mask
from wholenet.data.pieces import Image as ImagePieces
from wholenet.data.pieces import place_of
from wholenet.data.pixels import PHOTO, Pixels
from wholenet.data.sample import DataError
from wholenet.deploy.overlay import outlined, with_legend
from wholenet.deploy.polygons import write_polygons
from wholenet.deploy.predictor import Predictor
from wholenet.deploy.probabilities import mask_and_probabilities, write_probabilities
from wholenet.deploy.tiles import Tiling
from wholenet.files import check_output

Answer = TypeVar("Answer")

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


def pixels_of(model: Predictor) -> Pixels:
    """What the images of ``model`` are; of somebody else's that does not say, 8-bit RGB."""
    return getattr(model, "pixels", PHOTO)


def predict_files(
    model: Predictor,
    inputs: Sequence[str | Path],
    out: str | Path,
    *,
    with_overlay: bool = False,
    with_probabilities: bool = False,
    with_polygons: bool = False,
    tiling: Tiling | None = None,
    progress: Callable[[int, int], None] | None = None,
    max_megapixels: float = MAX_MEGAPIXELS,
) -> list[Path]:
    """Write ``out``/STEM.png (class indices, size of the image) for every image, and what else is asked.

    An image that cannot be answered does not stop the others; nothing is written for it.

    Args:
        model: see :func:`wholenet.load`.
        inputs: image files, and folders that are searched for them, sub-folders included, but for masks of images there
            (:func:`wholenet.data.guess.masks_among`). Files called a_0000.png,
            a_0001.png, as many as ``model`` has channels, are one image, whose mask is a.png.
        out: folder for the masks; made if it is not there.
        with_overlay: write STEM_overlay.png too. of bands as :func:`wholenet.data.pictures.picture_of`
            shows them.
        with_probabilities: write STEM.npz too; see :mod:`wholenet.deploy.probabilities`.
        with_polygons: write STEM.geojson too; see :mod:`wholenet.deploy.polygons`.
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
    pixels = pixels_of(model)
    pictures = joined_channels(list_images(inputs), pixels.channels)
    images = [place_of(picture) for picture in pictures]
    out = Path(out)
    asked = {".png": True, "_overlay.png": with_overlay, ".npz": with_probabilities, ".geojson": with_polygons}
    targets = {
        ending: [target_in(out, f"{image.stem}{ending}", image) for image in images]
        for ending, wanted in asked.items()
        if wanted
    }
    every = [target for of_kind in targets.values() for target in of_kind]
    refuse_collisions(images * len(targets), every)
    check_targets(out, every)
    out.mkdir(parents=True, exist_ok=True)
    failed: dict[Path, str] = {}
    answer = partial(_answer, model, tiling or Tiling(), with_probabilities)
    for i, image, (mask, probabilities) in predicted(answer, pictures, failed, progress, max_megapixels, pixels):
        write_mask(targets[".png"][i], mask)
        if with_overlay:
            shown = with_legend(outlined(picture_of(image), mask, model.classes), mask, model.classes)
            Image.fromarray(shown).save(targets["_overlay.png"][i])
        if probabilities is not None:
            write_probabilities(targets[".npz"][i], probabilities, model.classes)
        if with_polygons:
            write_polygons(targets[".geojson"][i], mask, model.classes, images[i].name)
    return all_done(images, targets[".png"], failed)


def _answer(
    model: Predictor, tiling: Tiling, with_probabilities: bool, image: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None]:
    """The mask, uint8 [H, W], and if asked the probabilities, float16 [K, H, W]."""
    if with_probabilities:
        return mask_and_probabilities(model, image, tiling)
    return tiling.predict(model.predict, image), None


def list_images(inputs: Sequence[str | Path]) -> list[Path]:
    """The image files named, and those in the folders named but for the masks of others, without repeats.

    Raises:
        DataError: for an input that does not exist, or a folder without images.
    """
    images, _ = opened_folders(inputs)
    if missing := [path for path in images if not path.is_file()]:
        raise DataError(f"{missing[0]} does not exist; give image files or folders of images")
    return list(dict.fromkeys(images))


def opened_folders(inputs: Sequence[str | Path]) -> tuple[list[Path], list[Path]]:
    """The inputs, with the image files in it in the place of each folder, but for those that are called as the masks of
    images there; and these.

    Raises:
        DataError: for a folder without images.
    """
    images, masks = list[Path](), list[Path]()
    for path in map(Path, inputs):
        if not path.is_dir():
            images.append(path)
            continue
        found = files_below(path, IMAGE_SUFFIXES)
        if not found:
            packed = files_below(path, (".parquet",))
            how = "; docs/data.md (Tables) has the lines that write those in its .parquet as files" if packed else ""
            raise DataError(f"{path} holds no images ({', '.join(IMAGE_SUFFIXES)}){how}")
        of_others = dict.fromkeys(masks_among(path, found))
        images += [file for file in found if file not in of_others]
        masks += of_others
    return images, masks


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
    if out.suffix.lower() in (*IMAGE_SUFFIXES, ".pfm") and not out.is_dir():
        raise ValueError(
            f"{out} is called as a file is, and a folder is needed, into which "
            f"{targets[0].relative_to(out).as_posix()} is written: leave {out.suffix} out"
        )
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
    answer: Callable[[np.ndarray], Answer],
    images: Sequence[ImagePieces],
    failed: dict[Path, str],
    progress: Callable[[int, int], None] | None = None,
    max_megapixels: float = MAX_MEGAPIXELS,
    pixels: Pixels = PHOTO,
) -> Iterator[tuple[int, np.ndarray, Answer]]:
    """The place of each image in ``images``, the image [H, W, C], and the ``answer`` to it; one at a time, when
    asked for. Images that cannot be read or answered are left out, and put into ``failed``.

    ``progress`` is told of an image once the next is asked for, so that the caller's own work on it is done too.
    """
    for place, path in enumerate(images):
        try:
            image = read_bands(path, pixels.bands, max_megapixels)
            pixels.check(image)
            found = answer(image)
        except (ValueError, FloatingPointError) as error:
            failed[place_of(path)] = str(error)
        else:
            yield place, image, found
        if progress is not None:
            progress(place + 1, len(images))
