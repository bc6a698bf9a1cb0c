"""The methods on cell spaces as configs: what they name exists, what is given wins, and files keep all of it."""

import dataclasses
import math
import re
from pathlib import Path

import pytest
import torch
import yaml

from wholenet.architecture import RELAXATIONS
from wholenet.cells.start import initial_search
from wholenet.search.cell_config import CellConfig, cell_config
from wholenet.search.cell_folder import CellFolder
from wholenet.search.classifier_config import RetrainConfig
from wholenet.search.config import FitConfig
from wholenet.search.config_files import is_cell_run, read_config, write_config, write_options
from wholenet.search.methods import METHODS
from wholenet.search.parts import GRADIENTS
from wholenet.search.penalties import REGULARIZERS, Anchor, ExpectedCost
from wholenet.search.run_folder import RunFolder

PLACES = {"data": "images", "out": "runs/a"}
FIELDS = {field.name for field in dataclasses.fields(CellConfig)}


def config_of(method="darts", **given):
    return cell_config(method, **{**PLACES, **given})


def differences(config, other):
    one, two = dataclasses.asdict(config), dataclasses.asdict(other)
    return {name for name in one if one[name] != two[name]}


@pytest.mark.parametrize("name", METHODS)
def test_every_method_is_darts_but_for_the_parts_that_it_names(name):
    method = METHODS[name]
    assert method.source
    assert {*method.on_cells, *(part for special in method.searches for part in special)} <= FIELDS
    config, darts = config_of(name), config_of()
    assert all(getattr(config, part) == value for part, value in method.on_cells.items())
    assert differences(config, darts) <= {"method", "eigenvalue_every", *method.on_cells}
    assert set(method.on_cells) <= differences(config, darts)
    assert config.method == name
    assert config.gradient in GRADIENTS


def test_the_page_on_classification_has_a_row_of_each_method():
    page = (Path(__file__).parents[2] / "docs" / "classification.md").read_text()
    rows = page.split("| `--method` |")[1].split("\n\n")[0].splitlines()
    assert {row.count("|") for row in rows[1:]} == {5}
    assert {name for row in rows[2:] for name in re.findall("`([^`]+)`", row.split("|")[1])} == set(METHODS)


def test_the_defaults_are_those_of_the_original_search():
    config = config_of()
    found = (config.channels, config.cells, config.epochs, config.batch, config.lr, config.lr_end, config.weight_decay)
    assert found == (16, 8, 50, 64, 0.025, 0.001, 3e-4)
    assert (config.momentum, config.clip, config.arch_lr, config.arch_weight_decay) == (0.9, 5, 3e-4, 1e-3)
    assert (config.gradient, config.split, config.weights_share) == ("second-order", "disjoint", 0.5)


@pytest.mark.parametrize(
    ("method", "given"),
    [
        ("pc-darts", {"batch": 32, "groups": 2, "edge_weights": False}),
        ("fair-darts", {"arch_lr": 0.1, "selection": "strength"}),
        ("darts-pt", {"selection": "strength"}),
        ("darts", {"gradient": "first-order", "space": "s2"}),
    ],
)
def test_what_is_given_wins_over_the_method(method, given):
    config = config_of(method, **given)
    assert {name: getattr(config, name) for name in given} == given
    assert differences(config, config_of(method)) == set(given)
    assert config.method == method


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("kind", [True, False])
def test_a_file_keeps_the_config_of_every_method(name, kind, tmp_path):
    path = tmp_path / "config.yaml"
    config = config_of(name, space="s3", seed=3, arch_lr=1e-5, arch_weight_decay=1e-12)
    (write_config if kind else write_options)(config, path)
    assert is_cell_run(tmp_path) == kind
    if kind:
        assert read_config(path) == config
    else:
        assert CellConfig(**PLACES, **yaml.safe_load(path.read_text())) == config


