"""Whole runs, small: what a run leaves behind, that it can be repeated, and that it can be continued."""

import json
import shutil

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

import wholenet
from run_files import PICTURES, assert_equal, checkpoint, records, untimed
from wholenet.data.sample import DataError
from wholenet.machine import choose_device
from wholenet.search.config import FitConfig
from wholenet.search.config_files import read_config
from wholenet.search.loop import train_epoch
from wholenet.search.protocols import plan_phases

pytestmark = pytest.mark.usefixtures("sliver")
SMALL = {"size": "nano", "epochs": 5, "batch": 2, "crop": "32x32", "lr": 0.05, "device": "cpu", "val_every": 2}

SHORT = {"epochs": 3, "warmup_share": 0.34, "search_share": 0.33}


@pytest.fixture(scope="module")
def folder(discs):
    return discs


@pytest.fixture(scope="module")
def run(folder, sliver, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "one"
    with PICTURES:
        wholenet.fit(folder, out, **SMALL)
    return out


def test_a_run_leaves_everything_behind_that_it_promises(run):
    expected = {
        "config.yaml",
        "environment.json",
        "metrics.jsonl",
        "checkpoint.pt",
        "model",
        "curves.png",
        "entropy.png",
        "architecture.png",
        "predictions.png",
        "report.html",
        "checkpoint.previous.pt",
        ".lock",
    }
    assert {path.name for path in run.iterdir()} == expected
    assert {path.name for path in (run / "model").iterdir()} == {"model.safetensors", "config.json", "README.md"}
    assert read_config(run / "config.yaml") == FitConfig(**yaml.safe_load((run / "config.yaml").read_text()))


def test_every_epoch_has_a_record_and_only_search_epochs_an_architecture_loss(run):
    assert [record["epoch"] for record in records(run)] == list(range(5))
    assert [record["phase"] for record in records(run)] == ["warm-up", "search", *["fine-tune"] * 3]
    assert [record["arch_loss"] is not None for record in records(run)] == [False, True, False, False, False]
    assert [record["miou"] is not None for record in records(run)] == [False, True, False, True, True]


def test_the_architecture_moves_in_the_search_alone(run):
    entropies = [record["entropy"] for record in records(run)]
    assert entropies[0] != entropies[1]
    assert entropies[1] == entropies[2] == entropies[4]


def test_the_same_seed_gives_the_same_numbers_twice_and_another_seed_others(run, folder, tmp_path):
    wholenet.fit(folder, tmp_path / "again", **SMALL)
    assert untimed(records(tmp_path / "again")) == untimed(records(run))
    assert_equal(checkpoint(tmp_path / "again"), checkpoint(run))
    wholenet.fit(folder, tmp_path / "other", **{**SMALL, "epochs": 1, "seed": 1})
    assert records(tmp_path / "other")[0]["loss"] != records(run)[0]["loss"]


def stopped(out, folder, stop_after, **options):
    """A run stopped in the middle of the epoch after ``stop_after`` finished ones."""

    def stopping(state, *args, **kwargs):
        for step in train_epoch(state, *args, **kwargs):
            if state.epoch == stop_after and step.step == 1:
                raise KeyboardInterrupt
            yield step

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("wholenet.run.train_epoch", stopping)
        with pytest.raises(KeyboardInterrupt):
            wholenet.fit(folder, out, **{**SMALL, **options})


@pytest.mark.parametrize(
    "options",
    [
        {"precision": "bfloat16", **SHORT},
        {"augment_on": "device", "workers": 1, "recompute": True, "arch_update": "alternating", **SHORT},
        {"execution": "kernels"},
    ],
)
def test_a_run_goes_through_in_every_way_to_compute_and_on_from_the_middle(options, run, folder, tmp_path):
    out = tmp_path / "run"
    wholenet.fit(folder, out, **{**SMALL, **options})
    expected = checkpoint(out)
    assert all(np.isfinite(record["loss"]) for record in records(out))
    again = tmp_path / "again"
    stopped(again, folder, options.get("epochs", 5) - 2, **options)
    wholenet.resume(again)
    assert_equal(checkpoint(again), expected)
    if "execution" in options:  # not to be had on a CPU: it said so, and ran as ever
        assert_equal(expected, checkpoint(run))


@pytest.mark.parametrize("stop_after", [2])
def test_a_stopped_run_continues_to_the_same_weights_across_phase_boundaries(run, folder, tmp_path, stop_after):
    out = tmp_path / "stopped"
    stopped(out, folder, stop_after)
    assert len(records(out)) == stop_after
    wholenet.resume(out)
    assert_equal(checkpoint(out), checkpoint(run))
    assert untimed(records(out)) == untimed(records(run))


def test_resuming_a_finished_run_only_scores_it(run):
    before = (run / "metrics.jsonl").read_text()
    compared = wholenet.resume(run)
    assert (run / "metrics.jsonl").read_text() == before
    assert compared.learned.scores.miou == records(run)[-1]["miou"]


def test_the_model_folder_alone_gives_the_scores_of_the_run(run, folder, tmp_path):
    (tmp_path / "moved").mkdir()
    for path in (run / "model").iterdir():
        (tmp_path / "moved" / path.name).write_bytes(path.read_bytes())
    scores = wholenet.evaluate(tmp_path / "moved", folder)
    assert scores.miou == records(run)[-1]["miou"]
    assert scores.images == json.loads((run / "environment.json").read_text())["images"]["val"]


def test_the_images_held_out_are_the_same_in_evaluation(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(folder.parent)
    options = {**SMALL, "epochs": 1, "val_share": 0.5, "data_seed": 3}
    compared = wholenet.fit(folder.name, tmp_path / "run", **options)
    monkeypatch.chdir(tmp_path)
    assert wholenet.evaluate(tmp_path / "run", folder).scores == compared.learned.scores
    assert wholenet.resume(tmp_path / "run").learned.scores == compared.learned.scores


def test_the_control_never_moves_from_uniform_and_trains_for_the_time_of_the_run(folder, tmp_path, monkeypatch):
    asked = []  # what the time comes to is measured: tests/search/test_equal_time.py
    monkeypatch.setattr("wholenet.control.equal_time_epochs", lambda *of: asked.append(of) or 2)
    compared = wholenet.fit(folder, tmp_path / "run", **{**SMALL, "epochs": 3}, control=True)
    control = tmp_path / "run" / "control"
    assert compared.uniform is not None
    assert compared.uniform.run == control
    assert asked == [(records(tmp_path / "run"),)]
    assert read_config(control / "config.yaml").epochs == len(records(control)) == 2
    for record in records(control):
        assert record["arch_loss"] is None
        assert record["entropy"] == {"alpha": pytest.approx(1), "beta": pytest.approx(1)}
    assert all((logits == 0).all() for name, logits in checkpoint(control)["model"].items() if name.startswith("arch."))
    assert wholenet.resume(tmp_path / "run") == compared


def test_a_network_that_answers_with_no_numbers_is_told_with_what_to_do(folder, tmp_path, monkeypatch):
    def lost(_outcome):
        raise FloatingPointError("the logits are not finite")

    monkeypatch.setattr("wholenet.jobs.job._Outcome.score", lost)
    said = r"after epoch \d, on what is held out: the logits are not finite; .* with a lower --lr"
    with pytest.raises(FloatingPointError, match=said):
        wholenet.fit(folder, tmp_path / "run", **SMALL)


def test_the_control_goes_through_the_same_phases():
    learned = plan_phases(FitConfig(data="x", out="y", epochs=20))
    uniform = plan_phases(FitConfig(data="x", out="y", epochs=20, architecture="uniform"))
    assert [(p.name, p.first, p.end) for p in learned] == [(p.name, p.first, p.end) for p in uniform]
    assert not any(phase.moves_architecture for phase in uniform)


def test_disjoint_parts_split_the_training_images(folder, tmp_path):
    options = {**SMALL, "epochs": 1, "split": "disjoint", "weights_share": 0.7}
    wholenet.fit(folder, tmp_path / "run", **options)
    images = json.loads((tmp_path / "run" / "environment.json").read_text())["images"]
    assert images["weights"] + images["architecture"] == 12 - images["val"]
    assert images["weights"] > images["architecture"] > 0


def test_a_disjoint_split_of_coarse_annotations_is_refused():
    with pytest.raises(ValueError, match="divides the fine annotations"):
        FitConfig(data="x", out="y", split="disjoint", arch_annotations="coarse")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "batch=1 with a crop of 32x32"),
        ({"space": "dense-grid"}, "batch=1 with a crop of 32x32"),
        ({"space": "autodeeplab"}, "batch of one image"),
        ({"space": "autodeeplab", "batch": 2, "crop": "16x64"}, "images of 16x64 pixels"),
    ],
)
def test_a_batch_that_a_network_cannot_be_trained_on_is_refused_before_the_data_is_read(
    options, said, folder, tmp_path, monkeypatch
):
    def read(*_, **__):
        raise AssertionError("read")

    monkeypatch.setattr("wholenet.jobs.masks.review", read)
    given = {**SMALL, "batch": 1} if "space" not in options else {"epochs": 3, "batch": 1, "crop": "32x32"}
    with pytest.raises(ValueError, match=said):
        wholenet.fit(folder, tmp_path / "run", **{**given, **options})
    assert not (tmp_path / "run").exists()


