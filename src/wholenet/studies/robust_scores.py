"""How ``study robust-darts`` scores a trained network at a place, task by task, and what simple answers come to there.

Each function takes (model, data, split, settings of the task that the data has to be read with) and gives the
network's score and those of simple answers by name; each companion takes (data, settings) and names the splits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from wholenet.data.opening import MAX_MEGAPIXELS
from wholenet.data.stereo.review import open_stereo
from wholenet.data.stereo.sample import StereoSource, StereoSplit
from wholenet.data.text.texts import open_texts
from wholenet.deploy.stereo import LOOKED_AT, split_scores
from wholenet.jobs.stereo import CACHE_BYTES, KeptPairs
from wholenet.tasks.disparity_floors import floors_of, known_of

Scored = tuple[float, Mapping[str, float]]


def on_text(model: Any, data: str, split: str, settings: Mapping[str, Any]) -> Scored:  # noqa: ARG001
    """Perplexity, and those of models that count words."""
    found = model.evaluate(data, split)
    return found.perplexity, found.floors


def splits_of_text(data: str, settings: Mapping[str, Any]) -> Sequence[str]:
    """The splits of a text."""
    return list(open_texts(data, settings.get("vocab", 0)).splits)


def on_pairs(model: Any, data: str, split: str, settings: Mapping[str, Any]) -> Scored:
    """End-point error in pixels on whole pairs, and those of the median of train and of block matching.

    Raises:
        DataError: for pairs that cannot be read.
        FloatingPointError: for disparities that are not finite.
    """
    held_out, floors = _held_out(data, split, *_reading(settings))
    return split_scores(model.network, held_out, model.mean, model.device).all.epe, floors


def splits_of_pairs(data: str, settings: Mapping[str, Any]) -> Sequence[str]:
    """The splits of pairs with disparity."""
    return list(_opened(data, *_reading(settings)).splits)


def _reading(settings: Mapping[str, Any]) -> tuple[float | None, float]:
    return settings.get("disparity_scale"), settings.get("max_megapixels") or MAX_MEGAPIXELS


def _opened(data: str, scale: float | None, max_megapixels: float) -> StereoSource:
    return open_stereo(data, scale=scale, max_megapixels=max_megapixels)


@lru_cache(maxsize=2)
def _held_out(
    data: str, split: str, scale: float | None, max_megapixels: float
) -> tuple[StereoSplit, Mapping[str, float]]:
    """Pairs to score on, kept in memory, and what simple answers come to: the same for all networks of a study, and
    dearer than a network."""
    splits = _opened(data, scale, max_megapixels).splits
    held_out = KeptPairs(splits[split], CACHE_BYTES // 4)
    return held_out, floors_of(known_of(splits["train"], LOOKED_AT), held_out).epe
