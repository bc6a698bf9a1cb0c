"""What a run may cost in the end where options of the supernet are all that can go: on spaces of cells. Imports no
torch.

On the grid more can go, and more be said (``search/budget_config.py``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from wholenet.checked import Seed, Share, checked
from wholenet.files import shown
from wholenet.search.budget_config import WITH_REMOVAL, check_budget_seed, check_with_budget, parse_budget
from wholenet.search.phases import Phase, check_removing
from wholenet.search.search_config import RunConfig

OptionScoring = Literal["saliency", "weights", "random"]
"""What says which options go first (:mod:`wholenet.search.scores`): those of one kind are all there are."""
OPTION_SCORING: OptionScoring = "saliency"
"""By default."""
OPTION_BUDGET = ("budget", "budget_by", "budget_over", "budget_seed")
"""The fields that it adds."""

WITH_OPTIONS: Mapping[str, tuple[Any, str]] = {
    "architecture": ("learned", "a search is what removes operations"),
    "control": (False, "its control is a run of its own, budget_by='random'"),
    "stopping": WITH_REMOVAL["stopping"],
}
"""Fields of every run that have one value with a budget, and why no other."""


@checked
class OptionBudget(RunConfig):
    """What the network may cost when training ends, if not all of it is kept; all ours."""

    budget: str | None = None
    """What one image, or pair, may cost in the end: a share of the whole network (40%) or multiply-adds (300MMACs).
    Operations are removed over the search, each edge keeps one; of a run that keeps its supernet. Default: all is
    kept."""
    budget_by: OptionScoring | None = None
    """Which operations go first: those that the loss needs least per multiply-add (saliency), of the least weight
    (weights), or by chance (random, the control). Default: saliency."""
    budget_over: Share | None = None
    """Share of the search's epochs over which they go, from its first: 1 is gradually, 0 at once after that one.
    Default: 1."""

    budget_seed: Seed | None = None
    """Of budget_by=random: the seed of what chance takes; default: `seed`. So runs of one seed differ in nothing but
    that."""

    @property
    def option_scoring(self) -> OptionScoring:
        """What says which options go first."""
        return self.budget_by or OPTION_SCORING

    def check_option_budget(self, phases: Sequence[Phase], more: Mapping[str, tuple[Any, str]]) -> None:
        """Make sure that a budget goes together with the rest of the run.

        Args:
            phases: of the run.
            more: as ``WITH_OPTIONS``, of runs of this kind.

        Raises:
            ValueError: if it does not.
        """
        if self.budget is None:
            return
        if "," in self.budget:
            raise ValueError(
                f"budget={shown(self.budget)}: several budgets are for images with masks alone; give one, and train "
                "a run for each"
            )
        if parse_budget(self.budget).ms is not None:
            raise ValueError(
                f"budget={shown(self.budget)} is a time, and operations of cells are not timed; give a share, like 40%"
                ", or multiply-adds, like 300MMACs"
            )
        check_budget_seed(self)
        check_with_budget(self, {**WITH_OPTIONS, **more})
        check_removing(phases)

    def check_option_budget_asked(self) -> None:
        """Make sure that what is said of a budget is said of one.

        Raises:
            ValueError: if there is none.
        """
        for name in OPTION_BUDGET[1:]:
            if self.budget is None and (found := getattr(self, name)) is not None:
                raise ValueError(
                    f"{name}={found!r} is about a budget, and there is none; give budget=40% or so with it"
                )
