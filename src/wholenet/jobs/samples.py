"""A task from outside, by pairs of inputs and targets: what it takes to train, score and keep its networks.

Letters: B samples, C channels, O outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
import torch
from rich.console import Console
from torch import Tensor, nn

from wholenet import parallel
from wholenet.checked import Channels, Classes, settings_from
from wholenet.data.sample import DataError
from wholenet.data.splits import Numbered, Part, set_aside, split_train
from wholenet.data.stream import Order
from wholenet.deploy.answer import AnswerKind
from wholenet.file_keys import check_keys
from wholenet.jobs.streams import DrawnStreams
from wholenet.jobs.task import Counted, Task, Watched, settings_of
from wholenet.report.progress import plain
from wholenet.run import Scored
from wholenet.search.draw import steps_per_epoch
from wholenet.search.schedule import Schedule
from wholenet.search.steps import Loss
from wholenet.search.task_config import TaskConfig
from wholenet.spaces.space import Facts
from wholenet.spaces.supernet import Supernet
from wholenet.tasks.score import Score

Settings = TypeVar("Settings")
Pairs = Numbered[tuple[Any, Any]]
"""(input, target), by number: arrays, tensors or numbers, all inputs of one shape, all targets too. Asked for the same
number, it gives the same."""
Augment = Callable[[Any, Any, np.random.Generator], tuple[Any, Any]]
Metric = Callable[[Tensor, Tensor], float]


@dataclass(frozen=True, kw_only=True)
class Samples:
    """The data of a task from outside."""

    train: Pairs
    outputs: int
    """O, of the network."""
    channels: int = 3
    """C, of its inputs [B, C, ...]."""
    val: Pairs | None = None
    """None: a part of ``train`` is held out, by the run's ``val_share`` and ``data_seed``."""
    augment: Augment | None = None
    """(input, target, random source) -> the same, changed; of what is trained on."""


COUNTED = Counted(one="{outputs} outputs, one input made of an image of {size}", outputs=1)
"""On what networks for pairs are counted, if nothing is said."""


def sample_task(
    name: str,
    *,
    read: Callable[[str, Any], Samples],
    loss: Loss,
    metric: Metric,
    score: Score,
    settings: type,
    constant: Callable[[Tensor], float] | None = None,
    counted: Counted = COUNTED,
) -> Task:
    """A task whose data are pairs. Register it: ``wholenet.register(sample_task(...))``.

    Args:
        name: of the task.
        read: (what the run names as its data, the task's settings) -> its samples. Raises a
            :class:`wholenet.data.sample.DataError` for what cannot be used.
        loss: (output, targets [B, ...]) -> scalar, a mean over the samples.
        metric: (outputs, targets), both of all that is held out -> the score.
        score: its name, and whether more is better.
        settings: a frozen dataclass of numbers, words and truth values: options of its runs.
        constant: targets of what is held out -> the score of the best constant answer.
        counted: on what `wholenet info` counts its networks.
    """

    def prepare(config: TaskConfig, console: Console) -> SampleData:
        own = settings_of(task, config)
        found = read(config.data, own)
        if not isinstance(found, Samples):
            raise DataError(f"task {name!r} opened a {type(found).__name__}; expected {Samples.__qualname__}")
        data = _divided(name, found, config)
        count = {"train": len(data.weights), "val": len(data.val)}
        listed = ", ".join(f"{split} {samples}" for split, samples in count.items())
        plain(console)(f"{config.data} is read as samples of the task {name}: {listed}")
        return SampleData(data, own, loss, metric, score, constant)

    task = Task(
        name=name,
        settings=settings,
        prepare=prepare,
        score=score,
        answer=_answer(name, read, metric, score, settings),
        unscored={score.name: None},
        counted=counted,
    )
    return task


class _Divided(NamedTuple):
    """What learns from what."""

    samples: Samples
    weights: Pairs
    architecture: Pairs
    everything: Pairs
    val: Pairs


