"""P-DARTS: the numbers of its code, what goes from an edge and what is chosen, and runs that go on to the bit."""

import itertools
import re

import pytest
import torch
from rich.console import Console

from run_files import PICTURES, assert_equal, checkpoint, stop_after_checkpoints
from wholenet.architecture import RELAXATIONS, Architecture
from wholenet.cells.best_of import fit_cells, resume_cells
from wholenet.cells.start import initial_search
from wholenet.ops import draws
from wholenet.ops.candidates import Skip, drop_out
from wholenet.ops.forms import plain_form
from wholenet.report.in_words import in_words
from wholenet.report.operations_left import edges_with
from wholenet.search.cell_config import CellConfig, cell_config
from wholenet.search.cell_folder import CellFolder
from wholenet.search.cell_parts import parts_of, schedule_of
from wholenet.search.read_run import read_run
from wholenet.search.schedule import Now
from wholenet.search.stages import kept_after, later, skip_rate, skip_rates
from wholenet.search.steps import architecture_step, sgd
from wholenet.spaces.catalog import create_model
from wholenet.spaces.cell_family import DARTS_CELLS, family_of
from wholenet.spaces.cell_space import CellSettings
from wholenet.spaces.cell_tables import TABLES, TYPES
from wholenet.spaces.darts import CellMixture, DartsNet
from wholenet.spaces.nb201.genotype import TABLE as NB201
from wholenet.spaces.nb201.network import Nb201Net
from wholenet.spaces.skip_limit import with_skip_limit
from wholenet.spaces.survivors import kept_operations, strongest, surviving

QUIET = Console(quiet=True)
DARTS = TABLES["darts"]


def config_of(**given):
    return cell_config("p-darts", data="", out="runs/a", **given)


def chain(config):
    return [config, *later(config)]


def weights_for(table, seed):
    generator = torch.Generator().manual_seed(seed)
    return {
        kind: torch.randn(len(edges), len(edges[0].operations), generator=generator).double().softmax(-1)
        for kind, edges in table.items()
    }


# ---- the numbers of its code


def test_its_settings_are_those_of_its_code():
    stages = chain(config_of())
    assert [one.cells for one in stages] == [5, 11, 17]
    assert [one.stage for one in stages] == [0, 1, 2]
    assert [one.out for one in stages] == ["runs/a", "runs/a/stages/2", "runs/a/stages/3"]
    assert [kept_after(one)["normal"] for one in stages[:2]] == [5, 3]
    for one in stages:
        assert (one.epochs, one.batch, one.lr, one.lr_end, one.clip, one.arch_clip) == (25, 96, 0.025, 0, 5, 5)
        assert (one.arch_lr, one.arch_weight_decay, one.split, one.weights_share) == (6e-4, 1e-3, "disjoint", 0.5)
        assert (one.gradient, one.skip_limit, skip_rates(one)) == ("first-order", 2, [0.1, 0.4, 0.7])
        assert [(p.name, p.first, p.end) for p in one.phases[:2]] == [("warm-up", 0, 10), ("search", 10, 25)]
        schedule = schedule_of(one, 5)
        assert (schedule.rate(0), schedule.before, schedule.after) == (0.025, 0, 0)


def test_its_first_supernet_has_the_parameters_of_its_code():
    with torch.device("meta"):
        net = DartsNet(DARTS, 10, channels=16, cells=5)
    logits = sum(int(mask.sum()) for mask in net.masks.values())
    assert logits == 224
    assert sum(p.numel() for p in net.parameters()) + logits == 1_276_058  # its code counts both


def test_dropout_on_skips_falls_begins_again_with_the_search_and_falls_faster():
    rates = [skip_rate(0.7, epoch, 10, 25) for epoch in range(25)]
    known = {0: 0.672, 9: 0.42, 10: 0.7, 11: 0.573112, 24: 0.042567}
    assert {epoch: round(rates[epoch], 6) for epoch in known} == known
    assert rates[:10] == sorted(rates[:10], reverse=True)
    assert rates[10:] == sorted(rates[10:], reverse=True)


def test_an_epoch_has_the_dropout_of_its_stage_and_a_network_at_rest_has_none():
    third = chain(config_of(space="s3", channels=4, cells=3, stage_cells=0))[2]
    model = initial_search(third, 2, torch.device("cpu")).model
    at = parts_of(third, model).at
    assert at is not None
    at(Now(11, 0, 11.0, 25, 0.1))
    assert model.net.state.skip_dropout == pytest.approx(0.573112, abs=1e-6)
    assert create_model("s3", num_classes=2, channels=4, cells=3).net.state.skip_dropout == 0


