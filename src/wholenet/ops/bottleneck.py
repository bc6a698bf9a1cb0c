"""The grid cell, in the two readings of the seed paper's Sec. 3.1.

Both map [B, C, H, W] and the cell's alpha weights [K] (one per candidate operation) to [B, C, H, W].
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wholenet import parallel
from wholenet.ops.forms import TwoForms, total
from wholenet.ops.fused import Fusable, norm_activation
from wholenet.ops.joint import joint_convolution, joint_norm
from wholenet.ops.layers import ConvNorm, SqueezeExcite, gated, make_activation
from wholenet.ops.mixture import OperationMixture
from wholenet.ops.norms import BatchNorm
from wholenet.ops.operations import Operation


class MixtureCell(Fusable):
    """One inverted bottleneck whose depthwise convolution is the mixture of the candidate operations.

    Expand, squeeze-and-excitation and projection are shared by them. This is the reading that reproduces the
    parameter counts of the seed paper's Table 3; with a residual connection, which the table cannot show.

    ``left``: channels in and out, and expanded ones, where some were removed; the gate stays as deep inside as it was.
    """

    def __init__(
        self,
        channels: int,
        expansion: int,
        operations: Sequence[Operation],
        activation: str,
        *,
        left: tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        whole = channels * expansion
        channels, width = (channels, whole) if left is None else left
        self.expand = ConvNorm(channels, width, 1, activation=activation)
        self.depthwise = OperationMixture(width, operations)
        self.norm = BatchNorm(width)
        self.activation = make_activation(activation)
        self.gate = SqueezeExcite(width, hidden_width(whole))
        self.project = ConvNorm(width, channels, 1)

    def forward(self, x: Tensor, alpha: Tensor) -> Tensor:
        """``x`` [B, C, H, W], ``alpha`` [K] -> [B, C, H, W]."""
        mixed = self.depthwise(self.expand(x), alpha)
        h = norm_activation(mixed, self.norm, self.activation, self.fused)
        return x + self.project(self.gate(h))


def hidden_width(width: int) -> int:
    """Channels inside the gate of a bottleneck of ``width`` expanded channels (MobileNetV3: a quarter)."""
    return max(1, width // 4)


class BareCell(nn.Module):
    """A cell whose bottleneck was removed: its residual path."""

    def forward(self, x: Tensor, _alpha: Tensor) -> Tensor:
        """``x`` as it is; alpha has no options."""
        return x


class SeparateCell(TwoForms, Fusable):
    """A whole inverted bottleneck per operation, outputs mixed: Eq. 3 to the letter, at K times the cost.

    The fast form runs what the bottlenecks have in common as one: expansion, BatchNorms, gates and projection over
    concatenated channels, alpha in the last BatchNorm's affine map. On our own kernels each bottleneck runs by itself.
    """

    def __init__(self, channels: int, expansion: int, operations: Sequence[Operation], activation: str) -> None:
        super().__init__()
        self.operations = nn.ModuleDict(
            {own.key: MixtureCell(channels, expansion, (own,), activation) for own in operations}
        )

    def forward(self, x: Tensor, alpha: Tensor) -> Tensor:
        """``x`` [B, C, H, W], ``alpha`` [K] -> [B, C, H, W]."""
        if alpha.shape != (len(self.operations),):
            raise ValueError(
                f"alpha has shape {tuple(alpha.shape)} but this cell offers {len(self.operations)} operations; "
                "it takes one weight per operation"
            )
        operations = [cast(MixtureCell, operation) for operation in self.operations.values()]
        if self.fused or parallel.processes() > 1 or self.runs_plain(x, alpha):
            alone = alpha.new_ones(1)
            return total([weight * operation(x, alone) for weight, operation in zip(alpha, operations, strict=True)])
        return _jointly(x, alpha, operations)


def _jointly(x: Tensor, alpha: Tensor, operations: Sequence[MixtureCell]) -> Tensor:
    """``sum_k alpha_k * operation_k(x)``, every bottleneck of one candidate."""
    activation, branches = operations[0].activation, len(operations)
    expand, project = ([getattr(o, name) for o in operations] for name in ("expand", "project"))
    h = joint_convolution(x, [block[0] for block in expand], shared=True)
    h = activation(joint_norm(h, [block[1] for block in expand]))
    alone = alpha.new_ones(1)
    h = torch.cat([o.depthwise(part, alone) for o, part in zip(operations, h.chunk(branches, 1), strict=True)], dim=1)
    h = activation(joint_norm(h, [o.norm for o in operations]))
    gates = F.relu(joint_convolution(h.mean((2, 3), keepdim=True), [o.gate.squeeze for o in operations]))
    h = gated(h, joint_convolution(gates, [o.gate.excite for o in operations]))
    h = joint_convolution(h, [block[0] for block in project])
    h = joint_norm(h, [block[1] for block in project], alpha)
    return total([alpha.sum() * x, *h.chunk(branches, 1)])


CELLS = {"mixture": MixtureCell, "separate": SeparateCell}
"""Cell types of the grid supernet by name."""
