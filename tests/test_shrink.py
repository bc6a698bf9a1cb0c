"""A trained network made smaller: what its run starts with is the whole of it, nothing but removal moves until the
fine-tuning, and stopped anywhere it comes to the same."""

import shutil

import pytest
import torch
from rich.console import Console

import wholenet
from run_files import assert_equal, checkpoint, records, stopped_looking, untimed
from toy import shallow
from wholenet.beginning import beginning_facts, part_of
from wholenet.cli import main
from wholenet.deploy.init_weights import given_model
from wholenet.jobs.job import job_of
from wholenet.jobs.masks import prepare
from wholenet.jobs.segmentation import MaskData
from wholenet.planning.memory import step_bytes
from wholenet.planning.plan import plan_run
from wholenet.planning.timing import Measured
from wholenet.search.config import FitConfig, fit_config
from wholenet.search.goals import goal_of
from wholenet.search.loop import train_epoch
from wholenet.search.phases import phase_at, removing, shrinking
from wholenet.search.run_folder import RunFolder, spec_of
from wholenet.smaller import rewound, shrink_config
from wholenet.spaces.catalog import left_of, subnets
from wholenet.spaces.count import macs_as_run
from wholenet.spaces.space import Facts

SMALL = {"size": "nano", "epochs": 3, "batch": 2, "crop": "32x32", "lr": 0.05, "device": "cpu", "threads": 1}
SMALL |= {"warmup_share": 0.34, "search_share": 0.33, "steps_per_epoch": 3, "val_every": 1}
SHRUNK = {"budget": "70%", "epochs": 1, "budget_rounds": 2}


@pytest.fixture(scope="module", autouse=True)
def grid():
    with shallow():
        yield


@pytest.fixture(scope="module")
def trained(discs, tmp_path_factory):
    out = tmp_path_factory.mktemp("trained") / "run"
    wholenet.fit(discs, out, **SMALL)
    return out


@pytest.fixture(scope="module")
def run(trained, tmp_path_factory):
    out = tmp_path_factory.mktemp("shrunk") / "run"
    wholenet.shrink(trained, out, **SHRUNK)
    return out


def test_it_starts_with_the_trained_network_and_ends_with_a_smaller_one(trained, run):
    found = records(run)
    assert [r["phase"] for r in found] == ["removal", "removal", "statistics", "fine-tune"]
    assert [r["lr"] for r in found] == [0, 0, 0, pytest.approx(rewound(RunFolder(trained).fit_config, 1))]
    assert found[0]["miou"] == records(trained)[-1]["miou"]
    assert found[0]["logits"] == found[-1]["logits"]
    model = wholenet.load(run).network
    goal = goal_of(wholenet.load(trained).network.spec, "70%", (32, 32))
    macs = macs_as_run(model.eval(), 32, 32)
    assert 0.8 * goal.most < macs <= goal.most
    assert [r["macs"] for r in found] == [goal.whole, found[1]["macs"], macs, macs]
    assert goal.whole > found[1]["macs"] > macs
    assert found[-1]["subnet"] == model.spec.subnet


def test_without_fine_tuning_its_weights_are_those_that_were_trained(trained, tmp_path):
    wholenet.shrink(trained, tmp_path / "run", **{**SHRUNK, "epochs": 0})
    before, after = (wholenet.load(path).network for path in (trained, tmp_path / "run"))
    known, left = subnets(before.spec), left_of(after.spec)
    values = dict(before.net.named_parameters())
    for name, parameter in after.net.named_parameters():
        assert torch.equal(parameter, known.cut(name, values[name], known.whole(), left)), name
    for name, logits in after.arch.logits.items():
        assert torch.equal(logits, before.arch.logits[name])
    moved = [
        not torch.equal(value, known.cut(name, before.net.state_dict()[name], known.whole(), left))
        for name, value in after.net.state_dict().items()
        if name.endswith("running_mean")
    ]
    assert all(moved)


def test_stopped_while_units_go_it_comes_to_the_same_to_the_bit(trained, run, tmp_path):
    with stopped_looking(4):
        wholenet.shrink(trained, tmp_path / "run", **SHRUNK, checkpoint_minutes=0)
    wholenet.resume(tmp_path / "run")
    _assert_same(tmp_path / "run", run)


def _assert_same(one, other):
    assert_equal(checkpoint(one), checkpoint(other))
    assert untimed(records(one)) == untimed(records(other))
    weights = "model/model.safetensors"
    assert (one / weights).read_bytes() == (other / weights).read_bytes()


def test_a_smaller_network_is_made_smaller_still(run, tmp_path):
    whole = records(run)[0]["macs"]
    further = {**SHRUNK, "budget": "60%", "distill": 0.5}
    wholenet.shrink(run, tmp_path / "two", **further)
    found = records(tmp_path / "two")
    assert found[0]["miou"] == records(run)[-1]["miou"]
    assert [found[0]["macs"], found[0]["subnet"]] == [records(run)[-1]["macs"], records(run)[-1]["subnet"]]
    assert found[-1]["macs"] <= 0.6 * whole < found[0]["macs"]
    assert beginning_facts(RunFolder(tmp_path / "two"))["subnet"] == found[0]["subnet"]
    with stopped_looking(5):
        wholenet.shrink(run, tmp_path / "again", **further, checkpoint_minutes=0)
    wholenet.resume(tmp_path / "again")
    _assert_same(tmp_path / "again", tmp_path / "two")


