"""Does the search pay? Ours; the paper has no such table. Ways to move the architecture, at equal time.

Every claim about a search needs the network whose architecture never moved, trained for the same time. Here are ways to
search that cost differently or move further, each beside a frozen-uniform control of its own length.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import mean, median_low
from typing import Any

from wholenet.control import equal_time_epochs
from wholenet.search.config import FitConfig
from wholenet.search.cost import run_macs
from wholenet.search.run_folder import RunFolder
from wholenet.studies.drawing import draw_arms
from wholenet.studies.magnitudes import end_entropy
from wholenet.studies.pool import Pool, final_miou, seconds
from wholenet.studies.protocols import UNIFORM
from wholenet.studies.result import Result, Spread, Table, spread
from wholenet.studies.setting import Setting

WAYS: Mapping[str, Mapping[str, Any]] = {
    "alternating": {},
    "alternating, a tenth of the rate": {"arch_lr": 0.1},
    "simultaneous": {"arch_update": "simultaneous"},
    "simultaneous, search to the end": {"arch_update": "simultaneous", "search_share": 0.95},
}
"""What changes against the scale's own run; "arch_lr" as a factor."""
LONG = "simultaneous, as long as alternating"
FIGURE = "control.png"


def control(setting: Setting, pool: Pool) -> Result:
    """Train every way and its control with every seed."""
    base = setting.config()

    def searched(change: Mapping[str, Any]) -> FitConfig:
        rate = {"arch_lr": base.arch_lr * change["arch_lr"]} if "arch_lr" in change else {}
        return replace(base, **{**change, **rate})

    ways = {name: setting.over_seeds(searched(change)) for name, change in WAYS.items()}
    runs = pool.trained_arms(ways)
    epochs = control_epochs(runs)
    # Simultaneous search once more, for the time that alternating took: the two against each other.
    epochs[LONG] = epochs["alternating"]
    runs[LONG] = pool.trained([replace(config, epochs=epochs[LONG]) for config in ways["simultaneous"]])
    uniform = pool.trained_arms(
        {
            name: setting.over_seeds(replace(base, architecture="uniform", epochs=length))
            for name, length in epochs.items()
        }
    )

    rows: list[list[str | Spread]] = []
    values, shown = {}, {}
    for name, of_way in runs.items():
        ours, theirs = [final_miou(run) for run in of_way], [final_miou(run) for run in uniform[name]]
        gain = spread([a - b for a, b in zip(ours, theirs, strict=True)])
        entropy = spread([end_entropy(run) for run in of_way])
        macs = mean(map(run_macs, of_way)) / mean(map(run_macs, uniform[name]))
        rows.append(
            [
                name,
                f"{of_way[0].config.epochs}",
                entropy.shown(digits=2),
                spread(ours),
                f"{epochs[name]}",
                spread(theirs),
                gain,
                f"{macs:.2f}",
            ]
        )
        values[name] = {
            "change": dict(WAYS.get(name, WAYS["simultaneous"])),
            "epochs": of_way[0].config.epochs,
            "end_entropy": entropy,
            "miou": spread(ours),
            "uniform_epochs": epochs[name],
            "uniform_miou": spread(theirs),
            "gain": gain,
            "macs_over_uniform": macs,
            "seconds": spread([seconds(run) for run in of_way]),
            "uniform_seconds": spread([seconds(run) for run in uniform[name]]),
        }
        shown[name] = [100 * miou for miou in ours]
        shown[f"{UNIFORM}, {epochs[name]} epochs"] = [100 * miou for miou in theirs]
    draw_arms(setting.out / FIGURE, shown, {}, quantity="mIoU, %", ours=f"{setting.seeds} seeds")
    return Result(
        title="Does the search pay?",
        source="Ours; the paper trains no frozen-uniform control",
        table=Table(
            [
                "search",
                "epochs",
                "end entropy",
                "mIoU, %",
                "control's epochs",
                "control, %",
                "gain",
                "multiply-adds ratio",
            ],
            rows,
        ),
        values=values,
        notes=[
            "Frozen-uniform control: as many epochs as fit into the same time. Gain: points over it, paired by seed.",
            "Multiply-adds of the search's training over those of its control's.",
            f"{setting.seeds} seeds, mean ± standard deviation.",
        ],
        figure=FIGURE,
    )


def control_epochs(runs: Mapping[str, Sequence[RunFolder]]) -> dict[str, int]:
    """Epochs of each way's control: equal time, by the median over all runs that update the architecture the same way,
    so that one busy minute of the machine decides nothing.
    """
    lengths: dict[tuple[str, float], list[int]] = {}
    for of_way in runs.values():
        for run in of_way:
            key = _cost_of_search(run.config)
            lengths.setdefault(key, []).append(equal_time_epochs(run.records()))
    return {name: median_low(lengths[_cost_of_search(of_way[0].config)]) for name, of_way in runs.items()}


def _cost_of_search(config: FitConfig) -> tuple[str, float]:
    """What the time of a run depends on: a simultaneous search costs the same however long it is."""
    return config.arch_update, config.search_share if config.arch_update == "alternating" else 0.0
