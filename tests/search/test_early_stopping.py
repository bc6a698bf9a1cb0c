"""RobustDARTS' stopping rule: worked by hand, replayed on its own trajectories."""

import csv
from collections import defaultdict

import pytest

from wholenet.search.early_stopping import RULES, StoppingRule

CODE, PAPER = RULES["code"], RULES["paper"]


def every_second(values):
    return [(2 * i, value) for i, value in enumerate(values)]


def test_the_code_compares_averages_of_five_evaluations_eight_epochs_apart():
    """By hand: all ones to epoch 20, then 2. At epoch 22 the newest five are four ones and a 2, mean 1.2: no. At epoch
    24, three ones and two 2, mean 1.4 > 1.3; the five that end four evaluations before are ones, centred at epoch 12.
    """
    history = every_second([1.0] * 11 + [2.0] * 10)
    assert CODE.goes_back_to(history[:12]) is None
    assert CODE.goes_back_to(history[:13]) == 12
    assert CODE.first(history) == 12


def test_the_code_looks_at_nothing_that_would_go_back_before_epoch_ten():
    history = every_second([1.0] * 4 + [100.0] * 4)
    assert CODE.first(history) is None
    # At epoch 22 the earlier five are centred at epoch 10: the first that count.
    growing = every_second([1.1**i for i in range(12)])
    assert CODE.first(growing[:-1]) is None
    assert CODE.first(growing) == 10  # 1.1**4 = 1.46


def test_a_constant_or_falling_eigenvalue_never_stops_a_search():
    assert CODE.first(every_second([0.3] * 25)) is None
    assert CODE.first(every_second([1 / (i + 1) for i in range(25)])) is None
    assert PAPER.first([(i, 0.3) for i in range(50)]) is None


def test_growth_must_exceed_the_threshold_not_reach_it():
    rule = StoppingRule(window=1, lag=1, growth=2.0, centred=True, earliest=0)
    assert rule.first([(0, 1.0), (1, 2.0)]) is None
    assert rule.first([(0, 1.0), (1, 2.5)]) == 0


def test_the_paper_returns_the_architecture_of_five_epochs_before():
    """By hand: ones to epoch 9, then 2: the average of the last five exceeds 4 / 3 with the second 2, at epoch 11
    (7 / 5); five epochs before is epoch 6, whose own average is of ones."""
    history = [(i, 1.0 if i < 10 else 2.0) for i in range(30)]
    assert PAPER.first(history) == 6
    assert PAPER.goes_back_to(history[:11]) is None


def test_what_is_no_rule_is_refused():
    with pytest.raises(ValueError, match="has no middle"):
        StoppingRule(window=4, lag=1, growth=1.3, centred=True, earliest=0)
    with pytest.raises(ValueError, match="at least 1"):
        StoppingRule(window=5, lag=0, growth=1.3, centred=True, earliest=0)


@pytest.fixture(scope="module")
def trajectories(robustdarts):
    found = defaultdict(list)
    with (robustdarts / "eigenvalues_s1_cifar10.csv").open() as file:
        for row in csv.DictReader(file):
            run = tuple(row[key] for key in ("drop_path", "weight_decay", "job", "seed"))
            found[run].append((int(row["epoch"]), float(row["lambda_max"])))
    # The last evaluation comes an epoch after the one before; the code never stops there.
    return {run: [e for e in sorted(history) if e[0] % 2 == 0] for run, history in found.items()}


def test_two_real_trajectories_worked_by_hand(trajectories):
    """Two searches of DARTS as published on S1 (RobustDARTS' logs), numbers rounded to four places.

    Seed 1, at epoch 22: epochs 6 to 14 are .1464 .1211 .2488 .2311 .3595, mean .2214; epochs 14 to 22 are .3595 .2246
    .3860 .2085 .4298, mean .3217, which is 1.45 times as much: back to epoch 10, the first that counts.
    Seed 3: epochs 22 to 30 are .3055 .2532 .2609 .4074 .5918, mean .3637, 1.47 times the .2479 of epochs 14 to 22
    (.2029 .2500 .1714 .3100 .3055): back to epoch 18. Two epochs earlier it was .3074 / .2562 = 1.20, before that less.
    """
    stopped = {run[-1]: CODE.first(h) for run, h in trajectories.items() if run[:2] == ("0.0", "0.0003")}
    assert stopped["1"] == 10
    assert stopped["3"] == 18


def by_hand(history):
    """The code's rule, written out with epochs: at t, averages centred at t - 4 and t - 12, from t - 12 = 10 on."""
    values = dict(history)

    def average(centre):
        window = [values.get(centre + shift) for shift in (-4, -2, 0, 2, 4)]
        return None if None in window else sum(window) / 5

    for t in sorted(values):
        if t - 12 >= 10 and average(t - 12) and average(t - 4) and average(t - 4) / average(t - 12) > 1.3:
            return t - 12
    return None


def test_on_real_trajectories_it_says_what_the_code_says(trajectories):
    said = {run: CODE.first(history) for run, history in trajectories.items()}
    assert len(said) > 20
    assert said == {run: by_hand(history) for run, history in trajectories.items()}
    # DARTS as it was published, on the space made to show that it fails: all three searches should have stopped.
    published = [epoch for run, epoch in said.items() if run[:2] == ("0.0", "0.0003")]
    assert len(published) >= 3
    assert all(epoch is not None and 10 <= epoch < 48 for epoch in published)
