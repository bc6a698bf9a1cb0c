"""Which edges a smaller budget keeps."""

import pytest
import torch

from wholenet.architecture import weakest_first
from wholenet.spaces.catalog import create_model
from wholenet.studies.budget import RANKINGS, at_random, by_strength, ranked_cut

SHARES = (0.0, 0.2, 0.5, 0.8)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    model = create_model("grid-nano", num_classes=3)
    torch.nn.init.normal_(model.arch.logits["beta"])
    return model


@pytest.fixture(scope="module")
def mask(model):
    return model.net.masks["beta"]


@pytest.mark.parametrize("ranking", RANKINGS.values())
@pytest.mark.parametrize("share", SHARES)
def test_a_cut_drops_what_was_asked_for_and_each_cell_that_is_left_sums_to_one(ranking, share, model, mask):
    cut, dropped = ranked_cut(model, ranking, share, seed=1)
    beta = cut.arch()["beta"]
    assert dropped == round(share * int(mask.sum()))
    assert int((beta > 0).sum()) == int(mask.sum()) - dropped
    assert not (beta[~mask] > 0).any()
    sums = beta.sum(-1)
    torch.testing.assert_close(sums[sums > 0], torch.ones_like(sums[sums > 0]))
    assert cut.net is model.net


def test_by_strength_is_the_ranking_of_the_paper(model, mask):
    beta = model.arch()["beta"].detach()
    gone = (
        ranked_cut(model, by_strength, 0.5, seed=1)[0]
        .arch()["beta"]
        .flatten()[weakest_first(beta, mask)[: round(0.5 * int(mask.sum()))]]
    )
    assert not gone.any()


def test_chance_leaves_no_cell_without_input_before_it_has_to(model, mask):
    cells = mask[..., 0].numel()
    one_each = 1 - cells / int(mask.sum())
    for seed in range(5):
        beta = ranked_cut(model, at_random, one_each, seed)[0].arch()["beta"]
        assert ((beta > 0).sum(-1) == 1).all()


def test_chance_is_the_seeds_alone_and_takes_no_notice_of_strengths(model, mask):
    uniform = mask / mask.sum(-1, keepdim=True)
    learned = model.arch()["beta"].detach()
    assert torch.equal(at_random(uniform, mask, 3), at_random(learned, mask, 3))
    orders = {tuple(weakest_first(at_random(learned, mask, seed), mask).tolist()) for seed in range(5)}
    assert len(orders) == 5
