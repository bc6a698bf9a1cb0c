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


def restride(x: Tensor, size: tuple[int, int], up: int, *, corners: bool = False) -> Tensor:
    """Bilinear resize of a map [B, C, h, w] of an image to the ``size`` (height, width) of a map of another stride.

    A map of stride s has a pixel for every s pixels of the image, rounded up, so its last pixel may stand for fewer.
    Stretched to another map's size, the map would be ever further off towards its end, by up to s pixels of the image.
    So it is enlarged by the whole factor and cut, or its last pixels are repeated and it is shrunk by the whole factor.
    Of sides that the strides divide this is :func:`resize`; with ``corners`` of sides that they divide but for one
    pixel.

    Args:
        x: the map.
        size: of the other one.
        up: how many times its stride is half of that of ``x``; below 0 ``x`` is shrunk.
        corners: the middles of the maps' first pixels are at one place of the image, and not their corners: then
            shrinking takes one pixel of so many.
    """
    if up == 0:
        return x
    factor, (height, width), (h, w) = 2 ** abs(up), size, x.shape[-2:]
    if corners and up < 0:
        return F.avg_pool2d(x, 1, stride=factor)
    if torch.compiler.is_compiling() and _known(height, width, h, w):
        # Graphs of two sizes must not differ in more than sizes of maps (deploy/free_sizes.py): by factors alone, and
        # with so much at the end that something is cut whatever the size.
        more = 1 if up > 0 else factor - 1
        x = evened(x, (h + more, w + more))
        if not corners:
            return evened(F.interpolate(x, scale_factor=2.0**up, mode="bilinear", align_corners=False), size)
        for _ in range(up):  # a mean of two pixels lies in the middle between them
            x = F.avg_pool2d(F.interpolate(x, scale_factor=2.0, mode="nearest"), 2, stride=1)
        return evened(x, size)
    if up < 0:
        return resize(evened(x, (factor * height, factor * width)), size)
    larger = (factor * (h - 1) + 1, factor * (w - 1) + 1) if corners else (factor * h, factor * w)
    return evened(resize(x, larger, corners=corners), size)


def evened(x: Tensor, size: tuple[int, int]) -> Tensor:
    """The first rows and columns of a map [B, C, h, w], so many as ``size`` says, the last one again where there are
    fewer."""
    if not _known(*size, *x.shape[-2:]):  # nor which of them is larger
        for axis, side in zip((-2, -1), size, strict=True):
            at = torch.arange(side, device=x.device).clamp(max=x.shape[axis] - 1)
            x = x.index_select(axis, at)
        return x
    x = x[..., : size[0], : size[1]]
    if more := size[0] - x.shape[-2]:
        x = torch.cat([x, *[x[..., -1:, :]] * more], dim=-2)
    if more := size[1] - x.shape[-1]:
        x = torch.cat([x, *[x[..., -1:]] * more], dim=-1)
    return x


def padded(x: Tensor, multiple: int) -> Tensor:
    """Images [B, C, H, W] with their last row and column again, up to sides that are multiples of ``multiple``."""
    height, width = x.shape[-2:]
    size = (-(-height // multiple) * multiple, -(-width // multiple) * multiple)
    if not _known(height, width):
        return evened(x, size)
    if torch.compiler.is_compiling():  # as in `restride`
        return evened(F.pad(x, (0, multiple, 0, multiple), mode="replicate"), size)
    return x if size == (height, width) else F.pad(x, (0, size[1] - width, 0, size[0] - height), mode="replicate")


def _known(*sides: int) -> bool:
    """Whether they are numbers, and not symbols of an export."""
    return all(isinstance(side, int) for side in sides)


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
