"""A command is a function: its parser is made from its signature, its type hints and its docstring. Imports no torch.

Parameters that may be given by their place are words, the others options. A bool is a switch, a ``Literal`` a choice, a
list may be given several times, and a number has the bounds of its kind (``wholenet.checked``). What a docstring says
under ``Args`` is the help. A config's fields are the options of ``**options: Annotated[Any, Fields(config)]``.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import docstring_parser

from wholenet.arguments import ArgumentParser, as_typed, is_switch
from wholenet.checked import bounds_of
from wholenet.option_files import OptionFiles
from wholenet.search.option_groups import FIRST, GROUPS


@dataclass(frozen=True)
class Shown:
    """How a parameter looks on the command line, where that does not follow from its name and type."""

    option: str | None = None
    metavar: str | None = None
    choices: Collection[str] = ()
    """A mapping says of each what it is."""
    rare: bool = False
    """Left to ``--help-all``."""


@dataclass(frozen=True)
class Fields:
    """Options that are the fields of a config."""

    config: type[Any]
    but: Collection[str] = ()
    """Fields that are none."""
    told: Mapping[str, Callable[[], str]] = field(default_factory=dict)
    """What makes the help of a field, where not its docstring is it."""


def parser_of(
    command: Callable[..., None],
    settings: Mapping[str, type[Any]] = MappingProxyType({}),
    meaningless: Collection[str] = (),
) -> ArgumentParser:
    """The parser of ``command``.

    Args:
        command: a function whose docstring explains each parameter.
        settings: "space" or "task" -> the class of its settings, where that is from outside: more options.
        meaningless: fields of the config that are no options because of that.
    """
    told = docstring_parser.parse(inspect.getdoc(command) or "")
    names = setting_names(command)
    helps = {part.arg_name: as_typed(_joined(part.description), names) for part in told.params}
    config = config_of(command)
    rare = None if config is None else _rare(command, config)
    parser = ArgumentParser(description=_joined(told.short_description, told.long_description), rare=rare)
    for name, (parameter, hint, shown) in _parameters(command).items():
        _add_parameter(parser, name, parameter, hint, shown, helps[name])
    if config is not None:
        _add_fields(parser, config, meaningless)
    for what, own in settings.items():
        group = parser.add_argument_group(f"Settings of the {what}")
        for one, text in _explained(own):
            parser.add_value(f"--{one.name}", _hints(own)[one.name], default=one.default, help=text, to=group)
    return parser


def option_names(command: Callable[..., None]) -> list[str]:
    """The options of ``command`` that take a value, without their dashes."""
    named = [
        shown.option or name
        for name, (parameter, hint, shown) in _parameters(command).items()
        if parameter.kind is parameter.KEYWORD_ONLY and hint is not bool
    ]
    return [*named, *_field_names(command)]


def switches_of(config: type[Any]) -> set[str]:
    """The fields of a dataclass that are switched on by their name alone."""
    return {one.name for one in dataclasses.fields(config) if is_switch(_hints(config)[one.name])}


def setting_names(command: Callable[..., None]) -> set[str]:
    """Everything that messages may call an option of ``command`` by: its parameters, and the fields of its config."""
    named = {name for name, (one, *_) in _parameters(command).items() if one.kind is one.KEYWORD_ONLY}
    return named | set(_field_names(command))


def _field_names(command: Callable[..., None]) -> list[str]:
    config = config_of(command)
    return [] if config is None else [one.name for one in dataclasses.fields(config.config)]


def config_of(command: Callable[..., None]) -> Fields | None:
    """The fields that are options of ``command``; None if there are none."""
    found = [part for hint in _hints(command).values() for part in _metadata(hint) if isinstance(part, Fields)]
    return found[0] if found else None


def _parameters(command: Callable[..., None]) -> dict[str, tuple[inspect.Parameter, Any, Shown]]:
    """Name -> the parameter, its type, how it is shown; without ``**options``."""
    found = {}
    for name, parameter in inspect.signature(command).parameters.items():
        if parameter.kind is not parameter.VAR_KEYWORD:
            hint = _hints(command)[name]
            shown = next((part for part in _metadata(hint) if isinstance(part, Shown)), None)
            found[name] = (parameter, hint if shown is None else get_args(hint)[0], shown or Shown())
    return found


def _add_parameter(
    parser: ArgumentParser, name: str, parameter: inspect.Parameter, hint: Any, shown: Shown, help: str
) -> None:
    required = parameter.default is parameter.empty
    several = get_origin(hint) in (list, Sequence)
    choices = _literals(hint) or list(shown.choices)
    if isinstance(shown.choices, Mapping):
        help = f"{help} {'; '.join(f'{one}: {_as_options(what)}' for one, what in shown.choices.items())}."
    more: dict[str, Any] = {"help": help, **({"choices": choices} if choices else {})}
    if parameter.kind is not parameter.KEYWORD_ONLY:
        many = {"nargs": "+" if required else "*"} if several else {} if required else {"nargs": "?", "default": None}
        parser.add_argument(name, **many, **more)
        return
    option = f"--{shown.option or name}"
    if bounds_of(hint) is not None:
        parser.add_value(option, hint, default=parameter.default, help=help)
    elif hint is bool:
        parser.add_argument(option, dest=name, action="store_true", **more)
    elif several or hint is OptionFiles:
        empty = [] if several else None
        parser.add_argument(option, dest=name, metavar=shown.metavar, action="append", default=empty, **more)
    else:
        more |= {"required": True} if required else {"default": parameter.default}
        parser.add_argument(option, dest=name, metavar=shown.metavar, **more)


def _as_options(settings: Any) -> str:
    """What a choice is; settings as they are typed."""
    if not isinstance(settings, Mapping):
        return str(settings)
    return as_typed(", ".join(f"{name}={value!r}" for name, value in settings.items()), settings).replace("=", " ")


def _literals(hint: Any) -> list[Any]:
    """What a ``Literal`` offers, which may be optional."""
    parts = [part for part in (hint, *get_args(hint)) if get_origin(part) is Literal]
    return list(get_args(parts[0])) if parts else []


def _add_fields(parser: ArgumentParser, config: Fields, meaningless: Collection[str]) -> None:
    """Add an option for every field of a config, in groups; a field of somebody else's config may be in none."""
    explained = dict(_explained(config.config))
    fields = {one.name: one for one in explained}
    left = {name for name in fields if name not in config.but and name not in meaningless}
    grouped = {name for names in GROUPS.values() for name in names}
    for heading, names in {**GROUPS, "More": [name for name in fields if name not in grouped]}.items():
        group = parser.add_argument_group(heading)
        for name in (name for name in names if name in left):
            one = fields[name]
            help = config.told[name]() if name in config.told else as_typed(explained[one], fields)
            parser.add_value(f"--{name}", _hints(config.config)[name], default=one.default, help=help, to=group)


