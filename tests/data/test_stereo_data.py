"""Trees of pairs: each arrangement is known by its names, and what is read is what was written."""

import json

import numpy as np
import pytest
from stereo_trees import HEIGHT, WIDTH, good_pairs, scene, write_image, write_pair, write_pfm

from wholenet.cli import main
from wholenet.data.sample import DataError
from wholenet.data.sets import DATA_SETS, DataSet
from wholenet.data.stereo import review as review_module
from wholenet.data.stereo.findings import of_range
from wholenet.data.stereo.matching import matches
from wholenet.data.stereo.review import open_stereo, review_stereo
from wholenet.data.stereo.sample import StereoSample, StereoSource
from wholenet.data.stereo.split import files_with_val
from wholenet.data.stereo.trees import find_tree, looks_like_stereo
from wholenet.data.task import own_task_of

NEAR = np.s_[HEIGHT // 4 : 3 * HEIGHT // 4, WIDTH // 3 : 3 * WIDTH // 4]
"""Where the box of a scene is."""


def visible(number):
    """What files below say of a scene: all is seen but a strip left of the box."""
    seen = np.ones((HEIGHT, WIDTH), bool)
    seen[NEAR[0], NEAR[1].start - 5 : NEAR[1].start] = False
    return seen


def scene_right(number):
    """Disparity of the right image of a scene."""
    disparity = scene(number)[2]
    near, far = disparity.max(), disparity.min()
    found = np.full((HEIGHT, WIDTH), far, np.float32)
    found[NEAR[0], NEAR[1].start - int(near) : NEAR[1].stop - int(near)] = near
    return found


def seen_from(truth, other, side):
    """Pixel by pixel, whether the other image has the same disparity where a point must be."""
    seen = np.zeros(truth.shape, bool)
    for (y, x), value in np.ndenumerate(truth):
        there = int(x + side * value)
        seen[y, x] = 0 <= there < WIDTH and other[y, there] == value
    return seen


def plain(root):
    good_pairs(root)
    return "the splits in each", {"train": range(4), "val": (4, 5)}, False


def splits_above(root):
    for split, numbers in (("training", (0, 1)), ("validation", (2,)), ("testing", (3,))):
        for n in numbers:
            write_pair(root, f"{split}/Left/p{n}.png", f"{split}/Right/p{n}.png", f"{split}/Disparity/p{n}.png", n)
    return "in each split", {"train": (0, 1), "val": (2,), "test": (3,)}, False


def without_splits(root):
    for n in range(5):
        write_pair(root, f"image_left/p{n}.png", f"image_right/p{n}.png", f"disp/p{n}.pfm", n)
        write_pfm(root / "disp_right" / f"p{n}.pfm", scene_right(n))
    return "read as left, right and disparity", {"train": None, "val": None}, "both"


def kitti(root, left="image_2", right="image_3", truth="disp_occ_0", seen="disp_noc_0", told="KITTI 2015"):
    for n in range(4):
        write_pair(root / "training", f"{left}/{n:06}_10.png", f"{right}/{n:06}_10.png", f"{truth}/{n:06}_10.png", n)
        write_image(root / "training" / left / f"{n:06}_11.png", scene(n)[0])
        known = np.where(visible(n), scene(n)[2], 0)
        write_image(root / "training" / seen / f"{n:06}_10.png", (known * 256).astype(np.uint16))
    write_pair(root / "testing", f"{left}/000000_10.png", f"{right}/000000_10.png", "x/0.png", 9)
    return told, {"train": None, "val": None}, True


def kitti_2012(root):
    return kitti(root, "colored_0", "colored_1", "disp_occ", "disp_noc", "KITTI 2012")


def scene_flow(root):
    for split, place, numbers in (("TRAIN", "A/0000", (0, 1)), ("TRAIN", "B/0001", (2, 3)), ("TEST", "A/0000", (4,))):
        for n in numbers:
            for images in ("frames_cleanpass", "frames_finalpass"):
                own = f"{images}/{split}/{place}"
                truth = f"disparity/{split}/{place}/left/{n:04}.pfm"
                write_pair(root, f"{own}/left/{n:04}.png", f"{own}/right/{n:04}.png", truth, n)
            write_pfm(root / "disparity" / split / place / "right" / f"{n:04}.pfm", -scene_right(n))
            write_pfm(root / truth, np.where(np.arange(WIDTH) % 2, -1, 1) * scene(n)[2])
    return "read as SceneFlow", {"train": None, "val": None, "test": (4,)}, "both"


def driving(root):
    for n, place in enumerate(("15mm/forwards/fast", "15mm/forwards/slow", "35mm/backwards/fast")):
        own = f"frames_finalpass/{place}"
        write_pair(root, f"{own}/left/1.png", f"{own}/right/1.png", f"disparity/{place}/left/1.pfm", n)
    return "read as SceneFlow", {"train": None, "val": None}, False


def middlebury(root):
    for n, place in enumerate(("trainingQ/Adirondack", "trainingQ/Jadeplant", "valQ/Motorcycle", "testQ/Shelves")):
        write_pair(root, f"{place}/im0.png", f"{place}/im1.png", f"{place}/disp0GT.pfm", n)
        write_image(root / place / "mask0nocc.png", np.where(visible(n), 255, 128).astype(np.uint8))
    return "Middlebury's names", {"train": (0, 1), "val": (2,), "test": (3,)}, True


def middlebury_2014(root):
    for n in range(3):
        write_pair(root, f"s{n}/im0.png", f"s{n}/im1.png", f"s{n}/disp0.pfm", n)
        write_pfm(root / f"s{n}" / "disp1.pfm", scene_right(n))
    return "Middlebury's names", {"train": None, "val": None}, "both"


def sintel(root):
    for place, numbers in (("alley_1", (0, 1)), ("cave_2", (2, 3))):
        for n in numbers:
            name = f"{place}/frame_{n:04}.png"
            top = root / "training"
            for kind in ("clean", "final"):
                write_pair(top, f"{kind}_left/{name}", f"{kind}_right/{name}", "x.pfm", n)
            units = np.rint(scene(n)[2] * 64).astype(int)  # of 1/64 pixel
            colours = np.stack([units // 256, units % 256, 0 * units], axis=2)
            write_image(top / "disparities" / name, colours.astype(np.uint8))
            half = np.arange(HEIGHT)[:, None] < HEIGHT // 2
            for folder, where in (("occlusions", half), ("outofframe", ~half)):
                write_image(top / folder / name, np.where(~visible(n) & where, 255, 0).astype(np.uint8))
    return "read as Sintel", {"train": None, "val": None}, True


TREES = [
    *(plain, splits_above, without_splits, kitti, kitti_2012, scene_flow, driving),
    *(middlebury, middlebury_2014, sintel),
]


def number_of(left):
    """Which scene an image is of."""
    return next(n for n in range(10) if (scene(n)[0] == left).all())


@pytest.mark.parametrize("tree", TREES)
def test_every_arrangement_is_known_by_its_names_and_read_as_it_was_written(tree, tmp_path):
    told, expected, seen = tree(tmp_path)
    assert looks_like_stereo(tmp_path)
    assert own_task_of(tmp_path) == "stereo"
    source = open_stereo(tmp_path)
    assert any(told in note for note in source.notes)
    assert not [note for note in source.notes if note.startswith("warning")]
    assert list(source.splits) == list(expected)
    found = {name: [number_of(split[i].left) for i in range(len(split))] for name, split in source.splits.items()}
    assert {name: found[name] for name in found if expected[name] is not None} == {
        name: list(numbers) for name, numbers in expected.items() if numbers is not None
    }
    every = [n for numbers in found.values() for n in numbers]
    assert sorted(every) == list(range(len(every)))
    for split in source.splits.values():
        assert len(set(split.names)) == len(split) == len(split.names)
        for i in range(len(split)):
            sample = split[i]
            _, right, disparity = scene(number_of(sample.left))
            np.testing.assert_array_equal(sample.right, right)
            np.testing.assert_array_equal(sample.disparity, disparity)
            if seen == "both":
                number = number_of(sample.left)
                np.testing.assert_array_equal(sample.right_disparity, scene_right(number))
                np.testing.assert_array_equal(sample.visible, seen_from(disparity, scene_right(number), -1))
                np.testing.assert_array_equal(sample.right_visible, seen_from(scene_right(number), disparity, 1))
                assert 0.6 < sample.visible.mean() < 0.97
            elif seen:
                np.testing.assert_array_equal(sample.visible, visible(0))
            else:
                assert sample.visible is None


@pytest.mark.parametrize("tree", [scene_flow, sintel])
def test_frames_of_one_scene_stay_on_one_side_and_the_seed_says_which(tree, tmp_path):
    tree(tmp_path)
    found, held = find_tree(tmp_path).splits, set()
    for seed in range(6):
        splits, notes = files_with_val(tmp_path, found, 0.25, seed)
        assert splits == files_with_val(tmp_path, found, 0.25, seed)[0]
        scenes = [{pair.scene for pair in splits[part]} for part in ("train", "val")]
        assert len(scenes[0]) == len(scenes[1]) == 1
        assert not scenes[0] & scenes[1]
        assert "1 of the 2 scenes of train, with 2 of the 4 pairs" in notes[0]
        held |= scenes[1]
    assert len(held) == 2


def test_of_two_passes_the_clean_one_is_read_and_that_is_said(tmp_path):
    scene_flow(tmp_path)
    assert any(
        note.startswith("frames_cleanpass is read, frames_finalpass is not") for note in open_stereo(tmp_path).notes
    )


def test_the_old_sets_of_middlebury_need_a_scale(tmp_path):
    for n in range(2):
        write_pair(tmp_path, f"s{n}/view1.png", f"s{n}/view5.png", "x.pfm", n)
        write_image(tmp_path / f"s{n}" / "disp1.png", (3 * scene(n)[2]).astype(np.uint8))
    with pytest.raises(
        DataError, match=r"8 bits per pixel, values \d+ to \d+.*\n.*1 for Middlebury 2005 and 2006 in full"
    ):
        open_stereo(tmp_path)
    source = open_stereo(tmp_path, scale=1 / 3)
    np.testing.assert_allclose(source.splits["train"][0].disparity, scene(number_of(source.splits["train"][0].left))[2])


@pytest.mark.parametrize(
    "folders",
    [
        ("left", "right"),
        ("left", "right", "straight"),
        ("images", "masks"),
        ("training/image_2", "training/semantic"),
        ("im0", "im1", "disp0"),
        ("disparity", "left"),
    ],
)
def test_other_folders_are_no_pairs(folders, tmp_path):
    for folder in folders:
        write_image(tmp_path / folder / "a.png", scene(0)[0])
    assert not looks_like_stereo(tmp_path)
    assert own_task_of(tmp_path) is None


def test_a_folder_that_is_none_says_what_is_known(tmp_path):
    for where in (tmp_path / "nothing", tmp_path):
        with pytest.raises(DataError, match=r"does not exist|has no known layout(.|\n)*Accepted layouts of pairs"):
            open_stereo(where)
    assert not looks_like_stereo(tmp_path / "nothing")


def test_a_truth_of_the_right_image_that_is_no_good_is_refused(tmp_path):
    middlebury_2014(tmp_path)
    write_pfm(tmp_path / "s1" / "disp1.pfm", scene_right(1)[:9])
    with pytest.raises(DataError, match=r"s1/disp0\.pfm is 64x96 but .*s1/disp1\.pfm is 9x96"):
        open_stereo(tmp_path)
    (tmp_path / "s1" / "disp1.pfm").write_bytes(b"Pf")
    with pytest.raises(DataError, match=r"does not begin with Pf, width, height and scale: .*s1/disp1\.pfm"):
        open_stereo(tmp_path)


def test_a_folder_that_is_one_scene_itself_is_known(tmp_path):
    write_pair(tmp_path, "im0.png", "im1.png", "disp0.pfm", 0)
    assert looks_like_stereo(tmp_path)
    with pytest.raises(DataError, match="at least 2 are needed"):
        open_stereo(tmp_path)


def test_before_a_run_some_of_many_pairs_are_looked_at_and_that_is_said(tmp_path, monkeypatch):
    good_pairs(tmp_path)
    write_pfm(tmp_path / "disparity" / "train" / "p1.pfm", -scene(1)[2])
    monkeypatch.setattr(review_module, "LOOKED_AT", 2)
    notes = open_stereo(tmp_path).notes
    assert any(note.startswith("2 of the 4 pairs of train were looked at") for note in notes)
    assert not any("negative" in note for note in notes)  # pairs 0 and 2 were
    assert [finding.kind for finding in review_stereo(tmp_path).findings].count("truth-negative") == 1


# ---- data sets by name


class Drawn:
    """Scenes that nobody wrote to files."""

    def __init__(self, numbers, change=lambda disparity: disparity):
        self.numbers, self.change = list(numbers), change
        self.names = tuple(f"n{n}" for n in self.numbers)

    def __len__(self):
        return len(self.numbers)

    def __getitem__(self, index):
        left, right, disparity = scene(self.numbers[index])
        return StereoSample(left, right, self.change(disparity))


@pytest.fixture
def named():
    """Registers a data set of these splits, for one test."""

    def add(**splits):
        DATA_SETS.add("boxes", DataSet(name="boxes", open=lambda _: StereoSource(splits=splits), task="stereo"))

    yield add
    DATA_SETS.remove("boxes")


def test_a_data_set_by_name_gives_its_splits_and_val_of_its_own(named, tmp_path, capsys):
    named(train=Drawn(range(10)))
    source = open_stereo("boxes", val_share=0.3, seed=1)
    assert [len(source.splits[name]) for name in ("train", "val")] == [7, 3]
    assert set(source.splits["train"].names) | set(source.splits["val"].names) == {f"n{n}" for n in range(10)}
    assert any("no val split: 3 of the 10 pairs" in note for note in source.notes)
    main(["check-data", "boxes", "--json", str(tmp_path / "found.json")])
    assert "boxes is read as pairs of images with disparity (stereo)" in capsys.readouterr().out
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["splits"]["train"]["pairs"] == 8
    truths = np.concatenate([scene(n)[2] for n in range(10)])
    assert found["splits"]["train"]["median_disparity"] == np.median(truths)
    assert found["splits"]["val"]["largest_disparity"] in (9, 10, 11, 12)
    with pytest.raises(ValueError, match=r"disparity_scale=0\.5 is of files; the disparity of boxes is in pixels"):
        open_stereo("boxes", scale=0.5)


def test_a_data_set_by_name_that_gives_something_else_is_refused(named):
    named(train=Drawn(range(2)), val=Drawn(range(2), lambda disparity: disparity[:-1]))
    with pytest.raises(
        DataError, match=r"n0: images uint8 \[64, 96, 3\] and uint8 \[64, 96, 3\], disparity \[63, 96\]"
    ):
        open_stereo("boxes")


# ---- points that are in both images


def test_points_are_found_where_they_are():
    found = matches([Drawn(range(3))[i] for i in range(3)])
    assert len(found) > 60
    assert (found.rows == 0).mean() > 0.98
    assert (found.columns == found.truth).mean() > 0.95  # at the edge of the box a patch shows both


def test_points_of_images_in_each_others_place_are_found_on_the_other_side():
    exchanged = [StereoSample(right, left, disparity) for left, right, disparity in map(scene, range(3))]
    assert (matches(exchanged).columns < 0).mean() > 0.95


@pytest.mark.parametrize("rows", [-4, 2])
def test_rows_that_do_not_fit_are_measured(rows):
    moved = [
        StereoSample(left, np.roll(right, rows, axis=0), disparity) for left, right, disparity in map(scene, range(3))
    ]
    assert np.median(matches(moved).rows) == rows


def test_nothing_is_found_in_images_without_texture_or_of_hardly_any_size():
    flat = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    sample = StereoSample(flat, flat, np.zeros((HEIGHT, WIDTH), np.float32))
    small = StereoSample(*(array[:9, :9] for array in scene(0)))
    assert len(matches([sample, small])) == 0


@pytest.mark.parametrize(("reach", "share", "needed"), [(9.0, 40, 3), (16, 20, 3), (17, 0, 0), (16.5, 20, 3)])
def test_the_share_beyond_a_reach_is_of_all_known_pixels(reach, share, needed):
    counts = np.zeros(4096, int)
    counts[[0, 9, 10, 17]] = 3, 3, 2, 2  # of disparities up to that many pixels, and above one less
    found = of_range(counts, reach)
    assert [finding.kind for finding in found] == ["beyond-reach"] * (share > 0)
    for finding in found:
        assert f"{share}.00 % of the known pixels" in finding.what
        assert f"--displacement {needed} would" in finding.advice
