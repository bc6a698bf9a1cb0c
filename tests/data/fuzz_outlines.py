"""Kinds of damaged and odd annotations for ``fuzz.py``: what is done to the good data set, what comes of it, and what
must be said."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from annotated import as_coco, as_cvat, as_labelme, as_yolo, change_json, compressed, runs


class Row(NamedTuple):
    """As ``fuzz.Kind`` has them."""

    damage: Callable[[Path], object]
    outcome: Literal["error", "warning", "fine"]
    says: tuple[str, ...] = ()
    masks: Mapping[str, np.ndarray] = {}


T1 = 1
"""The place of the image t1 in the list of train's."""


# ---- COCO


def coco(change: Callable[[Any], object], split: str = "train") -> Callable[[Path], None]:
    def damage(root: Path) -> None:
        as_coco(root)
        change_json(root / "annotations" / f"instances_{split}.json", change)

    return damage


def car_of_t1(whole: dict[str, Any]) -> dict[str, Any]:
    """t1 has three annotations after the three of t0; the car is first."""
    return whole["annotations"][3 * T1]


def car(**changes: object) -> Callable[[Path], None]:
    return coco(lambda whole: car_of_t1(whole).update(changes))


def moved(whole: dict[str, Any]) -> None:
    points = car_of_t1(whole)["segmentation"][0]
    points[0] += 500


def truth_without_car() -> np.ndarray:
    """Of t1."""
    mask = np.ones((40, 48), np.uint8)
    mask[:13] = 0
    return mask


def rename_category(whole: dict[str, Any]) -> None:
    whole["categories"][2]["name"] = "lorry"


def coco_text(content: str) -> Callable[[Path], None]:
    def damage(root: Path) -> None:
        as_coco(root)
        (root / "annotations" / "instances_train.json").write_text(content)

    return damage


COCO: dict[str, Row] = {
    "COCO, polygons": Row(as_coco, "fine"),
    "COCO, run lengths": Row(lambda r: as_coco(r, runs), "fine"),
    "COCO, compressed run lengths": Row(lambda r: as_coco(r, compressed), "fine"),
    "COCO, a crowd, which lies below other objects": Row(car(iscrowd=1), "fine", (), {"t1": truth_without_car()}),
    "COCO, JSON cut short": Row(
        coco_text('{"images": [{"id": 1,'),
        "error",
        ("instances_train.json", "cannot be read", "Export them again"),
    ),
    "COCO, without annotations": Row(
        coco_text('{"images": [], "categories": []}'),
        "error",
        ("instances_train.json", "has images, categories", '"annotations"'),
    ),
    "COCO, panoptic": Row(
        coco(lambda whole: whole.update(annotations=[{"image_id": 100, "segments_info": []}])),
        "error",
        ("panoptic segmentation", "panoptic2semantic_segmentation.py"),
    ),
    "COCO, two files for train": Row(
        lambda r: (as_coco(r), shutil.copy(r / "annotations/instances_train.json", r / "instances_train.json")),
        "error",
        ("could all list the images of train", "Keep one of them"),
    ),
    "COCO, two images of one id": Row(
        coco(lambda whole: whole["images"][T1].update(id=100)),
        "error",
        ("needs an id of its own", "t1.png"),
    ),
    "COCO, outline outside the image": Row(
        coco(moved),
        "error",
        ("1 outline outside the image", "annotation 3 of t1.png", "expected 0 to 48", "resized"),
    ),
    "COCO, outlines for another size": Row(
        coco(lambda whole: whole["images"][T1].update(height=80, width=96)),
        "error",
        ("t1.png is 40x48", "outlines for an image of 80x96", "Export the annotations"),
    ),
    "COCO, unknown category": Row(
        car(category_id=4),
        "error",
        ("1 object of a category that is not listed", "t1.png", "category_id 4"),
    ),
    "COCO, category of val that train does not list": Row(
        coco(rename_category, "val"),
        "error",
        ("3 objects of a category that is not listed", "lorry in v0.png", "the file of train does not list"),
    ),
    "COCO, image listed but absent": Row(
        lambda r: (as_coco(r), (r / "images/train/t1.png").unlink()),
        "error",
        ("1 image listed without a file", "t1.png"),
    ),
    "COCO, image not listed": Row(
        lambda r: (as_coco(r), shutil.copy(r / "images/train/t1.png", r / "images/train/t9.png")),
        "warning",
        ("1 image beside those that are listed, left out", "t9.png"),
    ),
    "COCO, fewer than three points": Row(
        car(segmentation=[[1, 1, 9, 9]]),
        "error",
        ("1 outline that cannot be drawn", "t1.png", "2 points"),
    ),
    "COCO, coordinates NaN": Row(
        car(segmentation=[[1, 1, 9, float("nan"), 3, 3]]),
        "error",
        ("1 outline that cannot be drawn", "a coordinate is nan"),
    ),
    "COCO, a lone x": Row(
        car(segmentation=[[1, 1, 9, 9, 3, 3, 4]]),
        "error",
        ("1 outline that cannot be drawn", "7 numbers, which are no pairs"),
    ),
    "COCO, boxes alone": Row(
        car(segmentation=[], bbox=[1, 1, 8, 8]),
        "error",
        ("1 object without an outline", "Export polygons or masks instead of boxes"),
    ),
    "COCO, run lengths of another size": Row(
        car(segmentation={"size": [20, 24], "counts": [480]}),
        "error",
        ("1 outline that cannot be drawn", "run lengths of size [20, 24] for an image of [40, 48]"),
    ),
    "COCO, run lengths too short": Row(
        car(segmentation={"size": [40, 48], "counts": [4, 5]}),
        "error",
        ("1 outline that cannot be drawn", "run lengths of 9 pixels for an image of 40x48"),
    ),
    "COCO, run lengths damaged": Row(
        car(segmentation={"size": [40, 48], "counts": "`n"}),
        "error",
        ("1 outline that cannot be drawn", "within a number"),
    ),
    "COCO, of an image that is not listed": Row(
        car(image_id=7),
        "error",
        ("1 outline that cannot be drawn", "image_id 7, which is not listed"),
    ),
    "COCO, class file of a name that is none": Row(
        lambda r: (as_coco(r), (r / "classes.json").write_text(json.dumps(["sky", "street"]))),
        "error",
        ("classes.json: no annotation is of 'street'", "background, sky, road, car"),
    ),
}


