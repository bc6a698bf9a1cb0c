"""What a run on stereo pairs comes to: crops and their disparity, errors in pixels, and floors.

Sources: AutoDispNet (Saikia et al., ICCV 2019) and its study by RobustDARTS (Zela et al., ICLR 2020); docs/disparity.md
has what is other.

Letters: B pairs, h, w height and width of a crop.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from torch import Tensor

from wholenet.data.cache import Cached
from wholenet.data.sample import DataError
from wholenet.data.splits import Numbered, split_train, spread
from wholenet.data.stereo.augment import StereoAugmentation
from wholenet.data.stereo.review import open_stereo
from wholenet.data.stereo.sample import StereoSample, StereoSource, StereoSplit
from wholenet.data.stereo.split import SomePairs
from wholenet.data.stream import Order
from wholenet.deploy.stereo import (
    CHANNELS,
    LOOKED_AT,
    OUTPUTS,
    estimates,
    least_size,
    mean_of,
    normalized,
    split_scores,
    stereo_answer,
)
from wholenet.deploy.stereo import STEREO as ANSWER
from wholenet.jobs.stereo_settings import StereoSettings
from wholenet.jobs.streams import DrawnStreams
from wholenet.jobs.task import Counted, Task, Watched, settings_of
from wholenet.report.disparity import DISPARITY, SHOWN, draw_disparities
from wholenet.report.progress import plain
from wholenet.run import Scored
from wholenet.search.config import parse_size
from wholenet.search.draw import steps_per_epoch
from wholenet.search.parts import GRADIENTS
from wholenet.search.run_folder import space_of, spec_of
from wholenet.search.schedule import Schedule
from wholenet.search.steps import Loss
from wholenet.search.task_config import TaskConfig
from wholenet.spaces.autodispnet.pair import Pair
from wholenet.spaces.catalog import create_from
from wholenet.spaces.space import Facts
from wholenet.spaces.supernet import Supernet
from wholenet.tasks.disparity import EPE, DisparityLoss, target_of
from wholenet.tasks.disparity_floors import floors_of, known_of
from wholenet.tasks.pace import Pace

LARGEST_CROP = 384, 768
"""(h, w) of what is trained on where the pairs are larger, as DispNet's authors have it."""
CACHE_BYTES = 2 << 30
"""Pairs kept in memory where no worker processes read ahead."""
OF_MEAN = 32
"""Pairs that the mean colour is of."""
SCORED_FLOORS = 200
"""Pairs held out, evenly spread, that floors are scored on."""
SEARCH = {"method": "darts", "gradient": "first-order", "warmup_share": 0.0, "search_share": 1.0, "arch_lr": 1e-4}
"""Of a search, as RobustDARTS has it: no warm-up, first order."""
SGD = {"optimizer": "sgd", "lr": 0.025, "lr_end": 1e-3, "momentum": 0.9}
FULL_SEARCH = {"epochs": 100, "batch": 4, **SGD, "weight_decay": 3e-4}
FULL_TRAINING = {"epochs": 100, "batch": 4, "optimizer": "adamw", "lr": 1e-4, "weight_decay": 0.0}
"""About 300,000 steps on FlyingThings3D."""
SMALL_SEARCH = {"epochs": 12, "batch": 4, "optimizer": "adamw", "lr": 3e-3, "weight_decay": 3e-4, "arch_lr": 3e-3}
SMALL_TRAINING = {"epochs": 12, "batch": 8, "optimizer": "adamw", "lr": 3e-3, "weight_decay": 0.0}
"""Ours, for minutes on a CPU (docs/disparity.md)."""


class KeptPairs(Cached[StereoSample]):
    """Pairs that are read once; a ``StereoSplit``."""

    data: StereoSplit

    @property
    def names(self) -> tuple[str, ...]:
        """As the other split calls them."""
        return self.data.names


class PairStream(Order):
    """Item k is batch k, or this share of it: (:class:`Pair` of float32 [B, 3, h, w], truth float32 [B, 2, h, w])."""

    def __init__(
        self, data: Numbered[StereoSample], augment: StereoAugmentation, mean: tuple[float, ...], **order: Any
    ) -> None:
        super().__init__(len(data), **order)
        self.data = data
        self.augment = augment
        self.mean = mean

    def __getitem__(self, k: int) -> tuple[Pair, Tensor]:
        drawn = [
            self.augment(self.data[index], self.rng(1, k * self.batch + place))
            for place, index in zip(self.places, self.indices(k), strict=True)
        ]
        images = ([sample.left for sample in drawn], [sample.right for sample in drawn])
        left, right = (torch.from_numpy(normalized(side, self.mean)) for side in images)
        return Pair(left, right), torch.from_numpy(np.stack([target_of(sample) for sample in drawn]))


