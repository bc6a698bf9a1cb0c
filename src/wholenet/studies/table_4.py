"""Table 4 (Sec. 4.4): the supernet as the final model, against searching, cutting and training again.

The paper sets its supernets beside other people's, trained for other lengths on other data. Here all is one space, one
data set and one total cost, and the network that never searched is a row too. Other systems follow (systems.py), at
a total cost of their own, beside the grid at the same.
"""

from __future__ import annotations

from wholenet.deploy.model_folder import load_model
from wholenet.search.run_folder import RunFolder
from wholenet.spaces.count import macs_as_run
from wholenet.studies.drawing import draw_arms
from wholenet.studies.outcomes import final_miou, seconds, training_tmacs
from wholenet.studies.pool import Pool
from wholenet.studies.protocols import SINGLE
from wholenet.studies.result import Result, Spread, Table, spread
from wholenet.studies.setting import Setting
from wholenet.studies.systems import at_what_cost, notes, ways

PAPER = [
    ("Auto-DeepLab", 695, "34.9", "80.3"),
    ("DCNAS", 294.6, "69.9", "81.2"),
    ("DCNAS, non-dense", None, "51.7", "73.3"),
    ("single-stage, small", 57.7, "71.4", "-"),
    ("single-stage, medium", 380.1, "74.4", "-"),
    ("single-stage, large", 558, "75.3", "-"),
]
"""Method, FLOPs (G), mIoU in the search stage and after retraining, percent, Cityscapes validation set."""
FIGURE = "table-4.png"
INPUT = (1024, 2048)
"""Height and width that the final networks' multiply-adds are counted for."""


def table_4(setting: Setting, pool: Pool) -> Result:
    """Train every protocol and every other system with every seed."""
    arms = ways(setting, pool)
    rows: list[list[str | Spread]] = []
    values, finals = {}, {}
    for name, way in arms.items():
        one_shot, final = (spread([final_miou(run) for run in runs]) for runs in (way.searched, way.final))
        finals[name] = [100 * final_miou(run) for run in way.final]
        macs, time_s = (spread(way.costs(of)[1]) for of in (training_tmacs, seconds))
        counted = [_counted(run) for run in way.final]
        parameters, network = (spread([one[i] for one in counted]) for i in range(2))
        rows.append(
            [
                name,
                one_shot,
                final,
                parameters.shown(digits=2),
                network.shown(digits=2),
                macs.shown(digits=3),
                time_s.shown(digits=0),
            ]
        )
        values[name] = {
            "one_shot_miou": one_shot,
            "final_miou": final,
            "final_mparameters": parameters,
            "final_gmacs": network,
            "training_tmacs": macs,
            "training_seconds": time_s,
            "retrain_epochs": [len(run.records()) for run in way.final] if way.retrains else None,
        }
    cost = at_what_cost(setting).replace(", ", ",\n")
    draw_arms(setting.out / FIGURE, finals, {}, quantity="mIoU of the final network, %", ours=cost)
    base = arms[SINGLE].final[0].config
    return Result(
        title="Table 4: one stage or two",
        source="Seed paper, Table 4 and Sec. 4.4",
        table=Table(
            [
                "protocol",
                "one-shot mIoU, %",
                "final mIoU, %",
                "parameters, M",
                "final network, G multiply-adds",
                "training, T multiply-adds",
                "training, s",
            ],
            rows,
        ),
        values=values,
        notes=[
            "One-shot: the supernet at the end of its stage. Final: what is kept; for two stages the discrete network, "
            "trained from scratch.",
            f"Single-stage: {base.epochs} epochs. Two-stage: the same search, and as much retraining as the "
            "multiply-adds of the fine-tuning pay for. Frozen-uniform: as many epochs as fit into single-stage's time.",
            *notes(setting),
            "Final network: multiply-adds as run, for one image of {}x{} pixels, seen as all are.".format(*INPUT),
            "The paper (other lengths, other data, no control): "
            + "; ".join(f"{name} {s} one-shot, {t} retrained" for name, _, s, t in PAPER)
            + ".",
            setting.how_shown,
        ],
        figure=FIGURE,
    )


def _counted(run: RunFolder) -> tuple[float, float]:
    """Of the final network: parameters in millions, multiply-adds in thousands of millions."""
    network = load_model(run.path, task="segmentation").network
    return sum(p.numel() for p in network.net.parameters()) / 1e6, macs_as_run(network, *INPUT) / 1e9
