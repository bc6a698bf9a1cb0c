"""A data set of one's own, in memory: registered from outside, trained on, continued, scored."""

import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import wholenet
from run_files import records
from toy import TOY
from wholenet.cells.best_of import resume_cells
from wholenet.cli import main
from wholenet.commands.asked import asked
from wholenet.data.classes import default_colors
from wholenet.data.labelled import Labelled, LabelledSource, open_labelled
from wholenet.data.sample import Classes, DataError, DataSource, Sample
from wholenet.data.sets import DATA_SETS, DataSet
from wholenet.search.config_files import read_config

pytestmark = pytest.mark.usefixtures("toy")
SMALL = {**TOY, "epochs": 1, "batch": 2, "crop": "32x32", "device": "cpu"}
PAGE = Path(__file__).parents[1] / "docs" / "data.md"
CLASSES = Classes(("ground", "square"), default_colors(2))


class Squares:
    """Bright squares on dark ground, 48 x 64."""

    def __init__(self, count: int, bright: int = 200) -> None:
        self.count, self.bright = count, bright

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Sample:
        mask = np.zeros((48, 64), np.uint8)
        mask[4 + index : 24 + index, 8 : 40 - index] = 1
        return Sample(np.repeat(mask[..., None] * np.uint8(self.bright), 3, axis=2), mask, f"square-{index}")


def open_squares(count=10, **how):
    return lambda asked: DataSource("squares", CLASSES, {"train": Squares(count, **how), "test": Squares(2)})


@pytest.fixture
def squares():
    wholenet.register(DataSet(name="squares", open=open_squares()))
    yield
    DATA_SETS.remove("squares")


def test_it_is_trained_on_continued_and_scored(squares, tmp_path, monkeypatch):
    trained = wholenet.fit("squares", tmp_path / "run", **SMALL)
    assert read_config(tmp_path / "run" / "config.yaml").data == "squares"
    assert trained.learned.classes.names == CLASSES.names
    monkeypatch.chdir(tmp_path)
    (tmp_path / "squares").mkdir()  # nothing of a name is looked for in folders
    before = records(tmp_path / "run")
    assert wholenet.resume("run").learned.scores == trained.learned.scores
    assert records(tmp_path / "run") == before
    scores = wholenet.evaluate("run", "squares")
    assert scores.images == 2
    assert wholenet.evaluate("run", "squares", split="test").images == 2
    assert wholenet.evaluate("run", "squares", split="train").images == 8
    with pytest.raises(DataError, match="the classes of scenes are not the ones asked for"):
        wholenet.evaluate("run", "scenes")
    check, _ = wholenet.export("run", "run.pt2", form="torch")
    assert check.same_class == 1


def test_workers_read_it(squares, tmp_path):
    one = wholenet.fit("squares", tmp_path / "one", **SMALL)
    two = wholenet.fit("squares", tmp_path / "two", **SMALL, workers=2)
    assert one.learned.scores == two.learned.scores


def test_a_run_whose_data_set_is_not_registered_or_another_one_says_so(squares, tmp_path):
    wholenet.fit("squares", tmp_path / "run", **SMALL)
    DATA_SETS.remove("squares")
    with pytest.raises(
        ValueError, match=r"squares, the data of .*if it is a data set by name, import what registers it"
    ):
        wholenet.resume(tmp_path / "run")
    wholenet.register(DataSet(name="squares", open=open_squares(count=12)))
    with pytest.raises(ValueError, match=r"the images of squares have changed since .*train images: 8 then, 10 now"):
        wholenet.resume(tmp_path / "run")
    wholenet.register(DataSet(name="others", open=open_squares()))
    assert wholenet.resume(tmp_path / "run", data="others").learned.classes.names == CLASSES.names
    assert read_config(tmp_path / "run" / "config.yaml").data == "others"
    DATA_SETS.remove("others")


def test_samples_that_do_not_do_are_named_before_there_is_a_run(tmp_path):
    wrong = [Sample(np.zeros((48, 64, 3), np.uint8), np.full((48, 64), 2, np.uint8), f"bad-{i}") for i in range(4)]
    wholenet.register(DataSet(name="wrong", open=lambda asked: DataSource("wrong", CLASSES, {"train": wrong})))
    try:
        with pytest.raises(DataError, match=r"sample 0 \(bad-.\): mask values 2 \(3072 pixels\); expected 0..1 or 255"):
            wholenet.fit("wrong", tmp_path / "run", **SMALL)
    finally:
        DATA_SETS.remove("wrong")
    assert not (tmp_path / "run").exists()


