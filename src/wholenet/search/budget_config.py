"""What a run may cost in the end: its budget, and how what goes is chosen. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, NamedTuple, Self

from wholenet.checked import BelowOne, Count, Seed, Share, Strength, checked
from wholenet.files import shown
from wholenet.search.begin_config import BeginConfig
from wholenet.search.protocols import PROTOCOLS
from wholenet.spaces.sizes import GRIDS, LAYERED

UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
Scoring = Literal["narrower", "shallower", "saliency", "saliency-by-kind", "magnitude", "weights", "pressed", "random"]
"""How a budget is met: by a narrower or a shallower network from the start, or by what goes first
(:mod:`wholenet.search.scores`)."""
BUDGET = ("budget", "budget_by", "budget_units", "budget_over", "budget_floor", "budget_pressure", "budget_at")
BUDGET += ("budget_seed", "device_table", "budget_rounds", "distill")
"""The fields that it adds."""
ROUNDS = 4
"""Of scoring and removing units of a trained network, by default."""
PRESSURE = 0.01
"""By default. At a rate of 0.05 and a momentum of 0.9 it moves a BatchNorm's scale by 0.6 in 240 steps."""
REMOVING = ("budget_units", "budget_over", "budget_floor")
"""Those that say what is removed, and when."""
GRADUALLY: Mapping[str, float] = {"budget_over": 1.0, "budget_floor": 0.125}
"""When it is, and what stays, where nothing was measured; until 2026-11-30 wherever it was not said."""
SMALL_FROM_THE_START = ("narrower", "shallower")
"""Of ``Scoring``: nothing is removed."""


TIMED = ("edge", "operation", "channels", "bottleneck")
"""Kinds of units that a table of times has: all but the width of levels."""


class Amount(NamedTuple):
    """What a budget says: one of these."""

    share: float | None = None
    """Of the whole network."""
    macs: int | None = None
    """Multiply-adds."""
    ms: float | None = None
    """Milliseconds."""


def parse_budget(text: str) -> Amount:
    """A share of the whole network, a number of multiply-adds or a time.

    Raises:
        ValueError: if it is none.

    >>> parse_budget("40%").share, parse_budget("2.5GMACs").macs, parse_budget("300 M").macs, parse_budget("30ms").ms
    (0.4, 2500000000, 300000000, 30.0)
    """
    match = re.fullmatch(r"\s*(\d{1,12}(?:\.\d{1,9})?)\s*(%|ms|[kmgt]?(?:macs?)?)\s*", text, re.IGNORECASE)
    number = float(match[1]) if match else 0.0
    unit = match[2].lower() if match else ""
    if unit == "%" and 0 < number < 100:
        return Amount(share=number / 100)
    if unit == "ms" and number:
        return Amount(ms=number)
    if unit and unit not in ("%", "ms") and (macs := round(number * UNITS[re.sub("macs?$", "", unit)])):
        return Amount(macs=macs)
    if "," in text:
        raise ValueError(
            f"budget={shown(text)}: several budgets are for `wholenet fit` alone, which trains a run for each; give one"
        )
    raise ValueError(
        f"budget={shown(text)}: expected a share of the whole network above 0 and below 100 %, like 40%, a number of "
        "multiply-adds for one image, such as 2GMACs or 300MMACs, or a time for one image in milliseconds, such as 30ms"
    )


WITH_ANY_BUDGET = {
    "genotype": (None, "a discrete network has nothing to choose from"),
    "execution": ("eager", "the network changes on the way"),
}
WITHOUT_SHRINKING = {
    "protocol": ("single-stage", "another protocol cuts the network in its own way"),
    "budget_rounds": (ROUNDS, "they are of protocol='shrink'; here units go over the epochs of the search"),
    "distill": (0.0, "only protocol='shrink' begins with a trained network to learn from"),
}
WITH_REMOVAL = {
    "architecture": ("learned", "a search is what removes units"),
    "control": (False, "its controls are runs of their own: budget_by='random', and budget_by='shallower'"),
    "ema": (0.0, "an average is over weights of one size"),
    "stopping": ("none", "a rule of stopping may go back to a larger network"),
}
"""Fields that have a value with a budget, and why no other."""


