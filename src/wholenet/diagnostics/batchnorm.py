"""BatchNorm statistics where they did not follow the weights: in a network that was cut, where cutting would be blamed
for what stale statistics do; in one whose weights have just moved fast, or are averages."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn

from wholenet.data.pixels import PHOTO, Pixels
from wholenet.data.sample import SegmentationData
from wholenet.search.config import FitConfig
from wholenet.search.draw import draw
from wholenet.search.steps import moved
from wholenet.spaces.supernet import Supernet

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
RECALIBRATION_IMAGES = 256
"""Training images that BatchNorm statistics are recalculated on, at most; never one twice."""


def recalibration_batches(
    train: SegmentationData, config: FitConfig, images: int = RECALIBRATION_IMAGES, pixels: Pixels = PHOTO
) -> Iterator[Tensor]:
    """Batches [B, C, h, w] drawn as in training, on a stream of their own; the same ones each time.

    Args:
        train: what to draw from. No label is used, so it may be more than the weights learned from.
        config: of a run, whose crop is settled.
        images: so many, at most; none twice.
        pixels: what they are.
    """
    total = max(1, min(images, len(train)) // config.batch)
    drawn = draw(train, "recalibration", 0, total, config.crop_size, config, pixels=pixels)
    return (batch for batch, _ in drawn)


@torch.no_grad()
def recalibrated(model: Supernet, images: Iterable[Tensor]) -> Supernet:
    """A copy of ``model`` whose BatchNorm running statistics are the plain averages over the batches ``images``.

    Weights and architecture stay as they are, and ``model`` is not touched. Each batch is normalised by its own
    statistics on the way, as in training; every batch counts the same. The copy is in ``model``'s mode. A pretrained
    encoder keeps its own: nothing before it can have been cut.

    Args:
        model: supernet, pruned supernet or discrete network.
        images: batches [B, C, H, W], normalised as for training; moved to the model's device.

    Raises:
        ValueError: if there is no batch.
    """
    own = copy.deepcopy(model)
    return recalibrate(own, images, apart=getattr(own.net, "encoder", None))


@torch.no_grad()
def recalibrate(model: Supernet, images: Iterable[Tensor], apart: nn.Module | None = None) -> Supernet:
    """:func:`recalibrated`, without the copy: the statistics of ``model`` itself, but for those of its part ``apart``.

    Raises:
        ValueError: if there is no batch.
    """
    training = model.training
    own = model.eval()
    device = next(own.net.parameters()).device
    still = set() if apart is None else set(apart.modules())
    norms = [module for module in own.modules() if isinstance(module, NORMS) and module not in still]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.train().momentum = None  # a cumulative average
    batches = 0
    for batch in images:
        batches += 1
        own(moved(batch, device))
    if not batches:
        raise ValueError("no batch to recalculate BatchNorm statistics from; give at least one")
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    return own.train(training)
