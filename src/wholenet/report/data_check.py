"""What a look at a data set brought to light, for people to read and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from wholenet.data.finding import SEVERITIES, Finding
from wholenet.data.labelled_review import LabelledReview
from wholenet.data.review import Review
from wholenet.data.stereo.review import StereoReview
from wholenet.data.text.review import TextReview
from wholenet.report.progress import plain
from wholenet.report.stereo_check import splits_of_stereo, stereo_tables

AnyReview = Review | LabelledReview | TextReview | StereoReview
STYLES = {"error": "bold red", "warning": "yellow", "note": "dim"}


def print_review(review: AnyReview, console: Console) -> None:
    """Tables of splits and classes, then the findings, errors first."""
    tables = _tables_of(review)
    say = plain(console)
    for table in tables:
        if console.is_interactive:
            console.print(table)
        else:
            for line in _as_text(table):
                say(line)
        say("")
    if isinstance(review, Review):
        for note in review.notes:
            say(printable(note))
    for finding in review.findings:
        told = printable(str(finding)).replace("\n", "\n  ")
        if console.is_interactive:
            console.print(f"{finding.severity}:", style=STYLES[finding.severity], end=" ")
            say(told)
        else:
            say(f"{finding.severity}: {told}")
    counts = [sum(finding.severity == severity for finding in review.findings) for severity in SEVERITIES]
    listed = ", ".join(f"{n} {name}{'s' * (n != 1)}" for n, name in zip(counts, SEVERITIES, strict=True))
    verdict = "cannot be trained on as it is" if counts[0] else "can be trained on"
    say(f"\n{printable(review.where)} {verdict}: {listed}")


def print_warnings(findings: Sequence[Finding], console: Console) -> None:
    """The warnings among the findings, for a run that goes on."""
    for finding in findings:
        if finding.severity == "warning":
            plain(console)(f"warning: {printable(str(finding))}")


def review_to_dict(review: AnyReview) -> dict[str, Any]:
    """The JSON form; shares are in [0, 1]."""
    findings = [{key: _printable_parts(value) for key, value in asdict(finding).items()} for finding in review.findings]
    whole: dict[str, Any] = {"data": printable(review.where), "findings": findings}
    if isinstance(review, TextReview):
        return whole | _of_text(review)
    if isinstance(review, StereoReview):
        return whole | {"splits": splits_of_stereo(review)}
    if isinstance(review, LabelledReview):
        classes = () if review.source is None else review.source.classes
        whole["splits"] = {
            name: {
                "images": sum(counts),
                "size": [] if review.source is None else list(review.source.splits[name].images.shape[1:3]),
                "images_per_class": dict(zip(classes, counts, strict=True)),
            }
            for name, counts in review.counts.items()
        }
        return whole
    names = () if review.source is None else review.source.classes.names
    whole["notes"] = [printable(note) for note in review.notes]
    whole["splits"] = {
        name: {
            **{key: value for key, value in asdict(stats).items() if key != "class_pixels"},
            "class_pixels": dict(zip(names, stats.class_pixels, strict=True)),
            "class_shares": dict(zip(names, _shares(stats.class_pixels), strict=True)),
            "ignore_share": stats.ignore_pixels / max(sum(stats.class_pixels) + stats.ignore_pixels, 1),
        }
        for name, stats in review.stats.items()
    }
    return whole


def printable(text: str) -> str:
    """The text with what no terminal can show, such as bytes of a file name that are no UTF-8, spelled out."""
    return "".join(
        char if char == "\n" or (char.isprintable() and not "\ud800" <= char <= "\udfff") else ascii(char)[1:-1]
        for char in text
    )


def _printable_parts(value: Any) -> Any:
    if isinstance(value, str):
        return printable(value)
    return [printable(part) for part in value] if isinstance(value, tuple) else value


def _of_text(review: TextReview) -> dict[str, Any]:
    if review.texts is None:
        return {"splits": {}}
    texts = review.texts
    splits = {
        name: {"lines": texts.lines[name], "tokens": len(part.tokens), "unseen": part.unseen}
        for name, part in texts.splits.items()
    }
    return {"vocabulary": len(texts.vocabulary), "splits": splits}


def _tables_of(review: AnyReview) -> list[Table]:
    if isinstance(review, TextReview):
        return _text_tables(review)
    if isinstance(review, StereoReview):
        return stereo_tables(review)
    return _tables(review) if isinstance(review, Review) else _labelled_tables(review)


def _text_tables(review: TextReview) -> list[Table]:
    if review.texts is None:
        return []
    known = f"not among the {len(review.texts.vocabulary):,} words known"
    table = Table("split", "lines", "tokens", known, box=None)
    for name, part in review.texts.splits.items():
        share = f"{part.unseen:,} ({100 * part.share_unseen:.2f} %)"
        table.add_row(name, f"{review.texts.lines[name]:,}", f"{len(part.tokens):,}", share)
    return [table]


def _tables(review: Review) -> list[Table]:
    if review.source is None or not review.stats:
        return []
    splits = Table("split", "images", "height x width", "ignored", box=None)
    for name, stats in review.stats.items():
        smallest = f"{stats.min_height}x{stats.min_width}"
        largest = f"{stats.max_height}x{stats.max_width}"
        everything = sum(stats.class_pixels) + stats.ignore_pixels
        ignored = f"{100 * stats.ignore_pixels / max(everything, 1):.1f} %"
        splits.add_row(
            name, str(stats.images), smallest if smallest == largest else f"{smallest} to {largest}", ignored
        )
    classes = Table("class", *(f"{name}, share of pixels" for name in review.stats), box=None)
    shares = [_shares(stats.class_pixels) for stats in review.stats.values()]
    for k, name in enumerate(review.source.classes.names):
        classes.add_row(Text(name), *(f"{100 * split[k]:.2f} %" if split[k] else "-" for split in shares))
    return [splits, classes]


def _labelled_tables(review: LabelledReview) -> list[Table]:
    if review.source is None:
        return []
    splits = Table("split", "images", "height x width", box=None)
    for name, counts in review.counts.items():
        splits.add_row(name, str(sum(counts)), "x".join(map(str, review.source.splits[name].images.shape[1:3])))
    classes = Table("class", *(f"{name}, images" for name in review.counts), box=None)
    for k, name in enumerate(review.source.classes):
        classes.add_row(Text(printable(name)), *(str(counts[k]) for counts in review.counts.values()))
    return [splits, classes]


def _as_text(table: Table) -> list[str]:
    columns = [[str(column.header), *map(str, column.cells)] for column in table.columns]
    widths = [max(map(len, column)) for column in columns]
    rows = zip(*columns, strict=True)
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _shares(pixels: Sequence[int]) -> list[float]:
    return [count / max(sum(pixels), 1) for count in pixels]
