"""1 x 1 convolutions that skip pixels: the same numbers as torch's, and for few channels never by its own operator,
which writes past its memory on CPUs with AVX2 (oneDNN's issue 6035)."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from wholenet.ops.candidates import FactorizedReduce
from wholenet.ops.layers import lay_out
from wholenet.ops.strided import BLOCK, StridedPointwise
from wholenet.spaces.cell_tables import TABLES
from wholenet.spaces.darts import DartsNet


class Strided(TorchDispatchMode):
    """Channels of the input of each 1 x 1 convolution with a stride that torch is asked for, forwards or backwards."""

    def __init__(self) -> None:
        super().__init__()
        self.channels: list[int] = []
        self.backward = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        backward = func is torch.ops.aten.convolution_backward.default
        if backward or func is torch.ops.aten.convolution.default:
            self.backward += backward
            x, weight, stride = (args[1], args[2], args[4]) if backward else (args[0], args[1], args[3])
            if tuple(weight.shape[2:]) == (1, 1) and max(stride) > 1:
                self.channels.append(x.shape[1])
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("channels", [1, 2, 4, BLOCK - 1, BLOCK])
@pytest.mark.parametrize("side", [1, 7, 8])
def test_it_equals_torchs_operator(channels: int, side: int):
    torch.manual_seed(0)
    layer = StridedPointwise(channels, 3, 2).double()
    x = torch.randn(3, channels, side, side, dtype=torch.float64, requires_grad=True)
    # Not in channels_last layout, where torch's operator is right.
    expected = F.conv2d(x, layer.weight, stride=2)
    out = layer(x.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(out, expected)
    above = torch.randn_like(expected)
    torch.testing.assert_close(
        torch.autograd.grad(out, (x, layer.weight), above), torch.autograd.grad(expected, (x, layer.weight), above)
    )


@pytest.mark.parametrize("drop_path", [0.0, 0.1])
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_a_supernet_asks_torch_for_none_of_few_channels(groups: int, drop_path: float):
    net = DartsNet(TABLES["darts"], 2, channels=8, cells=3, groups=groups, edge_weights=True)
    lay_out(net)
    net.state.drop_path = drop_path
    weights = {name: mask / mask.sum(1, keepdim=True) for name, mask in net.masks.items()}
    with Strided() as asked:
        logits = net(torch.randn(4, 3, 8, 8).contiguous(memory_format=torch.channels_last), weights)
        assert isinstance(logits, torch.Tensor)
        logits.sum().backward()
    assert asked.backward
    assert all(channels >= BLOCK for channels in asked.channels)


def test_with_more_channels_torchs_operator_runs():
    with Strided() as asked:
        FactorizedReduce(BLOCK, 2, affine=False)(torch.randn(2, BLOCK, 8, 8)).sum().backward()
    assert asked.channels == [BLOCK] * 4
