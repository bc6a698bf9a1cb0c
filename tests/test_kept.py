"""The network that a run keeps where that is not the one it trains: averaged weights, statistics estimated anew."""

import math
import os
import signal

import pytest
import torch
from torch import nn

import wholenet
from run_files import assert_equal, checkpoint, records, untimed
from wholenet.architecture import Architecture
from wholenet.deploy.model_folder import load_model
from wholenet.diagnostics.batchnorm import recalibrate, recalibrated
from wholenet.jobs.kept import network_kept
from wholenet.search.average import WeightAverage
from wholenet.search.checkpoint import room_needed
from wholenet.search.config import ADDED, FitConfig
from wholenet.search.interruption import Interrupted
from wholenet.search.loop import train_epoch
from wholenet.search.run_folder import RunFolder
from wholenet.search.start import state_of
from wholenet.search.steps import Batch
from wholenet.spaces.catalog import create_model
from wholenet.spaces.space import Spec
from wholenet.spaces.supernet import Supernet

pytestmark = pytest.mark.usefixtures("sliver")

SMALL = {"size": "nano", "epochs": 3, "batch": 2, "crop": "32x32", "lr": 0.05, "device": "cpu", "val_every": 1}
SMALL |= {"warmup_share": 0.34, "search_share": 0.33, "class_balance": 1.0}
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
SCORED = ("miou", "pixel_accuracy", "warnings")


@pytest.fixture(scope="module")
def plain(discs, tmp_path_factory):
    return wholenet.fit(discs, tmp_path_factory.mktemp("kept") / "plain", **SMALL)


@pytest.fixture(scope="module")
def run(discs, tmp_path_factory):
    return wholenet.fit(discs, tmp_path_factory.mktemp("kept") / "run", **SMALL, recalibrate=3)


AVERAGED = {"ema": 0.6, "recalibrate": 2}


@pytest.fixture(scope="module")
def averaged(discs, tmp_path_factory):
    return wholenet.fit(discs, tmp_path_factory.mktemp("kept") / "averaged", **SMALL, **AVERAGED)


def state_in(folder):
    return load_model(folder).network.state_dict()


def parameters(state):
    return {name: value for name, value in state.items() if not name.endswith(STATISTICS)}


def unscored(found):
    return [{name: value for name, value in record.items() if name not in SCORED} for record in untimed(found)]


def of_training(saved):
    """A checkpoint without scores and averages."""
    kept = {name: value for name, value in saved.items() if name != "average"}
    return kept | {"records": unscored(saved["records"])}


class Layer(nn.Module):
    """A convolution and a BatchNorm, called as networks are."""

    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(2, 3, 1)
        self.norm = nn.BatchNorm2d(3)
        self.masks = {}

    def forward(self, x, weights):
        return self.norm(self.convolution(x))


