"""docs/extending.md: what it registers from outside is trained, continued, controlled, scored and exported."""

import json
import shutil
import sys
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

import wholenet
from forked import fork_commands
from run_files import assert_equal, checkpoint, records, stop_after, untimed
from toy import shallow
from wholenet import plugins
from wholenet.architecture import RELAXATIONS
from wholenet.cli import main
from wholenet.data.sample import DataError
from wholenet.data.transforms import TRANSFORMS
from wholenet.deploy.model_folder import ANSWERS
from wholenet.jobs.catalog import TASKS
from wholenet.jobs.samples import stacked
from wholenet.ops.candidates import CANDIDATES
from wholenet.ops.forms import plain_form
from wholenet.ops.operations import OPERATIONS
from wholenet.report.in_words import in_words
from wholenet.search.loggers import LOGGERS, LoggedRun
from wholenet.search.methods import METHODS
from wholenet.search.parts import EARLY_STOPPING, GRADIENTS, UPDATES
from wholenet.search.penalties import REGULARIZERS
from wholenet.search.phases import Phase
from wholenet.search.protocols import PROTOCOLS, Protocol
from wholenet.search.run_folder import RunFolder
from wholenet.spaces.catalog import SPACES
from wholenet.spaces.cell_tables import TABLES
from wholenet.spaces.darts_genotype import check_in_space, read_cell_genotype
from wholenet.spaces.space import Space

PAGE = Path(__file__).parents[1] / "docs" / "extending.md"
SPACE, OPERATIONS_OF_MINE, CELLS, METHOD, PARTS, PROTOCOL, TASK, LOGGER, TRANSFORM = (
    part.split("```")[0] for part in PAGE.read_text().split("```python\n")[1:]
)
pytestmark = pytest.mark.usefixtures("shallow")
MINE = ("cross_7x7", "dil_conv_5x5", "softened")
SMALL = {"epochs": 3, "batch": 2, "crop": "32x32", "lr": 0.02, "device": "cpu", "threads": 1}
PHASES = {"warmup_share": 0.34, "search_share": 0.33}
SHAPE = {"space": "kernels", "width": 4, "layers": 2}
OWN = {**SHAPE, **SMALL, **PHASES}


def forget_cells():
    CANDIDATES.remove("dense_3x3")
    for name in ("skip-or-dense", "dense-first"):
        SPACES.remove(name)
        TABLES.remove(name)


@pytest.fixture(scope="module", autouse=True)
def registered():
    """Run the page, and forget afterwards what it registered."""
    page = SPACE + OPERATIONS_OF_MINE + CELLS + METHOD + PARTS + PROTOCOL + TASK + LOGGER + TRANSFORM
    exec(compile(page, str(PAGE), "exec"), {"__name__": "my_module"})
    yield
    SPACES.remove("kernels")
    SPACES.remove("waves")
    for name in MINE:
        OPERATIONS.remove(name)
    forget_cells()
    METHODS.remove("firm")
    METHODS.remove("direct")
    GRADIENTS.remove("signs")
    UPDATES.remove("every-second")
    EARLY_STOPPING.remove("decided")
    LOGGERS.remove("table")
    PROTOCOLS.remove("two-searches")
    TASKS.remove("waves")
    ANSWERS.remove("waves")
    REGULARIZERS.remove("towards-the-first")
    RELAXATIONS.remove("squared-softmax")
    TRANSFORMS.remove("shaded")


@pytest.fixture(scope="module")
def run(discs, tmp_path_factory):
    out = tmp_path_factory.mktemp("own") / "run"
    wholenet.fit(discs, out, **OWN, control=True)
    return out


