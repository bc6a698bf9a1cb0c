"""A plan chooses what is not given, says why, and is fixed once it is written."""

import math
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml
from rich.console import Console

import wholenet
import wholenet.planning.choosing as choosing_module
import wholenet.planning.plan as plan_module
import wholenet.planning.timing as timing_module
from run_files import records, untimed
from wholenet.cli import main
from wholenet.data.pixels import Pixels
from wholenet.jobs.masks import prepare
from wholenet.jobs.segmentation import MaskData
from wholenet.planning import rules
from wholenet.planning.facts import _machine, augmentation_in_words
from wholenet.planning.length import END_SECONDS
from wholenet.planning.memory import step_bytes
from wholenet.planning.plan import Plan, announced, plan_run
from wholenet.planning.timing import Measured, StepTooLong, forget_peak, peak_bytes
from wholenet.search.config import fit_config
from wholenet.search.config_files import read_config
from wholenet.search.presets import PRESETS
from wholenet.search.protocols import plan_phases
from wholenet.spaces.sizes import GRID_SIZES
from wholenet.studies.setting import SCALES

pytestmark = pytest.mark.usefixtures("sliver")

QUIET = Console(quiet=True)
ENOUGH = f"{rules.LEAST_STEPS:,}"


@pytest.fixture(autouse=True)
def planned_at_once(monkeypatch):
    """What planning takes here is not part of what is tested: tests/test_planned_time.py has it."""
    monkeypatch.setattr(plan_module, "time", SimpleNamespace(perf_counter=lambda: 0.0))


@pytest.fixture
def machine(monkeypatch):
    """One whose steps take as long as a test says, by the seconds of a step of each size."""

    def set_to(seconds=0.5, search=None, scored=0.1, sizes=None):
        def measured(config, *_):
            each = (sizes or {}).get(config.size, seconds)
            return Measured(each, each if search is None else search, scored, 2**30)

        monkeypatch.setattr(choosing_module, "measure", measured)
        monkeypatch.setattr(choosing_module, "measure_step", lambda *args: measured(*args).weight_step)

    set_to()
    return set_to


@pytest.mark.parametrize("smallest", [(8, 8), (33, 47), (100, 60), (360, 480), (512, 512), (4000, 60), (2160, 3840)])
@pytest.mark.parametrize("pixels", [rules.LEAST_PIXELS, rules.CPU_PIXELS, rules.GPU_PIXELS])
def test_a_crop_lies_in_every_image_and_is_not_much_larger_than_asked(smallest, pixels):
    height, width = rules.crop_for(smallest, pixels)
    assert 0 < height <= smallest[0]
    assert 0 < width <= smallest[1]
    assert height * width <= 1.4 * pixels or 32 in (height, width)
    least, most = rules.scales_for((height, width), smallest)
    assert 0.5 <= least <= 0.8 < 1 < most


@pytest.mark.parametrize("steps", [1, 2, 9, 10, 11, 100, 999, 1001, 50_000])
def test_no_batch_of_a_short_search_moves_a_logit_by_more_than_a_tenth_of_a_decision(steps):
    rate = rules.arch_rate_for(steps)
    assert rate <= rules.TRAVEL / 10
    if steps >= 10:
        assert rate == max(rules.PAPER_ARCH_RATE, rules.TRAVEL / steps)  # longer searches have what they had
    noise = rate * math.sqrt(steps)  # of signs that are chance: the spread of a logit, beside what a decision takes
    assert noise <= rules.TRAVEL / math.sqrt(10) or rate == rules.PAPER_ARCH_RATE


@pytest.mark.parametrize("steps", [10, 17, 100, 999, 1001, 50_000])
def test_adam_at_the_planned_rate_can_decide_a_choice_between_two(steps):
    """Adam's first moments on a constant gradient: the rate in each step, so the logits can be 2 * TRAVEL apart."""
    logits = torch.zeros(2, requires_grad=True)
    optimizer = torch.optim.Adam([logits], lr=rules.arch_rate_for(steps))
    for _ in range(min(steps, 1000)):
        optimizer.zero_grad()
        logits.grad = torch.tensor([1.0, -1.0])
        optimizer.step()
    travelled = (logits[1] - logits[0]).item() * steps / min(steps, 1000)
    assert travelled >= 2 * rules.TRAVEL * 0.999
    share = torch.sigmoid(torch.tensor(travelled)).item()
    entropy = -sum(p * math.log(p) for p in (share, 1 - share) if p) / math.log(2)
    assert entropy < 0.03