@dataclass
class StereoData:
    """Pairs, divided; a :class:`wholenet.jobs.task.Data`."""

    source: StereoSource
    settings: StereoSettings
    weights: StereoSplit
    """What the weights learn from."""
    architecture: StereoSplit
    crop: tuple[int, int]
    mean: tuple[float, ...]
    _floors: dict[str, float] = field(default_factory=dict)

    def network(self) -> Facts:
        """One output."""
        return Facts(OUTPUTS, CHANNELS)

    def size(self) -> tuple[int, int]:
        """Of the crops."""
        return self.crop

    def steps_per_epoch(self, batch: int) -> int:
        """Full batches in a pass over what the weights learn from."""
        return steps_per_epoch(len(self.weights), batch)

    def pace(self, config: TaskConfig) -> Pace:  # noqa: ARG002
        """Pairs, one a sample."""
        return Pace("pairs")

    def streams(self, config: TaskConfig, schedule: Schedule, device: torch.device) -> DrawnStreams:
        """What is drawn from it."""
        augment, mean = StereoAugmentation(crop=self.crop, strength=self.settings.augment), self.mean

        def make(data: Numbered[StereoSample], **order: Any) -> PairStream:
            return PairStream(data, augment, mean, **order)

        parts = (self.weights, self.architecture)

        def name(data: Any, index: int) -> str:
            return data.names[index]

        return DrawnStreams(*parts, make, config=config, schedule=schedule, device=device, name=name)

    def loss(self, config: TaskConfig, device: torch.device) -> Loss:  # noqa: ARG002
        """Errors of all levels, in pixels."""
        return DisparityLoss()

    def score(self, model: Supernet[Any], device: torch.device) -> Scored:
        """Errors on what is held out: whole pairs, never augmented, whatever training does."""
        found = split_scores(model, self.source.splits["val"], self.mean, device)
        record = {EPE.name: found.all.epe, "over_3": found.all.over_3, "d1": found.all.d1}
        return Scored(record, None, found.all.epe)

    def constant(self) -> float | None:
        """That of the median of train, everywhere."""
        return self.floors()["median"]

    def floors(self) -> Mapping[str, float]:
        """End-point errors on what is held out of the median of train and of block matching; found once."""
        if not self._floors:
            found = floors_of(
                known_of(self.source.splits["train"], LOOKED_AT), self.source.splits["val"], SCORED_FLOORS
            )
            self._floors |= found.epe
        return dict(self._floors)

    def classes(self) -> None:
        """Nothing is told apart."""

    def watched(self) -> Watched:
        """No class can be missed."""
        return Watched()

    def answer(self, config: TaskConfig) -> Mapping[str, Any]:  # noqa: ARG002
        """The mean colour."""
        return stereo_answer(self.mean)

    def facts(self) -> dict[str, Any]:
        """Pairs by split, what is trained on, and what simple answers come to."""
        own = {"crop": f"{self.crop[0]}x{self.crop[1]}", "mean": list(self.mean)}
        return {**self.unchanged(), "pairs": own, "floors": dict(self.floors())}

    def unchanged(self) -> dict[str, Any]:
        """What a continued run must find again, by split."""
        return {name: _fingerprint(self.source.splits[name]) for name in ("train", "val")}

    def undivided(self) -> StereoData:
        """The same, where the weights learn from all of train."""
        return replace(self, weights=self.source.splits["train"])

    def draw(self, folder: Path, model: Supernet[Any], device: torch.device) -> None:
        """A few pairs of what is held out: prediction, truth and error."""
        val = self.source.splits["val"]
        indices = spread(len(val), SHOWN)
        found = list(estimates(model, (val[index] for index in indices), self.mean, device))
        draw_disparities(folder / DISPARITY, found, [val.names[index] for index in indices])


def _fingerprint(split: StereoSplit) -> dict[str, Any]:
    """How many pairs, and which: by their names, and by the numbers of the first and the last."""
    whole = hashlib.sha256("\n".join(split.names).encode("utf-8", "surrogateescape"))
    for index in (0, len(split) - 1):
        sample = split[index]
        for part in (sample.left, sample.right, sample.disparity):
            whole.update(np.ascontiguousarray(part).tobytes())
    return {"pairs": len(split), "first and last": whole.hexdigest()[:16]}


