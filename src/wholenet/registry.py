"""Things of one kind by name, open to users: spaces, tasks, methods, operations. Imports no torch."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from importlib import import_module
from typing import Any, Generic, TypeVar

from wholenet.files import SHOWN, shown

T = TypeVar("T")


def is_name(text: str) -> bool:
    """Whether things can be registered by it: it holds letters, digits, "-", "_" and "." alone."""
    return text.replace("-", "a").replace(".", "a").replace("_", "a").isalnum()


def later(place: str) -> Callable[..., Any]:
    """The function at ``place``, such as "math:sqrt", for a table that imports nothing of what it names: its module is
    imported when it is first called.

    >>> later("math:sqrt")(4)
    2.0
    """
    return partial(_call, place)


def _call(place: str, /, *args: Any, **kwargs: Any) -> Any:
    module, name = place.split(":")
    return getattr(import_module(module), name)(*args, **kwargs)


class UnknownName(KeyError, ValueError):
    """Nothing of that name is registered; the message lists the near and the known."""

    def __str__(self) -> str:
        return str(self.args[0])


class Registry(Mapping[str, T], Generic[T]):
    """A mapping that is only added to.

    Args:
        kind: what its things are, for messages: "operation".
        known: what it begins with.
        load: registers more; called when a name is not known, and when the names are listed. It says what it could not
            load, by name.

    >>> operations = Registry("operation", {"skip": 1, "conv": 2})
    >>> operations["skipp"]
    Traceback (most recent call last):
        ...
    wholenet.registry.UnknownName: unknown operation 'skipp'; did you mean 'skip'? Known: skip, conv
    """

    def __init__(
        self, kind: str, known: Mapping[str, T] | None = None, load: Callable[[], Mapping[str, str]] | None = None
    ) -> None:
        self.kind = kind
        self._known = dict(known or {})
        self._load = load or dict

    def add(self, name: str, thing: T) -> None:
        """Let ``name`` stand for ``thing``.

        Raises:
            ValueError: if it stands for something else already, or is no name.
        """
        self.check_free(name, thing)
        self._known[name] = thing

    def check_free(self, name: str, thing: T) -> None:
        """Make sure that ``name`` can stand for ``thing``.

        Raises:
            ValueError: see :meth:`add`.
        """
        if not is_name(name):
            raise ValueError(f"{self.kind} {name!r}: expected a name of letters, digits, '-', '_' and '.'")
        if name in self._known and self._known[name] is not thing:
            raise ValueError(f"there is a {self.kind} {name!r} already; register yours under another name")

    def remove(self, name: str) -> None:
        """Forget ``name``."""
        del self._known[name]

    def called(self, name: str, also: Sequence[str] = ()) -> T:
        """The thing of a ``name`` that people gave; ``also``: what they may mean that is not kept here.

        Raises:
            UnknownName: if there is none; it says how one of somebody's own gets known.
        """
        if name in self:
            return self._known[name]
        raise UnknownName(
            f"{self._unknown(name, also)}. If it is somebody's own, the module that registers it has to be imported "
            "first: --import MODULE"
        )

    def __getitem__(self, name: str) -> T:
        if name in self:
            return self._known[name]
        raise UnknownName(self._unknown(name))

    def _unknown(self, name: str, also: Sequence[str] = ()) -> str:
        names = [*self._known, *also]
        near = difflib.get_close_matches(name[:SHOWN], names, n=3) if isinstance(name, str) else []
        meant = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
        known = "; ".join([", ".join(names) or "none", *self._load().values()])
        return f"unknown {self.kind} {shown(name)}; {meant}{'K' if meant else 'k'}nown: {known}"

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and (name in self._known or name in self._all())

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def _all(self) -> dict[str, T]:
        self._load()
        return self._known
