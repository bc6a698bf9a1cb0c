"""Train one network: a config in, a run folder out. :func:`train` is the whole protocol, top to bottom."""

from __future__ import annotations

import json
import math
import platform
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch import Tensor

import wholenet
from wholenet.architecture import mean_entry_entropy
from wholenet.data.augment import Augmentation
from wholenet.data.detect import BUILT_IN
from wholenet.data.sample import Classes, SegmentationData
from wholenet.data.stream import BatchStream, batches
from wholenet.deploy.model_folder import save_model
from wholenet.prepare import Prepared, prepare
from wholenet.report.progress import training_progress
from wholenet.report.run import draw_run
from wholenet.search.config import FitConfig
from wholenet.search.loop import Schedule, Step, TrainState, train_epoch
from wholenet.search.penalty import EntropyPenalty
from wholenet.search.phases import Phase, phase_at, single_stage
from wholenet.search.run_folder import RunFolder
from wholenet.search.steps import make_optimizers
from wholenet.spaces.grid import PAPER_EDGE_SLOTS
from wholenet.spaces.supernet import Supernet, create_model
from wholenet.tasks.segmentation import Scores, SegmentationLoss, balanced_weights, evaluate

VALIDATIONS = 20
"""Validations in a run, at most, unless ``val_every`` says otherwise."""
DRAW_EVERY_S = 120.0
"""Least time between two sets of pictures; those of the last epoch are always drawn."""


@dataclass(frozen=True)
class Finished:
    """What a run came to."""

    run: Path
    scores: Scores
    """On the validation split, at the end."""
    classes: Classes
    constant_miou: float
    """Validation mIoU of always answering the one class that scores best so."""


def fit(config: FitConfig, console: Console | None = None) -> Finished:
    """Train a network as ``config`` says, in the new folder ``config.out``.

    Everything is checked before the folder is made and before training starts.

    Raises:
        DataError: for data that cannot be trained on.
        ValueError: for a folder that is in use, or a device that is not there.
        FloatingPointError: if the loss stops being a finite number.
    """
    console = console or Console()
    RunFolder.check_free(config)
    device = choose_device(config.device)
    data = prepare(config, console)
    if config.data != BUILT_IN:  # so that the run can be continued from anywhere
        config = replace(config, data=str(Path(config.data).expanduser().resolve()))
    config = replace(config, crop="{}x{}".format(*data.crop))
    return train(RunFolder.create(config), data, device, console)


def resume(path: str | Path, console: Console | None = None) -> Finished:
    """Continue the run in ``path`` from its last checkpoint; of a finished run, only score it again.

    Raises:
        ValueError: if the folder holds no run, or its data has changed.
    """
    console = console or Console()
    run = RunFolder(path)
    device = choose_device(run.config.device)
    data = prepare(run.config, console)
    before = run.environment()
    for name, stats in (("train", data.train_stats), ("val", data.val_stats)):
        if before and before[name] != json.loads(json.dumps(asdict(stats))):
            raise ValueError(
                f"the {name} images of {run.config.data} have changed since {path} was started: {before[name]} then, "
                f"{asdict(stats)} now. Put them back as they were, or start a new run"
            )
    return train(run, data, device, console)


def choose_device(name: str) -> torch.device:
    """The device called "cpu" or "cuda"; "auto" is a GPU if there is one.

    Raises:
        ValueError: if a GPU is asked for where there is none.
    """
    found = torch.cuda.is_available()
    if name == "cuda" and not found:
        raise ValueError(
            f"--device cuda was asked for, but this torch ({torch.__version__}) sees no GPU; use --device cpu or "
            "auto, or install a build of torch that fits the machine's GPU"
        )
    return torch.device("cuda" if found and name == "auto" else name.replace("auto", "cpu"))