@pytest.mark.parametrize("steps", [3, 4, 29, 30, 31, 100, 1500, 12_345])
def test_epochs_hold_nearly_all_steps_and_never_more(steps):
    epochs, each = rules.epochs_for(steps)
    assert 3 <= epochs <= 30
    assert steps - each < epochs * each <= steps


def test_the_plan_fills_the_time_and_what_is_given_stays(discs, machine):
    given = {"data": str(discs), "batch": 3, "seed": 5, "device": "cpu"}
    plan = plan_run(given, 10, QUIET)
    config = plan.config(out="x")
    assert (config.batch, config.seed) == (3, 5)
    assert not {"batch", "seed"} & {choice.name for choice in plan.chosen}
    steps = config.epochs * config.steps_per_epoch
    scorings = math.ceil(config.epochs / config.val_every)
    seconds = steps * 0.5 + (scorings + 1) * 0.1 * 2
    assert 0.85 * 600 < seconds < 600
    search = plan_phases(config)[1]
    assert config.arch_lr * (search.end - search.first) * config.steps_per_epoch >= rules.TRAVEL
    machine(seconds=0.5, search=1.5)
    slower = plan_run(given, 10, QUIET).config(out="x")
    assert slower.epochs * slower.steps_per_epoch < 0.8 * steps
    halved = plan_run({**given, "control": True}, 10, QUIET).config(out="x")
    assert halved.epochs * halved.steps_per_epoch < 0.6 * steps


@pytest.mark.parametrize(
    ("given", "tries"), [({}, None), ({"crop": "32x32"}, 1.0), ({"crop": "32x32", "zoom": 0.6}, None)]
)
def test_where_a_plan_sees_images_smaller_their_own_size_is_tried_too(given, tries, discs, machine):
    config = plan_run({"data": str(discs), "device": "cpu", **given}, 10, QUIET).config(out="x")
    assert config.zoom == 1 or "zoom" in given or tries
    assert config.try_zoom == tries


def test_short_runs_estimate_their_statistics_anew_within_the_time(discs, monkeypatch):
    passed, step = 0.25, 0.5
    monkeypatch.setattr(choosing_module, "measure", lambda *_: Measured(step, step, 0.1, 2**30, passed))
    given = {"data": str(discs), "size": "nano", "device": "cpu"}
    for minutes, batches, said in ((0.5, 8, "the running statistics lag behind"), (10, 0, "depends on the data")):
        plan = plan_run(given, minutes, QUIET)
        config = plan.config(out="x")
        steps = config.epochs * config.steps_per_epoch
        assert config.recalibrate == batches == rules.recalibration_for(steps)
        assert said in next(choice.reason for choice in plan.chosen if choice.name == "recalibrate")
        scorings = math.ceil(config.epochs / config.val_every)
        seconds = steps * step + scorings * (0.1 * 2 + batches * passed) + 0.1 * 2 + END_SECONDS
        assert 0.8 * 60 * minutes < seconds < 60 * minutes
    assert plan_run({**given, "recalibrate": 3}, 10, QUIET).config(out="x").recalibrate == 3


