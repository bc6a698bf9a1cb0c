"""A trained network made smaller: the config of the run that does it, out of what trained it, and that run."""

from __future__ import annotations

import math
from dataclasses import fields
from pathlib import Path
from statistics import median
from typing import Any

from wholenet.checked import CountOrNone, PlannedMinutes, checked_numbers
from wholenet.control import Compared, fit_with_control
from wholenet.data.stream import check_workers
from wholenet.deploy.model_folder import load_model, task_of_model
from wholenet.search.config import GRID_ALONE, FitConfig, fit_config
from wholenet.search.config_files import is_cell_run
from wholenet.search.option_groups import GROUPS
from wholenet.search.phases import removing
from wholenet.search.protocols import plan_phases
from wholenet.search.run_folder import RunFolder
from wholenet.search.schedule import DECAYS
from wholenet.spaces.catalog import subnets

SHARE = 0.25
"""Length of the fine-tuning where none is given, over that of the run that trained the network."""
EPOCHS = 10
RATE = 0.01
"""Its length and its rate at the start for a model folder, which knows neither; not tuned."""
ASKED_TWICE = 4 / 3
"""An epoch's time with a second network that only answers, over that without: a step is about three such passes."""
SCORING = 0.1
"""Share of the time that is left for validations and pictures."""
FROM_THE_START = {
    "classification": "wholenet fit DATA --method single-stage --budget 40%",
    "stereo": "wholenet fit DATA --budget 40%",
}
"""What trains a network of other tasks that costs what it may."""
GROUPS_TAKEN = ("Data", "Training", "Augmentation", "Machine")
ANEW = {"data", "out", "epochs", "lr", "lr_warmup", "ema", "execution"}
TAKEN = {name for heading in GROUPS_TAKEN for name in GROUPS[heading]} - ANEW
TAKEN |= {"architecture", "relaxation", "weights_annotations", "keep", "recalibrate", "val_every"}
"""Settings that a run which trained the network hands on."""
GIVEN = {name for heading in ("Budget", *GROUPS_TAKEN, "Validation") for name in GROUPS[heading]} - {"control", "ema"}
"""Options that the run which makes it smaller can be given; the network itself is as it is."""


@checked_numbers
def shrink(
    model: str | Path,
    out: str | Path,
    *,
    budget: str,
    data: str | Path | None = None,
    epochs: CountOrNone | None = None,
    minutes: PlannedMinutes | None = None,
    **options: Any,
) -> Compared:
    """Make a trained network smaller, in the new run folder ``out``: its units are scored on the data and removed until
    the budget is met, and what is left is fine-tuned.

    Args:
        model: the run folder, or the model folder, of a segmentation network.
        out: the run folder; ``load`` takes it afterwards.
        budget: what one image may cost: "40%" of the whole supernet, or "2GMACs".
        data: None is that of the run; a model folder needs it.
        epochs: of fine-tuning; 0 is none.
        minutes: as many epochs as a run folder's records say that fit.
        options: fields of ``FitConfig`` that do not shape the network; where not given they are those of the run.

    Raises:
        DataError: for data that cannot be trained on.
        ValueError: if there is no model, nothing can be removed from it, the budget cannot be met or is met already, an
            option is unknown, or a folder in use.
    """
    config = shrink_config(model, out, budget=budget, data=data, epochs=epochs, minutes=minutes, **options)
    check_workers(config.workers)
    return fit_with_control(config)


