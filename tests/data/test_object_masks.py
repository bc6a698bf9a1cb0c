"""Masks of single objects, joined to one for each image."""

import numpy as np
import pytest
from trees import labels, picture, write

from wholenet.data import survey
from wholenet.data.detect import find_tree, open_data
from wholenet.data.review import review
from wholenet.data.stored import PictureError

H, W = 16, 20
RNG = np.random.default_rng(0)


def square(top, left, side, value=255):
    mask = np.zeros((H, W), np.uint8)
    mask[top : top + side, left : left + side] = value
    return mask


def build(root, places, masks):
    """``places``: of the image and of each mask, with {} for the number of the image."""
    for i in range(3):
        write(root / places[0].format(i), picture(i, H, W))
        for place, mask in zip(places[1:], masks, strict=True):
            write(root / place.format(i), np.roll(mask, i, axis=1))


def iter_of(data):
    return map(data.__getitem__, range(len(data)))


FORMS = {
    "a folder for each image": ("{0}/images/{0}.png", "{0}/masks/a1f.png", "{0}/masks/77c.png"),
    "the same, in a folder called as a split": (
        *("stage1_train/{0}/images/{0}.png", "stage1_train/{0}/masks/a1f.png", "stage1_train/{0}/masks/77c.png"),
    ),
    "numbers after the name": ("images/x{}.png", "masks/x{}_0.png", "masks/x{}_1.png"),
    "one has the name itself": ("images/x{}.png", "masks/x{}.png", "masks/x{}-2.png"),
    "a folder of masks for each image": ("images/x{}.png", "masks/x{}/0.png", "masks/x{}/1.png"),
    "splits": ("images/train/x{}.png", "masks/train/x{}_mask_0.png", "masks/train/x{}_mask_1.png"),
    "names with numbers": ("images/x_{}.png", "masks/x_{}_1.png", "masks/x_{}_2.png"),
}


@pytest.mark.parametrize("form", FORMS)
def test_what_any_file_marks_is_object(form, tmp_path):
    masks = (square(1, 2, 5), square(8, 9, 6, value=1))
    build(tmp_path, FORMS[form], masks)
    found = find_tree(tmp_path)
    assert found.known_classes is not None
    assert found.known_classes.names == ("background", "object")
    assert not found.findings
    drawn = {image.stem.strip("x_"): mask.codes(1) for image, mask in found.pairs["train"]}
    assert drawn.keys() == {"0", "1", "2"}
    for i in range(3):
        np.testing.assert_array_equal(drawn[str(i)], np.roll((masks[0] > 0) | (masks[1] > 0), i, axis=1))


def test_names_of_the_files_are_the_classes(tmp_path):
    masks = (square(1, 2, 5), square(8, 9, 6), square(2, 3, 2))
    build(tmp_path, ("images/x{}.png", "masks/x{}_road.png", "masks/x{}_car_1.png", "masks/x{}_car_2.png"), masks)
    source = open_data(tmp_path, val_share=0.4)
    assert source.classes.names == ("background", "car", "road")
    expected = 2 * (masks[0] > 0).astype(np.uint8)
    expected[(masks[1] > 0) | (masks[2] > 0)] = 1  # the car on the road is smaller
    seen = {
        sample.name: sample.mask for data in source.splits.values() for sample in (data[i] for i in range(len(data)))
    }
    np.testing.assert_array_equal(seen["x0"], expected)


def test_one_name_of_all_is_the_class_and_other_forms_of_the_masks_are_no_objects(tmp_path):
    build(
        tmp_path / "a",
        ("{0}/images/{0}.png", "{0}/masks/nucleus_1.png", "{0}/masks/nucleus_2.png"),
        [square(1, 1, 3)] * 2,
    )
    assert open_data(tmp_path / "a").classes.names == ("background", "nucleus")
    for end in ("color", "instanceIds"):
        root = tmp_path / end
        build(
            root,
            ("images/x{}.png", "masks/x{}_labelIds.png", f"masks/x{{}}_{end}.png"),
            [labels(0, 1, height=H, width=W)] * 2,
        )
        assert find_tree(root).outlined is None


def test_overlaps_are_counted_as_by_hand(tmp_path):
    masks = [(RNG.random((H, W)) < 0.2).astype(np.uint8) for _ in range(3)]
    build(tmp_path, ("images/x{}.png", "masks/x{}_0.png", "masks/x{}_1.png", "masks/x{}_2.png"), masks)
    _, mask = find_tree(tmp_path).pairs["train"][0]
    codes, shared = mask.drawn(1)
    np.testing.assert_array_equal(codes, np.sum(masks, 0) > 0)
    assert shared == (np.sum(masks, 0) > 1).sum() > 0
    told = {finding.kind: finding for finding in review(tmp_path).findings}
    assert f"{3 * shared} pixels in all" in told["objects-overlap"].what
    assert told["objects-overlap"].severity == "note"


