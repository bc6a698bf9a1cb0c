"""Networks for disparity as ONNX files."""

import json

import numpy as np
import pytest
import torch

import toy_pairs
import wholenet
from wholenet.cli import main
from wholenet.deploy.model_folder import save_model
from wholenet.deploy.stereo import normalized, stereo_answer
from wholenet.spaces.catalog import create_model

MEAN = (0.4, 0.5, 0.3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    toy_pairs.register()
    out = tmp_path_factory.mktemp("model") / "model"
    torch.manual_seed(0)
    save_model(out, "stereo", create_model("toy-pairs", num_classes=1), stereo_answer(MEAN), {})
    yield out
    toy_pairs.forget()


def test_a_file_computes_what_the_network_does(folder, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    check, price = wholenet.export(folder, tmp_path / "m.onnx", size=(24, 40))
    assert price is None
    assert (check.size, check.inputs) == ((24, 40), 3)
    assert check.max_abs_error < 1e-4
    session = runtime.InferenceSession(str(tmp_path / "m.onnx"))
    about = json.loads(session.get_modelmeta().custom_metadata_map["wholenet"])
    assert about["mean"] == list(MEAN)
    images = np.random.default_rng(0).integers(0, 256, (2, 24, 40, 3), np.uint8)
    fed = {name: normalized([image], about["mean"]) for name, image in zip(("left", "right"), images, strict=True)}
    model = wholenet.load(folder, device="cpu")
    np.testing.assert_allclose(session.run(None, fed)[0][0], model.predict(*images), rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="is a network for 'stereo', which is run by onnxruntime itself"):
        wholenet.predict(tmp_path / "m.onnx", ["a", "b"], tmp_path / "x")


def test_what_cannot_be_exported_is_refused_first(folder, tmp_path, capsys):
    for wrong in (["--format", "torch"], ["--data", "planes"], ["--size", "24x42"], ["--drop-below", "0.1"]):
        with pytest.raises(SystemExit):
            main(["export", str(folder), "--out", str(tmp_path / "m.onnx"), *wrong])
        assert capsys.readouterr().out == ""  # no word of writing what is then not written
    with pytest.raises(ValueError, match="size 24x42: this network takes multiples of 4; give 24x4"):
        wholenet.export(folder, tmp_path / "m.onnx", size=(24, 42))
    with pytest.raises(ValueError, match=r"exported as ONNX, whole, .*: no other format"):
        wholenet.export(folder, tmp_path / "m.pt2", "torch")
    assert not list(tmp_path.iterdir())
