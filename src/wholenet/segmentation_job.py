"""What a run on images with masks comes to: its network, its streams, its scores, its pictures."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from wholenet import parallel
from wholenet.architecture import mean_entry_entropy, normalized_entropy, rescaled
from wholenet.data.sample import Classes, SegmentationData
from wholenet.deploy.model_folder import save_model
from wholenet.deploy.segmenter import segmentation_answer
from wholenet.diagnostics.curvature import curvature
from wholenet.machine import machine
from wholenet.prepare import Prepared
from wholenet.report.progress import plain
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
from wholenet.search.steps import Batch
from wholenet.search.stopping import Stopping
from wholenet.search.updates import Batches
from wholenet.search.watch import Watch
from wholenet.spaces.grid import PAPER_EDGE_SLOTS
from wholenet.tasks.segmentation import Scores, SegmentationLoss, balanced_loss, evaluate

ADVICE = " (IoU 0). Rare classes count for more with --class-balance 0.5, or 1"

NOT_LOOKED_AT = {"eigenvalue": None, "lowest_eigenvalue": None}


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
        self._next = -1

    def epoch(self, state: TrainState, phase: Phase) -> tuple[Batches, Batches]:
        """The batches of the epoch to come: for the weights, and for the architecture."""
        wanted = self.data.fine_tune if phase.name == "fine-tune" else self.data.weights
        went_back = state.epoch != self._next
        self._next = state.epoch + 1
        if self._weights is None or went_back or wanted is not self._from:
            self._from = wanted
            self._weights = self._drawn(wanted, "weights", state.weight_steps)
        if self._architecture is None or went_back:
            self._architecture = self._drawn(self.data.architecture, "architecture", state.arch_steps)
        return self._weights, self._architecture

    def names(self, stream: str, number: int) -> list[str]:
        """The files of a batch, over all processes."""
        drawn_from = self.data.architecture if stream == "architecture" else self._from
        return names_in_batch(drawn_from, stream, number, self.config)

    def one(self, stream: str, number: int) -> Batch:
        """Batch ``number`` of a stream, on the device."""
        data = self.data.architecture if stream == "architecture" else self._from
        alone = replace(self.config, workers=0)
        images, masks = next(draw(data, stream, number, number + 1, self.data.crop, alone, self.device))
        return Batch(images.to(self.device, memory_format=torch.channels_last), masks.to(self.device))

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
    loss = balanced_loss(data.train_stats.class_pixels, config.class_balance, device)
    searches = any(phase.moves_architecture and phase.end > phase.first for phase in phases)
    _refuse_several(config)

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
        save_model(run.model, "segmentation", state.model, segmentation_answer(classes, held_out), facts)

    def conclude(scored: Scored | None, stop: int | None) -> Finished:
        scored = scored or score()
        if stop is not None and parallel.is_first():  # its logits are others now
            save(scored, state.epoch)
        parallel.meet()  # what the first one has written, the others read
        return Finished(run.path, scored.scores, classes, data.val_stats.best_constant_miou())

    return Job(
        run=run,
        state=state,
        data=streams,
        loss=loss,
        phases=phases,
        schedule=schedule,
        parts=parts,
        device=device,
        images=images,
        checkpoint_minutes=config.checkpoint_minutes,
        environment=partial(_environment, streams, device),
        describe=partial(_describe, config),
        score=score,
        score_every=score_every(config.val_every, epochs),
        unscored={
            "miou": None,
            "pixel_accuracy": None,
            **(NOT_LOOKED_AT if searches and config.eigenvalue_every else {}),
        },
        save=save,
        draw=lambda _stop: draw_run(run, state.model, state.records, data.val, classes, phases, device),
        conclude=conclude,
        watch=Watch(classes.names, data.val_stats.class_pixels, epochs, penalised=bool(parts.penalties), advice=ADVICE),
        stopping=Stopping(
            run,
            state,
            config.stopping if searches else "none",
            epochs=epochs,
            go_back=config.after_stopping == "regularize",
            goes_on=not phases[-1].moves_architecture and phases[-1].end > phases[-1].first,
            factor=config.regularize_by,
            limit=config.weight_decay_limit,
            device=device,
            say=plain(console),
        ),
        curvature=partial(_ends_of_spectrum, streams, config, loss),
        curvature_every=config.eigenvalue_every if searches else 0,
        curvature_epochs=next(
            (range(phase.first, phase.end) for phase in phases if phase.moves_architecture), range(0)
        ),
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


def _refuse_several(config: FitConfig) -> None:
    """Make sure that what is computed by one process alone is not asked of several.

    Raises:
        ValueError: naming the option.
    """
    alone = {"gradient": "first-order", "perturbation": "none", "eigenvalue_every": 0}
    for name, value in alone.items():
        if getattr(config, name) != value:
            parallel.refuse_several(f"runs with {name}={getattr(config, name)!r}")


def _describe(config: FitConfig, state: TrainState) -> dict[str, Any]:
    """What a record says of the architecture: its logits, normalised entropies, and these as the paper counts them."""
    arch = state.model.arch
    sums_to_one = config.relaxation == "softmax"
    slots = {"beta": PAPER_EDGE_SLOTS} if config.space == "grid" else {}
    with torch.no_grad():
        weights = {name: w if sums_to_one else rescaled(w) for name, w in arch().items()}
        paper = {name: mean_entry_entropy(w, arch.mask(name), slots.get(name)).item() for name, w in weights.items()}
        entropy = {name: normalized_entropy(w, arch.mask(name)).item() for name, w in weights.items()}
    found: dict[str, Any] = {"entropy": entropy, "entropy_paper": paper}
    if not state.model.discrete:
        found["logits"] = {name: logits.tolist() for name, logits in arch.logits.items()}
    return found


def _ends_of_spectrum(
    streams: MaskStreams, config: FitConfig, loss: SegmentationLoss, state: TrainState
) -> dict[str, float]:
    """Of the loss's Hessian in the logits, on the batch that the architecture saw last (RobustDARTS' code)."""
    own = not config.simultaneous and config.gradient != "one-level"
    batch = streams.one(*(("architecture", state.arch_steps - 1) if own else ("weights", state.weight_steps - 1)))
    tolerance = config.eigenvalue_tolerance
    found = curvature(state.model, batch, loss, weight_decay=config.arch_weight_decay, tolerance=tolerance)
    return {"eigenvalue": found.highest, "lowest_eigenvalue": found.lowest}


def _environment(streams: MaskStreams, device: torch.device) -> dict[str, Any]:
    """Where and with what a run is made."""
    data = streams.data
    images = {"weights": len(data.weights), "architecture": len(data.architecture), "val": len(data.val)}
    return machine(device) | {"crop": list(data.crop), **streams.facts(), "images": images}
