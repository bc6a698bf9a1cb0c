"""Table 6 (Sec. 4.4): what each protocol spends on searching and on training again."""

from __future__ import annotations

from collections.abc import Sequence

from wholenet.search.cost import run_macs
from wholenet.search.run_folder import RunFolder
from wholenet.studies.drawing import draw_arms
from wholenet.studies.outcomes import seconds
from wholenet.studies.pool import Pool
from wholenet.studies.protocols import protocol_runs
from wholenet.studies.result import Result, Spread, Table, spread
from wholenet.studies.setting import Setting

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
    for name, runs in protocol_runs(setting, pool).items():
        two_stage = runs[0].config.protocol == "two-stage"
        first = [RunFolder(run.search) for run in runs] if two_stage else runs
        cells: list[str | Spread] = [name]
        costs = {}
        for stage, parts in (("first", first), ("all", runs)):
            costs[stage] = {
                "tmacs": spread([run_macs(run) / 1e12 for run in parts]),
                "seconds": spread([seconds(run) for run in parts]),
            }
        epochs = _epochs(first), _epochs(runs) if two_stage else "-"
        cells += [*epochs, costs["first"]["tmacs"].shown(digits=3), costs["all"]["tmacs"].shown(digits=3)]
        cells += [costs["first"]["seconds"].shown(digits=0), costs["all"]["seconds"].shown(digits=0)]
        rows.append(cells)
        values[name] = {"epochs": [len(run.records()) for run in first], **costs}
        shown[name] = [run_macs(run) / 1e12 for run in runs]
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
            "The cost was made equal on purpose (Table 4 says how); what differs is where it goes.",
            "Multiply-adds of forward and backward passes, convolutions and matrix products, counted once each. "
            f"Seconds: training alone, {setting.parallel} runs at a time.",
            "The paper (search epochs, GPU-days, retraining epochs): "
            + "; ".join(f"{name} {e}, {d}, {r}" for name, e, d, r in PAPER)
            + ".",
        ],
        figure=FIGURE,
    )


def _epochs(runs: Sequence[RunFolder]) -> str:
    return "/".join(map(str, sorted({len(run.records()) for run in runs})))
