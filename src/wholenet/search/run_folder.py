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

from functools import partial
from pathlib import Path
from types import MappingProxyType

from wholenet.search.config import FitConfig, read_config, write_config
from wholenet.search.folder import Folder
from wholenet.spaces.genotype import read_genotype
from wholenet.spaces.sizes import grid_size
from wholenet.spaces.space import Spec


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
        genotype = read_genotype(self.genotype, grid_size(config.size).layers) if discrete else None
        return Spec(
            space="grid",
            settings={name: getattr(config, name) for name in ("size", "cell", "activation")},
            outputs=num_classes,
            relaxation="softmax" if discrete else config.relaxation,
            genotype=genotype and genotype.to_dict(),
        )
