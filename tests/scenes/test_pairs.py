import hashlib
import math
import random
from dataclasses import replace
from random import Random

import cv2
import numpy as np
import pytest

from wholenet.data.sample import IGNORE
from wholenet.data.sets import DATA_SETS, Asked
from wholenet.data.stereo.sample import StereoSource
from wholenet_scenes import ScenePairs, Scenes, compose, draw_pair, open_scene_pairs, scene
from wholenet_scenes.camera import ONE, Camera, draw_camera
from wholenet_scenes.canvas import Canvas
from wholenet_scenes.classes import BUILDING, CAR, ROAD, SKY, VEGETATION
from wholenet_scenes.depth import GROUND, Depth
from wholenet_scenes.figures import Spot
from wholenet_scenes.ground import draw_ground
from wholenet_scenes.lens import draw_rain
from wholenet_scenes.moods import MOODS
from wholenet_scenes.pairs import BASELINE_M, paint_eye, seen_by_both
from wholenet_scenes.street import draw_street
from wholenet_scenes.trees import stamp
from wholenet_scenes.walls import Facade, Wall, draw_wall

HEIGHT, WIDTH, COUNT = 96, 128, 12
Eyes = tuple[Canvas, Canvas]


def both_eyes(index: int, seed: int = 4, height: int = HEIGHT, width: int = WIDTH) -> Eyes:
    left, right = (paint_eye(seed, index, height, width, BASELINE_M, second) for second in (False, True))
    return left, right


@pytest.fixture(scope="module")
def eyes() -> list[Eyes]:
    return [both_eyes(index) for index in range(COUNT)]


@pytest.fixture(scope="module")
def truths(eyes: list[Eyes]) -> list[tuple[np.ndarray, np.ndarray]]:
    return [seen_by_both(left, right, -1) for left, right in eyes]


def warped(image: np.ndarray, disparity: np.ndarray) -> np.ndarray:
    """The right image where the left one's pixels are said to be in it."""
    h, w = disparity.shape
    columns = np.arange(w) - np.nan_to_num(disparity)
    rows = np.repeat(np.arange(h, dtype=np.float32)[:, None], w, axis=1)
    return cv2.remap(image, columns.astype(np.float32), rows, cv2.INTER_CUBIC).astype(float)


def straight_camera(rng: Random, mirror: int) -> Camera:
    return replace(draw_camera(rng, 4.0, HEIGHT, WIDTH), roll=0.0, curve_per_m=0.0, mirror=mirror)


# ---- disparity


@pytest.mark.parametrize("mirror", [-1, 1])
def test_a_face_has_the_disparity_with_which_two_cameras_see_its_points(mirror):
    # Independent: points inside a parallelogram anywhere in space, projected by either camera.
    rng, wild = Random(3), np.random.default_rng(3)
    camera = straight_camera(rng, mirror)
    other = replace(camera, x_m=camera.x_m + mirror * BASELINE_M)
    depth = Depth(camera, BASELINE_M)
    for _ in range(30):
        foot, a, b = wild.uniform((-3, -1, 6), (3, 4, 40)), wild.uniform(-2, 2, 3), wild.uniform(-2, 2, 3)
        face = depth.number([tuple(foot + p * a + q * b) for p, q in ((0, 0), (1, 0), (1, 1), (0, 1))])
        inside = [tuple(foot + p * a + q * b) for p, q in wild.random((8, 2))]
        ours, theirs = (np.reshape(c.project(inside), (-1, 2)) / ONE for c in (camera, other))
        start, by_column, by_row, low, high = depth.law(face)
        found = np.clip(start + ours[:, 0] * by_column + ours[:, 1] * by_row, low, high)
        assert np.allclose(ours[:, 1], theirs[:, 1])  # rectified
        assert np.allclose(found, ours[:, 0] - theirs[:, 0], atol=1e-6)


def test_the_right_eye_is_to_the_right_whichever_way_the_scene_is_turned(eyes):
    for left, right in eyes:
        ours, theirs = (eye.camera.pixel(1.0, 2.0, 10.0) for eye in (left, right))
        assert ours[0] - theirs[0] == pytest.approx(BASELINE_M * left.camera.focal_px / 10)
        assert ours[1] == theirs[1]
    assert {left.camera.mirror for left, _ in eyes} == {-1, 1}


def test_no_face_is_nearer_or_farther_than_its_corners():
    # A wall seen almost from its edge: a pixel beside it, of its outline too, would be anywhere from 0 to infinity.
    camera = straight_camera(Random(0), 1)
    depth = Depth(camera, BASELINE_M)
    x = camera.x_m + 0.01
    depth.faces[:] = depth.number([(x, 0.0, 5.0), (x, 3.0, 5.0), (x, 3.0, 20.0), (x, 0.0, 20.0)])
    found, ends = depth.disparity(), [BASELINE_M * camera.focal_px / z for z in (20, 5)]
    assert [found.min(), found.max()] == pytest.approx(ends)


