"""Diagnosing run folders: made by hand here, since a diagnosis asks nothing of how a network came to be."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

import wholenet
from run_files import PICTURES
from wholenet import api
from wholenet.cli import main
from wholenet.data.check import check_split
from wholenet.data.detect import open_data
from wholenet.data.sample import DataError
from wholenet.deploy.model_folder import load_model, save_model
from wholenet.deploy.score import open_for, score
from wholenet.deploy.segmenter import segmentation_answer
from wholenet.diagnostics import run as module
from wholenet.diagnostics.batchnorm import recalibrated, recalibration_batches
from wholenet.diagnostics.curvature import curvature
from wholenet.diagnostics.drop import drop_edges, without_edges_below
from wholenet.report.diagnosis import table
from wholenet.search.config import FitConfig
from wholenet.search.draw import draw
from wholenet.search.run_folder import RunFolder
from wholenet.search.steps import Batch
from wholenet.spaces.catalog import create_model, discrete_from
from wholenet.spaces.decoding import decode
from wholenet.spaces.genotype import read_genotype, write_genotype
from wholenet.tasks.losses import DiceLoss, FocalLoss
from wholenet.tasks.segmentation import SegmentationLoss, balanced_weights

pytestmark = pytest.mark.usefixtures("shallow")
EPOCHS = 3
SHARES = (0.0, 0.5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Ten images without a val split, left half one class and right half another."""
    root = tmp_path_factory.mktemp("halves")
    for kind in ("images", "masks"):
        (root / kind).mkdir()
    for i in range(10):
        mask = np.zeros((32, 40), np.uint8)
        mask[:, 16 + i :] = 1
        image = np.where(mask[..., None] == 1, 200, 30) + np.random.default_rng(i).integers(0, 20, (32, 40, 3))
        Image.fromarray(image.astype(np.uint8)).save(root / "images" / f"{i}.png")
        Image.fromarray(mask).save(root / "masks" / f"{i}.png")
    return root


def make_run(folder, out, *, seed=0, finished=EPOCHS, genotype=None, **options):
    """A run folder whose network was not trained."""
    config = FitConfig(
        data=str(folder), out=str(out), size="nano", batch=2, crop="32x32", **{"epochs": EPOCHS} | options
    )
    run = RunFolder.create(config)
    torch.manual_seed(seed)
    model = create_model("grid-nano", num_classes=2)
    for logits in model.arch.logits.values():
        logits.data.normal_() if config.architecture == "learned" else logits.data.zero_()
    if genotype is not None:
        write_genotype(genotype, run.genotype)
        model = discrete_from(model, genotype)
    if finished:
        classes = open_data(folder).classes
        save_model(run.model, "segmentation", model, segmentation_answer(classes, {"val_share": 0.3, "seed": 1}), {})
    for epoch in range(finished):
        phase = ("warm-up", "search", "fine-tune")[epoch]
        entropy = {"alpha": 1 - epoch / 10, "beta": 1 - epoch / 5}
        last = epoch == finished - 1
        miou = 0.5 if last else None
        run.log({"epoch": epoch, "phase": phase, "entropy": entropy, "miou": miou, "seconds": 2.0, "arch_loss": None})
    return run


@pytest.fixture(scope="module")
def run(folder, tmp_path_factory):
    own = make_run(folder, tmp_path_factory.mktemp("runs") / "one", seed=5, control=True)  # decodings differ
    make_run(folder, own.control, seed=1, architecture="uniform")
    return own


def diagnose(run, *args, **options):
    return module.diagnose(run, *args, **{"shares": SHARES} | options)


@pytest.fixture(scope="module")
def found(run):
    return diagnose(run)


def test_the_scores_are_those_of_evaluate_on_the_images_that_the_run_held_out(run, folder, found):
    assert found.images == 3
    assert found.miou == score(load_model(run.path), str(folder)).miou
    at_zero = [point.miou for point in found.curve if point.share == 0 and point.variant != "recalibrated"]
    assert at_zero == pytest.approx([found.miou] * 2)
    assert found.control is not None
    assert found.control.miou == score(load_model(run.control), str(folder)).miou
    assert (found.control.epochs, found.control.seconds) == (3, 6.0)


def test_everything_is_there(found):
    assert len(found.curve) == 3 * len(SHARES)
    assert {network.genotype.decoding.split(" ")[0] for network in found.discrete} == {
        "best-path",
        "strongest",
        "threshold",
    }
    assert [phase.phase for phase in found.phases] == ["warm-up", "search", "fine-tune"]
    assert (found.epochs, found.planned, found.scored_epoch, found.seconds) == (3, 3, 3, 6.0)
    assert found.finished
    assert found.edges == 20
    assert 0 < found.movement["beta"].mean < 1
    assert 0.2 < found.constant_miou < 0.5
    assert found.parameters > max(network.parameters for network in found.discrete if network.edges < 30)


def test_a_diagnosis_can_be_repeated_and_leaves_the_run_as_it_was(run, found):
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    assert diagnose(run) == found
    assert {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()} == before


