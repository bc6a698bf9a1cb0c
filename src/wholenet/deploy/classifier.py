"""A trained classifier, and what its model folder says besides the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

import cv2
import numpy as np
import torch
from pydantic import Field

from wholenet.checked import Spread
from wholenet.data.pictures import check_image
from wholenet.data.pixels import normalize
from wholenet.deploy.answer import AnswerKind
from wholenet.file_keys import check_keys, numbers
from wholenet.files import is_plain, shown
from wholenet.spaces.supernet import Supernet
from wholenet.tasks.finite import LOST, all_finite

CHANNELS = 3
MAX_CLASSES = 100_000
"""ImageNet's largest release has 21841."""
MAX_SIDE = 4096
"""Of the images: each is resized to this, whatever its size."""
ImageSide = Annotated[int, Field(ge=1, le=MAX_SIDE)]
"""In pixels."""


@dataclass(frozen=True)
class TrainedClassifier:
    """A network with all that it takes to use it."""

    network: Supernet
    """In eval mode."""
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    size: tuple[int, int]
    """(height, width) of the images that it learned from; others are resized to it."""
    device: torch.device

    @torch.no_grad()
    def predict(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """Probabilities float32 [N, K] of the classes, of RGB images uint8 [H, W, 3] of any size.

        Raises:
            ValueError: if an image has another shape or type.
            FloatingPointError: for logits that are not finite.
        """
        for image in images:
            check_image(image)
        height, width = self.size
        fitted = [
            image if image.shape[:2] == self.size else cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
            for image in images
        ]
        batch = torch.from_numpy(normalize(np.stack(fitted), self.mean, self.std)).permute(0, 3, 1, 2)
        logits = self.network(batch.to(self.device))
        if not all_finite(logits):
            raise FloatingPointError(LOST)
        return logits.softmax(1).cpu().numpy()


def classification_answer(
    classes: Sequence[str], mean: Sequence[float], std: Sequence[float], size: Sequence[int]
) -> dict[str, Any]:
    """What :func:`wholenet.deploy.model_folder.save_model` takes; ``size`` is (height, width) of the images."""
    normalization = {"mean": list(map(float, mean)), "std": list(map(float, std))}
    return {"classes": list(classes), "normalization": normalization, "size": list(map(int, size))}


class _Read(NamedTuple):
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    size: tuple[int, int]


def _read(values: Mapping[str, Any], where: str) -> _Read:
    check_keys(values, {"classes": list, "normalization": dict, "size": numbers(2, ImageSide)}, where, only=True)
    moments = values["normalization"]
    check_keys(
        moments, {"mean": numbers(CHANNELS), "std": numbers(CHANNELS, Spread)}, f"{where}, normalization", only=True
    )
    height, width = values["size"]
    return _Read(_classes(values["classes"], where), tuple(moments["mean"]), tuple(moments["std"]), (height, width))


def _classes(names: list[Any], where: str) -> tuple[str, ...]:
    if not 1 <= len(names) <= MAX_CLASSES:
        raise ValueError(f"{where} has {len(names):,} classes; expected 1 to {MAX_CLASSES:,}")
    if wrong := [name for name in names if not isinstance(name, str) or not is_plain(name)]:
        raise ValueError(f"{where}: a class is called {shown(wrong[0])}; expected text without control characters")
    return tuple(names)


def _card(read: _Read) -> list[str]:
    return [
        f"- classes: {', '.join(read.classes)}",
        "",
        "```sh",
        "wholenet predict THIS_FOLDER IMAGES --out classes.csv",
        "```",
    ]


CLASSIFICATION: AnswerKind[_Read] = AnswerKind(
    model="classifier",
    read=_read,
    outputs=lambda read: len(read.classes),
    channels=lambda _: CHANNELS,
    predictor=lambda network, read, device: TrainedClassifier(network, *read, device),
    card=_card,
)
