"""What tests/test_parallel.py runs under torchrun, and by itself: the three phases on batches that are given.

python tests/two_processes.py OUT: writes, for each process, parameters and losses to OUT/alternating-0.pt and so on,
scores, and where a run ends of which one process alone is asked to stop.
"""

import os
import signal
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import torch

from wholenet import parallel
from wholenet.data.sample import IGNORE, Sample
from wholenet.ops.norms import BatchNorm
from wholenet.search.folder import Folder
from wholenet.search.gradients import moving_statistics
from wholenet.search.interruption import Interrupted
from wholenet.search.keeper import Keeper
from wholenet.search.loop import train_epoch
from wholenet.search.penalties import EntropyPenalty
from wholenet.search.phases import single_stage
from wholenet.search.schedule import Schedule
from wholenet.search.state import TrainState
from wholenet.search.steps import make_optimizers
from wholenet.search.updates import Parts, together, weights_first
from wholenet.spaces.catalog import create_model
from wholenet.tasks.evaluation import measure_masks
from wholenet.tasks.segmentation import SegmentationLoss, evaluate, predict_mask

EPOCHS, STEPS, BATCH, CLASSES = 3, 2, 4, 3
RATES = {"lr": 0.05, "momentum": 0.9, "weight_decay": 1e-3, "arch_lr": 0.05, "arch_weight_decay": 1e-3}


def batches(seed):
    """This process's share of random batches; the first half of each has more pixels that are ignored."""
    generator = torch.Generator().manual_seed(seed)
    own = BATCH // parallel.processes()
    first = parallel.rank() * own
    while True:
        images = torch.randn(BATCH, 3, 33, 40, generator=generator, dtype=torch.float64)
        masks = torch.randint(CLASSES, (BATCH, 33, 40), generator=generator)
        masks[0, :20] = IGNORE
        yield images[first : first + own], masks[first : first + own]


def trained(simultaneous):
    torch.manual_seed(0)
    model = create_model("grid-nano", num_classes=CLASSES).double()
    for norm in model.modules():
        if isinstance(norm, BatchNorm):  # not the symmetric start, which would hide errors
            torch.nn.init.normal_(norm.weight, 1.0, 0.2)
            torch.nn.init.normal_(norm.bias, 0.0, 0.2)
    state = TrainState(model, *make_optimizers(model, **RATES))
    loss = SegmentationLoss(torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64))
    penalty = EntropyPenalty({"alpha": 0.1, "beta": 0.1}, "constant", 0.0, 3.0)
    parts = Parts(
        together if simultaneous else weights_first, moving_statistics, penalties={"entropy penalty": penalty}
    )
    losses, streams = [], (batches(1), batches(2))
    for phase in single_stage(EPOCHS, 0.34, 0.33):
        epoch = train_epoch(
            state,
            phase,
            Schedule(epochs=EPOCHS, steps_per_epoch=STEPS, lr=0.05),
            parts,
            loss,
            *streams,
            torch.device("cpu"),
        )
        losses += [(step.loss, step.arch_loss or 0.0) for step in epoch]
        state.end_epoch()
    return {**model.state_dict(), "losses": torch.tensor(losses, dtype=torch.float64)}


def scored():
    """What a network that was not trained scores on three images, and what is measured of its masks."""
    torch.manual_seed(1)
    rng = np.random.default_rng(0)
    data = [
        Sample(
            rng.integers(256, size=(40, 48, 3), dtype=np.uint8), rng.integers(3, size=(40, 48), dtype=np.uint8), name
        )
        for name in ("first", "second, \u00e9", "third")
    ]
    model = create_model("grid-nano", num_classes=CLASSES)
    scores = evaluate(model, data, CLASSES)
    found = asdict(measure_masks(partial(predict_mask, model.eval()), data, CLASSES))
    return {"iou": list(scores.iou), "images": scores.images, "accuracy": scores.pixel_accuracy, "found": repr(found)}


def stopped(folder):
    """The step after which this process stops, and the message, if the last one alone gets a signal in the fourth."""
    model = create_model("grid-nano", num_classes=CLASSES)
    state = TrainState(model, *make_optimizers(model, **RATES))
    keeper = Keeper(Folder(folder), state, 10.0, 9)
    try:
        with keeper.watching(), keeper.steps():
            for step in range(9):
                if step == 3 and parallel.rank() == parallel.processes() - 1:
                    os.kill(os.getpid(), signal.SIGTERM)
                state.tally.steps += 1
                keeper.step_done()
    except Interrupted as stop:
        return {"steps": state.tally.steps, "number": stop.number, "message": stop.message}


if __name__ == "__main__":
    torch.set_num_threads(1)
    out = Path(sys.argv[1])
    parallel.start()
    for name, simultaneous in (("alternating", False), ("simultaneous", True)):
        torch.save(trained(simultaneous), out / f"{name}-{parallel.rank()}.pt")
    torch.save(scored(), out / f"scored-{parallel.rank()}.pt")
    torch.save(stopped(out), out / f"stopped-{parallel.rank()}.pt")
    parallel.stop()