def check_with_budget(config: Any, fields: Mapping[str, tuple[Any, str]]) -> None:
    """Make sure that each of these ``fields`` of a config with a budget has the one value that it may have.

    Raises:
        ValueError: naming the first that has not, and why.
    """
    for name, (value, why) in fields.items():
        if (found := getattr(config, name)) != value:
            raise ValueError(f"{name}={found!r} and budget={config.budget!r}: {why}; leave one of them out")


def check_budget_seed(config: Any) -> None:
    """Make sure that where a seed is given to the chance that takes units, chance does.

    Raises:
        ValueError: if something else does.
    """
    if config.budget_seed is not None and config.budget_by != "random":
        found = f"this is budget_by={config.budget_by!r}" if config.budget_by else "budget_by is left out"
        raise ValueError(
            f"budget_seed={config.budget_seed} is of budget_by='random', and {found}; give that, or leave the seed out"
        )


@checked
class BudgetConfig(BeginConfig):
    """What the network may cost when training ends, if not all of it is kept; all ours."""

    budget: str | None = None
    """What one image may cost in the end: a share of the whole network (40%), multiply-adds (2GMACs), or time on this
    machine's CPU (30ms). Of `wholenet fit`, several joined by commas train a run for each. Default: all is kept."""
    budget_by: Scoring | None = None
    """How it is met: by a network that is narrower from the start (narrower), or has fewer layers (shallower), or by
    removing units over the search: what the loss needs least per multiply-add (saliency), in means of its kind
    (saliency-by-kind), what BatchNorms scale least (magnitude), edges and operations of the least weight (weights),
    what BatchNorms scale least under a penalty on what it costs (pressed), or what chance says (random, the control).
    Default, decided as the run begins: saliency-by-kind from 25 % of the whole network on, shallower below that and
    where nothing can be removed, such as with `control` (docs/smaller.md)."""
    budget_units: str | None = None
    """Kinds of units that may go, joined by commas; of a grid edge, operation, channels, bottleneck, width; of
    autodeeplab operation, move. Default: of a grid width,channels,operation where they can meet the budget; else all.
    With a budget in ms never width, which is not timed."""
    budget_over: Share | None = None
    """Share of the search's epochs over which units go, from its first: 1 is gradually, 0 at once after that one.
    Default: 0 where width, channels and operation alone go from a grid over its search; else 1."""
    budget_floor: BelowOne | None = None
    """Share of each bottleneck's and each level's channels that stays, as long as the budget can be met so. Default:
    0.25 where budget_over is 0 by default, else 0.125."""
    budget_pressure: Strength = PRESSURE
    """Of budget_by=pressed: strength, in the last epoch in which units go, of the penalty on what multiplies their
    outputs, in proportion to what each costs; it grows from the first of those epochs in equal steps."""
    budget_seed: Seed | None = None
    """Of budget_by=random: the seed of what chance takes; default: `seed`. So runs of one seed differ in nothing but
    that."""
    budget_at: str | None = None
    """HEIGHTxWIDTH of the image that a budget is of; default: the crop, and of a budget in ms the largest image that is
    held out, which is predicted whole."""
    device_table: str | None = None
    """Of a budget in ms: the file with the times of units that `wholenet device-table` wrote; default: they are
    measured before the run begins, on as many threads as `threads` says (1 where that is 0)."""
    budget_rounds: Count = ROUNDS
    """Of `wholenet shrink`: epochs in which units of the trained network are scored, at the end of each of which some
    go."""
    distill: Share = 0.0
    """Of `wholenet shrink`: how much of what the smaller network learns is to answer as the network did before, and not
    as the masks say; 0: the masks alone."""

    @property
    def timed(self) -> bool:
        """Whether there is a budget in milliseconds."""
        return self.budget is not None and parse_budget(self.budget).ms is not None

    @property
    def scoring(self) -> Scoring | None:
        """How the budget is met; None: as :func:`wholenet.search.budget_way.settled_budget` says as a run begins."""
        if self.budget_by is None and (self.shrinks or self.timed or any(map(self._given, REMOVING))):
            return "saliency-by-kind"
        return self.budget_by

    @property
    def narrower(self) -> bool:
        """Whether the network is known to be narrower, or shallower, from the start: nothing is removed after that."""
        return self.budget is not None and self.scoring in SMALL_FROM_THE_START

    @property
    def removes(self) -> bool:
        """Whether it is known that units are removed."""
        return self.budget is not None and self.scoring not in (None, *SMALL_FROM_THE_START)

    @property
    def budget_kinds(self) -> tuple[str, ...] | None:
        """Of units that may go; None: all."""
        if self.budget_units is None:
            return TIMED if self.timed else None
        return tuple(self.budget_units.split(","))

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
        if self.device_table is not None and not self.timed:
            raise ValueError(
                f"device_table={shown(self.device_table)} has times, and budget={shown(self.budget)} is of "
                "multiply-adds; give a budget in ms, or leave the table out"
            )
        for name in ("zoom", "try_zoom"):
            if self.timed and (zoom := getattr(self, name, None)) not in (None, 1):
                raise ValueError(
                    f"budget={shown(self.budget)} is a time for images as they are, and {name}={zoom:g} makes them "
                    f"others; leave {name} out, or give the budget in multiply-adds"
                )
        if self.timed and "width" in (self.budget_kinds or ()):
            raise ValueError(
                f"budget_units={shown(self.budget_units)}: what narrower levels take is not measured, so width does "
                f"not go with budget={shown(self.budget)}; leave it out, or give the budget in multiply-adds"
            )
        if self.budget_by in SMALL_FROM_THE_START and (told := next(filter(self._given, REMOVING), None)):
            raise ValueError(
                f"{told}={getattr(self, told)!r} is about units that are removed, and with "
                f"budget_by={self.budget_by!r} none are; give another budget_by, or leave one of them out"
            )
        if self._given("budget_floor") and self.space not in GRIDS:
            raise ValueError(
                f"budget_floor={self.budget_floor:g} is a share of channels that stay, which are removed from "
                f"{' and '.join(GRIDS)} alone, and the space is {self.space!r}; leave it out"
            )
        if self._given("budget_pressure") and self.budget_by != "pressed":
            raise ValueError(
                f"budget_pressure={self.budget_pressure:g} is of budget_by='pressed', and this is "
                f"budget_by={self.scoring!r}; give one, or leave the other out"
            )
        check_budget_seed(self)
        if self.shrinks and self.budget_by == "pressed":
            raise ValueError(
                "budget_by='pressed' presses weights towards 0 as they learn, and protocol='shrink' removes units "
                "while weights stand still; give another, such as magnitude"
            )
        if self.narrower and (self.shrinks or self.timed):
            what = "a network that is trained" if self.shrinks else "a budget in ms"
            raise ValueError(
                f"budget_by={self.scoring!r} does not go with {what}; give another, such as saliency-by-kind"
            )
        with_removal = WITH_REMOVAL if self.removes else {}
        check_with_budget(self, WITH_ANY_BUDGET | ({} if self.shrinks else WITHOUT_SHRINKING) | with_removal)

    def begun(self) -> Self:
        """As a run goes on with it: where its config does not say how the budget is met, it is from before 2026-11-30,
        when the defaults were others; so is a rate for a stem that is not there."""
        if self.stem is None and self.stem_lr is not None:
            return replace(self, stem_lr=None).begun()
        if self.budget is None:  # such fields say nothing then, and studies name runs by all that is said
            return replace(self, **{name: None for name, value in GRADUALLY.items() if getattr(self, name) == value})
        removes = self.scoring is not None or self.space not in GRIDS
        config = self if self.budget_by else replace(self, budget_by="saliency-by-kind" if removes else "narrower")
        if config.narrower:
            return config
        return replace(config, **{name: value for name, value in GRADUALLY.items() if getattr(self, name) is None})

    def _given(self, name: str) -> bool:
        """Whether something is asked for; files from before 2026-11-30 have what was the default."""
        return getattr(self, name) not in (getattr(BudgetConfig, name), GRADUALLY.get(name))

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
            if self.budget is None and self._given(name):
                raise ValueError(
                    f"{name}={getattr(self, name)!r} is about a budget, and there is none; give budget=40% or so with "
                    "it"
                )
        layers = self.space_settings.get("layers") if self.space in LAYERED else None
        if self.budget_by == "shallower" and layers is not None:
            raise ValueError(
                "budget_by='shallower' says how many layers there are, and so does layers; leave one of them out"
            )
