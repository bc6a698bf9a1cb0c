"""Exported files: they compute what the model does, at any size, and say what it takes to use them."""

import json
import shutil
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import wholenet
from wholenet.cli import main
from wholenet.data.detect import open_data
from wholenet.data.pixels import normalize
from wholenet.data.sample import Classes
from wholenet.deploy.export import FORMATS, RANDOM_SIZES
from wholenet.deploy.export import export as export_model
from wholenet.deploy.model_folder import load_model, save_model
from wholenet.deploy.onnx_check import SEAL
from wholenet.deploy.onnx_model import METADATA, SMALLEST, OnnxModel
from wholenet.deploy.score import open_for, scores_to_dict
from wholenet.deploy.segmenter import segmentation_answer
from wholenet.deploy.tiles import Tiling
from wholenet.spaces.catalog import create_model
from wholenet.spaces.sizes import GRID_SIZES, GridSize
from wholenet.tasks.segmentation import ConfusionMatrix

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

CLASSES = Classes(("ground", "disc", "sky"), ((0, 0, 0), (230, 159, 0), (0, 114, 178)))
HELD_OUT = {"val_share": 0.4, "seed": 3}
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model folder of one layer: an export of the smallest real size takes half a minute. Each class is named."""
    patch = pytest.MonkeyPatch()
    patch.setitem(GRID_SIZES, "nano", GridSize(layers=1, filters=4, expansion=1, head=8))
    torch.manual_seed(0)
    model = create_model("grid-nano", num_classes=3).train()
    x = 1.2 * torch.randn(4, 3, 64, 64)
    with torch.no_grad():
        for _ in range(30):
            model(x)
        model.net.decoder.classify.bias -= model.eval()(x).mean((0, 2, 3))
    path = tmp_path_factory.mktemp("models") / "sliver"
    save_model(path, "segmentation", model, segmentation_answer(CLASSES, HELD_OUT), {})
    yield path
    patch.undo()


@pytest.fixture(scope="module")
def exported(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("exported")
    return {form: (out / f"model.{form}", wholenet.export(folder, out / f"model.{form}", form)[0]) for form in FORMATS}


@pytest.fixture(scope="module")
def program(exported):
    """The file of ``torch.export``, read: it takes seconds."""
    return torch.export.load(exported["torch"][0]).module()


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).integers(0, 256, (51, 77, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    """Images without splits, and random masks of the three classes."""
    root = tmp_path_factory.mktemp("labelled")
    rng = np.random.default_rng(0)
    for kind in ("images", "masks"):
        (root / kind).mkdir()
    for i in range(10):
        height, width = 48 + i, 70
        Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8)).save(root / "images" / f"{i}.png")
        Image.fromarray(rng.integers(0, 3, (height, width), dtype=np.uint8)).save(root / "masks" / f"{i}.png")
    (root / "classes.json").write_text(json.dumps(list(CLASSES.names)))
    return root


@pytest.mark.parametrize("form", FORMATS)
def test_the_check_compares_random_and_real_images(exported, form):
    path, check = exported[form]
    assert path.is_file()
    assert check.inputs == len(RANDOM_SIZES) + 3
    # onnxruntime's resizing has coordinates in float32: of the largest image they are right to 3e-5 of a pixel.
    assert check.max_abs_error < 3e-5 * max(1, check.max_abs_logit)
    assert check.same_class > 0.999
    assert [p.name for p in path.parent.iterdir() if "partial" in p.name] == []


def test_onnx_runs_with_numpy_alone_and_says_how(exported, folder, image):
    session = onnxruntime.InferenceSession(str(exported["onnx"][0]), providers=["CPUExecutionProvider"])
    about = json.loads(session.get_modelmeta().custom_metadata_map[METADATA])
    assert [c["name"] for c in about["classes"]["classes"]] == list(CLASSES.names)
    mean, std = (np.array(about["normalization"][key], np.float32) for key in ("mean", "std"))
    x = ((image.astype(np.float32) / 255 - mean) / std).transpose(2, 0, 1)[None]
    logits = session.run(["logits"], {"images": x})[0]
    network = load_model(folder).network
    with torch.no_grad():
        expected = network(torch.from_numpy(normalize(image)).permute(2, 0, 1)[None])
    np.testing.assert_allclose(logits, expected.numpy(), atol=1e-5)


def test_the_script_of_the_readme_predicts_what_we_do(exported, image, tmp_path, monkeypatch):
    scripts = (Path(__file__).parents[2] / "README.md").read_text().split("```python\n")[1:]
    (script,) = [part for part in (text.split("```")[0] for text in scripts) if "onnxruntime" in part]
    shutil.copy(exported["onnx"][0], tmp_path / "first.onnx")
    Image.fromarray(image).save(tmp_path / "street.png")
    monkeypatch.chdir(tmp_path)
    exec(compile(script, "README.md", "exec"), {"__name__": "script"})
    ours = OnnxModel(exported["onnx"][0]).predict(image)
    assert len(np.unique(ours)) > 1
    assert np.array_equal(np.asarray(Image.open("mask.png")), ours)


@pytest.mark.parametrize("size", [(1, SMALLEST, SMALLEST), (3, 40, 130), (1, 128, 64)])
def test_batch_height_and_width_are_free(exported, program, folder, size):
    batch, height, width = size
    x = np.random.default_rng(1).standard_normal((batch, 3, height, width), np.float32)
    with torch.no_grad():
        expected = load_model(folder).network(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(OnnxModel(exported["onnx"][0]).logits(x), expected, atol=1e-5)
    np.testing.assert_allclose(program(torch.from_numpy(x)).numpy(), expected, atol=1e-5)


def test_predict_takes_the_onnx_file(exported, folder, discs, tmp_path):
    for name, model in (("onnx", exported["onnx"][0]), ("folder", folder)):
        main(["predict", str(model), str(discs / "images"), "--out", str(tmp_path / name), "--overlay"])
    masks = sorted(path.name for path in (tmp_path / "folder").iterdir())
    assert masks == sorted(path.name for path in (tmp_path / "onnx").iterdir())
    assert len(masks) == 24
    for name in masks[::8]:
        ours, theirs = (np.asarray(Image.open(tmp_path / form / name)) for form in ("folder", "onnx"))
        assert (ours == theirs).mean() > 0.999  # ties may fall otherwise


@pytest.mark.parametrize("tiling", [None, Tiling((40, 48), 8)])
def test_the_scores_of_the_onnx_file_are_those_of_its_masks_and_of_the_folder(
    tiling, exported, folder, labelled, tmp_path
):
    path = exported["onnx"][0]
    scores = wholenet.evaluate(path, labelled, tiling=tiling)
    wholenet.predict(path, [labelled / "images"], tmp_path, tiling=tiling, probabilities=True)
    val, matrix = open_data(labelled, **HELD_OUT).splits["val"], ConfusionMatrix(3)
    for i in range(len(val)):
        mask = np.asarray(Image.open(tmp_path / f"{val[i].name}.png"))
        matrix.update(val[i].mask, mask)
        with np.load(tmp_path / f"{val[i].name}.npz") as file:
            likely = np.take_along_axis(file["probabilities"], mask[None].astype(int), 0)[0]
            assert (likely == file["probabilities"].max(0)).all()
    assert scores.scores == matrix.scores()
    assert scores.images == 4
    assert (matrix.counts.sum(0) > 0).sum() > 1  # classes that are predicted
    expected = wholenet.evaluate(folder, labelled, tiling=tiling)
    assert scores.iou == pytest.approx(expected.iou, abs=1e-3)  # ties may fall otherwise


def test_the_images_that_the_run_held_out_are_scored_again(exported, labelled):
    model = OnnxModel(exported["onnx"][0])
    assert model.held_out == HELD_OUT
    (val, others) = (open_for(model, str(labelled)).splits["val"], open_data(labelled).splits["val"])
    names = [{data[i].name for i in range(len(data))} for data in (val, others)]
    assert names[0] != names[1]
    again = open_data(labelled, **HELD_OUT).splits["val"]
    assert names[0] == {again[i].name for i in range(len(again))}


def test_evaluate_takes_the_onnx_file_in_the_shell(exported, labelled, discs, tmp_path, capsys):
    path, out = str(exported["onnx"][0]), tmp_path / "scores.json"
    main(["evaluate", path, str(labelled), "--split", "train", "--json", str(out)])
    scores = wholenet.evaluate(OnnxModel(path), labelled, "train")
    assert json.loads(out.read_text()) == scores_to_dict(scores, CLASSES.names)
    assert f"{100 * scores.miou:.1f} %" in capsys.readouterr().out
    for words, expected in (
        ([labelled, "--split", "dev"], "no split 'dev' with masks; it has train, val"),
        ([labelled, "--device", "cuda"], "ONNX files run on the CPU here"),
        ([labelled, "--tile", "32x32", "--overlap", "8"], "32x32 is too small for an exported network"),
        ([discs], "2 classes there, 3 expected"),
    ):
        with pytest.raises(SystemExit) as stop:
            main(["evaluate", path, *map(str, words)])
        assert stop.value.code == 2
        assert expected in capsys.readouterr().err


def test_nothing_is_written_over_and_a_wrong_export_is_not_kept(exported, folder, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"model\.onnx exists; remove it"):
        wholenet.export(folder, exported["onnx"][0])

    for constant in (0.0, np.nan):
        answer = partial(np.full_like, fill_value=constant)  # three channels in, three classes out
        wrong = (lambda _net, _about, path: path.touch(), lambda _path, answer=answer: answer)
        monkeypatch.setitem(FORMATS, "wrong", wrong)
        with pytest.raises(ValueError, match="more than rounding; nothing was written"):
            export_model(load_model(folder), tmp_path / "x.wrong", "wrong", [])
    with pytest.raises(ValueError, match="known: onnx, torch, wrong"):
        export_model(load_model(folder), tmp_path / "x.tflite", "tflite", [])
    assert list(tmp_path.iterdir()) == []


def test_a_bit_that_is_flipped_in_an_onnx_file_is_noticed(exported, tmp_path):
    content = exported["onnx"][0].read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(20):
        altered = bytearray(content)
        altered[rng.integers(len(content))] ^= 1 << rng.integers(8)
        (tmp_path / "m.onnx").write_bytes(altered)
        with pytest.raises(ValueError, match=r"damaged or altered since|cannot be read as ONNX"):
            OnnxModel(tmp_path / "m.onnx")
    (tmp_path / "m.onnx").write_bytes(content[: content.rindex(SEAL)])  # as earlier versions wrote it
    OnnxModel(tmp_path / "m.onnx")


def test_files_that_are_not_ours_are_refused(tmp_path):
    with pytest.raises(ValueError, match="does not exist"):
        OnnxModel(tmp_path / "nothing.onnx")
    (tmp_path / "text.onnx").write_text("no")
    with pytest.raises(ValueError, match=r"text\.onnx cannot be read as ONNX"):
        OnnxModel(tmp_path / "text.onnx")
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    other = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["x"], ["y"])], "g", [value], [other])
    foreign = onnx.helper.make_model(graph, ir_version=10, opset_imports=[onnx.helper.make_opsetid("", 18)])
    onnx.save(foreign, tmp_path / "foreign.onnx")
    with pytest.raises(ValueError, match=r"does not say which classes .* export it anew"):
        OnnxModel(tmp_path / "foreign.onnx")


def test_packages_that_are_missing_are_named(exported, folder, tmp_path, monkeypatch):
    monkeypatch.setattr("wholenet.deploy.export.ONNX_PACKAGES", ("onnx", "not_there"))
    with pytest.raises(ValueError, match=r"ONNX needs not_there, .* pip install 'wholenet\[export\]'"):
        wholenet.export(folder, tmp_path / "x.onnx")
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ValueError, match=r"ONNX needs onnxruntime, .* pip install 'wholenet\[export\]'"):
        OnnxModel(exported["onnx"][0])


def test_images_that_it_cannot_answer_are_refused(exported):
    model = OnnxModel(exported["onnx"][0])
    with pytest.raises(ValueError, match="expected an RGB image"):
        model.predict(np.zeros((64, 64, 3), np.float32))
    with pytest.raises(ValueError, match=r"32x64 is too small .* 33x33 or more"):
        model.predict(np.zeros((32, 64, 3), np.uint8))


def test_edges_are_dropped_before_the_export_and_from_runs_alone(folder, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="holds no run"):
        wholenet.export(folder, tmp_path / "x.onnx", drop_below=0.4)
    with pytest.raises(ValueError, match="give the run's folder"):
        wholenet.export(load_model(folder), tmp_path / "x.onnx", drop_below=0.4)
    assert list(tmp_path.iterdir()) == []
