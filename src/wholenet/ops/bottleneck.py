"""The grid cell, in the two readings of the seed paper's Sec. 3.1.

Both map [B, C, H, W] and the cell's alpha weights [K] (one per kernel size) to [B, C, H, W].
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from wholenet.ops.forms import total
from wholenet.ops.fused import Fusable, norm_activation
from wholenet.ops.layers import ConvNorm, SqueezeExcite, make_activation
from wholenet.ops.mixture import KernelMixture


class MixtureCell(Fusable):
    """One inverted bottleneck whose depthwise convolution is the mixture of the candidate kernels.

    Expand, squeeze-and-excitation and projection are shared by the kernels. This is the reading that reproduces the
    parameter counts of the seed paper's Table 3; with a residual connection, which the table cannot show.
    """

    def __init__(self, channels: int, expansion: int, kernels: Sequence[int], activation: str) -> None:
        super().__init__()
        width = channels * expansion
        self.expand = ConvNorm(channels, width, 1, activation=activation)
        self.depthwise = KernelMixture(width, kernels)
        self.norm = nn.BatchNorm2d(width)
        self.activation = make_activation(activation)
        self.gate = SqueezeExcite(width)
        self.project = ConvNorm(width, channels, 1)

    def forward(self, x: Tensor, alpha: Tensor) -> Tensor:
        """``x`` [B, C, H, W], ``alpha`` [K] -> [B, C, H, W]."""
        mixed = self.depthwise(self.expand(x), alpha)
        h = norm_activation(mixed, self.norm, self.activation, self.fused)
        return x + self.project(self.gate(h))


class SeparateCell(nn.Module):
    """A whole inverted bottleneck per kernel, outputs mixed: Eq. 3 to the letter, at K times the cost."""

    def __init__(self, channels: int, expansion: int, kernels: Sequence[int], activation: str) -> None:
        super().__init__()
        self.operations = nn.ModuleDict({f"k{k}": MixtureCell(channels, expansion, (k,), activation) for k in kernels})

    def forward(self, x: Tensor, alpha: Tensor) -> Tensor:
        """``x`` [B, C, H, W], ``alpha`` [K] -> [B, C, H, W]."""
        if alpha.shape != (len(self.operations),):
            raise ValueError(
                f"alpha has shape {tuple(alpha.shape)} but this cell offers {len(self.operations)} operations; "
                "it takes one weight per operation"
            )
        alone = alpha.new_ones(1)
        operations = self.operations.values()
        return total([weight * operation(x, alone) for weight, operation in zip(alpha, operations, strict=True)])


CELLS = {"mixture": MixtureCell, "separate": SeparateCell}
"""Cell types of the grid supernet by name."""
