"""Turns, up-down flips and elastic deformation: image and mask together, of any pixels; off, they draw nothing."""

import numpy as np
import pytest
import torch

from wholenet.data.augment import GREY, Augmentation
from wholenet.data.device import RawStream, augmented
from wholenet.data.sample import IGNORE, Sample
from wholenet.data.stream import BatchStream
from wholenet.data.warp import POINTS, origins, warped
from wholenet.search.config import FitConfig
from wholenet.search.draw import augments_on_device

PLAIN = {"scale": (1.0, 1.0), "flip": 0.0, "jitter": 0.0, "noise": 0.0}
KINDS = [(3, np.uint8), (1, np.float32), (4, np.float32), (6, np.float32)]
kinds = pytest.mark.parametrize(("channels", "kind"), KINDS)


def numbered(height, width, channels=3, kind=np.uint8):
    """Each mask pixel has a label of its own below 255, which all channels of the image repeat."""
    mask = (np.arange(height * width) % 250).astype(np.uint8).reshape(height, width)
    return np.repeat(mask[..., None], channels, axis=2).astype(kind), mask


@kinds
@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_rotation_by_right_angles_is_a_permutation_of_the_pixels(quarters, channels, kind):
    image, mask = numbered(13, 13, channels, kind)
    angle = (90 * quarters + 180) % 360 - 180
    turned, labels = warped(image, mask, GREY, angle, None)
    assert turned.dtype == kind
    np.testing.assert_allclose(turned, np.rot90(image, quarters), atol=1e-3)
    assert np.array_equal(labels, np.rot90(mask, quarters))


@kinds
def test_what_turns_in_from_outside_is_ignored_and_inside_no_label_is_made_up(channels, kind):
    image, mask = np.full((40, 40, channels), 200, kind), np.full((40, 40), 7, np.uint8)
    turned, labels = warped(image, mask, GREY, 45, None)
    y, x = np.mgrid[:40, :40] - 19.5
    reach = np.abs(x) + np.abs(y)  # 45 degrees make a diamond of the square
    edge = 20 * np.sqrt(2)
    assert (labels[reach < edge - 2] == 7).all()
    assert (turned[reach < edge - 2] == 200).all()
    assert (labels[reach > edge + 2] == IGNORE).all()
    assert (turned[reach > edge + 2] == GREY).all()
    assert set(np.unique(labels)) == {7, IGNORE}


def test_a_displacement_that_is_the_same_everywhere_is_a_shift():
    image, mask = numbered(20, 30)
    bend = np.zeros((POINTS, POINTS, 2), np.float32)
    bend[..., 0], bend[..., 1] = 4, -3  # from four columns to the right, and three rows above
    moved, labels = warped(image, mask, GREY, 0, bend)
    assert np.array_equal(labels[3:, :-4], mask[:-3, 4:])
    assert np.array_equal(moved[3:, :-4], image[:-3, 4:])
    assert (labels[:3] == IGNORE).all()
    assert (labels[:, -4:] == IGNORE).all()


def test_displacements_meet_the_points_that_they_were_drawn_at():
    bend = np.random.default_rng(0).normal(size=(POINTS, POINTS, 2)).astype(np.float32)
    columns, rows = origins((9, 15), 0, bend)  # the grid's points are the middles of blocks of 3 x 5 pixels
    y, x = np.mgrid[1:9:3, 2:15:5]
    np.testing.assert_allclose(columns[y, x] - x, bend[..., 0], atol=1e-5)
    np.testing.assert_allclose(rows[y, x] - y, bend[..., 1], atol=1e-5)


@pytest.mark.parametrize("crop", [(24, 40), (40, 24)])
def test_quarter_turns_are_those_of_the_whole_and_each_comes_as_often(crop):
    augment = Augmentation(crop=crop, quarter_turns=True, **PLAIN)
    seen = [0] * 4
    for seed in range(400):
        image, mask = numbered(60, 60)
        turned, labels = augment(image, mask, np.random.default_rng(seed))
        assert labels.shape == crop
        assert np.array_equal(turned[..., 0], labels)
        # Down a column and along a row, the numbers of the source go up or down, by one or by a row of it.
        right = (int(labels[0, 1]) - int(labels[0, 0])) % 250
        down = (int(labels[1, 0]) - int(labels[0, 0])) % 250
        seen[[(1, 60), (60, 249), (249, 190), (190, 1)].index((right, down))] += 1
    assert min(seen) > 60


