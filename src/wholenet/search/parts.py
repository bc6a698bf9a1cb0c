"""The parts that methods are made of, by name and open to users: gradients, updates, perturbations, early stopping,
selections. Imports no torch: configs look names up here, and what computes is imported when it is first called.

Of the same kind are terms on the architecture (``search/penalties.py``) and relaxations (``architecture.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from wholenet.plugins import load_plugins
from wholenet.registry import Registry, later
from wholenet.search.early_stopping import RULES

if TYPE_CHECKING:
    from torch import Tensor

    from wholenet.architecture import Weights
    from wholenet.search.ended import Ended
    from wholenet.search.gradients import Bilevel
    from wholenet.search.records import Record
    from wholenet.search.steps import Batch, Loss
    from wholenet.search.updates import Turn
    from wholenet.spaces.cell_family import CellFamily
    from wholenet.spaces.cell_tables import Table
    from wholenet.spaces.supernet import Supernet


@dataclass(frozen=True)
class Gradient:
    """A way to take the architecture's gradient: what ``--gradient`` names."""

    name: str
    take: Callable[[Bilevel], tuple[Tensor, list[Tensor]]]
    """-> the loss (detached), and one gradient per logit tensor, in their order and shapes. Nothing may move."""
    own_batches: bool = True
    """Whether it looks at batches that are the architecture's own, and not at those of the weights alone."""
    ahead: bool = True
    """Whether it looks at what the weights are about to learn from, so that it must be taken before their step."""
    unrolls: bool = False
    """Whether it looks through a step of the weights, which then has to be SGD's, of one rate."""
    twice: bool = False
    """Whether it differentiates twice."""

    def __call__(self, at: Bilevel) -> tuple[Tensor, list[Tensor]]:
        """:attr:`take` it.

        Raises:
            ValueError: if that is no gradient of these logits.
        """
        value, gradient = self.take(at)
        expected = [tuple(logits.shape) for logits in at.model.arch.parameters()]
        if (found := [tuple(g.shape) for g in gradient]) != expected:
            raise ValueError(
                f"gradient {self.name!r} has the shapes {found}; expected one for each tensor of logits: {expected}"
            )
        return value, gradient


@dataclass(frozen=True)
class Update:
    """A step in which weights and architecture move: what ``--arch-update`` names."""

    name: str
    step: Callable[[Turn], tuple[Tensor, Tensor | None]] | None
    """-> the loss of the weights, and that of the architecture, None where it did not move. The weights move once, the
    architecture at most once. None: the rest of the config says which it is."""
    one_pass: bool = False
    """Whether the architecture's gradient comes out of the weights' backward pass, so that the method's own gradient
    is not asked, nor batches of its own."""
    ahead: bool = False
    """Whether the architecture moves before the weights do, as most gradients need it."""

    def __call__(self, turn: Turn) -> tuple[Tensor, Tensor | None]:
        """Make the :attr:`step`.

        Raises:
            ValueError: if it moved other than it may: batches are drawn, and runs continued, by how often they moved.
        """
        assert self.step is not None
        weights, architecture = turn.state.weight_steps, turn.state.arch_steps
        values = self.step(turn)
        weights, architecture = turn.state.weight_steps - weights, turn.state.arch_steps - architecture
        if weights != 1 or not ("architecture" in turn.drawn) <= architecture <= 1:
            raise ValueError(
                f"update {self.name!r} moved the weights {weights} and the architecture {architecture} times in a "
                "step; expected the weights once, and the architecture once, or never and without a batch of its own"
            )
        return values


@dataclass(frozen=True)
class Perturbation:
    """How the architecture weights of a weight step are disturbed: what ``--perturbation`` names."""

    name: str
    weights: Callable[[Supernet, Batch, Loss, float], Weights] | None
    """(model, the weights' batch, loss, reach: how far a weight may move by now) -> the architecture weights to take
    the step at, without gradient, shaped as the model's. Of the model nothing may move. None: nothing is disturbed."""


