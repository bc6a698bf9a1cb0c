"""A run with a budget: it ends with a network that costs no more, which is what was trained; stopped anywhere, it comes
to the same; what it is asked that cannot be is refused before it begins."""

import json
import random
import shutil
from dataclasses import replace

import pytest
import torch

import toy as toy_space
import wholenet
from run_files import PICTURES, assert_equal, checkpoint, records, stopped_looking, untimed
from wholenet.architecture import normalized_entropy
from wholenet.commands.fit import _left
from wholenet.data.sample import Classes
from wholenet.deploy.model_folder import save_model, spec_of_model
from wholenet.deploy.segmenter import segmentation_answer
from wholenet.diagnostics.verdict import verdict
from wholenet.frontier import fit_frontier
from wholenet.report.compare import as_table, bought, compare_runs
from wholenet.report.in_words import in_words
from wholenet.report.removed import removed
from wholenet.search.budget_config import Amount, parse_budget
from wholenet.search.config import FitConfig, fit_config
from wholenet.search.cost import run_macs, step_cost
from wholenet.search.goals import Goal, begun_with, goal_for, goal_of
from wholenet.search.keep import best_record, is_best
from wholenet.search.loop import train_epoch
from wholenet.search.phases import Phase
from wholenet.search.removal import Removal
from wholenet.search.run_folder import RunFolder
from wholenet.search.scores import SCORES, Seen
from wholenet.search.shallower import with_all_layers, with_layers
from wholenet.search.shrinking import shrink_training
from wholenet.search.start import state_of
from wholenet.search.steps import Batch, weight_step
from wholenet.spaces.catalog import create_model, left_of, shrink, subnets
from wholenet.spaces.count import macs_as_run
from wholenet.spaces.grid_costs import macs_in_words
from wholenet.spaces.grid_subnets import KINDS
from wholenet.spaces.space import Facts
from wholenet.tasks.score import Score
from wholenet.tasks.segmentation import SegmentationLoss
from wholenet.training import fit

pytestmark = pytest.mark.usefixtures("shallow")

SMALL = {"size": "nano", "epochs": 6, "batch": 2, "crop": "32x32", "lr": 0.05, "device": "cpu", "threads": 1}
SMALL |= {"warmup_share": 0.17, "search_share": 0.34, "steps_per_epoch": 3, "val_every": 1}


RANDOM = {"budget": "50%", "budget_by": "random"}
GRADUAL = {"budget": "45%", "budget_by": "saliency-by-kind", "budget_over": 1.0, "budget_units": ",".join(KINDS)}


@pytest.fixture(scope="module")
def run(shallow, discs, tmp_path_factory):
    out = tmp_path_factory.mktemp("budget") / "run"
    wholenet.fit(discs, out, **GRADUAL, **SMALL)
    return out


def test_the_model_costs_no_more_and_is_the_smaller_network(run):
    model = wholenet.load(run).network
    goal = goal_of(create_model("grid-nano", num_classes=model.spec.outputs).spec, "45%", (32, 32))
    macs = macs_as_run(model.eval(), 32, 32)
    assert 0.95 * goal.most < macs <= goal.most == int(0.45 * goal.whole)
    found = records(run)
    assert [record["macs"] for record in found[:2]] == [goal.whole] * 2
    assert found[2]["macs"] > found[3]["macs"] == found[5]["macs"] == macs
    assert found[-1]["subnet"] == model.spec.subnet
    kept = json.loads((run / "model" / "config.json").read_text())["model"]["subnet"]
    assert kept == model.spec.subnet


@pytest.mark.parametrize("stop", [4, 7, 9])
def test_stopped_in_or_after_a_search_it_comes_to_the_same_to_the_bit(run, discs, tmp_path, stop):
    with stopped_looking(stop):
        wholenet.fit(discs, tmp_path / "run", **GRADUAL, **SMALL, checkpoint_minutes=0)
    wholenet.resume(tmp_path / "run")
    assert_equal(checkpoint(tmp_path / "run"), checkpoint(run))
    assert untimed(records(tmp_path / "run")) == untimed(records(run))
    weights = "model/model.safetensors"
    assert (tmp_path / "run" / weights).read_bytes() == (run / weights).read_bytes()


