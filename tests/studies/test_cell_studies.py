"""The studies on cell spaces, whole, on a few small images; and the pool that runs what they need."""

import json
from dataclasses import replace
from statistics import mean

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

import wholenet.studies.figure_4 as figure_4_module
import wholenet.studies.robust_darts as robust_module
from forked import fork_commands
from wholenet.cells.retrain import retrain
from wholenet.cells.search import search
from wholenet.search.cell_config import CellConfig
from wholenet.search.cell_folder import CellFolder
from wholenet.search.classifier_config import RetrainConfig
from wholenet.search.config import FitConfig
from wholenet.search.early_stopping import RULES, StoppingRule
from wholenet.search.task_config import TaskConfig
from wholenet.spaces.darts_genotype import PUBLISHED, check_in_space, read_cell_genotype
from wholenet.studies.figure_4 import alike, searches, trajectories
from wholenet.studies.outcomes import diverged, error
from wholenet.studies.pool import Pool
from wholenet.studies.processes import mark_diverged
from wholenet.studies.setting import CellSetting, Setting
from wholenet.studies.study import CELL_STUDIES, study

QUIET = Console(quiet=True)
TINY = {"epochs": 4, "batch": 12, "images": 24, "eigenvalue_tolerance": 0.5}


class HerePool(Pool):
    """Runs in this process, which spares each run the seconds that torch takes to import."""

    started = 0

    def done(self, configs):
        for config in configs:
            path = self.path(config)
            if not path.exists():
                HerePool.started += 1
                run = search if isinstance(config, CellConfig) else retrain
                run(replace(config, out=str(path)), QUIET)
        return [CellFolder(self.path(config)) for config in configs]


@pytest.fixture(scope="module")
def setting(patches, tmp_path_factory):
    out = tmp_path_factory.mktemp("cell_studies")
    return CellSetting(scale="cpu", data=str(patches), out=out, seeds=1, jobs=1, overrides=tuple(TINY.items()))


def told_ends(*given):
    """In place of the ends of the spectrum, which have tests of their own: numbers that grow, and differ by search."""
    state = given[-1]
    own = next(state.model.net.parameters()).detach().abs().sum().item()
    return {"eigenvalue": own * 2.0**state.epoch, "lowest_eigenvalue": -own}


@pytest.fixture
def here(monkeypatch):
    monkeypatch.setattr("wholenet.studies.study.Pool", HerePool)
    monkeypatch.setattr(figure_4_module, "SPACES", ("s1", "s3"))
    monkeypatch.setitem(robust_module.RETRAINING, "cpu", {"channels": 4, "cells": 3, "epochs": 1, "batch": 24})
    monkeypatch.setattr(robust_module, "CHOSEN", ("s2",))
    soon = StoppingRule(window=1, lag=1, growth=1.01, centred=False, earliest=0)  # the papers' need eleven epochs
    monkeypatch.setitem(RULES, "paper", soon)
    monkeypatch.setattr("wholenet.cells.search._ends_of_spectrum", told_ends)
    monkeypatch.setattr("wholenet.cells.search.draw_search", lambda *_args: None)  # most of a tiny run's time
    monkeypatch.setattr("wholenet.cells.search.draw_genotype", lambda *_args: None)
    monkeypatch.setattr("wholenet.cells.retrain.draw_genotype", lambda *_args: None)
    HerePool.started = 0


@pytest.mark.parametrize("name", [name for name in CELL_STUDIES if name != "spaces"])  # tests/studies/test_spaces.py
def test_a_study_writes_a_page_and_a_figure_and_runs_nothing_twice(name, setting, here):
    result, page = study(name, setting, QUIET)
    text, facts = page.read_text(), json.loads((setting.out / f"{name}.json").read_text())
    assert f"wholenet study {name} --scale cpu" in text
    with Image.open(setting.out / result.figure) as picture:
        assert picture.width > 500
    assert len(facts["rows"]) == len(result.table.rows) > 0
    assert all(len(row) == len(facts["columns"]) for row in facts["rows"])
    HerePool.started = 0
    study(name, setting, QUIET)
    assert HerePool.started == 0


def test_the_numbers_of_figure_4_are_those_of_its_runs(setting, here):
    study("figure-4", setting, QUIET)
    values = json.loads((setting.out / "figure-4.json").read_text())["values"]
    pool = HerePool(setting.out / "runs", 1, QUIET)
    found = {arm: pool.done(searches(setting, "s3", arm)) for arm in ("split", "no split")}
    curves = alike({arm: trajectories(runs) for arm, runs in found.items()})
    for arm, (shares, eigenvalues) in curves.items():
        assert shares.tolist() == [0.5, 1.0]  # what both arms have looked at
        assert values[f"s3, {arm}"]["eigenvalues"] == eigenvalues.tolist()
        assert values[f"s3, {arm}"]["error"] == [error(run) for run in found[arm]]
        assert values[f"s3, {arm}"]["growth"]["mean"] == pytest.approx(mean(eigenvalues[:, -1] / eigenvalues[:, 0]))