@pytest.mark.parametrize(
    ("step_seconds", "size", "said"),
    [
        ({"nano": 2.0}, "nano", f"the smallest, with time for about 600 of the {ENOUGH} steps that it needs"),
        (
            {"nano": 0.2, "tiny": 0.25, "small": 0.3, "base": 0.3},
            "small",
            "takes the 3,000 steps that it needs; base needs 4,500 and has time for about 4,000",
        ),
        ({"nano": 0.2, "tiny": 0.7, "small": 0.5}, "tiny", "; small needs 3,000 and has time for about 2,400"),
        ({"nano": 0.2, "tiny": 5.0, "small": 0.1}, "nano", f"; tiny needs {ENOUGH} and has time for about 240"),
        ({"nano": 0.2, "tiny": 0.25, "small": StepTooLong("")}, "tiny", "; a step of small takes too long"),
        ({"nano": 0.2, "tiny": torch.OutOfMemoryError()}, "nano", "; a step of tiny does not fit into memory"),
        (dict.fromkeys(GRID_SIZES, 0.1), "large", "takes the 4,500 steps that it needs"),
    ],
)
def test_the_size_is_the_largest_whose_measured_steps_fit(discs, machine, monkeypatch, step_seconds, size, said):
    """Not by multiply-adds: a tiny grid has five times those of a nano one, and its steps took 1.5 times as long."""
    timed = []

    def measured(config, *_):
        timed.append(config.size)
        if isinstance(step_seconds[config.size], Exception):
            raise step_seconds[config.size]
        return step_seconds[config.size]

    machine()
    monkeypatch.setattr(choosing_module, "measure_step", measured)
    plan = plan_run({"data": str(discs), "device": "cpu"}, 20, QUIET)
    config = plan.config(out="x")
    assert config.size == size
    assert config.batch == 8
    assert said in next(choice.reason for choice in plan.chosen if choice.name == "size")
    assert timed == list(step_seconds)[: len(timed)]
    assert len(timed) <= 1 + list(step_seconds).index(size) + 1


@pytest.mark.parametrize(("minutes", "size"), [(None, "tiny"), (59, "large")])
def test_without_minutes_no_size_is_taken_that_needs_more_steps_than_the_run_has(
    discs, machine, monkeypatch, minutes, size
):
    machine(seconds=0.01)
    monkeypatch.setattr(choosing_module, "measure_step", lambda *_: 0.01)
    plan = plan_run({"data": str(discs), "device": "cpu"}, minutes, QUIET)
    config = plan.config(out="x")
    assert config.size == size
    steps = config.epochs * config.steps_per_epoch
    assert steps >= 0.98 * rules.steps_enough(8, 8, size=size, stem=False)
    if minutes is None:
        assert next(choice.reason for choice in plan.chosen if choice.name == "size").endswith("; small needs 3,000")


@pytest.mark.parametrize("stem", [False, True])
@pytest.mark.parametrize("images", [1, 24, 367, 2975, 200_000])
def test_a_size_needs_no_fewer_steps_than_a_smaller_one(images, stem):
    assert list(rules.STEPS_OF_SIZE) == list(GRID_SIZES)
    needs = [rules.steps_enough(images, 8, size=size, stem=stem) for size in GRID_SIZES]
    assert needs == sorted(needs)
    assert needs[0] <= rules.steps_needed(images, 8)


def test_without_minutes_the_data_says_how_long_it_is(discs, machine):
    machine(seconds=0.001)
    config = plan_run({"data": str(discs), "size": "nano"}, None, QUIET).config(out="x")
    assert config.epochs * config.steps_per_epoch == rules.LEAST_STEPS
    machine(seconds=10.0)
    config = plan_run({"data": str(discs), "size": "nano"}, None, QUIET).config(out="x")
    assert 0.8 * 360 < config.epochs * config.steps_per_epoch < 360  # an hour


def test_a_batch_that_does_not_fit_is_halved_and_what_is_given_is_refused(discs, monkeypatch):
    def measured(config, *_):
        if config.batch > 2:
            raise torch.OutOfMemoryError("out of memory")
        return Measured(0.1, 0.1, 0.1, 1)

    monkeypatch.setattr(choosing_module, "measure", measured)
    plan = plan_run({"data": str(discs), "size": "nano"}, 1, QUIET)
    assert plan.config(out="x").batch == 2
    with pytest.raises(MemoryError, match=r"a batch of 8 crops of .*\(out of memory\); give a smaller --batch"):
        plan_run({"data": str(discs), "size": "nano", "batch": 8}, 1, QUIET)


