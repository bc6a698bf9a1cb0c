"""The cheapest tree that joins one root to a few nodes of a graph without cycles: what is left of a network in the end.

Directed Steiner trees by dynamic programming over the sets of nodes to be reached (Dreyfus and Wagner, "The Steiner
Problem in Graphs", 1971): exact, for a handful of them.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from math import inf

Node = Hashable


def cheapest_tree(steps: Mapping[Node, Sequence[tuple[Node, int]]], root: Node, wanted: Sequence[Node]) -> int:
    """The least sum of costs over a tree from ``root`` that has all ``wanted``.

    Args:
        steps: from each node to others, and what each costs; every node is a key, and stands behind all that it leads
            to.
        root: where the tree begins; the last key.
        wanted: a few nodes, that can all be reached.

    >>> cheapest_tree({"a": [], "b": [], "c": [("a", 1), ("b", 1)], "r": [("a", 4), ("b", 4), ("c", 3)]}, "r", "ab")
    5
    """
    places = {node: 1 << place for place, node in enumerate(wanted)}
    every = range(1 << len(places))
    splits = [[part for part in range(1, some) if part & some == part and part < some ^ part] for some in every]
    found = dict[Node, list[float]]()
    """By node, what it takes to reach each set from there."""
    for node, ways in steps.items():
        own = places.get(node, 0)
        least = [0.0 if some & own == some else inf for some in every]
        for some in every:
            for after, cost in ways:
                if cost + found[after][some] < least[some]:
                    least[some] = cost + found[after][some]
            for part in splits[some]:
                if least[part] + least[some ^ part] < least[some]:
                    least[some] = least[part] + least[some ^ part]
        found[node] = least
    return int(found[root][-1])
