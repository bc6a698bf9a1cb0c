"""Tables of times that nobody measured: what units take is drawn."""

import random
from itertools import pairwise

from wholenet.machine import processor
from wholenet.spaces.catalog import grid_subnets
from wholenet.spaces.device_table import DeviceTable, bottleneck_name
from wholenet.spaces.grid_costs import all_merged, needed
from wholenet.spaces.links import STRIDES


def made_table(spec, size, seed=0, **changes):
    """One of networks of ``spec``, for images of ``size``, on this machine; with ``changes`` to its fields. Wider
    bottlenecks take longer, and all longer than a bare cell."""
    known, draw = grid_subnets(spec), random.Random(seed)
    units = {name: round(draw.uniform(0.01, 0.1), 6) for name in needed()}
    for kernel in all_merged(known.kernels):
        for stride, width in zip(STRIDES, known.widths, strict=True):
            ms = 0.1
            for before, part in pairwise((0, 1, width // 3, width // 2, width)):
                ms += (part - before) * draw.uniform(0.02, 0.04)
                units[bottleneck_name(stride, kernel, part)] = round(ms, 6)
    facts = {"device": processor(), "torch": "1.0", "threads": 1, "clock": "cpu", "date": "2026-11-29"}
    facts |= {"height": size[0], "width": size[1], "space": "grid", "settings": dict(spec.settings)}
    facts |= {"outputs": spec.outputs, "channels": spec.channels, "units": units, "checks": []}
    return DeviceTable(**{**facts, **changes})