def _divided(name: str, samples: Samples, config: TaskConfig) -> _Divided:
    train, val = samples.train, samples.val
    if val is None:
        train, val = (Part(train, own) for own in set_aside(len(train), config.val_share, config.data_seed, name))
    if not len(train) or not len(val):
        raise DataError(f"task {name!r} has {len(train)} samples to train on and {len(val)} to score; expected some")
    weights = architecture = train
    if config.split == "disjoint":
        weights, architecture = split_train(train, config.weights_share, config.data_seed)
    return _Divided(samples, weights, architecture, train, val)


class SampleStream(Order):
    """Item k is batch k, or this share of it: inputs float32 [B, C, ...], targets [B, ...]."""

    def __init__(self, data: Pairs, augment: Augment | None, **order: Any) -> None:
        super().__init__(len(data), **order)
        self.data = data
        self.augment = augment

    def __getitem__(self, k: int) -> tuple[Tensor, Tensor]:
        pairs = []
        for place, index in zip(self.places, self.indices(k), strict=True):
            pair = self.data[index]
            if self.augment is not None:
                pair = self.augment(*pair, self.rng(1, k * self.batch + place))
            pairs.append(pair)
        return stacked(pairs)


def stacked(pairs: Sequence[tuple[Any, Any]]) -> tuple[Tensor, Tensor]:
    """Inputs float32 [B, C, ...] and targets [B, ...] of some pairs; whole numbers stay int64, others get float32.

    Raises:
        DataError: if they are not of one shape.
    """
    inputs, targets = ([torch.as_tensor(pair[i]) for pair in pairs] for i in (0, 1))
    for what, tensors in (("inputs", inputs), ("targets", targets)):
        if len(shapes := {tuple(tensor.shape) for tensor in tensors}) > 1:
            raise DataError(f"{what} of the shapes {', '.join(map(str, sorted(shapes)))}; expected one shape for all")
    x, y = torch.stack(inputs).float(), torch.stack(targets)
    return x, y.float() if y.is_floating_point() else y.long()


@dataclass(frozen=True)
class SampleData:
    """Samples, divided; a :class:`wholenet.jobs.task.Data`."""

    divided: _Divided
    settings: Any
    metric_loss: Loss
    metric: Metric
    measured: Score
    best_constant: Callable[[Tensor], float] | None

    def network(self) -> Facts:
        """Outputs and channels."""
        return Facts(self.divided.samples.outputs, self.divided.samples.channels)

    def size(self) -> None:
        """Inputs need be no images."""

    def steps_per_epoch(self, batch: int) -> int:
        """Full batches in a pass over what the weights learn from."""
        return steps_per_epoch(len(self.divided.weights), batch)

    def streams(self, config: TaskConfig, schedule: Schedule, device: torch.device) -> DrawnStreams:
        """What is drawn from it."""
        parts, augment = (self.divided.weights, self.divided.architecture), self.divided.samples.augment

        def make(data: Pairs, **order: Any) -> SampleStream:
            return SampleStream(data, augment, **order)

        return DrawnStreams(*parts, make, config=config, schedule=schedule, device=device)

    def loss(self, config: TaskConfig, device: torch.device) -> Loss:  # noqa: ARG002
        """The task's own; of several processes, each one's share of the mean over all."""
        own, shares = self.metric_loss, parallel.processes()
        return own if shares == 1 else lambda output, target: own(output, target) / shares

    def score(self, model: Supernet[Any], device: torch.device) -> Scored:
        """On what is held out."""
        value = self.metric(*answers(model, self.divided.val, device))
        return Scored({self.measured.name: value}, None, value)

    def constant(self) -> float | None:
        """The score of the best constant answer, where the task knows it."""
        if self.best_constant is None:
            return None
        return self.best_constant(torch.cat([y for _, y in _in_batches(self.divided.val)]))

    def classes(self) -> None:
        """Nothing is told apart."""

    def watched(self) -> Watched:
        """No class can be missed."""
        return Watched()

    def answer(self, config: TaskConfig) -> Mapping[str, Any]:  # noqa: ARG002
        """The settings, and the shape of inputs and outputs."""
        facts = self.network()
        return {"settings": asdict(self.settings), "outputs": facts.outputs, "channels": facts.channels}

    def facts(self) -> dict[str, Any]:
        """Counts, and a look at the first and last sample of each part."""
        return self.unchanged()

    def unchanged(self) -> dict[str, Any]:
        """What a continued run must find again, by split."""
        return {"train": _fingerprint(self.divided.everything), "val": _fingerprint(self.divided.val)}

    def undivided(self) -> SampleData:
        """The same, where the weights learn from all."""
        return replace(self, divided=self.divided._replace(weights=self.divided.everything))

    def draw(self, folder: Path, model: Supernet[Any], device: torch.device) -> None:
        """No pictures of its own."""


