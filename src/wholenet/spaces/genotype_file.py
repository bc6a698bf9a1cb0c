"""Whose genotype a file holds, for those who have to know before they read it. Imports no torch."""

from __future__ import annotations

from wholenet.files import read_yaml
from wholenet.spaces.sizes import PUBLISHED_PATHS

ELSEWHERE = ("cells", "nb201")
"""What files say that ``retrain`` has no network for masks of: these classify."""


def space_of_genotype(name: str) -> str | None:
    """The space of the segmentation network that `wholenet retrain` is to train of a genotype, a published name or a
    file; None for one of labelled images, and where nobody can tell: then what is wrong is said there."""
    if name in PUBLISHED_PATHS:
        return PUBLISHED_PATHS[name]
    try:
        content = read_yaml(name)
    except (OSError, ValueError):
        return None
    space = content.get("space") if isinstance(content, dict) else None
    return space if isinstance(space, str) and space not in ELSEWHERE else None