def test_a_space_of_ones_own_is_trained_and_has_a_control_at_equal_time(run):
    assert [record["phase"] for record in records(run)] == ["warm-up", "search", "fine-tune"]
    moved = [
        np.ptp(np.array(record["logits"]["kernel"]) - records(run)[0]["logits"]["kernel"]) for record in records(run)
    ]
    assert moved[0] == 0 < moved[1] == moved[2]
    assert all(np.all(np.array(record["logits"]["kernel"]) == 0) for record in records(run / "control"))
    assert any(sentence.startswith("Nothing was searched") for sentence in in_words(wholenet.read_run(run / "control")))
    spec = wholenet.load(run, device="cpu").network.spec
    assert (spec.space, spec.settings) == ("kernels", {"width": 4, "layers": 2})
    assert {path.name for path in run.glob("*.png")} <= {"predictions.png", "curves.png", "entropy.png"}


def test_it_goes_on_to_the_bit(run, discs, tmp_path):
    stop_after(7, lambda: wholenet.fit(discs, tmp_path / "run", **OWN, checkpoint_minutes=0))
    wholenet.resume(tmp_path / "run")
    assert_equal(checkpoint(run), checkpoint(tmp_path / "run"))
    assert untimed(records(run)) == untimed(records(tmp_path / "run"))


def test_it_is_scored_predicts_is_diagnosed_and_exported(run, discs, tmp_path):
    assert wholenet.evaluate(run, discs).miou == pytest.approx(records(run)[-1]["miou"])
    assert wholenet.load(run, device="cpu").predict(np.zeros((41, 50, 3), np.uint8)).shape == (41, 50)
    found = wholenet.diagnose(run, out=tmp_path / "d", curvature=True)
    assert found.supernet == pytest.approx(records(run)[-1]["miou"])
    assert found.curvature.highest > found.curvature.lowest
    assert json.loads((tmp_path / "d" / "diagnosis.json").read_text())["movement"]["kernel"]["mean"] >= 0
    check, _ = wholenet.export(run, tmp_path / "net.pt2", "torch")
    assert check.same_class > 0.999


def test_a_run_of_a_space_that_is_not_here_is_refused_before_its_data_is_read(run, monkeypatch):
    kept = SPACES._known.pop("kernels")
    try:
        monkeypatch.setattr("wholenet.training.task_of_run", None)
        for verb in (wholenet.resume, wholenet.load):
            with pytest.raises(ValueError, match=r"unknown space 'kernels'; .*to be imported first: --import MODULE"):
                verb(run)
    finally:
        SPACES.add("kernels", kept)


def test_its_decoding_makes_a_second_stage(discs, tmp_path):
    wholenet.fit(discs, tmp_path / "run", **OWN, protocol="two-stage", retrain_epochs=1)
    first = wholenet.load(tmp_path / "run" / "search", device="cpu").network
    second = wholenet.load(tmp_path / "run", device="cpu").network
    assert second.spec.genotype == {"chosen": first.arch()["kernel"].argmax(-1).tolist()}
    assert {len(layer) for layer in second.net.layers} == {2}  # a convolution and its norm
    wholenet.resume(tmp_path / "run")
    text = (tmp_path / "run" / "genotype.yaml").read_text()
    assert text.splitlines()[-1] == "space: kernels"
    (tmp_path / "cut.yaml").write_text(text.rsplit("space", 1)[0])
    with pytest.raises(ValueError, match=r"cut.yaml has no 'space'"):
        wholenet.fit(discs, tmp_path / "other", **SHAPE, **SMALL, genotype=str(tmp_path / "cut.yaml"))


def test_operations_of_ones_own_stand_in_the_grid_s_cell(discs, tmp_path):
    with shallow(layers=1):  # exporting takes its time for each
        own_operations(discs, tmp_path)


