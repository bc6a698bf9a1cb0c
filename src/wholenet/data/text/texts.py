"""A text that is learned from: its splits as numbers of words, and what is odd about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wholenet.data.sample import DataError
from wholenet.data.text.files import NAMES, Lines, find_texts, read_lines
from wholenet.data.text.vocabulary import UNKNOWN, Encoded, Found, Vocabulary, find_vocabulary
from wholenet.files import shown

HELD_OUT = 0.1
"""Share of the lines that become val where there is none: the last ones, as they read on."""
MANY_ONCE = 0.6
"""Share of the words that are there once from which on a text seems not to be tokenised."""
COPIED = 0.05
"""Share of a split's lines in train from which on people are warned."""
WORDS_OF_A_LINE = 5
"""Shorter lines may be alike by chance."""
LONG_LINE = 1000
"""Words."""
GLUED = ".,;:!?"


@dataclass(frozen=True)
class Texts:
    """The splits of a text, in the words of its vocabulary."""

    found: Found
    splits: Mapping[str, Encoded]
    """ "train", "val", and "test" where there is one."""
    lines: Mapping[str, int]
    notes: tuple[str, ...]
    """For people: how it was read, and warnings."""

    @property
    def vocabulary(self) -> Vocabulary:
        """Its words."""
        return self.found.vocabulary


def open_texts(where: str | Path, size: int = 0) -> Texts:
    """Read a folder with train.txt, valid.txt (or val.txt) and test.txt, or one file, whose last tenth of lines becomes
    val.

    Args:
        where: the folder, or the file.
        size: of the vocabulary; 0 is all words of train.

    Raises:
        DataError: for what cannot be learned from; it names the file.
    """
    lines, notes = read_splits(where)
    found = find_vocabulary(lines["train"], size)
    splits = {name: found.vocabulary.encode(part) for name, part in lines.items()}
    notes += [*_of_vocabulary(found, splits), *_odd(lines, found), *_copied(lines)]
    return Texts(found, splits, {name: len(part) for name, part in lines.items()}, tuple(notes))


def read_splits(where: str | Path) -> tuple[dict[str, Lines], list[str]]:
    """The lines of each split, val held out where it is missing; and what is said of that.

    Raises:
        DataError: for what is no text.
    """
    files = find_texts(where)
    lines = {name: read_lines(path) for name, path in files.splits.items()}
    if "val" in lines:
        return lines, []
    train = lines["train"]
    count = max(1, round(HELD_OUT * len(train)))
    which = f"{files.splits['train'].name} of {Path(where)}" if files.folder else str(files.splits["train"])
    if len(train) < 2:
        raise DataError(
            f"{which} is one line of {sum(map(len, train)):,} words, of which none can be held out; put each sentence "
            f"into a line, or give a folder with {NAMES['train'][0]} and {NAMES['val'][0]}"
        )
    lines |= {"train": train[:-count], "val": train[-count:]}
    if not any(lines["train"]) or not any(lines["val"]):
        raise DataError(
            f"{which} has {len(train)} lines, and its last {count} to be held out, or those before, are empty"
        )
    order = ("train", "val", "test")
    said = f"no {NAMES['val'][0]}: the last {count:,} of {len(train):,} lines of {which} are held out"
    return {name: lines[name] for name in order if name in lines}, [said]


def _of_vocabulary(found: Found, splits: Mapping[str, Encoded]) -> list[str]:
    notes = []
    if found.replaced:
        why = "" if found.replaced > found.once else ", those that are there once"
        notes.append(
            f"{found.replaced:,} of {found.types:,} words of train{why} count as {UNKNOWN}; "
            f"{len(found.vocabulary):,} are known"
        )
    for name, part in splits.items():
        if part.unseen and name != "train":
            notes.append(
                f"{name}: {part.unseen:,} of {len(part.tokens):,} tokens ({100 * part.share_unseen:.2f} %) are not in "
                f"the vocabulary and count as {UNKNOWN}: {', '.join(map(shown, part.examples))}"
            )
    return notes


def _odd(lines: Mapping[str, Lines], found: Found) -> list[str]:
    notes = []
    for name, part in lines.items():
        if len(part) == 1 and len(part[0]) >= LONG_LINE:
            notes.append(f"warning: {name} is one sentence of {len(part[0]):,} words; put each sentence into a line")
    words = found.types - 1
    glued = {word for line in lines["train"] for word in line if len(word) > 1 and word[-1] in GLUED}
    if words and found.once / words > MANY_ONCE:
        examples = f", such as {', '.join(map(shown, sorted(glued)[:3]))}" if glued else ""
        notes.append(
            f"warning: {100 * found.once / words:.0f} % of the {words:,} different words of train are there once"
            f"{examples}: the text seems not to be tokenised. Part punctuation from words by blanks, and write in "
            "lower case, or give --vocab N"
        )
    return notes


def _copied(lines: Mapping[str, Lines]) -> list[str]:
    train = {tuple(line) for line in lines["train"] if len(line) >= WORDS_OF_A_LINE}
    notes = []
    for name, part in lines.items():
        own = [tuple(line) for line in part if len(line) >= WORDS_OF_A_LINE]
        copied = sum(line in train for line in own)
        if name != "train" and own and copied / len(own) > COPIED:
            share = 100 * copied / len(own)
            notes.append(f"warning: {share:.0f} % of the lines of {name} are in train too: its score will flatter")
    return notes
