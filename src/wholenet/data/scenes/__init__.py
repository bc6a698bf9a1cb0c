"""The built-in data set ``scenes``: street scenes drawn on the fly, with a perfect mask each, nothing to download."""

from wholenet.data.scenes.classes import CLASSES
from wholenet.data.scenes.dataset import Scenes, open_scenes
from wholenet.data.scenes.scene import draw_scene

__all__ = ["CLASSES", "Scenes", "draw_scene", "open_scenes"]
