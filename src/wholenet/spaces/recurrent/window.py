"""What a network that reads text is called with, and what it gives.

Letters: B texts read side by side, T words of a window, V words of the vocabulary, n units, S numbers of a state.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Window(NamedTuple):
    """Inputs: a window of each text, and the state that reading what came before has left."""

    tokens: Tensor
    """int64 [B, T]."""
    hidden: Tensor | None = None
    """[B, S]; None at the beginning of a text: zeros."""


class Reading(NamedTuple):
    """Outputs."""

    logits: Tensor
    """[B, T, V]: of the word after each."""
    hidden: Tensor
    """[B, S]: the state after the last word."""
    states: Tensor
    """[B, T, n]: what the logits were made of, before dropout."""