def test_both_arms_of_figure_4_take_as_many_steps_unless_it_is_as_published(setting):
    split, whole = (searches(setting, "s1", arm)[0] for arm in ("split", "no split"))
    assert (split.split, whole.split) == ("disjoint", "same")
    assert whole.epochs == split.epochs * split.weights_share
    paper = replace(setting, scale="paper", overrides=())
    published = [searches(paper, "s1", arm)[0] for arm in ("split", "no split")]
    assert [(config.epochs, config.gradient) for config in published] == [(50, "second-order")] * 2


def test_early_stopping_is_read_off_the_run_of_darts(tmp_path, setting):
    """As RobustDARTS does it: one search tells both results."""
    config = replace(setting.config(space="s2"), out=str(tmp_path / "run"))
    run = CellFolder.create(config)
    values = [1.0] * 7 + [10.0] * 7
    for epoch, value in enumerate(values):
        genotype = PUBLISHED["darts-v1" if epoch == 4 else "darts-v2"].to_dict()
        run.log({"epoch": epoch, "eigenvalue": value, "genotype": genotype})
    assert RULES["paper"].first(list(enumerate(values))) == 4
    assert robust_module._stopped(run, "paper") == PUBLISHED["darts-v1"]
    assert robust_module.eigenvalues([run], [4]) == [1.0]
    assert robust_module.eigenvalues([run], []) == [10.0]


def test_the_control_of_robust_darts_is_drawn_from_the_space(setting, here):
    study("robust-darts", setting, QUIET)
    values = json.loads((setting.out / "robust-darts.json").read_text())["values"]
    folder = setting.out / "runs" / "genotypes"
    for space in robust_module.CHOSEN:
        assert len({json.dumps(g) for g in values[f"{space}, random"]["genotypes"]}) == setting.seeds
        for path in folder.glob(f"{space}-*.yaml"):
            check_in_space(read_cell_genotype(path), space)


def test_trajectories_end_where_the_shortest_does(tmp_path, setting):
    runs = []
    for i, length in enumerate((3, 2)):
        run = CellFolder.create(replace(setting.config(space="s1"), out=str(tmp_path / str(i))))
        for epoch in range(length):
            run.log({"epoch": epoch, "eigenvalue": float(epoch)})
        runs.append(run)
    shares, found = trajectories(runs)
    assert shares.tolist() == [0.25, 0.5]  # of four epochs
    assert np.array_equal(found, [[0, 1], [0, 1]])


def test_a_study_takes_the_setting_of_its_kind(setting):
    with pytest.raises(ValueError, match="study figure-4 takes a CellSetting"):
        study("figure-4", Setting(scale="cpu", data="scenes", out=setting.out), QUIET)
    with pytest.raises(ValueError, match="study table-1 takes a Setting"):
        study("table-1", setting, QUIET)


def test_finished_runs_are_still_found(tmp_path):
    """By the names that they had in the first studies. A field that is new to a config and changes nothing about what
    a run finds belongs into ``NOT_IN_NAMES``; one that does change it makes them all be run again."""
    searched = CellConfig(data="cifar10", out="")
    retrained = RetrainConfig(data="cifar10", out="", genotype="darts-v1")
    pool = Pool(tmp_path, 1, QUIET)
    assert pool.path(searched).name == "darts-darts-seed0-a5a2483fb1"
    assert pool.path(replace(searched, checkpoint_minutes=0.0)) == pool.path(searched)
    assert pool.path(retrained).name == "retrain-seed0-abd7c0cbef"
    segmented = FitConfig(data="scenes", out="")
    assert pool.path(segmented).name == "small-single-stage-seed0-95c999b55b"
    text = TaskConfig(data="x", out="", task="language", space="recurrent", genotype="gru")
    assert pool.path(text).name.startswith("recurrent-retrain-seed0-")


class ToldPool(Pool):
    """Runs that are told, not made; those diverge that :attr:`lost` says."""

    @staticmethod
    def lost(config):
        return False

    def done(self, configs):
        for config in configs:
            if not self.path(config).exists():
                self.tell(config)
        return [CellFolder(self.path(config)) for config in configs]

    def tell(self, config):
        run = CellFolder.create(replace(config, out=str(self.path(config))))
        searches, lost = isinstance(config, CellConfig), self.lost(config)
        genotype = PUBLISHED["darts-v1"].to_dict()
        for epoch in range(2 if lost else config.epochs) if searches else ():
            value = 1.0 + epoch + config.seed
            run.log({"epoch": epoch, "eigenvalue": value, "lowest_eigenvalue": -1.0, "genotype": genotype})
        if lost:
            mark_diverged(run.path, f"the loss became nan in epoch {3 + config.seed}")
            return
        of_search, of_training = {"error": 0.5, "genotype": genotype}, {"test_error": 0.2 + config.seed / 10}
        (run.path / "result.json").write_text(json.dumps(of_search if searches else of_training))


