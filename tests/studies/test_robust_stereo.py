"""The study of robustness on disparity: whole, on a few small pairs and another set of them; what its arms vary."""

import itertools
import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import pytest
import torch
from rich.console import Console

import toy_pairs
import wholenet
import wholenet.studies.robust_tables as tables
from toy_pairs import write_pairs
from wholenet.search.early_stopping import RULES, StoppingRule
from wholenet.search.run_folder import RunFolder
from wholenet.spaces.catalog import SPACES
from wholenet.spaces.space import GenotypeKind, Space
from wholenet.studies.pool import Pool
from wholenet.studies.robust_tables import STEREO, Place
from wholenet.studies.study import study
from wholenet.studies.task_setting import TaskSetting
from wholenet.training import fit

QUIET = Console(quiet=True)
SPACE = "toy-cells"
TINY = {"space": SPACE, "batch": 2, "steps_per_epoch": 1, "device": "cpu", "threads": 1, "val_every": 1000}
SEARCH = {**TINY, "epochs": 3, "eigenvalue_every": 1, "lr": 0.01}
TRAINING = {"batch": 2, "epochs": 1, "steps_per_epoch": 1, "val_every": 1000, "optimizer": "adamw", "lr": 0.01}


@dataclass(frozen=True)
class Look:
    """Which convolution a discrete network looks by."""

    index: int

    def to_dict(self):
        return {"index": self.index}


def decoded(weights, _decoding, _tau):
    return Look(int(weights["look"].argmax()))


def one_hot(genotype):
    return {"look": torch.eye(2, device="cpu")[[genotype.index]]}


KIND = GenotypeKind(
    lambda values: Look(values["index"]),
    one_hot,
    decode=decoded,
    published={"first": Look(0), "second": Look(1), "third": Look(1)},
)


@pytest.fixture(autouse=True, scope="module")
def toy():
    wholenet.register(
        Space(
            name=SPACE,
            settings=toy_pairs.NoSettings,
            build=lambda *_: toy_pairs.ToyNet(),
            tasks=("stereo",),
            multiple=4,
            genotype=KIND,
        )
    )
    yield
    SPACES.remove(SPACE)


