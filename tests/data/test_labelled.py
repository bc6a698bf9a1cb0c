"""Labelled images from every form that people have them in; what is damaged or odd is named."""

import io
import json
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from scipy.io import savemat

from wholenet.data.detect import open_data
from wholenet.data.labelled import CIFAR10_CLASSES, open_labelled
from wholenet.data.sample import DataError
from wholenet.data.task import task_of


def pictures(n, side=32, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, side, side, 3), dtype=np.uint8)


def encoded(image):
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def write_parquet(path, images, labels, names=None, image="img", label="label", nested=True):
    values = [{"bytes": encoded(x), "path": None} if nested else encoded(x) for x in images]
    table = pa.table({image: values, label: labels})
    if names is not None:
        features = {"info": {"features": {label: {"names": names, "_type": "ClassLabel"}}}}
        table = table.replace_schema_metadata({"huggingface": json.dumps(features)})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)


@pytest.mark.parametrize(
    ("image", "label", "nested"), [("img", "label", True), ("image", "fine_label", True), ("image", "label", False)]
)
def test_parquet_files_in_their_usual_columns(tmp_path, image, label, nested):
    columns = {"image": image, "label": label, "nested": nested}
    write_parquet(
        tmp_path / "data" / "train-00000-of-00002.parquet", pictures(3), [0, 2, 1], ["a", "b", "c"], **columns
    )
    write_parquet(
        tmp_path / "data" / "train-00001-of-00002.parquet", pictures(2, seed=1), [1, 0], ["a", "b", "c"], **columns
    )
    write_parquet(
        tmp_path / "data" / "test-00000-of-00001.parquet", pictures(1, seed=2), [2], ["a", "b", "c"], **columns
    )
    source = open_labelled(tmp_path)
    assert source.classes == ("a", "b", "c")
    np.testing.assert_array_equal(source.splits["train"].images, np.concatenate([pictures(3), pictures(2, seed=1)]))
    assert source.splits["train"].labels.tolist() == [0, 2, 1, 1, 0]
    assert {name: len(split) for name, split in source.splits.items()} == {"train": 5, "test": 1}


def test_classes_without_names_are_numbers(tmp_path):
    write_parquet(tmp_path / "train.parquet", pictures(2), [0, 3])
    assert open_labelled(tmp_path).classes == ("0", "1", "2", "3")


def binary(images, labels, coarse=None):
    rows = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
    columns = [np.array(c, np.uint8)[:, None] for c in ([labels] if coarse is None else [coarse, labels])]
    return np.concatenate([*columns, rows], axis=1).tobytes()


def test_cifars_binary_batches(tmp_path):
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    (folder / "data_batch_1.bin").write_bytes(binary(pictures(2), [3, 9]))
    (folder / "data_batch_2.bin").write_bytes(binary(pictures(1, seed=1), [0]))
    (folder / "test_batch.bin").write_bytes(binary(pictures(1, seed=2), [1]))
    for root in (tmp_path, folder):
        source = open_labelled(root)
        assert source.classes == CIFAR10_CLASSES
        np.testing.assert_array_equal(source.splits["train"].images, np.concatenate([pictures(2), pictures(1, seed=1)]))
        assert source.splits["train"].labels.tolist() == [3, 9, 0]
        assert source.splits["test"].labels.tolist() == [1]


def test_of_cifar_100_the_fine_label_counts(tmp_path):
    (tmp_path / "train.bin").write_bytes(binary(pictures(2), [42, 7], coarse=[1, 2]))
    (tmp_path / "test.bin").write_bytes(binary(pictures(1), [0], coarse=[0]))
    (tmp_path / "fine_label_names.txt").write_text("\n".join(f"class{i}" for i in range(100)) + "\n")
    source = open_labelled(tmp_path)
    assert source.splits["train"].labels.tolist() == [42, 7]
    assert source.classes[42] == "class42"


def write_folders(root, counts, side=8):
    for name, count in counts.items():
        (root / name).mkdir(parents=True)
        for i in range(count):
            Image.fromarray(pictures(1, side, seed=i)[0]).save(root / name / f"{i}.png")


