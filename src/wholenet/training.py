"""Train one network: a config in, a run folder out. :func:`train` is the whole protocol, top to bottom."""

from __future__ import annotations

import gc
import math
import platform
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

import wholenet
from wholenet import parallel
from wholenet.architecture import mean_entry_entropy
from wholenet.data.detect import BUILT_IN
from wholenet.data.sample import Classes, SegmentationData
from wholenet.deploy.model_folder import load_model, save_model
from wholenet.ops.execution import precision_for, tuned
from wholenet.prepare import Prepared, prepare
from wholenet.report.progress import plain, training_progress
from wholenet.report.run import draw_run
from wholenet.search.config import MACHINE, FitConfig
from wholenet.search.cost import step_cost
from wholenet.search.draw import augments_on_device, batch_of_all, draw, names_in_batch, steps_per_epoch
from wholenet.search.keeper import Keeper
from wholenet.search.loop import train_epoch
from wholenet.search.memory import memory_advice, ran_out_of_memory
from wholenet.search.phases import Phase, phase_at, retraining, single_stage
from wholenet.search.run_folder import RunFolder
from wholenet.search.same_data import check_same, data_of
from wholenet.search.start import choose_execution, initial_state, parts_of, schedule_of
from wholenet.search.state import TrainState
from wholenet.search.updates import ADVICE, Diverged
from wholenet.search.watch import Watch
from wholenet.spaces.decoding import decode
from wholenet.spaces.genotype import read_genotype, write_genotype
from wholenet.spaces.grid import PAPER_EDGE_SLOTS
from wholenet.spaces.sizes import grid_size
from wholenet.tasks.segmentation import Scores, balanced_loss, evaluate

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
        Interrupted: if the run was asked to stop, and has been saved.
    """
    console = console or own_console()
    RunFolder.check_free(config.out)
    device = choose_device(config.device)
    genotype = None
    if config.genotype is not None:
        genotype = read_genotype(config.genotype, grid_size(config.size).layers)
    with parallel.first_alone():  # what it found out about the files, the others read
        data = prepare(config, console)
    if config.data != BUILT_IN:  # so that the run can be continued from anywhere
        config = replace(config, data=str(Path(config.data).expanduser().resolve()))
    config = replace(
        config,
        crop="{}x{}".format(*data.crop),
        # What is computed stays what it is, wherever the run is continued.
        precision="float32" if precision_for(config.precision, device) is None else "bfloat16",
        augment_on="device" if augments_on_device(config, device) else "host",
    )
    with parallel.first_alone():
        run = RunFolder.create(config) if parallel.is_first() else RunFolder(config.out)
        if genotype is not None and parallel.is_first():
            write_genotype(genotype, run.genotype)
    with _alone(run), run.given_back():
        return _train_all(run, data, device, console)


def own_console() -> Console:
    """A console on standard output; where several processes train, only the first one's speaks."""
    return Console(quiet=not parallel.is_first())


def resume(
    path: str | Path, console: Console | None = None, data: str | Path | None = None, **machine: Any
) -> Finished:
    """Continue the run in ``path`` from its last checkpoint; of a finished run, only score it again.

    Args:
        path: the run folder.
        console: where to report.
        data: where its data is now, if it was moved.
        machine: fields of the config that have to do with the machine (``MACHINE``), to be changed from here on.

    Raises:
        ValueError: if the folder holds no run, its data is gone or has changed, something else is to be changed, or the
            run was begun with another number of processes.
    """
    console = console or own_console()
    if others := sorted(set(machine) - set(MACHINE)):
        raise ValueError(
            f"a run is continued as it was begun, so {', '.join(others)} cannot be given with it; only "
            f"{', '.join(MACHINE)} can"
        )
    run = RunFolder(path)
    first = RunFolder.at(run.search)
    parts = [part for part in (run, first, RunFolder.at(run.control)) if part is not None]
    moved = {} if data is None else {"data": data_of(run, run.config.data, data)}
    configs = [replace(part.config, **machine, **moved) for part in parts]
    data_of(run, configs[0].data, None)
    device = choose_device(configs[0].device)
    before = run.environment(plain(console))
    if before is None and first is not None:  # a two-stage run, still in its first stage
        before = first.environment(plain(console))
    begun_with = before.get("processes", 1) if before else parallel.processes()
    if begun_with != parallel.processes():
        raise ValueError(
            f"{path} was begun with {begun_with} processes and this is one of {parallel.processes()}: the batches "
            "would be others. Continue it with as many (torchrun --nproc-per-node), or start a new run"
        )
    with parallel.first_alone():
        prepared = prepare(configs[0], console)
    if before:
        now = {"train": asdict(prepared.train_stats), "val": asdict(prepared.val_stats)}
        check_same(run, configs[0].data, {name: before.get(name, {}) for name in now}, now)
    with _alone(run):
        given = run.config.genotype
        if given is not None and not run.genotype.exists() and parallel.is_first():  # stopped before it was written
            write_genotype(read_genotype(given, grid_size(run.config.size).layers), run.genotype)
        if (machine or moved) and parallel.is_first():  # now that nothing speaks against it
            for part, config in zip(parts, configs, strict=True):
                part.rewrite_config(config)
        parallel.meet()
        return _train_all(run, prepared, device, console)


