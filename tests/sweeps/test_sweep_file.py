"""A sweep's file: which runs it describes, and what is refused before any is started."""

import json
import subprocess
from dataclasses import asdict
from pathlib import Path

import pytest
import yaml

from wholenet.search.config import FitConfig
from wholenet.spaces.genotype import DiscreteCell, Genotype, write_genotype
from wholenet.spaces.sizes import grid_size
from wholenet.sweeps.plan import NAME_LENGTH, read_sweep
from wholenet.sweeps.run import check_folder, write_settings
from wholenet.sweeps.table import shown_scores, table

ROOT = Path(__file__).parents[2]
TINY = {"size": "nano", "epochs": 2}


@pytest.fixture
def read(tmp_path):
    """Reads a sweep of these contents."""

    def make(overrides=None, **content):
        path = tmp_path / "sweep.yaml"
        path.write_text(yaml.safe_dump({"data": "scenes", "out": str(tmp_path / "out"), **content}))
        return read_sweep(path, overrides)

    return make


def test_the_runs_are_the_product_of_the_grid_and_the_sets(read, tmp_path):
    sets = [{"name": "learned"}, {"name": "uniform", "architecture": "uniform", "epochs": 3}]
    plan = read(options=TINY, grid={"seed": [0, 1], "arch-lr": ["1e-3", 0.01]}, runs=sets, jobs=2)
    assert len(plan.runs) == 8
    names = [run.name for run in plan.runs]
    assert names[:3] == ["learned-arch_lr0.001-seed0", "learned-arch_lr0.001-seed1", "learned-arch_lr0.01-seed0"]
    assert [[run.config.seed for run in group] for group in plan.groups] == [[0, 1]] * 4
    last = plan.runs[-1]
    assert last.path == tmp_path / "out" / "runs" / "uniform-arch_lr0.01-seed1"
    assert last.config == FitConfig(
        data="scenes",
        out=str(last.path),
        size="nano",
        epochs=3,
        architecture="uniform",
        arch_lr=0.01,
        seed=1,
    )
    assert not (tmp_path / "out").exists()


def test_one_run_needs_no_grid_and_options_can_be_put_on_top(read):
    (run,) = read({"epochs": 5}, options=TINY).runs
    assert (run.name, run.config.epochs) == ("run", 5)
    assert run.start()[:2] == ["fit", "scenes"]
    assert "--epochs=5" in run.start()


def test_numbers_are_numbers_as_people_write_them(tmp_path):
    (tmp_path / "s.yaml").write_text("data: scenes\nout: x\ngrid: {lr: [1e-2, 2.5e-2], crop: [64x96]}\n")
    assert [run.config.lr for run in read_sweep(tmp_path / "s.yaml").runs] == [0.01, 0.025]


def test_labelled_images_are_searched_on_as_fit_would(read, patches):
    grid = {"method": ["darts", "pc-darts"], "space": ["s2"]}
    first, second = read(data=str(patches), options={"channels": 8}, grid=grid).runs
    assert (first.task, first.config.method, first.config.batch) == ("classification", "darts", 64)
    assert (second.config.groups, second.config.batch) == (4, 256)
    assert "--task=classification" in second.start()


def test_texts_are_read_as_fit_would_and_scored_by_perplexity(read, tmp_path):
    text = tmp_path / "text"
    text.mkdir()
    (text / "train.txt").write_text("the cat sees the dog\n" * 9)
    options = {"units": 4, "batch": 2, "vocab": 9, "gradient": "first-order", "genotype": "lstm"}
    plan = read(data=str(text), options=options, grid={"seed": [0, 1], "lr": ["1e-1"]})
    assert [run.task for run in plan.runs] == ["language"] * 2
    one = plan.runs[0].config
    assert (one.settings["units"], one.task_settings["vocab"], one.lr, one.genotype) == (4, 9, 0.1, "lstm")
    assert plan.runs[0].start()[-1] != "--settings={}"
    for run, perplexity in zip(plan.runs, (120.0, 130.0), strict=True):
        write_settings(run)
        run.path.mkdir()
        (run.path / "config.yaml").write_text(yaml.safe_dump(asdict(run.config)))
        (run.path / "metrics.jsonl").write_text(json.dumps({"epoch": 0, "perplexity": perplexity}) + "\n")
        (run.path / "done").touch()
        check_folder(run)
    assert "| 2 of 2 | 120.0, 130.0 | 125.0 ± 7.1 |" in table(plan).markdown()
    assert shown_scores(plan.runs[0]) == "120 perplexity"
    with pytest.raises(ValueError, match="unknown option 'unit'; did you mean units"):
        read(data=str(text), options={"unit": 4})
    with pytest.raises(ValueError, match=r"'lstmm' is neither a file nor .*; did you mean lstm"):
        read(data=str(text), options={**options, "genotype": "lstmm"}, out="other")
    with pytest.raises(ValueError, match="the largest batch that works is 24"):
        read(data=str(text), options={**options, "batch": 99}, out="other")
    (tmp_path / "none").mkdir()
    with pytest.raises(ValueError, match=r"none has no train\.txt"):  # the space says which task it is
        read(data=str(tmp_path / "none"), options={"space": "recurrent"}, out="other")


