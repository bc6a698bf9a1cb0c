"""Multiply-adds of training, against a count of every convolution that real steps run."""

import functools

import pytest
import torch
import torch.nn.functional as F

from wholenet.architecture import masked_softmax
from wholenet.search.config import FitConfig
from wholenet.search.cost import run_macs, step_cost
from wholenet.search.run_folder import RunFolder
from wholenet.search.steps import Batch, architecture_gradient, make_optimizers, simultaneous_step, weight_step
from wholenet.spaces.catalog import create_model
from wholenet.spaces.decoding import decode
from wholenet.spaces.genotype import write_genotype
from wholenet.spaces.links import masks
from wholenet.tasks.segmentation import SegmentationLoss

RATES = {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.0, "arch_lr": 0.01, "arch_weight_decay": 0.0}
CROP = (32, 64)
NANO = {"name": "grid-nano", "num_classes": 3}


@functools.cache
def cost_of(decoding="none"):
    """Of nano in batches of 2, whole or cut: counting takes seconds."""
    return step_cost(spec_of(**({} if decoding == "none" else {"genotype": discrete(decoding)})), 2, CROP)


def spec_of(**options):
    return create_model(**NANO, **options).spec


@pytest.fixture
def counts_at_hand(monkeypatch):
    """``run_macs`` takes its counts from ``cost_of``, if it asks for the right ones."""

    def at_hand(spec, size, crop):
        assert (spec.model_name, spec.outputs, size, crop) == (*NANO.values(), 2, CROP)
        assert spec.genotype in (None, discrete().to_dict())
        return cost_of("none" if spec.genotype is None else "best-path")

    monkeypatch.setattr("wholenet.search.cost.step_cost", at_hand)


def discrete(decoding="best-path"):
    generator = torch.Generator().manual_seed(0)
    weights = {
        name: masked_softmax(torch.randn(mask.shape, generator=generator), mask) for name, mask in masks(3).items()
    }
    return decode(weights, decoding)


def counted(monkeypatch, step):
    """Multiply-adds of a step that is really run: each output value of a convolution is a sum over its kernel; each
    gradient that is asked for costs the same again."""
    convolve, total = F.conv2d, 0

    def counting(x, weight, *args, **kwargs):
        nonlocal total
        out = convolve(x, weight, *args, **kwargs)
        total += out.numel() * weight[0].numel() * (1 + x.requires_grad + weight.requires_grad)
        return out

    monkeypatch.setattr(F, "conv2d", counting)
    step()
    monkeypatch.undo()
    return total


def batch(size=2):
    return Batch(torch.randn(size, 3, *CROP), torch.randint(3, (size, *CROP)))


def prepared(**spec):
    model = create_model(**NANO, **spec).train()
    return model, SegmentationLoss(), make_optimizers(model, **RATES)[0]


@pytest.mark.parametrize("spec", [{}, {"cell": "separate"}, {"genotype": discrete()}], ids=["mixture", "sep", "path"])
def test_a_weight_step_costs_what_its_convolutions_add_up_to(spec, monkeypatch):
    model, loss, optimizer = prepared(**spec)
    expected = counted(monkeypatch, lambda: weight_step(model, batch(), loss, optimizer))
    assert step_cost(spec_of(**spec), 2, CROP).weight == expected > 0


@pytest.mark.parametrize("cell", ["mixture", "separate"])
def test_an_architecture_step_costs_what_its_convolutions_add_up_to(cell, monkeypatch):
    model, loss, _ = prepared(cell=cell)
    expected = counted(monkeypatch, lambda: architecture_gradient(model, batch(), loss))
    assert step_cost(spec_of(cell=cell), 2, CROP).architecture == expected > 0


def test_a_simultaneous_step_costs_a_weight_step(monkeypatch):
    model, loss, optimizer = prepared()
    expected = counted(monkeypatch, lambda: simultaneous_step(model, batch(), loss, optimizer))
    assert cost_of().weight == expected


def test_costs_are_linear_in_the_batch():
    two, five = cost_of(), step_cost(spec_of(), 5, CROP)
    assert (2 * five.weight, 2 * five.architecture) == (5 * two.weight, 5 * two.architecture)


@pytest.mark.parametrize("decoding", ["best-path", "strongest", "threshold"])
def test_a_discrete_network_has_nothing_to_search_and_costs_less(decoding):
    assert cost_of(decoding).architecture == 0
    assert cost_of(decoding).weight < cost_of().weight


def recorded(path, epochs, searched, **options):
    """A run folder as training would leave it: 9 images in batches of 2 are 4 steps an epoch."""
    config = FitConfig(data="x", out=str(path), size="nano", batch=2, **options)
    run = RunFolder.create(config)
    run.write_environment(
        {"crop": list(CROP), "train": {"class_pixels": [1, 1, 1]}, "val": {}, "images": {"weights": 9}}
    )
    for number in range(epochs):
        run.log({"epoch": number, "arch_loss": 1.0 if number in searched else None})
    return run


@pytest.mark.parametrize(("arch_update", "paid"), [("alternating", 2), ("simultaneous", 0)])
def test_a_run_costs_its_weight_steps_and_the_architecture_steps_of_its_searched_epochs(
    arch_update, paid, tmp_path, counts_at_hand
):
    cost = cost_of()
    run = recorded(tmp_path / "run", 5, {1, 2}, arch_update=arch_update)
    assert run_macs(run) == 4 * (5 * cost.weight + paid * cost.architecture)


def test_a_two_stage_run_costs_both_stages(tmp_path, counts_at_hand):
    run = recorded(tmp_path / "run", 7, {}, protocol="two-stage", retrain_epochs=7)
    write_genotype(discrete(), run.genotype)
    search = recorded(tmp_path / "run" / "search", 3, {1, 2})
    retraining = 4 * 7 * cost_of("best-path").weight
    assert run_macs(run) == retraining + run_macs(search)


def test_a_run_of_a_given_genotype_costs_the_discrete_network_alone(tmp_path, counts_at_hand):
    run = recorded(tmp_path / "run", 2, {}, genotype="elsewhere.yaml")
    write_genotype(discrete(), run.genotype)
    assert run_macs(run) == 4 * 2 * cost_of("best-path").weight


def test_a_run_that_has_not_begun_has_no_cost(tmp_path):
    run = RunFolder.create(FitConfig(data="x", out=str(tmp_path / "run")))
    with pytest.raises(ValueError, match="has not begun"):
        run_macs(run)
