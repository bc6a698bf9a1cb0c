"""Runs on cell spaces that are more than one search: two stages, a control, and methods that search several times and
keep the best (R-DARTS, whose searches differ in how much they regularise).

Each genotype is trained for a while and scored on the val split, or on a part of the training images that is set aside;
the best is kept. To train it fully is another command.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console

from wholenet import parallel
from wholenet.cells.prepare import prepare_labels
from wholenet.cells.retrain import resume_retrain, retrain
from wholenet.cells.search import Searched, check_unchanged, resume_search, search
from wholenet.data.sets import place_of
from wholenet.machine import choose_device
from wholenet.report.genotype import draw_genotype
from wholenet.report.operations_left import draw_stages
from wholenet.report.progress import own_console, plain
from wholenet.report.run_page import write_report_or_say
from wholenet.search import stages
from wholenet.search.cell_config import CellConfig
from wholenet.search.cell_folder import CONTROL, RETRAINED, CellFolder
from wholenet.search.classifier_config import ClassifierConfig, RetrainConfig
from wholenet.search.equal_time import equal_time_epochs
from wholenet.search.methods import METHODS
from wholenet.search.protocols import phases_by
from wholenet.search.same_data import data_of
from wholenet.spaces.cell_family import CellsFound, family_of

VAL_SHARE = 0.2
"""Share of the training images that the genotypes are compared on, where the data has no val split."""


@dataclass(frozen=True)
class Best:
    """What several searches came to."""

    run: Path
    genotype: CellsFound
    errors: tuple[float, ...]
    """Of each search's genotype after its short training, in [0, 1]."""
    chosen: int
    """The search whose genotype was kept, from 0."""


def fit_cells(config: CellConfig, console: Console | None = None) -> Searched | Best:
    """Search as ``config`` says: once, or as often as its method does.

    Raises:
        DataError: for data that cannot be trained on.
        ValueError: for a folder that is in use, or a device that is not there.
        FloatingPointError: if the loss stops being a finite number.
    """
    console = console or own_console()
    if not config.searches:
        return _with_page(_completed(search(config, console), console), console)
    CellFolder.check_free(config.out)
    choose_device(config.device)
    family_of(config.space).check(config.table)
    prepare_labels(config, console)
    config = replace(config, data=place_of(config.data))
    run = CellFolder.of_all(config)
    with run.locked(), run.given_back():
        best = _best(run, config, console)
    return _with_page(best, console)


def resume_cells(
    path: str | Path, console: Console | None = None, data: str | Path | None = None, **machine: Any
) -> Searched | Best:
    """Continue what :func:`fit_cells` began in ``path``; ``data`` is where its data is now, if it was moved.

    Raises:
        ValueError: if there is no search in it, or its data is gone or has changed.
    """
    console = console or own_console()
    run = CellFolder(path)
    config = replace(run.search_config, out=str(path), **machine)
    if not config.searches:
        return _with_page(_completed(resume_search(path, console, data, **machine), console, data, **machine), console)
    config = replace(config, data=data_of(run, config.data, data))
    with run.locked():
        if data is not None:
            _move_data(run, config, console)
        best = _best(run, config, console, **machine)
    return _with_page(best, console)


Result = TypeVar("Result", Searched, Best)


def _with_page(found: Result, console: Console) -> Result:
    """The same, once the page of the run is written."""
    write_report_or_say(found.run, "cpu", plain(console))
    return found


def _completed(found: Searched, console: Console, data: str | Path | None = None, **machine: Any) -> Searched:
    """What a search came to, with its second stage or its control, as far as its config asks for them."""
    run = CellFolder(found.run)
    config = replace(run.search_config, out=str(run.path))
    cells = config.cells
    if found.survivors:
        found, cells = _with_following(found, config, console, data, **machine)
        _write_stages(found, run, config)
    if config.retrains:
        second = shortly(
            replace(config, cells=cells, retrain_epochs=phases_by(config.protocol, config)[-1].end),
            str(run.genotype),
            str(run.path / RETRAINED),
            val_share=config.val_share,
        )
        plain(console)(f"second stage: {second.epochs} epoch{'s' * (second.epochs > 1)} from scratch of what was found")
        begun = CellFolder.at(Path(second.out)) is not None
        trained = resume_retrain(second.out, console, data, **machine) if begun else retrain(second, console)
        return replace(found, second_stage=trained)
    if config.control:
        out = run.path / CONTROL
        if CellFolder.at(out) is not None:
            return replace(found, control=resume_search(out, console, data, **machine))
        epochs = equal_time_epochs(run.records())
        plain(console)(f"frozen-uniform control: {epochs} epoch{'s' * (epochs > 1)}, as long as the run itself")
        return replace(found, control=search(config.frozen_uniform(out=str(out), epochs=epochs), console))
    return found