def test_the_ground_has_the_disparity_of_its_row(eyes, truths):
    # Closed form: a row v of flat ground is eye height * f / (v - horizon) metres away.
    seen = 0
    for (left, _), (disparity, _) in zip(eyes, truths, strict=True):
        camera, road = left.camera, left.mask == ROAD
        expected = BASELINE_M * (np.arange(HEIGHT) - camera.horizon_px) / camera.eye_m
        assert np.allclose(disparity[road], np.broadcast_to(expected[:, None], road.shape)[road], atol=1e-3)
        seen += road.sum()
    assert seen > 0.2 * COUNT * HEIGHT * WIDTH


def test_the_sky_is_infinitely_far_and_nothing_else_is_but_the_skyline(eyes, truths):
    for (left, _), (disparity, _) in zip(eyes, truths, strict=True):
        assert (disparity[left.mask == SKY] == 0).all()
        assert np.isin(left.mask[disparity == 0], (SKY, BUILDING, VEGETATION)).all()


def test_only_the_bonnet_is_unknown(eyes, truths):
    for (left, _), (disparity, visible) in zip(eyes, truths, strict=True):
        assert np.array_equal(np.isnan(disparity), left.mask == IGNORE)
        assert not visible[np.isnan(disparity)].any()
        assert np.nanmin(disparity) >= 0
        assert np.nanmax(disparity) < WIDTH
    assert any(np.isnan(disparity).any() for disparity, _ in truths)


def test_every_labelled_fill_writes_depth_too(eyes):
    # Were one forgotten, what lies behind it would keep its pixels, and a face would have two labels.
    for left, right in eyes:
        for eye in (left, right):
            assert eye.depth is not None
            labels_of_faces = np.unique(eye.depth.faces * 256 + eye.mask)
            assert len(labels_of_faces) == len(np.unique(eye.depth.faces))


def test_the_right_image_holds_what_the_truth_says_and_neighbours_do_not(eyes, truths):
    shares = []
    for (left, right), (disparity, visible) in zip(eyes, truths, strict=True):
        nearer, true, farther = (
            np.abs(warped(right.image, disparity + offset) - left.image).mean(axis=2)[visible].mean()
            for offset in (1, 0, -1)
        )
        shares.append(true / min(nearer, farther))
    assert max(shares) < 0.9
    assert np.mean(shares) < 0.7


