"""Training what a search found, and using it: from Python and from the shell."""

import csv
import json

import pytest
import torch
from PIL import Image
from rich.console import Console

import wholenet
import wholenet.run as run_module
from run_files import PICTURES
from wholenet.cells.retrain import resume_retrain, retrain
from wholenet.cli import main
from wholenet.deploy.model_folder import load_model
from wholenet.search.classifier_config import RetrainConfig
from wholenet.spaces.catalog import SPACES, create_model
from wholenet.spaces.darts_genotype import PUBLISHED, write_cell_genotype

QUIET = Console(quiet=True)


@pytest.fixture
def config(patches, tmp_path):
    def make(**given):
        options = {"channels": 4, "cells": 3, "epochs": 2, "batch": 8, "auxiliary": 0.0, "cutout": 4, "device": "cpu"}
        return RetrainConfig(
            **{"data": str(patches), "out": str(tmp_path / "net"), "genotype": "darts-v2", **options, **given}
        )

    return make


def test_a_network_is_trained_scored_and_saved(config):
    with PICTURES:
        found = retrain(config(epochs=6, lr=0.1, val_share=0.25), QUIET)
    assert (found.run / "cells.png").is_file()
    assert found.error is not None
    model = load_model(found.run)
    assert found.parameters == sum(p.numel() for p in model.network.net.parameters())
    assert wholenet.evaluate(model, config().data).error == found.test_error
    assert found.test_error < 0.5
    assert resume_retrain(found.run, QUIET) == found


def test_a_training_that_was_stopped_goes_on_to_the_same_bits(config, tmp_path, monkeypatch):
    whole = retrain(config(out=str(tmp_path / "whole"), drop_path=0.3), QUIET)
    epochs, calls = run_module.train_epoch, []

    def stopping(*arguments):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return epochs(*arguments)

    monkeypatch.setattr(run_module, "train_epoch", stopping)
    with pytest.raises(KeyboardInterrupt):
        retrain(config(out=str(tmp_path / "stopped"), drop_path=0.3), QUIET)
    found = resume_retrain(tmp_path / "stopped", QUIET)
    first, second = (torch.load(run / "checkpoint.pt", weights_only=True)["model"] for run in (whole.run, found.run))
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def test_the_auxiliary_head_needs_images_of_32(config, tmp_path):
    with pytest.raises(ValueError, match="auxiliary head is made for images of 32x32, these are 16x16"):
        retrain(config(auxiliary=0.4), QUIET)
    found = retrain(config(auxiliary=0.4, side=32, epochs=1), QUIET)
    assert any(name.startswith("auxiliary.") for name, _ in load_model(found.run).network.net.named_parameters())


def run(capsys, *arguments):
    main([str(argument) for argument in arguments])
    return capsys.readouterr().out


SMALL = ("--channels", "4", "--cells", "3", "--epochs", "1", "--batch", "8", "--device", "cpu")


