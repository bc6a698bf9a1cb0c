"""Answers that are numbers: ``argmax`` of what is none is class 0, without a word."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # ONNX files are run without torch
    from torch import Tensor

LOST = "the network's logits are not finite, so there is no class to name"


def all_finite(logits: Tensor) -> bool:
    """Whether each of ``logits`` is a number; one pass, and nothing as large is made."""
    return bool(logits.amax().isfinite() and logits.amin().isfinite())  # aminmax copies what is channels_last
