"""Images and masks: from files to arrays, from masks to files and to colours.

Everything is read through Pillow: other readers turn palette masks into colours or grey levels.
Letters: H x W pixels, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from wholenet.data.classes import MAX_VALUE, Color, default_colors
from wholenet.data.drawn import OBJECTS, OUTLINES, Drawn
from wholenet.data.opening import MAX_MEGAPIXELS, Header, load
from wholenet.data.pieces import Cell
from wholenet.data.sample import IGNORE, Classes, DataError
from wholenet.data.stored import SIGNED, UNSIGNED, WHITE_IS_ZERO, PictureError, Stored

UNKNOWN = 254
"""Stands for a pixel that no class explains while a mask is being read; ``MAX_CLASSES`` keeps it free."""

STRETCH = (2, 98)
"""Percentiles that become black and white in pictures of images that are no photographs."""

_IMAGE_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr")


# ---- images


def read_image(path: str | Path, max_megapixels: float = MAX_MEGAPIXELS, content: bytes | None = None) -> np.ndarray:
    """The image as a viewer shows it (EXIF rotation applied), uint8 [H, W, 3] RGB; transparency is dropped.

    Args:
        path: the file; if its ``content`` is given, how messages call it.
        max_megapixels: larger ones are refused before they are decoded.
        content: the file's bytes, if it is not one of its own.

    Raises:
        PictureError: if the file cannot be read, decodes to more than ``max_megapixels``, holds several pictures, or
            has other than 8 bits per channel or other channels than grey, RGB or CMYK, with or without alpha.
    """
    return image_with_header(path, max_megapixels, content)[0]


def image_with_header(
    path: str | Path, max_megapixels: float = MAX_MEGAPIXELS, content: bytes | None = None
) -> tuple[np.ndarray, Header, bool]:
    """The image as :func:`read_image` gives it, its header, and whether any pixel of it is transparent.

    Raises:
        PictureError: as :func:`read_image`.
    """
    header, picture = load(path, max_megapixels, content)
    if picture.mode not in _IMAGE_MODES:  # LAB, for one, comes out of Pillow in other colours
        reason = f"an image in Pillow mode {picture.mode}, which wholenet does not turn into RGB"
        raise PictureError(path, "mode", reason, "Save it as RGB.")
    # Palettes with per-entry transparency warn on the direct way to RGB.
    opaque = picture.convert("RGBA") if picture.has_transparency_data else picture
    transparent = opaque.mode == "RGBA" and np.array(opaque.getchannel("A")).min() < 255
    return np.array(opaque.convert("RGB")), header, bool(transparent)


# ---- masks as written


@dataclass(frozen=True)
class RawMask:
    """A mask file as it was written, before a class table gives its pixels a meaning."""

    kind: Literal["index", "bits", "color"]
    codes: np.ndarray
    """[H, W] integers: the value; 0 or 1 of a 1-bit file; or red * 65536 + green * 256 + blue."""
    palette: tuple[Color, ...] = ()
    """The colours of indices 0, 1, ... in a palette file."""
    shared: int = 0
    """Pixels that several objects claim, where each has a mask of its own."""


def read_raw_mask(path: str | Path | Cell | Drawn, max_megapixels: float = MAX_MEGAPIXELS) -> RawMask:
    """The mask's pixels, undecided what they mean.

    Raises:
        PictureError: if the file cannot be read, decodes to more than ``max_megapixels``, or is of a kind that cannot
            hold labels.
    """
    return raw_mask_with_header(path, max_megapixels)[0]


def raw_mask_with_header(
    path: str | Path | Cell | Drawn, max_megapixels: float = MAX_MEGAPIXELS
) -> tuple[RawMask, Header, bool]:
    """The mask as :func:`read_raw_mask` gives it, its header, and whether any pixel of it is transparent.

    Raises:
        PictureError: as :func:`read_raw_mask`.
    """
    if isinstance(path, Drawn):
        codes, shared = path.drawn(max_megapixels)
        return (
            RawMask("index", codes, shared=shared),
            Header(OBJECTS if path.apart else OUTLINES, "L", "", 1, None),
            False,
        )
    content = path.content() if isinstance(path, Cell) else None
    path = str(path) if isinstance(path, Cell) else path
    header, picture = load(path, max_megapixels, content, mask=True)
    mode, pixels = picture.mode, as_stored(np.array(picture), header.stored)
    flat = picture.getpalette("RGB") or [] if mode in ("P", "PA") else []
    if mode == "1":
        return RawMask("bits", pixels.astype(np.uint8)), header, False
    if mode in ("L", "P", "I") or mode.startswith("I;16"):
        return RawMask("index", pixels, _triples(flat)), header, False
    if mode in ("LA", "PA"):
        return RawMask("index", pixels[..., 0], _triples(flat)), header, bool((pixels[..., 1] < 255).any())
    if mode in ("RGB", "RGBA"):
        return RawMask("color", _pack(pixels[..., :3])), header, bool((pixels[..., 3:] < 255).any())
    raise PictureError(
        path,
        "mode",
        f"a mask must be an index, palette, 1-bit or RGB picture, this one has Pillow mode {mode}",
        "Save it as an 8-bit PNG whose pixel values are the class ids.",
    )


def as_stored(pixels: np.ndarray, stored: Stored | None) -> np.ndarray:
    """The numbers in the file: Pillow turns grey levels about as viewers do, and takes them for others' type."""
    if stored is None or pixels.ndim > 2:
        return pixels
    if stored.color == WHITE_IS_ZERO and pixels.dtype == np.uint8:
        return 255 - pixels
    if set(stored.formats) == {SIGNED} and pixels.dtype == np.uint8:
        return pixels.view(np.int8)
    if set(stored.formats) == {UNSIGNED} and pixels.dtype == np.int32:
        return pixels.view(np.uint32).astype(np.int64)
    return pixels