def test_a_file_keeps_the_config_of_a_training(tmp_path):
    path = tmp_path / "config.yaml"
    config = RetrainConfig(**PLACES, genotype="darts-v2", channels=36, cells=20, auxiliary=0.0, lr=3e-7)
    write_config(config, path)
    found = read_config(path)
    assert found == config
    assert type(found) is RetrainConfig
    write_options(config, path)
    options = yaml.safe_load(path.read_text())
    assert not {"data", "out", "genotype", "kind"} & set(options)
    assert RetrainConfig(**PLACES, genotype="darts-v2", **options) == config


def test_a_file_with_a_field_that_does_not_exist_is_refused_by_its_name(tmp_path):
    path = tmp_path / "config.yaml"
    write_config(config_of(), path)
    path.write_text(path.read_text() + "learning_rate: 0.1\nzeta: 1\n")
    with pytest.raises(
        ValueError, match=r"unknown fields 'learning_rate'.*, 'zeta'; known: data, .*, workers"
    ) as error:
        read_config(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("content", ["", "epochs: 3", "kind: grid", "- kind", "search", "kind:", "3"])
def test_a_file_of_another_kind_is_refused(content, tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"config\.yaml") as error:
        read_config(path)
    if "kind:" in content:
        assert "expected search or retrain" in str(error.value)


def test_a_run_of_another_kind_is_refused_by_both_folders(tmp_path):
    CellFolder.create(config_of(out=str(tmp_path / "cells")))
    RunFolder.create(FitConfig(data="x", out=str(tmp_path / "masks")))
    with pytest.raises(ValueError, match="cells is a run on a cell space; this is for runs on images with masks"):
        _ = RunFolder(tmp_path / "cells").config
    with pytest.raises(ValueError, match="masks is no run on a cell space"):
        _ = CellFolder(tmp_path / "masks").config


def test_a_part_of_a_run_is_continued_by_the_command_of_the_whole(tmp_path):
    whole = CellFolder.create(config_of("r-darts-l2", out=str(tmp_path / "run")))
    search = CellFolder.create(config_of(out=str(tmp_path / "run" / "searches" / "0")))
    short = CellFolder.create(RetrainConfig(**PLACES | {"out": str(search.path / "retrained")}, genotype="darts-v2"))
    alone = CellFolder.create(RetrainConfig(**PLACES | {"out": str(tmp_path / "retrained")}, genotype="darts-v2"))
    assert {part.outermost.path for part in (whole, search, short)} == {whole.path}
    assert short.resume_command == f"wholenet fit --resume {whole.path}"
    assert alone.resume_command == f"wholenet retrain --resume {alone.path}"
    assert whole.parts["search 1, trained"] == short.path


def test_a_method_that_is_not_known_is_refused_with_those_that_are():
    for make in (lambda: config_of("q-darts"), lambda: CellConfig(**PLACES, method="q-darts")):
        with pytest.raises(ValueError, match=r"'q-darts'; did you mean 'p-darts'.* Known: darts, .*, single-stage"):
            make()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("channels", 0),
        ("channels", 15),
        ("channels", 16.0),
        ("cells", 2),
        ("epochs", 0),
        ("epochs", True),
        ("batch", 0),
        ("batch", "64"),
        ("lr", 0.0),
        ("lr", float("nan")),
        ("lr_end", -0.1),
        ("momentum", 1.0),
        ("weight_decay", -1e-4),
        ("clip", -1.0),
        ("drop_path", 1.0),
        ("flip", 1.5),
        ("smoothing", -0.1),
        ("val_share", 1.0),
        ("weights_share", 1.0),
        ("weights_share", 0.0),
        ("warmup_share", 1.1),
        ("search_share", -0.1),
        ("arch_lr", 0.0),
        ("arch_weight_decay", -1.0),
        ("perturbation_end", -0.1),
        ("auxiliary_skip", 1),
        ("groups", 0),
        ("samples", 0),
        ("sample_batches", 0),
        ("val_every", 0),
        ("eigenvalue_every", -1),
        ("eigenvalue_tolerance", 0.0),
        ("regularize_by", 0.0),
        ("weight_decay_limit", 0.0),
        ("tune_epochs", -1),
        ("seed", -1),
        ("workers", -1),
        ("threads", -1),
        ("device", "tpu"),
    ],
)
def test_a_value_that_does_not_do_is_refused_by_its_name(name, value):
    with pytest.raises(ValueError, match=rf"^{name}={value!r}: expected"):
        config_of(**{name: value})


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("gradient", "third-order", "unknown gradient 'third-order'; did you mean 'first-order' or 'second-order'"),
        ("arch_update", "alternate", "unknown update 'alternate'; did you mean 'alternating'"),
        ("perturbation", "randon", "unknown perturbation 'randon'; did you mean 'random'"),
        ("stopping", "papers", "unknown rule of early stopping 'papers'; did you mean 'paper'"),
        ("selection", "gate", "unknown selection 'gate'; did you mean 'gates'"),
        ("gradient", 3, "gradient=3: expected"),
    ],
)
def test_a_part_that_is_not_there_is_refused_with_those_near(name, value, said):
    with pytest.raises(ValueError, match=said):
        config_of(**{name: value})


