"""Spaces of images with masks with every method of the registry: each trains, is finished, loads and predicts, or is
refused with the names of those that go."""

import math

import numpy as np

import wholenet
from run_files import records
from toy import TOY
from wholenet.search.config import grid_methods
from wholenet.search.methods import METHODS

ONE = {"epochs": 1, "device": "cpu", "threads": 1, "warmup_share": 0.0, "search_share": 1.0}
MASKS = ONE | {"batch": 4, "crop": "32x32"}
OF_SPACE = {
    "grid": {"size": "nano", **MASKS},
    "kernels": {**TOY, "width": 2, "layers": 1, **MASKS},
}
GRID = grid_methods()


def check(out) -> None:
    """What a finished run is: finite, loaded, asked, and not trained again."""
    before = records(out)
    assert all(math.isfinite(record["loss"]) for record in before)
    assert wholenet.load(out, device="cpu").predict(np.zeros((16, 16, 3), np.uint8)) is not None
    wholenet.resume(out)
    assert records(out) == before


def test_masks_with_every_method_train_or_say_what_goes(toy, discs, tmp_path):
    """Of the methods that the two spaces take, the toy space trains all whose rule of stopping fits its epochs, and the
    grid DARTS' (test_grid_methods.py has the others)."""
    for space in ("grid", "kernels"):
        for method in METHODS:
            out, options = tmp_path / f"{space}-{method}", OF_SPACE[space]
            if space == "grid" and method in GRID and method != "darts":
                continue
            said = None
            try:
                wholenet.fit(discs, out, method=method, **options)
            except ValueError as error:
                said = str(error)
            if said is None:
                assert method in GRID
                check(out)
                continue
            assert not out.exists()
            if METHODS[method].parts.get("stopping"):
                assert "give more epochs, or another rule" in said
            else:
                assert method not in GRID
                assert set(GRID) == set(said.split("there are: ")[1].split(", "))
