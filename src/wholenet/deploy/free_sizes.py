"""An ONNX graph of free batch, height and width, out of two graphs of fixed ones.

torch.export reasons about free sizes in symbols, operation by operation, and that takes most of an export's time. So a
network is traced twice instead, at two fixed sizes. What differs between the two graphs is what depends on the size:
each such number is looked up among the sizes of the maps that are computed before it, and read from that map's shape.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from wholenet.ops.zoom import percent

TRACED = ((5, 112, 176), (7, 161, 289))
"""(B, H, W) of the two graphs. Their sides, halved up to five times, are even in the first and odd in the second, but
for the last: other ways of rounding give other pairs of numbers, and so do the three of one graph.
No two of these, nor of the next multiples of 32 and their halves, are one number: a graph has equal numbers once."""
NAMES = {0: "batch", 2: "height", 3: "width"}
HALVINGS = 5
"""A size may be the image's, halved up to so many times, where no map has that size yet."""
NEEDED_OPSET = 15
"""From which Shape takes a part of a shape."""

Pair = tuple[int, int]
Sizes = tuple[int, ...]
Twins = dict[ir.Value, ir.Value]
"""Values of the second graph by those of the first."""


class SizesUnknown(Exception):
    """The graphs differ in more than sizes that can be told from maps."""


