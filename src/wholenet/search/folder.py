"""The files of any run: what it logs, what it can be continued from, and that none is ever written over.

environment.json versions, device, commit, sizes of the splits
metrics.jsonl    a line per finished epoch
checkpoint.pt    all that the next epoch depends on
"""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any, Self

import torch


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

    @staticmethod
    def check_free(out: str | Path) -> None:
        """Make sure that nothing is in the place ``out``: a run is never written over.

        Raises:
            ValueError: if something is there.
        """
        path = Path(out)
        if (path / "config.yaml").exists():
            raise ValueError(
                f"{path} already holds a run; continue it with `wholenet fit --resume {path}`, or choose another --out"
            )
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise ValueError(f"{path} exists and is not an empty folder; choose another --out")

    @property
    def model(self) -> Path:
        """The model folder."""
        return self.path / "model"

    @property
    def genotype(self) -> Path:
        """Where the genotype of a discrete network is."""
        return self.path / "genotype.yaml"

    def write_environment(self, facts: dict[str, Any]) -> None:
        """Record where and with what the run was made."""
        (self.path / "environment.json").write_text(json.dumps(facts, indent=2) + "\n")

    def environment(self) -> dict[str, Any] | None:
        """What :meth:`write_environment` recorded; None before training began."""
        path = self.path / "environment.json"
        return json.loads(path.read_text()) if path.exists() else None

    def log(self, record: dict[str, Any]) -> None:
        """Append the record of a finished epoch."""
        with (self.path / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(record) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def records(self) -> list[dict[str, Any]]:
        """The records so far, one per finished epoch. A line that a crash cut short is left out."""
        path = self.path / "metrics.jsonl"
        lines = path.read_text().splitlines(keepends=True) if path.exists() else []
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def training_seconds(self) -> float:
        """Time that training took; validation is not counted, nor a first stage."""
        # By epoch: a crash may have logged one twice.
        return sum({record["epoch"]: record["seconds"] for record in self.records()}.values())

    def save_checkpoint(self, state: dict[str, Any], name: str = "checkpoint.pt") -> None:
        """Write the state (tensors and plain values) so that a crash leaves the old file or the new, never half."""
        path = self.path / name
        partial = path.with_suffix(".partial")
        with partial.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)

    def load_checkpoint(self, device: torch.device) -> dict[str, Any] | None:
        """The last saved state, or None before the first epoch was finished; metrics beyond it are dropped."""
        state = self.read_checkpoint(device)
        self.keep_records(0 if state is None else state["epoch"])
        return state

    def read_checkpoint(self, device: torch.device, name: str = "checkpoint.pt") -> dict[str, Any] | None:
        """The state saved under ``name``; None if there is none.

        Raises:
            ValueError: if the file cannot be read.
        """
        path = self.path / name
        if not path.exists():
            return None
        try:
            return torch.load(path, map_location=device, weights_only=True)
        except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
            raise ValueError(f"{path} cannot be read ({error}); the run cannot be continued from it") from error

    def keep_records(self, before: int) -> None:
        """Drop the records of epoch ``before`` and of all later ones."""
        path = self.path / "metrics.jsonl"
        if not before:
            path.unlink(missing_ok=True)
            return
        partial = self.path / "metrics.partial"
        kept = [record for record in self.records() if record["epoch"] < before]
        partial.write_text("".join(json.dumps(record) + "\n" for record in kept))
        partial.replace(path)
