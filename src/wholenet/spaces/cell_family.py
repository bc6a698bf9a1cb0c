"""What searches have to know of a space whose networks are made of cells: DARTS and S1 to S4, or NAS-Bench-201.

The spaces of a family have genotypes of one kind. A cell space's table says which edges there are and what they offer;
its family says what is kept of them, and how that is read, written and counted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from wholenet.architecture import Weights
from wholenet.files import read_yaml
from wholenet.spaces import darts_genotype as darts_cells
from wholenet.spaces.cell_space import check_operations
from wholenet.spaces.cell_tables import CellEdge, Table
from wholenet.spaces.darts_genotype import KEPT, CellGenotype, Choice
from wholenet.spaces.dots.decoding import discretize_stage
from wholenet.spaces.dots.network import DotsNet
from wholenet.spaces.dots.space import NAME as DOTS
from wholenet.spaces.dots.survivors import survivors_of
from wholenet.spaces.nb201 import decoding as nb201_decoding
from wholenet.spaces.nb201 import genotype as nb201_cells
from wholenet.spaces.survivors import strongest


class CellsFound(Protocol):
    """What a search on a cell space ends with: :class:`CellGenotype`, or
    :class:`wholenet.spaces.nb201.genotype.Nb201Genotype`."""

    def table(self) -> Table:
        """The edges that are there, each with its one operation."""
        ...

    def operations(self, kind: str) -> Mapping[str, int]:
        """How often each operation is there in the cell of type ``kind``."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        ...


Kept = Mapping[str, tuple[tuple[Choice, ...], ...]]
"""By type of cell, what each of its own nodes reads: (operation, source)."""


@dataclass(frozen=True)
class Later:
    """How searches that follow another one in the same run learn."""

    together: bool = False
    """Weights and architecture from one backward pass."""
    betas: tuple[float, float] | None = None
    """Of the architecture's Adam; None: as of a first search."""


@dataclass(frozen=True, kw_only=True)
class CellFamily:
    """Spaces whose genotypes are of one kind."""

    retrained_as: str
    """The space that a model folder of a discrete network names, which is built from its genotype alone."""
    kept: int | None
    """Edges that a genotype has into each node; None: all."""
    keeps_none: bool
    """Whether ``none`` may be chosen on an edge, by strength or by what its removal costs."""
    make: Callable[[Kept], Any]
    """What is kept -> a genotype."""
    discretize: Callable[[Weights, Table], Any]
    """The genotype of the strongest options."""
    discretize_gates: Callable[..., Any]
    """That of the open gates (Fair DARTS): (weights, table, above=the weight of an open gate)."""
    discretize_edges: Callable[[Weights, Table], Any] | None = None
    """That of the edges with the largest weights (DA2S); None: its genotypes keep all edges, or choose otherwise."""
    from_dict: Callable[[Any], Any]
    """Plain values, which may come from anywhere -> a genotype."""
    read: Callable[[str | Path], Any]
    """File or name -> a genotype."""
    write: Callable[[Any, Path, str | None, str | None], None]
    """(genotype, file, the space that it was found in, operations in the place of that space's own)."""
    check: Callable[[Table], None] = lambda _table: None
    """Makes sure that what a table offers is there: raises a ValueError."""
    left: Callable[[Weights, Table, Mapping[str, int]], str] = strongest
    """(weights, table, operations to keep on an edge by type of cell) -> what a search leaves to the one after it."""
    starts_uniform: bool = False
    """Whether all logits begin at zero."""
    later: Later = Later()
    """How searches that follow another one learn."""
    at: Callable[[Any, int, int, int], None] = lambda _net, _epoch, _first, _end: None
    """(network, epoch, first and end of the epochs of its search): sets what moves inside it alone."""
    rest: Callable[[Any], None] = lambda _net: None
    """Network: sets that as it is when it is loaded."""
    pairs: Callable[[Any, Weights], Weights] | None = None
    """(network, weights) -> those of the pairs of edges that its last search chooses among; None: there are none."""
    sharpens: bool = False
    """Whether it chooses by sharper weights than the architecture has."""


DARTS_CELLS = CellFamily(
    retrained_as="darts",
    kept=KEPT,
    keeps_none=False,
    make=lambda kept: CellGenotype(**kept),
    discretize=darts_cells.discretize,
    discretize_gates=darts_cells.discretize_gates,
    discretize_edges=darts_cells.discretize_edges,
    from_dict=darts_cells.cell_genotype_from_dict,
    read=darts_cells.read_cell_genotype,
    write=darts_cells.write_cell_genotype,
    check=check_operations,
)


def _nb201_of(kept: Kept) -> nb201_cells.Nb201Genotype:
    chosen = {(source, to): name for to, node in enumerate(kept[nb201_cells.KIND], 1) for name, source in node}
    return nb201_cells.Nb201Genotype(tuple(chosen[pair] for pair in nb201_cells.PAIRS))


NB201_CELLS = CellFamily(
    retrained_as=nb201_cells.NAME,
    kept=None,
    keeps_none=True,
    make=_nb201_of,
    discretize=nb201_decoding.discretize,
    discretize_gates=nb201_decoding.discretize_gates,
    from_dict=nb201_cells.genotype_from_dict,
    read=nb201_cells.read_genotype,
    write=lambda genotype, path, _space, _operations: nb201_cells.write_genotype(genotype, path),
)
DOTS_CELLS = replace(
    DARTS_CELLS,
    discretize=discretize_stage,
    discretize_gates=lambda weights, table, **_above: discretize_stage(weights, table),
    discretize_edges=None,
    write=lambda genotype, path, _space, _operations: darts_cells.write_cell_genotype(genotype, path, "darts"),
    left=lambda weights, _table, _kept: survivors_of(weights),
    starts_uniform=True,
    later=Later(together=True, betas=(0.9, 0.999)),
    at=DotsNet.at,
    rest=DotsNet.rest,
    pairs=DotsNet.weights_of_pairs,
    sharpens=True,
)
"""The cells are those of DARTS, and so are their files; the searches choose otherwise."""
OWN_FAMILIES = {nb201_cells.NAME: NB201_CELLS, DOTS: DOTS_CELLS}
"""By space; all others are DARTS'."""


def family_of(space: str) -> CellFamily:
    """The family of a cell space."""
    return OWN_FAMILIES.get(space, DARTS_CELLS)


def family_of_genotype(genotype: Any) -> CellFamily:
    """The family of a genotype."""
    return NB201_CELLS if isinstance(genotype, nb201_cells.Nb201Genotype) else DARTS_CELLS


def targets(edges: tuple[CellEdge, ...]) -> list[int]:
    """The nodes that edges lead to, in order."""
    return sorted({edge.target for edge in edges})


def read_any_genotype(name: str | Path) -> Any:
    """A genotype of whatever cell space: a published name, a string of NAS-Bench-201, or a file, which says of whom.

    Raises:
        ValueError: if it is none.
    """
    if nb201_cells.is_string(str(name)):
        return nb201_cells.read_genotype(name)
    try:
        content = read_yaml(name)
    except (OSError, ValueError):  # a published name; or what is wrong is said below
        content = None
    of_nb201 = isinstance(content, Mapping) and content.get("space") == nb201_cells.NAME
    return (NB201_CELLS if of_nb201 else DARTS_CELLS).read(name)
