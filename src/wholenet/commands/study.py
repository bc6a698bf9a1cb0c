"""``wholenet study``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Annotated

from wholenet.checked import Count, Jobs
from wholenet.commands.assignments import Assignments, assigned
from wholenet.files import read_text
from wholenet.search.cell_config import CellConfig
from wholenet.search.config import FitConfig
from wholenet.signatures import Shown
from wholenet.studies.catalog import CATALOG, CELL_STUDIES
from wholenet.studies.setting import CellSetting, Scale, Setting


def study(
    name: Annotated[str, Shown(choices=CATALOG)],
    *,
    scale: Scale = "cpu",
    data: str | None = None,
    seeds: Count = 3,
    out: str,
    jobs: Jobs = 0,
    make_coarse: bool = False,
    labelled: str | None = None,
    overrides: Assignments = (),
) -> None:
    """Rerun a table or figure of the papers, their numbers beside ours.

    Args:
        name: Which one.
        scale: Half an hour, hours, the paper's way.
        data: Folder with images and masks; default: "scenes". Or with labelled images.
        seeds: Runs of every arm.
        out: Folder for results and runs; finished runs there are used.
        jobs: Runs at the same time; 0: a CPU core each, or one on a GPU.
        make_coarse: Make coarse annotations out of the fine ones.
        labelled: Labelled images, for the ends of DARTS' rows in table-1.
        overrides: An option of fit for every run; repeatable.
    """
    cells = name in CELL_STUDIES
    if cells and (data is None or make_coarse):
        raise ValueError(f"study {name} searches on labelled images: give --data CIFAR10, without --make-coarse")
    if labelled is not None and name != "table-1":
        raise ValueError(f"--labelled is of table-1; study {name} has no rows for it: leave it out")
    kind = CellSetting if cells else Setting
    setting = kind(
        scale=scale,
        data=data or "scenes",
        out=Path(out),
        seeds=seeds,
        jobs=jobs,
        make_coarse=make_coarse,
        labelled=labelled,
        overrides=tuple(assigned(text, _changeable(CellConfig if cells else FitConfig)) for text in overrides),
    )
    from wholenet import parallel
    from wholenet.studies.study import study  # imports torch

    parallel.refuse_several("studies")

    result, page = study(name, setting)
    print()
    print(read_text(page))
    print(f"open {page}")
    if result.figure:
        print(f"open {setting.out / result.figure}")


def _changeable(config: type[FitConfig] | type[CellConfig]) -> Sequence[str]:
    """Options that a study leaves to its user."""
    return [field.name for field in fields(config) if field.name not in ("data", "out", "seed")]
