"""A run is a folder that can always be continued.

config.yaml      every setting, as resolved
plan.yaml        how they were chosen, where they were not all given
environment.json versions, device, commit, sizes of the splits
metrics.jsonl    a line per finished epoch
checkpoint.pt    all that the next epoch depends on
model/           the trained network, enough on its own to evaluate and predict
model-last/      with keep="best": the last epoch's, where model/ is the best one's
genotype.yaml    of a discrete network: what it is
device-table.json of a run with a budget in milliseconds: what units take
start.safetensors, start.json  what it starts from, where that is not chance; its control and first stage do too
search/          of a two-stage run: its first stage, a run folder too
control/         the frozen-uniform control, a run folder too
diagnosis/       what `wholenet diagnose` found
*.png            pictures
report.html      all of it on one page
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from wholenet.data.transforms import check_transform
from wholenet.search.config import SIZE_NAMES, FitConfig
from wholenet.search.folder import Folder
from wholenet.search.penalties import check_registered
from wholenet.search.protocols import PROTOCOLS
from wholenet.search.task_config import TaskConfig
from wholenet.search.train_config import TrainConfig
from wholenet.spaces.catalog import SPACES
from wholenet.spaces.cell_space import CellSpace
from wholenet.spaces.option_costs import check_costs
from wholenet.spaces.sizes import GRIDS
from wholenet.spaces.space import Facts, Space, Spec


class RunFolder(Folder):
    """A run of a supernet. Use :meth:`create` for a new one."""

    @property
    def config(self) -> TrainConfig:
        """The settings that the run was started with."""
        return self.config_as(TrainConfig, "is a run on a cell space; this is for runs on images with masks")

    @property
    def fit_config(self) -> FitConfig:
        """The same, of a run on images with masks.

        Raises:
            ValueError: if it is none.
        """
        return self.config_as(FitConfig, "is a run of another task; this is for runs on images with masks")

    @property
    def facts_of_data(self) -> Mapping[str, type]:
        """Of images with masks also their crop, and how many there are."""
        masks = {"images": dict, "crop": list} if isinstance(self.config, FitConfig) else {}
        return {"train": dict, "val": dict, **masks}

    @property
    def models(self) -> int:
        """With ``keep="best"`` the last epoch's too."""
        return 2 if self.config.keep == "best" else 1

    @property
    def search(self) -> Path:
        """The run folder of a two-stage run's first stage."""
        return self.path / "search"

    @property
    def start(self) -> Path:
        """The weights that the run starts with, where these are not chance (beginning.py)."""
        return self.path / "start.safetensors"

    @property
    def start_facts(self) -> Path:
        """Where these come from."""
        return self.path / "start.json"

    @property
    def control(self) -> Path:
        """The run folder of the frozen-uniform control."""
        return self.path / "control"

    @property
    def parts(self) -> Mapping[str, Path]:
        """Its first stage and its control."""
        return {"first stage": self.search, "control": self.control}

    @property
    def plan(self) -> Path:
        """How the settings were chosen, where they were not all given; a file for ``--config``, too."""
        return self.path / "plan.yaml"

    @property
    def device_table(self) -> Path:
        """What the units of the network take, of a run with a budget in milliseconds."""
        return self.path / "device-table.json"

    def supernet_spec(self, facts: Facts) -> Spec:
        """Of the first network that the run trains: of a two-stage run the supernet."""
        return self.spec(facts, discrete=self.config.genotype is not None)

    def spec(self, facts: Facts, *, discrete: bool | None = None) -> Spec:
        """Of the network that the run trains in the end, on data that says so much about it."""
        config = self.config
        if discrete is None:
            discrete = config.genotype is not None or PROTOCOLS[config.protocol].retrains
        return spec_of(config, facts, self.genotype if discrete else None)


