"""Values that are checked where they are declared: bounds at the field, by pydantic; what is wrong in one sentence.

Imports no torch: the command line reads it.

A field with a number has a kind with both bounds, such as :data:`Share` or :data:`Seed`. A bool is no number, text is
none, an int is fine as a float, and numbers are finite.
"""

from __future__ import annotations

import dataclasses
import difflib
import inspect
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, wraps
from typing import Annotated, Any, Literal, TypeVar, Union, dataclass_transform, get_args, get_origin, get_type_hints

import annotated_types
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as pydantic_dataclass

from wholenet.files import SHOWN, shown

Made = TypeVar("Made")
Call = TypeVar("Call", bound=Callable[..., Any])

# Upper bounds are far above anything of use: they are there for slips, and for what would overflow further down.
Count = Annotated[int, Field(ge=1, le=1_000_000)]
"""Of what there is at least one of: epochs, rounds."""
CountOrNone = Annotated[int, Field(ge=0, le=1_000_000)]
"""The same, where 0 has a meaning of its own."""
Batch = Annotated[int, Field(ge=1, le=65_536)]
Images = Annotated[int, Field(ge=0, le=1_000_000_000)]
Seed = Annotated[int, Field(ge=0, le=2**63 - 1)]
"""What torch takes."""
Jobs = Annotated[int, Field(ge=0, le=4096)]
"""Processes or threads; 0 is for somebody else to choose."""
Side = Annotated[int, Field(ge=1, le=1 << 20)]
"""Height or width in pixels."""
Pixels = Annotated[int, Field(ge=0, le=4096)]
"""Within an image that a classifier learns from."""
Channels = Annotated[int, Field(ge=1, le=4096)]
EvenChannels = Annotated[int, Field(ge=2, le=4096, multiple_of=2)]
Groups = Annotated[int, Field(ge=1, le=2048)]
"""Of channels."""
Cells = Annotated[int, Field(ge=3, le=200)]
"""Of a network of cells; two of them reduce."""
Stages = Annotated[int, Field(ge=1, le=16)]
"""Searches that follow each other."""
Stage = Annotated[int, Field(ge=0, le=15)]
"""One of them."""
SkipLimit = Annotated[int, Field(ge=0, le=8)]
"""Skip connections in a cell, of DARTS' eight edges."""
Megapixels = Annotated[float, Field(gt=0, le=100_000)]
Share = Annotated[float, Field(ge=0, le=1)]
PredictionZoom = Annotated[float, Field(ge=0.1, le=1)]
"""Of a whole image, over its own size; in hundredths."""
InnerShare = Annotated[float, Field(gt=0, lt=1)]
BelowOne = Annotated[float, Field(ge=0, lt=1)]
Rate = Annotated[float, Field(gt=0, le=100)]
"""A learning rate."""
Strength = Annotated[float, Field(ge=0, le=1_000_000)]
"""Of a penalty; a norm."""
Decay = Annotated[float, Field(ge=0, le=100)]
Spread = Annotated[float, Field(gt=0)]
"""A standard deviation that is divided by."""
Tolerance = Annotated[float, Field(gt=0, lt=1)]
PlannedMinutes = Annotated[float, Field(ge=0.1, le=100_000)]
"""Of a whole run."""
Minutes = Annotated[float, Field(ge=0, le=1_000_000)]
Threads = Annotated[int, Field(ge=1, le=4096)]
Classes = Annotated[int, Field(ge=1, le=100_000)]
"""ImageNet's largest release has 21841."""
Overlap = Annotated[int, Field(ge=0, le=1 << 20)]
"""Of tiles, in pixels."""
DisparityScale = Annotated[float, Field(gt=0, le=1_000_000)]
"""Pixels of disparity that one unit in a file stands for."""
Disparity = Annotated[float, Field(ge=1, le=1_000_000)]
"""Largest, in pixels."""
Dropped = Annotated[float, Field(gt=0, le=1)]
"""The weight below which edges are dropped."""

