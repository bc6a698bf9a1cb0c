"""Layers with two exact forms, the plain one, as papers write and count it, and another with the same result; and which
of them runs."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

PLAIN_ON_CPU: dict[str, Callable[[bool], bool]] = {
    # The mixed kernel's own gradient, needed only to be contracted with the kernels, costs more than each kernel's run.
    "OperationMixture": lambda weights_alone: weights_alone,
    # 0.8-0.9 times the speed: slices of concatenated maps are strided, which costs more than the operators saved.
    "SeparateCell": lambda _weights_alone: True,
}
"""Layers that run their plain form on a CPU, by class; given whether a gradient is asked of the architecture's weights
alone, as in architecture steps. Everything else runs its other form. Measured: docs/architecture.md, "Forms"."""

MATMUL_LIMIT = 512
"""Sides up to which, on a CPU, two matrix products resize cheaper than torch's bilinear kernel where a gradient is
asked for. Measured: docs/architecture.md, "Forms"."""


class TwoForms(nn.Module):
    """A layer that computes the same numbers in either of two ways."""

    plain: bool | None = None
    """Which; None is the cheaper one."""

    def runs_plain(self, x: Tensor, weights: Tensor) -> bool:
        """Whether the plain form is to run on the input ``x`` with the architecture's ``weights``."""
        if self.plain is not None:
            return self.plain
        cheaper = PLAIN_ON_CPU.get(type(self).__name__)
        if cheaper is None or x.device.type == "cuda":
            return False
        own = next(self.parameters(), None)
        return cheaper(weights.requires_grad and own is not None and not own.requires_grad)


@contextmanager
def plain_form(net: nn.Module, *, plain: bool = True) -> Iterator[None]:
    """Within the block, every layer of ``net`` that has two forms runs its plain one (or, with False, the other)."""
    layers = [layer for layer in net.modules() if isinstance(layer, TwoForms)]
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
