"""A trained classifier is a folder that can always be loaded, like a segmentation network (``model_folder.py``)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from wholenet.data.pictures import check_image
from wholenet.data.stream import normalize
from wholenet.deploy.model_files import load_network, place_of, write_model
from wholenet.deploy.model_folder import model_config
from wholenet.files import as_numbers, is_plain, require_keys, require_range, shown
from wholenet.spaces.catalog import create_model
from wholenet.spaces.cell_space import CellSupernet
from wholenet.tasks.finite import LOST, all_finite

FORMAT = 1
TASK = "classification"
CHANNELS = 3
MAX_CLASSES = 100_000
"""ImageNet's largest release has 21841."""
MAX_SIDE = 4096
"""Of the images: each is resized to this, whatever its size."""
BOUNDS = {"channels": (1, 4096), "cells": (1, 200), "groups": (1, 4096)}
"""Of the networks published, the largest has 20 cells of 50 channels; building takes time for every cell."""
SPEC: dict[str, type | tuple[type, ...]] = {
    "space": str,
    "num_classes": int,
    "in_channels": int,
    "channels": int,
    "cells": int,
    "relaxation": str,
    "affine": bool,
    "groups": int,
    "edge_weights": bool,
    "auxiliary_skip": bool,
    "genotype": (dict, type(None)),
    "auxiliary": bool,
}
"""Arguments of :func:`create_model` and their types."""


@dataclass(frozen=True)
class TrainedClassifier:
    """A network with all that it takes to use it."""

    network: CellSupernet
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


def save_classifier(
    path: Path,
    model: CellSupernet,
    classes: Sequence[str],
    mean: Sequence[float],
    std: Sequence[float],
    size: tuple[int, int],
    facts: dict[str, Any],
) -> None:
    """Write the model folder; ``facts`` (epochs, score...) go into its config and README for people to read."""
    config = {
        "format": FORMAT,
        "task": TASK,
        "model": {"space": model.spec.space, **model.spec.flat()},
        "classes": list(classes),
        "normalization": {"mean": list(mean), "std": list(std)},
        "size": list(size),
        "facts": facts,
    }
    about = {"space": model.spec.space, **model.spec.flat(), **facts}
    lines = [f"- {name}: {value}" for name, value in about.items() if value is not None and name != "genotype"]
    card = [
        "# A wholenet image classifier",
        "",
        *lines,
        f"- classes: {', '.join(classes)}",
        "",
        "```sh",
        "wholenet predict THIS_FOLDER IMAGES --out classes.csv",
        "```",
        "",
    ]
    write_model(path, model, config, "\n".join(card))


def is_classifier(path: str | Path) -> bool:
    """Whether the model in ``path`` (a model folder, or a run folder) is a classifier; False if there is none.

    Raises:
        ValueError: if its config cannot be read.
    """
    return place_of(path) is not None and model_config(path)[1].get("task") == TASK


def load_classifier(path: str | Path, device: str | torch.device = "cpu") -> TrainedClassifier:
    """Load a model folder, or the model of a run folder. It may come from anybody: see docs/safety.md.

    Raises:
        ValueError: if there is no classifier, its config does not do, its weights do not fit its config or have been
            altered, or they are not finite.
    """
    folder, config = model_config(path)
    if config.get("task") != TASK:
        raise ValueError(f"{folder} is no classifier but a segmentation model")
    if config.get("format") != FORMAT:
        raise ValueError(f"{folder}: model format {shown(config.get('format'))}; this wholenet reads format {FORMAT}")
    where = str(folder / "config.json")
    require_keys(config, {"model": dict, "classes": list, "normalization": dict, "size": list}, where)
    require_keys(config["normalization"], {"mean": list, "std": list}, f"{where}, normalization", only=True)
    mean, std = (as_numbers(config["normalization"][name], CHANNELS, f"{where}, {name}") for name in ("mean", "std"))
    if min(std) <= 0:
        raise ValueError(f"{where}: std is {std}; expected numbers above 0")
    height, width = map(int, as_numbers(config["size"], 2, f"{where}, size"))
    require_range({"height": height, "width": width}, {"height": (1, MAX_SIDE), "width": (1, MAX_SIDE)}, where)
    classes, spec = _classes(config["classes"], where), config["model"]
    require_keys(spec, SPEC, f"{where}, model", only=True)
    require_range(spec, BOUNDS, f"{where}, model")
    if (spec["num_classes"], spec["in_channels"]) != (len(classes), CHANNELS):
        raise ValueError(
            f"{where}: the model has {shown(spec['num_classes'])} classes and {shown(spec['in_channels'])} input "
            f"channels; expected {len(classes)}, as its class table, and {CHANNELS}"
        )
    device = torch.device(device)
    model = load_network(lambda: create_model(spec.pop("space"), **spec), folder, config).placed(device).eval()
    return TrainedClassifier(model, classes, mean, std, (height, width), device)


def _classes(names: list[Any], where: str) -> tuple[str, ...]:
    if not 1 <= len(names) <= MAX_CLASSES:
        raise ValueError(f"{where} has {len(names):,} classes; expected 1 to {MAX_CLASSES:,}")
    if wrong := [name for name in names if not isinstance(name, str) or not is_plain(name)]:
        raise ValueError(f"{where}: a class is called {shown(wrong[0])}; expected text without control characters")
    return tuple(names)
