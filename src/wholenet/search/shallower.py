"""A budget that fewer layers meet: the same grid, whole, but shallower from the start. A control, as a narrower one.

The dense grid and the trellis have layers, too.
"""

from __future__ import annotations

from dataclasses import replace

from wholenet.spaces.catalog import left_of, subnets
from wholenet.spaces.sizes import LAYERED
from wholenet.spaces.space import Spec
from wholenet.spaces.subnets import Cost


def with_all_layers(spec: Spec) -> Spec:
    """``spec`` with the layers of its size."""
    return replace(spec, settings={**spec.settings, "layers": None}) if spec.space in LAYERED else spec


def with_layers(spec: Spec, layers: int) -> Spec:
    """``spec`` with so many layers."""
    return replace(spec, settings={**spec.settings, "layers": layers})


def layers_within(spec: Spec, cost: Cost, most: int) -> int:
    """The most layers, fewer than the size has, with which the whole grid costs no more than ``most``; the least where
    even they cost more: 1, or as many as cells are told to reach back.

    Raises:
        ValueError: for a space that has no layers to leave out.
    """
    if spec.space not in LAYERED:
        raise ValueError(
            f"budget_by='shallower' leaves layers out, which networks of the spaces {', '.join(LAYERED)} alone have as "
            f"a setting, and the space is {spec.space!r}; give another, such as saliency-by-kind"
        )
    deepest: int = left_of(with_all_layers(spec)).layers - 1
    least: int = spec.settings.get("reach_layers") or 1
    for layers in range(deepest, least, -1):
        known = subnets(with_layers(spec, layers))
        if known.cost(known.whole(), cost) <= most:
            return layers
    return least