def test_of_one_layer_the_statistics_are_the_mean_and_the_mean_variance_of_the_batches():
    """In closed form: those of a linear map, from the inputs' own mean and covariance in each batch."""
    torch.manual_seed(0)
    net = Layer().double()
    model = Supernet(net, Architecture.fixed({}, {}), Spec(space="grid", settings={}, outputs=3, channels=2))
    batches = [torch.randn(2, 2, 5, 4).double() * scale + scale for scale in (1, 3, 7)]
    before = {name: value.clone() for name, value in net.named_parameters()}
    recalibrate(model.eval(), batches)
    weight, bias = net.convolution.weight.detach()[:, :, 0, 0], net.convolution.bias.detach()
    pixels = [batch.transpose(0, 1).flatten(1) for batch in batches]  # [channels, images * pixels]
    mean = torch.stack([weight @ x.mean(1) + bias for x in pixels]).mean(0)
    variance = torch.stack([(weight @ torch.cov(x) @ weight.T).diagonal() for x in pixels]).mean(0)
    torch.testing.assert_close(net.norm.running_mean, mean, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(net.norm.running_var, variance, rtol=1e-12, atol=1e-12)
    assert net.norm.momentum == 0.1
    assert not any(module.training for module in model.modules())
    assert all(torch.equal(value, before[name]) for name, value in net.named_parameters())


def test_of_one_number_the_average_is_the_weighted_sum_of_all_that_it_was():
    """Brute force: the share of each earlier value is what every later update left of it."""
    decay, net = 0.7, nn.Linear(1, 1, bias=False).double()
    with torch.no_grad():
        values = [1.0, -2.0, 5.0, 0.5, 4.0, 3.0] * 5
        net.weight.fill_(values[0])
        average = WeightAverage(net, decay)
        for value in values[1:]:
            net.weight.fill_(value)
            average.update(net)
    shares = [min(decay, (1 + n) / (10 + n)) for n in range(1, len(values))]
    assert shares[0] < shares[5] < shares[-1] == decay
    expected = values[0] * math.prod(shares)
    expected += sum((1 - share) * values[n] * math.prod(shares[n:]) for n, share in enumerate(shares, 1))
    average.put_into(net)
    assert net.weight.item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", ["run", "averaged"])
def test_the_training_is_the_same_to_the_bit(name, plain, request):
    first, second = request.getfixturevalue(name).learned.run, plain.learned.run
    assert unscored(records(first)) == unscored(records(second))
    assert [r["miou"] for r in records(first)] != [r["miou"] for r in records(second)]
    assert_equal(of_training(checkpoint(first)), of_training(checkpoint(second)))


def test_statistics_alone_are_other_than_the_plain_runs(run, plain):
    first, second = (state_in(found.learned.run / "model") for found in (run, plain))
    assert_equal(parameters(first), parameters(second))
    assert not torch.equal(first["net.stems.0.0.1.running_var"], second["net.stems.0.0.1.running_var"])


def test_averaged_weights_are_the_models_and_its_logits_those_of_the_training(averaged, plain):
    model = parameters(state_in(averaged.learned.run / "model"))
    trained = parameters(state_in(plain.learned.run / "model"))
    saved = checkpoint(averaged.learned.run)["average"]
    assert saved["updates"] == 15
    for name, value in model.items():
        inside = name.removeprefix("net.")
        assert torch.equal(value, saved["values"][inside] if inside in saved["values"] else trained[name]), name
    assert {name for name in model if torch.equal(model[name], trained[name])} == {
        "arch.logits.alpha",
        "arch.logits.beta",
    }
    assert "exponential moving average, decay 0.6" in (averaged.learned.run / "model" / "README.md").read_text()


def test_the_model_has_the_statistics_of_its_weights_on_training_batches(run, plain):
    folder = RunFolder(run.learned.run)
    drawn = []

    class Streams:
        def one(self, stream, number, epoch):
            drawn.append(number)
            torch.manual_seed(number)
            return Batch(torch.randn(2, 3, 32, 32), torch.zeros(2, 32, 32))

    state = state_of(folder.config, load_model(plain.learned.run / "model").network.spec, torch.device("cpu"))
    state.model.load_state_dict(state_in(plain.learned.run / "model"))
    before = {name: value.clone() for name, value in state.model.state_dict().items()}
    random = torch.get_rng_state()
    model = network_kept(state, Streams(), folder.config)
    assert drawn == [0, 1, 2]
    expected = recalibrated(state.model, [Streams().one("", number, 0).images for number in range(3)])
    assert_equal(dict(model.state_dict()), dict(expected.state_dict()))
    assert_equal(dict(state.model.state_dict()), before)
    assert model.arch is state.model.arch
    assert model.training == state.model.training
    assert not torch.equal(random, torch.get_rng_state())  # these batches; those of runs do not draw from it
    kept, trained = (state_in(found.learned.run / "model") for found in (run, plain))
    norms = [name for name in kept if name.endswith("num_batches_tracked")]
    assert {int(kept[name]) for name in norms} == {3}
    assert {int(trained[name]) for name in norms} == {15}
    assert "estimated anew on 3 training batches" in (run.learned.run / "model" / "README.md").read_text()


def test_a_frozen_stem_keeps_its_statistics_and_how_steps_are_run_is_not_copied():
    torch.manual_seed(0)
    model = create_model("grid-nano", num_classes=2).train()
    before = {name: value.clone() for name, value in model.net.state_dict().items()}
    model.execution = (x for x in ())  # like a captured graph, it cannot be copied
    config = FitConfig(data="x", out="y", init="some", freeze_stem=True, recalibrate=1)

    class Streams:
        def one(self, stream, number, epoch):
            return Batch(torch.randn(2, 3, 32, 32), torch.zeros(2, 32, 32))

    class State:
        def __init__(self):
            self.model, self.average = model, None
            self.weight_optimizer = torch.optim.SGD(model.net.parameters(), lr=1.0)

    found = network_kept(State(), Streams(), config).net.state_dict()
    moved = {name.split(".")[0] for name, value in found.items() if not torch.equal(value, before[name])}
    assert moved == {"transitions", "cells", "decoder"}


@pytest.mark.parametrize("name", ["run", "averaged"])
def test_its_score_is_what_evaluate_finds_and_a_finished_run_says_again(name, discs, request):
    found = request.getfixturevalue(name).learned
    assert records(found.run)[-1]["miou"] == found.scores.miou
    assert wholenet.evaluate(found.run, discs).miou == pytest.approx(found.scores.miou, abs=1e-4)
    assert wholenet.resume(found.run).learned.scores == found.scores


def test_the_best_is_kept_with_the_statistics_that_it_was_scored_with(discs, tmp_path, run):
    best = wholenet.fit(discs, tmp_path / "best", **SMALL, recalibrate=3, keep="best").learned
    assert untimed(records(best.run)) == untimed(records(run.learned.run))
    assert best.scores.miou == max(record["miou"] for record in records(best.run))
    assert_equal(state_in(best.run / "model-last"), state_in(run.learned.run / "model"))


@pytest.mark.parametrize(("name", "options"), [("run", {"recalibrate": 3}), ("averaged", AVERAGED)])
def test_stopped_and_continued_it_is_the_same_run(name, options, discs, tmp_path, request):
    def trains(state, *args, **kwargs):
        for done in train_epoch(state, *args, **kwargs):
            if (state.epoch, done.step) == (1, 2):
                os.kill(os.getpid(), signal.SIGTERM)
            yield done

    out, whole = tmp_path / "run", request.getfixturevalue(name).learned
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("wholenet.run.train_epoch", trains)
        with pytest.raises(Interrupted):
            wholenet.fit(discs, out, **SMALL, **options)
    assert wholenet.resume(out).learned.scores == whole.scores
    assert untimed(records(out)) == untimed(records(whole.run))
    assert_equal(checkpoint(out), checkpoint(whole.run))
    assert_equal(state_in(out / "model"), state_in(whole.run / "model"))


@pytest.mark.parametrize("options", [{"recalibrate": 2}, {**AVERAGED, "keep": "best"}])
def test_pictures_after_a_resume_are_of_the_network_that_was_scored_last(options, discs, tmp_path, monkeypatch):
    """Epoch 2 is scored, the run stopped in epoch 3 and continued, and pictures made after each epoch."""
    drawn = {"whole": [], "stopped": []}

    def run(name, stop):
        def trains(state, *args, **kwargs):
            for done in train_epoch(state, *args, **kwargs):
                if stop and (state.epoch, done.step) == (2, 1):
                    os.kill(os.getpid(), signal.SIGTERM)
                yield done

        def draws(folder, model, *_):
            drawn[name].append({name: value.clone() for name, value in model.state_dict().items()})

        monkeypatch.setattr("wholenet.run.train_epoch", trains)
        monkeypatch.setattr("wholenet.jobs.segmentation.draw_answers", draws)
        return wholenet.fit(
            discs, tmp_path / name, **{**SMALL, "epochs": 4, "val_every": 2, "steps_per_epoch": 2}, **options
        )

    monkeypatch.setattr("wholenet.run.DRAW_EVERY_S", -1.0)
    whole = run("whole", stop=False).learned.run
    with pytest.raises(Interrupted):
        run("stopped", stop=True)
    monkeypatch.setattr("wholenet.run.train_epoch", train_epoch)
    wholenet.resume(tmp_path / "stopped")
    assert len(drawn["whole"]) == len(drawn["stopped"]) == 4
    for first, second in zip(drawn["whole"], drawn["stopped"], strict=True):
        assert_equal(first, second)
    assert_equal(checkpoint(whole), checkpoint(tmp_path / "stopped"))


def test_they_are_left_out_unless_asked_for_and_averages_get_statistics():
    config = FitConfig(data="x", out="y")
    assert (config.recalibrate, config.ema, config.statistics_batches) == (0, 0, 0)
    assert {name: ADDED[name] for name in ("recalibrate", "ema")} == {"recalibrate": 0, "ema": 0.0}
    assert FitConfig(data="x", out="y", ema=0.9).statistics_batches == 32
    assert FitConfig(data="x", out="y", ema=0.9, recalibrate=5).statistics_batches == 5


def test_room_is_asked_for_the_average_too():
    state = {
        "model": torch.zeros(100),
        "average": {"values": {"weight": torch.zeros(90)}},
        "momentum": torch.zeros(100),
    }
    before = {name: value for name, value in state.items() if name != "momentum"}
    assert room_needed(before) == room_needed(state) == 3 * 4 * 290 + 4 * 100
