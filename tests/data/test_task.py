"""What a folder of data is for, by the names in it."""

import pytest
from trees import labels, picture, write, write_pairs

from wholenet.data.detect import find_tree
from wholenet.data.labelled import open_labelled
from wholenet.data.layouts import find_layout
from wholenet.data.sample import DataError
from wholenet.data.task import how_read, may_be_labelled, surely_masks, task_of

LABELLED = [
    "train-00000-of-00001.parquet",
    "data/test-00000-of-00001.parquet",
    "data_batch_1.bin",
    "cifar-10-batches-bin/data_batch_1.bin",
    "cifar-10-batches-py/data_batch_1",
    "train.bin",
    "cifar-100-binary/train.bin",
    "train_32x32.mat",
]


@pytest.mark.parametrize("name", LABELLED)
def test_files_that_only_labelled_images_come_in_are_for_classification(name, tmp_path):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.touch()
    assert task_of(tmp_path) == task_of(str(tmp_path)) == "classification"


def pictures(root, *folders):
    for folder in folders:
        write(root / folder / "a.png", picture())


@pytest.mark.parametrize(
    "folders",
    [
        ("cat", "dog"),
        ("train/cat", "train/dog", "test/cat", "test/dog"),
        ("Training/cat", "Training/dog"),
        ("train/cat",),
        ("train/mask", "train/no_mask"),
        ("train/image", "train/drawing"),
        ("0", "1", ".cache"),
    ],
)
def test_a_folder_for_each_class_is_for_classification(folders, tmp_path):
    pictures(tmp_path, *folders)
    assert task_of(tmp_path) == "classification"


SEGMENTATION = [
    ("images", "masks"),
    ("images/train", "masks/train", "images/val", "masks/val"),
    ("train/images", "train/masks"),
    ("train/Images", "train/Labels", "val/Images", "val/Labels"),
    ("train/images", "train/annotations"),
    ("train", "trainannot", "val", "valannot"),
    ("train", "train_masks"),
    ("img", "mask"),
    ("image", "label"),
    ("JPEGImages", "SegmentationClass"),
    ("train/img", "train/mask"),
    ("train/day", "trainannot/day"),
    ("training/image_2", "training/semantic"),
]


