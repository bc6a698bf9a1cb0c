"""BatchNorm statistics are plain averages, and nothing else changes."""

import copy

import pytest
import torch
from torch import nn

from wholenet.diagnostics.batchnorm import recalibrated
from wholenet.spaces.catalog import create_model

pytestmark = pytest.mark.usefixtures("shallow")


@pytest.fixture
def model():
    torch.manual_seed(0)
    own = create_model("grid-nano", num_classes=2)
    own.train()(torch.randn(4, 3, 32, 32) * 3)  # some statistics to be replaced
    return own.eval()


@pytest.fixture
def batches():
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(size, 3, 32, 32, generator=generator) + size for size in (2, 3, 5)]


def norms(model):
    return {name: module for name, module in model.named_modules() if isinstance(module, nn.BatchNorm2d)}


def test_the_first_layer_has_the_average_of_its_per_batch_statistics(model, batches):
    norm = recalibrated(model, batches).net.stems["0"][0][1]
    with torch.no_grad():
        outputs = [model.net.stems["0"][0][0](batch) for batch in batches]
    means = torch.stack([y.mean((0, 2, 3)) for y in outputs])
    variances = torch.stack([y.var((0, 2, 3)) for y in outputs])
    torch.testing.assert_close(norm.running_mean, means.mean(0))
    torch.testing.assert_close(norm.running_var, variances.mean(0))


def test_every_layer_has_the_average_of_what_each_batch_alone_would_give(model, batches):
    together = norms(recalibrated(model, batches))
    alone = [norms(recalibrated(model, [batch])) for batch in batches]
    assert together
    for name, norm in together.items():
        for statistic in ("running_mean", "running_var"):
            mean = torch.stack([getattr(single[name], statistic) for single in alone]).mean(0)
            torch.testing.assert_close(getattr(norm, statistic), mean)


def test_parameters_are_bit_equal_and_the_original_is_untouched(model, batches):
    before = copy.deepcopy(model.state_dict())
    momenta = {name: norm.momentum for name, norm in norms(model).items()}
    again = recalibrated(model, batches)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name
    for name, parameter in again.named_parameters():
        assert torch.equal(parameter, before[name]), name
    assert {name: norm.momentum for name, norm in norms(again).items()} == momenta
    assert not model.training
    assert not any(module.training for module in again.modules())


def test_a_network_in_training_stays_so(model, batches):
    assert recalibrated(model.train(), batches).training
    assert all(module.training for module in model.modules())


def test_no_batch_is_refused(model):
    with pytest.raises(ValueError, match="at least one"):
        recalibrated(model, [])
