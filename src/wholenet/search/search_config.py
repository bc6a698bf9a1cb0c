"""What every search can be told, on whatever space: the parts of a method, early stopping, curvature. Imports no torch.

The defaults change nothing about a plain first-order search; a method (``search/methods.py``) changes some.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, Literal

from pydantic import Field

from wholenet.checked import CountOrNone, Decay, Jobs, Minutes, Seed, Tolerance, checked
from wholenet.search.parts import EARLY_STOPPING, GRADIENTS, PERTURBATIONS

Factor = Annotated[float, Field(gt=0, le=1_000_000)]
Limit = Annotated[float, Field(gt=0, le=100)]


@checked
class RunConfig:
    """What every run is told."""

    data: str
    """What to train on."""
    out: str
    """Run folder to create."""
    seed: Seed = 0
    """Seed of the initial weights and logits, the drawn batches and the augmentation."""
    data_seed: Seed = 0
    """Seed of what is held out or divided, and of images that are drawn: the same over the seeds of a study."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to compute; auto takes a GPU if there is one."""
    workers: Jobs = 0
    """Processes that read and augment images ahead."""
    threads: Jobs = 0
    """CPU threads of torch; 0 leaves torch's choice."""
    checkpoint_minutes: Minutes = 10.0
    """Time between two checkpoints, beside one after every epoch; 0 is after every step."""
    log: str = "none"
    """Where each epoch's record goes beside metrics.jsonl: tensorboard, wandb, trackio, or one that was registered;
    several joined by commas."""


OF_EVERY_RUN = frozenset(field.name for field in dataclasses.fields(RunConfig))
"""Their names."""


@checked
class SearchConfig(RunConfig):
    """The parts of a search that are the same on every space."""

    gradient: str = "first-order"
    """Architecture gradient: first-order; second-order, through one step of the weights, by finite differences;
    second-order-exact; one-level, of the training loss; mixed-level, of both losses; or one that was registered."""
    relaxation: str = "softmax"
    """Logits to weights: softmax, a choice; sigmoid, a gate for each option; sharpened, a softmax that what
    falls behind leaves fast; gumbel, concrete, dirichlet, path,
    two-paths, samples of a distribution, new in each step; or one that was registered."""
    regularizer: str = "none"
    """Term on the architecture: none, beta-decay, zero-one, anchor, cost (expected multiply-adds), scheduled-entropy,
    effective-links (of the dense grid), or one that was registered."""
    perturbation: str = "none"
    """How the architecture weights are disturbed in weight steps of the search: none; random or adversarial
    (SmoothDARTS); or one that was registered."""
    perturbation_end: Decay = 0.3
    """Largest disturbance of a weight at the end; it rises linearly from a tenth of this."""

    eigenvalue_every: CountOrNone = 0
    """Epochs of the search between two looks at the dominant eigenvalue; 0 is never. A stopping rule counts every
    second (code) or every one (paper)."""
    eigenvalue_tolerance: Tolerance = 1e-3
    """Bound on its error, relative to the larger end of the spectrum."""
    stopping: str = "none"
    """Early stopping: none; code or paper, by the eigenvalue, as RobustDARTS' code or its paper has it; or a rule that
    was registered."""
    after_stopping: Literal["stop", "regularize"] = "stop"
    """Then stop with the architecture from before it grew; or go back there and regularise more (adaptive)."""
    regularize_by: Factor = 10.0
    """Adaptive: factor on the weight decay."""
    weight_decay_limit: Limit = 0.03
    """Adaptive: the weight decay never gets above this."""

    def check_search(self, *, moves_architecture: bool) -> None:
        """Make sure that the parts go together, in a run that ``moves_architecture`` or does not.

        Raises:
            ValueError: if they do not.
        """
        gradient, rule = GRADIENTS.called(self.gradient), EARLY_STOPPING.called(self.stopping)
        PERTURBATIONS.called(self.perturbation)
        if self.stopping != "none" and not moves_architecture:
            raise ValueError(
                f"stopping={self.stopping!r} watches a search, and the architecture of this run never moves"
            )
        if rule.every and self.eigenvalue_every != rule.every:
            raise ValueError(
                f"eigenvalue_every={self.eigenvalue_every}, but stopping={self.stopping!r} counts a look every "
                f"{rule.every}; give eigenvalue_every={rule.every} with it"
            )
        if self.after_stopping == "regularize" and self.stopping == "none":
            raise ValueError("after_stopping='regularize' needs a rule that fires: give stopping='code' or 'paper'")
        if self.regularizer == "zero-one" and self.relaxation != "sigmoid":
            raise ValueError(
                f"regularizer='zero-one' moves gates to 0 or 1; relaxation={self.relaxation!r} has none, give 'sigmoid'"
            )
        if self.regularizer == "anchor" and self.relaxation != "dirichlet":
            raise ValueError(
                f"regularizer='anchor' holds the concentrations of a Dirichlet distribution; relaxation="
                f"{self.relaxation!r} has none, give 'dirichlet'"
            )
        if self.regularizer == "scheduled-entropy" and self.relaxation == "sigmoid":
            raise ValueError(
                "regularizer='scheduled-entropy' is on choices that sum to 1; relaxation='sigmoid' has gates, whose "
                "own term is regularizer='zero-one'"
            )
        if self.regularizer == "effective-links" and (space := getattr(self, "space", None)) != "dense-grid":
            raise ValueError(
                f"regularizer='effective-links' counts the links of each cell of the space 'dense-grid'; space "
                f"{space!r} has none, or no more than three: leave it out"
            )
        if self.relaxation == "dirichlet" and gradient.twice:
            raise ValueError(
                f"gradient={self.gradient!r} differentiates twice, which samples of relaxation='dirichlet' can be "
                "once; give 'second-order', or 'first-order', as DrNAS"
            )
        if self.perturbation != "none" and self.relaxation != "softmax":
            raise ValueError(
                f"perturbation disturbs weights that sum to 1 and are not drawn, which relaxation={self.relaxation!r} "
                "does not give"
            )
        if self.perturbation != "none" and gradient.unrolls:
            raise ValueError(
                f"perturbation={self.perturbation!r} disturbs the weight step that gradient={self.gradient!r} looks "
                "through; SmoothDARTS takes gradient='first-order'"
            )


def with_interval(values: dict[str, Any]) -> dict[str, Any]:
    """``values`` of a config, with the interval of looks that their stopping rule counts where none is given.

    >>> with_interval({"stopping": "paper"})
    {'stopping': 'paper', 'eigenvalue_every': 1}
    """
    rule = EARLY_STOPPING.get(values.get("stopping", "none"))
    if rule is not None and rule.every and "eigenvalue_every" not in values:
        return {**values, "eigenvalue_every": rule.every}
    return values
