import numpy as np
import pytest
import torch

from wholenet.data.augment import Augmentation
from wholenet.data.pixels import MEAN, STD, normalize
from wholenet.data.sample import IGNORE, Sample
from wholenet.data.stream import BatchStream, batches

PLAIN = {"flip": 0.0, "jitter": 0.0, "noise": 0.0}


def halves(height=60, width=80, edge=40):
    """White and class 1 from column ``edge`` on, black and class 0 before."""
    mask = np.zeros((height, width), np.uint8)
    mask[:, edge:] = 1
    return np.repeat(mask[..., None] * np.uint8(255), 3, axis=2), mask


@pytest.mark.parametrize("crop", [(32, 32), (17, 45), (60, 80), (90, 100)])
@pytest.mark.parametrize("scale", [(1.0, 1.0), (0.3, 0.9), (1.1, 3.0)])
def test_image_and_mask_come_at_the_size_of_the_crop(crop, scale):
    for seed in range(5):
        image, mask = Augmentation(crop=crop, scale=scale)(*halves(), np.random.default_rng(seed))
        assert image.shape == (*crop, 3)
        assert mask.shape == crop
        assert image.dtype == mask.dtype == np.uint8


@pytest.mark.parametrize("zoom", [0.4, 0.55, 0.6, 0.75, 0.9, 1.0, 1.1, 1.3, 1.7])
def test_labels_lie_where_their_pixels_lie_at_any_zoom(zoom):
    shifts = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        image, mask = halves(height=4, width=400, edge=int(rng.integers(150, 250)))
        image, mask = Augmentation(crop=(4, 64), scale=(zoom, zoom), **PLAIN)(image, mask, rng)
        if {0, 1} <= set(mask[0]) and IGNORE not in mask[0]:
            shifts.append((mask[0] == 0).sum() - (1 - image[0, :, 0] / 255).sum())
    assert len(shifts) > 10
    assert abs(np.mean(shifts)) < 0.12


def test_a_flip_turns_image_and_mask_together():
    image, mask = halves()
    flipped, labels = Augmentation(crop=(60, 80), scale=(1.0, 1.0), **{**PLAIN, "flip": 1.0})(
        image, mask, np.random.default_rng(0)
    )
    np.testing.assert_array_equal(flipped, image[:, ::-1])
    np.testing.assert_array_equal(labels, mask[:, ::-1])


def test_without_any_augmentation_the_sample_is_untouched():
    image, mask = halves()
    same, labels = Augmentation(crop=(60, 80), scale=(1.0, 1.0), **PLAIN)(image, mask, np.random.default_rng(0))
    np.testing.assert_array_equal(same, image)
    np.testing.assert_array_equal(labels, mask)


def test_what_lies_outside_the_image_is_ignored():
    image, mask = halves()
    _, labels = Augmentation(crop=(60, 80), scale=(0.5, 0.5), **PLAIN)(image, mask, np.random.default_rng(0))
    assert (labels != IGNORE).sum() == 30 * 40


def test_a_crop_of_ignored_pixels_alone_stays_ignored():
    image, mask = halves()
    _, labels = Augmentation(crop=(32, 32))(image, np.full_like(mask, IGNORE), np.random.default_rng(0))
    assert (labels == IGNORE).all()


def test_jitter_keeps_the_mean_brightness_on_average_and_noise_has_its_strength():
    grey, mask = np.full((64, 64, 3), 120, np.uint8), np.zeros((64, 64), np.uint8)
    same = {"crop": (64, 64), "scale": (1.0, 1.0), "flip": 0.0}
    jitter, noise = Augmentation(**same, jitter=0.4, noise=0.0), Augmentation(**same, jitter=0.0, noise=0.05)
    means = [jitter(grey, mask, np.random.default_rng(seed))[0].mean() for seed in range(300)]
    assert np.mean(means) == pytest.approx(120, rel=0.05)
    noisy = noise(grey, mask, np.random.default_rng(0))[0].astype(float)
    assert noisy.std() == pytest.approx(0.05 * 255, rel=0.05)
    assert noisy.mean() == pytest.approx(120, abs=0.5)


class Numbered:
    """Sample i is an image full of i."""

    def __init__(self, size):
        self.size = size

    def __len__(self):
        return self.size

    def __getitem__(self, index):
        return Sample(np.full((8, 8, 3), index, np.uint8), np.full((8, 8), index, np.uint8), str(index))


def stream(size=7, batch=3, name="weights", seed=0):
    augment = Augmentation(crop=(8, 8), scale=(1.0, 1.0), **PLAIN)
    return BatchStream(Numbered(size), batch, augment, seed=seed, stream=name, batches=1000)


@pytest.mark.parametrize(("size", "batch"), [(7, 3), (3, 7), (1, 4), (8, 4)])
def test_every_sample_is_drawn_once_before_any_is_drawn_again(size, batch):
    drawn = [index for k in range(3 * size) for index in stream(size, batch).indices(k)]
    for turn in range(len(drawn) // size):
        assert sorted(drawn[turn * size : (turn + 1) * size]) == list(range(size))


def test_a_batch_is_a_function_of_seed_stream_and_number():
    assert stream().indices(5) == stream().indices(5)
    for other in (stream(seed=1), stream(name="architecture")):
        assert [stream().indices(k) for k in range(9)] != [other.indices(k) for k in range(9)]
    images, masks = stream()[5]
    assert images.shape == (3, 3, 8, 8)
    assert masks[:, 0, 0].tolist() == stream().indices(5)


def test_batches_continue_where_they_are_told_to():
    for (images, masks), k in zip(batches(stream(), 4, workers=0), range(4, 8), strict=False):
        assert masks[:, 0, 0].tolist() == stream().indices(k)
        assert images.is_contiguous(memory_format=torch.channels_last)


def test_normalising_is_the_textbook_formula():
    pixels = np.random.default_rng(0).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    np.testing.assert_allclose(normalize(pixels), (pixels / 255 - np.array(MEAN)) / np.array(STD), atol=1e-5)
    assert normalize(pixels).dtype == np.float32
