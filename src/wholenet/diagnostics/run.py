"""Diagnose a run folder: nothing is trained; batches are passed through the network for BatchNorm statistics alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from wholenet.architecture import normalized_entropy
from wholenet.checked import Count, checked_numbers
from wholenet.data.cache import Cached
from wholenet.data.check import check_split
from wholenet.data.sample import DataSource, SegmentationData
from wholenet.data.splits import evenly_spaced
from wholenet.deploy.model_folder import load_model
from wholenet.deploy.score import open_for
from wholenet.deploy.segmenter import TrainedModel
from wholenet.diagnostics.batchnorm import recalibration_batches
from wholenet.diagnostics.curvature import Curvature, Drawn, curvature
from wholenet.diagnostics.diagnosis import Comparison, Diagnosis
from wholenet.diagnostics.discrete import decoded, discrete_networks
from wholenet.diagnostics.discretization import (
    SHARES,
    current_weights,
    discretization_curve,
    recalibrated_on,
    renormalized,
    zeroed,
)
from wholenet.diagnostics.entropy import entropy_history, entropy_per_phase, most_decided, movement
from wholenet.diagnostics.twin import twin_difference
from wholenet.search.draw import draw
from wholenet.search.protocols import PROTOCOLS, plan_phases
from wholenet.search.run_folder import RunFolder
from wholenet.search.steps import Batch
from wholenet.spaces.catalog import left_of, subnets
from wholenet.spaces.count import macs_as_run
from wholenet.spaces.supernet import Supernet
from wholenet.tasks.losses import loss_in_words, mask_loss
from wholenet.tasks.segmentation import evaluate

CACHE_BYTES = 1 << 30
"""Decoded samples kept in memory, of validation and of training each."""


@checked_numbers
def diagnose(
    run: RunFolder,
    data: str | None = None,
    device: torch.device | str = "cpu",
    images: Count | None = None,
    shares: Sequence[float] = SHARES,
    with_curvature: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Diagnosis:
    """Ask of ``run`` what the seed paper asks of its own supernets (Sec. 4.2).

    Of an unfinished run, what is there: its records, and the model of its last validation. Of a two-stage run, the
    supernet of its first stage, with the score of the second beside it.

    Args:
        run: a run that trained a supernet.
        data: where to score and to recalculate BatchNorm statistics; None is the data that the run was trained on.
        device: where to compute.
        images: score only so many validation images, spread evenly; None is all.
        shares: of the edges, dropped along the discretization curve.
        with_curvature: also take the curvature in the architecture, on one batch of validation crops.
        progress: called with (images scored, images to score in all).

    Raises:
        ValueError: for a run of a discrete network, one that has no model yet, or fewer than one image.
        DataError: for data that cannot be read, or whose classes are not the model's.
    """
    stage = _supernet_run(run)
    config = stage.fit_config
    model = load_model(stage.path, device, task="segmentation")
    source = open_for(model, data or config.data, config.max_megapixels)
    val = Cached(evenly_spaced(source.splits["val"], images), CACHE_BYTES)
    stats = check_split(val, model.classes, name="val", pixels=model.pixels)
    size = (stats.max_height, stats.max_width)
    others = {name: load_model(other.path, device, task="segmentation") for name, other in _others(run).items()}

    network = model.network
    weights, masks = current_weights(network), network.net.masks
    # Decodings read a whole grid: of what a budget left, there are none.
    genotypes = decoded(weights, operations=network.net.operations) if network.spec.subnet is None else []
    train = Cached(source.splits["train"], CACHE_BYTES)
    recalibrate = recalibrated_on(lambda: recalibration_batches(train, config, pixels=model.pixels))
    variants = {"zeroed": zeroed, "renormalized": renormalized, "recalibrated": recalibrate}
    ends = curvature_of(model, stage, source, val, device) if with_curvature else None  # before the long part
    score = _Scorer(model, val, 1 + len(others) + len(shares) * len(variants) + 2 * len(genotypes), progress)

    records = stage.records()
    return Diagnosis(
        run=str(run.path),
        data=data or config.data,
        images=len(val),
        searched=config.architecture != "uniform",
        epochs=_epochs(records),
        planned=config.epochs,
        scored_epoch=_epochs([record for record in records if record["miou"] is not None]),
        seconds=stage.training_seconds(),
        miou=score(network),
        constant_miou=stats.best_constant_miou(),
        parameters=sum(parameter.numel() for parameter in network.net.parameters()),
        macs=macs_as_run(network, *size),
        edges=int(masks["beta"].sum()),
        left=None if network.spec.subnet is None else _left(network, size),
        entropy={name: normalized_entropy(w, masks[name]).item() for name, w in weights.items()},
        history=tuple(entropy_history(records)),
        phases=tuple(entropy_per_phase(records)),
        movement={name: movement(w, masks[name]) for name, w in weights.items()},
        most_decided=tuple(most_decided(weights, masks, operations=network.net.operations)),
        curve=tuple(discretization_curve(network, variants, score, shares)),
        discrete=tuple(discrete_networks(network, genotypes, recalibrate, score, size)),
        twin=twin_difference(network),
        curvature=ends,
        **{name: _compare(_others(run)[name], other, score) for name, other in others.items()},
    )


def _left(network: Supernet, size: tuple[int, int]) -> float:
    """Share of the whole supernet's multiply-adds."""
    known = subnets(network.spec)
    return known.macs(left_of(network.spec), *size) / known.macs(known.whole(), *size)


