"""Images of four bands of 16 bits through every verb: what training knew of them, all that comes after it knows."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

import wholenet
from run_files import assert_equal, checkpoint
from toy import TOY
from wholenet.cli import main
from wholenet.data.detect import open_data
from wholenet.data.pixels import Pixels
from wholenet.data.sample import Classes, DataError, DataSource, Sample
from wholenet.data.sets import DATA_SETS, DataSet
from wholenet.deploy.onnx_model import OnnxModel
from wholenet.deploy.predict import SomeFailed
from wholenet.deploy.tiles import Tiling
from wholenet.search.cost import run_macs
from wholenet.search.loop import train_epoch
from wholenet.search.run_folder import RunFolder

tifffile = pytest.importorskip("tifffile", reason="part of wholenet[tiff]")
pytestmark = pytest.mark.usefixtures("toy", "shallow")
SMALL = {**TOY, "batch": 2, "crop": "32x32", "lr": 0.05, "device": "cpu", "val_every": 4}


def image_of(mask, rng):
    """What is in the mask shows in the fourth band alone."""
    image = rng.normal((900, 1000, 1100, 2000), 50, (*mask.shape, 4))
    image[..., 3] += 800.0 * mask
    return image.astype(np.uint16)


def fill(root, kind=np.uint16):
    rng = np.random.default_rng(0)
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    for i in range(8):
        mask = np.zeros((48, 40), np.uint8)
        y, x = rng.integers(4, 20, 2)
        mask[y : y + 20, x : x + 16] = 1
        image = image_of(mask, rng).astype(kind)
        tifffile.imwrite(root / "images" / f"{i}.tif", image, photometric="minisblack", planarconfig="contig")
        Image.fromarray(mask).save(root / "masks" / f"{i}.png")
    return root


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return fill(tmp_path_factory.mktemp("four") / "data")


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    wholenet.fit(data, out, epochs=16, **SMALL)
    return out


def test_what_shows_in_the_fourth_band_alone_is_learned(run):
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert records[-1]["miou"] > 0.5  # of ground alone it is 0.42


def test_the_model_folder_says_what_its_images_are(data, run):
    config = json.loads((run / "model" / "config.json").read_text())
    assert (config["format"], config["model"]["channels"]) == (3, 4)
    pixels = wholenet.load(run, device="cpu").pixels
    assert config["answer"]["normalization"] == {"mean": list(pixels.mean), "std": list(pixels.std)}
    own = open_data(data).splits["train"]
    flat = np.concatenate([own[i].image.reshape(-1, 4) for i in range(len(own))]).astype(float)
    np.testing.assert_allclose(pixels.mean, flat.mean(0), rtol=1e-12)
    np.testing.assert_allclose(pixels.std, flat.std(0), rtol=1e-12)
    assert (pixels.low, pixels.high) == (tuple(flat.min(0)), tuple(flat.max(0)))
    assert "4 bands of uint16" in (run / "model" / "README.md").read_text()


def test_the_validation_is_what_evaluate_and_the_exported_file_find(data, run, tmp_path):
    last = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])["miou"]
    scores = wholenet.evaluate(run, data)
    assert abs(scores.miou - last) < 1e-3
    check, _ = wholenet.export(run, tmp_path / "a.onnx")
    assert check.inputs > 3  # its own images among them
    assert abs(wholenet.evaluate(tmp_path / "a.onnx", data).miou - scores.miou) < 1e-3
    exported, loaded = OnnxModel(tmp_path / "a.onnx"), wholenet.load(run, device="cpu")
    assert exported.pixels == loaded.pixels
    assert exported.about["images"].startswith("float32 [B, 4, H, W], 4 bands of uint16, (value - mean) / std")
    image = image_of(np.eye(70, 50, dtype=np.uint8), np.random.default_rng(1))
    assert (exported.predict(image) == loaded.predict(image)).mean() > 0.999
    assert exported.about["pixels"]["high"] == list(loaded.pixels.high)


def test_predict_writes_masks_and_pictures_that_can_be_looked_at(data, run, tmp_path, capsys):
    files = [str(data / "images" / f"{i}.tif") for i in range(2)]
    main(["predict", str(run), *files, "--out", str(tmp_path / "whole"), "--overlay"])
    told = capsys.readouterr().out
    assert "overlays show bands 1, 2, 3 as red, green, blue, each stretched from its 2nd to its 98th percentile" in told
    with Image.open(tmp_path / "whole" / "0_overlay.png") as picture:
        assert picture.mode == "RGB"
        assert picture.size >= (40, 49)  # the image, and a legend below
        assert np.array(picture).std() > 20
    with Image.open(tmp_path / "whole" / "0.png") as written:
        whole = np.array(written)
    tiled = wholenet.predict(run, files[:1], tmp_path / "tiled", tiling=Tiling((40, 40), 16))
    assert (np.array(Image.open(tiled[0])) == whole).mean() > 0.9


def test_images_of_another_kind_are_refused_with_both_kinds(data, run, tmp_path):
    model = wholenet.load(run, device="cpu")
    Image.fromarray(np.zeros((40, 48, 3), np.uint8)).save(tmp_path / "photo.png")
    tifffile.imwrite(tmp_path / "float.tif", np.zeros((40, 48, 4), np.float32), photometric="rgb")
    for file, found in (("photo.png", r"uint8 \[40, 48, 3\]"), ("float.tif", r"float32 \[40, 48, 4\]")):
        with pytest.raises(SomeFailed, match=rf"expected an image of 4 bands of uint16, \[H, W, 4\]; found {found}"):
            wholenet.predict(model, [tmp_path / file], tmp_path / "out")
    with pytest.raises(DataError, match="expected an image of 4 bands of uint16"):
        wholenet.evaluate(model, fill(tmp_path / "floats", np.float32))


def test_a_continued_run_is_the_whole_run_and_knows_other_data(run, tmp_path, monkeypatch):
    own, part = fill(tmp_path / "own"), tmp_path / "part"

    def stopping(state, *rest):
        if state.epoch == 3:
            raise KeyboardInterrupt
        return train_epoch(state, *rest)

    monkeypatch.setattr("wholenet.run.train_epoch", stopping)
    with pytest.raises(KeyboardInterrupt):
        wholenet.fit(own, part, epochs=16, **SMALL)
    monkeypatch.undo()
    for path in (own / "images").iterdir():
        brighter = tifffile.imread(path) + np.uint16(1)
        tifffile.imwrite(path, brighter, photometric="minisblack", planarconfig="contig")
    with pytest.raises(ValueError, match="pixels mean of channel 0"):
        wholenet.resume(part)
    shutil.rmtree(own)
    fill(own)
    wholenet.resume(part)
    assert_equal(checkpoint(part), checkpoint(run))


@pytest.fixture(scope="module")
def grid(data, tmp_path_factory):
    """A run of the grid, which has more to diagnose than a space from outside."""
    options = {name: value for name, value in SMALL.items() if name not in TOY} | {"size": "nano", "epochs": 4}
    out = tmp_path_factory.mktemp("runs") / "grid"
    wholenet.fit(data, out, **options)
    return out


def test_a_diagnosis_and_the_costs_are_of_four_channels(data, grid):
    found = wholenet.diagnose(grid, curvature=True, device="cpu")
    last = json.loads((grid / "metrics.jsonl").read_text().splitlines()[-1])["miou"]
    assert found.miou == pytest.approx(last, abs=1e-3)
    assert run_macs(RunFolder(grid)) > 0


def test_a_model_folder_whose_parts_disagree_is_refused(run, tmp_path):
    shutil.copytree(run / "model", tmp_path / "model")
    path = tmp_path / "model" / "config.json"
    config = json.loads(path.read_text())
    for change in ({"channels": 5}, {"channels": 3, "type": "uint8"}):
        answer = {**config["answer"], "pixels": {**config["answer"]["pixels"], **change}}
        path.write_text(json.dumps({**config, "answer": answer}))
        with pytest.raises(ValueError, match=r"config\.json"):
            wholenet.load(tmp_path / "model")


class Arrays:
    """Two bands of floats."""

    def __len__(self):
        return 6

    def __getitem__(self, index):
        mask = np.zeros((40, 40), np.uint8)
        mask[index : index + 20, 4:30] = 1
        return Sample(np.stack([mask * 1e-3, mask * 0 + index], axis=-1).astype(np.float32), mask, str(index))


@pytest.mark.parametrize("stated", [False, True])
def test_a_data_set_of_arrays_by_name_trains_as_it_is(tmp_path, stated):
    pixels = Pixels(channels=2, type="float32", mean=(0, 0), std=(1, 2), low=(0, 0), high=(1, 5)) if stated else None
    classes = Classes(("ground", "square"), ((0, 0, 0), (250, 0, 0)))
    known = DataSet(name="arrays", open=lambda asked: DataSource("arrays", classes, {"train": Arrays()}, pixels=pixels))
    wholenet.register(known)
    try:
        wholenet.fit("arrays", tmp_path / "run", epochs=1, **SMALL)
        model = wholenet.load(tmp_path / "run", device="cpu")
        assert (model.pixels.channels, model.pixels.type) == (2, "float32")
        assert model.pixels == pixels or not stated
        assert wholenet.evaluate(model, "arrays").images > 0
        with pytest.raises(ValueError, match="bands='stored' is about image files"):
            wholenet.fit("arrays", tmp_path / "other", epochs=1, bands="stored", **SMALL)
    finally:
        DATA_SETS.remove("arrays")