def test_flips_up_down_come_with_their_probability_and_turn_both():
    image, mask = numbered(12, 16)
    augment, rng = Augmentation(crop=(12, 16), flip_vertical=0.3, **PLAIN), np.random.default_rng(0)
    count = 0
    for _ in range(1000):
        found, labels = augment(image, mask, rng)
        assert np.array_equal(found[..., 0], labels)
        count += np.array_equal(labels, mask[::-1])
    assert 250 < count < 350


def test_angles_reach_both_ways_and_no_further_and_displacements_have_their_spread():
    augment, rng = Augmentation(crop=(8, 8), rotate=20.0, elastic=5.0, **PLAIN), np.random.default_rng(0)
    drawn = [augment.draw((8, 8), rng) for _ in range(300)]
    angles = np.array([one.angle for one in drawn])
    assert np.abs(angles).max() <= 20
    assert angles.min() < -18
    assert angles.max() > 18
    assert np.std([one.bend for one in drawn]) == pytest.approx(5, rel=0.05)


def test_what_is_off_draws_nothing():
    def draws(**more):
        """Where the generator is afterwards."""
        rng = np.random.default_rng(3)
        Augmentation(crop=(16, 16), **more)(*numbered(30, 30), rng)
        return rng.bit_generator.state

    rng = np.random.default_rng(3)  # the five of the paper, in the order in which they always were
    zoom = np.exp(rng.uniform(np.log(0.5), np.log(2.0)))
    for _ in range(2):
        wanted = max(1, round(16 / zoom))
        assert wanted <= 30
        rng.integers(30 - wanted + 1)
    rng.random()
    rng.uniform(0.6, 1.4, 3)
    rng.standard_normal((16, 16, 3), dtype=np.float32)
    assert draws() == rng.bit_generator.state
    for more in ({"flip_vertical": 0.5}, {"quarter_turns": True}, {"rotate": 5.0}, {"elastic": 1.0}):
        assert draws(**more) != draws()


class Pictures:
    def __len__(self):
        return 4

    def __getitem__(self, index):
        image = np.random.default_rng(index).integers(0, 256, (50, 64, 3), dtype=np.uint8)
        return Sample(image, (image[..., 0] // 64).astype(np.uint8), str(index))


def test_the_device_flips_up_down_as_the_host_does_and_leaves_the_rest_to_it():
    augment = Augmentation(crop=(32, 48), **{**PLAIN, "flip": 0.5}, flip_vertical=0.5)
    order = {"seed": 1, "stream": "weights", "batches": 9}
    flips = []
    for k in range(4):
        expected, found = BatchStream(Pictures(), 4, augment, **order)[k], RawStream(Pictures(), 4, augment, **order)[k]
        images, masks = augmented(found, augment)
        flips += found.flips.tolist()
        assert torch.equal(masks, expected[1])
        torch.testing.assert_close(images, expected[0], rtol=0, atol=1e-3)
    assert len({tuple(pair) for pair in flips}) == 4
    for more in ({"quarter_turns": True}, {"rotate": 5.0}, {"elastic": 1.0}):
        with pytest.raises(ValueError, match="on the host"):
            RawStream(Pictures(), 4, Augmentation(crop=(32, 48), **more), **order)[0]


def test_a_run_augments_on_the_host_where_the_device_cannot():
    gpu = torch.device("cuda")
    assert augments_on_device(FitConfig(data="x", out="y", flip_vertical=0.5), gpu)
    for more in ({"quarter_turns": True}, {"rotate": 5.0}, {"elastic": 1.0}):
        assert not augments_on_device(FitConfig(data="x", out="y", **more), gpu)
        with pytest.raises(ValueError, match="use augment_on='host' or 'auto'"):
            FitConfig(data="x", out="y", augment_on="device", **more)
