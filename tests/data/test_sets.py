"""Data sets by name: found before folders that are called so, opened alike each time, divided where they are not."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from trees import ListData, labels, sample, write_pairs

import wholenet
from wholenet.data.classes import default_colors
from wholenet.data.detect import open_data
from wholenet.data.folder import FolderData
from wholenet.data.sample import Classes, DataError, DataSource
from wholenet.data.sets import DATA_SETS, Asked, DataSet, data_set, known_by_name, place_of
from wholenet.data.task import how_read, task_of
from wholenet.sweeps.plan import read_sweep

ABC = Classes(("a", "b", "c"), default_colors(3))
NAMES = [f"p{i}" for i in range(6)]


def numbered(count):
    """Samples that are told apart by their names."""
    return ListData(*(sample(labels(0, 1, 2))._replace(name=str(i)) for i in range(count)))


@pytest.fixture
def register():
    """:func:`wholenet.register`, for one test."""
    before = set(DATA_SETS)
    yield wholenet.register
    for name in set(DATA_SETS) - before:
        DATA_SETS.remove(name)


@pytest.fixture
def mine(register):
    """A data set in memory, without a val split; each call of ``open`` is written down."""
    calls = []

    def opened(asked):
        calls.append(asked)
        return DataSource("mine", ABC, {"train": numbered(10), "test": numbered(2)})

    register(DataSet(name="mine", open=opened, told="drawn by hand"))
    return calls


def test_the_scenes_are_one_of_them():
    assert {"scenes", "scenes-stereo"} <= set(DATA_SETS)
    assert known_by_name("segmentation").startswith('the name of a data set: "scenes"')


@pytest.mark.parametrize("name", ["scenes", "mine"])
def test_a_name_goes_before_a_folder_that_is_called_so(mine, name, tmp_path, monkeypatch):
    write_pairs(tmp_path / name / "images", tmp_path / name / "masks", NAMES)
    monkeypatch.chdir(tmp_path)
    assert not isinstance(open_data(name).splits["test"], FolderData)
    assert place_of(name) == name
    assert f"{name} is read as images with masks (segmentation): drawn" in how_read(name, "segmentation")
    for folder in (f"./{name}", str(tmp_path / name), Path(name)):
        assert isinstance(open_data(folder).splits["train"], FolderData)
        assert "images in images, masks in masks" in how_read(folder, "segmentation")
    assert place_of(f"./{name}") == str(tmp_path / name)


@pytest.mark.parametrize("name", ["scenes", "mine"])
def test_its_task_is_not_that_of_a_folder_that_is_called_so(mine, name, tmp_path, monkeypatch):
    for label in ("cat", "dog"):
        write_pairs(tmp_path / name / label, tmp_path / "elsewhere", NAMES)
    monkeypatch.chdir(tmp_path)
    assert (task_of(name), task_of(f"./{name}")) == ("segmentation", "classification")


def test_what_is_no_name_is_a_folder(mine):
    assert [data_set(where) for where in ("", "a/b", "./mine", "/mine", "no one", Path("mine"))] == [None] * 6


def test_it_is_opened_as_it_is_asked_for(mine):
    open_data("mine", val_share=0.3, seed=5, max_megapixels=7)
    open_data("mine")
    assert mine == [Asked(val_share=0.3, seed=5, max_megapixels=7), Asked()]


def names(split):
    return {split[i].name for i in range(len(split))}


def test_val_is_taken_from_train_where_there_is_none(mine):
    source = open_data("mine", val_share=0.3, seed=5)
    train, val = names(source.splits["train"]), names(source.splits["val"])
    assert (len(train), len(val)) == (7, 3)
    assert train | val == {str(i) for i in range(10)}
    assert source.notes == (
        "no val split: 3 of the 10 images of train were set aside for it (--val-share 0.3, --data-seed 5)",
    )
    assert names(open_data("mine", val_share=0.3, seed=5).splits["val"]) == val
    assert any(names(open_data("mine", val_share=0.3, seed=seed).splits["val"]) != val for seed in range(5))


def test_a_val_split_stays_as_it_is(register):
    own = DataSource("mine", ABC, {"train": numbered(3), "val": numbered(1)})
    register(DataSet(name="mine", open=lambda asked: own))
    assert open_data("mine", val_share=0.5) is own


def test_its_classes_are_its_own(mine):
    assert open_data("mine", classes=ABC).classes is ABC
    with pytest.raises(DataError, match="the classes of mine are not the ones asked for"):
        open_data("mine", classes=Classes(("a", "b"), default_colors(2)))


@pytest.mark.parametrize(
    ("opened", "message"),
    [
        ({"train": 3}, "opening mine gave a dict; expected a wholenet.data.sample.DataSource"),
        (DataSource("mine", ABC, {}), "mine has no train split; it has none"),
        (DataSource("mine", ABC, {"train": numbered(1)}), r"mine: train, .*1 image\(s\) cannot be divided"),
    ],
)
def test_what_does_not_open_as_a_data_set_is_refused(register, opened, message):
    register(DataSet(name="mine", open=lambda asked: opened))
    with pytest.raises(DataError, match=message):
        open_data("mine")


def test_a_place_that_is_neither_is_refused_with_the_names(mine, tmp_path):
    with pytest.raises(
        DataError, match=r'yours does not exist\. Give a folder, or the name of a data set: "scenes", "mi'
    ):
        open_data("yours")
    (tmp_path / "s.yaml").write_text("data: yours\nout: x\n")
    with pytest.raises(ValueError, match=r'data is yours, and there .* the name of a data set: .*"scenes", .*"mine"'):
        read_sweep(tmp_path / "s.yaml")


def test_a_sweep_takes_a_name_as_it_is(mine, tmp_path):
    (tmp_path / "s.yaml").write_text(f"data: mine\nout: {tmp_path / 'out'}\noptions: {{size: nano}}\n")
    assert [run.config.data for run in read_sweep(tmp_path / "s.yaml").runs] == ["mine"]


def test_a_name_that_is_taken_is_refused(mine, register):
    for name in ("scenes", "mine"):
        with pytest.raises(ValueError, match=f"there is a data set '{name}' already; register yours under another"):
            register(DataSet(name=name, open=lambda asked: None))
    register(DATA_SETS["mine"])  # the very same: a module that is imported twice


def test_scenes_are_taken_even_before_anybody_looked():
    code = (
        "import wholenet\nfrom wholenet.data.sets import DataSet\n"
        "try:\n    wholenet.register(DataSet(name='scenes', open=print))\n"
        "except ValueError as error:\n    print(error)\nimport sys; sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "there is a data set 'scenes' already" in done.stdout


def test_the_scenes_are_the_same_by_name_and_by_import():
    from wholenet_scenes import open_scenes

    one, other = open_data("scenes", seed=3).splits["val"][1], open_scenes(3).splits["val"][1]
    assert np.array_equal(one.image, other.image)
    assert np.array_equal(one.mask, other.mask)
