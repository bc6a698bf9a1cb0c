"""Folders that labelme_json_to_dataset wrote, and pictures that show masks to people."""

import json

import numpy as np
import pytest
from trees import labels, picture, write

from wholenet.data.detect import find_tree, open_data
from wholenet.data.folder import files_below
from wholenet.data.sample import DataError
from wholenet.data.task import task_of

NAMES = "abcdef"
CAT, DOG = "_background_\ncat\n", "_background_\ndog\n"


def convert(root, name, names=CAT):
    folder = root / f"{name}_json"
    write(folder / "img.png", picture())
    write(folder / "label.png", labels(0, 1))
    write(folder / "label_viz.png", picture())
    if names is not None:
        (folder / "label_names.txt").write_text(names)


def test_folders_of_labelme_are_read_with_the_names_beside_the_masks(tmp_path):
    for name in NAMES:
        convert(tmp_path, name)
    assert task_of(tmp_path) == "segmentation"
    data = open_data(tmp_path)
    assert data.classes.names == ("_background_", "cat")
    assert "classes from label_names.txt, beside the masks" in data.notes
    pairs = [pair for split in data.splits.values() for pair in split.pairs]
    assert sorted(image.parent.name for image, _ in pairs) == [f"{name}_json" for name in NAMES]
    assert {(image.name, mask.name) for image, mask in pairs} == {("img.png", "label.png")}
    assert all(image.parent == mask.parent for image, mask in pairs)
    (left,) = [finding for finding in find_tree(tmp_path).findings if finding.kind == "shows-another"]
    assert (left.severity, left.count) == ("note", len(NAMES))


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        (DOG, r"has the labels _background_, cat, and .*f_json.* has _background_, dog: .* of each image anew"),
        (None, r"f_json/label_names.txt: this list of labels cannot be read"),
        (b"\xff\xfe\x00", r"f_json/label_names.txt: this list of labels cannot be read: .* no text"),
    ],
)
def test_values_that_may_mean_other_classes_in_other_images_are_refused(tmp_path, odd, said):
    for name in NAMES[:-1]:
        convert(tmp_path, name)
    convert(tmp_path, NAMES[-1], None if isinstance(odd, bytes) else odd)
    if isinstance(odd, bytes):
        (tmp_path / f"{NAMES[-1]}_json/label_names.txt").write_bytes(odd)
    for classes in (None, ["background", "cat"]):  # a class file does not help: it says of no image what it means there
        if classes is not None:
            (tmp_path / "classes.json").write_text(json.dumps(classes))
        with pytest.raises(DataError, match=said):
            open_data(tmp_path)


def test_where_the_json_files_are_there_too_they_are_read_and_not_their_copies(tmp_path):
    for name in NAMES:
        write(tmp_path / f"{name}.jpg", picture())
        outline = {"label": "dog", "points": [[2, 2], [9, 2], [9, 9]], "shape_type": "polygon"}
        (tmp_path / f"{name}.json").write_text(json.dumps({"shapes": [outline], "imagePath": f"{name}.jpg"}))
        convert(tmp_path, name)
    data = open_data(tmp_path)
    assert data.classes.names == ("background", "dog")
    assert sum(len(split) for split in data.splits.values()) == len(NAMES)
    copy = tmp_path / "a_json"
    assert files_below(tmp_path, (".png",)) == []
    assert [path.name for path in files_below(copy, (".png",))] == [
        "img.png",
        "label.png",
        "label_viz.png",
    ]  # asked for


@pytest.mark.parametrize("end", ["_overlay", "_mask_vis", "-preview"])
def test_pictures_that_show_others_are_left_out(tmp_path, end):
    for name in NAMES:
        write(tmp_path / f"{name}.jpg", picture())
        write(tmp_path / f"{name}_mask.png", labels(0, 1))
        write(tmp_path / f"{name}{end}.png", picture())
    write(tmp_path / "z_overlay.jpg", picture())  # shows nothing that is there
    write(tmp_path / "z_overlay_mask.png", labels(0, 1))
    data = open_data(tmp_path)
    images = sorted(image.stem for split in data.splits.values() for image, _ in split.pairs)
    assert images == [*NAMES, "z_overlay"]
    assert np.concatenate([split[0].mask.ravel() for split in data.splits.values()]).max() == 1
