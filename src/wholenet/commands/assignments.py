"""``--set NAME=VALUE``: options of ``fit`` for every run of a study or a sweep."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from wholenet.files import SHOWN, parse_yaml
from wholenet.signatures import Shown

Assignments = Annotated[Sequence[str], Shown(option="set", metavar="NAME=VALUE")]


def assigned(text: str, known: Sequence[str] | None = None) -> tuple[str, Any]:
    """Name and value; None knows all names.

    Raises:
        ValueError: for a text of another form, or a name that is not ``known``.
    """
    name, equals, value = text.partition("=")
    name = name.strip().replace("-", "_")
    if not equals or (known is not None and name not in known):
        among = "" if known is None else f" with one of {', '.join(known)}"
        raise ValueError(f"--set {text[:SHOWN]}: expected NAME=VALUE{among}")
    try:
        return name, parse_yaml(value)
    except ValueError as error:
        raise ValueError(f"--set {name}: {error}") from error
