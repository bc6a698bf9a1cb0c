"""From a run's config and data to the job that trains it, whatever its space, task and method."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from wholenet import parallel
from wholenet.architecture import mean_entry_entropy, normalized_entropy, rescaled
from wholenet.beginning import begin, facts_for_model
from wholenet.deploy.model_folder import load_model, save_model
from wholenet.diagnostics.curvature import curvature
from wholenet.jobs.catalog import task_of_run
from wholenet.jobs.distillation import distilled
from wholenet.jobs.kept import network_kept, said_of_network
from wholenet.jobs.task import Data, Finished, Task, TaskStreams
from wholenet.jobs.zooms import better_zoom, tries_zoom
from wholenet.machine import machine, use_threads
from wholenet.report.progress import plain
from wholenet.report.run import draw_run
from wholenet.run import Job, Scored, score_every
from wholenet.search.config import FitConfig
from wholenet.search.draw import batch_of_all
from wholenet.search.keep import best_record, is_best, say_kept
from wholenet.search.memory import memory_advice
from wholenet.search.option_removal import option_removal
from wholenet.search.parts import GRADIENTS
from wholenet.search.phases import Phase, removing
from wholenet.search.protocols import plan_phases
from wholenet.search.removal import Removal, removal_for
from wholenet.search.run_folder import RunFolder
from wholenet.search.shrunk import before_and_after
from wholenet.search.start import choose_execution, initial_state, moves_with_time, parts_of, schedule_of
from wholenet.search.state import TrainState
from wholenet.search.steps import Loss
from wholenet.search.stopping import Stopping
from wholenet.search.task_config import TaskConfig
from wholenet.search.train_config import TrainConfig
from wholenet.search.watch import Watch
from wholenet.spaces.catalog import SPACES
from wholenet.spaces.device_table import read_table
from wholenet.spaces.option_costs import with_costs
from wholenet.spaces.supernet import Supernet

NOT_LOOKED_AT = {"eigenvalue": None, "lowest_eigenvalue": None}


def job_of(run: RunFolder, data: Data, device: torch.device, console: Console) -> Job[Finished]:
    """All that the training of ``run`` is told."""
    config, task = run.config, task_of_run(run.config)
    use_threads(config.threads)
    phases = plan_phases(config)
    epochs, images = phases[-1].end, batch_of_all(config)
    steps = config.steps_per_epoch or data.steps_per_epoch(images)
    schedule, parts = schedule_of(config, phases, steps), parts_of(config, phases)
    state = initial_state(run, data.network(), device)
    if config.regularizer == "cost" and not state.model.discrete:
        with_costs(state.model, data.size())
    begin(run, config, state)
    parts = replace(parts, at=moves_with_time(state.model, config))
    if task.parts is not None:
        parts = task.parts(parts, data, config, device)
    streams, loss = data.streams(config, schedule, device), data.loss(config, device)
    if isinstance(config, FitConfig) and config.distill:
        parts = replace(parts, weight_loss=distilled(run, state.model, loss, config.distill, device))
    searches = any(phase.moves_architecture and phase.end > phase.first for phase in phases)
    watched = data.watched()

    removal = _removal(run, data, state, phases, plain(console))
    outcome = _Outcome(run, data, state, streams, phases, device, removal, plain(console))

    return Job(
        run=run,
        state=state,
        streams=streams,
        loss=loss,
        phases=phases,
        schedule=schedule,
        parts=parts,
        device=device,
        images=images,
        checkpoint_minutes=config.checkpoint_minutes,
        log=config.log,
        environment=lambda: machine(device) | data.facts(),
        describe=partial(_describe, config, removal),
        measured=task.score,
        pace=task.pace(data, config),
        score=outcome.score,
        score_every=score_every(config.val_every, epochs),
        also_scored=before_and_after(phases),
        unscored={**task.unscored, **(NOT_LOOKED_AT if searches and config.eigenvalue_every else {})},
        save=outcome.save,
        draw=outcome.draw,
        conclude=outcome.conclude,
        watch=Watch(watched.classes, watched.counts, epochs, penalised=bool(parts.penalties), advice=watched.advice),
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
        after_epoch=_after_epoch(task, config, state, removal),
        begin=partial(choose_execution, state.model, config, data.size(), device, plain(console)),
        too_large=lambda reason: memory_advice(run, data.network(), data.size(), device, reason),
    )


class _Outcome:
    """What a run scores, keeps, draws and comes to."""

    def __init__(
        self,
        run: RunFolder,
        data: Data,
        state: TrainState,
        streams: TaskStreams,
        phases: Sequence[Phase],
        device: torch.device,
        removal: Removal | None,
        say: Callable[[str], None],
    ) -> None:
        self.run, self.data, self.state, self.phases, self.device, self.say = run, data, state, phases, device, say
        self.streams = streams
        self.scored = state.model
        """The network that was scored last."""
        self.kept: Scored | None = None
        """The scores of the network in ``model/``, where this process has kept it itself."""
        self.removal = removal
        self.config = run.config
        self.task = task_of_run(self.config)

    def score(self) -> Scored:
        """On what is held out."""
        self.scored = network_kept(self.state, self.streams, self.config)
        found = self.data.score(self.scored, self.device)
        if tries_zoom(self.config, self.state.records, self.phases[-1].end, self.task.score):
            found = self._at_the_better_zoom(found)
        return found

    def _at_the_better_zoom(self, found: Scored) -> Scored:
        """What was ``found`` at the zoom so far, or at the other one: the network keeps the better."""
        own, other, name = self.scored.spec.zoom, self.run.fit_config.try_zoom, self.task.score.name
        assert other is not None  # it is tried
        tried = self.data.score(self.scored.at_zoom(other), self.device)
        values = {own: found.record[name], other: tried.record[name]}
        zoom = better_zoom(values, self.task.score)
        told = " and ".join(f"{self.task.score.say(value)} at a zoom of {at:g}" for at, value in values.items())
        self.say(f"validation has {told}: images are seen at {zoom:g} from here on")
        for model in (self.scored, self.state.model):
            model.spec = replace(model.spec, zoom=zoom)
        return found if zoom == own else tried

    def save(self, scored: Scored, finished: int) -> None:
        """Write the model folder after so many epochs."""
        value = scored.record[self.task.score.name]
        facts = {
            "data": Path(self.config.data).name,
            "architecture": self.config.architecture,
            "epochs": f"{finished} of {self.phases[-1].end}",
            f"val_{self.task.score.name}": round(value, 4),
            **said_of_network(self.config),
            **facts_for_model(self.run, self.config),
        }
        model, answer = self.scored, self.data.answer(self.config)
        if self.config.keep == "best":
            save_model(self.run.model_last, self.task.name, model, answer, facts)
            # If the process ends before the checkpoint, the epoch is repeated, and comes to the same score and network.
            macs = None if self.removal is None else self.removal.macs
            if not is_best(value, self.state.records, self.task.score, macs):
                return
        save_model(self.run.model, self.task.name, model, answer, facts)
        self.kept = scored

    def draw(self, _stop: int | None) -> None:
        """Draw the pictures of the network that is kept."""
        # Loading draws random numbers, which before the end would be missing in the training.
        earlier = self.state.epoch == self.phases[-1].end and self._keeps_earlier()
        model, records = self._scored_last(), self.state.records
        epoch = len(records)
        if earlier and (best := best_record(records, self.task.score)) is not None:
            model, epoch = load_model(self.run.model, self.device).network, best["epoch"] + 1
        draw_run(self.run, model, epoch, records, self.phases, self.task.score, self.task.floors(self.data))
        self.data.draw(self.run.path, model, self.device)

    def conclude(self, scored: Scored | None, stop: int | None) -> Finished:
        """What the run came to, with its last scores; ``stop``: the epoch that a search ended with, if it was ended."""
        if self.config.keep == "best":
            self.say(say_kept(self.state.records, self.task.score))
        if self._keeps_earlier():
            parallel.meet()
            known = self.kept if parallel.processes() == 1 else None  # the first process alone keeps anything
            scored = known or self.data.score(load_model(self.run.model, self.device).network, self.device)
        scored = scored or self.score()
        if stop is not None and parallel.is_first():  # its logits are others now
            self.save(scored, self.state.epoch)
        parallel.meet()  # what the first one has written, the others read
        floors = self.task.floors(self.data)
        return Finished(self.run.path, scored.scores, self.data.classes(), self.data.constant(), floors)

    def _scored_last(self) -> Supernet[Any]:
        """The network that was scored last. Where that is a copy, with weights or statistics of its own, and an earlier
        process of the run made it, it is in the folder."""
        folder = self.run.model_last if self.config.keep == "best" else self.run.model
        known = not self.config.statistics_batches or self.scored is not self.state.model
        if known or not folder.is_dir():
            return self.scored
        with torch.random.fork_rng(devices=[]):  # what loading draws would be missing in the training
            found = load_model(folder, self.device).network
        return Supernet(found.net, self.state.model.arch, found.spec)

    def _keeps_earlier(self) -> bool:
        """Whether the network that is kept is not the last epoch's."""
        records = self.state.records
        return self.config.keep == "best" and best_record(records, self.task.score) is not records[-1]


