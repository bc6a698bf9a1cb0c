"""Our Triton kernels against float64, forward and backward, in Triton's interpreter where there is no GPU."""

import copy
import os
import sys

import pytest
import torch
import torch.nn.functional as F

triton = pytest.importorskip("triton", reason="Triton is not installed")

from wholenet.ops import triton_depthwise, triton_norm  # noqa: E402
from wholenet.ops.fused import Fusable, norm_activation, on_kernels  # noqa: E402
from wholenet.ops.layers import make_activation  # noqa: E402
from wholenet.ops.statistics import still_statistics  # noqa: E402
from wholenet.spaces.grid import Grid  # noqa: E402
from wholenet.spaces.sizes import GridSize  # noqa: E402

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
REFERENCES = {"identity": lambda z: z, "relu": F.relu, "relu6": F.relu6, "hardswish": F.hardswish}

pytestmark = pytest.mark.skipif(
    DEVICE.type == "cpu" and os.environ.get("TRITON_INTERPRET") != "1", reason="neither a GPU nor Triton's interpreter"
)


def random_tensor(*shape, seed=0, dtype=torch.float32):
    x = torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(DEVICE, dtype)
    return x.contiguous(memory_format=torch.channels_last) if len(shape) == 4 else x


def with_gradients(run, inputs, gradient):
    inputs = [x.detach().clone().requires_grad_() for x in inputs]
    out = run(*inputs)
    return [out.detach(), *torch.autograd.grad(out, inputs, gradient.to(out.dtype))]


def close(found, expected, dtype):
    bound = 2e-2 if dtype is torch.bfloat16 else 1e-5
    for f, e in zip(found, expected, strict=True):
        assert (f.double() - e).abs().max() <= bound * e.abs().max().clamp_min(1)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    """So that small feature maps have several, the last of them not full."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    monkeypatch.setattr(triton_depthwise, "ROWS", 4)
    monkeypatch.setattr(triton_norm, "CHUNK", 64)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("shape", "kernel"), [((2, 5, 5, 9), 5), ((1, 70, 3, 18), 3), ((3, 8, 1, 1), 5)])
def test_depthwise_convolution(shape, kernel, dtype):
    x, weight = random_tensor(*shape, dtype=dtype), random_tensor(shape[1], 1, kernel, kernel, seed=1)
    gradient = random_tensor(*shape, seed=2, dtype=dtype)

    def reference(x, w):
        return F.conv2d(x, w, padding=kernel // 2, groups=shape[1])

    found = with_gradients(triton_depthwise.depthwise, [x, weight], gradient)
    close(found, with_gradients(reference, [x.double(), weight.double()], gradient.double()), dtype)
    assert found[0].dtype == found[1].dtype == dtype
    assert found[0].is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("activation", triton_norm.ACTIVATIONS)
@pytest.mark.parametrize("shape", [(2, 5, 7, 9), (1, 40, 12, 11)])
def test_norm_and_activation(shape, activation, dtype):
    x = random_tensor(*shape, dtype=dtype) * 3 + 20  # far from zero: a sum of squares would lose its digits
    weight, bias = random_tensor(shape[1], seed=1), random_tensor(shape[1], seed=2)
    gradient = random_tensor(*shape, seed=3, dtype=dtype)
    found = with_gradients(
        lambda x, w, b: triton_norm.norm_activation(x, w, b, 1e-5, activation)[0], [x, weight, bias], gradient
    )
    exact = with_gradients(
        lambda x, w, b: REFERENCES[activation](F.batch_norm(x, None, None, w, b, training=True, eps=1e-5)),
        [x.double(), weight.double(), bias.double()],
        gradient.double(),
    )
    _, mean, variance = triton_norm.norm_activation(x, weight, bias, 1e-5, activation)
    torch.testing.assert_close(mean.double(), x.double().mean((0, 2, 3)), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(variance.double(), x.double().var((0, 2, 3), unbiased=False), atol=1e-4, rtol=1e-4)
    close(found, exact, dtype)


@pytest.mark.parametrize(("activation", "momentum"), [("relu", 0.1), ("relu6", None), ("hardswish", 0.1), (None, None)])
def test_running_statistics_move_as_batchnorms_do(activation, momentum):
    layer = None if activation is None else make_activation(activation)
    norm = torch.nn.BatchNorm2d(6, momentum=momentum).to(DEVICE).train()
    other = copy.deepcopy(norm)
    x = random_tensor(3, 6, 5, 4)
    found, expected = (norm_activation(x, n, layer, fused=n is norm) for n in (norm, other))
    torch.testing.assert_close(found, expected)
    with still_statistics(norm):
        norm_activation(x, norm, layer, fused=True)
    for name, value in other.state_dict().items():
        torch.testing.assert_close(norm.state_dict()[name], value)
    assert norm.num_batches_tracked == 1
    norm.eval()
    assert torch.equal(norm_activation(x, norm, layer, fused=True), norm_activation(x, norm, layer, fused=False))


def test_a_network_on_kernels_has_the_same_outputs_gradients_and_statistics():
    torch.manual_seed(0)
    net = Grid(GridSize(layers=1, filters=4, expansion=2, head=8), num_classes=3).to(DEVICE).train()
    other = copy.deepcopy(net)
    weights = {
        name: mask.to(DEVICE, torch.float32) / mask.sum(-1, keepdim=True).to(DEVICE) for name, mask in net.masks.items()
    }
    x = random_tensor(2, 3, 32, 32)
    found, expected = on_kernels(net)(x, weights), other(x, weights)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    assert not any(layer.fused for layer in net.modules() if isinstance(layer, Fusable))
    mine = torch.autograd.grad(found.square().mean(), list(net.parameters()))
    theirs = torch.autograd.grad(expected.square().mean(), list(other.parameters()))
    for f, e in zip(mine, theirs, strict=True):
        assert (f - e).abs().max() <= 1e-3 * e.abs().max().clamp_min(1e-2)
    for name, value in other.state_dict().items():
        torch.testing.assert_close(net.state_dict()[name], value, atol=1e-4, rtol=1e-4)


def test_without_triton_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "wholenet.ops.triton_depthwise", None)  # as if importing it failed
    with pytest.raises(ValueError, match="the fused kernels need Triton, which cannot be imported here"):
        on_kernels(torch.nn.Identity())


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"expected \[4, 1, K, K\]"):
        triton_depthwise.depthwise(random_tensor(1, 4, 5, 5), random_tensor(4, 4, 3, 3))
    with pytest.raises(ValueError, match="even"):
        triton_depthwise.depthwise(random_tensor(1, 4, 5, 5), random_tensor(4, 1, 4, 4))
