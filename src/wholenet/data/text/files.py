"""Files of text: which there are, and their lines of words, read within bounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wholenet.data.folder import IMAGE_SUFFIXES
from wholenet.data.sample import DataError
from wholenet.data.sets import data_set
from wholenet.files import read_bytes

MOST_BYTES = 512 << 20
"""Of one file of text: its words are held in memory."""
MOST_WORDS = 100_000
"""That are known."""
NAMES = {"train": ("train.txt",), "val": ("valid.txt", "val.txt"), "test": ("test.txt",)}
"""Split -> what its file may be called in a folder."""

Lines = list[list[str]]
"""The words of each line."""


@dataclass(frozen=True)
class TextFiles:
    """Where the splits of a text are."""

    splits: Mapping[str, Path]
    """By name; a file of its own is "train"."""
    folder: bool


def find_texts(where: str | Path) -> TextFiles:
    """The files of a text: a folder's, or one file.

    Raises:
        DataError: if there is none, or a split has two.
    """
    root = Path(where).expanduser()
    if root.is_file():
        return TextFiles({"train": root}, folder=False)
    if not root.is_dir():
        if (known := data_set(where)) is not None:
            raise DataError(
                f"{where} is a data set for {known.task}, and text is needed; give a folder or a file of it"
            )
        raise DataError(f"{root} is not there; give a text file, or a folder with train.txt, valid.txt and test.txt")
    found: dict[str, Path] = {}
    for split, names in NAMES.items():
        there = [root / name for name in names if (root / name).is_file()]
        if len(there) > 1:
            raise DataError(f"{there[0]} and {there[1].name} are both the {split} split; leave one of them")
        if there:
            found[split] = there[0]
    if "train" not in found:
        texts = sorted(path.name for path in root.glob("*.txt"))[:4]
        beside = f"it has {', '.join(texts)}" if texts else "no file in it ends with .txt"
        raise DataError(
            f"{root} has no train.txt ({beside}); name its files train.txt, valid.txt and test.txt, or give one file"
        )
    return TextFiles(found, folder=True)


def looks_like_text(where: str | Path) -> bool:
    """Whether ``where`` is a text without being asked: a .txt file, or a folder with a file of a split and neither
    folders nor images in it, as lists of images have beside them."""
    root = Path(where).expanduser()
    if root.is_file():
        return root.suffix.lower() == ".txt"
    if not any((root / name).is_file() for names in NAMES.values() for name in names):
        return False
    return not any(path.is_dir() or path.suffix.lower() in IMAGE_SUFFIXES for path in root.iterdir())


def read_lines(path: Path) -> Lines:
    """The words of each line of a file in UTF-8, as blanks part them.

    Raises:
        DataError: for a file that is none, too large, empty, or no text; with the place of what is wrong.
    """
    if path.is_dir():
        there = sorted(path.glob("*.txt"))
        raise DataError(f"{path} is a folder; give a text file{f', for example {there[0]}' if there else ''}")
    if not path.exists():
        raise DataError(f"{path} is not there; give a text file")
    try:
        content = read_bytes(path, MOST_BYTES)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as text: {error}") from error
    if (place := content.find(b"\0")) >= 0:
        raise DataError(
            f"{path} cannot be read as text: byte {place:,} is NUL. Is it UTF-16, or no text? Give text in UTF-8"
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} cannot be read as text: byte {error.start:,} is no UTF-8 ({error.reason}). Convert it first: "
            "`iconv -f latin1 -t utf-8`, if it is Latin-1"
        ) from error
    lines = [line.split() for line in text.removesuffix("\n").split("\n")]
    if not any(lines):
        raise DataError(f"{path} is empty: it has {len(content):,} bytes and no word; expected a sentence per line")
    return lines
