"""The curvature of a search's supernet, as it was saved, in its architecture."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Literal

import torch

from wholenet.cells.prepare import labelled_stream, prepare_labels
from wholenet.cells.start import initial_search
from wholenet.diagnostics.curvature import Curvature, Drawn, curvature
from wholenet.files import check_output
from wholenet.search.cell_folder import CellFolder
from wholenet.search.steps import Batch
from wholenet.tasks.classification import ClassificationLoss


def diagnose_search(
    path: str | Path,
    device: torch.device,
    *,
    batchnorm: Literal["batch", "running"] = "batch",
    method: Literal["lanczos", "rows"] = "lanczos",
    tolerance: float = 1e-3,
) -> Curvature:
    """Both ends of the spectrum of the validation loss's Hessian in the logits, on a batch of what the architecture
    learned from; written to ``diagnosis.json`` in the run.

    Without the weight decay of the logits, which the run's own records count in as RobustDARTS' code does.

    Args:
        path: the folder of a search, finished or not: its last checkpoint is looked at.
        device: where to compute.
        batchnorm: see :class:`Curvature`.
        method: likewise.
        tolerance: likewise.

    Raises:
        ValueError: if there is no such folder, or no epoch of it is finished; or no such way.
        FloatingPointError: if the curvature is not finite.
    """
    run = CellFolder(path)
    check_output(run.path / "diagnosis.json")
    config = run.search_config
    data = prepare_labels(config)
    state = initial_search(config, len(data.classes), device)
    saved = run.read_checkpoint(device)
    if saved is None:
        raise ValueError(f"{path} has no finished epoch yet, so nothing is saved to look at")
    state.load_state_dict(saved)
    model = state.model
    drawn = Drawn("architecture", "diagnosis", 0, config.seed)
    stream = labelled_stream(data.architecture, drawn.stream, drawn.number + 1, config, data, 0.0)
    images, targets = stream[drawn.number]
    batch = Batch(images, targets).to(device)
    loss = ClassificationLoss(smoothing=config.smoothing)
    said = "cross-entropy" + (f", labels smoothed by {config.smoothing:g}" if config.smoothing else "")
    how = {"batchnorm": batchnorm, "method": method, "tolerance": tolerance}
    found = curvature(model, batch, loss, drawn=drawn, said=said, **how)
    (run.path / "diagnosis.json").write_text(json.dumps({"curvature": asdict(found)}, indent=2) + "\n")
    return found