STRICT = ConfigDict(strict=True, allow_inf_nan=False, extra="forbid", arbitrary_types_allowed=True)
TOLD = 5
"""Most errors in one message."""


# ---- dataclasses and functions


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(dataclasses.field,))
def checked(cls: type[Made]) -> type[Made]:
    """Make ``cls`` a frozen, keyword-only dataclass whose fields are checked when it is built, ``replace`` included.

    What is wrong is a ValueError of one sentence, such as ``epochs=0: expected at least 1``. ``__post_init__`` comes
    after the fields are known to be good.
    """
    return _spoken(pydantic_dataclass(frozen=True, kw_only=True, config=STRICT)(cls))


@dataclass_transform(frozen_default=True, field_specifiers=(dataclasses.field,))
def checked_in_order(cls: type[Made]) -> type[Made]:
    """:func:`checked`, with fields that can be given by their place."""
    return _spoken(pydantic_dataclass(frozen=True, config=STRICT)(cls))


def _spoken(cls: Any) -> Any:
    init = cls.__init__

    @wraps(init)
    def speaking(self: Any, *args: Any, **kwargs: Any) -> None:
        try:
            init(self, *args, **kwargs)
        except ValidationError as error:
            raise ValueError(sentence(error, _hints(cls))) from None
        for name, value in kwargs.items():  # 1 stays 1 where 1.0 is as good: studies name folders after what was given
            if type(value) is int and type(getattr(self, name)) is float:
                object.__setattr__(self, name, value)

    cls.__init__ = speaking
    return cls


def checked_numbers(function: Call) -> Call:
    """Check the numbers among the arguments of ``function`` against the bounds in its signature.

    Raises of what it returns:
        ValueError: naming the argument, what it is and what was expected.
    """
    signature = inspect.signature(function)

    @wraps(function)
    def checking(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)
        for name, hint in _hints(function).items():
            if name in bound.arguments and bounds_of(hint) is not None:
                check(name, bound.arguments[name], hint)
        return function(*args, **kwargs)

    return checking  # pyright: ignore[reportReturnType]


def check(name: str, value: Any, hint: Any, *, strict: bool = True) -> Any:
    """``value`` as ``hint`` has it; text is read as the command line reads it where the check is not ``strict``.

    Raises:
        ValueError: naming ``name``, what it is and what was expected.

    >>> check("noise", 1e30, Share)
    Traceback (most recent call last):
    ValueError: noise=1e+30: expected a share in [0, 1]
    """
    try:
        return _adapter(hint).validate_python(value, strict=strict)
    except ValidationError as error:
        found = error.errors()[0]
        if places := [f"[{place}]" for place in found["loc"] if isinstance(place, int)]:  # within a list
            raise ValueError(
                f"{name}{''.join(places)}={shown(found['input'])}: expected {_expected(found, None)}"
            ) from None
        text = shown(value) if strict else str(value)[:SHOWN]
        raise ValueError(f"{name}={text}: expected {_expected(found, hint)}") from None


def built(kind: type[Made], values: Any, *, whole: bool = False) -> Made:
    """The dataclass ``kind`` of :func:`checked` whose fields are the ``values`` of a file; of a ``whole`` one, none is
    left to its default.

    Raises:
        ValueError: if they are no fields of its, one is missing, or a value does not do.
    """
    if not isinstance(values, Mapping):
        raise ValueError(f"expected fields with their values, found {shown(values)}")
    if odd := [name for name in values if not isinstance(name, str)]:
        raise ValueError(_unknown(odd, _hints(kind)))
    if whole and (lacking := [name for name in _hints(kind) if name not in values]):
        raise ValueError(missing(lacking))
    return kind(**values)


