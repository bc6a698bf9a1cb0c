"""Every search space with every method of the registries: each is trained for two steps, finished, continued, loaded,
asked and scored, or refused in one sentence that says what goes.

Of the cell spaces, NAS-Bench-201, whose networks are smallest, has all methods, each also stopped after its first step,
and the others two each (DARTS, whose eight operations cost most, one): what a method does is the same on all of them,
and they differ in the table of operations alone; but the spaces of DARTS' cells keep their edges otherwise, so S2 also
has those that choose in ways of their own, and one whose genotype is trained anew.
All other pairs of a cell space and a method are trained by `make learning` (slow).
On images with masks the toy space has the methods whose rule of stopping fits its epochs, and the
grid DARTS' (test_grid_methods.py has the others). On pairs a toy space has three
methods, and AutoDispNet's what comes after a search.
"""

import math
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import toy_pairs
import wholenet
import wholenet.cells.search as search_module
from run_files import records, stop_after
from toy import TOY
from wholenet.search.cell_config import cell_config
from wholenet.search.config import grid_methods
from wholenet.search.early_stopping import RULES, StoppingRule
from wholenet.search.methods import METHODS
from wholenet.spaces.catalog import SPACES
from wholenet.spaces.cell_family import family_of

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


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    toy_pairs.register()
    yield toy_pairs.write_pairs(tmp_path_factory.mktemp("pairs"), (16, 32))
    toy_pairs.forget()


@pytest.mark.parametrize("method", ["darts", "sdarts-rs", "beta-darts"])
def test_pairs_with_a_method(method, pairs, tmp_path):
    options = ONE | {
        "batch": 2,
        "lr": 0.01,
        "optimizer": "sgd",
        "gradient": METHODS[method].parts.get("gradient", "second-order"),
    }
    wholenet.fit(pairs, tmp_path / "run", task="stereo", space=toy_pairs.NAME, method=method, **options)
    assert math.isfinite(records(tmp_path / "run")[-1]["epe"])


def test_pairs_on_autodispnet_are_searched_cut_and_trained_anew(pairs, tmp_path):
    tiny = ONE | {"task": "stereo", "size": "tiny", "width": 2, "displacement": 2, "batch": 2}
    wholenet.fit(pairs, tmp_path / "run", **tiny, steps_per_epoch=1)
    wholenet.decode(tmp_path / "run", tmp_path / "cells.yaml")
    del tiny["warmup_share"], tiny["search_share"]
    wholenet.fit(pairs, tmp_path / "cells", **tiny, genotype=str(tmp_path / "cells.yaml"))
    before = records(tmp_path / "cells")
    wholenet.resume(tmp_path / "cells")
    assert records(tmp_path / "cells") == before
    model = wholenet.load(tmp_path / "cells", device="cpu")
    assert model.network.discrete
    found = model.predict(*[np.zeros((20, 37, 3), np.uint8)] * 2)
    assert found.shape == (20, 37)
    assert (found >= 0).all()


WHOLE, CHOOSES = "nb201", "s2"
"""The cell space that has nearly all methods, and that which has those that choose in ways of their own."""
CELLS = [name for name, space in SPACES.items() if "classification" in space.tasks]
REFUSED = {"da2s": "keeps all of them"}
"""Of the first, what it has not that a method needs."""
PAIRS = [(WHOLE, method) for method in METHODS if method not in REFUSED]
PAIRS += [
    (space, method)
    for space in CELLS
    if space not in (WHOLE, "darts", "dots")
    for method in ("sdarts-rs", "single-stage")
]
PAIRS += [("darts", "beta-darts")]
PAIRS += [("dots", "beta-darts")]  # by darts: tests/cells/test_dots_runs.py
PAIRS += [
    (CHOOSES, method)
    for method in ("random-ws", "fair-darts", "darts-pt", "pc-darts", "darts-minus", "r-darts-l2", *REFUSED)
]
TINY = {
    "cells": 3,
    "topology_epochs": 1,
    "side": 8,
    "shift": 1,
    "images": 12,
    "epochs": 1,
    "val_every": 9,
    "device": "cpu",
    "threads": 1,
}
TINY |= {"retrain_epochs": 1, "checkpoint_minutes": 0}


