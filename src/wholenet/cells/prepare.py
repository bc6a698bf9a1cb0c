"""From a config to labelled images, divided between those who learn from them. Nothing is trained or written here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import torch
from rich.console import Console
from torch import Tensor

from wholenet import parallel
from wholenet.data.labelled import Labelled, open_labelled
from wholenet.data.labelled_review import labelled_findings
from wholenet.data.labelled_stream import LabelledStream, SmallAugmentation, statistics
from wholenet.data.sample import DataError
from wholenet.data.splits import seeded_indices, share_count
from wholenet.data.stream import batches
from wholenet.data.task import how_read, surely_masks
from wholenet.report.data_check import print_warnings, printable
from wholenet.report.progress import plain
from wholenet.search.cell_config import CellConfig
from wholenet.search.classifier_config import ClassifierConfig, RetrainConfig
from wholenet.search.draw import batch_of_all, order_of
from wholenet.search.phases import Phase
from wholenet.search.schedule import Schedule
from wholenet.search.state import TrainState
from wholenet.search.steps import Batch
from wholenet.search.updates import Batches

MULTIPLE = 4
"""Sides are halved twice, exactly."""
AUXILIARY_SIDE = 32
"""Side of the images that the auxiliary head is made for."""


@dataclass(frozen=True)
class PreparedLabels:
    """Checked data of one run."""

    name: str
    classes: tuple[str, ...]
    weights: Labelled
    """What weight steps draw from."""
    architecture: Labelled
    """What architecture steps draw from: a part of its own, or the same."""
    val: Labelled | None
    """What is scored on during the run; None where nothing was set aside."""
    val_from: str
    """Where that comes from, for people to read."""
    test: Labelled | None
    mean: tuple[float, ...]
    std: tuple[float, ...]
    """Of the training images' channels, on [0, 1]."""

    def facts(self) -> dict[str, object]:
        """What a continued run must find again."""
        parts = {"weights": self.weights, "architecture": self.architecture, "val": self.val, "test": self.test}
        images = {name: 0 if part is None else len(part) for name, part in parts.items()}
        return {"classes": list(self.classes), "images": images, "mean": list(self.mean), "std": list(self.std)}


def prepare_labels(config: ClassifierConfig, console: Console | None = None) -> PreparedLabels:
    """Open the data and divide it as the config says. ``console`` is told what is odd about it.

    Raises:
        DataError: for data that cannot be trained on.
        ValueError: for a size or a batch that does not do, or under torchrun without ``parallel.start()``.
    """
    parallel.refuse_stragglers()
    with parallel.first_alone():  # what it found out about the files, the others read
        return _prepared(config, console)


def _prepared(config: ClassifierConfig, console: Console | None) -> PreparedLabels:
    if surely_masks(config.data):
        raise DataError(
            f"{how_read(config.data, 'segmentation')}; these cells are for labelled images. Of images with masks "
            "search the space grid, dense-grid or autodeeplab, or train a genotype of one of these"
        )
    if console is not None:
        plain(console)(printable(how_read(config.data, "classification")))
    source = open_labelled(config.data, config.max_megapixels)
    if console is not None:
        print_warnings(labelled_findings(source), console)
    if config.side:
        side = (config.side, config.side)
        source = replace(source, splits={name: resized(split, side) for name, split in source.splits.items()})
    train = some_of_each(source.splits["train"], config.images, config.data_seed)
    height, width = train.images.shape[1:3]
    if height % MULTIPLE or width % MULTIPLE:
        near = max(MULTIPLE, height // MULTIPLE * MULTIPLE)
        raise ValueError(
            f"the images are {height}x{width}; the cells halve them twice, so both sides must be multiples of "
            f"{MULTIPLE}: let them be resized, for example by --side {near}"
        )
    for name, split in source.splits.items():
        if split.images.shape[1:3] != (height, width):
            other = "x".join(map(str, split.images.shape[1:3]))
            raise DataError(f"the {name} images are {other}, those of train {height}x{width}; --side makes them equal")
    if isinstance(config, RetrainConfig) and config.auxiliary and (height, width) != (AUXILIARY_SIDE,) * 2:
        raise ValueError(
            f"the auxiliary head is made for images of {AUXILIARY_SIDE}x{AUXILIARY_SIDE}, these are {height}x{width}; "
            "give --auxiliary 0 to train without it"
        )
    mean, std = statistics(train)
    if not min(std):
        raise DataError(f"{config.data}: all training images have the same value in a channel, as if they were empty")
    val, val_from = source.splits.get("val"), "the val split"
    if val is None and config.val_share:
        train, val = divided(train, 1 - config.val_share, config.data_seed)
        val_from = f"{config.val_share:.0%} of the training images, set aside"
    weights = architecture = train
    if isinstance(config, CellConfig):
        if config.split == "disjoint":
            weights, architecture = divided(train, config.weights_share, config.data_seed)
        if val is None:
            val, val_from = architecture, "what the architecture learns from"
    for name, part in (("weights", weights), ("architecture", architecture)):
        if batch_of_all(config) > len(part):
            each = f" in each of {parallel.processes()} processes" if parallel.processes() > 1 else ""
            raise ValueError(
                f"batch={config.batch}{each}, but there are only {len(part)} images for the {name}; give a smaller "
                "--batch"
            )
    return PreparedLabels(
        name=source.name,
        classes=source.classes,
        weights=weights,
        architecture=architecture,
        val=val,
        val_from=val_from if val is not None else "",
        test=source.splits.get("test"),
        mean=mean,
        std=std,
    )


def part(data: Labelled, indices: Sequence[int]) -> Labelled:
    """Some images of ``data``, in this order."""
    chosen = np.array(indices, dtype=np.int64)
    return Labelled(data.images[chosen], data.labels[chosen])


def divided(data: Labelled, share: float, seed: int) -> tuple[Labelled, Labelled]:
    """Two disjoint parts that cover ``data``; DARTS takes them in the order of the files, which may be by class.

    Raises:
        DataError: if there are fewer than two images.
    """
    count = share_count(len(data), share, "train, to be divided")
    order = seeded_indices(len(data), seed)
    return part(data, sorted(order[:count])), part(data, sorted(order[count:]))


def some_of_each(data: Labelled, images: int, seed: int) -> Labelled:
    """``images`` of ``data``, as even over the classes as it has them; all of it for 0.

    Raises:
        ValueError: if there are not so many.
    """
    if not images:
        return data
    if images > len(data):
        raise ValueError(
            f"images={images}, but there are only {len(data)} training images; give images={len(data)} at most, or 0 "
            "for all"
        )
    order = seeded_indices(len(data), seed)
    # The n-th of each class comes before the n+1-th of any.
    seen: dict[int, int] = {}
    ranked = []
    for place, index in enumerate(order):
        label = int(data.labels[index])
        seen[label] = seen.get(label, 0) + 1
        ranked.append((seen[label], place, index))
    return part(data, sorted(index for _, _, index in sorted(ranked)[:images]))


def resized(data: Labelled, size: tuple[int, int]) -> Labelled:
    """``data`` with images of ``size`` = (height, width), averaged where they shrink."""
    if data.images.shape[1:3] == size:
        return data
    images = [cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA) for image in data.images]
    return Labelled(np.stack(images), data.labels)


