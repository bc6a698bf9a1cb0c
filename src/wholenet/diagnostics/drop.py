"""A trained supernet without its weak edges, and what that costs: for who wants it smaller and has seen the price."""

from __future__ import annotations

from dataclasses import dataclass, replace

from wholenet.deploy.score import open_for
from wholenet.deploy.segmenter import TrainedModel
from wholenet.diagnostics.batchnorm import recalibrated, recalibration_batches
from wholenet.diagnostics.discretization import current_weights
from wholenet.search.run_folder import RunFolder
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


def without_edges_below(model: Supernet, below: float) -> tuple[Supernet, int]:
    """``model``'s network (shared) with the edges of weight less than ``below`` at zero, and how many these are.

    Each cell keeps its strongest edge. The rest is not renormalised: that makes it worse (docs/studies/figure-2.md).

    Raises:
        ValueError: if ``below`` is not in (0, 1].
    """
    if not 0 < below <= 1:
        raise ValueError(f"drop below {below}: expected a weight of edges in (0, 1]; those of a cell sum to 1")
    weights, mask = current_weights(model), model.net.masks["beta"]
    beta = weights["beta"]
    weak = mask & (beta < below) & (beta < beta.amax(-1, keepdim=True))
    weights["beta"] = beta.masked_fill(weak, 0.0)
    return with_weights(model, weights), int(weak.sum())


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
    price = Price(dropped, int(model.network.net.masks["beta"].sum()), before, after, len(val))
    return replace(model, network=cut), price