def test_it_is_predicted_with_as_any_other(run, discs):
    assert wholenet.evaluate(run, discs).miou == pytest.approx(records(run)[-1]["miou"], abs=1e-6)


def test_what_is_left_is_folded_and_exported_as_any_other(tmp_path):
    """Of one layer: an export takes seconds for each."""
    with toy_space.shallow(layers=1):
        model = create_model("grid-nano", num_classes=2)
        known, left = subnets(model.spec), left_of(model.spec)
        for kind in KINDS:
            left = known.without(left, next(unit for unit in known.units(left) if unit.kind == kind))
        shrink(model, left)
        classes = Classes(("ground", "disc"), ((0, 0, 0), (255, 255, 255)))
        save_model(tmp_path / "model", "segmentation", model, segmentation_answer(classes), {})
        check, _ = wholenet.export(tmp_path / "model", tmp_path / "model.onnx")
    assert check.max_abs_error < 1e-5 * max(1, check.max_abs_logit)


def test_runs_are_compared_by_what_their_networks_cost(run, discs, tmp_path):
    wholenet.fit(discs, tmp_path / "whole", **{**SMALL, "epochs": 3})
    rows, tables = compare_runs([run, tmp_path / "whole"])
    assert [row["macs"] for row in rows] == [records(run)[-1]["macs"], None]
    head, cells = as_table(rows)
    assert [row[head.index("multiply-adds")] for row in cells] == [macs_in_words(records(run)[-1]["macs"]), "all"]
    whole, ours, _ = bought(tables)
    own, other = (100 * row["miou"] for row in rows)
    gain = round(own, 1) - round(other, 1)
    assert whole.endswith(f"the whole network: {other:.1f} % mIoU.")
    assert f"45% of its multiply-adds (--budget-by saliency-by-kind): {own:.1f} % mIoU" in ours
    assert ours.endswith("as much as it." if gain == 0 else "more." if gain > 0 else "less.")
    assert bought(tables[:1]) == bought(tables[1:]) == []


def test_in_the_end_it_says_what_is_left_and_what_to_compare_it_with(run):
    share, others = _left(run)
    own = records(run)[-1]
    assert share.split() == [
        "multiply-adds",
        "45%",
        *macs_in_words(own["macs"]).split(),
        *f"of the whole network's {macs_in_words(own['whole_macs'])}".split(),
    ]
    assert "--budget-by random" in others
    said = " ".join(in_words(wholenet.read_run(run)))
    assert f"45% of the whole one's {macs_in_words(own['whole_macs'])}" in said


def test_the_page_says_what_went_and_when(run, tmp_path):
    spec, found = spec_of_model(run), records(run)
    known, costs = subnets(spec), [record["macs"] for record in found]
    rows = removed(spec, found)
    assert [epoch for epoch, _, _ in rows] == [i for i in range(1, len(costs)) if costs[i] != costs[i - 1]] != []
    went = sum(int(word.split()[0]) for _, gone, _ in rows for word in gone.split(", "))
    assert went == sum(known.count(known.whole()).values()) - sum(known.count(left_of(spec)).values())
    assert rows[-1][-1] == f"{macs_in_words(costs[-1])} (45% of the first epoch's)"
    page = wholenet.write_report(run, tmp_path / "page.html").read_text()
    assert "What went, and when" in page
    assert all(gone in page for _, gone, _ in rows)
    assert f"<td>{macs_in_words(costs[-1])}</td>" in page


