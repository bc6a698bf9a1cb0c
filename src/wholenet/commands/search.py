"""``wholenet fit`` on labelled images: a search on a cell space."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from wholenet.commands.fit import left_in_words
from wholenet.commands.runs import Files, Moved, Printed, Resumed, given, in_all_processes, of_machine, print_as_file
from wholenet.data.sets import Task
from wholenet.option_files import NONE
from wholenet.search.cell_config import MACHINE, SEARCHES, CellConfig, cell_config
from wholenet.search.methods import METHODS
from wholenet.search.parts import SELECTIONS
from wholenet.signatures import Fields

if TYPE_CHECKING:
    from wholenet.cells.best_of import Best
    from wholenet.cells.search import Searched

OPTIONS = Fields(CellConfig, but=("data", "out"), told={"method": lambda: f"One of {', '.join(METHODS)}."})


def search(
    data: str | None = None,
    *,
    out: str | None = None,
    resume: Resumed = None,
    moved: Moved = None,
    config: Files = NONE,
    print_config: Printed = False,
    task: Task = "classification",  # noqa: ARG001  # what reads it chooses this command
    **options: Annotated[Any, OPTIONS],
) -> None:
    """Search a cell space (DARTS, S1-S4, nb201) for a network that classifies images. For the other task's options:
    wholenet fit --task segmentation --help

    Args:
        data: Folder with labelled images: parquet files, CIFAR's .bin, SVHN's .mat, or a folder per class; or a name.
        out: Run folder to create.
        resume: Continue the run in this folder.
        moved: With --resume: where its data is now, if it was moved.
        config: YAML file with any of these options; repeatable, the last wins. What is typed wins over all.
        print_config: Only print what all options come to, as a file for --config.
        task: Default: as the data looks.
    """
    found = given(
        CellConfig,
        {"data": data, "out": out, **options},
        config,
        resume=resume,
        moved=moved,
        print_config=print_config,
        beside=["task"],
    )
    if print_config:
        print_as_file(cell_config(**{"data": "", "out": "", **found}))
        return
    if resume is None and ("data" not in found or "out" not in found):
        raise ValueError("give the data and a folder for the run: `wholenet fit DATA --out RUN --space darts`")
    started = cell_config(**found) if resume is None else resume
    from wholenet.cells.best_of import Best, fit_cells, resume_cells  # imports torch

    if isinstance(started, CellConfig):
        ended = in_all_processes(lambda: fit_cells(started))
    else:
        ended = in_all_processes(lambda: resume_cells(started, data=moved, **of_machine(found, MACHINE)))
    if ended is None:
        return
    if isinstance(ended, Best):
        for number, error in enumerate(ended.errors):
            print(f"search {number + 1}: error {100 * error:.1f} % after the short training")
    else:
        _tell(ended)
    if ended.genotype is not None:
        print(f"open {ended.run / 'cells.png'}")
        if (pairs := _last(ended).run / "pairs.png").exists():
            print(f"open {pairs}")
        if (said := _chance(ended)) is not None:
            print(said)
        print(f"train it: wholenet retrain {ended.run / 'genotype.yaml'} DATA --out RUN")


def _last(found: Searched | Best) -> Searched | Best:
    """The last of searches that follow each other."""
    following = getattr(found, "following", None)
    return found if following is None else _last(following)


def _chance(found: Searched | Best) -> str | None:
    """What to say of a genotype of weights that decided nothing; None of another, and of one that was not chosen by its
    weights."""
    from wholenet.cells.best_of import Best
    from wholenet.diagnostics.verdict import chance
    from wholenet.search.cell_folder import CellFolder
    from wholenet.spaces.cell_family import family_of

    run, epoch = _last(found).run, -1
    if isinstance(found, Best):
        run = run / SEARCHES / str(found.chosen)
    elif found.genotype_epoch is not None:  # what a search that was stopped went back to
        epoch = found.genotype_epoch
    folder = CellFolder(run)
    config = folder.search_config
    if (
        config.sampling != "none"
        or SELECTIONS[config.selection].once_ended is not None
        or family_of(config.space).sharpens
    ):
        return None
    return chance(folder.records()[epoch]["entropy"])


def _tell(found: Searched) -> None:
    from wholenet.search.read_run import read_run

    print(f"\nsupernet's error   {100 * found.error:5.1f} %   on {found.scored_on}")
    if found.sampled_error is not None:
        from wholenet.search.cell_folder import CellFolder

        of = f"the best of {CellFolder(found.run).search_config.samples} sampled architectures"
        print(f"best sampled       {100 * found.sampled_error:5.1f} %   error of {of}, with the supernet's weights")
    if found.test_error is not None:
        print(f"test error         {100 * found.test_error:5.1f} %")
    own = read_run(found.run).results[0]
    if "whole_macs" in own:
        print(f"multiply-adds      {left_in_words(own)}")
    if found.control is not None:
        print(f"frozen-uniform     {100 * found.control.error:5.1f} %   error, {found.control.run}")
    if found.second_stage is not None:
        errors = {"": found.second_stage.error, "test ": found.second_stage.test_error}
        told = ", ".join(f"{name}error {100 * e:.1f} %" for name, e in errors.items() if e is not None)
        print(f"second stage       {told or 'trained'}   {found.second_stage.run}")
    for picture in ("search", "left"):
        if (path := found.run / f"{picture}.png").exists():
            print(f"open {path}")
