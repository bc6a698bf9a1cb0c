"""Runs with keep="best": what `model/` is, what the run comes to, and that stopping it anywhere changes neither."""

import math
import shutil
from dataclasses import replace

import pytest

import wholenet
from run_files import assert_equal, checkpoint, records, untimed
from toy import TOY
from wholenet.deploy.model_folder import load_model
from wholenet.jobs.segmentation import MaskData
from wholenet.search.config import FitConfig
from wholenet.search.config_files import read_config
from wholenet.search.keep import best_record, is_best
from wholenet.search.keeper import Keeper
from wholenet.search.loop import train_epoch
from wholenet.search.run_folder import RunFolder
from wholenet.tasks.score import ERROR, MIOU

pytestmark = pytest.mark.usefixtures("toy")
SMALL = {**TOY, "epochs": 5, "batch": 2, "crop": "32x32", "lr": 0.05, "device": "cpu", "val_every": 1}
SCORES = (0.3, 0.5, 0.2, 0.5, 0.4)
"""Of the epochs. The best is the fourth: of two equal ones the later."""
STEPS = 5
MEASURED = MaskData.score
CALLS = []
"""The epochs of the networks that were scored, and what was really measured."""
OF_BEST = []
"""Those of the epochs that were scored while ``best`` was trained."""
DRAWN = []
"""What the pictures of the run were drawn of."""


def epoch_of(network) -> int:
    """By the batches that its statistics have seen."""
    seen = max(int(value) for name, value in network.state_dict().items() if name.endswith("num_batches_tracked"))
    return seen // STEPS - 1


@pytest.fixture(scope="module", autouse=True)
def scripted():
    """The score of a network, as its record has it, is that of its epoch."""

    def score(data, model, device):
        found = MEASURED(data, model, device)
        epoch = epoch_of(model)
        CALLS.append((epoch, found.scores))
        return replace(found, record={**found.record, "miou": SCORES[epoch]})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MaskData, "score", score)
        yield


@pytest.fixture(scope="module")
def last(toy, discs, tmp_path_factory, scripted):
    out = tmp_path_factory.mktemp("keep") / "last"
    wholenet.fit(discs, out, **SMALL)
    return out


@pytest.fixture(scope="module")
def best(toy, discs, tmp_path_factory, scripted):
    out = tmp_path_factory.mktemp("keep") / "best"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("wholenet.jobs.job.draw_run", lambda *drawn: DRAWN.append(drawn))
        before = len(CALLS)
        learned = wholenet.fit(discs, out, **SMALL, keep="best").learned
        OF_BEST.extend(epoch for epoch, _ in CALLS[before:])
        return learned


def weights(folder):
    return load_model(folder).network.state_dict()


def test_the_best_of_several_equal_ones_is_the_latest_and_no_number_is_the_worst():
    scored = [{"epoch": i, "miou": s, "error": s} for i, s in enumerate((0.5, None, 0.2, 0.5, 0.2, math.nan))]
    for score, epoch in ((MIOU, 3), (ERROR, 4)):
        assert best_record(scored, score) is scored[epoch]
        assert not is_best(math.nan, scored, score)
        assert is_best(scored[epoch][score.name], scored, score)
    assert best_record(scored[1:2], MIOU) is None
    assert is_best(math.nan, [], MIOU)
    assert is_best(0.0, scored[-1:], MIOU)


def test_the_model_is_the_best_epochs_and_what_the_run_comes_to(best):
    assert epoch_of(load_model(best.run).network) == 3
    assert epoch_of(load_model(best.run / "model-last").network) == 4
    measured = next(scores for epoch, scores in reversed(CALLS) if epoch == 3)
    assert best.scores == measured  # which is scored once; test_a_finished_run_... scores what load_model gives
    assert OF_BEST == [0, 1, 2, 3, 4]
    assert wholenet.read_run(best.run).results[0]["miou"] == 0.5
    assert "4 of 5" in (best.run / "model" / "README.md").read_text()


def test_the_picture_is_of_the_network_that_is_kept_and_says_its_epoch(best):
    _run, network, epoch, of_the_run, *_ = DRAWN[-1]
    assert (epoch_of(network) + 1, epoch, len(of_the_run)) == (4, 4, 5)


def test_room_is_asked_for_as_many_models_as_are_kept(best, last):
    kept, plain = RunFolder(best.run), RunFolder(last)
    assert (kept.models, plain.models) == (2, 1)
    assert kept.written() - plain.written() == (kept.model_last / "model.safetensors").stat().st_size


def test_what_is_kept_changes_nothing_of_the_training(best, last):
    assert untimed(records(best.run)) == untimed(records(last))
    assert_equal(checkpoint(best.run), checkpoint(last))
    assert_equal(weights(best.run / "model-last"), weights(last / "model"))
    assert not (last / "model-last").exists()


class Killed(BaseException):
    """Nothing is saved any more, as with kill -9."""


@pytest.mark.parametrize(
    ("epoch", "where"),
    [(3, "between model and checkpoint"), (4, "between model and checkpoint"), (4, "in its steps")],
)
def test_a_run_that_was_killed_keeps_the_same_epoch(best, discs, tmp_path, monkeypatch, epoch, where):
    out = tmp_path / "run"

    def steps(state, *args, **kwargs):
        for done in train_epoch(state, *args, **kwargs):
            if state.epoch == epoch and done.step == 2:
                raise Killed
            yield done

    def record(_keeper, found):
        if found["epoch"] == epoch:
            raise Killed
        log(_keeper, found)

    log = Keeper.record
    with monkeypatch.context() as patch:
        if where == "in its steps":
            patch.setattr("wholenet.run.train_epoch", steps)
        else:
            patch.setattr(Keeper, "record", record)
        with pytest.raises(Killed):
            wholenet.fit(discs, out, **SMALL, keep="best")
    found = wholenet.resume(out).learned
    assert found.scores == best.scores
    assert untimed(records(out)) == untimed(records(best.run))
    assert_equal(checkpoint(out), checkpoint(best.run))
    for name in ("model", "model-last"):
        assert_equal(weights(out / name), weights(best.run / name))


def test_a_finished_run_is_scored_again_by_what_it_kept(best, tmp_path, capsys):
    again = shutil.copytree(best.run, tmp_path / "again")
    assert wholenet.resume(again).learned.scores == best.scores
    assert "kept epoch 4 of 5: 50.0 % mIoU in validation, 10.0 points better than the last (40.0 % mIoU" in (
        capsys.readouterr().out
    )


def test_the_control_keeps_by_the_same_rule_and_early_stopping_is_refused():
    config = FitConfig(data="scenes", out="run", keep="best", control=True)
    assert config.frozen_uniform(out="control").keep == "best"
    with pytest.raises(ValueError, match=r"keep='best' takes the network of an earlier epoch.*use one of them"):
        FitConfig(data="scenes", out="run", keep="best", stopping="code", eigenvalue_every=2)


def test_a_config_from_before_keeps_the_last(last, tmp_path):
    lines = [line for line in (last / "config.yaml").read_text().splitlines() if not line.startswith(("keep:", "#"))]
    old = tmp_path / "config.yaml"
    old.write_text("\n".join(lines) + "\n")
    assert read_config(old).keep == "last"
