"""The two supernets of DOTS: DARTS' network with a BatchNorm and a ReLU before its pooling, and other choices."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from wholenet.architecture import Weights
from wholenet.ops.norms import BatchNorm
from wholenet.spaces.cell_tables import PAIRS, TYPES
from wholenet.spaces.darts import DartsNet
from wholenet.spaces.dots.pairs import COLDEST, OF_OPERATIONS, edge_weights, pair_mask, temperature, tempered
from wholenet.spaces.dots.survivors import GROUPS, strengths, table_of_stage


class DotsNet(DartsNet):
    """Either supernet; called with data and architecture weights.

    The first has, as "normal" and "reduce" [14, 2, 4], two choices on each edge: one operation without parameters,
    one with. The second has the survivors of both, "normal" and "reduce" [14, 2], and the pairs of edges into each
    node, "normal_pairs" and "reduce_pairs" [4, 10]. Its choices are sharpened inside the network: it is called with
    softmaxes at temperature 1, so that entropies and penalties are of these, and computes with those at
    ``temperature``.

    Args:
        num_classes: classes to tell apart.
        survivors: of the first stage; empty for its own network.
        shape: see :class:`DartsNet`: channels, cells, affine, in_channels.
    """

    def __init__(self, num_classes: int, survivors: str = "", **shape: Any) -> None:
        super().__init__(table_of_stage(survivors), num_classes, **shape)
        self.last = nn.Sequential(BatchNorm(self.classify.in_features), nn.ReLU())
        self.pairs = bool(survivors)
        self.temperature = COLDEST
        """Of the pairs, where there are any."""
        options = (len(PAIRS), 2) if self.pairs else (len(PAIRS), len(GROUPS), len(GROUPS[0]))
        self.masks = {kind: torch.ones(options, dtype=torch.bool, device="cpu") for kind in TYPES}
        if self.pairs:
            self.masks |= {f"{kind}_pairs": pair_mask() for kind in TYPES}
        self.competing = list(self.masks)
        """All are a softmax whatever the relaxation."""

    def forward(self, x: Tensor, weights: Weights | None = None) -> Tensor:
        """Images [B, in_channels, H, W] and weights as the masks -> logits [B, classes]."""
        assert weights is not None, "a supernet of DOTS has choices"
        options = self.option_weights(weights) if self.pairs else strengths(weights)
        features, _ = self._features(x, options)
        return self.classify(self.last(features).mean((2, 3)))

    def at(self, epoch: int, first: int, end: int) -> None:
        """Set the temperature of ``epoch`` in a search that has the epochs from ``first`` to before ``end``."""
        self.temperature = temperature(epoch, first, end)

    def rest(self) -> None:
        """Be as a network that is loaded."""
        self.temperature = COLDEST

    def weights_of_pairs(self, weights: Weights) -> Weights:
        """Of the second stage: those of the pairs at ``temperature``, [4, 10] by type of cell."""
        return {kind: tempered(weights[f"{kind}_pairs"], self.temperature) for kind in TYPES}

    def option_weights(self, weights: Weights) -> Weights:
        """Of the second stage: what each option of an edge counts at ``temperature``, [14, 2] by type of cell."""
        of_operations = OF_OPERATIONS * self.temperature
        return {
            kind: tempered(weights[kind], of_operations) * edge_weights(of_pairs)[:, None]
            for kind, of_pairs in self.weights_of_pairs(weights).items()
        }