def recorded_facts(environment: Mapping[str, Any]) -> Facts:
    """What shapes a network on images with masks, out of what a run recorded of its data."""
    return Facts(len(environment["train"]["class_pixels"]), environment.get("pixels", {}).get("channels", 3))


def spec_of(config: TrainConfig, facts: Facts, genotype: Path | None = None) -> Spec:
    """Of the supernet of ``config``, on data that says so much about it; of the discrete network of a ``genotype``."""
    space, settings = space_of(config)
    found = None if genotype is None else space.read_genotype(genotype, settings)
    return Spec(
        space=space.name,
        settings=space.values_of(settings),
        outputs=facts.outputs,
        channels=facts.channels,
        relaxation=config.relaxation if found is None else "softmax",
        genotype=found and found.to_dict(),
        zoom=config.zoom if isinstance(config, FitConfig) else 1.0,
    )


def outside_space(name: str) -> Space:
    """The space of that name, whose settings are options of a run.

    Raises:
        ValueError: if there is none, or one of its settings is called as an option of every run.
    """
    space = SPACES.called(name)
    options = {field.name for field in fields(FitConfig)} | {"task", "config", "resume", "print_config", "import"}
    options -= set(SIZE_NAMES)
    ours = name == "grid" or isinstance(space, CellSpace)  # whose settings are the options
    if not ours and (taken := [field.name for field in fields(space.settings) if field.name in options]):
        raise ValueError(
            f"space {name!r} has a setting {taken[0]!r}, and so is called an option of every run: give the setting "
            "another name"
        )
    return space


def space_of(config: TrainConfig) -> tuple[Space, Any]:
    """The space of a run, and its settings.

    Raises:
        ValueError: for a space that is not registered or not for the task of the run, or settings that it does not
            have (of the grid's names for sizes it is said that they are).
    """
    space = outside_space(config.space)
    task = config.task if isinstance(config, TaskConfig) else "segmentation"
    if space.tasks and task not in space.tasks:
        this = "these are images with masks" if task == "segmentation" else f"the task is {task!r}"
        raise ValueError(f"space {space.name!r} is for {' and '.join(space.tasks)}; {this}")
    known = {field.name for field in fields(space.settings)}
    if foreign := [name for name in SIZE_NAMES if name in config.settings and name not in known]:
        raise ValueError(f"{foreign[0]} is of the space 'grid'; space {space.name!r} has its own settings")
    return space, space.settings_of(config.space_settings)


def check_space(config: TrainConfig) -> tuple[Space, Any]:
    """:func:`space_of` a new run, once it is sure that the space has what ``config`` asks of it, and that what it names
    is registered. No data is needed for that.

    Raises:
        ValueError: saying what it lacks.
    """
    space, settings = space_of(config)
    if PROTOCOLS[config.protocol].retrains:
        if space.genotype is None or not space.genotype.decodes:
            raise ValueError(
                f"protocol={config.protocol!r} cuts a discrete network out of the supernet, and space {space.name!r} "
                "has no decoding; train it with protocol='single-stage'"
            )
        space.check_decoding(
            config.decoding, None if config.decoding_tau == 0.5 else config.decoding_tau, "decoding_tau"
        )
    if PROTOCOLS[config.protocol].retrains and not config.retrain_epochs and not isinstance(config, FitConfig):
        raise ValueError(
            f"protocol={config.protocol!r} makes its second stage as costly as the rest by counting multiply-adds, "
            "which is done for images with masks alone; say how long it is: give retrain_epochs"
        )
    if config.regularizer == "cost":
        check_costs(space)
    check_registered(config)
    if isinstance(config, FitConfig):
        check_transform(config.transform, config.workers)
    if isinstance(config, FitConfig) and config.space not in GRIDS and (config.entropy_alpha or config.entropy_beta):
        raise ValueError(
            f"entropy_alpha and entropy_beta are of the grid's operations and edges; space {space.name!r} takes "
            "regularizer or method"
        )
    return space, settings
