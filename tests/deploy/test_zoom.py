"""The zoom at which a network sees whole images: one value of its spec, and whatever predicts keeps to it."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

import wholenet
from wholenet.cli import main
from wholenet.data.classes import Classes
from wholenet.deploy.export import FORMATS
from wholenet.deploy.folds import fold
from wholenet.deploy.model_folder import load_model, save_model
from wholenet.deploy.onnx_model import OnnxModel
from wholenet.deploy.segmenter import segmentation_answer
from wholenet.ops.resize import resize
from wholenet.ops.zoom import zoomed
from wholenet.search.config import FitConfig
from wholenet.spaces.catalog import create_from, create_model, discrete_from
from wholenet.spaces.decoding import decode
from wholenet.spaces.sizes import GRID_SIZES, GridSize
from wholenet.spaces.space import spec_from_dict
from wholenet.spaces.supernet import with_weights

CLASSES = Classes(("ground", "disc", "sky"), ((0, 0, 0), (230, 159, 0), (0, 114, 178)))
ZOOM = 0.6


@pytest.fixture(scope="module")
def pair():
    """Two networks of the same weights, in float64 and eval mode: at zoom 1, and at another."""
    torch.manual_seed(0)
    patch = pytest.MonkeyPatch()
    patch.setitem(GRID_SIZES, "nano", GridSize(layers=1, filters=4, expansion=1, head=8))
    plain = create_model("grid-nano", num_classes=3).double().eval()
    other = create_from(replace(plain.spec, zoom=ZOOM)).double().eval()
    other.load_state_dict(plain.state_dict())
    yield plain, other
    patch.undo()


@pytest.fixture
def images():
    return torch.rand(2, 3, 75, 101, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def test_the_network_sees_a_resized_image_and_answers_at_its_size(pair, images):
    plain, other = pair
    small = resize(images, (45, 61))
    expected = resize(plain(small), (75, 101))
    assert torch.equal(other(images), expected)
    assert not torch.equal(other(images), plain(images))
    torch.testing.assert_close(fold(other)(images), expected, rtol=0, atol=1e-12)


@torch.no_grad()
def test_training_sees_images_as_they_are(pair, images):
    plain, other = (model.train() for model in pair)
    try:
        assert torch.equal(plain(images), other(images))
    finally:
        plain.eval()
        other.eval()


@torch.no_grad()
def test_it_stays_with_whatever_is_made_of_the_network(pair, images):
    _, other = pair
    assert torch.equal(with_weights(other, other.arch())(images), other(images))
    genotype = decode(other.arch(), "best-path", 0.0, operations=other.net.operations)
    assert discrete_from(other, genotype).spec.zoom == ZOOM


def test_traced_graphs_see_the_sizes_that_tell_ways_of_rounding_apart():
    sizes = pytest.importorskip("wholenet.deploy.free_sizes")
    for zoom in (n / 100 for n in range(10, 101)):
        for (batch, height, width), seen in zip(sizes.traced(zoom), sizes.TRACED, strict=True):
            assert (batch, zoomed(height, zoom), zoomed(width, zoom)) == seen


def test_sides_are_rounded_up_and_one_pixel_stays():
    assert [zoomed(n, 0.5) for n in (1, 2, 3, 101)] == [1, 1, 2, 51]
    assert [zoomed(n, 1.0) for n in range(1, 9)] == list(range(1, 9))


def test_a_spec_says_it_only_where_it_is_another(pair):
    plain, other = (model.spec.to_dict() for model in pair)
    assert "zoom" not in plain
    assert other["zoom"] == ZOOM
    assert spec_from_dict(other).zoom == ZOOM
    with pytest.raises(ValueError, match="zoom"):
        spec_from_dict({**other, "zoom": 0.0})


@pytest.fixture
def folder(pair, tmp_path):
    _, other = pair
    model = create_from(other.spec).eval()
    model.load_state_dict(other.state_dict())
    save_model(tmp_path / "model", "segmentation", model, segmentation_answer(CLASSES), {})
    return tmp_path / "model"


def test_the_model_folder_keeps_it(folder):
    assert load_model(folder).network.spec.zoom == ZOOM


@pytest.mark.parametrize("form", FORMATS)
def test_an_exported_file_does_the_same_at_any_size(folder, form, tmp_path):
    pytest.importorskip("onnxruntime")
    rng = np.random.default_rng(0)
    found = [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for size in ((55, 55), (90, 133), (128, 64))]
    out = tmp_path / f"file.{form}"
    check = wholenet.export(folder, out, form)[0]
    assert check.max_abs_error < 1e-4 * check.max_abs_logit  # on five random sizes
    if form == "torch":
        return
    file, model = OnnxModel(out), wholenet.load(folder)
    for image in found:
        np.testing.assert_allclose(file.class_logits(image), model.class_logits(image), atol=1e-4)
    assert json.dumps(file.about).count(f'"zoom": {ZOOM}') == 1
    with pytest.raises(ValueError, match="too small for an exported network, which takes 55x55 or more"):
        file.predict(found[0][:54])


def test_a_budget_in_time_is_refused_with_it():
    with pytest.raises(ValueError, match=r"time for images as they are, and zoom=0\.6"):
        FitConfig(data="d", out="o", budget="30ms", zoom=0.6)


def test_a_trained_model_is_seen_at_another_zoom(folder, tmp_path, capsys):
    model = wholenet.load(folder, device="cpu")
    image = np.random.default_rng(0).integers(0, 256, (75, 101, 3), dtype=np.uint8)
    Image.fromarray(image).save(tmp_path / "a.png")
    with torch.no_grad():
        assert (model.at_zoom(ZOOM).class_logits(image) == model.class_logits(image)).all()
    small = model.at_zoom(0.3)
    assert (small.class_logits(image) != model.class_logits(image)).any()
    command = ["predict", str(folder), str(tmp_path / "a.png"), "--out", str(tmp_path / "masks"), "--zoom", "0.3"]
    main([*command, "--device", "cpu"])
    assert (np.asarray(Image.open(tmp_path / "masks" / "a.png")) == small.predict(image)).all()
    with pytest.raises(ValueError, match="zoom"):
        model.at_zoom(0.0)
    with pytest.raises(SystemExit):
        main([*command[:-1], "3"])
    assert "--zoom" in capsys.readouterr().err