def curvature_of(
    model: TrainedModel, run: RunFolder, source: DataSource, val: SegmentationData, device: torch.device | str
) -> Curvature:
    """Of the run's own loss, on a batch drawn as for training, of validation images."""
    config = run.fit_config
    of_loss = {"name": config.loss, "balance": config.class_balance, "gamma": config.focal_gamma}
    pixels = _class_pixels(run, source, model) if config.class_balance else (1,) * len(model.classes)
    loss = mask_loss(**of_loss, class_pixels=pixels, device=torch.device(device))
    drawn = Drawn("val", "curvature", 0, config.seed)
    batch = (drawn.stream, drawn.number, drawn.number + 1)
    images, masks = next(draw(val, *batch, config.crop_size, config, device, model.pixels))
    said = loss_in_words(**of_loss)
    return curvature(model.network, Batch(images, masks).to(device), loss, drawn=drawn, said=said)


def _class_pixels(run: RunFolder, source: DataSource, model: TrainedModel) -> tuple[int, ...]:
    """Pixels of each class in what the run trained on, by its own record; where there is none, in what ``source`` has
    to train on."""
    recorded = (run.environment(lambda _: None) or {}).get("train")
    found = recorded.get("class_pixels") if isinstance(recorded, dict) else None
    if isinstance(found, list) and len(found) == len(model.classes) and all(type(n) is int for n in found):
        return tuple(found)
    return check_split(source.splits["train"], model.classes, name="train", pixels=model.pixels).class_pixels


def _supernet_run(run: RunFolder) -> RunFolder:
    """The run that trained the supernet: itself, or its first stage."""
    config = run.config
    if config.genotype is not None:
        raise ValueError(
            f"{run.path} trained a discrete network ({config.genotype}): it has no architecture weights to diagnose. "
            "Diagnose the run that the genotype was decoded from"
        )
    if not PROTOCOLS[config.protocol].retrains:
        return run
    if (first := RunFolder.at(run.search)) is None:
        raise ValueError(f"{run.path} has not begun its first stage; continue it: `wholenet fit --resume {run.path}`")
    return first


def _others(run: RunFolder) -> dict[str, RunFolder]:
    """What the supernet is compared with, as far as it is finished, by the name of its field in ``Diagnosis``."""
    found = {}
    if control := RunFolder.at(run.control):
        found["control"] = control
    if PROTOCOLS[run.config.protocol].retrains:
        found["second_stage"] = run
    return {name: other for name, other in found.items() if _finished(other)}


def _finished(run: RunFolder) -> bool:
    config = run.config
    planned = plan_phases(config)[-1].end
    return 0 < planned <= _epochs(run.records())


def _epochs(records: list[dict[str, Any]]) -> int:
    """One more than the number of the last of ``records``; 0 if there are none."""
    return records[-1]["epoch"] + 1 if records else 0


def _compare(run: RunFolder, model: TrainedModel, score: _Scorer) -> Comparison:
    return Comparison(score(model.network), _epochs(run.records()), run.training_seconds())


class _Scorer:
    """mIoU of a network on ``val``, counting the images of all ``networks`` to come."""

    def __init__(
        self,
        model: TrainedModel,
        val: SegmentationData,
        networks: int,
        progress: Callable[[int, int], None] | None,
    ) -> None:
        self.model = model
        self.val = val
        self.total = networks * len(val)
        self.done = 0
        self.progress = progress

    def __call__(self, network: Supernet) -> float:
        model = self.model
        return evaluate(network, self.val, len(model.classes), model.device, self._count, model.pixels).miou

    def _count(self, _done: int, _total: int) -> None:
        self.done += 1
        if self.progress is not None:
            self.progress(self.done, self.total)
