"""What the config of a run on a cell space comes to: the parts of its method, and its schedule."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from wholenet.architecture import Weights
from wholenet.search.capped_edges import waiting
from wholenet.search.cell_config import CellConfig
from wholenet.search.classifier_config import RetrainConfig
from wholenet.search.gate_pruning import GateShares, nodes_of
from wholenet.search.parts import GRADIENTS, UPDATES, Update
from wholenet.search.penalties import REGULARIZERS
from wholenet.search.perturbation import perturbed
from wholenet.search.phases import single_stage
from wholenet.search.random_search import random_genotype, weights_of
from wholenet.search.schedule import Now, Schedule
from wholenet.search.stages import skip_rate, skip_rates
from wholenet.search.steps import Batch
from wholenet.search.updates import Parts, Turn, architecture_first
from wholenet.spaces.cell_family import family_of
from wholenet.spaces.cell_space import CellSupernet

PRUNING = "pruning"
"""Name of the penalty of pruning."""


def parts_of(config: CellConfig, model: CellSupernet) -> Parts:
    """The parts that ``config`` names."""
    return Parts(
        update=_update_of(config),
        gradient=GRADIENTS[config.gradient],
        own_batches=config.takes_validation_batches,
        penalties={**REGULARIZERS[config.regularizer].penalties, **pruning_penalty(config, model)},
        weights=_weights_of_step(config, model),
        clip=config.clip,
        arch_clip=config.arch_clip,
        at=partial(_at, config, model),
    )


def _update_of(config: CellConfig) -> Update:
    if config.arch_update != "auto":
        return UPDATES[config.arch_update]
    later_together = bool(config.survivors) and family_of(config.space).later.together
    prunes_at_one_level = config.pruning != "none" and config.gradient == "one-level"
    return UPDATES["simultaneous" if later_together or prunes_at_one_level else "architecture-first"]


def pruning_penalty(config: CellConfig, model: CellSupernet) -> dict[str, GateShares]:
    """What pulls gates apart until they are pruned; nothing, where none are."""
    if config.pruning == "none":
        return {}
    nodes = nodes_of(model.arch, getattr(model.net, "nodes", {}))
    return {PRUNING: GateShares(nodes, config.pruning_cost)}


def _at(config: CellConfig, model: CellSupernet, now: Now) -> None:
    """Set what moves with the time inside the network."""
    search = single_stage(config.epochs, config.warmup_share, min(config.search_share, 1 - config.warmup_share))[1]
    skips = skip_rate(skip_rates(config)[config.stage], now.epoch, search.first, config.epochs)
    set_strengths(model, drop_path=config.drop_path * now.rise, auxiliary_skip=1 - now.rise, skip_dropout=skips)
    if config.capped_edges:
        model.arch.waiting = waiting(model.arch)
    family_of(config.space).at(model.net, now.epoch, search.first, search.end)


def retraining_parts(config: RetrainConfig, model: CellSupernet) -> Parts:
    """The parts of the training of a discrete network."""

    def at(now: Now) -> None:
        set_strengths(model, drop_path=config.drop_path * now.epoch / now.epochs)  # never quite reached

    return Parts(update=architecture_first, clip=config.clip, at=at)


def schedule_of(config: CellConfig | RetrainConfig, steps_per_epoch: int) -> Schedule:
    """How long the run is; its rate is a cosine of one value per epoch."""
    more: dict[str, Any] = {}
    if isinstance(config, CellConfig):
        more = {"lr_end": config.lr_end, "before": config.epochs_before}
        if (following := config.following) is not None and following.epochs_before:
            more["after"] = following.epochs
    return Schedule(
        epochs=config.epochs, steps_per_epoch=steps_per_epoch, lr=config.lr, decay="cosine", by_epoch=True, **more
    )


def set_strengths(
    model: CellSupernet, *, drop_path: float = 0.0, auxiliary_skip: float = 0.0, skip_dropout: float = 0.0
) -> None:
    """Of what moves with the epochs inside the network: drop-path rises, the auxiliary skip and dropout on skips fade;
    what its family alone has is as when it is loaded."""
    model.net.state.drop_path = drop_path
    model.net.state.auxiliary_skip = auxiliary_skip
    model.net.state.skip_dropout = skip_dropout
    family_of(model.spec.space).rest(model.net)


def _weights_of_step(config: CellConfig, model: CellSupernet) -> Callable[[Turn, Batch], Weights | None] | None:
    if config.sampling == "random":
        table, like = config.table, next(iter(model.arch.logits.values()))
        family = family_of(config.space)
        return lambda _turn, _batch: weights_of(random_genotype(table, family=family), table, like)
    return perturbed(config)
