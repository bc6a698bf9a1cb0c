import pytest
import torch

from wholenet.ops.resize import resize, restride


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


@pytest.mark.parametrize("image", [1, 2, 31, 33, 64, 101, 405])
@pytest.mark.parametrize("up", [-2, -1, 1, 2, 3])
@pytest.mark.parametrize("corners", [False, True])
def test_between_strides_every_pixel_stays_where_it_is(image, up, corners):
    """Each pixel of a map holds where its middle is in the image, at the rate of a whole number of pixels."""
    strides = (4 * 2 ** max(up, 0), 4 * 2 ** max(-up, 0))
    source, target = (-(-image // stride) for stride in strides)
    middle = 0.0 if corners else 0.5  # of the first pixel
    places = (torch.arange(source, dtype=torch.float64) + middle) * strides[0]
    found = restride(places[None, None, :, None].expand(1, 1, source, source), (target, target), up, corners=corners)
    expected = (torch.arange(target, dtype=torch.float64) + middle) * strides[1]
    torch.testing.assert_close(found[0, 0, :, 0], expected.clamp(places[0], places[-1]), rtol=0, atol=1e-12)
    torch.testing.assert_close(found, found[..., :1].expand_as(found), rtol=0, atol=1e-12)


@pytest.mark.parametrize("up", [-3, -1, 0, 1, 3])
def test_of_sides_that_the_strides_divide_it_is_a_resize(up):
    x = torch.randn(2, 3, 16, 24, dtype=torch.float64)
    size = (int(16 * 2.0**up), int(24 * 2.0**up))
    torch.testing.assert_close(restride(x, size, up), resize(x, size), rtol=0, atol=1e-12)


@pytest.mark.parametrize("up", [-3, -1, 1, 3])
def test_of_sides_that_the_strides_divide_but_for_a_pixel_it_is_a_resize_with_aligned_corners(up):
    x = torch.randn(2, 3, 17, 25, dtype=torch.float64)
    size = (int(16 * 2.0**up) + 1, int(24 * 2.0**up) + 1)
    found = restride(x, size, up, corners=True)
    torch.testing.assert_close(found, resize(x, size, corners=True), rtol=0, atol=1e-12)


def test_a_map_that_was_rounded_down_is_seen_at_its_place_too():
    x = torch.randn(1, 2, 101, 101, dtype=torch.float64)
    whole = resize(x, (404, 404))
    found = restride(x, (405, 405), 2)
    torch.testing.assert_close(found[..., :404, :404], whole, rtol=0, atol=1e-12)
    torch.testing.assert_close(found[..., 404, :404], whole[..., 403, :], rtol=0, atol=1e-12)