# ---- what goes


def test_operations_on_an_edge_go_evenly_and_two_stay_while_there_is_a_choice():
    for offered, stages in itertools.product(range(1, 10), range(1, 6)):
        left = [kept_operations(offered, stages, stage) for stage in range(stages)]
        assert left[0] == offered
        assert left == sorted(left, reverse=True)
        assert left[-1] >= min(2, offered)
    assert [kept_operations(8, 3, stage) for stage in range(3)] == [8, 5, 3]


@pytest.mark.parametrize("table", [DARTS, TABLES["s1"], NB201])
def test_the_strongest_stay_none_too_and_the_line_says_which(table):
    weights = weights_for(table, 0)
    kept = {kind: max(1, len(edges[0].operations) - 3) for kind, edges in table.items()}
    left = surviving(strongest(weights, table, kept), table)
    for kind, edges in table.items():
        for edge, after, row in zip(edges, left[kind], weights[kind].tolist(), strict=True):
            assert (after.source, after.target) == (edge.source, edge.target)
            order = sorted(row, reverse=True)[: kept[kind]]
            assert [w for w in row if w in order] == [row[edge.operations.index(name)] for name in after.operations]
    uniform = {kind: torch.ones_like(rows) for kind, rows in weights.items()}
    first = surviving(strongest(uniform, table, dict.fromkeys(table, 2)), table)
    assert [edge.operations for edge in first[next(iter(table))]] == [
        edge.operations[:2] for edge in table[next(iter(table))]
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("none:skip_connect", "expected 28 edges, found 1"),
        ("none:sep " + "none:skip_connect " * 27, "'none:sep' on the normal cell's edge from node 0 to 2"),
        ("skip_connect:none " + "none:skip_connect " * 27, "in this order"),
        ("none " * 28, "not 'none' alone"),
        ("skip_connect " + "none:skip_connect " * 27, "expected 1 operations"),
    ],
)
def test_what_is_no_such_line_is_refused(text, said):
    with pytest.raises(ValueError, match=said):
        create_model("darts", num_classes=2, channels=4, cells=3, survivors=text)


@pytest.mark.parametrize("space", ["s3", "nb201"])
def test_a_network_of_survivors_computes_what_the_whole_one_does_with_the_others_at_zero(space):
    table = NB201 if space == "nb201" else TABLES[space]
    torch.manual_seed(0)
    whole = create_model(space, num_classes=3, channels=4, cells=3).net.double().eval()
    text = strongest(weights_for(table, 1), table, dict.fromkeys(table, 2))
    less = create_model(space, num_classes=3, channels=4, cells=3, survivors=text).net.double().eval()
    less.load_state_dict({name: whole.state_dict()[name] for name in less.state_dict()})
    left, few = surviving(text, table), weights_for(surviving(text, table), 2)
    full = {kind: torch.zeros(mask.shape, dtype=torch.float64) for kind, mask in whole.masks.items()}
    for kind, edges in left.items():
        for row, (edge, offered) in enumerate(zip(edges, table[kind], strict=True)):
            for place, name in enumerate(edge.operations):
                full[kind][row, offered.operations.index(name)] = few[kind][row, place]
    x = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    torch.testing.assert_close(less(x, few), whole(x, full), rtol=1e-10, atol=1e-12)


# ---- what is chosen


def limited(weights, table, limit, family=DARTS_CELLS):
    return with_skip_limit(family.discretize, weights, table, limit)


def kept_weights(genotype, weights, table, kind):
    rows = {(e.source, e.target): (row, e.operations) for row, e in enumerate(table[kind])}
    found = 0.0
    for edge in genotype.table()[kind]:
        row, operations = rows[edge.source, edge.target]
        found += weights[kind][row, operations.index(edge.operations[0])].item()
    return found


def test_a_limit_of_skips_is_met_by_the_normal_cell_alone_and_takes_no_more_than_it_must():
    for seed in range(20):
        table = surviving(strongest(weights_for(DARTS, seed), DARTS, dict.fromkeys(TYPES, 3)), DARTS)
        weights = weights_for(table, seed + 100)
        for edges, rows in zip(table.values(), weights.values(), strict=True):  # so that skips win often
            for edge, row in zip(edges, rows, strict=True):
                row[[name == "skip_connect" for name in edge.operations]] += 0.4
        before = {kind: rows.clone() for kind, rows in weights.items()}
        free = DARTS_CELLS.discretize(weights, table)
        assert limited(weights, table, 8) == free
        sums = [kept_weights(free, weights, table, "normal")]
        for limit in range(7, -1, -1):
            found = limited(weights, table, limit)
            assert found.operations("normal")["skip_connect"] <= limit
            assert found.reduce == free.reduce
            if free.operations("normal")["skip_connect"] <= limit:
                assert found == free
            sums.append(kept_weights(found, weights, table, "normal"))
        assert sums == sorted(sums, reverse=True)
        assert all(torch.equal(rows, before[kind]) for kind, rows in weights.items())


