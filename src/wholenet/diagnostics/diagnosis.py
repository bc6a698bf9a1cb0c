"""What a diagnosis says: plain values, from which the verdict, the table and the picture are made."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from wholenet.diagnostics.curvature import Curvature
from wholenet.diagnostics.discrete import DiscreteNetwork, best_network
from wholenet.diagnostics.discretization import CurvePoint, removable
from wholenet.diagnostics.entropy import Choice, EpochEntropy, Movement, PhaseEntropy

TOLERANCE = 0.01
"""One point of mIoU: what counts as no loss. Two seeds of one run differ by about as much."""


@dataclass(frozen=True)
class Comparison:
    """Another network of the same run, scored on the same images."""

    miou: float
    epochs: int
    seconds: float
    """Of training, validation not included."""


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """What a run's search decided, and what cutting its supernet would cost. Scores are mIoU in [0, 1]."""

    run: str
    """The folder."""
    data: str
    images: int
    """Validation images scored."""
    searched: bool
    """False for a frozen-uniform control."""
    epochs: int
    """Finished."""
    planned: int
    """Epochs that the run was started for."""
    scored_epoch: int
    """Epochs after which the model that was scored was saved: that of the last validation."""
    seconds: float
    """Of training so far, validation not included."""

    miou: float
    """Of the whole supernet."""
    constant_miou: float
    """Of always answering the one class that scores best so."""
    parameters: int
    macs: int
    """Multiply-adds of the whole supernet on one image, as run."""
    edges: int
    """Of the whole supernet."""
    left: float | None = None
    """Of a run with a budget: the share of the whole grid's multiply-adds that its supernet is, which all else here is
    of; None where nothing of the grid is missing."""

    entropy: dict[str, float]
    """Normalised, of the model that was scored, per architecture parameter."""
    history: tuple[EpochEntropy, ...]
    phases: tuple[PhaseEntropy, ...]
    movement: dict[str, Movement]
    most_decided: tuple[Choice, ...]

    curve: tuple[CurvePoint, ...]
    discrete: tuple[DiscreteNetwork, ...]
    """None of what a budget left: decodings read a whole grid."""
    twin: float | None = None
    """How far the logits of the same network at uniform architecture weights, with what was learned written into its
    other weights, are from its own (diagnostics/twin.py); None where no such twin is known."""
    curvature: Curvature | None = None
    """In the architecture, at the weights that were scored; None where it was not asked for."""
    control: Comparison | None = None
    """The frozen-uniform control; None where there is none, or it is unfinished."""
    second_stage: Comparison | None = None
    """Of a two-stage run: the decoded network, trained from scratch; None where there is none, or it is unfinished."""

    @property
    def finished(self) -> bool:
        """Whether the run came to its end."""
        return self.epochs >= self.planned

    @property
    def result(self) -> float:
        """What the run as a whole reached: the second stage if it has one, else the supernet."""
        return self.miou if self.second_stage is None else self.second_stage.miou

    @property
    def best_discrete(self) -> DiscreteNetwork | None:
        """The best discrete network inside; None where there is none."""
        return best_network(self.discrete) if self.discrete else None

    def removable(self, variant: str) -> float:
        """The share of edges that can go within ``TOLERANCE`` of the whole supernet."""
        return removable(self.curve, variant, self.miou, TOLERANCE)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as JSON has them."""
        plain = asdict(self)
        for name in ("history", "phases", "most_decided", "curve"):
            plain[name] = list(plain[name])
        return plain | {
            "discrete": [network.to_dict() for network in self.discrete],
            "best_discrete": None if self.best_discrete is None else self.best_discrete.to_dict(),
            "removable": {name: self.removable(name) for name in dict.fromkeys(p.variant for p in self.curve)},
            "tolerance": TOLERANCE,
        }
