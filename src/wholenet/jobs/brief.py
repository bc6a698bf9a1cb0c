"""Diagnose a run on a space from outside, or of a task from outside: what can be asked of any network that takes
weights and has masks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from rich.console import Console
from torch import Tensor

from wholenet.architecture import normalized_entropy, one_hot, rescaled, uniform_weights
from wholenet.checked import Count, checked_numbers
from wholenet.data.splits import evenly_spaced
from wholenet.deploy.model_folder import load_model
from wholenet.diagnostics.curvature import Curvature, Drawn, curvature
from wholenet.diagnostics.discretization import current_weights, scored_weights
from wholenet.diagnostics.entropy import Movement, movement
from wholenet.jobs.catalog import task_of_run
from wholenet.jobs.segmentation import MaskData
from wholenet.jobs.task import Data
from wholenet.search.protocols import PROTOCOLS
from wholenet.search.run_folder import RunFolder
from wholenet.search.schedule import Schedule
from wholenet.spaces.catalog import left_of, subnets
from wholenet.spaces.space import Spec
from wholenet.spaces.supernet import Supernet, with_weights
from wholenet.tasks.losses import loss_in_words
from wholenet.tasks.score import Score


@dataclass(frozen=True)
class Brief:
    """What a run on any space is asked. Scores are on the validation split, as ``score`` has them."""

    run: str
    data: str
    searched: bool
    """False: the architecture never moved (a control)."""
    epochs: int
    parameters: int
    score: Score
    supernet: float
    """Of the whole supernet, or of what its budget left."""
    constant: float | None
    """Of always answering the same that scores best so; None where it is not known."""
    strongest: float
    """At the strongest option of each choice, with the supernet's weights: what cutting costs before any retraining."""
    uniform: float
    """At all options equally strong, likewise."""
    retrained: float | None
    """Of the discrete network that a two-stage run trained from scratch, as the run scored it last; None of others."""
    entropy: Mapping[str, float]
    """Normalised, of each architecture parameter: 1 is uniform, 0 one-hot."""
    movement: Mapping[str, Movement]
    curvature: Curvature | None
    left: float | None = None
    """Of a run that met a budget: multiply-adds of what it left, as a share of the whole supernet's."""

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return asdict(self)

    def lines(self) -> list[str]:
        """For people to read."""
        asked = "whole supernet" if self.left is None else f"what is left, {self.left:.0%}"
        found = [
            f"{asked:22}  {self.score.say(self.supernet)}",
            f"strongest options only  {self.score.say(self.strongest)}, before any retraining",
            f"all options equal       {self.score.say(self.uniform)}",
        ]
        if self.retrained is not None:
            found.append(f"what it was cut to      {self.score.say(self.retrained)}, trained from scratch")
        if self.constant is not None:
            found.append(f"best constant answer    {self.score.say(self.constant)}")
        for name, value in self.entropy.items():
            moved = self.movement[name]
            found.append(f"{name}: entropy {value:.3f} of 1, {100 * moved.decided:.0f} % of the choices decided")
        if self.curvature is not None:
            of = f", of {self.curvature.loss}" if self.curvature.loss else ""
            found.append(f"curvature: highest {self.curvature.highest:.4g}, lowest {self.curvature.lowest:.4g}{of}")
        return found