def test_the_example_of_the_page_is_trained_on(tmp_path, monkeypatch):
    example = PAGE.read_text().split("## Data sets by name")[1].split("```python\n")[1].split("```")[0]
    (tmp_path / "my_data.py").write_text(example)
    monkeypatch.syspath_prepend(tmp_path)
    import_module("my_data")
    try:
        assert wholenet.fit("squares", tmp_path / "run", **SMALL).learned.scores.images == 4
    finally:
        DATA_SETS.remove("squares")
        sys.modules.pop("my_data")


# ---- labelled images


TINY = {"space": "s2", "channels": 4, "cells": 3, "epochs": 1, "batch": 8, "device": "cpu"}


def shades(count, **wrong):
    """Images of 16 x 16 of a class each in turn."""
    labels = np.arange(count) % 2
    images = np.random.default_rng(count).integers(0, 100, (count, 16, 16, 3), dtype=np.uint8)
    images += np.uint8(100) * labels.astype(np.uint8)[:, None, None, None]
    return Labelled(**{"images": images, "labels": labels, **wrong})


@pytest.fixture
def labelled():
    source = LabelledSource("shades", ("dark", "bright"), {"train": shades(16), "test": shades(6)})
    wholenet.register(DataSet(name="shades", task="classification", open=lambda asked: source, told="made up"))
    yield source
    DATA_SETS.remove("shades")


def test_labelled_images_are_searched_on_retrained_on_and_scored(labelled, tmp_path, monkeypatch, capsys):
    wholenet.fit("shades", tmp_path / "run", **TINY)
    assert read_config(tmp_path / "run" / "config.yaml").data == "shades"
    monkeypatch.chdir(tmp_path)
    resume_cells("run")
    found = wholenet.retrain("run/genotype.yaml", "shades", "net", channels=4, cells=3, epochs=1, batch=8, auxiliary=0)
    assert wholenet.evaluate(found.run, "shades").images == 6
    capsys.readouterr()
    main(["evaluate", "net", "shades", "--split", "train"])
    assert "shades is read as labelled images (classification): made up" in capsys.readouterr().out
    main(["check-data", "shades"])
    assert "shades is read as labelled images (classification): made up" in capsys.readouterr().out


def test_the_command_line_takes_the_task_of_the_data_set(labelled, squares, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("shades", "squares", "scenes"):
        (tmp_path / name).mkdir()
    assert asked(["fit", "shades", "--out", "x"]).task == "classification"
    assert asked(["fit", "squares", "--out", "x"]).task == asked(["fit", "scenes"]).task == "segmentation"


def test_a_data_set_of_another_task_is_refused(labelled, squares, tmp_path):
    with pytest.raises(DataError, match=r"shades is a data set for classification, and one for segmentation is needed"):
        wholenet.fit("shades", tmp_path / "run", task="segmentation", **SMALL)
    with pytest.raises(DataError, match=r"squares is a data set for segmentation, .* a folder, write \./squares"):
        open_labelled("squares")
    with pytest.raises(DataError, match=r'not a folder; .* or the name of a data set: "shades"$'):
        open_labelled("nobody")


@pytest.mark.parametrize(
    ("train", "message"),
    [
        (
            shades(4, images=np.zeros((4, 16, 16), np.uint8)),
            r"images of train must be uint8 \[N, H, W, 3\], found uint8 \[",
        ),
        (shades(4, images=np.zeros((4, 16, 16, 3))), "found float64"),
        (
            shades(4, labels=np.zeros(3, np.int64)),
            r"labels of train must be int64 \[N\], found int64 \[3\] for 4 images",
        ),
        (shades(4, labels=np.zeros(4)), "found float64"),
        (shades(4, labels=np.array([0, 1, 2, -1])), r"train has labels \[-1, 2\]; expected 0..1"),
        (shades(0), "the train split has no images"),
    ],
)
def test_labelled_images_that_do_not_do_are_refused(train, message):
    source = LabelledSource("wrong", ("dark", "bright"), {"train": train})
    wholenet.register(DataSet(name="wrong", task="classification", open=lambda asked: source))
    try:
        with pytest.raises(DataError, match=message):
            open_labelled("wrong")
    finally:
        DATA_SETS.remove("wrong")