@contextmanager
def _alone(run: RunFolder) -> Iterator[None]:
    """Within the block no other process trains in the folder of ``run``, but those of this run."""
    with run.locked() if parallel.is_first() else nullcontext():
        yield


def _train_all(run: RunFolder, data: Prepared, device: torch.device, console: Console) -> Finished:
    if run.config.protocol == "two-stage" and not run.genotype.exists():
        _search_and_decode(run, data, device, console)
    if run.config.protocol == "two-stage":
        data = replace(data, weights=data.retrain)
    return train(run, data, device, console)


def _search_and_decode(run: RunFolder, data: Prepared, device: torch.device, console: Console) -> None:
    """The first stage of a two-stage run: warm-up and search alone, for as long as single-stage would; then the cut."""
    config = run.config
    phases = single_stage(config.epochs, config.warmup_share, config.search_share)
    searched = phases[1].end
    search_config = config.single_stage(
        out=str(run.search),
        control=False,
        epochs=searched,
        warmup_share=phases[0].end / searched,
        search_share=1 - phases[0].end / searched,
        entropy_start=min(1.0, config.entropy_start * config.epochs / searched),
    )
    console.print(f"first stage: {searched} epochs of warm-up and search", highlight=False)
    with parallel.first_alone():
        search = RunFolder.at(run.search) or RunFolder.create(search_config)
    with _alone(search):
        train(search, data, device, console)
    model = load_model(search.path).network
    genotype = decode(model.arch(), config.decoding, config.decoding_tau)

    epochs = config.retrain_epochs
    if not epochs:
        supernet = step_cost(model.spec, config.batch, data.crop)
        discrete = step_cost(replace(model.spec, genotype=genotype.to_dict()), config.batch, data.crop)
        # Split data: an epoch of the second stage has more steps than one of the first.
        batch = batch_of_all(config)
        steps = steps_per_epoch(len(data.weights), batch) / steps_per_epoch(len(data.retrain), batch)
        epochs = max(1, round((config.epochs - searched) * steps * supernet.weight / discrete.weight))
    console.print(f"second stage: {epochs} epochs from scratch of {genotype}", highlight=False)
    if parallel.is_first():
        run.rewrite_config(replace(config, retrain_epochs=epochs))
        write_genotype(genotype, run.genotype)  # last: where it is, the first stage is done
    parallel.meet()


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
    if name == "cpu" or not found:
        return torch.device("cpu")
    if parallel.processes() == 1:
        return torch.device("cuda")
    own = torch.device("cuda", parallel.local_rank())
    torch.cuda.set_device(own)
    return own


def train(run: RunFolder, data: Prepared, device: torch.device, console: Console) -> Finished:
    """Warm-up, search and fine-tune, from wherever the run folder stands to the end.

    Raises:
        FloatingPointError: if the loss or a weight stops being a finite number.
        MemoryError: if a batch does not fit; it says what would.
    """
    try:
        return _train(run, data, device, console)
    except RuntimeError as error:
        if not ran_out_of_memory(error):
            raise
        reason = str(error).splitlines()[0]
    # Here, after the handler, nothing refers to the failed step any more.
    gc.collect()
    raise MemoryError(memory_advice(run, len(data.source.classes), data.crop, device, reason))


