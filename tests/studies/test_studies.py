"""Every study, whole, on eight tiny images; and the pool that trains their runs."""

import io
import json
import os
import shutil
import signal
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from statistics import mean, stdev
from typing import ClassVar

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

import wholenet.studies.entropies as entropies_module
import wholenet.studies.figure_2 as figure_2_module
import wholenet.studies.magnitudes as magnitudes_module
import wholenet.studies.pays as pays_module
import wholenet.studies.systems as systems_module
import wholenet.studies.table_3 as table_3_module
import wholenet.studies.table_4 as table_4_module
from forked import fork_commands
from run_files import untimed
from toy import shallow
from wholenet.cli import main
from wholenet.data.sample import DataError
from wholenet.search.config import FitConfig
from wholenet.search.cost import run_macs
from wholenet.search.equal_time import equal_time_epochs
from wholenet.search.interruption import Interrupted
from wholenet.search.loop import train_epoch
from wholenet.search.run_folder import RunFolder
from wholenet.studies.catalog import CATALOG
from wholenet.studies.control import control_epochs
from wholenet.studies.magnitudes import SWEEP, TARGETS, nearest
from wholenet.studies.pool import Pool
from wholenet.studies.protocols import SINGLE, TWO_STAGE, UNIFORM, protocol_runs
from wholenet.studies.result import spread
from wholenet.studies.setting import Setting
from wholenet.studies.study import CELL_STUDIES, STUDIES, study
from wholenet.studies.table_7 import EQUAL_EPOCHS, arms
from wholenet.training import fit

QUIET = Console(quiet=True)
TINY = {"epochs": 4, "batch": 3, "crop": "32x32", "val_every": 4, "scale_min": 0.8, "scale_max": 1.2}


class HerePool(Pool):
    """Trains in this process, which spares each run the seconds that torch takes to import."""

    started = 0

    def done(self, configs):
        self.folder.mkdir(parents=True, exist_ok=True)
        for config in configs:
            path = self.path(config)
            if not path.exists():
                HerePool.started += 1
                self.run(replace(config, out=str(path)))
        return [RunFolder(self.path(config)) for config in configs]

    def run(self, config):
        fit(config, QUIET)


ALIKE = {
    "seed": 0,
    "entropy_alpha": 0.0,
    "entropy_beta": 0.0,
    "entropy_schedule": "constant",
    "arch_lr": 0.01,
    "budget_seed": None,
}
"""What changes a run's numbers, and nothing about which files and records it has."""


class CopyingPool(HerePool):
    """Trains one of the runs that are :data:`ALIKE`, and copies it for the others: pages need runs, not numbers."""

    trained_ones: ClassVar = {}

    def run(self, config):
        kind = repr(replace(config, out="", **ALIKE))
        if kind in self.trained_ones:
            shutil.copytree(self.trained_ones[kind], config.out)
            RunFolder(Path(config.out)).rewrite_config(config)
        else:
            super().run(config)
            self.trained_ones[kind] = config.out


@pytest.fixture(scope="module")
def folder(discs, tmp_path_factory):
    """Eight of the images."""
    root = tmp_path_factory.mktemp("eight") / "discs"
    shutil.copytree(discs, root)
    for name in ("08", "09", "10", "11"):
        for kind in ("images", "masks"):
            (root / kind / f"{name}.png").unlink()
    return root


@pytest.fixture(scope="module")
def setting(folder, tmp_path_factory):
    return Setting(
        scale="cpu",
        data=str(folder),
        out=tmp_path_factory.mktemp("studies"),
        seeds=1,
        jobs=1,
        make_coarse=True,
        overrides=tuple(TINY.items()),
    )


@pytest.fixture
def here(monkeypatch):
    with shallow():
        patch_studies(monkeypatch)
        yield


def patch_studies(monkeypatch):
    """Few runs, in this process."""
    monkeypatch.setattr("wholenet.studies.study.Pool", HerePool)
    monkeypatch.setattr(figure_2_module, "SHARES", (0.0, 0.3))
    monkeypatch.setattr(pays_module, "BUDGETS", ("60%",))
    monkeypatch.setattr(table_3_module, "PAPER", {"small": table_3_module.PAPER["small"]})
    monkeypatch.setitem(systems_module.LENGTH, "cpu", 1)
    few = {name: systems_module.SYSTEMS[name] for name in ("dense grid, two-stage",)}
    monkeypatch.setattr(systems_module, "SYSTEMS", few)
    monkeypatch.setitem(entropies_module.TRELLIS, "cpu", {"size": "tiny", "layers": 1, "filters": 2, "blocks": 1})
    monkeypatch.setattr(table_4_module, "INPUT", (64, 128))
    monkeypatch.setattr(pays_module, "BASE", pays_module.BASE | {"size": "nano", "steps_per_epoch": 1})
    monkeypatch.setattr(magnitudes_module, "SWEEP", (0.01, 0.1, 1.0))
    HerePool.started = 0


