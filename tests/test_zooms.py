"""A run that tries another zoom half-way and keeps the better of the two."""

import os
import re
import signal

import pytest

import wholenet
from run_files import assert_equal, checkpoint, records, untimed
from wholenet.deploy.model_folder import load_model
from wholenet.jobs.zooms import better_zoom, tries_zoom
from wholenet.planning.length import Cost, Length
from wholenet.planning.timing import Measured
from wholenet.report.in_words import in_words
from wholenet.search.config import FitConfig, fit_config
from wholenet.search.interruption import Interrupted
from wholenet.search.loop import train_epoch
from wholenet.tasks.score import MIOU, Score

pytestmark = pytest.mark.usefixtures("sliver")

SMALL = {"size": "nano", "epochs": 4, "batch": 2, "crop": "32x32", "lr": 0.05, "device": "cpu", "val_every": 1}
SMALL |= {"class_balance": 1.0}
TRIED = 1
"""The epoch after which the other zoom is tried, from 0."""


def fit(discs, out, zoom, try_zoom=None, **options):
    given = {} if try_zoom is None else {"try_zoom": try_zoom}
    return wholenet.fit(discs, out, **SMALL, zoom=zoom, **given, **options).learned


@pytest.fixture(scope="module")
def plain(discs, tmp_path_factory):
    """Runs that keep their zoom, by it."""
    folder = tmp_path_factory.mktemp("plain")
    return {zoom: fit(discs, folder / str(zoom), zoom) for zoom in (0.5, 1.0)}


@pytest.mark.parametrize(("zoom", "other"), [(0.5, 1.0), (1.0, 0.5)])
@pytest.mark.parametrize("keep", ["last", "best"])
def test_the_better_zoom_is_kept_from_half_of_the_run_on_and_nothing_else_is_another(
    zoom, other, keep, discs, plain, tmp_path, capsys
):
    """Training sees no zoom, so runs of both are the same but for their scores."""
    found = fit(discs, tmp_path / "run", zoom, other, keep=keep)
    scores = {at: [record["miou"] for record in records(one.run)] for at, one in plain.items()}
    kept = max((0.5, 1.0), key=lambda at: scores[at][TRIED])
    assert scores[0.5][TRIED] != scores[1.0][TRIED]
    own = [record["miou"] for record in records(found.run)]
    assert own == scores[zoom][:TRIED] + scores[kept][TRIED:]
    last = load_model(found.run / ("model-last" if keep == "best" else "model")).network
    assert last.spec.zoom == kept
    assert_equal(last.state_dict(), load_model(plain[zoom].run / "model").network.state_dict())
    assert wholenet.evaluate(found.run, discs).miou == pytest.approx(found.scores.miou, abs=1e-4)
    assert found.scores.miou == (max(own) if keep == "best" else own[-1])
    [said] = re.findall(r"images are seen at (\S+) from here on", " ".join(capsys.readouterr().out.split()))
    assert float(said) == kept
    assert wholenet.resume(found.run).learned.scores == found.scores
    seen = load_model(found.run / "model").network.spec.zoom
    told = f"It sees images at a zoom of {seen:g}; the run tried {zoom:g} and, half-way, {other:g}."
    assert told in in_words(wholenet.read_run(found.run))
    assert not any("zoom" in sentence for sentence in in_words(wholenet.read_run(plain[zoom].run)))


@pytest.mark.parametrize("stopped", [(1, 0), (2, 1), (3, 0)])
def test_stopped_and_continued_it_is_the_same_run(stopped, discs, tmp_path, monkeypatch):
    def trains(state, *args, **kwargs):
        for done in train_epoch(state, *args, **kwargs):
            if (state.epoch, done.step) == stopped:
                os.kill(os.getpid(), signal.SIGTERM)
            yield done

    whole = fit(discs, tmp_path / "whole", 1.0, 0.5, keep="best")
    monkeypatch.setattr("wholenet.run.train_epoch", trains)
    with pytest.raises(Interrupted):
        fit(discs, tmp_path / "stopped", 1.0, 0.5, keep="best")
    monkeypatch.setattr("wholenet.run.train_epoch", train_epoch)
    assert wholenet.resume(tmp_path / "stopped").learned.scores == whole.scores
    assert untimed(records(tmp_path / "stopped")) == untimed(records(whole.run))
    assert_equal(checkpoint(tmp_path / "stopped"), checkpoint(whole.run))


def test_it_is_tried_once_at_the_first_validation_from_half_of_the_run_on():
    config = FitConfig(data="d", out="o", zoom=0.8, try_zoom=1.0)
    for epochs in (1, 2, 5, 8):
        for every in (1, 2, 3, 8):
            scored = [epoch for epoch in range(epochs) if epoch + 1 == epochs or (epoch + 1) % every == 0]
            found = [{"epoch": epoch, "miou": 0.5 if epoch in scored else None} for epoch in range(epochs)]
            tried = [epoch for epoch in scored if tries_zoom(config, found[:epoch], epochs, MIOU)]
            assert tried == [min(epoch for epoch in scored if epoch + 1 >= epochs / 2)]
            assert not tries_zoom(FitConfig(data="d", out="o"), found[: tried[0]], epochs, MIOU)
            assert not tries_zoom(config, found, epochs, MIOU)  # a finished run that is scored again


def test_a_score_that_is_no_number_loses_and_of_equal_ones_the_smaller_zoom_is_kept():
    error = Score("error", "error", higher=False)
    assert better_zoom({0.5: float("nan"), 1.0: 0.1}, MIOU) == 1.0
    assert better_zoom({1.0: 0.1, 0.5: 0.1}, MIOU) == 0.5
    assert better_zoom({0.5: 0.1, 1.0: 0.2}, error) == 0.5


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"zoom": 0.5, "try_zoom": 0.5}, r"try_zoom=0\.5 is the zoom that images are seen at anyway"),
        ({"budget": "30ms", "try_zoom": 0.5}, r"time for images as they are, and try_zoom=0\.5"),
        ({"try_zoom": 1.5}, "try_zoom"),
    ],
)
def test_what_makes_no_sense_is_refused(options, said):
    with pytest.raises(ValueError, match=said):
        fit_config(data="d", out="o", **options)


def test_a_plan_counts_the_other_zoom_as_the_better_one():
    found = Measured(1.0, 1.0, 0.5, 1, paged_image=0.75)
    length = Length(epochs=10, steps=3, every=2)
    for zoom, larger in ((0.5, 4.0), (0.8, 1 / 0.64)):
        plain, tries = (
            Cost(fit_config(data="", out="", zoom=zoom, recalibrate=0, **more), found, 4).parts(length)
            for more in ({}, {"try_zoom": 1.0})
        )
        assert plain["validations"] == 5 * 4 * 0.5
        # After 2 and 4 epochs at the zoom, after 6 at both, after 8 and 10 at the other.
        assert tries["validations"] == pytest.approx((3 + 3 * larger) * 4 * 0.5)
        assert tries["the end"] - plain["the end"] == pytest.approx(4 * 0.75 * (larger - 1))
        assert tries["training"] == plain["training"]