def own_operations(discs, tmp_path):
    options = {**SMALL, **PHASES, "size": "nano", "operations": ",".join(("conv_3x3", *MINE))}
    wholenet.fit(discs, tmp_path / "run", **options)
    scores = wholenet.resume(tmp_path / "run").learned.scores
    assert wholenet.evaluate(tmp_path / "run", discs).miou == pytest.approx(scores.miou)
    network = wholenet.load(tmp_path / "run", device="cpu").network.double()
    assert network.net.operations == ("conv_3x3", *MINE)
    x = torch.randn(1, 3, 64, 96, dtype=torch.float64)
    with plain_form(network.net):
        plain = network(x)
    torch.testing.assert_close(network(x), plain, atol=1e-10, rtol=1e-10)
    torch.testing.assert_close(wholenet.fold(network)(x), plain, atol=1e-10, rtol=1e-10)
    check, _ = wholenet.export(tmp_path / "run", tmp_path / "net.pt2", "torch")
    assert check.same_class > 0.999


CELL = {"channels": 4, "cells": 3, "epochs": 1, "batch": 8, "side": 8, "shift": 1, "device": "cpu", "threads": 1}
SEARCH = {**CELL, "gradient": "first-order", "eigenvalue_every": 0, "images": 24}


def words(options):
    return [f"--{name}={value}" for name, value in options.items()]


def test_cells_of_ones_own_are_searched_retrained_and_loaded_by_whoever_imports_them(
    patches, tmp_path, capsys, monkeypatch
):
    (tmp_path / "my_cells.py").write_text(f"import wholenet\nfrom torch import nn\n{CELLS}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plugins, "IMPORTED", [])
    forget_cells()  # as in a process that imported nothing
    try:
        main(["fit", str(patches), "--import=my_cells", "--space=dense-first", *words(SEARCH), "--out=own"])
        main(
            ["retrain", "own/genotype.yaml", str(patches), *words(CELL), "--auxiliary=0", "--images=24", "--out=final"]
        )
        genotype = read_cell_genotype("own/genotype.yaml", "dense-first")
        assert genotype.operations("normal")["dense_3x3"] > 0
        assert wholenet.load("final", device="cpu").network.spec.genotype == genotype.to_dict()
        before = records(tmp_path / "own")
        with pytest.raises(ValueError, match="where s2 offers skip_connect, sep_conv_3x3: it is a genotype of another"):
            check_in_space(genotype, "s2")
    finally:
        sys.modules.pop("my_cells", None)
    forget_cells()
    try:
        for command in (
            ["evaluate", "final", str(patches)],
            ["evaluate", "own", str(patches)],
            ["fit", "--resume=own"],
            ["retrain", "own/genotype.yaml", str(patches), "--out=other"],
        ):
            with pytest.raises(SystemExit):
                main(command)
            said = capsys.readouterr().err
            assert "unknown" in said
            assert "the module that registers it has to be imported first" in said
        assert records(tmp_path / "own") == before
    finally:
        exec(compile(f"import wholenet\nfrom torch import nn\n{CELLS}", "cells", "exec"), {"__name__": "my_module"})
    assert 0 <= wholenet.evaluate("own", patches).error <= 1


def test_other_operations_on_the_edges_of_a_space_are_part_of_its_run_genotype_and_model(patches, tmp_path):
    given = {**SEARCH, "space": "s2", "operations": "skip_connect,dense_3x3"}
    found = wholenet.fit(patches, tmp_path / "run", **given)
    spec = wholenet.load(tmp_path / "run", device="cpu").network.spec
    assert (spec.space, spec.settings["operations"]) == ("s2", "skip_connect,dense_3x3")
    assert read_cell_genotype(tmp_path / "run" / "genotype.yaml") == found.genotype
    assert "dense_3x3" in found.genotype.operations("normal")
    with pytest.raises(ValueError, match="has dense_3x3 from node"):
        read_cell_genotype(tmp_path / "run" / "genotype.yaml", "s2")
    assert wholenet.resume(tmp_path / "run") == found


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"space": "dense-frist"}, "unknown space 'dense-frist'; did you mean 'dense-first'.*--import MODULE"),
        ({"operations": "dens_3x3"}, "unknown cell operation 'dens_3x3'; did you mean 'dense_3x3'.*--import MODULE"),
        ({"operations": "dense_3x3,,"}, "expected up to 32 names joined by commas.* such as skip_connect,sep_conv_3x3"),
        ({"operations": "none"}, "offers nothing but 'none' from node 0 to 2"),
        ({"regularizer": "towards-first"}, "unknown regularizer 'towards-first'; did you mean 'tow.*--import MODULE"),
        ({"relaxation": "squared-softmx"}, "unknown relaxation 'squared-softmx'; did you mean 'squ.*--import MODULE"),
        ({"selection": "strngth"}, "unknown selection 'strngth'; did you mean 'strength'.*--import MODULE"),
        ({"gradient": "signs", "arch_update": "simultaneous"}, "use gradient='one-level' and perturbation='none' with"),
        ({"gradient": "one-level", "arch_update": "alternating"}, "use arch_update='architecture-first'"),
        ({"space": "s1", "operations": "dense_3x3"}, "the edges of space 's1' differ in what they offer"),
    ],
)
def test_cells_that_there_cannot_be_are_refused_before_anything_is_made(options, said, patches, tmp_path):
    with pytest.raises(ValueError, match=said):
        wholenet.fit(patches, tmp_path / "run", **{**SEARCH, "space": "s2", **options})
    assert not (tmp_path / "run").exists()