def prepare(config: TaskConfig, console: Console) -> StereoData:
    """Read and divide the pairs of a run.

    Raises:
        DataError: for pairs that cannot be learned from.
        ValueError: for a crop that the network does not take.
    """
    settings = settings_of(STEREO, config)
    network = _network(config)
    reach = getattr(network, "reach", None)
    source = open_stereo(
        config.data,
        val_share=config.val_share,
        seed=config.data_seed,
        scale=settings.disparity_scale,
        max_megapixels=settings.max_megapixels,
        reach=None if reach is None else max(1.0, float(reach)),
    )
    say = plain(console)
    counts = ", ".join(f"{name} {len(split):,}" for name, split in source.splits.items())
    say(f"{config.data} is read as pairs of images with disparity: {counts}")
    for note in source.notes:
        say(note)
    kept = ("val",) if config.workers else ("train", "val")
    splits = {name: KeptPairs(source.splits[name], CACHE_BYTES // len(kept)) for name in kept}
    source = replace(source, splits={**source.splits, **splits})
    train: StereoSplit = source.splits["train"]
    crop = _crop(settings, _smallest(source), least_size(network))
    say(f"crops of {crop[0]}x{crop[1]} are trained on; scores are of whole pairs that are held out, never augmented")
    weights = architecture = train
    if config.split == "disjoint" and config.moves_architecture:
        parts = split_train(train, config.weights_share, config.data_seed)
        weights, architecture = (SomePairs(train, part.indices) for part in parts)
    return StereoData(source, settings, weights, architecture, crop, mean_of(train, OF_MEAN))


def _network(config: TaskConfig) -> Any:
    """The network of a run without memory for its weights: what it takes, and how far it sees."""
    space, settings = space_of(config)
    genotype = None if config.genotype is None else space.read_genotype(config.genotype, settings)
    spec = spec_of(config, Facts(OUTPUTS, CHANNELS))
    if genotype is not None:
        spec = replace(spec, genotype=genotype.to_dict(), relaxation="softmax")
    with torch.device("meta"):
        return create_from(spec).net


def _smallest(source: StereoSource) -> tuple[int, int]:
    """(height, width) that the first and the last pair of train and of val have at least."""
    found = []
    for split in (source.splits["train"], source.splits["val"]):
        found += [split[index].left.shape[:2] for index in {0, len(split) - 1}]
    return min(height for height, _ in found), min(width for _, width in found)


def _crop(settings: StereoSettings, smallest: tuple[int, int], least: int) -> tuple[int, int]:
    if settings.crop is not None:
        height, width = parse_size(settings.crop)
        if height % least or width % least:
            near = "x".join(str(max(1, round(side / least)) * least) for side in (height, width))
            raise ValueError(f"crop={settings.crop!r}: this network takes multiples of {least}; give --crop {near}")
        return height, width
    if min(smallest) < least:
        raise DataError(
            f"there are pairs of {smallest[0]}x{smallest[1]}, and this network sees {least}x{least} or more; give "
            "larger images, or a network of fewer levels (--size tiny)"
        )
    height, width = (min(side, most) // least * least for side, most in zip(smallest, LARGEST_CROP, strict=True))
    return height, width


def recipe(given: Mapping[str, Any]) -> dict[str, Any]:
    """Values for a search, or for the training of what it found, of small networks or of those of the papers."""
    small = given.get("size") == "tiny" or given.get("settings", {}).get("size") == "tiny"
    found: dict[str, Any] = {"space": "autodispnet", "lr_schedule": "cosine"}
    if given.get("genotype") is not None:
        return found | (SMALL_TRAINING if small else FULL_TRAINING)
    found |= SEARCH | (SMALL_SEARCH if small else FULL_SEARCH)
    gradient = GRADIENTS.get(given.get("gradient", ""))
    through_a_step = gradient is not None and gradient.unrolls  # of SGD alone
    if given.get("optimizer", "sgd" if through_a_step else None) == "sgd":
        found |= SGD
    if given.get("architecture") == "uniform":
        found |= {"method": "single-stage"}
    return found


STEREO = Task(
    name="stereo",
    settings=StereoSettings,
    prepare=prepare,
    score=EPE,
    answer=ANSWER,
    unscored={EPE.name: None, "over_3": None, "d1": None},
    recipe=recipe,
    floors=StereoData.floors,
    pace=StereoData.pace,
    counted=Counted(one="one pair of {size}", no_outputs="estimates disparity, which has no classes"),
)