class HerePool(Pool):
    """Runs in this process."""

    started: ClassVar[list[str]] = []

    def done(self, configs):
        for config in configs:
            if not self.path(config).exists():
                HerePool.started.append(self.path(config).name)
                fit(replace(config, out=str(self.path(config))), QUIET)
        return [RunFolder(self.path(config)) for config in configs]


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Pairs in three splits, and others to be scored on."""
    root = write_pairs(tmp_path_factory.mktemp("pairs"))
    shutil.copytree(root / "val", root / "test")
    return root.resolve(), write_pairs(tmp_path_factory.mktemp("others"), (32, 48)).resolve()


@pytest.fixture
def tiny(pairs, monkeypatch):
    """Two arms and two random genotypes, eigenvalues that grow, and a rule that fires at once."""
    places = (STEREO.places[0], Place(name="others", split="val", data=str(pairs[1])))
    few = {"random": ("first", "second"), "controls": ("third",), "places": places}
    table = replace(STEREO, searches={"cpu": SEARCH}, trainings={"cpu": TRAINING}, **few)
    monkeypatch.setitem(tables.TABLES, "stereo", table)
    monkeypatch.setitem(tables.AUGMENTATIONS, "cpu", (0.0,))
    monkeypatch.setitem(tables.FACTORS, "cpu", ())
    monkeypatch.setitem(RULES, "paper", StoppingRule(window=1, lag=1, growth=1.5, centred=False, earliest=0))
    grown = itertools.count()

    def spectrum(*_, **__):
        return SimpleNamespace(highest=2.0 ** next(grown), lowest=0.0)

    monkeypatch.setattr("wholenet.jobs.job.curvature", spectrum)
    monkeypatch.setattr("wholenet.studies.study.Pool", HerePool)
    HerePool.started = []


def test_the_study_on_disparity_tells_of_all_its_networks_and_scores_them_on_other_pairs_too(pairs, tiny, tmp_path):
    setting = TaskSetting(task="stereo", scale="cpu", data=str(pairs[0]), out=tmp_path, seeds=1, jobs=1)
    result, page = study("robust-darts", setting, QUIET)
    assert page.name == "robust-darts-stereo.md"
    rows = {row[0]: dict(zip(result.table.columns, row, strict=True)) for row in result.table.rows}
    plain, other = "augmentation 1, L2 x 1", "augmentation 0"
    early, together = f"{plain}, stopped early", "random cells (2; spread from cell to cell)"
    assert list(rows) == [plain, other, early, together, "supernet, frozen-uniform", "third", "median", "SGBM"]
    for column in ("EPE, test", "EPE, others", "against random cells, others", "one-shot EPE"):
        assert rows[plain][column] != "-"
    assert rows["median"]["EPE, others"] != rows["median"]["EPE, test"]

    facts = json.loads((tmp_path / "robust-darts-stereo.json").read_text())["values"]
    assert facts["stopped_at"] == [0]
    pool = HerePool(tmp_path / "runs", 1, QUIET)
    searched = setting.config(augment=1.0, weight_decay=0.75)  # 0.0225 over 3 steps at 0.01
    (search,) = pool.done([searched])
    assert facts["arms"][plain]["one_shot"] == [search.records()[-1]["epe"]]
    assert facts["arms"][early]["eigenvalue"] == [search.records()[0]["eigenvalue"]]
    (trained,) = pool.done([setting.training("third")])
    found = facts["controls"]["third"]["trained"][0]
    for place, (data, split) in {"test": (pairs[0], "test"), "others": (pairs[1], "val")}.items():
        scores = wholenet.evaluate(trained.path, data, split)
        assert found[place] == pytest.approx(scores.network.all.epe, rel=1e-6)
        assert facts["floors"][place] == pytest.approx(scores.floors.epe)
    # Searches of 3 epochs are compared with a supernet of as many steps, on whatever share of train.
    assert pool.path(searched.frozen_uniform(epochs=3)).name in HerePool.started

    HerePool.started = []
    study("robust-darts", setting, QUIET)
    assert HerePool.started == []


def test_arms_on_disparity_vary_one_thing_each():
    setting = TaskSetting(task="stereo", scale="cpu", data="planes", out=Path("study"), seeds=1)
    search = setting.example
    assert search.epochs * search.steps_per_epoch == 240
    arms = STEREO.arms("cpu", search, 240)
    shrinkage = [search.lr * options["weight_decay"] * 240 for options in arms.values()]
    assert [options["augment"] for options in arms.values()] == [1, 0, 2, 1]
    assert shrinkage == pytest.approx([0.0225, 0.0225, 0.0225, 27 * 0.0225], rel=0.005)
    made = setting.config(**arms["augmentation 2"])
    assert (made.task_settings["augment"], made.weight_decay) == (2.0, arms["augmentation 2"]["weight_decay"])
    paper = [tuple(options.values()) for options in STEREO.arms("paper", search, 300_000).values()]
    assert paper[0] == (1.0, 3e-4)
    assert paper[-1] == (1.0, 81e-4)
    assert len(set(paper)) == len(paper) == 9


def test_trainings_on_disparity_are_alike_whatever_the_search_was():
    setting = TaskSetting(task="stereo", scale="cpu", data="planes", out=Path("study"), seeds=1)
    training = setting.training("autodispnet")
    assert training.epochs * training.steps_per_epoch == 600
    assert (training.batch, training.task_settings["augment"], training.settings["size"]) == (8, 1.0, "tiny")
    scaled = TaskSetting(
        task="stereo", scale="cpu", data="pairs", out=Path("study"), seeds=1, overrides=(("disparity_scale", 0.5),)
    )
    assert scaled.training("autodispnet").task_settings["disparity_scale"] == 0.5


def test_pairs_that_networks_are_to_be_new_to_are_not_searched_on(pairs, tiny, tmp_path):
    asked = {"task": "stereo", "scale": "cpu", "out": tmp_path, "seeds": 1}
    with pytest.raises(ValueError, match="without having seen it: search on other data"):
        study("robust-darts", TaskSetting(**asked, data=str(pairs[1])), QUIET)
    assert not (tmp_path / "runs").exists()
