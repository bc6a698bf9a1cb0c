"""A trained network that is asked about an image and about its mirror images, and answers by the mean probability.

Known as test-time augmentation. It takes as many times longer as there are views. Where images are cut into tiles, each
tile is mirrored.

Letters: K classes, H x W pixels.
"""

from __future__ import annotations

import numpy as np
import torch

from wholenet.data.pixels import PHOTO, Pixels
from wholenet.data.sample import Classes
from wholenet.deploy.predictor import Predictor


class Flipped:
    """A :class:`Predictor` of the mean over the views of an image: as it is, and mirrored left-right.

    Args:
        model: that is asked.
        vertical: mirror up-down too, which makes four views: of images that have no up, such as those from above.
    """

    def __init__(self, model: Predictor, *, vertical: bool = False) -> None:
        self.model = model
        self.views: list[tuple[int, ...]] = [(), (1,), (0,), (0, 1)] if vertical else [(), (1,)]
        """Axes of the image that are mirrored."""
        self.classes: Classes = model.classes
        self.pixels: Pixels = getattr(model, "pixels", PHOTO)
        self.held_out = getattr(model, "held_out", {})

    def predict(self, image: np.ndarray) -> np.ndarray:
        """Train ids, uint8 [H, W], of the classes whose mean probability is largest.

        Raises:
            ValueError: for an image that the model refuses.
            FloatingPointError: for logits that are not finite.
        """
        return self.class_logits(image).argmax(0).astype(np.uint8)

    def class_logits(self, image: np.ndarray) -> np.ndarray:
        """The logarithm of the mean probability, float32 [K, H, W]: logits whose softmax that mean is.

        Raises:
            ValueError: as ``predict``.
            FloatingPointError: likewise.
        """
        total: torch.Tensor | None = None
        for axes in self.views:
            logits = self.model.class_logits(np.ascontiguousarray(np.flip(image, axes)))
            # The classes come first, so each axis of the image is one further on.
            seen = torch.from_numpy(logits).log_softmax(0).flip([1 + axis for axis in axes])
            total = seen if total is None else torch.logaddexp(total, seen)
        assert total is not None
        return (total - np.log(len(self.views))).numpy()


def flipped_as_asked(model: Predictor, tta: bool, tta_vertical: bool) -> Predictor:
    """``model``, or it in :class:`Flipped`.

    Raises:
        ValueError: if only the vertical one is asked for.
    """
    if tta_vertical and not tta:
        raise ValueError(
            "tta_vertical adds up-down views to the left-right ones of tta; give both, --tta --tta-vertical"
        )
    return Flipped(model, vertical=tta_vertical) if tta else model
