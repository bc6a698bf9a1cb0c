"""How a budget is met where nobody says it, what a run's config then says, and what older ones mean."""

from dataclasses import replace

import pytest
import yaml
from rich.console import Console

import wholenet
from wholenet.frontier import _read
from wholenet.planning.plan import plan_run
from wholenet.planning.timing import Measured
from wholenet.search.budget_way import LINE, settled_budget, with_its_layers
from wholenet.search.config import fit_config
from wholenet.search.config_files import read_config, write_config
from wholenet.search.run_folder import spec_of
from wholenet.spaces.catalog import subnets
from wholenet.spaces.grid_subnets import KINDS as ALL
from wholenet.spaces.space import Facts
from wholenet.studies.pays import REMOVING, SCORING
from wholenet.studies.pool import folder_name

SMALL = {"size": "nano", "epochs": 3, "batch": 2, "crop": "32x32", "lr": 0.05, "device": "cpu", "threads": 1}
SMALL |= {"steps_per_epoch": 1, "val_every": 3}
RECIPE = (SCORING, set(REMOVING["budget_units"].split(",")), REMOVING["budget_over"], REMOVING["budget_floor"])
"""Of the study that it was measured in."""
GRADUALLY = ("saliency-by-kind", set(ALL), 1.0, 0.125)


def way(**given):
    """How a run of nano on images of 64x64 meets its budget; why."""
    config = fit_config(**{"data": "d", "out": "o", "size": "nano", "crop": "96x128", "epochs": 40, **given})
    spec = spec_of(config, Facts(11))
    found, why = settled_budget(config, spec)
    assert settled_budget(found, spec) == (found, None)
    assert settled_budget(with_its_layers(found, spec), spec)[0] == with_its_layers(found, spec)
    units = None if found.budget_units is None else set(found.budget_units.split(","))
    return (found.budget_by, units, found.budget_over, found.budget_floor), why


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"budget": "50%"}, RECIPE),
        ({"budget": f"{LINE:.0%}"}, RECIPE),
        ({"budget": "24.9%"}, "shallower"),
        ({"budget": "15%"}, "shallower"),
        ({"budget": "50%", "control": True}, "shallower"),
        ({"budget": "50%", "ema": 0.9}, "shallower"),
        ({"budget": "50%", "architecture": "uniform"}, "shallower"),
        ({"budget": "50%", "stopping": "paper"}, "shallower"),
        ({"budget": "50%", "search_share": 0.0}, "shallower"),
        ({"budget": "50%", "warmup_share": 0.5, "search_share": 0.5}, "shallower"),
        ({"budget": "20%", "layers": 1}, "narrower"),
        ({"budget": "20%", "budget_by": "random"}, ("random", *RECIPE[1:])),
        ({"budget": "50%", "budget_by": "pressed"}, ("pressed", RECIPE[1], 1.0, 0.125)),
        ({"budget": "50%", "budget_by": "narrower"}, "narrower"),
        ({"budget": "8%", "budget_by": "saliency-by-kind"}, GRADUALLY),  # its kinds alone leave more
        ({"budget": "8%"}, GRADUALLY),  # and so do fewer layers
        ({"budget": "60%", "size": "medium"}, "shallower"),  # of its channels none go from all of a level
        ({"budget": "20%", "budget_over": 0.5}, (*RECIPE[:2], 0.5, RECIPE[3])),
        ({"budget": "60%", "budget_units": "edge,channels"}, (SCORING, {"edge", "channels"}, *GRADUALLY[2:])),
        ({"budget": "70%", "budget_units": "channels"}, (SCORING, {"channels"}, *RECIPE[2:])),
        ({"budget": "50%", "space": "dense-grid"}, RECIPE),
        (
            {"budget": "50%", "space": "autodeeplab", "size": "tiny", "layers": 3},
            (SCORING, {"operation", "move"}, 1.0, 0.125),
        ),
    ],
)
def test_what_was_not_said_is_as_measured_or_as_goes_with_the_rest(given, found):
    ours, why = way(**given)
    assert ours == ((found, None, None, None) if isinstance(found, str) else found)
    assert (why is None) == ("budget_by" in given)
    for name in ("control", "ema", "architecture"):
        assert name not in given or f"{name}={given[name]!r} does not go with removing units" in (why or "")