def test_progress_counts_the_images_of_every_network_and_some_can_do(run):
    told = []
    some = diagnose(run, images=2, progress=lambda *done: told.append(done))
    assert some.images == 2
    networks = 2 + len(some.curve) + 2 * len(some.discrete)
    assert told == [(i + 1, 2 * networks) for i in range(2 * networks)]


def test_of_an_unfinished_run_the_last_model_is_scored_and_an_unfinished_control_left_out(folder, tmp_path):
    run = make_run(folder, tmp_path / "run", finished=2, control=True)
    make_run(folder, run.control, finished=1, architecture="uniform")
    found = diagnose(run, images=1)
    assert (found.epochs, found.planned, found.scored_epoch, found.finished) == (2, 3, 2, False)
    assert found.control is None


def test_a_run_without_a_model_yet_is_refused(folder, tmp_path):
    with pytest.raises(ValueError, match="not been validated yet"):
        diagnose(make_run(folder, tmp_path / "run", finished=0))


def test_a_uniform_run_searched_nothing_and_moved_nowhere(run):
    found = diagnose(RunFolder(run.control), images=1)
    assert not found.searched
    assert found.movement["beta"].max == pytest.approx(0, abs=1e-6)
    assert found.entropy == {"alpha": pytest.approx(1), "beta": pytest.approx(1)}


def test_of_two_stages_the_first_is_diagnosed_and_the_second_scored_beside_it(folder, tmp_path):
    genotype = decode(create_model("grid-nano", num_classes=2).arch(), "strongest")
    out = tmp_path / "run"
    run = make_run(folder, out, genotype=genotype, protocol="two-stage", retrain_epochs=3)
    search = make_run(folder, run.search, seed=4)
    found = diagnose(run, images=1)
    assert found.second_stage is not None
    assert found.second_stage.miou == pytest.approx(diagnose_miou(run, folder, 1))
    assert found.miou == pytest.approx(diagnose_miou(search, folder, 1))
    assert found.result == found.second_stage.miou
    run.rewrite_config(replace(run.config, retrain_epochs=9))
    assert diagnose(run, images=1).second_stage is None
    shutil.rmtree(run.search)
    with pytest.raises(ValueError, match=r"has not begun its first stage.*--resume"):
        diagnose(run)


def diagnose_miou(run, folder, images):
    """mIoU on the first ``images`` validation images, by way of predictions alone."""
    model = load_model(run.path)
    val = open_for(model, str(folder)).splits["val"]
    ious = []
    for i in range(images):
        image, truth, _ = val[i]
        answer = model.predict(image)
        ious = [((truth == k) & (answer == k)).sum() / ((truth == k) | (answer == k)).sum() for k in range(2)]
    return sum(ious) / 2


def test_a_discrete_network_has_nothing_to_diagnose(folder, tmp_path):
    genotype = decode(create_model("grid-nano", num_classes=2).arch(), "strongest")
    run = make_run(folder, tmp_path / "run", genotype=genotype)
    run.rewrite_config(replace(run.config, genotype="found.yaml"))
    with pytest.raises(ValueError, match=r"trained a discrete network \(found.yaml\).*decoded from"):
        diagnose(run)


def test_data_of_other_classes_and_no_images_are_refused(run):
    with pytest.raises(DataError, match="11 classes there, 2 expected"):
        diagnose(run, "scenes")
    with pytest.raises(ValueError, match="images=0"):
        diagnose(run, images=0)


def test_from_python_a_diagnosis_is_written_into_the_run_or_elsewhere(run, found, tmp_path):
    with PICTURES:
        own = api.diagnose(run.path, out=tmp_path / "own", device="cpu")
    assert (own.miou, own.discrete, own.control) == (found.miou, found.discrete, found.control)
    assert {path.name for path in (tmp_path / "own").iterdir()} == {"diagnosis.json", "diagnosis.png", "genotype.yaml"}
    assert json.loads((tmp_path / "own" / "diagnosis.json").read_text())["miou"] == found.miou
    assert read_genotype(tmp_path / "own" / "genotype.yaml").cells == found.best_discrete.genotype.cells


def test_curvature_is_taken_if_asked_for_and_told(run, found, tmp_path):
    assert found.curvature is None
    asked = api.diagnose(run.path, out=tmp_path / "own", device="cpu", images=1, curvature=True)
    assert asked.curvature is not None
    assert asked.curvature.lowest < asked.curvature.highest
    assert (asked.curvature.logits, asked.curvature.images) == (16 + 20, run.config.batch)
    written = json.loads((tmp_path / "own" / "diagnosis.json").read_text())["curvature"]
    assert written["highest"] == asked.curvature.highest
    assert written["batch"] == {"images": "val", "stream": "curvature", "number": 0, "seed": run.config.seed}
    assert written["batchnorm"] == "batch"
    assert written["loss"] == "cross-entropy"
    (line,) = (line for line in table(asked) if line.startswith("curvature"))
    assert "highest eigenvalue" in line
    assert "of cross-entropy, 36 logits" in line
    assert not any(line.startswith("curvature") for line in table(found))


