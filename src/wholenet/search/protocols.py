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
from wholenet.search.phases import Phase, retraining, shrinking, single_stage


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
    return single_stage(config.epochs, config.warmup_share, config.search_share)


PROTOCOLS: Registry[Protocol] = Registry(
    "protocol",
    {
        "single-stage": Protocol("single-stage", _single_stage),
        "two-stage": Protocol("two-stage", lambda config: retraining(config.retrain_epochs), retrains=True),
        "shrink": Protocol("shrink", lambda config: shrinking(config.epochs, config.budget_rounds), shrinks=True),
    },
    load_plugins,
)
"""By name; :func:`wholenet.register` adds to them. What the cell spaces have beside these is in ``cells/``."""


def plan_phases(config: Any) -> tuple[Phase, ...]:
    """The phases of a run; the frozen-uniform control goes through the same ones and never moves its architecture.

    Of a two-stage run these are the second stage's; its first stage is a run of its own.

    Raises:
        ValueError: if its protocol's phases leave a gap, or name epochs that there are not.
    """
    if config.genotype is not None:
        return retraining(config.epochs)
    protocol = PROTOCOLS[config.protocol]
    phases = tuple(protocol.phases(config))
    starts = [0, *(phase.end for phase in phases[:-1])]
    if not phases or [phase.first for phase in phases] != starts or any(p.end < p.first for p in phases):
        spans = ", ".join(f"{phase.name} {phase.first}-{phase.end}" for phase in phases) or "none"
        raise ValueError(
            f"protocol {protocol.name!r} has the phases {spans}; expected one behind the other, the first from 0"
        )
    if config.architecture == "uniform":
        phases = tuple(replace(phase, moves_architecture=False) for phase in phases)
    return phases
