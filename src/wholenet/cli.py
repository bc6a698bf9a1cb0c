"""The command line: parse, call, stop. Nothing slow is imported before the arguments are known to be good."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from wholenet.arguments import ArgumentParser, as_python_names, as_typed
from wholenet.commands.asked import Asked, asked, named_modules
from wholenet.commands.catalog import COMMANDS, RETRAIN_MASKS, RETRAIN_TASK, commands_for
from wholenet.commands.runs import settings_class, task_settings_class
from wholenet.files import check_output
from wholenet.plugins import import_modules
from wholenet.search.config import GRID_ALONE
from wholenet.search.interruption import Interrupted
from wholenet.search.task_config import check_apart
from wholenet.signatures import config_of, parser_of, setting_names, switches_of
from wholenet.studies.processes import DIVERGED
from wholenet.version import VERSION

DESCRIPTION = "Networks that learn their own architecture: segmentation in one run, and the searches of DARTS."
SWITCHES = {
    name
    for task in ("segmentation", "classification")
    for config in map(config_of, commands_for(task).values())
    if config is not None
    for name in switches_of(config.config)
}
"""Fields that are switched on by their name alone; settings of a space or a task from outside are others still."""

COME_LATE = ("torch", "safetensors", "matplotlib", "filelock")
"""Packages that commands need, and neither the help nor the parser."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; exits with status 2 and one message for anything that a user can put right."""
    try:
        _main(arguments)
    except ModuleNotFoundError as error:
        package = str(error.name).partition(".")[0]
        if package not in COME_LATE:
            raise
        without_gpu = "; without a GPU its CPU wheel is enough (pytorch.org, Get Started)" * (package == "torch")
        sys.stderr.write(f"wholenet needs {package}, which is not installed: pip install {package}{without_gpu}\n")
        raise SystemExit(2) from error


def _main(arguments: Sequence[str] | None) -> None:
    typed = as_python_names(sys.argv[1:] if arguments is None else arguments, SWITCHES)
    try:
        modules, typed = named_modules(typed)
        import_modules(modules)
        found = asked(typed)
        if found.words:
            settings, _ = _settings(found.words[0], found.task, found.space)
            own = {name for kind in settings.values() for name in switches_of(kind)}
            found = replace(found, words=as_python_names(found.words, own))
        parser = build_parser(found.task, found.space, found.words[0] if found.words else None)
    except (ValueError, OSError) as error:  # --config, or the config of the run that --resume names
        said = _as_typed(typed[0], "segmentation", error) if typed else error
        sys.stderr.write(f"wholenet {typed[0] if typed else ''}: {said}\n")
        raise SystemExit(2) from error
    _run(parser, found, typed)


def build_parser(task: str = "segmentation", space: str = "grid", first: str | None = None) -> ArgumentParser:
    """The parser of all commands; `fit` has other options for each task, and for spaces and tasks from outside;
    `retrain` has others for masks, and for tasks with a space of their own.

    Args:
        task: what `fit` is asked for, or `retrain`.
        space: what is searched.
        first: the first word, if that is known: where it is a command, no other can follow, and none is made.
    """
    parser = ArgumentParser(prog="wholenet", description=DESCRIPTION, version=VERSION)
    commands = parser.add_subcommands(dest="command")
    known = commands_for(task)
    for name, command in ({first: known[first]} if first in known else known).items():
        settings, meaningless = _settings(name, task, space)
        own = parser_of(command, settings, meaningless)
        own.elsewhere = partial(_elsewhere, name, task, space)
        commands.add_subcommand(name, own, help=own.description)
    return parser


def _elsewhere(command: str, task: str, space: str, option: str) -> str | None:
    from wholenet.commands.elsewhere import of_something_else  # imports torch

    return of_something_else(option, command, task, space)


def _settings(command: str, task: str, space: str) -> tuple[dict[str, type[Any]], Sequence[str]]:
    """Classes of the settings of a space and a task from outside, by what they are of; options that these make
    meaningless. Of other commands than the one that is asked for the task there are none."""
    if task == "classification" or command != ("retrain" if task.startswith(RETRAIN_TASK) else "fit"):
        return {}, ()
    masks = task in ("segmentation", RETRAIN_MASKS)
    of_space = settings_class(space, ours=masks)
    found = {} if of_space is None else {"space": of_space}
    if not masks:
        name = task.removeprefix(RETRAIN_TASK)
        found["task"] = task_settings_class(name)
        if of_space is not None:
            check_apart(name, found["task"], space, of_space)
    return found, GRID_ALONE if found else ()


def _run(parser: ArgumentParser, found: Asked, typed: Sequence[str]) -> None:
    # Of runs, what was not typed is as a file of options, the method or the run itself has it.
    trains = bool(typed) and typed[0] in COMMANDS and config_of(COMMANDS[typed[0]]) is not None
    parsed = parser.parse_args(found.words, defaults=not trains)
    command = parsed.command
    values = vars(parsed[command]) | ({"config": found.files} if trains else {})
    try:
        if values.get("json") is not None:
            check_output(values["json"])
        commands_for(found.task)[command](**values)
    except (ValueError, FloatingPointError, OSError) as error:
        said = DIVERGED if isinstance(error, FloatingPointError) else ""  # which studies look for
        sys.stderr.write(f"wholenet {command}: {said}{_as_typed(command, found.task, error)}\n")
        raise SystemExit(2) from error
    except (RuntimeError, MemoryError) as error:
        from wholenet.search.memory import TooLarge, ran_out_of_memory

        if not ran_out_of_memory(error):
            raise
        told = _as_typed(command, found.task, error) or "out of memory"
        advice = "" if isinstance(error, TooLarge) else _smaller(command, found.task)
        sys.stderr.write(f"wholenet {command}: {told}\n{advice}")
        raise SystemExit(2) from error
    except Interrupted as stop:
        sys.stderr.write(f"\nwholenet {command}: {stop.message}\n")
        raise SystemExit(stop.status) from None
    except KeyboardInterrupt:
        sys.stderr.write(f"\nwholenet {command}: stopped{_how_to_go_on(command, typed)}\n")
        raise SystemExit(130) from None


def _smaller(command: str, task: str) -> str:
    """What to do where a command ran out of memory."""
    known = setting_names(commands_for(task)[command])
    if "tile" in known:
        return "A smaller --tile needs less memory.\n"
    options = [f"--{name}" for name in ("batch", "crop") if name in known]
    return f"A smaller {', '.join(options)}{' or ' * bool(options)}network needs less memory.\n"


def _as_typed(command: str, task: str, error: BaseException) -> str:
    """What an error says, with the options of a command as they are typed."""
    known = commands_for(task)
    return as_typed(str(error), setting_names(known[command]) - {"data", "out"} if command in known else ())


def _how_to_go_on(command: str, typed: Sequence[str]) -> str:
    if command in ("study", "sweep"):
        return f", all its runs too; the same command goes on: `{shlex.join(['wholenet', *typed])}`"
    if command in ("fit", "retrain", "shrink"):
        again = "fit" if command == "shrink" else command
        return f"; a run continues from its last checkpoint with `wholenet {again} --resume RUN`"
    return ""
