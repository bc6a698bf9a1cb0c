"""Layers with two exact forms: the plain one, as papers write and count it, and a cheaper one with the same result."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class TwoForms(nn.Module):
    """A layer that computes the same numbers in either of two ways; ``plain`` says which."""

    plain: bool = False


@contextmanager
def plain_form(net: nn.Module, kind: type[TwoForms] = TwoForms, *, plain: bool = True) -> Iterator[None]:
    """Within the block, every layer of ``net`` of this kind runs its plain form (or, with False, the other)."""
    layers = [layer for layer in net.modules() if isinstance(layer, kind)]
    before = [layer.plain for layer in layers]
    for layer in layers:
        layer.plain = plain
    try:
        yield
    finally:
        for layer, was in zip(layers, before, strict=True):
            layer.plain = was


def total(terms: Sequence[Tensor]) -> Tensor:
    """Sum of tensors of one shape, one addition at a time: no stacked copy of them all is made."""
    return functools.reduce(torch.add, terms)
