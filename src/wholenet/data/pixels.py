"""What the pixels of images are: how many bands, of which type, and how a network is given them.

A photograph has 8 bits and is red, green and blue; everything else here is called measured: more bits, floats, other
bands. Letters: H x W pixels, C channels, one for each band.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from wholenet.checked import Spread
from wholenet.file_keys import check_keys, numbers

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
"""RGB mean and standard deviation, on [0, 1], that photographs are normalised with: the customary values."""
MIDDLE, SPREAD = 127.0, 255 * 0.226
"""Mean and standard deviation, on 0..255, that measured channels are given where they are augmented: a photograph's."""

Bands = Literal["auto", "stored", "pages"]
"""How files become channels: as viewers show them if they are photographs, and else band by band; band by band
whatever they are; and so with the pages of a TIFF as bands."""
TYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float16", "float32", "float64")
"""NumPy's names of what a band may hold."""
MOST_CHANNELS = 1024
"""Hyperspectral images have some hundreds of bands."""


def normalize(image: np.ndarray, mean: Sequence[float] = MEAN, std: Sequence[float] = STD) -> np.ndarray:
    """uint8 [..., C] -> float32 [..., C], of zero mean and unit variance where ``mean`` and ``std`` are the data's; by
    default those of typical photographs."""
    scale = np.float32(1 / 255) / np.array(std, dtype=np.float32)
    shift = np.array(mean, dtype=np.float32) / np.array(std, dtype=np.float32)
    return image * scale - shift


@dataclass(frozen=True)
class BandStats:
    """Of one channel, in the values' own units."""

    mean: float
    std: float
    low: float
    high: float
    missing: int = 0
    """Pixels without data, of which nothing is counted."""


@dataclass(frozen=True, kw_only=True)
class Pixels:
    """The pixels of a data set's images, as its training split has them, and of those a network takes.

    :data:`PHOTO` is 8-bit RGB, which is normalised by the customary constants. All others are normalised by the mean
    and the standard deviation of the training images.
    """

    channels: int = 3
    type: str = "uint8"
    """NumPy's name."""
    bands: Bands = "auto"
    """How files are read."""
    mean: tuple[float, ...] = MEAN
    """Of each channel: of photographs on [0, 1], else in the values' own units."""
    std: tuple[float, ...] = STD
    low: tuple[float, ...] = ()
    """Least value of each channel in the training images; of photographs nobody asks."""
    high: tuple[float, ...] = ()

    @property
    def photo(self) -> bool:
        """Whether they are 8-bit RGB."""
        return is_photo(self.channels, self.type)

    def __str__(self) -> str:
        return kind_of(self.channels, self.type)

    def check(self, image: np.ndarray) -> None:
        """Make sure that an array [H, W, C] is such an image.

        Raises:
            ValueError: if it has another shape or type.
        """
        if image.ndim == 3 and image.shape[2] == self.channels and image.dtype == self.type:
            return
        what = "an RGB image, uint8" if self.photo else f"an image of {self},"
        raise ValueError(
            f"expected {what} [H, W, {self.channels}]; found {image.dtype} {list(image.shape)}. Give images of the "
            "kind that the network was trained on, or train one on images of this kind"
        )

    def normalized(self, image: np.ndarray) -> np.ndarray:
        """[..., C] -> float32 [..., C], as a network takes it.

        Raises:
            ValueError: if ``image`` is of another kind.
        """
        if self.photo:
            return normalize(image, self.mean, self.std)
        return self._standard(image).astype(np.float32)

    def augmentable(self, image: np.ndarray) -> np.ndarray:
        """The image on the scale on which images are augmented, 0 to 255: a photograph itself, uint8; a measured one as
        float32 whose channels have a photograph's mean and spread, so that jitter and noise do as much to them."""
        if self.photo:
            return image
        return (self._standard(image) * SPREAD + MIDDLE).astype(np.float32)

    def augmented(self, image: np.ndarray) -> np.ndarray:
        """What :meth:`augmentable` gave, changed or not -> float32, as a network takes it."""
        return (
            normalize(image, self.mean, self.std) if self.photo else (image - np.float32(MIDDLE)) / np.float32(SPREAD)
        )

    def _standard(self, image: np.ndarray) -> np.ndarray:
        self.check(image)
        wide = image.astype(np.float64 if image.dtype.itemsize > 2 else np.float32)  # 1e9 + 1 is no float32
        return (wide - np.array(self.mean, wide.dtype)) / np.array(self.std, wide.dtype)

    def told(self) -> str:
        """One line for people."""
        if self.photo:
            return f"images: {self}, normalised by the constants customary for photographs"
        shown = [
            f"{name} {', '.join(f'{value:.4g}' for value in values[:8])}{', ...' if len(values) > 8 else ''}"
            for name, values in (("from", self.low), ("to", self.high), ("mean", self.mean), ("spread", self.std))
        ]
        return f"images: {self}, normalised by the training images' own mean and spread: {'; '.join(shown)}"

    def to_dict(self) -> dict[str, Any]:
        """What a file says of them, as plain values: "normalization", and "pixels" unless they are :data:`PHOTO`."""
        values = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}
        found = {"normalization": {name: values.pop(name) for name in ("mean", "std")}}
        return found if self == PHOTO else {**found, "pixels": values}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], where: str) -> Pixels:
        """What :meth:`to_dict` wrote, in a file that may come from anybody; other keys are others'.

        Raises:
            ValueError: for what is missing, unknown or does not do; it names ``where``.
        """
        kinds: dict[str, Any] = {
            "channels": Annotated[int, Field(ge=1, le=MOST_CHANNELS)],
            "type": Literal[TYPES],
            "bands": Bands,
            "low": list,
            "high": list,
        }
        about = values.get("pixels", {"channels": 3, "type": "uint8", "bands": "auto", "low": [], "high": []})
        check_keys(about, kinds, f"{where}, pixels", only=True)
        channels, kind, bands = about["channels"], about["type"], about["bands"]
        photo, moments = is_photo(channels, kind), values["normalization"]
        std = numbers(channels) if photo else numbers(channels, Spread)
        check_keys(moments, {"mean": numbers(channels), "std": std}, f"{where}, normalization")
        ends = numbers(0 if photo else channels)
        check_keys(about, {"low": ends, "high": ends}, f"{where}, pixels")
        lists = {**moments, **about}
        read = {name: tuple(lists[name]) for name in ("mean", "std", "low", "high")}
        return cls(channels=channels, type=kind, bands=bands, **read)


