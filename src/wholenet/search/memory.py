"""What to do when a batch does not fit into memory."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator

import torch

from wholenet.ops.recompute import set_recompute
from wholenet.search.config import FitConfig
from wholenet.search.run_folder import RunFolder
from wholenet.search.start import initial_state
from wholenet.search.steps import Batch, simultaneous_step
from wholenet.spaces.space import Facts
from wholenet.tasks.losses import mask_loss


class TooLarge(MemoryError):
    """A batch does not fit into memory, and the message says what to do."""


def ran_out_of_memory(error: BaseException) -> bool:
    """Whether ``error`` is a way to say so: of torch on a GPU or a CPU, of its convolutions on a CPU, of Python."""
    said = str(error)
    known = ("out of memory", "can't allocate memory", "could not create a primitive")
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(words in said for words in known)


def reason_of(error: BaseException) -> str:
    """The first line of what ran out of memory says."""
    return str(error).partition("\n")[0] or "out of memory"


def what_fits(fits: Callable[[int, bool], bool], batch: int, recompute: bool) -> tuple[int, bool] | None:
    """The first of the settings at hand that ``fits`` accepts: recomputation, then half the batch without and with it,
    and so on down to one image.

    Args:
        fits: tries a (batch, recompute).
        batch: that did not fit.
        recompute: whether cells were being recomputed already.

    Returns:
        (batch, recompute), or None if not even one image fits.

    >>> what_fits(lambda batch, recompute: batch <= (8 if recompute else 2), 16, False)
    (8, True)
    """
    return next((option for option in _smaller(batch, recompute) if fits(*option)), None)


def _smaller(batch: int, recompute: bool) -> Iterator[tuple[int, bool]]:
    if not recompute:
        yield batch, True
    while batch := batch // 2:
        yield batch, recompute
        if not recompute:
            yield batch, True


def batch_advice(batch: int, device: torch.device, reason: str) -> str:
    """What to tell a user whose ``batch`` ran out of memory for ``reason``, where nothing but the batch can give."""
    return (
        f"{reason}\nA batch of {batch} images does not fit into the memory of {device}. Start again with --batch "
        f"{max(1, batch // 2)}, or with fewer --channels or --cells"
    )


def memory_advice(run: RunFolder, facts: Facts, size: tuple[int, int] | None, device: torch.device, reason: str) -> str:
    """What to tell a user whose ``run`` ran out of memory for ``reason``. On a GPU, what was tried and fits."""
    config = run.config
    if not isinstance(config, FitConfig) or size is None:
        smaller = max(1, config.batch // 2)
        return f"{reason}\nA batch of {config.batch} does not fit into the memory of {device}. Give --batch {smaller}"
    found = f"{reason}\nA batch of {config.batch} crops of {config.crop} does not fit into the memory of {device}. "
    eager = "" if config.execution == "eager" else "--execution eager "
    kept, can_recompute = run.outermost.begun, config.space == "grid" and not config.recompute
    command = f"`wholenet fit --resume {run.outermost.path} {eager}--recompute`" if kept else "give it too"
    recompute = f"With --recompute cells keep their outputs alone: {command}"
    if device.type != "cuda":  # trying would push the machine further into its swap
        smaller = f"start again with --batch {max(1, config.batch // 2)} or a smaller --crop"
        return found + (f"{recompute}; or {smaller}" if can_recompute else smaller.capitalize())
    option = what_fits(
        lambda batch, recompute: _fits(run, facts, (batch, *size), recompute, device), config.batch, not can_recompute
    )
    if option is None:
        return found + "Not even one does: start again with a smaller --crop or --size"
    if option == (config.batch, True):
        return f"{found}{recompute} (tried: it fits)"
    with_it = " with --recompute" if option[1] else ""
    return (
        f"{found}A batch of {option[0]}{with_it} does (tried): start again so{', with another --out' if kept else ''}"
    )


def _fits(run: RunFolder, facts: Facts, shape: tuple[int, int, int], recompute: bool, device: torch.device) -> bool:
    """Whether steps on batches of ``shape`` = (B, h, w) do, with the next batch under way."""
    try:
        _steps(run, facts, shape, recompute, device)
    except RuntimeError as error:
        if not ran_out_of_memory(error):
            raise
        return False
    finally:
        gc.collect()
        torch.cuda.empty_cache()
    return True


def _steps(run: RunFolder, facts: Facts, shape: tuple[int, int, int], recompute: bool, device: torch.device) -> None:
    state = initial_state(run, facts, device)
    set_recompute(state.model.net, recompute)
    # Four of the next batch: as bytes, as numbers, and while it is augmented.
    images, *_following = (torch.zeros(shape[0], facts.channels, *shape[1:], device=device) for _ in range(5))
    images = images.contiguous(memory_format=torch.channels_last)
    batch = Batch(images, torch.zeros(shape, dtype=torch.long, device=device))
    config = run.fit_config
    loss = mask_loss(config.loss, (1,) * facts.outputs, config.class_balance, config.focal_gamma, device)
    for _ in range(2):  # momentum comes with the first
        simultaneous_step(state.model.train(), batch, loss, state.weight_optimizer)
