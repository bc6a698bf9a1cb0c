"""The logs of one run: every record is sent once to each, over all processes that continue it, and none of them can
cost the run anything.

What each log has is in logged.json, in the run's folder. A record is sent after the checkpoint that holds it, so no
epoch is repeated that was sent; what a log lacks (it was added later, it failed) is sent when the run is continued.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from wholenet import parallel
from wholenet.file_keys import check_keys
from wholenet.files import read_json, read_yaml, write_whole
from wholenet.search.folder import Folder
from wholenet.search.loggers import Log, LoggedRun, Logger, loggers
from wholenet.search.read_run import flat
from wholenet.search.records import Record

FILE = "logged.json"
KEYS = {"id": str, "steps": dict}


class Logs:
    """Sends records; only the first process of a run does.

    Args:
        run: the folder.
        names: of the loggers, joined by commas, or "none".
        say: told, once, of a log that fails.

    Raises:
        ValueError: for a logger that there is not, or that is not installed.
    """

    def __init__(self, run: Folder, names: str, say: Callable[[str], None]) -> None:
        self.run = run
        self.say = say
        self._loggers = loggers(names) if parallel.is_first() else []
        self._open: dict[str, Log] = {}
        self._id, self._steps = secrets.token_hex(4), dict[str, int]()
        if self._loggers:
            self._read()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for logger in list(self._loggers):
            self._try(logger, self._close)

    def send(self, records: Sequence[Record]) -> None:
        """Send what any log lacks of ``records``, which are all that the run has."""
        last = records[-1]["epoch"] + 1 if records else 0
        if any(self._steps.get(logger.name, 0) > last for logger in self._loggers):
            self._begin_anew()
        for logger in list(self._loggers):
            self._try(logger, lambda logger: self._send(logger, records))

    def _send(self, logger: Logger, records: Sequence[Record]) -> None:
        sent = self._steps.get(logger.name, 0)
        lacking = [record for record in records if record["epoch"] >= sent]
        if not lacking:
            return
        if logger.name not in self._open:
            self._open[logger.name] = logger.open(self._about(sent + 1))
        for record in lacking:
            self._open[logger.name].log(record["epoch"] + 1, numbers_of(record))
        self._steps[logger.name] = lacking[-1]["epoch"] + 1
        write_whole(self.run.path / FILE, json.dumps({"id": self._id, "steps": self._steps}) + "\n")

    def _close(self, logger: Logger) -> None:
        if (log := self._open.pop(logger.name, None)) is not None:
            log.close()

    def _begin_anew(self) -> None:
        """The run has gone back to an earlier epoch and takes another course from there: what was sent stays, under
        the old id, and everything is sent again under a new one."""
        for logger in list(self._loggers):
            self._try(logger, self._close)
        self._id, self._steps = secrets.token_hex(4), {}

    def _try(self, logger: Logger, do: Callable[[Logger], None]) -> None:
        try:
            do(logger)
        except Exception as error:  # of somebody else's package, or their server
            self._loggers.remove(logger)
            self._open.pop(logger.name, None)
            why = f"{logger.name} failed ({type(error).__name__}: {error}) and gets nothing more"
            self.say(
                f"warning: {why}. The run goes on, and its records are in {self.run.metrics}; "
                f"`{self.run.resume_command}` sends what is missing, after the end too"
            )

    def _read(self) -> None:
        path = self.run.path / FILE
        try:
            found = read_json(path) if path.exists() else None
            if found is None:
                return
            check_keys(found, KEYS, str(path))
            if not all(isinstance(step, int) for step in found["steps"].values()):
                raise ValueError(f"{path}: expected a number of epochs for each logger")
        except ValueError as error:
            self.say(f"warning: {error}. The logs of the run begin anew")
            return
        self._id, self._steps = found["id"], found["steps"]

    def _about(self, first_step: int) -> LoggedRun:
        whole = self.run.outermost.path.resolve()
        inside = self.run.path.resolve().relative_to(whole).parts
        settings = read_yaml(self.run.path / "config.yaml")
        return LoggedRun(self.run.path, "/".join((whole.name, *inside)), self._id, first_step, settings)


def numbers_of(record: Record) -> dict[str, float]:
    """What a log gets of a record: its numbers, those inside of others by "entropy/alpha".

    >>> numbers_of({"epoch": 3, "phase": "search", "loss": 0.5, "miou": None, "entropy": {"alpha": 1.0}})
    {'loss': 0.5, 'entropy/alpha': 1.0}
    """
    return {
        name.replace(".", "/"): value
        for name, value in flat(record).items()
        if isinstance(value, int | float) and not isinstance(value, bool) and name != "epoch"
    }
