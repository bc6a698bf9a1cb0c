"""All operations of all edges out of one map, for several runs of a cell with the same weights, in few calls.

The numbers are those of every operation by itself. What the operations declare of themselves (``ops/shares.py``) is
computed side by side in channels: convolutions of one kernel as one, 1 x 1 convolutions as one product of matrices,
BatchNorms as one, with the operations' weights in its affine map. Runs lie behind each other in the batch; only
BatchNorm, whose statistics are each run's own, takes them one by one. One that declares nothing runs as it is.

It pays where maps are small and calls cost more than what they compute.

Letters: B images, R runs, C channels, H x W feature map, T edges, O operations that an edge offers, G operations that
run side by side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wholenet.ops.forms import total
from wholenet.ops.joint import joint_norm, norm_alike
from wholenet.ops.shares import Dense, Itself, Nothing, Pooled, Separable, Stage, shares_of

DIAGONAL = 8
"""Channels up to which, on a CPU, side by side 1 x 1 convolutions are fastest as one product with a block-diagonal
matrix."""


class Leaving:
    """The edges out of one map.

    Args:
        edges: of each, its operations by name; all offer the same.
        channels: C.
    """

    def __init__(self, edges: Sequence[Mapping[str, nn.Module]], channels: int) -> None:
        self.count, self.channels = len(edges), channels
        self.separable: dict[int, list[tuple[int, Sequence[Sequence[Stage]]]]] = {}
        """By the number of stages: the place of an operation, and its stages on each edge."""
        self.dense: list[tuple[int, Sequence[Dense]]] = []
        self.pooled: list[tuple[int, Sequence[Pooled]]] = []
        self.itself: list[int] = []
        self.alone: list[tuple[int, Sequence[nn.Module]]] = []
        for place, name in enumerate(edges[0]):
            operations = [offered[name] for offered in edges]
            declared = [shares_of(operation) for operation in operations]
            match declared[0]:
                case Nothing():
                    pass
                case Itself():
                    self.itself.append(place)
                case Pooled():
                    self.pooled.append((place, cast(list[Pooled], declared)))
                case Dense():
                    self.dense.append((place, cast(list[Dense], declared)))
                case Separable(stages):
                    found = [cast(Separable, own).stages for own in declared]
                    self.separable.setdefault(len(stages), []).append((place, found))
                case _:
                    self.alone.append((place, operations))

    def __call__(self, x: Tensor, runs: int, weights: Tensor) -> list[Tensor]:
        """What arrives over each edge.

        Args:
            x: [R B, C, H, W].
            runs: R.
            weights: [T, O], of the edges' operations.

        Returns:
            T maps like ``x``.
        """
        active = F.relu(x)
        of_operation = weights.unbind(1)
        found: list[Tensor] = []
        norms: list[nn.BatchNorm2d] = []
        places: list[int] = []
        for operations in self.separable.values():
            found.append(self._separable(active, runs, [stages for _, stages in operations]))
            norms += [stages[-1].norm for _, every in operations for stages in every]
            places += [place for place, _ in operations]
        for place, every in self.dense:
            found.append(_convolved(active, [own.convolution for own in every]))
            norms += [own.norm for own in every]
            places.append(place)
        maps = [x for _ in self.itself]
        of_maps = list(self.itself)
        for place, every in self.pooled:
            pooled, own = every[0].pool(x), [shares.norm for shares in every]
            if own[0].affine or not own[0].training:
                found.append(pooled.repeat(1, self.count, 1, 1))
                norms += own
                places.append(place)
            else:
                maps.append(norm_alike(pooled, own, runs=runs))
                of_maps.append(place)
        terms: list[Sequence[Tensor]] = []
        if places:
            scales = torch.cat([of_operation[place] for place in places])
            normal = joint_norm(_beside(found), norms, scales, runs=runs).permute(0, 2, 3, 1)
            terms.append(normal.unflatten(3, (len(places), self.count, -1)).sum(3).permute(3, 0, 4, 1, 2).unbind())
        if of_maps:
            together = torch.stack([m.permute(0, 2, 3, 1) for m in maps])
            sums = (torch.stack([of_operation[place] for place in of_maps], dim=1) @ together.flatten(1)).view(
                -1, *together.shape[1:]
            )
            terms.append(sums.permute(0, 1, 4, 2, 3).unbind())
        for place, operations in self.alone:
            out = [torch.cat([operation(part) for part in x.chunk(runs)]) for operation in operations]
            terms.append([of_operation[place][edge] * own for edge, own in enumerate(out)])
        if not terms:
            return [x * 0 for _ in range(self.count)]
        return [total(own) for own in zip(*terms, strict=True)]

    def _separable(self, x: Tensor, runs: int, operations: Sequence[Sequence[Sequence[Stage]]]) -> Tensor:
        """Operations of equally many stages, up to the last BatchNorm: [R B, C, H, W] -> [R B, G C, H, W]."""
        h = torch.cat([x] * self.count, dim=1)
        parts: Sequence[Tensor] = [h for _ in operations]
        for at in range(len(operations[0][0])):
            stages = [[every[at] for every in operation] for operation in operations]
            if at:
                norms = [stages[at - 1].norm for operation in operations for stages in operation]
                parts = F.relu(joint_norm(h, norms, runs=runs)).chunk(len(operations), 1)
            h = _beside([_convolved(part, [s.spatial for s in own]) for part, own in zip(parts, stages, strict=True)])
            h = _across(h, [stage.across.weight for own in stages for stage in own])
        return h


def _beside(maps: Sequence[Tensor]) -> Tensor:
    return maps[0] if len(maps) == 1 else torch.cat(list(maps), dim=1)


def _convolved(x: Tensor, layers: Sequence[nn.Conv2d]) -> Tensor:
    """Convolutions without bias that differ in their weights alone, side by side: dense ones of one map [B, C, H, W],
    depthwise ones of one map each [B, G C, H, W]; -> [B, G C, H, W]."""
    first = layers[0]
    weight = torch.cat([layer.weight for layer in layers])
    groups = 1 if first.groups == 1 else len(weight)
    return F.conv2d(x, weight, None, first.stride, first.padding, first.dilation, groups)  # pyright: ignore[reportArgumentType]


def _across(x: Tensor, weights: Sequence[Tensor]) -> Tensor:
    """1 x 1 convolutions side by side: [B, G C, H, W] and G times [C, C, 1, 1] -> [B, G C, H, W]."""
    b, _, h, w = x.shape
    groups, channels = len(weights), weights[0].shape[0]
    rows = x.permute(0, 2, 3, 1)
    if x.device.type == "cpu" and channels <= DIAGONAL:
        return F.linear(rows, torch.block_diag(*[weight.flatten(1) for weight in weights])).permute(0, 3, 1, 2)
    each = rows.reshape(-1, groups, channels).transpose(0, 1)
    out = torch.bmm(each, torch.stack(list(weights)).flatten(2).transpose(1, 2))
    return out.transpose(0, 1).reshape(b, h, w, -1).permute(0, 3, 1, 2)
