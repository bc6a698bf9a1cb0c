"""Does the search pay once the network has to shrink? Ours: edges dropped by what was learned, against chance.

A share of the edges goes, what is left is renormalised and fine-tuned for a while: weakest first after a search, and at
random in the frozen-uniform control of the same time, which has no strengths. The searched network cut at random tells
the ranking from the weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from wholenet.architecture import drop_weakest
from wholenet.diagnostics.discretization import CurvePoint, current_weights, renormalized
from wholenet.spaces.supernet import Supernet, with_weights
from wholenet.studies.control import control_epochs
from wholenet.studies.cutting import Cutting, cut_once
from wholenet.studies.drawing import draw_curves
from wholenet.studies.pool import Pool
from wholenet.studies.protocols import UNIFORM
from wholenet.studies.result import Result, Spread, Table, spread
from wholenet.studies.setting import Setting

SHARES = (0.0, 0.3, 0.5, 0.6)
"""Of the edges, dropped."""
FINE_TUNE_SHARE = 0.1
"""Length of the fine-tuning after the cut, as a share of the run's epochs; the uncut network gets it too."""
FINE_TUNE_RATE = 0.3
"""Its learning rate at the start, as a share of the run's; poly decay to zero."""
PENALTY = 0.01
"""Entropy penalty of the second search, on the linear schedule."""
FIGURE = "budget.png"

Ranking = Callable[[Tensor, Tensor, int], Tensor]
"""(beta [L, 4, 3], mask of the edges that exist, seed) -> strength of each edge; the weakest go first."""


def by_strength(beta: Tensor, _mask: Tensor, _seed: int) -> Tensor:
    """What the search learned."""
    return beta


def at_random(beta: Tensor, mask: Tensor, seed: int) -> Tensor:
    """Chance, but fair: one edge of each cell, drawn at random too, goes only after all others, so that no cell is left
    without input before it has to be.
    """
    chance = (1 + torch.rand(beta.shape, generator=torch.Generator().manual_seed(seed))) * mask
    return chance + (chance == chance.amax(-1, keepdim=True))


RANKINGS: Mapping[str, Ranking] = {"weakest": by_strength, "random": at_random}
ARMS: Mapping[tuple[str, str], str] = {
    ("simultaneous", "weakest"): "searched, weakest dropped",
    ("simultaneous", "random"): "searched, random ones dropped",
    ("penalized", "weakest"): "searched with a penalty, weakest dropped",
    (UNIFORM, "random"): "frozen-uniform, random ones dropped",
}
"""Run and ranking, and what the pair is called."""


def budget(setting: Setting, pool: Pool) -> Result:
    """Train the searches and the control with every seed, and cut them."""
    base = setting.varied(setting.config(), arch_update="simultaneous")
    penalized = setting.varied(base, entropy_alpha=PENALTY, entropy_beta=PENALTY, entropy_schedule="linear")
    runs = pool.trained_arms(
        {"simultaneous": setting.over_seeds(base), "penalized": setting.over_seeds(penalized)},
    )
    epochs = control_epochs(runs)["simultaneous"]
    control = replace(setting.varied(setting.config(), architecture="uniform"), epochs=epochs)
    runs[UNIFORM] = pool.trained(setting.over_seeds(control))
    paths = [run.path for of_arm in runs.values() for run in of_arm]
    settings = {"budget": [SHARES, sorted(map(list, ARMS)), FINE_TUNE_SHARE, FINE_TUNE_RATE]}
    points = cut_once(paths, cut_by_rankings, settings, setting.parallel)

    rows: list[list[str | Spread]] = []
    curves: dict[str, list[Spread]] = {}
    for (name, ranking), label in ARMS.items():
        of_arm = [[p for p in points[run.path] if p.variant == ranking] for run in runs[name]]
        curves[label] = [spread([p.miou for p in column]) for column in zip(*of_arm, strict=True)]
        rows.append([label, *curves[label]])
    searched, chance = (
        [[p.miou for p in points[run.path] if p.variant == ranking] for run in runs[name]]
        for name, ranking in (("simultaneous", "weakest"), (UNIFORM, "random"))
    )
    gains = [spread([a[i] - b[i] for a, b in zip(searched, chance, strict=True)]) for i in range(len(SHARES))]
    rows.append(["gain of the search, paired by seed", *gains])
    draw_curves(
        setting.out / FIGURE,
        {
            label: [(100 * share, at) for share, at in zip(SHARES, curve, strict=True)]
            for label, curve in curves.items()
        },
        x="edges dropped, %",
        y="mIoU, %",
        control=ARMS[UNIFORM, "random"],
        legend="lower left",
        bottom=0,
    )
    return Result(
        title="Does the search pay at a smaller budget?",
        source="Ours; the paper trains no frozen-uniform control",
        table=Table(["mIoU, %, after the cut and a fine-tuning", *(f"{share:.0%} dropped" for share in SHARES)], rows),
        values={"shares": SHARES, "miou": curves, "gain": gains, "epochs": base.epochs, "uniform_epochs": epochs},
        notes=[
            f"Searched: simultaneous updates, {base.epochs} epochs; frozen-uniform: {epochs} epochs, as many as fit "
            f"into the same time. Penalty: c = {PENALTY:g}, linear.",
            f"After the cut, at every share: {FINE_TUNE_SHARE:.0%} of the run's epochs at {FINE_TUNE_RATE:g} of its "
            "learning rate.",
            "Random: one edge of each cell, drawn at random too, goes last, so that no cell is left without input "
            "before it has to be.",
            setting.how_shown,
        ],
        figure=FIGURE,
    )


def cut_by_rankings(path: Path) -> list[CurvePoint]:
    """Every ranking that a row shows of this run, at every share."""
    cutting = Cutting(path)
    config = cutting.config
    searched = "penalized" if config.entropy_beta else "simultaneous"
    arm = UNIFORM if config.architecture == "uniform" else searched
    points = []
    for name in [ranking for run, ranking in ARMS if run == arm]:
        for share in SHARES:
            cut, dropped = ranked_cut(cutting.model, RANKINGS[name], share, config.seed)
            tuned = cutting.fine_tuned(cut, FINE_TUNE_SHARE, FINE_TUNE_RATE)
            points.append(CurvePoint(share, dropped, name, cutting.score(tuned)))
    return points


def ranked_cut(model: Supernet, ranking: Ranking, share: float, seed: int) -> tuple[Supernet, int]:
    """``model`` without the ``share`` of its edges that ``ranking`` puts last, the rest renormalised; and how many."""
    weights, mask = current_weights(model), model.net.masks["beta"]
    kept = drop_weakest(ranking(weights["beta"], mask, seed), mask, share) > 0
    weights["beta"] = weights["beta"] * kept
    return renormalized(with_weights(model, weights)), int(mask.sum() - kept.sum())
