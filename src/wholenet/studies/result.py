"""What a study found, as people read it (Markdown, and a figure beside it) and as programs do (JSON)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from math import nan
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from wholenet.studies.setting import StudySetting
from wholenet.version import VERSION


@dataclass(frozen=True)
class Spread:
    """A quantity over seeds."""

    mean: float
    """Not a number where there is no value."""
    sd: float | None
    """Standard deviation of the sample; None for a single value."""
    n: int

    def shown(self, scale: float = 1.0, digits: int = 1) -> str:
        """ "mean ± sd", times ``scale``; "diverged" where no run was left."""
        if not self.n:
            return "diverged"
        text = f"{scale * self.mean:.{digits}f}"
        return text if self.sd is None else f"{text} ± {scale * self.sd:.{digits}f}"


def spread(values: Sequence[float | None]) -> Spread:
    """Mean and sample standard deviation; what is None, of a run that diverged, is left out.

    >>> spread([1.0, 3.0, None]).shown()
    '2.0 ± 1.4'
    """
    left = [value for value in values if value is not None]
    if not left:
        return Spread(nan, None, 0)
    return Spread(mean(left), stdev(left) if len(left) > 1 else None, len(left))


@dataclass(frozen=True)
class Table:
    """Rows of a result. A cell is text (shown as it is) or a :class:`Spread` of a share (shown in percent)."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str | Spread]]

    def markdown(self) -> str:
        """The table in Markdown."""
        lines = [self.columns, ["---"] * len(self.columns)]
        lines += [[cell if isinstance(cell, str) else cell.shown(100) for cell in row] for row in self.rows]
        return "\n".join("| " + " | ".join(line) + " |" for line in lines)


@dataclass(frozen=True)
class Result:
    """What a study has to show."""

    title: str
    source: str
    """Where in the paper."""
    table: Table
    values: Mapping[str, Any]
    """The same and more, for programs: plain values and :class:`Spread`."""
    notes: Sequence[str] = field(default_factory=tuple)
    """What a reader has to know to compare."""
    figure: str | None = None
    """File name of the picture, already in the study's folder."""


def result_files(name: str, setting: StudySetting) -> tuple[Path, Path]:
    """Where :func:`write_result` writes: the page, and the same for programs."""
    stem = f"{name}{setting.suffix}"
    return setting.out / f"{stem}.md", setting.out / f"{stem}.json"


def write_result(result: Result, name: str, setting: StudySetting) -> tuple[Path, Path]:
    """Write ``out``/NAME.md and NAME.json; returns both paths."""
    command = f"wholenet study {name} {setting.command}"
    page = [f"# {result.title}", "", f"{result.source}. Made by `{command}`.", "", result.table.markdown(), ""]
    page += [line for note in result.notes for line in (f"- {note}",)]
    if result.figure:
        page += ["", f"![{result.title}]({result.figure})"]
    facts = {
        "study": name,
        "command": command,
        "wholenet": VERSION,
        "date": datetime.now(UTC).date().isoformat(),
        "scale": setting.scale,
        "data": Path(setting.data).name,
        "seeds": setting.seeds,
        "config": {k: v for k, v in asdict(setting.example).items() if k not in ("data", "out", "seed")},
        "columns": list(result.table.columns),
        "rows": [list(row) for row in result.table.rows],
        "values": result.values,
        "notes": list(result.notes),
    }
    setting.out.mkdir(parents=True, exist_ok=True)
    markdown, data = result_files(name, setting)
    markdown.write_text("\n".join(page).rstrip() + "\n")
    data.write_text(json.dumps(facts, indent=1, default=_plain) + "\n")
    return markdown, data


def _plain(value: Any) -> Any:
    if isinstance(value, Spread):
        return asdict(value) if value.n else asdict(value) | {"mean": None}
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")