def test_what_a_step_holds_is_counted_before_one_is_taken(discs, monkeypatch):
    base = fit_config(data=str(discs), out="", size="nano", crop="32x32", batch=2)
    data = MaskData(prepare(base, QUIET))
    two, four, six = (step_bytes(replace(base, batch=batch), data) for batch in (2, 4, 6))
    assert six - four == pytest.approx(four - two, rel=1e-6)  # feature maps; weights are the same
    assert 0 < two - (four - two) < two / 2
    assert step_bytes(replace(base, recompute=True), data) < two - 0.5 * (four - two)
    monkeypatch.setattr(timing_module, "free_bytes", lambda _: (two + four) // 2)
    given = {"data": str(discs), "size": "nano", "crop": "32x32", "device": "cpu"}
    assert plan_run(given, 1, QUIET).config(out="x").batch == 2
    with pytest.raises(MemoryError, match=r"a batch of 4 .* a step needs about .* GiB are free\); give a smaller"):
        plan_run({**given, "batch": 4}, 1, QUIET)


def test_timing_ends_at_the_first_step_that_is_too_long(discs, monkeypatch):
    clock, steps = iter(range(0, 100_000, 100)), []
    monkeypatch.setattr(timing_module, "_now", lambda _: next(clock))
    train = timing_module.train_epoch
    monkeypatch.setattr(
        timing_module, "train_epoch", lambda *args: (steps.append(step) or step for step in train(*args))
    )
    with pytest.raises(ValueError, match=r"a step takes 100.00 s here, and there are \d+ s for the run; .* --minutes"):
        plan_run({"data": str(discs), "crop": "32x32", "device": "cpu"}, 1, QUIET)
    assert len(steps) == 1


def test_a_budget_and_a_start_are_checked_before_anything_is_timed(discs, models, monkeypatch):
    def measured(*_):
        raise AssertionError("timed")

    monkeypatch.setattr(choosing_module, "measure", measured)
    monkeypatch.setattr(choosing_module, "measure_step", measured)
    given = {"data": str(discs), "device": "cpu"}
    for options, said in (
        ({"budget": "0.1%"}, "what cannot be removed costs"),
        ({"budget": "1%", "size": "nano"}, "what cannot be removed costs"),
        (
            {"budget": "40%", "budget_by": "random", "search_share": 0.0},
            "units are removed over the epochs of the search",
        ),
        ({"init": str(models / "labels")}, "is a classifier"),
        ({"init": str(models / "masks"), "filters": 10, "size": "small"}, "none of its weights fits"),
        ({"init": str(models / "none")}, "none"),
        ({"stem": "timm/none"}, "timm"),
    ):
        with pytest.raises(ValueError, match=said):
            plan_run({**given, **options}, 1, QUIET)


def test_a_run_that_starts_from_a_model_has_its_network_and_a_smaller_rate(discs, models, machine):
    given = {"data": str(discs), "device": "cpu"}
    machine(sizes={"nano": 0.001, "tiny": 0.001, "small": 0.001})
    new = plan_run(given, 5, QUIET).config(out="x")
    plan = plan_run({**given, "init": str(models / "masks")}, 5, QUIET)
    config = plan.config(out="x")
    assert new.size != config.size == "nano"
    rate = rules.TRAINED_SHARE * rules.rate_for(config.epochs * config.steps_per_epoch)
    assert config.lr == pytest.approx(rate, abs=1e-4)
    assert next(c.reason for c in plan.chosen if c.name == "size") == "that of the model that the run starts from"
    assert "tensors taken" in dict(plan.facts)["start"]


@pytest.mark.parametrize(
    ("channels", "kind", "said"),
    [(3, "uint8", "8-bit RGB"), (1, "uint16", "1 band of uint16"), (5, "float32", "5 bands")],
)
def test_the_rows_say_what_the_images_are_and_what_is_done_to_them(discs, machine, channels, kind, said, monkeypatch):
    pixels = Pixels(channels=channels, type=kind, mean=(0.5,) * channels, std=(0.2,) * channels)
    real = plan_module.prepare
    monkeypatch.setattr(plan_module, "prepare", lambda *args: replace(real(*args), pixels=pixels))
    rows = dict(plan_run({"data": str(discs), "size": "nano", "device": "cpu"}, 1, QUIET).facts)
    assert said in rows["data"]
    assert ("saturation" in rows["augmentation"]) == pixels.photo
    assert ("--jitter 0" in rows["augmentation"]) != pixels.photo
    assert ("--stem timm/NAME" in rows["stem"]) == pixels.photo
    assert "--flip-vertical 0.5 --quarter-turns" in rows["augmentation"]
    turned = augmentation_in_words(fit_config(data="", out="", quarter_turns=True, jitter=0.0), pixels)
    assert "quarter turns" in turned
    assert "--" not in turned


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"operations": "conv_3x3,conv_5x6"}, "unknown grid operation 'conv_5x6'; did you mean 'conv_5x5'"),
        ({"space": "dense-gird"}, "unknown space 'dense-gird'; did you mean 'dense-grid'"),
        ({"regularizer": "beta-deca"}, "unknown regularizer 'beta-deca'; did you mean 'beta-decay'"),
        ({"transform": "shade"}, "unknown transform 'shade'"),
    ],
)
def test_names_that_nothing_has_are_refused_before_the_data_is_read(options, said):
    with pytest.raises(ValueError, match=said):
        plan_run({"data": "/no/such/data", "size": "nano", **options}, 1, QUIET)


