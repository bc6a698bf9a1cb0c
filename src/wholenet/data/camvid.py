"""CamVid's eleven classes, as the SegNet version of the data set numbers them; 11 is unlabelled."""

from __future__ import annotations

from wholenet.data.sample import IGNORE, Classes

_CLASSES = {
    "sky": (128, 128, 128),
    "building": (128, 0, 0),
    "pole": (192, 192, 128),
    "road": (128, 64, 128),
    "pavement": (60, 40, 222),
    "tree": (128, 128, 0),
    "sign": (192, 128, 128),
    "fence": (64, 64, 128),
    "car": (64, 0, 128),
    "pedestrian": (64, 64, 0),
    "bicyclist": (0, 128, 192),
}

CAMVID = Classes(tuple(_CLASSES), tuple(_CLASSES.values()), ignore_values=(11, IGNORE))
