"""BatchNorms side by side are each what it is by itself."""

import copy

import pytest
import torch
from torch import nn

from wholenet import parallel
from wholenet.ops.joint import joint_norm, norm_alike
from wholenet.ops.norms import BatchNorm
from wholenet.ops.statistics import still_statistics

CHANNELS, RUNS = 3, 2


def some_norms(*, affine, momentum=0.1):
    torch.manual_seed(0)
    norms = nn.ModuleList(BatchNorm(CHANNELS, affine=affine, momentum=momentum) for _ in range(2)).double()
    for norm in norms:
        norm.running_mean.normal_()
        if affine:
            nn.init.normal_(norm.weight)
            nn.init.normal_(norm.bias)
    return norms


def one_by_one(norms, maps):
    """Each run of each, one after the other."""
    return torch.cat([torch.cat([norm(x) for x in parts.chunk(RUNS)]) for norm, parts in maps], dim=1)


@pytest.mark.parametrize("momentum", [0.1, None])
@pytest.mark.parametrize("affine", [True, False])
def test_runs_behind_each_other_are_normalised_and_counted_one_by_one(affine, momentum):
    norms = some_norms(affine=affine, momentum=momentum)
    alone = copy.deepcopy(norms)
    x = torch.randn(2 * RUNS, 2 * CHANNELS, 4, 5, dtype=torch.float64)
    scales = torch.tensor([0.25, 3.0], dtype=torch.float64)
    found = joint_norm(x, list(norms), scales, runs=RUNS)
    expected = (
        one_by_one(norms, zip(alone, x.chunk(2, 1), strict=True)) * scales.repeat_interleave(CHANNELS)[:, None, None]
    )
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(norms.state_dict(), alone.state_dict())
    assert norms[0].num_batches_tracked == RUNS


def test_what_all_make_of_one_map_moves_the_statistics_of_each():
    norms = some_norms(affine=False)
    alone = copy.deepcopy(norms)
    x = torch.randn(2 * RUNS, CHANNELS, 4, 5, dtype=torch.float64)
    with still_statistics(norms):
        before = copy.deepcopy(norms.state_dict())
        norm_alike(x, list(norms), runs=RUNS)
        assert all(torch.equal(before[key], value) for key, value in norms.state_dict().items())
    found = norm_alike(x, list(norms), runs=RUNS)
    both = one_by_one(norms, [(norm, x) for norm in alone])
    torch.testing.assert_close(torch.cat([found, found], dim=1), both)
    torch.testing.assert_close(norms.state_dict(), alone.state_dict())


def test_a_batch_is_that_of_all_processes(monkeypatch):
    norms = some_norms(affine=True)
    alone = copy.deepcopy(norms)
    ours, theirs = torch.randn(2, 2, 2 * CHANNELS, 4, 5, dtype=torch.float64)
    whole = torch.cat([ours, theirs])
    expected = torch.cat([norm(x) for norm, x in zip(alone, whole.chunk(2, 1), strict=True)], dim=1)[: len(ours)]

    def with_theirs(own):
        variance, mean = torch.var_mean(theirs, (0, 2, 3), correction=0)
        return torch.stack([own, torch.cat([mean, variance, own[-1:]])])

    monkeypatch.setattr(parallel, "processes", lambda: 2)
    monkeypatch.setattr(parallel, "gathered", with_theirs)
    torch.testing.assert_close(joint_norm(ours, list(norms)), expected)
    torch.testing.assert_close(norms.state_dict(), alone.state_dict())
