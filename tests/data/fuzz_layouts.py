"""Kinds of good and damaged layouts for ``fuzz.py``: several files for one image, tables, folders of patients."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
from annotated import NAMES, taken
from fuzz_outlines import Row
from PIL import Image


def truth(name: str) -> np.ndarray:
    """As in ``fuzz.py``."""
    mask = np.ones((40, 48), np.uint8)
    number = int(name[1:])
    mask[: 12 + number] = 0
    mask[24:34, 4 + 2 * number : 20 + 2 * number] = 2
    return mask


EVERYONE = [*(f"t{i}" for i in range(6)), *(f"v{i}" for i in range(3))]


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


# ---- a mask for each object


def as_objects(root: Path) -> None:
    """masks/<split>/<name>_<class>.png"""
    for split, image, mask in taken(root):
        for label, name in enumerate(NAMES):
            save(root / "masks" / split / f"{image.stem}_{name}.png", np.where(mask == label, 255, 0).astype(np.uint8))


def object_of_t1(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], None]:
    def damage(root: Path) -> None:
        as_objects(root)
        path = root / "masks/train/t1_road.png"
        save(path, change(np.array(Image.open(path))))

    return damage


def two_raters(root: Path) -> None:
    """masks/<split>/<name>_car_<rater>.png"""
    for split, image, mask in taken(root):
        for rater in (1, 2):
            save(root / "masks" / split / f"{image.stem}_car_{rater}.png", np.where(mask == 2, 255, 0).astype(np.uint8))
    (root / "classes.json").write_text('["background", "car"]')


def three_values(pixels: np.ndarray) -> np.ndarray:
    changed = pixels.copy()
    changed[0, :5] = 128
    return changed


OBJECTS: dict[str, Row] = {
    "masks of objects, their classes in their names": Row(as_objects, "fine"),
    "masks of objects that overlap": Row(
        object_of_t1(lambda pixels: np.full_like(pixels, 255)),
        "fine",
        masks={"t1": np.where(truth("t1") == 2, 2, np.where(truth("t1") == 0, 0, 1)).astype(np.uint8)},
    ),
    "masks of two people for each image": Row(
        two_raters,
        "warning",
        ("9 masks in which objects share more than 50% of their pixels", "masks of one thing by several people"),
        masks={name: (truth(name) == 2).astype(np.uint8) for name in EVERYONE},
    ),
    "mask of an object with three values": Row(
        object_of_t1(three_values),
        "error",
        ("1 mask cannot be used", "3 values (0, 128, 255)", "masks/train/t1_road.png", "one other value"),
    ),
    "mask of an object, of another size": Row(
        object_of_t1(lambda pixels: pixels[1:]),
        "error",
        ("39x48, and the image 40x48", "masks/train/t1_road.png", "one size"),
    ),
    "mask of an object, damaged": Row(
        lambda r: (as_objects(r), (r / "masks/train/t1_road.png").write_bytes(b"no picture")),
        "error",
        ("cannot be read as an image", "masks/train/t1_road.png"),
    ),
}


# ---- a folder for each patient


def as_patients(root: Path) -> None:
    """<split>/<name>/image.png and mask.png"""
    for split, image, mask in taken(root):
        folder = root / split / image.stem
        save(folder / "mask.png", mask)
        image.rename(folder / "image.png")


def as_labelme_masks(root: Path) -> None:
    """<split>/<name>_json/ with what labelme_json_to_dataset writes."""
    for split, image, mask in taken(root):
        folder = root / split / f"{image.stem}_json"
        save(folder / "label.png", mask)
        save(folder / "label_viz.png", 80 * mask)
        (folder / "label_names.txt").write_text("\n".join(NAMES))
        image.rename(folder / "img.png")


PATIENTS: dict[str, Row] = {
    "a folder for each patient, with image.png and mask.png": Row(
        as_patients, "fine", masks={f"{name}__image": truth(name) for name in EVERYONE}
    ),
    "a folder for each patient, a mask of another size": Row(
        lambda r: (as_patients(r), save(r / "train/t1/mask.png", truth("t1")[1:])),
        "error",
        ("train/t1/image.png is 40x48 but its mask", "39x48"),
    ),
    "folders that labelme_json_to_dataset wrote": Row(
        as_labelme_masks,
        "fine",
        ("6 pictures left out that show others to people", "label_viz.png"),
        masks={f"{name}_json__img": truth(name) for name in EVERYONE},
    ),
    "folders that labelme_json_to_dataset wrote, a label in some images only": Row(
        lambda r: (as_labelme_masks(r), (r / "train/t1_json/label_names.txt").write_text("\n".join(NAMES[::2]))),
        "error",
        ("counts the labels of each image anew", "t1_json/label_names.txt", "JSON files"),
    ),
}


# ---- nnU-Net


def as_nnunet(root: Path) -> None:
    """imagesTr/<name>_0000.png, <name>_0001.png and labelsTr/<name>.png"""
    for _, image, mask in taken(root):
        pixels = np.array(Image.open(image))
        for band in range(2):
            save(root / "imagesTr" / f"{image.stem}_{band:04}.png", pixels[..., band])
        save(root / "labelsTr" / f"{image.stem}.png", mask)
        image.unlink()
    for folder in (root / "images/train", root / "images/val", root / "images"):
        folder.rmdir()


def volumes(root: Path) -> None:
    as_nnunet(root)
    for path in [*root.glob("*Tr/*.png")]:
        path.rename(path.with_suffix(".nii.gz"))


NNUNET: dict[str, Row] = {
    "nnU-Net, two channels": Row(as_nnunet, "fine"),
    "nnU-Net, an image of one channel among others": Row(
        lambda r: (as_nnunet(r), (r / "imagesTr/t1_0001.png").unlink()),
        "error",
        ("1 image of 8-bit RGB, where 8 are of 2 bands of uint8", "t1_0000.png"),
    ),
    "nnU-Net, a channel left out": Row(
        lambda r: (as_nnunet(r), (r / "imagesTr/t1_0001.png").rename(r / "imagesTr/t1_0002.png")),
        "error",
        ("1 image whose channels are not numbered from 0", "t1 (0000, 0002)"),
    ),
    "nnU-Net, channels of two sizes": Row(
        lambda r: (as_nnunet(r), save(r / "imagesTr/t1_0001.png", truth("t1")[1:])),
        "error",
        ("a channel of 39x48", "imagesTr/t1_0001.png", "one size and one type"),
    ),
    "nnU-Net, volumes": Row(volumes, "error", ("nii.gz is a volume of slices", "python -c", "imagesTr/*.nii.gz")),
}


# ---- Roboflow


def as_roboflow(root: Path, car: str = "car") -> None:
    """<split>/<name>.png, <name>_mask.png and _classes.csv"""
    for split, image, mask in taken(root):
        folder = root / {"val": "valid"}.get(split, split)
        save(folder / f"{image.stem}_mask.png", mask)
        image.rename(folder / image.name)
        last = car if split == "val" else "car"
        (folder / "_classes.csv").write_text(f"Pixel Value, Class\n0, sky\n1, road\n2, {last}\n")
    (root / "classes.json").unlink()


ROBOFLOW: dict[str, Row] = {
    "Roboflow's masks": Row(as_roboflow, "fine"),
    "Roboflow's masks, other classes in val": Row(
        lambda r: as_roboflow(r, "lorry"), "error", ("two tables of classes that differ", "valid/_classes.csv")
    ),
}


# ---- parquet


def as_parquet(root: Path, change: Callable[[list[dict[str, object]]], object] = len) -> None:
    """data/<split>-00000-of-00001.parquet, with columns of images and masks."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows: dict[str, list[dict[str, object]]] = {}
    for split, image, mask in taken(root):
        content = io.BytesIO()
        Image.fromarray(mask).save(content, "PNG")
        one = {"image": {"bytes": image.read_bytes()}, "annotation": {"bytes": content.getvalue()}}
        rows.setdefault(split, []).append(one)
        image.unlink()
    change(rows["train"])
    (root / "data").mkdir()
    for split, some in rows.items():
        pq.write_table(pa.Table.from_pylist(some), root / "data" / f"{split}-00000-of-00001.parquet")


