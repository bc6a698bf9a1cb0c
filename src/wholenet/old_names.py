"""Names that ``wholenet.api`` had for classifiers alone, before one verb asked the data or the folder what it is.

They work as they did, say which verb does the same, and go with the next version.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from wholenet.cells.best_of import Best, fit_cells
from wholenet.cells.diagnose import diagnose_search as diagnose_cells
from wholenet.cells.score import score_labelled
from wholenet.cells.search import Searched
from wholenet.checked import Megapixels, checked_numbers
from wholenet.data.opening import MAX_MEGAPIXELS
from wholenet.data.stream import check_workers
from wholenet.deploy.classifier import TrainedClassifier
from wholenet.deploy.classify import classify_files
from wholenet.deploy.model_folder import load_model
from wholenet.deploy.onnx_model import OnnxModel
from wholenet.deploy.segmenter import TrainedModel
from wholenet.diagnostics.curvature import Curvature
from wholenet.machine import choose_device
from wholenet.search.cell_config import cell_config
from wholenet.tasks.classification import Accuracy


def fit_classifier(data: str | Path, out: str | Path, method: str = "darts", **options: Any) -> Searched | Best:
    """:func:`wholenet.fit` on labelled images.

    Raises:
        DataError: for data that cannot be trained on.
        ValueError: for an unknown option or method or a bad value, a folder in use, or a device that is not there.
    """
    _warn("fit_classifier", 'wholenet.fit(data, out, task="classification") does the same')
    config = cell_config(method, data=str(data), out=str(out), **options)
    check_workers(config.workers)
    return fit_cells(config)


def load_classifier(path: str | Path, device: str = "auto") -> TrainedClassifier:
    """:func:`wholenet.load`, of a classifier.

    Raises:
        ValueError: if there is none, or the device is not there.
    """
    _warn("load_classifier", "wholenet.load takes any model")
    return _classifier(path, device)


@checked_numbers
def evaluate_classifier(
    model: TrainedClassifier | str | Path,
    data: str | Path,
    split: str = "test",
    max_megapixels: Megapixels = MAX_MEGAPIXELS,
) -> Accuracy:
    """:func:`wholenet.evaluate`, of a classifier.

    Raises:
        DataError: for data that cannot be read, or of other classes.
        ValueError: for a split that is not there; if there is no model, or it is no classifier.
    """
    _warn("evaluate_classifier", "wholenet.evaluate takes any model", wrapped=True)
    return score_labelled(_classifier(model), data, split, max_megapixels)


@checked_numbers
def classify(
    model: TrainedClassifier | str | Path,
    inputs: Sequence[str | Path],
    out: str | Path,
    progress: Callable[[int, int], None] | None = None,
    max_megapixels: Megapixels = MAX_MEGAPIXELS,
) -> int:
    """:func:`wholenet.predict`, of a classifier; returns how many images there were.

    Raises:
        ValueError: if there is no model, or it is no classifier.
        SomeFailed: at the end, for images that could not be read or answered; they have no line.
    """
    _warn("classify", "wholenet.predict takes any model", wrapped=True)
    return classify_files(_classifier(model), inputs, out, progress, max_megapixels)


def diagnose_search(path: str | Path, device: str = "auto", **how: Any) -> Curvature:
    """:func:`wholenet.diagnose`, of a search on a cell space."""
    _warn("diagnose_search", "wholenet.diagnose takes any run, and the same options")
    return diagnose_cells(path, choose_device(device), **how)


def _warn(old: str, instead: str, *, wrapped: bool = False) -> None:
    """Warn whoever called the function ``old``, which may be ``wrapped`` in a check."""
    warnings.warn(f"{old} goes with the next version; {instead}", DeprecationWarning, 4 if wrapped else 3)


def _classifier(model: Any, device: str = "auto") -> TrainedClassifier:
    """``model`` itself, or what is in its folder."""
    if isinstance(model, TrainedModel | OnnxModel):
        raise ValueError("this is no classifier but a segmentation model; evaluate and predict take it")
    if isinstance(model, str | Path):
        return load_model(model, choose_device(device), task="classification")
    return model