def test_multiply_adds_are_taken_as_their_share():
    config = fit_config(data="d", out="o", size="nano", crop="96x128", budget="50%")
    spec = spec_of(config, Facts(11))
    whole = wholenet.create_model("grid-nano", num_classes=11)
    known = subnets(whole.spec)
    macs = known.macs(known.whole(), 96, 128)
    for share, by in ((LINE + 0.01, "saliency-by-kind"), (LINE - 0.01, "shallower")):
        found, _ = settled_budget(replace(config, budget=f"{share * macs / 1e6:.6f}MMACs"), spec)
        assert found.budget_by == by


def test_a_config_says_it_and_one_of_before_means_what_was_usual_then(tmp_path):
    """A folder that says nothing is of before 2026-11-30, when a grid was narrower, and units went gradually."""
    path = tmp_path / "config.yaml"
    for given, by in (
        ({}, "narrower"),
        ({"budget_over": 0.5}, "saliency-by-kind"),
        ({"budget": "9ms"}, "saliency-by-kind"),
        ({"budget_by": "random"}, "random"),
    ):
        write_config(fit_config(data="d", out="o", **{"budget": "50%", **given}), path)
        values = yaml.safe_load(path.read_text())
        for name in ("budget_over", "budget_floor"):
            if values[name] is None and by != "random":  # of the last, the config lacks them
                values[name] = GRADUALLY[2 if name == "budget_over" else 3]
        path.write_text(yaml.safe_dump(values, sort_keys=False))
        found = read_config(path)
        assert found.budget_by == by
        assert found.narrower or (found.budget_over, found.budget_floor) == (given.get("budget_over", 1.0), 0.125)
        write_config(found, path)
        assert read_config(path) == found


def test_no_run_of_a_study_has_another_folder_than_before(tmp_path):
    """Their names are hashes of their configs."""
    plain = fit_config(data="d", out="o", size="nano", crop="32x32")
    searched = replace(plain, budget="50%", budget_by=SCORING, **REMOVING)
    assert folder_name(plain) == "nano-single-stage-seed0-c4c79212d9"
    assert folder_name(replace(plain, budget="50%", budget_by="narrower")) == "nano-single-stage-seed0-6b2619c542"
    assert folder_name(searched) == "nano-single-stage-seed0-e25300a061"
    path = tmp_path / "config.yaml"  # of a run of before, from whose config a study makes others
    write_config(plain, path)
    values = yaml.safe_load(path.read_text()) | {"budget_over": 1.0, "budget_floor": 0.125}
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    assert folder_name(read_config(path)) == folder_name(plain)


def test_a_frontier_says_the_way_of_each_of_its_runs(discs, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("wholenet.frontier._all_trained", lambda out, configs, *_: configs)
    out, ways = tmp_path / "runs", ["shallower", "saliency-by-kind"]
    begun = wholenet.fit(discs, out, budget="60%,20%", **SMALL)
    said = capsys.readouterr().out
    for config, budget, by in zip(begun, ("20%", "60%"), ways, strict=True):
        assert (config.budget, config.budget_by) == (budget, by)
        assert f"(--budget-by {by}" in next(line for line in said.splitlines() if f"budget {budget}: " in line)
    assert [config.budget_by for config in _read(out)] == ways
    kept = yaml.safe_load((out / "frontier.yaml").read_text())
    settings = tmp_path / "runs" / "frontier.yaml"
    for damaged in ([], [{}], [{"budget_by": "random"}] * 2, "x"):
        settings.write_text(yaml.safe_dump({**kept, "ways": damaged}, sort_keys=False))
        with pytest.raises(ValueError, match="ways"):
            _read(out)
    del kept["ways"]
    kept["shared"] |= {"budget_by": None, "budget_units": None, "budget_over": 1.0, "budget_floor": 0.125}
    settings.write_text(yaml.safe_dump(kept, sort_keys=False))
    assert {config.budget_by for config in _read(out)} == {"narrower"}


def test_a_plan_says_the_way_and_why(discs, monkeypatch):
    monkeypatch.setattr("wholenet.planning.choosing.measure", lambda *_: Measured(0.1, 0.1, 0.1, 2**30))
    given = {"data": str(discs), "size": "nano", "crop": "32x32", "batch": 2, "device": "cpu", "budget": "20%"}
    plan = plan_run(given, 1, Console(quiet=True))
    (choice,) = [choice for choice in plan.chosen if choice.name == "budget_by"]
    assert choice.value == "shallower" == plan.config(out="x").budget_by
    assert f"best below {LINE:.0%}" in choice.reason
    assert "by fewer layers from the start" in dict(plan.facts)["budget"]