@cache
def _explained(config: type[Any]) -> Sequence[tuple[dataclasses.Field[Any], str]]:
    """The fields of a dataclass with their docstrings."""
    classes = [cls for cls in reversed(config.__mro__) if dataclasses.is_dataclass(cls)]
    told = {part.arg_name: part.description for cls in classes for part in _field_docstrings(cls)}
    return tuple((one, str(told.get(one.name) or "A setting.")) for one in dataclasses.fields(config))


@cache
def _field_docstrings(config: type[Any]) -> Sequence[docstring_parser.DocstringParam]:
    try:
        return docstring_parser.parse_from_object(config).params
    except (OSError, TypeError):  # a class of a notebook, whose source is in no file
        return ()


def _rare(command: Callable[..., None], config: Fields) -> set[str]:
    """Parameters and fields that ``--help`` leaves to ``--help-all``."""
    own = _parameters(command)
    of_config = {one.name for one in dataclasses.fields(config.config)} - set(own)
    return {name for name, (_, _, shown) in own.items() if shown.rare} | (of_config - FIRST)


def _joined(*texts: str | None) -> str:
    return " ".join(" ".join(text or "" for text in texts).split())


@cache
def _hints(annotated: Any) -> dict[str, Any]:
    return get_type_hints(annotated, include_extras=True)


def _metadata(hint: Any) -> Sequence[Any]:
    return hint.__metadata__ if get_origin(hint) is Annotated else ()
