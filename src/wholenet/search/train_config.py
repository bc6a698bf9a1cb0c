"""What every training of a supernet can be told, whatever its space and its task, with the seed paper's values as
defaults unless marked as ours. Imports no torch: the command line reads it.

Where a field says "open", the paper does not: docs/architecture.md, "Points the paper leaves open".
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal, Self

from wholenet.checked import (
    Batch,
    BelowOne,
    Count,
    CountOrNone,
    Decay,
    InnerShare,
    Rate,
    Share,
    checked,
)
from wholenet.files import shown
from wholenet.search.loggers import check_loggers
from wholenet.search.parts import EARLY_STOPPING, GRADIENTS, UPDATES
from wholenet.search.phases import epochs_that_move
from wholenet.search.protocols import PROTOCOLS, check_control, search_phases
from wholenet.search.search_config import OF_EVERY_RUN, SearchConfig
from wholenet.search.update_config import taken_late

STATISTICS_BATCHES = 32
"""For the statistics of averaged weights; of more they are not better (measured: docs/plans.md)."""


@checked
class TrainConfig(SearchConfig):
    """A supernet's training; by default the single-stage protocol (seed paper, Sec. 3 and 4.1)."""

    space: str = "grid"
    """Search space: grid, dense-grid, autodeeplab, or one that was registered from outside (docs/extending.md)."""
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Of a space from outside, its own settings."""
    architecture: Literal["learned", "uniform"] = "learned"
    """"uniform" freezes all edges and operations at equal strength: the control for any claim about search."""
    control: bool = False
    """Also train the frozen-uniform control for the same time, in OUT/control, and report both."""
    method: str = "single-stage"
    """How the architecture is searched: one of `search/methods.py`, as far as the grid can carry it."""
    protocol: str = "single-stage"
    """Keep the supernet (single-stage, the seed paper), or the usual way (two-stage): search, cut it down, train what
    is left from scratch; or one that was registered."""
    decoding: Literal["best-path", "strongest", "threshold"] = "best-path"
    """Two-stage: which edges stay; the strongest operation of each cell always does (spaces/decoding.py)."""
    decoding_tau: Share = 0.5
    """Threshold decoding: keep edges of at least this share of the weight of the cell's strongest."""
    retrain_epochs: CountOrNone = 0
    """Two-stage: epochs of the second stage; 0 is as many as make both stages cost the multiply-adds of the
    single-stage run of as many `epochs`."""
    genotype: str | None = None
    """Genotype file: train this discrete network alone, from scratch."""
    epochs: Count = 600
    """Passes over the data that the weights learn from, all three phases together; or epochs of `steps_per_epoch`."""
    steps_per_epoch: CountOrNone = 0
    """Steps in an epoch; 0 is a pass over the data."""
    warmup_share: Share = 0.05
    """Share of the epochs before the architecture moves."""
    search_share: Share = 0.35
    """Share of the epochs in which it moves; the rest is fine-tuning."""
    batch: Batch = 16
    """Images per step."""
    optimizer: Literal["sgd", "adamw"] = "sgd"
    """Of the weights; AdamW takes `momentum` for its beta1, and wants a smaller `lr`: 0.001 is usual."""
    lr: Rate = 3e-3
    """Learning rate of the weights at the start."""
    lr_schedule: Literal["poly", "cosine", "constant"] = "poly"
    """Decay over the whole run (open; poly with power 0.9 as Auto-DeepLab), or none."""
    lr_end: Decay = 0.0
    """Learning rate that the decay ends with."""
    momentum: BelowOne = 0.9
    """Momentum of the weights (open)."""
    weight_decay: Decay = 5e-4
    """Weight decay of the weights: SGD's is a part of the gradient, AdamW's is decoupled from it."""
    ema: BelowOne = 0.0
    """Decay of an exponential moving average of the weights over the steps (0.999, ...): the averaged network is scored
    and kept, with BatchNorm's statistics estimated anew (`recalibrate`, else on 32 batches), and training goes on with
    its own weights. 0 is none."""
    arch_lr: Rate = 3e-3
    """Adam learning rate of the architecture; no schedule."""
    arch_weight_decay: Decay = 1e-3
    """Adam weight decay of the architecture (coupled: pulls the logits to uniform)."""
    arch_update: str = "auto"
    """Architecture gradient out of the weight step's backward pass, at no cost (simultaneous, ours), or from a step of
    its own on a batch of its own: after the weights' (alternating, the paper), or before it (architecture-first,
    DARTS); or an update that was registered. Auto is simultaneous unless weights and architecture are given different
    data or a part of the method needs steps of their own."""
    arch_batchnorm: Literal["frozen", "updated"] = "frozen"
    """Whether architecture steps move BatchNorm's running statistics."""
    split: Literal["same", "disjoint"] = "same"
    """Weights and architecture learn from the same images (Sec. 4.5; alternating steps draw them separately), or from
    disjoint parts."""
    weights_share: InnerShare = 0.5
    """With disjoint parts, the share of the training images that the weights get."""
    val_share: InnerShare = 0.2
    """Share of the images held out for validation where the data has no split of its own."""
    val_every: CountOrNone = 0
    """Epochs between validations; 0 picks them so that a run has at most 20."""
    keep: Literal["last", "best"] = "last"
    """The network in OUT/model: the last epoch's, or that of the best validation score (of equal ones the latest); then
    the last one's is in OUT/model-last."""
    recalibrate: CountOrNone = 0
    """Training batches on which BatchNorm's statistics are estimated anew before each validation ("precise BatchNorm"):
    plain averages, in a copy, which is scored and kept. 0 takes training's running averages (momentum 0.1), which lag
    behind weights that move fast."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Type that the network computes in while it trains; auto is bfloat16 on a GPU that has it, else float32.
    Architecture weights, BatchNorm statistics, loss and scores are always in float32."""
    execution: Literal["eager", "compile", "graph", "kernels", "kernels+graph"] = "eager"
    """How weight steps are run: operation by operation, through torch.compile, as CUDA graphs, on our own Triton
    kernels, or on these as CUDA graphs. All but the first are tried before, and left with a reason where they fail."""

    @property
    def space_settings(self) -> dict[str, Any]:
        """What shapes the network, by the names of its space."""
        return self.settings

    def shaped(self, **settings: Any) -> Self:
        """This run of a network with other ``settings`` of its space."""
        return dataclasses.replace(self, settings={**self.settings, **settings})

    def single_stage(self, **changes: Any) -> Self:
        """This run under the single-stage protocol, with ``changes`` on top."""
        only_two_stage = {"protocol": "single-stage", "decoding": "best-path", "decoding_tau": 0.5, "retrain_epochs": 0}
        return dataclasses.replace(self, **{**only_two_stage, **changes})

    def frozen_uniform(self, **changes: Any) -> Self:
        """The control of this run: the same network and data, an architecture that never moves, nothing of a search."""
        nothing = {"stopping": "none", "after_stopping": "stop", "eigenvalue_every": 0, "perturbation": "none"}
        nothing |= {"regularizer": "none", "gradient": "first-order", "method": "single-stage"}
        kept = {"protocol": "single-stage" if PROTOCOLS[self.protocol].retrains else self.protocol}
        return self.single_stage(**{**kept, "architecture": "uniform", "control": False, **nothing, **changes})

    @property
    def moves_architecture(self) -> bool:
        """Whether logits are learned at all."""
        return self.architecture == "learned" and self.genotype is None

    @property
    def update(self) -> str:
        """Who moves first, or whether both do at once: what `arch_update` comes to."""
        if self.arch_update != "auto":
            return self.arch_update
        if self.gradient != "first-order":
            return "architecture-first"
        own_steps = self.separate_data or self.arch_batchnorm == "updated" or self.perturbation != "none"
        return "alternating" if own_steps else "simultaneous"

    @property
    def statistics_batches(self) -> int:
        """Training batches on which BatchNorm's statistics are estimated anew: what `recalibrate` comes to. Averaged
        weights have none of their own."""
        return self.recalibrate or (STATISTICS_BATCHES if self.ema else 0)

    @property
    def simultaneous(self) -> bool:
        """Whether the architecture moves by the weight step's backward pass."""
        return UPDATES[self.update].one_pass

    @property
    def separate_data(self) -> bool:
        """Whether weights and architecture learn from different data."""
        return self.split == "disjoint"

    def __post_init__(self) -> None:
        if self.warmup_share + self.search_share > 1:
            raise ValueError(
                f"warmup_share={self.warmup_share} and search_share={self.search_share} exceed the whole run; "
                "the paper uses 0.05 and 0.35"
            )
        retrains = PROTOCOLS[self.protocol].retrains
        if self.control:
            check_control(search_phases(self))
        if self.control and self.architecture == "uniform":
            raise ValueError("control=True with architecture='uniform' would train the control twice; drop one of them")
        if retrains and (self.genotype is not None or self.architecture == "uniform"):
            raise ValueError(
                f"protocol={self.protocol!r} searches for its own genotype; it goes neither with a given one nor with "
                "architecture='uniform'"
            )
        if not retrains and (self.decoding, self.decoding_tau, self.retrain_epochs) != (
            "best-path",
            0.5,
            0,
        ):
            raise ValueError(
                "decoding, decoding_tau and retrain_epochs are of protocol='two-stage', or another that retrains; the "
                f"{self.protocol} protocol neither decodes nor retrains"
            )
        if retrains and not epochs_that_move(search_phases(self)):
            raise ValueError(
                f"protocol={self.protocol!r} has no epoch of search with epochs={self.epochs} and "
                f"search_share={self.search_share}, so nothing to decode; raise one of them"
            )
        if self.genotype is not None and (self.architecture == "uniform" or self.control):
            raise ValueError(
                "a discrete network has no architecture to freeze or to compare with; drop architecture and control"
            )
        one_pass = UPDATES.called(self.arch_update).one_pass
        if one_pass and self.separate_data:
            raise ValueError(
                f"arch_update={self.arch_update!r} takes both gradients from one batch, but weights and architecture "
                "were given different data; use arch_update='alternating' with them"
            )
        self._check_search()
        if one_pass and self.arch_batchnorm == "updated":
            raise ValueError(
                f"arch_batchnorm='updated' is about architecture steps of their own, which arch_update="
                f"{self.arch_update!r} does not have; use arch_update='alternating' with it"
            )

    def check_asked(self) -> None:
        """Make sure that nothing is asked of a new run that would do nothing: of a search, in the training of a
        discrete network; and that the loggers are there. Runs from before this was refused are read.

        Raises:
            ValueError: naming it.
        """
        check_loggers(self.log)
        for field in dataclasses.fields(self):
            if self.genotype and field.name in OF_SEARCH and getattr(self, field.name) != field.default:
                raise ValueError(
                    f"genotype={self.genotype!r} is trained as it is, so {field.name}={getattr(self, field.name)!r} "
                    "would do nothing; leave it out"
                )

    def _check_search(self) -> None:
        """Make sure that the parts of the search go together."""
        self.check_search(moves_architecture=self.moves_architecture)
        gradient, update = GRADIENTS[self.gradient], UPDATES[self.update]
        if (gradient.ahead and not update.ahead) or (self.gradient != "first-order" and update.one_pass):
            raise taken_late(self.gradient)
        if gradient.unrolls and self.optimizer != "sgd":
            raise ValueError(
                f"gradient={self.gradient!r} looks through a step of SGD, and the weights are moved by "
                f"optimizer={self.optimizer!r}; use gradient='first-order', or optimizer='sgd'"
            )
        if self.gradient != "first-order" and self.arch_batchnorm == "updated":
            raise ValueError(f"arch_batchnorm='updated' goes with gradient='first-order', not {self.gradient!r}")
        if self.perturbation != "none" and self.simultaneous:
            raise ValueError(
                f"perturbation={self.perturbation!r} disturbs weight steps, which arch_update={self.update!r} takes "
                "the architecture's gradient from; use 'alternating' or 'architecture-first' with it"
            )
        if self.keep == "best" and self.stopping != "none":
            raise ValueError(
                f"keep='best' takes the network of an earlier epoch and stopping={self.stopping!r} the architecture of "
                "another; use one of them"
            )
        if self.stopping != "none":
            length, least = epochs_that_move(search_phases(self)), EARLY_STOPPING[self.stopping].least()
            if length < least:
                raise ValueError(
                    f"epochs={self.epochs} with search_share={self.search_share} search for {length} epochs; "
                    f"stopping={self.stopping!r} cannot fire in fewer than {least}: give more epochs, or another rule"
                )


OF_SEARCH = {field.name for field in dataclasses.fields(SearchConfig)} - OF_EVERY_RUN
OF_SEARCH |= {
    "method",
    "arch_lr",
    "arch_weight_decay",
    "arch_update",
    "arch_batchnorm",
    "entropy_alpha",
    "entropy_beta",
}
OF_SEARCH |= {"entropy_schedule", "entropy_start", "warmup_share", "search_share"}
"""Fields that are about a search alone."""


def check_given(config: type[TrainConfig], given: Mapping[str, Any]) -> None:
    """Make sure that of what is ``given`` for a new run nothing is about a search, where a genotype is trained.

    Raises:
        ValueError: naming the first that is.
    """
    if (genotype := given.get("genotype")) is None:
        return
    usual = {field.name: field.default for field in dataclasses.fields(config)}
    for name, value in given.items():
        if name in OF_SEARCH and value != usual.get(name, value):
            raise ValueError(
                f"genotype={shown(genotype)} is trained as it is, so {name}={shown(value)} would do nothing; leave it "
                "out"
            )
