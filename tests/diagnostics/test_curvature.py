"""The ends of the Hessian's spectrum: against matrices known, brute force, and each other."""

import copy
import csv
import json
from functools import partial

import pytest
import torch
import torch.nn.functional as F

from wholenet.architecture import Architecture
from wholenet.diagnostics.curvature import curvature, hessian, hessian_product, lanczos
from wholenet.search.steps import Batch
from wholenet.spaces.catalog import create_model
from wholenet.spaces.supernet import with_weights
from wholenet.tasks.segmentation import SegmentationLoss

pytestmark = pytest.mark.usefixtures("shallow")

LOSS = SegmentationLoss()


def symmetric(values, seed=0):
    """A matrix with these eigenvalues."""
    generator = torch.Generator().manual_seed(seed)
    turn, _ = torch.linalg.qr(torch.randn(len(values), len(values), generator=generator, dtype=torch.float64))
    return turn @ torch.diag(torch.tensor(values, dtype=torch.float64)) @ turn.T


SPECTRA = {
    "both signs": [-3.0, *torch.linspace(-0.5, 0.5, 60).tolist(), 2.0],
    "lowest is larger in magnitude": [-5.0, *[0.0] * 30, 4.0],
    "rank one": [*[0.0] * 40, 7.0],
    "multiple": [-1.0] * 10 + [1.0] * 10,
    "a multiple of the identity": [2.5] * 12,
    "zero": [0.0] * 8,
    "one by one": [-4.0],
    "crowded at one end": [-1.0, *torch.linspace(0.9, 1.0, 40).tolist(), 1.3],
}


@pytest.mark.parametrize("name", SPECTRA)
@pytest.mark.parametrize("tolerance", [1e-3, 1e-6])
def test_lanczos_finds_both_ends_within_its_tolerance(name, tolerance):
    values = SPECTRA[name]
    matrix = symmetric(values)
    lowest, highest, products, bound = lanczos(lambda v: matrix @ v, len(values), matrix[0], tolerance)
    scale = max(map(abs, values)) + 1e-12
    assert abs(lowest - min(values)) <= max(tolerance, 1e-10) * scale
    assert abs(highest - max(values)) <= max(tolerance, 1e-10) * scale
    assert products <= len(values)
    assert bound <= tolerance


def test_lanczos_finds_the_logged_eigenvalue_of_real_hessians(robustdarts):
    """RobustDARTS on S1, 56 logits: full Hessians and the eigenvalues that its own dense solver found."""
    with (robustdarts / "eigenvalues_s1_cifar10.csv").open() as file:
        logged = {
            (float(row["drop_path"]), float(row["weight_decay"]), int(row["seed"]), int(row["epoch"])): row
            for row in csv.DictReader(file)
        }
    for entry in json.loads((robustdarts / "hessians_s1_cifar10.json").read_text()):
        n = len(entry["H_upper"])
        matrix = torch.zeros(n, n, dtype=torch.float64)
        for i, row in enumerate(entry["H_upper"]):
            matrix[i, i:] = matrix[i:, i] = torch.tensor(row, dtype=torch.float64)
        lowest, highest, products, _ = lanczos(partial(torch.mv, matrix), n, matrix[0], 1e-4)
        expected = logged[entry["drop_path"], entry["weight_decay"], entry["seed"], entry["epoch"]]
        assert highest == pytest.approx(float(expected["lambda_max"]), rel=1e-3)
        assert lowest == pytest.approx(float(expected["lambda_min"]), abs=1e-3 * highest)
        assert products < n / 2


def test_lanczos_takes_fewer_products_than_there_are_rows():
    matrix = symmetric(SPECTRA["both signs"])
    assert lanczos(lambda v: matrix @ v, len(matrix), matrix[0], 1e-3)[2] < len(matrix) / 4


def test_the_hessian_of_a_quadratic_form_is_its_matrix_where_it_counts():
    matrix = symmetric([1.0, 2.0, -3.0, 4.0, 5.0, 6.0])
    first, second = (torch.randn(n, dtype=torch.float64, requires_grad=True) for n in (4, 2))
    unused = torch.randn(3, dtype=torch.float64, requires_grad=True)
    x = torch.cat([first, second])
    counts = [torch.tensor([True, True, False, True]), torch.ones(2, dtype=torch.bool), torch.ones(3, dtype=torch.bool)]
    product, n = hessian_product(x @ matrix @ x / 2, [first, second, unused], counts)
    found = hessian(product, n, first)
    kept = [0, 1, 3, 4, 5]
    expected = torch.zeros(8, 8, dtype=torch.float64)
    expected[:5, :5] = matrix[kept][:, kept]
    torch.testing.assert_close(found, expected)


@pytest.fixture
def model():
    torch.manual_seed(0)
    model = create_model("grid-nano", num_classes=3).double()
    for logits in model.arch.parameters():
        logits.data.mul_(300)
    return model


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(2, 3, 48, 64, generator=generator, dtype=torch.float64)
    return Batch(images, torch.randint(3, (2, 48, 64), generator=generator))


