"""A score is that of the masks that are predicted, however the images are cut."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

import wholenet
from wholenet.cli import main
from wholenet.data.detect import open_data
from wholenet.data.pixels import normalize
from wholenet.deploy.model_folder import load_model, save_model
from wholenet.deploy.segmenter import TrainedModel, segmentation_answer
from wholenet.deploy.tiles import Tiling
from wholenet.search.memory import ran_out_of_memory
from wholenet.spaces.catalog import create_model
from wholenet.tasks.segmentation import ConfusionMatrix, evaluate, evaluate_masks

pytestmark = pytest.mark.usefixtures("shallow")

SPLIT = "train"
"""The larger part of the discs, which are 48x64."""
CUT = Tiling((40, 48), 8)


@pytest.fixture(scope="module")
def model(discs, tmp_path_factory):
    """Untrained, with statistics of the discs, and a bias by which it names either class as often."""
    torch.manual_seed(0)
    source = open_data(discs)
    data = source.splits[SPLIT]
    images = torch.stack([torch.from_numpy(normalize(data[i].image)).permute(2, 0, 1) for i in range(len(data))])
    network = create_model("grid-nano", num_classes=2).train()
    with torch.no_grad():
        for _ in range(30):
            network(images)
        logits = network.eval()(images)
        network.net.decoder.classify.bias[0] += (logits[:, 1] - logits[:, 0]).median()
    path = tmp_path_factory.mktemp("models") / "nano"
    save_model(path, "segmentation", network, segmentation_answer(source.classes), {})
    return path


def scores_of_files(masks, discs):
    """What the PNG files in the folder ``masks`` score."""
    source = open_data(discs)
    data, matrix = source.splits[SPLIT], ConfusionMatrix(len(source.classes))
    for i in range(len(data)):
        matrix.update(data[i].mask, np.asarray(Image.open(masks / f"{data[i].name}.png")))
    return matrix.scores()


@pytest.fixture
def parts(monkeypatch):
    """Sizes of what the network is given."""
    seen, whole = [], TrainedModel.predict

    def predict(self, image):
        seen.append(image.shape[:2])
        return whole(self, image)

    monkeypatch.setattr(TrainedModel, "predict", predict)
    return seen


@pytest.mark.parametrize("tiling", [None, CUT, Tiling((64, 32), 0)])
def test_the_score_is_that_of_the_masks_that_predict_writes(tiling, model, discs, tmp_path):
    wholenet.predict(model, [discs / "images"], tmp_path, tiling=tiling)
    scores = wholenet.evaluate(model, discs, SPLIT, tiling=tiling)
    assert scores.scores == scores_of_files(tmp_path, discs)
    assert 0 < scores.pixel_accuracy < 1
    assert None not in scores.iou
    assert (scores == wholenet.evaluate(model, discs, SPLIT)) == (tiling is None)  # tiles do make a difference here


def test_large_images_are_cut_without_being_asked(model, discs, tmp_path, parts, monkeypatch):
    monkeypatch.setattr("wholenet.deploy.tiles.DEFAULT_TILE", CUT.tile)
    small = 48 * 64
    for most, shown in ((small, (48, 64)), (small - 1, CUT.tile)):
        monkeypatch.setattr("wholenet.deploy.tiles.WHOLE_PIXELS", most)
        parts.clear()
        scores = wholenet.evaluate(model, discs, SPLIT, tiling=replace(CUT, tile=None))
        assert set(parts) == {shown}
        assert scores.images == len(open_data(discs).splits[SPLIT])
    assert scores == wholenet.evaluate(model, discs, SPLIT, tiling=CUT)


def test_small_images_score_as_in_the_validation_of_training(model, discs):
    """Which is not of the folded network; the last digits may differ."""
    loaded = load_model(model)
    validated = evaluate(loaded.network, open_data(discs).splits[SPLIT], 2)
    scores = wholenet.evaluate(loaded, discs, SPLIT)
    assert scores.iou == pytest.approx(validated.iou, abs=1e-3)
    assert scores.images == validated.images


def test_the_command_line_cuts_too(model, discs, tmp_path, capsys, parts):
    words = ["evaluate", str(model), str(discs), "--split", SPLIT]
    main([*words, "--tile", "40x48", "--overlap", "8", "--json", str(tmp_path / "scores.json")])
    assert set(parts) == {CUT.tile}
    assert json.loads((tmp_path / "scores.json").read_text())["miou"] == (
        wholenet.evaluate(model, discs, SPLIT, tiling=CUT).miou
    )
    for typed, expected in (("21", "expected an overlap of 0 to half the shorter side"), ("-1", "0 or more")):
        with pytest.raises(SystemExit) as stop:
            main([*words, "--tile", "40x48", f"--overlap={typed}"])
        assert stop.value.code == 2
        assert expected in capsys.readouterr().err


def test_where_memory_runs_out_smaller_tiles_are_proposed(model, discs, monkeypatch, capsys):
    def predict(*_):
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(TrainedModel, "predict", predict)
    with pytest.raises(torch.OutOfMemoryError) as stop:
        wholenet.evaluate(model, discs)
    assert ran_out_of_memory(stop.value)
    with pytest.raises(SystemExit):
        main(["evaluate", str(model), str(discs)])
    assert "A smaller --tile needs less memory" in capsys.readouterr().err


@pytest.mark.parametrize("error", [ValueError, FloatingPointError])
def test_an_image_that_cannot_be_answered_is_named(error, discs):
    data = open_data(discs).splits["val"]

    def predict(_):
        raise error("no answer")

    with pytest.raises(error, match=f"^{data[0].name}: no answer"):
        evaluate_masks(predict, data, 2)
