"""The discretization curve: what is left of a supernet's score as its weakest edges go (seed paper, Sec. 4.2, Fig. 2).

The paper sets edges to zero and scores. How much of the loss is the missing edge, how much a shrunken sum and how much
stale BatchNorm statistics, it does not ask; the variants here do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from wholenet.architecture import Weights, drop_weakest, rescaled
from wholenet.diagnostics.batchnorm import recalibrated
from wholenet.spaces.supernet import Supernet, with_weights

SHARES = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Shares of the edges dropped; finer where the paper's unregularised supernet collapses."""

Variant = Callable[[Supernet], Supernet]
"""From the supernet with its weakest edges at zero, which shares its network with the original and must not change it,
to the network that is scored."""

Score = Callable[[Supernet], float]
"""Validation mIoU, in [0, 1]."""


@dataclass(frozen=True)
class CurvePoint:
    """One score."""

    share: float
    """Of the edges, in [0, 1], as asked for."""
    dropped: int
    """Edges dropped: ``share`` rounded to whole ones."""
    variant: str
    miou: float


def zeroed(pruned: Supernet) -> Supernet:
    """As the paper: the edges are zero, nothing else changes."""
    return pruned


def renormalized(pruned: Supernet) -> Supernet:
    """What is left of each cell's edges scaled to sum to one again; a cell that lost all stays without."""
    weights = scored_weights(pruned)
    weights["beta"] = rescaled(weights["beta"])
    return with_weights(pruned, weights)


def recalibrated_on(images: Callable[[], Iterable[Tensor]]) -> Variant:
    """The variant that recalculates BatchNorm statistics on ``images()``, the same batches each time."""
    return lambda pruned: recalibrated(pruned, images())


def discretization_curve(
    model: Supernet,
    variants: Mapping[str, Variant],
    score: Score,
    shares: Sequence[float] = SHARES,
    progress: Callable[[int, int], None] | None = None,
) -> list[CurvePoint]:
    """Score every variant of ``model`` at every share of dropped edges.

    Edges are ranked by ``beta`` over the whole network, as the paper does. Equal weights are ranked in the order of the
    table (layer, then stride, then finer to coarser): at exactly uniform weights the cells with three inputs lose
    theirs first, from the first layer on, and the curve says nothing of any search.

    Args:
        model: a supernet; not changed.
        variants: name -> what is done after the cut.
        score: called once per point.
        shares: in [0, 1].
        progress: called with (points done, points in all).

    Returns:
        A point for each share and variant, share by share.

    Raises:
        ValueError: for a share outside [0, 1], before anything is scored.
    """
    if wrong := [share for share in shares if not 0 <= share <= 1]:
        raise ValueError(f"share={wrong[0]}: expected shares of the edges in [0, 1]")
    points = []
    for share in shares:
        pruned, dropped = without_weakest_edges(model, share)
        for name, variant in variants.items():
            points.append(CurvePoint(share, dropped, name, score(variant(pruned))))
            if progress is not None:
                progress(len(points), len(shares) * len(variants))
    return points


def without_weakest_edges(model: Supernet, share: float) -> tuple[Supernet, int]:
    """``model``'s network (shared) with the weakest ``share`` of its edges at zero, and how many these are."""
    weights, mask = scored_weights(model), model.net.masks["beta"]
    weights["beta"] = drop_weakest(weights["beta"], mask, share)
    return with_weights(model, weights), round(share * int(mask.sum()))


def removable(points: Sequence[CurvePoint], variant: str, whole: float, tolerance: float) -> float:
    """The largest share up to which every point of ``variant`` scores at least ``whole`` - ``tolerance``.

    0 if not even the first does.

    >>> curve = [CurvePoint(s, 0, "zeroed", m) for s, m in ((0.0, 0.50), (0.1, 0.495), (0.2, 0.40), (0.3, 0.50))]
    >>> removable(curve, "zeroed", whole=0.5, tolerance=0.01)
    0.1
    """
    reached = 0.0
    for point in sorted((p for p in points if p.variant == variant), key=lambda p: p.share):
        if point.miou < whole - tolerance:
            break
        reached = point.share
    return reached


def current_weights(model: Supernet) -> Weights:
    """The architecture weights of ``model``, on the CPU, without gradients; a new dictionary."""
    return {name: weights.detach().cpu() for name, weights in model.arch().items()}


def scored_weights(model: Supernet) -> Weights:
    """Likewise those that ``model`` is scored with."""
    return {name: weights.detach().cpu() for name, weights in model.arch.scored().items()}
