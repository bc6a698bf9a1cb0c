"""What every image and mask file holds, each decoded once: facts that no class table is needed for.

Letters: H x W pixels.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal

import numpy as np

from wholenet.data.bands import bands_with_header
from wholenet.data.classes import Color
from wholenet.data.drawn import Drawn
from wholenet.data.facts_cache import FactsCache, Source, Stamp
from wholenet.data.object_masks import ObjectMask
from wholenet.data.opening import MAX_MEGAPIXELS, quiet_pillow
from wholenet.data.pictures import RawMask, raw_mask_with_header
from wholenet.data.pieces import Cell, Image, Stacked
from wholenet.data.pixels import Bands, BandStats, band_stats, is_photo, kind_of
from wholenet.data.stored import WHITE_IS_ZERO, PictureError

MOST_COLORS = 4096
"""Colours of one mask that are counted apart; a class file has at most 254, and a photograph more."""
THREADS = min(8, os.cpu_count() or 1)


@dataclass(frozen=True)
class FileFacts:
    """What images and masks have in common."""

    size: tuple[int, int]
    """(H, W), upright."""
    format: str
    mode: str
    compression: str
    """Of a TIFF; as in ``Header``."""
    orientation: int
    """EXIF; 1 is upright."""
    white_is_zero: bool
    """Whether viewers show its grey levels inverted, because of a TIFF's PhotometricInterpretation."""
    transparent: bool
    digest: str
    """Of the decoded pixels: two files with the same are the same picture."""


@dataclass(frozen=True)
class ImageFacts(FileFacts):
    """An image: 8-bit RGB, or its bands (``data/bands.py``)."""

    flat: bool
    """Whether all its pixels have one colour."""
    type: str = "uint8"
    """NumPy's name of what a band holds."""
    channels: int = 3
    stats: tuple[BandStats, ...] = ()
    """Of each channel; of 8-bit RGB none are taken."""
    bands: Bands = "auto"
    """How the file was read."""

    @property
    def kind(self) -> str:
        """What people call such pixels."""
        return kind_of(self.channels, self.type)


@dataclass(frozen=True)
class MaskFacts(FileFacts):
    """A mask, before a class table gives its codes a meaning."""

    kind: Literal["index", "bits", "color"]
    """As in ``RawMask``."""
    counts: Mapping[int, int]
    """Code -> pixels; the ``MOST_COLORS`` most frequent."""
    uncounted: int
    """Pixels of further codes."""
    palette: Mapping[int, Color]
    """The colour that the file's palette gives to each code that occurs."""
    shared: int = 0
    """Pixels that several objects claim, where each has a mask of its own (``data/object_masks.py``)."""

    def codes(self) -> RawMask:
        """One pixel of each code, in the order of ``counts``."""
        return RawMask(self.kind, np.array(list(self.counts), np.int64))


Facts = ImageFacts | MaskFacts
Wanted = tuple[Image | Drawn, Callable[[Any, float], Facts]]
"""A file, or what is drawn from one, and how it is looked at."""


@dataclass(frozen=True)
class Surveyed:
    """The facts of the files of a data set, or what is wrong with them."""

    images: dict[Image, ImageFacts] = field(default_factory=dict)
    masks: dict[Path | Cell | Drawn, MaskFacts] = field(default_factory=dict)
    unusable_images: dict[Image, PictureError] = field(default_factory=dict)
    unusable_masks: dict[Path | Cell | Drawn, PictureError] = field(default_factory=dict)


