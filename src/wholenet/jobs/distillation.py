"""What a network that gets smaller learns from the one that it was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from wholenet.beginning import beginning_facts, network_at_start
from wholenet.ops.execution import Execution
from wholenet.search.run_folder import RunFolder
from wholenet.search.steps import Batch, Loss
from wholenet.spaces.supernet import Supernet
from wholenet.tasks.losses import DistilledLoss


def distilled(
    run: RunFolder, model: Supernet[Any], loss: Loss, share: float, device: torch.device
) -> Callable[[Batch], Loss]:
    """What the weights learn on a batch: ``1 - share`` times ``loss``, and ``share`` times how far the class
    probabilities are from those of the network that ``run`` starts from, on the same images.

    That network is read from the run's folder, so a continued run has the same one. It answers as it does in use:
    BatchNorm by its running statistics.

    Args:
        run: whose protocol shrinks.
        model: that it trains.
        loss: of the task.
        share: in [0, 1].
        device: of both networks.

    Raises:
        ValueError: if what the run starts from is not there, or was altered.
    """
    spec = replace(model.spec, subnet=beginning_facts(run).get("subnet"))
    teacher = network_at_start(run, spec).placed(device)
    teacher.execution = Execution(teacher.net, model.execution.precision)
    weights = {name: value.detach() for name, value in teacher.arch.scored().items()}

    def told(batch: Batch) -> Loss:
        with torch.no_grad():
            answers = teacher.execution(batch.images, weights)
        return DistilledLoss(loss, answers, share)

    return told
