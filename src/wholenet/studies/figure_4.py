"""Figure 4 (Sec. 4.5): the dominant eigenvalue over the search on S1-S4, with the data split between weights and
architecture as DARTS has it, and with both learning from all images, drawn separately."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.lines import Line2D

from wholenet.report.style import BLUE, VERMILION, saved_figure
from wholenet.search.cell_config import CellConfig
from wholenet.search.cell_folder import CellFolder
from wholenet.spaces.darts_genotype import cell_genotype_from_dict
from wholenet.studies.outcomes import diverged, error, notes_on_diverged
from wholenet.studies.pool import Pool
from wholenet.studies.result import Result, Spread, Table, spread
from wholenet.studies.setting import CellSetting

SPACES = ("s1", "s2", "s3", "s4")
ARMS = {"split": ("darts", VERMILION), "no split": ("no-split", BLUE)}
"""Method and colour of each."""
FIGURE = "figure-4.png"
NOTHING = np.empty(0), np.empty((0, 1))
"""The trajectories where no run is left."""


def searches(setting: CellSetting, space: str, arm: str) -> list[CellConfig]:
    """The searches of one line of the figure.

    Without the split an epoch has more steps. At the paper's scale both have as many epochs, as published; otherwise
    both have as many steps.
    """
    base = setting.config(ARMS[arm][0], space=space)
    if arm == "no split" and setting.scale != "paper":
        epochs, every = (max(1, round(n * base.weights_share)) for n in (base.epochs, base.eigenvalue_every))
        base = replace(base, epochs=epochs, eigenvalue_every=every)
    return setting.over_seeds(base)


def figure_4(setting: CellSetting, pool: Pool) -> Result:
    """A search of each kind for each seed."""
    if not setting.example.eigenvalue_every:
        raise ValueError("--set eigenvalue_every=0: this study is about the eigenvalue; leave it out")
    arms = {(space, arm): searches(setting, space, arm) for space in SPACES for arm in ARMS}
    pool.done([config for configs in arms.values() for config in configs])
    rows: list[list[str | Spread]] = []
    values: dict[str, Any] = {}
    curves: dict[tuple[str, str], tuple[np.ndarray, np.ndarray]] = {}
    every = {key: pool.done(configs) for key, configs in arms.items()}
    found = {key: [run for run in runs if not diverged(run)] for key, runs in every.items()}
    lost = notes_on_diverged(run for runs in every.values() for run in runs)
    for space in SPACES:
        of_space = alike({arm: trajectories(found[space, arm]) for arm in ARMS if found[space, arm]})
        curves |= {(space, arm): curve for arm, curve in of_space.items()}
    for (space, arm), runs in found.items():
        shares, eigenvalues = curves.get((space, arm), NOTHING)
        tail = max(1, eigenvalues.shape[1] // 4)
        first, last = eigenvalues[:, :tail].mean(1), eigenvalues[:, -tail:].mean(1)
        empty = [float(cell_genotype_from_dict(run.records()[-1]["genotype"]).without_weights) for run in runs]
        growth = spread(list(last / first))
        rows.append(
            [
                space.upper(),
                arm,
                spread(list(first)).shown(digits=3),
                spread(list(last)).shown(digits=3),
                growth.shown(digits=2),
                spread(list(eigenvalues.max(1))).shown(digits=3),
                spread(empty).shown(),
                spread([error(run) for run in runs]),
                *([f"{setting.seeds - len(runs)} of {setting.seeds}"] if lost else []),
            ]
        )
        values[f"{space}, {arm}"] = {
            "seeds": [run.config.seed for run in runs],
            "share_of_search": shares.tolist(),
            "eigenvalues": eigenvalues.tolist(),
            "lowest": lowest(runs),
            "growth": growth,
            "skip_or_noise": empty,
            "error": [error(run) for run in runs],
        }
    _draw(setting, curves)
    columns = ["space", "data", "first quarter", "last quarter", "growth", "highest", "skip or noise, of 16"]
    example = setting.example
    return Result(
        title="Figure 4: the dominant eigenvalue over the search",
        source="Seed paper, Fig. 4 and Sec. 4.5; RobustDARTS, Sec. 4",
        table=Table([*columns, "one-shot error, %", *(["diverged"] if lost else [])], rows),
        values=values,
        notes=[
            "Eigenvalue: highest of the Hessian of the loss in the logits, on a batch of what the architecture learns "
            "from, BatchNorm by the batch, the logits' weight decay counted in as RobustDARTS' code does; means over "
            "the first and the last quarter of the search. Growth is their ratio, run by run. Mean and sample standard "
            f"deviation of {setting.counted_seeds}; lines in the figure are means, bands ranges.",
            "The paper: with the split the eigenvalue grows during the search, without it stays small on all of S1-S4.",
            *_verdict(values),
            f"Each search: {example.cells} cells of {example.channels} channels, {example.gradient} gradient, "
            + (f"{example.images} images" if example.images else "all images")
            + (f" of {example.side}x{example.side}" if example.side else "")
            + (
                f", {example.epochs} epochs."
                if setting.scale == "paper"
                else f", {example.epochs} epochs with the split; without it as many steps, in fewer epochs."
            ),
            "The one-shot error is of the supernet on what the architecture learns from: without the split these are "
            "training images, so the two arms' errors do not compare.",
            *lost,
        ],
        figure=FIGURE,
    )


def trajectories(runs: Sequence[CellFolder]) -> tuple[np.ndarray, np.ndarray]:
    """Share of the search at each look [N], and the eigenvalues found [runs, N]."""
    found = [[(r["epoch"], r["eigenvalue"]) for r in run.records() if r["eigenvalue"] is not None] for run in runs]
    length = min(map(len, found))
    shares = np.array([epoch + 1 for epoch, _ in found[0][:length]]) / runs[0].search_config.epochs
    return shares, np.array([[value for _, value in one[:length]] for one in found])


def alike(
    curves: Mapping[str, tuple[np.ndarray, np.ndarray]],
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The same, each at the shares of the search that all have been looked at: a maximum over more looks is higher."""
    if not curves:
        return {}
    common = set.intersection(*({round(share, 6) for share in shares.tolist()} for shares, _ in curves.values()))
    thinned = {}
    for arm, (shares, eigenvalues) in curves.items():
        there = [i for i, share in enumerate(shares.tolist()) if round(share, 6) in common]
        thinned[arm] = shares[there], eigenvalues[:, there]
    return thinned


