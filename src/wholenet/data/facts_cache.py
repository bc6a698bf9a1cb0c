"""Facts of files kept between runs, so that data that has not changed is not decoded again.

A file in the user's cache folder per data set. It is never needed: a damaged one is ignored and rewritten, and where it
cannot be written the next look takes as long as this one.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import PIL

from wholenet.files import read_json

FORMAT = 6
"""To be raised when the facts, or how files are read, change."""

CACHE_BYTES = 1 << 30
"""Largest such file that is read: one of a data set of millions."""
Stamp = tuple[int, int, int]
"""What tells that a file is still the same: its size in bytes, and in nanoseconds the time of its content and that of
its entry, which nobody can set back (of files that were exchanged, or copied with their times)."""
_PART = "\0"
"""Between the file and the rest of the name of what is not a file of its own; no file's name has it."""


@dataclass(frozen=True)
class Source:
    """What facts are of: a file, a part of one, or what is made of several."""

    files: tuple[Path, ...]
    """All that it depends on; at least one."""
    part: str = ""
    """What of them, or how it is made of them; of a file itself empty."""

    @property
    def name(self) -> str:
        """By which it is kept."""
        first = str(self.files[0].absolute())
        if not self.part:
            return first
        others = "\n".join(str(file.absolute()) for file in self.files[1:])
        return f"{first}{_PART}{_hash(f'{self.part}{_PART}{others}')}"


class FactsCache:
    """Facts of the files below ``root``; of none, and kept nowhere, if that is None."""

    def __init__(self, root: Path | None) -> None:
        self.file = None if root is None else cache_folder() / f"{_name_of(root)}.json"
        self._known = {} if self.file is None else _read(self.file)
        self._found: dict[str, Any] = {}

    def stamp(self, source: Source) -> Stamp | None:
        """The stamp of what is read next; None if it cannot be had. Of several files that of all together."""
        try:
            found = [path.stat() for path in source.files]
        except OSError:
            return None
        stamps = [(one.st_size, one.st_mtime_ns, one.st_ctime_ns) for one in found]
        if len(stamps) == 1:
            return stamps[0]
        sizes, changed, entered = zip(*stamps, strict=True)
        return sum(sizes), int(_hash(repr((sizes, changed)))[:15], 16), int(_hash(repr(entered))[:15], 16)

    def get(self, source: Source, stamp: Stamp | None) -> Any | None:
        """The facts of something, if it was seen with this stamp."""
        return self._get(source.name, stamp)

    def _get(self, name: str, stamp: Stamp | None) -> Any | None:
        entry = self._known.get(name)
        if stamp is None or not isinstance(entry, list) or len(entry) != 4 or tuple(entry[:3]) != stamp:
            return None
        return entry[3]

    def put(self, source: Source, stamp: Stamp, facts: Any) -> None:
        """Remember the facts, plain lists and numbers, of something."""
        self._found[source.name] = [*stamp, facts]

    def write(self) -> None:
        """Keep what was put in, and what was known of others: of files that are still the same, of parts of those that
        are still there."""
        still = {name for name in self._known if name not in self._found and self._still(name)}
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

    def _still(self, name: str) -> bool:
        first, part, _ = name.partition(_PART)
        if part:  # the other files are not known by their names; whoever asks for it, asks with its stamp
            return Path(first).exists()
        return self._get(name, self.stamp(Source((Path(first),)))) is not None


def cache_folder() -> Path:
    """``wholenet/checks`` in $XDG_CACHE_HOME, or in ~/.cache."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    home = Path(given or os.path.expanduser("~/.cache"))  # noqa: PTH111  (Path's raises where there is no home)
    return home / "wholenet" / "checks"


def _name_of(root: Path) -> str:
    return _hash(str(root.absolute()))


def _hash(text: str) -> str:
    return blake2b(os.fsencode(text), digest_size=12).hexdigest()


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
