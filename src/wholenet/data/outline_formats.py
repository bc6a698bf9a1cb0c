"""The formats of annotations that masks are drawn from, in the order in which they are tried."""

from __future__ import annotations

from pathlib import Path

from wholenet.data.coco import coco_files, read_coco
from wholenet.data.cvat import cvat_file, read_cvat
from wholenet.data.labelme import read_labelme
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
    if files:
        return read_coco(root, files)
    file = cvat_file(root)
    if file is not None:
        return read_cvat(root, file)
    return read_yolo(root, layout) or read_labelme(root, layout)
