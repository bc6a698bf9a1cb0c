"""What run folders hold, read back to be compared; and whether pictures, and a page of them, are among it."""

import importlib
import json
from contextlib import contextmanager

import pytest
import torch

import wholenet.run as run_module
from wholenet.search.cell_folder import CellFolder
from wholenet.search.removal import Removal


def records(run):
    """metrics.jsonl."""
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


TIMED = ("seconds", "steady_seconds", "data_seconds", "images_per_second")
"""What no two runs have in common."""


def untimed(records):
    """Without what depends on the machine."""
    return [{key: value for key, value in record.items() if key not in TIMED} for record in records]


def checkpoint(run):
    """checkpoint.pt: all that the next epoch depends on, and the records so far, :func:`untimed`."""
    saved = torch.load(run / "checkpoint.pt", weights_only=True)
    return saved | {"records": untimed(saved.get("records", []))}


def stop_after(steps, train):
    """Interrupt the training that ``train`` begins after so many steps."""
    real, done = run_module.train_epoch, []

    def stopping(*arguments):
        for step in real(*arguments):
            yield step
            done.append(step)
            if len(done) == steps:
                raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_module, "train_epoch", stopping)
        with pytest.raises(KeyboardInterrupt):
            train()


def stop_after_checkpoints(count, train):
    """Interrupt the run on cells that ``train`` begins after so many checkpoints."""
    save, calls = CellFolder.save_checkpoint, []

    def stopping(*arguments):
        save(*arguments)
        calls.append(1)
        if len(calls) == count:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CellFolder, "save_checkpoint", stopping)
        with pytest.raises(KeyboardInterrupt):
            train()


@contextmanager
def stopped_looking(stop):
    """Within the block a run with a budget is interrupted in its weight step number ``stop``, counted by the looks at
    the gates; the block must end so."""
    steps, whole = [], Removal._look

    def look(self, *given):
        whole(self, *given)
        steps.append(1)
        if len(steps) == stop:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Removal, "_look", look)
        with pytest.raises(KeyboardInterrupt):
            yield


def assert_equal(first, second):
    """Two checkpoints, to the bit."""
    assert first.keys() == second.keys()
    for key, value in first.items():
        if isinstance(value, dict):
            assert_equal(value, second[key])
        elif isinstance(value, torch.Tensor):
            assert torch.equal(value, second[key]), key
        elif key != "param_groups":
            assert value == second[key], key


class Pictures:
    """Whether runs draw theirs. A third of a small run's time goes there, so tests do without, but for those that run
    ``with PICTURES``."""

    PLACES = (
        "wholenet.jobs.job.draw_run",
        "wholenet.jobs.segmentation.draw_answers",
        "wholenet.jobs.stereo.draw_disparities",
        "wholenet.jobs.language.surprise_of_lines",
        "wholenet.jobs.language.draw_surprise",
        "wholenet.cells.search.draw_search",
        "wholenet.cells.search.draw_genotype",
        "wholenet.cells.search.draw_left",
        "wholenet.cells.search.draw_pairs",
        "wholenet.cells.retrain.draw_genotype",
        "wholenet.cells.best_of.draw_genotype",
        "wholenet.cells.best_of.draw_stages",
        "wholenet.control.write_report_or_say",
        "wholenet.cells.best_of.write_report_or_say",
        "wholenet.report.diagnosis.draw_diagnosis",
    )

    def __init__(self):
        self.wanted = False

    def __enter__(self):
        self.wanted = True

    def __exit__(self, *_):
        self.wanted = False

    def patch(self, monkeypatch):
        """Ask here before anything is drawn."""
        for place in self.PLACES:
            module, _, name = place.rpartition(".")
            real = getattr(importlib.import_module(module), name)
            monkeypatch.setattr(place, lambda *args, real=real, **kw: real(*args, **kw) if self.wanted else [])


PICTURES = Pictures()
