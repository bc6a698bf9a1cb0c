"""Reading small text files that may come from anywhere: what they may be, how large, and that nothing in them is run.
And writing: so that a crash leaves a whole file, and where it cannot be, so that this is known before the work.

Imports no torch: the command line reads it. Limits: docs/safety.md.
"""

from __future__ import annotations

import io
import json
import math
import os
import re
import reprlib
import stat
import tempfile
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml

TEXT_BYTES = 4 << 20
"""Largest text file that is read. A class table of 254 classes takes 20 kB, the config of a large model 100 kB."""
YAML_BYTES = 1 << 20
"""Largest YAML file: PyYAML takes 10 seconds for a megabyte."""
YAML_VALUES = 100_000
"""Most values in a YAML file, what ``*aliases`` repeat counted again: a kilobyte of them can stand for more than any
memory holds."""
YAML_DEPTH = 50
"""Deepest that lists and mappings may lie in one another."""
NUMBER_LENGTH = 50
"""Most characters of a number in a YAML file: Python takes minutes for a number as long as the file may be."""
SHOWN = 100
"""Most characters of a value from a file in a message."""
_LONGEST = 20 * SHOWN
"""And of what PyYAML says of one."""


def read_bytes(path: str | Path, limit: int) -> bytes:
    """The content of a regular file, at most ``limit`` bytes long.

    Raises:
        ValueError: if it is none, or longer.
        OSError: if it cannot be opened.
    """
    path = Path(path)
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):  # a pipe or a device may never end
        raise ValueError(f"{path} is no regular file, as a folder or a pipe is none; expected a file")
    if found.st_size > limit:
        raise ValueError(f"{path} has {found.st_size:,} bytes; expected at most {limit:,} of a file of its kind")
    return path.read_bytes()


def read_start(path: str | Path, count: int) -> bytes:
    """The first ``count`` bytes of a regular file, or all there are; nothing of what is none.

    Raises:
        OSError: if it cannot be opened.
    """
    path = Path(path)
    if not path.is_file():
        return b""
    with path.open("rb") as file:
        return file.read(count)


def read_text(path: str | Path, limit: int = TEXT_BYTES) -> str:
    """The text of a regular file, at most ``limit`` bytes long.

    Raises:
        ValueError: if it is none, or longer, or no UTF-8.
        OSError: if it cannot be opened.
    """
    content = read_bytes(path, limit)
    try:
        return io.TextIOWrapper(io.BytesIO(content), encoding="utf-8-sig").read()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no text in UTF-8: {error}") from error


def write_whole(path: str | Path, text: str) -> None:
    """Write a text file so that a crash leaves the old one or the new, never half.

    Raises:
        OSError: if it cannot be written.
    """
    path = Path(path)
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def check_output(path: str | Path, *, folder: bool = False) -> None:
    """Make sure, before the work for it is done, that a file can be written at ``path``, or files into a folder there.

    Folders on the way to it need not be there yet. Nothing is changed, and nothing is left there.

    Raises:
        ValueError: saying what is in the way.
    """
    try:
        target = Path(path).resolve()  # where a link leads
        if target.exists():
            if target.is_dir() != folder:
                found, wanted = ("a file", "a folder") if folder else ("a folder", "the name of a file")
                raise ValueError(f"{path} is {found}; give {wanted} to write to")
            if target.is_file():
                target.open("ab").close()
            if not folder:  # a terminal or a pipe is not tried
                return
        there = next(place for place in (target, *target.parents) if place.exists())
        if not there.is_dir():
            raise ValueError(f"{path} cannot be written, because {there} is a file and no folder; give another path")
        with tempfile.TemporaryFile(dir=there):
            pass
    except (OSError, RuntimeError) as error:  # links that lead in a circle are a RuntimeError in Python 3.11 and 3.12
        why = error.strerror if isinstance(error, OSError) else "its links lead in a circle"
        raise ValueError(f"{path} cannot be written ({why}); give a path that can be") from error


