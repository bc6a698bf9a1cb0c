"""Bilinear resizing, by whichever exact way is cheapest.

Letters: B images, C channels, H x W feature map.
"""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from wholenet.ops import forms


def resize(x: Tensor, size: tuple[int, int], *, corners: bool = False) -> Tensor:
    """Bilinear resize of [B, C, H, W] to ``size`` = (height, width); ``corners`` says whether the middles of corner
    pixels are aligned, or the corners of the images.

    Halving an even size is a 2 x 2 mean. On a CPU torch's bilinear kernel is slow in its backward pass; there, where a
    gradient will be asked for, each axis is resized by a product with its (small, dense) matrix of coefficients.
    """
    if torch.compiler.is_compiling():  # one form for sizes that are not known yet, and for a compiler to fuse
        return F.interpolate(x, size=size, mode="bilinear", align_corners=corners)
    height, width = x.shape[-2:]
    if (height, width) == size:
        return x
    if not corners and (height, width) == (2 * size[0], 2 * size[1]):
        return F.avg_pool2d(x, 2)
    if x.device.type == "cpu" and x.requires_grad and max(height, width, *size) <= forms.MATMUL_LIMIT:
        return _by_matmul(x, size, corners)
    return F.interpolate(x, size=size, mode="bilinear", align_corners=corners)


def _by_matmul(x: Tensor, size: tuple[int, int], corners: bool) -> Tensor:
    b, c, h, w = x.shape
    rows = _coefficients(h, size[0], x.dtype, corners)
    columns = _coefficients(w, size[1], x.dtype, corners)
    # In channels_last, [B, H, W, C] is how the numbers lie in memory: both products run on views.
    y = x.permute(0, 2, 3, 1).reshape(b, h, w * c)
    y = torch.matmul(rows, y).reshape(b * size[0], w, c)
    return torch.matmul(columns, y).reshape(b, *size, c).permute(0, 3, 1, 2)


@lru_cache(maxsize=64)
def _coefficients(inputs: int, outputs: int, dtype: torch.dtype, corners: bool) -> Tensor:
    """[outputs, inputs]: what each output along one axis takes from each input."""
    with torch.inference_mode(False), torch.no_grad():
        eye = torch.eye(inputs, dtype=dtype, device="cpu")
        return F.interpolate(eye[None], size=outputs, mode="linear", align_corners=corners)[0].T.contiguous()
