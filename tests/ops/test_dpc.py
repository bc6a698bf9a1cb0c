"""The dense prediction cell: counts and reach of the published one, and its place in the networks that may have it."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from wholenet.deploy.folds import fold
from wholenet.ops.dpc import BRANCHES, FEATURES, KEPT, DensePredictionCell
from wholenet.search.config import FitConfig, fit_config
from wholenet.spaces.autodeeplab.genotype import PUBLISHED as PATHS
from wholenet.spaces.catalog import SPACES, create_from, create_model, subnets
from wholenet.spaces.space import spec_from_dict

PUBLISHED = [(320, 356_160, 689_600, 2.9971), (2048, 814_080, 1_150_976, 6.8368)]


def parameters(module):
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(("inputs", "branches", "whole", "giga"), PUBLISHED)
def test_the_counts_are_the_published_ones(inputs, branches, whole, giga):
    with torch.device("meta"):
        cell = DensePredictionCell(inputs, 256).eval()
        convolutions = [m for m in cell.branches.modules() if isinstance(m, torch.nn.Conv2d)]
        assert sum(map(parameters, convolutions)) == branches == 265 * inputs + 271_360
        assert parameters(cell) == whole == 267 * inputs + 604_160
        with FlopCounterMode(display=False) as counter:
            for i, branch in enumerate(cell.branches):
                branch(torch.empty(1, 256 if i else inputs, 65, 129))
    # The paper's multiply-adds count 1,280 more for each pixel.
    assert (counter.get_total_flops() // 2 + 1280 * 65 * 129) / 1e9 == pytest.approx(giga, abs=5e-5)


@pytest.mark.parametrize(("filters", "expected"), [(16, 668_240), (64, 860_480)])
def test_the_cell_of_a_grid_is_counted_likewise(filters, expected):
    with torch.device("meta"):
        net = create_model("grid-small", num_classes=19, filters=filters, head="dpc").net
    assert parameters(net.decoder.cell) == expected


def test_the_branches_are_those_of_the_release():
    features = "features"
    listed = [(features, (1, 6)), (0, (18, 15)), (1, (6, 3)), (0, (1, 1)), (0, (6, 21))]
    assert [(features if source == FEATURES else source, rate) for source, rate in BRANCHES] == listed
    assert KEPT == 0.9


@pytest.mark.parametrize("stride", [16, 8])
def test_a_branch_sees_the_rows_and_columns_of_its_rates(stride):
    cell = DensePredictionCell(1, 1, stride).eval()
    for module in cell.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.ones_(module.weight)
    x = torch.zeros(1, 1, 161, 161)
    x[..., 80, 80] = 1
    seen = cell.branches[4](cell.branches[0](x))[0, 0].nonzero() - 80
    times = 16 // stride
    rows = [times * n for n in (-7, -6, -5, -1, 0, 1, 5, 6, 7)]
    columns = [times * n for n in (-27, -21, -15, -6, 0, 6, 15, 21, 27)]
    assert sorted(set(seen[:, 0].tolist())) == rows
    assert sorted(set(seen[:, 1].tolist())) == columns
    assert len(seen) == 81


def toy(name, **settings):
    torch.manual_seed(0)
    return create_model(name, num_classes=3, filters=4, head="dpc", **settings).double()


@pytest.mark.parametrize(("name", "settings"), [("grid-nano", {}), ("dense-grid-nano", {"layers": 2})])
@pytest.mark.parametrize("size", [(64, 96), (33, 47)])
def test_folding_a_network_with_it_changes_nothing(name, settings, size):
    model = toy(name, **settings).train()
    x = torch.randn(2, 3, *size, dtype=torch.float64)
    assert not torch.equal(model(x), model(x))  # dropout
    model.eval()
    assert model(x).shape == (2, 3, *size)
    flat = fold(model)
    torch.testing.assert_close(flat(x), model(x), atol=1e-12, rtol=1e-12)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in flat.modules())


def test_what_is_computed_again_is_what_was_computed():
    gradients = []
    for recompute in (False, True):
        model = toy("grid-nano").train()
        model.net.recompute = recompute
        torch.manual_seed(1)
        model(torch.ones(2, 3, 64, 64, dtype=torch.float64).cumsum(-1) / 64).square().mean().backward()
        gradients.append([p.grad for p in model.net.parameters()])
    for plain, again in zip(*gradients, strict=True):
        torch.testing.assert_close(plain, again, atol=1e-12, rtol=1e-9)


@pytest.mark.parametrize("name", ["grid-nano", "dense-grid-nano", "autodeeplab-tiny"])
def test_model_folders_say_nothing_of_a_plain_head_and_older_ones_have_it(name):
    plain = create_model(name, num_classes=3)
    assert "head" not in plain.spec.settings
    assert SPACES[plain.spec.space].settings_of(plain.spec.settings, whole=True).head == "plain"
    other = create_model(name, num_classes=3, head="dpc")
    again = create_from(spec_from_dict(other.spec.to_dict()))
    assert other.spec.settings["head"] == "dpc"
    assert list(again.state_dict()) == list(other.state_dict())


def test_the_network_of_a_path_takes_it_in_the_place_of_the_pyramid():
    genotype = {"path": "0 0 1", "cell": ["sep_conv_3x3(H-2) + skip_connect(H-1)"]}
    torch.manual_seed(0)
    model = create_model("autodeeplab-tiny", num_classes=3, head="dpc", genotype=genotype)
    assert model.net.pyramid.branches[0].depthwise[0].dilation == (2, 12)  # the path ends at stride 8
    assert model.eval()(torch.randn(1, 3, 33, 65)).shape == (1, 3, 33, 65)
    with torch.device("meta"):
        own = {"filters": 20, "genotype": PATHS["autodeeplab"], "head": "dpc"}
        net = create_model("autodeeplab-paper", num_classes=19, **own).net
    # 10,147,427 with the pyramid, whose 1,815,552 go; the path ends with 10 * 20 channels.
    assert parameters(net) == 10_147_427 - 1_815_552 + 267 * 200 + 604_160


def test_what_it_costs_is_not_counted_for_a_budget():
    with pytest.raises(ValueError, match="head='dpc': what it costs is not counted"):
        subnets(toy("grid-nano").spec)
    assert FitConfig(data="d", out="o").head == "plain"
    with pytest.raises(ValueError, match="head='big'"):
        fit_config(data="d", out="o", head="big")
