"""Measures how long the units of a grid take on this machine: a table that adds up to the time of whole networks.

Units are timed where they stand, in folded networks that run from image to logits: a unit by itself, over and over,
finds its input and weights in the caches and is up to twice as fast. What networks take beyond their units (image
sizes, enlarging the logits, calls) is the remainder, and one number. What the clock itself takes is measured and taken
off. All runs are interleaved, round by round, and medians are taken over the rounds.

Of one thread, what is counted is the time that it ran, so neighbours on a busy machine cost little but the caches.
"""

from __future__ import annotations

import random
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from wholenet.architecture import uniform_weights
from wholenet.deploy.fold import Folded, fold_grid
from wholenet.machine import on_threads, processor
from wholenet.ops.layers import lay_out
from wholenet.search.budget_config import TIMED
from wholenet.spaces.catalog import create_from, grid_subnets
from wholenet.spaces.device_table import DeviceTable, bottleneck_name, unit_name
from wholenet.spaces.grid import Grid
from wholenet.spaces.grid_costs import all_merged
from wholenet.spaces.grid_subnets import GridSubnets
from wholenet.spaces.links import LEVELS, STRIDES
from wholenet.spaces.space import Spec
from wholenet.spaces.subgrid import CellPart, Subgrid, channels_of, groups_of

WIDTHS = (0.125, 0.25, 0.5, 0.75, 1.0)
"""Shares of a bottleneck's groups that are measured."""
LAYERS = 4
"""Most layers of the networks in which units are timed."""
SHARES = (0.7, 0.6, 0.55, 0.5, 0.4, 0.3)
"""Of the whole network's multiply-adds: the random parts of it that the table is compared with."""
ROUNDS = (7, 25)
"""Fewest and most."""


class _Clocked(nn.Module):
    """``module``, of whose runs the nanoseconds are put into ``took``."""

    def __init__(self, module: nn.Module, took: list[int], now: Callable[[], int]) -> None:
        super().__init__()
        self.module = module
        self.took = took
        self.now = now

    def forward(self, *given: Any) -> Tensor:
        """As ``module``."""
        start = self.now()
        found = self.module(*given)
        self.took.append(self.now() - start)
        return found


class _Probe(NamedTuple):
    """A network that units are timed in."""

    net: Folded
    additions: Sequence[int]
    """Of maps, by level."""


@dataclass(frozen=True)
class _Samples:
    """Nanoseconds, one number for each run."""

    units: defaultdict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    """By name; of clocked units with what the clock takes, which is ``inside``."""
    rest: list[float] = field(default_factory=list)
    """Of the networks that units were timed in, what is beyond these."""
    whole: list[list[int]] = field(default_factory=list)
    """Of the networks that the table is compared with."""
    inside: float = 0.0

    def clear(self) -> None:
        """Forget all."""
        for found in (*self.units.values(), self.rest, *self.whole):
            found.clear()


def measure_table(
    spec: Spec, size: tuple[int, int], *, threads: int = 1, seconds: float = 6.0, seed: int = 0
) -> DeviceTable:
    """Measure the units of the supernet of ``spec`` on this machine's CPU, for one image of ``size`` = (H, W).

    Args:
        spec: of a grid.
        size: of the image.
        threads: of torch.
        seconds: about how long it may compute; more for a network of which a few runs take longer.
        seed: of the random parts that the table is compared with.

    Raises:
        ValueError: for a network that units cannot be removed from, or that is no grid.
    """
    known = grid_subnets(spec)
    parts = [known.whole(), *(random_part(known, n, size, seed + i) for i, n in enumerate(SHARES))]
    with on_threads(threads), torch.random.fork_rng(devices=[]), torch.no_grad():
        samples = _sampled(known, spec, parts, size, seconds, threads)
    units = {name: _ms(times, samples.inside) for name, times in sorted(samples.units.items())}
    table = DeviceTable(
        device=processor(),
        torch=str(torch.__version__),
        threads=threads,
        clock="cpu" if threads == 1 else "wall",
        date=datetime.now(UTC).date().isoformat(),
        height=size[0],
        width=size[1],
        space=spec.space,
        settings=dict(spec.settings),
        outputs=spec.outputs,
        channels=spec.channels,
        units={**units, "rest": _ms(samples.rest)},
        checks=[],
    )
    sums = [known.cost(part, known.times(table)) / 1e6 for part in parts]
    measured = [_ms(times) for times in samples.whole]
    # Medians of parts add up to a little less than the median of a sum, since times are skewed: by one factor.
    factor = measured[0] / sums[0]
    table = replace(table, units={name: round(ms * factor, 6) for name, ms in table.units.items()})
    sums[1:] = [known.cost(part, known.times(table)) / 1e6 for part in parts[1:]]
    macs = known.multiply_adds(*size)
    shares = [known.cost(part, macs) / known.cost(parts[0], macs) for part in parts]
    checks = [
        {"share": round(share, 4), "table": round(total, 4), "measured": round(ms, 4)}
        for share, total, ms in zip(shares, sums, measured, strict=True)
    ]
    return replace(table, checks=checks)


