"""What a run on images with masks comes to: its streams, its loss, its scores, its pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from wholenet.data.sample import SegmentationData
from wholenet.deploy.segmenter import SEGMENTATION as ANSWER
from wholenet.deploy.segmenter import segmentation_answer
from wholenet.jobs.kept import STATISTICS
from wholenet.jobs.masks import Prepared, prepare
from wholenet.jobs.task import Task, Watched
from wholenet.report.run import draw_answers
from wholenet.run import Scored
from wholenet.search.config import FitConfig
from wholenet.search.draw import draw, names_in_batch, steps_per_epoch
from wholenet.search.phases import Phase
from wholenet.search.schedule import Schedule
from wholenet.search.state import TrainState
from wholenet.search.steps import Batch
from wholenet.search.updates import Batches
from wholenet.spaces.space import Facts
from wholenet.spaces.supernet import Supernet
from wholenet.tasks.losses import MaskLoss, mask_loss
from wholenet.tasks.score import MIOU
from wholenet.tasks.segmentation import evaluate

ADVICE = " (IoU 0). Rare classes count for more with --class-balance 0.5, or 1"


class MaskStreams:
    """The two streams of a run on images with masks. Each goes on from epoch to epoch, so that workers read ahead.

    Args:
        data: of the run.
        config: likewise.
        schedule: likewise.
        device: where batches are wanted.
    """

    def __init__(self, data: Prepared, config: FitConfig, schedule: Schedule, device: torch.device) -> None:
        self.data = data
        self.config = config
        self.total = schedule.epochs * schedule.steps_per_epoch
        self.device = device
        self._from = data.weights
        self._weights: Batches | None = None
        self._architecture: Batches | None = None
        self._next = -1

    def epoch(self, state: TrainState, phase: Phase) -> tuple[Batches, Batches]:
        """The batches of the epoch to come: for the weights, and for the architecture."""
        wanted = self.data.fine_tune if phase.name == "fine-tune" else self.data.weights
        went_back = state.epoch != self._next
        self._next = state.epoch + 1
        if self._weights is None or went_back or wanted is not self._from:
            self._from = wanted
            self._weights = self._drawn(wanted, "weights", state.weight_steps)
        if self._architecture is None or went_back:
            self._architecture = self._drawn(self.data.architecture, "architecture", state.arch_steps)
        return self._weights, self._architecture

    def names(self, stream: str, number: int) -> list[str]:
        """The files of a batch, over all processes."""
        drawn_from = self.data.architecture if stream == "architecture" else self._from
        return names_in_batch(drawn_from, stream, number, self.config)

    def one(self, stream: str, number: int, epoch: int) -> Batch:  # noqa: ARG002
        """Batch ``number`` of a stream, on the device."""
        own = {"architecture": self.data.architecture, STATISTICS: self.data.weights}
        data = own.get(stream, self._from)
        alone = replace(self.config, workers=0)
        drawn = draw(data, stream, number, number + 1, self.data.crop, alone, self.device, self.data.pixels)
        images, masks = next(drawn)
        return Batch(images, masks).to(self.device)

    def _drawn(self, data: SegmentationData, stream: str, first: int) -> Batches:
        return draw(data, stream, first, self.total, self.data.crop, self.config, self.device, self.data.pixels)


@dataclass(frozen=True)
class MaskData:
    """Images with masks, checked and divided; a :class:`wholenet.jobs.task.Data`."""

    prepared: Prepared

    def network(self) -> Facts:
        """As many outputs as there are classes, as many inputs as the images have channels."""
        return Facts(len(self.prepared.source.classes), self.prepared.pixels.channels)

    def size(self) -> tuple[int, int]:
        """(height, width) of a crop."""
        return self.prepared.crop

    def steps_per_epoch(self, batch: int) -> int:
        """Full batches in a pass over what the weights learn from."""
        return steps_per_epoch(len(self.prepared.weights), batch)

    def streams(self, config: FitConfig, schedule: Schedule, device: torch.device) -> MaskStreams:
        """What is drawn from it."""
        return MaskStreams(self.prepared, config, schedule, device)

    def loss(self, config: FitConfig, device: torch.device) -> MaskLoss:
        """The one that ``config`` names, with the classes weighed as it says."""
        pixels = self.prepared.train_stats.class_pixels
        return mask_loss(config.loss, pixels, config.class_balance, config.focal_gamma, device)

    def score(self, model: Supernet, device: torch.device) -> Scored:
        """On the validation split, each image whole."""
        found = self.prepared
        scores = evaluate(model, found.val, len(found.source.classes), device, pixels=found.pixels)
        return Scored({"miou": scores.miou, "pixel_accuracy": scores.pixel_accuracy}, scores.iou, scores)

    def constant(self) -> float:
        """Validation mIoU of always answering the one class that scores best so."""
        return self.prepared.val_stats.best_constant_miou()

    def watched(self) -> Watched:
        """A class that is never found."""
        return Watched(self.prepared.source.classes.names, self.prepared.val_stats.class_pixels, ADVICE)

    def answer(self, config: FitConfig) -> Mapping[str, Any]:
        """Classes, normalisation, and how images were held out."""
        held_out = {"val_share": config.val_share, "seed": config.data_seed}
        return segmentation_answer(self.prepared.source.classes, held_out, self.prepared.pixels)

    def facts(self) -> dict[str, Any]:
        """What is recorded: the crop, the classes' pixels by split, how many images."""
        found = self.prepared
        images = {"weights": len(found.weights), "architecture": len(found.architecture), "val": len(found.val)}
        return {"crop": list(found.crop), **self.unchanged(), "images": images}

    def unchanged(self) -> dict[str, Any]:
        """What a continued run must find again, by split; of images that are no photographs how they are normalised."""
        return self.prepared.facts()

    def undivided(self) -> MaskData:
        """The same, where the weights learn from all images."""
        return replace(self, prepared=replace(self.prepared, weights=self.prepared.retrain))

    def cropped(self, crop: tuple[int, int]) -> MaskData:
        """The same, trained on in crops of (height, width)."""
        return replace(self, prepared=replace(self.prepared, crop=crop))

    def classes(self) -> Any:
        """Names and colours."""
        return self.prepared.source.classes

    def draw(self, folder: Path, model: Supernet, device: torch.device) -> None:
        """Predictions beside the truth."""
        draw_answers(folder, model, self.prepared.val, self.prepared.source.classes, device, self.prepared.pixels)


SEGMENTATION = Task(
    name="segmentation",
    settings=None,
    prepare=lambda config, console: MaskData(prepare(config, console)),
    score=MIOU,
    answer=ANSWER,
    unscored={"miou": None, "pixel_accuracy": None},
)
