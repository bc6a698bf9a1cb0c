"""Passes that draw the same, and where they leave the generators."""

from contextlib import suppress

import pytest
import torch

from wholenet.ops.draws import Draws

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU"))]


@pytest.mark.parametrize("device", DEVICES)
def test_every_pass_draws_what_the_first_drew_and_the_generators_go_on_from_there(device):
    torch.manual_seed(0)
    first, between, last = (torch.randn(3, device=device) for _ in range(3))
    torch.manual_seed(0)
    draws = Draws(torch.device(device))
    with draws.same():
        assert torch.equal(torch.randn(3, device=device), first)
    assert torch.equal(torch.randn(3, device=device), between)
    for n in (3, 1, 3):  # as many or fewer
        with draws.same():
            assert torch.equal(torch.randn(3, device=device)[:n], first[:n])
    with suppress(ZeroDivisionError), draws.same():
        _ = torch.randn(7, device=device).numel() / 0
    assert torch.equal(torch.randn(3, device=device), last)
