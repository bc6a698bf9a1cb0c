import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import wholenet
from wholenet.data.detect import open_data
from wholenet.data.sample import Classes
from wholenet.deploy.classifier import classification_answer
from wholenet.deploy.model_files import place_of, write_model
from wholenet.deploy.model_folder import load_model, save_model
from wholenet.deploy.segmenter import TrainedModel, segmentation_answer
from wholenet.spaces.catalog import create_model
from wholenet.tasks.segmentation import evaluate

pytestmark = pytest.mark.usefixtures("shallow")

CLASSES = Classes(("sky", "ground"), ((0, 0, 255), (0, 255, 0)), values=(3, 7), ignore_values=(255, 9))


@pytest.fixture
def saved(tmp_path):
    torch.manual_seed(0)
    model = wholenet.create_model("grid-nano", num_classes=2, activation="hardswish")
    model.arch.logits["beta"].data.normal_()
    save_model(tmp_path / "model", "segmentation", model, segmentation_answer(CLASSES), {"epochs": 3})
    return model.eval(), tmp_path / "model"


def test_a_loaded_model_answers_as_the_saved_one(saved):
    model, folder = saved
    image = np.random.default_rng(0).integers(0, 256, (37, 50, 3), dtype=np.uint8)
    loaded = load_model(folder)
    for name, value in model.state_dict().items():
        assert torch.equal(value, loaded.network.state_dict()[name]), name
    assert loaded.classes == CLASSES
    assert loaded.predict(image).shape == (37, 50)
    x = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(loaded.network(x), model(x))


def test_saving_again_replaces_the_model_and_leaves_nothing_beside_it(saved):
    model, folder = saved
    save_model(folder, "segmentation", model, segmentation_answer(CLASSES), {"epochs": 4})
    assert json.loads((folder / "config.json").read_text())["facts"]["epochs"] == 4
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


def test_an_image_of_another_kind_is_refused(saved):
    loaded = load_model(saved[1])
    for image in (np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((4, 4, 4), np.uint8)):
        with pytest.raises(ValueError, match="expected an RGB image"):
            loaded.predict(image)


def test_weights_of_another_network_are_refused(saved):
    _, folder = saved
    tensors = load_file(folder / "model.safetensors")
    tensors.pop("net.decoder.classify.weight")
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(ValueError, match=r"(?s)does not fit its config.json.*decoder.classify.weight"):
        load_model(folder)


def test_a_damaged_file_is_refused(saved):
    _, folder = saved
    (folder / "model.safetensors").write_bytes(b"\x10" + bytes(30))
    with pytest.raises(ValueError, match="does not fit its config"):
        load_model(folder)


def test_another_format_or_normalisation_is_refused(saved):
    _, folder = saved
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "format": 99}))
    with pytest.raises(ValueError, match="format 99"):
        load_model(folder)
    (folder / "config.json").write_text(
        json.dumps(config | {"answer": config["answer"] | {"normalization": {"mean": [0, 0, 0], "std": [1, 1, 1]}}})
    )
    with pytest.raises(ValueError, match="normalised by"):
        load_model(folder)


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(ValueError, match="holds no model"):
        wholenet.load(tmp_path)
    (tmp_path / "config.yaml").write_text("data: x\n")
    with pytest.raises(ValueError, match="not been validated yet"):
        wholenet.load(tmp_path)


def kinds(path):
    """A model folder of each task."""
    save_model(
        path / "m", "segmentation", wholenet.create_model("grid-nano", num_classes=2), segmentation_answer(CLASSES), {}
    )
    cells = create_model("nb201", num_classes=2, channels=4, cells=3)
    save_model(
        path / "c", "classification", cells, classification_answer(("a", "b"), (0.5,) * 3, (0.2,) * 3, (16, 16)), {}
    )
    return path / "m", path / "c"