@pytest.fixture
def told(monkeypatch, setting, tmp_path):
    """A study of two seeds, some of whose runs diverge."""

    def run(name, lost):
        monkeypatch.setattr("wholenet.studies.study.Pool", ToldPool)
        monkeypatch.setattr(ToldPool, "lost", staticmethod(lost))
        result, page = study(name, replace(setting, out=tmp_path, seeds=2), QUIET)
        rows = {tuple(row[:2]): dict(zip(result.table.columns, row, strict=True)) for row in result.table.rows}
        return rows, page.read_text(), json.loads((tmp_path / f"{name}.json").read_text())["values"]

    return run


def of_seed(config, seed, **fields):
    return config.seed == seed and all(getattr(config, name, None) == value for name, value in fields.items())


def test_searches_that_diverge_are_left_out_of_robust_darts(told, here):
    def lost(config):
        return of_seed(config, 1, method="darts", weight_decay=3e-4) or of_seed(config, 0, method="darts-ada")

    rows, page, values = told("robust-darts", lost)
    assert {arm: row["diverged"] for (_, arm), row in rows.items()} == {
        "DARTS": "1 of 2",
        "DARTS-ES": "0 of 2",  # the rule would have stopped it before
        "DARTS-ADA": "1 of 2",
        "DARTS, L2 x 27": "0 of 2",
        "random": "0 of 2",
    }
    assert (rows["S2", "DARTS"]["retrained error, %"].mean, rows["S2", "DARTS"]["retrained error, %"].n) == (0.2, 1)
    assert rows["S2", "DARTS-ADA"]["retrained error, %"].mean == pytest.approx(0.3)
    assert values["s2, DARTS"]["retrained_error"] == [0.2, None]
    assert values["s2, DARTS-ADA"]["genotypes"][0] is None
    assert page.count("nan in epoch") == 2
    assert "s2-darts-seed1" in page
    assert "(the loss became nan in epoch 4)" in page


def test_a_row_whose_trainings_all_diverge_says_so(told, here):
    rows, page, values = told("robust-darts", lambda config: not isinstance(config, CellConfig))
    row = rows["S2", "random"]
    assert row["retrained error, %"].shown() == "diverged"
    assert row["diverged"] == "2 of 2"
    assert "| diverged | - | 2 of 2 |" in page
    assert values["s2, random"]["retrained_error"] == [None, None]


def test_searches_that_diverge_are_left_out_of_figure_4(told, here):
    def lost(config):
        return of_seed(config, 1, space="s1", split="disjoint") or (config.space == "s3" and config.split == "same")

    rows, page, values = told("figure-4", lost)
    assert rows["S1", "split"]["diverged"] == "1 of 2"
    assert values["s1, split"]["seeds"] == [0]
    assert rows["S3", "no split"]["highest"] == rows["S3", "no split"]["growth"] == "diverged"
    assert values["s3, no split"]["growth"] == {"mean": None, "sd": None, "n": 0}
    assert "S1 2.00 and 1.75, S3 3.25 and diverged" in page
    assert "S1 1 of 1, S3 0 of 0" in page
    assert page.count("nan in epoch") == 3


def test_nothing_is_said_of_divergence_where_nothing_diverged(told, here):
    rows, page, _ = told("robust-darts", lambda config: False)
    assert "diverged" not in page
    assert "diverged" not in rows["S2", "DARTS"]


def test_a_run_that_diverged_is_the_worst_there_can_be(setting, tmp_path):
    run = CellFolder.create(replace(setting.config(), out=str(tmp_path / "run")))
    mark_diverged(run.path, "why")
    assert error(run) == 1.0


def test_the_pool_runs_searches_and_trainings_in_processes_and_goes_on_when_one_diverges(
    setting, tmp_path, monkeypatch
):
    fork_commands(monkeypatch)
    pool = Pool(tmp_path, 1, QUIET)
    quick = replace(setting.config(space="s2", gradient="one-level"), epochs=1, eigenvalue_every=0)
    run, lost = pool.done([quick, replace(quick, lr=100.0, weight_decay=100.0, clip=0.0, batch=4)])
    assert diverged(lost)
    assert not diverged(run)
    assert run.search_config.space == "s2"
    assert (run.path / "done").exists()
    shape = {"channels": 4, "cells": 3, "epochs": 1, "batch": 8, "auxiliary": 0.0, "device": "cpu"}
    training = robust_module.RetrainConfig(data=setting.data, out="", genotype=str(run.genotype), **shape)
    assert 0 <= error(pool.done([training])[0]) <= 1
