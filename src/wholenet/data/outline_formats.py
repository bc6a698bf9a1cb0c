"""The formats of annotations that masks are drawn from, in the order in which they are tried."""

from __future__ import annotations

from pathlib import Path

from wholenet.data.coco import coco_files, read_coco
from wholenet.data.layouts import Layout
from wholenet.data.outlines import Outlined
from wholenet.data.yolo import read_yolo


def read_outlines(root: Path, layout: Layout | None) -> Outlined | None:
    """The data set in ``root``, if it has outlines of objects in a format that is read; None otherwise.

    Args:
        root: the folder.
        layout: what its folders seem to be, by their names.

    Raises:
        DataError: if a file cannot be read as what it is.
    """
    files = coco_files(root)
    return read_coco(root, files) if files else read_yolo(root, layout)
