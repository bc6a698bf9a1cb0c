"""Kinds of damaged and odd texts for ``fuzz.py``: language data."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

FORMS = (("the", "a"), ("cat", "dog", "bird"), ("sees", "hears", "likes"), ("the", "a"), ("cat", "dog", "bird"))
LINES = {"train": 40, "valid": 6, "test": 6}


class TextRow(NamedTuple):
    """A way to spoil a text, and what must be said of it."""

    damage: Callable[[Path], object]
    outcome: Literal["error", "warning", "fine"]
    says: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


def every_sentence() -> list[str]:
    """All 324 that the forms allow, in an order that is always the same."""
    found = [()]
    for form in FORMS:
        found = [(*start, word) for start in found for word in form]
    lines = [" ".join(words) for words in found]
    random.Random(0).shuffle(lines)
    return lines


def good_text(root: Path) -> None:
    """train.txt, valid.txt and test.txt, no sentence in two of them."""
    root.mkdir(parents=True, exist_ok=True)
    lines = iter(every_sentence())
    for name, count in LINES.items():
        write(root, name, [next(lines) for _ in range(count)])


def write(root: Path, name: str, lines: Sequence[str]) -> None:
    (root / f"{name}.txt").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def read(root: Path, name: str) -> list[str]:
    return (root / f"{name}.txt").read_text(encoding="utf-8").splitlines()


def replaced(name: str, content: bytes) -> Callable[[Path], object]:
    return lambda root: (root / f"{name}.txt").write_bytes(content)


def rewritten(name: str, change: Callable[[list[str]], Sequence[str]]) -> Callable[[Path], object]:
    return lambda root: write(root, name, change(read(root, name)))


def numbered(count: int) -> Callable[[list[str]], list[str]]:
    """As many different words, each there twice."""
    return lambda _: [f"w{n} w{n + 1} w{n} w{n + 1}" for n in range(0, count, 2)]


def glued(lines: list[str]) -> list[str]:
    return [f"{line.capitalize()}{number}, {line.title()}{number}." for number, line in enumerate(lines)]


TEXTS = {
    "text": TextRow(lambda r: None, "fine", ("train is long enough for --batch", "240")),
    "text that is no UTF-8": TextRow(
        replaced("train", b"the cat\n\xe9t\xe9\n"), "error", ("train.txt", "byte 8 is no UTF-8", "iconv")
    ),
    "text with NUL bytes": TextRow(
        replaced("valid", "the cat".encode("utf-16-le")), "error", ("valid.txt", "byte 1 is NUL", "Give text in UTF-8")
    ),
    "text that is empty": TextRow(replaced("test", b""), "error", ("test.txt is empty", "expected a sentence")),
    "text without a word": TextRow(replaced("train", b" \n\n"), "error", ("train.txt is empty", "no word")),
    "text without valid": TextRow(
        lambda r: (r / "valid.txt").unlink(), "fine", ("no valid.txt: the last 4 of 40 lines of train.txt", "held out")
    ),
    "text, valid.txt and val.txt": TextRow(
        lambda r: write(r, "val", read(r, "test")), "error", ("valid.txt and val.txt are both the val split", "leave")
    ),
    "text of one line, and no valid": TextRow(
        lambda r: ((r / "valid.txt").unlink(), write(r, "train", ["the cat sees the dog"])),
        "error",
        ("train.txt", "is one line of 5 words", "put each sentence into a line"),
    ),
    "text of a few words": TextRow(
        rewritten("train", lambda _: ["a b a b"]), "error", ("train has 5 tokens", "Give more text")
    ),
    "text of words that are all there once": TextRow(
        rewritten("train", lambda _: ["a b", "c d"]), "error", ("4 different word(s)", "give more text")
    ),
    "text shorter than its batch": TextRow(
        lambda r: None,
        "error",
        ("for the architecture of a search has 48 tokens", "needs 64", "the largest batch that works is 24"),
        ("--batch", "32"),
    ),
    "text in one long line": TextRow(
        rewritten("train", lambda lines: [" ".join(lines * 8)]),
        "warning",
        ("train is one sentence of 1,600 words", "Put each sentence into a line"),
    ),
    "text with capital letters and punctuation glued to words": TextRow(
        rewritten("train", glued), "warning", ("different words of train are there once", "seems not to be tokenised")
    ),
    "text with punctuation glued to words": TextRow(
        rewritten("train", lambda lines: [f"{line}." for line in lines]),
        "warning",
        ("3 of the 11 different words of train are others with punctuation glued to them: 'bird.', 'cat.', 'dog.'",),
    ),
    "text with words that begin lines with capital letters": TextRow(
        rewritten("train", lambda lines: [line.capitalize() for line in lines]),
        "fine",
        ("2 of the 10 different words of train are others with capital letters: 'A', 'The'; each counts as a word",),
    ),
    "text of more words than can be": TextRow(
        rewritten("train", numbered(100_002)), "error", ("100,004 words", "give --vocab N, at most 100,000")
    ),
    "text of more words than memory holds": TextRow(
        rewritten("train", numbered(20_000)),
        "error",
        ("a vocabulary of 20,002 words with units=300 and batch=65536 takes about", "give --vocab N"),
        ("--batch", "65536"),
    ),
    "text with words that train lacks, and no <unk>": TextRow(
        rewritten("valid", lambda lines: [*lines, "the zebra sees \x1b[2J"]),
        "fine",
        ("val: 2 of 41 tokens (4.88 %) are not in the vocabulary and count as <unk>: 'zebra'",),
    ),
    "text with rare words, and no <unk>": TextRow(
        rewritten("train", lambda lines: [*lines, "the zebra sees the gnu"]),
        "fine",
        ("2 of 11 words of train, those that are there once count as <unk>; 10 are known",),
    ),
    "text with lines of valid in train": TextRow(
        lambda r: write(r, "train", [*read(r, "train"), *read(r, "valid")[:3]]),
        "warning",
        ("50 % of the lines of val are in train too", "Take them out"),
    ),
}
