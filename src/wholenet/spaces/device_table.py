"""How long the units of a network take on one device: a file of measured times, which may come from anywhere."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from wholenet.checked import Channels, Classes, Side, Threads, built, checked
from wholenet.files import is_plain, read_json, shown, write_whole
from wholenet.spaces.space import Spec

Ms = Annotated[float, Field(ge=0, le=10_000_000)]
"""Milliseconds."""
LEFT_OPEN = ("operations",)
"""Settings of a space that two networks of one table may have other values of: what a table lacks, it is asked for."""

LONGEST = 200
"""Most characters of a name."""
NEAR_ENOUGH = 0.1
"""How far, as a share of what is measured, a sum may be from it."""


@checked
class DeviceTable:
    """Times of the units of one space's networks, folded, for one image of one size."""

    format: Literal[1] = 1
    device: str
    """What it was measured on."""
    torch: str
    """Version."""
    threads: Threads
    clock: Literal["cpu", "wall"]
    """Time that the one thread ran, whatever else the machine did then; of several threads, time on the wall."""
    date: str
    height: Side
    width: Side
    space: str
    settings: dict[str, Any]
    outputs: Classes
    channels: Channels
    units: dict[str, Ms]
    """Medians in milliseconds, by :func:`unit_name` and :func:`bottleneck_name`; "rest" is what networks take beyond
    their units."""
    checks: list[dict[str, Ms]]
    """What the table was compared with: "share" (of the whole network's multiply-adds), "table" (the sum of its units)
    and "measured", in milliseconds. The whole network first, of which the sum is that before one factor on all units
    made it right; then random parts of it."""

    def __post_init__(self) -> None:
        for name in ("device", "torch", "date"):  # which are shown
            if not is_plain(text := getattr(self, name)) or len(text) > LONGEST:
                raise ValueError(f"{name}={shown(text)}: expected a line of at most {LONGEST} characters")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as the file has them."""
        return dataclasses.asdict(self)

    @property
    def told(self) -> str:
        """What it is of, for people."""
        threads = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        return f"{self.device}, {threads}, torch {self.torch}, images of {self.height}x{self.width}, {self.date}"

    @property
    def adds_up(self) -> str:
        """How well its sums are those that were measured, for people."""
        if not self.checks or any(set(check) != {"share", "table", "measured"} for check in self.checks):
            return "the table was compared with nothing"
        whole, *parts = self.checks
        said = (
            f"the table adds up to {whole['table']:.3g} ms; measured {whole['measured']:.3g} ms, {_off(whole):.0%} "
            "off, which one factor makes up for"
        )
        if not parts:
            return said
        low, high = (of(check["share"] for check in parts) for of in (min, max))
        worst = max(map(_off, parts))
        beyond = f": more than {NEAR_ENOUGH:.0%}, so measure again when the machine is idle" * (worst > NEAR_ENOUGH)
        return (
            f"{said}; {len(parts)} random parts, {low:.0%} to {high:.0%} of it: "
            f"{sum(map(_off, parts)) / len(parts):.0%} off in the mean, at most {worst:.0%}{beyond}"
        )


def _off(check: Mapping[str, float]) -> float:
    return abs(check["table"] - check["measured"]) / (check["measured"] or 1.0)


def unit_name(kind: str, *strides: int) -> str:
    """What a unit is called.

    >>> unit_name("stem", 4), unit_name("edge", 4, 8)
    ('stem 4', 'edge 4>8')
    """
    return f"{kind} {'>'.join(map(str, strides))}"


def bottleneck_name(stride: int, kernel: tuple[int, int], width: int | None = None) -> str:
    """What a bottleneck of ``width`` channels with a kernel of (side, dilation) is called; without a width, what such
    names begin with.

    >>> bottleneck_name(4, (3, 1), 48), bottleneck_name(4, (3, 2))
    ('bottleneck 4 3x3 48', 'bottleneck 4 3x3/2')
    """
    side, dilation = kernel
    name = f"bottleneck {stride} {side}x{side}{'' if dilation == 1 else f'/{dilation}'}"
    return name if width is None else f"{name} {width}"


def times_by_width(table: DeviceTable, name: str) -> dict[int, float]:
    """Milliseconds by width, of what is called ``name`` but for its width; ascending."""
    found = ((re.fullmatch(rf"{re.escape(name)} ([1-9]\d{{,5}})", unit), ms) for unit, ms in table.units.items())
    return dict(sorted((int(match[1]), ms) for match, ms in found if match))


def write_table(table: DeviceTable, path: str | Path) -> None:
    """Write what :func:`read_table` reads."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(table.to_dict(), indent=1) + "\n")


def read_table(path: str | Path) -> DeviceTable:
    """The table in a file.

    Raises:
        ValueError: if it is none, or there is none; the file is named.
        OSError: if it cannot be opened.
    """
    if not Path(path).exists():
        raise ValueError(f"{path} does not exist; expected a table of times, which `wholenet device-table` writes")
    values = read_json(path)
    try:
        return built(DeviceTable, values, whole=True)
    except ValueError as error:
        raise ValueError(f"{path} is no table of times: {error}; `wholenet device-table` writes one") from error


def check_table(table: DeviceTable, spec: Spec, size: tuple[int, int], device: str, where: str) -> None:
    """Make sure that ``table`` is of networks of ``spec``, of images of ``size`` = (H, W) and of this ``device``.

    Raises:
        ValueError: saying what each is; ``where`` names the table.
    """
    again = "; measure one: wholenet device-table"
    if table.device != device:
        raise ValueError(f"{where} was measured on {shown(table.device)}, and this machine is {shown(device)}{again}")
    if (table.height, table.width) != size:
        raise ValueError(
            f"{where} is of images of {table.height}x{table.width}, and the budget is of {size[0]}x{size[1]}; give "
            f"budget_at={table.height}x{table.width}, or another table"
        )
    theirs, ours = (
        {"space": one.space, **{k: v for k, v in one.settings.items() if k not in LEFT_OPEN}}
        | {"classes": one.outputs, "channels": one.channels}
        for one in (table, spec)
    )
    for name in {**theirs, **ours}:
        if theirs.get(name) != ours.get(name):
            found, wanted = shown(theirs.get(name)), shown(ours.get(name))
            raise ValueError(f"{where} is of networks with {name}={found}, and this run's has {wanted}{again}")
