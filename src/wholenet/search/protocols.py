"""Protocols: which stages a run has. Imports no torch.

The seed paper keeps the supernet (single-stage); the usual way cuts a discrete network out of it and trains that again
(two-stage). A network that is trained already gets smaller (shrink).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from wholenet.plugins import load_plugins
from wholenet.registry import Registry
from wholenet.search.phases import Phase, in_words, retraining, shrinking, single_stage


@dataclass(frozen=True)
class Protocol:
    """The stages of a run: which epochs move what, and whether a search comes before."""

    name: str
    phases: Callable[[Any], Sequence[Phase]]
    """The run's config -> its phases, which follow each other without a gap and end with the run."""
    retrains: bool = False
    """A search comes first, in a run of its own; its supernet is cut down, and the phases are those of the discrete
    network that is left, trained from scratch on all images."""
    shrinks: bool = False
    """It starts from a trained network as a whole, which the config names as ``init``, and takes units away from it."""


def _single_stage(config: Any) -> Sequence[Phase]:
    return single_stage(config.epochs, config.warmup_share, min(config.search_share, 1 - config.warmup_share))


SEARCH = "search"
"""What the cell spaces have beside all of these: the phases of single-stage, and a genotype, not a network, in the
end."""


PROTOCOLS: Registry[Protocol] = Registry(
    "protocol",
    {
        "single-stage": Protocol("single-stage", _single_stage),
        "two-stage": Protocol("two-stage", lambda config: retraining(config.retrain_epochs), retrains=True),
        "shrink": Protocol("shrink", lambda config: shrinking(config.epochs, config.budget_rounds), shrinks=True),
    },
    load_plugins,
)
"""By name; :func:`wholenet.register` adds to them."""


def plan_phases(config: Any) -> tuple[Phase, ...]:
    """The phases of a run; the frozen-uniform control goes through the same ones and never moves its architecture.

    Of a two-stage run these are the second stage's; its first stage is a run of its own (:func:`search_phases`).

    Raises:
        ValueError: if its protocol's phases leave a gap, or name epochs that there are not.
    """
    if config.genotype is not None:
        return retraining(config.epochs)
    return phases_by(config.protocol, config)


def search_phases(config: Any) -> tuple[Phase, ...]:
    """The phases of the stage in which a run searches: where one comes first, warm-up and search of single-stage.

    Raises:
        ValueError: likewise.
    """
    if PROTOCOLS[config.protocol].retrains:
        return phases_by("single-stage", config)[:2]
    return plan_phases(config)


def phases_by(name: str, config: Any) -> tuple[Phase, ...]:
    """The phases of the protocol ``name``, with the epochs and shares of ``config``.

    Raises:
        ValueError: likewise.
    """
    phases = tuple(PROTOCOLS[name].phases(config))
    starts = [0, *(phase.end for phase in phases[:-1])]
    if not phases or [phase.first for phase in phases] != starts or any(p.end < p.first for p in phases):
        raise ValueError(
            f"protocol {name!r} has the phases {in_words(phases)}; expected one behind the other, the first from 0"
        )
    if not config.moves_architecture:
        phases = tuple(replace(phase, moves_architecture=False) for phase in phases)
    return phases


def refuse_shrinking(protocol: str, others: Sequence[str]) -> None:
    """Make sure that a run which trains no network for masks does not make one smaller.

    Args:
        protocol: its name.
        others: what such a run may have, as a message lists them.

    Raises:
        ValueError: if it is one that shrinks, or unknown.
    """
    if PROTOCOLS.called(protocol).shrinks:
        raise ValueError(
            f"protocol={protocol!r} takes units away from a network that was trained on images with masks, and this "
            f"run is of none; give one of {', '.join(others)}"
        )


def check_control(phases: Sequence[Phase]) -> None:
    """Make sure that there are epochs to measure a control's length by: those that leave the architecture alone.

    Raises:
        ValueError: if there are none.
    """
    if not any(phase.end > phase.first for phase in phases if not phase.moves_architecture):
        raise ValueError(
            "control=True measures the control's length by epochs that leave the architecture alone, and of the phases "
            f"{in_words(phases)} none does; give a warmup_share above 0, or more epochs"
        )
