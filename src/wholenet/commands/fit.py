"""``wholenet fit`` on images with masks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from wholenet.commands.runs import Files, Moved, Printed, Resumed, given, of_machine, print_as_file
from wholenet.data.sets import Task
from wholenet.files import shown
from wholenet.option_files import NONE
from wholenet.search.config import MACHINE, FitConfig, fit_config, grid_methods
from wholenet.signatures import Fields
from wholenet.spaces.sizes import CELL_SPACES

if TYPE_CHECKING:
    from wholenet.control import Compared

OPTIONS = Fields(
    FitConfig,
    but=("data", "out", "settings"),
    told={"method": lambda: f"One of {', '.join(grid_methods())}; what is given by hand comes on top."},
)


def fit(
    data: str | None = None,
    *,
    out: str | None = None,
    resume: Resumed = None,
    moved: Moved = None,
    config: Files = NONE,
    print_config: Printed = False,
    task: Task = "segmentation",  # noqa: ARG001  # what reads it chooses this command
    **options: Annotated[Any, OPTIONS],
) -> None:
    """Train a network on a folder of images and masks, or on the built-in scenes. For the options of the other task:
    wholenet fit --task classification --help

    Args:
        data: Folder with images and masks, or a data set by name: "scenes".
        out: Run folder to create.
        resume: Continue the run in this folder.
        moved: With --resume: where its data is now, if it was moved.
        config: YAML file with any of these options; repeatable, the last wins. What is typed wins over all.
        print_config: Only print what all options come to, as a file for --config.
        task: Default: as the data looks.
    """
    found = given(
        FitConfig,
        {"data": data, "out": out, **options},
        config,
        resume=resume,
        moved=moved,
        print_config=print_config,
        beside=["task"],
    )
    if found.get("space") in CELL_SPACES:
        raise ValueError(f"space {shown(found['space'])} is for labelled images: give --task classification with it")
    if not isinstance(found.get("method", ""), str):
        raise ValueError(f"method={shown(found['method'])}: expected one of {', '.join(grid_methods())}")
    if print_config:
        print_as_file(fit_config(**{"data": "", "out": "", **found}))
        return
    if resume is None and ("data" not in found or "out" not in found):
        raise ValueError("give the data and a folder for the run: `wholenet fit DATA --out RUN`")
    started = fit_config(**found) if resume is None else resume
    from wholenet import parallel  # imports torch
    from wholenet.control import fit_with_control, resume_with_control

    parallel.start()
    if isinstance(started, FitConfig):
        compared = fit_with_control(started)
    else:
        compared = resume_with_control(started, data=moved, **of_machine(found, MACHINE))
    speaks = parallel.is_first()
    parallel.stop()
    if speaks:
        _tell(compared)


def _tell(compared: Compared) -> None:
    learned = compared.learned
    print(f"\nvalidation mIoU      {100 * learned.scores.miou:5.1f} %   {learned.run}")
    if compared.uniform is not None:
        uniform = compared.uniform
        print(f"frozen-uniform       {100 * uniform.scores.miou:5.1f} %   {uniform.run}")
    if learned.constant is not None:
        print(f"best constant class  {100 * learned.constant:5.1f} %")
    for picture in ("predictions", "architecture", "curves", "entropy"):
        if (path := learned.run / f"{picture}.png").exists():
            print(f"open {path}")
