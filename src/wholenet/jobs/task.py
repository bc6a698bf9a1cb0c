"""What a task is to a run: what a batch, a loss, a score and an answer are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from rich.console import Console

from wholenet.checked import settings_from
from wholenet.deploy.answer import AnswerKind
from wholenet.run import Scored, Streams
from wholenet.search.schedule import Schedule
from wholenet.search.state import TrainState
from wholenet.search.steps import Batch, Loss
from wholenet.search.task_config import TaskConfig
from wholenet.search.updates import Parts
from wholenet.spaces.space import Facts
from wholenet.spaces.supernet import Supernet
from wholenet.tasks.pace import IMAGES, Pace
from wholenet.tasks.score import Score


@dataclass(frozen=True)
class Watched:
    """What a run warns of where it is never found."""

    classes: Sequence[str] = ()
    counts: Sequence[int] = ()
    """Of each class in what is held out: what is not there cannot be found."""
    advice: str = ""
    """What to do about a class that is never found."""


class TaskStreams(Streams, Protocol):
    """The streams of a run, of which single batches can be drawn again."""

    def one(self, stream: str, number: int, epoch: int) -> Batch:
        """Batch ``number`` of ``stream`` as it is, or would be, drawn in ``epoch``, on the device."""
        ...


class Data(Protocol):
    """The checked data of a run, divided between those who learn from it and those who score."""

    def network(self) -> Facts:
        """What it says about the network to be built."""
        ...

    def size(self) -> tuple[int, int] | None:
        """(height, width) that is trained on; None where inputs are no images."""
        ...

    def steps_per_epoch(self, batch: int) -> int:
        """Steps in a pass over what the weights learn from, with ``batch`` samples in each."""
        ...

    def streams(self, config: Any, schedule: Schedule, device: torch.device) -> TaskStreams:
        """What is drawn from it."""
        ...

    def loss(self, config: Any, device: torch.device) -> Loss:
        """What is learned."""
        ...

    def score(self, model: Supernet[Any], device: torch.device) -> Scored:
        """How the network does on what is held out."""
        ...

    def constant(self) -> float | None:
        """The score of the best constant answer, where it is known."""
        ...

    def classes(self) -> Any:
        """What is told apart; None where nothing is."""
        ...

    def watched(self) -> Watched:
        """What the run warns of."""
        ...

    def answer(self, config: Any) -> Mapping[str, Any]:
        """The task's own part of the model folder."""
        ...

    def facts(self) -> dict[str, Any]:
        """What is recorded of it in environment.json."""
        ...

    def unchanged(self) -> dict[str, Any]:
        """Of the facts, those that a continued run must find again, by split."""
        ...

    def undivided(self) -> Data:
        """The same, where one network learns from all: a second stage has no architecture to learn."""
        ...

    def draw(self, folder: Path, model: Supernet[Any], device: torch.device) -> None:
        """Draw what the network answers."""
        ...


@dataclass(frozen=True, kw_only=True)
class Counted:
    """On what the networks of a task are counted (`wholenet info`)."""

    one: str = "{outputs} classes, one image of {size}"
    """What one input is, for people: with the ``outputs`` of the network and the ``size`` of an image."""
    outputs: int = 19
    """Where no number is given."""
    size: str = "1024x2048"
    """HEIGHTxWIDTH where none is given."""
    no_outputs: str = ""
    """Why their number cannot be chosen; "": it can."""
    no_size: str = ""
    """Why there is no size; "": there is."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a run is of. A run is space x task x method x protocol."""

    name: str
    settings: type | None
    """A frozen dataclass of numbers, words and truth values: the task's options. None: its runs have a config of
    their own (:class:`wholenet.search.config.FitConfig`)."""
    prepare: Callable[[Any, Console], Data]
    """(config, console) -> checked data; nothing is trained or written. Raises a DataError, which names files and what
    to do, for data that cannot be trained on."""
    score: Score
    answer: AnswerKind[Any]
    """How its model folders are read, and what predicts with them."""
    unscored: Mapping[str, None] = field(default_factory=dict)
    """What the record of an epoch says that was not scored."""
    recipe: Callable[[Mapping[str, Any]], Mapping[str, Any]] = lambda _given: {}
    """What is given for a run -> options of its config that are other than those of images, below all that is given."""
    parts: Callable[[Parts, Any, Any, torch.device], Parts] | None = None
    """(parts of a run's steps, its data, its config, device) -> the same with what the task adds to them."""
    floors: Callable[[Any], Mapping[str, float]] = lambda _data: {}
    """Its data -> scores of simple answers that people are told beside the network's, by what they are."""
    pace: Callable[[Any, Any], Pace] = lambda _data, _config: IMAGES
    """Its data, its config -> what people are told of how fast a run is."""
    counted: Counted = Counted()
    """On what its networks are counted."""
    after_epoch: Callable[[TrainState, Any], None] | None = None
    """(state, config), after an epoch's record: what changes from then on."""


@dataclass(frozen=True)
class Finished:
    """What a run came to."""

    run: Path
    scores: Any
    """On what is held out, at the end, as the task has them."""
    classes: Any
    """Of a task that has some."""
    constant: float | None
    """The score of always answering the same that scores best so; None where it is not known."""
    floors: Mapping[str, float] = field(default_factory=dict)
    """Scores of simple answers, by what they are."""


def settings_of(task: Task, config: TaskConfig) -> Any:
    """The task's settings of a run."""
    assert task.settings is not None, "its runs have a config of their own"
    return settings_from(task.settings, config.task_settings, f"task {task.name!r}")
