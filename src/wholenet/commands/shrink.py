"""``wholenet shrink``."""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated, Any

from wholenet.checked import CountOrNone, PlannedMinutes
from wholenet.commands.fit import tell
from wholenet.commands.runs import Files, free_folder, given, trained
from wholenet.option_files import NONE
from wholenet.search.config import FitConfig
from wholenet.search.option_groups import GROUPS
from wholenet.signatures import Fields

SHOWN = ("Budget", "Data", "Training", "Augmentation", "Machine", "Validation")
OWN = ("data", "out", "epochs", "control", "ema")
OPTIONS = {name for heading in SHOWN for name in GROUPS[heading]} - set(OWN)
BUT = tuple(field.name for field in fields(FitConfig) if field.name not in OPTIONS)


def shrink(
    model: str,
    data: str | None = None,
    *,
    out: str | None = None,
    epochs: CountOrNone | None = None,
    minutes: PlannedMinutes | None = None,
    config: Files = NONE,
    **options: Annotated[Any, Fields(FitConfig, but=BUT)],
) -> None:
    """Make a trained network smaller: score its units on its data, remove them until --budget is met, fine-tune what is
    left. What is not given is as the run had it. The new run is continued with `wholenet fit --resume RUN`.

    Args:
        model: Run folder or model folder.
        data: Its data; default: the run's. A model folder needs it.
        out: Run folder to create; default: runs/MODEL-small-1, and so on.
        epochs: Of fine-tuning; 0: only remove. Default: a quarter of the run's, of a model folder 10.
        minutes: Time for all of it, as the run's epochs took; in the place of --epochs.
        config: YAML file with any of these options; repeatable, the last wins. What is typed wins over all.
    """
    typed = {"data": data, "out": out, "epochs": epochs, "minutes": minutes, **options}
    beside = given(FitConfig, typed, config, resume=None, moved=None, print_config=False)
    if "budget" not in beside:
        raise ValueError(f"say what it may cost in the end: `wholenet shrink {model} --budget 40%` (or 2GMACs)")
    beside.setdefault("out", free_folder(f"{model}-small"))
    from wholenet.smaller import shrink_config  # imports torch

    if (compared := trained(shrink_config(model, **beside), beside, None)) is not None:
        tell(compared)