def _removal(
    run: RunFolder, data: Data, state: TrainState, phases: Sequence[Phase], say: Callable[[str], None]
) -> Removal | None:
    """What makes the network smaller, where there is a budget."""
    config = run.config
    if isinstance(config, TaskConfig):
        return option_removal(config, state, phases, data.size(), say)
    if not isinstance(config, FitConfig) or config.budget is None:
        return None
    table = read_table(run.device_table) if config.timed else None
    return removal_for(config, state, removing(phases), say, table)


def _after_epoch(
    task: Task, config: TrainConfig, state: TrainState, removal: Removal | None
) -> Callable[[], object] | None:
    """What changes the network or how it is trained, between two epochs."""
    own = task.after_epoch
    ends = [] if own is None else [lambda: own(state, config)]
    ends += [] if removal is None else [removal.after_epoch]
    return (lambda: [end() for end in ends]) if ends else None


def _describe(config: TrainConfig, removal: Removal | None, state: TrainState) -> dict[str, Any]:
    """What a record says of the architecture: its logits, normalised entropies, and these as the paper counts them."""
    arch = state.model.arch
    sums_to_one = config.relaxation == "softmax"
    slots = SPACES[config.space].slots
    with torch.no_grad():
        weights = {name: w if sums_to_one else rescaled(w) for name, w in arch().items()}
        paper = {name: mean_entry_entropy(w, arch.mask(name), slots.get(name)).item() for name, w in weights.items()}
        entropy = {name: normalized_entropy(w, arch.mask(name)).item() for name, w in weights.items()}
    found: dict[str, Any] = {"entropy": entropy, "entropy_paper": paper}
    if removal is not None:
        found |= removal.describe()
    elif state.model.spec.subnet is not None:  # as the run began
        found["subnet"] = state.model.spec.subnet
    if not state.model.discrete:
        found["logits"] = {name: logits.tolist() for name, logits in arch.logits.items()}
    return found


def _ends_of_spectrum(streams: TaskStreams, config: TrainConfig, loss: Loss, state: TrainState) -> dict[str, float]:
    """Of the loss's Hessian in the logits, on the batch that the architecture saw last (RobustDARTS' code)."""
    own = not config.simultaneous and GRADIENTS[config.gradient].own_batches
    stream, steps = ("architecture", state.arch_steps) if own else ("weights", state.weight_steps)
    batch = streams.one(stream, steps - 1, state.epoch)
    tolerance = config.eigenvalue_tolerance
    found = curvature(state.model, batch, loss, weight_decay=config.arch_weight_decay, tolerance=tolerance)
    return {"eigenvalue": found.highest, "lowest_eigenvalue": found.lowest}