def labelled_stream(
    data: Labelled,
    stream: str,
    batches: int,
    config: CellConfig | RetrainConfig,
    found: PreparedLabels,
    cutout: float,
    **whole: int,
) -> LabelledStream:
    """The batches of a run's ``stream``, or of each this process's share; of the images a share ``cutout`` loses a
    square. ``whole``: other values for what :func:`wholenet.search.draw.order_of` gives."""
    augment = SmallAugmentation(pad=config.shift, flip=config.flip, cutout=config.cutout, cutout_probability=cutout)
    order = {**order_of(config, stream), "batches": batches, **whole}
    return LabelledStream(data, augment=augment, mean=found.mean, std=found.std, **order)


class LabelStreams:
    """The streams of a run on labelled images, begun anew in each epoch: what is cut out of the images moves with it.

    Args:
        data: of the run.
        config: likewise.
        schedule: likewise.
        device: where batches are wanted.
    """

    def __init__(
        self, data: PreparedLabels, config: CellConfig | RetrainConfig, schedule: Schedule, device: torch.device
    ) -> None:
        self.data = data
        self.config = config
        self.schedule = schedule
        self.device = device

    def epoch(self, state: TrainState, phase: Phase) -> tuple[Batches, Batches]:
        """The batches of the epoch to come: for the weights, and for the architecture."""
        weights = self._drawn("weights", state.weight_steps, state.epoch)
        searches = phase.moves_architecture
        return weights, self._drawn("architecture", state.arch_steps, state.epoch) if searches else iter(())

    def one(self, stream: str, number: int, epoch: int) -> Batch:
        """Batch ``number`` of a stream as it is, or would be, drawn in ``epoch``, on the device."""
        images, targets = self._stream(stream, number + 1, epoch)[number]
        return Batch(images, targets).to(self.device)

    def names(self, stream: str, number: int) -> list[str]:
        """The images of a batch, over all processes, by their place among the images of their stream, from 0, and their
        class."""
        order = self._stream(stream, number + 1, 0, shares=1, share=0)
        return [f"image {i} ({self.data.classes[order.data.labels[i]]})" for i in order.indices(number)]

    def facts(self) -> dict[str, Any]:
        """What a continued run must find again."""
        return {"data": self.data.facts()}

    def _stream(self, stream: str, batches: int, epoch: int, **whole: int) -> LabelledStream:
        images = self.data.architecture if stream == "architecture" else self.data.weights
        searches = isinstance(self.config, CellConfig)
        share = self.schedule.now(epoch).rise if searches else 1.0  # of the images that lose a square
        return labelled_stream(images, stream, batches, self.config, self.data, share, **whole)

    def _drawn(self, stream: str, first: int, epoch: int) -> Batches:
        own = self._stream(stream, first + self.schedule.steps_per_epoch, epoch)
        return drawn(own, first, self.config.workers, self.device)


def drawn(stream: LabelledStream, first: int, workers: int, device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches ``first`` and on of ``stream``."""
    return batches(stream, first, workers, pinned=device.type == "cuda")