def test_what_is_distilled_from_is_the_network_as_it_came(run, tmp_path):
    """Its answers are those of the folder's model: of scale and statistics, of edges and what was removed before."""
    config = shrink_config(run, tmp_path / "run", **SHRUNK | {"budget": "60%", "distill": 1.0})
    console, device = Console(quiet=True), torch.device("cpu")
    data = MaskData(prepare(config, console))
    wholenet.shrink(run, tmp_path / "run", **SHRUNK | {"budget": "60%", "distill": 1.0})
    job = job_of(RunFolder(tmp_path / "run"), data, device, console)
    batch = data.streams(config, job.schedule, device).one("weights", 0, 0)
    before, after = (wholenet.load(path).network for path in (run, tmp_path / "run"))
    with torch.no_grad():
        loss = job.parts.weight_loss(batch)
        assert loss(before(batch.images), batch.targets).abs() < 1e-9
        assert loss(after(batch.images), batch.targets) > 1e-5


def test_what_starts_from_a_smaller_network_is_as_small_with_its_control_and_its_plan(
    run, discs, tmp_path, capsys, monkeypatch
):
    given = {**SMALL, "init": str(run), "ema": 0.5, "lr": 1e-9, "arch_lr": 1e-9, "warmup_share": 0.5}
    wholenet.fit(discs, tmp_path / "one", **given, control=True)
    said = capsys.readouterr().out
    assert f"{run} is a part of its supernet, and so is the network of this run" in said
    before, after = (wholenet.load(path).network for path in (run, tmp_path / "one"))
    assert before.spec.subnet == after.spec.subnet == wholenet.load(tmp_path / "one" / "control").network.spec.subnet
    for name, parameter in after.net.named_parameters():  # nor does the average remember what was there before
        assert torch.allclose(parameter, before.net.get_parameter(name), atol=1e-6), name
    assert [record["subnet"] for record in records(tmp_path / "one")] == 3 * [before.spec.subnet]

    def stopping(state, *rest):
        for step in train_epoch(state, *rest):
            yield step
            if state.epoch == 1:
                raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("wholenet.run.train_epoch", stopping)
        with pytest.raises(KeyboardInterrupt):
            wholenet.fit(discs, tmp_path / "two", **given, checkpoint_minutes=0)
    wholenet.resume(tmp_path / "two")
    _assert_same(tmp_path / "one", tmp_path / "two")

    monkeypatch.setattr("wholenet.planning.choosing.measure", lambda *_: Measured(0.5, 0.5, 0.1, 2**30))
    plan = plan_run({"data": str(discs), "init": str(run), "device": "cpu"}, 0.5, Console(quiet=True))
    assert "and so is the network of this run" in dict(plan.facts)["start"]
    config = plan.config(out="")
    data = MaskData(prepare(config, Console(quiet=True)))
    assert step_bytes(config, data, before.spec.subnet) < step_bytes(config, data)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"filters": 16}, "for its settings are others"),
        ({"budget": "60%"}, "of which --budget leaves what it says"),
        ({"protocol": "two-stage"}, "out of which --protocol two-stage cuts its network"),
    ],
)
def test_where_the_whole_grid_is_built_a_sentence_says_why(run, other, said):
    given, config = given_model(run), fit_config(data="d", out="o", crop="32x32", **{"size": "nano", **other})
    left, why = part_of(config, given, spec_of(config, Facts(len(given.classes))))
    assert left is None
    assert said in why


def test_a_model_folder_takes_its_data_by_hand_and_says_what_it_came_to(trained, discs, tmp_path, capsys):
    shutil.copytree(trained / "model", tmp_path / "model")
    words = ["--batch=2", "--crop=32x32", "--steps-per-epoch=2", "--threads=1", "--device=cpu", "--budget-rounds=1"]
    out = str(tmp_path / "run")
    main(["shrink", str(tmp_path / "model"), str(discs), "--budget=70%", "--epochs=1", f"--out={out}", *words])
    told = capsys.readouterr().out
    found = records(tmp_path / "run")
    for what, epoch in (("before", 0), ("right after removal", 1), ("after fine-tuning", 2)):
        (line,) = [line for line in told.splitlines() if line.startswith(what)]
        assert f" {100 * found[epoch]['miou']:.1f} % mIoU" in line
        assert f" {found[epoch]['macs'] / 1e6:.4g} MMACs" in line
    assert wholenet.evaluate(out, discs).miou == pytest.approx(found[-1]["miou"], abs=1e-6)


