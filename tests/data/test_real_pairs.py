"""Two real pairs, where Debian's packages that hold them are installed (or unpacked, by `dpkg -x`, below the folder
that DEBIAN_ROOT names): read, looked at and matched."""

import os
import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from wholenet.data.stereo.disparity_files import read_disparity
from wholenet.data.stereo.review import review_stereo
from wholenet.tasks.disparity_floors import floors_of, known_of

ROOT = Path(os.environ.get("DEBIAN_ROOT", "/"))


class Pair(NamedTuple):
    """Files of a package, and what they are known to hold."""

    package: str
    folder: str
    files: tuple[str, str, str]
    scale: float | None
    size: tuple[int, int]
    unknown: float
    largest: float
    median_error: float
    filled_error: float
    """Of block matching without the columns at the left that OpenCV leaves out: more than with them."""


PAIRS = {
    "motorcycle": Pair(
        "python3-skimage",
        "usr/lib/python3/dist-packages/skimage/data",
        ("motorcycle_left.png", "motorcycle_right.png", "motorcycle_disp.npz"),
        None,
        (500, 741),
        0.0735,
        59.91,
        14.79,
        1.92,
    ),
    "aloe": Pair(
        "opencv-doc",
        "usr/share/doc/opencv-doc/examples/data",
        ("aloeL.jpg", "aloeR.jpg", "aloeGT.png"),
        1.0,
        (1110, 1282),
        0.0345,
        211,
        20.95,
        3.63,
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_a_real_pair_is_read_is_found_in_order_and_has_its_floors(name, tmp_path):
    pair = PAIRS[name]
    files = [ROOT / pair.folder / file for file in pair.files]
    if missing := [path for path in files if not path.is_file()]:
        pytest.skip(f"the package {pair.package} is not installed: {missing[0]} is not there")
    for split in ("train", "val"):
        for side, path in zip(("left", "right", "disparity"), files, strict=True):
            (tmp_path / split / side).mkdir(parents=True)
            shutil.copy(path, tmp_path / split / side / f"{name}{path.suffix}")
    truth = read_disparity(tmp_path / "val" / "disparity" / f"{name}{files[2].suffix}", pair.scale)
    assert truth.shape == pair.size
    assert np.isnan(truth).mean() == pytest.approx(pair.unknown, abs=5e-5)
    assert np.nanmax(truth) == pytest.approx(pair.largest, abs=0.005)
    found = review_stereo(tmp_path, scale=pair.scale)
    assert [finding.kind for finding in found.findings if finding.severity != "note"] == ["in-train-and-val"]
    assert found.source is not None
    floors = floors_of(known_of(found.source.splits["train"]), found.source.splits["val"])
    assert floors.median.all.epe == pytest.approx(pair.median_error, abs=0.005)
    assert floors.sgbm_matched is not None
    assert floors.sgbm_matched.epe < floors.sgbm.all.epe < pair.filled_error
