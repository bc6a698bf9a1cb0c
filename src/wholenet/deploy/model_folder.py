"""A model is a folder that can always be loaded: model.safetensors, config.json, README.md. No pickle anywhere."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from wholenet.data.classes import classes_from_dict, classes_to_dict
from wholenet.data.pictures import check_image
from wholenet.data.sample import Classes
from wholenet.data.stream import MEAN, STD
from wholenet.deploy.fold import Folded, fold
from wholenet.spaces.genotype import genotype_from_dict
from wholenet.spaces.supernet import Supernet, create_model
from wholenet.tasks.segmentation import predict_mask

FORMAT = 2


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
        """
        check_image(image)
        return predict_mask(self.folded, image, self.device)

    @cached_property
    def folded(self) -> Folded:
        """``network`` laid flat, which is what predicts: the same classes, but for ties in the last digits."""
        return fold(self.network)


def save_model(
    path: Path, model: Supernet, classes: Classes, facts: dict[str, Any], held_out: dict[str, Any] | None = None
) -> None:
    """Write the model folder; ``facts`` (epochs, score...) go into its config and README for people to read."""
    config = {
        "format": FORMAT,
        "model": model.spec,
        "classes": classes_to_dict(classes),
        "normalization": {"mean": list(MEAN), "std": list(STD)},
        "held_out": held_out or {},
        "facts": facts,
    }
    write_model(path, model, config, _card(model, classes, facts))


def write_model(path: Path, model: nn.Module, config: dict[str, Any], card: str) -> None:
    """Write the weights of ``model``, its config and its README, where a reader never meets half a model."""
    partial, old = path.with_name(path.name + ".partial"), path.with_name(path.name + ".old")
    for leftover in (partial, old):
        shutil.rmtree(leftover, ignore_errors=True)
    partial.mkdir(parents=True)
    tensors = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    save_file(tensors, partial / "model.safetensors")
    (partial / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    (partial / "README.md").write_text(card)
    if path.exists():
        path.replace(old)
    partial.replace(path)
    shutil.rmtree(old, ignore_errors=True)


def load_model(path: str | Path, device: str | torch.device = "cpu") -> TrainedModel:
    """Load a model folder, or the model of a run folder.

    Raises:
        ValueError: if there is no model, it was written by another format, or its weights do not fit its config.
    """
    folder, config = model_config(path)
    if config.get("task") == "classification":
        raise ValueError(f"{folder} is a classifier, which has no masks; this is for segmentation models")
    if config.get("format") != FORMAT:
        raise ValueError(f"{folder}: model format {config.get('format')!r}; this wholenet reads format {FORMAT}")
    if config["normalization"] != {"mean": list(MEAN), "std": list(STD)}:
        raise ValueError(f"{folder}: images were normalised by {config['normalization']}; expected {MEAN} and {STD}")
    model = create_model(**config["model"])
    load_weights(model, folder)
    device = torch.device(device)
    model.placed(device).eval()
    return TrainedModel(model, classes_from_dict(config["classes"]), device, config["held_out"])


def model_config(path: str | Path) -> tuple[Path, dict[str, Any]]:
    """The model folder that ``path`` is or holds, and what its config says.

    Raises:
        ValueError: if there is none.
    """
    folder = Path(path)
    if (folder / "model" / "config.json").is_file():
        folder = folder / "model"
    if not (folder / "config.json").is_file():
        unfinished = (folder / "config.yaml").is_file()
        why = "the run in it has not been validated yet, so it has none" if unfinished else "no config.json in it"
        raise ValueError(
            f"{path} holds no model ({why}); give the folder that `wholenet fit --out` made, or its model/"
        )
    return folder, json.loads((folder / "config.json").read_text())


def load_weights(model: nn.Module, folder: Path) -> None:
    """Load what :func:`write_model` wrote.

    Raises:
        ValueError: if the weights are not those of ``model``.
    """
    try:
        model.load_state_dict(load_file(folder / "model.safetensors"))
    except (RuntimeError, OSError, ValueError, SafetensorError) as error:
        raise ValueError(f"{folder}: model.safetensors does not fit its config.json: {error}") from error


def _card(model: Supernet, classes: Classes, facts: dict[str, Any]) -> str:
    genotype = model.spec["genotype"]
    about = {**model.spec, "genotype": genotype and genotype_from_dict(genotype), **facts}
    lines = [f"- {name}: {value}" for name, value in about.items() if value is not None]
    return "\n".join(
        [
            "# A wholenet segmentation model",
            "",
            *lines,
            f"- classes: {', '.join(classes.names)}",
            "",
            "```python",
            "import wholenet",
            'model = wholenet.load("this folder")',
            "mask = model.predict(image)  # uint8 [H, W, 3] RGB -> uint8 [H, W] class indices",
            "```",
            "",
        ]
    )
