"""The pictures of a run folder: curves, entropy, the learned architecture, predictions beside the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import torch

from wholenet.data.pictures import bands_shown, picture_of
from wholenet.data.pixels import PHOTO, Pixels
from wholenet.data.sample import Classes, SegmentationData
from wholenet.data.splits import evenly_spaced
from wholenet.report.curves import draw_curves, draw_entropy
from wholenet.report.operations_left import draw_left
from wholenet.report.pictures import PICTURES
from wholenet.report.predictions import draw_predictions
from wholenet.search.phases import Phase
from wholenet.search.records import Record
from wholenet.search.run_folder import RunFolder
from wholenet.spaces.supernet import Supernet
from wholenet.tasks.score import Score
from wholenet.tasks.segmentation import predict_mask

SHOWN = 4
"""Validation images in the picture of predictions."""


def draw_run(
    run: RunFolder,
    model: Supernet,
    epoch: int,
    records: Sequence[Record],
    phases: Sequence[Phase],
    score: Score,
    floors: Mapping[str, float] = MappingProxyType({}),
) -> None:
    """Draw curves, entropy if there is any, what a budget left of cells, and, where its space has a picture, the
    architecture anew, over what was drawn before; ``model`` is the network after so many epochs as ``epoch`` says,
    ``floors`` are scores of simple answers."""
    spans = [(phase.name, phase.first, phase.end) for phase in phases]
    draw_curves(run.path / "curves.png", records, spans, score, floors)
    if not records or any(record.get("entropy") for record in records):  # a discrete network has nothing to decide
        draw_entropy(run.path / "entropy.png", records, spans)
    draw_left(run.path / "left.png", model.spec, records)
    if run.config.space in PICTURES:
        title = f"{run.path.name} after epoch {epoch} of {phases[-1].end}"
        PICTURES[run.config.space].draw(run.path / "architecture.png", model, title)


def draw_answers(
    folder: Path,
    model: Supernet,
    val: SegmentationData,
    classes: Classes,
    device: torch.device,
    pixels: Pixels = PHOTO,
) -> None:
    """Draw what the network predicts on some of ``val`` beside the truth. Leaves the model's mode as it was."""
    part = evenly_spaced(val, SHOWN)
    shown = [part[i] for i in range(len(part))]
    training = model.training
    model.eval()
    answers = [predict_mask(model, sample.image, device, pixels) for sample in shown]
    model.train(training)
    images = [picture_of(sample.image) for sample in shown]
    title = "Image" if pixels.photo else f"Image ({bands_shown(pixels.channels)})"
    file = folder / "predictions.png"
    draw_predictions(file, images, [s.mask for s in shown], answers, classes, title)
