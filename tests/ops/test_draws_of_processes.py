"""What several processes draw for their shares of a batch is what one draws for the batch."""

import pytest
import torch

from wholenet import parallel
from wholenet.ops.candidates import Noise, drop_path
from wholenet.ops.draws import rows_of


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("stride", [1, 2])
def test_shares_of_a_batch_get_the_noise_and_the_dropped_paths_of_the_batch(layout, stride, monkeypatch):
    x = torch.rand(6, 5, 8, 4).to(memory_format=layout)[:, :3]

    def drawn(part):
        torch.manual_seed(0)
        return drop_path(part + 1, 0.5), Noise(stride)(part), torch.rand(1)

    whole = drawn(x)
    monkeypatch.setattr(parallel, "processes", lambda: 3)
    parts = []
    for rank in range(3):
        monkeypatch.setattr(parallel, "rank", lambda rank=rank: rank)
        parts.append(drawn(x[2 * rank : 2 * rank + 2]))
    paths, noise, after = (torch.cat(found) for found in zip(*parts, strict=True))
    assert torch.equal(paths, whole[0])
    assert 0 < (paths == 0).sum() < paths.numel()
    assert torch.equal(noise, whole[1])
    assert torch.equal(after, whole[2].repeat(3))  # they stay together

    with rows_of(4, 6):  # another share than an equal one
        assert torch.equal(drawn(x[4:5])[1], whole[1][4:5])