def settings_from(
    kind: type[Made], values: Mapping[str, Any], of: str, *, whole: bool = False, added: Iterable[str] = ()
) -> Made:
    """The dataclass ``kind`` with these values, each of which is checked by its type: somebody's own need not do that.

    Args:
        kind: numbers, words and truth values.
        values: by name.
        of: what has these settings, for messages: "space 'mine'".
        whole: leave none to its default, but for those that were ``added``.
        added: see ``whole``.

    Raises:
        ValueError: for one that is unknown, missing or does not do.
    """
    known, hints = [field.name for field in dataclasses.fields(kind)], _hints(kind)  # pyright: ignore[reportArgumentType]
    if whole and (lacking := [name for name in known if name not in values and name not in added]):
        raise ValueError(missing(lacking))
    if unknown := [name for name in values if name not in known]:
        raise ValueError(f"{of} has no setting {shown(unknown[0])}; known: {', '.join(known) or 'none'}")
    return kind(**{name: check(name, value, hints[name]) for name, value in values.items()})


@cache
def _hints(annotated: Any) -> dict[str, Any]:
    return get_type_hints(annotated, include_extras=True)


@cache
def _adapter(hint: Any) -> TypeAdapter[Any]:
    return TypeAdapter(hint, config=ConfigDict(allow_inf_nan=False))


# ---- bounds


@dataclasses.dataclass(frozen=True)
class Bounds:
    """The numbers that a field may hold."""

    low: float | None
    high: float | None
    above: bool
    """Whether ``low`` itself is left out."""
    below: bool
    """Whether ``high`` itself is."""

    def __str__(self) -> str:
        """Both of them, as messages and ``--help`` say it."""
        if self.share and self.above and self.below:
            return "a share strictly between 0 and 1"
        if self.share:
            return (
                f"{'a number' if self.above or self.below else 'a share'} in {'[('[self.above]}0, 1{'])'[self.below]}"
            )
        low = f"above {_number(self.low)} to" if self.above else f"{_number(self.low)} to"
        return f"{low} {'below ' * self.below}{_number(self.high)}"

    @property
    def share(self) -> bool:
        """Whether they are 0 and 1."""
        return (self.low, self.high) == (0, 1)


def bounds_of(hint: Any) -> Bounds | None:
    """The bounds in the type of a field; None if it has none."""
    found: dict[str, Any] = {}
    for part in _metadata(hint):
        for name, kind in (
            ("ge", annotated_types.Ge),
            ("gt", annotated_types.Gt),
            ("le", annotated_types.Le),
            ("lt", annotated_types.Lt),
        ):
            if isinstance(part, kind):
                found[name] = getattr(part, name)
    if not found:
        return None
    return Bounds(found.get("ge", found.get("gt")), found.get("le", found.get("lt")), "gt" in found, "lt" in found)


def _metadata(hint: Any) -> Iterable[Any]:
    if get_origin(hint) is Annotated:
        for part in hint.__metadata__:
            yield from getattr(part, "metadata", [part])
    elif get_origin(hint) in (Union, types.UnionType):
        for part in get_args(hint):
            yield from _metadata(part)


# ---- sentences


def sentence(error: ValidationError, hints: Mapping[str, Any]) -> str:
    """What pydantic found, as all messages say it: what there is, what was expected."""
    found = error.errors(include_url=False)
    unknown = [e["loc"][0] for e in found if e["type"] == "unexpected_keyword_argument"]
    lacking = [str(e["loc"][0]) for e in found if e["type"] == "missing"]
    told = [_unknown(unknown, hints)] * bool(unknown)
    told += [missing(lacking)] * bool(lacking)
    for e in found:
        if e["type"] == "value_error":  # of __post_init__, and ours
            told.append(str(e.get("ctx", {}).get("error", e["msg"])))
        elif e["type"] not in ("unexpected_keyword_argument", "missing"):
            name, *inner = e["loc"]
            name = list(hints)[name] if isinstance(name, int) and name < len(hints) else name  # given by its place
            where = f"{name}{''.join(f'[{shown(i)}]' for i in inner if i != '[key]')}"
            hint = None if inner else hints.get(str(name))
            told.append(f"{where}={shown(e['input'])}: expected {_expected(e, hint)}")
    return "; ".join(told[:TOLD])


