import hashlib
import random
import subprocess
import sys

import cv2
import numpy as np
import pytest

from wholenet.data.sample import IGNORE
from wholenet_scenes import CLASSES, Scenes, draw_scene, open_scenes
from wholenet_scenes.dataset import SPLIT_SIZES

K = len(CLASSES)


def digest(seed: int, index: int, height: int = 48, width: int = 64) -> str:
    image, mask = draw_scene(seed, index, height, width)
    return hashlib.sha256(image.tobytes() + mask.tobytes()).hexdigest()


@pytest.fixture(scope="module")
def masks() -> np.ndarray:
    """The masks of 48 scenes of the train split."""
    train = Scenes("train", height=96, width=128)
    return np.stack([train[i].mask for i in range(48)])


def test_a_scene_is_the_same_in_any_order():
    forward = [digest(3, i) for i in range(6)]
    assert [digest(3, i) for i in reversed(range(6))] == forward[::-1]


def test_a_scene_is_the_same_in_another_process_whatever_its_hash_seed_and_threads():
    code = "import cv2; cv2.setNumThreads(2); from test_scenes import digest; print(digest(3, 5), digest(3, 1))"
    env = {"PYTHONHASHSEED": "77", "PYTHONPATH": ":".join(sys.path)}
    out = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True).stdout
    assert out.split() == [digest(3, 5), digest(3, 1)]


def test_different_seeds_and_indices_give_different_scenes():
    assert len({digest(seed, index) for seed in range(3) for index in range(8)}) == 24


def test_the_splits_share_no_scene():
    pictures = [{sample.image.tobytes() for sample in map(split.__getitem__, range(6))} for split in small_splits()]
    assert len(set.union(*pictures)) == 18


def small_splits() -> list[Scenes]:
    return [Scenes(split, height=48, width=64) for split in ("train", "val", "test")]


def test_split_ranges_stay_apart_at_the_largest_size():
    first, second, third = (Scenes(split, size=1_000_000) for split in ("train", "val", "test"))
    assert first.first + len(first) <= second.first
    assert second.first + len(second) <= third.first


def test_masks_hold_train_ids_and_little_ignore(masks: np.ndarray):
    assert set(np.unique(masks)) == {*range(K), IGNORE}
    assert (masks == IGNORE).mean(axis=(1, 2)).max() < 0.05


@pytest.mark.parametrize("label", range(K), ids=CLASSES.names)
def test_every_class_is_in_a_tenth_of_the_scenes(masks: np.ndarray, label: int):
    assert (masks == label).any(axis=(1, 2)).mean() >= 0.1


def test_small_classes_are_small(masks: np.ndarray):
    shares = {name: (masks == k).mean() for k, name in enumerate(CLASSES.names)}
    for name in ("person", "pole", "sign", "traffic light", "bicycle"):
        assert 0.0005 < shares[name] < 0.06, name


def test_no_constant_answer_is_right_for_half_of_the_pixels(masks: np.ndarray):
    assert np.bincount(masks.ravel(), minlength=256)[:K].max() < 0.5 * masks.size


def test_color_alone_does_not_solve_it():
    # The best answer by colour, at 4 bits per channel, learnt from 24 scenes. It must beat the best constant, or there
    # would be nothing to learn, and stay far from right on other scenes.
    train, val = Scenes("train", height=96, width=128), Scenes("val", height=64, width=96)
    votes = np.zeros((4096, 256), np.int64)
    for sample in map(train.__getitem__, range(24)):
        np.add.at(votes, (color_cells(sample.image), sample.mask.ravel()), 1)
    answer = votes[:, :K].argmax(axis=1)
    masks = np.concatenate([sample.mask.ravel() for sample in map(val.__getitem__, range(10))])
    right = np.concatenate([answer[color_cells(sample.image)] for sample in map(val.__getitem__, range(10))]) == masks
    constant = np.bincount(masks, minlength=256)[:K].max() / masks.size
    assert constant < right.mean() < 0.75


