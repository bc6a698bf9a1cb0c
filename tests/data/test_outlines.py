"""Data sets whose masks are drawn from outlines: where files lie, what the classes are, what lies on top."""

import json

import numpy as np
import pytest
from annotated import as_coco, as_cvat, as_yolo, compressed, runs
from trees import picture, write, write_pairs

from wholenet.data.detect import find_tree, open_data
from wholenet.data.review import review
from wholenet.data.sample import DataError
from wholenet.data.task import how_read, task_of

H, W = 12, 16


def rectangle(left, upper, right, lower):
    return [left, upper, right, upper, right, lower, left, lower]


def images(root, *names):
    for i, name in enumerate(names):
        write(root / name, picture(i, H, W))


def coco(path, listed, objects, categories=((1, "car"),), **more):
    """``objects``: (place of the image, category, segmentation) and further keys."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "images": [{"id": i, "file_name": name, "height": H, "width": W} for i, name in enumerate(listed)],
        "annotations": [
            {"id": i, "image_id": image, "category_id": category, "segmentation": found, **(rest[0] if rest else {})}
            for i, (image, category, found, *rest) in enumerate(objects)
        ],
        "categories": [{"id": key, "name": name} for key, name in categories],
        **more,
    }
    path.write_text(json.dumps(content))


def errors(root):
    return {finding.kind for finding in review(root).findings if finding.severity == "error"}


def only(root):
    """The one mask of train."""
    tree = find_tree(root)
    ((_, mask),) = tree.pairs["train"]
    return mask.codes(100)


# ---- where files lie

COCO = {
    "Roboflow": ("train/_annotations.coco.json", "valid/_annotations.coco.json", "train/{}", "valid/{}", "{}"),
    "COCO's own": (
        "annotations/instances_train2017.json",
        "annotations/instances_val2017.json",
        "train2017/{}",
        "val2017/{}",
        "{}",
    ),
    "all images in one folder": ("train.json", "val.json", "images/{}", "images/{}", "{}"),
    "a path in the name": (
        "annotations/train.json",
        "annotations/val.json",
        "images/day/{}",
        "images/day/{}",
        "day/{}",
    ),
    "Windows": ("train.json", "val.json", "images/{}", "images/{}", "C:\\data\\images\\{}"),
    "Label Studio": ("train_result.json", "val_result.json", "images/{}", "images/{}", "images/{}"),
}


@pytest.mark.parametrize("case", COCO)
def test_coco_finds_its_images_and_splits(tmp_path, case):
    train, val, of_train, of_val, name = COCO[case]
    for split, file, place, count in (("t", train, of_train, 3), ("v", val, of_val, 2)):
        names = [f"{split}{i}.jpg" for i in range(count)]
        images(tmp_path, *(place.format(one) for one in names))
        coco(tmp_path / file, [name.format(one) for one in names], [(0, 1, [rectangle(2, 2, 6, 6)])])
    assert task_of(tmp_path) == "segmentation"
    source = open_data(tmp_path)
    assert {split: len(data) for split, data in source.splits.items()} == {"train": 3, "val": 2}
    assert source.classes.names == ("background", "car")
    assert [int(source.splits[split][0].mask.sum()) for split in ("train", "val")] == [16, 16]
    assert f"COCO; train: 3 images, outlines in {train}; val: 2 images" in how_read(tmp_path, "segmentation")
    assert errors(tmp_path) == set()


def test_one_file_of_no_split_is_train(tmp_path):
    images(tmp_path, *(f"images/default/{i}.png" for i in range(4)))
    coco(
        tmp_path / "annotations/instances_default.json",
        [f"{i}.png" for i in range(4)],
        [(0, 1, [rectangle(0, 0, 4, 4)])],
    )
    coco(tmp_path / "annotations/person_keypoints_default.json", [], [])
    assert {split: len(data) for split, data in open_data(tmp_path).splits.items()} == {"train": 3, "val": 1}


def test_masks_come_before_outlines(tmp_path):
    write_pairs(tmp_path / "images", tmp_path / "masks", "abc")
    coco(tmp_path / "instances.json", ["a.png"], [])
    assert find_tree(tmp_path).outlined is None


YOLO = {
    "images/<split>": (
        "images/train/{}.jpg",
        "labels/train/{}.txt",
        "images/val/{}.jpg",
        "labels/val/{}.txt",
        "images/train",
        "images/val",
    ),
    "Roboflow": (
        "train/images/{}.jpg",
        "train/labels/{}.txt",
        "valid/images/{}.jpg",
        "valid/labels/{}.txt",
        "../train/images",
        "../valid/images",
    ),
    "folders of other names": (
        *("images/train2017/{}.jpg", "labels/train2017/{}.txt", "images/val2017/{}.jpg", "labels/val2017/{}.txt"),
        *("/data/coco/images/train2017/", "images/val2017"),
    ),
}


@pytest.mark.parametrize("case", YOLO)
@pytest.mark.parametrize("named", [True, False])
def test_yolo_finds_its_images_and_splits(tmp_path, case, named):
    *places, train, val = YOLO[case]
    for image, label, count in ((*places[:2], 3), (*places[2:], 2)):
        images(tmp_path, *(image.format(i) for i in range(count)))
        for i in range(count):
            path = tmp_path / label.format(i)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("1 0.25 0.25 0.5 0.25 0.5 0.5 0.25 0.5\n\n" if i == 0 else "")
    if named:
        (tmp_path / "data.yaml").write_text(f"path: x\ntrain: {train}\nval: {val}\nnc: 2\nnames: [cat, car]\n")
    elif "2017" in train:
        return
    assert task_of(tmp_path) == "segmentation"
    source = open_data(tmp_path)
    assert {split: len(data) for split, data in source.splits.items()} == {"train": 3, "val": 2}
    assert source.classes.names == (("background", "cat", "car") if named else ("background", "class 0", "class 1"))
    for data in source.splits.values():
        expected = np.zeros((H, W), np.uint8)
        expected[3:6, 4:8] = 2
        np.testing.assert_array_equal(data[0].mask, expected)
        assert not data[1].mask.any(), "an empty label file"
    assert errors(tmp_path) == set()
    assert "YOLO; train: 3 images" in how_read(tmp_path, "segmentation")


def test_flat_yolo_with_a_list_of_names(tmp_path):
    images(tmp_path, *(f"images/{i}.png" for i in range(4)))
    for i in range(4):
        (tmp_path / "labels").mkdir(exist_ok=True)
        (tmp_path / f"labels/{i}.txt").write_text("0 0.5 0.5 1 0.5 1 1 0.5 1")
    (tmp_path / "classes.txt").write_text("car\nbus\n")
    source = open_data(tmp_path)
    assert source.classes.names == ("background", "car", "bus")
    assert source.splits["val"][0].mask.sum() == H * W // 4


def test_yolo_of_turned_images_is_of_what_viewers_show(tmp_path):
    from PIL import Image

    as_shown = Image.fromarray(picture(0, H, W))
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    as_shown.save(tmp_path / "images/a.jpg", exif=exif)
    (tmp_path / "labels/a.txt").write_text("0 0 0 1 0 1 0.25 0 0.25")
    mask = only(tmp_path)
    assert mask.shape == (W, H)
    np.testing.assert_array_equal(np.flatnonzero(mask.any(1)), range(W // 4))


def shapes(path, *found, image="", **more):
    """A file of LabelMe."""
    path.parent.mkdir(parents=True, exist_ok=True)
    listed = [{"label": label, "shape_type": kind, "points": points} for label, kind, points in found]
    size = {"imageHeight": H, "imageWidth": W}
    path.write_text(json.dumps({"version": "5", **size, "imagePath": image, "shapes": listed, **more}))


LABELME = {
    "beside the images": ("{}/a.png", "{}/a.json", "a.png"),
    "images/<split>": ("images/{}/a.png", "images/{}/a.json", "a.png"),
    "a folder of their own": ("images/{}/a.png", "annotations/{}/a.json", "../../images/a.png"),
    "a path of Windows": ("{}/a.png", "{}/a.json", "..\\x\\a.png"),
    "other names": ("{}/a.png", "{}/one.json", "a.png"),
}


@pytest.mark.parametrize("case", LABELME)
def test_labelme_finds_its_images_and_splits(tmp_path, case):
    image, file, name = LABELME[case]
    for split in ("train", "val"):
        images(tmp_path, image.format(split))
        found = (("b", "rectangle", [[6, 8], [2, 1]]), ("a", "polygon", [[0, 0], [4, 0], [4, H], [0, H]]))
        shapes(tmp_path / file.format(split), *found, image=name)
    source = open_data(tmp_path)
    expected = np.zeros((H, W), np.uint8)
    expected[1:8, 2:6] = 2
    expected[:, :4] = 1  # listed later, though larger
    assert source.classes.names == ("background", "a", "b")
    np.testing.assert_array_equal(source.splits["val"][0].mask, expected)
    assert errors(tmp_path) == set()
    assert "LabelMe; train: 1 image" in how_read(tmp_path, "segmentation")


def test_labelme_lists_its_labels_and_what_is_ignored(tmp_path):
    images(tmp_path, "a.png", "b.png")
    shapes(tmp_path / "a.json", ("a", "circle", [[8, 6], [8, 9]]), ("__ignore__", "rectangle", [[0, 0], [2, 2]]))
    shapes(tmp_path / "b.json")
    (tmp_path / "labels.txt").write_text("__ignore__\n_background_\nz\na\n")
    tree = find_tree(tmp_path)
    assert tree.known_classes.names == ("background", "z", "a")
    y, x = np.mgrid[:H, :W] + 0.5
    expected = np.where((x - 8) ** 2 + (y - 6) ** 2 <= 9, 2, 0)
    expected[:2, :2] = 255
    (_, first), (_, second) = tree.pairs["train"]
    np.testing.assert_array_equal(first.codes(1), expected)
    assert not second.codes(1).any()


CVAT = {
    "subsets": (
        *('name="a.png" subset="Train"', "images/Train/a.png"),
        *('name="a.png" subset="Validation"', "images/Validation/a.png"),
    ),
    "paths": ('name="train/a.png"', "images/train/a.png", 'name="val/a.png"', "images/val/a.png"),
    "no splits": ('name="a.png"', "images/a.png", 'name="b.png"', "images/b.png"),
}


@pytest.mark.parametrize("case", CVAT)
def test_cvat_finds_its_images_and_splits(tmp_path, case):
    first, one, second, other = CVAT[case]
    images(tmp_path, one, other)
    inner = (
        '<polygon label="a" z_order="1" points="2,2;4,2;4,4;2,4"/>'
        '<polygon label="b" z_order="-1" points="0,0;8,0;8,8;0,8"/>'
        '<polygon label="b" points="3,2;9,2;9,4;3,4"/>'
    )
    size = f'width="{W}" height="{H}"'
    labels = "<labels><label><name>b</name><color>#0a0B0c</color></label><label><name>a</name></label></labels>"
    body = f"<image {first} {size}>{inner}</image><image {second} {size}/>"
    (tmp_path / "annotations.xml").write_text(f"<annotations><meta><job>{labels}</job></meta>{body}</annotations>")
    tree = find_tree(tmp_path)
    assert set(tree.pairs) == ({"train"} if case == "no splits" else {"train", "val"})
    assert tree.known_classes.names == ("background", "b", "a")
    assert tree.known_classes.colors[1] == (10, 11, 12)
    expected = np.zeros((H, W), np.uint8)
    expected[:8, :8] = expected[2:4, 3:9] = 1
    expected[2:4, 2:4] = 2  # above the others, by its z_order
    np.testing.assert_array_equal(tree.pairs["train"][0][1].codes(1), expected)
    assert task_of(tmp_path) == "segmentation"
    assert errors(tmp_path) == set()


# ---- what is drawn


def test_polygons_and_run_lengths_draw_the_masks_they_are_of(tmp_path):
    truth = np.ones((H, W), np.uint8)
    truth[:5] = 0
    truth[7:9, 3:9] = 2
    for i, how in enumerate((as_coco, lambda r: as_coco(r, runs), lambda r: as_coco(r, compressed), as_yolo, as_cvat)):
        root = tmp_path / str(i)
        for split in ("train", "val"):
            write(root / "images" / split / "a.png", picture(i, H, W))
            write(root / "masks" / split / "a.png", truth)
        how(root)
        source = open_data(root)
        assert source.classes.names == ("background", "sky", "road", "car")
        for split in ("train", "val"):
            np.testing.assert_array_equal(source.splits[split][0].mask, truth + 1)


def test_smaller_objects_lie_above_larger_ones_and_crowds_below(tmp_path):
    images(tmp_path, "a.png")
    objects = [
        (0, 1, [rectangle(4, 4, 6, 6)]),  # small, listed first
        (0, 2, [rectangle(0, 0, 8, 8)]),
        (0, 1, [rectangle(0, 0, 16, 4)], {"iscrowd": 1}),
        (0, 1, [rectangle(9, 9, 11, 11), rectangle(13, 9, 15, 11)]),  # of two parts
    ]
    coco(tmp_path / "coco.json", ["a.png"], objects, ((1, "car"), (2, "bus")))
    expected = np.zeros((H, W), np.uint8)
    expected[:4] = 255
    expected[:8, :8] = 2
    expected[4:6, 4:6] = 1
    expected[9:11, 9:11] = expected[9:11, 13:15] = 1
    np.testing.assert_array_equal(only(tmp_path), expected)
    notes = [finding.what for finding in find_tree(tmp_path).findings if finding.severity == "note"]
    assert notes == ["1 object marked as a crowd (iscrowd), ignored"]


def test_a_point_a_little_outside_is_cut_off(tmp_path):
    images(tmp_path, "a.png")
    coco(tmp_path / "coco.json", ["a.png"], [(0, 1, [rectangle(-0.5, -1, 4, W)])])
    assert "outside" in {finding.kind for finding in find_tree(tmp_path).findings}
    coco(tmp_path / "coco.json", ["a.png"], [(0, 1, [rectangle(-0.5, -1, 4, H + 1)])])
    assert only(tmp_path).sum() == 4 * H


# ---- classes


def test_categories_are_numbered_in_the_order_of_their_ids(tmp_path):
    images(tmp_path, "a.png", "b.png")
    objects = [(0, 90, [rectangle(0, 0, 2, 2)]), (0, 4, [rectangle(4, 0, 5, 1)]), (1, 0, [rectangle(0, 0, 2, 2)])]
    coco(tmp_path / "coco.json", ["a.png", "b.png"], objects, ((90, "z"), (4, "m"), (0, "Background"), (7, "unused")))
    tree = find_tree(tmp_path)
    assert tree.known_classes.names == ("background", "m", "unused", "z")
    masks = [mask.codes(1) for _, mask in tree.pairs["train"]]
    assert [np.bincount(mask.ravel()).tolist() for mask in masks] == [[H * W - 5, 1, 0, 4], [H * W]]


def test_a_category_that_is_above_others_and_has_no_objects_is_no_class(tmp_path):
    images(tmp_path, "a.png", "b.png")
    categories = [
        {"id": 0, "name": "things", "supercategory": "none"},
        {"id": 1, "name": "car", "supercategory": "things"},
    ]
    coco(tmp_path / "coco.json", ["a.png", "b.png"], [(0, 1, [rectangle(0, 0, 2, 2)])], categories=(), **{})
    content = json.loads((tmp_path / "coco.json").read_text())
    (tmp_path / "coco.json").write_text(json.dumps({**content, "categories": categories}))
    tree = find_tree(tmp_path)
    assert tree.known_classes.names == ("background", "car")
    assert any("'things' is no class" in note for note in tree.notes)


def test_a_class_file_chooses_and_orders_the_classes_by_name(tmp_path):
    images(tmp_path, "a.png", "b.png")
    objects = [(i, key, [rectangle(4 * key, 0, 4 * key + 4, H)]) for i in (0, 1) for key in (0, 1, 2)]
    coco(tmp_path / "coco.json", ["a.png", "b.png"], objects, ((0, "a"), (1, "b"), (2, "c")))
    (tmp_path / "classes.json").write_text('[{"name": "c", "color": [9, 8, 7]}, "a"]')
    source = open_data(tmp_path, val_share=0.5)
    assert (source.classes.names, source.classes.colors[0]) == (("c", "a"), (9, 8, 7))
    expected = np.repeat(np.array([1, 255, 0, 255], np.uint8), 4)  # b, and the background, are left out
    np.testing.assert_array_equal(source.splits["train"][0].mask, np.tile(expected, (H, 1)))
    assert any("leaves out background, b: ignored" in note for note in source.notes)


@pytest.mark.parametrize(("count", "fine"), [(253, True), (254, False)])
def test_so_many_categories_and_no_more(tmp_path, count, fine):
    images(tmp_path, "a.png")
    coco(
        tmp_path / "coco.json",
        ["a.png"],
        [(0, count, [rectangle(0, 0, 2, 2)])],
        [(i + 1, f"c{i}") for i in range(count)],
    )
    if fine:
        assert only(tmp_path)[0, 0] == count
    else:
        with pytest.raises(DataError, match="254 categories; at most 253 are supported besides the background"):
            find_tree(tmp_path)