@pytest.mark.parametrize(
    ("options", "loss", "said"),
    [
        ({"loss": "dice"}, lambda _: DiceLoss(), "dice"),
        ({"loss": "focal", "focal_gamma": 3.0}, lambda _: FocalLoss(3.0), "focal (gamma 3)"),
        (
            {"class_balance": 1.0},
            lambda pixels: SegmentationLoss(balanced_weights(pixels, 1.0)),
            "cross-entropy, classes weighted by frequency**-1",
        ),
    ],
)
def test_the_curvature_is_of_the_loss_that_the_run_was_trained_with(options, loss, said, folder, tmp_path):
    run = make_run(folder, tmp_path / "run", **options)
    model = load_model(run.path)
    source = open_for(model, folder, 100)
    counted = check_split(source.splits["train"], model.classes, name="train").class_pixels
    images, masks = next(draw(source.splits["val"], "curvature", 0, 1, (32, 32), run.fit_config))
    recorded = {"train": {"class_pixels": [900, 100]}, "val": {}, "images": {}, "crop": [32, 32]}
    for pixels in (counted, (900, 100)) if run.config.class_balance else (counted,):
        found = module.curvature_of(model, run, source, source.splits["val"], "cpu")
        expected = curvature(model.network, Batch(images, masks), loss(pixels))
        assert (found.highest, found.lowest, found.loss) == (expected.highest, expected.lowest, said)
        (run.path / "environment.json").write_text(json.dumps(recorded))  # what there was to train on once


def test_how_a_curvature_is_found_can_be_said_of_searches_on_cell_spaces_alone(run, capsys):
    for option in ("--batchnorm=running", "--method=rows", "--tolerance=0.1"):
        with pytest.raises(SystemExit):
            main(["diagnose", str(run.path), "--curvature", option])
        assert f"{option.partition('=')[0]} is for a search on a cell space" in capsys.readouterr().err


def test_a_model_folder_alone_and_a_file_to_write_into_are_refused(run, tmp_path):
    with pytest.raises(ValueError, match="is a model folder; a diagnosis reads the run's records too"):
        api.diagnose(run.model)
    with pytest.raises(ValueError, match="holds no run"):
        api.diagnose(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="is a file; give a folder"):
        api.diagnose(run.path, out=tmp_path / "file")


def test_a_genotype_is_decoded_from_a_run_or_its_model(run, tmp_path):
    genotype = wholenet.decode(run.path, tmp_path / "deep" / "found.yaml", "strongest")
    assert read_genotype(tmp_path / "deep" / "found.yaml", layers=2) == genotype
    assert genotype == decode(load_model(run.path).network.arch(), "strongest")
    assert wholenet.decode(run.model, tmp_path / "again.yaml", "strongest") == genotype
    with pytest.raises(ValueError, match="decoding='viterbi': networks of space 'grid' are decoded by best-path or"):
        wholenet.decode(run.path, tmp_path / "x.yaml", "viterbi")


def test_a_discrete_network_is_not_decoded_again(folder, tmp_path):
    genotype = decode(create_model("grid-nano", num_classes=2).arch(), "strongest")
    run = make_run(folder, tmp_path / "run", genotype=genotype, protocol="two-stage", retrain_epochs=3)
    with pytest.raises(ValueError, match=r"holds a discrete network.*decode the run that it came from"):
        wholenet.decode(run.path, tmp_path / "x.yaml")
    make_run(folder, run.search)
    with pytest.raises(ValueError, match=r"decode its first stage, .*search"):
        wholenet.decode(run.path, tmp_path / "x.yaml")
    assert not (tmp_path / "x.yaml").exists()


def assert_same(first, second):
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


def test_dropping_edges_is_priced_on_the_runs_own_images(run, folder, found):
    model = load_model(run.path)
    cut, price = drop_edges(run, model, 1.0)
    assert (price.miou_before, price.images, price.edges) == (found.miou, found.images, found.edges)
    assert price.dropped == price.edges - 8  # two layers of four cells keep one edge each
    assert price.miou_after == score(cut, str(folder)).miou
    expected = recalibrated(
        without_edges_below(model.network, 1.0)[0],
        recalibration_batches(open_for(model, str(folder)).splits["train"], run.config),
    )
    assert_same(cut.network.state_dict(), expected.state_dict())
    assert not torch.equal(cut.network.net.decoder.norm.running_mean, model.network.net.decoder.norm.running_mean)
    nothing, price = drop_edges(run, model, 1e-9)
    assert price.dropped == 0
    assert price.miou_after == price.miou_before == score(nothing, str(folder)).miou


def test_a_discrete_network_has_no_edges_to_drop(run, folder, tmp_path):
    genotype = decode(load_model(run.path).network.arch(), "best-path")
    other = make_run(folder, tmp_path / "discrete", genotype=genotype, protocol="two-stage", retrain_epochs=EPOCHS)
    with pytest.raises(ValueError, match="drop edges of a supernet"):
        drop_edges(other, load_model(other.path), 0.3)
