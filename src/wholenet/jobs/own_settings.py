"""The settings of our own spaces and tasks by name: options of the command line. Imports no torch: networks are
elsewhere, and what others register brings its own.

The settings of the grid and of the cell spaces are fields of the configs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wholenet.jobs.language_settings import LanguageSettings
from wholenet.jobs.stereo_settings import StereoSettings
from wholenet.spaces.autodeeplab.settings import AutoDeepLabSettings
from wholenet.spaces.autodispnet.settings import AutoDispNetSettings
from wholenet.spaces.dense_settings import DenseGridSettings
from wholenet.spaces.recurrent.settings import RecurrentSettings

OF_SPACES: Mapping[str, type[Any]] = {
    "dense-grid": DenseGridSettings,
    "autodeeplab": AutoDeepLabSettings,
    "recurrent": RecurrentSettings,
    "autodispnet": AutoDispNetSettings,
}
OF_TASKS: Mapping[str, type[Any]] = {"language": LanguageSettings, "stereo": StereoSettings}
