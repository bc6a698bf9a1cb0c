"""All that a run changes as it goes, and what its steps come to."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from statistics import median
from typing import Any

import torch

from wholenet import parallel
from wholenet.search.average import WeightAverage
from wholenet.search.averaged_sgd import averaging, is_averaging
from wholenet.search.records import Record
from wholenet.search.shrinking import shrink_training
from wholenet.spaces.catalog import subnets
from wholenet.spaces.supernet import Supernet


@dataclass(frozen=True)
class Step:
    """What one step did."""

    step: int
    """Position in the epoch, from 0."""
    lr: float
    loss: float
    arch_loss: float | None
    """Without the penalty; None where the architecture did not move."""
    data_seconds: float
    """Time spent waiting for batches."""


@dataclass
class Tally:
    """What the steps of an epoch came to so far: sums, so that an epoch may be left and taken up again."""

    steps: int = 0
    """Also the number of the next one."""
    arch_steps: int = 0
    lr: float = 0.0
    """Of the first step."""
    loss: float = 0.0
    arch_loss: float = 0.0
    data_seconds: float = 0.0
    seconds: float = 0.0
    """Of training; counted by who trains."""
    each: list[float] = field(default_factory=list)
    """Seconds of each step. An epoch that an older checkpoint was saved in lacks those from before."""

    def took(self, seconds: float) -> None:
        """Count the time of a step in."""
        self.seconds += seconds
        self.each.append(seconds)

    def add(self, step: Step) -> None:
        """Count a step in."""
        self.lr = self.lr if self.steps else step.lr
        self.steps += 1
        self.loss += step.loss
        self.data_seconds += step.data_seconds
        if step.arch_loss is not None:
            self.arch_steps += 1
            self.arch_loss += step.arch_loss

    def record(self, batch: int) -> dict[str, float | None]:
        """Its part of the epoch's record; means over the steps. ``batch``: images in a step."""
        return {
            "lr": self.lr,
            "loss": self.loss / self.steps,
            "arch_loss": self.arch_loss / self.arch_steps if self.arch_steps else None,
            "seconds": self.seconds,
            "steady_seconds": self.steps * median(self.each) if self.each else self.seconds,
            "data_seconds": self.data_seconds,
            "images_per_second": self.steps * batch / self.seconds,
        }


@dataclass
class TrainState:
    """All that a run changes as it goes: saved in a checkpoint, restored from it."""

    model: Supernet
    weight_optimizer: torch.optim.Optimizer
    arch_optimizer: torch.optim.Optimizer
    epoch: int = 0
    """Epochs finished: trained, scored and recorded."""
    weight_steps: int = 0
    """Weight steps taken: also the number of the next batch of the weights' stream."""
    arch_steps: int = 0
    """Architecture steps taken, and the number of the next batch of theirs."""
    tally: Tally = field(default_factory=Tally)
    """Of the epoch under way."""
    records: list[Record] = field(default_factory=list)
    """Of the finished epochs."""
    gates: torch.Tensor | None = None
    """Of a run with a budget: what units count for so far, in the order of ``Subnets.units`` (search/removal.py)."""
    frozen_at: int | None = None
    """The epoch whose architecture the rest of the run keeps, where a stopping rule ended its search."""
    average: WeightAverage | None = None
    """Of the weights, where the run takes one."""
    carried: dict[str, torch.Tensor] = field(default_factory=dict)
    """What a network that reads on has kept of the last batch of each stream, over all processes, where it does; each
    epoch begins anew."""

    def average_anew(self) -> None:
        """The average, where there is one, begins with the weights as they are: the network was made another."""
        if self.average is not None:
            self.average = WeightAverage(self.model.net, self.average.decay)

    def end_epoch(self) -> None:
        """The epoch under way is finished."""
        self.epoch += 1
        self.carried = {}
        self.tally = Tally()

    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain values only."""
        averaged = {} if self.average is None else {"average": self.average.state_dict()}
        carried = {"carried": dict(self.carried)} if self.carried else {}
        return (
            averaged
            | carried
            | {
                "model": self.model.state_dict(),
                "weight_optimizer": self.weight_optimizer.state_dict(),
                "arch_optimizer": self.arch_optimizer.state_dict(),
                "epoch": self.epoch,
                "weight_steps": self.weight_steps,
                "arch_steps": self.arch_steps,
                "tally": asdict(self.tally),
                "records": list(self.records),
                "frozen_at": self.frozen_at,
                "subnet": self.model.spec.subnet,
                "zoom": self.model.spec.zoom,
                "gates": self.gates,
                "torch_random": torch.get_rng_state(),
                "cuda_random": _random_states_of_gpus(),
            }
        )

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what :meth:`state_dict` gave."""
        left = state.get("subnet")
        if left is not None and left != self.model.spec.subnet:  # of a run with a budget
            subnet = subnets(self.model.spec).from_dict(left)
            shrink_training(self.model, self.weight_optimizer, subnet)
        self.model.spec = replace(self.model.spec, zoom=state.get("zoom", self.model.spec.zoom))  # see jobs/zooms.py
        self.gates = state.get("gates")
        self.model.load_state_dict(state["model"])
        if is_averaging(state["weight_optimizer"]) and not is_averaging(self.weight_optimizer):
            self.weight_optimizer = averaging(self.weight_optimizer)
        self.weight_optimizer.load_state_dict(state["weight_optimizer"])
        self.carried = dict(state.get("carried", {}))
        self.arch_optimizer.load_state_dict(state["arch_optimizer"])
        self.epoch, self.weight_steps, self.arch_steps = state["epoch"], state["weight_steps"], state["arch_steps"]
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.tally = Tally(**state["tally"])
        # Checkpoints of before 2026-11-29 have neither.
        self.records, self.frozen_at = list(state.get("records", ())), state.get("frozen_at")
        torch.set_rng_state(state["torch_random"].cpu())
        if torch.cuda.is_available() and len(state["cuda_random"]) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all([random.cpu() for random in state["cuda_random"]])


def _random_states_of_gpus() -> list[torch.Tensor]:
    """Of each GPU. Several processes have one each and draw the same: the own one's state is that of all."""
    if not torch.cuda.is_available():
        return []
    if parallel.processes() > 1:
        return [torch.cuda.get_rng_state()] * torch.cuda.device_count()
    return torch.cuda.get_rng_state_all()