def _with_following(
    found: Searched, config: CellConfig, console: Console, data: str | Path | None, **machine: Any
) -> tuple[Searched, int]:
    """The search that follows that of ``config``, begun or continued, on what it left, and those after it; the last
    one's genotype counts, and so does the depth of its network."""
    following = config.following
    if following is None:
        return found, config.cells
    following = replace(following, survivors=found.survivors)
    if CellFolder.at(Path(following.out)) is None:
        plain(console)(stages.in_words(following))
        later = search(following, console)
    else:
        later = resume_search(following.out, console, data, **machine)
    later, cells = _with_following(later, following, console, data, **machine)
    return replace(found, genotype=later.genotype, following=later), cells


def _write_stages(found: Searched, run: CellFolder, config: CellConfig) -> None:
    """What the last of several searches found, in the folder of all of them."""
    if parallel.is_first() and found.genotype is not None:
        family_of(config.space).write(found.genotype, run.genotype, config.space, config.operations)
        draw_genotype(run.path / "cells.png", found.genotype, f"{config.space}, {config.method}")
        later = [CellFolder(Path(one.out)).search_config.table for one in stages.later(config)]
        draw_stages(run.path / "stages.png", [config.table, *later, found.genotype.table()])
        run.write_result({**(run.result() or {}), "genotype": found.genotype.to_dict()})
    parallel.meet()  # what the first one has written, the others read


def _move_data(run: CellFolder, config: CellConfig, console: Console) -> None:
    """Write where the data is into the configs of the run and of its parts, once it does for all of them."""
    searches = [CellFolder.at(Path(one.out)) for one in config.searches]
    retrained = [CellFolder.at(Path(one.out) / RETRAINED) for one in config.searches]
    parts = [part for part in (*searches, *retrained) if part is not None]
    for part in parts:
        check_unchanged(part, config.data, prepare_labels(replace(part.config, data=config.data)), console)
    for part in (*parts, run) if parallel.is_first() else ():
        part.rewrite_config(replace(part.config, data=config.data))


def _best(run: CellFolder, config: CellConfig, console: Console, **machine: Any) -> Best:
    errors: list[float] = []
    genotypes: list[CellsFound | None] = []
    for number, one in enumerate(config.searches):
        special = ", ".join(f"{name} {value:g}" for name, value in METHODS[config.method].searches[number].items())
        plain(console)(f"search {number + 1} of {len(config.searches)}: {special}")
        try:
            genotype, error = _searched_and_tried(config, one, console, **machine)
        except FloatingPointError as diverged:  # strong regularisation may do that; the other searches count
            plain(console)(f"search {number + 1} is out: {diverged}")
            genotype, error = None, 1.0
        errors.append(error)
        genotypes.append(genotype)
    chosen = min((i for i, found in enumerate(genotypes) if found), key=lambda i: errors[i], default=None)
    genotype = None if chosen is None else genotypes[chosen]
    if chosen is None or genotype is None:
        raise FloatingPointError(f"every search of {run.path} diverged; lower --lr")
    if parallel.is_first():
        family_of(config.space).write(genotype, run.genotype, config.space, config.operations)
        draw_genotype(run.path / "cells.png", genotype, f"{config.space}, {config.method}")
        run.write_result({"errors": errors, "chosen": chosen})
    parallel.meet()  # what the first one has written, the others read
    return Best(run.path, genotype, tuple(errors), chosen)


def _searched_and_tried(
    config: CellConfig, one: CellConfig, console: Console, **machine: Any
) -> tuple[CellsFound, float]:
    """What the search ``one`` found, and its error after a short training."""
    folder = CellFolder.at(Path(one.out))
    found = search(one, console) if folder is None else resume_search(one.out, console, **machine)
    assert found.genotype is not None
    short = shortly(config, str(found.run / "genotype.yaml"), str(found.run / RETRAINED))
    folder = CellFolder.at(Path(short.out))
    trained = retrain(short, console) if folder is None else resume_retrain(short.out, console, **machine)
    assert trained.error is not None
    return found.genotype, trained.error


def shortly(config: CellConfig, genotype: str, out: str, val_share: float | None = None) -> RetrainConfig:
    """The training of a genotype for ``retrain_epochs``, the same for all that are compared: nothing of what their
    searches differ in is in it. ``val_share``: of the training images set aside, where the data has no val split."""
    share = config.val_share or VAL_SHARE if val_share is None else val_share
    shared = {f.name: getattr(config, f.name) for f in fields(ClassifierConfig)}
    special = {"genotype": genotype, "out": out, "epochs": config.retrain_epochs, "auxiliary": 0.0}
    return RetrainConfig(**{**shared, **special, "val_share": share})