def traced(zoom: float) -> tuple[Sizes, Sizes]:
    """(B, H, W) of the two graphs of a network that sees images at ``zoom``: it then sees them at ``TRACED``."""
    first, second = ((batch, *(side * 100 // percent(zoom) for side in sides)) for batch, *sides in TRACED)
    return first, second


def free_sizes(first: ir.Model, second: ir.Model, zoom: float = 1.0) -> None:
    """Make ``first`` a graph of any batch, height and width.

    Args:
        first: of one network traced at the first of :func:`traced`, before any optimisation; it is changed in place.
        second: of the same network, traced at the second.
        zoom: at which the network sees its images.

    Raises:
        SizesUnknown: if that cannot be done; ``first`` is of no use then.
    """
    if first.opset_imports.get("", 0) < NEEDED_OPSET or first.functions or second.functions:
        raise SizesUnknown
    _Sizes(first.graph, zoom).free(second.graph)


class _Sizes:
    """Where each size that differs between the graphs is read from.

    Args:
        graph: the one that is changed.
        zoom: see :func:`free_sizes`.
    """

    def __init__(self, graph: ir.Graph, zoom: float) -> None:
        self.graph = graph
        self.zoom = zoom
        self.seen: dict[Pair, tuple[ir.Value, int]] = {}
        """By a size in both graphs: the earliest map that has it, and along which axis."""
        self.read: dict[Pair, ir.Value] = {}
        """Sizes that are in the graph already, int64 [1]."""
        self.sizes: dict[ir.Value, list[Pair]] = {}
        """Of each map, by axis."""

    def free(self, other: ir.Graph) -> None:
        """Compare with ``other``, and replace what differs."""
        nodes, others = list(self.graph), list(other)
        twins = self._initializers(other)
        _check_same_structure(self.graph, other, twins)
        for value in self.graph.inputs:
            self._see(value, twins[value])
        alike = [_same_attributes(node, twin) for node, twin in zip(nodes, others, strict=True)]
        for node, twin, same in zip(nodes, others, alike, strict=True):
            if not same:
                self._replace(node, twin)
            for value in node.outputs:
                self._see(value, twins[value])
        for value in (*self.graph.inputs, *self.graph.outputs):
            assert value.shape is not None
            value.shape = ir.Shape([NAMES.get(axis, size) for axis, size in enumerate(value.shape)])

    def _initializers(self, other: ir.Graph) -> Twins:
        """The weights and constants of ``other`` by those of the graph, which are the same."""
        ours, theirs = self.graph.initializers, other.initializers
        if set(ours) != set(theirs):
            raise SizesUnknown
        for name, value in ours.items():
            if not _equal(value.const_value, theirs[name].const_value):
                raise SizesUnknown
        return {value: theirs[name] for name, value in ours.items()}

    def _see(self, value: ir.Value, twin: ir.Value) -> None:
        """Note the sizes of a map that differ, and leave them open."""
        if value.shape is None or twin.shape is None:
            return
        if len(value.shape) != len(twin.shape):
            raise SizesUnknown
        sizes = list(zip(_fixed(value.shape), _fixed(twin.shape), strict=True))
        self.sizes[value] = sizes
        for axis, pair in enumerate(sizes):
            if pair[0] != pair[1]:
                self.seen.setdefault(pair, (value, axis))
        value.shape = ir.Shape([a if a == b else None for a, b in sizes])

    def _replace(self, node: ir.Node, twin: ir.Node) -> None:
        """Compute what is another constant in either graph."""
        if node.op_type != "Constant":
            raise SizesUnknown
        ours, theirs = (np.asarray(_constant(n)) for n in (node, twin))
        if ours.shape != theirs.shape or ours.ndim > 1 or ours.dtype != np.int64 or theirs.dtype != np.int64:
            raise SizesUnknown
        if self._pads_alike(node, ours, theirs):
            return
        pairs = zip(ours.reshape(-1).tolist(), theirs.reshape(-1).tolist(), strict=True)
        parts = [self._size(pair, node) if pair[0] != pair[1] else self._number(pair[0], node) for pair in pairs]
        whole = self._add(node, "Concat", parts, axis=0)
        if not ours.ndim:
            whole = self._add(node, "Squeeze", [whole])
        node.outputs[0].replace_all_uses_with(whole)

    def _size(self, pair: Pair, before: ir.Node) -> ir.Value:
        """A size, int64 [1], computed before the node ``before`` if it is not yet in the graph."""
        if pair not in self.read:
            if pair in self.seen:
                value, axis = self.seen[pair]
                self.read[pair] = self._add(before, "Shape", [value], start=axis, end=axis + 1)
            else:
                self.read[pair] = self._computed(pair, before)
        return self.read[pair]

    def _computed(self, pair: Pair, before: ir.Node) -> ir.Value:
        """Out of the image's own sizes: zoomed, or after that halved, or padded to a multiple."""
        for axis in (2, 3):
            first, second = traced(self.zoom)
            whole, seen = ((sizes[0][axis - 1], sizes[1][axis - 1]) for sizes in ((first, second), TRACED))
            if seen == pair != whole:
                times = self._add(before, "Mul", [self._size(whole, before), self._number(percent(self.zoom), before)])
                return self._divided(times, 100, before)
            for by in (2**times for times in range(1, HALVINGS + 1)):
                if (-(-seen[0] // by), -(-seen[1] // by)) == pair:
                    return self._divided(self._size(seen, before), by, before)
                if (-(-seen[0] // by) * by, -(-seen[1] // by) * by) == pair:
                    parts = self._divided(self._size(seen, before), by, before)
                    return self._add(before, "Mul", [parts, self._number(by, before)])
        raise SizesUnknown

    def _divided(self, size: ir.Value, by: int, before: ir.Node) -> ir.Value:
        """Rounded up."""
        up = self._add(before, "Add", [size, self._number(by - 1, before)])
        return self._add(before, "Div", [up, self._number(by, before)])

    def _pads_alike(self, constant: ir.Node, ours: np.ndarray, theirs: np.ndarray) -> bool:
        """Padding that depends on the size, before a convolution: TensorFlow's "SAME", which ONNX has as auto_pad."""
        pad = _only_reader(constant.outputs[0])
        if pad is None or pad.op_type != "Pad" or pad.inputs[1] is not constant.outputs[0]:
            return False
        conv, mode = _only_conv(pad.outputs[0]), pad.attributes.get("mode")
        value = pad.inputs[2] if len(pad.inputs) > 2 else None
        zero = value is None or (value.producer() is not None and _is_zero(value))
        if conv is None or not zero or (len(pad.inputs) > 3 and pad.inputs[3] is not None):
            return False
        if mode is not None and mode.value != "constant":
            return False
        how: dict[str, Any] = {key: attribute.value for key, attribute in conv.attributes.items()}
        if any(how.get("pads", ())) or set(how.get("dilations", (1,))) != {1} or conv.inputs[1] is None:
            return False
        kernel = conv.inputs[1].shape
        source = pad.inputs[0]
        assert kernel is not None
        assert source is not None
        if source not in self.sizes:
            return False
        for i, pads in enumerate((ours, theirs)):
            sides = [pair[i] for pair in self.sizes[source][2:]]
            if pads.tolist() != _same_pads(sides, _fixed(kernel)[2:], how.get("strides", (1, 1))):
                return False
        pad.outputs[0].replace_all_uses_with(source)
        conv.attributes.pop("pads", None)
        conv.attributes["auto_pad"] = ir.AttrString("auto_pad", "SAME_UPPER")
        return True

    def _number(self, number: int, before: ir.Node) -> ir.Value:
        return self._add(before, "Constant", [], value=ir.tensor(np.array([number], np.int64)))

    def _add(self, before: ir.Node, kind: str, inputs: Sequence[ir.Value], **attributes: Any) -> ir.Value:
        node = ir.node(kind, inputs, attributes)
        self.graph.insert_before(before, node)
        return node.outputs[0]


def _check_same_structure(graph: ir.Graph, other: ir.Graph, twins: Twins) -> None:
    """Make sure that the same operations read the same of each other in both, and note which value is whose twin."""
    if [len(graph.inputs), len(graph.outputs), len(graph)] != [len(other.inputs), len(other.outputs), len(other)]:
        raise SizesUnknown
    twins.update(zip(graph.inputs, other.inputs, strict=True))
    for node, twin in zip(graph, other, strict=True):
        same = (node.domain, node.op_type, len(node.outputs)) == (twin.domain, twin.op_type, len(twin.outputs))
        if not same or not _same_values(node.inputs, twin.inputs, twins):
            raise SizesUnknown
        twins.update(zip(node.outputs, twin.outputs, strict=True))
    if not _same_values(graph.outputs, other.outputs, twins):
        raise SizesUnknown


def _same_values(ours: Sequence[ir.Value | None], theirs: Sequence[ir.Value | None], twins: Twins) -> bool:
    return [value and twins.get(value) for value in ours] == list(theirs)


def _fixed(shape: ir.Shape) -> list[int]:
    numbers = [size for size in shape if isinstance(size, int)]
    if len(numbers) != len(shape):
        raise SizesUnknown
    return numbers


def _same_attributes(node: ir.Node, twin: ir.Node) -> bool:
    ours, theirs = node.attributes, twin.attributes
    return set(ours) == set(theirs) and all(_equal(a.value, theirs[key].value) for key, a in ours.items())


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, ir.Graph) or isinstance(other, ir.Graph):
        return False
    if isinstance(one, ir.TensorProtocol) and isinstance(other, ir.TensorProtocol):
        a, b = one.numpy(), other.numpy()
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    return bool(one == other)


def _constant(node: ir.Node) -> Any:
    """The value of a Constant, in whichever form it is given."""
    ((_, attribute),) = node.attributes.items()
    return attribute.value.numpy() if isinstance(attribute.value, ir.TensorProtocol) else attribute.value


def _only_reader(value: ir.Value) -> ir.Node | None:
    readers = [use.node for use in value.uses()]
    return readers[0] if len(readers) == 1 and not value.is_graph_output() else None


def _only_conv(value: ir.Value) -> ir.Node | None:
    """The convolution of ``value`` that is its only reader, but for some who ask for its type alone."""
    uses = [(use.node, use.idx) for use in value.uses() if (use.node.op_type, use.idx) != ("CastLike", 1)]
    one = len(uses) == 1 and (uses[0][0].op_type, uses[0][1]) == ("Conv", 0) and not value.is_graph_output()
    return uses[0][0] if one else None


def _is_zero(value: ir.Value) -> bool:
    node = value.producer()
    if node is not None and node.op_type in ("Cast", "CastLike") and node.inputs[0] is not None:
        return _is_zero(node.inputs[0])
    return node is not None and node.op_type == "Constant" and not np.any(_constant(node))


def _same_pads(sides: Sequence[int], kernel: Sequence[int], strides: Sequence[int]) -> list[int]:
    """ONNX's pads of a map [B, C, *sides]: so much that a convolution gives each side divided by its stride, rounded
    up; of an odd number the larger half at the end.
    """
    needed = [
        max((-(-side // stride) - 1) * stride + k - side, 0)
        for side, k, stride in zip(sides, kernel, strides, strict=True)
    ]
    return [0, 0, *(n // 2 for n in needed), 0, 0, *(n - n // 2 for n in needed)]
