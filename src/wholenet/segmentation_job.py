"""What a run on images with masks comes to: its network, its streams, its scores, its pictures."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from wholenet import parallel
from wholenet.architecture import mean_entry_entropy
from wholenet.data.sample import Classes, SegmentationData
from wholenet.deploy.model_folder import save_model
from wholenet.machine import machine
from wholenet.prepare import Prepared
from wholenet.report.run import draw_run
from wholenet.run import Job, Scored, score_every
from wholenet.search.config import FitConfig
from wholenet.search.draw import batch_of_all, draw, names_in_batch, steps_per_epoch
from wholenet.search.memory import memory_advice
from wholenet.search.phases import Phase, retraining, single_stage
from wholenet.search.run_folder import RunFolder
from wholenet.search.schedule import Schedule
from wholenet.search.start import choose_execution, initial_state, parts_of, schedule_of
from wholenet.search.state import TrainState
from wholenet.search.updates import Batches
from wholenet.search.watch import Watch
from wholenet.spaces.grid import PAPER_EDGE_SLOTS
from wholenet.tasks.segmentation import Scores, balanced_loss, evaluate

ADVICE = " (IoU 0). Rare classes count for more with --class-balance 0.5, or 1"


@dataclass(frozen=True)
class Finished:
    """What a run came to."""

    run: Path
    scores: Scores
    """On the validation split, at the end."""
    classes: Classes
    constant_miou: float
    """Validation mIoU of always answering the one class that scores best so."""


class MaskStreams:
    """The two streams of a run on images with masks. Each goes on from epoch to epoch, so that workers read ahead.

    Args:
        data: of the run.
        config: likewise.
        schedule: likewise.
        device: where batches are wanted.
    """

    def __init__(self, data: Prepared, config: FitConfig, schedule: Schedule, device: torch.device) -> None:
        self.data = data
        self.config = config
        self.total = schedule.epochs * schedule.steps_per_epoch
        self.device = device
        self._from = data.weights
        self._weights: Batches | None = None
        self._architecture: Batches | None = None

    def epoch(self, state: TrainState, phase: Phase) -> tuple[Batches, Batches]:
        """The batches of the epoch to come: for the weights, and for the architecture."""
        wanted = self.data.fine_tune if phase.name == "fine-tune" else self.data.weights
        if self._weights is None or wanted is not self._from:
            self._from = wanted
            self._weights = self._drawn(wanted, "weights", state.weight_steps)
        if self._architecture is None:
            self._architecture = self._drawn(self.data.architecture, "architecture", state.arch_steps)
        return self._weights, self._architecture

    def names(self, stream: str, number: int) -> list[str]:
        """The files of a batch, over all processes."""
        drawn_from = self.data.architecture if stream == "architecture" else self._from
        return names_in_batch(drawn_from, stream, number, self.config)

    def facts(self) -> dict[str, Any]:
        """What a continued run must find again, by split."""
        return {"train": asdict(self.data.train_stats), "val": asdict(self.data.val_stats)}

    def _drawn(self, data: SegmentationData, stream: str, first: int) -> Batches:
        return draw(data, stream, first, self.total, self.data.crop, self.config, self.device)


def job_of(run: RunFolder, data: Prepared, device: torch.device, console: Console) -> Job[Finished]:
    """All that the training of ``run`` is told."""
    config, classes = run.config, data.source.classes
    if config.threads:
        torch.set_num_threads(config.threads)
    phases = plan_phases(config)
    epochs, images = phases[-1].end, batch_of_all(config)
    schedule, parts = schedule_of(config, epochs, steps_per_epoch(len(data.weights), images)), parts_of(config, phases)
    state = initial_state(run, len(classes), device)
    streams = MaskStreams(data, config, schedule, device)

    def score() -> Scored:
        scores = evaluate(state.model, data.val, len(classes), device)
        return Scored({"miou": scores.miou, "pixel_accuracy": scores.pixel_accuracy}, scores.iou, scores)

    def save(scored: Scored, finished: int) -> None:
        facts = {
            "data": Path(config.data).name,
            "architecture": config.architecture,
            "epochs": f"{finished} of {epochs}",
            "val_miou": round(scored.scores.miou, 4),
        }
        held_out = {"val_share": config.val_share, "seed": config.data_seed}
        save_model(run.model, state.model, classes, facts, held_out)

    def conclude(scored: Scored | None, _stop: int | None) -> Finished:
        scores = (scored or score()).scores
        parallel.meet()  # what the first one has written, the others read
        return Finished(run.path, scores, classes, data.val_stats.best_constant_miou())

    return Job(
        run=run,
        state=state,
        data=streams,
        loss=balanced_loss(data.train_stats.class_pixels, config.class_balance, device),
        phases=phases,
        schedule=schedule,
        parts=parts,
        device=device,
        images=images,
        checkpoint_minutes=config.checkpoint_minutes,
        environment=partial(_environment, streams, device),
        describe=_describe,
        score=score,
        score_every=score_every(config.val_every, epochs),
        unscored={"miou": None, "pixel_accuracy": None},
        save=save,
        draw=lambda _stop: draw_run(run, state.model, state.records, data.val, classes, phases, device),
        conclude=conclude,
        watch=Watch(classes.names, data.val_stats.class_pixels, epochs, penalised=bool(parts.penalties), advice=ADVICE),
        begin=partial(_begin, state, config, data.crop, device, console),
        too_large=lambda reason: memory_advice(run, len(classes), data.crop, device, reason),
    )


def plan_phases(config: FitConfig) -> tuple[Phase, ...]:
    """The phases of a run; the frozen-uniform control goes through the same ones and never moves its architecture.

    Of a two-stage run these are the second stage's; its first stage is a run of its own.
    """
    if config.protocol == "two-stage":
        return retraining(config.retrain_epochs)
    if config.genotype is not None:
        return retraining(config.epochs)
    phases = single_stage(config.epochs, config.warmup_share, config.search_share)
    if config.architecture == "uniform":
        phases = tuple(replace(phase, moves_architecture=False) for phase in phases)
    return phases


def _begin(state: TrainState, config: FitConfig, crop: tuple[int, int], device: torch.device, console: Console) -> None:
    choose_execution(state.model, config, crop, device, lambda text: console.print(text, highlight=False))


def _describe(state: TrainState) -> dict[str, Any]:
    """What a record says of the architecture: normalised entropies, and as the paper counts them."""
    model = state.model
    with torch.no_grad():
        weights = model.arch()
        slots = {"beta": PAPER_EDGE_SLOTS}
        paper = {
            name: mean_entry_entropy(w, model.arch.mask(name), slots.get(name)).item() for name, w in weights.items()
        }
    return {"entropy": model.arch.normalized_entropies(), "entropy_paper": paper}


def _environment(streams: MaskStreams, device: torch.device) -> dict[str, Any]:
    """Where and with what a run is made."""
    data = streams.data
    images = {"weights": len(data.weights), "architecture": len(data.architecture), "val": len(data.val)}
    return machine(device) | {"crop": list(data.crop), **streams.facts(), "images": images}
