import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import wholenet
from wholenet.data.sample import Classes
from wholenet.deploy.model_folder import load_model, save_model

CLASSES = Classes(("sky", "ground"), ((0, 0, 255), (0, 255, 0)), values=(3, 7), ignore_values=(255, 9))


@pytest.fixture
def saved(tmp_path):
    torch.manual_seed(0)
    model = wholenet.create_model("grid-nano", num_classes=2, activation="hardswish")
    model.arch.logits["beta"].data.normal_()
    save_model(tmp_path / "model", model, CLASSES, {"epochs": 3})
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
    save_model(folder, model, CLASSES, {"epochs": 4})
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
    (folder / "config.json").write_text(json.dumps({**config, "normalization": {"mean": [0, 0, 0], "std": [1, 1, 1]}}))
    with pytest.raises(ValueError, match="normalised by"):
        load_model(folder)


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(ValueError, match="holds no model"):
        wholenet.load(tmp_path)
    (tmp_path / "config.yaml").write_text("data: x\n")
    with pytest.raises(ValueError, match="not been validated yet"):
        wholenet.load(tmp_path)
