"""What a task adds to model folders: the part "answer" of their config, and what answers with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch

from wholenet.spaces.supernet import Supernet

Read = TypeVar("Read")


@dataclass(frozen=True, kw_only=True)
class AnswerKind(Generic[Read]):
    """How the models of a task answer.

    What ``read`` gives is the task's own; the other functions take it.
    """

    model: str
    """What people call such a model, after "a": "classifier"."""
    read: Callable[[Mapping[str, Any], str], Read]
    """(the "answer" of a config that may come from anybody, where it stands) -> what it says.

    Raises a ValueError, which names where, for what is missing, unknown or does not do.
    """
    outputs: Callable[[Read], int]
    """That the network has to have."""
    channels: Callable[[Read], int] = lambda _: 3
    """Of the network's inputs."""
    predictor: Callable[[Supernet[Any], Read, torch.device], Any]
    """(the network in eval mode, what was read, where the network is) -> what users hold and predict with."""
    card: Callable[[Read], Sequence[str]]
    """Lines for people to read, in the folder's README: how it is used."""
