"""The masks of a small data set, images/<split> with masks/<split>, written as outlines of objects in other formats.

Every mask is sky above road, with cars that are rectangles on it; the files say the same.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

NAMES = ("sky", "road", "car")
IDS = (3, 7, 20)
"""Of categories, with gaps."""
Box = tuple[int, int, int, int]
"""Left, upper, right, lower edge."""


def boxes_of(mask: np.ndarray) -> list[tuple[int, Box]]:
    """(Class, rectangle) of each object; what is on the road after it."""
    height, width = mask.shape
    top = int((mask[:, 0] == 0).sum())
    rows, columns = np.nonzero(mask == 2)
    found: list[tuple[int, Box]] = [(0, (0, 0, width, top)), (1, (0, top, width, height))]
    if len(rows):
        found.append((2, (int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1)))
    return found


def corners(box: Box) -> list[float]:
    left, upper, right, lower = box
    return [left, upper, right, upper, right, lower, left, lower]


def taken(root: Path) -> Iterator[tuple[str, Path, np.ndarray]]:
    """(Split, image, mask) of each pair; the masks are taken out of the data set."""
    found = []
    for path in sorted(root.glob("masks/*/*.png")):
        with Image.open(path) as opened:
            found.append((path.parent.name, root / "images" / path.parent.name / path.name, np.array(opened)))
    shutil.rmtree(root / "masks")
    yield from found


# ---- COCO


def polygon(mask: np.ndarray, box: Box) -> Any:
    return [corners(box)]


def counts_of(inside: np.ndarray) -> list[int]:
    """Down the columns: so many pixels outside, so many inside, ..."""
    flat = inside.T.ravel()
    ends = [0, *(np.flatnonzero(np.diff(flat)) + 1).tolist(), flat.size]
    return [0] * bool(flat[0]) + [b - a for a, b in pairwise(ends)]


def runs(mask: np.ndarray, box: Box) -> Any:
    inside = np.zeros(mask.shape, bool)
    inside[box[1] : box[3], box[0] : box[2]] = True
    return {"size": list(mask.shape), "counts": counts_of(inside)}


def compressed(mask: np.ndarray, box: Box) -> Any:
    found = runs(mask, box)
    return {**found, "counts": text_of(found["counts"])}


def text_of(counts: Sequence[int]) -> str:
    """As COCO writes them, with Python's numbers, which have a sign and no end."""
    out = ""
    for i, count in enumerate(counts):
        value = count - counts[i - 2] if i > 2 else count
        while True:
            group, value = value & 31, value >> 5
            done = value == (-1 if group & 16 else 0)
            out += chr(48 + (group if done else group | 32))
            if done:
                break
    return out


def as_coco(root: Path, drawn: Callable[[np.ndarray, Box], Any] = polygon) -> None:
    """annotations/instances_<split>.json"""
    splits: dict[str, dict[str, list[Any]]] = {}
    for split, image, mask in taken(root):
        whole = splits.setdefault(split, {"images": [], "annotations": [], "categories": []})
        height, width = mask.shape
        key = 100 + len(whole["images"])
        whole["images"].append({"id": key, "file_name": image.name, "height": height, "width": width})
        for label, box in boxes_of(mask)[::-1]:
            one = {"id": len(whole["annotations"]), "image_id": key, "category_id": IDS[label], "iscrowd": 0}
            whole["annotations"].append({**one, "segmentation": drawn(mask, box)})
    (root / "annotations").mkdir()
    for split, whole in splits.items():
        whole["categories"] = [{"id": i, "name": name} for i, name in zip(IDS, NAMES, strict=True)]
        (root / "annotations" / f"instances_{split}.json").write_text(json.dumps(whole))


def change_json(path: Path, change: Callable[[Any], object]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


# ---- one file for each image


def as_yolo(root: Path) -> None:
    """labels/<split>/<name>.txt and data.yaml"""
    for split, image, mask in taken(root):
        height, width = mask.shape
        lines = []
        for label, box in boxes_of(mask)[::-1]:
            shares = [v / (height if i % 2 else width) for i, v in enumerate(corners(box))]
            lines.append(" ".join(map(str, [label, *shares])))
        path = root / "labels" / split / f"{image.stem}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n")
    (root / "data.yaml").write_text(f"train: ../images/train\nval: ../images/val\nnames: [{', '.join(NAMES)}]\n")


def as_labelme(root: Path) -> None:
    """<name>.json beside each image; cars as rectangles of two corners, in any order."""
    for _, image, mask in taken(root):
        shapes = []
        for label, box in boxes_of(mask):
            points = np.reshape(corners(box), (-1, 2)).tolist()
            kind, points = ("rectangle", points[2::-2]) if label == 2 else ("polygon", points)
            shapes.append({"label": NAMES[label], "points": points, "shape_type": kind, "group_id": None, "flags": {}})
        content = {"version": "5.4.1", "flags": {}, "shapes": shapes, "imagePath": image.name, "imageData": None}
        content |= {"imageHeight": mask.shape[0], "imageWidth": mask.shape[1]}
        image.with_suffix(".json").write_text(json.dumps(content))


def as_cvat(root: Path) -> None:
    """annotations.xml; cars as masks, listed first and with a higher z_order."""
    labels = "".join(f"<label><name>{name}</name><color>#0{i + 1}0000</color></label>" for i, name in enumerate(NAMES))
    images = ""
    for number, (split, image, mask) in enumerate(taken(root)):
        height, width = mask.shape
        shapes = ""
        for label, box in boxes_of(mask)[::-1]:
            left, upper, right, lower = box
            place = f'label="{NAMES[label]}" occluded="0" source="manual" z_order="{label // 2}"'
            if label == 2:
                size = f'left="{left}" top="{upper}" width="{right - left}" height="{lower - upper}"'
                shapes += f'<mask {place} rle="0, {(right - left) * (lower - upper)}" {size}></mask>'
            else:
                points = ";".join(f"{x:.2f},{y:.2f}" for x, y in np.reshape(corners(box), (-1, 2)))
                shapes += f'<polygon {place} points="{points}"></polygon>'
        size = f'width="{width}" height="{height}"'
        images += f'<image id="{number}" name="{split}/{image.name}" {size}>{shapes}</image>\n'
    (root / "annotations.xml").write_text(
        '<?xml version="1.0" encoding="utf-8"?>\n<annotations><version>1.1</version><meta><job><labels>'
        f"{labels}</labels></job></meta>\n{images}</annotations>\n"
    )