def train(run: RunFolder, data: Prepared, device: torch.device, console: Console) -> Finished:
    """Warm-up, search and fine-tune, from wherever the run folder stands to the end."""
    config, classes = run.config, data.source.classes
    if config.threads:
        torch.set_num_threads(config.threads)
    phases = plan_phases(config)
    schedule = Schedule(config.epochs, max(1, len(data.weights) // config.batch), config.lr, config.lr_schedule)
    class_weights = balanced_weights(data.train_stats.class_pixels, config.class_balance)
    loss = SegmentationLoss(None if class_weights is None else class_weights.to(device))
    penalty = EntropyPenalty(
        magnitudes={"alpha": config.entropy_alpha, "beta": config.entropy_beta},
        schedule=config.entropy_schedule,
        start=config.entropy_start * config.epochs,
        end=phases[1].end,
    )

    state = _initial_state(config, len(classes), device)
    if saved := run.load_checkpoint(device):
        state.load_state_dict(saved)
    else:
        run.write_environment(_environment(data, device))
    total = config.epochs * schedule.steps_per_epoch
    weight_batches = _draw(data.weights, "weights", state.weight_steps, total, data.crop, config)
    arch_batches = _draw(data.architecture, "architecture", state.arch_steps, total, data.crop, config)

    validate_every = config.val_every or math.ceil(config.epochs / VALIDATIONS)
    scores, last_drawn = None, time.monotonic()
    with training_progress(
        total_epochs=config.epochs,
        steps_per_epoch=schedule.steps_per_epoch,
        first_epoch=state.epoch,
        phases=[(p.name, p.first, p.end) for p in phases],
        console=console,
    ) as progress:
        while state.epoch < config.epochs:
            epoch, phase, began = state.epoch, phase_at(phases, state.epoch), time.perf_counter()
            steps = []
            for step in train_epoch(
                state,
                phase,
                schedule,
                loss,
                penalty,
                weight_batches,
                arch_batches,
                device,
                arch_updates_statistics=config.arch_batchnorm == "updated",
            ):
                steps.append(step)
                progress.step(
                    epoch=epoch, step=step.step, phase=phase.name, loss=step.loss, lr=step.lr, images=config.batch
                )
            record = _record(epoch, phase, steps, time.perf_counter() - began, config.batch, state.model)
            last = state.epoch == config.epochs
            if last or state.epoch % validate_every == 0:
                scores = evaluate(state.model, data.val, len(classes), device)
                record |= {"miou": scores.miou, "pixel_accuracy": scores.pixel_accuracy}
                held_out = {"val_share": config.val_share, "seed": config.data_seed}
                save_model(run.model, state.model, classes, _facts(config, state.epoch, scores), held_out)
            run.log(record)
            if last or time.monotonic() - last_drawn > DRAW_EVERY_S:
                draw_run(run, state.model, data.val, classes, phases, device)
                last_drawn = time.monotonic()
            run.save_checkpoint(state.state_dict())
            progress.epoch(record)
    scores = scores or evaluate(state.model, data.val, len(classes), device)
    return Finished(run.path, scores, classes, data.val_stats.best_constant_miou())


def plan_phases(config: FitConfig) -> tuple[Phase, ...]:
    """The phases of a run; the frozen-uniform control goes through the same ones and never moves its architecture."""
    phases = single_stage(config.epochs, config.warmup_share, config.search_share)
    if config.architecture == "uniform":
        phases = tuple(replace(phase, moves_architecture=False) for phase in phases)
    return phases


def _initial_state(config: FitConfig, num_classes: int, device: torch.device) -> TrainState:
    torch.manual_seed(config.seed)
    model = create_model(f"grid-{config.size}", num_classes=num_classes, cell=config.cell, activation=config.activation)
    model.placed(device)
    if config.architecture == "uniform":
        model.arch.set_uniform()
    return TrainState(
        model,
        *make_optimizers(
            model,
            lr=config.lr,
            momentum=config.momentum,
            weight_decay=config.weight_decay,
            arch_lr=config.arch_lr,
            arch_weight_decay=config.arch_weight_decay,
        ),
    )


def _draw(
    data: SegmentationData, stream: str, first: int, total: int, crop: tuple[int, int], config: FitConfig
) -> Iterator[tuple[Tensor, Tensor]]:
    augment = Augmentation(
        crop=crop,
        scale=(config.scale_min, config.scale_max),
        flip=config.flip,
        jitter=config.jitter,
        noise=config.noise,
    )
    own = BatchStream(data, config.batch, augment, seed=config.seed, stream=stream, batches=total)
    return batches(own, first, config.workers)


def _record(
    epoch: int, phase: Phase, steps: Sequence[Step], seconds: float, batch: int, model: Supernet
) -> dict[str, Any]:
    arch_losses = [step.arch_loss for step in steps if step.arch_loss is not None]
    with torch.no_grad():
        weights = model.arch()
        slots = {"beta": PAPER_EDGE_SLOTS}
        paper = {
            name: mean_entry_entropy(w, model.arch.mask(name), slots.get(name)).item() for name, w in weights.items()
        }
    return {
        "epoch": epoch,
        "phase": phase.name,
        "lr": steps[0].lr,
        "loss": sum(step.loss for step in steps) / len(steps),
        "arch_loss": sum(arch_losses) / len(arch_losses) if arch_losses else None,
        "entropy": model.arch.normalized_entropies(),
        "entropy_paper": paper,
        "miou": None,
        "pixel_accuracy": None,
        "seconds": seconds,
        "data_seconds": sum(step.data_seconds for step in steps),
        "images_per_second": len(steps) * batch / seconds,
    }


def _facts(config: FitConfig, epochs: int, scores: Scores) -> dict[str, Any]:
    return {
        "data": Path(config.data).name,
        "architecture": config.architecture,
        "epochs": f"{epochs} of {config.epochs}",
        "val_miou": round(scores.miou, 4),
    }


def _environment(data: Prepared, device: torch.device) -> dict[str, Any]:
    """Where and with what a run is made."""
    return {
        "wholenet": wholenet.__version__,
        "commit": _commit(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or "cpu",
        "threads": torch.get_num_threads(),
        "crop": list(data.crop),
        "train": asdict(data.train_stats),
        "val": asdict(data.val_stats),
        "images": {
            "weights": len(data.weights),
            "architecture": len(data.architecture),
            "val": len(data.val),
        },
    }


def _commit() -> str | None:
    """The commit of the checkout that wholenet runs from; None where it was installed otherwise, or there is no git."""
    source = Path(wholenet.__file__)
    git = ["git", "-C", str(source.parent)]
    try:
        tracked = subprocess.run([*git, "ls-files", "--error-unmatch", source.name], capture_output=True, check=False)
        head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    except OSError:
        return None
    return head.stdout.strip() if tracked.returncode == head.returncode == 0 else None
