"""What a look at a data set brings to light: what, where, how many, and what to do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from wholenet.data.sample import DataError

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
EXAMPLES = 5
"""Files that a finding names."""
_MOST_ERRORS = 10


@dataclass(frozen=True)
class Finding:
    """One thing found. Errors stop, warnings do not, notes are only good to know."""

    severity: Severity
    kind: str
    """A short name of what it is about, such as "unreadable"; the same for all findings of that kind."""
    what: str
    """What was found, and what was expected."""
    advice: str = ""
    """What to do."""
    files: tuple[str, ...] = ()
    """Examples, at most ``EXAMPLES``."""
    count: int = 1
    """How many files, classes, or whatever it is about, there are."""

    def __str__(self) -> str:
        return f"{self._found}\n{self.advice}".strip()

    @property
    def in_one_line(self) -> str:
        """The same as sentences behind each other, for the notes of a run.

        >>> Finding("warning", "no-truth", "1 file without truth", "Remove it.", ("a.pfm",)).in_one_line
        '1 file without truth: a.pfm. Remove it.'
        """
        told = self._found.replace("\n", " ")
        stop = "" if not self.advice or told.endswith(".") else "."
        return f"{told}{stop} {self.advice}".strip().replace("\n", " ")

    @property
    def _found(self) -> str:
        shown = f": {', '.join(self.files)}{', ...' if self.count > len(self.files) else ''}" if self.files else ""
        return (self.what.removesuffix(".") if shown else self.what) + shown


def but_for_numbers(reason: str) -> str:
    """What is equal of reasons that differ in their numbers alone.

    >>> but_for_numbers("3x4, and the image 5x12") == but_for_numbers("10x9, and the image 8x8")
    True
    """
    return re.sub(r"\d+", "#", reason)


def of_files(
    severity: Severity, kind: str, files: Sequence[object], what: str, advice: str, *, noun: str = "image"
) -> list[Finding]:
    """A finding about some files, or none if there are none; ``what`` is told of "3 images ..."."""
    if not files:
        return []
    counted = f"{len(files)} {noun}{'s' * (len(files) > 1)}"
    examples = tuple(map(str, files[:EXAMPLES]))
    return [Finding(severity, kind, f"{counted} {what}", advice, examples, len(files))]


def of_two_splits(
    one: str, other: str, pairs: Sequence[Sequence[object]], advice: str, *, noun: str = "image"
) -> list[Finding]:
    """A finding about images that are in two splits, each as (the one in ``one``, the one in ``other``); or none."""
    if not pairs:
        return []
    what = f"{len(pairs)} {noun}{'s' * (len(pairs) > 1)} both in {one} and in {other}, with the same pixels"
    examples = tuple(" = ".join(map(str, pair)) for pair in pairs[:EXAMPLES])
    return [Finding("warning", f"in-{one}-and-{other}", what, advice, examples, len(pairs))]


def by_severity(findings: Iterable[Finding]) -> list[Finding]:
    """Errors first."""
    return sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity))


def refuse_errors(findings: Iterable[Finding], where: str) -> None:
    """Make sure that there are no errors among the findings.

    Raises:
        DataError: one for all of them.
    """
    errors = [str(finding) for finding in findings if finding.severity == "error"]
    if len(errors) == 1:
        raise DataError(errors[0])
    if errors:
        listed = "\n".join(f"- {error}" for error in errors[:_MOST_ERRORS])
        more = len(errors) - _MOST_ERRORS
        rest = f"\n- and {more} more: wholenet check-data {where}" if more > 0 else ""
        raise DataError(f"{where}: {len(errors)} things must be put right first:\n{listed}{rest}")