@dataclass(frozen=True)
class EarlyStopping:
    """When a search ends before its time: what ``--stopping`` names."""

    name: str
    ends: Callable[[Sequence[Record]], int | None] | None
    """The records of all epochs so far -> None, or the epoch, from 0, whose architecture the search ends with. Asked
    after each epoch in which the architecture moved, and with ``every`` after each look. None: never."""
    every: int = 0
    """Epochs between two looks at the dominant eigenvalue, the field ``eigenvalue`` of records; 0: it needs none."""
    least: Callable[[], int] = lambda: 1
    """-> the fewest epochs of a search in which it can fire."""
    why: str = ""
    """What has happened where it fires, for people."""


@dataclass(frozen=True)
class Selection:
    """How a search on a cell space chooses its genotype: what ``--selection`` names."""

    name: str
    rule: Callable[[Weights, Table, CellFamily], Any]
    """The genotype of architecture weights: what each record has, and what the search ends with, unless
    there is a ``once_ended``."""
    once_ended: Callable[[Ended], Any] | None = None
    """The genotype of a search that is over, by looking at its supernet."""


def _by_eigenvalue(name: str, records: Sequence[Record]) -> int | None:
    looked = [(record["epoch"], record["eigenvalue"]) for record in records if record["eigenvalue"] is not None]
    return RULES[name].goes_back_to(looked)


def _of_robust_darts(name: str, every: int) -> EarlyStopping:
    """Its rule by the dominant eigenvalue, as code or paper has it."""
    return EarlyStopping(
        name, partial(_by_eigenvalue, name), every, lambda: RULES[name].least_epochs(every), "the eigenvalue has grown"
    )


def _by_name(*parts: Any) -> Mapping[str, Any]:
    return {part.name: part for part in parts}


_GRADIENT = "wholenet.search.gradients:{}".format
GRADIENTS: Registry[Gradient] = Registry(
    "gradient",
    _by_name(
        Gradient("first-order", later(_GRADIENT("first_order")), ahead=False),
        Gradient("second-order", later(_GRADIENT("second_order")), unrolls=True),
        Gradient("second-order-exact", later(_GRADIENT("second_order_exact")), unrolls=True, twice=True),
        Gradient("one-level", later(_GRADIENT("one_level")), own_batches=False),
        Gradient("mixed-level", later(_GRADIENT("mixed_level"))),
    ),
    load_plugins,
)
_UPDATE = "wholenet.search.updates:{}".format
UPDATES: Registry[Update] = Registry(
    "update",
    _by_name(
        Update("auto", None),
        Update("simultaneous", later(_UPDATE("together")), one_pass=True),
        Update("alternating", later(_UPDATE("weights_first"))),
        Update("architecture-first", later(_UPDATE("architecture_first")), ahead=True),
    ),
    load_plugins,
)
PERTURBATIONS: Registry[Perturbation] = Registry(
    "perturbation",
    _by_name(
        Perturbation("none", None),
        Perturbation("random", later("wholenet.search.perturbation:at_random")),
        Perturbation("adversarial", later("wholenet.search.perturbation:attacked")),
    ),
    load_plugins,
)
EARLY_STOPPING: Registry[EarlyStopping] = Registry(
    "rule of early stopping",
    # The code's evaluations are two epochs apart, the paper's one.
    _by_name(EarlyStopping("none", None), _of_robust_darts("code", 2), _of_robust_darts("paper", 1)),
    load_plugins,
)
SELECTIONS: Registry[Selection] = Registry(
    "selection",
    _by_name(
        Selection("strength", lambda weights, table, family: family.discretize(weights, table)),
        Selection("gates", lambda weights, table, family: family.discretize_gates(weights, table)),
        Selection(
            "edges", lambda weights, table, family: (family.discretize_edges or family.discretize)(weights, table)
        ),
        Selection("survivors", lambda weights, table, family: family.discretize_gates(weights, table, above=0.0)),
        Selection(
            "perturbation",
            lambda weights, table, family: family.discretize(weights, table),
            later("wholenet.search.perturbation_selection:by_perturbation"),
        ),
    ),
    load_plugins,
)
