"""BatchNorm over the batch of all processes that train together (``parallel.py``); in one process, BatchNorm.

Letters: B images, C channels, H x W feature map.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from wholenet import parallel
from wholenet.ops.statistics import counted_step


class BatchNorm(nn.BatchNorm2d):
    """``nn.BatchNorm2d``, whose batch is that of all processes."""

    def forward(self, input: Tensor) -> Tensor:
        """[B, C, H, W] -> the same shape."""
        return self.normalized(input, self.weight, self.bias)

    def normalized(self, x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
        """``x`` [B, C, H, W] normalised, with another affine map, [C] each; running statistics move in training."""
        step = counted_step(self)
        run = F.batch_norm if not self.training or parallel.processes() == 1 else batch_norm_over_all
        return run(x, self.running_mean, self.running_var, weight, bias, self.training, momentum=step, eps=self.eps)


def of_others() -> AbstractContextManager[object]:
    """Within the block, BatchNorms of other libraries, whatever else they do in one go, see the batch of all processes
    too: ``F.batch_norm``, by which they normalise, is then computed over it."""
    return nullcontext() if parallel.processes() == 1 else _OfOthers()


class _OfOthers(TorchFunctionMode):
    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        return (batch_norm_over_all if func is F.batch_norm else func)(*args, **(kwargs or {}))


def batch_norm_over_all(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """``F.batch_norm`` of [B, C, H, W] whose batch is that of all processes."""
    if not training:
        return F.batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)
    out, mean, unbiased = normalized_over_all(input, weight, bias, eps)
    if momentum and running_mean is not None and running_var is not None:
        with torch.no_grad():
            running_mean.lerp_(mean.to(running_mean.dtype), momentum)
            running_var.lerp_(unbiased.to(running_var.dtype), momentum)
    return out


def normalized_over_all(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """``x`` [B, C, H, W] normalised by the batch of all processes, that batch's mean [C], and its variance [C] as
    running statistics count it (unbiased). A gradient goes through ``x``, ``weight`` and ``bias`` alone, of
    any order."""
    out, mean, variance, count = _OverAll.apply(x, weight, bias, eps)
    return out, mean, variance * (count / (count - 1).clamp(min=1))


class _OverAll(torch.autograd.Function):
    """Normalise by the mean and variance over all processes; like ``nn.SyncBatchNorm``, which runs on GPUs alone."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        wide = x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
        variance, mean = torch.var_mean(wide, (0, 2, 3), correction=0)
        own = mean.new_tensor([x.numel() // x.shape[1]])
        everyone = parallel.gathered(torch.cat([mean, variance, own]))
        means, variances = everyone[:, : len(mean)], everyone[:, len(mean) : -1]
        counts = everyone[:, -1:]
        count = counts.sum()
        mean = (counts * means).sum(0) / count
        variance = (counts * (variances + (means - mean) ** 2)).sum(0) / count
        scale = (variance + eps).rsqrt()
        ctx.save_for_backward(x, weight, mean, scale, count)
        ctx.has_bias, ctx.eps = bias is not None, eps
        full = scale if weight is None else scale * weight
        shift = -mean * full if bias is None else bias - mean * full
        out = torch.addcmul(_channels(shift), wide, _channels(full))
        ctx.mark_non_differentiable(mean, variance, count)
        return out.to(x.dtype), mean, variance, count

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        gradient: Tensor = gradients[0]  # of the output; there is none of the statistics
        x, weight, mean, scale, count = ctx.saved_tensors
        wide, above = (t.float() if t.dtype in (torch.bfloat16, torch.float16) else t for t in (x, gradient))
        total = parallel.summed
        if torch.is_grad_enabled():  # to be differentiated again: the statistics depend on x
            total = parallel.summed_in_graph
            mean = total(wide.sum((0, 2, 3))) / count
            variance = total(((wide - _channels(mean)) ** 2).sum((0, 2, 3))) / count
            scale = (variance + ctx.eps).rsqrt()
        normal = (wide - _channels(mean)) * _channels(scale)
        sums = torch.stack([above.sum((0, 2, 3)), (above * normal).sum((0, 2, 3))])
        own_shift, own_scale = sums
        shift, slope = total(sums) / count
        full = scale if weight is None else scale * weight
        out = (above - _channels(shift) - normal * _channels(slope)) * _channels(full)
        return (
            out.to(x.dtype),
            None if weight is None else own_scale,
            own_shift if ctx.has_bias else None,
            None,
        )


def _channels(x: Tensor) -> Tensor:
    """[C] -> [1, C, 1, 1]."""
    return x[None, :, None, None]
