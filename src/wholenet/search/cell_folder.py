"""The folder of a run on a cell space: a search, or the training of a discrete network.

config.yaml     every setting, as resolved
result.json     what it came to, once it is done
genotype.yaml   of a search: what it found; of a training: what is trained
model/          the network: of a search the supernet, of a training the discrete network
retrained/      of two stages, the second: a run folder too
topology/       of DOTS, the search for pairs of edges: a run folder too
stages/2...     of a search in stages, those after the first, each a run folder too
control/        the frozen-uniform control, likewise
searches/0...   of a method that searches several times: a run folder each, and below it `retrained/`
epoch-*.pt      of a run that may go back: where to
*.png           pictures
report.html     all of it on one page

and what any run has (search/folder.py).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import count, takewhile
from pathlib import Path
from typing import Any

from wholenet.file_keys import check_keys
from wholenet.files import read_json, write_whole
from wholenet.search.cell_config import SEARCHES, CellConfig
from wholenet.search.classifier_config import ClassifierConfig, RetrainConfig
from wholenet.search.dots_config import TOPOLOGY
from wholenet.search.folder import Folder
from wholenet.search.stages import STAGES

RESULT = "result.json"
OF_TRAINING = {"test_error": float | None}
OF_SEARCHES = {"errors": list[float], "chosen": int}
OF_SEARCH = {"genotype": dict | None, "error": float}
"""What a run's result.json holds at least, by what it was."""
RETRAINED = "retrained"
"""Folder, in a search, of the training of what it found: a second stage, or a short one to compare it by."""
CONTROL = "control"
"""Folder, in a run, of its frozen-uniform control."""


class CellFolder(Folder):
    """A run on a cell space. Use :meth:`create` for a new one."""

    @property
    def config(self) -> ClassifierConfig:
        """The settings that the run was started with."""
        return self.config_as(ClassifierConfig, "is no run on a cell space")

    @property
    def facts_of_data(self) -> Mapping[str, type]:
        """Classes, images, mean and spread."""
        return {"data": dict}

    @property
    def search_config(self) -> CellConfig:
        """The same, of a search.

        Raises:
            ValueError: if it is none.
        """
        return self.config_as(CellConfig, "trained a discrete network; expected the folder of a search")

    @property
    def retrain_config(self) -> RetrainConfig:
        """The same, of the training of a discrete network.

        Raises:
            ValueError: if it is none.
        """
        return self.config_as(RetrainConfig, "is a search; expected the folder of `wholenet retrain`")

    @property
    def parts(self) -> Mapping[str, Path]:
        """Its second stage and its control; of a method that searches several times, each search and the short training
        of what that found."""
        found = {"second stage": self.path / RETRAINED, "control": self.path / CONTROL}
        found |= {"pairs of edges": self.path / TOPOLOGY}
        later = takewhile(lambda stage: stage[1].is_dir(), ((i, self.path / STAGES / str(i)) for i in count(2)))
        found |= {f"stage {number}": path for number, path in later}
        for number, search in enumerate(takewhile(Path.is_dir, (self.path / SEARCHES / str(i) for i in count())), 1):
            found |= {f"search {number}": search, f"search {number}, trained": search / RETRAINED}
        return found

    def write_result(self, found: Mapping[str, Any]) -> None:
        """Write what the run found. Where that is, the run is done, so it is written last."""
        write_whole(self.path / RESULT, json.dumps(found, indent=2) + "\n")

    def result(self) -> dict[str, Any] | None:
        """What the run found; None if it is not done. Of several searches "error" is that of the genotype that was
        kept, after its short training.

        Raises:
            ValueError: if the file is damaged.
        """
        path, config = self.path / RESULT, self.config
        if not path.exists():
            return None
        kind = OF_TRAINING
        if isinstance(config, CellConfig):
            kind = OF_SEARCHES if config.searches else OF_SEARCH
        try:
            found = read_json(path)
            check_keys(found, kind, str(path))
            return found if kind is not OF_SEARCHES else {**found, "error": _of_chosen(found, path)}
        except ValueError as error:
            raise ValueError(f"{error}. `{self.resume_command}` writes it anew") from error


def _of_chosen(found: Mapping[str, Any], path: Path) -> float:
    """The error of the search that was kept, of several."""
    errors, chosen = found["errors"], found["chosen"]
    if not 0 <= chosen < len(errors):
        raise ValueError(f"{path}: chosen={chosen}: expected the number of one of its {len(errors)} searches, from 0")
    return errors[chosen]
