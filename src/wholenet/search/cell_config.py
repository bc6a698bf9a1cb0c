"""Everything that a search on a cell space can be told.

Defaults are those of DARTS as RobustDARTS' code has them; a method (``search/methods.py``) changes some, and what is
given by hand comes on top of both (:func:`cell_config`). Imports no torch: the command line reads it.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Literal

from wholenet.checked import (
    Count,
    CountOrNone,
    Decay,
    Groups,
    InnerShare,
    Rate,
    Share,
    SkipLimit,
    Stage,
    Stages,
    Strength,
    checked,
)
from wholenet.files import shown
from wholenet.search.classifier_config import ClassifierConfig
from wholenet.search.dots_config import check_dots
from wholenet.search.edge_config import check_edges
from wholenet.search.loggers import check_loggers
from wholenet.search.methods import METHODS, method_called
from wholenet.search.option_budget import OPTION_BUDGET, OptionBudget
from wholenet.search.parts import EARLY_STOPPING, GRADIENTS, SELECTIONS
from wholenet.search.phases import Phase, in_words
from wholenet.search.protocols import PROTOCOLS, SEARCH, check_control, phases_by, refuse_shrinking
from wholenet.search.pruning_config import check_pruning
from wholenet.search.search_config import SearchConfig, with_interval
from wholenet.search.stages import check_stages, following_fields
from wholenet.search.update_config import check_update
from wholenet.spaces.cell_tables import EXAMPLE, Table, table_of
from wholenet.spaces.dots.survivors import table_of_stage
from wholenet.spaces.nb201.genotype import TABLE as NB201_TABLE
from wholenet.spaces.sizes import OWN_CELLS, operation_names
from wholenet.spaces.survivors import surviving

OF_SPACE: dict[str, dict[str, Any]] = {
    "nb201": {"cells": 15, "weight_decay": 5e-4},
    "dots": {"epochs": 30, "gradient": "first-order", "warmup_share": 0.5, "search_share": 0.5},
}
"""What searches on a space have otherwise than DARTS', before their method changes it: the benchmark's own."""
OF_METHOD_ON_SPACE: dict[tuple[str, str], dict[str, Any]] = {("p-darts", "nb201"): {"cells": 6}}
"""And what a method has otherwise there: of nb201, three equal stages."""
MACHINE = ("device", "workers", "threads", "checkpoint_minutes", "log")
"""Fields that a run may be continued with other values of."""


@checked
class CellConfig(SearchConfig, ClassifierConfig, OptionBudget):
    """A search on a cell space; :func:`cell_config` makes one of a method. The defaults are DARTS'."""

    space: str = "darts"
    """Search space: darts, s1, s2, s3, s4, nb201, dots, or one that was registered; `wholenet info SPACE` counts it."""
    operations: str | None = None
    """Candidate operations of every edge, joined by commas, in the place of the space's own: of ops/candidates.py, or
    registered from outside (docs/extending.md)."""
    method: str = "darts"
    """One of `search/methods.py`."""
    lr_end: Decay = 0.001
    """SGD learning rate at the end."""

    gradient: str = "second-order"
    """Architecture gradient: first-order; second-order, through one step of the weights, by finite differences;
    second-order-exact; one-level, of the training loss; mixed-level, of both losses; or one that was registered."""
    arch_update: str = "auto"
    """Who moves first: architecture-first (DARTS); alternating, the weights; simultaneous, both by one backward pass on
    the weights' batch; or an update that was registered. Auto is architecture-first, but where a space or a pruning has
    both move at once."""
    split: Literal["same", "disjoint"] = "disjoint"
    """Weights and architecture learn from disjoint parts of the images (DARTS), or both from all, drawn separately."""
    weights_share: InnerShare = 0.5
    """With disjoint parts, the share that the weights get."""
    arch_lr: Rate = 0.0003
    """Learning rate of the architecture."""
    arch_weight_decay: Decay = 1e-3
    """Weight decay of the architecture."""
    arch_clip: Strength = 0.0
    """Norm that the gradient of the architecture is cut to; 0 leaves it."""
    arch_optimizer: Literal["adam", "sgd"] = "adam"
    """Of the architecture; SGD has a momentum of 0.9."""
    pruning: Literal["none", "gates"] = "none"
    """Options whose gates are small go for good, after each epoch of the search, under a growing penalty (GOLD-NAS)."""
    pruning_floor: InnerShare = 0.12
    """Share of the multiply-adds of all options: once those that are left have less, no more go. The default is the
    240 of 779 million of GOLD-NAS' code, of which 166 belong to no option."""
    pruning_cost: Decay = 0.0
    """Weight of an option's cost in the penalty, per million multiply-adds (GOLD-NAS' mu)."""
    auxiliary_skip: bool = False
    """A skip connection on each edge, beside the choice, that fades to nothing (DARTS-)."""
    groups: Groups = 1
    """One in so many channels goes through the operations (PC-DARTS)."""
    edge_weights: bool = False
    """Edges have weights of their own (PC-DARTS)."""
    capped_edges: bool = False
    """And these are capped, so that two edges into a node can win; operations wait for them, a seventh of the search
    (DA2S)."""
    sampling: Literal["none", "random"] = "none"
    """Train one random architecture per step instead of searching (random search with weight sharing)."""
    samples: Count = 1000
    """Of random sampling: architectures that are scored at the end, on `sample_batches` batches each."""
    sample_batches: Count = 10
    """And how many batches; the ten best are scored on all images."""

    topology_epochs: Count = 40
    """Of dots: epochs of the second search, for pairs of edges, after the `epochs` of the first, for operations. One
    cosine of the rate spans both."""
    stages: Stages = 1
    """Searches that follow each other, each with new weights, on the operations that the one before left on each edge:
    evenly down to one (P-DARTS)."""
    stage_cells: CountOrNone = 0
    """Cells that the network of each stage has more than that of the one before."""
    skip_dropout: str = ""
    """Dropout on skip connections at the beginning of each stage, probabilities joined by commas; it falls over the
    stage (P-DARTS)."""
    skip_limit: SkipLimit = 8
    """Skip connections that the normal cell has at most: the weakest give way to what is next (P-DARTS)."""
    stage: Stage = 0
    """Stages that are over; the run itself counts them."""
    survivors: str = ""
    """What the search before left; the run itself gives it to the next one."""
    epochs_before: CountOrNone = 0
    """Of dots: epochs of the first search; likewise."""

    protocol: str = SEARCH
    """Search for a genotype (search); or keep the supernet as the final classifier (single-stage); or search, and train
    what was found from scratch in OUT/retrained, for `retrain_epochs`, as large as the search's network (two-stage); or
    one that was registered."""
    control: bool = False
    """Where the supernet is kept: also train the frozen-uniform control for the same time, in OUT/control, and report
    both."""
    warmup_share: Share = 0.0
    """Share of the epochs before the architecture moves."""
    search_share: Share = 1.0
    """Share of the epochs in which it moves; after it the weights alone go on."""
    affine: bool = False
    """BatchNorms of the supernet have an affine map (a final model's should)."""
    architecture: Literal["learned", "uniform"] = "learned"
    """"uniform" freezes all options at equal strength: the control for any claim about search."""

    val_every: Count = 1
    """Epochs between two scorings; the last one always is."""
    eigenvalue_every: CountOrNone = 2
    """Epochs between two looks at the dominant eigenvalue; 0 is never. A stopping rule counts every second (code) or
    every one (paper)."""
    selection: str = "strength"
    """How the discrete network is chosen: by weight (strength), by open gates, by weight of what pruning left
    (survivors), first edges by theirs and then operations, by what removing an option costs (perturbation), or by a
    selection that was registered."""
    tune_epochs: CountOrNone = 5
    """Selection by perturbation: epochs of tuning after each edge that is decided."""
    retrain_epochs: Count = 100
    """Epochs of the second of two stages; of methods that search several times, epochs that each genotype is trained
    for, to choose among them."""

    def __post_init__(self) -> None:
        if self.operations is not None:
            operation_names(self.operations, EXAMPLE)
            if self.space in OWN_CELLS:
                raise ValueError(f"operations={self.operations!r}: space {self.space!r} has its own; leave them out")
        method_called(self.method)  # which says what there is
        if self.channels % (2 * self.groups):
            raise ValueError(
                f"channels={self.channels}: expected a multiple of {2 * self.groups} with groups={self.groups}"
            )
        if self.space == "nb201" and self.cells % 3:
            raise ValueError(f"cells={self.cells}: space 'nb201' has three equal stages; expected a multiple of 3")
        if self.space == "dots":
            check_dots(self)
        check_stages(self)
        SELECTIONS.called(self.selection)
        if self.selection == "gates" and self.edge_weights:
            raise ValueError("selection='gates' looks at gates alone; edge_weights=True would make all of them small")
        if self.selection == "gates" and self.relaxation != "sigmoid":
            raise ValueError(
                f"selection='gates' looks at gates; relaxation={self.relaxation!r} has none, give 'sigmoid'"
            )
        check_edges(self)
        check_pruning(self)
        self.check_search(moves_architecture=self.moves_architecture)
        check_update(self)
        if self.stopping != "none":
            self._check_stopping()
        self._check_protocol()
        self._check_budget()
        if self.protocol != SEARCH and METHODS[self.method].searches:
            raise ValueError(
                f"method {self.method!r} compares the genotypes of several searches, which is protocol='search'; train "
                f"the one that it keeps with `wholenet retrain`"
            )
        if self.sampling == "random":
            needed = {"protocol": SEARCH, "perturbation": "none", "regularizer": "none", "selection": "strength"}
            needed |= {"edge_weights": False, "relaxation": "softmax"}
            if other := [name for name, value in needed.items() if getattr(self, name) != value]:
                raise ValueError(
                    f"sampling='random' learns nothing about the architecture, so {other[0]}="
                    f"{getattr(self, other[0])!r} would do nothing; leave it out"
                )
        never = self.warmup_share == 1 or self.search_share == 0 or not any(p.moves_architecture for p in self.phases)
        if self.moves_architecture and never:
            raise ValueError(
                f"the phases {in_words(self.phases)} leave no epoch to search in; raise search_share, or for a control "
                "give architecture='uniform'"
            )
        _ = self.following  # what is wrong with it is said before the first one begins

    def _check_protocol(self) -> None:
        if self.protocol != SEARCH:
            PROTOCOLS.called(self.protocol, also=(SEARCH,))
            refuse_shrinking(self.protocol, (SEARCH, "single-stage (which takes a budget)", "two-stage"))
        if not self.control:
            return
        if not self.keeps_supernet:
            raise ValueError(
                f"control=True compares trained supernets, and protocol={self.protocol!r} leaves a genotype: use "
                "protocol='single-stage', or compare with random genotypes (study robust-darts)"
            )
        if self.architecture == "uniform":
            raise ValueError("control=True with architecture='uniform' would train the control twice; drop one of them")
        check_control(self.phases)

    def _check_budget(self) -> None:
        if self.budget is not None and not self.keeps_supernet:
            raise ValueError(
                f"budget={shown(self.budget)} is what a supernet that is kept may cost, and protocol="
                f"{self.protocol!r} leaves a genotype: give method='single-stage', or regularizer='cost' to a search"
            )
        self.check_option_budget(self.phases, {"pruning": ("none", "it removes options in its own way")})

    @property
    def keeps_supernet(self) -> bool:
        """Whether the supernet is the final classifier; otherwise a genotype is what a run leaves."""
        return self.protocol != SEARCH and not self.retrains

    @property
    def retrains(self) -> bool:
        """Whether what was found is trained from scratch in a second stage."""
        return self.protocol != SEARCH and PROTOCOLS[self.protocol].retrains

    @property
    def phases(self) -> tuple[Phase, ...]:
        """Of the search: where it is for a genotype, those of single-stage."""
        return phases_by(self.protocol if self.keeps_supernet else "single-stage", self)

    @property
    def following(self) -> CellConfig | None:
        """The search after this one in the same run, without what this one will have left; None: it is the last."""
        fields = following_fields(self)
        return None if fields is None else dataclasses.replace(self, **fields)

    def _check_stopping(self) -> None:
        if self.after_stopping == "stop" and (self.keeps_supernet or self.selection != "strength"):
            raise ValueError(
                f"stopping={self.stopping!r} ends a search with a genotype chosen by strength; it goes neither with a "
                f"supernet that is kept (protocol={self.protocol!r}) nor with another selection"
            )
        least, quickest = EARLY_STOPPING[self.stopping].least(), EARLY_STOPPING["paper"].least()
        if self.epochs < least:
            other = f", or stopping='paper', which needs {quickest}" if quickest < least else ""
            raise ValueError(
                f"epochs={self.epochs}: stopping={self.stopping!r} cannot fire in a search of fewer than {least}; give "
                f"more epochs{other}"
            )

    @property
    def table(self) -> Table:
        """What the edges of its cells offer.

        Raises:
            ValueError: for a space that there is not, or operations that it cannot have.
        """
        if self.space == "dots":
            return table_of_stage(self.survivors)
        return surviving(self.survivors, self.whole_table) if self.survivors else self.whole_table

    @property
    def whole_table(self) -> Table:
        """The same, of the first of several searches.

        Raises:
            ValueError: likewise.
        """
        own = {"nb201": NB201_TABLE, "dots": table_of_stage("")}
        return own.get(self.space) or table_of(self.space, self.operations)

    @property
    def moves_architecture(self) -> bool:
        """Whether logits are learned at all."""
        return self.sampling == "none" and self.architecture == "learned"

    @property
    def takes_validation_batches(self) -> bool:
        """Whether architecture steps have a batch of their own."""
        return self.moves_architecture and GRADIENTS[self.gradient].own_batches

    def frozen_uniform(self, **changes: Any) -> CellConfig:
        """The control of this run: the same network and data, an architecture that never moves, nothing of a search."""
        nothing = {"stopping": "none", "after_stopping": "stop", "perturbation": "none", "regularizer": "none"}
        nothing |= {"pruning": "none", "selection": "strength"} if self.pruning != "none" else {}
        nothing |= {"gradient": "first-order", "arch_update": "auto", "eigenvalue_every": 0, "method": "single-stage"}
        fixed = {"architecture": "uniform", "control": False}
        return dataclasses.replace(self, **{**fixed, **nothing, **changes})

    @property
    def searches(self) -> list[CellConfig]:
        """The runs of a method that searches several times, in folders below `out`; none for one that searches once."""
        return _searches(self)


