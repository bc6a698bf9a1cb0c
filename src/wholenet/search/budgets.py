"""Several budgets at once, as `wholenet fit --budget 0.5,1,2GMACs` has them: a run for each. Imports no torch."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

from wholenet.files import shown
from wholenet.search.budget_config import Amount, parse_budget

MOST = 16
"""Budgets of one frontier: each is a run."""
KINDS = {"share": "a share", "macs": "multiply-adds", "ms": "a time"}
"""Fields of :class:`Amount`, as people call them."""


def several(budget: Any) -> bool:
    """Whether an option asks for more than one budget."""
    return isinstance(budget, str) and "," in budget


def parse_budgets(text: str) -> tuple[str, ...]:
    """The budgets that commas join, the smallest first, in whatever order they stand; one without a unit has that of
    the next one that has one.

    Raises:
        ValueError: for one that is none, that is there twice, or that is of another kind than the others.

    >>> parse_budgets("0.5,1,2GMACs"), parse_budgets("50%, 15%")
    (('0.5GMACs', '1GMACs', '2GMACs'), ('15%', '50%'))
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(parts) or len(parts) > MOST:
        raise ValueError(
            f"budget={shown(text)}: expected up to {MOST} budgets joined by commas, such as 15%,30%,50% or "
            f"0.5,1,2GMACs; found {'nothing beside a comma' if not all(parts) else len(parts)}"
        )
    found: list[tuple[str, Amount]] = []
    unit = ""
    for part in reversed(parts):
        own = re.sub(r"^[\d.]+\s*", "", part)
        unit = own or unit
        budget = f"{part.removesuffix(own).strip()}{unit}"
        found.append((budget, parse_budget(budget)))
    kinds = {kind: budget for budget, amount in found for kind in KINDS if getattr(amount, kind) is not None}
    if len(kinds) > 1:
        listed = " and ".join(f"{budget} is {KINDS[kind]}" for kind, budget in sorted(kinds.items()))
        raise ValueError(
            f"budget={shown(text)}: {listed}; the budgets of one frontier are of one kind: give them alike"
        )
    found.sort(key=lambda one: max(value for value in one[1] if value is not None))
    for (budget, amount), (other, same) in pairwise(found):
        if amount == same:
            raise ValueError(f"budget={shown(text)}: {budget} and {other} are the same; give each budget once")
    return tuple(budget for budget, _ in found)


def folder_of(budget: str) -> str:
    """Name of the folder of the run with ``budget``, which may stand in any path.

    >>> folder_of("15%"), folder_of("0.5GMACs")
    ('15-percent', '0.5GMACs')
    """
    return budget.replace("%", "-percent")
