"""From a folder to a data set: layouts, splits, class tables, and every refusal on the way."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from unicodedata import normalize

import numpy as np
import pytest
from trees import labels, picture, write, write_pairs

from wholenet.data.camvid import CAMVID
from wholenet.data.cityscapes import CITYSCAPES
from wholenet.data.classes import default_colors
from wholenet.data.detect import class_file, find_tree, layout_of, open_data
from wholenet.data.folder import FolderData
from wholenet.data.sample import Classes, DataError
from wholenet.data.task import how_read, task_of

REAL_CAMVID = Path(__file__).parents[2].parent / "shared/data/camvid"
ABC = Classes(("a", "b", "c"), default_colors(3))
NAMES = [f"p{i}" for i in range(10)]


def stems(data: object) -> list[str]:
    assert isinstance(data, FolderData)
    return [path.stem for path in data.image_paths]


def save_classes(folder: Path, *names: str) -> None:
    (folder / "classes.json").write_text(json.dumps(names))


# ---- layouts

LAYOUTS = {
    "images/<split>": ("images/{}", "masks/{}"),
    "aliases": ("JPEGImages/{}", "SegmentationClass/{}"),
    "MMSegmentation": ("img_dir/{}", "ann_dir/{}"),
    "upper case": ("Imgs/{}", "Labels/{}"),
    "<split>/images": ("{}/image", "{}/annotations"),
    "<split>annot": ("{}", "{}annot"),
    "<split>_masks": ("{}", "{}_masks"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("splits", [("train", "val", "test"), ("training", "validation", "testing")])
def test_each_layout_gives_its_splits_under_their_usual_names(tmp_path, layout, splits):
    images, masks = LAYOUTS[layout]
    for split in splits:
        write_pairs(tmp_path / images.format(split), tmp_path / masks.format(split), [f"{split}{i}" for i in range(2)])
    source = open_data(tmp_path)
    assert source.name == tmp_path.name
    assert {name: stems(data) for name, data in source.splits.items()} == {
        name: [f"{split}0", f"{split}1"] for name, split in zip(("train", "val", "test"), splits, strict=True)
    }
    assert source.splits["train"][0].mask.max() == 2


@pytest.mark.parametrize("layout", [("images", "masks"), ("images/train", "masks/train"), ("train/img", "train/mask")])
def test_val_is_taken_from_train_where_there_is_none(tmp_path, layout):
    write_pairs(tmp_path / layout[0], tmp_path / layout[1], NAMES)
    source = open_data(tmp_path, val_share=0.3, seed=1)
    train, val = stems(source.splits["train"]), stems(source.splits["val"])
    assert (len(train), len(val)) == (7, 3)
    assert sorted(train + val) == NAMES
    assert any("3 of the 10 images" in note and "--data-seed 1" in note for note in source.notes)


def test_the_val_part_depends_on_seed_and_names_alone(tmp_path):
    write_pairs(tmp_path / "one/images", tmp_path / "one/masks", NAMES)
    write_pairs(tmp_path / "two/images", tmp_path / "two/masks", reversed(NAMES))
    val = {stem for stem in stems(open_data(tmp_path / "one", seed=3).splits["val"])}
    assert val == set(stems(open_data(tmp_path / "two", seed=3).splits["val"]))
    parts = {tuple(stems(open_data(tmp_path / "one", seed=seed).splits["val"])) for seed in range(5)}
    assert len(parts) > 1


def test_one_more_image_moves_at_most_one_other(tmp_path):
    write_pairs(tmp_path / "images", tmp_path / "masks", NAMES)
    before = set(stems(open_data(tmp_path).splits["val"]))
    for extra in ("x", "y", "z"):
        write_pairs(tmp_path / "images", tmp_path / "masks", [extra])
        after = set(stems(open_data(tmp_path).splits["val"]))
        assert len(before - after) <= 1
        before = after


def test_val_is_taken_from_train_even_if_there_is_a_test(tmp_path):
    for split in ("train", "test"):
        write_pairs(tmp_path / "images" / split, tmp_path / "masks" / split, NAMES)
    splits = open_data(tmp_path).splits
    assert {name: len(data) for name, data in splits.items()} == {"train": 8, "val": 2, "test": 10}


@pytest.mark.parametrize("empty_folder", [True, False])
def test_a_test_split_without_masks_is_left_out_with_a_note(tmp_path, empty_folder):
    for split in ("train", "val"):
        write_pairs(tmp_path / "images" / split, tmp_path / "masks" / split, NAMES[:2])
    write(tmp_path / "images/test/a.png", picture())
    if empty_folder:
        (tmp_path / "masks/test").mkdir()
    source = open_data(tmp_path)
    assert set(source.splits) == {"train", "val"}
    assert any("test is left out" in note for note in source.notes)


def test_a_folder_that_is_no_split_is_mentioned(tmp_path):
    for split in ("train", "val", "more"):
        write_pairs(tmp_path / "images" / split, tmp_path / "masks" / split, NAMES[:2])
    assert any("more is not used" in note for note in open_data(tmp_path).notes)


@pytest.mark.parametrize(
    ("used", "unused"),
    [
        (("training/images", "training/mask"), "training/1st_manual"),
        (("images", "masks"), "gt"),
        (("images/train", "masks/train"), "masks/old"),
        (("train", "trainannot"), "labels_2"),
    ],
)
def test_folders_with_pictures_that_are_not_used_are_named(tmp_path, used, unused):
    write_pairs(tmp_path / used[0], tmp_path / used[1], NAMES)
    (tmp_path / "notes").mkdir()
    assert not [note for note in find_tree(tmp_path).notes if "not used" in note]
    write(tmp_path / unused / "a.gif", labels(0, 1))
    assert f"{unused} holds pictures and is not used" in find_tree(tmp_path).notes
    open_data(tmp_path)


@pytest.mark.parametrize(
    ("images", "masks", "other"),
    [
        ("training/images/{}_training", "training/mask/{}_training_mask", "training/1st_manual/{}_manual1"),
        ("images/{}", "masks/{}", "masks_second_reader/{}"),
        ("images/train/{}", "labels/train/{}", "consensus/train/{}"),
    ],
)
def test_two_folders_that_may_both_be_the_masks_are_asked_about(tmp_path, images, masks, other):
    for i in range(20, 24):
        write(tmp_path / f"{images.format(i)}.tif", picture())
        for place in (masks, other):
            write(tmp_path / f"{place.format(i)}.gif", labels(0, 1))
    folder = tmp_path / other.removesuffix("/{}").removesuffix("/{}_manual1").removesuffix("/train")
    with pytest.raises(DataError, match=r"besides .* whose pictures look like masks of .*\nSay which are meant") as e:
        open_data(tmp_path)
    assert str(folder) in str(e.value)
    shutil.move(folder, folder.with_name("colors"))  # another form of the masks is none of its own
    assert len(open_data(tmp_path).splits["train"]) == 3
    shutil.rmtree(folder.with_name("colors"))
    link = tmp_path / "new"
    link.mkdir()
    (link / "images").symlink_to(tmp_path / Path(images).parent)
    (link / "masks").symlink_to(tmp_path / Path(masks).parent)
    assert len(open_data(link).splits["train"]) == 3


PUBLIC = {
    "SUIM": (("train_val/images/{}", "train_val/masks/{}"), ("TEST/images/{}", "TEST/masks/{}")),
    "iSAID": (("train/images/{}", "train/Semantic_masks/{}_instance_color_RGB"),),
    "DRIVE, the field of view taken out": (("training/images/{}_training", "training/1st_manual/{}_manual1"),),
    "DeepGlobe": (("train/{}_sat", "train/{}_mask"),),
    "KITTI": (("training/image_2/{}_10", "training/semantic/{}_10"),),
    "Pascal VOC with its boxes": (("JPEGImages/{}", "SegmentationClass/{}"),),
}


@pytest.mark.parametrize("case", PUBLIC)
def test_trees_of_public_data_sets_are_read(tmp_path, case):
    for images, masks in PUBLIC[case]:
        for i in range(20, 24):
            write(tmp_path / f"{images.format(i)}.png", picture())
            write(tmp_path / f"{masks.format(i)}.png", labels(0, 1))
    extras = {"iSAID": "train/Instance_masks/{}_instance_id_RGB", "KITTI": "training/semantic_rgb/{}_10"}
    for i in range(20, 24):
        if case in extras:
            write(tmp_path / f"{extras[case].format(i)}.png", labels(0, 1))
        if "VOC" in case:
            (tmp_path / "Annotations").mkdir(exist_ok=True)
            (tmp_path / "Annotations" / f"{i}.xml").touch()
    assert task_of(tmp_path) == "segmentation"
    pairs = open_data(tmp_path).splits["train"]
    assert isinstance(pairs, FolderData)
    assert all(image.stem[:2] == mask.stem[:2] for image, mask in pairs.pairs)
    mask_folder = Path(PUBLIC[case][0][1]).parent
    assert {mask.parent for _, mask in pairs.pairs} == {tmp_path / mask_folder}


def test_masks_beside_their_images_are_told_by_the_ends_of_their_names(tmp_path):
    for patient in ("p1", "p2"):
        for name in NAMES[:3]:
            write(tmp_path / patient / f"{name}.tif", picture())
            write(tmp_path / patient / f"{name}_mask.tif", labels(0, 1))
    pairs = find_tree(tmp_path).pairs["train"]
    assert [(i.parent.name, i.stem) for i, _ in pairs] == [(p, n) for p in ("p1", "p2") for n in NAMES[:3]]
    assert all(mask.parent == image.parent and mask.stem == f"{image.stem}_mask" for image, mask in pairs)
    write(tmp_path / "p2" / "lonely.tif", picture())
    with pytest.raises(DataError, match=r"1 image without mask: .*lonely\.tif"):
        open_data(tmp_path)


def test_folders_of_other_names_are_guessed_by_files_and_pixels(tmp_path):
    for split in ("train", "val"):
        write_pairs(tmp_path / split / "rgb", tmp_path / split / "truth", NAMES)
    assert {name: len(data) for name, data in open_data(tmp_path).splits.items()} == {"train": 10, "val": 10}
    write_pairs(tmp_path / "x", tmp_path / "train/other_truth", NAMES)
    with pytest.raises(DataError, match="other_truth, truth could all hold the masks of the images in rgb"):
        open_data(tmp_path)


OTHER_FORMATS = {
    "Supervisely": (["img/a.jpg", "img/b.jpg", "ann/a.jpg.json", "ann/b.jpg.json"], ".jpg.json", "Supervisely"),
    "boxes": (["JPEGImages/a.jpg", "Annotations/a.xml"], "a.xml", "VOC"),
    "empty files": (["a.jpg", "a.json", "b.jpg", "b.json"], ".json", "LabelMe"),
}


@pytest.mark.parametrize("case", OTHER_FORMATS)
def test_annotations_that_are_no_masks_are_named_with_what_converts_them(tmp_path, case):
    files, file, name = OTHER_FORMATS[case]
    for one in files:
        (tmp_path / one).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / one).touch()
    assert task_of(tmp_path) == "segmentation"
    with pytest.raises(DataError, match="wholenet reads masks, one PNG for each image") as error:
        open_data(tmp_path)
    assert name.lower() in str(error.value).lower()
    assert file in str(error.value)
    assert "Did you mean" not in str(error.value)


def test_the_lists_of_pascal_voc_say_what_is_in_a_split(tmp_path):
    write_pairs(tmp_path / "JPEGImages", tmp_path / "SegmentationClass", NAMES[:6])
    for name in NAMES[6:]:
        write(tmp_path / "JPEGImages" / f"{name}.png", picture())
    lists = tmp_path / "ImageSets/Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("p2\np0\np2\n")
    (lists / "test.txt").write_text("p7\np8\n")  # their masks are not public
    assert len(open_data(tmp_path, val_share=0.5).splits["val"]) == 1, "val is taken from train where it has no list"
    (lists / "val.txt").write_text("p1\r\np4\r\n")
    source = open_data(tmp_path)
    assert {name: stems(data) for name, data in source.splits.items()} == {"train": ["p2", "p0"], "val": ["p1", "p4"]}
    assert any("ImageSets/Segmentation" in note for note in source.notes)
    write_pairs(tmp_path / "JPEGImages", tmp_path / "SegmentationClass", ["e\u0301"])
    (lists / "val.txt").write_text("\u00e9\n", encoding="utf-8")
    assert [normalize("NFC", stem) for stem in stems(open_data(tmp_path).splits["val"])] == ["\u00e9"]
    (lists / "val.txt").write_text("p1\np7\nnobody\n")
    with pytest.raises(DataError, match=r"2 names in val\.txt without image or mask: p7, nobody"):
        open_data(tmp_path)
    (lists / "val.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match=r"val\.txt: this list of images cannot be read"):
        open_data(tmp_path)


def test_masks_may_lie_a_folder_further_down_than_their_images(tmp_path):
    names = ["cat_1", "cat_2", "dog_1", "dog_2"]
    pets, scans = tmp_path / "pets", tmp_path / "scans"
    write_pairs(pets / "images", pets / "annotations/trimaps", names)
    (pets / "annotations/xmls").mkdir()
    (pets / "annotations/xmls/cat_1.xml").write_text("<annotation/>")
    (pets / "annotations/trainval.txt").write_text("#name class\ncat_1 1 1 1\ncat_2 1 1 1\ndog_1 2 2 1\n")
    (pets / "annotations/test.txt").write_text("dog_2 2 2 1\n")
    source = open_data(pets, val_share=0.4)
    assert {split: len(data) for split, data in source.splits.items()} == {"train": 2, "val": 1, "test": 1}
    assert "masks in annotations/trimaps" in how_read(pets, "segmentation")
    write_pairs(scans / "train/images/raw", scans / "train/masks", names)
    assert len(open_data(scans, val_share=0.5).splits["train"]) == 2


def test_which_of_several_folders_further_down_is_meant_nobody_can_tell(tmp_path):
    write_pairs(tmp_path / "images", tmp_path / "masks/fine", NAMES)
    write_pairs(tmp_path / "images", tmp_path / "masks/coarse", NAMES)
    with pytest.raises(DataError, match="images without mask"):
        open_data(tmp_path)


@pytest.mark.parametrize("beside", ["p0.npy", "p0.json", "p0.jpg", "other.jpg", None])
def test_pictures_further_down_are_no_masks_where_others_lie_above_them_or_they_are_to_be_looked_at(tmp_path, beside):
    inner = "vis" if beside is None else "old"
    write_pairs(tmp_path / "images", tmp_path / "masks" / inner, NAMES)
    if beside is not None:
        (tmp_path / "masks" / beside).touch()
    assert layout_of(tmp_path).folders["train"][1] == tmp_path / "masks"


def test_nnu_net_names_images_by_their_channel(tmp_path):
    for case in ("a_000", "a_001"):
        write(tmp_path / "imagesTr" / f"{case}_0000.png", picture())
        write(tmp_path / "labelsTr" / f"{case}.png", labels(0, 1))
    assert task_of(tmp_path) == "segmentation"
    pairs = find_tree(tmp_path).pairs["train"]
    assert [(i.stem, m.stem) for i, m in pairs] == [("a_000_0000", "a_000"), ("a_001_0000", "a_001")]
    table = {"channel_names": {"0": "R"}, "labels": {"background": 0, "road": 1, "ignore": 2}}
    (tmp_path / "dataset.json").write_text(json.dumps(table))
    classes = open_data(tmp_path).classes
    assert (classes.names, classes.values) == (("background", "road"), (0, 1))
    assert 2 in classes.ignore_values
    older = {"modality": {"0": "MR"}, "labels": {"0": "background", "1": "street"}}
    (tmp_path / "dataset.json").write_text(json.dumps(older))
    assert open_data(tmp_path).classes.names == ("background", "street")
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": ["of", "others"]}))
    assert open_data(tmp_path).classes.names == ("class 0", "class 1")
    for frame in ("x_0000", "x_0001"):  # a number that is part of the name
        write_pairs(tmp_path / "video/images", tmp_path / "video/masks", [frame])
    assert len(find_tree(tmp_path / "video").pairs["train"]) == 2


def test_a_relative_place_has_the_name_of_its_folder(tmp_path, monkeypatch):
    write_pairs(tmp_path / "images", tmp_path / "masks", NAMES)
    monkeypatch.chdir(tmp_path)
    assert open_data(".").name == tmp_path.name


@pytest.mark.parametrize(
    ("files", "facts"),
    [
        (["images/train/a.png"], ["found there: images/", "no folder of masks beside"]),
        (["a.txt", "b/c.txt"], ["found there: a.txt, b/"]),
        ([], ["found there: nothing"]),
        (["deep/images/a.png", "deep/masks/a.png"], ["Did you mean", "deep?"]),
        (["images/test/a.png", "masks/test/a.png"], ["no train split, only test"]),
        (["images/train/a.png", "masks/val/a.png"], ["no folder of masks belongs to these images", "train"]),
        (["train/images/a.png", "train/truth/b.png"], ["these images; beside it lies truth: call the folder with"]),
        (["images/a.png", "imgs/a.png", "masks/a.png"], ["images and imgs could play the same part"]),
        (["images/val/a.png", "images/valid/a.png", "masks/val/a.png"], ["val and valid could play"]),
    ],
)
def test_an_unknown_layout_is_refused_with_what_was_found(tmp_path, files, facts):
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(DataError) as error:
        open_data(tmp_path)
    for fact in [str(tmp_path), *facts]:
        assert fact in str(error.value)
    assert "Accepted layouts" in str(error.value) or "could play" in str(error.value)


def test_a_place_that_is_no_folder_is_refused(tmp_path):
    (tmp_path / "file.zip").touch()
    for place, problem in ((tmp_path / "gone", "does not exist"), (tmp_path / "file.zip", "is a file, not a folder")):
        with pytest.raises(DataError, match=f'{problem}.*"scenes"') as error:
            open_data(place)
        assert str(place) in str(error.value)
        assert "Accepted layouts" in str(error.value)


@pytest.mark.parametrize("share", [0.0, 1.0, -1])
def test_an_impossible_val_share_is_refused(tmp_path, share):
    write_pairs(tmp_path / "images", tmp_path / "masks", NAMES)
    with pytest.raises(ValueError, match=f"val_share={share}: expected a share strictly between 0 and 1"):
        open_data(tmp_path, val_share=share)


def test_one_image_cannot_be_train_and_val(tmp_path):
    write_pairs(tmp_path / "images", tmp_path / "masks", ["a"])
    with pytest.raises(DataError, match=r"1 image\(s\) cannot be divided"):
        open_data(tmp_path)


def test_a_folder_without_images_shows_the_layouts(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    with pytest.raises(DataError, match="no images") as error:
        open_data(tmp_path)
    assert str(tmp_path / "images") in str(error.value)
    assert "Accepted layouts" in str(error.value)


# ---- the built-in data


def test_scenes_is_built_in_and_a_folder_of_that_name_is_reached_by_its_path(tmp_path, monkeypatch):
    write_pairs(tmp_path / "scenes/images", tmp_path / "scenes/masks", NAMES)
    monkeypatch.chdir(tmp_path)
    assert not isinstance(open_data("scenes").splits["train"], FolderData)
    assert isinstance(open_data("./scenes").splits["train"], FolderData)
    assert isinstance(open_data(Path("scenes")).splits["train"], FolderData)


def test_scenes_have_their_own_classes():
    with pytest.raises(DataError, match="the classes of scenes are not the ones asked for"):
        open_data("scenes", classes=ABC)


def test_opening_data_needs_no_torch():
    code = "import sys, wholenet.data.detect, wholenet.data.check; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# ---- class tables


@pytest.mark.parametrize("place", ["", "masks"])
def test_a_class_file_is_found_beside_the_data_and_among_the_masks(tmp_path, place):
    write_pairs(tmp_path / "images", tmp_path / "masks", NAMES)
    save_classes(tmp_path / place, "x", "y", "z")
    source = open_data(tmp_path)
    assert source.classes.names == ("x", "y", "z")
    assert "classes from classes.json" in source.notes


def test_cvats_labelmap_is_read_where_there_is_no_class_file(tmp_path):
    for name in NAMES[:2]:
        write(tmp_path / "JPEGImages" / f"{name}.png", picture())
        colors = np.array([(0, 0, 0), (128, 0, 0), (0, 9, 7)], np.uint8)
        write(tmp_path / "SegmentationClass" / f"{name}.png", colors[labels(0, 1, 2)])
    table = tmp_path / "labelmap.txt"
    table.write_text("# label:color_rgb:parts:actions\nbackground:0,0,0::\nroad: wet:128,0,0::\n\ncar:0,9,7::left\n")
    source = open_data(tmp_path)
    assert source.classes.names == ("background", "road: wet", "car")
    np.testing.assert_array_equal(source.splits["train"][0].mask, labels(0, 1, 2))
    assert not find_tree(tmp_path).findings
    for damaged in ("road:128,0::", "road:300,0,0::", "road:a,b,c::", "road"):
        table.write_text(f"# label:color_rgb:parts:actions\nbackground:0,0,0::\n{damaged}\n")
        with pytest.raises(DataError, match=r"labelmap\.txt.*colour"):
            open_data(tmp_path)
    for other in (b'item { name: "road" }\n', "# label:color_rgb".encode("utf-16")):  # another program's
        table.write_bytes(other)
        assert [found.kind for found in find_tree(tmp_path).findings] == ["class-file-name"]
    save_classes(tmp_path, "a", "b", "c")
    assert class_file(tmp_path, find_tree(tmp_path)) == tmp_path / "classes.json"


def test_class_files_that_differ_are_refused(tmp_path):
    write_pairs(tmp_path / "images", tmp_path / "masks", NAMES)
    save_classes(tmp_path, "x", "y", "z")
    save_classes(tmp_path / "masks", "x", "y", "z")
    assert len(open_data(tmp_path).classes) == 3
    save_classes(tmp_path / "masks", "x", "z", "y")
    with pytest.raises(DataError, match="two class files that differ"):
        open_data(tmp_path)


def test_classes_asked_for_read_masks_that_have_no_class_file(tmp_path):
    write_pairs(tmp_path / "images", tmp_path / "masks", NAMES, values=(7, 8))
    asked = Classes(("x", "y"), default_colors(2), (8, 7))
    source = open_data(tmp_path, classes=asked)
    assert source.classes == asked
    np.testing.assert_array_equal(source.splits["train"][0].mask, labels(1, 0))


def test_classes_asked_for_must_have_the_names_of_the_class_file(tmp_path):
    write_pairs(tmp_path / "images", tmp_path / "masks", NAMES)
    save_classes(tmp_path, "a", "b", "c")
    assert open_data(tmp_path, classes=ABC).classes.names == ABC.names
    save_classes(tmp_path, "a", "c", "b")
    with pytest.raises(DataError, match=r'classes\.json are not .*class 1 is "c" there, "b" was expected'):
        open_data(tmp_path, classes=ABC)


def test_without_a_class_file_index_masks_name_their_classes_by_number(tmp_path):
    write_pairs(tmp_path / "images", tmp_path / "masks", NAMES, values=(0, 1, 3, 255))
    source = open_data(tmp_path)
    assert source.classes == Classes(tuple(f"class {i}" for i in range(4)), default_colors(4))
    assert any("4 classes were inferred" in note for note in source.notes)


def test_the_largest_value_of_any_split_counts(tmp_path):
    write_pairs(tmp_path / "images/train", tmp_path / "masks/train", ["a"], values=(0, 1))
    write_pairs(tmp_path / "images/val", tmp_path / "masks/val", ["b"], values=(0, 1, 2))
    assert len(open_data(tmp_path).classes) == 3


# ---- CamVid and Cityscapes


@pytest.mark.skipif(not REAL_CAMVID.is_dir(), reason="the CamVid copy is not beside this checkout")
def test_the_real_camvid_has_its_published_sizes():
    source = open_data(REAL_CAMVID)
    assert {name: len(data) for name, data in source.splits.items()} == {"train": 367, "val": 101, "test": 233}
    assert source.classes == CAMVID
    sample = source.splits["train"][0]
    assert sample.image.shape == (360, 480, 3)
    assert set(np.unique(sample.mask)) <= {*range(11), 255}


def test_the_segnet_layout_brings_camvids_classes(tmp_path):
    for split in ("train", "val", "test"):
        write_pairs(tmp_path / split, tmp_path / f"{split}annot", NAMES[:2], values=(0, 10, 11))
    source = open_data(tmp_path)
    assert source.classes == CAMVID
    np.testing.assert_array_equal(source.splits["test"][0].mask, labels(0, 10, 255))
    save_classes(tmp_path, *(f"c{i}" for i in range(12)))
    assert len(open_data(tmp_path).classes) == 12, "a class file says more than the names of folders"


def test_the_label_table_is_that_of_cityscapes():
    official = pytest.importorskip("cityscapesscripts.helpers.labels").labels
    evaluated = sorted((label for label in official if not label.ignoreInEval), key=lambda label: label.trainId)
    assert [label.trainId for label in evaluated] == list(range(19))
    assert CITYSCAPES.names == tuple(label.name for label in evaluated)
    assert CITYSCAPES.colors == tuple(label.color for label in evaluated)
    assert CITYSCAPES.values == tuple(label.id for label in evaluated)
    assert set(CITYSCAPES.ignore_values) == {label.id % 256 for label in official if label.ignoreInEval}


def write_city(root: Path, split: str, kind: str, city: str = "ulm") -> None:
    for frame in range(2):
        stem = f"{city}_{frame:06}_000019"
        write(root / "leftImg8bit" / split / city / f"{stem}_leftImg8bit.png", picture())
        for ending in ("labelIds", "instanceIds"):
            write(root / kind / split / city / f"{stem}_{kind}_{ending}.png", labels(7, 33, 3, 255))
        write(root / kind / split / city / f"{stem}_{kind}_color.png", picture())


def test_cityscapes_is_read_with_its_coarse_annotations(tmp_path):
    for split in ("train", "val", "test"):
        write_city(tmp_path, split, "gtFine")
    for split in ("train", "train_extra", "val"):
        write_city(tmp_path, split, "gtCoarse")
    source = open_data(tmp_path)
    assert source.classes == CITYSCAPES
    assert {name: len(data) for name, data in source.splits.items()} == {"train": 2, "val": 2, "coarse": 4}
    np.testing.assert_array_equal(source.splits["coarse"][3].mask, labels(0, 18, 255, 255))
    assert any("test" in note for note in source.notes)


def test_cityscapes_without_coarse_annotations_or_val_is_read_too(tmp_path):
    write_city(tmp_path, "train", "gtFine", "ulm")
    write_city(tmp_path, "train", "gtFine", "bonn")
    source = open_data(tmp_path)
    assert {name: len(data) for name, data in source.splits.items()} == {"train": 3, "val": 1}


def test_a_missing_annotation_of_cityscapes_is_named(tmp_path):
    write_city(tmp_path, "train", "gtFine")
    next((tmp_path / "gtFine/train/ulm").glob("*1_000019*labelIds.png")).unlink()
    with pytest.raises(DataError, match=r"1 image without mask: .*ulm_000001_000019_leftImg8bit\.png"):
        open_data(tmp_path)


def test_cityscapes_without_fine_annotations_is_refused(tmp_path):
    write_city(tmp_path, "train", "gtFine")
    shutil.move(tmp_path / "gtFine", tmp_path / "gtCoarse")
    with pytest.raises(DataError, match=r"no fine annotations.*gtFine_labelIds"):
        open_data(tmp_path)


def test_roboflows_table_is_read_beside_the_images_of_a_split(tmp_path):
    for split in ("train", "valid"):
        for name in "ab":
            write(tmp_path / split / f"{name}_jpg.rf.1f.jpg", picture(height=40, width=48))
            write(tmp_path / split / f"{name}_jpg.rf.1f_mask.png", labels(0, 1, height=40, width=48))
        (tmp_path / split / "_classes.csv").write_text("Pixel Value, Class\n0, background\n1, cell, round\n")
    source = open_data(tmp_path)
    assert source.classes.names == ("background", "cell, round")
    assert {name: len(data) for name, data in source.splits.items()} == {"train": 2, "val": 2}
    (tmp_path / "valid/_classes.csv").write_text("Pixel Value, Class\n0, background\n1, nucleus\n")
    with pytest.raises(DataError, match=r"two tables of classes that differ: .*train/_classes\.csv and .*valid"):
        open_data(tmp_path)
