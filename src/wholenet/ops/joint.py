"""Layers of one kind and size, run as one over their concatenated channels: the same numbers in fewer operators.

Letters: B images, C channels of one branch, H x W feature map, K branches.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

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


def joint_norm(x: Tensor, norms: Sequence[nn.BatchNorm2d], scales: Tensor | None = None) -> Tensor:
    """The outputs of K BatchNorms side by side, the k-th times ``scales[k]``; each one's running statistics move.

    Args:
        x: their inputs side by side, [B, K C, H, W].
        norms: equal but for their weights and statistics, in the same mode, after as many batches.
        scales: [K], put into the affine map.
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
    means, variances = ([getattr(norm, name) for norm in norms] for name in ("running_mean", "running_var"))
    mean, variance = torch.cat(means), torch.cat(variances)
    step, *_ = [counted_step(norm) for norm in norms]  # each counts
    out = F.batch_norm(x, mean, variance, weight, bias, training=first.training, momentum=step, eps=first.eps)
    if step:
        with torch.no_grad():
            moved = zip([*means, *variances], [*mean.split(channels), *variance.split(channels)], strict=True)
            for buffer, value in moved:
                buffer.copy_(value)
    return out