def test_a_bit_that_is_flipped_in_the_weights_is_noticed(tmp_path):
    rng = np.random.default_rng(0)
    for folder in kinds(tmp_path):
        load_model(folder)
        file = folder / "model.safetensors"
        content = file.read_bytes()
        for place in (0, 8, len(content) - 1, *rng.integers(len(content), size=12)):
            altered = bytearray(content)
            altered[place] ^= 1 << rng.integers(8)
            file.write_bytes(altered)
            with pytest.raises(ValueError, match=r"does not fit its config\.json"):
                load_model(folder)
        file.write_bytes(content + b"\0")
        with pytest.raises(ValueError, match="something was added"):
            load_model(folder)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), -1.0])
def test_a_model_that_nothing_can_be_computed_with_is_neither_loaded_nor_saved(value, tmp_path):
    for folder in kinds(tmp_path):
        for name in ("running_var", *(["running_mean", "weight"] if not np.isfinite(value) else [])):
            config = json.loads((folder / "config.json").read_text())
            config.pop("weights_sha256", None)  # as earlier versions wrote it
            (folder / "config.json").write_text(json.dumps(config))
            tensors = load_file(folder / "model.safetensors")
            load_model(folder)
            key = [key for key in tensors if key.endswith(name)][-1]
            altered = {**tensors, key: tensors[key].clone()}
            altered[key].view(-1)[-1] = value
            save_file(altered, folder / "model.safetensors")
            with pytest.raises(ValueError, match=f"nothing can be predicted with this model: {key}"):
                load_model(folder)
            save_file(tensors, folder / "model.safetensors")
            network = load_model(folder).network
            network.state_dict()[key].view(-1)[-1] = value
            before = {path: path.read_bytes() for path in folder.iterdir()}
            with pytest.raises(FloatingPointError, match=f"no model is written, because {key}"):
                write_model(folder, network, config, "")
            assert {path: path.read_bytes() for path in folder.iterdir()} == before


class Killed(BaseException):
    pass


def test_a_crash_at_any_moment_leaves_the_old_model_or_the_new(saved, monkeypatch):
    """At each call that changes names or is to put something on the disk; the next save goes through and tidies up."""
    model, folder = saved
    left = None
    calls = ("replace", "mkdir", "fsync", "rmtree")
    places = {"replace": Path, "mkdir": Path, "fsync": os, "rmtree": shutil}
    real = {name: getattr(place, name) for name, place in places.items()}

    def counted(name):
        def call(*args, **kwargs):
            nonlocal left
            left -= 1
            if left < 0:
                raise Killed
            return real[name](*args, **kwargs)

        return call

    for name in calls:
        monkeypatch.setattr(places[name], name, counted(name))
    seen, moment = [], 0
    while True:
        left = moment
        try:
            save_model(folder, "segmentation", model, segmentation_answer(CLASSES), {"epochs": 1000 + moment})
        except Killed:
            left = 10**6
            load_model(folder)
            seen.append(json.loads((place_of(folder) / "config.json").read_text())["facts"]["epochs"])
            assert seen[-1] in (1000 + moment, *seen[:-1], 3)
            moment += 1
            continue
        break
    assert moment > 8
    assert {epochs == 1000 + moment for moment, epochs in enumerate(seen)} == {True, False}
    left = 10**6
    save_model(folder, "segmentation", model, segmentation_answer(CLASSES), {"epochs": 4})
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


def test_a_run_whose_model_was_being_exchanged_still_has_one(saved):
    _, folder = saved
    folder.rename(folder.with_name("model.old"))
    assert isinstance(load_model(folder.parent), TrainedModel)


def test_answers_that_are_no_numbers_are_refused(saved, discs):
    """Weights may be finite and what comes of them not: float32 ends at 3.4e38."""
    loaded = load_model(saved[1])
    with torch.no_grad():
        loaded.network.net.decoder.norm.weight.fill_(1e30)
        loaded.network.net.decoder.classify.weight.fill_(3e38)
    image = np.full((40, 48, 3), 255, np.uint8)
    with pytest.raises(FloatingPointError, match="logits are not finite"):
        loaded.predict(image)
    data = open_data(str(discs)).splits["val"]
    with pytest.raises(FloatingPointError, match=rf"{data[0].name}: .*logits are not finite"):
        evaluate(loaded.network, data, 2)
