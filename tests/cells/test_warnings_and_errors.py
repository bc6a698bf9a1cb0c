"""Runs on labelled images warn and say what went wrong as runs on images with masks do: the training is one."""

import json
from dataclasses import replace

import pytest
import torch
from rich.console import Console

import wholenet.cells.scorer as scorer_module
import wholenet.run as run_module
from wholenet import parallel
from wholenet.cells.retrain import retrain
from wholenet.cells.search import search
from wholenet.data.sample import DataError
from wholenet.search.classifier_config import RetrainConfig
from wholenet.search.keeper import Keeper
from wholenet.search.updates import Diverged

QUIET = Console(quiet=True)


def test_classes_that_are_never_found_are_warned_of_once_and_recorded(small, monkeypatch, capsys):
    real = scorer_module.evaluate_labelled

    def blind(*arguments, **how):
        found = real(*arguments, **how)
        return type(found)(found.top1, (1.0, *(0.0 for _ in found.per_class[1:])), found.images)

    monkeypatch.setattr(scorer_module, "evaluate_labelled", blind)
    found = search(small(epochs=4), Console(width=200))
    assert capsys.readouterr().out.count("the network never finds green, red on the validation images") == 1
    lines = (found.run / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["warnings"] for line in lines] == [[], ["dead classes"], [], []]


def test_the_images_of_a_batch_that_diverged_are_named(small, monkeypatch):
    def lost(*_, **__):
        raise Diverged("the loss became nan", "weights", 1)
        yield

    monkeypatch.setattr(run_module, "train_epoch", lost)
    with pytest.raises(
        FloatingPointError, match=r"the loss became nan: image \d+ \((red|green|blue)\), .* moved nothing"
    ):
        search(small(), QUIET)


def test_a_batch_that_does_not_fit_into_memory_says_what_to_change(small, monkeypatch):
    def runs_out(*_, **__):
        raise torch.OutOfMemoryError("out of memory")
        yield

    monkeypatch.setattr(run_module, "train_epoch", runs_out)
    with pytest.raises(MemoryError, match=r"A batch of 12 images does not fit .* Start again with --batch 6"):
        search(small(), QUIET)


def test_where_a_process_is_lost_the_command_that_continues_the_run_is_named(small, patches, tmp_path, monkeypatch):
    """In the second step of all: that comes after a checkpoint, or before the first."""
    network = {"channels": 4, "cells": 3, "batch": 12, "auxiliary": 0.0, "device": "cpu", "genotype": "darts-v2"}
    retraining = RetrainConfig(data=str(patches), out=str(tmp_path / "net"), **network, epochs=2)
    starts = {"fit": lambda: search(small(), QUIET), "retrain": lambda: retrain(retraining, QUIET)}
    real = Keeper.step_done
    monkeypatch.setattr(parallel, "launcher", lambda: "torchrun --nproc-per-node 2 -m ")
    for verb, start in starts.items():
        command = f"continue with `torchrun --nproc-per-node 2 -m wholenet {verb} --resume {tmp_path}"
        for saved, told in ((0, "Nothing was saved yet: start the run again"), (1, "The last checkpoint is whole:")):
            steps = []

            def lost(keeper, saved=saved, steps=steps):
                steps.append(keeper)
                if len(steps) > saved * keeper.steps_per_epoch:
                    raise parallel.ProcessLost("process 0 of 2 cannot reach the others any more")
                real(keeper)

            monkeypatch.setattr(Keeper, "step_done", lost)
            with pytest.raises(parallel.ProcessLost, match=rf"any more\. {told}.* {command}"):
                start()
        with pytest.raises(ValueError, match=f"already holds a run; continue it with `wholenet {verb} --resume"):
            start()


def test_images_with_masks_are_no_images_of_two_classes(small, discs, tmp_path):
    said = r"read as images with masks .*; these cells are for labelled images\. .* grid, dense-grid or autodeeplab"
    with pytest.raises(DataError, match=said):
        search(replace(small(), data=str(discs)), QUIET)
    with pytest.raises(DataError, match=said):
        retrain(RetrainConfig(data=str(discs), out=str(tmp_path / "net"), genotype="darts-v2", auxiliary=0), QUIET)
    assert not (tmp_path / "net").exists()
