"""Figure 3 (Sec. 4.2): average entropy over training, without a penalty and with two magnitudes on two schedules."""

from __future__ import annotations

import numpy as np
from matplotlib.ticker import MaxNLocator

from wholenet.report.style import CYCLE, FAINT, INK, MUTED, saved_figure
from wholenet.search.protocols import plan_phases
from wholenet.studies.magnitudes import end_entropy, penalized_arms
from wholenet.studies.pool import Pool
from wholenet.studies.result import Result, Spread, Table, spread
from wholenet.studies.setting import Setting

CURVES: list[tuple[str, str]] = [
    ("constant", "none"),
    ("constant", "medium"),
    ("constant", "high"),
    ("linear", "medium"),
    ("linear", "high"),
]
FIGURE = "figure-3.png"


def figure_3(setting: Setting, pool: Pool) -> Result:
    """Train what the figure shows, with every seed, and draw it."""
    magnitudes, arms = penalized_arms(setting, pool, CURVES)
    curves, rows, values = {}, [], {}
    for (schedule, name), runs in arms.items():
        label = "none" if name == "none" else f"{name}, {schedule}"
        curves[label] = {
            which: np.array([[record["entropy"][which] for record in run.records()] for run in runs])
            for which in ("beta", "alpha")
        }
        entropy = spread([end_entropy(run) for run in runs])
        row: list[str | Spread] = [label, f"{magnitudes.chosen[name]:g}"]
        row += [spread(list(curves[label][which][:, -1])).shown(digits=3) for which in ("beta", "alpha")]
        rows.append(row)
        values[label] = {
            "c": magnitudes.chosen[name],
            "end": entropy,
            "by_epoch": {which: curve.mean(0).tolist() for which, curve in curves[label].items()},
        }
    start = setting.config().entropy_start * setting.config().epochs
    _draw(setting, curves, start)
    return Result(
        title="Figure 3: entropy over training",
        source="Seed paper, Fig. 3 and Sec. 4.2",
        table=Table(["penalty", "c", "end entropy, edges", "end entropy, operations"], rows),
        values=values,
        notes=[
            "Normalised entropy: 1 is uniform, 0 one-hot. Lines are means over seeds, bands their range.",
            "The paper shows a sharp drop for the constant schedule and a gradual one for the linear.",
            f"{setting.counted_seeds}.",
        ],
        figure=FIGURE,
    )


def _draw(setting: Setting, curves: dict[str, dict[str, np.ndarray]], penalty_start: float) -> None:
    phases = plan_phases(setting.config())
    titles = {"beta": "edges", "alpha": "operations"}
    with saved_figure(setting.out / FIGURE, 9.0, 3.6) as figure:
        axes = figure.subplots(1, 2, sharey=True)
        for ax, (which, title) in zip(axes, titles.items(), strict=True):
            ax.axvspan(phases[1].first, phases[1].end, color=FAINT, alpha=0.5, lw=0)
            ax.axvline(penalty_start, color=MUTED, lw=0.8, ls=":")
            for i, (label, curve) in enumerate(curves.items()):
                epochs = np.arange(1, curve[which].shape[1] + 1)
                color = INK if label == "none" else CYCLE[(i - 1) % 2]
                ax.plot(epochs, curve[which].mean(0), color=color, ls="-" if "linear" in label else "--", label=label)
                ax.fill_between(epochs, curve[which].min(0), curve[which].max(0), color=color, alpha=0.15, lw=0)
            ax.set_title(f"normalised entropy of the {title}")
            ax.set_xlabel("epoch (shaded: search; dotted: the penalty starts)")
            ax.set_ylim(-0.02, 1.05)
            ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        figure.legend(*axes[0].get_legend_handles_labels(), loc="lower center", ncols=len(curves))
        figure.tight_layout(rect=(0, 0.07, 1, 1))