def survey(
    images: Iterable[Image],
    masks: Iterable[Path | Cell | Drawn],
    *,
    bands: Bands = "auto",
    max_megapixels: float = MAX_MEGAPIXELS,
    cache: FactsCache | None = None,
    threads: int = THREADS,
    progress: Callable[[int, int], None] | None = None,
) -> Surveyed:
    """Decode every file once, several at a time, unless ``cache`` knows it with this size and times.

    Args:
        images: image files.
        masks: mask files, or masks that are drawn.
        bands: how images are read.
        max_megapixels: larger ones are refused before they are decoded.
        cache: where facts of earlier looks are; what was found is written there.
        threads: how many files are read at a time.
        progress: called with (files done, files in all) after each, in the calling thread.
    """
    found = Surveyed()
    look_here = partial(look_at_image, bands=bands)
    wanted: list[Wanted] = [*((path, look_here) for path in dict.fromkeys(images))]
    wanted += [*((path, look_at_mask) for path in dict.fromkeys(masks))]
    cache = cache or FactsCache(None)
    with quiet_pillow(), ThreadPoolExecutor(threads) as pool:
        looked = pool.map(partial(_look, cache=cache, bands=bands, max_megapixels=max_megapixels), wanted)
        try:
            for done, ((path, look), (stamp, facts)) in enumerate(zip(wanted, looked, strict=True), start=1):
                if isinstance(facts, MaskFacts) and not isinstance(path, Stacked):
                    found.masks[path] = facts
                elif look is look_at_mask and isinstance(facts, PictureError) and not isinstance(path, Stacked):
                    found.unusable_masks[path] = facts
                elif isinstance(facts, PictureError) and not isinstance(path, Drawn):
                    found.unusable_images[path] = facts
                elif isinstance(facts, ImageFacts) and not isinstance(path, Drawn):
                    found.images[path] = facts
                if stamp is not None and not isinstance(facts, PictureError) and (source := source_of(path)):
                    cache.put(source, stamp, facts_to_list(facts))
                if progress:
                    progress(done, len(wanted))
        finally:  # Ctrl-C too: the next look goes on from here
            pool.shutdown(cancel_futures=True)
            cache.write()
    return found


def look_at_image(path: Image, max_megapixels: float = MAX_MEGAPIXELS, bands: Bands = "auto") -> ImageFacts:
    """Decode one image.

    Raises:
        PictureError: if it cannot be used.
    """
    pixels, header, transparent, missing = bands_with_header(path, bands, max_megapixels)
    channels, kind = pixels.shape[2], pixels.dtype.name
    return ImageFacts(
        size=(pixels.shape[0], pixels.shape[1]),
        format=header.format,
        mode=header.mode,
        compression=header.compression,
        orientation=header.orientation,
        white_is_zero=header.stored is not None and header.stored.color == WHITE_IS_ZERO,
        transparent=transparent,
        digest=_digest(pixels),
        flat=all((some == pixels[0, 0]).all() for some in (pixels[::16, ::16], pixels)),  # few get to the second
        type=kind,
        channels=channels,
        stats=() if is_photo(channels, kind) else band_stats(pixels, missing),
        bands=bands,
    )


def look_at_mask(path: Path | Cell | Drawn, max_megapixels: float = MAX_MEGAPIXELS) -> MaskFacts:
    """Decode one mask and count its codes.

    Raises:
        PictureError: if it cannot be used.
    """
    raw, header, transparent = raw_mask_with_header(path, max_megapixels)
    codes, counts = _counted(raw.codes)
    kept = np.argsort(-counts, kind="stable")[:MOST_COLORS]
    tally = dict(zip(codes[kept].tolist(), counts[kept].tolist(), strict=True))
    return MaskFacts(
        size=(raw.codes.shape[0], raw.codes.shape[1]),
        format=header.format,
        mode=header.mode,
        compression=header.compression,
        orientation=header.orientation,
        white_is_zero=header.stored is not None and header.stored.color == WHITE_IS_ZERO,
        transparent=transparent,
        digest=_digest(raw.codes),
        kind=raw.kind,
        counts=tally,
        uncounted=raw.codes.size - sum(tally.values()),
        palette={code: raw.palette[code] for code in tally if 0 <= code < len(raw.palette)},
        shared=raw.shared,
    )


