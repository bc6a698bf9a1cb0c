"""What a study is asked for, and the scales at which it can run. Imports no torch: the command line reads it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

from wholenet.checked import Count, Jobs, checked
from wholenet.search.cell_config import CellConfig, cell_config
from wholenet.search.config import GRID_ALONE, FitConfig
from wholenet.search.methods import METHODS
from wholenet.search.search_config import RunConfig
from wholenet.search.task_config import TaskConfig

Run = TypeVar("Run", bound=RunConfig)
Scale = Literal["cpu", "gpu", "paper"]

SCALES: dict[str, dict[str, Any]] = {
    # Half an hour a study on two cores. Nano, small crops, a fiftieth of the paper's epochs; the learning rates make up
    # for the steps that are missing (the weights' as in the preset camvid-cpu; the architecture's ten times the
    # paper's, for a hundredth of its steps). Images are scored at the middle of the zooms that were trained on
    # (docs/results.md). Validation at the end alone.
    "cpu": {
        "arch_update": "alternating",
        "size": "nano",
        "epochs": 12,
        "batch": 8,
        "crop": "96x128",
        "scale_min": 0.4,
        "scale_max": 0.8,
        "zoom": 0.57,
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


CELL_SCALES: dict[str, dict[str, Any]] = {
    # Minutes a search on one core: a small supernet on small images, a sixtieth of the steps; the architecture's
    # learning rate is thirty times the papers', so that it gets as far.
    "cpu": {
        "gradient": "first-order",
        "channels": 4,
        "cells": 3,
        "images": 1280,
        "side": 16,
        "shift": 2,
        "batch": 32,
        "epochs": 16,
        "eigenvalue_every": 1,
        "eigenvalue_tolerance": 0.03,
        "arch_lr": 0.01,
        "val_every": 1000,
        "device": "cpu",
        "threads": 1,
    },
    # Minutes a search on one GPU: the papers' supernet, a thirtieth of their steps.
    "gpu": {
        "gradient": "first-order",
        "images": 5000,
        "epochs": 16,
        "eigenvalue_every": 1,
        "eigenvalue_tolerance": 0.01,
        "arch_lr": 0.005,
        "val_every": 1000,
        "device": "cuda",
        "workers": 4,
    },
    # RobustDARTS, Sec. 4 and its code: the defaults of CellConfig.
    "paper": {"device": "cuda", "workers": 8},
}
"""Fields of ``CellConfig`` by scale, for the studies on cell spaces. What a study varies comes on top."""


@checked
class StudySetting:
    """One call of ``wholenet study``.

    Raises:
        ValueError: for fewer than one seed or job.
    """

    scale: Scale
    data: str
    out: Path
    """Results here; runs in ``out``/runs, shared by all studies with the same ``out``."""
    seeds: Count = 3
    jobs: Jobs = 0
    """Runs trained at the same time; 0 is one per CPU core, or one where a GPU is used."""
    make_coarse: bool = False
    """Where the data has no coarse annotations, make them from the fine ones."""
    overrides: tuple[tuple[str, Any], ...] = ()
    """Fields of the config that every run of the study shall have."""
    labelled: str | None = None
    """Of a study on images with masks, labelled images for its rows that are searches on a cell space; these have their
    scale's own fields."""

    @property
    def example(self) -> FitConfig | CellConfig | TaskConfig:
        """A run as this scale makes it, before a study varies anything.

        Raises:
            ValueError: for overrides that no run can have.
        """
        raise NotImplementedError

    @property
    def counted_seeds(self) -> str:
        """ "3 seeds"."""
        return f"{self.seeds} seed{'s' * (self.seeds > 1)}"

    @property
    def how_shown(self) -> str:
        """What the scores in a table are of."""
        return f"{self.counted_seeds}, mean ± standard deviation."

    def over_seeds(self, config: Run) -> list[Run]:
        """The same run with each seed."""
        return [replace(config, seed=seed) for seed in range(self.seeds)]

    @property
    def parallel(self) -> int:
        """Runs to train at the same time."""
        if self.jobs:
            return self.jobs
        return (os.cpu_count() or 1) if self.example.device == "cpu" else 1

    def refuse_fixed(self, *names: str) -> None:
        """Make sure that what a study varies was not fixed from outside: rows would not be what they are called.

        Raises:
            ValueError: if it was.
        """
        if fixed := [name for name, _ in self.overrides if name in names]:
            raise ValueError(f"--set {fixed[0]}: this study varies {fixed[0]} itself; leave it out")

    @property
    def suffix(self) -> str:
        """What the names of a study's files end with, where it is one of several of the same name."""
        return ""

    @property
    def command(self) -> str:
        """The options of this call, to put behind ``wholenet study NAME``."""
        words = [f"--scale {self.scale}", f"--data {Path(self.data).name}", f"--seeds {self.seeds}"]
        words += ["--make-coarse"] * self.make_coarse
        words += [] if self.labelled is None else [f"--labelled {Path(self.labelled).name}"]
        words += [f"--set {name}={value}" for name, value in self.overrides]
        return " ".join(words)


class Setting(StudySetting):
    """Of a study on segmentation data."""

    def config(self, **varied: Any) -> FitConfig:
        """The run that this scale makes of the fields that a study varies. ``out`` is set by whoever runs it."""
        return FitConfig(data=self.data, out="", **{**SCALES[self.scale], **varied, **dict(self.overrides)})

    @property
    def example(self) -> FitConfig:
        """See :class:`StudySetting`."""
        return self.config()

    @property
    def how_shown(self) -> str:
        """See :class:`StudySetting`."""
        return self.how_shown_by(self.config())

    def how_shown_by(self, config: FitConfig) -> str:
        """:attr:`how_shown` of runs like ``config``."""
        zoom = config.zoom
        said = "" if zoom == 1 else f"Images are seen at a zoom of {zoom:g}, the middle of what is trained on. "
        return f"{said}{super().how_shown}"

    def varied(self, config: FitConfig, **changes: Any) -> FitConfig:
        """``config`` with what a study varies changed.

        Raises:
            ValueError: if the same was fixed from outside (``overrides``).
        """
        self.refuse_fixed(*changes)
        return replace(config, **changes)

    def elsewhere(self, config: FitConfig, space: str, settings: Mapping[str, Any]) -> FitConfig:
        """``config`` in a space that is not the grid, of these ``settings``; what shapes a grid has its defaults.

        Raises:
            ValueError: if space or settings were fixed from outside.
        """
        nothing = {field.name: field.default for field in fields(FitConfig) if field.name in GRID_ALONE}
        return self.varied(replace(config, **nothing), space=space, settings=dict(settings))


class CellSetting(StudySetting):
    """Of a study on labelled images."""

    def config(self, method: str = "darts", **varied: Any) -> CellConfig:
        """The search that this scale makes of ``method`` and the fields that a study varies.

        Raises:
            ValueError: if one of these was fixed from outside (``overrides``).
        """
        self.refuse_fixed("method", *varied, *METHODS[method].on_cells)
        values = {**CELL_SCALES[self.scale], **varied, **dict(self.overrides)}
        return cell_config(method, data=self.data, out="", **values)

    @staticmethod
    def seeded(config: CellConfig, seed: int) -> CellConfig:
        """The same run with another seed."""
        return replace(config, seed=seed)

    @property
    def example(self) -> CellConfig:
        """See :class:`StudySetting`."""
        return self.config()