def test_a_folder_per_class_with_and_without_splits(tmp_path):
    write_folders(tmp_path / "plain", {"cat": 2, "ant": 3})
    source = open_labelled(tmp_path / "plain")
    assert source.classes == ("ant", "cat")
    assert source.splits["train"].labels.tolist() == [0, 0, 0, 1, 1]
    write_folders(tmp_path / "split" / "train", {"cat": 2, "ant": 1})
    write_folders(tmp_path / "split" / "valid", {"cat": 1})
    source = open_labelled(tmp_path / "split")
    assert source.splits["val"].labels.tolist() == [1]


def write_digits(path, images, labels, **changed):
    digits = {"X": images.transpose(1, 2, 3, 0), "y": np.array(labels, np.uint8)[:, None], "of no interest": 1}
    savemat(path, {name: value for name, value in (digits | changed).items() if value is not None})


@pytest.mark.parametrize("compressed", [True, False])
def test_svhns_mat_files_in_which_ten_is_the_digit_zero(tmp_path, compressed):
    train = pictures(3).transpose(1, 2, 3, 0)
    savemat(tmp_path / "train_32x32.mat", {"X": train, "y": np.array([[1], [10], [9]])}, do_compression=compressed)
    write_digits(tmp_path / "test_32x32.mat", pictures(2, seed=1), [10, 2])
    (tmp_path / "extra_32x32.mat").write_bytes(b"not looked at")
    source = open_labelled(tmp_path)
    assert source.classes == tuple("0123456789")
    assert list(source.splits) == ["train", "test"]
    np.testing.assert_array_equal(source.splits["train"].images, pictures(3))
    assert source.splits["train"].labels.tolist() == [1, 0, 9]
    assert source.splits["test"].labels.tolist() == [0, 2]
    assert source.splits["train"].images.flags.c_contiguous


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"X": None}, r"train_32x32\.mat has no variable X; expected the images X and the labels y"),
        ({"X": None, "y": None}, "has no variable X and no y;"),
        ({"X": np.zeros((32, 32, 3, 2))}, r"X is float64 \[32, 32, 3, 2\]; expected uint8 \[32, 32, 3, N\]"),
        ({"X": pictures(3)}, r"X is uint8 \[3, 32, 32, 3\]; expected uint8"),
        ({"X": "a text"}, r"X is <U6 \[1\]; expected uint8"),
        ({"y": np.array([[1], [2], [3]])}, r"y is int64 \[3, 1\]; expected whole numbers \[2, 1\]"),
        ({"y": np.array([[1.5], [2]])}, r"y is float64 \[2, 1\]; expected whole numbers"),
        ({"y": np.array([[1], [0]])}, "image 1: label 0; expected 1 to 10, which is the digit 0"),
        ({"y": np.array([[11], [1]])}, "image 0: label 11; expected 1 to 10"),
    ],
)
def test_mat_files_of_other_content_are_refused(tmp_path, changed, said):
    write_digits(tmp_path / "train_32x32.mat", pictures(2), [1, 2], **changed)
    with pytest.raises(DataError, match=said):
        open_labelled(tmp_path)


def test_without_scipy_the_extra_that_brings_it_is_named(tmp_path, monkeypatch):
    write_digits(tmp_path / "train_32x32.mat", pictures(2), [1, 2])
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    with pytest.raises(DataError, match=r"need scipy, not installed here: pip install 'wholenet\[mat\]'"):
        open_labelled(tmp_path)


def test_real_cifar_10(cifar10, tmp_path):
    (tmp_path / "train.parquet").symlink_to(cifar10 / "test.parquet")  # the smaller file will do
    source = open_labelled(tmp_path)
    assert len(source.classes) == 10
    assert source.splits["train"].images.shape == (10_000, 32, 32, 3)
    assert np.bincount(source.splits["train"].labels).tolist() == [1000] * 10


