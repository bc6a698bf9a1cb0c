"""Labelled images for classification, from the forms that people have them in: parquet files, a folder per class, the
binary batches of CIFAR, and SVHN's MATLAB files. All in memory, as bytes.

Letters: N images, C channels, H x W pixels, K classes.
"""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Literal
from unicodedata import normalize

import numpy as np

from wholenet.data.class_folders import class_layout, split_of
from wholenet.data.folder import IMAGE_SUFFIXES, files_below
from wholenet.data.opening import MAX_MEGAPIXELS, quiet_pillow
from wholenet.data.pictures import read_image
from wholenet.data.sample import DataError
from wholenet.data.sets import Asked, DataSet, data_set, known_by_name, open_as
from wholenet.files import is_plain, parse_json, read_text, shown

CIFAR_SIDE = 32
CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
LABEL_COLUMNS = ("label", "fine_label", "labels", "class", "target")
IMAGE_COLUMNS = ("img", "image", "images", "picture", "pixel_values")
MASK_COLUMNS = ("annotation", "mask", "segmentation_mask")
MAX_ROWS = 20_000_000
"""Of a parquet file; ImageNet's largest release has 14 million images."""
MAX_PACKED = 50
"""How many times its own size a parquet file may declare, beyond a gigabyte."""
SVHN_FILES = {"train": "train_32x32.mat", "test": "test_32x32.mat"}
"""SVHN's splits. Its third file, extra_32x32.mat, is left out: additional, easier digits, a split of their own."""
SVHN_CLASSES = tuple("0123456789")


@dataclass(frozen=True)
class Labelled:
    """A split: every image of one size, with the number of its class."""

    images: np.ndarray
    """uint8 [N, H, W, 3]."""
    labels: np.ndarray
    """int64 [N], 0..K-1."""

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class LabelledSource:
    """A data set as opened."""

    name: str
    classes: tuple[str, ...]
    splits: Mapping[str, Labelled]
    """"train", and "val" or "test" or both where the data has them."""
    files: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)
    """The file of each image of a split, where each is a file of its own."""


def open_labelled(path: str | Path, max_megapixels: float = MAX_MEGAPIXELS) -> LabelledSource:
    """Open a data set by its name, or a folder of labelled images, in whichever form it is.

    Parquet: ``train*.parquet`` and the like, in the folder or its ``data/``, with a column of images (encoded, as bytes
    or as {bytes, path}) and one of whole-number labels. CIFAR's binary version: ``data_batch_*.bin`` and
    ``test_batch.bin``, or ``train.bin`` and ``test.bin``. SVHN's cropped digits: ``train_32x32.mat`` and
    ``test_32x32.mat``, the numbers of the classes being the digits. Folders: one per class, with or without ``train``,
    ``val``, ``test`` above them. Image files that decode to more than ``max_megapixels`` are refused.

    Raises:
        DataError: if it is none of these, a file is damaged (named, with the reason), an image has another size,
            there is only one class, or the name of one is not plain (``files.is_plain``).
    """
    root = Path(path)
    known = data_set(path)
    source = _by_name(known, max_megapixels) if known is not None else _of_folder(root, max_megapixels)
    for name, split in source.splits.items():
        if not len(split):
            raise DataError(f"{root}: the {name} split has no images")
    if len(source.classes) < 2:
        only = f" ({source.classes[0]})" if source.classes else ""
        raise DataError(f"{root} has {len(source.classes)} class{only}; a classifier needs at least two to tell apart")
    return source


def _by_name(known: DataSet, max_megapixels: float) -> LabelledSource:
    source = open_as(LabelledSource, known, Asked(max_megapixels=max_megapixels), "classification")
    for name, split in source.splits.items():
        images, labels = split.images, split.labels
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3:
            found = f"{images.dtype} {list(images.shape)}"
            raise DataError(f"{known.name}: the images of {name} must be uint8 [N, H, W, 3], found {found}")
        if labels.dtype != np.int64 or labels.shape != images.shape[:1]:
            found = f"{labels.dtype} {list(labels.shape)} for {len(images)} images"
            raise DataError(f"{known.name}: the labels of {name} must be int64 [N], found {found}")
        if strange := sorted({*labels.tolist()} - {*range(len(source.classes))}):
            raise DataError(f"{known.name}: {name} has labels {strange[:5]}; expected 0..{len(source.classes) - 1}")
    return source


