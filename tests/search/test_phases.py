import itertools

import pytest
import torch

from wholenet.architecture import Architecture
from wholenet.search.penalties import SCHEDULES, EntropyPenalty
from wholenet.search.phases import phase_at, single_stage
from wholenet.search.schedule import DECAYS, Schedule
from wholenet.spaces.links import masks


@pytest.mark.parametrize("epochs", [1, 2, 3, 4, 7, 20, 60, 600])
@pytest.mark.parametrize("shares", [(0.05, 0.35), (0.0, 0.4), (0.3, 0.7), (0.5, 0.0), (0.0, 0.0), (0.9, 0.1)])
def test_phases_cover_every_epoch_once_in_order(epochs, shares):
    phases = single_stage(epochs, *shares)
    assert [phase.name for phase in phases] == ["warm-up", "search", "fine-tune"]
    assert phases[0].first == 0
    assert all(phase.first <= phase.end for phase in phases)
    assert phases[-1].end == epochs
    for phase, following in itertools.pairwise(phases):
        assert phase.first <= phase.end == following.first
    names = [phase_at(phases, epoch).name for epoch in range(epochs)]
    assert len(names) == epochs


@pytest.mark.parametrize("epochs", [3, 4, 5, 10, 600])
def test_no_phase_with_a_share_is_skipped(epochs):
    assert all(phase.end > phase.first for phase in single_stage(epochs))


def test_the_papers_run_has_30_210_and_360_epochs():
    assert [phase.end - phase.first for phase in single_stage(600)] == [30, 210, 360]


def test_only_the_search_moves_the_architecture():
    assert [phase.moves_architecture for phase in single_stage(600)] == [False, True, False]


def test_an_epoch_outside_the_run_is_refused():
    with pytest.raises(ValueError, match="epoch 10 lies outside the run's 10"):
        phase_at(single_stage(10), 10)


def test_the_constant_penalty_is_a_step_and_the_linear_one_a_ramp():
    constant = EntropyPenalty(schedule="constant", start=90, end=240)
    linear = EntropyPenalty(schedule="linear", start=90, end=240)
    assert [constant.factor(t) for t in (0, 89.9, 90, 165, 240)] == [0, 0, 1, 1, 1]
    assert [linear.factor(t) for t in (0, 89.9, 90, 165, 240, 300)] == [0, 0, 0, 0.5, 1, 1]


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("name", ["alpha", "beta"])
def test_a_step_against_the_penalty_alone_lowers_the_entropy_it_penalises_and_no_other(schedule, name):
    arch = Architecture(masks(3), generator=torch.Generator().manual_seed(0))
    penalty = EntropyPenalty({name: 0.5}, schedule, start=0, end=1)
    before = {n: h.item() for n, h in arch.entropies().items()}
    for _ in range(50):
        gradients = torch.autograd.grad(penalty(arch, 1.0), list(arch.parameters()), allow_unused=True)
        with torch.no_grad():
            for logits, gradient in zip(arch.parameters(), gradients, strict=True):
                if gradient is not None:
                    logits -= gradient
    after = {n: h.item() for n, h in arch.entropies().items()}
    other = ({"alpha", "beta"} - {name}).pop()
    assert after[name] < before[name]
    assert after[other] == before[other]


def test_the_penalty_is_the_sum_of_group_entropies_times_its_magnitude():
    arch = Architecture(masks(2))
    entropies = arch.entropies()
    term = EntropyPenalty({"alpha": 0.1, "beta": 0.01}, "linear", start=0, end=10)(arch, 5.0)
    torch.testing.assert_close(term, 0.5 * (0.1 * entropies["alpha"] + 0.01 * entropies["beta"]))


def test_uniform_is_a_stationary_point_of_the_penalty():
    arch = Architecture(masks(2))
    arch.set_uniform()
    (gradient,) = torch.autograd.grad(EntropyPenalty({"alpha": 1.0})(arch, 1.0), [arch.logits["alpha"]])
    torch.testing.assert_close(gradient, torch.zeros_like(gradient), atol=1e-6, rtol=0)


def test_without_a_magnitude_or_before_its_start_there_is_no_penalty():
    arch = Architecture(masks(2))
    assert EntropyPenalty({"alpha": 0.0, "beta": 0.0})(arch, 5.0).item() == 0
    assert EntropyPenalty({"alpha": 1.0}, start=6)(arch, 5.0).item() == 0


def test_rates_fall_from_base_to_zero_over_the_whole_run_unless_they_are_constant():
    for decay in set(DECAYS) - {"constant"}:
        for end in (0.0, 0.01):
            schedule = Schedule(epochs=5, steps_per_epoch=2, lr=0.1, lr_end=end, decay=decay)
            rates = [schedule.rate(p / 2) for p in range(11)]
            assert rates[0] == pytest.approx(0.1)
            assert rates[-1] == pytest.approx(end)
            assert rates == sorted(rates, reverse=True)
            assert [schedule.now(2, step).lr for step in (0, 1)] == rates[4:6]
    assert Schedule(epochs=4, steps_per_epoch=1, lr=0.1).rate(2) == pytest.approx(0.1 * 0.5**0.9)
    still = Schedule(epochs=4, steps_per_epoch=1, lr=0.1, decay="constant")
    assert {still.rate(p) for p in range(5)} == {0.1}
    with pytest.raises(ValueError, match="poly, constant, cosine"):
        Schedule(epochs=4, steps_per_epoch=1, lr=0.1, decay="step").rate(2)
