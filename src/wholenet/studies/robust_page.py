"""The page of ``study robust-darts`` on a task with a table: what was found, and whether it can be told from chance.

An arm is told from random cells where the 95 % interval of its difference to their mean, paired by seed, leaves zero
out *and* its own mean lies outside of what single random cells have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import mean
from typing import Any

from wholenet.files import read_yaml
from wholenet.jobs.catalog import task_called
from wholenet.ranks import rank_correlation
from wholenet.studies.drawing import draw_arms
from wholenet.studies.paired import Difference, paired_where_both
from wholenet.studies.result import Result, Table, spread
from wholenet.studies.task_setting import TaskSetting
from wholenet.tasks.score import Score

Values = Sequence[float | None]
"""By seed; None of a run that diverged."""


@dataclass(frozen=True)
class Row:
    """What is known of one arm, random cell or control."""

    name: str
    trained: Sequence[Mapping[str, float] | None]
    """By seed: its scores by place, "validation", "parameters" and "epochs"; None where the training diverged, or there
    was nothing to train."""
    eigenvalue: Values = ()
    one_shot: Values = ()

    def at(self, place: str) -> list[float | None]:
        """Its scores at a place."""
        return [None if found is None else found[place] for found in self.trained]

    def number(self, what: str) -> str:
        """Parameters or epochs, as people read them."""
        found = {int(value) for value in self.at(what) if value is not None}
        return " to ".join(f"{value:,}" for value in sorted({min(found), max(found)})) if found else "-"


@dataclass(frozen=True, kw_only=True)
class Found:
    """All that a study found."""

    arms: Sequence[Row]
    """The first is the one that others are compared with."""
    stopped_at: Sequence[int | None]
    """The epoch that early stopping goes back to in each search of the first arm; None where the rule did not fire."""
    random: Sequence[Row]
    """Networks without a search, each with every seed."""
    uniform: Row
    controls: Sequence[Row]
    floors: Mapping[str, Mapping[str, float]]
    """By place."""
    genotypes: Mapping[str, Sequence[str | None]]
    lost: Sequence[str] = field(default_factory=tuple)
    """What is said of runs that diverged."""


def page_of(setting: TaskSetting, found: Found, describe: Sequence[str]) -> Result:
    """Table, sentences and figure; ``describe``: sentences about the runs."""
    table, score = setting.table, task_called(setting.task).score
    judged, digits = [place.name for place in table.places], table.digits
    places = ["validation", *judged]
    columns = [
        "network",
        "parameters",
        "epochs",
        "eigenvalue",
        f"one-shot {score.label}",
        *(f"{score.label}, {place}" for place in places),
        *(title for place in judged for title in (f"minus random, {place}", f"against random cells, {place}")),
    ]
    scored = [*found.arms, *found.controls]
    differences = {row.name: {at: _to_random(row, found.random, at) for at in judged} for row in scored}
    said = {row.name: {at: verdict(row, found.random, at, score) for at in judged} for row in scored}
    rows = []
    for row in [*found.arms, _together(found.random), found.uniform, *found.controls]:
        judgements = []
        for place in judged:
            difference = differences.get(row.name, {}).get(place)
            shown = "-" if difference is None else difference.shown(1, digits)
            judgements += [shown, said.get(row.name, {}).get(place, "-")]
        rows.append(
            [
                row.name,
                row.number("parameters"),
                row.number("epochs"),
                _shown(row.eigenvalue, 3),
                _shown(row.one_shot, digits),
                *(_shown(row.at(place), digits) for place in places),
                *judgements,
            ]
        )
    for name in {name: None for of_place in found.floors.values() for name in of_place}:
        values = [found.floors.get(place, {}).get(name) for place in places]
        shown = ["-" if value is None else f"{value:.{digits}f}" for value in values]
        rows.append([name, "-", "-", "-", "-", *shown, *["-"] * (2 * len(judged))])
    figure = f"robust-darts{setting.suffix}.png"
    draw_arms(
        setting.out / figure,
        {
            row.name: [value for value in row.at(judged[0]) if value is not None]
            for row in [*found.arms, *found.random, *found.controls]
        },
        {},
        quantity=f"{score.label}, {judged[0]}",
        ours="seeds",
    )
    return Result(
        title=table.title,
        source=table.source,
        table=Table(columns, rows),
        values={
            "arms": {row.name: _plain(row) for row in found.arms},
            "random": {row.name: _plain(row) for row in found.random},
            "frozen_uniform": _plain(found.uniform),
            "controls": {row.name: _plain(row) for row in found.controls},
            "floors": found.floors,
            "stopped_at": list(found.stopped_at),
            "genotypes": {
                name: [None if path is None else read_yaml(path)["genotype"] for path in paths]
                for name, paths in found.genotypes.items()
            },
            "minus_random": {
                name: {place: difference and difference.bounds() for place, difference in of_row.items()}
                for name, of_row in differences.items()
            },
            "against_random": said,
        },
        notes=[*_notes(setting, found, score, judged), *describe, *table.notes, *found.lost],
        figure=figure,
    )


def verdict(row: Row, random: Sequence[Row], place: str, score: Score) -> str:
    """What can be said of ``row`` against random networks, in a few words."""
    difference = _to_random(row, random, place)
    if difference is None:
        return "diverged"
    single = _means(random, place)
    own = mean(value for value in row.at(place) if value is not None)
    if min(single) <= own <= max(single):
        return "not told apart: within their range"
    if difference.n < 2:
        return "outside their range; one seed, not judged"
    if not difference.told_apart:
        return "not told apart"
    return "better" if (difference.mean > 0) == score.higher else "worse"


def _to_random(row: Row, random: Sequence[Row], place: str) -> Difference | None:
    """``row`` minus the mean of the random networks of the same seed."""
    own, theirs = row.at(place), zip(*(other.at(place) for other in random), strict=True)
    means = [[value for value in of_seed if value is not None] for of_seed in theirs]
    return paired_where_both(own, [mean(some) if some else None for some in means])


def _means(random: Sequence[Row], place: str) -> list[float]:
    """Of each random network, over its seeds."""
    found = [[value for value in row.at(place) if value is not None] for row in random]
    return [mean(values) for values in found if values] or [float("nan")]


def _together(random: Sequence[Row]) -> Row:
    """A row whose values are the means of single random networks, so that its spread is from one to the next."""
    trained = []
    for row in random:
        there = [found for found in row.trained if found is not None]
        if there:
            trained.append({name: mean(found[name] for found in there) for name in there[0]})
    return Row(f"random cells ({len(random)}; spread from cell to cell)", trained)


def _notes(setting: TaskSetting, found: Found, score: Score, judged: Sequence[str]) -> list[str]:
    table, plain = setting.table, found.arms[0]
    fired = [epoch for epoch in found.stopped_at if epoch is not None]
    went_back = f" (to epoch {', '.join(str(epoch + 1) for epoch in fired)})" if fired else ""
    notes = [
        f"Mean and sample standard deviation of {setting.counted_seeds}; each genotype is trained once, with the seed "
        f"of its search, and each random cell with every seed. Random cells, each the mean of its seeds, range from "
        f"{' and from '.join(_range(found.random, place, table.digits) for place in judged)}.",
        "Minus random: the difference to the mean of the random cells of the same seed, and its 95 % interval over "
        "seeds. A network is told from random cells where that leaves zero out and its own mean is outside of their "
        "range. No correction is made for the number of comparisons.",
        f"Early stopping by the {table.rule}'s rule, replayed on the searches of {plain.name}: it fired on "
        f"{len(fired)} of {len(found.stopped_at)}{went_back}. Where it did not, genotype and number are "
        f"{plain.name}'s.",
    ]
    alike = {place: size_and_score([*found.arms, *found.random], place) for place in judged}
    if told := [f"{value:+.2f} on {place}" for place, value in alike.items() if value is not None]:
        notes.append(
            f"Parameters and {score.label} of all trained genotypes, single seeds, have a rank correlation of "
            f"{', '.join(told)}: what a search does to sizes alone is in the differences above, too."
        )
    for row in found.arms[1:]:
        pairs = {"eigenvalue": (row.eigenvalue, plain.eigenvalue, 3)}
        if row.one_shot:
            pairs[f"one-shot {score.label}"] = (row.one_shot, plain.one_shot, table.digits)
        pairs |= {f"{score.label} on {place}": (row.at(place), plain.at(place), table.digits) for place in judged}
        told = [
            f"{what} {difference.shown(1, digits)}, {_apart(difference)}"
            for what, (ours, theirs, digits) in pairs.items()
            if (difference := paired_where_both(ours, theirs)) is not None
        ]
        notes.append(f"{row.name} minus {plain.name}, paired by seed: {'; '.join(told) or 'no pair is left'}.")
    return notes


def size_and_score(rows: Sequence[Row], place: str) -> float | None:
    """Spearman's rank correlation of parameters and score at ``place`` over all that was trained; None where sizes or
    scores are all the same, or fewer than three.

    >>> size_and_score([Row("own", [{"parameters": n, "test": n * n} for n in (1, 2, 4)])], "test")
    1.0
    """
    pairs = [(found["parameters"], found[place]) for row in rows for found in row.trained if found is not None]
    if len(pairs) < 3:
        return None
    return rank_correlation(*([pair[i] for pair in pairs] for i in (0, 1)))


def _range(random: Sequence[Row], place: str, digits: int) -> str:
    single = _means(random, place)
    return f"{min(single):.{digits}f} to {max(single):.{digits}f} on {place}"


def _apart(difference: Difference) -> str:
    if difference.n < 2:
        return "one seed, not judged"
    return "told apart" if difference.told_apart else "not told apart"


def _shown(values: Values, digits: int) -> str:
    return spread(values).shown(digits=digits) if values else "-"


def _plain(row: Row) -> dict[str, Any]:
    return {"trained": list(row.trained), "eigenvalue": list(row.eigenvalue), "one_shot": list(row.one_shot)}