def _of_folder(root: Path, max_megapixels: float) -> LabelledSource:
    if not root.is_dir():
        raise DataError(
            f"{root} is not a folder; give one with parquet files, CIFAR's .bin files, SVHN's .mat files, or a folder "
            f"per class, or {known_by_name('classification')}"
        )
    form, files = form_of(root)
    if form == "parquet":
        with quiet_pillow():
            source = _parquet(root, files, max_megapixels)
    elif form == "mat":
        source = _svhn(root)
    elif form == "bin":
        source = _binary(root, files)
    elif form == "pickled":
        raise DataError(
            f"{files[0]} is of CIFAR's Python version, which is pickled: opening it would run whatever is in it. "
            "Get the binary version (cifar-10-binary.tar.gz, cifar-100-binary.tar.gz), or the parquet files"
        )
    else:
        source = _folders(root, max_megapixels)
    return source


def image_files(path: str | Path) -> list[Path]:
    """The image files that :func:`open_labelled` reads; none where the images lie in files of another form, or it would
    refuse the folder without a look at them."""
    root = Path(path)
    if not root.is_dir() or form_of(root)[0] != "folders":
        return []
    try:
        layout = class_layout(root)
    except DataError:
        return []
    return [file for _, classes in layout.values() for files in classes.values() for file in files]


def form_of(root: Path) -> tuple[Literal["parquet", "mat", "bin", "pickled", "folders"], list[Path]]:
    """The form of a data set, and the files that tell it."""
    parquet = sorted([*root.glob("*.parquet"), *root.glob("data/*.parquet")])
    if any(split_of(file.stem) for file in parquet) or (parquet and not files_below(root, IMAGE_SUFFIXES)):
        return "parquet", parquet
    if digits := sorted(root.glob("*_32x32.mat")):
        return "mat", digits
    if binary := sorted(root.rglob("*.bin")):
        return "bin", binary
    if pickled := sorted(p for p in root.rglob("data_batch_*") if not p.suffix):
        return "pickled", pickled
    return "folders", []


# ---- parquet


def _parquet(root: Path, files: Sequence[Path], max_megapixels: float) -> LabelledSource:
    try:
        reader = importlib.import_module("pyarrow.parquet")  # not everyone needs it
    except ImportError as error:
        raise DataError("parquet files need pyarrow, not installed here: pip install 'wholenet[parquet]'") from error
    parts: dict[str, list[Labelled]] = {}
    names: tuple[str, ...] | None = None
    for file in files:
        split = split_of(file.stem)
        if split is None:
            raise DataError(f"{file}: the name of a parquet file begins with train, val or test; this one does not")
        try:
            check_rows(reader.read_metadata(file), file)
            table = reader.read_table(file)
        except DataError:
            raise
        except Exception as error:  # pyarrow's own errors have no common base but this
            raise DataError(f"{file} cannot be read as parquet: {error}") from error
        images = _column(table.column_names, IMAGE_COLUMNS, file)
        labels = _column(table.column_names, LABEL_COLUMNS, file)
        named = _names_in(table.schema.metadata, labels, file)
        if names is not None and named != names:
            raise DataError(f"{file} names other classes than {files[0]}")
        names = named
        values = enumerate(table[images].to_pylist())
        pictures = _stacked((_decoded(value, f"{file}, row {i}", max_megapixels) for i, value in values), file)
        parts.setdefault(split, []).append(Labelled(pictures, _whole_numbers(table[labels].to_pylist(), file)))
    splits = {split: _joined(some, root) for split, some in parts.items()}
    return LabelledSource(root.name, _class_names(names, splits, root), splits)


def check_rows(metadata: Any, file: Path) -> None:
    """Refuse a file that would fill the memory: one that is hardly there packs what is said a billion times.

    Raises:
        DataError: naming what the file declares.
    """
    size = sum(metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))
    if metadata.num_rows > MAX_ROWS or size > max(1 << 30, MAX_PACKED * file.stat().st_size):
        raise DataError(
            f"{file} declares {metadata.num_rows:,} rows of {size:,} bytes in all, in a file of "
            f"{file.stat().st_size:,}; expected at most {MAX_ROWS:,} rows, and images, which are packed already"
        )


def _column(found: Sequence[str], wanted: Sequence[str], file: Path) -> str:
    for name in wanted:
        if name in found:
            return name
    masks = [name for name in found if name in MASK_COLUMNS]
    what = f"; {masks[0]} seems to hold masks, which --task segmentation reads" if masks else ""
    raise DataError(f"{file} has columns {', '.join(found)}; expected one of {', '.join(wanted)}{what}")


