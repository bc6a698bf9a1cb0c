"""Data sets of four kinds that people have, made here, to see what `wholenet fit FOLDER` alone makes of each.

    python benchmarks/kinds.py OUT
    wholenet fit OUT/walls
    wholenet fit OUT/fields
    wholenet fit OUT/parts
    wholenet fit OUT/slices

- ``walls``: grey microscope images of thin walls between cells, 24 to train on and 6 to score on, masks of 0 and 255.
- ``fields``: scenes of four 16-bit bands as TIFF (the fourth is near infrared), masks of five classes and an ignored
  one, no split.
- ``parts``: photographs of several shapes as JPEG, with polygons of three categories in COCO's JSON.
- ``slices``: float images of two channels in nnU-Net's folders; the smallest of three classes is rare.

What can be seen does not give the answer away: brightness drifts, noise is strong, textures of classes overlap. The
same seed makes the same files.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tifffile
from numpy.random import Generator
from numpy.typing import NDArray

Map = NDArray[np.float32]


def smooth(rng: Generator, height: int, width: int, scale: float) -> Map:
    """A random surface from 0 to 1 whose hills are about ``scale`` pixels wide."""
    rows, columns = max(2, round(height / scale)), max(2, round(width / scale))
    coarse = rng.random((rows, columns)).astype(np.float32)
    found = np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)
    return (found - found.min()) / max(float(np.ptp(found)), 1e-6)


def regions(rng: Generator, height: int, width: int, count: int, bend: float) -> NDArray[np.int64]:
    """Which of ``count`` random points is the nearest, with borders that are bent by about ``bend`` pixels."""
    points = rng.random((count, 2)) * (height, width)
    at = np.indices((height, width), np.float32).transpose(1, 2, 0)
    at += bend * np.stack([smooth(rng, height, width, 24) - 0.5 for _ in range(2)], axis=-1)
    squared = ((at[:, :, None] - points.astype(np.float32)) ** 2).sum(axis=-1)
    return squared.argmin(axis=-1)


def noisy(rng: Generator, image: Map, spread: float) -> Map:
    """With normal noise of that standard deviation."""
    return image + rng.normal(0.0, spread, image.shape).astype(np.float32)


def blurred(image: NDArray[Any], spread: float) -> Map:
    """As a lens does."""
    return np.asarray(cv2.GaussianBlur(image.astype(np.float32), (0, 0), spread), np.float32)


# ---- walls


def walls(out: Path, rng: Generator) -> None:
    """``OUT/images/{train,val}`` and ``OUT/masks/{train,val}``."""
    for split, count in (("train", 24), ("val", 6)):
        for index in range(count):
            image, mask = _walls(rng)
            write(out / "images" / split / f"section {index + 1:02}.png", image)
            write(out / "masks" / split / f"section {index + 1:02}.png", mask)


def _walls(rng: Generator, side: int = 512) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    cells = regions(rng, side, side, int(rng.integers(60, 110)), bend=18)
    edge = np.zeros((side, side), np.uint8)
    edge[:, 1:] |= (cells[:, 1:] != cells[:, :-1]).astype(np.uint8)
    edge[1:] |= (cells[1:] != cells[:-1]).astype(np.uint8)
    wall = cv2.dilate(edge, np.ones((3, 3), np.uint8))
    inside = 0.35 + 0.15 * rng.random(cells.max() + 1).astype(np.float32)[cells]
    inside += 0.15 * (smooth(rng, side, side, 7) - 0.5)
    stained = 0.30 * blurred(wall, 1.2) * (0.4 + 0.6 * smooth(rng, side, side, 60))
    image = inside + stained
    for _ in range(int(rng.integers(150, 300))):  # granules, as bright as walls
        centre = tuple(int(value) for value in rng.integers(0, side, 2))
        cv2.circle(image, centre, int(rng.integers(1, 4)), float(rng.uniform(0.55, 0.8)), -1)
    image = noisy(rng, blurred(image, 0.8), 0.06) + 0.25 * (smooth(rng, side, side, 250) - 0.5)
    return bytes_of(image), 255 * wall


# ---- fields

SOIL, CROP, FOREST, WATER, ROAD, UNKNOWN = 0, 1, 2, 3, 4, 255
REFLECTED = np.array(
    [[0.22, 0.20, 0.18, 0.28], [0.08, 0.13, 0.07, 0.45], [0.05, 0.09, 0.05, 0.35], [0.06, 0.08, 0.09, 0.03]]
    + [[0.24, 0.23, 0.22, 0.25]],
    np.float32,
)
"""Of red, green, blue and near infrared, by class."""


def fields(out: Path, rng: Generator, count: int = 60, side: int = 256) -> None:
    """``OUT/images``, ``OUT/masks`` and ``OUT/classes.json``."""
    for index in range(count):
        plots = regions(rng, side, side, int(rng.integers(10, 24)), bend=6)
        kinds = rng.choice([SOIL, CROP, FOREST, WATER], plots.max() + 1, p=[0.3, 0.4, 0.2, 0.1]).astype(np.uint8)
        mask = kinds[plots]
        for _ in range(int(rng.integers(1, 3))):
            ends = rng.integers(0, side, (3, 2)).astype(np.int32)
            cv2.polylines(mask, [ends], False, ROAD, int(rng.integers(3, 6)))
        bands = REFLECTED[mask]
        bands *= 1 + 0.5 * (rng.random(plots.max() + 1).astype(np.float32)[plots] - 0.5)[..., None]
        bands *= 1 + 0.4 * (smooth(rng, side, side, 4) - 0.5)[..., None]
        bands *= float(rng.uniform(0.7, 1.2))  # haze and sun
        mask[smooth(rng, side, side, 90) > 0.93] = UNKNOWN
        bands[mask == UNKNOWN] = 0.8  # a cloud
        scaled = np.clip(10000 * noisy(rng, blurred(bands, 0.7), 0.015), 0, 65535).astype(np.uint16)
        path = out / "images" / f"tile_{index:03}.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(path, scaled, photometric="minisblack", planarconfig="contig")
        write(out / "masks" / f"tile_{index:03}.png", mask)
    names = ["soil", "crop", "forest", "water", "road"]
    (out / "classes.json").write_text(json.dumps(names))


# ---- parts

CATEGORIES = {3: "bolt", 7: "nut", 12: "washer"}


def parts(out: Path, rng: Generator) -> None:
    """``OUT/{train,val}`` and ``OUT/annotations/instances_{train,val}.json``."""
    for split, count in (("train", 90), ("val", 25)):
        images, annotations = [], []
        for index in range(count):
            height, width = [(240, 320), (320, 240), (300, 300)][int(rng.integers(3))]
            image, outlines = _parts(rng, height, width)
            name = f"IMG_{1000 + index}.jpg"
            write(out / split / name, image)
            images.append({"id": 50 + index, "file_name": name, "height": height, "width": width})
            for category, polygons in outlines:
                made = {"id": len(annotations) + 1, "image_id": 50 + index, "category_id": category, "iscrowd": 0}
                flat = [[round(float(value), 1) for value in polygon.ravel()] for polygon in polygons]
                whole = np.concatenate(polygons)
                low, high = whole.min(axis=0), whole.max(axis=0)
                box = [float(low[0]), float(low[1]), *(float(value) for value in high - low)]
                annotations.append({**made, "segmentation": flat, "bbox": box, "area": box[2] * box[3]})
        categories = [{"id": number, "name": name} for number, name in CATEGORIES.items()]
        found = {"images": images, "annotations": annotations, "categories": categories}
        path = out / "annotations" / f"instances_{split}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(found))


def _parts(rng: Generator, height: int, width: int) -> tuple[NDArray[np.uint8], list[tuple[int, list[Map]]]]:
    tint = rng.uniform(0.3, 0.6, 3).astype(np.float32)
    image = (
        tint
        + 0.2 * (smooth(rng, height, width, 5) - 0.5)[..., None]
        + 0.3 * (smooth(rng, height, width, 80) - 0.5)[..., None]
    )
    found = []
    for _ in range(int(rng.integers(3, 8))):
        category = int(rng.choice(list(CATEGORIES)))
        radius = float(rng.uniform(12, 30))
        centre = rng.uniform((radius, radius), (width - radius, height - radius))
        polygons = _outline(category, radius, float(rng.uniform(0, 2 * np.pi)), centre)
        metal = np.full(3, rng.uniform(0.4, 0.75), np.float32) + rng.normal(0, 0.03, 3).astype(np.float32)
        part = np.zeros((height, width), np.uint8)
        for polygon in polygons:  # one by one: where two overlap there is no hole
            cv2.fillPoly(part, [np.round(polygon).astype(np.int32)], 1)
        shade = 0.3 * (smooth(rng, height, width, 15) - 0.5)
        image = np.where(part[..., None] > 0, metal + shade[..., None], image)
        found.append((category, polygons))
    image = noisy(rng, blurred(image, 0.9), 0.04)
    return bytes_of(image), found


def _outline(category: int, radius: float, turn: float, centre: NDArray[np.float64]) -> list[Map]:
    """A bolt is a head and a shank; a nut has six corners and a washer is round, and what is in the middle of both is
    left to the outline: people draw the outside.
    """

    def around(corners: int) -> Map:
        angles = np.linspace(0, 2 * np.pi, corners, endpoint=False)
        return np.stack([np.cos(angles), np.sin(angles)], axis=-1).astype(np.float32)

    if category == 3:
        head = 0.5 * around(6) + (-0.6, 0)
        shank = np.array([[-0.4, -0.2], [1.0, -0.2], [1.0, 0.2], [-0.4, 0.2]], np.float32)
        shapes = [head, shank]
    else:
        shapes = [0.8 * around(6 if category == 7 else 40)]
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]], np.float32)
    return [(radius * shape @ rotation + centre).astype(np.float32) for shape in shapes]


# ---- slices


def slices(out: Path, rng: Generator, count: int = 48, side: int = 192) -> None:
    """``OUT/imagesTr``, a file for each channel, ``OUT/labelsTr`` and ``OUT/dataset.json``."""
    for name in ("imagesTr", "labelsTr"):
        (out / name).mkdir(parents=True, exist_ok=True)
    for index in range(count):
        channels, mask = _slice(rng, side)
        for number, channel in enumerate(channels):
            tifffile.imwrite(out / "imagesTr" / f"case_{index:03}_{number:04}.tif", channel)
        tifffile.imwrite(out / "labelsTr" / f"case_{index:03}.tif", mask)
    facts = {
        "channel_names": {"0": "T1", "1": "T2"},
        "labels": {"background": 0, "organ": 1, "vessel": 2, "lesion": 3},
        "numTraining": count,
        "file_ending": ".tif",
    }
    (out / "dataset.json").write_text(json.dumps(facts, indent=1))


def _slice(rng: Generator, side: int) -> tuple[list[Map], NDArray[np.uint8]]:
    mask = np.zeros((side, side), np.uint8)
    rows, columns = np.mgrid[:side, :side].astype(np.float32)
    bend = 14 * (smooth(rng, side, side, 30) - 0.5)

    def oval(centre: NDArray[np.float64], radii: tuple[float, float]) -> NDArray[np.bool_]:
        return ((rows - centre[0] + bend) / radii[0]) ** 2 + ((columns - centre[1] + bend) / radii[1]) ** 2 < 1

    body = oval(np.array([side / 2, side / 2]), (0.44 * side, 0.38 * side))
    organ = oval(rng.uniform(0.4 * side, 0.6 * side, 2), (rng.uniform(24, 36), rng.uniform(30, 44)))
    mask[organ & body] = 1
    for _ in range(int(rng.integers(2, 5))):
        vessel = oval(rng.uniform(0.25 * side, 0.75 * side, 2), (rng.uniform(4, 8), rng.uniform(4, 8)))
        mask[vessel & body] = 2
    inside = np.argwhere(mask == 1)
    if rng.random() < 0.6:
        size = float(rng.uniform(4, 9))
        mask[oval(inside[int(rng.integers(len(inside)))].astype(float), (size, size)) & (mask == 1)] = 3
    drift = 1 + 0.4 * (smooth(rng, side, side, 150) - 0.5)
    levels = (np.array([110, 150, 95, 140], np.float32), np.array([90, 105, 190, 150], np.float32))
    channels = []
    for level in levels:
        tissue = np.where(body, level[mask] + 25 * (smooth(rng, side, side, 9) - 0.5), 4.0)
        channels.append(noisy(rng, blurred(drift * tissue, 0.9), 9.0))
    return channels, mask


# ---- files


def bytes_of(image: NDArray[Any]) -> NDArray[np.uint8]:
    """From 0 to 1, as 0 to 255."""
    return np.round(255 * np.clip(image, 0, 1)).astype(np.uint8)


def write(path: Path, image: NDArray[np.uint8]) -> None:
    """As the kind of file that its name ends with."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), image):
        raise OSError(f"{path} could not be written")


KINDS = {"walls": walls, "fields": fields, "parts": parts, "slices": slices}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    for position, (name, make) in enumerate(KINDS.items()):
        make(asked.out / name, np.random.default_rng((asked.seed, position)))
        print(asked.out / name)
