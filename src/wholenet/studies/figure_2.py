"""Figure 2 (Sec. 4.2): mIoU as a supernet loses its weakest edges, by magnitude of the entropy penalty.

The paper: (a) without a penalty the supernet collapses once 20 % of the edges are gone, with a strong one it loses
nothing at 30 %; (b) a short fine-tuning afterwards. Two curves it lacks tell why: with the rest renormalised instead of
zeroed, and with BatchNorm statistics recalculated.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from wholenet.diagnostics.discretization import (
    CurvePoint,
    Variant,
    discretization_curve,
    recalibrated_on,
    renormalized,
    zeroed,
)
from wholenet.report.style import CYCLE, INK, saved_figure
from wholenet.studies.cutting import Cutting, cut_once
from wholenet.studies.magnitudes import TARGETS, penalized_arms
from wholenet.studies.pool import Pool
from wholenet.studies.result import Result, Spread, Table, spread
from wholenet.studies.setting import Setting

SHARES = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7)
FINE_TUNE_SHARE = 0.05
"""Length of the fine-tuning after the cut, as a share of the run's epochs (the paper: "short")."""
FINE_TUNE_RATE = 0.1
"""Its learning rate at the start, as a share of the run's; poly decay to zero."""
RECALIBRATION_IMAGES = 160
VAL_IMAGES = {"cpu": 50}
"""Validation images scored per point, evenly spaced, where a scale cannot afford all."""
VARIANTS = {
    "zeroed": "(a) edges zeroed, as the paper",
    "fine-tuned": "(b) then fine-tuned, as the paper",
    "renormalized": "the rest renormalised",
    "recalibrated": "BatchNorm recalculated",
}
FIGURE = "figure-2.png"


def figure_2(setting: Setting, pool: Pool) -> Result:
    """Cut every run of Table 2's constant rows step by step."""
    magnitudes, arms = penalized_arms(setting, pool, [("constant", name) for name in ("none", *TARGETS)])
    runs = {name: [run.path for run in of_arm] for (_, name), of_arm in arms.items()}
    paths = [path for of_arm in runs.values() for path in of_arm]
    limit = VAL_IMAGES.get(setting.scale)
    cut = partial(cut_curve, val_images=limit)
    settings = {
        "figure-2": [SHARES, sorted(VARIANTS), FINE_TUNE_SHARE, FINE_TUNE_RATE, RECALIBRATION_IMAGES],
        "images": limit,
    }
    curves = cut_once(paths, cut, settings, setting.parallel)

    table: dict[str, dict[str, np.ndarray]] = {
        variant: {
            name: np.array([[p.miou for p in curves[path] if p.variant == variant] for path in of_arm])
            for name, of_arm in runs.items()
        }
        for variant in VARIANTS
    }
    _draw(setting.out / FIGURE, table)
    rows: list[list[str | Spread]] = [
        [variant, name, *(spread(list(column)) for column in curve.T)]
        for variant, by_name in table.items()
        for name, curve in by_name.items()
    ]
    return Result(
        title="Figure 2: dropping edges",
        source="Seed paper, Fig. 2 and Sec. 4.2",
        table=Table(["after the cut", "penalty", *(f"{share:.0%} dropped" for share in SHARES)], rows),
        values={
            "shares": SHARES,
            "magnitudes": dict(magnitudes.chosen),
            "miou": {v: {n: c.tolist() for n, c in by_name.items()} for v, by_name in table.items()},
        },
        notes=[
            "mIoU, %. Edges are ranked by beta over the whole network, weakest first; the constant schedule.",
            f"Fine-tuned: {FINE_TUNE_SHARE:.0%} of the run's epochs at {FINE_TUNE_RATE:g} of its learning rate. "
            f"Recalculated: on {RECALIBRATION_IMAGES} training images.",
            *([f"Scored on {limit} validation images, evenly spaced."] if limit else []),
            "The paper's curves are printed as a picture only; it says that the unregularised supernet collapses at "
            "20 % dropped and that a strongly regularised one loses nothing visible at 30 %.",
            setting.how_shown,
        ],
        figure=FIGURE,
    )


def cut_curve(path: Path, val_images: int | None) -> list[CurvePoint]:
    """The points of one run."""
    cutting = Cutting(path, val_images)
    images = cutting.batches(RECALIBRATION_IMAGES)
    variants: dict[str, Variant] = {
        "zeroed": zeroed,
        "renormalized": renormalized,
        "recalibrated": recalibrated_on(lambda: images),
        "fine-tuned": lambda cut: cutting.fine_tuned(cut, FINE_TUNE_SHARE, FINE_TUNE_RATE),
    }
    return discretization_curve(cutting.model, variants, cutting.score, SHARES)


def _draw(path: Path, table: dict[str, dict[str, np.ndarray]]) -> None:
    with saved_figure(path, 10.0, 6.2) as figure:
        axes = list(figure.subplots(2, 2, sharex=True, sharey=True).flat)
        for ax, (variant, title) in zip(axes, VARIANTS.items(), strict=True):
            for i, (name, curve) in enumerate(table[variant].items()):
                color = INK if name == "none" else CYCLE[i - 1]
                dropped = [100 * share for share in SHARES]
                ax.plot(dropped, 100 * curve.mean(0), "o-", ms=3.5, color=color, label=name)
                ax.fill_between(dropped, 100 * curve.min(0), 100 * curve.max(0), color=color, alpha=0.12, lw=0)
            ax.set_title(title)
            ax.set_ylim(bottom=0)
        for ax in axes[2:]:
            ax.set_xlabel("edges dropped, %")
        for ax in axes[::2]:
            ax.set_ylabel("mIoU, %")
        axes[0].legend(title="penalty", loc="lower left")
        figure.tight_layout()