def _names_in(metadata: Mapping[bytes, bytes] | None, column: str, file: Path) -> tuple[str, ...]:
    """Class names that the data set's public release writes into its schema; none where it does not."""
    text = (metadata or {}).get(b"huggingface")
    if text is None:
        return ()
    try:
        found: Any = parse_json(text.decode())
    except ValueError as error:
        raise DataError(f"{file}: the description in its schema cannot be read: {error}") from error
    for key in ("info", "features", column, "names"):
        found = found.get(key) if isinstance(found, dict) else None
    if found is None:
        return ()
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise DataError(f"{file}: its classes are called {shown(found)}; expected a list of names")
    return _plain(found, file)


def _decoded(value: Any, where: str, max_megapixels: float) -> np.ndarray:
    content = value.get("bytes") if isinstance(value, dict) else value
    if not isinstance(content, bytes):
        raise DataError(f"{where}: the image is {type(content).__name__}; expected the bytes of an image file")
    return read_image(where, max_megapixels, content)


def _whole_numbers(values: Sequence[Any], file: Path) -> np.ndarray:
    for i, value in enumerate(values):
        if type(value) is not int or value < 0:
            raise DataError(f"{file}, row {i}: label {value!r}; expected a whole number from 0")
    return np.array(values, dtype=np.int64)


# ---- CIFAR's binary version


def _binary(root: Path, files: Sequence[Path]) -> LabelledSource:
    """CIFAR-10: a label and 3072 bytes per image. CIFAR-100: a coarse and a fine label before them."""
    hundred = any(file.name == "train.bin" for file in files)
    skipped = 2 if hundred else 1
    parts: dict[str, list[Labelled]] = {}
    for file in files:
        split = "test" if file.name.startswith("test") else "train"
        if not file.name.startswith(("data_batch", "test", "train")):
            raise DataError(
                f"{file}: not a file of CIFAR's binary version (data_batch_1.bin, test_batch.bin, train.bin)"
            )
        record = skipped + 3 * CIFAR_SIDE**2
        content = np.frombuffer(file.read_bytes(), np.uint8)
        if not len(content) or len(content) % record:
            raise DataError(
                f"{file} has {len(content)} bytes; expected a multiple of {record}, the size of a CIFAR-"
                f"{100 if hundred else 10} image with its label. It is cut short, or something else"
            )
        rows = content.reshape(-1, record)
        pixels = rows[:, skipped:].reshape(-1, 3, CIFAR_SIDE, CIFAR_SIDE).transpose(0, 2, 3, 1)
        parts.setdefault(split, []).append(
            Labelled(np.ascontiguousarray(pixels), rows[:, skipped - 1].astype(np.int64))
        )
    splits = {split: _joined(some, root) for split, some in parts.items()}
    table = next((f for n in ("fine_label_names.txt", "batches.meta.txt") for f in sorted(root.rglob(n))), None)
    names = _plain(read_text(table).split(), table) if table else () if hundred else CIFAR10_CLASSES
    return LabelledSource(root.name, _class_names(names, splits, root), splits)


# ---- SVHN's MATLAB files


def _svhn(root: Path) -> LabelledSource:
    """The cropped digits (format 2 of its authors)."""
    try:
        reader = importlib.import_module("scipy.io")  # not everyone needs it
    except ImportError as error:
        raise DataError("SVHN's .mat files need scipy, not installed here: pip install 'wholenet[mat]'") from error
    files = {split: root / name for split, name in SVHN_FILES.items() if (root / name).is_file()}
    if "train" not in files:
        raise DataError(
            f"{root} has {', '.join(f.name for f in sorted(root.glob('*_32x32.mat')))} and no {SVHN_FILES['train']}"
        )
    return LabelledSource(root.name, SVHN_CLASSES, {split: _digits(reader, file) for split, file in files.items()})