def cell_of_t1(column: str, content: object) -> Callable[[Path], None]:
    return lambda root: as_parquet(root, lambda rows: rows[1].update({column: content}))


PARQUET: dict[str, Row] = {
    "parquet, images with masks": Row(
        as_parquet,
        "fine",
        masks={
            f"{split}-00000-of-00001-{i:06}": truth(f"{split[0]}{i}")
            for split, count in (("train", 6), ("val", 3))
            for i in range(count)
        },
    ),
    "parquet, a row without mask": Row(
        cell_of_t1("annotation", None), "error", ("1 row without mask", "train-00000-of-00001.parquet, row 1, image")
    ),
    "parquet, a row without image": Row(
        cell_of_t1("image", None), "error", ("1 image cannot be used: its cell holds NoneType", "row 1, image")
    ),
    "parquet, a damaged image": Row(
        cell_of_t1("image", {"bytes": b"no picture"}), "error", ("cannot be read as an image", "row 1, image")
    ),
    "parquet, cut short": Row(
        lambda r: (as_parquet(r), (r / "data/train-00000-of-00001.parquet").write_bytes(b"PAR1")),
        "error",
        ("train-00000-of-00001.parquet cannot be read as parquet",),
    ),
}

LAYOUTS: dict[str, Row] = {**OBJECTS, **PATIENTS, **NNUNET, **ROBOFLOW, **PARQUET}
