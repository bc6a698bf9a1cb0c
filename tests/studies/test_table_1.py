"""Table 1's rows of other systems: starts against closed forms, ends against what the searches' models hold."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rich.console import Console

from wholenet.search.cell_config import CellConfig
from wholenet.search.cell_folder import CellFolder
from wholenet.search.run_folder import RunFolder
from wholenet.spaces.catalog import create_model
from wholenet.spaces.dots.pairs import COLDEST
from wholenet.studies import entropies
from wholenet.studies import table_1 as module
from wholenet.studies.entropies import (
    DEPTHS,
    _images,
    marginal_entropy,
    of_autodeeplab,
    of_darts,
    printing,
    trellis_entropy,
)
from wholenet.studies.pool import Pool
from wholenet.studies.processes import mark_diverged
from wholenet.studies.setting import Setting
from wholenet.studies.study import study

QUIET = Console(quiet=True)
SURVIVORS = " ".join(["skip_connect:sep_conv_3x3"] * 28)


@pytest.mark.parametrize("layers", DEPTHS)
def test_the_trellis_starts_at_closed_forms(layers):
    nodes = 2 * layers - 3  # with two moves, and as many with three
    assert trellis_entropy(layers, scaled=True) == pytest.approx(nodes * 5 / 3 * math.log(3) / (12 * layers), abs=1e-6)
    assert trellis_entropy(layers) == pytest.approx(nodes * math.log(6) / (12 * layers), abs=1e-6)


def test_one_reading_alone_prints_the_papers_start():
    assert printing(0.259) == ["L = 10, two-way softmaxes times 0.67"]
    assert printing(0.261) == ["L = 12, as they are"]
    assert printing(0.5) == []


def test_the_marginals_are_the_only_hit_on_0_126():
    assert marginal_entropy() == pytest.approx(2 * math.log(7.5) / 32, abs=1e-6)
    assert f"{marginal_entropy():.3f}" == "0.126"


class Canned(Pool):
    """Runs that hold no more than what is asked of them: a model each."""

    def done(self, configs):
        return [CellFolder(self.told(c)) if isinstance(c, CellConfig) else RunFolder(self.told(c)) for c in configs]

    def told(self, config):
        path = self.path(config)
        if not path.exists():
            kind = CellFolder if isinstance(config, CellConfig) else RunFolder
            kind.create(replace(config, out=str(path)))
            if config.seed == 2:
                mark_diverged(path, "why")
        return path


@pytest.fixture
def canned(monkeypatch, tmp_path):
    """A study of two seeds; architectures by what their run is."""
    torch.manual_seed(0)
    shape = {"layers": 3, "filters": 2, "blocks": 2}
    cells = {"num_classes": 2, "channels": 4, "cells": 3}
    models = {
        "autodeeplab": create_model("autodeeplab-tiny", num_classes=2, **shape),
        "darts": create_model("darts", **cells),
        "dots": create_model("dots", **cells),
        "topology": create_model("dots", **cells, survivors=SURVIVORS),
    }
    for model in models.values():
        for logits in model.arch.logits.values():
            logits.data.normal_()

    def loaded(path, **_):
        path = Path(path)
        name = path.name if path.name in models else path.name.split("-")[0]
        return type("Loaded", (), {"network": models[name]})

    monkeypatch.setattr(entropies, "load_model", loaded)
    return Setting(scale="cpu", data="x", out=tmp_path, seeds=2), Canned(tmp_path, 1, QUIET), models


def entry_mean(weights):
    found = weights[weights > 0]
    return (-(found * found.log()).sum() / weights.numel()).item()


def test_rows_of_autodeeplab_end_where_their_searches_do(canned):
    setting, pool, models = canned
    rows = {reading.name: reading for reading in of_autodeeplab(setting, pool)}
    weights = models["autodeeplab"].arch()
    operations = rows["Auto-DeepLab, operations"]
    assert operations.start == pytest.approx(math.log(8) / 8, abs=1e-6)
    assert operations.ends == pytest.approx([entry_mean(weights["alpha"])] * 2)
    beta = weights["beta"]  # the rows of nodes that are there, of 3 x 4
    plain = rows["Auto-DeepLab, edges, L = 3, outgoing softmax, as the paper"]
    assert plain.ends[0] == pytest.approx(entry_mean(beta) * len(beta) / 12, abs=1e-6)
    two_way = torch.where((beta > 0).sum(-1, keepdim=True) == 2, 2 / 3, 1.0)
    scaled = rows["Auto-DeepLab, edges, L = 3, two-way times 0.67, as public code"]
    assert scaled.ends[0] == pytest.approx(entry_mean(beta * two_way) * len(beta) / 12, abs=1e-6)


def test_rows_of_darts_start_at_closed_forms_and_end_where_their_searches_do(canned):
    setting, pool, models = canned
    pairs = (math.log(3) + math.log(6) + math.log(10)) / 40
    starts = [reading.start for reading in of_darts(setting, pool)]
    assert starts == pytest.approx(
        [math.log(8) / 8, math.log(4) / 4, pairs, pairs, 2 * pairs, marginal_entropy()], abs=1e-6
    )
    assert not list(pool.folder.iterdir())  # nothing is searched without labelled images
    eight, groups, ends, cold, *_ = of_darts(replace(setting, labelled="y", seeds=3), pool)
    for row, name, kinds in ((eight, "darts", ""), (groups, "dots", ""), (ends, "topology", "_pairs")):
        weights = models[name].arch()
        mean = sum(entry_mean(weights[f"{kind}{kinds}"]) for kind in ("normal", "reduce")) / 2
        assert row.ends == pytest.approx([mean] * 2, abs=1e-6)  # the third diverged
    assert max(cold.ends) < ends.ends[0]
    assert cold.normalized[0] < 0.2
    assert str(COLDEST) in cold.name


def test_fewer_labelled_images_than_a_scale_takes_are_all_taken(patches, tmp_path):
    assert [_images(str(patches), wanted) for wanted in (10, 1280)] == [10, 48]
    assert _images(str(tmp_path / "nothing"), 1280) == 1280  # which is said where it is opened


def test_labelled_images_are_of_table_1(discs, tmp_path):
    setting = Setting(scale="cpu", data=str(discs), out=tmp_path / "out", labelled=str(tmp_path))
    with pytest.raises(ValueError, match="no labelled images there"):
        study("table-1", setting, QUIET)
    assert "--labelled" in json.dumps(setting.command)


def test_the_picture_has_all_rows_ours_and_the_papers(canned, monkeypatch):
    setting, pool, _ = canned
    drawn = {}
    monkeypatch.setattr(module, "draw", lambda _path, rows: drawn.update(rows))
    monkeypatch.setattr(module, "penalized", lambda *_: "")
    entropy = {"beta": 0.9, "alpha": 0.8}
    grids = type("Runs", (), {"records": lambda _self: [{"entropy_paper": entropy, "entropy": entropy}] * 2})
    trained = pool.trained
    monkeypatch.setattr(pool, "trained", lambda configs: [grids()] * 2 if configs == "grid" else trained(configs))
    over_seeds = Setting.over_seeds
    monkeypatch.setattr(Setting, "over_seeds", lambda self, config: over_seeds(self, config) if config else "grid")
    result = module.table_1(setting, pool)
    assert list(drawn) == [row[0] for row in result.table.rows]
    average, normalized = drawn["Auto-DeepLab, operations"]
    assert average.paper == (0.260, 0.258)
    assert len(average.ends) == len(normalized.ends) == 2
    assert drawn["grid, edges"][0].ends == [0.9, 0.9]
    assert drawn["DARTS, operations"][0].ends == ()
