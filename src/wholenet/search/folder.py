"""The files of any run: what it logs, what it can be continued from, and that none is ever written over.

environment.json versions, device, commit, sizes of the splits
metrics.jsonl    a line per finished epoch
logged.json, tensorboard/, wandb/ which of these the loggers of the run have, and what they write here
checkpoint.pt    all that the next step depends on
checkpoint.previous.pt the one before, in case that is damaged
.lock            held by the process that is training here
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar

import torch
from filelock import FileLock, Timeout

from wholenet import parallel
from wholenet.file_keys import check_keys
from wholenet.files import check_output, read_json, write_whole
from wholenet.plugins import import_options
from wholenet.search.checkpoint import DamagedCheckpoint, previous, read_checkpoint, write_checkpoint
from wholenet.search.config_files import kind_of_run, read_config, write_config
from wholenet.search.records import Record, as_lines, read_records
from wholenet.search.search_config import RunConfig

Config = TypeVar("Config", bound=RunConfig)
CHECKPOINT = "checkpoint.pt"
MADE = (
    "config.yaml",
    "plan.yaml",
    "environment.json",
    "genotype.yaml",
    "device-table.json",
    "cells.png",
    ".lock",
    ".lock.holder",
    "start.*",
)
"""What a start writes before the first step."""
TRAINED = ("checkpoint*.pt", "metrics.jsonl", "model", "*.partial")
"""What tells that something was trained, or was being written."""


class Folder:
    """Paths and files of one run.

    Args:
        path: the folder; it must hold a run.

    Raises:
        ValueError: if there is no run in the folder.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not (self.path / "config.yaml").is_file():
            raise ValueError(f"{self.path} holds no run (no config.yaml in it); give the folder that `--out` named")

    @classmethod
    def at(cls, path: Path) -> Self | None:
        """The run in ``path``; None if there is none."""
        return cls(path) if (path / "config.yaml").is_file() else None

    @classmethod
    def create(cls, config: RunConfig) -> Self:
        """Make the folder ``config.out`` and write the config into it.

        Raises:
            ValueError: if something is there already.
        """
        cls.check_free(config.out)
        cls.claim(Path(config.out), partial(write_config, config))
        return cls(config.out)

    @classmethod
    def of_all(cls, config: RunConfig) -> Self:
        """:meth:`create`, by the first process; the others find what it made.

        Raises:
            ValueError: if something is there already.
        """
        with parallel.first_alone():
            return cls.create(config) if parallel.is_first() else cls(config.out)

    @property
    def verb(self) -> str:
        """The command that trains here."""
        return "retrain" if kind_of_run(self.path) == "retrain" else "fit"

    @property
    def config(self) -> RunConfig:
        """The settings that the run was started with."""
        return read_config(self.path / "config.yaml")

    def config_as(self, kind: type[Config], otherwise: str) -> Config:
        """The same, of a run of this kind.

        Raises:
            ValueError: of another; the message goes on with ``otherwise``.
        """
        config = read_config(self.path / "config.yaml")
        if not isinstance(config, kind):
            raise ValueError(f"{self.path} {otherwise}")
        return config

    def rewrite_config(self, config: RunConfig) -> None:
        """Put settings that the machine or the run itself gave into the config."""
        write_config(config, self.path / "config.yaml")

    @classmethod
    def check_free(cls, out: str | Path) -> None:
        """Make sure that nothing is in the place ``out``, as a run is never written over, and that it can be written.

        Raises:
            ValueError: if something is there, or it cannot.
        """
        path = Path(out)
        if (path / "config.yaml").exists():
            raise ValueError(
                f"{path} already holds a run; continue it with `wholenet {cls(path).verb} --resume {path}`, or choose "
                "another --out"
            )
        left_over = "config.*.partial"  # of a process that ended before there was a run
        if path.exists() and (not path.is_dir() or any(not p.match(left_over) for p in path.iterdir())):
            raise ValueError(f"{path} exists and is not an empty folder; choose another --out")
        check_output(path, folder=True)

    @staticmethod
    def claim(path: Path, write_config: Callable[[Path], None]) -> None:
        """Make the folder ``path`` a run's, by its config.yaml, which of two processes only one can write.

        Raises:
            ValueError: if another one has.
        """
        path.mkdir(parents=True, exist_ok=True)
        own = path / f"config.{os.getpid()}.partial"
        write_config(own)
        try:
            os.link(own, path / "config.yaml")
        except FileExistsError as error:
            raise ValueError(f"{path} has just been taken by another run; choose another --out") from error
        except OSError:  # a file system without links
            own.replace(path / "config.yaml")
        finally:
            own.unlink(missing_ok=True)

    @contextmanager
    def given_back(self) -> Iterator[None]:
        """Around a new run, which is :meth:`locked`: where it is refused before anything was trained (a full disk, a
        network that cannot be built or does not fit into memory), its folder is no run's any more, so that the command
        can be given again. One that diverged stays: that is a result.

        Only what a start writes is removed, from here and from runs inside; files of others stay.
        """
        try:
            yield
        except Exception as error:
            diverged = isinstance(error, FloatingPointError)
            if parallel.is_first() and not diverged and not self.begun:
                for path in [path for made in MADE for path in self.path.rglob(made)]:
                    path.unlink()
                for path in sorted((path for path in self.path.rglob("*") if path.is_dir()), reverse=True):
                    if not any(path.iterdir()):
                        path.rmdir()
            raise

    @property
    def begun(self) -> bool:
        """Whether anything was trained, here or in a run inside."""
        return any(True for kept in TRAINED for _ in self.path.rglob(kept))

    @property
    def model(self) -> Path:
        """The model folder."""
        return self.path / "model"

    @property
    def model_last(self) -> Path:
        """The model folder of the last epoch, of a run that keeps the best one's in :attr:`model`."""
        return self.path / "model-last"

    @property
    def models(self) -> int:
        """How many model folders the run writes."""
        return 1

    @property
    def genotype(self) -> Path:
        """Where the genotype of a discrete network is."""
        return self.path / "genotype.yaml"

    def written(self) -> int:
        """Bytes of the checkpoints and the models that are there, and will be replaced."""
        path = self.path / CHECKPOINT
        files = [path, previous(path), *(model / "model.safetensors" for model in (self.model, self.model_last))]
        return sum(file.stat().st_size for file in files if file.exists())

    def write_environment(self, facts: dict[str, Any]) -> None:
        """Record where and with what the run was made."""
        write_whole(self.path / "environment.json", json.dumps(facts, indent=2) + "\n")

    def ensure_environment(self, facts: Callable[[], dict[str, Any]]) -> None:
        """Record the ``facts`` where there are none, or damaged ones."""
        if self.environment(lambda _: None) is None:
            self.write_environment(facts())

    def environment(self, warn: Callable[[str], None] | None = None) -> dict[str, Any] | None:
        """What :meth:`write_environment` recorded; None before training began, and if the file is damaged and there is
        a ``warn`` to be told of it.

        Raises:
            ValueError: if it is damaged, and nobody is told.
        """
        path = self.path / "environment.json"
        if not path.exists():
            return None
        try:
            found = read_json(path)
            check_keys(found, self.facts_of_data, str(path))
        except ValueError as error:
            if warn is None:
                raise
            warn(f"warning: {error}. The run goes on without it: whether the data has changed is not checked")
            return None
        return found

    @property
    def facts_of_data(self) -> Mapping[str, type]:
        """What environment.json has at least: what the data was."""
        return {}

    @property
    def metrics(self) -> Path:
        """Where the records of the epochs are."""
        return self.path / "metrics.jsonl"

    def log(self, record: Record) -> None:
        """Append the record of a finished epoch."""
        with self.metrics.open("a") as file:
            file.write(as_lines([record]))
            file.flush()
            os.fsync(file.fileno())

    def records(self) -> list[Record]:
        """The records so far, one per finished epoch, in order. What the file has lost, the checkpoint has.

        Raises:
            ValueError: if that does not have it either.
        """
        found = read_records(self.metrics)
        if found.whole:
            return list(found.by_epoch.values())
        saved = self._checkpoint_or_none()
        kept = {record["epoch"]: record for record in saved["records"]} if saved and "records" in saved else None
        found = replace(found, by_epoch=dict(sorted(((kept or {}) | found.by_epoch).items())))
        lost = [f"line {number} is damaged: {text}" for number, text in found.damaged.items()]
        if found.missing or (lost and kept is None):
            lost += [f"there is no record of epoch {', '.join(str(epoch + 1) for epoch in found.missing)}"]
            raise ValueError(
                f"{self.metrics} is not whole, and no checkpoint has what is lost ({lost[0]}); put a copy of the file "
                "back. What is found from all epochs of the run cannot be found without it"
            )
        return list(found.by_epoch.values())

    def rewrite_records(self, records: Sequence[Record]) -> None:
        """Make ``records`` those that there are."""
        if records:
            write_whole(self.metrics, as_lines(records))
        else:
            self.metrics.unlink(missing_ok=True)

    def training_seconds(self) -> float:
        """Time that training took; validation is not counted, nor a first stage."""
        return sum(record["seconds"] for record in self.records())

    def save_checkpoint(self, state: dict[str, Any], name: str | None = None) -> None:
        """Write the state (tensors and plain values); see ``search/checkpoint.py``. Under a ``name`` of its own it is
        kept beside the one that the run goes on from."""
        write_checkpoint(self.path / (name or CHECKPOINT), state, keep_previous=name is None)

    def load_checkpoint(self, device: torch.device, warn: Callable[[str], None]) -> dict[str, Any] | None:
        """The last saved state that is whole, or None before the first.

        Args:
            device: for the tensors.
            warn: told of a damaged one, where the one before is used.

        Raises:
            ValueError: if there are checkpoints, but none is whole.
        """
        path = self.path / CHECKPOINT
        problems: list[str] = []
        for place in [p for p in (path, previous(path)) if p.exists()]:
            try:
                state = read_checkpoint(place, device)
            except DamagedCheckpoint as error:
                problems.append(str(error))
                continue
            if problems:
                warn(f"warning: {problems[0]}. The run goes on from the checkpoint before it, {place.name}")
                if parallel.is_first():  # or the next one to be saved would put it in the place of the whole one
                    path.replace(path.with_suffix(".damaged"))
            return state
        if problems:
            raise ValueError(f"{'; '.join(problems)}. The run cannot be continued: start it again, with another --out")
        return None

    def _checkpoint_or_none(self) -> dict[str, Any] | None:
        """The last saved state that is whole, on the CPU; nothing is told, moved or refused."""
        for place in (self.path / CHECKPOINT, previous(self.path / CHECKPOINT)):
            try:
                return read_checkpoint(place, torch.device("cpu"))
            except (DamagedCheckpoint, OSError):
                continue
        return None

    def read_checkpoint(self, device: torch.device, name: str | None = None) -> dict[str, Any] | None:
        """The state saved under ``name``; None if there is none. Nothing else is touched.

        Raises:
            ValueError: if the file is not as it was written.
        """
        path = self.path / (name or CHECKPOINT)
        return read_checkpoint(path, device) if path.exists() else None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Within the block no other process trains here, but those of this run, the first of which holds the lock. The
        system lets go of it with the process, however that ends.

        Raises:
            ValueError: if another one does.
        """
        if not parallel.is_first():
            yield
            return
        lock = FileLock(self.path / ".lock", timeout=0, is_singleton=False)
        holder = self.path / ".lock.holder"
        try:
            lock.acquire()
        except Timeout:
            who = holder.read_text() if holder.exists() else "another process"
            raise ValueError(
                f"{self.path} is being trained by {who}; wait for it, or stop it, or choose another --out"
            ) from None
        try:
            holder.write_text(f"process {os.getpid()} on {socket.gethostname()}")
            yield
        finally:
            holder.unlink(missing_ok=True)
            lock.release()

    @property
    def parts(self) -> Mapping[str, Path]:
        """Where the runs are that this one may hold, by what they are."""
        return {}

    @property
    def outermost(self) -> Self:
        """The run that this one is a part of (its first or second stage, its control, one of several searches), or this
        one: what a user continues."""
        for folder in (self.path.parent, self.path.parent.parent):
            whole = self.at(folder)
            if whole is not None and self.path in whole.parts.values():
                return whole.outermost
        return self

    @property
    def resume_command(self) -> str:
        """What continues the run."""
        whole = self.outermost
        words = "".join(f" {option}" for option in import_options())
        return f"{parallel.launcher()}wholenet {whole.verb} --resume {whole.path}{words}"
