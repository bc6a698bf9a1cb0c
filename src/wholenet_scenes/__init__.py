"""The data sets ``scenes`` and ``scenes-stereo``: street scenes drawn on the fly, nothing to download.

In the one each has a perfect mask; in the other two eyes see it, and each pair has its exact disparity.

They come with wholenet, which knows them as it knows the data set of anybody else: importing this registers them.
"""

import wholenet
from wholenet.data.sets import DataSet
from wholenet_scenes.classes import CLASSES
from wholenet_scenes.dataset import ScenePairs, Scenes, open_scene_pairs, open_scenes
from wholenet_scenes.pairs import draw_pair
from wholenet_scenes.scene import draw_scene

__all__ = [
    "CLASSES",
    "SCENES",
    "SCENES_STEREO",
    "ScenePairs",
    "Scenes",
    "draw_pair",
    "draw_scene",
    "open_scene_pairs",
    "open_scenes",
]

SCENES = DataSet(name="scenes", open=lambda asked: open_scenes(asked.seed), told="drawn, the built-in data")
SCENES_STEREO = DataSet(
    name="scenes-stereo", open=lambda asked: open_scene_pairs(asked.seed), task="stereo", told="drawn, built-in pairs"
)

wholenet.register(SCENES)
wholenet.register(SCENES_STEREO)