WRONG = {
    "three values": (labels(0, 1, 2, height=H, width=W), "b.png: 3 values", "one other value"),
    "another size": (labels(0, 1, height=H, width=W - 1), "b.png: 16x19, and the image 16x20", "one size"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_no_mask_of_an_object_is_named(case, tmp_path):
    mask, reason, advice = WRONG[case]
    build(tmp_path, ("{0}/images/{0}.png", "{0}/masks/a.png", "{0}/masks/b.png"), [square(1, 1, 3), mask])
    _, drawn = find_tree(tmp_path).pairs["train"][0]
    with pytest.raises(PictureError) as error:
        drawn.codes(1)
    assert reason in str(error.value)
    assert advice in str(error.value)


def test_a_copy_beside_the_mask_of_an_image_is_no_object(tmp_path):
    build(tmp_path, ("images/x{}.png", "masks/x{}.png"), [square(1, 1, 5)])
    write(tmp_path / "masks" / "x1_old.png", square(1, 1, 5))
    (finding,) = [one for one in find_tree(tmp_path).findings if one.severity == "error"]
    assert (finding.kind, finding.files) == ("mask-without-image", (str(tmp_path / "masks" / "x1_old.png"),))


def test_an_image_without_objects_is_background(tmp_path):
    build(tmp_path, ("{0}/images/{0}.png", "{0}/masks/a.png", "{0}/masks/b.png"), [square(1, 1, 3), square(5, 5, 3)])
    for file in (tmp_path / "1" / "masks").iterdir():
        file.unlink()
    write(tmp_path / "0" / "masks" / "a.png", square(0, 0, 0))
    codes = [mask.codes(1) for _, mask in find_tree(tmp_path).pairs["train"]]
    np.testing.assert_array_equal(codes[0], square(5, 5, 3) > 0)
    assert not codes[1].any()


def test_folders_of_patients_with_a_mask_for_each_image_are_joined(tmp_path):
    for patient in ("p1", "p2", "p3"):
        for name in ("1", "2"):
            write(tmp_path / patient / "images" / f"{name}.png", picture())
            write(tmp_path / patient / "masks" / f"{name}.png", labels(0, 1))
    tree = find_tree(tmp_path)
    assert (len(tree.pairs["train"]), tree.by_folder, tree.outlined) == (6, True, None)
    splits = open_data(tmp_path).splits
    patients = {split: {image.parent.parent.name for image in data.image_paths} for split, data in splits.items()}
    assert not patients["train"] & patients["val"]
    assert (len(splits["train"]), len(splits["val"])) == (4, 2)


def counting(monkeypatch):
    """What is decoded, image or mask, is put into the list."""
    seen = []

    def watched(look):
        return lambda what, *rest: (seen.append(what), look(what, *rest))[1]

    for name in ("bands_with_header", "raw_mask_with_header"):
        monkeypatch.setattr(survey, name, watched(getattr(survey, name)))
    return seen


def test_a_second_look_joins_only_what_has_changed(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    build(tmp_path / "data", FORMS["a folder of masks for each image"], (square(1, 2, 5), square(3, 4, 6)))
    seen = counting(monkeypatch)
    first = review(tmp_path / "data")
    assert len(seen) == 6
    assert any(f.kind == "objects-overlap" for f in first.findings)
    seen.clear()
    assert review(tmp_path / "data").findings == first.findings
    assert not seen
    write(tmp_path / "data" / "masks" / "x1" / "1.png", square(9, 9, 3))
    review(tmp_path / "data")
    assert [str(one.image.name) for one in seen] == ["x1.png"]
    seen.clear()
    (tmp_path / "data" / "masks" / "x1" / "1.png").unlink()
    write(tmp_path / "data" / "masks" / "x2" / "2.png", square(9, 9, 3))
    review(tmp_path / "data")
    assert sorted(str(one.image.name) for one in seen) == ["x1.png", "x2.png"]


def test_one_reason_of_many_files_is_said_once(tmp_path):
    build(tmp_path, FORMS["a folder for each image"], (square(1, 2, 5), square(8, 9, 6)))
    for i, letter in enumerate("abc"):
        (tmp_path / f"{i}/masks/{letter}.png").write_bytes(b"no picture")
    (told,) = (finding for finding in review(tmp_path).findings if finding.severity == "error")
    assert told.count == 3
    assert told.files == tuple(str(tmp_path / f"{i}/masks/{letter}.png") for i, letter in enumerate("abc"))