def test_names_are_never_paths_and_never_the_same(read, tmp_path, monkeypatch):
    files = ["../a/g.yaml", "../a_g.yaml", ".._A_g.yaml", "x" * 300, "x" * 300 + "y"]
    monkeypatch.setattr("wholenet.spaces.space.Space.read_genotype", lambda *_: None)
    runs = read(options=TINY, grid={"genotype": files}).runs
    for run in runs:
        assert run.path.parent == tmp_path / "out" / "runs"
        assert run.path.resolve().parent == run.path.parent
        assert len(run.name) < NAME_LENGTH + 5
    assert len({run.name.lower() for run in runs}) == len(files)


@pytest.mark.parametrize("names", [("a", "A.log", "a.YAML"), ("b.log", "b.yaml", "b")])
def test_no_run_is_called_like_the_log_or_the_settings_of_another(read, names):
    runs = read(options=TINY, runs=[{"name": name, "seed": i} for i, name in enumerate(names)]).runs
    files = [f"{run.name}{ending}".lower() for run in runs for ending in ("", ".log", ".yaml")]
    assert len(set(files)) == 9


def test_a_genotype_is_read_when_the_sweep_is_and_found_from_anywhere(read, tmp_path, monkeypatch):
    layers = grid_size("nano").layers
    cells = tuple(
        DiscreteCell(i, stride, "conv_3x3", {stride: 1.0}) for i in range(1, layers + 1) for stride in (4, 8, 16, 32)
    )
    write_genotype(Genotype(layers, cells), tmp_path / "g.yaml")
    monkeypatch.chdir(tmp_path)
    given = {"options": {**TINY, "genotype": "g.yaml"}}
    run = begun(read, **given)
    assert f"--genotype={tmp_path / 'g.yaml'}" in run.start()
    monkeypatch.chdir("/")
    with pytest.raises(ValueError, match=r"genotype='.*/g\.yaml' then, '/g\.yaml' now"):
        read(**given)
    monkeypatch.chdir(tmp_path)
    assert read(**given).runs[0] == run
    for text, expected in (("format: 7\n", "g.yaml"), (None, "g.yaml cannot be read as a genotype")):
        Path("g.yaml").write_text(text) if text else Path("g.yaml").unlink()
        with pytest.raises(ValueError, match=f"sweep.yaml: .*{expected}"):
            read(**given, out=str(tmp_path / "other"))
    read(**given)  # a run that is begun has its own


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            {"options": {"method": "two-stage"}, "runs": [{"name": "a", "protocol": "single-stage"}]},
            "method is 'two-stage' and protocol is 'single-stage'; they are two names of one option",
        ),
        ({"optins": {}}, r"unknown field 'optins' \(did you mean options\?\); known: data, out, options"),
        ({"options": {"epoch": 3}}, r"run run: unknown option 'epoch'; did you mean epochs"),
        ({"options": {"flavour": 3}}, r"unknown option 'flavour'; known: .*arch_lr"),
        ({"options": {"arch-lr": 1.0, "arch_lr": 1.0}}, "arch_lr with dashes and with underscores"),
        ({"options": {"out": "x"}}, "options has out, which is one for the whole sweep"),
        ({"options": {"lr": "fast"}}, r"lr='fast': expected float"),
        ({"options": {"epochs": 0}}, "epochs=0: expected at least 1"),
        ({"options": ["lr"]}, r"options=\['lr'\]: expected dict"),
        ({"options": {"task": "regression"}}, "task is 'regression'; expected segmentation or classification"),
        ({"options": {"space": "s9"}}, "unknown space 's9'; known: grid, "),
        ({"options": {"space": "s2", "method": "magic"}}, "method is 'magic'; expected one of darts"),
        ({"grid": {"seed": 3}}, r"grid\['seed'\]=3: expected list"),
        ({"grid": {"seed": []}}, r"grid: seed is \[\]; expected a list"),
        ({"grid": {"seed": [0, 1, 0]}}, "grid: seed has 0 twice"),
        ({"grid": {"lr": ["0.1", 0.1]}}, "are the same; each needs something of its own"),
        ({"grid": {"lr": [0.1]}, "options": {"lr": 0.2}}, "lr is in options and in grid"),
        ({"grid": {"lr": [0.1]}, "runs": [{"name": "a", "lr": 1.0}]}, "lr is in the run 'a' and in grid"),
        ({"grid": {n: list(range(99)) for n in ("seed", "data_seed", "val_every")}}, "makes 970,299 runs"),
        ({"grid": {"space": ["grid", "s2"]}}, "runs are of classification and segmentation"),
        ({"runs": {"a": {}}}, r"runs=\{'a': \{\}\}: expected list"),
        ({"runs": [{"lr": 1.0}]}, "a set is called None; expected a name"),
        ({"runs": [{"name": "../a"}]}, "a set is called '../a'; expected a name"),
        ({"runs": [{"name": "a"}, {"name": "a", "lr": 1.0}]}, "two sets are called a"),
        ({"runs": [{"name": "a"}, {"name": "b"}]}, "runs a and b are the same"),
        ({"jobs": -1}, "jobs=-1: expected 0 or more"),
        ({"jobs": True}, "jobs=True: expected int"),
        ({"data": "nowhere"}, "data is nowhere, and there is no such folder"),
        ({"data": ["scenes"]}, r"data=\['scenes'\]: expected str"),
        ({"out": None}, "out=None: expected str"),
        ({"out": "x" * 5000}, r"out='x+\.\.\.x+': expected a path of at most 4096 characters"),
        ({"data": "x" * 5000}, r"data='x+\.\.\.x+': expected a path of at most 4096 characters"),
        ({"slurm": 4}, "slurm=4: expected dict"),
        ({"slurm": {"log": "../logs"}}, r"slurm: log is '\.\./logs'; expected the name of a folder"),
    ],
)
def test_what_cannot_be_run_is_refused_before_anything_is_started(read, content, expected, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=f"sweep.yaml: .*{expected}"):
        read(**content)
    assert [path.name for path in tmp_path.iterdir()] == ["sweep.yaml"]