@pytest.fixture
def copying(here, monkeypatch):
    monkeypatch.setattr("wholenet.studies.study.Pool", CopyingPool)


def test_the_catalog_lists_the_studies_that_exist():
    assert CATALOG.keys() == {*STUDIES, *CELL_STUDIES}


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_writes_a_page_and_a_figure_and_trains_nothing_twice(name, setting, copying):
    result, page = study(name, setting, QUIET)
    assert page == setting.out / f"{name}.md"
    text, facts = page.read_text(), json.loads((setting.out / f"{name}.json").read_text())
    assert f"wholenet study {name} --scale cpu" in text
    assert result.figure in text
    with Image.open(setting.out / result.figure) as picture:
        assert picture.width > 500
    assert len(facts["rows"]) == len(result.table.rows) > 0
    assert all(len(row) == len(facts["columns"]) for row in facts["rows"])
    if name in ("table-3", "table-4"):  # of table 3 nothing is trained; the runs of table 4 are those of table 2
        return
    HerePool.started = 0
    shown = io.StringIO()
    study(name, setting, Console(file=shown))
    assert HerePool.started == 0
    assert shown.getvalue().startswith(f"{setting.data} is read as images with masks (segmentation): train: ")


def test_the_numbers_of_a_table_are_those_of_its_runs(setting, here):
    twice = replace(setting, seeds=2)
    study("table-1", twice, QUIET)
    edges = json.loads((setting.out / "table-1.json").read_text())["values"]["edges"]["end"]["entropy"]
    pool = HerePool(setting.out / "runs", 1, QUIET)
    ends = [run.records()[-1]["entropy"]["beta"] for run in pool.trained(twice.over_seeds(twice.config()))]
    assert edges == {"mean": pytest.approx(mean(ends)), "sd": pytest.approx(stdev(ends)), "n": 2}


def test_the_protocols_cost_the_same(setting, here):
    runs = protocol_runs(setting, HerePool(setting.out / "runs", 1, QUIET))
    assert set(runs) == {SINGLE, UNIFORM, *TWO_STAGE}
    whole = run_macs(runs[SINGLE][0])
    for name in TWO_STAGE:
        for run in runs[name]:
            steps = len(run.records())
            own = run_macs(run) - run_macs(RunFolder(run.search))
            assert abs(run_macs(run) - whole) <= own / steps  # a whole number of epochs
    assert [len(run.records()) for run in runs[UNIFORM]] == [equal_time_epochs(run.records()) for run in runs[SINGLE]]


def test_controls_are_as_long_as_the_searches_took(tmp_path):
    """By the unrounded ratio: a search of three times the length gets a control of three times the length."""

    def searched(name, epochs, seconds, **options):
        run = RunFolder.create(FitConfig(data="x", out=str(tmp_path / name), epochs=epochs, **options))
        for epoch in range(epochs):
            moving = 1 <= epoch < epochs // 2
            run.log({"epoch": epoch, "arch_loss": 1.0 if moving else None, "seconds": seconds if moving else 10.0})
        return run

    runs = {
        "short": [searched("short", 12, 11.0)],
        "long": [searched("long", 36, 11.0)],
        "alternating": [searched("alternating", 12, 16.0, arch_update="alternating")],
    }
    # 7 + 5 * 1.1 = 12.5 for 12, 19 + 17 * 1.1 = 37.7 for 36: 1.045 times, in the median.
    assert control_epochs(runs) == {"short": 13, "long": 38, "alternating": 15}


@pytest.mark.parametrize("name", ["control", "length", "budget"])
def test_what_a_study_varies_itself_cannot_be_set(name, setting, here):
    fixed = replace(setting, overrides=(*TINY.items(), ("arch_update", "simultaneous")))
    with pytest.raises(ValueError, match="this study varies arch_update itself"):
        study(name, fixed, QUIET)
    assert HerePool.started == 0


def test_every_row_of_table_7_takes_as_many_weight_steps(setting):
    rows = arms(replace(setting, overrides=(*TINY.items(), ("epochs", 40))))
    assert rows.pop(EQUAL_EPOCHS).epochs == 40
    images = {"half / half": 0.5, "both, then fine / both": 2.0}
    for name, config in rows.items():
        assert config.epochs * images.get(name, 1.0) == pytest.approx(40, abs=0.5)


def test_table_7_without_coarse_annotations_says_what_to_do(setting, tmp_path):
    with pytest.raises(DataError, match=r"no coarse annotations .*--make-coarse"):
        study("table-7", replace(setting, make_coarse=False, out=tmp_path / "new"), QUIET)
    assert not (tmp_path / "new").exists()


def test_the_papers_scale_wants_the_papers_data(setting, tmp_path):
    with pytest.raises(ValueError, match=r"protocol on Cityscapes, but .* has the classes ground, disc"):
        study("table-2", replace(setting, scale="paper", out=tmp_path / "new"), QUIET)
    assert not (tmp_path / "new").exists()


