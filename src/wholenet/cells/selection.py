"""The genotype that a search on a cell space ends with: by its selection, or the best of random ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from rich.console import Console
from torch import Tensor

from wholenet.architecture import Weights
from wholenet.cells.prepare import drawn, labelled_stream, part
from wholenet.cells.scorer import Scorer
from wholenet.data.labelled import Labelled
from wholenet.data.splits import seeded_indices
from wholenet.files import shown
from wholenet.report.progress import counted
from wholenet.search.cell_config import CellConfig
from wholenet.search.cell_parts import set_strengths
from wholenet.search.draw import batch_of_all
from wholenet.search.ended import Change, Ended
from wholenet.search.loop import train_epoch
from wholenet.search.parts import SELECTIONS
from wholenet.search.phases import Phase
from wholenet.search.random_search import best_of_random, weights_of
from wholenet.search.schedule import Schedule
from wholenet.search.state import Tally, TrainState
from wholenet.search.updates import Parts
from wholenet.spaces.cell_family import CellsFound, family_of
from wholenet.spaces.cell_space import CellSupernet
from wholenet.spaces.cell_tables import Table
from wholenet.spaces.skip_limit import NO_LIMIT, with_skip_limit
from wholenet.tasks.classification import ClassificationLoss


def discretized(weights: Weights, config: CellConfig) -> Any:
    """What the rule of ``config.selection`` keeps of ``weights``.

    Raises:
        ValueError: if that is no genotype.
    """
    family, selection = family_of(config.space), SELECTIONS.called(config.selection)

    def rule(weights: Weights, table: Table) -> Any:
        found = selection.rule(weights, table, family)
        if not callable(getattr(found, "to_dict", None)):
            raise ValueError(
                f"selection {selection.name!r} gave {shown(found)}; expected a genotype, as family.discretize and "
                "family.make give it"
            )
        return found

    if config.skip_limit < NO_LIMIT:
        return with_skip_limit(rule, weights, config.table, config.skip_limit)
    return rule(weights, config.table)


def best_random(config: CellConfig, scorer: Scorer, console: Console) -> tuple[Any, float]:
    """The best of the sampled genotypes, and its error in [0, 1]; see ``search/random_search.py``."""
    data, model = scorer.data, scorer.model
    table = config.table
    like = next(iter(model.arch.logits.values()))
    assert data.val is not None
    order = seeded_indices(len(data.val), config.seed)
    some = part(data.val, order[: config.sample_batches * batch_of_all(config)])
    show = counted(console, "scoring random architectures")
    scored = 0

    def accuracy(genotype: CellsFound, images: Labelled) -> float:
        weights = weights_of(genotype, table, like)
        return 1 - scorer.error(images, _With(model, lambda _: weights))

    def quick(genotype: CellsFound) -> float:
        nonlocal scored
        scored += 1
        show(scored, config.samples)
        return accuracy(genotype, some)

    def full(genotype: CellsFound) -> float:
        assert data.val is not None
        return accuracy(genotype, data.val)

    genotype, score = best_of_random(table, config.samples, quick, full, config.seed, family_of(config.space))
    return genotype, 1 - score


class _With(torch.nn.Module):
    """A supernet at other architecture weights than its own; in eval mode or not as the supernet."""

    def __init__(self, model: CellSupernet, change: Callable[[Weights], Weights]) -> None:
        super().__init__()
        self.model = model
        self.change = change

    def forward(self, x: Tensor) -> Tensor:
        return self.model.net(x, self.change(self.model.arch()))


def ended(
    config: CellConfig,
    scorer: Scorer,
    state: TrainState,
    parts: Parts,
    schedule: Schedule,
    console: Console,
) -> Ended:
    """A search that is over, for a selection that looks at its supernet: weights are tuned at a tenth of their learning
    rate."""
    model, data, device = scorer.model, scorer.data, scorer.device
    tuning = replace(schedule, epochs=max(1, config.tune_epochs), lr=config.lr / 10, lr_end=0.0)
    loss = ClassificationLoss(smoothing=config.smoothing)
    tuned = 0
    frozen = Phase("tune", 0, tuning.epochs)

    def weights() -> Weights:
        with torch.no_grad():
            return model.arch()

    def accuracy(change: Change) -> float:
        assert data.val is not None
        return 1 - scorer.error(data.val, _With(model, change))

    def tune(change: Change) -> None:
        nonlocal tuned
        for epoch in range(config.tune_epochs):
            state.epoch, state.tally = epoch, Tally()
            stream = labelled_stream(data.weights, "tune", (tuned + 1) * tuning.steps_per_epoch, config, data, 1.0)
            batches = drawn(stream, tuned * tuning.steps_per_epoch, config.workers, device)
            with torch.no_grad():
                changed = change(model.arch())
            at_changed = Parts(parts.update, weights=lambda *_, changed=changed: changed, clip=parts.clip)
            for _ in train_epoch(state, frozen, tuning, at_changed, loss, batches, iter(()), device):
                pass
            tuned += 1

    set_strengths(model)
    progress = counted(console, "deciding edges")
    return Ended(config.table, family_of(config.space), weights, accuracy, tune, config.seed, progress)
