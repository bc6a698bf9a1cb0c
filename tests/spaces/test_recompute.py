"""Recomputation changes what is kept, and not one bit of what comes out."""

import copy

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from toy import shallow
from wholenet.diagnostics.curvature import curvature
from wholenet.search.gradients import Bilevel
from wholenet.search.parts import GRADIENTS
from wholenet.search.steps import Batch, architecture_gradient, make_optimizers, simultaneous_step, weight_step
from wholenet.spaces.catalog import create_model
from wholenet.tasks.segmentation import SegmentationLoss

LOSS = SegmentationLoss()
RATES = {"lr": 0.05, "momentum": 0.9, "weight_decay": 5e-4, "arch_lr": 0.01, "arch_weight_decay": 0.1}


def made(recompute, cell="mixture"):
    torch.manual_seed(0)
    model = create_model("grid-nano", num_classes=3, cell=cell).placed(torch.device("cpu")).train()
    for logits in model.arch.parameters():
        logits.data.mul_(500)
    model.net.recompute = recompute
    return model


def batch(height=49, width=64):
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(2, 3, height, width, generator=generator)
    return Batch(images, torch.randint(3, (2, height, width), generator=generator))


def weight(model):
    return [weight_step(model, batch(), LOSS, make_optimizers(model, **RATES)[0])]


def simultaneous(model):
    value, gradient = simultaneous_step(model, batch(), LOSS, make_optimizers(model, **RATES)[0])
    return [value, *gradient]


def architecture(model):
    value, gradient = architecture_gradient(model, batch(), LOSS)
    return [value, *gradient]


def unrolled(model):
    optimizer = make_optimizers(model, **RATES)[0]
    value, gradient = GRADIENTS["second-order"](Bilevel(model, batch(), batch(), LOSS, optimizer))
    return [value, *gradient]


def spectrum(model):
    found = curvature(model, batch(), LOSS, tolerance=0.5)
    return [torch.tensor([found.lowest, found.highest])]


def architecture_with_statistics(model):
    value, gradient = architecture_gradient(model, batch(), LOSS, update_statistics=True)
    return [value, *gradient]


@pytest.mark.parametrize(
    ("step", "cell"),
    [
        (weight, "mixture"),
        (simultaneous, "mixture"),
        (architecture, "mixture"),
        (architecture_with_statistics, "mixture"),
        (unrolled, "mixture"),
        (spectrum, "mixture"),
        (simultaneous, "separate"),  # which moves what the others do
    ],
)
def test_steps_come_to_the_same_bits_statistics_included(step, cell):
    with shallow():
        kept, recomputed = made(False, cell), made(True, cell)
    before = copy.deepcopy(kept.state_dict())
    for first, second in zip(step(kept), step(recomputed), strict=True):
        assert torch.equal(first, second)
    after = kept.state_dict()
    assert all(torch.equal(value, recomputed.state_dict()[name]) for name, value in after.items())
    moved = any(not torch.equal(after[name], before[name]) for name in after if name.endswith("running_mean"))
    assert moved == (step in (weight, simultaneous, architecture_with_statistics))
    assert recomputed.net.recompute


def kept_for_the_backward_pass(model):
    """Bytes that are allocated in the forward pass and not freed at its end."""
    data = batch(128, 128)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        value = LOSS(model(data.images), data.targets)
    assert value.requires_grad
    return sum(event.self_cpu_memory_usage for event in recorded.events())


def test_it_keeps_a_tenth_or_less():
    assert kept_for_the_backward_pass(made(True)) < 0.1 * kept_for_the_backward_pass(made(False))


def test_evaluation_is_as_ever():
    model = made(True).eval()
    with torch.no_grad():
        out = model(batch().images)
        model.net.recompute = False
        assert torch.equal(out, model(batch().images))