def test_a_limit_takes_the_weakest_skip_first_and_chooses_edges_anew():
    weights = {kind: torch.full((14, 8), 0.01) for kind in TYPES}
    skip, sep = DARTS["normal"][0].operations.index("skip_connect"), 4
    normal = weights["normal"]
    normal[0, skip], normal[1, skip] = 0.9, 0.8  # into node 2, both stay edges
    normal[2, skip], normal[3, sep], normal[4, sep] = 0.7, 0.6, 0.5  # into node 3: without its skip, edge 4 comes in
    normal[2, sep] = 0.1
    assert limited(weights, DARTS, 8).normal[1] == (("skip_connect", 0), ("sep_conv_3x3", 1))
    found = limited(weights, DARTS, 2)
    assert found.normal[0] == (("skip_connect", 0), ("skip_connect", 1))
    assert found.normal[1] == (("sep_conv_3x3", 1), ("sep_conv_3x3", 2))


def test_a_skip_that_is_all_that_an_edge_offers_stays_where_there_is_no_other():
    only = surviving("none:skip_connect " * 28, DARTS)
    assert limited(weights_for(only, 0), only, 0).operations("normal")["skip_connect"] == 8
    rows = weights_for(NB201, 3)
    rows["cell"][:, 1] += 1
    family = family_of("nb201")
    assert limited(rows, NB201, 6, family).operations("cell")["skip_connect"] == 6
    assert limited(rows, NB201, 2, family).operations("cell")["skip_connect"] == 2


# ---- dropout on skips, and clipping


def test_dropout_keeps_the_mean_and_is_on_skips_of_stride_one_in_training_alone():
    torch.manual_seed(0)
    found = drop_out(torch.ones(64, 4, 16, 16), 0.7)
    assert found.unique().tolist() == pytest.approx([0, 1 / 0.3])
    assert found.mean().item() == pytest.approx(1, abs=0.03)
    net = DartsNet(TABLES["s3"], 2, channels=4, cells=3)
    net.state.skip_dropout = 0.5
    mixtures = [m for m in net.modules() if isinstance(m, CellMixture)]
    for mode in (True, False):
        net.train(mode)
        for mixture in mixtures:
            running = mixture.running(net.state)
            changed = {name for name, layer in mixture.operations.items() if running[name] is not layer}
            drops = mode and isinstance(mixture.operations["skip_connect"], Skip)
            assert changed == ({"skip_connect"} if drops else set())
    assert {mixture.stride for mixture in mixtures} == {1, 2}


@pytest.mark.parametrize(
    "make", [lambda: DartsNet(TABLES["s3"], 3, channels=4, cells=3), lambda: Nb201Net(NB201, 3, channels=4, cells=3)]
)
def test_both_forms_drop_the_same(make, monkeypatch):
    monkeypatch.setattr(
        draws, "drawn_for_all", lambda like, _fill: (torch.arange(like.numel()) % 3 > 0).view(like.shape).to(like)
    )
    torch.manual_seed(0)
    net = make().double()
    x = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    found = {}
    for dropout, plain in itertools.product((0.0, 0.4), (True, False)):
        net.state.skip_dropout = dropout
        weights = {
            name: torch.linspace(0.1, 1, mask.numel(), dtype=torch.float64).view(mask.shape).requires_grad_()
            for name, mask in net.masks.items()
        }
        with plain_form(net, plain=plain):
            out = net(x, weights)
            found[dropout, plain] = (out.detach(), *torch.autograd.grad(out.square().sum(), list(weights.values())))
    for dropout in (0.0, 0.4):
        torch.testing.assert_close(found[dropout, True], found[dropout, False], rtol=1e-8, atol=1e-10)
    assert not torch.allclose(found[0.0, True][0], found[0.4, True][0])


def test_the_gradient_of_the_architecture_is_cut_to_a_norm():
    moved = []
    for clip in (0.0, 5.0, 50.0):
        arch = Architecture({"a": torch.ones(2, 2, dtype=torch.bool)}, RELAXATIONS["softmax"])
        arch.set_uniform()
        gradient = [torch.tensor([[6.0, 0.0], [0.0, 8.0]])]
        architecture_step(arch, gradient, sgd(list(arch.parameters()), 1.0, 0.0, 0.0), clip)
        moved.append(arch.logits["a"].detach())
    assert moved[0].norm().item() == moved[2].norm().item() == 10
    torch.testing.assert_close(moved[1], moved[0] / 2)