def _train(run: RunFolder, data: Prepared, device: torch.device, console: Console) -> Finished:
    config, classes = run.config, data.source.classes
    if config.threads:
        torch.set_num_threads(config.threads)
    phases = plan_phases(config)
    epochs, batch = phases[-1].end, batch_of_all(config)
    schedule, parts = schedule_of(config, epochs, steps_per_epoch(len(data.weights), batch)), parts_of(config, phases)
    loss = balanced_loss(data.train_stats.class_pixels, config.class_balance, device)
    say = plain(console)
    state = initial_state(run, len(classes), device)
    keeper = Keeper(run, state, config.checkpoint_minutes, schedule.steps_per_epoch)
    keeper.restore(device, say)
    if parallel.is_first():
        run.ensure_environment(lambda: _environment(data, device))
    choose_execution(state.model, config, data.crop, device, lambda text: console.print(text, highlight=False))
    total = epochs * schedule.steps_per_epoch
    drawn_from, weight_batches = data.weights, None
    arch_batches = draw(data.architecture, "architecture", state.arch_steps, total, data.crop, config, device)

    validate_every = config.val_every or math.ceil(epochs / VALIDATIONS)
    scores, last_drawn = None, time.monotonic()
    watch = Watch(classes.names, data.val_stats.class_pixels, epochs, penalised=bool(parts.penalties))
    with (
        training_progress(
            total_epochs=epochs,
            steps_per_epoch=schedule.steps_per_epoch,
            first_epoch=state.epoch,
            phases=[(p.name, p.first, p.end) for p in phases],
            console=console,
        ) as progress,
        keeper.watching(saves=state.epoch < epochs),
        _naming_files(lambda stream: data.architecture if stream == "architecture" else drawn_from, config),
    ):
        while state.epoch < epochs:
            epoch, phase = state.epoch, phase_at(phases, state.epoch)
            wanted = data.fine_tune if phase.name == "fine-tune" else data.weights
            if weight_batches is None or wanted is not drawn_from:
                drawn_from = wanted
                weight_batches = draw(wanted, "weights", state.weight_steps, total, data.crop, config, device)
            with keeper.steps(), tuned(device):
                for step in train_epoch(state, phase, schedule, parts, loss, weight_batches, arch_batches, device):
                    progress.step(
                        epoch=epoch, step=step.step, phase=phase.name, loss=step.loss, lr=step.lr, images=batch
                    )
                    keeper.step_done()
            record = _record(epoch, phase, state, batch)
            finished = epoch + 1
            last = finished == epochs
            if last or finished % validate_every == 0:
                scores = evaluate(state.model, data.val, len(classes), device)
                record |= {"miou": scores.miou, "pixel_accuracy": scores.pixel_accuracy}
            found = watch(state.records, record, None if record["miou"] is None else scores)
            for warning in found.values():
                say(f"warning: {warning}")
            if parallel.is_first() and record["miou"] is not None and scores is not None:
                held_out = {"val_share": config.val_share, "seed": config.data_seed}
                facts = _facts(config, f"{finished} of {epochs}", scores)
                save_model(run.model, state.model, classes, facts, held_out)
            keeper.record(record | {"warnings": list(found)})
            if parallel.is_first() and (last or time.monotonic() - last_drawn > DRAW_EVERY_S):
                draw_run(run, state.model, state.records, data.val, classes, phases, device)
                last_drawn = time.monotonic()
            with keeper.steps():
                state.end_epoch()
                keeper.save()
            progress.epoch(record)
    scores = scores or evaluate(state.model, data.val, len(classes), device)
    parallel.meet()  # what the first one has written, the others read
    return Finished(run.path, scores, classes, data.val_stats.best_constant_miou())


@contextmanager
def _naming_files(drawn: Callable[[str], SegmentationData], config: FitConfig) -> Iterator[None]:
    """Within the block, the error of a run that diverged says which images the batch was made of; ``drawn`` says what
    a stream was drawn from."""
    try:
        yield
    except Diverged as error:
        names = ", ".join(names_in_batch(drawn(error.stream), error.stream, error.batch, config))
        raise FloatingPointError(
            f"{error}: {names}. It has moved nothing, and what was saved before is whole. {ADVICE}"
        ) from error


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


def _record(epoch: int, phase: Phase, state: TrainState, batch: int) -> dict[str, Any]:
    model = state.model
    with torch.no_grad():
        weights = model.arch()
        slots = {"beta": PAPER_EDGE_SLOTS}
        paper = {
            name: mean_entry_entropy(w, model.arch.mask(name), slots.get(name)).item() for name, w in weights.items()
        }
    return {
        "epoch": epoch,
        "phase": phase.name,
        "entropy": model.arch.normalized_entropies(),
        "entropy_paper": paper,
        "miou": None,
        "pixel_accuracy": None,
        **state.tally.record(batch),
    }


def _facts(config: FitConfig, epochs: str, scores: Scores) -> dict[str, Any]:
    return {
        "data": Path(config.data).name,
        "architecture": config.architecture,
        "epochs": epochs,
        "val_miou": round(scores.miou, 4),
    }


def _environment(data: Prepared, device: torch.device) -> dict[str, Any]:
    """Where and with what a run is made."""
    return machine(device) | {
        "crop": list(data.crop),
        "train": asdict(data.train_stats),
        "val": asdict(data.val_stats),
        "images": {
            "weights": len(data.weights),
            "architecture": len(data.architecture),
            "val": len(data.val),
        },
    }


def machine(device: torch.device) -> dict[str, Any]:
    """Versions, commit and device: what any run records."""
    return {
        "wholenet": wholenet.__version__,
        "commit": _commit(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or "cpu",
        "threads": torch.get_num_threads(),
        "processes": parallel.processes(),
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