def test_a_diagnosis_is_of_what_is_left(run, tmp_path):
    network = wholenet.load(run).network
    with PICTURES:
        found = wholenet.diagnose(run, images=1, curvature=True, out=tmp_path / "d")
    left = left_of(network.spec)
    assert found.edges == sum(len(part.inputs) for part in left.cells.values())
    assert found.left == pytest.approx(0.45, abs=0.08)  # images are larger than the crop that the budget is of
    assert found.macs == macs_as_run(network.eval(), 48, 64)
    for name, weights in network.arch().items():
        assert found.entropy[name] == pytest.approx(normalized_entropy(weights, network.net.masks[name]).item())
    last = records(run)[-1]["entropy"]
    assert found.entropy == pytest.approx({name: last[name] for name in found.entropy}, abs=1e-4)
    as_is = [point for point in found.curve if point.share == 0 and point.variant == "zeroed"]
    assert [point.miou for point in as_is] == [found.miou]
    options = sum(int(mask.sum()) for mask in network.net.masks.values())
    assert found.curvature.logits == options
    assert found.twin < 1e-5
    assert (found.discrete, found.best_discrete) == ((), None)
    assert sorted(path.name for path in (tmp_path / "d").iterdir()) == ["diagnosis.json", "diagnosis.png"]
    said = " ".join(verdict(found))
    assert f"that is of the {100 * found.left:.0f} % of the grid" in said
    assert "discrete" not in said
    with pytest.raises(ValueError, match="is not cut down further"):
        wholenet.decode(run, tmp_path / "genotype.yaml")


@pytest.mark.parametrize(
    ("by", "others"),
    [
        ("saliency", "with --budget-by random and with --budget-by shallower."),
        ("random", "with --budget-by shallower."),
    ],
)
def test_it_is_compared_with_other_runs_than_itself(run, tmp_path, by, others):
    shutil.copytree(run, tmp_path / "run")
    config = tmp_path / "run" / "config.yaml"
    config.write_text(config.read_text().replace("budget_by: saliency-by-kind", f"budget_by: {by}"))
    assert any(sentence.endswith(f"more runs say: {others}") for sentence in in_words(wholenet.read_run(config.parent)))


def test_by_default_width_channels_and_operations_go_after_the_first_epoch_of_the_search(discs, tmp_path):
    wholenet.fit(discs, tmp_path / "run", budget="45%", **{**SMALL, "epochs": 4})
    model = wholenet.load(tmp_path / "run").network
    whole, left = subnets(model.spec).whole(), left_of(model.spec)
    counts = [subnets(model.spec).count(subnet) for subnet in (whole, left)]
    assert {kind for kind, n in counts[0].items() if n > counts[1][kind]} == {"operations", "channel groups", "widths"}
    macs = [record["macs"] for record in records(tmp_path / "run")]
    assert macs[0] == macs[1] > macs[2] == macs[3] == macs_as_run(model.eval(), 32, 32)
    config = RunFolder(tmp_path / "run").fit_config
    assert (config.budget_by, config.budget_over, config.budget_floor) == ("saliency-by-kind", 0.0, 0.25)
    assert set(config.budget_units.split(",")) == {"width", "channels", "operation"}


@pytest.mark.parametrize("architecture", ["learned", "uniform"])
def test_a_narrower_network_is_that_from_the_start(discs, tmp_path, monkeypatch, capsys, architecture):
    given = {**SMALL, "epochs": 3, "budget": "45%", "architecture": architecture, "checkpoint_minutes": 0}
    given["budget_by"] = "narrower"
    wholenet.fit(discs, tmp_path / "run", **given)
    told = capsys.readouterr()
    model = wholenet.load(tmp_path / "run").network
    goal, macs = goal_of(replace(model.spec, subnet=None), "45%", (32, 32)), macs_as_run(model.eval(), 32, 32)
    assert [record["macs"] for record in records(tmp_path / "run")] == [macs] * 3
    assert RunFolder(tmp_path / "run").fit_config.budget_by == "narrower"
    assert any(macs_in_words(macs) in sentence for sentence in in_words(wholenet.read_run(tmp_path / "run")))
    assert 0.8 * goal.most < macs <= goal.most
    words = goal.cost.in_words
    assert (
        f"narrower from the start: {words(macs)} of {words(goal.whole)} ({macs / goal.whole:.0%})"
        in told.out + told.err
    )
    assert len(left_of(model.spec).cells) == 8
    monkeypatch.setattr("wholenet.run.train_epoch", stopping_in_the_second(train_epoch))
    with pytest.raises(KeyboardInterrupt):
        wholenet.fit(discs, tmp_path / "stopped", **given)
    monkeypatch.undo()
    wholenet.resume(tmp_path / "stopped")
    assert_equal(checkpoint(tmp_path / "stopped"), checkpoint(tmp_path / "run"))