PHOTO = Pixels()
"""8-bit RGB, as viewers show it."""


def is_photo(channels: int, kind: str) -> bool:
    """Whether so many channels of a type are 8-bit RGB."""
    return (channels, kind) == (3, "uint8")


def kind_of(channels: int, kind: str) -> str:
    """What people call so many channels of a type.

    >>> kind_of(3, "uint8"), kind_of(1, "uint8"), kind_of(4, "uint16")
    ('8-bit RGB', '1 band of uint8', '4 bands of uint16')
    """
    return "8-bit RGB" if is_photo(channels, kind) else f"{channels} band{'s' * (channels > 1)} of {kind}"


def band_stats(image: np.ndarray, missing: np.ndarray | None = None) -> tuple[BandStats, ...]:
    """Of each channel of an image [H, W, C], in float64; pixels that are ``missing``, bool [H, W, C], do not count."""
    bands = list(image.reshape(-1, image.shape[2]).T)
    gaps = [0] * len(bands)
    if missing is not None:
        empty = missing.reshape(-1, image.shape[2]).T
        gaps = [int(one.sum()) for one in empty]
        bands = [band[~one] for band, one in zip(bands, empty, strict=True)]
    return tuple(
        BandStats(
            float(band.mean(dtype=float)), float(band.std(dtype=float)), float(band.min()), float(band.max()), gap
        )
        for band, gap in zip(bands, gaps, strict=True)
    )


def pixels_of(kind: str, bands: Bands, images: Iterable[tuple[int, tuple[BandStats, ...]]]) -> Pixels:
    """Of images of one kind, each as (H * W, its channels; of a photograph none). A channel of a single value gets a
    spread of 1."""
    sizes, stats = zip(*images, strict=True)
    if not stats[0]:
        return Pixels(bands=bands)
    counts = np.array(sizes, float)[:, None] - np.array([[band.missing for band in one] for one in stats])
    means, stds, lows, highs = (
        np.array([[getattr(band, name) for band in one] for one in stats]) for name in ("mean", "std", "low", "high")
    )
    mean = (counts * means).sum(0) / counts.sum(0)
    std = np.sqrt((counts * (stds**2 + (means - mean) ** 2)).sum(0) / counts.sum(0))
    return Pixels(
        channels=len(mean),
        type=kind,
        bands=bands,
        mean=tuple(mean.tolist()),
        std=tuple(np.where(std > 0, std, 1.0).tolist()),
        low=tuple(lows.min(0).tolist()),
        high=tuple(highs.max(0).tolist()),
    )