def test_too_short_a_time_and_two_lengths_are_refused(discs, machine, tmp_path, capsys):
    machine(seconds=100.0)
    with pytest.raises(ValueError, match=r"time for 0 steps; expected one for each of the 3 phases .* more --minutes"):
        plan_run({"data": str(discs)}, 1, QUIET)
    with pytest.raises(ValueError, match="says how long the run is, and so does epochs"):
        wholenet.fit(discs, tmp_path / "run", minutes=1, epochs=3)
    for words, said in (
        (["--minutes", "1", "--epochs", "3"], "--minutes lets the length of the run be chosen, and --epochs"),
        (["--plan-only", "--preset", "demo"], "--plan-only lets the length"),
        (["--minutes", "0"], "--minutes=0: expected at least 0.1"),
        (["--preset", "dmeo"], "demo"),
    ):
        with pytest.raises(SystemExit):
            main(["fit", str(discs), "--out", str(tmp_path / "run"), *words])
        assert said in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["fit", "--resume", str(tmp_path), "--minutes", "1"])
    assert "--resume goes on as the run was begun; leave --minutes out" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_presets_are_configs_and_the_papers_is_the_defaults():
    for name, options in PRESETS.items():
        assert fit_config(data="x", out="y", **options), name
    paper = fit_config(data="x", out="y", **PRESETS["paper"])
    assert replace(paper, arch_update="auto") == fit_config(data="x", out="y")
    assert (paper.update, paper.epochs, paper.batch, paper.lr) == ("alternating", 600, 16, 0.003)
    assert paper.zoom == 1
    for options in (PRESETS["camvid-cpu"], SCALES["cpu"]):
        short = fit_config(data="x", out="y", **options)
        assert short.zoom == rules.zoom_for(short.scale_min, short.scale_max)


def test_a_planned_run_keeps_its_plan_goes_on_to_the_bit_and_can_be_made_again(
    discs, machine, tmp_path, monkeypatch, capsys
):
    """The machine is pretended to be so slow that there are few steps."""
    monkeypatch.chdir(tmp_path)
    machine(seconds=8.0)
    main(["fit", str(discs), "--minutes", "1", "--device", "cpu", "--crop", "32x32"])
    said = capsys.readouterr().out
    assert f"of the {ENOUGH} steps that it needs" in said
    run = tmp_path / "runs" / f"{discs.name}-1"
    config = read_config(run / "config.yaml")
    assert yaml.safe_load((run / "plan.yaml").read_text())["epochs"] == config.epochs == len(records(run))
    assert len(records(run)) >= 3
    assert {record["phase"] for record in records(run)} == {"warm-up", "search", "fine-tune"}
    main(["fit", str(discs), "--config", str(run / "plan.yaml")])
    again = tmp_path / "runs" / f"{discs.name}-2"
    assert untimed(records(run)) == untimed(records(again))
    machine(seconds=0.001)  # elsewhere it would be another plan
    main(["fit", "--resume", str(again)])
    assert replace(read_config(again / "config.yaml"), out=config.out) == config
    capsys.readouterr()
    main(["fit", str(discs), "--plan-only", "--minutes", "1", "--seed", "3"])
    assert yaml.safe_load(capsys.readouterr().out)["seed"] == 3
    assert not (tmp_path / "runs" / f"{discs.name}-3").exists()