def lowest(runs: Sequence[CellFolder]) -> list[list[float]]:
    """The other end of the spectrum, run by run."""
    return [[r["lowest_eigenvalue"] for r in run.records() if r["lowest_eigenvalue"] is not None] for run in runs]


def _verdict(values: Mapping[str, Mapping[str, Any]]) -> list[str]:
    growth = {name: replace(found["growth"], sd=None).shown(digits=2) for name, found in values.items()}
    highest = {
        name: dict(zip(found["seeds"], map(max, found["eigenvalues"]), strict=True)) for name, found in values.items()
    }
    shown = ", ".join(f"{s.upper()} {growth[f'{s}, split']} and {growth[f'{s}, no split']}" for s in SPACES)
    lower = []
    for s in SPACES:
        split, whole = highest[f"{s}, split"], highest[f"{s}, no split"]
        both = split.keys() & whole.keys()
        lower.append(f"{s.upper()} {sum(whole[seed] < split[seed] for seed in both)} of {len(both)}")
    return [
        f"Here the eigenvalue grew by a factor of (split and no split) {shown}. Seeds whose highest eigenvalue is "
        f"lower without the split than with it: {', '.join(lower)}."
    ]


def _draw(setting: CellSetting, curves: dict[tuple[str, str], tuple[np.ndarray, np.ndarray]]) -> None:
    with saved_figure(setting.out / FIGURE, 10.5, 3.4) as figure:
        axes = figure.subplots(1, len(SPACES), sharey=True)
        for ax, space in zip(axes, SPACES, strict=True):
            for arm, (_, color) in ARMS.items():
                if (space, arm) not in curves:
                    continue
                shares, eigenvalues = curves[space, arm]
                ax.plot(shares, eigenvalues.mean(0), color=color)
                ax.fill_between(shares, eigenvalues.min(0), eigenvalues.max(0), color=color, alpha=0.15, lw=0)
            ax.set_title(space.upper())
            ax.set_xlabel("share of the search")
        axes[0].set_ylabel("dominant eigenvalue")
        axes[0].set_ylim(0, 1.05 * max((eigenvalues.max() for _, eigenvalues in curves.values()), default=1))  # all's
        lines = {arm: Line2D([], [], color=color) for arm, (_, color) in ARMS.items()}
        figure.legend(lines.values(), lines.keys(), loc="lower center", ncols=len(ARMS))
        figure.tight_layout(rect=(0, 0.08, 1, 1))
