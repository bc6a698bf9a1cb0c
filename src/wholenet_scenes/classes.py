"""The eleven classes of a scene."""

from __future__ import annotations

from wholenet.data.sample import Classes

CLASSES = Classes(
    names=(
        "sky",
        "building",
        "road",
        "pavement",
        "vegetation",
        "car",
        "person",
        "pole",
        "sign",
        "traffic light",
        "bicycle",
    ),
    colors=(
        (70, 130, 180),
        (92, 86, 96),
        (128, 64, 128),
        (244, 35, 232),
        (107, 142, 35),
        (20, 40, 160),
        (220, 20, 60),
        (190, 190, 190),
        (240, 220, 0),
        (250, 150, 30),
        (130, 20, 40),
    ),
)
# As in most road data: a bicycle's class includes its rider, a tree's its trunk, a road's its markings.
SKY, BUILDING, ROAD, PAVEMENT, VEGETATION, CAR, PERSON, POLE, SIGN, TRAFFIC_LIGHT, BICYCLE = range(len(CLASSES))