def test_a_protocol_is_no_method_and_one_that_contradicts_its_method_is_refused():
    with pytest.raises(ValueError, match="method='two-stage': that is a protocol, not a method; give protocol='two-st"):
        cell_config("two-stage", **PLACES)
    for protocol in ("search", "two-stage"):
        with pytest.raises(ValueError, match=f"method='single-stage' is protocol='single-stage' .* is '{protocol}'"):
            cell_config("single-stage", **PLACES, protocol=protocol)
    assert cell_config("single-stage", **PLACES, protocol="single-stage").protocol == "single-stage"


@pytest.mark.parametrize(("name", "value"), [("auxiliary", -0.1), ("genotype", 3), ("cells", 2), ("lr", -1.0)])
def test_a_training_refuses_the_like(name, value):
    with pytest.raises(ValueError, match=rf"^{name}={value!r}: expected"):
        RetrainConfig(**{**PLACES, "genotype": "darts-v1", name: value})


@pytest.mark.parametrize(
    ("method", "given", "message"),
    [
        ("darts-es", {"architecture": "uniform"}, "stopping='code' watches a search"),
        ("random-ws", {"stopping": "paper"}, "stopping='paper' watches a search"),
        ("darts-ada", {"stopping": "none"}, "after_stopping='regularize' needs a rule"),
        ("fair-darts", {"relaxation": "softmax"}, "selection='gates' .* relaxation='softmax'"),
        ("fair-darts", {"relaxation": "softmax", "selection": "strength"}, "regularizer='zero-one' .*'softmax'"),
        ("sdarts-rs", {"relaxation": "sigmoid"}, "perturbation disturbs weights that sum to 1"),
        ("sdarts-adv", {"gradient": "second-order"}, "perturbation='adversarial' .* gradient='second-order'"),
        ("random-ws", {"protocol": "single-stage"}, "sampling='random' .* protocol='single-stage' would do nothing"),
        ("pc-darts", {"channels": 12}, "channels=12: expected a multiple of 8 with groups=4"),
    ],
)
def test_parts_that_do_not_go_together_are_refused(method, given, message):
    with pytest.raises(ValueError, match=message):
        config_of(method, **given)


@pytest.mark.parametrize(
    ("method", "field", "strengths", "besides"),
    [
        ("r-darts-l2", "weight_decay", [3e-4, 9e-4, 27e-4, 81e-4], set()),
        # Cutout goes with drop-path, and never without it (RobustDARTS' code).
        ("r-darts-dp", "drop_path", [0.0, 0.2, 0.4, 0.6], {"cutout"}),
    ],
)
def test_robust_darts_searches_four_times_with_nothing_but_the_strength_changed(method, field, strengths, besides):
    config = config_of(method, space="s3", seed=5)
    searches = config.searches
    assert [getattr(search, field) for search in searches] == pytest.approx(strengths)
    assert len({search.out for search in searches}) == len(searches)
    assert all(search.out.startswith(f"{config.out}/") for search in searches)
    for search in searches:
        assert differences(search, config) <= {"out", "method", field, *besides}
        assert (search.method, search.searches) == ("darts", [])
    assert [search.cutout for search in searches] == ([0, 16, 16, 16] if besides else [0, 0, 0, 0])


