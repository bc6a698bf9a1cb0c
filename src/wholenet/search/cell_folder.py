"""The folder of a run on a cell space: a search, or the training of a discrete network.

config.yaml     every setting, as resolved
genotype.yaml   of a search: what it found; of a training: what is trained
model/          the network: of a search the supernet, of a training the discrete network
searches/0...   of a method that searches several times: a run folder each, and below it `retrained/`
epoch-*.pt      of a run that may go back: where to
*.png           pictures

and what any run has (search/folder.py).
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from wholenet.search.cell_config import (
    SEARCHES,
    CellConfig,
    ClassifierConfig,
    RetrainConfig,
    read_cell_config,
    write_cell_config,
)
from wholenet.search.folder import Folder

RETRAINED = "retrained"
"""Folder, in a search that is one of several, of the short training of what it found."""


class CellFolder(Folder):
    """A run on a cell space. Use :meth:`create` for a new one."""

    @classmethod
    def create(cls, config: ClassifierConfig) -> CellFolder:
        """Make the folder ``config.out`` and write the config into it.

        Raises:
            ValueError: if something is there already.
        """
        cls.check_free(config.out)
        path = Path(config.out)
        cls.claim(path, partial(write_cell_config, config))
        return cls(path)

    @property
    def config(self) -> ClassifierConfig:
        """The settings that the run was started with."""
        return read_cell_config(self.path / "config.yaml")

    @property
    def search_config(self) -> CellConfig:
        """The same, of a search.

        Raises:
            ValueError: if it is none.
        """
        config = self.config
        if not isinstance(config, CellConfig):
            raise ValueError(f"{self.path} trained a discrete network; expected the folder of a search")
        return config

    @property
    def retrain_config(self) -> RetrainConfig:
        """The same, of the training of a discrete network.

        Raises:
            ValueError: if it is none.
        """
        config = self.config
        if not isinstance(config, RetrainConfig):
            raise ValueError(f"{self.path} is a search; expected the folder of `wholenet retrain`")
        return config

    @property
    def outermost(self) -> CellFolder:
        """The run of a method that searches several times, or this one."""
        search = self.path.parent if self.path.name == RETRAINED else self.path
        whole = self.at(search.parent.parent) if search.parent.name == SEARCHES else None
        return self if whole is None else whole

    @property
    def resume_command(self) -> str:
        """What continues the run."""
        whole = self.outermost
        verb = "retrain" if isinstance(whole.config, RetrainConfig) else "fit"
        return f"wholenet {verb} --resume {whole.path}"

    def rewrite_config(self, config: ClassifierConfig) -> None:
        """Put other settings of the machine into the config."""
        write_cell_config(config, self.path / "config.yaml")
