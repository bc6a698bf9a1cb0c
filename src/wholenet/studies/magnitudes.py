"""Low, medium and high entropy penalty: the paper does not print its magnitudes, so they are chosen by what they do.

A sweep over magnitudes with the constant schedule, one seed; low, medium and high are those that end nearest to a
normalised entropy of 0.75, 0.4 and 0.1. The same magnitudes are then used with the linear schedule. The runs of the
sweep are runs of the study too, so the choice costs only those that are not chosen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from statistics import mean

from wholenet.search.config import FitConfig
from wholenet.search.run_folder import RunFolder
from wholenet.studies.pool import Pool
from wholenet.studies.setting import Setting

SWEEP = (3e-3, 1e-2, 3e-2, 1e-1)
"""Candidate magnitudes: c of Eq. 4, the same for operations and edges, entropies summed over groups in nats."""
TARGETS = {"low": 0.75, "medium": 0.4, "high": 0.1}
"""End entropy, normalised, mean of operations and edges (our choice)."""


@dataclass(frozen=True)
class Magnitudes:
    """What was chosen, and from what."""

    chosen: Mapping[str, float]
    """Magnitude by name: "none", "low", "medium", "high"."""
    swept: Mapping[float, float]
    """End entropy by magnitude."""


def penalized(setting: Setting, magnitude: float, schedule: str = "constant") -> FitConfig:
    """The run of this scale with a penalty."""
    config = setting.config()
    if magnitude == 0:  # one run, whatever the schedule would have been
        return config
    return setting.varied(config, entropy_alpha=magnitude, entropy_beta=magnitude, entropy_schedule=schedule)


def choose_magnitudes(setting: Setting, pool: Pool) -> Magnitudes:
    """Sweep, and choose."""
    runs = pool.trained([penalized(setting, magnitude) for magnitude in SWEEP])
    swept = {c: end_entropy(run) for c, run in zip(SWEEP, runs, strict=True)}
    return Magnitudes({"none": 0.0, **nearest(swept, TARGETS)}, swept)


def penalized_arms(
    setting: Setting, pool: Pool, arms: Iterable[tuple[str, str]]
) -> tuple[Magnitudes, dict[tuple[str, str], list[RunFolder]]]:
    """Choose the magnitudes, and train every (schedule, name of a magnitude) with every seed."""
    magnitudes = choose_magnitudes(setting, pool)
    configs = {
        (schedule, name): setting.over_seeds(penalized(setting, magnitudes.chosen[name], schedule))
        for schedule, name in arms
    }
    return magnitudes, pool.trained_arms(configs)


def nearest(swept: Mapping[float, float], targets: Mapping[str, float]) -> dict[str, float]:
    """For each target the magnitude that ended nearest, no magnitude twice, in rising order.

    >>> nearest({0.001: 0.95, 0.01: 0.7, 0.1: 0.5, 1.0: 0.02}, {"low": 0.75, "medium": 0.4, "high": 0.1})
    {'low': 0.01, 'medium': 0.1, 'high': 1.0}
    """
    magnitudes = sorted(swept)
    if len(magnitudes) < len(targets):
        raise ValueError(f"{len(magnitudes)} magnitudes were swept for {len(targets)} targets; sweep more")
    best: tuple[float, tuple[float, ...]] | None = None
    for chosen in combinations(magnitudes, len(targets)):
        miss = sum(abs(swept[c] - target) for c, target in zip(chosen, targets.values(), strict=True))
        if best is None or miss < best[0]:
            best = (miss, chosen)
    assert best is not None
    return dict(zip(targets, best[1], strict=True))


def end_entropy(run: RunFolder) -> float:
    """Normalised entropy at the end of a run, mean of operations and edges."""
    return mean(run.records()[-1]["entropy"].values())
