"""The diagnosis in three sentences: did the search decide anything, what would cutting cost, what to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from wholenet.architecture import normalized_entropy, rescaled
from wholenet.diagnostics.diagnosis import TOLERANCE, Diagnosis
from wholenet.diagnostics.entropy import DECIDED_GAIN, Movement
from wholenet.spaces.supernet import Supernet

DECIDED_ENTROPY = 0.5
"""Normalised entropy at or below which the search is said to have decided: between two options, 89 to 11."""
CHANCE_ENTROPY = 0.995
"""Normalised entropy from which, to two digits, all options are equally strong: between two, 54 to 46."""
FEW = 0.1
"""Below this share of groups that gained ``DECIDED_GAIN``, it is said to have decided next to nothing."""
WORTH_DROPPING = 0.1
"""Fewer edges than this share are not worth dropping."""
HOW = {"zeroed": "", "renormalized": " (the cell's others scaled up)", "recalibrated": " (with BatchNorm recalculated)"}
"""What has to be done besides dropping."""


def verdict(diagnosis: Diagnosis) -> tuple[str, str, str]:
    """One sentence each: on the search, on cutting, on what to do."""
    return _search(diagnosis), _cutting(diagnosis), _advice(diagnosis)


def _search(d: Diagnosis) -> str:
    said = search_verdict(d.searched, d.entropy, d.movement)
    if d.left is None or not d.searched:
        return said
    return f"{said[:-1]}; that is of the {_whole(d.left)} of the grid that its budget left."


def search_verdict(searched: bool, entropy: Mapping[str, float], movement: Mapping[str, Movement]) -> str:
    """Whether a search on the grid decided anything, in one sentence.

    Args:
        searched: False for a run that never moved its architecture.
        entropy: normalised, of "alpha" and "beta".
        movement: how far each moved from uniform.
    """
    if not searched:
        return "Nothing was searched: this run kept all edges and operations at uniform strength, as a control does."
    on_edges, on_operations = (_word(entropy[name], movement[name]) for name in ("beta", "alpha"))
    repeated = "" if on_operations == on_edges else f"{on_operations} "
    return (
        f"The search {on_edges} on edges (normalised entropy {entropy['beta']:.3f}; 1 is uniform, 0 one choice alone) "
        f"and {repeated}on operations ({entropy['alpha']:.3f}): {_whole(movement['beta'].decided)} of the cells "
        f"prefer one edge, and {_whole(movement['alpha'].decided)} one operation, by {_points(DECIDED_GAIN)} or more "
        "over uniform."
    )


def chance(entropy: Mapping[str, float]) -> str | None:
    """What to say of a genotype where the search has decided nothing; None where it has.

    Args:
        entropy: normalised, by architecture parameter, of the weights that the genotype was cut out of.

    >>> chance({"normal": 0.999, "reduce": 0.996})
    'entropy 1.00: the search decided nothing, and this genotype is chance'
    >>> chance({"normal": 0.96, "reduce": 1.0})
    'entropy 1.00 in reduce: the search decided nothing there, and that part of the genotype is chance'
    >>> chance({"normal": 0.96, "reduce": 0.99})
    """
    undecided = [name for name, value in entropy.items() if value >= CHANCE_ENTROPY]
    if not undecided:
        return None
    if len(undecided) == len(entropy):
        return "entropy 1.00: the search decided nothing, and this genotype is chance"
    return (
        f"entropy 1.00 in {', '.join(undecided)}: the search decided nothing there, and that part of the genotype is "
        "chance"
    )


@torch.no_grad()
def chance_in(model: Supernet[Any]) -> str | None:
    """:func:`chance`, of what is cut out of ``model`` as it is."""
    weights = {name: rescaled(w) for name, w in model.arch().items()}
    return chance({name: normalized_entropy(w, model.arch.mask(name)).item() for name, w in weights.items()})


def _word(entropy: float, movement: Movement) -> str:
    if entropy <= DECIDED_ENTROPY:
        return "decided"
    return "decided next to nothing" if movement.decided < FEW else "leaned without deciding"


def _untrained(d: Diagnosis) -> bool:
    return d.miou < d.constant_miou + TOLERANCE


def _cutting(d: Diagnosis) -> str:
    if _untrained(d):
        return (
            f"What cutting costs cannot be told, because the whole supernet ({_percent(d.miou)} mIoU) is no better "
            f"than one constant class ({_percent(d.constant_miou)})."
        )
    best, inside = d.best_discrete, ""
    if best is not None:
        lost = d.miou - best.best_miou
        change = f"loses {_points(lost)}" if lost >= 0 else f"gains {_points(-lost)}"
        inside = f", while the best discrete network inside ({best.genotype.decoding}, {best.edges} edges) {change} "
        inside += "without retraining"
    retrained = f" and retrained from scratch reached {_percent(d.second_stage.miou)}" if d.second_stage else ""
    as_is, recalculated = _whole(d.removable("zeroed")), _whole(d.removable("recalibrated"))
    return (
        f"Of the {d.edges} edges the weakest {as_is} can go within {_points(TOLERANCE)} of the supernet's "
        f"{_percent(d.miou)} mIoU as they are, and {recalculated} with BatchNorm recalculated{inside}{retrained}."
    )


def _advice(d: Diagnosis) -> str:
    if not d.finished:
        return (
            f"Let the run finish first (`wholenet fit --resume RUN`): this is its model after {d.scored_epoch} of "
            f"{d.planned} epochs."
        )
    if _untrained(d):
        return "Train longer, or look at the data and at predictions.png, before asking anything else of this run."
    return f"{_keep(d)}; {_credit(d)}."


def _keep(d: Diagnosis) -> str:
    best = d.best_discrete
    if best is not None and d.miou - best.best_miou <= TOLERANCE and best.edges < d.edges:
        return "The discrete network in genotype.yaml can take the supernet's place, and retraining it may add to that"
    share, variant = max((d.removable(name), name) for name in HOW)  # equal shares: as they are, "zeroed"
    if share >= WORTH_DROPPING:
        how = HOW[variant]
        return f"Keep the supernet whole unless you need it smaller, when {_whole(share)} of the edges can go{how}"
    return "Keep the supernet whole"


def _credit(d: Diagnosis) -> str:
    if d.left is not None and d.searched and d.control is None:
        return (
            "what the way to its budget was worth, runs of the same time say, with `--budget-by random` and with "
            "`--budget-by shallower`"
        )
    return credit(d.searched, d.result, None if d.control is None else d.control.miou)


def credit(searched: bool, result: float, control: float | None) -> str:
    """Whether the search deserves credit for the score, as the end of a sentence.

    Args:
        searched: False for a run that never moved its architecture.
        result: what the run reached, in [0, 1]; more is better.
        control: likewise its frozen-uniform control; None where there is none.
    """
    if not searched:
        return "compare it with a learned run of the same data, seed and time"
    if control is None:
        return "and before crediting the search with the score, train the frozen-uniform control (`--control`)"
    gained = result - control
    if gained > TOLERANCE:
        return (
            f"the run is {_points(gained)} better than its frozen-uniform control of the same time, but one seed says "
            "little, so repeat both with another `--seed`"
        )
    if gained < -TOLERANCE:
        return f"do not credit the search, because the frozen-uniform control was {_points(-gained)} better"
    return f"do not credit the search, because the frozen-uniform control is within {_points(TOLERANCE)} of it"


def _whole(share: float) -> str:
    return f"{100 * share:.0f} %"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _points(share: float) -> str:
    points = f"{100 * share:.1f}".removesuffix(".0")
    return f"{points} point" if points == "1" else f"{points} points"