def shrink_config(
    model: str | Path,
    out: str | Path,
    *,
    data: str | Path | None = None,
    epochs: int | None = None,
    minutes: float | None = None,
    **options: Any,
) -> FitConfig:
    """The config of the run that :func:`shrink` makes. Nothing is written.

    Raises:
        ValueError: likewise.
    """
    refuse_shape(options)
    if epochs is not None and minutes is not None:
        raise ValueError("minutes and epochs both say how long the fine-tuning is; leave one of them out")
    path = Path(model)
    task = "classification" if is_cell_run(path) else task_of_model(path)
    if task not in (None, "segmentation"):
        how = FROM_THE_START.get(str(task))
        raise ValueError(
            f"{path} is of the task {task!r}, and networks for masks alone are made smaller once they are trained"
            + (f"; train it with a budget from its start: `{how}`" if how else "")
        )
    trained = load_model(path, task="segmentation")
    spec = trained.network.spec
    if trained.network.discrete:
        raise ValueError(f"{path} is a discrete network; units are removed from supernets")
    subnets(spec)  # which says where none are
    run = RunFolder.at(path)
    if run is None and data is None:
        raise ValueError(f"{path} is a model folder, which does not know its data: give the data too")
    found: dict[str, Any] = {name: value for name, value in spec.settings.items() if value is not None}
    found |= {"space": spec.space, "relaxation": spec.relaxation, "zoom": spec.zoom}
    found |= {"protocol": "shrink", "init": str(path.resolve())}
    if run is None:
        if minutes is not None:
            raise ValueError(f"{path} is a model folder, which does not know how long an epoch takes: give epochs")
        about = {"val_share": trained.held_out.get("val_share"), "data_seed": trained.held_out.get("seed")}
        found |= {"lr": RATE} | {name: value for name, value in about.items() if value is not None}
        length = EPOCHS if epochs is None else epochs
    else:
        before = run.fit_config
        taken = TAKEN if spec.space == "grid" else TAKEN - set(GRID_ALONE)
        found |= {field.name: getattr(before, field.name) for field in fields(before) if field.name in taken}
        found["data"] = before.data
        rounds = options.get("budget_rounds", FitConfig.budget_rounds)
        slower = ASKED_TWICE if options.get("distill") else 1.0
        length = _length(run, rounds, minutes, slower) if epochs is None else epochs
        found["lr"] = rewound(before, length)
    found |= {"out": str(out), **options} | ({} if data is None else {"data": str(data)})
    return fit_config(**found, epochs=found.get("budget_rounds", FitConfig.budget_rounds) + 1 + length)


def refuse_shape(options: dict[str, Any]) -> None:
    """Make sure that what is given does not shape the network, nor start it.

    Raises:
        ValueError: naming what does.
    """
    known = {field.name for field in fields(FitConfig)}
    for name in options:
        if name in known - GIVEN:
            raise ValueError(
                f"{name} cannot be given: a network that is to shrink is what it is, and nothing of it is searched; "
                "leave it out"
            )


def rewound(config: FitConfig, epochs: int) -> float:
    """The rate that the run of ``config`` had with so many ``epochs`` to go, at most that of its start: learning rate
    rewinding (Renda et al., "Comparing Rewinding and Fine-tuning in Neural Network Pruning", 2020).

    >>> round(rewound(FitConfig(data="d", out="o", epochs=100, lr=0.1), 25), 4)
    0.0287
    """
    left = min(max(1, epochs), config.epochs)
    return config.lr * DECAYS[config.lr_schedule](config.epochs - left, config.epochs)


def _length(run: RunFolder, rounds: int, minutes: float | None, slower: float) -> int:
    """Epochs of fine-tuning of the network of ``run``, each of which takes ``slower`` times as long as its own.

    Raises:
        ValueError: if there is no time for one.
    """
    config = run.fit_config
    phases = plan_phases(config)
    epochs = phases[-1].end
    if (own := removing(phases)) is not None and own.removes:  # it was made smaller itself
        epochs -= own.end + 1
    if minutes is None:
        return max(1, round(SHARE * epochs))
    seconds = [record["seconds"] for record in run.records()]
    if not seconds:
        raise ValueError(f"{run.path} has no finished epoch to tell the time by: give epochs")
    each = slower * median(seconds)
    fitting = math.floor((1 - SCORING) * 60 * minutes / each) - rounds - 1
    if fitting < 1:
        raise ValueError(
            f"minutes={minutes}: an epoch takes {each:.3g} s by those of {run.path}, and {rounds + 1} of them score "
            f"and remove units; give at least {(rounds + 2) * each / 60 / (1 - SCORING):.2g}, fewer budget_rounds, or "
            "epochs=0"
        )
    return fitting