def test_every_other_method_searches_once():
    assert {name for name in METHODS if config_of(name).searches} == {"r-darts-l2", "r-darts-dp"}


@pytest.mark.parametrize(("rule", "epochs"), [("code", 2), ("paper", 1)])
def test_a_stopping_rule_sets_how_often_the_eigenvalue_is_looked_at(rule, epochs):
    assert config_of(stopping=rule).eigenvalue_every == epochs
    for given in (0, 1, 2, 7):
        assert config_of(eigenvalue_every=given).eigenvalue_every == given
        if given == epochs:
            assert config_of(stopping=rule, eigenvalue_every=given).eigenvalue_every == epochs
        else:
            with pytest.raises(ValueError, match=f"eigenvalue_every={given}, but .* give eigenvalue_every={epochs}"):
                config_of(stopping=rule, eigenvalue_every=given)
    assert config_of("darts-es").eigenvalue_every == config_of("darts-ada").eigenvalue_every == 2


@pytest.mark.parametrize("name", METHODS)
def test_architecture_steps_take_batches_of_their_own_where_there_are_any_but_one_level_ones(name):
    config = config_of(name)
    assert config.moves_architecture == (name != "random-ws")
    assert config.takes_validation_batches == (name not in ("random-ws", "one-level", "snas", "gold-nas"))
    assert not config_of(gradient="first-order", architecture="uniform").takes_validation_batches


def test_drawn_methods_are_what_their_sources_say():
    """GDAS and SNAS: one draw, no term; SNAS one level, on the same images. DrNAS: an anchor in the place of weight
    decay. ProxylessNAS: expected cost, no weight decay."""
    plain = {"gradient": "first-order"}
    assert {name: METHODS[name].on_cells for name in ("gdas", "snas", "drnas", "proxyless")} == {
        "gdas": {**plain, "relaxation": "gumbel"},
        "snas": {"gradient": "one-level", "split": "same", "relaxation": "concrete"},
        "drnas": {**plain, "relaxation": "dirichlet", "regularizer": "anchor", "arch_weight_decay": 0.0},
        "proxyless": {**plain, "relaxation": "path", "regularizer": "cost", "arch_weight_decay": 0.0},
    }


def test_the_numbers_of_drawn_methods_are_those_of_their_sources():
    """GDAS' code: 10 to 0.1, linearly. SNAS' paper has none; ours: about 0.97 per epoch over its 150. DrNAS' anchor has
    the gradient of its code's decay of 1e-3. ProxylessNAS' script: "add#linear" with 0.1."""
    linear, geometric = (RELAXATIONS[name].draw.temperature for name in ("gumbel", "concrete"))
    assert [linear(time) for time in (0.0, 0.5, 1.0)] == pytest.approx([10, 5.05, 0.1])
    assert [geometric(time) for time in (0.0, 0.5, 1.0)] == pytest.approx([2.5, math.sqrt(2.5 * 0.026), 0.026])
    assert geometric(1 / 150) / geometric(0.0) == pytest.approx(0.97, abs=5e-4)
    assert REGULARIZERS["anchor"].term == Anchor(1e-3 / 2)
    assert REGULARIZERS["cost"].term == ExpectedCost(0.1)


def test_adams_betas_are_those_of_darts_and_of_the_second_search_of_dots():
    first = config_of(space="dots", channels=4, cells=3)
    assert first.following is not None
    second = dataclasses.replace(first.following, survivors=" ".join(["none:sep_conv_3x3"] * 28))
    searches = [first, second, config_of(space="s2", channels=4, cells=3)]
    with torch.device("meta"):
        optimizers = [initial_search(config, 2, torch.device("meta")).arch_optimizer for config in searches]
    assert [found.param_groups[0]["betas"] for found in optimizers] == [(0.5, 0.999), (0.9, 0.999), (0.5, 0.999)]
