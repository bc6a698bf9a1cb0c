"""A search cell, computed by what the edges out of a node, and those into one, have in common.

The numbers are those of the plain form, every operation of every edge by itself, in fewer and cheaper passes: ReLU,
pooling and its normalisation once per node that is read, and their weighed sums for all nodes at once; a convolution of
dilation 2 as one of dilation 1 over rows and columns of equal parity, whose backward pass has fast kernels on a CPU;
1 x 1 convolutions as products of matrices; an operation's weight in the affine map of its last BatchNorm; what is zero
not at all. Only what an operation declares of itself (``ops/shares.py``) is used; one that declares nothing runs as it
is. Each edge still convolves by itself: all edges of a node as one convolution over concatenated channels was slower on
a CPU.

Letters: B images, C channels that go through the operations, H x W feature map, O operations that an edge offers,
E edges.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wholenet import parallel
from wholenet.ops.depthwise import depthwise
from wholenet.ops.forms import total
from wholenet.ops.layers import shuffle_channels
from wholenet.ops.norms import BatchNorm, normalized_over_all
from wholenet.ops.shares import Dense, Fixed, Halved, Itself, Nothing, Pooled, Separable, Stage, shares_of
from wholenet.ops.statistics import counted_step

Operation = Callable[[Tensor], Tensor]
"""A layer, or what runs in its place."""


class Path(NamedTuple):
    """An edge and what it is made of."""

    source: int
    target: int
    stride: int
    """The same for all edges that leave a node."""
    operations: Mapping[str, Operation]
    """By name; those of one name differ in their weights alone."""
    auxiliary: nn.Module | None
    """A skip connection beside them."""


def shared_cell(
    inputs: Sequence[Tensor], paths: Iterable[Path], weights: Tensor, groups: int, auxiliary: float
) -> list[Tensor]:
    """The nodes of a cell: what ``paths``, in the order of their targets, make of its ``inputs``.

    Args:
        inputs: nodes 0, 1, ..., each [B, groups C, H, W].
        paths: E edges.
        weights: [E, O].
        groups: one in so many channels goes through the operations, the others bypass them.
        auxiliary: strength of the auxiliary skips.
    """
    channels = inputs[0].shape[1] // groups
    paths = list(paths)
    # Repeated, not expanded: BatchNorm's kernel for channels_last takes whole vectors only.
    rows = weights[..., None].repeat(1, 1, channels).unbind()
    nodes = {path.target: Node(groups) for path in paths}
    for i in sorted({path.source for path in paths}):
        leaving = [(path, row) for path, row in zip(paths, rows, strict=True) if path.source == i]
        source = Source(inputs[i] if i < len(inputs) else nodes[i].value, leaving[0][0].stride, groups)
        for path, row in leaving:
            node = nodes[path.target]
            if groups > 1:
                node.bypass.append(source.bypass)
            node.add(source, path.operations, row)
            if path.auxiliary is not None:
                node.add(source, {"auxiliary": path.auxiliary}, row.new_full((1, channels), auxiliary))
        source.spread()
    return [node.value for node in nodes.values()]


class Source:
    """A node's output as the operations that leave it read it, each reading made once.

    Args:
        whole: [B, groups C, H, W].
        stride: of the operations.
        groups: see :func:`shared_cell`.
    """

    def __init__(self, whole: Tensor, stride: int, groups: int) -> None:
        self.whole = whole
        self.channels = whole.shape[1] // groups
        self.stride = stride
        self.pooled: dict[str, Tensor] = {}
        """By the operation's name."""
        self.normalised: dict[str, Normalised] = {}
        """The same, normalised by the batch."""
        self.maps: dict[str, Tensor] = {}
        """Those that go to nodes as they are, by name."""
        self.weighed: dict[Node, dict[str, Tensor]] = {}
        """And with what weight each goes where."""

    @cached_property
    def x(self) -> Tensor:
        """What goes through the operations."""
        return self.whole[:, : self.channels]

    @cached_property
    def bypass(self) -> Tensor:
        """What does not."""
        rest = self.whole[:, self.channels :]
        return rest if self.stride == 1 else F.max_pool2d(rest, 2)

    @cached_property
    def active(self) -> Tensor:
        """After ReLU."""
        return F.relu(self.x)

    @cached_property
    def even(self) -> Tensor:
        """Even rows and columns after ReLU."""
        return self.active[:, :, ::2, ::2].contiguous(memory_format=torch.channels_last)

    @cached_property
    def odd(self) -> Tensor:
        """Odd rows and columns after ReLU."""
        return self.active[:, :, 1::2, 1::2].contiguous(memory_format=torch.channels_last)

    @cached_property
    def parts(self) -> Tensor | None:
        """What a convolution of dilation 2 reads as if neighbours lay side by side: with stride 2 the even rows and
        columns, otherwise all, :func:`split`; None if there are not as many even ones as odd ones."""
        if self.stride == 2:
            return self.even
        if torch.compiler.is_compiling():  # sizes are not known there
            return None
        return None if self.x.shape[2] % 2 or self.x.shape[3] % 2 else split(self.active)

    def weigh(self, node: Node, name: str, x: Tensor, weight: Tensor) -> None:
        """Let ``weight`` times the map ``x`` go to ``node``, by :meth:`spread`."""
        self.maps[name] = x
        row = self.weighed.setdefault(node, {})
        row[name] = row[name] + weight if name in row else weight

    def spread(self) -> None:
        """Let the weighed maps arrive: as one product of matrices, which reads each once for all nodes."""
        if not self.maps:
            return
        together = torch.stack([x.permute(0, 2, 3, 1) for x in self.maps.values()])
        nothing = together.new_zeros(())
        weights = torch.stack([row.get(name, nothing) for row in self.weighed.values() for name in self.maps])
        sums = weights.view(len(self.weighed), len(self.maps)) @ together.flatten(1)
        for node, part in zip(self.weighed, sums.view(-1, *together.shape[1:]).unbind(), strict=True):
            node.terms.append(part.permute(0, 3, 1, 2))


