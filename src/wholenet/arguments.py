"""What stands between the words of a command line and a config: the parser, and numbers with bounds.

Imports no torch.
"""

from __future__ import annotations

import argparse
import re
import shlex
import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any, Literal, NoReturn, get_args, get_origin

import jsonargparse

from wholenet.checked import bounds_of, check, names_of, near


class ArgumentParser(jsonargparse.ArgumentParser):
    """jsonargparse's parser: options are written out in full, errors fit on a screen and name what is allowed."""

    def __init__(self, *args: Any, rare: Collection[str] | None = None, **kwargs: Any) -> None:
        """``rare``: the parameters that ``--help`` leaves to ``--help-all``; None makes no ``--help-all``."""
        self.rare: Collection[str] = () if rare is None else rare
        self.elsewhere: Callable[[str], str | None] = lambda _: None
        """What an option that is not known here is of, in a sentence; None where nothing has it."""
        # print_config: ours is of a run's config
        super().__init__(*args, allow_abbrev=False, print_config=None, add_help=False, **kwargs)
        if rare is None:
            self.add_argument("-h", "--help", action=FullHelp, help="Show this help message and exit.")
        else:
            self.add_argument("-h", "--help", action=ShortHelp, help="Show what a first run needs, and exit.")
            self.add_argument("--help_all", action=FullHelp, help="Show all options, and exit.")

    def add_value(self, option: str, kind: Any, *, default: Any, help: str, to: Any = None) -> None:
        """Add an option whose value is of a ``kind`` that pydantic can check, such as those of ``wholenet.checked``."""
        choices = get_args(kind) if get_origin(kind) is Literal else ("true", "false") if is_switch(kind) else ()
        metavar = f"{{{','.join(choices)}}}" if choices else None
        (to or self).add_argument(option, type=Typed(option, kind), default=default, help=help, metavar=metavar)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:  # noqa: ARG002
        """Say what is wrong and stop with status 2."""
        message = re.sub(r"Expected a typing\.Literal\[(.*?)\]", r"expected one of \1", message)
        message = re.sub(r"<class '(\w+)'>", r"\1", message)
        message = re.sub(r"^argument --\S+: (?=--)", "", message)  # of Typed, which names the option itself
        message = re.sub(r"--\w+", lambda found: found[0].replace("_", "-"), message)
        if unknown := re.search(r"[Uu]nrecognized arguments: (--[\w-]+)", message):
            message += "\n" + (self.elsewhere(unknown[1]) or self._near(unknown[1]))
        sys.stderr.write(f"{self.prog.replace(' [options]', '')}: {message}\n")
        raise SystemExit(2)

    def _near(self, unknown: str) -> str:
        """The options there are, and those that are called like one that is not."""
        known = sorted(option for action in self._actions for option in action.option_strings if option[:2] == "--")
        known = [option.replace("_", "-") for option in known]
        question = near(unknown, known).strip(" ()").replace("did", "Did", 1)
        return (f"{question}\n" if question else "") + f"Known options: {' '.join(known)}"


class FullHelp(argparse._HelpAction):
    """Prints the help, with options as people type them, and exits."""

    def __call__(self, parser: Any, *args: Any, **kwargs: Any) -> None:
        """Print it."""
        for action in parser._actions:
            action.option_strings = [option.replace("_", "-") for option in action.option_strings]
        if parser.rare:  # too many for a line of usage
            words = "".join(f"[{action.dest.upper()}] " for action in parser._actions if not action.option_strings)
            parser.usage = f"{parser.prog.replace(' [options]', '')} {words}[options]"
        super().__call__(parser, *args, **kwargs)


class ShortHelp(FullHelp):
    """Leaves out the options that are rare."""

    def __call__(self, parser: Any, *args: Any, **kwargs: Any) -> None:
        """Print it."""
        rare = [action for action in parser._actions if action.dest in parser.rare]
        for action in rare:
            action.help = argparse.SUPPRESS
        parser.epilog = f"{len(rare)} more options are shown by --help-all."
        super().__call__(parser, *args, **kwargs)


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


def is_switch(kind: Any) -> bool:
    """Whether a value of this kind is yes or no, or is left to what it depends on.

    >>> is_switch(bool), is_switch(bool | None), is_switch(int | None)
    (True, True, False)
    """
    return kind is bool or set(get_args(kind)) == {bool, type(None)}


def as_python_names(words: Sequence[str], switches: Collection[str]) -> list[str]:
    """The words with options named as fields are in Python: ``--arch-lr`` is ``--arch_lr``; one of the ``switches``
    alone is switched on.

    >>> as_python_names(["--arch-lr", "1", "--control", "x-y"], {"control"})
    ['--arch_lr', '1', '--control=true', 'x-y']
    """
    out = []
    for word, following in pairwise([*words, ""]):
        name, equals, value = word.partition("=")
        if name.startswith("--"):
            name = "--" + name[2:].replace("-", "_")
        if name[:2] == "--" and name[2:] in switches and not equals and following not in ("true", "false"):
            equals, value = "=", "true"
        out.append(name + equals + value)
    return out


_IN_A_FILE = re.compile(r".{0,4000}?\.(ya?ml|json): ")
_AS_FLAGS = {"True": "", "False": "=false", "None": "=null"}


def as_typed(text: str, names: Iterable[str]) -> str:
    """``text``, which names settings as Python does, with those of ``names`` as people type them on a command line.

    A setting is known by the value behind it, by an underscore in its name, or by backticks around it: other names are
    words, too. What is said of a file is left, since that has the names that Python has.

    >>> as_typed("lr_warmup=3 and loss='dice' with control=True: leave lr_warmup out", ["lr_warmup", "loss", "control"])
    '--lr-warmup=3 and --loss=dice with --control: leave --lr-warmup out'
    >>> as_typed("plan.yaml: lr_warmup=-1: expected 0 or more", ["lr_warmup"])
    'plan.yaml: lr_warmup=-1: expected 0 or more'
    """
    known = frozenset(names)
    if not known or _IN_A_FILE.match(text):
        return text

    def typed(found: re.Match[str]) -> str:
        name, equals = found["name"], found["equals"]
        if not equals and not found["tick"] and "_" not in name:
            return found[0]
        behind = equals or ""
        if found["quoted"] is not None:
            behind = f"={shlex.quote(found['quoted'])}"
        elif found["flag"] is not None:
            behind = _AS_FLAGS[found["flag"]]
        tick = found["tick"] or ""
        return f"{tick}--{name.replace('_', '-')}{behind}{tick}"

    return _pattern(known).sub(typed, text)


@cache
def _pattern(names: frozenset[str]) -> re.Pattern[str]:
    """What finds these settings in a text."""
    known = "|".join(map(re.escape, sorted(names, key=len, reverse=True)))
    value = r"'(?P<quoted>[^'\n]*)'|(?P<flag>True|False|None)\b|(?=\S)"
    return re.compile(
        rf"(?P<tick>`)?(?<![\w./'\"-])(?<!in Python )(?P<name>{known})(?![\w/'\"-])(?P<equals>=(?:{value}))?(?(tick)`)"
    )
