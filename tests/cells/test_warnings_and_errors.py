"""Runs on labelled images warn and say what went wrong as runs on images with masks do: the training is one."""

import json

import pytest
import torch
from rich.console import Console

import wholenet.cells.scorer as scorer_module
import wholenet.run as run_module
from wholenet.cells.search import search
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
