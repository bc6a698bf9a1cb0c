"""All methods against chance: what searches are told, whole on told runs, and the parts of the page."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
from PIL import Image
from rich.console import Console

from wholenet.search.cell_config import CellConfig
from wholenet.search.cell_folder import RETRAINED, SEARCHES, CellFolder
from wholenet.search.classifier_config import RetrainConfig
from wholenet.search.methods import METHODS
from wholenet.spaces.catalog import create_model
from wholenet.spaces.darts_genotype import PUBLISHED, read_cell_genotype, write_cell_genotype
from wholenet.studies import spaces as module
from wholenet.studies.outcomes import outcome
from wholenet.studies.paired import Difference, paired_where_both
from wholenet.studies.pool import Pool
from wholenet.studies.processes import mark_diverged
from wholenet.studies.robust_darts import RETRAINING, training
from wholenet.studies.setting import CellSetting
from wholenet.studies.spaces import (
    CONTROLS,
    KEPT,
    LONGER,
    RANDOM,
    UNIFORM,
    methods,
    search_config,
    search_seconds,
    verdict,
)
from wholenet.studies.study import study

QUIET = Console(quiet=True)


@pytest.fixture
def setting(patches, tmp_path):
    return CellSetting(scale="cpu", data=str(patches), out=tmp_path / "out", seeds=2, jobs=1)


@pytest.mark.parametrize("scale", ["cpu", "gpu", "paper"])
def test_methods_keep_their_parts_and_share_length_batch_and_rate(setting, scale):
    found = {name: search_config(replace(setting, scale=scale), name) for name in methods()}
    assert {"darts", "random-ws", "gold-nas", "darts-pt"} <= set(found)
    assert not {"single-stage", "mixed-level"} & set(found)
    for name, config in found.items():
        parts = {**METHODS[name].parts, **METHODS[name].choice}
        parts.pop("stopping", None)
        assert {field: getattr(config, field) for field in parts} == parts, name
        assert (config.method, config.space) == (name, "darts")
    if scale != "paper":
        assert len({(c.epochs, c.batch, c.lr, c.channels, c.images) for c in found.values()}) == 1
        assert {c.arch_lr for c in found.values() if c.arch_optimizer == "adam"} == {found["darts"].arch_lr}
    assert found["gold-nas"].arch_lr == 1.0


def test_what_a_method_is_made_of_cannot_be_set(setting):
    fixed = replace(setting, overrides=(("relaxation", "gumbel"),))
    with pytest.raises(ValueError, match="--set relaxation: this study varies"):
        [search_config(fixed, name) for name in methods()]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("epochs", 8), "the search by darts-es: epochs=8: .* fewer than 11; give more epochs$"),
        (("channels", 4), "the search by pc-darts: channels=4: expected a multiple of 8"),
    ],
)
def test_what_one_method_cannot_have_is_said_with_its_name(given, said, setting):
    with pytest.raises(ValueError, match=said):
        [search_config(replace(setting, overrides=(given,)), name) for name in methods()]


def test_fewer_images_are_those_of_searches_and_of_trainings(setting):
    fewer = replace(setting, overrides=(("images", 24), ("batch", 8)))
    assert search_config(fewer, "darts").images == training(fewer, "darts-v1", 0).images == 24
    own = RETRAINING["cpu"]
    assert training(fewer, "darts-v1", 0).batch == own["batch"]  # trainings have their scale's
    assert training(setting, "darts-v1", 0).images == own["images"] != 24


def test_seeds_that_diverged_on_either_side_are_in_no_difference():
    found = paired_where_both([0.5, None, 0.4, 0.6], [0.4, 0.1, None, 0.4])
    assert (found.mean, found.n) == (pytest.approx(0.15), 2)
    assert paired_where_both([None], [0.1]) is None
    assert paired_where_both([0.5], [0.1]).n == 1


@pytest.mark.parametrize(
    ("difference", "said"),
    [
        (None, "not told apart"),
        (paired_where_both([0.5], [0.1]), "not told apart"),  # a single pair has no interval
        (Difference(0.1, -0.01, 0.21, 3), "not told apart"),
        (Difference(0.1, 0.01, 0.19, 3), "better"),
        (Difference(-0.1, -0.19, -0.01, 3), "worse"),
    ],
)
def test_a_verdict_wants_an_interval_without_zero(difference, said):
    assert verdict(difference) == said


def test_the_time_of_several_searches_is_that_of_all_and_of_their_short_trainings(setting, tmp_path):
    run = CellFolder.create(replace(search_config(setting, "r-darts-l2"), out=str(tmp_path / "run")))
    assert search_seconds(run) == 0
    for i in range(2):
        part = CellFolder.create(replace(search_config(setting, "darts"), out=str(run.path / SEARCHES / str(i))))
        part.log({"epoch": 0, "seconds": 50.0, "steady_seconds": 10.0})
        training = RetrainConfig(data="x", out=str(part.path / RETRAINED), genotype="darts-v1")
        CellFolder.create(training).log({"epoch": 0, "seconds": 1.0})
    assert search_seconds(run) == 22.0
    deeper = CellFolder.create(replace(search_config(setting, "p-darts"), out=str(tmp_path / "deeper")))
    assert deeper.config.following is not None
    second = CellFolder.create(deeper.config.following)
    for seconds, part in ((5.0, deeper), (7.0, second)):
        part.log({"epoch": 0, "seconds": 2 * seconds, "steady_seconds": seconds})
    assert search_seconds(deeper) == 12.0  # of the third there is nothing yet


BETTER = ("darts-ada", "r-darts-l2")


def test_a_finished_run_of_several_searches_has_the_error_of_the_one_that_was_kept(setting, tmp_path):
    run = CellFolder.create(replace(search_config(setting, "r-darts-l2"), out=str(tmp_path / "run")))
    run.write_result({"errors": [0.7, 0.4, 0.5, 1.0], "chosen": 1})
    assert run.result()["error"] == 0.4
    assert outcome(run) == "40.0 % error"


@pytest.mark.parametrize(
    ("errors", "chosen", "said"),
    [([0.7, 0.4], 2, "chosen=2: expected .* one of its 2 searches"), ([0.7], -1, "chosen=-1"), (["x"], 0, "errors")],
)
def test_a_damaged_result_of_several_searches_is_told(setting, tmp_path, errors, chosen, said):
    run = CellFolder.create(replace(search_config(setting, "r-darts-l2"), out=str(tmp_path / "run")))
    run.write_result({"errors": errors, "chosen": chosen})
    with pytest.raises(ValueError, match=rf"result\.json.*{said}.*writes it anew"):
        run.result()


class Told(Pool):
    """Runs that are told: DARTS searches for 30 s, others for 60; darts-ada and r-darts-l2, which searches several
    times, are 20 points better than chance, others are alike, and one search of snas diverges."""

    def done(self, configs):
        for config in configs:
            if not self.path(config).exists():
                self.tell(config)
        return [CellFolder(self.path(config)) for config in configs]

    def tell(self, config):
        run = CellFolder.create(replace(config, out=str(self.path(config))))
        if isinstance(config, CellConfig):
            run.log({"epoch": 0, "seconds": 30.0 if config.method == "darts" else 60.0})
            if config.method == "snas" and config.seed == 1:
                mark_diverged(run.path, "nan")
                return
            genotype = PUBLISHED["darts-v1" if config.method in BETTER else "darts-v2"]
            write_cell_genotype(genotype, run.genotype, space="darts")
            found = {"error": 0.5, "test_error": 0.6, "genotype": genotype.to_dict()}
            if config.searches:
                found = {"errors": [0.7, 0.4], "chosen": 1}
        else:
            run.log({"epoch": 0, "seconds": 10.0})
            v1 = PUBLISHED["darts-v1"].to_dict() == json.loads(
                json.dumps(read_cell_genotype(config.genotype).to_dict())
            )
            found = {"error": None, "test_error": (0.3 if v1 else 0.5) + config.seed / 100}
        (run.path / "result.json").write_text(json.dumps(found))


def test_the_page_says_who_beats_random(setting, monkeypatch):
    monkeypatch.setattr("wholenet.studies.study.Pool", Told)
    monkeypatch.setitem(RETRAINING, "cpu", {"channels": 4, "cells": 3, "epochs": 10, "batch": 24, "images": 24})
    monkeypatch.setattr(module, "methods", lambda: ["darts", "darts-ada", "r-darts-l2", "gdas", "snas"])
    model = create_model("darts", num_classes=2, channels=4, cells=3)
    monkeypatch.setattr(module, "load_model", lambda *_, **__: SimpleNamespace(network=model))
    monkeypatch.setattr(module, "relative_times", lambda specs, *_: dict.fromkeys(specs, 8.0))
    result, page = study("spaces", setting, QUIET)
    rows = {row[0]: dict(zip(result.table.columns, row, strict=True)) for row in result.table.rows}
    assert list(rows) == ["darts", *BETTER, "gdas", "snas", *CONTROLS]
    assert {name: row["told apart from random"] for name, row in rows.items()} == {
        **dict.fromkeys(["darts", "gdas", "snas", LONGER], "not told apart"),
        **dict.fromkeys(BETTER, "better"),
        RANDOM: "-",
        **dict.fromkeys([UNIFORM, KEPT], "worse"),
    }
    assert rows["darts-ada"]["search, DARTS = 1"].startswith("2.00")
    assert rows["darts-ada"]["better than random, points"].startswith("+20.0")
    assert rows["snas"]["test error, %"].n == 1
    # A search of 30 s and a training of 10 s, which is 10 epochs: 40 epochs, and an eighth of them for the supernet.
    assert [result.values[name]["epochs"] for name in (LONGER, UNIFORM, KEPT)] == [40, 5, 4]
    text = page.read_text()
    assert "better: darts-ada, r-darts-l2; worse: none; not told apart: darts, gdas, snas." in text
    assert "Diverged, and left out of all means: darts-snas-seed1-" in text
    with Image.open(setting.out / result.figure) as picture:
        assert picture.width > 500
