"""The part of a trellis that is left: which operations each edge of the cell offers, and which moves there are.

All cells have the same edges and operations, so an operation goes from all of them at once. A node is there as long as
a move leads to it from a node that is there, and something reads it: a move, the cell two layers on, or a head.

Letters: E edges of a cell, L layers, G nodes that choose among moves; level s = 0..3 is stride 4 * 2**s.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from wholenet.file_keys import check_keys
from wholenet.files import shown
from wholenet.spaces.autodeeplab.genotype import INPUTS, OPERATIONS, edges, name_of
from wholenet.spaces.autodeeplab.trellis import LEVELS, STRIDES, Move, Transitions, all_moves, beta_mask, packed

NONE = OPERATIONS.index("none")


@dataclass(frozen=True)
class Subtrellis:
    """What is left of a trellis.

    Raises:
        ValueError: if a block of the cell would be without an operation, other than ``none``, on an edge that every
            cell has, from H-1 or from another block; if a move comes from or leads to a node that is not there or that
            nobody reads; or if nothing is left of the last layer.
    """

    layers: int
    operations: tuple[tuple[int, ...], ...]
    """Of each of the E edges, places on alpha's last axis; ascending."""
    moves: tuple[Move, ...]
    """In the order of the table."""
    transitions: Transitions

    def __post_init__(self) -> None:
        for block in range(INPUTS, INPUTS + self.blocks):
            if not self.others(block):
                raise ValueError(
                    f"{name_of(block)} is left without an operation on an edge from H-1 or from another block, which "
                    "are all that the first cells have"
                )
        if not any(move.layer == self.layers for move in self.moves):
            raise ValueError("nothing is left of the last layer, which the heads read")
        if (read := read_moves(self.moves, self.layers)) != self.moves:
            one = next(move for move in self.moves if move not in read)
            raise ValueError(
                f"the move to stride {STRIDES[one.target]} of layer {one.layer} comes from a node that is not there, "
                "or leads to one that nobody reads"
            )

    @property
    def blocks(self) -> int:
        """Of the cell."""
        return next(b for b in range(1, len(self.operations) + 1) if len(edges(b)) == len(self.operations))

    def others(self, block: int) -> list[tuple[int, int]]:
        """(edge, place) of the operations into a block, but for ``none`` and those on H-2."""
        rows = enumerate(edges(self.blocks))
        return [(e, o) for e, (i, to) in rows if to == block and i for o in self.operations[e] if o != NONE]

    @property
    def nodes(self) -> set[tuple[int, int]]:
        """(layer, level) of those that are there; layer 0 is the stem."""
        return {(0, 0), *((move.layer, move.target) for move in self.moves)}

    def masks(self) -> dict[str, Tensor]:
        """``alpha`` [E, O] and ``beta`` [G, 3], true for what is left to choose from."""
        alpha = torch.zeros(len(self.operations), len(OPERATIONS), dtype=torch.bool, device="cpu")
        for row, places in enumerate(self.operations):
            alpha[row, list(places)] = True
        beta = torch.zeros_like(beta_mask(self.layers, self.transitions))
        for move in self.moves:
            beta[move.place(self.transitions)] = True
        return {"alpha": alpha, "beta": packed(beta, self.transitions)}

    def without_moves(self, gone: Collection[Move]) -> Subtrellis | None:
        """Without these moves and what nobody reads or feeds then; None if nothing would be left."""
        left = read_moves([move for move in self.moves if move not in gone], self.layers)
        return replace(self, moves=left) if left else None

    def to_dict(self) -> dict[str, Any]:
        """Plain values; :func:`subtrellis_from_dict` gives it back. Edges in the order of the table; a move as [layer,
        stride that it comes from, stride that it leads to]."""
        return {
            "layers": self.layers,
            "operations": [[OPERATIONS[place] for place in places] for places in self.operations],
            "moves": [[move.layer, STRIDES[move.source], STRIDES[move.target]] for move in self.moves],
        }


def whole_trellis(layers: int, blocks: int, transitions: Transitions) -> Subtrellis:
    """All of it."""
    every = tuple(range(len(OPERATIONS)))
    return Subtrellis(layers, (every,) * len(edges(blocks)), tuple(all_moves(layers)), transitions)


def subtrellis_from_dict(values: Mapping[str, Any], layers: int, blocks: int, transitions: Transitions) -> Subtrellis:
    """The part of plain values, which may come from anywhere, of a trellis of this shape.

    Raises:
        ValueError: if they are none.
    """
    where = "the subnet"
    check_keys(values, {"layers": int, "operations": list, "moves": list}, where, only=True)
    if (values["layers"], len(values["operations"])) != (layers, len(edges(blocks))):
        raise ValueError(
            f"{where} is of {shown(values['layers'])} layers and a cell of {len(values['operations'])} edges; this "
            f"network has {layers} and {len(edges(blocks))}"
        )
    known = {(move.layer, STRIDES[move.source], STRIDES[move.target]): move for move in all_moves(layers)}
    operations = []
    for names in values["operations"]:
        places = [OPERATIONS.index(name) for name in names if name in OPERATIONS] if isinstance(names, list) else []
        if not places or not len(set(places)) == len(places) == len(names):
            raise ValueError(f"{where}: {shown(names)} on an edge; expected some of {', '.join(OPERATIONS)}, each once")
        operations.append(tuple(sorted(places)))
    for move in values["moves"]:
        if not isinstance(move, list) or not all(type(n) is int for n in move) or tuple(move) not in known:
            raise ValueError(f"{where}: the move {shown(move)} is none; expected [layer, stride from, stride to]")
    moves = {known[tuple(move)] for move in values["moves"]}
    if len(moves) < len(values["moves"]):
        raise ValueError(f"{where} has a move twice; expected each once")
    in_order = tuple(move for move in known.values() if move in moves)
    try:
        return Subtrellis(layers, tuple(operations), in_order, transitions)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def read_moves(moves: Sequence[Move], layers: int) -> tuple[Move, ...]:
    """Those of ``moves`` whose source is there and whose target is read, whatever else goes for that."""
    fed, left = {(0, 0)}, list[Move]()
    for move in moves:  # by layer
        if (move.layer - 1, move.source) in fed:
            fed.add((move.layer, move.target))
            left.append(move)
    read = {(layers, level) for level in range(LEVELS)}
    for layer in range(layers, 0, -1):
        for level in range(LEVELS):
            if (layer, level) in fed and (layer, level) in read:
                read |= {(layer - 1, move.source) for move in left if (move.layer, move.target) == (layer, level)}
                read.add((layer - 2, level))  # as its H-2
    return tuple(move for move in left if (move.layer, move.target) in read)