# ---- YOLO


def yolo(line: str, name: str = "t1") -> Callable[[Path], None]:
    """With one more line in a label file."""

    def damage(root: Path) -> None:
        as_yolo(root)
        with (root / f"labels/train/{name}.txt").open("a") as file:
            file.write(f"{line}\n")

    return damage


def yolo_yaml(content: str) -> Callable[[Path], None]:
    def damage(root: Path) -> None:
        as_yolo(root)
        (root / "data.yaml").write_text(content)

    return damage


YOLO: dict[str, Row] = {
    "YOLO, polygons": Row(as_yolo, "fine"),
    "YOLO, names by their numbers": Row(yolo_yaml("nc: 3\nnames: {0: sky, 1: road, 2: car}\n"), "fine"),
    "YOLO, list of names cut short": Row(yolo_yaml("names: [sky,"), "error", ("data.yaml", "cannot be read")),
    "YOLO, another number of names": Row(
        yolo_yaml("nc: 4\nnames: [sky, road, car]\n"), "error", ("nc is 4", "3 names")
    ),
    "YOLO, boxes": Row(
        yolo("2 0.5 0.5 0.1 0.1"),
        "error",
        ("1 object without an outline", "labels/train/t1.txt:4", "Boxes say where"),
    ),
    "YOLO, unknown class": Row(
        yolo("3 0.5 0.5 0.6 0.5 0.6 0.6"),
        "error",
        ("1 object of a category that is not listed", "t1.txt:4", "class 3; listed: 0 to 2"),
    ),
    "YOLO, coordinates in pixels": Row(
        yolo("2 5 5 6 5 6 6"),
        "error",
        ("1 outline outside the image", "t1.txt:4", "x is 6; expected 0 to 1"),
    ),
    "YOLO, coordinates NaN": Row(
        yolo("2 0.5 nan 0.6 0.5 0.6 0.6"),
        "error",
        ("1 outline that cannot be drawn", "t1.txt:4", "a coordinate is nan"),
    ),
    "YOLO, fewer than three points": Row(yolo("2 0.5 0.5 0.6 0.6 0.6"), "error", ("cannot be drawn", "no pairs")),
    "YOLO, words in a line": Row(yolo("2 a b c d e f"), "error", ("1 outline that cannot be drawn", "t1.txt:4")),
    "YOLO, label file for no image": Row(
        lambda r: (as_yolo(r), shutil.copy(r / "labels/train/t1.txt", r / "labels/train/t9.txt")),
        "error",
        ("1 label file without image", "t9.txt"),
    ),
    "YOLO, image without a label file": Row(
        lambda r: (as_yolo(r), (r / "labels/train/t1.txt").unlink()),
        "warning",
        ("1 image without a label file, taken for background throughout", "t1.png", "an empty label file"),
        {"t1": np.full((40, 48), 255, np.uint8)},  # by the class file, which names no background
    ),
    "YOLO, label file that is no text": Row(
        lambda r: (as_yolo(r), (r / "labels/train/t1.txt").write_bytes(b"\xff\xfe\0")),
        "error",
        ("1 label file that cannot be read", "t1.txt", "UTF-8"),
    ),
}

# ---- LabelMe


def labelme(change: Callable[[Any], object]) -> Callable[[Path], None]:
    """With another file of t1, in which the car comes last."""

    def damage(root: Path) -> None:
        as_labelme(root)
        change_json(root / "images/train/t1.json", change)

    return damage


def car_shape(**changes: object) -> Callable[[Path], None]:
    return labelme(lambda content: content["shapes"][2].update(changes))


def disc(height: int = 40, width: int = 48) -> np.ndarray:
    """The mask of t1 with a circle around (20, 30) through (24, 33) instead of the car."""
    y, x = np.mgrid[:height, :width] + 0.5
    return np.where((x - 20) ** 2 + (y - 30) ** 2 <= 25, 2, truth_without_car()).astype(np.uint8)


