"""Does the search pay? Ours; the paper has no such table. Ways to move the architecture, at equal time.

Every claim about a search needs the network whose architecture never moved, trained for the same time. Here are ways to
search that cost differently or move further, each beside a frozen-uniform control of its own length.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import mean, median
from typing import Any

from wholenet.search.config import FitConfig
from wholenet.search.cost import run_macs
from wholenet.search.equal_time import equal_time
from wholenet.search.run_folder import RunFolder
from wholenet.studies.drawing import draw_arms
from wholenet.studies.magnitudes import end_entropy
from wholenet.studies.outcomes import final_miou, seconds
from wholenet.studies.pool import Pool
from wholenet.studies.protocols import UNIFORM
from wholenet.studies.result import Result, Spread, Table, spread
from wholenet.studies.setting import Setting

WAYS: Mapping[str, Mapping[str, Any]] = {
    "alternating": {"arch_update": "alternating"},
    "simultaneous": {"arch_update": "simultaneous"},
    "simultaneous, three times the rate": {"arch_update": "simultaneous", "arch_lr": 3.0},
    "simultaneous, search to the end": {"arch_update": "simultaneous", "search_share": 0.95},
}
"""What changes against the scale's own run; "arch_lr" as a factor."""
LONG = "simultaneous, as long as alternating"
LENGTHS = (1, 3)
"""Lengths of the searches of :func:`length`, as factors of the scale's."""


def control(setting: Setting, pool: Pool) -> Result:
    """Train every way and its control with every seed."""
    base = setting.config()

    def searched(change: Mapping[str, Any]) -> FitConfig:
        rate = {"arch_lr": base.arch_lr * change["arch_lr"]} if "arch_lr" in change else {}
        return setting.varied(base, **{**change, **rate})

    ways = {name: setting.over_seeds(searched(change)) for name, change in WAYS.items()}
    runs = pool.trained_arms(ways)
    epochs = control_epochs(runs)
    # Simultaneous search once more, for the time that alternating took: the two against each other.
    epochs[LONG] = epochs["alternating"]
    runs[LONG] = pool.trained([replace(config, epochs=epochs[LONG]) for config in ways["simultaneous"]])
    return _against_control(setting, pool, runs, epochs, title="Does the search pay?", figure="control.png")


def length(setting: Setting, pool: Pool) -> Result:
    """Train simultaneous search and its control at several lengths, with every seed."""
    base = setting.varied(setting.config(), arch_update="simultaneous")
    lengths = {factor: replace(base, epochs=factor * base.epochs) for factor in LENGTHS}
    runs = pool.trained_arms({f"{config.epochs} epochs": setting.over_seeds(config) for config in lengths.values()})
    epochs = control_epochs(runs)
    return _against_control(setting, pool, runs, epochs, title="Does a longer search pay?", figure="length.png")


def _against_control(
    setting: Setting,
    pool: Pool,
    runs: Mapping[str, Sequence[RunFolder]],
    epochs: Mapping[str, int],
    *,
    title: str,
    figure: str,
) -> Result:
    """Every one of ``runs`` beside frozen-uniform controls of so many ``epochs``."""
    still = setting.varied(setting.config(), architecture="uniform")
    uniform = pool.trained_arms(
        {name: setting.over_seeds(replace(still, epochs=as_long)) for name, as_long in epochs.items()}
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
    draw_arms(setting.out / figure, shown, {}, quantity="mIoU, %", ours=setting.counted_seeds)
    return Result(
        title=title,
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
            setting.how_shown,
        ],
        figure=figure,
    )


def control_epochs(runs: Mapping[str, Sequence[RunFolder]]) -> dict[str, int]:
    """Epochs of each way's control: equal time, by the median over all runs that update the architecture the same way,
    so that one busy minute of the machine decides nothing.
    """
    ratios: dict[tuple[bool, float], list[float]] = {}
    for of_way in runs.values():
        for run in of_way:
            ratio = equal_time(run.records()) / run.config.epochs
            ratios.setdefault(_cost_of_search(run.fit_config), []).append(ratio)
    return {
        name: round(median(ratios[_cost_of_search(of_way[0].fit_config)]) * of_way[0].config.epochs)
        for name, of_way in runs.items()
    }


def _cost_of_search(config: FitConfig) -> tuple[bool, float]:
    """What the time of a run depends on: a simultaneous search costs the same however long it is."""
    return config.simultaneous, 0.0 if config.simultaneous else config.search_share
