"""``wholenet diagnose``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from wholenet.checked import BelowOne, Count
from wholenet.commands.answers import Device
from wholenet.data.task import how_read
from wholenet.files import check_output
from wholenet.search.config import FitConfig
from wholenet.search.config_files import is_cell_run, read_config

if TYPE_CHECKING:
    from wholenet.diagnostics.curvature import Curvature


def diagnose(
    run: str,
    data: str | None = None,
    *,
    out: str | None = None,
    images: Count | None = None,
    curvature: bool = False,
    batchnorm: Literal["batch", "running"] | None = None,
    method: Literal["lanczos", "rows"] | None = None,
    tolerance: BelowOne | None = None,
    device: Device = "auto",
) -> None:
    """Did the search of a run decide anything, and what would cutting it cost?

    Args:
        run: Run folder.
        data: Data to score on; default: that of the run.
        out: Folder for the diagnosis; default: RUN/diagnosis.
        images: Score so many validation images; default: all.
        curvature: Also the ends of the Hessian's spectrum in the architecture.
        batchnorm: Of the curvature: statistics (default: batch).
        method: Of the curvature: iteration, or the whole matrix.
        tolerance: Of the Lanczos iteration, relative (default: 0.001).
        device: Where to compute.
    """
    how = {"batchnorm": batchnorm, "method": method, "tolerance": tolerance}
    how = {name: value for name, value in how.items() if value is not None}
    if "tolerance" in how and method == "rows":
        raise ValueError("--tolerance is of the Lanczos iteration; --method rows finds the whole spectrum: give one")
    from rich.console import Console

    from wholenet.diagnostics.diagnosis import Diagnosis
    from wholenet.diagnostics.verdict import verdict
    from wholenet.inspection import diagnose
    from wholenet.report.data_check import printable
    from wholenet.report.diagnosis import check_diagnosis, table
    from wholenet.report.progress import counted
    from wholenet.search.run_folder import RunFolder

    config = Path(run) / "config.yaml"
    if is_cell_run(Path(run)):
        if data is not None or out is not None or images is not None:
            raise ValueError("a search on a cell space is diagnosed on its own data; drop DATA, --out and --images")
        check_output(Path(run) / "diagnosis.json")
        print(printable(how_read(read_config(config).data, "classification")))
        _tell_curvature(diagnose(run, device=device, **how), Path(run))
        return
    if how:
        RunFolder(run)  # which says if there is none
        raise ValueError(
            f"--{next(iter(how))} is for a search on a cell space; of a segmentation run --curvature normalises by the "
            "batch, and iterates (Lanczos) to 0.001"
        )
    target = Path(out or Path(run) / "diagnosis")
    check_diagnosis(target)
    of_masks = not config.is_file() or isinstance(read_config(config), FitConfig)
    if of_masks and (data is not None or config.is_file()):
        print(printable(how_read(data or read_config(config).data, "segmentation")))
    progress = counted(Console(stderr=True), "diagnosing")
    found = diagnose(run, data, out, images=images, curvature=curvature, device=device, progress=progress)
    if not isinstance(found, Diagnosis):
        print("\n".join(["", *found.lines(), "", f"open {target / 'diagnosis.json'}"]))
        return
    print("\n".join(["", *table(found), "", *verdict(found), ""]))
    for name in ("diagnosis.png", "diagnosis.json", "genotype.yaml"):
        if name != "genotype.yaml" or found.discrete:
            print(f"open {target / name}")


def _tell_curvature(found: Curvature, run: Path) -> None:
    print(f"highest eigenvalue {found.highest:10.4f}   (dominant, in {found.logits} logits)")
    print(f"lowest eigenvalue  {found.lowest:10.4f}")
    print(
        f"of {found.loss}, {found.images} images, BatchNorm by {found.batchnorm}, {found.products} products, both ends "
        f"within {found.tolerance:.0e} of the larger magnitude"
    )
    print(f"on {found.batch}")
    print(f"open {run / 'diagnosis.json'}")