def unpack_color(code: int) -> Color:
    """(red, green, blue) of a colour code of ``RawMask``."""
    return code >> 16, code >> 8 & 255, code & 255


def is_gray(codes: np.ndarray) -> np.ndarray:
    """Which of these colour codes have three equal channels; bool, the shape of ``codes``."""
    return codes == (codes & 255) * 0x010101


def _triples(flat: Sequence[int]) -> tuple[Color, ...]:
    return tuple(zip(flat[0::3], flat[1::3], flat[2::3], strict=True))


def _pack(rgb: np.ndarray) -> np.ndarray:
    wide = rgb.astype(np.int32)
    return wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2]


# ---- masks in train ids


def read_mask(path: str | Path | Cell | Drawn, classes: Classes, max_megapixels: float = MAX_MEGAPIXELS) -> np.ndarray:
    """The mask in train ids and ``IGNORE``, uint8 [H, W].

    Index, palette and 16-bit files are read by value, 1-bit files as 0 and 255 if 255 is a class's value and as 0 and
    1 otherwise. RGB files are read by the colours of ``classes``; one that holds only greys, and not the table's, is
    taken as an index file saved with three equal channels.

    Raises:
        DataError: if the file cannot be read, decodes to more than ``max_megapixels``, or holds pixels that ``classes``
            does not explain.
    """
    labels = labels_of(read_raw_mask(path, max_megapixels), classes)
    unknown = labels.train_ids == UNKNOWN
    if unknown.any():
        raise DataError(_unknown_message(path, labels.codes[unknown], classes, labels.by_color))
    return labels.train_ids


@dataclass(frozen=True)
class Labels:
    """A raw mask as a class table reads it."""

    train_ids: np.ndarray
    """uint8, in the shape of the codes: train ids, ``IGNORE``, and ``UNKNOWN`` where the table explains nothing."""
    codes: np.ndarray
    """What was looked up: values, or colour codes."""
    by_color: bool
    """Which of the two."""


def labels_of(raw: RawMask, classes: Classes) -> Labels:
    """Read a mask, or the distinct codes of one, by a class table."""
    by_color = raw.kind == "color" and not _is_index_in_rgb(raw.codes, classes)
    codes = raw.codes if by_color else _index_codes(raw, classes)
    return Labels(_color_table(classes)[codes] if by_color else _train_ids(codes, classes), codes, by_color)


def _is_index_in_rgb(codes: np.ndarray, classes: Classes) -> bool:
    # A table with colours of its own is for masks in those colours: a blank RGB mask is then unknown, not class 0.
    if classes.colors != default_colors(len(classes)):
        return False
    return bool(is_gray(codes).all()) and bool((_color_table(classes)[codes] == UNKNOWN).any())


def _index_codes(raw: RawMask, classes: Classes) -> np.ndarray:
    if raw.kind == "color":
        return raw.codes & 255
    if raw.kind == "bits" and 255 in classes.values:
        return raw.codes * 255
    return raw.codes


def _train_ids(codes: np.ndarray, classes: Classes) -> np.ndarray:
    if codes.dtype != np.uint8:  # 32-bit files may hold numbers that no table reaches
        codes = np.clip(codes.astype(np.int64), -1, MAX_VALUE + 1)
    return _index_table(classes)[codes]


@lru_cache(maxsize=4)
def _index_table(classes: Classes) -> np.ndarray:
    """Pixel value -> train id; the entry after the last, which -1 reaches too, is unknown."""
    table = np.full(MAX_VALUE + 2, UNKNOWN, np.uint8)
    table[list(classes.ignore_values)] = IGNORE
    table[list(classes.values)] = np.arange(len(classes))
    return table


@lru_cache(maxsize=2)
def _color_table(classes: Classes) -> np.ndarray:
    """Colour code -> train id: 16 MiB, so that a pixel costs one look-up instead of a search among the colours."""
    table = np.full(1 << 24, UNKNOWN, np.uint8)
    for color in classes.ignore_colors:
        table[_pack(np.array(color))] = IGNORE
    for train_id, color in enumerate(classes.colors):
        table[_pack(np.array(color))] = train_id
    return table


