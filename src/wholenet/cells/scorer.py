"""Scores a network on the labelled images of a run."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from wholenet.cells.prepare import PreparedLabels
from wholenet.data.labelled import Labelled
from wholenet.run import Scored
from wholenet.tasks.classification import Accuracy, evaluate_labelled


class Scorer:
    """``model`` on ``data``, at whatever moment it is asked.

    Args:
        model: images [B, C, H, W] -> logits [B, K].
        data: of the run.
        device: of the model.
    """

    def __init__(self, model: Any, data: PreparedLabels, device: torch.device) -> None:
        self.model = model
        self.data = data
        self.device = device

    def val(self) -> Scored:
        """On what was held out."""
        assert self.data.val is not None
        found = self.accuracy(self.data.val)
        return Scored({"error": found.error}, found.per_class, found)

    def error(self, images: Labelled, other: torch.nn.Module | None = None) -> float:
        """Of the model, or of an ``other`` network, in [0, 1]."""
        return self.accuracy(images, other).error

    def accuracy(self, images: Labelled, other: torch.nn.Module | None = None) -> Accuracy:
        """Likewise, by class too."""
        data, model = self.data, self.model if other is None else other
        return evaluate_labelled(model, images, len(data.classes), data.mean, data.std, device=self.device)

    def counts(self, images: Labelled) -> tuple[int, ...]:
        """Images of each class."""
        return tuple(np.bincount(images.labels, minlength=len(self.data.classes)).tolist())
