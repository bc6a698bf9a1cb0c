"""From relaxed weights to a discrete network: which operation and which edges stay (discretization).

Every decoding keeps the strongest operation of each cell. They differ in the edges. The decoder of the grid reads all
four strides of the last layer, so all four always stay; cells that no kept edge leads to from there are dropped.
``operations`` are the names of what cells choose among.

Letters: L layers; level i = 0..3 stands for stride 4 * 2**i.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from wholenet.architecture import Weights, one_hot, rescaled
from wholenet.spaces.genotype import Genotype, genotype_from_weights
from wholenet.spaces.grid import DEFAULT
from wholenet.spaces.links import LEVELS, incoming, masks


def best_predecessors(beta: Tensor) -> tuple[Tensor, Tensor]:
    """Viterbi's algorithm over the grid, with ``beta`` [L, 4, 3] as the probabilities of coming from each neighbour.

    Auto-DeepLab (Sec. 3.3) decodes so with weights normalised over *outgoing* edges; the seed paper normalises over
    incoming ones, which makes the walk one from the end to the stems. Levels at the border choose among two rather than
    three, so at uniform weights they win: a path there is a decision of the grid, not of the search.

    Returns:
        ``slot`` [L, 4], the slot of ``beta`` by which the best path reaches each cell, and ``score`` [4], the logarithm
        of the product of the weights along the best path to each level of the last layer.
    """
    layers = len(beta)
    slots = torch.zeros(layers, LEVELS, dtype=torch.long)
    score = torch.zeros(LEVELS, dtype=torch.float64)
    for layer in range(layers):
        new = torch.empty_like(score)
        for target in range(LEVELS):
            edges = incoming(layer, target)
            scores = [score[e.source] + beta[layer, target, e.slot].double().log() for e in edges]
            best = int(torch.stack(scores).argmax())
            slots[layer, target], new[target] = edges[best].slot, scores[best]
        score = new
    return slots, score


def best_path(weights: Weights, operations: Sequence[str] = DEFAULT) -> Genotype:
    """The most probable path from the stems to each of the four outputs; where they meet, they go on together."""
    slots, _ = best_predecessors(weights["beta"])
    kept = torch.nn.functional.one_hot(slots, 3).to(weights["beta"])
    return _genotype(weights, kept, "best-path", operations)


def strongest(weights: Weights, operations: Sequence[str] = DEFAULT) -> Genotype:
    """Each cell keeps its strongest incoming edge."""
    beta = weights["beta"].masked_fill(~masks(len(weights["beta"]))["beta"], -1.0)
    kept = torch.nn.functional.one_hot(beta.argmax(-1), 3).to(beta)
    return _genotype(weights, kept, "strongest", operations)


def threshold(weights: Weights, tau: float, operations: Sequence[str] = DEFAULT) -> Genotype:
    """Each cell keeps the edges whose weight is at least ``tau`` times its strongest one's, renormalised.

    ``tau`` in [0, 1]: 0 keeps all edges, 1 the strongest alone (and its equals). Ours, after DCNAS, whose own rule is
    not published in detail.
    """
    if not 0 <= tau <= 1:
        raise ValueError(f"tau={tau}: expected a share of the strongest edge's weight, in [0, 1]")
    beta = weights["beta"]
    kept = torch.where(beta >= tau * beta.amax(-1, keepdim=True), beta, 0.0)
    return _genotype(weights, rescaled(kept), f"threshold {tau:g}", operations)


DECODINGS: dict[str, Callable[[Weights, float, Sequence[str]], Genotype]] = {
    "best-path": lambda weights, _tau, operations: best_path(weights, operations),
    "strongest": lambda weights, _tau, operations: strongest(weights, operations),
    "threshold": threshold,
}
"""By name: (weights of the supernet, tau, names of the operations) -> genotype. Only "threshold" looks at tau."""


def decode(weights: Weights, decoding: str, tau: float = 0.5, operations: Sequence[str] = DEFAULT) -> Genotype:
    """The discrete network that ``decoding`` finds in the supernet's ``weights``.

    Raises:
        ValueError: for an unknown decoding; the known ones are listed.
    """
    if decoding not in DECODINGS:
        raise ValueError(f"unknown decoding {decoding!r}; known: {', '.join(DECODINGS)}")
    return DECODINGS[decoding]({name: w.detach().cpu() for name, w in weights.items()}, tau, operations)


def _genotype(weights: Weights, beta: Tensor, decoding: str, operations: Sequence[str]) -> Genotype:
    layers = len(beta)
    alpha = one_hot(weights["alpha"].argmax(-1), masks(layers, len(operations))["alpha"])
    reached = [[layer == layers - 1] * LEVELS for layer in range(layers)]
    for layer in range(layers - 1, 0, -1):
        for target in range(LEVELS):
            for edge in incoming(layer, target):
                if reached[layer][target] and beta[layer, target, edge.slot] > 0:
                    reached[layer - 1][edge.source] = True
    there = torch.tensor(reached)[..., None]
    return genotype_from_weights({"alpha": alpha * there, "beta": beta * there}, decoding, operations)