def _unknown_message(path: str | Path | Cell | Drawn, codes: np.ndarray, classes: Classes, by_color: bool) -> str:
    values, counts = np.unique(codes, return_counts=True)
    spelled = [str(unpack_color(value) if by_color else value) for value in values.tolist()]
    listed = [f"{text} ({count} pixels)" for text, count in zip(spelled, counts.tolist(), strict=True)]
    found = ", ".join(listed[:10])
    more = f" and {len(values) - 10} more" if len(values) > 10 else ""
    if by_color:
        expected = ", ".join(f"{color} {name}" for color, name in zip(classes.colors, classes.names, strict=True))
        ignored = ", ".join(map(str, classes.ignore_colors))
        advice = "Give each class its colour in classes.json, and list colours that should not count as ignore_colors"
    else:
        expected, ignored = ranges(classes.values), ranges(classes.ignore_values)
        advice = "Add the missing classes to classes.json, or list values that should not count as ignore_index"
    return (
        f"{path}: pixels of no known class: {found}{more}. Expected {expected}"
        f"{f'; ignored: {ignored}' if ignored else ''}. {advice}."
    )


def ranges(values: Sequence[int]) -> str:
    """The numbers, runs shortened.

    >>> ranges([7, 0, 1, 2, 3])
    '0..3, 7'
    """
    runs = groupby(enumerate(sorted(values)), key=lambda pair: pair[1] - pair[0])
    spans = [[value for _, value in run] for _, run in runs]
    return ", ".join(f"{span[0]}..{span[-1]}" if len(span) > 1 else str(span[0]) for span in spans)


def check_image(image: np.ndarray) -> None:
    """Make sure that an array is an RGB image.

    Raises:
        ValueError: if it has another shape or type.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(f"expected an RGB image, uint8 [H, W, 3]; found {image.dtype} {list(image.shape)}")


def write_mask(path: str | Path, mask: np.ndarray) -> None:
    """Write uint8 [H, W] as an 8-bit index picture; ``path`` should end in .png.

    Raises:
        ValueError: if ``mask`` has another type or shape.
    """
    if mask.dtype != np.uint8 or mask.ndim != 2:
        raise ValueError(f"a mask is uint8 [H, W]; found {mask.dtype} {list(mask.shape)}")
    Image.fromarray(mask).save(path)


# ---- pictures for people


def picture_of(image: np.ndarray) -> np.ndarray:
    """A picture of an image [H, W, C], uint8 [H, W, 3]: 8-bit RGB itself; of other bands what :func:`bands_shown` says,
    each stretched from its 2nd to its 98th percentile in this image."""
    if image.dtype == np.uint8 and image.shape[2] == 3:
        return image
    shown = image[..., : 3 if image.shape[2] >= 3 else 1].astype(np.float32)
    low, high = (np.percentile(shown, percent, axis=(0, 1)) for percent in STRETCH)
    stretched = (shown - low) / np.where(high > low, high - low, 1)
    return np.repeat(np.rint(255 * stretched.clip(0, 1)).astype(np.uint8), 3 // shown.shape[2], axis=2)


def bands_shown(channels: int) -> str:
    """What :func:`picture_of` shows of images that are no photographs.

    >>> bands_shown(4), bands_shown(2)
    ('bands 1, 2, 3 as red, green, blue', 'band 1 as grey')
    """
    return "bands 1, 2, 3 as red, green, blue" if channels >= 3 else "band 1 as grey"


# ---- masks in colour


def drawing_colors(classes: Classes) -> tuple[Color, ...]:
    """What the classes are drawn in: their colours, or the default ones where all of theirs are greys, as those of
    black and white masks are, because over an image greys look like its own light and shadow.

    >>> drawing_colors(Classes(("background", "foreground"), ((0, 0, 0), (255, 255, 255))))
    ((242, 36, 36), (77, 110, 191))
    """
    if all(red == green == blue for red, green, blue in classes.colors):
        return default_colors(len(classes))
    return classes.colors


def colorize(mask: np.ndarray, classes: Classes) -> np.ndarray:
    """The mask [H, W] of train ids in :func:`drawing_colors`, uint8 [H, W, 3]; ``IGNORE`` is black."""
    table = np.zeros((256, 3), np.uint8)
    table[: len(classes)] = drawing_colors(classes)
    return table[mask]


def overlay(image: np.ndarray, mask: np.ndarray, classes: Classes, opacity: float = 0.5) -> np.ndarray:
    """The image [H, W, 3] under its coloured mask [H, W], uint8 [H, W, 3]; ignored pixels show the bare image.

    Raises:
        ValueError: if the sizes differ or ``opacity`` is not in [0, 1].
    """
    if image.shape[:2] != mask.shape:
        raise ValueError(f"image {list(image.shape)} and mask {list(mask.shape)} must have the same height and width")
    if not 0.0 <= opacity <= 1.0:
        raise ValueError(f"opacity={opacity} must be in [0, 1]: 0 shows the image alone, 1 the mask alone")
    weight = np.where(mask == IGNORE, 0.0, opacity)[..., None]
    return np.rint(image * (1.0 - weight) + colorize(mask, classes) * weight).astype(np.uint8)
