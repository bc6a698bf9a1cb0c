"""The data set ``scenes``: street scenes drawn on the fly, with a perfect mask each, nothing to download.

It comes with wholenet, which knows it as it knows the data set of anybody else: importing this registers it.
"""

import wholenet
from wholenet.data.sets import DataSet
from wholenet_scenes.classes import CLASSES
from wholenet_scenes.dataset import Scenes, open_scenes
from wholenet_scenes.scene import draw_scene

__all__ = ["CLASSES", "SCENES", "Scenes", "draw_scene", "open_scenes"]

SCENES = DataSet(name="scenes", open=lambda asked: open_scenes(asked.seed), told="drawn, the built-in data")

wholenet.register(SCENES)
