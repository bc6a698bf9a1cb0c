"""Augmentation of somebody's own: functions of an image and its mask, by name, called after our own moves."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from wholenet.plugins import load_plugins
from wholenet.registry import Registry


@dataclass(frozen=True)
class Transform:
    """One that a run may name (``FitConfig.transform``)."""

    name: str
    apply: Callable[[np.ndarray, np.ndarray, np.random.Generator], tuple[Any, Any]]
    """(image [h, w, C], mask uint8 [h, w], random source) -> both changed, of the same shapes and types. Called on the
    crop, once it is zoomed, turned and flipped, before brightness, contrast, saturation and noise. Photographs come as
    uint8 RGB, other images as float32 on a photograph's scale; the mask holds train ids, 255 where it is ignored. All
    randomness has to come from the random source, or runs cannot be repeated or continued. Worker processes import it,
    so it must be a function of a module, not a lambda, wherever ``workers`` is not 0."""

    def __call__(self, image: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """As ``apply``, with a look at what comes back.

        Raises:
            ValueError: for anything but two arrays of the shapes and types that were given.
        """
        own_image, own_mask = np.ascontiguousarray(image), np.ascontiguousarray(mask)
        found = self.apply(own_image, own_mask, rng)
        pairs = zip(found, (image, mask), strict=False) if isinstance(found, tuple | list) and len(found) == 2 else ()
        same = [isinstance(a, np.ndarray) and (a.shape, a.dtype) == (b.shape, b.dtype) for a, b in pairs]
        if same != [True, True]:
            raise ValueError(
                f"transform {self.name!r} gave back {_told(found)}; expected an image and a mask as it got them: "
                f"{_told((image, mask))}"
            )
        return found[0], found[1]


def check_transform(name: str | None, workers: int) -> None:
    """Make sure that the transform of that name, if one is named, is there, and can go to ``workers`` processes.

    Raises:
        ValueError: if not.
    """
    if name is None:
        return
    transform = TRANSFORMS.called(name)
    if workers:
        try:
            pickle.dumps(transform)
        except Exception as error:
            raise ValueError(
                f"transform {name!r} cannot be sent to the {workers} worker processes ({error}); make it a function of "
                "a module, or give workers=0"
            ) from error


def _told(found: Any) -> str:
    """What an answer is, for messages."""
    if isinstance(found, tuple | list):
        return "(" + ", ".join(map(_told, found)) + ")"
    return f"{found.dtype} {list(found.shape)}" if isinstance(found, np.ndarray) else f"a {type(found).__name__}"


TRANSFORMS: Registry[Transform] = Registry("transform", load=load_plugins)
"""By name; :func:`wholenet.register` adds to them. There are none of our own."""