def stopping_in_the_second(epochs):
    """An epoch of training that is interrupted after a step, if it is not the first."""

    def some(state, *given):
        for step in epochs(state, *given):
            yield step
            if state.epoch:
                raise KeyboardInterrupt

    return some


def test_what_its_training_cost_is_counted_at_the_size_of_each_epoch(run):
    found, config = records(run), RunFolder(run).fit_config
    spec = wholenet.load(run).network.spec
    each = [step_cost(replace(spec, subnet=record["subnet"]), 2, (32, 32)).weight for record in found]
    assert each[0] > each[3] == each[5]
    assert run_macs(RunFolder(run)) == config.steps_per_epoch * sum(each)


def test_momentum_goes_with_what_it_is_of():
    config = fit_config(data="d", out="o", size="nano", lr=0.1, momentum=0.9)
    state = state_of(config, create_model("grid-nano", num_classes=3).spec, torch.device("cpu"))
    model, optimizer = state.model, state.weight_optimizer
    batch = Batch(torch.randn(2, 3, 64, 64), torch.randint(3, (2, 64, 64)))
    weight_step(model.train(), batch, SegmentationLoss(), optimizer)
    known, before = subnets(model.spec), left_of(model.spec)
    names = {id(p): name for name, p in model.net.named_parameters()}
    old = {names[id(p)]: memory["momentum_buffer"].clone() for p, memory in optimizer.state.items()}
    values = {name: p.detach().clone() for name, p in model.net.named_parameters()}
    left = before
    for place in (0, 20, 40, 5, 9, 3):
        left = known.without(left, known.units(left)[place])
    shrink_training(model, optimizer, left)
    inside = dict(model.net.named_parameters())
    assert [id(p) for group in optimizer.param_groups for p in group["params"]] == [id(p) for p in inside.values()]
    assert set(optimizer.state) == set(inside.values())
    for name, parameter in inside.items():
        assert torch.equal(optimizer.state[parameter]["momentum_buffer"], known.cut(name, old[name], before, left))
        assert torch.equal(parameter, known.cut(name, values[name], before, left))
    weight_step(model, batch, SegmentationLoss(), optimizer)  # and it goes on


def removal(by="saliency", budget="50%", seed=0, floor=0.125, epochs=1, **more):
    config = fit_config(data="d", out="o", size="nano", crop="64x64")
    state = state_of(config, create_model("grid-nano", num_classes=3).spec, torch.device("cpu"))
    goal = goal_of(state.model.spec, budget, (64, 64), more.get("kinds"))
    told = []
    search = Phase("search", 0, epochs, True)
    return Removal(state, goal, search, by=by, floor=floor, seed=seed, say=told.append, **more), told


def test_what_the_loss_does_not_need_goes_first():
    found, told = removal("saliency")
    before = left_of(found.state.model.spec)
    units = found.known.units(before)
    gates = torch.ones(len(units))
    useless = [i for i, unit in enumerate(units) if unit.kind == "channels" and unit.where[0] == 1]
    gates[useless] = 0
    found.goal = Goal(found.goal.whole, found.goal.whole - 1, found.goal.cost)
    found.state.gates = gates
    assert found.after_epoch()
    left = left_of(found.state.model.spec)
    (gone,) = set(units) - set(found.known.units(left))
    assert units.index(gone) in useless
    assert found.state.gates is None
    assert told[0].startswith("removed 1 channel groups: ")


@pytest.mark.parametrize("by", list(SCORES))
@pytest.mark.parametrize("budget", ["12%", "24%", "90%"])
def test_every_budget_is_met_at_once_whatever_counts(by, budget):
    found, _ = removal(by, budget)
    torch.manual_seed(0)
    if SCORES[by].looks:
        found.state.gates = torch.rand(len(found.known.units(left_of(found.state.model.spec))))
    assert found.after_epoch()
    macs = macs_as_run(found.state.model.eval(), 64, 64)
    assert macs <= found.goal.most
    if budget != "12%":  # whose floor had to go
        parts = left_of(found.state.model.spec).cells.values()
        assert all(not part.bare for part in parts)


