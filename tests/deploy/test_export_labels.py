"""Classifiers as files: they compute what the model does, for any number of images, and say how to use them."""

import json

import numpy as np
import pytest
import torch

import wholenet
from wholenet.deploy.classifier import classification_answer
from wholenet.deploy.export import Check
from wholenet.deploy.model_folder import save_model
from wholenet.spaces.catalog import create_model
from wholenet.spaces.nb201.genotype import genotype_from_string

NAMES, MEAN, STD = ("cat", "dog", "owl"), (0.4, 0.5, 0.3), (0.2, 0.3, 0.25)
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A small discrete network, whose answers differ."""
    torch.manual_seed(0)
    genotype = genotype_from_string("|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|none~1|nor_conv_1x1~2|")
    model = create_model("nb201", num_classes=3, channels=4, cells=3, genotype=genotype).train()
    with torch.no_grad():
        for _ in range(20):
            model(1.2 * torch.randn(8, 3, 16, 24))
    out = tmp_path_factory.mktemp("model") / "model"
    save_model(out, "classification", model.eval(), classification_answer(NAMES, MEAN, STD, (16, 24)), {})
    return out


def test_an_onnx_file_classifies_as_the_model_does_and_says_how(folder, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    check, price = wholenet.export(folder, tmp_path / "m.onnx")
    assert isinstance(check, Check)
    assert (price, check.same_class) == (None, 1.0)
    assert check.max_abs_error < 1e-5 * max(1, check.max_abs_logit)
    assert [path.name for path in tmp_path.iterdir()] == ["m.onnx"]
    session = runtime.InferenceSession(str(tmp_path / "m.onnx"))
    about = json.loads(session.get_modelmeta().custom_metadata_map["wholenet"])
    assert (about["classes"], about["size"]) == (list(NAMES), [16, 24])
    images = np.random.default_rng(0).integers(0, 256, (7, 16, 24, 3), np.uint8)
    mean, std = (np.array(about["normalization"][name], np.float32) for name in ("mean", "std"))
    x = ((images / np.float32(255) - mean) / std).transpose(0, 3, 1, 2)
    for count in (1, 7):
        (logits,) = session.run(None, {"images": np.ascontiguousarray(x[:count])})
        shares = torch.from_numpy(logits).softmax(1).numpy()
        np.testing.assert_allclose(shares, wholenet.load(folder, "cpu").predict(images[:count]), atol=1e-5)
    with pytest.raises(ValueError, match="is a network for 'classification', which is run by onnxruntime itself"):
        wholenet.predict(tmp_path / "m.onnx", ["a"], tmp_path / "x")


def test_what_is_of_masks_is_refused_first(folder, tmp_path):
    with pytest.raises(ValueError, match="a classifier is exported whole"):
        wholenet.export(folder, tmp_path / "m.onnx", data="scenes")
    with pytest.raises(ValueError, match="a classifier is exported whole"):
        wholenet.export(folder, tmp_path / "m.onnx", drop_below=0.1)
    with pytest.raises(ValueError, match=r"size=.* is of networks for disparity"):
        wholenet.export(folder, tmp_path / "m.onnx", size=(16, 24))
    assert not list(tmp_path.iterdir())
