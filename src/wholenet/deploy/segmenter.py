"""A trained segmentation network, and what its model folder says besides the network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from wholenet.checked import PredictionZoom, check
from wholenet.data.classes import classes_from_dict, classes_to_dict
from wholenet.data.pixels import MEAN, PHOTO, STD, Pixels
from wholenet.data.sample import Classes
from wholenet.deploy.answer import AnswerKind
from wholenet.deploy.folds import FOLDS, fold
from wholenet.deploy.held_out import check_held_out
from wholenet.file_keys import check_keys
from wholenet.files import shown
from wholenet.spaces.supernet import Supernet
from wholenet.tasks.segmentation import image_logits, predict_mask

NORMALIZATION = {"mean": list(MEAN), "std": list(STD)}
"""Of photographs."""


@dataclass(frozen=True)
class TrainedModel:
    """A network with all that it takes to use it."""

    network: Supernet
    """In eval mode."""
    classes: Classes
    device: torch.device
    held_out: dict[str, Any]
    """How the run set images aside where its data has no split of its own: ``val_share`` and ``seed`` of
    :func:`wholenet.data.detect.open_data`."""
    pixels: Pixels = PHOTO
    """What its images are."""

    def predict(self, image: np.ndarray) -> np.ndarray:
        """Train ids, uint8 [H, W], of an image [H, W, C]: uint8 RGB, unless ``pixels`` are others; any size, answered
        at that size.

        Raises:
            ValueError: if the image has another shape or type.
            FloatingPointError: for logits that are not finite.
        """
        self.pixels.check(image)
        return predict_mask(self.folded, image, self.device, self.pixels)

    def class_logits(self, image: np.ndarray) -> np.ndarray:
        """Class logits, float32 [K, H, W], of such an image; ``predict`` names the largest.

        Raises:
            ValueError: if the image has another shape or type.
            FloatingPointError: for logits that are not finite.
        """
        self.pixels.check(image)
        return image_logits(self.folded, image, self.device, self.pixels).float().cpu().numpy()

    def at_zoom(self, zoom: float) -> TrainedModel:
        """This network, which sees images at another ``zoom``: resized to so many times their size, in [0.1, 1], before
        it answers, and the answer back after that.

        Raises:
            ValueError: if it is out of bounds.
        """
        return replace(self, network=self.network.at_zoom(check("zoom", zoom, PredictionZoom)))

    @cached_property
    def folded(self) -> nn.Module:
        """What predicts: ``network`` laid flat, where its space has a fold that does; the same classes, but for ties in
        the last digits. Else itself."""
        known = FOLDS.get(self.network.spec.space)
        return fold(self.network) if known is not None and known.predicts else self.network


def segmentation_answer(
    classes: Classes, held_out: Mapping[str, Any] | None = None, pixels: Pixels = PHOTO
) -> dict[str, Any]:
    """What :func:`wholenet.deploy.model_folder.save_model` takes; ``held_out`` and ``pixels`` as
    :class:`TrainedModel` has them."""
    about = pixels.to_dict()
    return {
        "classes": classes_to_dict(classes),
        "normalization": about.pop("normalization"),
        "held_out": dict(held_out or {}),
        **about,
    }


class _Read(NamedTuple):
    classes: Classes
    held_out: dict[str, Any]
    pixels: Pixels


def _read(values: Mapping[str, Any], where: str) -> _Read:
    known = {"classes": dict, "normalization": dict, "held_out": dict}
    known |= {"pixels": dict} if "pixels" in values else {}  # of images that are no photographs
    check_keys(values, known, where, only=True)
    pixels = Pixels.from_dict(values, where) if "pixels" in values else PHOTO
    found = values["normalization"]
    if pixels.photo and found != NORMALIZATION:
        raise ValueError(f"{where}: images were normalised by {shown(found)}; expected {MEAN} and {STD}")
    try:
        classes = classes_from_dict(values["classes"])
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
    return _Read(classes, check_held_out(values["held_out"], where), pixels)


def _card(read: _Read) -> list[str]:
    pixels = read.pixels
    kind = "uint8 [H, W, 3] RGB" if pixels.photo else f"{pixels.type} [H, W, {pixels.channels}]"
    return [
        f"- classes: {', '.join(read.classes.names)}",
        *([] if pixels == PHOTO else [f"- {pixels.told()}"]),
        "",
        "```python",
        "import wholenet",
        'model = wholenet.load("this folder")',
        f"mask = model.predict(image)  # {kind} -> uint8 [H, W] class indices",
        "```",
    ]


SEGMENTATION: AnswerKind[_Read] = AnswerKind(
    model="segmentation model",
    read=_read,
    outputs=lambda read: len(read.classes),
    channels=lambda read: read.pixels.channels,
    predictor=lambda network, read, device: TrainedModel(network, read.classes, device, read.held_out, read.pixels),
    card=_card,
)
