"""Which images become the validation split of data that has none."""

from pathlib import Path

import pytest
from trees import labels, picture, write

from wholenet.data.detect import find_tree, open_data
from wholenet.data.validation import with_val

ROOT = Path("/data")


def pairs_in(sizes):
    """So many images in each folder."""
    paths = [ROOT / "top" / folder / f"{i}.png" for folder, count in sizes.items() for i in range(count)]
    return {"train": [(path, path.with_suffix(".tif")) for path in paths]}


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("share", [0.1, 0.2, 0.5, 0.9])
def test_whole_folders_stay_on_one_side_and_nothing_is_lost(seed, share):
    sizes = {"a": 7, "b": 1, "c": 30, "d": 4, "e": 12}
    pairs = pairs_in(sizes)
    divided, (note,) = with_val(ROOT, pairs, share, seed, by_folder=True)
    held = {split: {image.parent.name for image, _ in own} for split, own in divided.items()}
    assert held["train"]
    assert held["val"]
    assert not held["train"] & held["val"]
    assert sorted([*divided["train"], *divided["val"]]) == sorted(pairs["train"])
    assert f"{len(held['val'])} of the 5 folders of train, with {len(divided['val'])} of the 54 images" in note


def test_the_number_is_about_what_is_asked_for():
    divided, _ = with_val(ROOT, pairs_in({str(i): 5 for i in range(40)}), 0.2, 0, by_folder=True)
    assert len(divided["val"]) == 40


@pytest.mark.parametrize("sizes", [{"a": 6}, {"a": 1, "b": 1, "c": 1, "d": 1}])
def test_one_folder_and_folders_of_one_image_are_divided_as_ever(sizes):
    plain, by_folder = (with_val(ROOT, pairs_in(sizes), 0.3, 1, by_folder=how) for how in (False, True))
    assert plain == by_folder


def test_images_whose_masks_lie_beside_them_are_divided_by_folder_and_others_are_not(tmp_path):
    for patient in ("p1", "p2", "p3"):
        for name in "ab":
            write(tmp_path / "beside" / patient / f"{name}.png", picture())
            write(tmp_path / "beside" / patient / f"{name}_mask.png", labels(0, 1))
            write(tmp_path / "apart" / "images" / patient / f"{name}.png", picture())
            write(tmp_path / "apart" / "masks" / patient / f"{name}.png", labels(0, 1))
    assert [find_tree(tmp_path / name).by_folder for name in ("beside", "apart")] == [True, False]
    splits = open_data(tmp_path / "beside").splits
    assert [len(splits[name]) for name in ("train", "val")] == [4, 2]


NAMES = {
    "nnU-Net's, one channel": ("la_{case:03}_{slice:03}_0000.png", "la_{case:03}_{slice:03}.png"),
    "written by our line": ("z{slice:03}_la_{case:03}_0000.tif", "z{slice:03}_la_{case:03}.tif"),
    "that say slice": ("p{case}_slice{slice}.png", "p{case}_slice{slice}.png"),
    "in folders": ("p{case}/slice_{slice}.png", "p{case}/slice_{slice}.png"),
}


@pytest.mark.parametrize("names", NAMES)
def test_slices_of_a_case_stay_on_one_side(names):
    owner = {
        tuple(ROOT / x / name.format(case=case, slice=i) for x, name in zip("xy", NAMES[names], strict=True)): case
        for case in range(6)
        for i in range(case, case + 4)
    }
    divided, (note,) = with_val(ROOT, {"train": list(owner)}, 0.3, 0)
    train, val = ({owner[pair] for pair in divided[split]} for split in ("train", "val"))
    assert (len(train), len(val)) == (4, 2)
    assert not train & val
    assert sorted([*divided["train"], *divided["val"]]) == sorted(owner)
    assert "2 of the 6 cases of train, with 8 of the 24 images" in note


@pytest.mark.parametrize("name", ["street_1_{}.png", "{}.png", "jazz{}_x.png", "z{}.png"])
def test_other_numbers_are_no_slices(name):
    pairs = {"train": [(ROOT / "x" / name.format(i), ROOT / "y" / name.format(i)) for i in range(9)]}
    assert "of the 9 images of train were" in with_val(ROOT, pairs, 0.3, 0)[1][0]
