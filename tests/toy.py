"""The search space that docs/extending.md makes, for tests of what a run does whatever it searches: a step takes a
tenth of the grid's time.

In a test file the fixture ``toy`` registers it (conftest.py); where the grid itself is trained, the fixture ``shallow``
makes a smaller one of it.
"""

from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import pytest

from wholenet.spaces.catalog import SPACES
from wholenet.spaces.sizes import GRID_SIZES, GridSize

PAGE = Path(__file__).parents[1] / "docs" / "extending.md"
CODE = PAGE.read_text().split("```python\n")[1].split("```")[0]
NAME = "kernels"
TOY = {"space": NAME, "width": 4, "layers": 2}
"""Options of ``wholenet.fit``."""


def register() -> None:
    """Run the page."""
    exec(compile(CODE, str(PAGE), "exec"), {"__name__": "my_module"})


@contextmanager
def registered():
    """Forget it afterwards: other files register it themselves."""
    register()
    try:
        yield
    finally:
        SPACES.remove(NAME)


COSTS = {}
"""What a step costs was counted once for each number of layers: it takes a second."""


@contextmanager
def shallow(layers=2):
    """Let "nano", the smallest grid, have two layers of few channels: enough for every kind of edge, and half the time.
    What is trained meanwhile can only be read meanwhile, and in this process."""
    from wholenet.search import cost  # it imports Triton, which conftest.py has something to say to before
    from wholenet.spaces.count import count

    costs = COSTS.setdefault(layers, lru_cache(cost._step_cost.__wrapped__))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(GRID_SIZES, "nano", GridSize(layers=layers, filters=4, expansion=1, head=64))
        patch.setattr(cost, "_step_cost", costs)
        count.cache_clear()  # by the name of a size, which means another now
        try:
            yield
        finally:
            count.cache_clear()
