"""torch's LSTM and GRU in the place of a cell: controls of a search, of the size of its cells.

Letters: T words, B texts, n units of embedding and decoder, m units inside.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

KINDS = {"lstm": (4, nn.LSTM), "gru": (3, nn.GRU)}
"""Gates, and the layer."""


def parameters_of(fused: str, units: int, hidden: int) -> int:
    """Parameters of a fused cell, with the map from m to n units where they differ.

    >>> parameters_of("lstm", 100, 100)
    80800
    """
    gates = KINDS[fused][0]
    inside = gates * hidden * (units + hidden + 2)
    return inside + (0 if hidden == units else hidden * units)


def hidden_of_equal_size(fused: str, units: int, nodes: int) -> int:
    """The m with which a fused cell has as many parameters, as nearly as can be, as a cell of ``nodes`` nodes.

    >>> m = hidden_of_equal_size("gru", 300, 8)
    >>> round(parameters_of("gru", 300, m) / (20 * 300**2), 2)
    1.0
    """
    size = (4 + 2 * nodes) * units**2
    return min(range(1, 8 * units), key=lambda hidden: abs(parameters_of(fused, units, hidden) - size))


class FusedCell(nn.Module):
    """One layer; where m is not n, a linear map without a bias brings its outputs to n units.

    It knows no dropout of states: torch's layers have none inside. Its matrices begin as torch has them.
    """

    def __init__(self, fused: str, units: int, hidden: int) -> None:
        super().__init__()
        self.fused, self.hidden = fused, hidden
        self.layer = KINDS[fused][1](units, hidden)
        self.map = nn.Identity() if hidden == units else nn.Linear(hidden, units, bias=False)
        self.state = 2 * hidden if fused == "lstm" else hidden
        """S: of an LSTM output and memory side by side."""

    def forward(self, inputs: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """inputs [T, B, n], state [B, S] -> outputs [T, B, n], state after the last."""
        parts = tuple(part[None].contiguous() for part in hidden.split(self.hidden, -1))
        with torch.autocast("cpu", enabled=False):  # in bfloat16, a CPU without AVX-512 has no LSTM
            states, after = self.layer(inputs, parts if self.fused == "lstm" else parts[0])
        after = after if isinstance(after, tuple) else (after,)
        return self.map(states).to(inputs.dtype), torch.cat([part[0] for part in after], -1).to(inputs.dtype)
