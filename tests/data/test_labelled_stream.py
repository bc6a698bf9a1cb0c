import numpy as np
import pytest
import torch

from wholenet.data.labelled import Labelled
from wholenet.data.labelled_stream import LabelledStream, SmallAugmentation, statistics
from wholenet.data.stream import batches

UNTOUCHED = SmallAugmentation(pad=0, flip=0.0)


def numbered(n=10, side=8):
    """Image i is full of i + 1, its label i % 3."""
    images = np.broadcast_to(np.arange(1, n + 1, dtype=np.uint8)[:, None, None, None], (n, side, side, 3))
    return Labelled(images.copy(), np.arange(n) % 3)


def stream(data, batch=4, augment=UNTOUCHED, **order):
    order = {"seed": 0, "stream": "weights", "batches": 20} | order
    return LabelledStream(data, batch, augment, mean=(0.0,) * 3, std=(1 / 255,) * 3, **order)


def test_every_image_comes_once_before_any_comes_again_with_its_own_label():
    found = list(batches(stream(numbered()), 0, workers=0))
    images, labels = (torch.cat(parts) for parts in zip(*found, strict=True))
    numbers = images[:, 0, 0, 0].round().long() - 1
    assert sorted(numbers[:10].tolist()) == list(range(10))
    assert torch.equal(numbers % 3, labels)
    assert found[0][0].is_contiguous(memory_format=torch.channels_last)


def test_a_batch_is_a_function_of_seed_stream_and_number():
    augment = SmallAugmentation(cutout=4)
    data = Labelled(np.random.default_rng(0).integers(0, 256, (9, 8, 8, 3), dtype=np.uint8), np.arange(9))
    first = stream(data, augment=augment)[3]
    assert all(torch.equal(a, b) for a, b in zip(first, stream(data, augment=augment)[3], strict=True))
    for other in ({"seed": 1}, {"stream": "architecture"}):
        assert not torch.equal(first[0], stream(data, augment=augment, **other)[3][0])


def test_the_shares_of_a_batch_are_the_batch_with_the_same_augmentation():
    augment = SmallAugmentation(cutout=4)
    data = Labelled(np.random.default_rng(0).integers(0, 256, (9, 8, 8, 3), dtype=np.uint8), np.arange(9))
    whole = stream(data, batch=6, augment=augment)[3]
    parts = [stream(data, batch=6, augment=augment, shares=3, share=share)[3] for share in range(3)]
    for one, several in zip(whole, map(torch.cat, zip(*parts, strict=True)), strict=True):
        assert torch.equal(one, several)


def test_shifts_are_by_up_to_the_padding_and_equally_likely():
    image = np.arange(1, 65, dtype=np.uint8).reshape(8, 8, 1)
    padded = np.pad(image, ((2, 2), (2, 2), (0, 0)))
    places = {padded[y : y + 8, x : x + 8].tobytes(): (y, x) for y in range(5) for x in range(5)}
    augment, rng = SmallAugmentation(pad=2, flip=0.0), np.random.default_rng(0)
    found = [places[augment(image, rng)[0].tobytes()] for _ in range(2000)]
    counts = np.bincount([5 * y + x for y, x in found], minlength=25)
    assert counts.min() > 40
    assert counts.max() < 130


def test_flips_come_with_their_probability():
    image = np.arange(64, dtype=np.uint8).reshape(8, 8, 1)
    rng = np.random.default_rng(0)
    flipped = [np.array_equal(SmallAugmentation(pad=0, flip=0.3)(image, rng)[0], image[:, ::-1]) for _ in range(1000)]
    assert np.mean(flipped) == pytest.approx(0.3, abs=0.05)


def test_cutout_leaves_the_mean_in_a_square_that_may_reach_over_the_edge():
    augment, rng = SmallAugmentation(pad=0, flip=0.0, cutout=4), np.random.default_rng(0)
    image = np.full((8, 8, 3), 200, np.uint8)
    gone = np.array([(~augment(image, rng)[1]).sum() for _ in range(500)])
    assert gone.max() == 16
    assert gone.min() == 4  # a corner: its centre is in the image
    data = Labelled(image[None].repeat(4, axis=0), np.zeros(4, np.int64))
    images, _ = LabelledStream(data, 4, augment, mean=(0.5,) * 3, std=(0.25,) * 3, seed=0, stream="weights", batches=1)[
        0
    ]
    torch.testing.assert_close(images.unique(), torch.tensor([0.0, (200 / 255 - 0.5) / 0.25]))
    never = SmallAugmentation(cutout=4, cutout_probability=0.0)
    assert all(never(image, rng)[1].all() for _ in range(50))


def test_statistics_are_those_of_numpy():
    data = Labelled(np.random.default_rng(0).integers(0, 256, (5, 6, 7, 3), dtype=np.uint8), np.zeros(5, np.int64))
    mean, std = statistics(data)
    np.testing.assert_allclose(mean, (data.images / 255).mean((0, 1, 2)))
    np.testing.assert_allclose(std, (data.images / 255).std((0, 1, 2)))
