"""What a run may cost in the end: its budget, and how what goes is chosen. Imports no torch."""

from __future__ import annotations

import re
from typing import Literal

from wholenet.checked import BelowOne, Count, Share, checked
from wholenet.files import shown
from wholenet.search.begin_config import BeginConfig
from wholenet.search.protocols import PROTOCOLS

UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
Scoring = Literal["saliency", "saliency-by-kind", "magnitude", "weights", "random"]
"""How units are ranked: see :mod:`wholenet.search.scores`."""
BUDGET = ("budget", "budget_by", "budget_units", "budget_over", "budget_floor", "budget_rounds")
"""The fields that it adds."""


def parse_budget(text: str) -> tuple[float | None, int | None]:
    """A share of the whole network, or a number of multiply-adds: one of the two.

    Raises:
        ValueError: if it is neither.

    >>> parse_budget("40%"), parse_budget("2.5GMACs"), parse_budget("300 M")
    ((0.4, None), (None, 2500000000), (None, 300000000))
    """
    match = re.fullmatch(r"\s*(\d{1,12}(?:\.\d{1,9})?)\s*(%|[kmgt]?(?:macs?)?)\s*", text, re.IGNORECASE)
    number = float(match[1]) if match else 0.0
    if match and match[2] == "%" and 0 < number < 100:
        return number / 100, None
    if match and match[2] and match[2] != "%":
        macs = round(number * UNITS[re.sub("macs?$", "", match[2].lower())])
        if macs:
            return None, macs
    raise ValueError(
        f"budget={shown(text)}: expected a share of the whole network above 0 and below 100 %, like 40%, or a number "
        "of multiply-adds for one image, such as 2GMACs or 300MMACs"
    )


@checked
class BudgetConfig(BeginConfig):
    """What the network may cost when training ends, if not all of it is kept; all ours."""

    budget: str | None = None
    """What one image may cost in the end, at the size of the crop: a share of the whole network (40%) or multiply-adds
    (2GMACs). Units are removed over the search until it is met; fine-tuning goes on with what is left. Default: all is
    kept."""
    budget_by: Scoring = "saliency-by-kind"
    """What goes first: what the loss needs least per multiply-add (saliency), in means of its kind; what BatchNorms
    scale least (magnitude); edges and operations of the least weight (weights); or chance, which is the control."""
    budget_units: str | None = None
    """Kinds of units that may go, joined by commas; of a grid edge, operation, channels, bottleneck, width. Default:
    all."""
    budget_over: Share = 1.0
    """Share of the search's epochs over which units go, from its first: 1 is gradually, 0 at once after that one."""
    budget_floor: BelowOne = 0.125
    """Share of each bottleneck's and each level's channels that stays, as long as the budget can be met so."""
    budget_rounds: Count = 4
    """Of `wholenet shrink`: epochs in which units of the trained network are scored, at the end of each of which some
    go."""

    @property
    def budget_kinds(self) -> tuple[str, ...] | None:
        """Of units that may go; None: all."""
        return None if self.budget_units is None else tuple(self.budget_units.split(","))

    @property
    def shrinks(self) -> bool:
        """Whether the run makes a trained network smaller."""
        return PROTOCOLS[self.protocol].shrinks

    def check_budget(self) -> None:
        """Make sure that a budget goes together with the rest of the run.

        Raises:
            ValueError: if it does not.
        """
        if self.shrinks:
            self._check_shrinking()
        if self.budget is None:
            return
        parse_budget(self.budget)
        searching = {
            "architecture": ("learned", "a search is what meets a budget"),
            "protocol": ("single-stage", "another protocol cuts the network in its own way"),
            "budget_rounds": (
                BudgetConfig.budget_rounds,
                "they are of protocol='shrink'; here units go over the epochs of the search",
            ),
        }
        apart = ({} if self.shrinks else searching) | {
            "genotype": (None, "a discrete network has nothing to choose from"),
            "execution": ("eager", "the network changes on the way"),
            "control": (
                False,
                "its controls are runs of their own: budget_by='random', and a narrower grid (filters)",
            ),
            "ema": (0.0, "an average is over weights of one size"),
            "stopping": ("none", "a rule of stopping may go back to a larger network"),
        }
        for name, (value, why) in apart.items():
            if (found := getattr(self, name)) != value:
                raise ValueError(f"{name}={found!r} and budget={self.budget!r}: {why}; leave one of them out")

    def _check_shrinking(self) -> None:
        lacking = [name for name in ("budget", "init") if getattr(self, name) is None]
        if lacking:
            raise ValueError(
                f"protocol={self.protocol!r} takes units away from a trained network until a budget is met, and "
                f"{lacking[0]} is not given: `wholenet shrink RUN --budget 40%` gives all it needs"
            )
        if self.epochs <= self.budget_rounds:
            raise ValueError(
                f"epochs={self.epochs} with budget_rounds={self.budget_rounds}: units go over so many epochs, and one "
                f"more is for BatchNorm's statistics; give at least {self.budget_rounds + 1} (more are fine-tuning)"
            )

    def check_budget_asked(self) -> None:
        """Make sure that what is said of a budget is said of one.

        Raises:
            ValueError: if there is none.
        """
        for name in BUDGET[1:]:
            if self.budget is None and (found := getattr(self, name)) != getattr(BudgetConfig, name):
                raise ValueError(f"{name}={found!r} is about a budget, and there is none; give budget with it")
