"""Images and masks that are no file of their own: a row of a table, or several files that hold one band each.

Like a file, each has a place, a path by which it is called; nothing may be there.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from wholenet.data.stored import PictureError

KEPT_BYTES = 1 << 30
"""Of tables that are kept in memory: whoever reads the rows in any order comes back to a group of them soon."""
_KEPT: dict[tuple[object, ...], Any] = {}
"""Columns of groups of rows, the first that was read first."""


@dataclass(frozen=True)
class Cell:
    """A picture in a parquet file."""

    file: Path
    column: str
    group: int
    """Of rows, as they lie in the file."""
    row: int
    """In its group."""
    number: int
    """Of the row in the file."""
    stamp: tuple[int, int, int]
    """What tells that the file is still the same."""

    def __str__(self) -> str:
        return f"{self.file}, row {self.number}, {self.column}"

    @property
    def place(self) -> Path:
        """ "train-00000-of-00001-000007" beside the table: without its column, and without a dot."""
        return self.file.with_name(f"{self.file.stem.replace('.', '_')}-{self.number:06}")

    def content(self) -> bytes:
        """The bytes of the picture, encoded as in a file.

        Raises:
            PictureError: if there are none.
        """
        value = _values(self)[self.row].as_py()
        content = value.get("bytes") if isinstance(value, dict) else value
        if not isinstance(content, bytes):
            found = f"its cell holds {type(content).__name__}; expected the bytes of an image file"
            advice = "Write the pictures themselves into the table (datasets.Dataset.to_parquet does), or use files."
            raise PictureError(str(self), "unreadable", found, advice)
        return content


@dataclass(frozen=True)
class Stacked:
    """An image whose bands lie in several files: "a_0000.png", "a_0001.png"."""

    files: tuple[Path, ...]
    place: Path

    def __str__(self) -> str:
        return f"{self.files[0]} to {self.files[-1].name}"


Image = Path | Cell | Stacked


def place_of(image: Image) -> Path:
    """Of a file itself."""
    return image if isinstance(image, Path) else image.place


def _values(cell: Cell) -> Any:
    key = (cell.file, cell.stamp, cell.group, cell.column)
    found = _KEPT.get(key)
    if found is None:
        reader = import_module("pyarrow.parquet")
        try:
            with reader.ParquetFile(cell.file) as table:
                found = table.read_row_group(cell.group, columns=[cell.column])[cell.column].combine_chunks()
        except Exception as error:  # pyarrow's own errors have no common base but this
            told = f"cannot be read as parquet ({error})"
            raise PictureError(str(cell), "unreadable", told, "Get the file again.") from error
        while _KEPT and sum(one.nbytes for one in [*_KEPT.values()]) + found.nbytes > KEPT_BYTES:
            _KEPT.pop(next(iter(_KEPT)), None)
        _KEPT[key] = found
    return found
