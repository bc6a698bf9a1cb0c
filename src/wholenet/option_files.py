"""Files of options, which ``--config`` names: each is read once. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wholenet.checked import near
from wholenet.files import read_yaml, shown


@dataclass(frozen=True)
class OptionFiles:
    """What the files hold, in the order in which they were named."""

    read: tuple[tuple[str, Mapping[Any, Any]], ...] = ()
    """Each file, and the options in it."""

    @property
    def values(self) -> dict[Any, Any]:
        """All options, known or not, later files over earlier."""
        return {name: value for _, values in self.read for name, value in values.items()}

    def checked(self, known: Iterable[str]) -> dict[str, Any]:
        """:attr:`values`, all of which are ``known``.

        Raises:
            ValueError: for one that is not, with the file.
        """
        names = list(dict.fromkeys(known))
        for file, values in self.read:
            for name in values:
                if name not in names:
                    raise ValueError(
                        f"{file}: unknown option {shown(name)}{near(name, names)}; known: {', '.join(names)}"
                    )
        return self.values


NONE = OptionFiles()


def read_option_files(files: Sequence[str]) -> OptionFiles:
    """Read YAML files of options.

    Raises:
        ValueError: for a file that cannot be read, or holds anything else than options; with the file.
    """
    return OptionFiles(tuple((file, _read(file)) for file in files))


def _read(file: str) -> Mapping[Any, Any]:
    try:
        values = read_yaml(file)
    except OSError as error:
        raise ValueError(f"--config {file} cannot be read: {error}") from error
    if not isinstance(values, dict):
        raise ValueError(f"{file}: expected options with their values, found {shown(values)}")
    return values
