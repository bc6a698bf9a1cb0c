"""A cell of NAS-Bench-201: one operation on each of its six edges, and the string that people know it by.

``|op~0|+|op~0|op~1|+|op~0|op~1|op~2|`` names, node by node, the operation on the edge from each node before it.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from wholenet.file_keys import check_keys
from wholenet.files import SHOWN, read_yaml, shown, write_whole
from wholenet.spaces.cell_tables import CellEdge, Table

NAME = "nb201"
OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
"""In the benchmark's order."""
KIND = "cell"
"""The one type of cell."""
NODES = 4
"""Node 0 is the cell's input, node 3 its output."""
PAIRS = tuple((source, target) for target in range(1, NODES) for source in range(target))
"""The edges, by target and then by source."""
TABLE: Table = {KIND: tuple(CellEdge(*pair, OPERATIONS) for pair in PAIRS)}
"""What the supernet offers."""
FORM = "|op~0|+|op~0|op~1|+|op~0|op~1|op~2|"
"""How the strings look."""
EXAMPLE = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|"


@dataclass(frozen=True)
class Nb201Genotype:
    """A cell.

    Raises:
        ValueError: if there is not one operation for each edge, or an operation has no such name.
    """

    edges: tuple[str, ...]
    """The operation on each edge of ``PAIRS``."""

    def __post_init__(self) -> None:
        if len(self.edges) != len(PAIRS):
            raise ValueError(f"a cell of {NAME} has {len(PAIRS)} edges, found {len(self.edges)} operations")
        for name in self.edges:
            if name not in OPERATIONS:
                raise ValueError(_unknown(name))

    def __str__(self) -> str:
        """The string form."""
        nodes = [
            "".join(f"|{name}~{source}" for name, (source, to) in zip(self.edges, PAIRS, strict=True) if to == target)
            for target in range(1, NODES)
        ]
        return "+".join(f"{node}|" for node in nodes)

    def table(self) -> Table:
        """What its discrete network is built of."""
        return {KIND: tuple(CellEdge(*pair, (name,)) for pair, name in zip(PAIRS, self.edges, strict=True))}

    def operations(self, kind: str = KIND) -> Counter[str]:
        """How often each operation is there."""
        if kind != KIND:
            raise ValueError(f"{NAME} has one type of cell, {KIND!r}, and none called {shown(kind)}")
        return Counter(self.edges)

    def to_dict(self) -> dict[str, Any]:
        """Plain values; :func:`genotype_from_dict` takes them."""
        return {"arch": str(self)}


def genotype_from_string(text: str) -> Nb201Genotype:
    """The cell of a string; a digit behind ``~`` that is not the edge's own is an error, as in the benchmark's code.

    Raises:
        ValueError: if it is none; an operation that nearly has a name is told it.

    >>> genotype_from_string("|none~0|+|none~0|skip_connect~1|+|none~0|none~1|nor_conv_1x1~2|").edges[2]
    'skip_connect'
    """
    nodes = text.strip().split("+")
    if len(nodes) != NODES - 1:
        raise ValueError(f"{shown(text)} has {len(nodes)} nodes joined by +; expected {NODES - 1}: {FORM}")
    found = []
    for target, node in enumerate(nodes, 1):
        inner = node.strip()
        choices = inner.strip("|").split("|")
        if inner != f"|{'|'.join(choices)}|" or len(choices) != target:
            raise ValueError(f"node {target} is {shown(node)}; expected {target} of op~source between |: {FORM}")
        for source, choice in enumerate(choices):
            name, mark, number = choice.partition("~")
            if not mark or number != str(source):
                raise ValueError(f"node {target} has {shown(choice)}; expected an operation, ~ and {source}: {FORM}")
            found.append(name)
    return Nb201Genotype(tuple(found))


def is_string(text: str) -> bool:
    """Whether ``text`` is meant as one, right or not: no path begins so."""
    return text.strip().startswith("|")


def genotype_from_dict(content: Any) -> Nb201Genotype:
    """The genotype of plain values.

    Raises:
        ValueError: if they are none.
    """
    check_keys(content, {"arch": str}, f"a genotype of {NAME}", only=True)
    return genotype_from_string(content["arch"])


def read_genotype(name: str | Path) -> Nb201Genotype:
    """The cell of a string, or of a file that :func:`write_genotype` wrote.

    Raises:
        ValueError: if it is neither, or of another space.
    """
    if is_string(str(name)):
        return genotype_from_string(str(name))
    content = read_yaml(name)
    if isinstance(content, Mapping) and content.get("space", NAME) != NAME:
        raise ValueError(f"{name} is a genotype of the space {shown(content['space'])}; expected one of {NAME!r}")
    check_keys(content, {"arch": str, "space": str}, str(name), only=True)
    try:
        return genotype_from_string(content["arch"])
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def write_genotype(genotype: Nb201Genotype, path: Path) -> None:
    """Write ``genotype`` as YAML. The line ``space`` comes last, so that a file cut short is known by it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, yaml.safe_dump({**genotype.to_dict(), "space": NAME}, sort_keys=False, width=1000))


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, OPERATIONS, n=1)
    meant = f"; did you mean {near[0]}?" if near else ""
    return f"unknown operation {shown(name[:SHOWN])} of {NAME}{meant} Known: {', '.join(OPERATIONS)}"
