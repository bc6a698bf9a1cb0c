"""The pictures of a run folder: curves, entropy, the learned architecture, predictions beside the truth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from wholenet.data.sample import Classes, SegmentationData
from wholenet.data.splits import evenly_spaced
from wholenet.report.architecture import draw_architecture
from wholenet.report.curves import draw_curves, draw_entropy
from wholenet.report.predictions import draw_predictions
from wholenet.search.phases import Phase
from wholenet.search.records import Record
from wholenet.search.run_folder import RunFolder
from wholenet.spaces.sizes import operation_label
from wholenet.spaces.supernet import Supernet
from wholenet.tasks.segmentation import predict_mask

SHOWN = 4
"""Validation images in the picture of predictions."""


def draw_run(
    run: RunFolder,
    model: Supernet,
    records: Sequence[Record],
    val: SegmentationData,
    classes: Classes,
    phases: Sequence[Phase],
    device: torch.device,
) -> list[Path]:
    """Draw everything anew, over what was drawn before. Returns the files. Leaves the model's mode as it was."""
    spans = [(phase.name, phase.first, phase.end) for phase in phases]
    files = pictures_of(run)
    draw_curves(files["curves"], records, spans)
    if "entropy" in files:
        draw_entropy(files["entropy"], records, spans)
    if "architecture" in files:
        with torch.no_grad():
            weights = {name: w.cpu().numpy() for name, w in model.arch().items()}
        title = f"{run.path.name} after epoch {len(records)} of {phases[-1].end}"
        names = [operation_label(name) for name in model.net.operations]
        draw_architecture(files["architecture"], weights["beta"], weights["alpha"], operations=names, title=title)

    part = evenly_spaced(val, SHOWN)
    shown = [part[i] for i in range(len(part))]
    training = model.training
    model.eval()
    answers = [predict_mask(model, sample.image, device) for sample in shown]
    model.train(training)
    draw_predictions(files["predictions"], [s.image for s in shown], [s.mask for s in shown], answers, classes)
    return list(files.values())


def pictures_of(run: RunFolder) -> dict[str, Path]:
    """The pictures of a run, by what they show: of the grid its architecture too."""
    names = ("predictions", "architecture", "curves", "entropy")
    shown = names if run.config.space == "grid" else [name for name in names if name != "architecture"]
    return {name: run.path / f"{name}.png" for name in shown}