@dataclass(eq=False)
class Node:
    """What has come into a node so far."""

    groups: int
    terms: list[Tensor] = field(default_factory=list)
    """Maps to be summed."""
    parts: list[Tensor] = field(default_factory=list)
    """Maps to be summed and then :func:`joined`."""
    bypass: list[Tensor] = field(default_factory=list)

    @cached_property
    def value(self) -> Tensor:
        """The node's output."""
        mixed = total([*self.terms, joined(total(self.parts))] if self.parts else self.terms)
        if self.groups == 1:
            return mixed
        # The shuffle of a sum, not the sum of shuffles.
        return shuffle_channels(torch.cat([mixed, total(self.bypass)], dim=1), self.groups)

    def add(self, source: Source, operations: Mapping[str, Operation], weights: Tensor) -> None:
        """Let an edge's ``operations`` lead here from ``source``; ``weights`` [O, C], equal over the channels."""
        of_maps, of_norms = weights[:, 0].unbind(), weights.unbind()
        for (name, operation), weight, scale in zip(operations.items(), of_maps, of_norms, strict=True):
            match shares_of(operation):
                case Nothing():
                    pass
                case Itself():
                    source.weigh(self, "as it is", source.x, weight)
                case Fixed(layer):
                    if name not in source.pooled:
                        source.pooled[name] = layer(source.x)
                    source.weigh(self, name, source.pooled[name], weight)
                case Halved() as halved:
                    self.terms.append(_reduced(source, halved, scale))
                case Dense(convolution, norm):
                    self.terms.append(scaled_norm(convolution(source.active), norm, scale))
                case Separable(stages):
                    self._add_separable(source, stages, scale)
                case Pooled() as pooled:
                    self._add_pooled(source, name, pooled, weight, scale)
                case None:
                    self.terms.append(weight * operation(source.x))
        if all(isinstance(shares_of(operation), Nothing) for operation in operations.values()):
            self.terms.append(source.x[:, :, :: source.stride, :: source.stride] * 0)

    def _add_separable(self, source: Source, stages: Sequence[Stage], scale: Tensor) -> None:
        h, into = source.active, self.terms
        for i, (stage, last) in enumerate(zip(stages, [False] * (len(stages) - 1) + [True], strict=True)):
            spatial = stage.spatial
            if i == 0 and spatial.dilation[0] == 2 and source.parts is not None:
                h = depthwise(source.parts, spatial.weight)
                into = self.parts if source.stride == 1 else self.terms
            else:
                h = depthwise(h, spatial.weight, spatial.stride[0], spatial.dilation[0])
            h = pointwise(h, stage.across.weight)
            h = scaled_norm(h, stage.norm, scale) if last else F.relu(stage.norm(h))
        into.append(h)

    def _add_pooled(self, source: Source, name: str, shares: Pooled, weight: Tensor, scale: Tensor) -> None:
        norm = shares.norm
        if name not in source.pooled:
            source.pooled[name] = shares.pool(source.x)
        if norm.affine or not norm.training:
            self.terms.append(scaled_norm(source.pooled[name], norm, scale))
            return
        if name not in source.normalised:
            source.normalised[name] = Normalised(source.pooled[name], norm)
        source.weigh(self, name, source.normalised[name].by(norm), weight)


