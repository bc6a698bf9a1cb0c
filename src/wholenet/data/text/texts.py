"""A text that is learned from: its splits as numbers of words, and what is odd about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wholenet.data.finding import Finding
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
PUNCTUATION = ".,;:!?"
VARIANTS = 0.05
"""Share of train's different words that are others with punctuation glued to them, or with capital letters, from which
on people are told."""


@dataclass(frozen=True)
class Texts:
    """The splits of a text, in the words of its vocabulary."""

    found: Found
    splits: Mapping[str, Encoded]
    """ "train", "val", and "test" where there is one."""
    lines: Mapping[str, int]
    findings: tuple[Finding, ...]
    """How it was read, and warnings."""

    @property
    def vocabulary(self) -> Vocabulary:
        """Its words."""
        return self.found.vocabulary

    @property
    def notes(self) -> list[str]:
        """The findings for people, a line each."""
        told = [(finding.severity, finding.in_one_line) for finding in self.findings]
        return [f"warning: {what}" if severity == "warning" else what for severity, what in told]


def open_texts(where: str | Path, size: int = 0) -> Texts:
    """Read a folder with train.txt, valid.txt (or val.txt) and test.txt, or one file, whose last tenth of lines becomes
    val.

    Args:
        where: the folder, or the file.
        size: of the vocabulary; 0 is all words of train.

    Raises:
        DataError: for what cannot be learned from; it names the file.
    """
    lines, findings = read_splits(where)
    found = find_vocabulary(lines["train"], size)
    splits = {name: found.vocabulary.encode(part) for name, part in lines.items()}
    findings += [*_of_vocabulary(found, splits), *_odd(lines, found), *_copied(lines)]
    return Texts(found, splits, {name: len(part) for name, part in lines.items()}, tuple(findings))


def read_splits(where: str | Path) -> tuple[dict[str, Lines], list[Finding]]:
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
    what = f"no {NAMES['val'][0]}: the last {count:,} of {len(train):,} lines of {which} are held out"
    return {name: lines[name] for name in order if name in lines}, [Finding("note", "held-out-lines", what)]


def _of_vocabulary(found: Found, splits: Mapping[str, Encoded]) -> list[Finding]:
    findings = []
    if found.replaced:
        why = "" if found.replaced > found.once else ", those that are there once"
        what = (
            f"{found.replaced:,} of {found.types:,} words of train{why} count as {UNKNOWN}; "
            f"{len(found.vocabulary):,} are known"
        )
        findings.append(Finding("note", "words-left-out", what, count=found.replaced))
    for name, part in splits.items():
        if part.unseen and name != "train":
            what = (
                f"{name}: {part.unseen:,} of {len(part.tokens):,} tokens ({100 * part.share_unseen:.2f} %) are not in "
                f"the vocabulary and count as {UNKNOWN}: {', '.join(map(shown, part.examples))}"
            )
            findings.append(Finding("note", "unseen-words", what, count=part.unseen))
    return findings


def _odd(lines: Mapping[str, Lines], found: Found) -> list[Finding]:
    findings = []
    for name, part in lines.items():
        if len(part) == 1 and len(part[0]) >= LONG_LINE:
            what = f"{name} is one sentence of {len(part[0]):,} words"
            findings.append(Finding("warning", "one-sentence", what, "Put each sentence into a line."))
    words = {word for line in lines["train"] for word in line}
    if words and found.once / len(words) > MANY_ONCE:
        what = (
            f"{100 * found.once / len(words):.0f} % of the {len(words):,} different words of train are there once: the "
            "text seems not to be tokenised"
        )
        advice = "Part punctuation from words by blanks, and write in lower case, or give --vocab N."
        findings.append(Finding("warning", "not-tokenised", what, advice))
    return [*findings, *_variants(words)]


def _variants(words: set[str]) -> list[Finding]:
    """Words of train that are other words of it, but for how they are written."""
    findings = []
    glued = [word for word in words if word[-1] in PUNCTUATION and word.rstrip(PUNCTUATION) in words]
    if len(glued) > VARIANTS * len(words):
        what = (
            f"{len(glued):,} of the {len(words):,} different words of train are others with punctuation glued to them: "
            f"{_some(glued)}"
        )
        advice = "Part punctuation from words by blanks: each counts as a word of its own."
        findings.append(Finding("warning", "punctuation-glued", what, advice, count=len(glued)))
    capital = [word for word in words if word != word.lower() and word.lower() in words]
    if len(capital) > VARIANTS * len(words):
        what = (
            f"{len(capital):,} of the {len(words):,} different words of train are others with capital letters: "
            f"{_some(capital)}; each counts as a word of its own"
        )
        findings.append(Finding("note", "capital-letters", what, count=len(capital)))
    return findings


def _some(words: list[str]) -> str:
    return ", ".join(map(shown, sorted(words)[:3]))


def _copied(lines: Mapping[str, Lines]) -> list[Finding]:
    train = {tuple(line) for line in lines["train"] if len(line) >= WORDS_OF_A_LINE}
    findings = []
    for name, part in lines.items():
        own = [tuple(line) for line in part if len(line) >= WORDS_OF_A_LINE]
        copied = sum(line in train for line in own)
        if name != "train" and own and copied / len(own) > COPIED:
            what = f"{100 * copied / len(own):.0f} % of the lines of {name} are in train too: its score will flatter"
            advice = f"Take them out of train or out of {name}."
            findings.append(Finding("warning", "lines-in-train", what, advice, count=copied))
    return findings
