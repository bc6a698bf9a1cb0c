"""The three phases of the single-stage protocol, as plain values (seed paper, Sec. 3.2 and 4.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Phase:
    """A run of epochs, half-open: ``first`` <= epoch < ``end``."""

    name: str
    first: int
    end: int
    moves_architecture: bool = False
    moves_weights: bool = True
    """Where they do not, each step still has its gradients: they are looked at."""
    removes: bool = False
    """Whether units may be removed at the end of its epochs, where no search does that."""

    def progress(self, epoch: int) -> float:
        """What moves over a search at ``epoch``: from 0 in its first epoch to 1 in its last; 0 in other phases.

        >>> [Phase("search", 2, 5, moves_architecture=True).progress(epoch) for epoch in (2, 3, 4)]
        [0.0, 0.5, 1.0]
        """
        return (epoch - self.first) / max(1, self.end - self.first - 1) if self.moves_architecture else 0.0


def single_stage(epochs: int, warmup_share: float = 0.05, search_share: float = 0.35) -> tuple[Phase, ...]:
    """Warm-up, search and fine-tune over ``epochs``; each boundary is rounded to the nearest epoch.

    A phase whose share is above zero gets an epoch of its own as soon as there are three epochs to share out: a run
    that silently skipped its search would be another method.

    >>> [(p.name, p.first, p.end) for p in single_stage(600)]
    [('warm-up', 0, 30), ('search', 30, 240), ('fine-tune', 240, 600)]
    """
    warmup = round(epochs * warmup_share)
    search_end = round(epochs * (warmup_share + search_share))
    if epochs >= 3:
        last_of_search = epochs - (warmup_share + search_share < 1)
        last_of_warmup = last_of_search - (search_share > 0)
        warmup = min(max(warmup, 1), last_of_warmup) if warmup_share > 0 else 0
        search_end = min(max(search_end, warmup + 1), last_of_search) if search_share > 0 else warmup
    return (
        Phase("warm-up", 0, warmup),
        Phase("search", warmup, search_end, moves_architecture=True),
        Phase("fine-tune", search_end, epochs),
    )


def retraining(epochs: int) -> tuple[Phase, ...]:
    """The second stage of the usual protocol: a discrete network, trained from scratch."""
    return (Phase("retrain", 0, epochs),)


def shrinking(epochs: int, rounds: int) -> tuple[Phase, ...]:
    """A trained network that gets smaller: ``rounds`` epochs in which units are scored and at whose ends some go, one
    in which BatchNorm's statistics follow, and the rest of the ``epochs`` for its weights.

    >>> [(p.name, p.first, p.end) for p in shrinking(12, 4)]
    [('removal', 0, 4), ('statistics', 4, 5), ('fine-tune', 5, 12)]
    """
    return (
        Phase("removal", 0, rounds, moves_weights=False, removes=True),
        Phase("statistics", rounds, rounds + 1, moves_weights=False),
        Phase("fine-tune", rounds + 1, epochs),
    )


def removing(phases: Sequence[Phase]) -> Phase | None:
    """The phase at the ends of whose epochs units are removed: one that is there for it, or else the search."""
    own = [phase for phase in phases if phase.removes] or [phase for phase in phases if phase.moves_architecture]
    return own[0] if own else None


def check_removing(phases: Sequence[Phase]) -> None:
    """Make sure that a run of these phases can meet a budget.

    Raises:
        ValueError: if it has no search to meet it in, or no epochs after that.
    """
    if any(phase.removes for phase in phases):
        return
    epochs = {moves: sum(p.end - p.first for p in phases if p.moves_architecture == moves) for moves in (True, False)}
    if not epochs[True] or phases[-1].moves_architecture or phases[-1].end == phases[-1].first:
        raise ValueError(
            f"budget: units are removed over the epochs of the search, and what is left is trained in those after it; "
            f"this run has {epochs[True]} and {phases[-1].end - phases[-1].first}: give more epochs, or other shares, "
            "such as search_share=0.35"
        )


def in_words(phases: Sequence[Phase]) -> str:
    """
    >>> in_words(retraining(3))
    'retrain 0-3'
    """
    return ", ".join(f"{phase.name} {phase.first}-{phase.end}" for phase in phases) or "none"


def epochs_that_move(phases: Sequence[Phase]) -> int:
    """In how many epochs the architecture learns.

    >>> epochs_that_move(single_stage(10, 0.1, 0.4))
    4
    """
    return sum(phase.end - phase.first for phase in phases if phase.moves_architecture)


def phase_at(phases: Sequence[Phase], epoch: int) -> Phase:
    """The phase that ``epoch`` belongs to.

    Raises:
        ValueError: if the epoch lies outside the run.
    """
    for phase in phases:
        if phase.first <= epoch < phase.end:
            return phase
    raise ValueError(f"epoch {epoch} lies outside the run's {phases[-1].end} epochs")
