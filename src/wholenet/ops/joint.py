"""Layers of one kind and size, run as one over their concatenated channels: the same numbers in fewer operators.

Letters: B images, C channels of one branch, H x W feature map, K branches.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wholenet import parallel
from wholenet.ops.norms import BatchNorm, batch_norm_over_all
from wholenet.ops.statistics import counted_step


def joint_convolution(x: Tensor, convs: Sequence[nn.Conv2d], *, shared: bool = False) -> Tensor:
    """The outputs of K convolutions, none of them grouped, side by side.

    Args:
        x: their inputs side by side, [B, K C, H, W]; if ``shared``, the one input of all, [B, C, H, W].
        convs: equal but for their weights.
        shared: whether they read the same.
    """
    first = convs[0]
    bias = None if first.bias is None else torch.cat([conv.bias for conv in convs if conv.bias is not None])
    groups = 1 if shared else len(convs)
    weight = torch.cat([conv.weight for conv in convs])
    padding = (int(first.padding[0]), int(first.padding[1]))
    return F.conv2d(x, weight, bias, first.stride, padding, first.dilation, groups)


def joint_norm(x: Tensor, norms: Sequence[nn.BatchNorm2d], scales: Tensor | None = None, *, runs: int = 1) -> Tensor:
    """The outputs of K BatchNorms side by side, the k-th times ``scales[k]``; each one's running statistics move.

    Args:
        x: their inputs side by side, [B, K C, H, W].
        norms: equal but for their weights and statistics, in the same mode, after as many batches.
        scales: [K], put into the affine map.
        runs: so many batches lie behind each other in ``x``, and are normalised one after the other.
    """
    first = norms[0]
    channels = first.num_features
    weight = bias = None
    if first.affine:
        weight, bias = (torch.cat([getattr(norm, name) for norm in norms]) for name in ("weight", "bias"))
    if scales is not None:
        spread = scales.repeat_interleave(channels)
        weight = spread if weight is None else weight * spread
        bias = None if bias is None else bias * spread
    means, variances = _statistics(norms)
    mean, variance = torch.cat(means), torch.cat(variances)
    out, moves = [], False
    for part in x.chunk(runs) if first.training else [x]:
        step = _counted(norms)
        moves |= bool(step)
        out.append(_normalized(part, first, mean, variance, weight, bias, step))
    if moves:
        _keep([*means, *variances], [*mean.split(channels), *variance.split(channels)])
    return out[0] if len(out) == 1 else torch.cat(out)


def norm_alike(x: Tensor, norms: Sequence[nn.BatchNorm2d], *, runs: int = 1) -> Tensor:
    """What each of K BatchNorms without an affine map makes of one input in training mode, the same for all; each one's
    running statistics move.

    Args:
        x: their input [B, C, H, W].
        norms: equal but for their statistics, after as many batches.
        runs: see :func:`joint_norm`.
    """
    means, variances = _statistics(norms)
    together = torch.stack(means), torch.stack(variances)
    mean, variance = torch.zeros_like(means[0]), torch.zeros_like(variances[0])
    out, moves = [], False
    for part in x.chunk(runs):
        # With a momentum of one, running statistics are those of the batch.
        out.append(_normalized(part, norms[0], mean, variance, None, None, 1.0))
        if step := _counted(norms):
            moves = True
            for kept, found in zip(together, (mean, variance), strict=True):
                kept.lerp_(found, step)
    if moves:
        _keep([*means, *variances], [*together[0], *together[1]])
    return out[0] if len(out) == 1 else torch.cat(out)


def _normalized(
    x: Tensor,
    like: nn.BatchNorm2d,
    mean: Tensor,
    variance: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    step: float,
) -> Tensor:
    if isinstance(like, BatchNorm) and parallel.processes() > 1:
        return batch_norm_over_all(x, mean, variance, weight, bias, like.training, step, like.eps)
    return F.batch_norm(x, mean, variance, weight, bias, like.training, step, like.eps)


def _statistics(norms: Sequence[nn.BatchNorm2d]) -> tuple[list[Tensor], list[Tensor]]:
    return [cast(Tensor, norm.running_mean) for norm in norms], [cast(Tensor, norm.running_var) for norm in norms]


def _counted(norms: Sequence[nn.BatchNorm2d]) -> float:
    step, *_ = [counted_step(norm) for norm in norms]  # each counts
    return step


@torch.no_grad()
def _keep(buffers: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    for buffer, value in zip(buffers, values, strict=True):
        buffer.copy_(value)
