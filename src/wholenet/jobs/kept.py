"""The network that a run scores and keeps: the one that is trained, or a copy with other weights or statistics."""

from __future__ import annotations

import copy

from wholenet.diagnostics.batchnorm import recalibrate
from wholenet.jobs.task import TaskStreams
from wholenet.search.averaged_sgd import has_average, put_average_into
from wholenet.search.config import FitConfig
from wholenet.search.state import TrainState
from wholenet.search.train_config import TrainConfig
from wholenet.spaces.supernet import Supernet

STATISTICS = "statistics"
"""The stream that statistics are estimated on: the training images, drawn and augmented by themselves."""


def network_kept(state: TrainState, streams: TaskStreams, config: TrainConfig) -> Supernet:
    """The network of ``state`` as it is scored and kept; nothing of ``state`` changes, nor any random state.

    With ``config.recalibrate`` or ``config.ema``, or where SGD averages (search/averaged_sgd.py), it is a copy, of the
    averaged weights if there are such. Its logits
    are those of the state themselves, and its BatchNorm statistics are estimated anew, on the same batches each time;
    but a pretrained encoder keeps the statistics it has, and so does a frozen stem.

    In several processes each has to call it, as a BatchNorm's batch is that of all.
    """
    model = state.model
    averaged = has_average(state.weight_optimizer)
    if not (config.statistics_batches or averaged):
        return model
    own = Supernet(copy.deepcopy(model.net), model.arch, model.spec).train(model.training)
    if averaged:
        put_average_into(state.weight_optimizer, own.net, model.net)
        if not config.statistics_batches:
            return own
    if state.average is not None:
        state.average.put_into(own.net)
    drawn = (streams.one(STATISTICS, number, epoch=0).images for number in range(config.statistics_batches))
    frozen = isinstance(config, FitConfig) and config.freeze_stem
    return recalibrate(own, drawn, apart=own.net.stem if frozen else getattr(own.net, "encoder", None))


def said_of_network(config: TrainConfig) -> dict[str, str]:
    """What the model folder says of it."""
    batches = config.statistics_batches
    said = {"batchnorm": f"statistics estimated anew on {batches} training batches"} if batches else {}
    return said | ({"weights": f"exponential moving average, decay {config.ema}"} if config.ema else {})
