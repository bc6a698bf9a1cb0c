"""A trained segmentation network in whatever form, as those see it who ask it."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from wholenet.data.sample import Classes


class Predictor(Protocol):
    """A ``TrainedModel``, an ``OnnxModel``."""

    @property
    def classes(self) -> Classes:
        """What it tells apart."""
        ...

    def predict(self, image: np.ndarray) -> np.ndarray:
        """uint8 [H, W, 3] -> train ids, uint8 [H, W]."""
        ...

    def class_logits(self, image: np.ndarray) -> np.ndarray:
        """uint8 [H, W, 3] -> class logits, float32 [K, H, W], of which ``predict`` names the largest."""
        ...