def facts_to_list(facts: Facts) -> list[object]:
    """Plain lists and numbers, for JSON."""
    common = [[*facts.size, facts.format, facts.mode, facts.compression, facts.orientation]]
    common[0] += [facts.white_is_zero, facts.transparent, facts.digest]
    if isinstance(facts, ImageFacts):
        stats = [[band.mean, band.std, band.low, band.high, band.missing] for band in facts.stats]
        return ["image", *common, facts.flat, [facts.type, facts.channels, facts.bands, stats]]
    palette = [[code, *color] for code, color in facts.palette.items()]
    counts = [list(facts.counts), list(facts.counts.values())]
    return ["mask", *common, facts.kind, counts, facts.uncounted, palette, facts.shared]


def facts_from_list(listed: Sequence) -> Facts:
    """The facts that :func:`facts_to_list` wrote.

    Raises:
        ValueError, TypeError: if they are of another form.
    """
    what, (height, width, *rest), *own = listed
    form, mode, compression, orientation, white_is_zero, transparent, digest = rest
    common = {"size": (int(height), int(width)), "format": str(form), "mode": str(mode), "digest": str(digest)}
    common |= {"compression": str(compression), "orientation": int(orientation)}
    common |= {"white_is_zero": bool(white_is_zero), "transparent": bool(transparent)}
    if what == "image":
        flat, (kind, channels, bands, stats) = own
        read = tuple(
            BandStats(float(mean), float(std), float(low), float(high), int(missing))
            for mean, std, low, high, missing in stats
        )
        own = {"type": str(kind), "channels": int(channels), "bands": bands, "stats": read}
        return ImageFacts(**common, flat=bool(flat), **own)
    kind, (codes, counts), uncounted, palette, shared = own
    return MaskFacts(
        **common,
        kind=kind,
        counts={int(code): int(count) for code, count in zip(codes, counts, strict=True)},
        uncounted=int(uncounted),
        palette={int(code): (int(r), int(g), int(b)) for code, r, g, b in palette},
        shared=int(shared),
    )


def source_of(piece: Image | Drawn) -> Source | None:
    """What facts of an image or a mask are kept by; None of outlines, which are drawn as fast as they are looked up."""
    if isinstance(piece, Path):
        return Source((piece,))
    if isinstance(piece, Cell):
        return Source((piece.file,), f"{piece.number} {piece.column}")
    if isinstance(piece, Stacked):
        return Source(piece.files, "stacked")
    masks = [one.region.file for one in piece.objects if isinstance(one.region, ObjectMask)]
    if not masks or len(masks) < len(piece.objects):
        return None
    how = ([one.code for one in piece.objects], piece.size, piece.largest_first, piece.apart)
    return Source((piece.image, *masks), repr(how))


def _look(
    wanted: Wanted, *, cache: FactsCache, bands: Bands, max_megapixels: float
) -> tuple[Stamp | None, Facts | PictureError]:
    path, look = wanted
    source = source_of(path)
    stamp = None if source is None else cache.stamp(source)
    known = None if source is None else cache.get(source, stamp)
    if known is not None:
        try:
            facts = facts_from_list(known)
        except (ValueError, TypeError):
            facts = None
        is_mask = isinstance(facts, MaskFacts)
        same_kind = is_mask if look is look_at_mask else isinstance(facts, ImageFacts) and facts.bands == bands
        if facts is not None and same_kind and facts.size[0] * facts.size[1] <= max_megapixels * 1e6:
            return stamp, facts
    try:
        return stamp, look(path, max_megapixels)
    except PictureError as error:
        return None, error


def _counted(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if codes.dtype != np.uint8:
        return np.unique(codes, return_counts=True)
    counts = np.bincount(codes.ravel(), minlength=256)
    found = np.flatnonzero(counts)
    return found, counts[found]


def _digest(pixels: np.ndarray) -> str:
    digest = blake2b(repr(pixels.shape).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()
