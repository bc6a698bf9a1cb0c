"""Augmentation on the device shows what augmentation on the host shows."""

import numpy as np
import pytest
import torch

from wholenet.data.augment import Augmentation
from wholenet.data.device import RawStream, ahead, augmented
from wholenet.data.pixels import MEAN, STD
from wholenet.data.sample import IGNORE, Sample
from wholenet.data.stream import BatchStream, batches

CPU = torch.device("cpu")
COLOURLESS = {"jitter": 0.0, "noise": 0.0}


class Pictures:
    """Smooth pictures of two sizes, each with a mask that follows the picture."""

    def __len__(self):
        return 6

    def __getitem__(self, index):
        height, width = (70, 90) if index % 2 else (64, 101)
        y, x = np.mgrid[:height, :width]
        waves = [127 + 100 * np.sin((x * (c + 1) + y * (index + 1)) / 23) for c in range(3)]
        mask = ((x // 7 + y // 5 + index) % 4).astype(np.uint8)
        mask[:3] = IGNORE
        return Sample(np.stack(waves, axis=-1).astype(np.uint8), mask, str(index))


def both(augmentation, k=0, batch=6):
    streams = [
        kind(Pictures(), batch, augmentation, seed=1, stream="weights", batches=9) for kind in (BatchStream, RawStream)
    ]
    return streams[0][k], augmented(streams[1][k], augmentation)


def pixels(images):
    """Back to 0..255."""
    return 255 * (images * torch.tensor(STD)[:, None, None] + torch.tensor(MEAN)[:, None, None])


@pytest.mark.parametrize("scale", [(1.0, 1.0), (1.1, 2.0), (0.3, 0.9), (0.5, 2.0)])
@pytest.mark.parametrize("crop", [(32, 48), (60, 60), (96, 128)])
def test_masks_are_the_same_but_for_ties(scale, crop):
    differing = []
    for k in range(5):
        (_, expected), (_, found) = both(Augmentation(crop=crop, scale=scale, **COLOURLESS), k)
        assert found.dtype == torch.int64
        assert ((found == IGNORE) == (expected == IGNORE)).float().mean() > 0.99
        differing.append((found != expected).float().mean())
    # OpenCV counts in 1/65536 of a pixel, and may take the other of two labels that are equally near.
    assert torch.stack(differing).mean() < (1e-9 if scale == (1.0, 1.0) else 0.02)


@pytest.mark.parametrize(("scale", "within"), [((1.0, 1.0), 0.51), ((1.1, 2.0), 1.5), ((0.4, 0.9), 8.0)])
@pytest.mark.parametrize("crop", [(32, 48), (96, 128)])
def test_images_are_the_same_up_to_rounding_and_the_filter_that_shrinks(scale, within, crop):
    for k in range(5):
        (expected, _), (found, _) = both(Augmentation(crop=crop, scale=scale, **COLOURLESS), k)
        assert found.shape == expected.shape
        assert found.is_contiguous(memory_format=torch.channels_last)
        difference = (pixels(found) - pixels(expected)).abs()
        assert difference.max() < within
        assert difference.mean() < within / 4


def test_colours_change_alike():
    augmentation = Augmentation(crop=(48, 64), scale=(1.0, 1.5), jitter=0.4, noise=0.0)
    for k in range(5):
        (expected, _), (found, _) = both(augmentation, k)
        assert (pixels(found) - pixels(expected)).abs().max() < 3


def test_noise_has_its_strength_and_is_a_function_of_seed_stream_and_number():
    clean = Augmentation(crop=(64, 64), scale=(1.0, 1.0), flip=0.0, jitter=0.0, noise=1e-9)
    noisy = Augmentation(crop=(64, 64), scale=(1.0, 1.0), flip=0.0, jitter=0.0, noise=0.02)
    (_, _), (without, _) = both(clean)
    (_, _), (once, _) = both(noisy)
    (_, _), (twice, _) = both(noisy)
    (_, _), (other, _) = both(noisy, k=1)
    assert torch.equal(once, twice)
    assert not torch.equal(once, other)
    assert (pixels(once) - pixels(without)).std() == pytest.approx(0.02 * 255, rel=0.05)


def test_halving_averages_all_pixels():
    class Stripes(Pictures):
        def __getitem__(self, index):
            image = np.zeros((64, 64, 3), np.uint8)
            image[:, ::2] = 255
            return Sample(image, np.zeros((64, 64), np.uint8), str(index))

    augmentation = Augmentation(crop=(32, 32), scale=(0.5, 0.5), **COLOURLESS)
    stream = RawStream(Stripes(), 2, augmentation, seed=0, stream="weights", batches=1)
    images, _ = augmented(stream[0], augmentation)
    torch.testing.assert_close(pixels(images), torch.full((2, 3, 32, 32), 127.5), atol=0.01, rtol=0)


def test_batches_come_in_order_and_continue_where_they_are_told_to():
    augmentation = Augmentation(crop=(32, 32))
    stream = RawStream(Pictures(), 4, augmentation, seed=0, stream="weights", batches=5)
    found = list(ahead(batches(stream, 2, workers=1), augmentation, CPU))
    assert len(found) == 3
    for k, (images, masks) in zip(range(2, 5), found, strict=True):
        expected = augmented(stream[k], augmentation)
        assert torch.equal(images, expected[0])
        assert torch.equal(masks, expected[1])
