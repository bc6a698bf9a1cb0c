"""What programs export that is not written as their formats' pages say, and lists of images."""

import base64
import io
import json
from unicodedata import normalize

import numpy as np
import pytest
from PIL import Image
from trees import HEIGHT, WIDTH, labels, picture, write, write_pairs

from wholenet.data.detect import find_tree, open_data
from wholenet.data.sample import DataError

NAMES = ("p0", "p1", "p2", "p3")
SQUARE = [1.0, 1.0, 4.0, 1.0, 4.0, 4.0, 1.0, 4.0]


def images(folder, names=NAMES):
    for name in names:
        write(folder / f"{name}.png", picture())


def coco(names=NAMES, **more):
    listed = [{"id": i, "file_name": f"{n}.png", "height": HEIGHT, "width": WIDTH} for i, n in enumerate(names)]
    found = [{"id": i, "image_id": i, "category_id": 1, "segmentation": [SQUARE]} for i in range(len(names))]
    return {"images": listed, "annotations": found, "categories": [{"id": 1, "name": "car"}], **more}


def as_json(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def stems(source):
    return {split: sorted(path.stem for path in data.image_paths) for split, data in source.splits.items()}


def test_coco_of_images_without_annotations_is_left_out_and_told(tmp_path):
    """The download of COCO has image_info_test2017.json; others leave the annotations of a test split away."""
    for split in ("train", "val"):
        images(tmp_path / f"{split}2017")
        as_json(tmp_path / f"annotations/instances_{split}2017.json", coco())
    bare = {key: value for key, value in coco(["t0"]).items() if key != "annotations"}
    for name in ("image_info_test2017", "image_info_test-dev2017", "test"):
        as_json(tmp_path / f"annotations/{name}.json", bare)
    source = open_data(tmp_path)
    assert stems(source) == {"train": list(NAMES), "val": list(NAMES)}
    assert sum("lists images without annotations, and is left out" in note for note in source.notes) == 3
    no_annotations = "is called as COCO's annotations are, and has images, categories"
    as_json(tmp_path / "annotations/instances_val2017.json", bare)
    with pytest.raises(DataError, match=no_annotations):
        open_data(tmp_path)
    for name in ("instances_train2017", "instances_val2017", "test"):
        (tmp_path / f"annotations/{name}.json").unlink()
    with pytest.raises(DataError, match=no_annotations):
        open_data(tmp_path)


@pytest.mark.parametrize("form", ["NFD", "upper"])
def test_names_in_another_form_or_case_than_those_of_the_files_are_found(tmp_path, form):
    named = [normalize("NFC", f"größe {name}") for name in NAMES]
    stored = [normalize("NFD", n) if form == "NFD" else n.upper() for n in named]
    images(tmp_path / "images", stored)
    as_json(tmp_path / "annotations.json", coco(named))
    assert len(find_tree(tmp_path).pairs["train"]) == 4
    (tmp_path / "annotations.json").unlink()
    if form == "NFD":
        shape = '<polygon label="car" points="1,1;4,1;4,4"/>'
        found = "".join(f'<image name="{n}.png" width="{WIDTH}" height="{HEIGHT}">{shape}</image>' for n in named)
        label = "<meta><labels><label><name>car</name></label></labels></meta>"
        (tmp_path / "annotations.xml").write_text(f"<annotations>{label}{found}</annotations>", encoding="utf-8")
        assert len(find_tree(tmp_path).pairs["train"]) == 4


def test_a_name_that_two_files_have_but_for_their_case_is_nobodys(tmp_path):
    images(tmp_path / "images", [*NAMES[1:], "A", "a"])
    as_json(tmp_path / "annotations.json", coco(["Á", *NAMES[1:]]))
    images(tmp_path / "images", ["á"])
    if len(list((tmp_path / "images").iterdir())) == 6:  # where case tells files apart
        write(tmp_path / "images" / (normalize("NFD", "Á") + ".PNG.png"), picture())
    found = [finding.kind for finding in find_tree(tmp_path).findings]
    assert "listed-without-image" not in found, "one file is called so, but for its case"
    images(tmp_path / "images", [normalize("NFD", "á")])
    assert "listed-without-image" in [finding.kind for finding in find_tree(tmp_path).findings]


def yolo(root, names=NAMES):
    images(root / "images", names)
    (root / "labels").mkdir(parents=True)
    for name in names:
        (root / "labels" / f"{name}.txt").write_text("0 0.1 0.1 0.6 0.1 0.6 0.5\n")


def test_yolo_as_label_studio_writes_it_is_no_coco(tmp_path):
    yolo(tmp_path)
    (tmp_path / "classes.txt").write_text("car\n")
    as_json(tmp_path / "notes.json", {"categories": [{"id": 0, "name": "car"}], "info": {"year": 2024}})
    tree = find_tree(tmp_path)
    assert tree.outlined is not None
    assert tree.outlined.format == "YOLO"


def test_texts_that_data_yaml_names_say_which_images_are_of_a_split(tmp_path):
    yolo(tmp_path, [*NAMES, "unlisted"])
    (tmp_path / "data.yaml").write_text("path: /elsewhere\ntrain: train.txt\nval: val.txt\nnames: [car]\n")
    (tmp_path / "train.txt").write_text("./images/p0.png\ndata/images/p3.png\n")
    (tmp_path / "val.txt").write_text("C:\\data\\images\\p1.png\n\n")
    assert stems(open_data(tmp_path)) == {"train": ["p0", "p3"], "val": ["p1"]}
    assert [f.count for f in find_tree(tmp_path).findings if f.kind == "not-listed"] == [2]
    (tmp_path / "val.txt").write_text("images/p1.png\nimages/p9.png\n")
    with pytest.raises(DataError, match=r"1 image listed without a file: .*val\.txt: images/p9\.png"):
        open_data(tmp_path)


def labelme(shapes, name):
    return {"shapes": shapes, "imagePath": f"..\\pictures\\{name}.png", "imageHeight": HEIGHT, "imageWidth": WIDTH}


def mask_shape(inside, corners, label="car"):
    file = io.BytesIO()
    Image.fromarray(inside).save(file, "PNG")
    return {"label": label, "points": corners, "shape_type": "mask", "mask": base64.b64encode(file.getvalue()).decode()}


def test_labelme_in_a_folder_of_its_own_with_masks_and_four_corners(tmp_path):
    images(tmp_path / "pictures")
    inside = np.array([[True, False, True], [False, True, True]])
    shapes = [
        mask_shape(inside, [[2, 1], [4.0, 2.0]]),
        {"label": "box", "points": [[5, 0], [8, 0], [8, 2], [5, 2]], "shape_type": "rectangle"},
        {"label": "turned", "points": [[0, 4], [2, 4], [2, 6], [0, 6]], "shape_type": "rotation"},
    ]
    for name in NAMES:
        as_json(tmp_path / "json" / f"{name}.json", labelme(shapes, name))
    source = open_data(tmp_path)
    assert source.classes.names == ("background", "box", "car", "turned")
    mask = source.splits["train"][0].mask
    assert (mask == 2).sum() == inside.sum()
    np.testing.assert_array_equal(mask[1:3, 2:5] == 2, inside)
    np.testing.assert_array_equal(mask[:2, 5:], np.full((2, 3), 1))
    np.testing.assert_array_equal(mask[4:, :2], np.full((2, 2), 3))


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        (mask_shape(np.ones((2, 3), bool), [[2, 1]]), "a mask between the points"),
        (mask_shape(np.ones((2, 3), bool), [[2, 1], [5, 2]]), "a mask of 2x3 from x 2, y 1 to x 5, y 2"),
        (mask_shape(np.ones((2, 3), bool), [[6, 1], [8, 2]]), "outside the image"),
        ({**mask_shape(np.ones((2, 3), bool), [[2, 1], [4, 2]]), "mask": "&&"}, "no PNG in base64"),
        ({**mask_shape(np.ones((2, 3), bool), [[2, 1], [4, 2]]), "mask": None}, "no PNG in base64"),
        ({"label": "car", "points": [[1, 1]], "shape_type": "point"}, "of a type that covers no area"),
    ],
)
def test_a_shape_that_is_wrong_is_told_though_it_is_the_only_one(tmp_path, shape, said):
    images(tmp_path)
    for name in NAMES:
        as_json(tmp_path / f"{name}.json", labelme([shape], name))
    with pytest.raises(DataError, match=said):
        open_data(tmp_path)


