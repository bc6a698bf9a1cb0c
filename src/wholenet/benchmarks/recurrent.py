"""Search steps on the recurrent space: the cell as papers write it, edge by edge and operation by operation; as DARTS'
code has it, operation by operation over all edges of a node; and as it is run here.

A batch has 16 columns for each "image" of the setting: 64 with the default of 4.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from wholenet.benchmarks.measure import compared, interleaved, largest_difference, written_plainly
from wholenet.benchmarks.row import Row, Setting
from wholenet.jobs.language import next_word_loss
from wholenet.search.steps import Batch, architecture_gradient, make_optimizers, weight_step
from wholenet.search.unrolled import VirtualStep, unrolled_gradient
from wholenet.spaces.catalog import create_model
from wholenet.spaces.recurrent.cells import FUNCTIONS, product
from wholenet.spaces.recurrent.genotype import CHOSEN, NONE
from wholenet.spaces.recurrent.window import Window
from wholenet.spaces.supernet import Supernet


class Size(NamedTuple):
    """Of a network, and of a window."""

    units: int
    words: int
    window: int


SIZES = (Size(32, 500, 35), Size(64, 2000, 35), Size(128, 2000, 35))
"""Up to what a CPU searches in minutes; DARTS' search has 300 units and 10,000 words."""
COLUMNS = 16
ROUNDS = 5
"""At most: a step of the plain form takes seconds."""


def made(size: Size) -> Supernet:
    torch.manual_seed(0)
    return create_model("recurrent", num_classes=size.words, in_channels=1, units=size.units).train()


def random_text(size: Size, columns: int, device: torch.device) -> Batch:
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(size.words, (columns, size.window + 1), generator=generator).to(device)
    return Batch(Window(tokens[:, :-1]), tokens[:, 1:])


def float64_error(device: torch.device, form: Callable[[Supernet], Supernet]) -> float:
    """Largest difference between a form and the one that runs, over outputs and the gradients of all weights and
    logits, with equal masks."""
    size = Size(6, 11, 5)
    model, batch = made(size).double().to(device), random_text(size, 4, device)

    def gradients(model: Supernet) -> list[Tensor]:
        torch.manual_seed(1)
        reading = model(batch.images)
        loss = next_word_loss(reading, batch.targets)
        return [reading.logits.detach(), *torch.autograd.grad(loss, list(model.parameters()))]

    return largest_difference(gradients(model), gradients(form(copy.deepcopy(model))))


def operation_by_operation(nodes: Tensor, kept: Tensor, matrix: Tensor, weights: Tensor) -> Tensor:
    """A node [B, n] from its predecessors [P, B, n] by their weights [P, 5], as DARTS' code computes it (quark0/darts,
    rnn/model_search.py): one product for all edges, a pass for each operation."""
    gate, candidate = product(nodes * kept, matrix).chunk(2, -1)
    gate = gate.sigmoid()
    node = torch.zeros_like(nodes[0])
    for name, weight in zip(CHOSEN, weights.T[NONE + 1 :], strict=True):
        node = node + (weight[:, None, None] * (nodes + gate * (FUNCTIONS[name](candidate) - nodes))).sum(0)
    return node


def as_darts(model: Supernet) -> Supernet:
    """``model`` with DARTS' code as the plain form of its cell."""
    model.net.cell.edge_by_edge = operation_by_operation
    return written_plainly(model)


FORMS: dict[str, Callable[[Supernet], Supernet]] = {"plain": written_plainly, "DARTS' code": as_darts}


def steps(model: Supernet, batch: Batch) -> dict[str, Callable[[], None]]:
    """The steps to time, by name."""
    optimizer, _ = make_optimizers(
        model, lr=1e-3, momentum=0.0, weight_decay=5e-7, arch_lr=3e-3, arch_weight_decay=1e-3
    )

    def first_order() -> None:
        architecture_gradient(model, batch, next_word_loss)
        weight_step(model, batch, next_word_loss, optimizer)

    def second_order() -> None:
        unrolled_gradient(model, batch, batch, next_word_loss, VirtualStep.of(optimizer))
        weight_step(model, batch, next_word_loss, optimizer)

    return {"first order": first_order, "second order": second_order}


def run(setting: Setting) -> Iterator[Row]:
    device, rounds = setting.device, min(setting.rounds, ROUNDS)
    errors = {name: float64_error(device, form) for name, form in FORMS.items()}
    for size in SIZES:
        fast = made(size).to(device)
        batch = random_text(size, COLUMNS * setting.batch, device)
        forms = {name: steps(form(copy.deepcopy(fast)), batch) for name, form in FORMS.items()}
        forms["fast"] = steps(fast, batch)
        for name in forms["fast"]:
            taken = interleaved({form: named[name] for form, named in forms.items()}, rounds, device)
            what = f"recurrent search step, {size.units} units, {name}"
            for baseline, error in errors.items():
                yield from compared(what, taken, "fast", [baseline], error, device)
