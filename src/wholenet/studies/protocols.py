"""The ways to a final network that Tables 4 and 6 compare, in one space and at one total cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from statistics import median_low

from wholenet.search.equal_time import equal_time_epochs
from wholenet.search.run_folder import RunFolder
from wholenet.studies.pool import Pool
from wholenet.studies.setting import Setting

SINGLE, UNIFORM = "single-stage", "frozen-uniform"
TWO_STAGE = {
    "two-stage, best path": {"decoding": "best-path"},
    "two-stage, threshold 0.5": {"decoding": "threshold", "decoding_tau": 0.5},
}


def protocol_runs(setting: Setting, pool: Pool) -> Mapping[str, list[RunFolder]]:
    """Finished runs of every protocol, one per seed.

    Single-stage sets the cost. Two-stage searches for as many epochs and retrains for what the multiply-adds of the
    fine-tuning pay for; frozen-uniform trains for as long as single-stage took.
    """
    base = setting.config()
    arms = {SINGLE: base} | {name: setting.varied(base, protocol="two-stage", **how) for name, how in TWO_STAGE.items()}
    runs = pool.trained_arms({name: setting.over_seeds(arm) for name, arm in arms.items()})
    # Median over the seeds, so that one busy minute of the machine does not decide.
    epochs = median_low(equal_time_epochs(run.records()) for run in runs[SINGLE])
    uniform = setting.over_seeds(replace(setting.varied(base, architecture="uniform"), epochs=epochs))
    return {**runs, UNIFORM: pool.trained(uniform)}