@pytest.mark.parametrize(("over", "epochs"), [(1.0, 4), (0.5, 2), (0.0, 1)])
def test_the_budget_is_met_over_a_share_of_the_search(over, epochs):
    found, _ = removal("magnitude", "30%", epochs=4, over=over)
    left = [found.macs]
    for epoch in range(4):
        found.state.epoch = epoch
        assert found.after_epoch() == (epoch < epochs)
        left.append(found.macs)
    assert left[epochs:] == [found.macs] * (5 - epochs)
    for done in range(epochs):
        assert left[done] > left[done + 1]
        assert left[done + 1] <= found.goal.after(done + 1, epochs)
    assert found.macs <= found.goal.most


@pytest.mark.parametrize("kind", KINDS)
def test_units_of_other_kinds_stay(kind):
    found, _ = removal("magnitude", "95%", kinds=(kind,))
    before = found.known.count(left_of(found.state.model.spec))
    assert found.after_epoch()
    assert found.macs <= found.goal.most
    after = found.known.count(left_of(found.state.model.spec))
    counted = {"edge": "edges", "operation": "operations", "channels": "channel groups", "bottleneck": "bottlenecks"}
    gone = {name for name in before if after[name] < before[name]}
    assert counted.get(kind, "widths") in gone
    if kind in ("channels", "width", "operation"):
        assert len(gone) == 1


def test_a_penalty_presses_what_costs_much_and_grows_over_the_search():
    """Its gradient is that of its definition by autograd, beside what the loss has there already."""
    found, _ = removal("pressed", "50%", epochs=4, pressure=0.8)
    net, before = found.state.model.net, left_of(found.state.model.spec)
    units = found.known.units(before)
    own = dict(net.named_parameters())
    saved = {unit: found.known.cost(before, found.goal.cost) for unit in units}
    for unit in units:
        saved[unit] -= found.known.cost(found.known.without(before, unit), found.goal.cost)
    for epoch, strength in ((0, 0.2), (3, 0.8), (4, 0.0)):
        found.state.epoch = epoch
        penalty = torch.zeros(())
        for unit, some in zip(units, found.known.factors(net, before, units), strict=True):
            alike = [cost for other, cost in saved.items() if other.kind == unit.kind]
            penalty = penalty + strength * saved[unit] / (sum(alike) / len(alike)) * some.abs().sum()
        expected = torch.autograd.grad(penalty, list(own.values()), allow_unused=True)
        for parameter in own.values():
            parameter.grad = torch.ones_like(parameter)
        found.state.weight_optimizer.param_groups[0]["lr"] = 0.0
        found.state.weight_optimizer.step()
        for (name, parameter), slope in zip(own.items(), expected, strict=True):
            alone = torch.ones_like(parameter)
            torch.testing.assert_close(parameter.grad, alone if slope is None else alone + slope)
            assert not strength or not name.endswith("norm.weight") or name.startswith("decoder") or slope is not None


def test_chance_is_the_seed_alone():
    first, again, other = (removal("random", seed=seed)[0] for seed in (0, 0, 1))
    for one in (first, again, other):
        one.after_epoch()
    spec = first.state.model.spec
    assert spec == again.state.model.spec
    assert spec != other.state.model.spec


def test_only_epochs_of_the_last_size_are_compared():
    score = Score("miou", "mIoU")
    found = [{"miou": 0.9, "macs": 10}, {"miou": 0.5, "macs": 5}, {"miou": 0.4, "macs": 5}]
    assert best_record(found, score) is found[1]
    assert is_best(0.6, found[:2], score, 5)
    assert not is_best(0.4, found[:2], score, 5)
    assert is_best(0.1, found[:1], score, 5)


