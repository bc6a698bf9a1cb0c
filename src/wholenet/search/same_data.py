"""A continued run goes on with the data that it was begun on, wherever that is now."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wholenet.data.sets import data_set, place_of
from wholenet.search.folder import Folder

SHOWN = 6
"""Differences that a message lists."""
WORDS = {
    "min_height": "smallest height",
    "min_width": "smallest width",
    "max_height": "largest height",
    "max_width": "largest width",
    "class_pixels": "pixels of class",
    "ignore_pixels": "ignored pixels",
    "mean": "mean of channel",
    "std": "standard deviation of channel",
}


def data_of(run: Folder, recorded: str, given: str | Path | None) -> str:
    """Where the data of ``run`` is: as ``given``, made absolute, or else as its config has ``recorded``.

    Raises:
        ValueError: if none is given, and what is recorded is not there any more.
    """
    if given is not None:
        return place_of(given)
    if data_set(recorded) is None and not Path(recorded).exists():
        by_name = "" if Path(recorded).is_absolute() else "if it is a data set by name, import what registers it; "
        raise ValueError(
            f"{recorded}, the data of {run.path}, is not there any more; {by_name}if it was moved, say where it is "
            f"now: `{run.resume_command} --data NEW`"
        )
    return recorded


def check_same(run: Folder, data: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Make sure that the facts found ``now`` about ``data``, by split, are those that ``run`` recorded ``before``.

    Raises:
        ValueError: if they are not; it says in words what differs.
    """
    if found := differences(before, now):
        more = f"; and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        what = "images" if any("images" in facts for facts in now.values() if isinstance(facts, Mapping)) else "data"
        raise ValueError(
            f"the {what} of {data} have changed since {run.path} was started: {'; '.join(found[:SHOWN])}{more}. Put "
            f"them back as they were (or, if they are elsewhere: `{run.resume_command} --data NEW`), or start a new run"
        )


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What differs between two sets of facts, in words.

    >>> differences({"val": {"images": 4, "class_pixels": [8, 2]}}, {"val": {"images": 3, "class_pixels": (8, 1)}})
    ['val images: 4 then, 3 now', 'val pixels of class 1: 2 then, 1 now']
    """
    then, found = dict(_flat(before)), dict(_flat(now))
    return [
        f"{name}: {then.get(name, 'none')} then, {found.get(name, 'none')} now"
        for name in dict.fromkeys([*then, *found])
        if then.get(name) != found.get(name)
    ]


def _flat(facts: Any, name: str = "") -> list[tuple[str, Any]]:
    if isinstance(facts, list | tuple) and all(isinstance(value, str) for value in facts):
        return [(name, ", ".join(facts))]
    if isinstance(facts, list | tuple):
        facts = {str(number): value for number, value in enumerate(facts)}
    if not isinstance(facts, Mapping):
        return [(name, facts)]
    return [pair for key, value in facts.items() for pair in _flat(value, f"{name} {WORDS.get(key, key)}".strip())]