def test_masks_that_labelme2voc_draws_with_their_names(tmp_path):
    write_pairs(tmp_path / "JPEGImages", tmp_path / "SegmentationClassPNG", NAMES)
    images(tmp_path / "SegmentationClassVisualization")
    (tmp_path / "SegmentationClass").mkdir()
    for name in NAMES:
        np.save(tmp_path / "SegmentationClass" / f"{name}.npy", labels(0, 1, 2))
    (tmp_path / "class_names.txt").write_text("_background_\ncar\nbus\n")
    assert open_data(tmp_path).classes.names == ("_background_", "car", "bus")
    (tmp_path / "class_names.txt").write_text("a list of\nsomething else\n")
    assert open_data(tmp_path).classes.names == ("class 0", "class 1", "class 2")


def test_a_table_of_names_and_colours_in_csv(tmp_path):
    colors = np.array([[64, 128, 64], [192, 0, 128]], np.uint8)
    for name in NAMES:
        write(tmp_path / "train" / f"{name}.png", picture())
        write(tmp_path / "train_labels" / f"{name}_L.png", colors[labels(0, 1)])
    table = tmp_path / "class_dict.csv"
    table.write_text("name,r,g,b\r\nAnimal,64,128,64\r\nArchway, 192, 0, 128\r\n", encoding="utf-8-sig")
    source = open_data(tmp_path)
    assert (source.classes.names, source.classes.colors) == (("Animal", "Archway"), ((64, 128, 64), (192, 0, 128)))
    table.write_text("name,r,g,b\nAnimal,64,128\n")
    with pytest.raises(DataError, match="a colour must be three whole numbers"):
        open_data(tmp_path)