def test_a_method_of_ones_own_searches_the_grid_the_cells_and_ones_own_space(discs, patches, tmp_path):
    small = SMALL | PHASES | {"size": "nano"}
    wholenet.fit(discs, tmp_path / "grid", **small, method="firm")
    model = wholenet.load(tmp_path / "grid", device="cpu").network
    assert model.spec.relaxation == "squared-softmax"
    weights, logits = model.arch()["alpha"], model.arch.logits["alpha"]
    squares = logits.softmax(-1).square()
    torch.testing.assert_close(weights, squares / squares.sum(-1, keepdim=True))
    wholenet.fit(discs, tmp_path / "own", **OWN, method="firm")
    shape = {"space": "s2", "channels": 4, "cells": 3, "epochs": 1, "batch": 8, "eigenvalue_every": 0, "device": "cpu"}
    wholenet.fit(patches, tmp_path / "cells", method="firm", **shape, shift=1)
    assert wholenet.load(tmp_path / "cells", device="cpu").network.spec.relaxation == "squared-softmax"


def test_parts_of_ones_own_move_and_end_the_search_and_go_on_to_the_bit(discs, tmp_path, capsys):
    """The architecture has logits of its own signs in every second step, until its choices are made."""
    options = {**SHAPE, **SMALL, "epochs": 4, "warmup_share": 0.25, "search_share": 0.5, "arch_lr": 0.5}
    options |= {"method": "direct", "split": "same"}
    wholenet.fit(discs, tmp_path / "whole", **options)
    said = capsys.readouterr().out
    assert "the choices are made: the search is over; weights go on, at the architecture of epoch 2" in said
    found = records(tmp_path / "whole")
    assert [record["phase"] for record in found] == ["warm-up", "search", "fine-tune", "fine-tune"]
    kept = checkpoint(tmp_path / "whole")
    assert kept["frozen_at"] == 1
    steps = kept["weight_steps"] // 4
    assert kept["arch_steps"] == sum(step % 2 == 0 for step in range(steps, 2 * steps))  # of the one epoch of search
    stop_after(steps + 2, lambda: wholenet.fit(discs, tmp_path / "run", **options, checkpoint_minutes=0))
    wholenet.resume(tmp_path / "run")
    assert_equal(checkpoint(tmp_path / "run"), kept)
    assert untimed(records(tmp_path / "run")) == untimed(found)


def test_parts_of_ones_own_search_cells(patches, tmp_path):
    given = {
        **CELL,
        "space": "s2",
        "images": 24,
        "epochs": 3,
        "method": "direct",
        "arch_lr": 1.0,
        "eigenvalue_every": 0,
    }
    found = wholenet.fit(patches, tmp_path / "run", **given)
    ended = records(tmp_path / "run")
    assert found.genotype_epoch == len(ended) - 1 < 2
    assert found.genotype.to_dict() == ended[-1]["genotype"]