@pytest.mark.parametrize("share", [0.9, 0.7, 0.5, 0.3])
def test_the_deepest_shallower_grid_that_fits_is_whole_and_one_layer_gets_narrower(share):
    spec = create_model("grid-small", num_classes=5).spec
    known = subnets(spec)
    cost = known.multiply_adds(96, 128)
    most = int(share * known.cost(known.whole(), cost))
    own = []
    for layers in range(1, 10):
        shallow = subnets(with_layers(spec, layers))
        own.append(shallow.macs(shallow.whole(), 96, 128))
        assert shallow.cost(shallow.whole(), cost) == own[-1]
    config = fit_config(data="d", out="o", budget=f"{share:.0%}", budget_by="shallower", crop="96x128")
    begun, left = begun_with(spec, config, goal_for(spec, config))
    fitting = [n for n, macs in enumerate(own, 1) if macs <= most]
    assert begun.settings["layers"] == left.layers == max(fitting, default=1)
    assert (left == subnets(begun).whole()) == bool(fitting)
    assert subnets(begun).cost(left, cost) <= most
    assert subnets(with_all_layers(begun)).whole() == known.whole()


@pytest.mark.parametrize(("budget", "narrower"), [("90%", False), ("45%", True)])
def test_a_shallower_network_is_that_from_the_start_and_its_control_too(discs, tmp_path, capsys, budget, narrower):
    given = {**SMALL, "epochs": 3, "val_every": 3, "steps_per_epoch": 1, "budget_by": "shallower"}
    wholenet.fit(discs, tmp_path / "run", budget=budget, control=not narrower, **given)
    model = wholenet.load(tmp_path / "run").network
    goal = goal_of(with_all_layers(replace(model.spec, subnet=None)), budget, (32, 32))
    macs = macs_as_run(model.eval(), 32, 32)
    assert [record["macs"] for record in records(tmp_path / "run")] == [macs] * 3
    assert macs <= goal.most
    assert (model.spec.settings["layers"], model.spec.subnet is not None) == (1, narrower)
    assert f"1 layer from the start: {macs_in_words(macs)} of {macs_in_words(goal.whole)}" in capsys.readouterr().out
    assert RunFolder(tmp_path / "run").fit_config.layers == 1
    if not narrower:
        assert {record["macs"] for record in records(tmp_path / "run" / "control")} == {macs}
    wholenet.resume(tmp_path / "run")
    assert wholenet.load(tmp_path / "run").network.spec == model.spec


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"budget": "0%"}, "expected a share"),
        ({"budget": "100%"}, "expected a share"),
        ({"budget": "lots"}, "expected a share"),
        ({"budget": "30 seconds"}, "a time for one image in milliseconds, such as 30ms"),
        ({"budget": "40"}, "expected a share"),
        ({"budget": "1%"}, "what cannot be removed costs .*% of the whole"),
        ({"budget": "9GMACs"}, "no less than the"),
        ({**RANDOM, "architecture": "uniform"}, "a search is what removes units"),
        ({"budget": "50%", "protocol": "two-stage"}, "in its own way"),
        ({**RANDOM, "control": True}, "its controls are runs of their own"),
        ({**RANDOM, "ema": 0.9}, "weights of one size"),
        ({"budget": "9%", "budget_by": "narrower"}, "the narrowest grid with all cells and edges costs"),
        ({"budget": "50%", "budget_by": "narrower", "budget_over": 0.5}, "about units that are removed"),
        ({**RANDOM, "budget_pressure": 0.1}, "budget_pressure=0.1 is of budget_by='pressed', and this is"),
        ({"budget": "50%", "budget_seed": 1}, "budget_seed=1 is of budget_by='random', and budget_by is left out"),
        ({"budget_seed": 1}, "budget_seed=1 is about a budget, and there is none"),
        ({"budget": "5ms", "budget_by": "narrower"}, "does not go with a budget in ms"),
        ({"budget": "50%", "cell": "separate"}, "bottleneck per operation"),
        ({**RANDOM, "search_share": 0.0}, "this run has 0 and"),
        ({**RANDOM, "warmup_share": 0.5, "search_share": 0.5}, "this run has 3 and 0"),
        ({"budget": "50%", "budget_units": "edge,cells"}, "'cells' is no kind of unit here; known: width, edge"),
        ({"budget": "20%", "budget_units": "edge"}, "what cannot be removed costs"),
        ({"budget_by": "random"}, "there is none; give budget=40% or so with it"),
        ({"budget_over": 0.5}, "there is none; give budget=40% or so with it"),
        ({"filters": 7}, "cannot be halved"),
        ({"budget": "50%", "budget_by": "shallower", "layers": 2}, "says how many layers there are"),
        ({"budget": "5ms", "budget_by": "shallower"}, "budget_by='shallower' does not go with a budget in ms"),
        ({"budget": "50%", "budget_by": "shallower", "budget_units": "edge"}, "'shallower' none are"),
    ],
)
def test_what_cannot_be_is_refused_before_a_folder_is_made(discs, tmp_path, given, told):
    with pytest.raises(ValueError, match=told):
        wholenet.fit(discs, tmp_path / "run", **{**SMALL, **given})
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"budget": "40%", "budget_units": "edge,foo"}, "'foo' is no kind of unit here; known: width, edge"),
        ({"budget": "4ms", "space": "dense-grid"}, "units of space 'dense-grid' are not timed"),
        ({"budget": "4ms", "device_table": "nowhere.json"}, "expected a table of times"),
        (
            {"budget": "40%", "budget_by": "magnitude", "space": "autodeeplab", "settings": {"size": "tiny"}},
            "multiplied by their weights alone",
        ),
    ],
)
@pytest.mark.parametrize("train", [fit, lambda config: fit_frontier([config, config])])
def test_what_the_data_says_nothing_of_is_refused_before_it_is_read(tmp_path, given, told, train):
    more = {"epochs": 6, "device": "cpu", "out": str(tmp_path / "all" / "run"), "data": str(tmp_path / "no-data")}
    with pytest.raises(ValueError, match=told):
        train(fit_config(**more, **given))
    assert not (tmp_path / "all").exists()


