"""Probabilities are of the masks that are written, tile by tile; what cannot have them is refused before work."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

import wholenet
from wholenet.cli import main
from wholenet.data.sample import Classes
from wholenet.deploy.classifier import classification_answer
from wholenet.deploy.model_folder import load_model, save_model
from wholenet.deploy.predict import SomeFailed, predict_files
from wholenet.deploy.probabilities import mask_and_probabilities
from wholenet.deploy.segmenter import segmentation_answer
from wholenet.deploy.tiles import Tiling
from wholenet.spaces.catalog import create_model

pytestmark = pytest.mark.usefixtures("shallow")

CLASSES = Classes(("a", "b", "c"), ((255, 0, 0), (0, 255, 0), (0, 0, 255)))
CUT = Tiling((40, 48), 8)


class ByPixel:
    """Logits that depend on the pixel alone: the channels, scaled. Equal ones are answered by the first."""

    classes = CLASSES

    def class_logits(self, image):
        if image.shape[:2] == (9, 9):
            raise FloatingPointError("the logits are lost")
        return image.transpose(2, 0, 1).astype(np.float32) / 16

    def predict(self, image):
        return self.class_logits(image).argmax(0).astype(np.uint8)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("models") / "nano"
    save_model(path, "segmentation", create_model("grid-nano", num_classes=3).eval(), segmentation_answer(CLASSES), {})
    return path


def picture(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("tiling", [Tiling(), Tiling((16, 24), 8), Tiling((33, 32), 0)])
def test_in_tiles_there_is_no_seam_where_there_is_none_in_the_answers(tiling):
    image = picture(70, 110)
    mask, probabilities = mask_and_probabilities(ByPixel(), image, tiling)
    powers = np.exp(image.transpose(2, 0, 1) / 16)
    assert np.array_equal(mask, image.argmax(2))
    assert probabilities == pytest.approx(powers / powers.sum(0), abs=5e-4)
    assert probabilities.dtype == np.float16


@pytest.mark.parametrize("tiling", [None, CUT])
def test_the_masks_are_those_without_probabilities_and_name_a_class_that_none_exceeds(tiling, model, discs, tmp_path):
    loaded = load_model(model)
    wholenet.predict(loaded, [discs / "images"], tmp_path / "plain", tiling=tiling)
    wholenet.predict(loaded, [discs / "images"], tmp_path / "both", tiling=tiling, probabilities=True, polygons=True)
    stems = sorted(path.stem for path in (tmp_path / "plain").iterdir())
    assert sorted(path.name for path in (tmp_path / "both").iterdir()) == sorted(
        f"{stem}{ending}" for stem in stems for ending in (".png", ".npz", ".geojson")
    )
    for stem in stems:
        mask = np.asarray(Image.open(tmp_path / "both" / f"{stem}.png"))
        assert np.array_equal(mask, np.asarray(Image.open(tmp_path / "plain" / f"{stem}.png")))
        with np.load(tmp_path / "both" / f"{stem}.npz", allow_pickle=False) as file:
            probabilities, names = file["probabilities"], file["classes"]
        assert names.tolist() == list(CLASSES.names)
        assert (np.take_along_axis(probabilities, mask[None].astype(int), 0)[0] == probabilities.max(0)).all()
        assert probabilities.astype(np.float64).sum(0) == pytest.approx(np.ones(mask.shape), abs=2e-3)
        polygons = json.loads((tmp_path / "both" / f"{stem}.geojson").read_text())
        pixels = [f["properties"]["pixels"] for f in polygons["features"]]
        assert sum(pixels) == mask.size


def test_an_image_that_fails_leaves_none_of_its_files(tmp_path):
    for name, shape in (("good", (12, 14)), ("lost", (9, 9))):
        Image.fromarray(picture(*shape)).save(tmp_path / f"{name}.png")
    with pytest.raises(SomeFailed, match="1 of 2 could not be answered"):
        predict_files(
            ByPixel(),
            [tmp_path / "lost.png", tmp_path / "good.png"],
            tmp_path / "out",
            with_probabilities=True,
            with_polygons=True,
        )
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"good.png", "good.npz", "good.geojson"}


def test_what_has_no_probabilities_or_polygons_is_refused_before_work(model, patches, tmp_path, capsys):
    network = create_model("s2", num_classes=3, channels=4, cells=3)
    answer = classification_answer(("red", "green", "blue"), (0.5,) * 3, (0.2,) * 3, (16, 16))
    save_model(tmp_path / "labels", "classification", network.eval(), answer, {})
    image = next((patches / "test").rglob("*.png"))
    for words, expected in (
        ([tmp_path / "labels", image, "--probabilities"], "whose table has the probabilities"),
        ([tmp_path / "labels", image, "--polygons"], "this is a classifier"),
        ([model, "film.mp4", "--polygons"], "film.mp4 is a video"),
        ([model, image, "--cityscapes-submission", "--probabilities"], "label ids alone"),
    ):
        with pytest.raises(SystemExit) as stop:
            main(["predict", *map(str, words), "--out", str(tmp_path / "out")])
        assert stop.value.code == 2
        assert expected in capsys.readouterr().err
    with pytest.raises(ValueError, match="a classifier answers for whole images"):
        wholenet.predict(tmp_path / "labels", [image], tmp_path / "out", polygons=True)
    assert not (tmp_path / "out").exists()
