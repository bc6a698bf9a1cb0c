"""What the config of a run on a cell space comes to: the parts of its method, and its schedule."""

from __future__ import annotations

from collections.abc import Callable

from wholenet.architecture import Weights
from wholenet.search.cell_config import CellConfig, RetrainConfig
from wholenet.search.gradients import GRADIENTS
from wholenet.search.penalties import REGULARIZERS
from wholenet.search.perturbation import perturbed
from wholenet.search.random_search import random_genotype, weights_of
from wholenet.search.schedule import Now, Schedule
from wholenet.search.steps import Batch
from wholenet.search.updates import Parts, Turn, architecture_first
from wholenet.spaces.cell_space import CellSupernet


def parts_of(config: CellConfig, model: CellSupernet) -> Parts:
    """The parts that ``config`` names."""
    return Parts(
        update=architecture_first,
        gradient=GRADIENTS[config.gradient],
        own_batches=config.takes_validation_batches,
        penalties=REGULARIZERS[config.regularizer].penalties,
        weights=_weights_of_step(config, model),
        clip=config.clip,
        at=lambda now: set_strengths(model, drop_path=config.drop_path * now.rise, auxiliary_skip=1 - now.rise),
    )


def retraining_parts(config: RetrainConfig, model: CellSupernet) -> Parts:
    """The parts of the training of a discrete network."""

    def at(now: Now) -> None:
        set_strengths(model, drop_path=config.drop_path * now.epoch / now.epochs)  # never quite reached

    return Parts(update=architecture_first, clip=config.clip, at=at)


def schedule_of(config: CellConfig | RetrainConfig, steps_per_epoch: int) -> Schedule:
    """How long the run is; its rate is a cosine of one value per epoch."""
    return Schedule(
        epochs=config.epochs,
        steps_per_epoch=steps_per_epoch,
        lr=config.lr,
        lr_end=config.lr_end if isinstance(config, CellConfig) else 0.0,
        decay="cosine",
        by_epoch=True,
    )


def set_strengths(model: CellSupernet, *, drop_path: float = 0.0, auxiliary_skip: float = 0.0) -> None:
    """Of what moves with the epochs inside the network: drop-path rises, the auxiliary skip fades to nothing."""
    model.net.state.drop_path = drop_path
    model.net.state.auxiliary_skip = auxiliary_skip


def _weights_of_step(config: CellConfig, model: CellSupernet) -> Callable[[Turn, Batch], Weights | None] | None:
    if config.sampling == "random":
        table, like = config.table, next(iter(model.arch.logits.values()))
        return lambda _turn, _batch: weights_of(random_genotype(table), table, like)
    if config.perturbation == "none":
        return None
    return perturbed(config)
