"""A model is a folder that can always be loaded: model.safetensors, config.json, README.md. No pickle anywhere."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from wholenet.data.classes import classes_from_dict, classes_to_dict
from wholenet.data.pictures import check_image
from wholenet.data.sample import Classes
from wholenet.data.stream import MEAN, STD
from wholenet.deploy.fold import Folded, fold
from wholenet.deploy.held_out import check_held_out
from wholenet.deploy.model_files import load_network, place_of, read_config, write_model
from wholenet.files import require_keys, shown
from wholenet.spaces.catalog import create_model
from wholenet.spaces.genotype import genotype_from_dict
from wholenet.spaces.supernet import Supernet
from wholenet.tasks.segmentation import predict_mask

FORMAT = 2
SPEC: dict[str, type | tuple[type, ...]] = {
    "name": str,
    "num_classes": int,
    "in_channels": int,
    "cell": str,
    "activation": str,
    "relaxation": str,
    "genotype": (dict, type(None)),
}
"""Arguments of :func:`create_model` and their types. The sizes have names, so there is nothing to be too large."""


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
        "model": {"name": model.spec.model_name, **model.spec.flat()},
        "classes": classes_to_dict(classes),
        "normalization": {"mean": list(MEAN), "std": list(STD)},
        "held_out": held_out or {},
        "facts": facts,
    }
    write_model(path, model, config, _card(model, classes, facts))


def load_model(path: str | Path, device: str | torch.device = "cpu") -> TrainedModel:
    """Load a model folder, or the model of a run folder. It may come from anybody: see docs/safety.md.

    Raises:
        ValueError: if there is no model, it was written by another format, its config does not do, its weights do not
            fit its config or have been altered, or they are not finite.
    """
    folder, config = model_config(path)
    if config.get("task") == "classification":
        raise ValueError(f"{folder} is a classifier, which has no masks; this is for segmentation models")
    if config.get("format") != FORMAT:
        raise ValueError(f"{folder}: model format {shown(config.get('format'))}; this wholenet reads format {FORMAT}")
    where = str(folder / "config.json")
    require_keys(config, {"model": dict, "classes": dict, "normalization": dict, "held_out": dict}, where)
    if config["normalization"] != {"mean": list(MEAN), "std": list(STD)}:
        raise ValueError(
            f"{folder}: images were normalised by {shown(config['normalization'])}; expected {MEAN} and {STD}"
        )
    classes, spec = classes_from_dict(config["classes"]), config["model"]
    require_keys(spec, SPEC, f"{where}, model", only=True)
    if (spec["num_classes"], spec["in_channels"]) != (len(classes), len(MEAN)):
        raise ValueError(
            f"{where}: the model has {shown(spec['num_classes'])} classes and {shown(spec['in_channels'])} input "
            f"channels; expected {len(classes)}, as its class table, and {len(MEAN)}"
        )
    device = torch.device(device)
    model = load_network(lambda: create_model(**spec), folder, config).placed(device).eval()
    return TrainedModel(model, classes, device, check_held_out(config["held_out"], where))


def model_config(path: str | Path) -> tuple[Path, dict[str, Any]]:
    """The model folder that ``path`` is or holds, and what its config says.

    Raises:
        ValueError: if there is none, or it is not what it should be.
    """
    folder = place_of(path)
    if folder is None:
        unfinished = (Path(path) / "config.yaml").is_file()
        why = "the run in it has not been validated yet, so it has none" if unfinished else "no config.json in it"
        raise ValueError(
            f"{path} holds no model ({why}); give the folder that `wholenet fit --out` made, or its model/"
        )
    return folder, read_config(folder)


def _card(model: Supernet, classes: Classes, facts: dict[str, Any]) -> str:
    genotype = model.spec.genotype
    about = {"name": model.spec.model_name, **model.spec.flat()}
    about |= {"genotype": genotype and genotype_from_dict(genotype), **facts}
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
