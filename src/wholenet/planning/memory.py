"""What a training step holds in memory, counted before one is taken: on tensors without memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from wholenet.jobs.segmentation import MaskData
from wholenet.ops.recompute import set_recompute
from wholenet.search.config import FitConfig
from wholenet.search.run_folder import spec_of
from wholenet.spaces.catalog import create_from
from wholenet.tasks.segmentation import SegmentationLoss

BESIDE = 1.5
"""Over what is kept for the backward pass: gradients of feature maps, and the next batch. Steps of the tiny and
small grids on a CPU took as much; those of a nano one, of 0.1 GiB, somewhat more."""
COPIES = 3
"""Of each weight: itself, its gradient, its momentum."""


def step_bytes(config: FitConfig, data: MaskData, subnet: Mapping[str, Any] | None = None) -> int:
    """Memory of a weight step of a run, in float32: feature maps that are kept for the backward pass, and weights.

    ``subnet``: what the run has of its supernet; None: all.

    Counted on the "meta" device, where nothing is computed and no batch is too large.
    """
    model = create_from(replace(spec_of(config, data.network()), subnet=subnet)).to("meta").train()
    set_recompute(model.net, config.recompute)
    kept = dict[int, int]()
    holds = list[Tensor]()  # or another storage would get the number of one that is gone

    weights = {id_of(parameter): parameter.nbytes for parameter in model.net.parameters()}

    def count(tensor: Tensor) -> Tensor:
        kept[id_of(tensor)] = tensor.untyped_storage().nbytes()
        holds.append(tensor)
        return tensor

    height, width = data.size()
    with torch.device("meta"), torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        images = torch.empty(config.batch, model.spec.channels, height, width)
        targets = torch.zeros(config.batch, height, width, dtype=torch.long)
        SegmentationLoss()(model(images), targets)
    maps = sum(size for storage, size in kept.items() if storage not in weights)
    return int(BESIDE * maps) + COPIES * sum(weights.values())


def id_of(tensor: Tensor) -> int:
    """Which memory a tensor is in."""
    return tensor.untyped_storage()._cdata  # of tensors without memory `data_ptr` is 0
