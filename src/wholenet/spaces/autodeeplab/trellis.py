"""The trellis of Auto-DeepLab (Sec. 3.2): which nodes and moves exist, and the most probable path (Sec. 3.3).

No networks here: a table, the masks that follow from it, and Viterbi's algorithm over their weights.

Letters: L layers; layer 0 is the stem, level s = 0..3 stands for stride 4 * 2**s; G nodes that choose among moves.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

import torch
from torch import Tensor

from wholenet.spaces.autodeeplab.settings import Transitions

LEVELS = 4
STRIDES = tuple(4 * 2**level for level in range(LEVELS))
STEM = (0,)
"""Levels that the stem gives. The four of another network's stems can be asked for, too."""


@dataclass(frozen=True)
class Move:
    """From level ``source`` of the layer before to the node at (``layer``, ``target``); layers from 1."""

    layer: int
    source: int
    target: int

    def place(self, transitions: Transitions) -> tuple[int, int, int]:
        """Its index in ``beta`` [L, 4, 3]. Outgoing: row ``source``; slot 0 to the finer level, 1 the same, 2 to the
        coarser. Incoming: row ``target``; slot 0 from the finer level, 1 from the same, 2 from the coarser.

        >>> Move(3, 1, 2).place("outgoing"), Move(3, 1, 2).place("incoming")
        ((2, 1, 2), (2, 2, 0))
        """
        if transitions == "outgoing":
            return self.layer - 1, self.source, self.target - self.source + 1
        return self.layer - 1, self.target, self.source - self.target + 1


def levels(layer: int, stems: Collection[int] = STEM) -> list[int]:
    """Levels of ``layer`` that a path from the ``stems`` can reach: those that have a node.

    >>> levels(0), levels(1), levels(7)
    ([0], [0, 1], [0, 1, 2, 3])
    """
    return [level for level in range(LEVELS) if any(abs(level - stem) <= layer for stem in stems)]


def moves_into(layer: int, target: int, stems: Collection[int] = STEM) -> list[Move]:
    """The moves into one node, from the finest source to the coarsest."""
    return [Move(layer, source, target) for source in levels(layer - 1, stems) if abs(source - target) <= 1]


def all_moves(layers: int, stems: Collection[int] = STEM) -> list[Move]:
    """All moves of a trellis, layer by layer."""
    return [
        move
        for layer in range(1, layers + 1)
        for target in levels(layer, stems)
        for move in moves_into(layer, target, stems)
    ]


def beta_mask(layers: int, transitions: Transitions = "outgoing", stems: Collection[int] = STEM) -> Tensor:
    """Which entries of ``beta`` exist: boolean [L, 4, 3]. Rows of nodes that do not exist are empty.

    >>> beta_mask(12).sum().item(), beta_mask(12, "incoming").sum().item()
    (105, 105)
    """
    # On the CPU even where a network is being built on another device: a mask is structure, not weights.
    mask = torch.zeros(layers, LEVELS, 3, dtype=torch.bool, device="cpu")
    for move in all_moves(layers, stems):
        mask[move.place(transitions)] = True
    return mask


def packed(beta: Tensor, transitions: Transitions, stems: Collection[int] = STEM) -> Tensor:
    """The rows of ``beta`` [L, 4, 3] that have an entry, [G, 3]: what a supernet has as a parameter.

    >>> packed(beta_mask(12), "outgoing").shape, packed(beta_mask(12, "incoming"), "incoming").shape
    (torch.Size([42, 3]), torch.Size([45, 3]))
    """
    return beta[_rows(len(beta), transitions, stems)]


def unpacked(beta: Tensor, layers: int, transitions: Transitions, stems: Collection[int] = STEM) -> Tensor:
    """:func:`packed` undone: [G, 3] -> [L, 4, 3], zero where there is no move."""
    out = beta.new_zeros(layers, LEVELS, 3)
    out[_rows(layers, transitions, stems).to(beta.device)] = beta
    return out


def _rows(layers: int, transitions: Transitions, stems: Collection[int]) -> Tensor:
    return beta_mask(layers, transitions, stems).any(-1)


def best_paths(
    beta: Tensor, transitions: Transitions = "outgoing", stems: Collection[int] = STEM
) -> tuple[list[tuple[int, ...]], Tensor]:
    """Viterbi's algorithm: the path of largest product of weights to each level of the last layer.

    Sums of logarithms; moves that do not exist have -inf before anything is compared. Of equally good ones the path
    through the lower level.

    Args:
        beta: [L, 4, 3] weights, as ``transitions`` says; they may be unnormalised.
        transitions: what the rows of ``beta`` are.
        stems: where paths may begin.

    Returns:
        Of each level that the last layer has, the path: levels of layers 0 (the stem) to L; and their scores, float64.
    """
    scores = {level: 0.0 for level in levels(0, stems)}
    paths = {level: (level,) for level in scores}
    for layer in range(1, len(beta) + 1):
        found, ways = {}, {}
        for target in levels(layer, stems):
            best = -math.inf, -1
            for move in moves_into(layer, target, stems):
                weight = float(beta[move.place(transitions)])
                score = scores[move.source] + (math.log(weight) if weight > 0 else -math.inf)
                if best[1] < 0 or score > best[0]:
                    best = score, move.source
            found[target], ways[target] = best[0], (*paths[best[1]], target)
        scores, paths = found, ways
    ends = sorted(scores)
    return [paths[end] for end in ends], torch.tensor([scores[end] for end in ends], dtype=torch.float64)


def best_path(beta: Tensor, transitions: Transitions = "outgoing") -> tuple[int, ...]:
    """Levels of layers 1 to L on the most probable path from the stem to any end."""
    paths, scores = best_paths(beta, transitions)
    return paths[int(scores.argmax())][1:]