def test_data_that_is_not_there_is_said_before_anything_is_made(setting, tmp_path):
    with pytest.raises(DataError, match="nowhere does not exist"):
        study("table-1", replace(setting, data=str(tmp_path / "nowhere"), out=tmp_path / "new"), QUIET)
    assert not (tmp_path / "new").exists()


def test_chosen_magnitudes_miss_their_targets_least():
    rng = np.random.default_rng(0)
    for _ in range(20):
        swept = dict(zip(SWEEP, rng.random(len(SWEEP)), strict=True))
        chosen = tuple(nearest(swept, TARGETS).values())

        def miss(some, swept=swept):
            return sum(abs(swept[c] - target) for c, target in zip(some, TARGETS.values(), strict=True))

        assert chosen == tuple(sorted(chosen))
        assert miss(chosen) == min(miss(some) for some in combinations(SWEEP, len(TARGETS)))


def test_spread_is_the_sample_standard_deviation():
    values = [0.3, 0.5, 0.9]
    assert spread(values).mean == pytest.approx(np.mean(values))
    assert spread(values).sd == pytest.approx(np.std(values, ddof=1))
    assert spread(values[:1]).sd is None


def test_a_run_is_known_by_all_that_matters_and_not_by_where_it_is(setting):
    pool = Pool(setting.out, 1, QUIET)
    config = setting.config()
    assert pool.path(config) == pool.path(replace(config, out="elsewhere"))
    assert pool.path(config) != pool.path(replace(config, arch_lr=1e-4))
    assert len({pool.path(c) for c in replace(setting, seeds=2).over_seeds(config)}) == 2


def test_the_pool_trains_in_processes_continues_what_stopped_and_leaves_what_is_done(setting, tmp_path, monkeypatch):
    fork_commands(monkeypatch)
    pool = Pool(tmp_path, 2, QUIET)
    setting = replace(setting, seeds=3, overrides=(*TINY.items(), ("epochs", 2)))
    stopped, new, done = configs = setting.over_seeds(setting.config(epochs=3))
    fit(replace(stopped, out=str(pool.path(done))), QUIET)  # in this process, which is quicker
    expected = RunFolder(pool.path(done)).records()
    RunFolder(pool.path(done)).rewrite_config(replace(done, out=str(pool.path(done))))

    def in_mid_epoch(*args):
        for step in train_epoch(*args):
            yield step
            if (step.step, args[0].epoch) == (1, 1):
                os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr("wholenet.run.train_epoch", in_mid_epoch)
        with pytest.raises(Interrupted):
            fit(replace(stopped, out=str(pool.path(stopped))), QUIET)
    assert len(RunFolder(pool.path(stopped)).records()) == 1
    (pool.path(done) / "done").touch()
    before = (pool.path(done) / "metrics.jsonl").stat().st_mtime_ns
    runs = pool.trained(configs)
    assert [run.path for run in runs] == [pool.path(config) for config in (stopped, new, done)]
    assert [len(run.records()) for run in runs] == [2, 2, 2]  # the overrides have the last word
    assert untimed(runs[0].records()) == untimed(expected)
    assert (runs[2].path / "metrics.jsonl").stat().st_mtime_ns == before
    assert all((run.path / "done").exists() for run in runs)


def test_a_run_that_fails_ends_the_study_with_the_end_of_its_log(setting, tmp_path, monkeypatch):
    fork_commands(monkeypatch)
    config = replace(setting.config(), data=str(tmp_path / "nowhere"))
    with pytest.raises(
        ValueError,
        match=r"(?s)a run of the study failed; .*\.log ends so:\n.*nowhere.*same `wholenet study` command goes on",
    ):
        Pool(tmp_path, 1, QUIET).trained([config])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["table-9"], "invalid choice: 'table-9'"),
        (["table-2", "--seeds", "0"], "--seeds=0: expected at least 1"),
        (["table-2", "--set", "lr"], "expected NAME=VALUE"),
        (["table-2", "--set", "rate=1"], "expected NAME=VALUE with one of data_seed,"),
        (["table-2", "--set", "lr=-1"], "lr=-1: expected above 0"),
        (["table-7"], "--make-coarse"),
        (["table-2", "--labelled", "x"], "--labelled is of table-1"),
    ],
)
def test_the_command_refuses_what_it_cannot_do(words, message, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["study", *words, "--out", str(tmp_path / "out")])
    assert stop.value.code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_command_prints_the_page(tmp_path, capsys, monkeypatch):
    some = {size: table_3_module.PAPER[size] for size in ("small", "base")}  # tests/spaces/test_grid.py counts all
    monkeypatch.setattr(table_3_module, "PAPER", some)
    main(["study", "table-3", "--out", str(tmp_path)])
    shown = capsys.readouterr().out
    assert "| small | 3.23 | 3.2 |" in shown
    assert "| base | 10." in shown
