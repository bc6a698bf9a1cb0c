"""What can be removed from a trellis, what is left then, and what that costs.

Letters: E edges of a cell, O operations, L layers; level s = 0..3 is stride 4 * 2**s.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any

import torch

from wholenet.spaces.autodeeplab.costs import TrellisMacs
from wholenet.spaces.autodeeplab.genotype import INPUTS, edges
from wholenet.spaces.autodeeplab.subtrellis import NONE, Subtrellis, subtrellis_from_dict, whole_trellis
from wholenet.spaces.autodeeplab.trellis import LEVELS, Move, Transitions, beta_mask
from wholenet.spaces.cheapest_tree import Node, cheapest_tree
from wholenet.spaces.option_subnets import OptionSubnets
from wholenet.spaces.subnets import Unit

KINDS = ("operation", "move")
"""Of units, and where they are: an operation, of all cells, by (edge, which), a move by (layer, from, to)."""


class TrellisSubnets(OptionSubnets[Subtrellis]):
    """The subnets of the trellises of one shape.

    Args:
        layers: L.
        blocks: of a cell.
        transitions: which moves' weights sum to one.
        build: makes the whole network, of which weights are counted.
    """

    gated = ("alpha", "beta")
    by_hand = "their own setting --filters"

    def __init__(self, layers: int, blocks: int, transitions: Transitions, build: Callable[[], Any]) -> None:
        super().__init__("autodeeplab")
        self.layers, self.blocks = layers, blocks
        self.transitions: Transitions = transitions
        self.build = build
        self.edges = edges(blocks)
        there = beta_mask(layers, transitions).any(-1).nonzero().tolist()
        self.rows = {(i, j): row for row, (i, j) in enumerate(there)}
        """Of ``beta``, by the first two parts of a move's place."""

    def whole(self) -> Subtrellis:
        """All of it."""
        return whole_trellis(self.layers, self.blocks, self.transitions)

    def from_dict(self, values: Mapping[str, Any]) -> Subtrellis:
        """The part of plain values.

        Raises:
            ValueError: if they are none of this trellis.
        """
        return subtrellis_from_dict(values, self.layers, self.blocks, self.transitions)

    def multiply_adds(self, height: int, width: int) -> TrellisMacs:
        """Of the convolutions, in the form that runs."""
        with torch.device("meta"):
            return TrellisMacs(self.build(), (height, width))

    def cost(self, subnet: Subtrellis, by: TrellisMacs) -> int:
        """The sum over all parts."""
        nodes = subnet.nodes
        inside = {level: self._inside(subnet, by, level) for level in by.operations}
        total = by.stem + sum(by.heads[level] for layer, level in nodes if layer == self.layers)
        for layer, level in nodes - {(0, 0)}:
            if layer > 1 and (layer - 2, level) in nodes:
                total += inside[level][1]
        for move in subnet.moves:
            total += by.reads[move.target, move.source] + inside[move.target][0]
        return total

    def least(self, subnet: Subtrellis, by: TrellisMacs, kinds: Collection[str] = KINDS) -> int:
        """One path from the stem to a head, and of each edge the operations that cost nothing, of a block without such
        its cheapest one."""
        narrow = replace(subnet, operations=self._narrowest(subnet, by)) if "operation" in kinds else subnet
        if "move" not in kinds:
            return self.cost(narrow, by)
        inside = {level: self._inside(narrow, by, level) for level in by.operations}
        # A state is a node and the level before it, which says whether the cell after it has an H-2.
        steps: dict[Node, list[tuple[Node, int]]] = {"end": []}
        for layer in range(self.layers, 0, -1):
            for target in range(LEVELS):
                into = [move for move in narrow.moves if (move.layer, move.target) == (layer, target)]
                for source in {move.source for move in into}:
                    ways: list[tuple[Node, int]] = [("end", by.heads[target])] if layer == self.layers else []
                    for move in narrow.moves:
                        if (move.layer, move.source) == (layer + 1, target):
                            two_back = inside[move.target][1] if move.target == source else 0
                            own = by.reads[move.target, target] + inside[move.target][0] + two_back
                            ways.append(((layer + 1, target, move.target), own))
                    steps[layer, source, target] = ways
        first = [move for move in narrow.moves if move.layer == 1]
        begin = [((1, m.source, m.target), by.reads[m.target, m.source] + inside[m.target][0]) for m in first]
        return by.stem + cheapest_tree({**steps, None: begin}, None, ["end"])

    def units(self, subnet: Subtrellis, floor: float = 0.0) -> list[Unit]:  # noqa: ARG002
        """Operations but ``none``, as long as their block has another that all cells have; and moves, as long as a path
        is left. No share of anything stays (``floor``)."""
        alone = {others[0] for block in self._blocks() if len(others := subnet.others(block)) == 1}
        found = [
            Unit("operation", (row, place))
            for row, places in enumerate(subnet.operations)
            for place in places
            if place != NONE and (row, place) not in alone and len(places) > 1
        ]
        for move in subnet.moves:
            if subnet.without_moves([move]) is not None:
                found.append(Unit("move", (move.layer, move.source, move.target)))
        return found

    def count(self, subnet: Subtrellis) -> dict[str, int]:
        """Operations of the cell but ``none``, moves, and nodes."""
        operations = sum(place != NONE for places in subnet.operations for place in places)
        return {"operations": operations, "moves": len(subnet.moves), "nodes": len(subnet.nodes) - 1}

    def without(self, subnet: Subtrellis, unit: Unit) -> Subtrellis:
        """``subnet`` without ``unit`` and without the nodes that nobody reads, or that read nothing, then."""
        if unit.kind == "move":
            left = subnet.without_moves([Move(*unit.where)])
            assert left is not None
            return left
        row, gone = unit.where
        places = tuple(place for place in subnet.operations[row] if place != gone)
        return replace(subnet, operations=(*subnet.operations[:row], places, *subnet.operations[row + 1 :]))

    def choices(self, subnet: Subtrellis, unit: Unit) -> list[tuple[str, tuple[int, ...]]]:  # noqa: ARG002
        """An operation is one of alpha's options, a move one of beta's."""
        if unit.kind == "operation":
            return [("alpha", unit.where)]
        layer, level, slot = Move(*unit.where).place(self.transitions)
        return [("beta", (self.rows[layer, level], slot))]

    def _blocks(self) -> range:
        return range(INPUTS, INPUTS + self.blocks)

    def _inside(self, subnet: Subtrellis, by: TrellisMacs, level: int) -> tuple[int, int]:
        """What the operations of a cell cost in each run, and what those on H-2 cost once, with bringing it."""
        sums = [0, 0]
        for (i, _), places in zip(self.edges, subnet.operations, strict=True):
            sums[i == 0] += sum(by.operations[level][place] for place in places)
        if any(i == 0 and set(places) - {NONE} for (i, _), places in zip(self.edges, subnet.operations, strict=True)):
            sums[1] += by.two_back.get(level, 0)
        return sums[0], sums[1]

    def _narrowest(self, subnet: Subtrellis, by: TrellisMacs) -> tuple[tuple[int, ...], ...]:
        costs = by.operations[0]
        found = [[place for place in places if not costs[place]] for places in subnet.operations]
        for block in self._blocks():
            others = subnet.others(block)
            if all(costs[place] for _, place in others):
                row, place = min(others, key=lambda other: costs[other[1]])
                found[row].append(place)
        # An edge keeps an option: what costs least.
        left = zip(found, subnet.operations, strict=True)
        return tuple(tuple(sorted(own or [min(places, key=costs.__getitem__)])) for own, places in left)
