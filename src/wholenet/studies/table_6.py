"""Table 6 (Sec. 4.4): what each protocol spends on searching and on training again."""

from __future__ import annotations

from collections.abc import Sequence

from wholenet.search.run_folder import RunFolder
from wholenet.studies.drawing import draw_arms
from wholenet.studies.outcomes import seconds, training_tmacs
from wholenet.studies.pool import Pool
from wholenet.studies.result import Result, Spread, Table, spread
from wholenet.studies.setting import Setting
from wholenet.studies.systems import at_what_cost, notes, ways

PAPER = [
    ("Auto-DeepLab", "40", "3", "16000"),
    ("DCNAS", "120", "5.6", "800"),
    ("DPC", "28k x 80", "2600", "500"),
    ("single-stage, large", "600", "5.5", "-"),
]
"""Method, epochs of the search, its GPU-days, epochs of retraining. GPUs differ, and so do the lengths of an epoch."""
FIGURE = "table-6.png"


def table_6(setting: Setting, pool: Pool) -> Result:
    """The costs of the runs of Table 4."""
    rows: list[list[str | Spread]] = []
    values, shown = {}, {}
    for name, way in ways(setting, pool).items():
        tmacs, time_s = way.costs(training_tmacs), way.costs(seconds)
        costs = {
            stage: {"tmacs": spread(tmacs[i]), "seconds": spread(time_s[i])} for i, stage in enumerate(("first", "all"))
        }
        cells: list[str | Spread] = [name, _epochs(way.searched), _epochs(way.final) if way.retrains else "-"]
        cells += [costs[stage]["tmacs"].shown(digits=3) for stage in ("first", "all")]
        cells += [costs[stage]["seconds"].shown(digits=0) for stage in ("first", "all")]
        rows.append(cells)
        values[name] = {"epochs": [len(run.records()) for run in way.searched], **costs}
        shown[name] = tmacs[1]
    draw_arms(setting.out / FIGURE, shown, {}, quantity="training, T multiply-adds", ours="cost, all stages")
    return Result(
        title="Table 6: cost",
        source="Seed paper, Table 6 and Sec. 4.4",
        table=Table(
            [
                "protocol",
                "epochs, first stage",
                "epochs, retraining",
                "T multiply-adds, first stage",
                "T multiply-adds, all",
                "s, first stage",
                "s, all",
            ],
            rows,
        ),
        values=values,
        notes=[
            f"The cost was made equal on purpose ({at_what_cost(setting)}; Table 4 says how); what differs is where it "
            "goes.",
            *notes(setting),
            "Multiply-adds of forward and backward passes, convolutions and matrix products, counted once each. "
            f"Seconds: training alone, {setting.parallel} run{'s' * (setting.parallel > 1)} at a time.",
            "The paper (search epochs, GPU-days, retraining epochs): "
            + "; ".join(f"{name} {e}, {d}, {r}" for name, e, d, r in PAPER)
            + ".",
        ],
        figure=FIGURE,
    )


def _epochs(runs: Sequence[RunFolder]) -> str:
    return "/".join(map(str, sorted({len(run.records()) for run in runs})))