def _digits(reader: ModuleType, file: Path) -> Labelled:
    """``X`` uint8 [32, 32, 3, N] and ``y`` [N, 1], in which 10 stands for the digit 0."""
    try:
        found = reader.loadmat(file, variable_names=("X", "y"))
    except NotImplementedError as error:  # MATLAB 7.3 writes HDF5, which scipy does not read
        raise DataError(
            f"{file} is of MATLAB's version 7.3; expected version 5, as SVHN's authors publish it. Get their file, or "
            "save this one again with MATLAB's -v7"
        ) from error
    except Exception as error:  # a damaged file fails anywhere: in scipy, in zlib, for want of memory
        raise DataError(f"{file} cannot be read as a MATLAB file: {error}") from error
    if missing := [name for name in ("X", "y") if name not in found]:
        raise DataError(f"{file} has no variable {' and no '.join(missing)}; expected the images X and the labels y")
    images, labels = found["X"], found["y"]
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[:3] != (CIFAR_SIDE, CIFAR_SIDE, 3):
        raise DataError(f"{file}: X is {images.dtype} {list(images.shape)}; expected uint8 [32, 32, 3, N]")
    if labels.dtype.kind not in "iu" or labels.shape != (images.shape[3], 1):
        raise DataError(
            f"{file}: y is {labels.dtype} {list(labels.shape)}; expected whole numbers [{images.shape[3]}, 1], one for "
            "each image of X"
        )
    digits = labels[:, 0].astype(np.int64)
    wrong = np.flatnonzero((digits < 1) | (digits > 10))
    if len(wrong):
        raise DataError(
            f"{file}, image {wrong[0]}: label {labels[wrong[0], 0]}; expected 1 to 10, which is the digit 0"
        )
    return Labelled(np.ascontiguousarray(images.transpose(3, 0, 1, 2)), digits % 10)


# ---- a folder per class


def _folders(root: Path, max_megapixels: float) -> LabelledSource:
    layout = class_layout(root)
    top, classes = layout["train"]
    names = _plain(list(classes), top)
    splits, paths = {}, {}
    for split, (top, found) in layout.items():
        if unknown := sorted(set(found) - set(names)):
            raise DataError(f"{top} has the class {unknown[0]!r}, which train does not have")
        files = [(file, names.index(name)) for name, some in found.items() for file in some]
        paths[split] = tuple(file for file, _ in files)
        images = _stacked((read_image(file, max_megapixels) for file in paths[split]), top, paths[split])
        splits[split] = Labelled(images, np.array([label for _, label in files], dtype=np.int64))
    return LabelledSource(root.name, names, splits, paths)


# ---- shared


def _plain(names: Sequence[str], where: Path) -> tuple[str, ...]:
    """The names of the classes.

    Raises:
        DataError: if one could not stand in a line.
    """
    if wrong := [name for name in names if not is_plain(name)]:
        raise DataError(
            f"{where}: a class is called {shown(wrong[0])}; a name has no control characters, and is text in UTF-8: "
            "rename it"
        )
    return tuple(normalize("NFC", name) for name in names)


def _stacked(images: Iterable[np.ndarray], where: Path, names: Sequence[Path] = ()) -> np.ndarray:
    listed = list(images)
    sizes = Counter(image.shape[:2] for image in listed)
    if len(sizes) > 1:
        (usual, _), *_ = sizes.most_common()
        i, other = next((i, image.shape[:2]) for i, image in enumerate(listed) if image.shape[:2] != usual)
        name = names[i] if names else f"{where}, row {i}"
        raise DataError(
            f"{name} is {other[0]}x{other[1]}, most images are {usual[0]}x{usual[1]}; they must all have one size: "
            "resize them first"
        )
    return np.stack(listed) if listed else np.zeros((0, CIFAR_SIDE, CIFAR_SIDE, 3), np.uint8)


def _joined(parts: Sequence[Labelled], root: Path) -> Labelled:
    sizes = {part.images.shape[1:3] for part in parts}
    if len(sizes) > 1:
        raise DataError(f"{root}: the files of one split hold images of the sizes {sorted(sizes)}; expected one size")
    return Labelled(np.concatenate([p.images for p in parts]), np.concatenate([p.labels for p in parts]))


def _class_names(names: tuple[str, ...] | None, splits: Mapping[str, Labelled], root: Path) -> tuple[str, ...]:
    """``names``, or numbers where there are none.

    Raises:
        DataError: if there is no train split, or a label has no name.
    """
    if "train" not in splits:
        raise DataError(f"{root} has no train split; found {', '.join(sorted(splits))}")
    largest = max((int(split.labels.max()) for split in splits.values() if len(split)), default=-1)
    if not names:
        return tuple(str(i) for i in range(largest + 1))
    if largest >= len(names):
        raise DataError(
            f"{root}: a label is {largest}, but only {len(names)} classes have names ({', '.join(names[:9])})"
        )
    return names
