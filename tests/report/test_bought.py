"""Runs with a budget beside that of the whole network: what each budget cost, by the score of their task."""

from pathlib import Path

import pytest

from wholenet.report.compare import bought
from wholenet.search.read_run import RunTables
from wholenet.tasks.score import Score

COST = {"macs": 40, "whole_macs": 100}


def table(name, task, key, value, by=None, **cost):
    return RunTables(Path(name), task, {"budget_by": by}, [], [{key: value, **cost}])


@pytest.mark.parametrize(
    ("task", "key", "whole", "own", "said"),
    [
        ("segmentation", "miou", 0.5, 0.45, ("50.0 % mIoU", "45.0 % mIoU, 5.0 points less")),
        ("classification", "error", 0.2, 0.3, ("20.0 % error", "30.0 % error, 10.0 points more")),
        ("classification", "error", 0.2, 0.2002, ("20.0 % error", "20.0 % error, as much as it")),
        ("stereo", "epe", 2.0, 1.75, ("2 EPE", "1.75 EPE, 0.25 less")),
        ("stereo", "epe", 2.0, 2.0, ("2 EPE", "2 EPE, as much as it")),
    ],
)
def test_it_is_said_in_the_score_of_the_task(task, key, whole, own, said):
    runs = [
        table("a", task, key, whole),
        table("b", task, key, own, **COST),
        table("c", task, key, own, "random", **COST),
    ]
    first, second, third, last = bought(runs)
    assert first == f"a, the whole network: {said[0]}."
    assert second == f"b, 40% of its multiply-adds (--budget-by saliency): {said[1]}."
    assert third == f"c, 40% of its multiply-adds (--budget-by random): {said[1]}."
    assert "another seed" in last


@pytest.mark.parametrize("left_out", [slice(1), slice(1, None)])
def test_without_the_whole_or_a_smaller_one_nothing_is_said(left_out):
    runs = [table("a", "stereo", "epe", 2.0), table("b", "stereo", "epe", 1.0, **COST)]
    assert bought(runs)
    assert bought(runs[left_out]) == []


def test_scores_that_nobody_knows_are_not_compared():
    assert isinstance(table("a", "mine", "x", 1.0).score, Score | None)
    assert bought([table("a", "mine", "x", 1.0), table("b", "mine", "x", 1.0, **COST)]) == []
