"""Weight steps through torch.compile, in bfloat16: compiling takes minutes, so this is a benchmark of its own."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from wholenet.benchmarks.measure import LOSS, channels_last, interleaved, made, random_batch, row
from wholenet.benchmarks.row import Row, Setting
from wholenet.ops.execution import Execution, execution
from wholenet.search.steps import weight_step

NEEDS_GPU = True


def run(setting: Setting) -> Iterator[Row]:
    model = made(setting.size, setting.device).placed(setting.device)
    batch = channels_last(random_batch(setting.batch, setting.crop, setting.device))
    optimizer = torch.optim.SGD(model.net.parameters(), lr=1e-3, momentum=0.9, weight_decay=5e-4)
    with torch.no_grad():
        weights = model.arch()
    fast = execution(model.net, "compile", torch.bfloat16, batch.images, weights, print)
    if fast.fast is None:
        return

    def step(how: Execution) -> None:
        model.execution = how
        weight_step(model, batch, LOSS, optimizer)

    eager = Execution(model.net, torch.bfloat16)
    taken = interleaved({"eager": lambda: step(eager), "compile": lambda: step(fast)}, setting.rounds, setting.device)
    name = f"weight step of {setting.size}, compiled"
    yield row(name, "eager", taken["eager"], taken["compile"], None, setting.device)