def settle(folder: Path) -> None:
    """Make the names in ``folder`` survive a power cut, where the system can."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:  # not where folders cannot be opened
        return
    try:
        os.fsync(descriptor)
    except OSError:
        pass
    finally:
        os.close(descriptor)


def read_json(path: str | Path, limit: int = TEXT_BYTES) -> Any:
    """The plain values in a JSON file of at most ``limit`` bytes.

    Raises:
        ValueError: if it is none; the file is named.
        OSError: if it cannot be opened.
    """
    text = read_text(path, limit)
    try:
        return parse_json(text)
    except ValueError as error:
        raise ValueError(f"{path} cannot be read as JSON: {error}") from error


def parse_json(text: str) -> Any:
    """The plain values in a JSON text.

    Raises:
        ValueError: if it is none, or a key is written twice: the later one would win without a word.
    """
    try:
        return json.loads(text, object_pairs_hook=without_repeats)
    except RecursionError as error:
        raise ValueError("lists within lists, too deep to be read") from error


def read_yaml(path: str | Path) -> Any:
    """The plain values in a YAML file: numbers, text, lists, mappings. Tags that name code are refused.

    Raises:
        ValueError: if it is none; the file is named.
        OSError: if it cannot be opened.
    """
    text = read_text(path, YAML_BYTES)
    try:
        return parse_yaml(text)
    except ValueError as error:
        raise ValueError(f"{path} cannot be read as YAML: {error}") from error


def parse_yaml(text: str) -> Any:
    """The plain values in a YAML text.

    Raises:
        ValueError: if it is none, a key is written twice, a tag names something else than plain values, it stands
            for more than ``YAML_VALUES`` values, goes deeper than ``YAML_DEPTH``, contains itself, or has a number of
            more than ``NUMBER_LENGTH`` characters.

    >>> parse_yaml("lr: 0.1\\nseed: [0, 1]")
    {'lr': 0.1, 'seed': [0, 1]}
    """
    try:
        return yaml.load(text, _PlainLoader)  # a SafeLoader
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())[:_LONGEST]) from error
    except (TypeError, OverflowError) as error:  # a list as a key; a date that is none
        raise ValueError(f"{error}"[:_LONGEST]) from error


def without_repeats(pairs: Sequence[tuple[Any, Any]]) -> dict[Any, Any]:
    """The pairs as a mapping.

    Raises:
        ValueError: if a key is there twice.
    """
    repeated = [key for key, count in Counter(key for key, _ in pairs).items() if count > 1]
    if repeated:
        raise ValueError(f"the key {shown(repeated[0])} is written more than once")
    return dict(pairs)


def check_words(value: Any, where: str) -> None:
    """Make sure that ``value`` is a line for people to read: it may come from anywhere, and is shown on terminals.

    Raises:
        ValueError: if it is no text, longer than ``SHOWN`` characters, or has control characters.
    """
    if not isinstance(value, str) or len(value) > SHOWN or not is_plain(value):
        raise ValueError(
            f"{where} is {shown(value)}; expected a text of up to {SHOWN} characters, none of them for control"
        )


def shown(value: object) -> str:
    """A value from a file in a message: cut short where it is long, without control characters."""
    short = _Short()
    short.maxstring = short.maxother = short.maxlong = SHOWN
    return short.repr(value)[: 4 * SHOWN]


class _Short(reprlib.Repr):
    def repr_int(self, x: int, level: int) -> str:
        digits = int(x.bit_length() * math.log10(2)) + 1
        if digits > self.maxlong:  # Python writes out none of over 4300
            return f"a number of about {digits:,} digits"
        return super().repr_int(x, level)


class _PlainLoader(yaml.SafeLoader):
    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self.depth += 1
        if self.depth > YAML_DEPTH:
            raise ValueError(f"lists within lists, too deep to be read: expected at most {YAML_DEPTH}")
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def get_single_node(self) -> yaml.Node | None:
        node = super().get_single_node()
        if node is not None and (count := _values(node, {})) > YAML_VALUES:
            raise ValueError(f"it stands for {count:.2g} values; expected at most {YAML_VALUES:,}")
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        # Before ``<<`` is followed: what is merged may be overridden.
        if isinstance(node, yaml.MappingNode):
            keys = [key for key, _ in node.value if isinstance(key, yaml.ScalarNode) and not key.tag.endswith(":merge")]
            without_repeats([(self.construct_object(key), None) for key in keys])
        return super().construct_mapping(node, deep)


def _scalar(tag: str) -> Callable[[_PlainLoader, yaml.ScalarNode], Any]:
    """PyYAML's reading of what a tag names, for text that it was not made for too: ``!!bool maybe``, ``!!int ''``."""
    read = yaml.SafeLoader.yaml_constructors[f"tag:yaml.org,2002:{tag}"]

    def construct(loader: _PlainLoader, node: yaml.ScalarNode) -> Any:
        text = str(node.value)
        if tag in ("int", "float") and len(text) > NUMBER_LENGTH:
            raise ValueError(f"a number of {len(text):,} characters; expected at most {NUMBER_LENGTH}")
        try:
            return read(loader, node)
        except (AttributeError, IndexError, KeyError, ValueError) as error:
            raise ValueError(f"{shown(node.value)} is no {tag}") from error

    return construct


for _tag in ("bool", "int", "float", "timestamp"):
    _PlainLoader.add_constructor(f"tag:yaml.org,2002:{_tag}", _scalar(_tag))

# 1e-3 is a number to people; YAML 1.1 wants 1.0e-3.
_PlainLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$", re.ASCII), list("-+.0123456789")
)


def _values(node: yaml.Node, known: dict[int, int]) -> int:
    """How many values ``node`` stands for, aliases written out."""
    if id(node) in known:
        if not known[id(node)]:
            raise ValueError("it contains itself, by an alias")
        return known[id(node)]
    known[id(node)] = 0  # still being counted
    below: list[yaml.Node] = []
    if isinstance(node, yaml.MappingNode):
        below = [part for pair in node.value for part in pair]
    elif isinstance(node, yaml.SequenceNode):
        below = node.value
    known[id(node)] = 1 + sum(_values(part, known) for part in below)
    return known[id(node)]


_BIDI_CONTROL = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""What Unicode calls Bidi_Control: these turn the text around them about."""


def is_plain(name: str) -> bool:
    """Whether a name can stand in a line, of a table or on a terminal: it has no control characters, line separators,
    halves of characters, or characters that turn the order of the text about. No-break spaces and joiners are fine.

    >>> [is_plain(name) for name in ("ice\\u00a0cream", "می\\u200cخ", "a\\x1b[2J", "a\\u202eb", "\\udcff")]
    [True, True, False, False, False]
    """
    return not any(char in _BIDI_CONTROL or unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") for char in name)