def test_a_batch_is_checked_with_the_crop_that_the_images_make(folder, tmp_path):
    images = tmp_path / "data"
    for split in ("train", "val"):
        for kind in ("images", "masks"):
            (images / kind / split).mkdir(parents=True)
            mask = np.zeros((32, 32), np.uint8)
            mask[8:20] = 1
            Image.fromarray(mask if kind == "masks" else np.dstack([100 * mask] * 3)).save(
                images / kind / split / "a.png"
            )
    given = {name: value for name, value in SMALL.items() if name != "crop"}
    with pytest.raises(ValueError, match="batch=1 with a crop of 32x32"):
        wholenet.fit(images, tmp_path / "run", **{**given, "batch": 1})


def test_data_that_changed_is_noticed_when_a_run_continues(folder, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    wholenet.fit(copy, tmp_path / "run", **{**SMALL, "epochs": 1})
    mask = next((copy / "masks").iterdir())
    Image.fromarray(1 - np.array(Image.open(mask))).save(mask)
    with pytest.raises(ValueError, match="have changed since"):
        wholenet.resume(tmp_path / "run")


@pytest.mark.parametrize("protocol", ["single-stage", "two-stage"])
def test_a_run_and_data_that_were_moved_go_on_where_the_data_is_said_to_be(folder, tmp_path, protocol):
    shutil.copytree(folder, tmp_path / "copy")
    options = {**SMALL, "epochs": 2, "protocol": protocol, "control": True, "threads": 1}
    before = wholenet.fit(tmp_path / "copy", tmp_path / "run", **options, warmup_share=0.5, search_share=0.5)
    moved, data = tmp_path / "elsewhere", tmp_path / "new"
    shutil.move(tmp_path / "run", moved)
    shutil.move(tmp_path / "copy", data)
    with pytest.raises(ValueError, match=f"is not there any more.*--resume {moved} --data NEW"):
        wholenet.resume(moved)

    configs = {path: path.read_text() for path in moved.rglob("config.yaml")}
    assert len(configs) == (3 if protocol == "two-stage" else 2)
    gone = next((data / "masks").iterdir())
    for kind in ("masks", "images"):
        shutil.copytree(data / kind, tmp_path / "fewer" / kind)
        next((tmp_path / "fewer" / kind).glob(f"{gone.stem}.*")).unlink()
    with pytest.raises(ValueError, match=r"(train|val) images: \d+ then, \d+ now; .*pixels of class 0: \d+ then"):
        wholenet.resume(moved, tmp_path / "fewer")
    assert {path: path.read_text() for path in configs} == configs

    after = wholenet.resume(moved, data=data)
    assert after.learned.scores == before.learned.scores
    assert all(read_config(path).data == str(data) for path in configs)


def test_a_log_line_cut_short_by_a_crash_does_not_lose_the_run(run, folder, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    with (tmp_path / "run" / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 5, "lo')
    assert wholenet.resume(tmp_path / "run").learned.scores.miou == records(run)[-1]["miou"]


def test_a_run_with_a_damaged_checkpoint_goes_on_from_the_one_before_to_the_same_bits(run, tmp_path, capsys):
    out = tmp_path / "run"
    shutil.copytree(run, out)
    (out / "checkpoint.pt").write_bytes(b"not a checkpoint")
    wholenet.resume(out)
    assert "checkpoint.pt is cut short, or no checkpoint (16 bytes). The run goes on from" in capsys.readouterr().out
    assert_equal(checkpoint(out), checkpoint(run))
    assert untimed(records(out)) == untimed(records(run))


def test_a_run_is_never_written_over(run, folder, tmp_path):
    with pytest.raises(ValueError, match="already holds a run; continue it with `wholenet fit --resume"):
        wholenet.fit(folder, run, **SMALL)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="not an empty folder"):
        wholenet.fit(folder, tmp_path, **SMALL)


def test_nothing_is_written_when_the_data_is_refused(folder, tmp_path):
    with pytest.raises(DataError, match="64x64"):
        wholenet.fit(folder, tmp_path / "run", **{**SMALL, "crop": "64x64"})
    assert not (tmp_path / "run").exists()


def test_coarse_annotations_are_refused_where_there_are_none(folder, tmp_path):
    with pytest.raises(DataError, match="no coarse annotations"):
        wholenet.fit(folder, tmp_path / "run", **SMALL, arch_annotations="coarse")


def test_unknown_options_are_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"unknown field 'epoch' \(did you mean epochs\?\); known: .*epochs"):
        wholenet.fit("scenes", "x", epoch=3)


def test_a_gpu_where_there_is_none_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="sees no GPU; use --device cpu or auto"):
        choose_device("cuda")
    assert choose_device("auto").type == "cpu"


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("epochs", 0, "at least 1"),
        ("batch", -1, "at least 1"),
        ("seed", -1, "0 or more"),
        ("warmup_share", 1.5, "a share in"),
        ("val_share", 0.0, "strictly between"),
        ("lr", 0.0, "above 0"),
        ("noise", -0.1, "0 or more"),
        ("momentum", 1.0, "in"),
        ("scale_max", 0.1, "at least scale_min"),
        ("search_share", 0.99, "exceed the whole run"),
        ("crop", "12", "HEIGHTxWIDTH"),
        ("crop", "0x32", "HEIGHTxWIDTH"),
        ("size", "giant", "'nano', 'tiny', 'small'"),
        ("architecture", "unifrom", "'learned', 'uniform'"),
        ("epochs", 2.5, "expected int, found float"),
        ("epochs", True, "expected int, found bool"),
        ("control", 1, "expected bool"),
        ("crop", 32, "expected str or None"),
    ],
)
def test_bad_values_are_refused_with_what_is_expected(field, value, expected):
    with pytest.raises(ValueError, match=expected):
        FitConfig(data="x", out="y", **{field: value})


def test_a_config_file_with_an_unknown_field_is_refused(tmp_path):
    (tmp_path / "config.yaml").write_text("data: x\nout: y\nepoch: 3\n")
    with pytest.raises(ValueError, match=r"config.yaml: unknown field .epoch. .*; known: .*epochs"):
        read_config(tmp_path / "config.yaml")
