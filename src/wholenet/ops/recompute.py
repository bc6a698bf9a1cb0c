"""Memory for time: forget what lies inside a part of the network, and compute it again in the backward pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

from torch import nn
from torch.utils.checkpoint import checkpoint

from wholenet.ops.statistics import still_statistics


def recomputed(run: Callable[..., Any], parts: Sequence[nn.Module], *arguments: Any) -> Any:
    """``run(*arguments)``, of which only the arguments and the result are kept for the backward pass.

    Args:
        run: uses the modules ``parts`` and nothing random.
        parts: their BatchNorms' running statistics move once, in the first pass.
        arguments: of ``run``.
    """
    contexts = partial(_first_and_second_pass, tuple(parts))
    return checkpoint(run, *arguments, use_reentrant=False, preserve_rng_state=False, context_fn=contexts)


def set_recompute(net: Any, recompute: bool) -> None:
    """Whether ``net`` forgets and computes again while it trains: a network that knows how does, another stays as it
    is."""
    if hasattr(net, "recompute"):
        net.recompute = recompute


@contextmanager
def nothing_recomputed(net: Any) -> Iterator[None]:
    """Within the block the network ``net`` forgets nothing: what is differentiated twice, or run with other weights
    than its own, is needed whole."""
    before = getattr(net, "recompute", None)
    if not before:
        yield
        return
    net.recompute = False
    try:
        yield
    finally:
        net.recompute = before


def _first_and_second_pass(
    parts: tuple[nn.Module, ...],
) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    return nullcontext(), still_statistics(*parts)
