"""BatchNorm by the batch and the activation behind it, as Triton kernels that read and write each feature map once.

Only the input is kept for the backward pass: what lies between normalisation and activation is computed again, in
registers. Statistics are added up in float32 by chunks in a fixed order, each around its own mean.

Imported only where Triton is installed (`ops/fused.py`).

Letters: B images, C channels, H x W feature map, N = B * H * W.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

ACTIVATIONS = ("identity", "relu", "relu6", "hardswish")
CHUNK = 512
"""Pixels that one program adds up."""
BLOCK = 32
"""Pixels that it holds at a time."""


@triton.jit
def _activated(z, ACTIVATION: tl.constexpr):
    if ACTIVATION == 1:
        z = tl.maximum(z, 0.0)
    if ACTIVATION == 2:
        z = tl.minimum(tl.maximum(z, 0.0), 6.0)
    if ACTIVATION == 3:
        z = z * tl.minimum(tl.maximum(z + 3.0, 0.0), 6.0) / 6.0
    return z


@triton.jit
def _slope(z, ACTIVATION: tl.constexpr):
    """Derivative of the activation."""
    slope = z * 0.0 + 1.0
    if ACTIVATION == 1:
        slope = tl.where(z > 0.0, 1.0, 0.0)
    if ACTIVATION == 2:
        slope = tl.where((z > 0.0) & (z < 6.0), 1.0, 0.0)
    if ACTIVATION == 3:
        slope = tl.where(z <= -3.0, 0.0, tl.where(z < 3.0, z / 3.0 + 0.5, 1.0))
    return slope


@triton.jit
def _statistics(x, means, squares, N, C, CHUNK: tl.constexpr, BLOCK: tl.constexpr, BLOCK_C: tl.constexpr):
    chunk = tl.program_id(0)
    first = chunk.to(tl.int64) * CHUNK
    channels = tl.program_id(1) * BLOCK_C + tl.arange(0, BLOCK_C)
    count = tl.minimum(N - first, CHUNK).to(tl.float32)
    total = tl.zeros((BLOCK_C,), tl.float32)
    for start in range(0, CHUNK, BLOCK):
        pixels = first + start + tl.arange(0, BLOCK)
        there = (pixels < N)[:, None] & (channels < C)[None, :]
        value = tl.load(x + pixels[:, None] * C + channels[None, :], mask=there, other=0.0).to(tl.float32)
        total += tl.sum(value, axis=0)
    mean = total / count
    square = tl.zeros((BLOCK_C,), tl.float32)
    for start in range(0, CHUNK, BLOCK):
        pixels = first + start + tl.arange(0, BLOCK)
        there = (pixels < N)[:, None] & (channels < C)[None, :]
        value = tl.load(x + pixels[:, None] * C + channels[None, :], mask=there, other=0.0).to(tl.float32)
        away = tl.where(there, value - mean[None, :], 0.0)
        square += tl.sum(away * away, axis=0)
    tl.store(means + chunk * C + channels, mean, mask=channels < C)
    tl.store(squares + chunk * C + channels, square, mask=channels < C)


@triton.jit
def _apply(x, scale, shift, y, N, C, ACTIVATION: tl.constexpr, BLOCK: tl.constexpr, BLOCK_C: tl.constexpr):
    pixels = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    channels = tl.program_id(1) * BLOCK_C + tl.arange(0, BLOCK_C)
    there = (pixels < N)[:, None] & (channels < C)[None, :]
    at = pixels[:, None] * C + channels[None, :]
    a = tl.load(scale + channels, mask=channels < C, other=0.0)
    b = tl.load(shift + channels, mask=channels < C, other=0.0)
    value = tl.load(x + at, mask=there, other=0.0).to(tl.float32)
    out = _activated(value * a[None, :] + b[None, :], ACTIVATION)
    tl.store(y + at, out.to(y.dtype.element_ty), mask=there)


@triton.jit
def _sums(
    x,
    g,
    scale,
    shift,
    mean,
    rate,
    plain,
    weighted,
    N,
    C,
    ACTIVATION: tl.constexpr,
    CHUNK: tl.constexpr,
    BLOCK: tl.constexpr,
    BLOCK_C: tl.constexpr,
):
    """Per chunk and channel, the sums of dz and of dz times the normalised input."""
    chunk = tl.program_id(0)
    first = chunk.to(tl.int64) * CHUNK
    channels = tl.program_id(1) * BLOCK_C + tl.arange(0, BLOCK_C)
    known = channels < C
    a = tl.load(scale + channels, mask=known, other=0.0)
    b = tl.load(shift + channels, mask=known, other=0.0)
    m = tl.load(mean + channels, mask=known, other=0.0)
    r = tl.load(rate + channels, mask=known, other=0.0)
    one = tl.zeros((BLOCK_C,), tl.float32)
    two = tl.zeros((BLOCK_C,), tl.float32)
    for start in range(0, CHUNK, BLOCK):
        pixels = first + start + tl.arange(0, BLOCK)
        there = (pixels < N)[:, None] & known[None, :]
        at = pixels[:, None] * C + channels[None, :]
        value = tl.load(x + at, mask=there, other=0.0).to(tl.float32)
        gradient = tl.load(g + at, mask=there, other=0.0).to(tl.float32)
        dz = gradient * _slope(value * a[None, :] + b[None, :], ACTIVATION)
        one += tl.sum(dz, axis=0)
        two += tl.sum(dz * (value - m[None, :]) * r[None, :], axis=0)
    tl.store(plain + chunk * C + channels, one, mask=known)
    tl.store(weighted + chunk * C + channels, two, mask=known)


@triton.jit
def _to_input(
    x,
    g,
    scale,
    shift,
    mean,
    rate,
    one,
    two,
    out,
    N,
    C,
    ACTIVATION: tl.constexpr,
    BLOCK: tl.constexpr,
    BLOCK_C: tl.constexpr,
):
    pixels = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    channels = tl.program_id(1) * BLOCK_C + tl.arange(0, BLOCK_C)
    known = channels < C
    there = (pixels < N)[:, None] & known[None, :]
    at = pixels[:, None] * C + channels[None, :]
    a = tl.load(scale + channels, mask=known, other=0.0)
    b = tl.load(shift + channels, mask=known, other=0.0)
    m = tl.load(mean + channels, mask=known, other=0.0)
    r = tl.load(rate + channels, mask=known, other=0.0)
    s1 = tl.load(one + channels, mask=known, other=0.0)
    s2 = tl.load(two + channels, mask=known, other=0.0)
    value = tl.load(x + at, mask=there, other=0.0).to(tl.float32)
    gradient = tl.load(g + at, mask=there, other=0.0).to(tl.float32)
    dz = gradient * _slope(value * a[None, :] + b[None, :], ACTIVATION)
    normal = (value - m[None, :]) * r[None, :]
    dx = a[None, :] * (dz - s1[None, :] / N - normal * s2[None, :] / N)
    tl.store(out + at, dx.to(out.dtype.element_ty), mask=there)


def norm_activation(
    x: Tensor, weight: Tensor, bias: Tensor, eps: float, activation: str
) -> tuple[Tensor, Tensor, Tensor]:
    """``activation(BatchNorm(x))`` by the statistics of the batch.

    Args:
        x: [B, C, H, W]; made channels_last if it is not.
        weight: [C], float32, and
        bias: [C], of the affine map.
        eps: added to the variance.
        activation: one of ``ACTIVATIONS``.

    Returns:
        The output, and mean and biased variance of ``x`` per channel, float32 [C], without gradient.
    """
    return _NormActivation.apply(x, weight, bias, eps, ACTIVATIONS.index(activation))


class _NormActivation(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float, activation: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        x = x.contiguous(memory_format=torch.channels_last)
        mean, variance = _mean_and_variance(x)
        rate = torch.rsqrt(variance + eps)
        scale = weight.float() * rate
        shift = bias.float() - mean * scale
        y = torch.empty_like(x, memory_format=torch.channels_last)
        n, c, block = _shape(x)
        grid = (triton.cdiv(n, BLOCK), triton.cdiv(c, block))
        _apply[grid](x, scale, shift, y, n, c, ACTIVATION=activation, BLOCK=BLOCK, BLOCK_C=block)
        ctx.save_for_backward(x, scale, shift, mean, rate)
        ctx.activation = activation
        ctx.mark_non_differentiable(mean, variance)
        return y, mean, variance

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        x, scale, shift, mean, rate = ctx.saved_tensors
        g = gradients[0].contiguous(memory_format=torch.channels_last)
        n, c, block = _shape(x)
        chunks = triton.cdiv(n, CHUNK)
        plain, weighted = (torch.empty(chunks, c, dtype=torch.float32, device=x.device) for _ in range(2))
        options = {"ACTIVATION": ctx.activation, "BLOCK": BLOCK, "BLOCK_C": block}
        known = (x, g, scale, shift, mean, rate)
        _sums[(chunks, triton.cdiv(c, block))](*known, plain, weighted, n, c, CHUNK=CHUNK, **options)
        to_bias, to_weight = plain.sum(0), weighted.sum(0)
        to_x = torch.empty_like(x, memory_format=torch.channels_last)
        _to_input[(triton.cdiv(n, BLOCK), triton.cdiv(c, block))](*known, to_bias, to_weight, to_x, n, c, **options)
        return to_x, to_weight, to_bias, None, None


def _shape(x: Tensor) -> tuple[int, int, int]:
    """N, C, and channels per program."""
    b, c, h, w = x.shape
    return b * h * w, c, max(16, min(64, triton.next_power_of_2(c)))


def _mean_and_variance(x: Tensor) -> tuple[Tensor, Tensor]:
    n, c, block = _shape(x)
    chunks = triton.cdiv(n, CHUNK)
    means, squares = (torch.empty(chunks, c, dtype=torch.float32, device=x.device) for _ in range(2))
    _statistics[(chunks, triton.cdiv(c, block))](x, means, squares, n, c, CHUNK=CHUNK, BLOCK=BLOCK, BLOCK_C=block)
    counts = torch.full((chunks, 1), float(CHUNK), device=x.device)
    counts[-1] = n - CHUNK * (chunks - 1)
    mean = (counts * means).sum(0) / n
    return mean, (squares.sum(0) + (counts * (means - mean).square()).sum(0)) / n
