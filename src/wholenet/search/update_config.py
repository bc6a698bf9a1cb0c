"""What an update asks of the config of a search on a cell space. Imports no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wholenet.search.parts import GRADIENTS, UPDATES

if TYPE_CHECKING:
    from wholenet.search.cell_config import CellConfig


def check_update(config: CellConfig) -> None:
    """Make sure that the gradient is one that the update can take.

    Raises:
        ValueError: naming both; or for an update that is unknown.
    """
    gradient, update = GRADIENTS[config.gradient], UPDATES.called(config.arch_update)
    if config.arch_update == "auto":
        return
    if update.one_pass and (gradient.own_batches or config.perturbation != "none"):
        raise ValueError(
            f"arch_update={config.arch_update!r} takes both gradients from one backward pass on the weights' batch, "
            f"not gradient={config.gradient!r} with perturbation={config.perturbation!r}; use gradient='one-level' and "
            "perturbation='none' with it"
        )
    if not update.one_pass and gradient.ahead and not update.ahead:
        raise taken_late(config.gradient)


def taken_late(gradient: str) -> ValueError:
    """The error of an update in which the architecture moves when it is too late for the ``gradient``."""
    return ValueError(
        f"gradient={gradient!r} is of an architecture step before the weight step (DARTS, Alg. 1); use "
        "arch_update='architecture-first' with it"
    )
