"""The curvature of a search's supernet, as it was saved, in its architecture."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Literal

import torch

from wholenet.cells.prepare import labelled_stream, prepare_labels
from wholenet.deploy.classifier import load_classifier
from wholenet.diagnostics.curvature import Curvature, curvature
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
        path: the folder of a finished search.
        device: where to compute.
        batchnorm: see :class:`Curvature`.
        method: likewise.
        tolerance: likewise.

    Raises:
        ValueError: if there is no such folder, or its model is not there yet.
    """
    run = CellFolder(path)
    config = run.search_config
    model = load_classifier(path, device).network
    data = prepare_labels(config)
    images, targets = labelled_stream(data.architecture, "diagnosis", 1, config, data, 0.0)[0]
    batch = Batch(images.to(device, memory_format=torch.channels_last), targets.to(device))
    loss = ClassificationLoss(smoothing=config.smoothing)
    found = curvature(model, batch, loss, batchnorm=batchnorm, method=method, tolerance=tolerance)
    (run.path / "diagnosis.json").write_text(json.dumps({"curvature": asdict(found)}, indent=2) + "\n")
    return found
