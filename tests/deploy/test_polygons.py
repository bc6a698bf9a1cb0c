"""Polygons cover exactly the pixels of their class: other programs' fill gives the mask back."""

import json
from itertools import pairwise

import numpy as np
import pytest
from matplotlib.path import Path as Outline

from wholenet.data.sample import Classes
from wholenet.deploy.polygons import regions, to_geojson, write_polygons

CLASSES = Classes(("a", "b", "c"), ((255, 0, 0), (0, 255, 0), (0, 0, 255)))


def filled(collection):
    """The mask that a reader who fills even-odd makes of it: a pixel belongs where the edges to its left are odd in
    number; -1 where no polygon lies, or two."""
    height, width = collection["image"]["height"], collection["image"]["width"]
    mask, covered = np.full((height, width), -1), np.zeros((height, width), int)
    for feature in collection["features"]:
        edges = np.zeros((height, width + 1), int)
        for ring in feature["geometry"]["coordinates"]:
            for (x, y), (next_x, next_y) in pairwise(ring):
                assert x == next_x or y == next_y
                if x == next_x:
                    edges[min(y, next_y) : max(y, next_y), x] += 1
        inside = edges.cumsum(1)[:, :-1] % 2 == 1
        assert inside.sum() == feature["properties"]["pixels"]
        mask[inside] = feature["properties"]["class_index"]
        covered += inside
    mask[covered != 1] = -1
    return mask


def masks():
    rng = np.random.default_rng(0)
    yield rng.integers(0, 3, (1, 1), dtype=np.uint8)
    yield rng.integers(0, 3, (1, 17), dtype=np.uint8)
    yield rng.integers(0, 3, (40, 31), dtype=np.uint8)  # single pixels, corners that touch, holes in holes
    yield np.kron(rng.integers(0, 3, (9, 7)), np.ones((4, 5), int)).astype(np.uint8)
    yield (np.add.outer(np.arange(12), np.arange(13)) % 2).astype(np.uint8)
    rings = np.maximum(*np.meshgrid(abs(np.arange(15) - 7), abs(np.arange(15) - 7)))
    yield (rings // 2 % 2).astype(np.uint8)
    diagonal = np.zeros((6, 6), np.uint8)
    diagonal[1:5, 1:5] = 1
    diagonal[2, 2] = diagonal[3, 3] = diagonal[4, 4] = 2  # two holes and the outside meet at corners
    yield diagonal


@pytest.mark.parametrize("mask", list(masks()), ids=lambda mask: "x".join(map(str, mask.shape)))
def test_filled_polygons_give_the_mask_back(mask):
    assert np.array_equal(filled(to_geojson(mask, CLASSES, "x.png")), mask)


@pytest.mark.parametrize("mask", list(masks()), ids=lambda mask: "x".join(map(str, mask.shape)))
def test_rings_are_closed_meet_no_point_twice_and_turn_as_the_standard_says(mask):
    for region in regions(mask):
        for number, ring in enumerate(region.rings):
            assert ring[0].tolist() == ring[-1].tolist()
            corners = [tuple(corner) for corner in ring[:-1].tolist()]
            assert len(set(corners)) == len(corners) >= 4
            x, y = ring.T.astype(int)
            area = (x[:-1] * y[1:] - x[1:] * y[:-1]).sum() / 2
            assert (area > 0) == (number == 0)
        areas = [abs((r[:-1, 0] * r[1:, 1] - r[1:, 0] * r[:-1, 1]).sum()) / 2 for r in region.rings]
        assert areas[0] - sum(areas[1:]) == region.pixels


def test_another_programs_fill_agrees():
    mask = np.kron(np.random.default_rng(1).integers(0, 3, (6, 8)), np.ones((3, 3), int)).astype(np.uint8)
    rows, columns = np.mgrid[: mask.shape[0], : mask.shape[1]]
    centres = np.column_stack([columns.ravel() + 0.5, rows.ravel() + 0.5])
    back = np.full(mask.shape, -1)
    for feature in to_geojson(mask, CLASSES, "x")["features"]:
        rings = feature["geometry"]["coordinates"]
        codes = [code for r in rings for code in [Outline.MOVETO, *[Outline.LINETO] * (len(r) - 2), Outline.CLOSEPOLY]]
        inside = Outline([corner for r in rings for corner in r], codes).contains_points(centres)
        back[inside.reshape(mask.shape)] = feature["properties"]["class_index"]
    assert np.array_equal(back, mask)


def test_pixels_that_touch_at_a_corner_are_two_regions_and_a_hole_is_a_hole():
    mask = np.zeros((5, 6), np.uint8)
    mask[1, 1] = mask[2, 2] = 1
    found = list(regions(mask))
    assert [(region.train_id, region.pixels, len(region.rings)) for region in found] == [
        (0, 28, 3),
        (1, 1, 1),
        (1, 1, 1),
    ]
    assert found[1].rings[0][:-1].tolist() in ([[1, 1], [2, 1], [2, 2], [1, 2]],)


def test_the_file_is_geojson_with_names_and_sizes(tmp_path):
    write_polygons(tmp_path / "a.geojson", np.full((4, 7), 2, np.uint8), CLASSES, "a.jpg")
    content = json.loads((tmp_path / "a.geojson").read_text())
    assert content["type"] == "FeatureCollection"
    assert (content["image"]["height"], content["image"]["width"], content["image"]["name"]) == (4, 7, "a.jpg")
    (feature,) = content["features"]
    assert feature["properties"] == {"class": "c", "class_index": 2, "pixels": 28}
    assert feature["geometry"] == {"type": "Polygon", "coordinates": [[[0, 0], [7, 0], [7, 4], [0, 4], [0, 0]]]}
