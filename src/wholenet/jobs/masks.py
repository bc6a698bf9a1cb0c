"""From a config to checked data, divided between those who learn from it. Nothing is trained or written here."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from rich.console import Console

from wholenet import parallel
from wholenet.data.cache import Cached
from wholenet.data.check import PAPER_CROP, SplitStats, check_crop, check_split, check_trainable, joined_stats, measured
from wholenet.data.coarsen import Coarsened
from wholenet.data.finding import refuse_errors
from wholenet.data.pixels import PHOTO, Pixels
from wholenet.data.review import Review, review
from wholenet.data.sample import DataError, DataSource, SegmentationData
from wholenet.data.sets import data_set
from wholenet.data.splits import Joined, split_train
from wholenet.data.task import how_read, surely_labelled
from wholenet.report.data_check import print_warnings, printable
from wholenet.report.progress import counted, plain
from wholenet.search.config import Annotations, FitConfig, parse_size
from wholenet.search.run_folder import space_of

CACHE_BYTES = 2 << 30
"""Decoded samples kept in memory where no worker processes read ahead."""


@dataclass(frozen=True)
class Prepared:
    """Checked data of one run."""

    source: DataSource
    weights: SegmentationData
    """What weight steps draw from."""
    fine_tune: SegmentationData
    """What they draw from in the fine-tune phase: mostly the same."""
    retrain: SegmentationData
    """What a second stage draws from: as ``weights``, but undivided. Its discrete network has no architecture to learn,
    and to train it on half the images would be another protocol."""
    architecture: SegmentationData
    """What architecture steps draw from: the same, or a disjoint part, or other annotations."""
    val: SegmentationData
    train_stats: SplitStats
    """Of all that is trained on."""
    val_stats: SplitStats
    crop: tuple[int, int]
    """(height, width) of a training crop."""
    pixels: Pixels = PHOTO
    """What the images are."""

    def facts(self) -> dict[str, Any]:
        """What a continued run must find again, by split; of images that are no photographs how they are normalised."""
        found = {"train": asdict(self.train_stats), "val": asdict(self.val_stats)}
        return found if self.pixels == PHOTO else {**found, "pixels": asdict(self.pixels)}


def prepare(config: FitConfig, console: Console) -> Prepared:
    """Look at all of the data, open it, and divide it as the config says.

    Raises:
        DataError: for data that cannot be trained on; the message names files and what to do.
    """
    if surely_labelled(config.data):
        raise DataError(
            f"{how_read(config.data, 'classification')}; networks of the space {config.space!r} are for images with "
            "masks. Of labelled images search the space darts, s1 to s4, nb201 or dots, or train a genotype of these"
        )
    plain(console)(printable(how_read(config.data, "segmentation")))
    asked_crop = parse_size(config.crop) if config.crop else None
    if asked_crop:  # before the data is read
        _check_batch(config, asked_crop)
    by_name = data_set(config.data) is not None  # once, here below, into the cache: it may take long
    fine_alone = config.weights_annotations == config.arch_annotations == "fine"
    found = review(
        config.data,
        val_share=config.val_share,
        seed=config.data_seed,
        crop=asked_crop,
        bands=config.bands,
        max_megapixels=config.max_megapixels,
        skipped=("train", "val", "test") if by_name else ("coarse",) if fine_alone else (),
        progress=counted(console, "checking data"),
    )
    refuse_errors(found.findings, config.data)
    source = found.source
    assert source is not None, "there were no errors"
    if config.coarse == "made" and "coarse" not in source.splits:
        source = replace(source, splits={**source.splits, "coarse": Coarsened(source.splits["train"])})
    for note in source.notes:
        plain(console)(printable(note))
    print_warnings(found.findings, console)
    if config.workers == 0:
        used = {name: data for name, data in source.splits.items() if name != "test"}
        source = replace(source, splits={name: Cached(data, CACHE_BYTES // len(used)) for name, data in used.items()})
    pixels = source.pixels
    if pixels is None:
        pixels = measured(source.splits["train"])
        if not pixels.photo:
            plain(console)(pixels.told())
    if config.stem is not None and not pixels.photo:
        raise ValueError(
            f"stem={config.stem!r} was trained on photographs of 8 bits, and these images are {pixels}; train "
            "without a stem"
        )
    source = replace(source, pixels=pixels)
    same = config.weights_annotations == config.arch_annotations
    train_stats = _train_stats(found, source, config.arch_annotations if same else "both", console)
    check_trainable(train_stats, source.classes)
    crop = asked_crop or default_crop(train_stats)
    check_crop(train_stats, crop, "train")
    if not asked_crop:
        _check_batch(config, crop)
    fine_weights = fine_arch = source.splits["train"]
    if config.split == "disjoint":
        fine_weights, fine_arch = split_train(fine_weights, config.weights_share, config.data_seed)
    if config.weights_annotations == "both-then-fine":
        weights, fine_tune = _annotated(source, fine_weights, "both"), fine_weights
    else:
        weights = fine_tune = _annotated(source, fine_weights, config.weights_annotations)
    return Prepared(
        source=source,
        weights=weights,
        fine_tune=fine_tune,
        retrain=weights if config.split == "same" else source.splits["train"],
        architecture=_annotated(source, fine_arch, config.arch_annotations),
        val=source.splits["val"],
        train_stats=train_stats,
        val_stats=_stats(found, source, "val", console),
        crop=crop,
        pixels=pixels,
    )


def _check_batch(config: FitConfig, crop: tuple[int, int]) -> None:
    space, settings = space_of(config)
    if space.check_batch is not None:
        space.check_batch(settings, parallel.processes() * config.batch, crop)


def default_crop(stats: SplitStats) -> tuple[int, int]:
    """The smallest training image, at most ``PAPER_CROP``, in multiples of 32 where it is that large."""
    height, width = min(stats.min_height, PAPER_CROP[0]), min(stats.min_width, PAPER_CROP[1])
    return height // 32 * 32 or height, width // 32 * 32 or width


def _train_stats(found: Review, source: DataSource, which: Annotations, console: Console) -> SplitStats:
    """Of all that is trained on; what is in no folder, data sets by name and made annotations, is counted here."""
    _annotated(source, source.splits["train"], which)  # is there what was asked for?
    names = {"fine": ["train"], "coarse": ["coarse"], "both": ["train", "coarse"]}[which]
    return joined_stats([_stats(found, source, name, console) for name in names])


def _stats(found: Review, source: DataSource, name: str, console: Console) -> SplitStats:
    if name in found.stats:
        return found.stats[name]
    progress = counted(console, f"checking {name}")
    return check_split(source.splits[name], source.classes, name=name, pixels=source.pixels or PHOTO, progress=progress)


def _annotated(source: DataSource, fine: SegmentationData, which: Annotations) -> SegmentationData:
    if which == "fine":
        return fine
    if "coarse" not in source.splits:
        raise DataError(
            f"{source.name} has no coarse annotations (splits: {', '.join(source.splits)}), but {which!r} ones were "
            "asked for; use fine ones, let coarse ones be made out of them (--coarse made), or add gtCoarse/ to the "
            "Cityscapes tree"
        )
    coarse = source.splits["coarse"]
    return coarse if which == "coarse" else Joined([fine, coarse])