@pytest.mark.parametrize("folders", SEGMENTATION, ids=" ".join)
def test_images_with_masks_are_for_segmentation_in_every_layout_known_by_sight(folders, tmp_path):
    pictures(tmp_path, *(folder for folder in folders if not is_of_masks(folder)))
    for folder in filter(is_of_masks, folders):
        write(tmp_path / folder / "a.png", picture()[..., 0] // 128)
    layout = find_layout(tmp_path)
    assert layout is not None
    assert all(layout.folders["train"])
    assert task_of(tmp_path) == "segmentation"


def is_of_masks(folder):
    return any(word in folder.lower() for word in ("mask", "label", "annot", "segmentation", "semantic"))


def test_cityscapes_is_for_segmentation(tmp_path):
    for split in ("train", "val"):
        write(tmp_path / f"leftImg8bit/{split}/aachen/aachen_000000_000019_leftImg8bit.png", picture())
        write(tmp_path / f"gtFine/{split}/aachen/aachen_000000_000019_gtFine_labelIds.png", picture()[..., 0])
    assert task_of(tmp_path) == "segmentation"


def test_the_real_data_here_is_recognised(camvid, cifar10):
    assert task_of(camvid) == "segmentation"
    assert task_of(cifar10) == "classification"


def test_what_is_no_folder_of_images_is_left_to_segmentation_to_explain(tmp_path):
    file = tmp_path / "train.parquet"
    file.touch()
    (tmp_path / "empty").mkdir()
    pictures(tmp_path / "alone", "photos")
    pictures(tmp_path, "flat")
    for where in (file, tmp_path / "missing", tmp_path / "empty", tmp_path / "alone", tmp_path / "flat", "scenes"):
        assert task_of(where) == "segmentation"


# ---- where a folder can be read in two ways


def masks_beside(root, *names):
    for name in names:
        write(root / f"{name}.png", picture())
        write(root / f"{name}_mask.png", labels(0, 1))


def two_of_one_names(images, masks):
    return lambda root: write_pairs(root / images, root / masks, ["a", "b", "c", "d"])


def modalities(*ends):
    """BraTS: several images of a slice, and its mask, in a folder per patient."""

    def build(root):
        for patient in ("p1", "p2"):
            for end in ends:
                write(root / patient / f"{patient}_{end}.png", labels(0, 1) if end == "seg" else picture())

    return build


def late_patients(root):
    """The first of many are healthy, and have no masks."""
    pictures(root, *(f"p{i:02}" for i in range(20)))
    masks_beside(root, *(f"p{i}/b" for i in range(14, 20)))


def some_masks(images, masks):
    """Masks of few of the images."""

    def build(root):
        for name in "abcdef":
            write(root / images / f"{name}.png", picture())
        write(root / masks / "a.png", labels(0, 1))

    return build


def potsdam(root):
    for i in (10, 11, 12):
        write(root / "2_Ortho_RGB" / f"top_2_{i}_RGB.tif", picture())
        write(root / "5_Labels_all" / f"top_2_{i}_label.tif", labels(0, 1))


def isic(root):
    for i in range(3):
        write(root / "Part1_Training_Data" / f"ISIC_{i}.png", picture())
        write(root / "Part1_Training_GroundTruth" / f"ISIC_{i}_Segmentation.png", labels(0, 255))


def outlines(suffix):
    def build(root):
        pictures(root, "cat", "dog")
        (root / "cat" / f"a{suffix}").write_text("0 0.1 0.1 0.5 0.1 0.5 0.5")

    return build


UNCERTAIN = {
    "images of several kinds with one mask": modalities("flair", "t1", "t2", "seg"),
    "patients of whom the first have no masks": late_patients,
    "few of the images have masks": some_masks("image_left", "semantic_label"),
    "more folders than are compared": lambda r: pictures(r, "rgb", "seg", "depth", "normals", "flow"),
    "names that differ in a word (Potsdam)": potsdam,
    "names that end in what they are (ISIC)": isic,
    "several folders like masks": lambda r: [write_pairs(r / "a", r / m, ["x", "y"]) for m in ("b", "c")],
    "outlines as text": outlines(".txt"),
    "outlines as JSON": outlines(".json"),
    "a folder per patient, one image without a mask": lambda root: [
        masks_beside(root, "p1/a", "p1/b", "p2/a"),
        write(root / "p2" / "c.png", picture()),
    ],
    "a folder per patient, masks like pictures": lambda root: [
        write(root / f"{name}.png", picture()) for name in ("p1/a", "p1/a_mask", "p2/b", "p2/b_mask")
    ],
    "equal names, one of them like masks": two_of_one_names("rgb", "truth"),
    "the same in train": two_of_one_names("training/photos", "training/gt"),
    "the order of the names": two_of_one_names("zebra", "ant"),
    "classes called as folders of masks": lambda root: pictures(root, "masks", "no_masks"),
    "a folder of annotations beside classes": lambda root: pictures(root, "cat", "dog", "annotations/x"),
    "the same, in train": lambda root: pictures(root, "train/masks", "train/no_masks", "test/masks", "test/no_masks"),
}


@pytest.mark.parametrize("case", UNCERTAIN)
def test_a_folder_that_can_be_read_in_two_ways_is_asked_about(case, tmp_path):
    UNCERTAIN[case](tmp_path)
    with pytest.raises(
        DataError, match=r"two ways: as images with masks .*, or as labelled images|masks of the images .* per class"
    ) as e:
        task_of(tmp_path)
    assert str(tmp_path) in str(e.value)
    assert "--task segmentation or --task classification" in str(e.value)
    assert may_be_labelled(tmp_path)
    assert not surely_masks(tmp_path)


def test_equal_names_of_classes_whose_pictures_are_alike_leave_no_doubt(tmp_path):
    for folder in ("with_mask", "without_mask", "mask"):
        for name in "abcd":
            write(tmp_path / folder / f"{name}.png", picture())
    assert task_of(tmp_path) == "classification"
    for folder in ("zero", "one"):  # drawings, few colours in both
        write(tmp_path / "drawn" / folder / "a.png", labels(0, 255))
    assert task_of(tmp_path / "drawn") == "classification"


FACES = {
    "by underscores": ("Train/with_mask/{}.png", "Train/without_mask/{}.png", "Test/with_mask/{}.png"),
    "the files say so, too": ("with_mask/{}-with-mask.png", "without_mask/{}.png"),
    "in one word": ("Train/WithMask/{}.png", "Train/WithoutMask/{}.png", "Validation/WithMask/{}.png"),
    "mask, no mask and wrongly worn": ("mask/{}_mask.png", "no_mask/{}.png", "mask_weared_incorrect/{}.png"),
}


@pytest.mark.parametrize("case", FACES)
def test_faces_with_and_without_masks_are_classes(case, tmp_path):
    for place in FACES[case]:
        for i in range(4):
            write(tmp_path / place.format(i), picture(i))
    assert task_of(tmp_path) == "classification"


def test_a_table_and_captions_beside_classes_leave_no_doubt(tmp_path):
    pictures(tmp_path, "cat", "dog")
    (tmp_path / "metadata.parquet").touch()
    (tmp_path / "cat/a.txt").write_text("a cat on a mat")
    assert task_of(tmp_path) == "classification"
    assert open_labelled(tmp_path).classes == ("cat", "dog")


BESIDE = {
    "in one folder": ("a", "b"),
    "deep": ("data/site/p1/a", "data/site/p2/b"),
    "a folder per patient": ("p1/a", "p1/b", "p2/a"),
    "a folder per patient, in train": ("train/p1/a", "train/p1/b"),
}


@pytest.mark.parametrize("names", BESIDE.values(), ids=BESIDE)
def test_masks_beside_their_images_in_one_folder_or_deep_leave_no_doubt(names, tmp_path):
    masks_beside(tmp_path, *names)
    assert task_of(tmp_path) == "segmentation"
    assert len(find_tree(tmp_path).pairs["train"]) == len(names)


@pytest.mark.parametrize("ends", [("image", "mask"), ("img_1", "mask_1")])
def test_files_of_one_name_in_the_folder_of_each_patient_leave_no_doubt(ends, tmp_path):
    for patient in "abc":
        write(tmp_path / patient / f"{ends[0]}.png", picture())
        write(tmp_path / patient / f"{ends[1]}.png", labels(0, 1))
    assert task_of(tmp_path) == "segmentation"
    pairs = find_tree(tmp_path).pairs["train"]
    assert [(image.parent.name, image.stem, mask.parent) for image, mask in pairs] == [
        (patient, ends[0], tmp_path / patient) for patient in "abc"
    ]


@pytest.mark.parametrize("table", ["metadata.parquet", "data/notes.parquet"])
def test_a_table_beside_images_and_masks_is_no_data_set(table, tmp_path):
    write_pairs(tmp_path / "images", tmp_path / "masks", ["a", "b"])
    (tmp_path / table).parent.mkdir(exist_ok=True)
    (tmp_path / table).touch()
    assert task_of(tmp_path) == "segmentation"


@pytest.mark.parametrize("file", LABELLED)
def test_labelled_files_beside_images_and_masks_are_asked_about(file, tmp_path):
    write_pairs(tmp_path / "images", tmp_path / "masks", ["a", "b"])
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).touch()
    with pytest.raises(DataError, match="two ways") as error:
        task_of(tmp_path)
    assert file in str(error.value)


