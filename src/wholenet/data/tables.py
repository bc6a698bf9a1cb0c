"""Images with masks in parquet files, as data sets on the Hugging Face hub have them: a column of images, one of masks.

Format: https://huggingface.co/docs/hub/datasets-image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import import_module
from itertools import accumulate, chain, islice
from pathlib import Path
from typing import Any

from wholenet.data.class_folders import split_of
from wholenet.data.finding import Finding, of_files
from wholenet.data.folder import IMAGE_SUFFIXES, files_below
from wholenet.data.labelled import IMAGE_COLUMNS, LABEL_COLUMNS, MASK_COLUMNS, check_rows
from wholenet.data.layouts import SPLIT_FOLDERS
from wholenet.data.naming import IMAGE_FOLDER_WORDS, MASK_WORDS, words_of
from wholenet.data.outlines import stamp_of
from wholenet.data.pieces import Cell
from wholenet.data.sample import DataError
from wholenet.data.tree import Tree

_PLACES = ("*.parquet", "data/*.parquet", "*/*.parquet", "data/*/*.parquet", "default/*/*.parquet")
_MOST_FILES = 10_000
_EXPECTED = "expected pictures in one column called image or so, and in one called annotation, mask or label"


def table_files(root: Path) -> list[Path]:
    """The parquet files of a data set."""
    found = chain.from_iterable(sorted(root.glob(place)) for place in _PLACES)
    return list(dict.fromkeys(islice((path for path in found if path.is_file()), _MOST_FILES)))


def columns_of(schema: Any) -> tuple[str, str] | None:
    """The names of the columns of images and of masks, by pyarrow's schema; None if there are not both.

    A column counts if it holds bytes, or bytes with a path as the hub's images are.
    """
    pictures = [field.name for field in schema if _holds_pictures(str(field.type))]
    masks = [name for name in (*MASK_COLUMNS, *LABEL_COLUMNS) if name in pictures]
    masks += [name for name in pictures if words_of(name) & MASK_WORDS and name not in masks]
    images = [name for name in IMAGE_COLUMNS if name in pictures]
    images += [name for name in pictures if words_of(name) & IMAGE_FOLDER_WORDS and name not in (*images, *masks)]
    images = [name for name in images if name not in masks]
    return (images[0], masks[0]) if images and masks else None


def _holds_pictures(kind: str) -> bool:
    return kind in ("binary", "large_binary") or (kind.startswith("struct<") and "bytes: " in kind)


def read_tables(root: Path) -> Tree | None:
    """The data set in the parquet files of ``root``; None if there are none, or pictures beside them, whose notes they
    may be.

    Raises:
        DataError: if they cannot be read, or have no columns of images and masks.
    """
    files = table_files(root)
    if not files or files_below(root, IMAGE_SUFFIXES):
        return None
    try:
        reader = import_module("pyarrow.parquet")  # not everyone needs it
    except ImportError as error:
        told = f"{files[0]} needs pyarrow, which is not installed here: pip install 'wholenet[parquet]'"
        raise DataError(told) from error
    splits = _splits(root, files)
    found = {split: [_rows(reader, file, split) for file in own] for split, own in splits.items()}
    without = [str(part.file) for part in found.get("test", []) if part.masks == 0]
    notes = [f"test is left out: {', '.join(without)} has no masks"] if without else []
    if without:
        del found["test"]
    alone = [cell for parts in found.values() for part in parts for cell in part.alone]
    advice = "Add the mask of each row, or take the row out of the table."
    findings: list[Finding] = of_files("error", "image-without-mask", alone, "without mask", advice, noun="row")
    pairs = {split: [pair for part in parts for pair in part.pairs] for split, parts in found.items()}
    first = found["train"][0].columns
    told = "; ".join(f"{split}: {len(own)} rows of {_some(splits[split])}" for split, own in pairs.items())
    told = f"parquet, images in the column {first[0]}, masks in {first[1]}; {told}"
    folders = tuple(dict.fromkeys(file.parent for file in files))
    return Tree(
        {split: [*own] for split, own in pairs.items()}, tuple(findings), None, folders, tuple(notes), told=told
    )


def _splits(root: Path, files: Sequence[Path]) -> dict[str, list[Path]]:
    """Split -> its files, by the beginning of their names, or by their folders'. Where none says one, all are train.

    Raises:
        DataError: if there is no train, or one of several files belongs to no split.
    """
    by_folder = {name: split for split, names in SPLIT_FOLDERS.items() for name in names}
    named = [
        (split_of(file.stem) or (by_folder.get(file.parent.name.lower()) if file.parent != root else None), file)
        for file in files
    ]
    if len({split for split, _ in named}) == 1 and named[0][0] is None:
        return {"train": [file for _, file in named]}
    strange = next((file for split, file in named if split is None), None)
    if strange is not None:
        told = "the name of a parquet file, or of its folder, is train, val or test; this one says no split"
        raise DataError(f"{strange}: {told}")
    found = {split: [file for one, file in named if one == split] for split in ("train", "val", "test")}
    if not found["train"]:
        raise DataError(f"{files[0].parent}: none of the parquet files is of train; found {_some(files)}")
    return {split: own for split, own in found.items() if own}


@dataclass(frozen=True)
class _Rows:
    """Of one file."""

    file: Path
    columns: tuple[str, str]
    masks: int = 0
    """Rows that have one."""
    pairs: list[tuple[Cell, Cell]] = field(default_factory=list)
    alone: list[Cell] = field(default_factory=list)
    """Images without a mask."""


def _rows(reader: Any, file: Path, split: str) -> _Rows:
    stamp = stamp_of(file)
    try:
        with reader.ParquetFile(file) as table:
            check_rows(table.metadata, file)
            columns = columns_of(table.schema_arrow)
            if columns is None:
                if split == "test":
                    return _Rows(file, ("", ""))
                raise DataError(f"{file} has columns {', '.join(table.schema_arrow.names)}; {_EXPECTED}")
            missing = [_missing(table, group, columns[1]) for group in range(table.num_row_groups)]
            counts = [table.metadata.row_group(group).num_rows for group in range(table.num_row_groups)]
    except DataError:
        raise
    except Exception as error:  # pyarrow's own errors have no common base but this
        raise DataError(f"{file} cannot be read as parquet: {error}") from error
    found = _Rows(file, columns, sum(counts) - sum(map(len, missing)))
    before = [0, *accumulate(counts)]
    for group, count in enumerate(counts):
        for row in range(count):
            image, mask = (Cell(file, name, group, row, before[group] + row, stamp) for name in columns)
            if row in missing[group]:
                found.alone.append(image)
            else:
                found.pairs.append((image, mask))
    return found


def _missing(table: Any, group: int, column: str) -> set[int]:
    """The rows of a group that have no mask; only a column with empty cells is read."""
    rows = table.metadata.row_group(group)
    leaves = [rows.column(i) for i in range(rows.num_columns)]
    of_mask = [leaf for leaf in leaves if leaf.path_in_schema in (column, f"{column}.bytes")]
    known = [leaf.statistics.null_count for leaf in of_mask if leaf.is_stats_set and leaf.statistics.has_null_count]
    if known and not any(known):
        return set()
    values = table.read_row_group(group, columns=[column])[column].combine_chunks()
    filled = values.field("bytes") if str(values.type).startswith("struct<") else values
    return {row for row, empty in enumerate(filled.is_null().to_pylist()) if empty}


def _some(files: Sequence[Path]) -> str:
    return files[0].name + (f" and {len(files) - 1} more" if files[1:] else "")
