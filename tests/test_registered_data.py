"""A data set of one's own, in memory: registered from outside, trained on, continued, scored."""

import numpy as np
import pytest

import wholenet
from run_files import records
from wholenet.data.classes import default_colors
from wholenet.data.sample import Classes, DataError, DataSource, Sample
from wholenet.data.sets import DATA_SETS, DataSet
from wholenet.search.config import read_config

SMALL = {"size": "nano", "epochs": 1, "batch": 2, "crop": "32x32", "device": "cpu"}
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