def test_every_image_is_seen_as_often_whatever_the_steps_of_an_epoch(discs, tmp_path):
    """12 images, 10 of which are trained on, in epochs of 1 step of 3."""
    seen = []
    options = {"size": "nano", "crop": "32x32", "batch": 3, "epochs": 10, "steps_per_epoch": 1, "device": "cpu"}
    real = choosing_module.MaskData.streams

    def watched(self, *arguments):
        streams = real(self, *arguments)
        seen.extend(name for k in range(10) for name in streams.names("weights", k))
        return streams

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(choosing_module.MaskData, "streams", watched)
        wholenet.fit(discs, tmp_path / "run", **options)
    assert len(records(tmp_path / "run")) == 10
    counts = np.unique(seen, return_counts=True)[1]
    assert len(counts) == 10
    assert set(counts) == {3}


def test_real_steps_are_timed_and_leave_nothing(discs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plan = wholenet.plan(discs, 2, size="nano", crop="32x32", device="cpu", method="darts")
    assert plan.config(out="x").split == "disjoint"
    assert any(name == "time" for name, _ in plan.facts)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux forgets the peak of a process")
def test_the_memory_of_a_plan_is_not_that_of_what_was_timed_before():
    cpu = torch.device("cpu")
    torch.zeros(2**28)  # 1 GiB
    high = peak_bytes(cpu)
    forget_peak(cpu)
    assert peak_bytes(cpu) < high - 2**29


@pytest.mark.parametrize(("load", "told"), [(None, False), (1.9, False), (2.0, True), (13.4, True)])
def test_a_busy_machine_is_said(load, told, monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    said = _machine(fit_config(data="d", out="o", threads=1), torch.device("cpu"), load)
    assert said.startswith("1 CPU thread of 2 cores")
    assert ("busy with other programs" in said) == told


def test_several_budgets_share_the_time_and_all_else(discs, monkeypatch):
    takes = {"20%": 0.2, "60%": 0.6}
    monkeypatch.setattr(
        choosing_module, "measure", lambda config, *_: Measured(takes[config.budget], takes[config.budget], 0.1, 2**30)
    )
    given = {"data": str(discs), "device": "cpu", "size": "nano"}
    plan = plan_run({**given, "budget": "60%,20%"}, 10, QUIET)
    runs = [plan.config(out="x", budget=budget) for budget in takes]
    assert replace(runs[0], budget="60%") == runs[1]
    steps = runs[0].epochs * runs[0].steps_per_epoch
    seconds = steps * sum(takes.values()) + 2 * (math.ceil(runs[0].epochs / runs[0].val_every) + 1) * 0.1 * 2
    assert 0.85 * 600 < seconds < 600
    alone = plan_run({**given, "budget": "60%"}, 10, QUIET).config(out="x")
    assert alone.epochs * alone.steps_per_epoch == pytest.approx(steps * 0.8 / 0.6, rel=0.1)
    assert yaml.safe_load(plan.text())["budget"] == "60%,20%"
    assert "for all budgets" in dict(plan.facts)["time"]
    assert [name for name, _ in plan.facts].count("budget") == 2


def test_a_narrower_network_is_timed_as_it_is(discs, machine, monkeypatch):
    """Its steps are not shortened a second time by what the budget saves."""
    given = {"data": str(discs), "device": "cpu", "budget_by": "narrower"}
    real, asked = plan_module.choose_size, []

    def choose_size(*arguments, needed):
        asked.append((arguments[-1], real(*arguments, needed=needed)))
        return asked[-1][1]

    monkeypatch.setattr(plan_module, "choose_size", choose_size)
    machine(seconds=0.5)
    plan_run({**given, "budget": "50%"}, 1, QUIET)
    plan_run({**given, "budget": "50%,25%"}, 1, QUIET)
    ((alone, fitting), (shared, both)) = asked
    assert fitting == int(alone / 0.5)
    assert both == pytest.approx(shared / 0.75, rel=0.05)


@pytest.mark.parametrize("begins", [True, False])
def test_the_last_line_says_that_the_run_begins_and_how_it_is_stopped(begins, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("wholenet.planning.plan.plan_run", lambda given, *_: Plan(given, (), (("data", "some"),)))
    out = str(tmp_path / "run")
    announced({"out": out}, 1, Console(width=200), begins=begins)
    *_, last = capsys.readouterr().out.splitlines()
    assert last.startswith(f"The run begins now, in {out}. Ctrl-C stops it") == begins
    assert (f"--resume {out}` goes on" in last) == begins
