"""Pairs of edges: which two of the edges into a node stay, as one choice (DOTS, Sec. 3.2).

Letters: n edges lead into a node, P = n (n - 1) / 2 pairs.
"""

from __future__ import annotations

from itertools import combinations

import torch
from torch import Tensor

from wholenet.spaces.cell_tables import INPUTS, NODES

MOST = (INPUTS + NODES - 1) * (INPUTS + NODES - 2) // 2
"""Pairs of the last node."""
HOTTEST, COLDEST = 10.0, 0.02
"""Temperatures in the first and in the last epoch of the topology search (the code's, whatever its options say)."""
OF_OPERATIONS = 1e-3
"""An edge's two operations compete at this times the temperature of the pairs."""


def pairs(edges: int) -> list[tuple[int, int]]:
    """The pairs of ``edges`` edges, by their first and then by their second.

    >>> pairs(3)
    [(0, 1), (0, 2), (1, 2)]
    """
    return list(combinations(range(edges), 2))


def pair_mask() -> Tensor:
    """Which pairs are there of each of a cell's own nodes: boolean [4, 10], 1, 3, 6 and 10 of them."""
    counts = torch.tensor([len(pairs(INPUTS + node)) for node in range(NODES)], device="cpu")
    return torch.arange(MOST, device="cpu") < counts[:, None]


def incidence(edges: int) -> Tensor:
    """[P, n]: one where a pair has the edge."""
    found = torch.zeros(len(pairs(edges)), edges, device="cpu")
    for row, pair in enumerate(pairs(edges)):
        found[row, list(pair)] = 1
    return found


def tempered(weights: Tensor, temperature: float) -> Tensor:
    """The softmax at ``temperature`` of the logits whose softmax is ``weights`` [..., O]; what is zero stays zero."""
    there = weights > 0
    logits = torch.where(there, weights, 1.0).log() / temperature
    return logits.masked_fill(~there, -torch.inf).softmax(-1)


def edge_weights(of_pairs: Tensor) -> Tensor:
    """What each edge counts: the sum of the weights of the pairs that have it, so that those into a node sum to 2.

    Args:
        of_pairs: [4, 10], each node's sums to 1.

    Returns:
        [14], by target and then by source.
    """
    rows = []
    for node in range(NODES):
        which = incidence(INPUTS + node).to(of_pairs)
        rows.append(of_pairs[node, : len(which)] @ which)
    return torch.cat(rows)


def temperature(epoch: int, first: int, end: int) -> float:
    """Of the pairs in ``epoch`` of a topology search that has the epochs from ``first`` to before ``end``; 1 before it.

    >>> [round(temperature(epoch, 50, 70), 6) for epoch in (49, 50, 51, 60, 69)]
    [1.0, 10.0, 7.210227, 0.379743, 0.02]
    """
    if epoch < first:
        return 1.0
    return HOTTEST * (COLDEST / HOTTEST) ** ((epoch - first) / max(1, end - first - 1))
