"""A trained supernet without its weak edges, and what that costs: for who wants it smaller and has seen the price.

They are units like those that a budget removes (``search/removal.py``): what is left is cut out, exactly.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from wholenet.deploy.score import open_for
from wholenet.deploy.segmenter import TrainedModel
from wholenet.diagnostics.batchnorm import recalibrated, recalibration_batches
from wholenet.diagnostics.discretization import scored_weights
from wholenet.search.run_folder import RunFolder
from wholenet.spaces.catalog import left_of, shrink, subnets
from wholenet.spaces.subnets import Subnets
from wholenet.spaces.supernet import Supernet, with_weights
from wholenet.tasks.segmentation import evaluate


@dataclass(frozen=True)
class Price:
    """Before and after."""

    dropped: int
    edges: int
    miou_before: float
    miou_after: float
    """On the validation split, both; in [0, 1]."""
    images: int
    macs_before: int | None = None
    macs_after: int | None = None
    """Multiply-adds of an image of the crop's size; None where the space does not count what can be removed."""


def without_edges_below(model: Supernet, below: float) -> tuple[Supernet, int]:
    """``model`` without the edges of weight less than ``below``, and how many these are: what nobody reads then is gone
    too. Networks whose units cannot be removed (``spaces.catalog.subnets``) keep them, at a weight of zero.

    Each cell keeps its strongest edge. The rest is not renormalised: that makes it worse (docs/studies/figure-2.md).

    Raises:
        ValueError: if ``below`` is not in (0, 1].
    """
    if not 0 < below <= 1:
        raise ValueError(f"drop below {below}: expected a weight of edges in (0, 1]; those of a cell sum to 1")
    weights, mask = scored_weights(model), model.net.masks["beta"]
    beta = weights["beta"]
    weak = mask & (beta < below) & (beta < beta.amax(-1, keepdim=True))
    weights["beta"] = beta.masked_fill(weak, 0.0)
    return with_weights(_cut(model, weak), weights), int(weak.sum())


def _cut(model: Supernet, weak: Tensor) -> Supernet:
    """A copy of ``model`` without the ``weak`` edges, bool [L, 4, S], unless one that is not shares their transition;
    ``model`` itself, if nothing can go."""
    known = _subnets(model)
    if known is None or not weak.any():
        return model
    left = left_of(model.spec)
    for unit in [unit for unit in known.units(left) if unit.kind == "edge"]:
        own = known.choices(left, unit)  # none, if it went with its cell
        if own and all(weak[at] for _, at in own) and unit in known.units(left):
            left = known.without(left, unit)
    smaller = copy.deepcopy(model)
    shrink(smaller, left)
    return smaller


def _subnets(model: Supernet) -> Subnets[Any] | None:
    try:
        return subnets(model.spec)
    except (
        ValueError
    ):  # a bottleneck per operation, an encoder of another library, an operation that declares no kernel
        return None


def drop_edges(
    run: RunFolder, model: TrainedModel, below: float, data: str | None = None
) -> tuple[TrainedModel, Price]:
    """:func:`without_edges_below`, with BatchNorm statistics recalculated on training images; scored before and after.

    Args:
        run: the run that trained the model.
        model: its model.
        below: in (0, 1].
        data: where to score; None is the data of the run, on which statistics are recalculated in any case.

    Raises:
        ValueError: for a threshold outside (0, 1], or a discrete network.
        DataError: for data that cannot be read, or of other classes.
    """
    if model.network.discrete:
        raise ValueError(
            f"{run.path} holds a discrete network, whose edges are chosen already; drop edges of a supernet"
        )
    cut, dropped = without_edges_below(model.network, below)
    limit = run.fit_config.max_megapixels
    own = open_for(model, run.fit_config.data, limit)
    val = (own if data is None else open_for(model, data, limit)).splits["val"]

    def score(network: Supernet) -> float:
        return evaluate(network, val, len(model.classes), model.device, pixels=model.pixels).miou

    before = after = score(model.network)
    if dropped:
        cut = recalibrated(cut, recalibration_batches(own.splits["train"], run.fit_config, pixels=model.pixels))
        after = score(cut)
    edges, size = int(model.network.net.masks["beta"].sum()), run.fit_config.crop_size
    known = _subnets(model.network)
    macs = [None if known is None else known.macs(left_of(net.spec), *size) for net in (model.network, cut)]
    price = Price(dropped, edges, before, after, len(val), *macs)
    return replace(model, network=cut), price