# ---- the line that says how a folder is read


@pytest.mark.parametrize("form", ["parquet", "CIFAR"])
def test_how_files_are_read_names_how_many_images_they_hold(form, tmp_path):
    for split, count in (("train", 5), ("test", 2)):
        if form == "CIFAR":
            (tmp_path / f"{split}_batch.bin").write_bytes(bytes(count * (1 + 3 * 32 * 32)))
        else:
            parquet = pytest.importorskip("pyarrow.parquet")
            parquet.write_table(
                pytest.importorskip("pyarrow").table({"label": [0] * count}), tmp_path / f"{split}.parquet"
            )
    assert how_read(tmp_path, "classification").endswith("; images: train 5, test 2")


def test_how_it_is_read_names_task_and_folders(tmp_path):
    write_pairs(tmp_path / "m/images/train", tmp_path / "m/labels/train", ["a"])
    masks_beside(tmp_path / "p", "x/a", "y/b")
    pictures(tmp_path / "c", "train/cat", "train/dog")
    (tmp_path / "f").mkdir()
    for name in ("train-0.parquet", "train-1.parquet"):
        (tmp_path / "f" / name).touch()
    told = {
        ("m", "segmentation"): ["segmentation", "train: 1 image in images/train, masks in labels/train"],
        ("p", "segmentation"): ["segmentation", "train: 2 images in the folder itself, masks beside them"],
        ("p", "classification"): [
            "classification",
            "a folder per class; train: 4 images of 2 classes in the folder itself",
        ],
        ("c", "classification"): ["classification", "a folder per class; train: 2 images of 2 classes in train"],
        ("f", "classification"): ["classification", "parquet files, train-0.parquet and 1 more"],
        ("gone", "segmentation"): ["segmentation"],
    }
    for (name, task), facts in told.items():
        line = how_read(tmp_path / name, task)
        assert "\n" not in line
        assert line.startswith(f"{tmp_path / name} is read as ")
        assert all(fact in line for fact in facts), line
    assert "segmentation" in how_read("scenes", "segmentation")
