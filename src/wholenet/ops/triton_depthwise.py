"""Depthwise convolution for channels_last feature maps, as Triton kernels: forward, input gradient, weight gradient.

cuDNN's depthwise kernels want other layouts. Here neighbouring threads hold neighbouring channels, which is how
channels_last lies in memory; sums are in float32 whatever the maps are in; and the weight gradient is added up in a
fixed order, so that it is the same from run to run.

Imported only where Triton is installed (`ops/fused.py`).

Letters: B images, C channels, H x W feature map, K kernel size.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

ROWS = 64
"""Rows of feature maps that one program of the weight gradient adds up."""


@triton.jit
def _correlate(x, w, y, H, W, C, K: tl.constexpr, BLOCK_W: tl.constexpr, BLOCK_C: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)  # of all B * H
    inner = row % H
    columns = tl.program_id(1) * BLOCK_W + tl.arange(0, BLOCK_W)
    channels = tl.program_id(2) * BLOCK_C + tl.arange(0, BLOCK_C)
    total = tl.zeros((BLOCK_W, BLOCK_C), tl.float32)
    for i in tl.static_range(K):
        above = inner + i - K // 2
        for j in tl.static_range(K):
            beside = columns + j - K // 2
            there = ((above >= 0) & (above < H) & (beside >= 0) & (beside < W))[:, None] & (channels < C)[None, :]
            at = ((row + i - K // 2) * W + beside)[:, None] * C + channels[None, :]
            value = tl.load(x + at, mask=there, other=0.0).to(tl.float32)
            weight = tl.load(w + (i * K + j) * C + channels, mask=channels < C, other=0.0).to(tl.float32)
            total += value * weight[None, :]
    at = (row * W + columns)[:, None] * C + channels[None, :]
    tl.store(y + at, total.to(y.dtype.element_ty), mask=(columns < W)[:, None] & (channels < C)[None, :])


@triton.jit
def _weight_gradient(
    x,
    g,
    partial,
    rows,
    H,
    W,
    C,
    K: tl.constexpr,
    TAPS: tl.constexpr,
    ROWS: tl.constexpr,
    BLOCK_W: tl.constexpr,
    BLOCK_C: tl.constexpr,
):
    chunk = tl.program_id(0)
    i = tl.program_id(2)  # a row of the kernel
    channels = tl.program_id(1) * BLOCK_C + tl.arange(0, BLOCK_C)
    taps = tl.arange(0, TAPS)  # K of them count
    total = tl.zeros((TAPS, BLOCK_C), tl.float32)
    for r in range(ROWS):
        row = (chunk * ROWS + r).to(tl.int64)
        above = row % H + i - K // 2
        inside = (row < rows) & (above >= 0) & (above < H)
        for start in range(0, W, BLOCK_W):
            columns = start + tl.arange(0, BLOCK_W)
            counts = inside & (columns < W)[:, None] & (channels < C)[None, :]
            gradient = tl.load(g + (row * W + columns)[:, None] * C + channels[None, :], mask=counts, other=0.0)
            beside = columns[None, :] + taps[:, None] - K // 2
            there = inside & (beside >= 0) & (beside < W)
            at = ((row + i - K // 2) * W + beside)[:, :, None] * C + channels[None, None, :]
            value = tl.load(x + at, mask=there[:, :, None] & (channels < C)[None, None, :], other=0.0)
            total += tl.sum(value.to(tl.float32) * gradient.to(tl.float32)[None, :, :], axis=1)
    at = ((chunk * K + i) * K + taps)[:, None] * C + channels[None, :]
    tl.store(partial + at, total, mask=(taps < K)[:, None] & (channels < C)[None, :])


def depthwise(x: Tensor, weight: Tensor) -> Tensor:
    """Depthwise convolution, stride 1, zero padding to the same size.

    Args:
        x: [B, C, H, W]; made channels_last if it is not.
        weight: [C, 1, K, K], K odd.

    Raises:
        ValueError: if the weights do not fit.
    """
    if weight.ndim != 4 or weight.shape[:2] != (x.shape[1], 1) or weight.shape[2] != weight.shape[3]:
        raise ValueError(f"weight is {tuple(weight.shape)}; expected [{x.shape[1]}, 1, K, K]")
    if weight.shape[2] % 2 == 0:
        raise ValueError(f"kernel size {weight.shape[2]} is even")
    return _Depthwise.apply(x, weight)


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        x = x.contiguous(memory_format=torch.channels_last)
        ctx.save_for_backward(x, weight)
        return _run(x, weight)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        g = gradients[0].contiguous(memory_format=torch.channels_last)
        to_x = _run(g, weight.flip(2, 3)) if ctx.needs_input_grad[0] else None
        to_weight = _sum(x, g, weight.shape[-1]).to(weight.dtype) if ctx.needs_input_grad[1] else None
        return to_x, to_weight


def _blocks(width: int, channels: int) -> dict[str, int]:
    return {
        "BLOCK_W": max(4, min(16, triton.next_power_of_2(width))),
        "BLOCK_C": max(16, min(64, triton.next_power_of_2(channels))),
    }


def _run(x: Tensor, weight: Tensor) -> Tensor:
    b, c, h, w = x.shape
    k = weight.shape[-1]
    taps = weight[:, 0].permute(1, 2, 0).contiguous()  # [K, K, C]: channels side by side
    y = torch.empty_like(x, memory_format=torch.channels_last)
    blocks = _blocks(w, c)
    grid = (b * h, triton.cdiv(w, blocks["BLOCK_W"]), triton.cdiv(c, blocks["BLOCK_C"]))
    _correlate[grid](x, taps, y, h, w, c, K=k, **blocks)
    return y


def _sum(x: Tensor, g: Tensor, k: int) -> Tensor:
    """Weight gradient [C, 1, K, K], float32."""
    b, c, h, w = x.shape
    blocks = _blocks(w, c)
    chunks = triton.cdiv(b * h, ROWS)
    partial = torch.empty(chunks, k, k, c, dtype=torch.float32, device=x.device)
    grid = (chunks, triton.cdiv(c, blocks["BLOCK_C"]), k)
    _weight_gradient[grid](x, g, partial, b * h, h, w, c, K=k, TAPS=triton.next_power_of_2(k), ROWS=ROWS, **blocks)
    return partial.sum(0).permute(2, 0, 1)[:, None]
