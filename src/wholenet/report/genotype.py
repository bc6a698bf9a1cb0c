"""The picture of whatever a search on a cell space ended with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from wholenet.report.cells import draw_cells
from wholenet.report.nb201 import draw_cell
from wholenet.spaces.cell_tables import TYPES
from wholenet.spaces.nb201.genotype import Nb201Genotype


def draw_genotype(path: str | Path, genotype: Any, title: str = "") -> None:
    """Draw the cells of ``genotype``.

    Args:
        path: the picture; its suffix says the format.
        genotype: of one of the families of ``spaces/cell_family.py``.
        title: a headline, optional.
    """
    if isinstance(genotype, Nb201Genotype):
        draw_cell(path, genotype, title)
    else:
        draw_cells(path, {kind: getattr(genotype, kind) for kind in TYPES}, title)
