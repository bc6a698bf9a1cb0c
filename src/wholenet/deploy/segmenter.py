"""A trained segmentation network, and what its model folder says besides the network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from wholenet.data.classes import classes_from_dict, classes_to_dict
from wholenet.data.pictures import check_image
from wholenet.data.sample import Classes
from wholenet.data.stream import MEAN, STD
from wholenet.deploy.answer import AnswerKind
from wholenet.deploy.fold import fold
from wholenet.deploy.held_out import check_held_out
from wholenet.files import require_keys, shown
from wholenet.spaces.grid import Grid
from wholenet.spaces.supernet import Supernet
from wholenet.tasks.segmentation import image_logits, predict_mask

NORMALIZATION = {"mean": list(MEAN), "std": list(STD)}


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

    def predict(self, image: np.ndarray) -> np.ndarray:
        """Train ids, uint8 [H, W], of an RGB image, uint8 [H, W, 3]; any size, answered at that size.

        Raises:
            ValueError: if the image has another shape or type.
            FloatingPointError: for logits that are not finite.
        """
        check_image(image)
        return predict_mask(self.folded, image, self.device)

    def class_logits(self, image: np.ndarray) -> np.ndarray:
        """Class logits, float32 [K, H, W], of an RGB image, uint8 [H, W, 3]; ``predict`` names the largest.

        Raises:
            ValueError: if the image has another shape or type.
            FloatingPointError: for logits that are not finite.
        """
        check_image(image)
        return image_logits(self.folded, image, self.device).float().cpu().numpy()

    @cached_property
    def folded(self) -> nn.Module:
        """``network`` laid flat, which is what predicts: the same classes, but for ties in the last digits. Itself,
        where it is no grid."""
        return fold(self.network) if isinstance(self.network.net, Grid) else self.network


def segmentation_answer(classes: Classes, held_out: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What :func:`wholenet.deploy.model_folder.save_model` takes; ``held_out`` as :class:`TrainedModel` has it."""
    return {
        "classes": classes_to_dict(classes),
        "normalization": NORMALIZATION,
        "held_out": dict(held_out or {}),
    }


class _Read(NamedTuple):
    classes: Classes
    held_out: dict[str, Any]


def _read(values: Mapping[str, Any], where: str) -> _Read:
    require_keys(values, {"classes": dict, "normalization": dict, "held_out": dict}, where, only=True)
    if values["normalization"] != NORMALIZATION:
        raise ValueError(
            f"{where}: images were normalised by {shown(values['normalization'])}; expected {MEAN} and {STD}"
        )
    try:
        classes = classes_from_dict(values["classes"])
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
    return _Read(classes, check_held_out(values["held_out"], where))


def _card(read: _Read) -> list[str]:
    return [
        f"- classes: {', '.join(read.classes.names)}",
        "",
        "```python",
        "import wholenet",
        'model = wholenet.load("this folder")',
        "mask = model.predict(image)  # uint8 [H, W, 3] RGB -> uint8 [H, W] class indices",
        "```",
    ]


SEGMENTATION: AnswerKind[_Read] = AnswerKind(
    model="segmentation model",
    read=_read,
    outputs=lambda read: len(read.classes),
    predictor=lambda network, read, device: TrainedModel(network, read.classes, device, read.held_out),
    card=_card,
)
