"""Answers by the mean over mirror images: its formula, what symmetry makes of it, and every way to ask."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

import wholenet
from wholenet.cli import main
from wholenet.data.sample import Classes
from wholenet.deploy.classifier import classification_answer
from wholenet.deploy.flips import Flipped
from wholenet.deploy.model_folder import load_model, save_model
from wholenet.deploy.probabilities import mask_and_probabilities
from wholenet.deploy.segmenter import segmentation_answer
from wholenet.deploy.tiles import Tiling
from wholenet.spaces.catalog import create_model

pytestmark = pytest.mark.usefixtures("shallow")

CLASSES = Classes(("ground", "disc"), ((255, 0, 0), (0, 255, 0)))
CUT = Tiling((40, 48), 8)


class ByPixel:
    """Logits that depend on the pixel alone."""

    classes = CLASSES

    def class_logits(self, image):
        return image.transpose(2, 0, 1)[:2].astype(np.float32) / 16

    def predict(self, image):
        return self.class_logits(image).argmax(0).astype(np.uint8)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("models") / "nano"
    network = create_model("grid-nano", num_classes=2).train()
    with torch.no_grad():
        for _ in range(5):
            network(torch.randn(2, 3, 48, 64))
        logits = network.eval()(torch.randn(2, 3, 48, 64))
        network.net.decoder.classify.bias[0] += (logits[:, 1] - logits[:, 0]).median()
    save_model(path, "segmentation", network, segmentation_answer(CLASSES), {})
    return path


def picture(height=48, width=64):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def probabilities(model, image):
    return torch.from_numpy(model.class_logits(image)).double().softmax(0)


@pytest.mark.parametrize("vertical", [False, True])
def test_it_is_the_mean_of_the_probabilities_of_each_view_turned_back(vertical, model):
    alone, image = load_model(model, torch.device("cpu")), picture()
    views = [probabilities(alone, image)]
    views.append(probabilities(alone, image[:, ::-1].copy()).flip(2))
    if vertical:
        views.append(probabilities(alone, image[::-1].copy()).flip(1))
        views.append(probabilities(alone, image[::-1, ::-1].copy()).flip(1, 2))
    both = Flipped(alone, vertical=vertical)
    torch.testing.assert_close(probabilities(both, image), sum(views) / len(views), rtol=1e-5, atol=1e-7)
    assert np.array_equal(both.predict(image), both.class_logits(image).argmax(0))


@pytest.mark.parametrize("vertical", [False, True])
def test_a_mirrored_image_gets_the_mirrored_answer(vertical, model):
    both, image = Flipped(load_model(model, torch.device("cpu")), vertical=vertical), picture()
    for axis in (0, 1) if vertical else (1,):
        mirrored = both.class_logits(np.flip(image, axis).copy())
        assert np.flip(mirrored, 1 + axis) == pytest.approx(both.class_logits(image), abs=1e-5)
    symmetric = np.concatenate([image, image[:, ::-1]], axis=1)
    answer = both.class_logits(symmetric)
    assert answer == pytest.approx(answer[:, :, ::-1], abs=1e-5)


@pytest.mark.parametrize("vertical", [False, True])
@pytest.mark.parametrize("tiling", [Tiling(), CUT])
def test_where_mirroring_changes_no_answer_it_is_the_plain_one(vertical, tiling):
    image = picture(70, 110)
    mask, probable = mask_and_probabilities(Flipped(ByPixel(), vertical=vertical), image, tiling)
    plain_mask, plain = mask_and_probabilities(ByPixel(), image, tiling)
    assert np.array_equal(mask, plain_mask)
    assert probable == pytest.approx(plain, abs=1e-3)


def test_every_way_to_ask_gives_the_same_masks_and_the_score_is_theirs(model, discs, tmp_path):
    image = picture(48, 90)
    Image.fromarray(image).save(tmp_path / "one.png")
    tiles = ["--tile", "40x48", "--overlap", "8"]
    words = [str(model), str(tmp_path / "one.png"), "--device", "cpu", "--tta", "--tta-vertical", *tiles]
    main(["predict", *words, "--out", str(tmp_path / "typed")])
    wholenet.predict(
        model, [tmp_path / "one.png"], tmp_path / "called", tta=True, tta_vertical=True, tiling=CUT, probabilities=True
    )
    both = Flipped(load_model(model, torch.device("cpu")), vertical=True)
    expected = CUT.predict(both.predict, image)
    assert not np.array_equal(expected, CUT.predict(both.model.predict, image))
    for out in ("typed", "called"):
        assert np.array_equal(np.asarray(Image.open(tmp_path / out / "one.png")), expected)
    with np.load(tmp_path / "called" / "one.npz") as found:
        named = np.take_along_axis(found["probabilities"], expected[None].astype(int), 0)[0]
        assert np.array_equal(named, found["probabilities"].max(0))
        assert np.array_equal(found["probabilities"], mask_and_probabilities(both, image, CUT)[1])

    scores = tmp_path / "scores.json"
    asked = [str(model), str(discs), "--device", "cpu", "--split", "train", "--json", str(scores)]
    main(["evaluate", *asked, "--tta"])
    found = wholenet.evaluate(model, discs, "train", tta=True)
    assert json.loads(scores.read_text())["miou"] == found.miou
    assert found.counts != wholenet.evaluate(model, discs, "train").counts


def test_what_cannot_be_is_refused(model, discs, tmp_path, capsys):
    with pytest.raises(ValueError, match="give both"):
        wholenet.evaluate(model, discs, "train", tta_vertical=True)
    with pytest.raises(SystemExit):
        main(["predict", str(model), str(discs), "--out", str(tmp_path / "x"), "--tta-vertical"])
    assert "--tta --tta-vertical" in " ".join(capsys.readouterr().err.split())
    classifier = tmp_path / "classifier"
    answer = classification_answer(("a", "b"), (0.5,) * 3, (0.5,) * 3, (16, 16))
    save_model(classifier, "classification", create_model("s3", num_classes=2, channels=4, cells=3), answer, {})
    for asked in ({"tta": True}, {"tta_vertical": True}):
        with pytest.raises(ValueError, match="leave tiling and tta out"):
            wholenet.evaluate(classifier, discs, **asked)
        with pytest.raises(ValueError, match="tiling and tta out"):
            wholenet.predict(classifier, [tmp_path], tmp_path / "y", **asked)
