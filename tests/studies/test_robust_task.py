"""The study of robustness on tasks with a table: language, whole, on a tiny text; what is said of arms; its pool."""

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rich.console import Console

import wholenet
import wholenet.studies.robust_tables as tables
from wholenet.cli import main
from wholenet.files import read_yaml
from wholenet.search.early_stopping import RULES, StoppingRule
from wholenet.search.run_folder import RunFolder
from wholenet.spaces.recurrent.genotype import decode
from wholenet.spaces.recurrent.space import RECURRENT
from wholenet.studies.paired import paired
from wholenet.studies.pool import Pool
from wholenet.studies.robust_page import Row, verdict
from wholenet.studies.robust_tables import LANGUAGE, strengths_of_l2
from wholenet.studies.setting import CellSetting, Setting
from wholenet.studies.step_times import relative_run_times
from wholenet.studies.study import study
from wholenet.studies.task_setting import TaskSetting
from wholenet.tasks.perplexity import PERPLEXITY
from wholenet.training import fit

QUIET = Console(quiet=True)
TINY = {"units": 4, "batch": 4, "window": 6, "device": "cpu", "threads": 1}
SEARCH = {**TINY, "nodes": 2, "vocab": 9, "epochs": 3, "gradient": "first-order", "eigenvalue_every": 1, "lr": 1.0}
TRAINING = {**TINY, "epochs": 1, "optimizer": "adamw"}


class HerePool(Pool):
    """Runs in this process."""

    started = 0

    def done(self, configs):
        for config in configs:
            if not self.path(config).exists():
                HerePool.started += 1
                fit(replace(config, out=str(self.path(config))), QUIET)
        return [RunFolder(self.path(config)) for config in configs]


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    folder, source = tmp_path_factory.mktemp("text"), random.Random(0)
    for name, lines in (("train", 20), ("valid", 6), ("test", 6)):
        words = [" ".join(source.choices("abcdefgh", (8, 7, 6, 5, 4, 3, 2, 1), k=6)) for _ in range(lines)]
        (folder / f"{name}.txt").write_text("\n".join(words) + "\n")
    return folder


@pytest.fixture
def tiny(monkeypatch):
    """Two arms, two random cells, and a rule that fires at once."""
    few = {"random": LANGUAGE.random[:2], "controls": ("darts-rnn-v2", "lstm"), "timed": ("lstm",)}
    table = replace(LANGUAGE, searches={"cpu": SEARCH}, trainings={"cpu": TRAINING}, **few)
    monkeypatch.setitem(tables.TABLES, "language", table)
    monkeypatch.setattr(tables, "STRENGTHS", (1, 27))
    monkeypatch.setitem(RULES, "paper", StoppingRule(window=1, lag=1, growth=1e-9, centred=False, earliest=0))
    monkeypatch.setattr("wholenet.studies.study.Pool", HerePool)
    HerePool.started = 0