def missing(names: Sequence[str]) -> str:
    """What is said of fields that have no value, and no default.

    >>> missing(["data", "out"])
    'data, out missing; give them values'
    """
    return f"{', '.join(names)} missing; give {'it a value' if len(names) == 1 else 'them values'}"


def near(name: Any, known: Iterable[str]) -> str:
    """A question after those of ``known`` that ``name`` may have meant; empty if there are none.

    >>> near("epocs", ["epochs", "lr"])
    ' (did you mean epochs?)'
    """
    text, known = str(name), list(known)
    begun = [one for one in known if text.strip("-") and one.startswith(text)]
    likely = begun[:3] or difflib.get_close_matches(text[:SHOWN], known, n=3)
    return f" (did you mean {' or '.join(likely)}?)" if likely else ""


def _unknown(names: Iterable[Any], hints: Mapping[str, Any]) -> str:
    listed = [f"{shown(name)}{near(name, hints)}" for name in names]
    return f"unknown field{'s' * (len(listed) > 1)} {', '.join(listed[:TOLD])}; known: {', '.join(hints)}"


def _expected(error: Any, hint: Any) -> str:
    kind, ctx = error["type"], error.get("ctx", {})
    bounds = None if hint is None else bounds_of(hint)
    if kind in ("greater_than_equal", "greater_than", "less_than_equal", "less_than"):
        if bounds is not None and bounds.share:
            return str(bounds)
        limit = ctx[
            {"greater_than_equal": "ge", "greater_than": "gt", "less_than_equal": "le", "less_than": "lt"}[kind]
        ]
        if kind == "greater_than_equal" and limit == 0:
            return "0 or more"
        words = {"greater_than_equal": "at least", "greater_than": "above", "less_than_equal": "at most"}
        return f"{words.get(kind, 'below')} {_number(limit)}"
    too_long = kind == "float_type" and type(error["input"]) is int  # for a float to hold
    if bounds is not None and (too_long or kind == "int_parsing_size"):
        return str(bounds)
    if kind == "too_short":
        return f"at least {ctx['min_length']} values, found {ctx['actual_length']}"
    if kind == "too_long":
        return f"at most {ctx['max_length']} values, found {ctx['actual_length']}"
    if kind == "unexpected_positional_argument":
        return "every value by its name"
    if kind == "multiple_of":
        return f"a multiple of {ctx['multiple_of']}"
    if kind == "finite_number":
        return "a finite number"
    if kind == "literal_error":
        choices = get_args(hint) if get_origin(hint) is Literal else ()
        likely = near(error["input"], map(str, choices)) if isinstance(error["input"], str) else ""
        return f"one of {', '.join(map(repr, choices)) or ctx['expected']}{likely}"
    if hint is not None and kind.endswith("_parsing"):
        return names_of(hint)[0]
    if kind.endswith("_type"):
        names = [kind.removesuffix("_type").replace("string", "str")] if hint is None else names_of(hint)
        return f"{' or '.join(names)}, found {type(error['input']).__name__}"
    return error["msg"].removeprefix("Input should be ")


def names_of(hint: Any) -> list[str]:
    """The types in the type of a field.

    >>> names_of(str | None)
    ['str', 'None']
    """
    if get_origin(hint) is Annotated:
        return names_of(get_args(hint)[0])
    if get_origin(hint) in (Union, types.UnionType):
        return [name for part in get_args(hint) for name in names_of(part)]
    if get_origin(hint) is Literal:
        return [repr(value) for value in get_args(hint)]
    return ["None" if hint in (None, type(None)) else getattr(get_origin(hint) or hint, "__name__", str(hint))]


def _number(value: Any) -> str:
    return f"{int(value):,}" if float(value).is_integer() else f"{value:g}"
