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

from dataclasses import fields
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from wholenet.search.config import GRID_SETTINGS, FitConfig, read_config, write_config
from wholenet.search.folder import Folder
from wholenet.spaces.catalog import space_called
from wholenet.spaces.space import Space, Spec


class RunFolder(Folder):
    """A run on segmentation data. Use :meth:`create` for a new one."""

    FACTS = MappingProxyType({"train": dict, "val": dict, "images": dict, "crop": list})

    @classmethod
    def create(cls, config: FitConfig) -> RunFolder:
        """Make the folder ``config.out`` and write the config into it.

        Raises:
            ValueError: if something is there already.
        """
        cls.check_free(config.out)
        path = Path(config.out)
        cls.claim(path, partial(write_config, config))
        return cls(path)

    @property
    def config(self) -> FitConfig:
        """The settings that the run was started with."""
        return read_config(self.path / "config.yaml")

    @property
    def search(self) -> Path:
        """The run folder of a two-stage run's first stage."""
        return self.path / "search"

    @property
    def outermost(self) -> RunFolder:
        """The run that this one is the first stage or the control of, or this one."""
        whole = self.at(self.path.parent) if self.path.name in (self.search.name, self.control.name) else None
        return self if whole is None else whole.outermost

    @property
    def control(self) -> Path:
        """The run folder of the frozen-uniform control."""
        return self.path / "control"

    def rewrite_config(self, config: FitConfig) -> None:
        """Put a setting that the run itself found out into its config."""
        write_config(config, self.path / "config.yaml")

    def spec(self, num_classes: int) -> Spec:
        """Of the network that the run trains."""
        config = self.config
        discrete = config.genotype is not None or config.protocol == "two-stage"
        space, settings = space_of(config)
        genotype = space.read_genotype(self.genotype, settings) if discrete else None
        return Spec(
            space=space.name,
            settings=space.values_of(settings),
            outputs=num_classes,
            relaxation="softmax" if discrete else config.relaxation,
            genotype=genotype and genotype.to_dict(),
        )


def outside_space(name: str) -> Space:
    """The space of that name, whose settings are options of a run.

    Raises:
        ValueError: if there is none, or one of its settings is called as an option of every run.
    """
    space = space_called(name)
    options = {field.name for field in fields(FitConfig)} | {"task", "config", "resume", "print_config", "import"}
    if taken := [field.name for field in fields(space.settings) if field.name in options and name != "grid"]:
        raise ValueError(
            f"space {name!r} has a setting {taken[0]!r}, and so is called an option of every run: give the setting "
            "another name"
        )
    return space


def space_of(config: FitConfig) -> tuple[Space, Any]:
    """The space of a run, and its settings.

    Raises:
        ValueError: for a space that is not registered or not for images with masks, or settings that it does not have.
    """
    space = outside_space(config.space)
    if space.tasks and "segmentation" not in space.tasks:
        raise ValueError(f"space {space.name!r} is for {' and '.join(space.tasks)}; these are images with masks")
    own = {name: getattr(config, name) for name in GRID_SETTINGS} if config.space == "grid" else config.settings
    return space, space.settings_of(own)