def _sampled(
    known: GridSubnets, spec: Spec, parts: Sequence[Subgrid], size: tuple[int, int], seconds: float, threads: int
) -> _Samples:
    now = time.thread_time_ns if threads == 1 else time.perf_counter_ns
    inside, outside = _clock_itself(now)
    samples = _Samples(whole=[[] for _ in parts], inside=inside)
    x = torch.randn(1, spec.channels, *size).contiguous(memory_format=torch.channels_last)
    probes = [_probe(known, spec, subgrid, samples.units, now) for subgrid in probed(known)]
    nets = [fold_grid(create_from(replace(spec, subnet=part.to_dict())).eval()) for part in parts]
    maps = [_maps(known, level, size) for level in range(LEVELS)]
    joined = [samples.units[unit_name("addition", stride)] for stride in STRIDES]

    def round_() -> None:
        for times, (one, other) in zip(joined, maps, strict=True):
            times.append(_timed(lambda a=one, b=other: torch.add(a, b), now))
        for probe in probes:
            before = [sum(map(of, samples.units.values())) for of in (sum, len)]
            all_of_it = _timed(lambda net=probe.net: net(x), now)
            ns, count = (sum(map(of, samples.units.values())) - n for of, n in zip((sum, len), before, strict=True))
            added = sum(n * (times[-1] - inside) for times, n in zip(joined, probe.additions, strict=True))
            samples.rest.append(all_of_it - ns - added - count * outside)
        for net, times in zip(nets, samples.whole, strict=True):
            times.append(_timed(lambda net=net: net(x), now))

    round_()  # the first run allocates
    one_round = max(1, _timed(round_, now))
    samples.clear()
    for _ in range(min(max(ROUNDS[0], int(1e9 * seconds / one_round)), ROUNDS[1])):
        round_()
    return samples


def _clock_itself(now: Callable[[], int], count: int = 1000) -> tuple[float, float]:
    """Nanoseconds that a clocked unit that does nothing takes: by its own account, and beyond that."""
    took = list[int]()
    nothing = _Clocked(nn.Identity(), took, now)
    x = torch.zeros(1)
    start = now()
    for _ in range(count):
        nothing(x)
    every = (now() - start) / count
    return statistics.median(took), max(0.0, every - statistics.fmean(took))


def probed(known: GridSubnets) -> Iterator[Subgrid]:
    """Grids of few layers, all edges there, in which every kernel occurs at every measured width, and bare cells do:
    one kind in each layer."""
    kernels = all_merged(known.kernels).values()
    kinds = [((), 0.0), *((places, share) for share in reversed(WIDTHS) for places in kernels)]
    layers = min(LAYERS, known.size.layers)
    whole = replace_layers(known, layers).whole()
    for first in range(0, len(kinds), layers):
        cells = dict[tuple[int, int], CellPart]()
        for (layer, level), part in whole.cells.items():
            places, share = kinds[(first + layer) % len(kinds)]
            groups = max(1, round(share * groups_of(known.widths[level]))) if places else 0
            cells[layer, level] = CellPart(part.inputs, places, tuple(range(groups)))
        yield replace(whole, cells=cells)


def replace_layers(known: GridSubnets, layers: int) -> GridSubnets:
    """The subnets of a grid with other layers."""
    return GridSubnets(replace(known.size, layers=layers), known.operations, known.outputs, known.channels)


def random_part(known: GridSubnets, share: float, size: tuple[int, int], seed: int) -> Subgrid:
    """What is left when units go by chance until a ``share`` of the multiply-adds is, or none can go."""
    draw, macs, left = random.Random(seed), known.multiply_adds(*size), known.whole()
    goal = share * known.cost(left, macs)
    while known.cost(left, macs) > goal and (units := [u for u in known.units(left) if u.kind in TIMED]):
        left = known.without(left, draw.choice(units))
    return left


def _probe(
    known: GridSubnets, spec: Spec, subgrid: Subgrid, took: defaultdict[str, list[int]], now: Callable[[], int]
) -> _Probe:
    """The folded network of ``subgrid``, each of its units clocked."""
    net = Grid(
        replace(known.size, layers=subgrid.layers),
        known.outputs,
        known.channels,
        activation=spec.settings["activation"],
        operations=known.operations,
        kept=subgrid.masks(),
        widths=known.widths_of(subgrid),
    ).eval()
    weights = uniform_weights(net.masks)
    folded = Folded(net.double(), weights["alpha"].double(), weights["beta"].double()).float().eval()
    lay_out(folded)

    def clocked(module: nn.Module, name: str) -> nn.Module:
        return _Clocked(module, took[name], now)

    for level, stem in folded.stems.items():
        folded.stems[level] = clocked(stem, unit_name("stem", STRIDES[int(level)]))
    for key, transition in folded.transitions.items():
        _, source, target = map(int, key.split("_"))
        folded.transitions[key] = clocked(transition, unit_name("edge", STRIDES[source], STRIDES[target]))
    additions = [0] * LEVELS
    for (layer, level), part in subgrid.cells.items():
        additions[level] += len(part.inputs) - 1
        name = unit_name("bare", STRIDES[level])
        if not part.bare:
            kernel = next(k for k, places in all_merged(known.kernels).items() if places == part.operations)
            width = sum(len(channels_of(group, known.widths[level])) for group in part.groups)
            name = bottleneck_name(STRIDES[level], kernel, width)
        folded.cells[f"{layer}_{level}"] = clocked(folded.cells[f"{layer}_{level}"], name)
    folded.decoder = clocked(folded.decoder, "decoder")  # pyright: ignore[reportAttributeAccessIssue]
    return _Probe(folded, additions)


def _maps(known: GridSubnets, level: int, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    sides = [-(-side // STRIDES[level]) for side in size]
    one, other = (torch.randn(1, known.size.filters * 2**level, *sides) for _ in range(2))
    return one.contiguous(memory_format=torch.channels_last), other.contiguous(memory_format=torch.channels_last)


def _timed(run: Callable[[], object], now: Callable[[], int]) -> int:
    start = now()
    run()
    return now() - start


def _ms(times: Sequence[float], less: float = 0.0) -> float:
    """The median of nanoseconds in milliseconds, less so many; not below nothing."""
    return round(max(0.0, statistics.median(times) - less) / 1e6, 6)