LABELME: dict[str, Row] = {
    "LabelMe, polygons and rectangles": Row(as_labelme, "fine"),
    "LabelMe, a circle": Row(car_shape(shape_type="circle", points=[[20, 30], [24, 33]]), "fine", masks={"t1": disc()}),
    "LabelMe, a line": Row(
        car_shape(shape_type="linestrip"),
        "error",
        (
            "1 shape of a type that covers no area",
            "t1.json: shape 3",
            "'linestrip'; expected polygon, rectangle, circle or mask",
        ),
    ),
    "LabelMe, a rectangle of one point": Row(
        car_shape(points=[[1, 1]]), "error", ("1 outline that cannot be drawn", "a rectangle of 1 points; expected 2")
    ),
    "LabelMe, points that are none": Row(car_shape(points="all"), "error", ("cannot be drawn", "points are 'all'")),
    "LabelMe, outline outside the image": Row(
        car_shape(points=[[1, 1], [70, 9]]), "error", ("1 outline outside the image", "x is 70; expected 0 to 48")
    ),
    "LabelMe, label that labels.txt does not list": Row(
        lambda r: (car_shape(label="lorry")(r), (r / "labels.txt").write_text("__ignore__\nsky\nroad\ncar\n")),
        "error",
        ("1 object of a category that is not listed", "t1.json: shape 3", "'lorry'; labels.txt does not list it"),
    ),
    "LabelMe, image without a file of its own": Row(
        lambda r: (as_labelme(r), (r / "images/train/t1.json").unlink()),
        "error",
        ("1 image without a file of outlines", "t1.png", "a file without shapes says that there is none"),
    ),
    "LabelMe, file without an image": Row(
        lambda r: (as_labelme(r), (r / "images/train/t1.png").unlink()),
        "error",
        ("1 label file without image", "t1.json"),
    ),
    "LabelMe, file cut short": Row(
        lambda r: (as_labelme(r), (r / "images/train/t1.json").write_text('{"shapes": [')),
        "error",
        ("1 label file that cannot be read", "t1.json", "JSON"),
    ),
    "LabelMe, file of something else": Row(
        lambda r: (as_labelme(r), (r / "images/train/t1.json").write_text('{"taken": "May"}')),
        "error",
        ("1 label file that cannot be read", 'no list of "shapes"'),
    ),
}


# ---- CVAT


def cvat(*changes: tuple[str, str]) -> Callable[[Path], None]:
    def damage(root: Path) -> None:
        as_cvat(root)
        path = root / "annotations.xml"
        text = path.read_text()
        for old, new in changes:
            assert old in text
            text = text.replace(old, new, 1)
        path.write_text(text)

    return damage


CVAT: dict[str, Row] = {
    "CVAT, polygons and masks": Row(as_cvat, "fine"),
    "CVAT, XML cut short": Row(
        cvat(("</annotations>", "")),
        "error",
        ("annotations.xml: these annotations cannot be read", "Export them again"),
    ),
    "CVAT, XML with entities": Row(
        cvat(("<annotations>", '<!DOCTYPE a [<!ENTITY b "c">]><annotations>')),
        "error",
        ("annotations.xml: these annotations cannot be read", "it defines a document type or entities"),
    ),
    "CVAT for video": Row(
        cvat(("</annotations>", '<track id="0" label="car"/></annotations>')),
        "error",
        ('has tracks, as "CVAT for video" has', 'export as "CVAT for images"'),
    ),
    "CVAT, a box": Row(
        cvat(("</image>", '<box label="car" xtl="1" ytl="1" xbr="9" ybr="9"/></image>')),
        "error",
        ("1 object without an outline", "train/t0.png', shape 4"),
    ),
    "CVAT, an ellipse": Row(
        cvat(("</image>", '<ellipse label="car" cx="1" cy="1" rx="9" ry="9"/></image>')),
        "error",
        ("1 shape of a type", "ellipse; expected polygon or mask"),
    ),
    "CVAT, unknown label": Row(
        cvat(('polygon label="road"', 'polygon label="street"')),
        "error",
        ("1 object of a category that is not listed", "label 'street'"),
    ),
    "CVAT, points that are none": Row(
        cvat(('points="0.00,0.00;', 'points="a,b;')), "error", ("1 outline that cannot be drawn", "points are 'a,b;")
    ),
    "CVAT, mask of another size": Row(
        cvat(('rle="0, 160"', 'rle="0, 161"')), "error", ("run lengths of 161 pixels for a rectangle of 10x16",)
    ),
    "CVAT, mask outside the image": Row(
        cvat(('left="4"', 'left="40"')), "error", ("1 outline outside the image", "it ends at x 56")
    ),
    "CVAT, image listed but absent": Row(
        lambda r: (as_cvat(r), (r / "images/train/t1.png").unlink()),
        "error",
        ("1 image listed without a file", "train/t1.png"),
    ),
}

OUTLINES: dict[str, Row] = {**COCO, **YOLO, **LABELME, **CVAT}
