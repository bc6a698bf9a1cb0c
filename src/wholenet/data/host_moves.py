"""What of the augmentation the host alone does: all that is not along one axis at a time. Imports nothing."""

from __future__ import annotations

from typing import Any

HOST_MOVES = ("quarter_turns", "rotate", "elastic", "transform")
"""Fields of :class:`wholenet.search.config.FitConfig` and of :class:`wholenet.data.augment.Augmentation`."""


def needs_host(asked: Any) -> bool:
    """Whether ``asked``, a config or an augmentation, has one of them."""
    return any(getattr(asked, name) for name in HOST_MOVES)