def test_from_a_folder_to_a_table_of_classes_in_the_shell(patches, tmp_path, capsys):
    """The task is found from the data; everything after it by what the folders say they are."""
    searched, trained, table = tmp_path / "searched", tmp_path / "trained", tmp_path / "classes.csv"
    out = run(capsys, "fit", patches, "--out", searched, "--space", "s2", "--gradient", "first-order", *SMALL)
    assert f"wholenet retrain {searched / 'genotype.yaml'}" in out
    out = run(capsys, "retrain", searched / "genotype.yaml", patches, "--out", trained, "--auxiliary", "0", *SMALL)
    assert "test error" in out
    out = run(capsys, "evaluate", trained, patches, "--json", tmp_path / "scores.json")
    assert out.splitlines()[-1].startswith("accuracy")
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert scores["images"] == 12
    Image.new("RGB", (40, 30), "red").save(tmp_path / "large.png")
    run(capsys, "predict", trained, patches / "test", tmp_path / "large.png", "--out", table)
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert len(rows) == 13
    assert all(row["class"] == max(("red", "green", "blue"), key=lambda name: float(row[name])) for row in rows)
    right = sum(row["class"] in row["file"] for row in rows[:12])
    assert right / 12 == pytest.approx(scores["accuracy"])
    said = run(capsys, "diagnose", searched, "--batchnorm", "running", "--tolerance", "0.5")
    assert "highest eigenvalue" in said
    assert "BatchNorm by running" in said
    assert "batch 0 of the stream 'diagnosis', architecture images, seed 0" in said
    with pytest.raises(SystemExit):
        run(capsys, "diagnose", searched, "--method", "rows", "--tolerance", "0.5")
    assert "--tolerance is of the Lanczos iteration" in capsys.readouterr().err
    assert "supernet's error" in run(capsys, "fit", "--resume", searched)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ("fit", "PATCHES", "--out", "OUT", "--space", "s1", "--method", "two-stage"),
            "that is a protocol, not a method",
        ),
        (("fit", "PATCHES", "--out", "OUT", "--space", "grid", "--method", "pc-darts"), "elsewhere there are"),
        (("fit", "PATCHES", "--out", "OUT", "--relaxation", "sigmoid", "--perturbation", "random"), "sum to 1"),
        (("fit", "PATCHES", "--space", "s1"), "give the data and a folder"),
        (("fit", "PATCHES", "--out", "OUT", "--task", "segmentation", "--space", "s1"), "is for labelled images"),
        (("fit", "PATCHES", "--out", "OUT", "--method", "darts-es", "--epochs", "20"), "fewer than 24"),
        (
            ("fit", "PATCHES", "--out", "OUT", "--method", "r-darts-l2", "--weight-decay", "1"),
            "several values of --weight-decay",
        ),
        (
            ("fit", "PATCHES", "--out", "OUT", "--method", "random-ws", "--regularizer", "beta-decay"),
            "would do nothing",
        ),
        (("retrain", "OTHER", "PATCHES", "--out", "OUT"), "it is a genotype of another space"),
        (
            ("retrain", "darts-v3", "PATCHES", "--out", "OUT"),
            "no published genotype (did you mean 'darts-v2' or 'darts-v1'",
        ),
        (("retrain", "GRID", "PATCHES", "--size", "nano", "--out", "OUT"), "labelled images"),
        (("retrain", "darts-v1"), "give a genotype, the data and a folder"),
        (("study", "figure-4", "--out", "OUT"), "give --data CIFAR10"),
        (("study", "figure-4", "--out", "OUT", "--data", "scenes"), "searches on labelled images"),
        (("study", "figure-4", "--out", "OUT", "--data", "PATCHES", "--set", "space=s1"), "varies space itself"),
    ],
)
def test_what_cannot_be_done_says_what_can(patches, tmp_path, capsys, arguments, expected):
    grid = create_model("grid-nano", num_classes=2)
    found = SPACES["grid"].decode(grid.arch(), None, 0.5, SPACES["grid"].settings_of(grid.spec.settings))
    SPACES["grid"].write_genotype(found, tmp_path / "grid.yaml")
    write_cell_genotype(PUBLISHED["darts-v2"], tmp_path / "other.yaml", "s2")
    places = {
        "OTHER": tmp_path / "other.yaml",
        "PATCHES": patches,
        "OUT": tmp_path / "out",
        "GRID": tmp_path / "grid.yaml",
    }
    with pytest.raises(SystemExit) as stopped:
        main([str(places.get(argument, argument)) for argument in arguments])
    assert stopped.value.code == 2
    assert expected in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_commands_for_masks_refuse_a_classifier_and_the_other_way_round(config, tmp_path, capsys, discs):
    found = retrain(config(epochs=1), QUIET)
    for arguments in (
        ("export", found.run, "--out", tmp_path / "x.onnx", "--drop-below", "0.5"),
        ("decode", found.run, "--out", tmp_path / "g"),
    ):
        with pytest.raises(SystemExit):
            main([str(argument) for argument in arguments])
        assert "a classifier" in capsys.readouterr().err
    for arguments in (
        ("predict", found.run, discs, "--out", tmp_path / "o.csv", "--overlay"),
        ("evaluate", found.run, discs, "--tile", "16x16"),
        ("evaluate", found.run, discs, "--overlap", "0"),
    ):
        with pytest.raises(SystemExit):
            main([str(argument) for argument in arguments])
        assert "about masks" in capsys.readouterr().err
    for given, message in (("nowhere", "does not exist"), (str(tmp_path / "net" / "model"), "no images")):
        with pytest.raises(SystemExit):
            main(["predict", str(found.run), given, "--out", str(tmp_path / "o.csv")])
        assert message in capsys.readouterr().err
    assert not (tmp_path / "o.csv").exists()
