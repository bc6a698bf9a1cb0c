"""What a study is asked for, and the scales at which it can run. Imports no torch: the command line reads it."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from wholenet.search.config import FitConfig

Scale = Literal["cpu", "gpu", "paper"]

SCALES: dict[str, dict[str, Any]] = {
    # Half an hour a study on two cores. Nano, small crops, a fiftieth of the paper's epochs; the learning rates make up
    # for the steps that are missing (the weights' as in recipes/camvid-cpu.yaml; the architecture's ten times the
    # paper's, for a hundredth of its steps). Validation at the end alone.
    "cpu": {
        "arch_update": "alternating",
        "size": "nano",
        "epochs": 12,
        "batch": 8,
        "crop": "96x128",
        "scale_min": 0.4,
        "scale_max": 0.8,
        "lr": 0.1,
        "class_balance": 0.5,
        "arch_lr": 0.03,
        "val_every": 1000,
        "device": "cpu",
        "threads": 1,
    },
    # Hours on one GPU: the small network at full resolution, a quarter of the paper's epochs.
    "gpu": {
        "arch_update": "alternating",
        "size": "small",
        "epochs": 150,
        "lr": 0.025,
        "arch_lr": 0.01,
        "device": "cuda",
        "workers": 8,
    },
    # Sec. 4.1: but for the architecture's update, the defaults of FitConfig are the paper's.
    "paper": {"arch_update": "alternating", "device": "cuda", "workers": 16},
}
"""Fields of ``FitConfig`` by scale. What a study varies comes on top."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One call of ``wholenet study``.

    Raises:
        ValueError: for fewer than one seed or job.
    """

    scale: Scale
    data: str
    out: Path
    """Results here; runs in ``out``/runs, shared by all studies with the same ``out``."""
    seeds: int = 3
    jobs: int = 0
    """Runs trained at the same time; 0 is one per CPU core, or one where a GPU is used."""
    make_coarse: bool = False
    """Where the data has no coarse annotations, make them from the fine ones."""
    overrides: tuple[tuple[str, Any], ...] = ()
    """Fields of ``FitConfig`` that every run of the study shall have."""

    def __post_init__(self) -> None:
        if self.seeds < 1 or self.jobs < 0:
            raise ValueError(f"seeds={self.seeds}, jobs={self.jobs}: expected at least 1 seed and 0 or more jobs")

    def config(self, **varied: Any) -> FitConfig:
        """The run that this scale makes of the fields that a study varies. ``out`` is set by whoever runs it."""
        return FitConfig(data=self.data, out="", **{**SCALES[self.scale], **varied, **dict(self.overrides)})

    def varied(self, config: FitConfig, **changes: Any) -> FitConfig:
        """``config`` with what a study varies changed.

        Raises:
            ValueError: if the same was fixed from outside (``overrides``): rows would not be what they are called.
        """
        if fixed := [name for name, _ in self.overrides if name in changes]:
            raise ValueError(f"--set {fixed[0]}: this study varies {fixed[0]} itself; leave it out")
        return replace(config, **changes)

    def over_seeds(self, config: FitConfig) -> list[FitConfig]:
        """The same run with each seed."""
        return [replace(config, seed=seed) for seed in range(self.seeds)]

    @property
    def parallel(self) -> int:
        """Runs to train at the same time."""
        if self.jobs:
            return self.jobs
        return (os.cpu_count() or 1) if self.config().device == "cpu" else 1

    @property
    def command(self) -> str:
        """The options of this call, to put behind ``wholenet study NAME``."""
        words = [f"--scale {self.scale}", f"--data {Path(self.data).name}", f"--seeds {self.seeds}"]
        words += ["--make-coarse"] * self.make_coarse
        words += [f"--set {name}={value}" for name, value in self.overrides]
        return " ".join(words)
