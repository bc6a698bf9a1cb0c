"""What a mapping in a file holds: its keys, and values of the kinds that are declared for them, by pydantic. Imports no
torch: the command line reads it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any

from pydantic import Field

from wholenet.checked import check
from wholenet.files import shown


def check_keys(values: Any, hints: Mapping[str, Any], where: str, *, only: bool = False) -> None:
    """Make sure that the ``values`` of a file are a mapping with these keys, and values that their ``hints`` allow;
    ``only`` these keys.

    Raises:
        ValueError: naming ``where`` it is, the key, what it has and what was expected.

    >>> from wholenet.checked import Seed
    >>> check_keys({"seed": -1}, {"seed": Seed}, "config.json")
    Traceback (most recent call last):
    ValueError: config.json: seed=-1: expected 0 or more
    """
    if not isinstance(values, dict):
        raise ValueError(f"{where} is {shown(values)}; expected a mapping with {', '.join(hints)}")
    for name, hint in hints.items():
        if name not in values:
            raise ValueError(
                f"{where} has no {name!r}; expected {', '.join(hints)}. Was it written by another version?"
            )
        check(f"{where}: {name}", values[name], hint)
    if only and (unknown := [key for key in values if key not in hints]):
        raise ValueError(f"{where} has an unknown {shown(unknown[0])}; known: {', '.join(hints)}")


@cache
def numbers(count: int, each: Any = float) -> Any:
    """The type of a list of so many finite numbers; ``each``: theirs."""
    return Annotated[list[each], Field(min_length=count, max_length=count)]
