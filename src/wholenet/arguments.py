"""What stands between the words of a command line and a config: the parser, numbers with bounds, files of options.

Imports no torch.
"""

from __future__ import annotations

import argparse
import dataclasses
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NoReturn, get_args, get_origin, get_type_hints

import jsonargparse
from docstring_parser import parse_from_object

from wholenet.checked import bounds_of, check, names_of, near
from wholenet.files import read_yaml, shown


class ArgumentParser(jsonargparse.ArgumentParser):
    """jsonargparse's parser: options are written out in full, and errors fit on a screen and name what is allowed."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, allow_abbrev=False, print_config=None, **kwargs)  # ours is of a run's config

    def add_value(self, option: str, kind: Any, *, default: Any, help: str, to: Any = None) -> None:
        """Add an option whose value is of a ``kind`` that pydantic can check, such as those of ``wholenet.checked``."""
        choices = get_args(kind) if get_origin(kind) is Literal else ("true", "false") if kind is bool else ()
        metavar = f"{{{','.join(choices)}}}" if choices else None
        (to or self).add_argument(option, type=Typed(option, kind), default=default, help=help, metavar=metavar)

    def add_fields(self, config: type[Any], but: Sequence[str] = ()) -> None:
        """Add an option for every field of the dataclass ``config``, which are explained by their docstrings."""
        classes = [cls for cls in reversed(config.__mro__) if dataclasses.is_dataclass(cls)]
        explained = {part.arg_name: part.description for cls in classes for part in parse_from_object(cls).params}
        group = self.add_argument_group(str(config.__doc__).strip().splitlines()[0])
        hints = get_type_hints(config, include_extras=True)
        for field in dataclasses.fields(config):
            if field.name not in but:
                help = str(explained.get(field.name) or "A setting of the space.")
                self.add_value(f"--{field.name}", hints[field.name], default=field.default, help=help, to=group)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:  # noqa: ARG002
        """Say what is wrong and stop with status 2."""
        message = re.sub(r"Expected a typing\.Literal\[(.*?)\]", r"expected one of \1", message)
        message = re.sub(r"<class '(\w+)'>", r"\1", message)
        message = re.sub(r"^argument --\S+: (?=--)", "", message)  # of Typed, which names the option itself
        if unknown := re.search(r"[Uu]nrecognized arguments: (--[\w-]+)", message):
            known = sorted(option for action in self._actions for option in action.option_strings if option[:2] == "--")
            known = [option.replace("_", "-") for option in known]
            if question := near(unknown[1].replace("_", "-"), known):
                message += "\n" + question.strip(" ()").replace("did", "Did", 1)
            message += f"\nKnown options: {' '.join(known)}"
        sys.stderr.write(f"{self.prog.replace(' [options]', '')}: {message}\n")
        raise SystemExit(2)


@dataclass(frozen=True)
class Typed:
    """Reads the text behind an option. It is never taken for YAML: text is a number, a word or a path."""

    option: str
    kind: Any

    def __call__(self, text: str) -> Any:
        """The value.

        Raises:
            argparse.ArgumentTypeError: if it does not do.
        """
        if text == "null" and type(None) in get_args(self.kind):
            return None
        try:
            return check(self.option.replace("_", "-"), text, self.kind, strict=False)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    def __str__(self) -> str:
        """For ``--help``."""
        if get_origin(self.kind) is Literal:
            return "one of these"
        bounds = bounds_of(self.kind)
        return " or ".join(names_of(self.kind)) if bounds is None else f"{names_of(self.kind)[0]}, {bounds}"


def options_in(files: Sequence[str] | None, known: Iterable[str] | None) -> dict[str, Any]:
    """The options in YAML files, later files over earlier; what is typed comes on top of them.

    Args:
        files: what ``--config`` was given, each time.
        known: names of options that may be there; None: any.

    Raises:
        ValueError: for a file that cannot be read, or holds anything else than options; with the file.
    """
    known = None if known is None else list(dict.fromkeys(known))
    found: dict[str, Any] = {}
    for file in files or ():
        try:
            values = read_yaml(file)
        except OSError as error:
            raise ValueError(f"--config {file} cannot be read: {error}") from error
        if not isinstance(values, dict):
            raise ValueError(f"{file}: expected options with their values, found {shown(values)}")
        for name in values:
            if known is not None and name not in known:
                raise ValueError(f"{file}: unknown option {shown(name)}{near(name, known)}; known: {', '.join(known)}")
        found |= values
    return found
