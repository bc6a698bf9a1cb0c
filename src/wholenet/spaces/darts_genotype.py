"""The discrete networks inside the cell spaces: a few edges into each node, one operation on each; and their files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from torch import Tensor

from wholenet.architecture import Weights
from wholenet.files import YAML_BYTES, read_text, read_yaml, shown, write_whole
from wholenet.ops.candidates import CANDIDATES
from wholenet.spaces.cell_tables import INPUTS, NODES, TYPES, CellEdge, Table, table_of
from wholenet.spaces.darts import option_weights
from wholenet.spaces.genotype_text import is_genotype_text, parse_genotype_text
from wholenet.spaces.published_cells import PUBLISHED_CELLS, near_names

KEPT = 2
"""Edges into each node."""
GATE = 0.85
"""Weight above which a gate counts as open (Fair DARTS)."""
FORMAT = 1
FAMILY = "cells"
"""What genotype files of these spaces say they are."""
KEYS = (*TYPES, "format", "space", "found_in", "operations")
"""What they have, of which only the first two are needed."""

Choice = tuple[str, int]
"""(operation, source)."""
Nodes = tuple[tuple[Choice, ...], ...]
"""What each of a cell's own nodes, 2 to 5, reads: the strongest first."""


@dataclass(frozen=True)
class CellGenotype:
    """A normal and a reduction cell.

    Raises:
        ValueError: if a cell has not four nodes, a node reads nothing, twice the same, or one that is not before it,
            or an operation has no such name.
    """

    normal: Nodes
    reduce: Nodes

    def __post_init__(self) -> None:
        for kind in TYPES:
            nodes: Nodes = getattr(self, kind)
            if len(nodes) != NODES:
                raise ValueError(f"the {kind} cell has {len(nodes)} nodes of its own; expected {NODES}")
            for target, choices in enumerate(nodes, INPUTS):
                sources = [source for _, source in choices]
                if not choices or len(set(sources)) < len(sources):
                    raise ValueError(
                        f"the {kind} cell's node {target} reads {shown(sources)}; expected each at most once"
                    )
                for name, source in choices:
                    if not 0 <= source < target:
                        raise ValueError(
                            f"the {kind} cell's node {target} reads node {shown(source)}; it can read 0 to {target - 1}"
                        )
                    CANDIDATES.called(name)

    def table(self) -> Table:
        """What :class:`wholenet.spaces.darts.DartsNet` builds, with ``search=False``."""
        return {
            kind: tuple(
                CellEdge(source, target, (name,))
                for target, choices in enumerate(getattr(self, kind), INPUTS)
                for name, source in choices
            )
            for kind in TYPES
        }

    def operations(self, kind: str) -> Counter[str]:
        """How often each operation is there in the cell of type ``kind``."""
        return Counter(name for choices in getattr(self, kind) for name, _ in choices)

    @property
    def without_weights(self) -> int:
        """Skip connections and noise in both cells: what DARTS falls for on S1 to S4."""
        return sum(self.operations(kind)[name] for kind in TYPES for name in ("skip_connect", "noise"))

    def __str__(self) -> str:
        """How much of what is left, in a line."""
        counts = {kind: sorted(self.operations(kind).items(), key=lambda of: (-of[1], of[0])) for kind in TYPES}
        return "; ".join(f"{kind}: {', '.join(f'{n} {name}' for name, n in counts[kind])}" for kind in TYPES)

    def to_dict(self) -> dict[str, Any]:
        """Plain values; :func:`cell_genotype_from_dict` takes them."""
        return {kind: [[list(choice) for choice in node] for node in getattr(self, kind)] for kind in TYPES}


def discretize(weights: Weights, table: Table) -> CellGenotype:
    """The rule of DARTS (Sec. 2.4): into each node the two edges whose best operation is strongest, with that one.

    ``none`` is never chosen, though it takes its share of the weights; ``noise`` may be. Of equally strong ones, the
    earlier source, and the earlier operation.

    Args:
        weights: of a supernet, as its masks; where edges have weights, these count (PC-DARTS).
        table: of its space.
    """
    return _by_strength(weights, table, lambda _strength: True)


def discretize_gates(weights: Weights, table: Table, above: float = GATE) -> CellGenotype:
    """The rule of Fair DARTS: as :func:`discretize`, but only gates ``above`` something.

    A node without any takes its strongest edge alone: the paper leaves open what becomes of it, and a node has to read
    something.
    """
    return _by_strength(weights, table, lambda strength: strength > above)


def discretize_edges(weights: Weights, table: Table) -> CellGenotype:
    """The rule of DA2S: into each node the two edges of the largest weights, whatever their operations count; on each
    its strongest operation, never ``none``. Of equally strong ones, the earlier source, and the earlier operation.

    Args:
        weights: of a supernet whose edges have weights, as its masks.
        table: of its space.
    """

    def nodes(kind: str) -> Nodes:
        best = _best_options(weights[kind], table[kind])
        rows = weights[f"{kind}_edges"].tolist()
        chosen = []
        for target in range(INPUTS, INPUTS + NODES):
            into = [(name, edge.source) for edge, _, name in best if edge.target == target]
            into.sort(key=lambda choice: -rows[target - INPUTS][choice[1]])
            chosen.append(tuple(into[:KEPT]))
        return tuple(chosen)

    return CellGenotype(**{kind: nodes(kind) for kind in TYPES})