@pytest.fixture
def cell_options(monkeypatch):
    """Options of a run of two steps by a method; of one that stops early, of as many epochs as its rule needs, which is
    the shortest that there is."""
    shortest = StoppingRule(window=1, lag=1, growth=9.0, centred=False, earliest=0)
    monkeypatch.setitem(RULES, "paper", shortest)
    monkeypatch.setattr(search_module, "_ends_of_spectrum", lambda *_: {"eigenvalue": 1.0, "lowest_eigenvalue": 0.0})

    def make(space, method):
        of = METHODS[method]
        options = {**TINY, "space": space, "method": method, "channels": 2 * of.parts.get("groups", 2)}
        if "stages" in of.parts:
            options["stage_cells"] = 0
        if method != "darts":  # its second-order gradient has tests of its own
            options["gradient"] = of.parts.get("gradient", "first-order")
        options["batch"] = 3 if of.on_cells.get("split", "disjoint") == "disjoint" else 5
        if "stopping" not in of.parts:
            return options | {"eigenvalue_every": 0, "tune_epochs": 0, "samples": 2, "sample_batches": 1}
        return options | {"stopping": "paper", "epochs": shortest.least_epochs(1), "batch": 6}

    return make


@pytest.mark.parametrize(("space", "method"), PAIRS)
def test_a_cell_space_with_a_method(space, method, cell_options, patches, tmp_path, monkeypatch):
    of, out, options = METHODS[method], tmp_path / "run", cell_options(space, method)
    if of.searches:  # two of them are several
        monkeypatch.setitem(METHODS._known, method, replace(of, searches=of.searches[::3]))
    if space == WHOLE:
        stop_after(1, lambda: wholenet.fit(patches, out, **options))
        found = wholenet.resume(out)
    else:
        found = wholenet.fit(patches, out, **options)
    assert wholenet.resume(out) == found
    if of.parts.get("protocol") == "single-stage":
        assert found.genotype is None
        assert 0 <= found.test_error <= 1
        assert found.scored_on == "10% of the training images, set aside"
    else:
        assert family_of(space).read(tmp_path / "run" / "genotype.yaml") == found.genotype
        for kind, edges in cell_config(data="", out="", space=space).table.items():
            offered = {(edge.source, edge.target): edge.operations for edge in edges}
            assert all(e.operations[0] in offered[e.source, e.target] for e in found.genotype.table()[kind])
    if of.searches:
        with pytest.raises(ValueError, match=r"kept the best of several searches.*wholenet retrain .*genotype.yaml"):
            wholenet.load(out)
        out = out / "searches" / str(found.chosen)
    else:
        assert 0 <= found.error <= 1
        assert (found.sampled_error is None) == (of.parts.get("sampling") != "random")
    assert len(records(out)) == options["epochs"]
    assert all(math.isfinite(record["loss"]) for record in records(out))
    model = wholenet.load(out, device="cpu")
    assert model.network.spec.space == space
    asked = model.predict(np.zeros((2, 8, 8, 3), np.uint8))
    assert asked.shape == (2, 3)
    assert 0 <= wholenet.evaluate(model, patches).error <= 1


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("space", CELLS)
def test_any_other_pair_is_trained_or_refused_before_it_begins(
    space, method, cell_options, patches, tmp_path, monkeypatch
):
    if (space, method) in PAIRS:
        pytest.skip("is trained above")
    of, out = METHODS[method], tmp_path / "run"
    monkeypatch.setitem(METHODS._known, method, replace(of, searches=of.searches[::3]))
    found: Any = None
    said = None
    try:
        found = wholenet.fit(patches, out, **cell_options(space, method))
    except ValueError as error:
        said = str(error)
    if said is not None:
        assert not out.exists()
        assert re.search(r"take|give|leave|keeps all", said)
        return
    assert wholenet.resume(out) == found
    out = out / "searches" / str(found.chosen) if of.searches else out
    assert all(math.isfinite(record["loss"]) for record in records(out))
    assert 0 <= wholenet.evaluate(wholenet.load(out, device="cpu"), patches).error <= 1


@pytest.mark.parametrize("method", [name for name, method in METHODS.items() if "stopping" in method.parts])
def test_a_search_that_is_too_short_for_its_rule_is_refused(method, patches, tmp_path):
    with pytest.raises(ValueError, match=r"cannot fire in a search of fewer than 24; give more epochs, or"):
        wholenet.fit(patches, tmp_path / "run", space=WHOLE, method=method, **TINY)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("method", REFUSED)
def test_what_a_cell_space_lacks_for_a_method_is_said_before_the_run(method, cell_options, patches, tmp_path):
    with pytest.raises(ValueError, match=REFUSED[method]):
        wholenet.fit(patches, tmp_path / "run", **cell_options(WHOLE, method))
    assert not (tmp_path / "run").exists()