@checked_numbers
def diagnose_any(
    run: RunFolder,
    data: str | None = None,
    device: torch.device | str = "cpu",
    images: Count | None = None,
    with_curvature: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Brief:
    """Ask of ``run`` what any space can answer.

    Args:
        run: a run that trained a supernet; of a two-stage run the first stage is asked.
        data: where to score; None is the data that the run was trained on.
        device: where to compute.
        images: of images with masks, score only so many of the validation split, spread evenly; None is all.
        with_curvature: also take the curvature in the architecture, on one batch of what the architecture learns from.
        progress: called with (networks scored, networks to score in all).

    Raises:
        DataError: for data that cannot be read, or of other classes.
        ValueError: for a run without a model, or of a discrete network; ``images`` of another task.
    """
    device, second = torch.device(device), None
    if PROTOCOLS[run.config.protocol].retrains and (first := RunFolder.at(run.search)) is not None:
        run, second = first, run
    config, task = run.config, task_of_run(run.config)
    network = load_model(run.path, device, task=task.name).network
    if network.discrete:
        raise ValueError(f"{run.path} trained a discrete network, which has no architecture weights to diagnose")
    config = replace(config, data=data or config.data, batch=_batch(run))
    held = _some(task.prepare(config, Console(quiet=True)), images)
    if held.network().outputs != network.spec.outputs:
        raise ValueError(
            f"{config.data} wants {held.network().outputs} outputs, the network has {network.spec.outputs}; give data "
            "as the run was trained on"
        )
    masks, weights = network.net.masks, current_weights(network)
    variants = {
        "supernet": scored_weights(network),
        "strongest": {name: strongest(w, masks[name]) for name, w in weights.items()},
        "uniform": uniform_weights(masks),
    }
    ends = _curvature(network, held, config, device) if with_curvature else None
    scores: dict[str, float] = {}
    for name, at in variants.items():
        scores[name] = held.score(with_weights(network, at), device).record[task.score.name]
        if progress is not None:
            progress(len(scores), len(variants))
    shares = {name: rescaled(w) for name, w in weights.items()}
    return Brief(
        run=str(run.path),
        data=config.data,
        searched=config.moves_architecture,
        epochs=len(run.records()),
        parameters=sum(parameter.numel() for parameter in network.net.parameters()),
        score=task.score,
        constant=held.constant(),
        retrained=None if second is None else _last(second, task.score.name),
        entropy={name: normalized_entropy(w, masks[name]).item() for name, w in shares.items()},
        movement={name: movement(w, masks[name]) for name, w in shares.items()},
        curvature=ends,
        left=_left(network.spec, held.size()),
        **scores,
    )


def _batch(run: RunFolder) -> int:
    """Samples of a batch: as many as each process of the run had; where that is one, of which a BatchNorm may know no
    variance, as many as all of them had."""
    own, facts = run.config.batch, run.environment(lambda _damaged: None) or {}
    return own if own > 1 else own * facts.get("processes", 1)


def _last(run: RunFolder, score: str) -> float | None:
    """The last score that a run has on record, if it has one."""
    return next((found for record in reversed(run.records()) if (found := record.get(score)) is not None), None)


def strongest(weights: Tensor, mask: Tensor) -> Tensor:
    """The strongest option of each group alone, [G..., O]; nothing of a group that is gone."""
    return one_hot(weights.argmax(-1), mask | ~mask.any(-1, keepdim=True)) * mask


def _left(spec: Spec, size: tuple[int, int] | None) -> float | None:
    """The share of the whole's multiply-adds that a network takes on inputs of ``size``; None of a whole one."""
    if spec.subnet is None or size is None:
        return None
    known = subnets(spec)
    return known.macs(left_of(spec), *size) / known.macs(known.whole(), *size)


def _some(data: Data, images: int | None) -> Data:
    if images is None:
        return data
    if not isinstance(data, MaskData):
        raise ValueError(f"images={images} is of images with masks; leave it out")
    return replace(data, prepared=replace(data.prepared, val=evenly_spaced(data.prepared.val, images)))


def _curvature(network: Supernet[Any], data: Data, config: Any, device: torch.device) -> Curvature:
    """On the first batch of the architecture's stream, with masks of dropout that the run's seed draws."""
    drawn = Drawn("architecture", "architecture", 0, config.seed)
    schedule = Schedule(epochs=1, steps_per_epoch=1, lr=config.lr)
    batch = data.streams(config, schedule, device).one(drawn.stream, drawn.number, 0)
    masks = isinstance(data, MaskData)  # of other tasks it is not known what they minimise
    said = loss_in_words(config.loss, config.class_balance, config.focal_gamma) if masks else None
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        return curvature(network, batch, data.loss(config, device), drawn=drawn, said=said)
