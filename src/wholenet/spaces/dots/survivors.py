"""The two operations that the first stage leaves on each edge, as a line of text: what the second stage is built of.
Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from wholenet.files import shown
from wholenet.spaces.cell_tables import PAIRS, PUBLISHED, TYPES, Table, edges

if TYPE_CHECKING:
    from torch import Tensor

FREE = ("none", "max_pool_3x3", "avg_pool_3x3", "skip_connect")
"""Operations without parameters: the first group of an edge."""
PARAMETRIC = ("sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5")
"""And those with: the second."""
GROUPS = (FREE, PARAMETRIC)


def survivors_of(weights: Mapping[str, Tensor]) -> str:
    """The strongest operation of each group of each edge, the first of equals; ``none`` may be one.

    Args:
        weights: of a supernet of the first stage, [14, 2, 4] for each type of cell.
    """
    cells = []
    for kind in TYPES:
        best = weights[kind].argmax(-1).tolist()
        cells.append(" ".join(f"{FREE[free]}:{PARAMETRIC[parametric]}" for free, parametric in best))
    return " ".join(cells)


def survivors_table(text: str) -> Table:
    """What is left of DARTS' table.

    Raises:
        ValueError: if ``text`` is no such line.
    """
    words = text.split()
    expected = len(TYPES) * len(PAIRS)
    if len(words) != expected:
        raise ValueError(f"survivors={shown(text)}: expected {expected} pairs of operations, found {len(words)}")
    left = []
    for word in words:
        free, _, parametric = word.partition(":")
        if free not in FREE or parametric not in PARAMETRIC:
            raise ValueError(
                f"survivors: {shown(word)}; expected one of {', '.join(FREE)}, a colon, and one of "
                f"{', '.join(PARAMETRIC)}"
            )
        left.append((free, parametric))
    return {kind: edges(left[i * len(PAIRS) : (i + 1) * len(PAIRS)]) for i, kind in enumerate(TYPES)}


def table_of_stage(survivors: str) -> Table:
    """What the edges of a stage offer: all, or the survivors."""
    return survivors_table(survivors) if survivors else PUBLISHED["darts"]


def strengths(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Those of the first stage as one row per edge, [14, 8], in the order of DARTS' table."""
    return {kind: weights[kind].flatten(1) for kind in TYPES}
