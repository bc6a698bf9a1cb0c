"""From relaxed weights of a dense grid to a discrete network: by threshold and reachability (after DCNAS).

From the head backwards: a cell that is read keeps its strongest links, and what they come from is read. So every cell
that is left lies on a path from a stem to the head.

Letters: L layers, K operations, S slots.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from wholenet.architecture import Weights
from wholenet.spaces.dense_genotype import DenseGenotype, Place, genotype_of_links
from wholenet.spaces.links import LEVELS, Reach, incoming


def kept_links(beta: Tensor, reach: Reach, tau: float, most: int | None) -> dict[Place, dict[Place, float]]:
    """The links that stay, by cell, renormalised.

    Args:
        beta: [L, 4, S].
        reach: of the grid.
        tau: in [0, 1]; those stay that have at least so much of the weight of the cell's strongest.
        most: how many of a cell at most, the strongest; of equal ones those from nearer layers and finer levels. None:
            all.
    """
    left: dict[Place, dict[Place, float]] = {}
    read = {(len(beta), level) for level in range(LEVELS)}
    for layer in range(len(beta), 0, -1):
        for level in range(LEVELS):
            if (layer, level) not in read:
                continue
            edges = incoming(layer - 1, level, reach)
            weights = [float(beta[layer - 1, level, edge.slot]) for edge in edges]
            floor = tau * max(weights)
            order = sorted(range(len(edges)), key=lambda i: -weights[i])
            order = [i for n, i in enumerate(order) if n == 0 or (weights[i] >= floor and weights[i] > 0)][:most]
            whole = sum(weights[i] for i in order)
            inputs = {
                (layer - edges[i].back, edges[i].source): weights[i] / whole if whole else 1.0 for i in sorted(order)
            }
            left[layer, level] = inputs
            read |= {source for source in inputs if source[0] > 0}
    return left


def decode_dense(
    weights: Weights, decoding: str, tau: float, reach: Reach, most: int | None, operations: Sequence[str]
) -> DenseGenotype:
    """The discrete network that is left of a supernet at these weights.

    Args:
        weights: ``alpha`` [L, 4, K], ``beta`` [L, 4, S].
        decoding: "threshold", or "strongest": one link per cell.
        tau: of "threshold".
        reach: of the grid.
        most: links of a cell that "threshold" keeps at most; None: any number.
        operations: names of the K.

    Raises:
        ValueError: for a tau outside [0, 1].
    """
    if not 0 <= tau <= 1:
        raise ValueError(f"tau={tau}: expected a share of the strongest link's weight, in [0, 1]")
    one = decoding == "strongest"
    cap = "" if most is None else f" at most {most}"
    words = "strongest" if one else f"threshold {tau:g}{cap}"
    beta = weights["beta"].detach().cpu()
    links = kept_links(beta, reach, 1.0 if one else tau, 1 if one else most)
    return genotype_of_links(weights["alpha"].detach().cpu(), links, words, operations)
