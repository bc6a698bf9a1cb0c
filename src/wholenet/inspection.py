"""The verbs that look at runs, for Python: diagnose, report, compare, push."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from wholenet.cells.diagnose import diagnose_search as diagnose_cells
from wholenet.checked import BelowOne, Count, checked_numbers
from wholenet.diagnostics.run import diagnose as diagnose_run
from wholenet.files import check_output, write_whole
from wholenet.jobs.brief import diagnose_any
from wholenet.machine import choose_device
from wholenet.report.compare import compare_runs, write_comparison
from wholenet.report.diagnosis import check_diagnosis, write_diagnosis
from wholenet.report.publish import push_model
from wholenet.report.run_page import PAGE
from wholenet.report.run_page import write_report as write_page_of_run
from wholenet.search.config_files import is_cell_run
from wholenet.search.run_folder import RunFolder


@checked_numbers
def diagnose(
    run: str | Path,
    data: str | Path | None = None,
    out: str | Path | None = None,
    *,
    images: Count | None = None,
    curvature: bool = False,
    batchnorm: Literal["batch", "running"] | None = None,
    method: Literal["lanczos", "rows"] | None = None,
    tolerance: BelowOne | None = None,
    device: str = "auto",
    progress: Callable[[int, int], None] | None = None,
) -> Any:
    """Ask of a run whether its search decided anything and what cutting its supernet down would cost; of a search on a
    cell space the curvature (:func:`wholenet.cells.diagnose.diagnose_search`).

    Args:
        run: the run folder.
        data: where to score; None is the data that the run was trained on.
        out: folder for diagnosis.png, diagnosis.json and genotype.yaml (the best discrete network inside); of a space
            from outside diagnosis.json alone. None is "diagnosis" in the run.
        images: score only so many validation images; None is all.
        curvature: also find the ends of the spectrum of the validation loss's Hessian in the architecture, on a batch.
        batchnorm: of a search on a cell space, the statistics that the curvature is found with; None is "batch".
        method: likewise, "lanczos" or "rows"; None is the iteration.
        tolerance: likewise, of the iteration; None is 0.001.
        device: "cpu", "cuda" or "auto".
        progress: called with (images scored, images to score in all).

    Returns:
        A :class:`wholenet.diagnostics.diagnosis.Diagnosis`; of a space or a task from outside a
        :class:`wholenet.jobs.brief.Brief`; of a search a :class:`wholenet.diagnostics.curvature.Curvature`.

    Raises:
        DataError: for data that cannot be read, or of other classes.
        ValueError: for a folder that holds no run, or a run that trained no supernet; a device that is not there; if
            nothing can be written into ``out``.
    """
    path = Path(run)
    if (path / "config.json").is_file() and not (path / "config.yaml").is_file():
        raise ValueError(f"{path} is a model folder; a diagnosis reads the run's records too: give the run's folder")
    how = {"batchnorm": batchnorm, "method": method, "tolerance": tolerance}
    how = {name: value for name, value in how.items() if value is not None}
    if is_cell_run(path):
        if (data, out, images) != (None, None, None):
            raise ValueError("a search on a cell space is diagnosed on its own data; leave data, out and images out")
        return diagnose_cells(path, choose_device(device), **how)
    if how:
        raise ValueError(f"{next(iter(how))} is for a search on a cell space, and {path} is a run on images with masks")
    folder = RunFolder(path)
    target = path / "diagnosis" if out is None else Path(out)
    check_diagnosis(target)
    if folder.config.space != "grid":
        brief = diagnose_any(
            folder, None if data is None else str(data), choose_device(device), images, curvature, progress
        )
        target.mkdir(parents=True, exist_ok=True)
        write_whole(target / "diagnosis.json", json.dumps(brief.to_dict(), indent=2) + "\n")
        return brief
    found = diagnose_run(
        folder,
        None if data is None else str(data),
        choose_device(device),
        images,
        with_curvature=curvature,
        progress=progress,
    )
    write_diagnosis(found, target)
    return found


@checked_numbers
def write_report(
    run: str | Path,
    out: str | Path | None = None,
    data: str | Path | None = None,
    *,
    device: str = "auto",
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write the page of a run, as its end does: one file of HTML that loads nothing from elsewhere.

    Args:
        run: the run folder, of any task, finished or not.
        out: the file; None is ``report.html`` in the folder.
        data: where the images with masks are now; None is where the run had them. Without them, the page has no scores
            by class and image.
        device: where these images are answered.
        progress: called with (images scored, images to score in all).

    Raises:
        DataError: if the ``data`` that is given cannot be read.
        ValueError: if there is no run in the folder, the device is not there, or nothing can be written to ``out``.
        FloatingPointError: for logits that are not finite; the image is named.
    """
    check_output(Path(run) / PAGE if out is None else out)
    return write_page_of_run(run, out, None if data is None else str(data), choose_device(device), progress)


def compare(runs: Sequence[str | Path], out: str | Path | None = None) -> list[dict[str, Any]]:
    """A row for each of the runs: what it reached and cost, and the settings in which they differ.

    Args:
        runs: two or more run folders, of one task.
        out: a page to write the table to, with the runs in words and their curves; None writes nothing.

    Raises:
        ValueError: for fewer than two runs, a folder without one, runs of two tasks, or if nothing can be written to
            ``out``.
    """
    if out is not None:
        check_output(out)
    rows, tables = compare_runs(runs)
    if out is not None:
        write_comparison(rows, tables, Path(out))
    return rows


def push(
    model: str | Path,
    name: str,
    *,
    public: bool = False,
    license: str | None = None,
    picture: bool = True,
    dry_run: str | Path | None = None,
) -> str:
    """Upload a trained network to the Hugging Face hub, as ``hf://USER/NAME``, with a card.

    Args:
        model: a run or model folder. Only a run knows its control, its data and its picture.
        name: "USER/NAME".
        public: whether all may see it. A repository that is there already stays as visible as it is.
        license: of the weights, as the hub calls it ("apache-2.0"); None is unknown.
        picture: whether the run's picture goes with it, which shows four validation images.
        dry_run: a new folder: what would be uploaded is written into it, and nothing is uploaded.

    Returns:
        The address on the hub, or the folder.

    Raises:
        ValueError: for a folder without a model, a name that is no USER/NAME, a licence that is no identifier, a folder
            that is there already; if huggingface_hub is not installed, or nobody is logged in.
        OSError: if the hub refuses or cannot be reached, or the folder cannot be written.
    """
    return push_model(model, name, public=public, licence=license, picture=picture, dry_run=dry_run)