@pytest.mark.parametrize("label", [ROAD, BUILDING], ids=["road", "building"])
def test_matching_the_images_finds_the_truth(eyes, truths, label):
    # An oracle that knows nothing of the scene: the shift along the row at which 5 x 5 pixels fit best.
    shifts, errors = np.arange(-1.25, 1.26, 0.125), []
    for (left, right), (disparity, visible) in zip(eyes, truths, strict=True):
        costs = np.stack(
            [
                cv2.boxFilter(((warped(right.image, disparity + s) - left.image) ** 2).sum(axis=2), -1, (5, 5))
                for s in shifts
            ]
        )
        best = shifts[costs.argmin(axis=0)]
        inside = cv2.erode(((left.mask == label) & visible).astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
        errors.append(best[inside & (np.ptp(costs, axis=0) > 4000)])
    found = np.concatenate(errors)
    assert len(found) > 300
    assert abs(np.median(found)) < 0.1
    assert np.median(np.abs(found)) < 0.3


def test_disparity_grows_with_the_baseline():
    near, far = draw_pair(0, 1, HEIGHT, WIDTH, 0.2), draw_pair(0, 1, HEIGHT, WIDTH, 0.6)
    assert np.allclose(3 * near.disparity, far.disparity, atol=1e-4, equal_nan=True)


# ---- occlusion


def test_what_the_right_eye_sees_is_what_its_pixels_carry_back(eyes, truths):
    # The other way round: each pixel of the right eye is put where its own disparity says the left one has it. What one
    # of like disparity is put upon is visible; what none is put near, to within a pixel, is hidden.
    hidden_but_hit, visible_but_missed = [], []
    for (left, right), (disparity, visible) in zip(eyes[:6], truths, strict=False):
        back, _ = seen_by_both(right, left, 1)
        gaps = np.abs((np.arange(WIDTH) + back)[:, None, :] - np.arange(WIDTH)[None, :, None])
        steps = np.abs(back[:, None, :] - disparity[:, :, None])
        hidden_but_hit.append(((gaps <= 0.4) & (steps <= 0.5)).any(axis=2) & ~visible)
        visible_but_missed.append(visible & ~((gaps <= 1) & (steps <= 1.2)).any(axis=2))
    assert np.mean(hidden_but_hit) < 0.002
    assert np.mean(visible_but_missed) < 0.002


def test_what_is_left_of_the_right_image_is_hidden(truths):
    shares = []
    for disparity, visible in truths:
        beside = np.arange(WIDTH) < np.nan_to_num(disparity)
        assert beside.any()
        assert not visible[beside].any()
        shares.append(1 - visible[~np.isnan(disparity)].mean())
    assert 0.04 < np.mean(shares) < 0.2


def test_a_point_that_both_eyes_see_has_one_disparity(eyes):
    # From left to right and back again: to the very pixel that one came from, or the one beside it.
    for index, _ in enumerate(eyes[:4]):
        pair = draw_pair(4, index, HEIGHT, WIDTH)
        assert pair.visible is not None
        assert pair.right_disparity is not None
        rows, columns = np.nonzero(pair.visible)
        there = np.rint(columns - pair.disparity[rows, columns]).astype(int)
        back = there + pair.right_disparity[rows, there]
        assert np.mean(np.abs(back - columns) <= 1) > 0.98
        assert pair.right_visible is not None
        assert pair.right_visible[rows, there].mean() > 0.98


# ---- both eyes see one scene


def test_both_eyes_draw_the_same_numbers(monkeypatch):
    # Were a choice made by what one eye sees, all that is drawn after it would differ.
    made: list[Random] = []

    def child(rng: Random) -> Random:
        made.append(Random(rng.getrandbits(48)))
        return made[-1]

    monkeypatch.setattr(compose, "child", child)
    monkeypatch.setattr(scene, "child", child)
    for index in range(8):
        ends = []
        for second in (False, True):
            made.clear()
            paint_eye(6, index, 48, 96, BASELINE_M, second)
            ends.append([rng.getstate() for rng in made])
        assert ends[0] == ends[1]


def test_a_wall_is_plain_for_both_eyes_or_for_neither():
    # To the first eye this one is a sliver, which has no windows; the second, were it alone, would see some.
    left, right = both_eyes(0)
    x, ends = left.camera.x_m, []
    for eye in (left, right, Canvas(right.camera, right.mood, 1)):
        rng = Random(2)
        draw_wall(Wall(eye, Facade.draw_from(Random(1), False), ((x, 3.0), (x, 12.0)), 8.0, 1.0), rng, street=True)
        ends.append(rng.getstate())
    assert ends[0] == ends[1] == Random(2).getstate() != ends[2]


def test_our_headlights_are_where_they_are_for_both_eyes(monkeypatch):
    # The pool of light lies on the road: moved with the eye it would be seen at no distance.
    shades: list[list] = []
    both = both_eyes(0)
    monkeypatch.setattr(Canvas, "shade", lambda canvas, points, gain: shades[-1].append((points, gain)))
    for eye in both:
        shades.append([])
        eye.mood = next(mood for mood in MOODS if mood.name == "night")
        draw_ground(eye, draw_street(Random(1)), Random(2))
    assert len(shades[0]) == 3
    assert shades[0] == shades[1]


def test_a_lamp_behind_another_car_does_not_shine_through_it():
    left, _ = both_eyes(0)
    assert left.depth is not None
    left.mask[:] = CAR
    left.depth.faces[:] = left.depth.number(8.0)
    assert left.is_open(5.5, 6.5, 8.0, CAR)
    assert not left.is_open(5.5, 6.5, 30.0, CAR)
    assert not left.is_open(5.5, 6.5, 8.0, SKY)


def test_what_is_out_of_one_eyes_view_is_painted_all_the_same():
    # It may be in the other's, or its shadow may.
    left, _ = both_eyes(0)
    assert Spot(left, left.camera.x_m + 100.0, 5.0).in_view(0.5)
    assert not Spot(Canvas(left.camera, left.mood, 1), left.camera.x_m + 100.0, 5.0).in_view(0.5)


def test_rain_and_grain_are_each_eyes_own():
    left, right = both_eyes(0, height=48, width=64)
    drawn = [Random(5), Random(5)]
    for eye, rng in zip((left, right), drawn, strict=True):
        eye.image[:] = 0
        draw_rain(eye, rng)
        assert (eye.image > 0).any()
    assert drawn[0].getstate() == drawn[1].getstate()
    wet = [eye.image[..., 0] > 0 for eye in (left, right)]
    assert (wet[0] & wet[1]).sum() < 0.5 * wet[0].sum()


def test_grain_does_not_stand_still_in_the_sky(eyes):
    # Sky is at infinity: without grain both eyes would see it the same.
    for left, right in eyes:
        sky = (left.mask == SKY) & (right.mask == SKY)
        if sky.sum() > 500:
            ours, theirs = (cv2.Laplacian(eye.image.astype(np.float32), -1)[sky].mean(axis=1) for eye in (left, right))
            assert abs(np.corrcoef(ours, theirs)[0, 1]) < 0.8
            assert (left.image[sky] != right.image[sky]).mean() > 0.3


def test_a_crown_is_placed_to_a_fraction_of_a_pixel():
    # Where disparity is a whole number of pixels and a half, the centres must be as far apart.
    left, right = both_eyes(0)
    z = BASELINE_M * left.camera.focal_px / 6.5
    centers = []
    for eye in (left, right):
        eye.image[:] = 0
        eye.mask[:] = 0
        stamp(Spot(eye, left.camera.x_m, z), 2, 2.4, (0.0, 3.2), (200, 200, 200))
        centers.append((eye.image.sum(axis=2).sum(axis=0) * np.arange(WIDTH)).sum() / eye.image.sum())
    assert centers[0] - centers[1] == pytest.approx(6.5, abs=0.2)


def test_a_shadow_falls_on_the_ground_alone():
    left, _ = both_eyes(0)
    assert left.depth is not None
    left.image[:] = 100
    whole = (slice(0, HEIGHT), slice(0, WIDTH))
    left.shade([(-50.0, 0.0, 2.0), (50.0, 0.0, 2.0), (50.0, 0.0, 100.0), (-50.0, 0.0, 100.0)], 0.5)
    ground = left.depth.is_ground(whole)
    assert (left.image[~ground] == 100).all()
    assert (left.image[ground] < 70).mean() > 0.8


def test_a_pair_is_the_scene_of_its_number_without_roll_and_bend(eyes):
    for index, (left, _) in enumerate(eyes):
        once = scene.paint_scene(
            4, index, HEIGHT, WIDTH, lambda camera, *rest: Canvas(replace(camera, roll=0.0, curve_per_m=0.0), *rest)
        )
        assert (once.mask == left.mask).mean() > 0.98


# ---- the same bits


def digest(index: int) -> str:
    parts = vars(draw_pair(3, index, 48, 64)).values()
    return hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()


def test_a_pair_is_the_same_in_any_order_whatever_was_drawn_before():
    forward = [digest(i) for i in range(4)]
    random.seed(1)
    np.random.seed(1)
    assert [digest(i) for i in reversed(range(4))] == forward[::-1]
    assert len(set(forward)) == 4


def test_a_pair_has_the_types_and_shapes_of_the_contract():
    parts = vars(draw_pair(0, 2, 65, 97)).values()
    assert [part.dtype.name for part in parts] == ["uint8", "uint8", "float32", "bool", "float32", "bool"]
    assert [part.shape[:2] for part in parts] == [(65, 97)] * 6


# ---- the data set


def test_the_data_set_is_known_by_its_name():
    source = DATA_SETS["scenes-stereo"].open(Asked(seed=5))
    assert DATA_SETS["scenes-stereo"].task == "stereo"
    assert isinstance(source, StereoSource)
    assert {name: len(split) for name, split in source.splits.items()} == {"train": 400, "val": 60, "test": 100}
    pair, again = source.splits["val"][1], ScenePairs("val", seed=5)[1]
    assert pair.left.shape == (192, 256, 3)
    assert np.array_equal(pair.right, again.right)
    assert not np.array_equal(pair.left, open_scene_pairs(6).splits["val"][1].left)


def test_pairs_are_called_as_the_scenes_are():
    pairs = ScenePairs("test", size=3, height=48, width=64)
    assert pairs.names == tuple(sample.name for sample in map(Scenes("test", 3, 0, 48, 64).__getitem__, range(3)))
    with pytest.raises(IndexError, match="scenes 0 to 2"):
        pairs[3]


@pytest.mark.parametrize("baseline_m", [0.0, -0.5, math.nan, math.inf])
def test_a_baseline_that_is_none_is_refused(baseline_m):
    with pytest.raises(ValueError, match=r"baseline_m=.*metres between the eyes"):
        draw_pair(0, 0, 48, 64, baseline_m)


@pytest.mark.parametrize("change", [{"roll": 0.01}, {"curve_per_m": 0.001}])
def test_depth_of_a_camera_that_rolls_or_a_street_that_bends_is_refused(change):
    with pytest.raises(ValueError, match="roll 0 in a straight street"):
        Depth(replace(straight_camera(Random(0), 1), **change), BASELINE_M)


def test_ground_reaches_to_the_horizon():
    depth = Depth(straight_camera(Random(0), 1), BASELINE_M)
    depth.faces[:] = depth.number(GROUND)
    camera = depth.camera
    rows = np.arange(math.ceil(camera.horizon_px), HEIGHT)
    expected = BASELINE_M * (rows - camera.horizon_px) / camera.eye_m
    assert np.allclose(depth.disparity()[rows], expected[:, None], atol=1e-6)