def damaged(kind, root):
    """A data set with one thing wrong."""
    root.mkdir()
    if kind == "missing":
        root.rmdir()
    elif kind == "empty":
        pass
    elif kind == "one class":
        write_folders(root, {"cat": 2})
    elif kind == "truncated parquet":
        write_parquet(root / "train.parquet", pictures(2), [0, 1])
        content = (root / "train.parquet").read_bytes()
        (root / "train.parquet").write_bytes(content[: len(content) // 2])
    elif kind == "parquet that is none":
        (root / "train.parquet").write_text("not parquet")
    elif kind == "damaged image in parquet":
        pq.write_table(pa.table({"img": [b"not an image"], "label": [0]}), root / "train.parquet")
    elif kind == "other columns":
        pq.write_table(pa.table({"text": ["a"], "label": [0]}), root / "train.parquet")
    elif kind == "label that is no number":
        pq.write_table(pa.table({"img": [encoded(pictures(1)[0])], "label": ["cat"]}), root / "train.parquet")
    elif kind == "negative label":
        write_parquet(root / "train.parquet", pictures(1), [-1])
    elif kind == "label without a name":
        write_parquet(root / "train.parquet", pictures(1), [5], ["a", "b"])
    elif kind == "parquet of no split":
        write_parquet(root / "images.parquet", pictures(1), [0])
    elif kind == "parquet without train":
        write_parquet(root / "test.parquet", pictures(2), [0, 1])
    elif kind == "cut short":
        (root / "data_batch_1.bin").write_bytes(binary(pictures(2), [0, 1])[:-7])
    elif kind == "truncated mat":
        write_digits(root / "train_32x32.mat", pictures(2), [1, 2])
        content = (root / "train_32x32.mat").read_bytes()
        (root / "train_32x32.mat").write_bytes(content[: len(content) // 2])
    elif kind == "mat that is none":
        (root / "train_32x32.mat").write_bytes(b"<html>404</html>" * 20)
    elif kind == "empty mat":
        (root / "train_32x32.mat").touch()
    elif kind == "mat 7.3":
        (root / "train_32x32.mat").write_bytes(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + bytes(400))
    elif kind == "extra mat alone":
        write_digits(root / "extra_32x32.mat", pictures(2), [1, 2])
    elif kind == "pickled":
        (root / "data_batch_1").write_bytes(b"\x80\x02}q")
    elif kind == "another size":
        write_folders(root, {"ant": 3, "cat": 2})
        Image.fromarray(pictures(1, 9)[0]).save(root / "cat" / "odd.png")
    elif kind == "damaged image":
        write_folders(root, {"ant": 3, "cat": 2})
        (root / "cat" / "bad.png").write_bytes(b"\x89PNG\r\n")
    elif kind == "class that train lacks":
        write_folders(root / "train", {"ant": 1, "cat": 1})
        write_folders(root / "test", {"dog": 1})
    elif kind == "no train folder":
        write_folders(root / "val", {"ant": 1, "cat": 1})
    return root


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("missing", "is not a folder; give one with parquet files"),
        ("empty", "holds no folder with images"),
        ("one class", r"has 1 class \(cat\); a classifier needs at least two"),
        ("truncated parquet", r"train\.parquet cannot be read as parquet"),
        ("parquet that is none", r"train\.parquet cannot be read as parquet"),
        ("damaged image in parquet", r"train\.parquet, row 0: cannot be read as an image"),
        ("other columns", r"has columns text, label; expected one of img, image"),
        ("label that is no number", r"row 0: label 'cat'; expected a whole number"),
        ("negative label", r"row 0: label -1; expected a whole number from 0"),
        ("label without a name", "a label is 5, but only 2 classes have names"),
        ("parquet of no split", "begins with train, val or test; this one does not"),
        ("parquet without train", "has no train split; found test"),
        ("cut short", r"data_batch_1\.bin has 6139 bytes; expected a multiple of 3073"),
        ("truncated mat", r"train_32x32\.mat cannot be read as a MATLAB file: could not read bytes"),
        ("mat that is none", r"train_32x32\.mat cannot be read as a MATLAB file: Unknown mat file type"),
        ("empty mat", r"train_32x32\.mat cannot be read as a MATLAB file: Mat file appears to be truncated"),
        ("mat 7.3", r"train_32x32\.mat is of MATLAB's version 7\.3; expected version 5"),
        ("extra mat alone", r"has extra_32x32\.mat and no train_32x32\.mat"),
        ("pickled", "which is pickled: opening it would run whatever is in it. Get the binary version"),
        ("another size", r"odd\.png is 9x9, most images are 8x8"),
        ("damaged image", r"bad\.png"),
        ("class that train lacks", "has the class 'dog', which train does not have"),
        ("no train folder", "has val and no train folder"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, kind, said):
    with pytest.raises(DataError, match=said):
        open_labelled(damaged(kind, tmp_path / "data"))


def test_names_of_classes_are_compared_in_one_unicode_form(tmp_path):
    for place in ("train/caf\u00e9", "train/dog", "test/cafe\u0301"):
        (tmp_path / place).mkdir(parents=True)
        Image.fromarray(pictures(1)[0]).save(tmp_path / place / "a.png")
    source = open_labelled(tmp_path)
    assert source.classes == ("caf\u00e9", "dog")
    assert source.splits["test"].labels.tolist() == [0]
    (tmp_path / "train/cafe\u0301").mkdir()
    Image.fromarray(pictures(1)[0]).save(tmp_path / "train/cafe\u0301/a.png")
    with pytest.raises(DataError, match=r"two classes are called .*names look alike"):
        open_labelled(tmp_path)


def test_no_folder_is_left_out_because_another_is_called_as_its_split(tmp_path):
    for place in ("train/cat", "train/dog", "train_more/cat"):
        (tmp_path / place).mkdir(parents=True)
        Image.fromarray(pictures(1)[0]).save(tmp_path / place / "a.png")
    with pytest.raises(DataError, match="train and train_more could both be train"):
        open_labelled(tmp_path)


@pytest.mark.parametrize("column", ["annotation", "mask"])
def test_a_parquet_file_with_masks_is_told_as_what_it_is(tmp_path, column):
    write_parquet(tmp_path / "train.parquet", pictures(2), [0, 1], label=column)
    with pytest.raises(DataError, match=f"{column} seems to hold masks, which --task segmentation reads"):
        open_labelled(tmp_path)
    assert task_of(tmp_path) == "segmentation"
    with pytest.raises(DataError, match=rf"train\.parquet has columns img, {column}; expected pictures in"):
        open_data(tmp_path)


def test_a_parquet_image_that_decodes_to_too_much_is_refused(tmp_path):
    images = pictures(2)
    write_parquet(tmp_path / "train.parquet", images, [0, 1])
    height, width = images[0].shape[:2]
    with pytest.raises(DataError, match=rf"train.parquet, row 0: decodes to {height}x{width} .*; the limit is 1e-05"):
        open_labelled(tmp_path, max_megapixels=1e-5)


def test_parquet_images_are_read_like_files(tmp_path, monkeypatch):
    """Turned as their EXIF tag says, and measured by our limit alone."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    tag = Image.Exif()
    tag[0x0112] = 6
    buffer = io.BytesIO()
    Image.fromarray(pictures(1)[0]).save(buffer, "PNG", exif=tag)
    pq.write_table(pa.table({"img": [buffer.getvalue()] * 2, "label": [0, 1]}), tmp_path / "train.parquet")
    images = open_labelled(tmp_path).splits["train"].images
    np.testing.assert_array_equal(images[0], np.rot90(pictures(1)[0], -1))


def test_parquet_images_of_16_bits_are_refused(tmp_path):
    deep = encoded(np.full((8, 8), 700, np.uint16))
    pq.write_table(pa.table({"img": [deep] * 2, "label": [0, 1]}), tmp_path / "train.parquet")
    with pytest.raises(DataError, match=r"train\.parquet, row 0: 1 band of 16 bits"):
        open_labelled(tmp_path)


@pytest.mark.parametrize("form", ["folders", "parquet", "binary"])
def test_names_of_classes_are_plain(tmp_path, form):
    names = {"ice\u00a0cream": True, "می\u200cخ": True, "a\x1b[2J": False, "a\u202eb": False}
    for i, (name, plain) in enumerate(names.items()):
        root = tmp_path / str(i)
        if form == "folders":
            write_folders(root, {name: 1, "b": 1})
        elif form == "parquet":
            write_parquet(root / "train.parquet", pictures(2), [0, 1], [name, "b"])
        else:
            root.mkdir(parents=True)
            (root / "data_batch_1.bin").write_bytes(binary(pictures(2), [0, 1]))
            (root / "batches.meta.txt").write_text(name.replace("\u00a0", "_") + "\nb\n", encoding="utf-8")
        if plain:
            assert len(open_labelled(root).classes) == 2
        else:
            with pytest.raises(DataError, match=r"a class is called 'a.*; a name has no control characters"):
                open_labelled(root)
