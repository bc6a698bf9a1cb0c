"""What removes options of a supernet of cells over its search, until a budget is met."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from wholenet.search.goals import Goal, goal_of
from wholenet.search.option_budget import OptionBudget
from wholenet.search.phases import Phase, removing
from wholenet.search.removal import Removal
from wholenet.search.state import TrainState
from wholenet.spaces.space import Spec


def option_goal(spec: Spec, budget: str, size: tuple[int, int] | None) -> Goal:
    """What ``budget`` means for inputs of ``size``; None: they are no images.

    Raises:
        ValueError: if it cannot be met, nothing can be removed, or there is no size.
    """
    if size is None:
        raise ValueError(f"budget={budget!r} counts multiply-adds on images, and the inputs of this task are none")
    return goal_of(spec, budget, size)


def option_removal(
    config: OptionBudget,
    state: TrainState,
    phases: Sequence[Phase],
    size: tuple[int, int] | None,
    say: Callable[[str], None],
) -> Removal | None:
    """What meets the budget of a run; None where it has none.

    Args:
        config: of the run.
        state: of the run, before its first step.
        phases: of the run.
        size: of its images, (H, W); None: it has none.
        say: told what went.

    Raises:
        ValueError: if the budget cannot be met.
    """
    if config.budget is None:
        return None
    return Removal(
        state,
        option_goal(state.model.spec, config.budget, size),
        removing(phases),
        by=config.option_scoring,
        over=1.0 if config.budget_over is None else config.budget_over,
        floor=0.0,
        seed=config.seed if config.budget_seed is None else config.budget_seed,
        say=say,
    )
