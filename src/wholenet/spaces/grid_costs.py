"""What the parts of a grid cost, in one image: multiply-adds in closed form, or time by a table of measured units.

Both say the same of the same parts, in whole numbers, so that their sums are exact in any order. Letters: H x W pixels
of an image; level i = 0..3 stands for stride 4 * 2**i; F filters at level 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Protocol

from wholenet.ops.bottleneck import hidden_width
from wholenet.spaces.device_table import DeviceTable, bottleneck_name, times_by_width, unit_name
from wholenet.spaces.links import LEVELS, STRIDES, incoming
from wholenet.spaces.sizes import GridSize
from wholenet.spaces.subnets import Cost

Kernel = tuple[int, int]
"""(side, dilation) of the one kernel that the operations of a bottleneck come to."""


class GridCost(Cost, Protocol):
    """A cost by the parts of a grid. Without an operation a cell is bare: its residual path alone."""

    @property
    def narrows(self) -> bool:
        """Whether it is known of levels that are narrower than they were."""
        ...

    def rest(self) -> int:
        """What every network has: image sizes, enlarging the logits."""
        ...

    def stem(self, level: int, channels: Sequence[int], inside: int) -> int:
        """The stem of one level, so many channels wide ``inside``; ``channels``, here and below: of the feature maps of
        each level."""
        ...

    def edge(self, source: int, target: int, channels: Sequence[int]) -> int:
        """An edge between two levels."""
        ...

    def addition(self, level: int) -> int:
        """Adding one map to another, for each edge of a cell but the first."""
        ...

    def bare(self, level: int) -> int:
        """A cell without a bottleneck."""
        ...

    def bottleneck(self, level: int, channels: Sequence[int], width: int, kernel: Kernel) -> int:
        """A cell with a bottleneck of ``width`` expanded channels: no less than a bare one."""
        ...

    def decoder(self, channels: Sequence[int]) -> int:
        """The decoder."""
        ...


def macs_in_words(macs: int) -> str:
    """Multiply-adds, for people.

    >>> macs_in_words(1_234_567_890), macs_in_words(45_600_000)
    ('1.23 GMACs', '45.6 MMACs')
    """
    return f"{macs / 1e9:.3g} GMACs" if macs >= 10**9 else f"{macs / 1e6:.3g} MMACs"


class GridMacs:
    """Multiply-adds of the form that runs on a CPU: kernels mixed first, 1 x 1 convolutions at the smaller size.

    Args:
        size: of the grid.
        outputs: classes to tell apart.
        channels: of the images.
        image: (H, W).
    """

    name = "macs"
    narrows = True

    def __init__(self, size: GridSize, outputs: int, channels: int, image: tuple[int, int]) -> None:
        self.grid = size
        self.outputs = outputs
        self.channels = channels
        self.size = image
        self.pixels = [_halved(*image, level + 2) for level in range(LEVELS)]

    def in_words(self, amount: int) -> str:
        """An amount, for people: "1.23 GMACs"."""
        return macs_in_words(amount)

    def rest(self) -> int:
        """None: resizing has no convolution."""
        return 0

    def stem(self, level: int, channels: Sequence[int], inside: int) -> int:
        """Three convolutions."""
        first, second = (_halved(*self.size, level + times) for times in (1, 2))
        return 9 * (self.channels * inside + inside**2) * first + 9 * inside * channels[level] * second

    def edge(self, source: int, target: int, channels: Sequence[int]) -> int:
        """A 1 x 1 convolution at the smaller size."""
        return channels[source] * channels[target] * min(self.pixels[source], self.pixels[target])

    def addition(self, level: int) -> int:  # noqa: ARG002
        """None: no multiplication."""
        return 0

    def bare(self, level: int) -> int:  # noqa: ARG002
        """None, likewise."""
        return 0

    def bottleneck(self, level: int, channels: Sequence[int], width: int, kernel: Kernel) -> int:
        """Expansion, depthwise kernel, gate (as deep inside as it was), projection."""
        hidden = hidden_width(self.grid.filters * 2**level // self.grid.sampling * self.grid.expansion)
        inside = 2 * channels[level] // self.grid.sampling
        return (inside + kernel[0] ** 2) * width * self.pixels[level] + 2 * width * hidden

    def decoder(self, channels: Sequence[int]) -> int:
        """A 1 x 1 convolution of each level, and one to the classes."""
        head = self.grid.head
        merged = sum(c * head * n for c, n in zip(channels, self.pixels, strict=True))
        return merged + head * self.outputs * self.pixels[0]


class GridTimes:
    """Time in nanoseconds, by a table of measured units; between the widths that were measured, linearly.

    Measured times are noisy, and a wider bottleneck that seems faster than a narrower one would never get narrower. So
    those of one kernel are replaced by the nearest (in squares) that grow with the width, each step by at least
    ``SLOPE`` of the mean one. None is below that of a bare cell. Levels that were narrowed are not in the table.

    Args:
        table: of the grid's units.
        kernels: that the bottlenecks of the grid can have.
        widths: of the whole bottlenecks, by level.
        features: channels of the whole feature maps, by level.

    Raises:
        ValueError: if the table lacks a unit of the grid (named).
    """

    name = "ms"
    narrows = False

    def __init__(
        self, table: DeviceTable, kernels: Sequence[Kernel], widths: Sequence[int], features: Sequence[int]
    ) -> None:
        self.features = list(features)
        self.table = table
        self.size = (table.height, table.width)
        levels = list(zip(STRIDES, widths, strict=True))
        wanted = [*needed(), *(bottleneck_name(stride, k, width) for k in kernels for stride, width in levels)]
        if lacking := [name for name in wanted if name not in table.units]:
            raise ValueError(
                f"the table of times lacks {len(lacking)} of the {len(wanted)} units that this network needs, such as "
                f"{lacking[0]!r}; measure one for it: wholenet device-table"
            )
        ns = {name: round(ms * 1e6) for name, ms in table.units.items()}
        self._single = {kind: [ns[unit_name(kind, stride)] for stride in STRIDES] for kind in SINGLE}
        self._edges = {(s, t): ns[unit_name("edge", STRIDES[s], STRIDES[t])] for s, t in EDGES}
        self._decoder, self._rest = ns["decoder"], ns["rest"]
        self._bottlenecks = dict[tuple[int, Kernel], dict[int, int]]()
        for level, stride in enumerate(STRIDES):
            for kernel in kernels:
                measured = growing(times_by_width(table, bottleneck_name(stride, kernel)))
                points = {width: max(self.bare(level), round(ms * 1e6)) for width, ms in measured.items()}
                self._bottlenecks[level, kernel] = points

    def in_words(self, amount: int) -> str:
        """An amount, for people: "31.2 ms"."""
        return f"{amount / 1e6:.3g} ms"

    def rest(self) -> int:
        """What the whole takes beyond the units that it is made of."""
        return self._rest

    def stem(self, level: int, channels: Sequence[int], inside: int) -> int:  # noqa: ARG002
        """As measured."""
        return self._single["stem"][level]

    def edge(self, source: int, target: int, channels: Sequence[int]) -> int:  # noqa: ARG002
        """As measured."""
        return self._edges[source, target]

    def addition(self, level: int) -> int:
        """As measured."""
        return self._single["addition"][level]

    def bare(self, level: int) -> int:
        """As measured."""
        return self._single["bare"][level]

    def bottleneck(self, level: int, channels: Sequence[int], width: int, kernel: Kernel) -> int:  # noqa: ARG002
        """Between the two nearest widths that were measured; below all of them, as the least."""
        points = self._bottlenecks[level, kernel]
        below = max((w for w in points if w <= width), default=min(points))
        above = min((w for w in points if w >= width), default=max(points))
        if below >= above:
            return points[below]
        return points[below] + (points[above] - points[below]) * (width - below) // (above - below)

    def decoder(self, channels: Sequence[int]) -> int:
        """As measured.

        Raises:
            ValueError: for a network whose levels were narrowed.
        """
        if list(channels) != self.features:
            raise ValueError(
                f"levels of {', '.join(map(str, channels))} channels are not timed, only whole ones "
                f"({', '.join(map(str, self.features))}); give the budget in multiply-adds, like 2GMACs"
            )
        return self._decoder


SINGLE = ("stem", "addition", "bare")
"""Units of which each level has one."""
EDGES = [(edge.source, edge.target) for target in range(LEVELS) for edge in incoming(0, target)]
"""Levels that edges join: (source, target)."""


SLOPE = 0.25
"""Of the mean growth of a time with the width: the least that there is between two widths."""


def growing(times: Mapping[int, float]) -> dict[int, float]:
    """Times by ascending width -> the nearest, in the sum of squares, of which each step is at least ``SLOPE`` of the
    mean step, or of nothing where the widest takes no longer than the narrowest.

    By pooling adjacent violators (Ayer et al., "An Empirical Distribution Function for Sampling with Incomplete
    Information", 1955) in what is left when that slope is taken off.

    >>> growing({1: 1.0, 2: 4.0, 3: 2.0, 5: 5.0})
    {1: 1.0, 2: 2.875, 3: 3.125, 5: 5.0}
    """
    widths, measured = list(times), list(times.values())
    span = widths[-1] - widths[0]
    slope = SLOPE * max(0.0, measured[-1] - measured[0]) / span if span else 0.0
    blocks: list[list[float]] = []
    for width, ms in times.items():
        blocks.append([ms - slope * width])
        while len(blocks) > 1 and fmean(blocks[-2]) >= fmean(blocks[-1]):
            last = blocks.pop()
            blocks[-1] += last
    level = [fmean(block) for block in blocks for _ in block]
    return {width: ms + slope * width for width, ms in zip(widths, level, strict=True)}


def needed() -> list[str]:
    """Names of the units that every grid has, but for bottlenecks."""
    single = [unit_name(kind, stride) for kind in SINGLE for stride in STRIDES]
    return [*single, *(unit_name("edge", STRIDES[s], STRIDES[t]) for s, t in EDGES), "decoder", "rest"]


def merged_kernel(kernels: Sequence[Kernel]) -> Kernel:
    """The one kernel that equals those of (side, dilation), as ``ops.mixture`` merges them.

    >>> merged_kernel([(3, 1), (5, 1)]), merged_kernel([(3, 2)]), merged_kernel([(3, 1), (3, 2)])
    ((5, 1), (3, 2), (5, 1))
    """
    step = math.gcd(*(dilation for side, dilation in kernels if side > 1)) or 1
    return max(dilation // step * (side - 1) + 1 if side > 1 else 1 for side, dilation in kernels), step


def all_merged(kernels: Sequence[Kernel]) -> dict[Kernel, tuple[int, ...]]:
    """What any of the operations of these kernels can come to, and the places of some that do.

    >>> all_merged([(3, 1), (5, 1)])
    {(3, 1): (0,), (5, 1): (1,)}
    """
    found = dict[Kernel, tuple[int, ...]]()
    for place, kernel in enumerate(kernels):
        for places in [(), *found.values()]:
            found.setdefault(merged_kernel([*(kernels[p] for p in places), kernel]), (*places, place))
    return found


def _halved(height: int, width: int, times: int) -> int:
    """Pixels after so many halvings, each rounded up."""
    return -(-height // 2**times) * -(-width // 2**times)