def test_the_study_on_language_tells_of_all_its_networks_and_runs_nothing_twice(text, tiny, tmp_path):
    setting = TaskSetting(scale="cpu", data=str(text), out=tmp_path, seeds=1, jobs=1)
    result, page = study("robust-darts", setting, QUIET)
    assert page.name == "robust-darts-language.md"
    assert "`wholenet study robust-darts --task language --scale cpu --data" in page.read_text()
    assert (tmp_path / result.figure).exists()
    rows = {row[0]: dict(zip(result.table.columns, row, strict=True)) for row in result.table.rows}
    together = "random cells (2; spread from cell to cell)"
    arms = ["L2 x 1", "L2 x 27", "L2 x 1, stopped early"]
    counted = ["Kneser-Ney of order 3", "unigram"]
    controls = ["darts-rnn-v2", "lstm", "lstm, equal time"]
    assert list(rows) == [*arms, together, "supernet, frozen-uniform", *controls, *counted]

    pool = HerePool(tmp_path / "runs", 1, QUIET)
    facts = json.loads((tmp_path / "robust-darts-language.json").read_text())["values"]
    tokens = round(0.8 * 140)  # of train, to the end of a line
    steps = SEARCH["epochs"] * -(-(tokens // SEARCH["batch"] - 1) // SEARCH["window"])
    plain = setting.config(**strengths_of_l2("cpu", setting.example, steps)["L2 x 1"])
    (search,) = pool.done([plain])
    records = search.records()
    assert facts["arms"]["L2 x 1"]["one_shot"] == [records[-1]["perplexity"]]
    assert facts["arms"]["L2 x 1"]["eigenvalue"] == [records[-1]["eigenvalue"]]
    # The rule fires at the second look, and goes back to the first.
    assert facts["stopped_at"] == [0]
    assert facts["arms"]["L2 x 1, stopped early"]["eigenvalue"] == [records[0]["eigenvalue"]]
    weights = {"alpha": torch.tensor(records[0]["logits"]["alpha"]).softmax(-1)}
    early = pool.genotype_file("recurrent", decode(weights), RECURRENT.write_genotype)
    assert facts["genotypes"]["L2 x 1, stopped early"] == [read_yaml(early)["genotype"]]

    (trained,) = pool.done([setting.training(early)])
    assert facts["arms"]["L2 x 1, stopped early"]["trained"][0]["validation"] == trained.records()[-1]["perplexity"]
    scores = wholenet.evaluate(trained.path, text, "test")
    assert facts["arms"]["L2 x 1, stopped early"]["trained"][0]["test"] == pytest.approx(scores.perplexity)
    assert facts["floors"]["test"] == scores.floors
    assert trained.config.task_settings["vocab"] == SEARCH["vocab"]
    assert (
        "one seed" in rows["lstm"]["against random cells, test"]
        or "range" in rows["lstm"]["against random cells, test"]
    )
    (control,) = pool.done([setting.training("lstm")])
    cells = {name: pool.done([setting.training(name)])[0] for name in LANGUAGE.random[:2]}
    kept = relative_run_times(cells, control, tmp_path / "robust-darts-language-times.json")  # nothing is timed anew
    epochs = max(1, round(control.config.epochs * sum(kept.values()) / 2))
    assert rows["lstm, equal time"]["epochs"] == str(epochs)

    (uniform,) = pool.done([plain.frozen_uniform(epochs=2)])
    assert rows["supernet, frozen-uniform"]["one-shot perplexity"] == f"{uniform.records()[-1]['perplexity']:.1f}"

    HerePool.started = 0
    study("robust-darts", setting, QUIET)
    assert HerePool.started == 0


def row_of(*perplexities):
    return Row("own", [None if value is None else {"test": value} for value in perplexities])


RANDOM = [row_of(100.0, 104.0, 102.0), row_of(110.0, 112.0, 114.0)]  # means 102 and 112; by seed 105, 108, 108


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (row_of(90.0, 93.0, 92.0), "better"),
        (row_of(120.0, 124.0, 122.0), "worse"),
        (row_of(104.0, 106.0, 108.0), "not told apart: within their range"),
        (row_of(60.0, 130.0, 90.0), "not told apart"),  # outside, but by chance
        (row_of(90.0, None, None), "outside their range; one seed, not judged"),
        (row_of(None, None, None), "diverged"),
    ],
)
def test_a_network_is_told_from_chance_beyond_its_interval_and_outside_of_what_chance_gives(row, said):
    assert verdict(row, RANDOM, "test", PERPLEXITY) == said


def test_a_difference_is_told_apart_where_its_interval_leaves_zero_out():
    assert paired([1.0, 1.1], [0.0, 0.0]).told_apart
    assert not paired([1.0, -1.0], [0.0, 0.1]).told_apart
    assert not paired([1.0], [0.0]).told_apart
    assert paired([2.0, 3.0, 4.0], [0.0, 0.0, 0.0]).shown(1, 2) == "+3.00 (+0.52 to +5.48)"


def test_short_searches_keep_the_product_of_rate_decay_and_steps():
    search = TaskSetting(scale="cpu", data="text", out=Path("study"), seeds=1).example
    for steps in (100, 5300):
        arms = strengths_of_l2("cpu", search, steps)
        shrinkage = [search.lr * options["weight_decay"] * steps for options in arms.values()]
        assert shrinkage == pytest.approx([0.053, 0.159, 0.477, 1.431], rel=0.005)
    paper = strengths_of_l2("paper", search, 5300)
    assert [options["weight_decay"] for options in paper.values()] == [5e-7, 1.5e-6, 4.5e-6, 1.35e-5]


