"""A run is a folder that can always be continued.

config.yaml      every setting, as resolved
environment.json versions, device, commit, sizes of the splits
metrics.jsonl    a line per finished epoch
checkpoint.pt    all that the next epoch depends on
model/           the trained network, enough on its own to evaluate and predict
genotype.yaml    of a discrete network: what it is
search/          of a two-stage run: its first stage, a run folder too
control/         the frozen-uniform control, a run folder too
diagnosis/       what `wholenet diagnose` found
*.png            pictures
"""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

import torch

from wholenet.search.config import FitConfig, read_config, write_config
from wholenet.spaces.genotype import read_genotype
from wholenet.spaces.sizes import grid_size


class RunFolder:
    """Paths and files of one run.

    Args:
        path: the folder; it must hold a run. Use :meth:`create` for a new one.

    Raises:
        ValueError: if there is no run in the folder.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not (self.path / "config.yaml").is_file():
            raise ValueError(f"{self.path} holds no run (no config.yaml in it); give the folder that `--out` named")

    @classmethod
    def at(cls, path: Path) -> RunFolder | None:
        """The run in ``path``; None if there is none."""
        return cls(path) if (path / "config.yaml").is_file() else None

    @staticmethod
    def check_free(config: FitConfig) -> None:
        """Make sure that nothing is in the place of ``config.out``: a run is never written over.

        Raises:
            ValueError: if something is there.
        """
        path = Path(config.out)
        if (path / "config.yaml").exists():
            raise ValueError(
                f"{path} already holds a run; continue it with `wholenet fit --resume {path}`, or choose another --out"
            )
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise ValueError(f"{path} exists and is not an empty folder; choose another --out")

    @classmethod
    def create(cls, config: FitConfig) -> RunFolder:
        """Make the folder ``config.out`` and write the config into it.

        Raises:
            ValueError: if something is there already.
        """
        cls.check_free(config)
        path = Path(config.out)
        path.mkdir(parents=True, exist_ok=True)
        write_config(config, path / "config.yaml")
        return cls(path)

    @property
    def config(self) -> FitConfig:
        """The settings that the run was started with."""
        return read_config(self.path / "config.yaml")

    @property
    def model(self) -> Path:
        """The model folder."""
        return self.path / "model"

    @property
    def genotype(self) -> Path:
        """Where the genotype of a discrete network is."""
        return self.path / "genotype.yaml"

    @property
    def search(self) -> Path:
        """The run folder of a two-stage run's first stage."""
        return self.path / "search"

    @property
    def outermost(self) -> RunFolder:
        """The run that this one is a part of (its first stage, its control), or this one: what a user continues."""
        whole = self.at(self.path.parent) if self.path.name in (self.search.name, self.control.name) else None
        return self if whole is None else whole.outermost

    @property
    def control(self) -> Path:
        """The run folder of the frozen-uniform control."""
        return self.path / "control"

    def rewrite_config(self, config: FitConfig) -> None:
        """Put a setting that the run itself found out into its config."""
        partial = self.path / "config.partial"
        write_config(config, partial)
        partial.replace(self.path / "config.yaml")

    def model_arguments(self, num_classes: int) -> dict[str, Any]:
        """Arguments of :func:`wholenet.spaces.supernet.create_model` for the network that the run trains."""
        config = self.config
        discrete = config.genotype is not None or config.protocol == "two-stage"
        return {
            "name": f"grid-{config.size}",
            "num_classes": num_classes,
            "cell": config.cell,
            "activation": config.activation,
            "genotype": read_genotype(self.genotype, grid_size(config.size).layers) if discrete else None,
        }

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

    def save_checkpoint(self, state: dict[str, Any]) -> None:
        """Write the state (tensors and plain values) so that a crash leaves the old file or the new, never half."""
        path = self.path / "checkpoint.pt"
        partial = path.with_suffix(".partial")
        with partial.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)

    def load_checkpoint(self, device: torch.device) -> dict[str, Any] | None:
        """The last saved state, or None before the first epoch was finished; metrics beyond it are dropped."""
        path = self.path / "checkpoint.pt"
        if not path.exists():
            (self.path / "metrics.jsonl").unlink(missing_ok=True)
            return None
        try:
            state = torch.load(path, map_location=device, weights_only=True)
        except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
            raise ValueError(f"{path} cannot be read ({error}); the run cannot be continued from it") from error
        kept = [record for record in self.records() if record["epoch"] < state["epoch"]]
        partial = self.path / "metrics.partial"
        partial.write_text("".join(json.dumps(record) + "\n" for record in kept))
        partial.replace(self.path / "metrics.jsonl")
        return state
