"""The correlation layer: how alike each pixel of the left features is to pixels of the right ones in the same row.

Letters: N pairs, C channels, H x W feature map, S shifts.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from wholenet.ops.forms import TwoForms

EPSILON = 1e-6
"""Added to the mean square of a pixel's features, so that a pixel without any stays at zero."""


class Correlation(TwoForms):
    """Of each shift d the mean over channels of left(x) right(x - d); beside the image, the right features are zero.

    The fast form multiplies each row of the left features with the row of the right ones as matrices, and takes the
    diagonals; the plain form goes from shift to shift. Both can be differentiated twice.

    Args:
        displacement: the largest shift D.
        two_sided: shifts are -D, ..., D, not 0, ..., D.
        normalised: features are centred over the image first and then brought to a mean square of 1 in each pixel, so
            that what comes out are cosines of angles.
    """

    def __init__(self, displacement: int, *, two_sided: bool = False, normalised: bool = True) -> None:
        super().__init__()
        self.displacement = displacement
        self.two_sided = two_sided
        self.normalised = normalised

    @property
    def shifts(self) -> range:
        """d of each channel of the output."""
        return range(-self.displacement if self.two_sided else 0, self.displacement + 1)

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        """[N, C, H, W] each -> [N, S, H, W]."""
        if self.normalised:
            left, right = normalised(left), normalised(right)
        right = F.pad(right, (self.shifts[-1], -self.shifts[0]))
        # A graph for other machines has nothing to gain by the fast form, whose steps depend on the width.
        plain = self.plain or torch.compiler.is_compiling()
        return self.shift_by_shift(left, right) if plain else self.by_rows(left, right)

    def shift_by_shift(self, left: Tensor, right: Tensor) -> Tensor:
        """``left`` [N, C, H, W] and ``right`` [N, C, H, W + S - 1] -> [N, S, H, W]."""
        # Counted from the end, so that no number depends on the width.
        last = len(self.shifts) - 1
        parts = [right[..., last - i : None if i == 0 else -i] for i in range(len(self.shifts))]
        return torch.stack([(left * part).mean(1) for part in parts], 1)

    def by_rows(self, left: Tensor, right: Tensor) -> Tensor:
        """Likewise."""
        n, c, h, w = left.shape
        shifts = len(self.shifts)
        rows = left.permute(0, 2, 3, 1).reshape(n * h, w, c)
        others = right.permute(0, 2, 1, 3).reshape(n * h, c, w + shifts - 1)
        every = torch.bmm(rows, others).flatten(1)
        # Row x of the band begins at place x of the product's row x: with one place more to a row, in a column.
        band = F.pad(every, (0, w)).view(n, h, w, w + shifts)[..., :shifts]
        return band.permute(0, 3, 1, 2).flip(1) / c


def normalised(x: Tensor) -> Tensor:
    """[N, C, H, W], centred over each image, and of mean square 1 in each pixel."""
    x = x - x.mean((2, 3), keepdim=True)
    return x * (x.square().mean(1, keepdim=True) + EPSILON).rsqrt()
