"""The real images that an exported network is compared on."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from wholenet.data.detect import open_data
from wholenet.data.opening import MAX_MEGAPIXELS
from wholenet.data.sets import BUILT_IN, data_set
from wholenet.data.splits import evenly_spaced
from wholenet.deploy.score import open_for
from wholenet.deploy.segmenter import TrainedModel
from wholenet.search.run_folder import RunFolder

COUNT = 3


def real_images(model: TrainedModel, where: str | Path | None, data: str | Path | None) -> list[np.ndarray]:
    """A few images of ``data``; without it, of the data of the run in ``where``, if that is there, or the scenes.

    Raises:
        DataError: for ``data`` that cannot be read.
    """
    limit = MAX_MEGAPIXELS
    if data is None and where is not None and (Path(where) / "config.yaml").is_file():
        named, limit = RunFolder(where).fit_config.data, RunFolder(where).fit_config.max_megapixels
        data = named if data_set(named) is not None or Path(named).is_dir() else None  # it may be on another machine
    # The built-in scenes are pictures to look at; their classes do not matter.
    source = open_data(BUILT_IN) if data is None else open_for(model, str(data), limit)
    some = evenly_spaced(source.splits["val"], COUNT)
    return [some[i].image for i in range(len(some))]
