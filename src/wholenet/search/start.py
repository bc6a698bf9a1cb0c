"""What a run starts from: its network, its optimisers, and the way in which its steps are run."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from wholenet import parallel
from wholenet.ops.execution import Execution, execution, precision_for
from wholenet.ops.recompute import set_recompute
from wholenet.search.average import WeightAverage
from wholenet.search.config import FitConfig
from wholenet.search.gradients import moving_statistics
from wholenet.search.parts import GRADIENTS, UPDATES
from wholenet.search.penalties import REGULARIZERS, EntropyPenalty
from wholenet.search.perturbation import perturbed
from wholenet.search.phases import Phase
from wholenet.search.run_folder import RunFolder
from wholenet.search.schedule import Now, Schedule
from wholenet.search.state import TrainState
from wholenet.search.steps import make_optimizers
from wholenet.search.train_config import TrainConfig
from wholenet.search.updates import Parts
from wholenet.spaces.catalog import SPACES, create_from
from wholenet.spaces.space import Facts, Spec
from wholenet.spaces.supernet import Supernet


def initial_state(run: RunFolder, facts: Facts, device: torch.device) -> TrainState:
    """The network and the optimisers of ``run`` before its first step."""
    return state_of(run.config, run.spec(facts), device)


def state_of(config: TrainConfig, spec: Spec, device: torch.device) -> TrainState:
    """The network of ``spec`` and its optimisers before the first step of a run as ``config`` says."""
    torch.manual_seed(config.seed)
    model = create_from(spec)
    model.placed(device)
    set_recompute(model.net, isinstance(config, FitConfig) and config.recompute)
    model.execution = Execution(model.net, precision_for(config.precision, device))
    gates = config.relaxation == "sigmoid" and not model.discrete  # Fair DARTS begins with all of them at one half
    if config.architecture == "uniform" or gates:
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
            apart=model.net.encoder if has_stem(config) else None,
            scale=config.stem_rate if isinstance(config, FitConfig) else 1.0,
            optimizer=config.optimizer,
        ),
        average=WeightAverage(model.net, config.ema) if config.ema else None,
    )


def has_stem(config: TrainConfig) -> bool:
    """Whether the network has a pretrained encoder."""
    return isinstance(config, FitConfig) and config.stem is not None


def moves_with_time(model: Supernet, config: TrainConfig) -> Callable[[Now], None] | None:
    """What sets, before each step of a run, all that moves with its time inside the network; None: nothing does."""
    stem, own = stem_moves(model, config), SPACES[config.space].at
    if own is None:
        return stem

    def at(now: Now) -> None:
        own(model.net, now.progress)
        if stem is not None:
            stem(now)

    return at


def stem_moves(model: Supernet, config: TrainConfig) -> Callable[[Now], None] | None:
    """What freezes the stem of ``model`` and lets it move again as a run goes on; None where nothing does."""
    if not isinstance(config, FitConfig) or not (config.freeze_stem or config.stem_freeze_epochs):
        return None
    forever, epochs = config.freeze_stem, config.stem_freeze_epochs

    def at(now: Now) -> None:
        frozen = forever or now.epoch < epochs
        if frozen != model.net.stem_frozen:
            model.net.freeze_stem(frozen)

    return at


def parts_of(config: TrainConfig, phases: Sequence[Phase]) -> Parts:
    """The parts that ``config`` names; the entropy penalty grows until the search of ``phases`` ends."""
    moving = config.arch_batchnorm == "updated"
    entropy = _entropy_penalty(config, phases) if isinstance(config, FitConfig) else {}
    return Parts(
        update=UPDATES[config.update],
        gradient=moving_statistics if moving else GRADIENTS[config.gradient],
        own_batches=GRADIENTS[config.gradient].own_batches,
        penalties={**entropy, **REGULARIZERS[config.regularizer].penalties},
        weights=perturbed(config),
    )


def _entropy_penalty(config: FitConfig, phases: Sequence[Phase]) -> dict[str, EntropyPenalty]:
    epochs = phases[-1].end
    penalty = EntropyPenalty(
        magnitudes={"alpha": config.entropy_alpha, "beta": config.entropy_beta},
        schedule=config.entropy_schedule,
        start=config.entropy_start * epochs,
        end=max((phase.end for phase in phases if phase.moves_architecture), default=epochs),
    )
    return {"entropy penalty": penalty} if any(penalty.magnitudes.values()) else {}


def schedule_of(config: TrainConfig, phases: Sequence[Phase], steps_per_epoch: int) -> Schedule:
    """How long the run is and how its rate moves."""
    epochs = phases[-1].end
    still = next((phase.first for phase in phases if phase.moves_weights), epochs)
    return Schedule(
        epochs=epochs,
        steps_per_epoch=steps_per_epoch,
        lr=config.lr,
        lr_end=config.lr_end,
        decay=config.lr_schedule,
        warmup=config.warmup_steps((epochs - still) * steps_per_epoch) if isinstance(config, FitConfig) else 0,
        still=still,
    )


def choose_execution(
    model: Supernet,
    config: TrainConfig,
    crop: tuple[int, int] | None,
    device: torch.device,
    say: Callable[[str], None],
) -> None:
    """Let the weight steps of ``model`` run as ``config`` says, if that works; ``say`` is told what was found."""
    if config.execution == "eager":
        return
    if crop is None or SPACES[config.space].example is not None:
        say(f"networks that read no single images run operation by operation: --execution {config.execution} is left")
        return
    if parallel.processes() > 1:
        say(f"several processes run operation by operation: --execution {config.execution} is left")
        return
    images = torch.randn(config.batch, model.spec.channels, *crop, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        weights = model.arch()
    model.execution = execution(
        model.net.train(),
        config.execution,
        model.execution.precision,
        images.to(device, memory_format=torch.channels_last),
        weights,
        say,
    )
