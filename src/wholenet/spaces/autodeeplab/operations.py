"""The candidate operations of Auto-DeepLab's cells: those of DARTS, but for the atrous convolutions, which are full.

Letters: B images, C channels, H x W feature map.
"""

from __future__ import annotations

from torch import Tensor, nn

from wholenet.ops.candidates import CANDIDATES, drop_path
from wholenet.ops.norms import BatchNorm
from wholenet.ops.resize import restride
from wholenet.ops.shares import Dense
from wholenet.spaces.autodeeplab.images import halved


class AtrousConvolution(nn.Sequential):
    """ReLU, a full convolution with holes, BatchNorm.

    The release convolves all channels with all: depthwise ones, which both PyTorch ports have, give half of the
    published parameters.

    Args:
        channels: C.
        kernel: an odd size.
        affine: of the BatchNorm.
        rate: pixels from one tap to the next.
    """

    def __init__(self, channels: int, kernel: int, *, affine: bool, rate: int = 2) -> None:
        padding = rate * (kernel // 2)
        super().__init__(
            nn.ReLU(),
            nn.Conv2d(channels, channels, kernel, padding=padding, dilation=rate, bias=False),
            BatchNorm(channels, affine=affine),
        )

    @property
    def shares(self) -> Dense:
        """All of it."""
        _, convolution, norm = self
        return Dense(convolution, norm)  # pyright: ignore[reportArgumentType]


def search_operation(name: str, channels: int, *, affine: bool, separable_atrous: bool) -> nn.Module:
    """A candidate of a supernet's edge: [B, C, H, W] -> the same shape, BatchNorm after all but ``none`` and skips.

    Args:
        name: one of ``OPERATIONS``.
        channels: C.
        affine: of the BatchNorms.
        separable_atrous: depthwise separable atrous convolutions, those of DARTS, in the place of full ones.
    """
    if name.startswith("atrous") and not separable_atrous:
        return AtrousConvolution(channels, _kernel(name), affine=affine)
    return CANDIDATES[name.replace("atrous", "dil")].make(channels, 1, True, affine)


class FinalOperation(nn.Module):
    """An operation of a discrete network, whose output is dropped for some samples in training.

    Args:
        name: one of ``OPERATIONS`` but ``none``.
        channels: C.
        stride: 2 halves the map, n -> (n + 1) // 2: a convolution in its first depthwise kernel, a pooling by itself,
            an atrous convolution by taking every second pixel before it, and then has rate 1 (the release, which
            resizes: see ``images.py``); a skip by that alone (ours: the release's cell has none).
        separable_atrous: see :func:`search_operation`.
    """

    def __init__(self, name: str, channels: int, stride: int, *, separable_atrous: bool) -> None:
        super().__init__()
        resized = name.startswith("atrous") or name == "skip_connect"
        self.halves = stride == 2 and resized
        stride = 1 if resized else stride
        if name.startswith("atrous") and not separable_atrous:
            rate = 1 if self.halves else 2
            self.operation: nn.Module = AtrousConvolution(channels, _kernel(name), affine=True, rate=rate)
        else:
            self.operation = CANDIDATES[name.replace("atrous", "dil")].make(channels, stride, False, True)

    def forward(self, x: Tensor, dropped: float) -> Tensor:
        """``x`` [B, C, H, W] and the probability that a sample's output is dropped, 0 outside training."""
        if self.halves:
            x = restride(x, halved(x.shape[2], x.shape[3]), -1, corners=True)
        return drop_path(self.operation(x), dropped)


def _kernel(name: str) -> int:
    return int(name[-1])