def test_a_protocol_of_ones_own_has_its_phases_and_a_control_that_never_moves(discs, tmp_path):
    out = tmp_path / "run"
    options = {**SHAPE, **SMALL, "epochs": 10, "protocol": "two-searches", "control": True}
    wholenet.fit(discs, out, **options)
    names = [record["phase"] for record in records(out)]
    assert names == ["warm-up", *["search"] * 2, *["fine-tune"] * 2, *["search"] * 2, *["fine-tune"] * 3]
    logits = [np.array(record["logits"]["kernel"]) for record in records(out)]
    moved = [bool(np.any(after != before)) for before, after in pairwise(logits)]
    assert moved == [name == "search" for name in names[1:]]
    assert all(np.all(np.array(record["logits"]["kernel"]) == 0) for record in records(out / "control"))
    assert RunFolder(out / "control").config.protocol == "two-searches"


def test_phases_with_a_gap_are_refused_before_anything_is_trained(discs, tmp_path):
    wholenet.register(Protocol("gap", lambda _: [Phase("warm-up", 0, 1), Phase("search", 2, 3, True)]))
    try:
        with pytest.raises(ValueError, match=r"'gap' has the phases warm-up 0-1, search 2-3; expected one behind"):
            wholenet.fit(discs, tmp_path / "run", **SMALL, size="nano", protocol="gap")
    finally:
        PROTOCOLS.remove("gap")


WAVES = {"task": "waves", "space": "waves", "epochs": 25, "batch": 8, "lr": 0.1, "device": "cpu", "threads": 1}


def write_waves(path, count):
    rng = np.random.default_rng(0)
    targets = rng.uniform(1, 4, count).astype(np.float32)
    np.savez(path, waves=np.sin(targets[:, None] * np.linspace(0, 3, 16, dtype=np.float32)), targets=targets)
    return path


@pytest.fixture(scope="module")
def npz(tmp_path_factory):
    return write_waves(tmp_path_factory.mktemp("waves") / "waves.npz", 64)


@pytest.fixture(scope="module")
def waves(npz, tmp_path_factory):
    out = tmp_path_factory.mktemp("waves") / "run"
    return out, wholenet.fit(npz, out, **WAVES, noise=0.01, control=True)


def test_a_task_of_ones_own_is_trained_scored_and_diagnosed(waves, npz, tmp_path):
    out, found = waves
    assert found.learned.scores == records(out)[-1]["off_by"] < found.learned.constant
    assert found.uniform.run == out / "control"
    assert records(out)[-1]["logits"]["width"] != records(out)[0]["logits"]["width"]
    model = wholenet.load(out, device="cpu")
    assert model.settings.noise == 0.01
    assert model.predict(np.zeros((3, 1, 16), np.float32)).shape == (3, 1)
    assert 0 < wholenet.evaluate(out, npz, "train") < found.learned.constant
    brief = wholenet.diagnose(out, out=tmp_path / "d", curvature=True)
    assert brief.supernet == pytest.approx(found.learned.scores)
    assert brief.constant == found.learned.constant
    assert "mean absolute error" in brief.lines()[0]
    tables = wholenet.read_run(out)
    assert (tables.task, tables.score) == ("waves", None)
    assert tables.results[0]["off_by"] == found.learned.scores
    page = wholenet.write_report(out, tmp_path / "page.html").read_text()
    assert f"{found.learned.scores:.4g}" in page
    assert "width has a normalised entropy of" in page
    assert brief.curvature.highest >= brief.curvature.lowest


