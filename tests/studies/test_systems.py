"""The other systems of Tables 4 and 6: that they get the time of the grid, and what their runs are told."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
import yaml
from rich.console import Console

from wholenet.architecture import uniform_weights
from wholenet.search.config import FitConfig, fit_config
from wholenet.search.config_files import options_of
from wholenet.search.protocols import plan_phases
from wholenet.search.run_folder import RunFolder, spec_of
from wholenet.spaces.autodeeplab.genotype import edges
from wholenet.spaces.autodeeplab.trellis import beta_mask, packed
from wholenet.spaces.catalog import SPACES
from wholenet.spaces.links import masks
from wholenet.spaces.space import Facts
from wholenet.studies import systems
from wholenet.studies.pool import Pool
from wholenet.studies.protocols import SINGLE, TWO_STAGE, UNIFORM, Way
from wholenet.studies.setting import Setting
from wholenet.studies.systems import LENGTH, SYSTEMS, at_what_cost, notes, system_ways, ways

QUIET = Console(quiet=True)
TIMES = {"Auto-DeepLab": 4.0, "dense": 1.5, "DPC": 1.25, "discrete": 0.5}
FACTS = {"train": {"class_pixels": [1, 1]}, "val": {}, "images": {}, "crop": [96, 128]}


class Canned(Pool):
    """Runs that have begun, and no more."""

    def done(self, configs):
        self.seen = [*getattr(self, "seen", []), *configs]
        for config in configs:
            path = self.path(config)
            if not path.exists():
                RunFolder.create(replace(config, out=str(path))).write_environment(FACTS)
        return [RunFolder(self.path(config)) for config in configs]


def undecided(path, **_):
    """What a search ends with that decided nothing: no network, weights of equal strength."""
    spec = spec_of(RunFolder(path).config, Facts(2))
    settings = SPACES[spec.space].settings_of(spec.settings)
    if spec.space == "autodeeplab":
        layers, blocks = settings.shape.layers, settings.shape.blocks
        found = {"alpha": torch.ones(len(edges(blocks)), 8, dtype=torch.bool)}
        found["beta"] = packed(beta_mask(layers), "outgoing")
    else:
        found = masks(settings.shape.layers, len(settings.names), settings.reach)
    return SimpleNamespace(network=SimpleNamespace(arch=lambda: uniform_weights(found), spec=spec))


@pytest.fixture
def pool(tmp_path, monkeypatch):
    def times(specs, to, *_):
        assert to.space == "grid"
        return {
            name: TIMES["discrete"] if spec.genotype else next(t for key, t in TIMES.items() if key in name)
            for name, spec in specs.items()
        }

    monkeypatch.setattr(systems, "load_model", undecided)
    monkeypatch.setattr(systems, "relative_times", times)
    return Canned(tmp_path, 1, QUIET)


def begun(setting, pool):
    return pool.done([replace(setting.config(), epochs=36)])[0]


def test_systems_get_the_time_of_the_grid(pool, tmp_path):
    setting = Setting(scale="cpu", data="x", out=tmp_path, seeds=2)
    found = system_ways(setting, pool, begun(setting, pool))
    assert found.keys() == SYSTEMS.keys()
    epochs = {name: (way.searched[0].config.epochs, way.final[0].config.epochs) for name, way in found.items()}
    assert epochs == {
        "Auto-DeepLab, two-stage": (
            4,
            44,
        ),  # four of 36 / 4; 36 - 14, twice as fast
        "dense grid, single-stage": (24, 24),
        "dense grid, two-stage": (10, 44),  # of 24
        "grid with DPC head, single-stage": (29, 29),
    }
    for way in found.values():
        assert [run.config.seed for run in way.final] == [0, 1]
    trellis = found["Auto-DeepLab, two-stage"].searched[0].config
    assert (round(trellis.epochs * trellis.warmup_share), trellis.warmup_share + trellis.search_share) == (1, 1.0)
    assert found["grid with DPC head, single-stage"].final[0].fit_config.head == "dpc"


@pytest.mark.parametrize("scale", ["cpu", "paper"])
def test_every_run_is_one_that_the_command_line_takes(scale, pool, tmp_path):
    setting = Setting(scale=scale, data="x", out=tmp_path, seeds=1)
    system_ways(
        setting,
        pool,
        begun(setting, pool) if scale == "cpu" else pool.done([replace(setting.config(), crop="512x1024")])[0],
    )
    for config in pool.seen:
        options = yaml.safe_load(yaml.safe_dump(options_of(config)))
        assert fit_config(**{**options, "data": config.data, "out": ""}) == config


def test_it_is_said_which_rows_have_one_cost(tmp_path):
    said = {scale: at_what_cost(Setting(scale=scale, data="x", out=tmp_path)) for scale in ("cpu", "gpu", "paper")}
    assert (len({SINGLE, UNIFORM, *TWO_STAGE}), LENGTH["cpu"], LENGTH["gpu"]) == (4, 3, 1)
    assert said["cpu"] == "first 4 rows at one total cost, others at 3 times that"
    assert said["gpu"] == "at one total cost"
    assert "as in their papers" in said["paper"]


def test_at_the_papers_scale_each_has_its_own_protocol(pool, tmp_path):
    setting = Setting(scale="paper", data="x", out=tmp_path, seeds=1)
    found = system_ways(setting, pool, pool.done([replace(setting.config(), crop="512x1024")])[0])
    first, second = (
        runs[0].fit_config
        for runs in (found["Auto-DeepLab, two-stage"].searched, found["Auto-DeepLab, two-stage"].final)
    )
    assert (first.epochs, first.batch, first.crop, first.settings["layers"]) == (40, 2, "321x321", 12)
    assert (first.split, first.scale_min, first.scale_max) == ("disjoint", 0.5, 0.5)
    assert (first.lr, first.lr_end, first.lr_schedule, first.weight_decay) == (0.025, 0.001, "cosine", 3e-4)
    assert (first.arch_lr, first.arch_weight_decay) == (3e-3, 1e-3)
    phases = {phase.name: (phase.first, phase.end) for phase in plan_phases(first)}
    assert (phases["warm-up"], phases["search"]) == ((0, 20), (20, 40))
    assert (second.epochs * second.steps_per_epoch, second.lr) == (1_500_000, 0.05)
    assert (second.batch, second.crop, second.weight_decay) == (16, "769x769", 4e-5)
    grid = setting.config()
    for name in ("lr_schedule", "lr_end", "scale_max"):  # of the search alone
        assert getattr(second, name) == getattr(grid, name) != getattr(first, name), name
    assert second.settings["final_filters"] == 20
    dense = found["dense grid, two-stage"]
    assert (dense.searched[0].config.epochs, dense.final[0].config.epochs) == (120, 800)
    assert dense.searched[0].fit_config.settings["sampled_links"] == 3
    assert "as their papers say" in notes(setting)[0]


def test_what_says_the_network_cannot_be_set(pool, tmp_path):
    setting = Setting(scale="cpu", data="x", out=tmp_path, overrides=(("head", "dpc"),))
    with pytest.raises(ValueError, match="--set head: this study varies head itself"):
        system_ways(setting, pool, begun(setting, pool))


def test_costs_of_stages_are_counted_once(tmp_path):
    def run(name):
        config = FitConfig(data="x", out=str(tmp_path / name))
        return RunFolder.create(config)

    whole, apart = run("whole"), run("apart")
    inside = run("whole/search")
    cost = {whole.path: 10.0, apart.path: 4.0, inside.path: 3.0}

    def of(found):
        return cost[found.path]

    assert Way([whole], [whole]).costs(of) == ([10.0], [10.0])
    assert Way([inside], [whole]).costs(of) == ([3.0], [10.0])  # which has the other's in it
    assert Way([apart], [whole]).costs(of) == ([4.0], [14.0])
    assert [Way([a], [whole]).retrains for a in (whole, inside, apart)] == [False, True, True]


def test_the_grid_is_a_row_at_the_systems_length_too(pool, tmp_path, monkeypatch):
    monkeypatch.setattr(
        systems,
        "protocol_runs",
        lambda _setting, pool, base=None, two=(): {
            SINGLE: pool.done([base or Setting(scale="cpu", data="x", out=tmp_path).config()])
        },
    )
    found = ways(Setting(scale="cpu", data="x", out=tmp_path, seeds=1), pool)
    assert list(found) == [SINGLE, f"grid, {SINGLE}, 36 epochs", *SYSTEMS]
    assert found[f"grid, {SINGLE}, 36 epochs"].final[0].config.epochs == 36


@pytest.mark.parametrize(("seeds", "said"), [(1, "1 seed"), (3, "3 seeds")])
def test_seeds_are_counted_in_words(seeds, said, tmp_path):
    assert Setting(scale="cpu", data="x", out=tmp_path, seeds=seeds).counted_seeds == said
