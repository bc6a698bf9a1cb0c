"""``wholenet retrain``."""

from __future__ import annotations

from typing import Annotated, Any

from wholenet.commands.runs import Files, Moved, Printed, Resumed, given, in_all_processes, of_machine, print_as_file
from wholenet.option_files import NONE
from wholenet.search.cell_config import MACHINE
from wholenet.search.classifier_config import RetrainConfig
from wholenet.signatures import Fields


def retrain(
    genotype: str | None = None,
    data: str | None = None,
    *,
    out: str | None = None,
    resume: Resumed = None,
    moved: Moved = None,
    config: Files = NONE,
    print_config: Printed = False,
    **options: Annotated[Any, Fields(RetrainConfig, but=("data", "out", "genotype"))],
) -> None:
    """Train the discrete network of a genotype from scratch, on labelled images. For the options of one for images with
    masks: wholenet retrain autodeeplab --help

    Args:
        genotype: Genotype file that a search wrote; one by name, as darts-v2, pc-darts, sdarts-rs; what DARTS' code
            prints, Genotype(normal=[...], ...), in a file or itself; or a cell of NAS-Bench-201 as
            '|op~0|+|op~0|op~1|+|op~0|op~1|op~2|'.
        data: Folder with labelled images: parquet files, CIFAR's .bin, SVHN's .mat, or a folder per class; or a name.
        out: Run folder to create.
        resume: Continue the run in this folder.
        moved: With --resume: where its data is now, if it was moved.
        config: YAML file with any of these options; repeatable, the last wins. What is typed wins over all.
        print_config: Only print what all options come to, as a file for --config.
    """
    typed = {"genotype": genotype, "data": data, "out": out, **options}
    found = given(RetrainConfig, typed, config, resume=resume, moved=moved, print_config=print_config)
    if print_config:
        from wholenet.cells.retrain import retrain_config  # imports torch

        print_as_file(retrain_config(**{"data": "", "out": "", "genotype": "", **found}))
        return
    if resume is None and not {"genotype", "data", "out"} <= set(found):
        raise ValueError("give a genotype, the data and a folder: `wholenet retrain GENOTYPE DATA --out RUN`")
    from wholenet.cells.retrain import resume_retrain, retrain, retrain_config  # imports torch

    started = retrain_config(**found) if resume is None else resume
    if isinstance(started, RetrainConfig):
        ended = in_all_processes(lambda: retrain(started))
    else:
        ended = in_all_processes(lambda: resume_retrain(started, data=moved, **of_machine(found, MACHINE)))
    if ended is None:
        return
    print(f"\nparameters   {ended.parameters:,}")
    for name, error in (("validation", ended.error), ("test", ended.test_error)):
        if error is not None:
            print(f"{name + ' error':17}{100 * error:5.2f} %")
