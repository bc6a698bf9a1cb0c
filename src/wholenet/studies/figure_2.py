"""Figure 2 (Sec. 4.2): mIoU as a supernet loses its weakest edges, by magnitude of the entropy penalty.

The paper: (a) without a penalty the supernet collapses once 20 % of the edges are gone, with a strong one it loses
nothing at 30 %; (b) a short fine-tuning afterwards. Two curves it lacks tell why: with the rest renormalised instead of
zeroed, and with BatchNorm statistics recalculated.
"""

from __future__ import annotations

import copy
import json
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from rich.console import Console

from wholenet.data.splits import Part
from wholenet.deploy.model_folder import load_model
from wholenet.diagnostics.discretization import (
    CurvePoint,
    Variant,
    discretization_curve,
    recalibrated_on,
    renormalized,
    zeroed,
)
from wholenet.prepare import Prepared, prepare
from wholenet.report.style import CYCLE, INK, saved_figure
from wholenet.search.config import FitConfig
from wholenet.search.draw import draw
from wholenet.search.run_folder import RunFolder
from wholenet.search.steps import Batch, decayed_rate, set_rate, weight_step
from wholenet.spaces.supernet import Supernet
from wholenet.studies.magnitudes import TARGETS, penalized_arms
from wholenet.studies.pool import Pool
from wholenet.studies.result import Result, Spread, Table, spread
from wholenet.studies.setting import Setting
from wholenet.tasks.segmentation import SegmentationLoss, balanced_weights, evaluate
from wholenet.training import choose_device

SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7)
FINE_TUNE_SHARE = 0.05
"""Length of the fine-tuning after the cut, as a share of the run's epochs (the paper: "short")."""
FINE_TUNE_RATE = 0.1
"""Its learning rate at the start, as a share of the run's; poly decay to zero."""
RECALIBRATION_BATCHES = 20
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
    if setting.parallel == 1:
        curves = {path: cut_curve(path, limit) for path in paths}
    else:
        with ProcessPoolExecutor(setting.parallel, mp_context=get_context("spawn")) as processes:
            curves = dict(zip(paths, processes.map(cut_curve, paths, [limit] * len(paths)), strict=True))

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
            f"Recalculated: {RECALIBRATION_BATCHES} training batches.",
            *([f"Scored on {limit} validation images, evenly spaced."] if limit else []),
            "The paper's curves are printed as a picture only; it says that the unregularised supernet collapses at "
            "20 % dropped and that a strongly regularised one loses nothing visible at 30 %.",
            f"{setting.seeds} seeds, mean ± standard deviation.",
        ],
        figure=FIGURE,
    )


def cut_curve(path: Path, val_images: int | None) -> list[CurvePoint]:
    """The points of one run; kept in its folder, so that they are computed once."""
    kept = path / f"cut-{val_images or 'all'}.json"
    if kept.exists():
        return [CurvePoint(**point) for point in json.loads(kept.read_text())]
    run = RunFolder(path)
    config = run.config
    if config.threads:
        torch.set_num_threads(config.threads)
    device = choose_device(config.device)
    data = prepare(config, Console(quiet=True))
    model = load_model(path, device).network
    classes = len(data.source.classes)
    count = min(val_images or len(data.val), len(data.val))
    val = Part(data.val, [i * len(data.val) // count for i in range(count)])
    drawn = draw(data.weights, "recalibration", 0, RECALIBRATION_BATCHES, data.crop, config)
    images = [image for image, _ in drawn]
    variants: dict[str, Variant] = {
        "zeroed": zeroed,
        "renormalized": renormalized,
        "recalibrated": recalibrated_on(lambda: images),
        "fine-tuned": lambda pruned: _fine_tuned(pruned, data, config, device),
    }
    points = discretization_curve(model, variants, lambda m: evaluate(m, val, classes, device).miou, SHARES)
    kept.write_text(json.dumps([asdict(point) for point in points]))
    return points


def _fine_tuned(pruned: Supernet, data: Prepared, config: FitConfig, device: torch.device) -> Supernet:
    model = copy.deepcopy(pruned).train()
    steps = max(1, round(FINE_TUNE_SHARE * config.epochs * (len(data.weights) // config.batch)))
    class_weights = balanced_weights(data.train_stats.class_pixels, config.class_balance)
    loss = SegmentationLoss(None if class_weights is None else class_weights.to(device))
    optimizer = torch.optim.SGD(
        model.net.parameters(), lr=config.lr, momentum=config.momentum, weight_decay=config.weight_decay
    )
    drawn = draw(data.weights, "after the cut", 0, steps, data.crop, config)
    for step, (images, targets) in enumerate(drawn):
        set_rate(optimizer, decayed_rate(FINE_TUNE_RATE * config.lr, step / steps, config.lr_schedule))
        batch = Batch(images.to(device, memory_format=torch.channels_last), targets.to(device))
        weight_step(model, batch, loss, optimizer)
    return model.eval()


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
        axes[0].legend(title="penalty", loc="upper right")
        figure.tight_layout()
