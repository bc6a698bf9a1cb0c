"""The ways to a final network that Tables 4 and 6 compare, in one space and at one total cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median_low
from typing import Any

from wholenet.search.config import FitConfig
from wholenet.search.equal_time import equal_time_epochs
from wholenet.search.run_folder import RunFolder
from wholenet.studies.pool import Pool
from wholenet.studies.setting import Setting

SINGLE, UNIFORM = "single-stage", "frozen-uniform"
TWO_STAGE: Mapping[str, Mapping[str, Any]] = {
    "two-stage, best path": {"decoding": "best-path"},
    "two-stage, threshold 0.5": {"decoding": "threshold", "decoding_tau": 0.5},
}


@dataclass(frozen=True)
class Way:
    """Finished runs of a way to a final network, one per seed."""

    searched: Sequence[RunFolder]
    """The first stage, which ends with a supernet."""
    final: Sequence[RunFolder]
    """What is kept: the same runs, or others, in which what these found was trained."""

    @property
    def retrains(self) -> bool:
        """Whether there is a second stage."""
        return self.searched[0].path != self.final[0].path

    def costs(self, of: Callable[[RunFolder], float]) -> tuple[list[float], list[float]]:
        """Of the first stage and of all, seed by seed, by a cost that has that of a run inside a run in it."""
        first, last = ([of(run) for run in runs] for runs in (self.searched, self.final))
        apart = self.retrains and self.final[0].path not in self.searched[0].path.parents
        return first, [a + b for a, b in zip(first, last, strict=True)] if apart else last


def protocol_ways(runs: Mapping[str, Sequence[RunFolder]]) -> dict[str, Way]:
    """What :func:`protocol_runs` gives, with the first stages of two-stage runs."""
    return {
        name: Way([RunFolder.at(run.search) or run for run in of_protocol], of_protocol)
        for name, of_protocol in runs.items()
    }


def protocol_runs(
    setting: Setting,
    pool: Pool,
    base: FitConfig | None = None,
    two_stage: Mapping[str, Mapping[str, Any]] = TWO_STAGE,
) -> Mapping[str, list[RunFolder]]:
    """Finished runs of every protocol, one per seed.

    Single-stage sets the cost. Two-stage searches for as many epochs and retrains for what the multiply-adds of the
    fine-tuning pay for; frozen-uniform trains for as long as single-stage took.

    Args:
        setting: of the study.
        pool: runs it.
        base: the single-stage run; default: the scale's.
        two_stage: name of a row and how it cuts.
    """
    base = setting.config() if base is None else base
    arms = {SINGLE: base} | {name: setting.varied(base, protocol="two-stage", **how) for name, how in two_stage.items()}
    runs = pool.trained_arms({name: setting.over_seeds(arm) for name, arm in arms.items()})
    # Median over the seeds, so that one busy minute of the machine does not decide.
    epochs = median_low(equal_time_epochs(run.records()) for run in runs[SINGLE])
    uniform = setting.over_seeds(replace(setting.varied(base, architecture="uniform"), epochs=epochs))
    return {**runs, UNIFORM: pool.trained(uniform)}