@pytest.mark.parametrize("batchnorm", ["batch", "running"])
def test_lanczos_and_rows_agree_on_a_segmentation_supernet(model, batch, batchnorm):
    rows = curvature(model, batch, LOSS, batchnorm=batchnorm, method="rows")
    fast = curvature(model, batch, LOSS, batchnorm=batchnorm, tolerance=1e-4)
    scale = max(abs(rows.lowest), abs(rows.highest))
    assert abs(fast.highest - rows.highest) <= 1e-4 * scale
    assert abs(fast.lowest - rows.lowest) <= 1e-4 * scale
    there = sum(int(model.arch.mask(name).sum()) for name in model.arch.logits)
    assert rows.products == rows.logits == fast.logits == there
    assert fast.products < rows.products
    assert (fast.images, fast.batchnorm) == (2, batchnorm)


def test_curvature_is_the_second_difference_of_the_loss_along_a_direction(model, batch):
    """In eval mode the loss is a smooth function of the logits but for kinks in the activations."""
    model.eval()
    model.arch.unfreeze()
    value = LOSS(model(batch.images), batch.targets)
    masks = [model.arch.mask(name) for name in model.arch.logits]
    product, n = hessian_product(value, list(model.arch.parameters()), masks)
    direction = torch.randn(n, generator=torch.Generator().manual_seed(1), dtype=torch.float64)

    def loss_at(step):
        moved, offset = copy.deepcopy(model), 0
        for logits, mask in zip(moved.arch.parameters(), masks, strict=True):
            count = int(mask.sum())
            logits.data[mask] += step * direction[offset : offset + count]
            offset += count
        with torch.no_grad():
            return LOSS(moved(batch.images), batch.targets)

    step = 1e-4
    difference = (loss_at(step) - 2 * loss_at(0.0) + loss_at(-step)) / step**2
    torch.testing.assert_close(difference, direction @ product(direction), rtol=1e-2, atol=1e-6)


def test_rows_of_a_softmax_sum_to_the_weight_decay(model, batch):
    """Adding the same number to all logits of a group changes nothing (fact sheet of RobustDARTS)."""
    model.arch.unfreeze()
    model.train()
    product, n = hessian_product(
        LOSS(model(batch.images), batch.targets),
        list(model.arch.parameters()),
        [model.arch.mask(name) for name in model.arch.logits],
    )
    kernels = model.arch.mask("alpha").shape[-1]
    group = torch.zeros(n, dtype=torch.float64)
    group[:kernels] = 1
    assert product(group).abs().max() < 1e-12
    without, with_it = (curvature(model, batch, LOSS, weight_decay=decay) for decay in (0.0, 0.5))
    assert with_it.highest == pytest.approx(without.highest + 0.5)
    assert with_it.lowest == pytest.approx(without.lowest + 0.5)


def test_it_leaves_the_model_as_it_was(model, batch):
    model.train()
    model.arch.freeze()
    before = copy.deepcopy(model.state_dict())
    curvature(model, batch, LOSS, tolerance=0.1)
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in before.items())
    assert model.training
    assert not any(p.requires_grad for p in model.arch.parameters())
    assert all(p.requires_grad and p.grad is None for p in model.net.parameters())


def test_a_fixed_architecture_and_unknown_ways_are_refused(model, batch):
    with torch.no_grad():
        fixed = with_weights(model, model.arch())
    with pytest.raises(ValueError, match="fixed"):
        curvature(fixed, batch, LOSS)
    with pytest.raises(ValueError, match="lanczos or rows"):
        curvature(model, batch, LOSS, method="power")
    with pytest.raises(ValueError, match=r"tolerance=-1: expected a number in"):
        curvature(model, batch, LOSS, tolerance=-1)


@pytest.mark.parametrize("method", ["lanczos", "rows"])
def test_a_hessian_that_is_not_finite_is_a_divergence(model, batch, method):
    """Not an error of the solver, which knows nothing of training."""
    endless = batch._replace(images=torch.full_like(batch.images, torch.inf))
    with pytest.raises(FloatingPointError, match="curvature in the architecture is not finite"):
        curvature(model, endless, LOSS, method=method)
    assert all(p.requires_grad for p in model.net.parameters())


def test_a_linear_softmax_has_the_closed_form_hessian():
    """Cross-entropy of logits themselves: diag(p) - p p^T."""
    arch = Architecture({"alpha": torch.ones(1, 5, dtype=torch.bool)}).double()
    (logits,) = arch.parameters()
    value = F.cross_entropy(logits, torch.tensor([2]))
    product, n = hessian_product(value, [logits], [arch.mask("alpha")])
    p = logits.detach().softmax(-1)[0]
    torch.testing.assert_close(hessian(product, n, logits), torch.diag(p) - torch.outer(p, p))