def test_a_run_of_it_goes_on_to_the_bit_and_only_with_the_same_data(waves, npz, tmp_path):
    out, copy = waves[0], tmp_path / "run"
    options = {**WAVES, "noise": 0.01, "checkpoint_minutes": 0}
    stop_after(15, lambda: wholenet.fit(npz, copy, **options))
    with pytest.raises(ValueError, match=r"have changed since.*train samples: 51 then, 38 now"):
        wholenet.resume(copy, data=write_waves(tmp_path / "fewer.npz", 48))
    wholenet.resume(copy)
    assert_equal(checkpoint(out), checkpoint(copy))
    assert untimed(records(out)) == untimed(records(copy))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"noise": "much"}, "answer, settings: noise='much': expected float"),
        ({"noise": 0.1, "nose": 1}, "answer, settings: task 'waves' has no setting 'nose'; known: noise"),
        ({}, "answer, settings: noise missing"),
    ],
)
def test_settings_of_a_task_in_a_folder_are_checked_by_their_types(settings, said, waves, tmp_path):
    folder = shutil.copytree(waves[0] / "model", tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    config["answer"]["settings"] = settings
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=said):
        wholenet.load(folder, device="cpu")


@pytest.mark.parametrize("method", ["darts", "sdarts-rs", "fair-darts", "firm"])
def test_methods_search_it_on_disjoint_samples(method, npz, tmp_path):
    wholenet.fit(npz, tmp_path / "run", **{**WAVES, "epochs": 3}, method=method)
    assert RunFolder(tmp_path / "run").config.split == "disjoint"
    assert wholenet.load(tmp_path / "run").network.spec.space == "waves"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"task": "wave"}, "unknown task 'wave'; did you mean 'waves'.*--import MODULE"),
        ({"space": "grid"}, "space='grid' is for segmentation; task='waves' needs a space that takes it"),
        ({"space": "kernels"}, "space 'kernels' is for segmentation; the task is 'waves'"),
        ({"nise": 1}, "space 'waves' has no setting 'nise'"),
        ({"noise": "much"}, "noise='much': expected float"),
        ({"protocol": "two-stag"}, "unknown protocol 'two-stag'; did you mean 'two-stage'"),
        ({"protocol": "two-stage"}, "space 'waves' has no decoding"),
        ({"batch": 0}, "batch=0: expected"),
    ],
)
def test_of_ones_own_task_what_is_not_there_is_said_before_anything_is_made(options, said, npz, tmp_path):
    with pytest.raises(ValueError, match=said):
        wholenet.fit(npz, tmp_path / "run", **{**WAVES, **options})
    assert not (tmp_path / "run").exists()


def test_samples_of_several_shapes_are_refused():
    with pytest.raises(DataError, match=r"inputs of the shapes \(1, 2\), \(1, 3\); expected one shape for all"):
        stacked([(np.zeros((1, 2)), 0), (np.zeros((1, 3)), 0)])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"space": "kernel"}, "unknown space 'kernel'; did you mean 'kernels'.*--import MODULE"),
        ({"space": "s2", "task": "segmentation"}, "space 's2' is for classification; these are images with masks"),
        ({"space": "kernels", "wdth": 3}, "space 'kernels' has no setting 'wdth'; known: width, layers"),
        ({"space": "kernels", "width": "wide"}, "width='wide': expected int"),
        ({"space": "kernels", "size": "nano"}, "size is of the space 'grid'"),
        ({"space": "kernels", "entropy_beta": 0.1}, "of the grid's operations and edges"),
        ({"space": "kernels", "width": -1}, "negative dimension"),
        ({"regularizer": "towards-first"}, "unknown regularizer 'towards-first'; did you mean 'towards-the-first'"),
        ({"gradient": "sings"}, "unknown gradient 'sings'; did you mean 'signs'.*--import MODULE"),
        ({"arch_update": "every-secnd"}, "unknown update 'every-secnd'; did you mean 'every-second'"),
        ({"perturbation": "randm"}, "unknown perturbation 'randm'; did you mean 'random'"),
        ({"stopping": "decide"}, "unknown rule of early stopping 'decide'; did you mean 'decided'"),
        ({"method": "direct", "arch_update": "alternating", "gradient": "one-level"}, "use arch_update='architecture"),
        ({"gradient": "signs", "arch_update": "simultaneous"}, "use arch_update='architecture-first'"),
        ({"relaxation": "softmx"}, "unknown relaxation 'softmx'; did you mean 'softmax'"),
        ({"method": "frim"}, "unknown method 'frim'; did you mean 'firm'"),
    ],
)
def test_what_is_not_there_is_said_before_anything_is_made(options, said, discs, tmp_path):
    with pytest.raises((ValueError, RuntimeError), match=said):
        wholenet.fit(discs, tmp_path / "run", **SMALL, **options)
    assert not (tmp_path / "run").exists() or list((tmp_path / "run").iterdir()) == []