def test_what_the_sweep_varies_cannot_be_set_from_outside(read):
    with pytest.raises(ValueError, match="--set seed: the sweep varies seed itself"):
        read({"seed": 3}, grid={"seed": [0, 1]})


def begun(read, **content):
    """A run that was started."""
    (run,) = read(**content).runs
    run.path.mkdir(parents=True)
    write_settings(run)
    (run.path / "config.yaml").write_text("begun: true\n")
    return run


def test_a_run_that_is_begun_is_continued_with_other_settings_of_the_machine_alone(read):
    run = begun(read, options={**TINY, "lr": 0.1, "workers": 2})
    (again,) = read(options={**TINY, "lr": "0.1", "workers": 4}).runs
    assert again.arguments() == ["fit", f"--resume={run.path}", "--workers=4"]
    with pytest.raises(ValueError, match=r"started with other options: lr=0.1 then, 0.2 now\. Put them back"):
        read(options={**TINY, "lr": 0.2})
    with pytest.raises(ValueError, match="epochs=2 then, 600 now"):
        read(options={"size": "nano", "lr": 0.1})


def test_what_was_started_on_other_data_or_by_somebody_else_is_refused(read, patches, discs):
    run = begun(read, options=TINY)
    with pytest.raises(ValueError, match="data='scenes' then"):
        read(options=TINY, data=str(discs))
    run.settings.unlink()
    with pytest.raises(ValueError, match="holds a run that no sweep started"):
        check_folder(run)
    (run.path / "config.yaml").rename(run.path / "notes.txt")
    with pytest.raises(ValueError, match="is there, and no run of a sweep"):
        check_folder(run)


def test_the_files_of_the_recipe_and_of_the_documentation_are_sweeps(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert len(read_sweep(ROOT / "recipes" / "sweep-example.yaml").runs) == 6
    page = (ROOT / "docs" / "clusters.md").read_text()
    example = page.split("```yaml\n")[1].split("```")[0].replace("my-data", "scenes")
    (tmp_path / "sweep.yaml").write_text(example)
    assert len(read_sweep(tmp_path / "sweep.yaml").runs) == 12
    script = "#!/bin/bash\n" + page.split("```sh\n#!/bin/bash\n")[1].split("```")[0]
    assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0