def _by_strength(weights: Weights, table: Table, counts: Callable[[float], bool]) -> CellGenotype:
    def nodes(kind: str) -> Nodes:
        best = _best_options(option_weights(weights, kind), table[kind])
        chosen = []
        for target in range(INPUTS, INPUTS + NODES):
            into = [(strength, (name, edge.source)) for edge, strength, name in best if edge.target == target]
            into.sort(key=lambda option: -option[0])  # stable: the earlier of equals stays first
            kept = [choice for strength, choice in into[:KEPT] if counts(strength)]
            chosen.append(tuple(kept or [into[0][1]]))
        return tuple(chosen)

    return CellGenotype(**{kind: nodes(kind) for kind in TYPES})


def _best_options(weights: Tensor, edges: Sequence[CellEdge]) -> list[tuple[CellEdge, float, str]]:
    """The strongest operation of every edge, the first of equals, never ``none``; with its weight."""
    best = []
    for edge, row in zip(edges, weights.tolist(), strict=True):
        offered = [(weight, name) for weight, name in zip(row, edge.operations, strict=True) if name != "none"]
        best.append((edge, *max(offered, key=lambda option: option[0])))
    return best


# ---- files


def write_cell_genotype(
    genotype: CellGenotype, path: Path, space: str | None = None, operations: str | None = None
) -> None:
    """Write ``genotype``, found in ``space`` if that is known, with these ``operations`` if not its own, as YAML that
    people can read. The line ``space`` comes last, so that a file cut short is known by it."""
    of_search = {"found_in": space, "operations": operations}
    found = {name: value for name, value in of_search.items() if value is not None}
    content = {"format": FORMAT, **found, **genotype.to_dict(), "space": FAMILY}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, yaml.safe_dump(content, sort_keys=False, default_flow_style=None))


def read_cell_genotype(name: str | Path, space: str | None = None) -> CellGenotype:
    """A published genotype by its name, what :func:`write_cell_genotype` wrote, or one as DARTS' code prints it.

    Args:
        name: of ``PUBLISHED``; or a file; or the text ``Genotype(normal=[...], ...)`` itself.
        space: the search space that it has to be of; None takes any.

    Raises:
        ValueError: if it is neither, of another kind of space, or holds what ``space``, or the space that the file
            names, does not offer.
    """
    if str(name) in PUBLISHED:
        genotype = PUBLISHED[str(name)]
    elif is_genotype_text(str(name)):
        genotype = cell_genotype_from_dict(parse_genotype_text(str(name)))
    else:
        try:
            text = read_text(name, YAML_BYTES)
            content = parse_genotype_text(text) if is_genotype_text(text) else read_yaml(name)
        except (OSError, ValueError) as error:
            raise ValueError(
                f"{name} is no published genotype ({near_names(str(name))}known: {', '.join(PUBLISHED)}) and cannot be "
                f"read as one: {error}"
            ) from error
        try:
            if isinstance(content, Mapping) and "format" in content and "space" not in content:
                raise ValueError("it has no line `space`, which comes last: the file was cut short, write it again")
            genotype = cell_genotype_from_dict(content)
            if content.get("found_in") is not None:
                check_in_space(genotype, content["found_in"], content.get("operations"))
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
    if space is not None:
        check_in_space(genotype, space)
    return genotype


def cell_genotype_from_dict(content: Any) -> CellGenotype:
    """The genotype of plain values.

    Raises:
        ValueError: if they are none, or of another kind of space.
    """
    if not isinstance(content, Mapping):
        raise ValueError("this is no genotype; `wholenet fit DATA --space darts` writes one")
    if content.get("space", FAMILY) != FAMILY:
        raise ValueError(
            f"this is a genotype of the space {shown(content['space'])}; expected one of cells (DARTS, S1-S4), as "
            "`wholenet fit DATA --space darts` writes it"
        )
    if missing := [kind for kind in TYPES if kind not in content]:
        raise ValueError(f"this genotype has no {missing[0]} cell; `wholenet fit DATA --space darts` writes both")
    if unknown := [key for key in content if key not in KEYS]:
        raise ValueError(f"this genotype has {shown(unknown[0])}; expected {', '.join(KEYS)}")
    if (found := content.get("format", FORMAT)) != FORMAT or type(found) is not int:
        raise ValueError(f"genotype format {shown(found)}; this wholenet reads format {FORMAT}")
    for of_search in ("found_in", "operations"):
        if not isinstance(content.get(of_search), str | None):
            raise ValueError(f"this genotype's {of_search} is {shown(content[of_search])}; expected a text")
    try:
        cells = {
            kind: tuple(tuple((_name(name), _source(source)) for name, source in node) for node in content[kind])
            for kind in TYPES
        }
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"a cell is a list of nodes, each a list of [operation, source]: {error}") from error
    return CellGenotype(**cells)


def _name(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"an operation is called {shown(value)}; expected a text")
    return value


def _source(value: Any) -> int:
    if type(value) is not int:
        raise ValueError(f"an operation reads from {shown(value)}; expected the number of a node")
    return value


def check_in_space(genotype: CellGenotype, space: str, operations: str | None = None) -> None:
    """Make sure that ``space``, with these ``operations`` if not its own, offers what ``genotype`` holds.

    Raises:
        ValueError: if it does not; the first operation that is missing is named. If there is no such space.
    """
    table = table_of(space, operations)
    for kind in TYPES:
        offered = {(edge.source, edge.target): edge.operations for edge in table[kind]}
        for edge in genotype.table()[kind]:
            if edge.operations[0] not in offered[edge.source, edge.target]:
                raise ValueError(
                    f"the {kind} cell has {edge.operations[0]} from node {edge.source} to {edge.target}, where {space} "
                    f"offers {', '.join(offered[edge.source, edge.target])}: it is a genotype of another space"
                )


PUBLISHED = {
    name: CellGenotype(**{kind: found.nodes(kind) for kind in TYPES}) for name, found in PUBLISHED_CELLS.items()
}
"""Genotypes by the names that they are asked for with."""