def test_regions_of_nnu_net_are_told_with_the_class_file_that_is_needed(tmp_path):
    write_pairs(tmp_path / "imagesTr", tmp_path / "labelsTr", NAMES)
    found = {"background": 0, "whole": [1, 2], "core": 2}
    as_json(tmp_path / "dataset.json", {"channel_names": {"0": "R"}, "labels": found})
    with pytest.raises(DataError, match="'whole' is a region of the labels") as error:
        open_data(tmp_path)
    proposed = str(error.value).partition("beside it: ")[2].partition("}")[0] + "}"
    (tmp_path / "classes.json").write_text(proposed)
    assert open_data(tmp_path).classes.names == ("background", "label 1", "core")


@pytest.mark.parametrize(
    ("place", "train", "val"),
    [
        ("ImageSets/Segmentation", "Train.txt", "Validation.txt"),
        ("splits", "train.txt", "val.txt"),
        ("", "train.txt", "val.txt"),
        ("annotations", "trainval.txt", "val.txt"),
        ("", "trainval.txt", "val.txt"),
    ],
)
def test_lists_of_images_are_read_wherever_they_are(tmp_path, place, train, val):
    write_pairs(tmp_path / "images", tmp_path / "masks", ["my a", "b", "sub/c", "other/c", "d", "e"])
    folder = tmp_path / place
    folder.mkdir(parents=True, exist_ok=True)
    (folder / train).write_text("my a\nimages/b.png masks/b.png\nother/c\n")
    (folder / val).write_text('# held out\nimages/sub/c.png\n"d"\n\n')
    source = open_data(tmp_path)
    found = {split: [p.relative_to(tmp_path).as_posix() for p in d.image_paths] for split, d in source.splits.items()}
    assert found["train"] == ["images/my a.png", "images/b.png", "images/other/c.png"]
    assert found["val"] == ["images/sub/c.png", "images/d.png"]
    assert any("1 image that none of them lists is left out" in note for note in source.notes)


def test_a_text_about_something_else_is_no_list_of_images(tmp_path):
    write_pairs(tmp_path / "images", tmp_path / "masks", NAMES)
    (tmp_path / "train.txt").write_text("the cat sat\non the mat\n")
    assert not any("splits as" in note for note in open_data(tmp_path).notes)
    (tmp_path / "train.txt").write_text("p0\np1\nnobody\n")
    with pytest.raises(DataError, match=r"1 name in train\.txt without image or mask: nobody"):
        open_data(tmp_path)


def test_names_of_ome_tiffs_have_two_suffixes(tmp_path):
    for name in NAMES:
        write(tmp_path / "images" / f"{name}.ome.tif", picture())
        write(tmp_path / "masks" / f"{name}.png", labels(0, 1))
    assert len(open_data(tmp_path, val_share=0.5).splits["train"]) == 2
    for name in NAMES:
        (tmp_path / "masks" / f"{name}.png").unlink()
        write(tmp_path / "masks" / f"{name}_mask.ome.tif", labels(0, 1))
    assert len(open_data(tmp_path, val_share=0.5).splits["train"]) == 2


def test_suffixes_of_several_words_are_paired_with_a_note(tmp_path):
    for name in NAMES:
        write(tmp_path / "img_dir/train" / f"{name}_leftImg8bit.png", picture())
        write(tmp_path / "ann_dir/train" / f"{name}_gtFine_labelTrainIds.png", labels(0, 1))
    tree = find_tree(tmp_path)
    assert [i.stem[:2] for i, _ in tree.pairs["train"]] == [m.stem[:2] for _, m in tree.pairs["train"]] == list(NAMES)
    assert "paired-by-words" in [finding.kind for finding in tree.findings]


def test_what_is_not_read_is_named_with_what_converts_it(tmp_path):
    as_json(tmp_path / "arrow/dataset_dict.json", {"splits": ["train"]})
    as_json(tmp_path / "arrow/train/state.json", {})
    (tmp_path / "arrow/train/data-00000-of-00001.arrow").touch()
    with pytest.raises(DataError, match="load_from_disk") as error:
        open_data(tmp_path / "arrow")
    compile(str(error.value).partition('"')[2].partition('" ')[0], "the line", "exec")
    images(tmp_path / "via/train")
    region = {"shape_attributes": {"name": "polygon", "all_points_x": [1, 2, 3]}}
    as_json(tmp_path / "via/train/via_region_data.json", {"p0.png1": {"filename": "p0.png", "regions": [region]}})
    with pytest.raises(DataError, match=r"VIA .*COCO format"):
        open_data(tmp_path / "via")


def test_the_hint_looks_further_down(tmp_path):
    write_pairs(tmp_path / "VOCdevkit/VOC2012/JPEGImages", tmp_path / "VOCdevkit/VOC2012/SegmentationClass", NAMES)
    with pytest.raises(DataError, match=r"Did you mean .*VOC2012\?"):
        open_data(tmp_path)
