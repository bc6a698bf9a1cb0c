"""``wholenet retrain`` of a genotype whose network segments images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from wholenet.commands.fit import tell
from wholenet.commands.runs import Files, Moved, Printed, Resumed, free_folder, given, print_as_file, trained
from wholenet.files import read_yaml
from wholenet.option_files import NONE
from wholenet.search.config import FitConfig, genotype_config
from wholenet.search.config_files import is_cell_run
from wholenet.search.train_config import OF_SEARCH
from wholenet.signatures import Fields
from wholenet.spaces.genotype_file import space_of_genotype

NOT_ASKED = ("data", "out", "genotype", "space", "settings", "protocol", "decoding", "decoding_tau", "retrain_epochs")
OPTIONS = Fields(FitConfig, but=(*NOT_ASKED, "control", "architecture", *sorted(OF_SEARCH)))


def space_to_retrain(genotype: str | None, resume: str | None) -> str | None:
    """The space of the segmentation network that is asked for; None for one of labelled images, and where nobody can
    tell: then what is wrong is said there."""
    if resume is not None:
        config = Path(resume) / "config.yaml"
        if is_cell_run(Path(resume)) or not config.is_file():
            return None
        values = read_yaml(config)
        return str(values["space"]) if isinstance(values, dict) and "space" in values else None
    return None if genotype is None else space_of_genotype(genotype)


def retrain_masks(
    genotype: str | None = None,
    data: str | None = None,
    *,
    out: str | None = None,
    resume: Resumed = None,
    moved: Moved = None,
    config: Files = NONE,
    print_config: Printed = False,
    **options: Annotated[Any, OPTIONS],
) -> None:
    """Train the discrete network of a genotype from scratch, on images with masks.

    Args:
        genotype: Genotype file that a search wrote, or autodeeplab.
        data: Folder with images and masks, or a data set by name.
        out: Run folder to create; default: runs/DATA-1, and so on.
        resume: Continue the run in this folder.
        moved: With --resume: where its data is now, if it was moved.
        config: YAML file with any of these options; repeatable, the last wins. What is typed wins over all.
        print_config: Only print what all options come to, as a file for --config.
    """
    space = space_to_retrain(genotype, resume)
    typed = {"data": data, "out": out, **options}
    of = {"space": space} if resume is None else {}
    found = given(FitConfig, {**typed, **of}, config, resume=resume, moved=moved, print_config=print_config)
    if resume is not None:
        ended = trained(resume, found, moved)
    else:
        if genotype is None or "data" not in found:
            raise ValueError("give a genotype and the data: `wholenet retrain GENOTYPE DATA`")
        found.setdefault("out", free_folder(str(found["data"])))
        from wholenet.spaces.catalog import SPACES  # imports torch

        made = genotype_config(genotype, SPACES.called(str(space)).recipe, **found)
        if print_config:
            print_as_file(made, "genotype")
            return
        ended = trained(made, found, moved)
    if ended is not None:
        tell(ended)
