"""A trained classifier is a folder that can always be loaded, like a segmentation network (``model_folder.py``)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from wholenet.data.pictures import check_image
from wholenet.data.stream import normalize
from wholenet.deploy.model_folder import load_weights, model_config, write_model
from wholenet.spaces.cell_model import CellSupernet, create_cell_model

FORMAT = 1
TASK = "classification"


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
        """
        for image in images:
            check_image(image)
        height, width = self.size
        fitted = [
            image if image.shape[:2] == self.size else cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
            for image in images
        ]
        batch = torch.from_numpy(normalize(np.stack(fitted), self.mean, self.std)).permute(0, 3, 1, 2)
        return self.network(batch.to(self.device)).softmax(1).cpu().numpy()


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
        "model": model.spec,
        "classes": list(classes),
        "normalization": {"mean": list(mean), "std": list(std)},
        "size": list(size),
        "facts": facts,
    }
    about = {k: v for k, v in {**model.spec, **facts}.items() if v is not None and k != "genotype"}
    lines = [f"- {name}: {value}" for name, value in about.items()]
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
    """Whether the model in ``path`` (a model folder, or a run folder) is a classifier; False if there is none."""
    for config in (Path(path) / "model" / "config.json", Path(path) / "config.json"):
        if config.is_file():
            return json.loads(config.read_text()).get("task") == TASK
    return False


def load_classifier(path: str | Path, device: str | torch.device = "cpu") -> TrainedClassifier:
    """Load a model folder, or the model of a run folder.

    Raises:
        ValueError: if there is no classifier, or its weights do not fit its config.
    """
    folder, config = model_config(path)
    if config.get("task") != TASK:
        raise ValueError(f"{folder} is no classifier but a segmentation model")
    if config.get("format") != FORMAT:
        raise ValueError(f"{folder}: model format {config.get('format')!r}; this wholenet reads format {FORMAT}")
    model = create_cell_model(**config["model"])
    load_weights(model, folder)
    device = torch.device(device)
    model.placed(device).eval()
    scale, height, width = config["normalization"], *config["size"]
    return TrainedClassifier(
        model, tuple(config["classes"]), tuple(scale["mean"]), tuple(scale["std"]), (height, width), device
    )
