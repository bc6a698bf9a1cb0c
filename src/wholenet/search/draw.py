"""The training batches of a run: its data, its augmentation, its seed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from wholenet import parallel
from wholenet.data.augment import Augmentation
from wholenet.data.device import RawStream, ahead
from wholenet.data.host_moves import needs_host
from wholenet.data.pixels import PHOTO, Pixels
from wholenet.data.sample import SegmentationData
from wholenet.data.stream import BatchStream, Order, batches
from wholenet.data.transforms import TRANSFORMS
from wholenet.search.classifier_config import ClassifierConfig
from wholenet.search.config import FitConfig
from wholenet.search.train_config import TrainConfig


def steps_per_epoch(images: int, batch: int) -> int:
    """Full batches in a pass over so many images; one where there are fewer than a batch of them."""
    return max(1, images // batch)


def batch_of_all(config: TrainConfig | ClassifierConfig) -> int:
    """Images in a step, over all processes."""
    return config.batch * parallel.processes()


def order_of(config: TrainConfig | ClassifierConfig, stream: str) -> dict[str, Any]:
    """What the order of the run's ``stream`` is made of, and which share of its batches this process gets."""
    return {
        "batch": batch_of_all(config),
        "seed": config.seed,
        "stream": stream,
        "shares": parallel.processes(),
        "share": parallel.rank(),
    }


def names_in_batch(data: SegmentationData, stream: str, number: int, config: FitConfig) -> list[str]:
    """The names of the samples in batch ``number`` of the run's ``stream``, of all processes."""
    whole = {**order_of(config, stream), "shares": 1, "share": 0}
    order = Order(len(data), **whole, batches=number + 1)
    return [data[index].name for index in order.indices(number)]


def augments_on_device(config: FitConfig, device: torch.device) -> bool:
    """Whether a run on ``device`` augments there: what `augment_on` comes to."""
    can = not needs_host(config)
    return config.augment_on == "device" or (config.augment_on == "auto" and device.type == "cuda" and can)


def draw(
    data: SegmentationData,
    stream: str,
    first: int,
    total: int,
    crop: tuple[int, int],
    config: FitConfig,
    device: torch.device | str = "cpu",
    pixels: Pixels = PHOTO,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches ``first`` to ``total`` (half-open) of the run's ``stream``: images float32 [B, C, h, w], masks int64.
    Where several processes train, this one's share of them.

    Args:
        data: what to draw from.
        stream: the name that tells the streams of one run apart.
        first: number of the first batch.
        total: number of batches that the stream has.
        crop: (h, w).
        config: of the run.
        device: where the batches are wanted; they may come on the CPU all the same.
        pixels: what the images of ``data`` are.
    """
    device = torch.device(device)
    augment = Augmentation(
        crop=crop,
        scale=(config.scale_min, config.scale_max),
        flip=config.flip,
        flip_vertical=config.flip_vertical,
        quarter_turns=config.quarter_turns,
        rotate=config.rotate,
        elastic=config.elastic,
        transform=None if config.transform is None else TRANSFORMS.called(config.transform),
        jitter=config.jitter,
        noise=config.noise,
        pixels=pixels,
    )
    on_device = augments_on_device(config, device)
    kind = RawStream if on_device else BatchStream
    own = kind(data, **order_of(config, stream), augment=augment, pixels=pixels, batches=total)
    drawn = batches(own, first, config.workers, pinned=device.type == "cuda")
    return ahead(drawn, augment, device) if on_device else drawn