def test_an_average_is_of_the_narrower_network(discs, tmp_path):
    wholenet.fit(discs, tmp_path / "run", **{**SMALL, "epochs": 3}, budget="50%", ema=0.5)
    assert wholenet.load(tmp_path / "run").network.spec.subnet is not None


def test_fewer_filters_are_a_narrower_grid(discs, tmp_path):
    wholenet.fit(discs, tmp_path / "run", filters=4, layers=1, **{**SMALL, "epochs": 3})
    net = wholenet.load(tmp_path / "run").network.net
    assert net.decoder.channels == (4, 8, 16, 32)
    assert net.masks["alpha"].shape[0] == 1
    assert RunFolder(tmp_path / "run").spec(Facts(3)).settings["filters"] == 4


def test_a_budget_is_a_share_or_a_number():
    assert parse_budget(" 12.5 % ") == Amount(share=0.125)
    assert parse_budget("2gmacs") == Amount(macs=2 * 10**9)
    assert parse_budget("0.5 MS") == Amount(ms=0.5)
    assert FitConfig(data="d", out="o").budget is None


def test_kinds_are_comparable_whatever_their_units_save():
    """With every unit worth what it saves, times a factor of its kind, none is cheaper than another."""
    found, _ = removal()
    left = left_of(found.state.model.spec)
    units = found.known.units(left)
    saved = {unit: 1 + place for place, unit in enumerate(units)}
    worth = {kind: 10.0**place for place, kind in enumerate(KINDS)}
    gates = torch.tensor([saved[unit] * worth[unit.kind] for unit in units], dtype=torch.float64)
    seen = Seen(found.state.model, found.known, left, units, saved, gates, random.Random(0))
    ranks = SCORES["saliency-by-kind"].ranks(seen)
    assert [ranks[unit] / saved[unit] for unit in units] == pytest.approx([1.0] * len(units))
    ranks = SCORES["saliency"].ranks(seen)
    assert [ranks[unit] / saved[unit] for unit in units] == pytest.approx([worth[unit.kind] for unit in units])