def _reduced(source: Source, reduce: Halved, scale: Tensor) -> Tensor:
    halves = pointwise(source.even, reduce.even.weight), pointwise(source.odd, reduce.odd.weight)
    return scaled_norm(torch.cat(halves, dim=1), reduce.norm, scale)


class Normalised:
    """A map normalised by the batch, for all BatchNorms without an affine map that read it.

    Args:
        x: the map.
        norm: one of them.
    """

    def __init__(self, x: Tensor, norm: nn.BatchNorm2d) -> None:
        if isinstance(norm, BatchNorm) and parallel.processes() > 1:
            self.out, self.mean, self.variance = normalized_over_all(x, None, None, norm.eps)
            return
        # With a momentum of one, running statistics are those of the batch.
        self.mean, self.variance = (torch.zeros_like(cast(Tensor, norm.running_mean)) for _ in range(2))
        self.out = F.batch_norm(x, self.mean, self.variance, training=True, momentum=1.0, eps=norm.eps)

    def by(self, norm: nn.BatchNorm2d) -> Tensor:
        """What ``norm`` would have made of it; its running statistics move."""
        if step := counted_step(norm):
            cast(Tensor, norm.running_mean).lerp_(self.mean, step)
            cast(Tensor, norm.running_var).lerp_(self.variance, step)
        return self.out


def scaled_norm(x: Tensor, norm: nn.BatchNorm2d, scale: Tensor) -> Tensor:
    """``scale`` [C] times ``norm(x)``, in one pass."""
    weight, bias = (scale, None) if not norm.affine else (norm.weight * scale, norm.bias * scale)
    if isinstance(norm, BatchNorm):  # ours, over all processes
        return norm.normalized(x, weight, bias)
    mean, variance = norm.running_mean, norm.running_var
    return F.batch_norm(x, mean, variance, weight, bias, norm.training, counted_step(norm), norm.eps)


def pointwise(x: Tensor, weight: Tensor) -> Tensor:
    """A 1 x 1 convolution with ``weight`` [C', C, 1, 1] as a product of matrices, whose backward pass costs half."""
    return F.linear(x.permute(0, 2, 3, 1), weight.flatten(1)).permute(0, 3, 1, 2)


def split(x: Tensor) -> Tensor:
    """[B, C, H, W] -> [4 B, C, H / 2, W / 2]: rows and columns of equal parity as images of their own; H and W even.

    >>> split(torch.arange(16.0).view(1, 1, 4, 4))[0, 0].tolist()
    [[0.0, 2.0], [8.0, 10.0]]
    """
    b, c, h, w = x.shape
    rows = x.permute(0, 2, 3, 1).reshape(b, h // 2, 2, w // 2, 2, c)
    return rows.permute(2, 4, 0, 1, 3, 5).reshape(4 * b, h // 2, w // 2, c).permute(0, 3, 1, 2)


def joined(x: Tensor) -> Tensor:
    """What :func:`split` split."""
    b, c, h, w = x.shape
    rows = x.permute(0, 2, 3, 1).reshape(2, 2, b // 4, h, w, c)
    return rows.permute(2, 3, 0, 4, 1, 5).reshape(b // 4, 2 * h, 2 * w, c).permute(0, 3, 1, 2)