def test_a_name_that_is_taken_and_a_thing_of_no_kind_are_refused():
    with pytest.raises(ValueError, match="there is a space 'grid' already"):
        wholenet.register(type(SPACES["kernels"])(name="grid", settings=dict, build=dict))
    with pytest.raises(TypeError, match=r"a builtins.int cannot be registered"):
        wholenet.register(3)


@dataclass(frozen=True)
class Clashing:
    """A setting that is called as an option is."""

    epochs: int = 3


def test_a_setting_that_is_called_as_an_option_of_every_run_is_refused(discs, tmp_path, capsys):
    wholenet.register(Space(name="clashing", settings=Clashing, build=dict))
    said = "space 'clashing' has a setting 'epochs', and so is called an option of every run"
    try:
        with pytest.raises(ValueError, match=said):
            wholenet.fit(discs, tmp_path / "run", space="clashing", epochs=1)
        with pytest.raises(SystemExit):
            main(["fit", str(discs), "--space", "clashing", "--epochs", "1", "--out", str(tmp_path / "run")])
        assert said in capsys.readouterr().err
    finally:
        SPACES.remove("clashing")


def test_the_command_line_imports_what_it_is_told_and_its_sweeps_do_too(discs, tmp_path, capsys, monkeypatch):
    (tmp_path / "my_space.py").write_text(SPACE)
    (tmp_path / "sweep.yaml").write_text(
        f"data: {discs}\nout: {tmp_path}/sweep\ngrid: {{seed: [0]}}\n"
        "options: {space: kernels, width: 4, epochs: 1, batch: 2, crop: 32x32}\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plugins, "IMPORTED", [])
    fork_commands(monkeypatch)
    space = SPACES["kernels"]
    SPACES.remove("kernels")  # as in a process that imported nothing
    try:
        # The sweep is this process, and the `wholenet fit --import` that it starts is another.
        main(["sweep", "sweep.yaml", "--import=my_space", "--jobs", "1"])
        assert plugins.IMPORTED == ["my_space"]
    finally:
        sys.modules.pop("my_space", None)
        if "kernels" in SPACES:
            SPACES.remove("kernels")
        SPACES.add("kernels", space)
    (run,) = (path.parent for path in (tmp_path / "sweep" / "runs").glob("*/config.yaml"))
    assert RunFolder(run).config.settings == {"width": 4}
    space = SPACES["kernels"]
    SPACES.remove("kernels")  # as in a process that imported nothing
    try:
        with pytest.raises(SystemExit) as refused:
            main(["evaluate", str(run), str(discs)])
    finally:
        SPACES.add("kernels", space)
    assert refused.value.code == 2
    assert "unknown space 'kernels'" in capsys.readouterr().err


def test_a_module_that_cannot_be_imported_is_said(capsys):
    with pytest.raises(SystemExit):
        main(["fit", "x", "--import", "no_such_module", "--out", "y"])
    assert "--import no_such_module failed (ModuleNotFoundError" in capsys.readouterr().err


def test_no_file_makes_anything_be_imported(discs, tmp_path, monkeypatch, capsys):
    (tmp_path / "evil.py").write_text("raise SystemError('it was imported')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "options.yaml").write_text("import: evil\nepochs: 1\n")
    (tmp_path / "sweep.yaml").write_text(f"data: {discs}\nout: s\noptions: {{import: evil}}\n")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text(f"data: {discs}\nout: run\nimport: evil\nspace: evil\n")
    for words, said in (
        (["fit", discs, "--out", "r", "--config", "options.yaml"], "unknown option 'import'"),
        (["sweep", "sweep.yaml"], "'import'"),
        (["fit", "--resume", "run"], "unknown field 'import'"),
        (["fit", discs, "--out", "r", "--space", "evil"], "unknown space 'evil'"),
    ):
        with pytest.raises(SystemExit):
            main([str(word) for word in words])
        assert said in capsys.readouterr().err


def test_the_command_line_trains_a_task_of_ones_own_and_goes_on(npz, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = ["--task", "waves", "--space", "waves", "--noise", "0.02", "--epochs", "2", "--batch", "8"]
    main(["fit", str(npz), *options, "--out", "run", "--control", "--device", "cpu"])
    said = capsys.readouterr().out
    assert "mean absolute error" in said
    assert "frozen-uniform" in said
    main(["fit", "--resume", "run"])
    main(["evaluate", "run", str(npz), "--split", "train", "--json", "scores.json"])
    assert json.loads(Path("scores.json").read_text())["off_by"] > 0
    main(["diagnose", "run"])
    assert "best constant answer" in capsys.readouterr().out
    main(["fit", str(npz), *options, "--print-config"])
    Path("options.yaml").write_text(capsys.readouterr().out)
    main(["fit", str(npz), "--config", "options.yaml", "--execution", "compile"])
    assert "operation by operation: --execution compile is left" in capsys.readouterr().out.replace("\n", " ")
    assert RunFolder(f"runs/{npz.name}-1").config.task_settings == {"noise": 0.02}
    for words, expected in (
        (["fit", str(npz), *options, "--nose", "1", "--out", "x"], "--noise"),
        (["fit", *options, "--out", "x"], "give the data: `wholenet fit DATA --task waves`"),
        (["fit", str(npz), "--task", "wave", "--out", "x"], "unknown task 'wave'; did you mean 'waves'"),
        (["predict", "run", str(npz), "--out", "x"], "of the task 'waves'"),
        (["export", "run", "--out", "x.onnx"], "this one is of the task 'waves'"),
        (["info", "waves"], "'waves' cannot be counted on an image"),
    ):
        with pytest.raises(SystemExit):
            main(words)
        assert expected in capsys.readouterr().err


def test_two_parts_of_a_run_with_the_same_option_are_refused(npz, tmp_path, capsys):
    @dataclass(frozen=True)
    class Toned:
        tone: float = 1.0

    TASKS.add("tones", replace(TASKS["waves"], name="tones", settings=Toned))
    SPACES.add("toned", replace(SPACES["waves"], name="toned", settings=Toned, tasks=("tones",)))
    said = "task 'tones' and space 'toned' both have a setting 'tone'"
    try:
        with pytest.raises(ValueError, match=said):
            wholenet.fit(npz, tmp_path / "run", task="tones", space="toned", epochs=1)
        with pytest.raises(SystemExit):
            main(["fit", str(npz), "--task=tones", "--space=toned", "--epochs=1", f"--out={tmp_path / 'run'}"])
        assert said in capsys.readouterr().err
    finally:
        SPACES.remove("toned")
        TASKS.remove("tones")


def test_its_logger_keeps_numbers_and_goes_on(tmp_path):
    for step in (1, 2):
        log = LOGGERS["table"].open(LoggedRun(tmp_path, "run", "0", step, {}))
        log.log(step, {"loss": 0.5, "miou": 0.25})
        log.close()
    assert (tmp_path / "numbers.csv").read_text().split() == ["1,loss,0.5", "1,miou,0.25", "2,loss,0.5", "2,miou,0.25"]