# ---- runs

SPECIAL = {"space": "s3", "method": "p-darts", "cells": 3, "stage_cells": 0, "checkpoint_minutes": 0.0, "epochs": 1}


@pytest.fixture(scope="module")
def whole(small_of, tmp_path_factory):
    with PICTURES:
        return fit_cells(small_of(str(tmp_path_factory.mktemp("stages") / "whole"), **SPECIAL), QUIET)


@pytest.mark.parametrize("stop", [1, 5])
def test_a_run_stopped_in_any_stage_goes_on_to_the_same_bits(whole, small_of, tmp_path, stop):
    stop_after_checkpoints(stop, lambda: fit_cells(small_of(str(tmp_path / "stopped"), **SPECIAL), QUIET))
    found = resume_cells(tmp_path / "stopped", QUIET)
    for part in (".", "stages/2", "stages/3"):
        assert_equal(checkpoint(whole.run / part), checkpoint(found.run / part))
    assert found.genotype == whole.genotype == family_of("s3").read(found.run / "genotype.yaml")
    assert family_of("s3").from_dict(CellFolder(found.run).result()["genotype"]) == whole.genotype


def test_each_stage_is_of_what_the_one_before_left_with_new_weights(whole):
    folders = [CellFolder(whole.run), *(CellFolder(whole.run / "stages" / str(n)) for n in (2, 3))]
    configs = [folder.search_config for folder in folders]
    tables = [config.table for config in configs]
    assert [{len(e.operations) for kind in TYPES for e in table[kind]} for table in tables] == [{3}, {2}, {2}]
    saved = [checkpoint(folder.path)["model"] for folder in folders]
    for config, before in zip(configs[1:], saved, strict=False):
        rows = {kind: before[f"arch.logits.{kind}"].softmax(-1) for kind in TYPES}
        last = configs[configs.index(config) - 1]
        assert config.survivors == strongest(rows, last.table, kept_after(last))
    assert whole.genotype == whole.following.following.genotype
    assert folders[2].resume_command.endswith(f"--resume {whole.run}")
    assert edges_with(tables[0], "none") == 28
    assert (whole.run / "stages.png").is_file()
    page = (whole.run / "report.html").read_text()
    assert "stages.png" in page or "stage by stage" in page
    said = [sentence for sentence in in_words(read_run(whole.run)) if sentence.startswith("Searches follow it")]
    assert len(said) == 1
    assert re.search(r"stage 2 of 3: 3 cells, 2 operations on each edge, 1 epochs; stage 3 of 3", said[0])
    assert {row["part"] for row in read_run(whole.run).results} == {"run", "stage 2", "stage 3"}


# ---- what does not go


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"selection": "perturbation"}, "stages=3 .* goes with selection='strength'"),
        ({"sampling": "random"}, "stages=3 .* sampling='none'"),
        ({"stopping": "paper", "eigenvalue_every": 1}, "stages=3 .* stopping='none'"),
        ({"architecture": "uniform"}, "stages=3 .* architecture='learned'"),
        ({"protocol": "single-stage"}, "stages=3 is searches that follow each other"),
        ({"skip_dropout": "0.1,0.4"}, "expected 3 probabilities"),
        ({"skip_dropout": "0.1,0.4,1"}, "expected 3 probabilities"),
        ({"skip_dropout": "a,b,c"}, "expected 3 probabilities"),
        ({"stage": 3}, "stage=3: stages=3 ends before"),
        ({"survivors": "none:skip_connect"}, "given by a run itself"),
        ({"cells": 199}, "cells=205"),
        ({"space": "nb201", "stage_cells": 1}, "cells=7: space 'nb201' has three equal stages"),
        ({"space": "dots"}, r"--?stages=3|stages=3 does not go with space 'dots'.* \(darts, s1 to s4, nb201\)"),
    ],
)
def test_what_cannot_carry_it_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        config_of(**given)


def test_a_limit_of_skips_alone_asks_for_a_choice_by_strength():
    assert cell_config("darts", data="", out="", skip_limit=2).skip_limit == 2
    with pytest.raises(ValueError, match=r"skip_limit=2 .* selection='strength'"):
        cell_config("darts-pt", data="", out="", skip_limit=2)


def test_old_configs_and_models_have_one_stage():
    assert CellConfig(data="", out="").following is None
    assert CellSettings().survivors == ""
    assert later(cell_config("darts", data="", out="")) == []