def test_the_papers_scale_is_darts_own():
    setting = TaskSetting(scale="paper", data="text", out=Path("study"), seeds=1)
    search, training = setting.example, setting.training("darts-rnn-v2")
    assert (search.epochs, search.batch, search.gradient, search.lr) == (50, 256, "second-order", 20)
    assert (training.epochs, training.batch, training.settings["units"]) == (300, 64, 850)
    assert training.task_settings["average_after"] == 5


def test_what_cannot_be_studied_is_refused_before_a_run(text, tmp_path):
    asked = {"scale": "cpu", "data": str(text), "out": tmp_path, "seeds": 1}
    with pytest.raises(ValueError, match="weight_decay: this study varies weight_decay itself"):
        study("robust-darts", TaskSetting(**asked, overrides=(("weight_decay", 1e-4),)), QUIET)
    with pytest.raises(ValueError, match="no_such"):
        study("robust-darts", TaskSetting(**asked, overrides=(("no_such", 1),)), QUIET)
    with pytest.raises(ValueError, match="eigenvalue_every=0: this study is about the eigenvalue"):
        study("robust-darts", TaskSetting(**asked, overrides=(("eigenvalue_every", 0),)), QUIET)
    with pytest.raises(ValueError, match="no table for task 'stereoscopy'"):
        study("robust-darts", TaskSetting(**asked, task="stereoscopy"), QUIET)
    with pytest.raises(ValueError, match="study table-1 takes a Setting"):
        study("table-1", TaskSetting(**asked), QUIET)
    (tmp_path / "two").mkdir()
    for name in ("train", "valid"):
        (tmp_path / "two" / f"{name}.txt").write_text((text / "train.txt").read_text())
    small = (("batch", 4), ("window", 6))
    with pytest.raises(ValueError, match=r"scores on the test split, and .* has none; it has train, val"):
        study("robust-darts", TaskSetting(**{**asked, "data": str(tmp_path / "two")}, overrides=small), QUIET)
    assert not (tmp_path / "runs").exists()


def test_the_command_line_says_which_tasks_a_study_is_on(capsys, tmp_path):
    for words, said in (
        (["table-1", "--task", "language"], "study table-1 is on images with masks; leave --task out"),
        (["robust-darts", "--task", "language"], "study robust-darts --task language: give its --data"),
        (["robust-darts"], "give --data CIFAR10, without --make-coarse, or --task language with data of its own"),
    ):
        with pytest.raises(SystemExit):
            main(["study", *words, "--out", str(tmp_path)])
        assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "kind", "of"), [("table-4", Setting, "images with masks"), ("spaces", CellSetting, "labelled images")]
)
def test_a_study_of_images_is_not_begun_on_other_data(name, kind, of, text, tmp_path):
    for data, own in ((str(text), "language"), ("planes", "stereo")):
        with pytest.raises(ValueError, match=rf"study {name} is about {of}, and .* is read as .* \({own}\)"):
            study(name, kind(scale="cpu", data=data, out=tmp_path, seeds=1, jobs=1), QUIET)
    assert not (tmp_path / "runs").exists()


def test_the_pool_asks_the_command_line_for_a_run_as_its_config_says(text, tmp_path, monkeypatch):
    monkeypatch.setitem(tables.TABLES, "language", replace(LANGUAGE, trainings={"cpu": TRAINING}))
    setting = TaskSetting(scale="cpu", data=str(text), out=tmp_path, seeds=1, jobs=1)
    monkeypatch.setattr(
        "wholenet.studies.pool.run_each", lambda work, *_, **__: [main(go()[3:]) for go in work.values()]
    )
    config = setting.training("gru")
    (run,) = Pool(tmp_path, 1, QUIET).done([config])
    assert replace(run.config, out="", precision="auto") == config
    assert run.path.name.startswith("recurrent-retrain-seed0-")
