"""Training steps: the same network as papers write it, the same in channels_last, and as it is trained here."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

from wholenet.benchmarks.measure import (
    LOSS,
    channels_last,
    compared,
    float64_error,
    interleaved,
    made,
    random_batch,
    torch_resize,
    written_plainly,
)
from wholenet.benchmarks.row import Row, Setting
from wholenet.search.steps import Batch, architecture_gradient, make_optimizers, simultaneous_step, weight_step
from wholenet.spaces.supernet import Supernet

RATES: dict[str, Any] = {"lr": 1e-3, "momentum": 0.9, "weight_decay": 0.0, "arch_lr": 1e-3, "arch_weight_decay": 0.0}
PLAIN = ["plain", "plain, channels_last"]


def steps(model: Supernet, batch: Batch, plain: bool) -> dict[str, Callable[[], object]]:
    """The steps to time, by name."""
    optimizer, _ = make_optimizers(model, **RATES)

    def weight() -> None:
        weight_step(model, batch, LOSS, optimizer)

    def architecture() -> None:
        if plain:  # one backward pass through everything, as a search written without thought for it does
            LOSS(model(batch.images), batch.targets).backward()
            model.zero_grad()
        else:
            architecture_gradient(model, batch, LOSS)

    def bilevel() -> None:
        weight()
        architecture()

    def search() -> None:
        if plain:
            bilevel()
        else:
            simultaneous_step(model, batch, LOSS, optimizer)

    def by_torch(step: Callable[[], None]) -> Callable[[], None]:
        def run() -> None:
            with torch_resize():
                step()

        return run

    named = {
        "weight step": weight,
        "architecture step": architecture,
        "bilevel step": bilevel,
        "search step, simultaneous, against the bilevel one": search,
    }
    return {name: by_torch(step) if plain else step for name, step in named.items()}


def run(setting: Setting) -> Iterator[Row]:
    device = setting.device
    error = float64_error(setting)
    contiguous = made(setting.size, device)
    last = copy.deepcopy(contiguous).placed(device)
    fast = copy.deepcopy(last)
    batch = random_batch(setting.batch, setting.crop, device)
    forms = {
        "plain": steps(written_plainly(contiguous), batch, plain=True),
        "plain, channels_last": steps(written_plainly(copy.deepcopy(last)), channels_last(batch), plain=True),
        "fast": steps(fast, channels_last(batch), plain=False),
    }
    for name in forms["fast"]:
        taken = interleaved({form: named[name] for form, named in forms.items()}, setting.rounds, device)
        # A simultaneous step is another method: it takes its gradient before the weights have moved.
        yield from compared(name, taken, "fast", PLAIN, None if "simultaneous" in name else error, device)

    recomputing = copy.deepcopy(last)
    recomputing.net.recompute = True
    pair = {
        "kept": steps(fast, channels_last(batch), plain=False)["weight step"],
        "recomputed": steps(recomputing, channels_last(batch), plain=False)["weight step"],
    }
    taken = interleaved(pair, setting.rounds, device)
    same = float64_error(setting, recompute=True, against="kept")
    yield from compared("weight step, recomputing", taken, "recomputed", ["kept"], same, device)
