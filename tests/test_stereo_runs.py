"""Runs on stereo pairs: searched, continued to the bit in mid-epoch, scored beside their floors, asked, exported."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

import toy_pairs
import wholenet
from run_files import PICTURES, assert_equal, checkpoint, records, stop_after, untimed
from toy_pairs import SIZE, TRAIN, VAL, write_pairs
from wholenet.cli import main
from wholenet.data.pictures import read_image
from wholenet.data.sample import DataError
from wholenet.data.stereo.disparity_files import read_disparity
from wholenet.data.stereo.planes import draw_planes
from wholenet.deploy.stereo import StereoScores, estimate, estimates
from wholenet.deploy.stereo_files import pair_files
from wholenet.jobs.catalog import task_config
from wholenet.tasks.disparity import DisparityScores, Errors
from wholenet.tasks.disparity_floors import DisparityFloors

RUN = {"task": "stereo", "space": toy_pairs.NAME, "epochs": 2, "batch": 2, "lr": 0.01, "device": "cpu", "threads": 1}
ZERO = (0.0, 0.0, 0.0)


@pytest.fixture(autouse=True, scope="module")
def toy():
    toy_pairs.register()
    yield
    toy_pairs.forget()


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    return write_pairs(tmp_path_factory.mktemp("pairs"))


@pytest.fixture(scope="module")
def search(pairs, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "search"
    with PICTURES:
        return out, wholenet.fit(pairs, out, **RUN)


def test_a_search_is_scored_beside_its_floors_and_draws_what_it_estimates(search):
    out, found = search
    rows = records(out)
    assert found.learned.scores == rows[-1]["epe"]
    assert set(found.learned.floors) == {"median", "SGBM"}
    assert found.learned.constant == found.learned.floors["median"] > 0
    assert rows[0]["logits"] != rows[-1]["logits"]
    assert 0 <= rows[-1]["d1"] <= rows[-1]["over_3"] <= 1
    assert all((out / f"{name}.png").exists() for name in ("disparity", "curves", "entropy"))
    facts = json.loads((out / "environment.json").read_text())
    assert facts["pairs"]["crop"] == "24x40"
    assert (facts["train"]["pairs"], facts["val"]["pairs"]) == (TRAIN, VAL)
    page = (out / "report.html").read_text()
    assert f"an end-point error of {rows[-1]['epe']:.4g} px" in page
    assert f"SGBM has {found.learned.floors['SGBM']:.4g}" in page
    assert page.count("data:image/png") == 3


def test_it_goes_on_to_the_bit_in_mid_epoch(search, pairs, tmp_path):
    stop_after(3, lambda: wholenet.fit(pairs, tmp_path / "run", **RUN, checkpoint_minutes=0))
    assert checkpoint(tmp_path / "run")["tally"]["steps"] == 1
    wholenet.resume(tmp_path / "run")
    assert_equal(checkpoint(search[0]), checkpoint(tmp_path / "run"))
    assert untimed(records(search[0])) == untimed(records(tmp_path / "run"))


def test_verbs_ask_the_folder_what_it_is(search, pairs, tmp_path, capsys):
    out, epe = search[0], records(search[0])[-1]["epe"]
    main(["evaluate", str(out), str(pairs), "--json", str(tmp_path / "scores.json")])
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert scores["all"]["epe"] == pytest.approx(epe, rel=1e-6)
    assert scores["visible"] is None
    assert scores["floors"]["median"]["all"]["epe"] == pytest.approx(search[1].learned.constant)
    said = capsys.readouterr().out
    assert all(words in said for words in ("EPE, px", "D1", "SGBM", f"{VAL} pairs"))
    assert "visible" not in said  # which this folder does not tell
    assert wholenet.evaluate(out, pairs, "train").network.pairs == TRAIN

    brief = wholenet.diagnose(out, out=tmp_path / "d", curvature=True)
    assert brief.supernet == pytest.approx(epe, rel=1e-6)
    assert brief.curvature.highest >= brief.curvature.lowest
    assert brief.curvature.images == 2
    assert wholenet.compare([out, out])[0]["epe"] == epe
    assert "epe" in wholenet.read_run(out).results[0]
    with pytest.raises(ValueError, match=r"no discrete networks|has no decoding"):
        wholenet.decode(out, tmp_path / "g.yaml")


def test_scores_of_one_pair_are_told_in_the_singular_and_what_is_visible_where_that_is_known():
    errors = Errors(1.0, 0.0, 0.0, 0.0, 0.0, 5)
    one, two = DisparityScores(errors, None, 1), DisparityScores(errors, errors, 2)
    floors = DisparityFloors(3.0, one, one, None)
    assert StereoScores(one, floors).lines()[-1].startswith("1 pair, 5 pixels of known disparity. D1: ")
    assert StereoScores(two, floors).lines()[-1].startswith("2 pairs, 5 pixels of known disparity; visible: ")


def test_genotype_of_another_task_is_told_by_the_space_of_the_pairs(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["retrain", "darts-v1", "planes", "--size", "tiny", "--out", str(tmp_path / "run")])
    assert "not of 'autodispnet'" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_pairs_of_files_get_their_disparity(search, pairs, tmp_path, capsys):
    model = wholenet.load(search[0], device="cpu")
    sides = [str(pairs / "val" / side) for side in ("left", "right")]
    main(["predict", str(search[0]), *sides, "--out", str(tmp_path / "png"), "--color"])
    assert f"{VAL} disparities in" in capsys.readouterr().out
    images = [read_image(pairs / "val" / side / "08.png") for side in ("left", "right")]
    expected = model.predict(*images)
    found = read_disparity(tmp_path / "png" / "08.png", 1 / 256)
    assert np.abs(found - expected.clip(1 / 256)).max() <= 1 / 512 + 1e-6
    assert read_image(tmp_path / "png" / "08_color.png").shape[1] == SIZE[1]
    written = wholenet.predict(model, sides, tmp_path / "pfm", form="pfm")
    assert [path.name for path in written] == ["08.pfm", "09.pfm", "10.pfm"]
    assert np.array_equal(read_disparity(written[0]), expected)
    one = wholenet.predict(model, [f"{sides[0]}/08.png", f"{sides[1]}/08.png"], tmp_path / "one")
    assert np.array_equal(read_disparity(one[0], 1 / 256), found)
    with pytest.raises(ValueError, match=r"one\.pfm is called as a file is, .* 08\.png is written: leave \.pfm out"):
        wholenet.predict(model, sides, tmp_path / "one.pfm")
    assert not (tmp_path / "one.pfm").exists()


def test_what_is_no_pair_is_refused_by_name(search, pairs, tmp_path, capsys):
    left, right = tmp_path / "left", tmp_path / "right"
    for side in (left, right):
        side.mkdir()
        Image.new("RGB", (40, 24)).save(side / "a.png")
    Image.new("RGB", (40, 24)).save(left / "b.png")
    with pytest.raises(DataError, match=r"1 of the 2 images in .*left have no partner .*right: b\."):
        pair_files(left, right)
    with pytest.raises(SystemExit):
        main(["predict", str(search[0]), str(left), "--out", str(tmp_path / "x")])
    assert "give the left images and the right images" in capsys.readouterr().err
    model = wholenet.load(search[0], device="cpu")
    with pytest.raises(ValueError, match="24x40 and 20x40"):
        model.predict(np.zeros((24, 40, 3), np.uint8), np.zeros((20, 40, 3), np.uint8))
    with pytest.raises(ValueError, match="a pair of 3x40 is too small for this network, which sees 4x4 or more"):
        model.predict(*[np.zeros((3, 40, 3), np.uint8)] * 2)
    with pytest.raises(SystemExit):
        main(["predict", str(search[0]), str(left), str(right), "--tta", "--out", str(tmp_path / "x")])
    assert "about masks, and this is a network for disparity" in capsys.readouterr().err
    with pytest.raises(ValueError, match="neither cuts nor mirrors"):
        wholenet.evaluate(model, pairs, tta=True)
    with pytest.raises(DataError, match="has no test split; it has train, val"):
        wholenet.evaluate(model, pairs, "test")
    with pytest.raises(SystemExit):
        main(["fit", str(pairs), "--size", "tiny", "--crop", "24x42", "--out", str(tmp_path / "run")])
    assert "this network takes multiples of 16; give --crop 32x48" in capsys.readouterr().err
    with pytest.raises(ValueError, match="crop='24x42': this network takes multiples of 4; give --crop 24x4"):
        wholenet.fit(pairs, tmp_path / "run", **RUN, crop="24x42")
    with pytest.raises(DataError, match=r"no train split|no known layout"):
        wholenet.fit(left, tmp_path / "run", **RUN)
    with pytest.raises(ValueError, match="'stereo'"):
        wholenet.fit(pairs, tmp_path / "run", task="stereo", space="recurrent")
    with pytest.raises(ValueError, match=r"space='grid' is for segmentation; .*leave it out, or give 'autodispnet'"):
        wholenet.fit(pairs, tmp_path / "run", space="grid")
    assert not (tmp_path / "run").exists()


def widths(pair, _weights=None):
    """A network whose disparity is a tenth of the width that it sees, and of the mean of the left image."""
    n, _, height, width = pair.left.shape
    assert height % 16 == width % 16 == 0
    return SimpleNamespace(full=(pair.left.mean((1, 2, 3)) * 0 + 0.1 * width)[:, None, None].expand(n, height, width))


def test_disparities_are_of_the_images_own_pixels_whatever_size_the_network_sees():
    widths.net = SimpleNamespace(multiple=16)
    for height, width in ((16, 32), (17, 33), (40, 50), (16, 47)):
        images = (np.zeros((height, width, 3), np.uint8),) * 2
        found = estimate(widths, [images, images], ZERO, torch.device("cpu"))
        assert found.shape == (2, height, width)
        assert np.allclose(found, 0.1 * width, rtol=1e-6)


def test_several_pairs_at_once_are_as_each_by_itself(search):
    model = wholenet.load(search[0], device="cpu")
    samples = [draw_planes(1, i, *size, max_disparity=7.0) for i, size in enumerate([SIZE, SIZE, (16, 30), SIZE])]
    together = list(estimates(model.network, samples, model.mean, model.device))
    assert [sample for sample, _ in together] == samples
    for sample, found in together:
        np.testing.assert_allclose(found, model.predict(sample.left, sample.right), rtol=1e-4, atol=1e-6)
        assert found.shape == sample.left.shape[:2]


def test_recipes_stand_below_the_method_and_what_is_given():
    places = {"data": "x", "out": "y"}
    full = task_config("stereo", **places)
    assert (full.space, full.method, full.gradient, full.split) == ("autodispnet", "darts", "first-order", "disjoint")
    assert (full.lr, full.lr_end, full.lr_schedule, full.arch_lr) == (0.025, 0.001, "cosine", 1e-4)
    assert (full.warmup_share, full.search_share) == (0.0, 1.0)
    assert task_config("stereo", **places, size="tiny").optimizer == "adamw"
    assert task_config("stereo", **places, genotype="autodispnet").lr == 1e-4
    assert task_config("stereo", **places, gradient="second-order").gradient == "second-order"
    for own in {"gradient": "second-order"}, {"gradient": "second-order-exact"}, {"optimizer": "sgd"}:
        small = task_config("stereo", **places, size="tiny", **own)
        assert (small.optimizer, small.lr, small.lr_end, small.momentum) == ("sgd", 0.025, 0.001, 0.9)
    with pytest.raises(ValueError, match=r"a step of SGD.*use gradient='first-order', or optimizer='sgd'"):
        task_config("stereo", **places, size="tiny", gradient="second-order", optimizer="adamw")
    assert task_config("stereo", **places, method="darts-es", epochs=50).stopping == "code"
    assert task_config("language", **places).gradient == "second-order"


def test_a_rate_ends_where_it_is_told_to(pairs, tmp_path):
    wholenet.fit(pairs, tmp_path / "run", **{**RUN, "lr_end": 0.01}, architecture="uniform")
    assert [record["lr"] for record in records(tmp_path / "run")] == [0.01, 0.01]
