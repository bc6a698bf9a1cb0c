"""The three sentences, over the cases that a user meets."""

import json
import re
from dataclasses import replace

import pytest

from wholenet.diagnostics.diagnosis import Comparison, Diagnosis
from wholenet.diagnostics.discrete import DiscreteNetwork
from wholenet.diagnostics.discretization import CurvePoint
from wholenet.diagnostics.entropy import Movement
from wholenet.diagnostics.verdict import verdict
from wholenet.spaces.decoding import decode
from wholenet.spaces.links import masks

GENOTYPE = decode({name: mask / mask.sum(-1, keepdim=True) for name, mask in masks(3).items()}, "strongest")


def moved(share):
    return Movement([[share] * 4] * 3, share, share, share)


def curve(**scores):
    """Scores at 0, 10, 20 ... % of the edges dropped, per variant."""
    return tuple(CurvePoint(i / 10, 3 * i, name, m) for name, own in scores.items() for i, m in enumerate(own))


BASE = Diagnosis(
    run="runs/one",
    data="scenes",
    images=10,
    searched=True,
    epochs=20,
    planned=20,
    scored_epoch=20,
    seconds=100.0,
    miou=0.6,
    constant_miou=0.1,
    parameters=1000,
    macs=1000,
    edges=30,
    entropy={"alpha": 0.99, "beta": 0.98},
    history=(),
    phases=(),
    movement={"alpha": moved(0.0), "beta": moved(0.05)},
    most_decided=(),
    curve=curve(zeroed=(0.6, 0.5, 0.4), renormalized=(0.6, 0.5, 0.4), recalibrated=(0.6, 0.55, 0.5)),
    discrete=(DiscreteNetwork(GENOTYPE, 0.2, 0.3, 500, 400),),
)


def case(**changes):
    return verdict(replace(BASE, **changes))


CASES = {
    "plain": {},
    "uniform": {"searched": False},
    "decided": {"entropy": {"alpha": 0.2, "beta": 0.1}},
    "unfinished": {"epochs": 5, "scored_epoch": 4},
    "untrained": {"miou": 0.1},
    "prunable": {"curve": curve(zeroed=(0.6, 0.6, 0.6), renormalized=(0.6, 0.6, 0.6), recalibrated=(0.6, 0.6, 0.6))},
    "replaceable": {"discrete": (DiscreteNetwork(GENOTYPE, 0.2, 0.62, 500, 400),)},
    "control better": {"control": Comparison(0.65, 22, 99.0)},
    "control equal": {"control": Comparison(0.605, 22, 99.0)},
    "control worse": {"control": Comparison(0.5, 22, 99.0)},
    "two stages": {"second_stage": Comparison(0.45, 22, 99.0), "control": Comparison(0.6, 22, 99.0)},
}


@pytest.mark.parametrize("changes", CASES.values(), ids=CASES)
def test_there_are_always_three_sentences_of_one_line(changes):
    for sentence in case(**changes):
        assert re.fullmatch(r"[A-Z][^\n]*\.", sentence)
        # A full stop ends it; one inside is part of a number or of a file name.
        assert not re.search(r"[.!?]\s", sentence)
        assert "nan" not in sentence


def test_the_search_is_judged_by_entropy_and_by_what_moved():
    assert "decided next to nothing on edges" in case()[0]
    assert "0.980" in case()[0]
    leaned = {"alpha": moved(0.0), "beta": moved(0.5)}
    sentence = case(movement=leaned)[0]
    assert "leaned without deciding on edges" in sentence
    assert "decided next to nothing on operations" in sentence
    assert "50 % of the cells prefer one edge" in sentence
    assert case(entropy={"alpha": 0.5, "beta": 0.1})[0].startswith("The search decided on edges")
    assert "Nothing was searched" in case(searched=False)[0]


def test_what_can_go_is_read_off_the_curve_at_one_point_of_the_whole_supernet():
    sentence = case(curve=curve(zeroed=(0.6, 0.591, 0.589), renormalized=(0.6,), recalibrated=(0.6, 0.6, 0.6)))[1]
    assert "Of the 30 edges the weakest 10 % can go within 1 point of the supernet's 60.0 % mIoU" in sentence
    assert "20 % with BatchNorm recalculated" in sentence
    assert "loses 30 points without retraining" in sentence


def test_a_network_no_better_than_a_constant_says_nothing_of_cutting():
    _, cutting, advice = case(miou=0.105, control=Comparison(0.2, 1, 1.0))
    assert "cannot be told" in cutting
    assert advice.startswith("Train longer")


def test_an_unfinished_run_is_to_be_finished_before_anything_else():
    assert case(epochs=5, scored_epoch=4, control=Comparison(0.65, 22, 99.0))[2].startswith("Let the run finish first")
    assert "after 4 of 20 epochs" in case(epochs=5, scored_epoch=4)[2]


def test_a_supernet_that_cannot_be_cut_is_kept_whole_and_one_that_can_says_how():
    assert case()[2].startswith("Keep the supernet whole;")
    flat = (0.6, 0.6, 0.6)
    steep = (0.6, 0.5, 0.4)
    assert "20 % of the edges can go;" in case(curve=curve(zeroed=flat, renormalized=flat, recalibrated=flat))[2]
    advice = case(curve=curve(zeroed=steep, renormalized=steep, recalibrated=flat))[2]
    assert "20 % of the edges can go (with BatchNorm recalculated);" in advice


def test_a_discrete_network_as_good_takes_the_supernets_place_unless_it_keeps_every_edge():
    good = DiscreteNetwork(GENOTYPE, 0.2, 0.595, 500, 400)
    assert "genotype.yaml can take the supernet's place" in case(discrete=(good,))[2]
    assert "loses 0.5 points" in case(discrete=(good,))[1]
    assert "gains 2 points" in case(discrete=(replace(good, miou=0.62),))[1]
    assert "genotype.yaml" not in case(discrete=(good,), edges=good.edges)[2]


@pytest.mark.parametrize(
    ("control", "expected"),
    [
        (None, "train the frozen-uniform control (`--control`)"),
        (0.65, "do not credit the search, because the frozen-uniform control was 5 points better"),
        (0.609, "do not credit the search, because the frozen-uniform control is within 1 point"),
        (0.591, "do not credit the search, because the frozen-uniform control is within 1 point"),
        (0.57, "3 points better than its frozen-uniform control of the same time, but one seed says little"),
    ],
)
def test_the_search_is_credited_against_its_control_alone(control, expected):
    assert expected in case(control=None if control is None else Comparison(control, 22, 99.0))[2]


def test_of_two_stages_the_retrained_network_is_compared_with_the_control():
    _, cutting, advice = case(second_stage=Comparison(0.45, 22, 99.0), control=Comparison(0.6, 22, 99.0))
    assert "retrained from scratch reached 45.0 %" in cutting
    assert "frozen-uniform control was 15 points better" in advice


def test_everything_in_it_is_plain_json():
    plain = BASE.to_dict()
    assert json.loads(json.dumps(plain)) == plain
    assert plain["removable"] == {"zeroed": 0.0, "renormalized": 0.0, "recalibrated": 0.0}
    assert plain["best_discrete"]["edges"] == len([w for cell in GENOTYPE.cells for w in cell.inputs])
    assert plain["movement"]["beta"]["mean"] == 0.05
