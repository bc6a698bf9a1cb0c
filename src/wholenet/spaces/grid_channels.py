"""Which axes of a grid's tensors have channels that can be removed, by the tensors' names in the network."""

from __future__ import annotations

STEM = -1
"""As a layer: what is before the first."""
Channels = int | tuple[int, int] | None
"""What channels an axis has: those of a level, the expanded ones of the cell at (layer, level), those inside the stem
at (STEM, level), or all that the decoder reads."""

OF_BOTTLENECKS = {"expand": 0, "depthwise": 0, "norm": 0, "gate.squeeze.weight": 1, "gate.excite": 0, "project.0": 1}
"""Along which axis tensors of a bottleneck have its expanded channels, by the beginning of their names."""
OF_LEVELS = {"expand.0": 1, "project": 0}
"""Likewise the channels of its level."""


def axes_of(name: str) -> list[tuple[int, Channels]]:
    """Which axes of a grid's tensor have channels that can be removed, and which those are.

    >>> axes_of("transitions.0_2_1.conv.weight"), axes_of("cells.3_1.cell.project.0.weight")
    ([(0, 1), (1, 2)], [(1, (3, 1)), (0, 1)])
    >>> axes_of("stems.2.0.0.weight"), axes_of("stems.2.2.0.weight")
    ([(0, (-1, 2))], [(0, 2), (1, (-1, 2))])
    """
    section, _, rest = name.partition(".")
    key, _, rest = rest.partition(".")
    if section == "cells":
        layer, level = (int(place) for place in key.split("_"))
        rest = rest.removeprefix("cell.")
        of = ((OF_BOTTLENECKS, (layer, level)), (OF_LEVELS, level))
        return [(axis, channels) for table, channels in of for start, axis in table.items() if rest.startswith(start)]
    if section == "transitions":
        _, source, target = (int(place) for place in key.split("_")[:3])  # a fourth is how far back it reads
        return [(0, target), (1, source)] if rest == "conv.weight" else [(0, target)]
    if section == "stems":
        level, inside = int(key), (STEM, int(key))
        reads = [(1, inside)] if rest in ("1.0.weight", "2.0.weight") else []
        return [(0, level if rest.startswith("2.") else inside), *reads]
    return [(1, None)] if name == "decoder.merge.weight" else []