def _fingerprint(pairs: Pairs) -> dict[str, Any]:
    x, y = stacked([pairs[0], pairs[len(pairs) - 1]])
    return {"samples": len(pairs), "first and last": float(x.double().sum()), "their targets": float(y.double().sum())}


def _in_batches(pairs: Pairs, batch: int = 256) -> Sequence[tuple[Tensor, Tensor]]:
    return [
        stacked([pairs[i] for i in range(first, min(first + batch, len(pairs)))])
        for first in range(0, len(pairs), batch)
    ]


@torch.no_grad()
def answers(model: nn.Module, pairs: Pairs, device: torch.device | str = "cpu") -> tuple[Tensor, Tensor]:
    """What ``model`` answers to all of ``pairs``, and the targets, on the CPU. Leaves its mode as it was.

    Raises:
        FloatingPointError: for outputs that are not finite.
    """
    training = model.training
    model.eval()
    try:
        found = [(model(x.to(device)).float().cpu(), y) for x, y in _in_batches(pairs)]
    finally:
        model.train(training)
    outputs = torch.cat([output for output, _ in found])
    if not outputs.isfinite().all():
        raise FloatingPointError("the network's outputs are not finite, so there is nothing to score")
    return outputs, torch.cat([target for _, target in found])


class _Read(NamedTuple):
    settings: Any
    outputs: int
    channels: int


@dataclass(frozen=True)
class TrainedOnSamples(Generic[Settings]):
    """A network of a task from outside, with all that it takes to use it."""

    task: str
    network: Supernet[Any]
    """In eval mode."""
    settings: Settings
    device: torch.device
    opens: Callable[[str, Settings], Samples]
    metric: Metric
    score: Score

    @property
    def what(self) -> str:
        """What people call it."""
        return f"a model of the task {self.task!r}"

    @torch.no_grad()
    def predict(self, inputs: Any) -> Tensor:
        """Inputs [B, C, ...] -> outputs float32 [B, O, ...], on the CPU."""
        return self.network(torch.as_tensor(inputs).float().to(self.device)).float().cpu()

    def evaluate(self, data: str, split: str = "val") -> float:
        """The score on a split of ``data``, "train" or "val".

        Raises:
            DataError: for data that cannot be used, or a split that is not there.
        """
        found = self.opens(data, self.settings)
        splits = {"train": found.train} | ({} if found.val is None else {"val": found.val})
        if split not in splits:
            raise DataError(f"{data} has no {split} split; it has {', '.join(splits)}: give --split")
        return self.metric(*answers(self.network, splits[split], self.device))


def _answer(
    name: str, opens: Callable[[str, Any], Samples], metric: Metric, score: Score, settings: type
) -> AnswerKind[_Read]:
    def read(values: Mapping[str, Any], where: str) -> _Read:
        check_keys(values, {"settings": dict, "outputs": Classes, "channels": Channels}, where, only=True)
        try:
            own = settings_from(settings, values["settings"], f"task {name!r}", whole=True)
        except ValueError as error:
            raise ValueError(f"{where}, settings: {error}") from error
        return _Read(own, values["outputs"], values["channels"])

    return AnswerKind(
        model=f"model of the task {name}",
        read=read,
        outputs=lambda read: read.outputs,
        channels=lambda read: read.channels,
        predictor=lambda network, read, device: TrainedOnSamples(
            name, network, read.settings, device, opens, metric, score
        ),
        card=lambda read: [f"- inputs: {read.channels} channels", f"- outputs: {read.outputs}"],
    )