def color_cells(image: np.ndarray) -> np.ndarray:
    r, g, b = (image[..., c].ravel().astype(np.int64) >> 4 for c in range(3))
    return r * 256 + g * 16 + b


def test_image_and_mask_agree_on_where_things_are():
    # Pixels on either side of a mask boundary differ more in the image than neighbours inside a class do. With another
    # scene's mask they would not.
    across, inside, shuffled = [], [], []
    scenes = [draw_scene(1, i) for i in range(8)]
    for (image, mask), (_, other) in zip(scenes, scenes[1:] + scenes[:1], strict=True):
        step = np.abs(np.diff(image.astype(int), axis=1)).sum(axis=2)
        edge = np.diff(mask.astype(int), axis=1) != 0
        across.append(step[edge].mean())
        inside.append(step[~edge].mean())
        shuffled.append(step[np.diff(other.astype(int), axis=1) != 0].mean())
    assert np.mean(across) > 2.5 * np.mean(inside)
    assert np.mean(across) > 1.5 * np.mean(shuffled)


@pytest.mark.parametrize("size", [(64, 64), (65, 131), (97, 64), (192, 256), (64, 256)])
def test_every_size_gives_arrays_of_that_size(size: tuple[int, int]):
    image, mask = draw_scene(0, 2, *size)
    assert (image.shape, image.dtype) == ((*size, 3), np.uint8)
    assert (mask.shape, mask.dtype) == (size, np.uint8)
    assert image.std() > 10


@pytest.mark.parametrize("index", range(4))
def test_a_larger_picture_shows_the_same_scene(index: int):
    _, small = draw_scene(5, index, 96, 128)
    _, large = draw_scene(5, index, 384, 512)
    assert (cv2.resize(large, (128, 96), interpolation=cv2.INTER_NEAREST) == small).mean() > 0.9


@pytest.mark.parametrize("index", [-1, 7, 10_000])
def test_an_index_out_of_range_raises(index: int):
    with pytest.raises(IndexError, match="scenes 0 to 6"):
        Scenes("val", size=7)[index]


def test_iterating_ends_after_the_last_scene():
    assert len(list(Scenes("test", size=3, height=64, width=64))) == 3  # pyright: ignore[reportArgumentType]


def test_names_say_split_and_index():
    assert Scenes("train", height=64, width=64)[17].name == "scene-train-00017"


def test_an_unknown_split_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"'dev'.*train, val, test"):
        Scenes("dev")  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("size", [0, 1_000_001])
def test_a_size_that_would_reach_into_another_split_is_refused(size: int):
    with pytest.raises(ValueError, match="1 to 1000000"):
        Scenes("train", size=size)


def test_global_random_state_is_untouched():
    random.seed(4)
    np.random.seed(4)
    draw_scene(0, 0, 64, 64)
    after = random.random(), np.random.random()
    random.seed(4)
    np.random.seed(4)
    assert after == (random.random(), np.random.random())


def test_scenes_do_not_depend_on_global_random_state():
    random.seed(1)
    np.random.seed(1)
    first = digest(0, 9)
    random.seed(2)
    np.random.seed(2)
    assert digest(0, 9) == first


def test_the_source_has_all_splits_at_their_default_sizes():
    source = open_scenes(seed=2)
    assert source.name == "scenes"
    assert {name: len(split) for name, split in source.splits.items()} == SPLIT_SIZES
    assert source.classes is CLASSES


def test_the_source_draws_from_the_seed_it_was_opened_with():
    two, three = open_scenes(2).splits["val"][0], open_scenes(3).splits["val"][0]
    assert np.array_equal(two.image, Scenes("val", seed=2)[0].image)
    assert not np.array_equal(two.image, three.image)


def test_class_colors_can_be_told_apart():
    colors = np.array(CLASSES.colors, int)
    distance = np.abs(colors[:, None] - colors[None]).sum(axis=2)
    assert distance[~np.eye(K, dtype=bool)].min() >= 60