SEARCHES = "searches"
"""Folder of those runs."""


def _searches(config: CellConfig) -> list[CellConfig]:
    return [
        dataclasses.replace(config, method="darts", out=str(Path(config.out) / SEARCHES / str(i)), **special)
        for i, special in enumerate(METHODS[config.method].searches)
    ]


def cell_config(method: str = "darts", **given: Any) -> CellConfig:
    """The config of ``method``, with what is ``given`` on top.

    Raises:
        ValueError: for an unknown method or space, parts that do not go together, or a logger that is not there.
    """
    own = method_called(method).parts.get("protocol")  # which says what there is
    if own is not None and given.get("protocol", own) != own:
        raise ValueError(
            f"method={method!r} is protocol={own!r} with its recipe, and protocol is {shown(given['protocol'])}: keep "
            "one of them"
        )
    varied = {name for special in METHODS[method].searches for name in special}
    if fixed := sorted(varied & set(given)):
        raise ValueError(f"method {method!r} searches with several values of {fixed[0]}; leave it out")
    of_space = OF_SPACE.get(str(given.get("space")), {})
    on_space = {**METHODS[method].on_cells, **OF_METHOD_ON_SPACE.get((method, str(given.get("space"))), {})}
    config = CellConfig(**with_interval({**of_space, **on_space, **given, "method": method}))
    check_loggers(config.log)
    config.check_option_budget_asked()
    _ = config.table  # an unknown space is refused here
    return config


ADDED = {"control": False, "log": "none", "operations": None}
ADDED |= {"topology_epochs": 40, "survivors": "", "epochs_before": 0, "capped_edges": False}
ADDED |= {"arch_optimizer": "adam", "pruning": "none", "pruning_floor": 0.12, "pruning_cost": 0.0}
ADDED |= {"stages": 1, "stage_cells": 0, "skip_dropout": "", "skip_limit": 8, "stage": 0, "arch_clip": 0.0}
ADDED |= {"arch_update": "auto", **dict.fromkeys(OPTION_BUDGET)}
"""Fields that the configs of searches did not have before 2026-11-30, and what they were then."""
