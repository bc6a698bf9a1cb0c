"""Masks that LabelMe's ``labelme_json_to_dataset`` wrote: for each image a folder with img.png, label.png and the names
of the labels, by their values.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from wholenet.data.classes import named_classes
from wholenet.data.sample import Classes, DataError
from wholenet.files import read_text

MASK, NAMES = "label.png", "label_names.txt"


def converted_classes(masks: Sequence[Path]) -> Classes | None:
    """The classes of such ``masks``, of which each must have the same; None of others.

    Raises:
        DataError: if the labels of two masks differ, or those of a mask cannot be read, or of some nobody says.
    """
    lists = [mask.with_name(NAMES) for mask in masks if mask.name == MASK]
    first = next((path for path in lists if path.is_file()), None)
    if first is None:
        return None
    expected = _names(first)
    for path in lists:
        if (names := _names(path)) != expected:
            raise DataError(
                f"{first} has the labels {', '.join(expected)}, and {path} has {', '.join(names)}: "
                "labelme_json_to_dataset counts the labels of each image anew, so a value means one class here and "
                "another there. Give the folder with LabelMe's JSON files and their images: wholenet reads them."
            )
    return named_classes(expected, str(first))


def _names(path: Path) -> list[str]:
    try:
        return [line.strip() for line in read_text(path).splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: this list of labels cannot be read: {error}") from error
