"""Uniform weights express what a search learned, as long as nothing is removed."""

import copy

import pytest
import torch

from wholenet.diagnostics.twin import twin_difference, uniform_twin
from wholenet.spaces.catalog import create_model, shrink, subnets

pytestmark = pytest.mark.usefixtures("shallow")


def searched(**settings):
    torch.manual_seed(0)
    model = create_model("grid-nano", num_classes=4, **settings).double()
    for logits in model.arch.logits.values():
        torch.nn.init.normal_(logits, std=2)
    for parameter in model.net.parameters():
        if parameter.ndim == 1:
            torch.nn.init.normal_(parameter, std=1)
    return model


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"cell": "separate"},
        {"operations": "conv_3x3,conv_7x7,dil_conv_3x3"},
        {"relaxation": "sigmoid"},
    ],
)
def test_uniform_weights_express_the_same_function_to_1e_12(settings, training):
    model = searched(**settings).train(training)
    twin = uniform_twin(model)
    x = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    for name, weights in twin.arch().items():
        there = model.net.masks[name]
        counts = there.sum(-1, keepdim=True).expand_as(weights)[there]
        torch.testing.assert_close(weights[there], 1 / counts, check_dtype=False)
    expected = copy.deepcopy(model)(x)
    moved = model.arch.normalized_entropies()
    assert max(moved.values()) < 0.9  # a search that decided something
    torch.testing.assert_close(twin(x), expected, rtol=1e-12, atol=1e-12 * expected.abs().max().item())
    assert twin_difference(model) < 1e-12


def test_where_none_is_known_there_is_none():
    assert uniform_twin(searched(cell="separate", relaxation="sigmoid")) is None
    assert twin_difference(create_model("s2", num_classes=3, channels=4, cells=3)) is None


def test_what_was_removed_no_weights_bring_back():
    model = searched().eval()
    x = torch.randn(1, 3, 64, 64, dtype=torch.float64)
    before = model(x)
    known = subnets(model.spec)
    left = known.whole()
    for unit in [unit for unit in known.units(left) if unit.kind == "channels"][::3]:
        left = known.without(left, unit)
    shrink(model, left)
    assert twin_difference(model) < 1e-12  # of what is left there is one
    assert not torch.allclose(model(x), before)
