"""Facts of files kept between runs, so that data that has not changed is not decoded again.

A file in the user's cache folder per data set. It is never needed: a damaged one is ignored and rewritten, and where it
cannot be written the next look takes as long as this one.
"""

from __future__ import annotations

import json
import os
from hashlib import blake2b
from pathlib import Path
from typing import Any

import PIL

from wholenet.files import read_json

FORMAT = 5
"""To be raised when the facts, or how files are read, change."""

CACHE_BYTES = 1 << 30
"""Largest such file that is read: one of a data set of millions."""
Stamp = tuple[int, int, int]
"""What tells that a file is still the same: its size in bytes, and in nanoseconds the time of its content and that of
its entry, which nobody can set back (of files that were exchanged, or copied with their times)."""


class FactsCache:
    """Facts of the files below ``root``; of none, and kept nowhere, if that is None."""

    def __init__(self, root: Path | None) -> None:
        self.file = None if root is None else cache_folder() / f"{_name_of(root)}.json"
        self._known = {} if self.file is None else _read(self.file)
        self._found: dict[str, Any] = {}

    def stamp(self, path: Path) -> Stamp | None:
        """The stamp of a file before it is read; None if it cannot be had."""
        try:
            found = path.stat()
        except OSError:
            return None
        return found.st_size, found.st_mtime_ns, found.st_ctime_ns

    def get(self, path: Path, stamp: Stamp | None) -> Any | None:
        """The facts of a file, if it was seen with this stamp."""
        entry = self._known.get(str(path.absolute()))
        if stamp is None or not isinstance(entry, list) or len(entry) != 4 or tuple(entry[:3]) != stamp:
            return None
        return entry[3]

    def put(self, path: Path, stamp: Stamp, facts: Any) -> None:
        """Remember the facts, plain lists and numbers, of a file."""
        self._found[str(path.absolute())] = [*stamp, facts]

    def write(self) -> None:
        """Keep what was put in, and what was known of other files that are still the same."""
        others = [Path(name) for name in self._known if name not in self._found]
        still = {str(path) for path in others if self.get(path, self.stamp(path)) is not None}
        kept = {name: facts for name, facts in self._known.items() if name in still} | self._found
        if self.file is None or kept == self._known:
            return
        partial = self.file.with_suffix(f".{os.getpid()}.partial")
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            partial.write_text(json.dumps({"made_by": _made_by(), "files": kept}))
            partial.replace(self.file)
        except OSError:  # a full or read-only disk: only speed is lost
            return


def cache_folder() -> Path:
    """``wholenet/checks`` in $XDG_CACHE_HOME, or in ~/.cache."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    home = Path(given or os.path.expanduser("~/.cache"))  # noqa: PTH111  (Path's raises where there is no home)
    return home / "wholenet" / "checks"


def _name_of(root: Path) -> str:
    return blake2b(os.fsencode(root.absolute()), digest_size=12).hexdigest()


def _read(file: Path) -> dict[str, Any]:
    try:
        content = read_json(file, limit=CACHE_BYTES)
    except (OSError, ValueError):
        return {}
    if not isinstance(content, dict) or content.get("made_by") != _made_by():
        return {}
    return content["files"] if isinstance(content.get("files"), dict) else {}


def _made_by() -> list[Any]:
    """Pillow decodes: another version may decode otherwise."""
    return [FORMAT, PIL.__version__]
