"""Transforms of somebody's own: what they are given, what is made of what they give back, and what they may not do."""

import numpy as np
import pytest

import wholenet
from wholenet.data.augment import Augmentation
from wholenet.data.transforms import TRANSFORMS, Transform, check_transform
from wholenet.search.config import FitConfig

PLAIN = {"scale": (1.0, 1.0), "flip": 0.0, "jitter": 0.0, "noise": 0.0}


def inverted(image, mask, rng):
    return 255 - image, mask


@pytest.fixture
def known():
    """Registers a transform for the length of a test."""
    names = []

    def add(name, apply):
        wholenet.register(Transform(name, apply))
        names.append(name)
        return TRANSFORMS[name]

    yield add
    for name in names:
        TRANSFORMS.remove(name)


@pytest.fixture
def sample():
    rng = np.random.default_rng(0)
    return rng.integers(0, 255, (40, 50, 3), np.uint8), rng.integers(0, 5, (40, 50), np.uint8)


def test_it_sees_the_crop_after_moves_and_before_colours(known, sample):
    seen = []

    def look(image, mask, rng):
        seen.append((image.copy(), mask.copy()))
        return image, mask

    moves = {"crop": (32, 24), "scale": (0.7, 1.5), "flip": 0.5, "quarter_turns": True, "rotate": 10.0}
    Augmentation(**moves, transform=known("look", look))(*sample, np.random.default_rng(3))
    moved = Augmentation(**moves, jitter=0.0, noise=0.0, transform=None)(*sample, np.random.default_rng(3))
    assert np.array_equal(seen[0][0], moved[0])
    assert np.array_equal(seen[0][1], moved[1])


def test_what_it_gives_back_is_trained_on(known, sample):
    own = Augmentation(crop=(40, 50), **PLAIN, transform=known("inverted", inverted))
    image, mask = own(*sample, np.random.default_rng(0))
    assert np.array_equal(image, 255 - sample[0])
    assert np.array_equal(mask, sample[1])


def test_its_chance_is_that_of_the_sample(known, sample):
    noisy = known("noisy", lambda image, mask, rng: (rng.integers(0, 255, image.shape, np.uint8), mask))
    own = Augmentation(crop=(40, 50), **PLAIN, transform=noisy)
    first, again, other = (own(*sample, np.random.default_rng(seed))[0] for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (lambda image, mask, rng: image, "gave back uint8 [40, 50, 3]"),
        (lambda image, mask, rng: (image[:20], mask[:20]), "(uint8 [20, 50, 3], uint8 [20, 50])"),
        (lambda image, mask, rng: (image / 255, mask), "(float64 [40, 50, 3], uint8 [40, 50])"),
        (lambda image, mask, rng: {"image": image, "mask": mask}, "gave back a dict"),
        (lambda image, mask, rng: (image, mask, None), "a NoneType"),
    ],
)
def test_what_is_no_image_with_its_mask_is_refused(known, sample, wrong, told):
    own = Augmentation(crop=(40, 50), **PLAIN, transform=known("wrong", wrong))
    with pytest.raises(ValueError, match="transform 'wrong' gave back") as caught:
        own(*sample, np.random.default_rng(0))
    assert told in str(caught.value)
    assert str(caught.value).endswith("(uint8 [40, 50, 3], uint8 [40, 50])")


def test_one_that_is_not_there_or_cannot_travel_is_refused_before_anything_begins(known, discs, tmp_path):
    with pytest.raises(ValueError, match=r"unknown transform 'fog'.*--import MODULE"):
        wholenet.fit(discs, tmp_path / "run", size="nano", transform="fog")
    known("local", lambda image, mask, rng: (image, mask))
    with pytest.raises(ValueError, match=r"'local' cannot be sent to the 2 worker processes .* workers=0"):
        wholenet.fit(discs, tmp_path / "run", size="nano", transform="local", workers=2, epochs=1)
    assert not (tmp_path / "run").exists()
    known("inverted", inverted)
    check_transform("inverted", 2)
    with pytest.raises(ValueError, match=r"transform='fog': done on the host"):
        FitConfig(data="d", out="o", transform="fog", augment_on="device")
