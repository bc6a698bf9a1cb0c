import pytest
import torch

from wholenet.ops.resize import resize


@pytest.mark.parametrize("size", [(16, 24), (7, 5), (15, 23), (1, 1), (4, 6), (8, 6), (9, 12)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("corners", [False, True])
def test_every_way_equals_torchs_bilinear_resize_and_its_gradient(size, layout, corners):
    torch.manual_seed(0)
    x = torch.randn(2, 3, 8, 12, dtype=torch.float64).to(memory_format=layout).requires_grad_()
    reference = torch.nn.functional.interpolate(x, size=size, mode="bilinear", align_corners=corners)
    probe = torch.randn_like(reference)
    (expected,) = torch.autograd.grad(reference, x, probe)
    ours = resize(x, size, corners=corners)
    (gradient,) = torch.autograd.grad(ours, x, probe)
    torch.testing.assert_close(ours, reference, atol=1e-12, rtol=0)
    torch.testing.assert_close(gradient, expected, atol=1e-12, rtol=0)
    torch.testing.assert_close(resize(x.detach(), size, corners=corners), reference.detach(), atol=1e-12, rtol=0)


def test_the_layout_is_kept():
    x = torch.randn(2, 4, 5, 6).to(memory_format=torch.channels_last).requires_grad_()
    assert resize(x, (10, 12)).is_contiguous(memory_format=torch.channels_last)


def test_the_same_size_is_no_work():
    x = torch.randn(1, 1, 4, 4)
    assert resize(x, (4, 4)) is x
