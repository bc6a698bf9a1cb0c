"""What a folder of data is for, by the names in it."""

import pytest
from trees import picture, write

from wholenet.data.layouts import find_layout
from wholenet.data.task import task_of

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
    return any(word in folder.lower() for word in ("mask", "label", "annot", "segmentation"))


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
