"""A network for disparity that costs what it may: operations of its cells go over its search."""

import pytest
from PIL import Image

import wholenet
from run_files import PICTURES, assert_equal, checkpoint, records, stop_after
from toy_pairs import write_pairs
from wholenet.commands.own_task import tell
from wholenet.jobs.catalog import task_config
from wholenet.spaces.catalog import left_of, subnets
from wholenet.tasks.disparity import EPE

RUN = {"size": "tiny", "method": "single-stage", "split": "same", "epochs": 3, "batch": 4, "device": "cpu"}
RUN |= {"lr": 0.001, "threads": 1, "warmup_share": 0.0, "search_share": 0.7, "budget": "70%", "checkpoint_minutes": 0.0}


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    return write_pairs(tmp_path_factory.mktemp("pairs"), (64, 64))


@pytest.fixture(scope="module")
def compared(pairs, tmp_path_factory):
    with PICTURES:
        return wholenet.fit(pairs, tmp_path_factory.mktemp("runs") / "run", task="stereo", **RUN)


@pytest.fixture(scope="module")
def run(compared):
    return compared.learned.run


def test_it_ends_with_what_it_may_cost_and_estimates_with_that(run, pairs):
    costs = [record["macs"] for record in records(run)]
    whole = records(run)[0]["whole_macs"]
    assert whole == costs[0] > costs[1] > costs[2]
    assert costs[2] <= 0.7 * whole
    network = wholenet.load(run).network
    assert subnets(network.spec).macs(left_of(network.spec), 64, 64) == costs[2]
    assert wholenet.evaluate(run, pairs, "val").network.pairs == 3


def test_once_it_is_trained_it_is_not_shrunk(run, tmp_path):
    with pytest.raises(
        ValueError, match=r"networks for masks alone are made smaller .*`wholenet fit DATA --budget 40%`"
    ):
        wholenet.shrink(run, tmp_path / "small", budget="30%")


def test_what_is_left_is_told_drawn_and_diagnosed(run, compared, capsys):
    tell(compared, EPE)
    own = records(run)[-1]
    share = own["macs"] / own["whole_macs"]
    assert f"multiply-adds    {share:.0%}" in capsys.readouterr().out
    with Image.open(run / "left.png") as picture:
        assert picture.width > 500
    found = wholenet.diagnose(run)
    assert found.left == share
    assert found.lines()[0].startswith(f"what is left, {share:.0%}    ")


def test_a_stopped_run_goes_on_to_the_same_bits(run, pairs, tmp_path):
    stop_after(3, lambda: wholenet.fit(pairs, tmp_path / "run", task="stereo", **RUN))
    wholenet.resume(tmp_path / "run")
    assert_equal(checkpoint(run), checkpoint(tmp_path / "run"))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"protocol": "two-stage", "retrain_epochs": 1}, "another protocol leaves another network"),
        ({"ema": 0.9}, "an average is over weights of one size"),
        ({"protocol": "shrink"}, "takes units away from a network that was trained on images with masks"),
        (
            {"budget": None, "protocol": "shrink"},
            "takes units away from a network that was trained on images with masks",
        ),
        ({"budget": None, "budget_by": "random"}, "is about a budget, and there is none"),
        ({"budget": "3ms"}, "operations of cells are not timed"),
    ],
)
def test_what_does_not_go_is_said(given, said):
    with pytest.raises(ValueError, match=said):
        task_config("stereo", data="x", out="y", **{**RUN, **given})


def test_a_space_without_parts_that_go_is_refused_before_a_folder_is_made(tmp_path):
    (tmp_path / "text").mkdir()
    for name in ("train", "valid"):
        (tmp_path / "text" / f"{name}.txt").write_text("a b c d e f\n" * 60)
    with pytest.raises(ValueError, match="'recurrent' does not say what can be removed"):
        wholenet.fit(
            tmp_path / "text", tmp_path / "run", task="language", epochs=3, batch=2, budget="50%", search_share=0.5
        )
    assert not (tmp_path / "run").exists()