def test_what_the_run_had_is_kept_but_for_its_search(trained, tmp_path):
    uniform = FitConfig(data="d", out="o", epochs=100, lr=0.1, lr_schedule="cosine")
    assert rewound(uniform, 50) == pytest.approx(0.05)
    assert rewound(uniform, 500) == rewound(uniform, 100) == 0.1
    config = shrink_config(trained, tmp_path / "run", budget="50%", epochs=7, seed=5, budget_by="random")
    assert (config.batch, config.crop, config.steps_per_epoch, config.seed) == (2, "32x32", 3, 5)
    assert (config.epochs, config.budget_rounds, config.budget_by) == (12, 4, "random")
    assert (config.protocol, config.init) == ("shrink", str(trained.resolve()))
    seconds = [r["seconds"] for r in records(trained)]
    timed = shrink_config(trained, tmp_path / "run", budget="50%", minutes=max(0.1, sorted(seconds)[1]))
    assert timed.epochs * sorted(seconds)[1] <= 0.9 * 60 * max(0.1, sorted(seconds)[1])


def test_units_go_in_the_phase_that_is_there_for_it():
    phases = shrinking(9, 3)
    assert removing(phases) == phases[0]
    assert [phase_at(phases, epoch).moves_weights for epoch in range(9)] == [False] * 4 + [True] * 5
    assert not any(phase.moves_architecture for phase in phases)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"budget": "5%"}, "what cannot be removed costs"),
        ({"budget": "9GMACs"}, "no less than the"),
        ({"budget": "50%", "size": "tiny"}, "size cannot be given: a network that is to shrink is what it is"),
        ({"budget": "50%", "ema": 0.9}, "ema cannot be given"),
        ({"budget": "50%", "minutes": 3, "epochs": 3}, "leave one of them out"),
        ({"budget": "50%", "distill": 2}, "distill"),
        ({"budget": "50%", "budget_rounds": 900_000, "minutes": 0.1}, "score and remove units; give at least"),
    ],
)
def test_what_cannot_be_is_refused_before_a_folder_is_made(trained, tmp_path, given, told):
    with pytest.raises(ValueError, match=told):
        wholenet.shrink(trained, tmp_path / "run", **given)
    assert not (tmp_path / "run").exists()


def test_models_and_data_that_do_not_do_are_refused(run, trained, models, discs, tmp_path):
    with pytest.raises(ValueError, match=r"is to shrink costs .* already .*give less"):
        wholenet.shrink(run, tmp_path / "run", budget="90%")
    with pytest.raises(ValueError, match="does not know its data: give the data too"):
        wholenet.shrink(trained / "model", tmp_path / "run", budget="50%")
    with pytest.raises(ValueError, match="how long an epoch takes: give epochs"):
        wholenet.shrink(trained / "model", tmp_path / "run", budget="50%", data=discs, minutes=2)
    with pytest.raises(ValueError, match="of the task 'classification', and networks for masks alone are"):
        wholenet.shrink(models / "labels", tmp_path / "run", budget="50%")
    others = shutil.copytree(discs, tmp_path / "others")
    (others / "classes.json").write_text('["ground", "ball"]')
    with pytest.raises(ValueError, match="tells ground, disc apart, and the data has ground, ball"):
        wholenet.shrink(trained, tmp_path / "run", budget="50%", data=others)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"budget": "50%"}, "init is not given: `wholenet shrink RUN"),
        ({"init": "runs/x"}, "budget is not given"),
        ({"budget": "50%", "init": "runs/x", "epochs": 4}, "one more is for BatchNorm's statistics; give at least 5"),
        ({"budget": "50%", "init": "runs/x", "control": True}, "its controls are runs of their own"),
    ],
)
def test_the_protocol_by_hand_says_what_it_lacks(given, told):
    with pytest.raises(ValueError, match=told):
        fit_config(data="d", out="o", protocol="shrink", **given)


def test_settings_of_another_network_are_refused(trained, discs, tmp_path):
    given = {**SMALL, "protocol": "shrink", "init": str(trained), "budget": "70%", "epochs": 6}
    given |= {"warmup_share": 0.05, "search_share": 0.35}
    with pytest.raises(ValueError, match=r"another network .* \(activation is hardswish there, relu here\)"):
        wholenet.fit(discs, tmp_path / "run", **given, activation="relu")
    assert not (tmp_path / "run").exists()


def test_rounds_and_distillation_are_of_shrinking_alone(trained, tmp_path):
    with pytest.raises(ValueError, match="of protocol='shrink'; here units go over the epochs of the search"):
        fit_config(data="d", out="o", budget="40%", budget_rounds=2)
    with pytest.raises(ValueError, match="only protocol='shrink' begins with a trained network to learn from"):
        fit_config(data="d", out="o", budget="40%", distill=0.5)
    given = {"minutes": 1, "budget": "50%", "budget_rounds": 2}
    plain, slower = (shrink_config(trained, tmp_path / "run", **given, distill=share) for share in (0.0, 0.5))
    assert (slower.epochs + 1) / (plain.epochs + 1) == pytest.approx(3 / 4, rel=0.05)
