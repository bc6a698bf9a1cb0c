"""The command line's verbs, for Python: train, load, score, predict."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wholenet.control import Compared, fit_with_control, resume_with_control
from wholenet.deploy.model_folder import TrainedModel, load_model
from wholenet.deploy.predict import predict_files
from wholenet.deploy.score import score
from wholenet.search.config import FitConfig
from wholenet.tasks.segmentation import Scores
from wholenet.training import choose_device


def fit(data: str | Path, out: str | Path, **options: Any) -> Compared:
    """Train a network on ``data`` (a folder, or "scenes"), in the new folder ``out``.

    Args:
        data: see docs/data.md for what a folder may look like.
        out: the run folder; ``load`` takes it afterwards.
        options: any other field of ``FitConfig``.

    Raises:
        DataError: for data that cannot be trained on.
        ValueError: for an unknown option or a bad value, a folder in use, or a device that is not there.
    """
    try:
        config = FitConfig(data=str(data), out=str(out), **options)
    except TypeError as error:
        known = ", ".join(FitConfig.__dataclass_fields__)
        raise ValueError(f"{str(error).split('()')[-1].strip()}; known options: {known}") from error
    return fit_with_control(config)


def resume(run: str | Path) -> Compared:
    """Continue the run in the folder ``run``."""
    return resume_with_control(run)


def load(path: str | Path, device: str = "auto") -> TrainedModel:
    """The trained network in a model folder or a run folder, ready to ``predict``.

    Raises:
        ValueError: if there is none, or the device is not there.
    """
    return load_model(path, choose_device(device))


def evaluate(model: TrainedModel | str | Path, data: str | Path, split: str = "val") -> Scores:
    """Per-class IoU, their mean, and pixel accuracy on a split of ``data``, at full resolution."""
    return score(model if isinstance(model, TrainedModel) else load(model), str(data), split)


def predict(
    model: TrainedModel | str | Path, inputs: Sequence[str | Path], out: str | Path, *, overlay: bool = False
) -> list[Path]:
    """Write an index PNG for every image file given, or found in a folder given; see ``deploy.predict``."""
    loaded = model if isinstance(model, TrainedModel) else load(model)
    return predict_files(loaded, inputs, out, with_overlay=overlay)
