"""What a study is asked for on a task whose runs have a :class:`TaskConfig`."""

from __future__ import annotations

from typing import Any

from wholenet.checked import checked
from wholenet.jobs.catalog import task_config
from wholenet.search.run_folder import space_of
from wholenet.search.task_config import TaskConfig
from wholenet.studies.robust_tables import Robustness, robustness_on
from wholenet.studies.setting import StudySetting


@checked
class TaskSetting(StudySetting):
    """Of a study on the data of a task that has a table in ``studies/robust_tables.py``."""

    task: str = "language"

    @property
    def table(self) -> Robustness:
        """What the study is on this task."""
        return robustness_on(self.task)

    def config(self, **varied: Any) -> TaskConfig:
        """The search that this scale makes of the fields that the study varies.

        Raises:
            ValueError: if one of these was fixed from outside (``overrides``), or the run cannot be so.
        """
        self.refuse_fixed(*varied)
        values = {**self.table.searches[self.scale], **varied, **dict(self.overrides)}
        made = task_config(self.task, data=self.data, out="", **values)
        space_of(made)  # settings that the space does not have are refused here
        return made

    def training(self, genotype: str, **varied: Any) -> TaskConfig:
        """The training of ``genotype``, a file or one that is known by name, on the same data as the searches."""
        search = self.example
        shared = {**search.settings, **search.task_settings}
        of_search = {name: shared[name] for name in self.table.shared if name in shared}
        machine = {name: getattr(search, name) for name in ("device", "threads", "workers", "space")}
        values = {**self.table.trainings[self.scale], **of_search, **machine, **varied}
        return task_config(self.task, data=self.data, out="", genotype=genotype, **values)

    @property
    def example(self) -> TaskConfig:
        """See :class:`StudySetting`."""
        return self.config()

    @property
    def command(self) -> str:
        """See :class:`StudySetting`."""
        return f"--task {self.task} {super().command}"

    @property
    def suffix(self) -> str:
        """See :class:`StudySetting`."""
        return f"-{self.task}"
