"""Data sets that are known by a name, as the street scenes are: wherever a folder is asked for, the name will do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

from wholenet.data.opening import MAX_MEGAPIXELS
from wholenet.data.sample import DataError, DataSource
from wholenet.data.splits import Part, set_aside
from wholenet.data.validation import set_aside_note
from wholenet.plugins import load_plugins
from wholenet.registry import Registry, is_name

Task = Literal["segmentation", "classification"]
"""Those with commands and configs of their own; all others share one."""
DataTask = Literal[Task, "stereo"]
"""What data sets by name are for."""
BUILT_IN = "scenes"
"""The data set that comes along; for what needs some pictures, whatever they show."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """How a data set is to be opened."""

    val_share: float = 0.2
    """How much of train becomes val if there is no val split."""
    seed: int = 0
    """Which part that is; of images that are drawn, also which there are."""
    max_megapixels: float = MAX_MEGAPIXELS
    """Files that decode to more are to be refused."""


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """A data set by name."""

    name: str
    open: Callable[[Asked], Any]
    """What opens it: for segmentation a :class:`wholenet.data.sample.DataSource`, for classification a
    :class:`wholenet.data.labelled.LabelledSource`, for stereo a :class:`wholenet.data.stereo.sample.StereoSource`.
    "train" must be there; where there is no "val", a part of it is taken. Asked for the same, it must give the same: a
    run is only continued with equal data."""
    task: DataTask = "segmentation"
    """What it is for."""
    told: str = "a data set known by name"
    """How people are told of it when it is read: "drawn, the built-in data"."""


class Opened(Protocol):
    """What every task's data sets have once they are open."""

    @property
    def splits(self) -> Mapping[str, Any]:
        """By name."""
        ...


Source = TypeVar("Source", bound=Opened)

DATA_SETS: Registry[DataSet] = Registry("data set", load=load_plugins)
"""By name; :func:`wholenet.register` adds to them."""


def data_set(where: str | Path) -> DataSet | None:
    """The data set that is called ``where``; None for a folder. A name goes before a folder that is called the same,
    which is "./scenes", or a ``Path``.

    Raises:
        DataError: if an installed package should have registered it, and could not be loaded.
    """
    if not isinstance(where, str) or not is_name(where):
        return None
    if where not in DATA_SETS and where in (failed := load_plugins()):
        raise DataError(f"{where}: {failed[where]}")
    return DATA_SETS.get(where)


def place_of(data: str | Path) -> str:
    """Where data is, as a run records it, to find it from anywhere: the name, or the whole path of the folder."""
    return str(data) if data_set(str(data)) is not None else str(Path(data).expanduser().resolve())


def known_by_name(task: DataTask | None = None) -> str:
    """The names there are, of all tasks or of one, for messages, and why others are missing.

    >>> known_by_name("segmentation")
    'the name of a data set: "scenes"'
    """
    fitting = [known.name for known in DATA_SETS.values() if task in (None, known.task)]
    names = ", ".join(f'"{name}"' for name in fitting) or f"there is none for {task}"
    return "; ".join([f"the name of a data set: {names}", *load_plugins().values()])


def open_as(kind: type[Source], known: DataSet, asked: Asked, task: DataTask) -> Source:
    """Open a data set for ``task``, whose data sets are of the type ``kind``.

    Raises:
        DataError: if it is for another task, what it opens is of another type, or that has no "train".
    """
    if known.task != task:
        raise DataError(
            f"{known.name} is a data set for {known.task}, and one for {task} is needed; if you mean a folder, write "
            f"./{known.name}"
        )
    source = known.open(asked)
    if not isinstance(source, kind):
        expected = f"{kind.__module__}.{kind.__name__}"
        raise DataError(f"opening {known.name} gave a {type(source).__name__}; expected a {expected}")
    if "train" not in source.splits:
        raise DataError(f"{known.name} has no train split; it has {', '.join(source.splits) or 'none'}")
    return source


def open_set(known: DataSet, asked: Asked) -> DataSource:
    """Open a data set for segmentation, val taken from train where it is missing.

    Raises:
        DataError: as :func:`open_as`; or if there are too few images to divide.
    """
    source = open_as(DataSource, known, asked, "segmentation")
    if "val" in source.splits:
        return source
    train = source.splits["train"]
    left, held = set_aside(len(train), asked.val_share, asked.seed, known.name)
    parts = {"train": Part(train, left), "val": Part(train, held)}
    whole = f"{len(held)} of the {len(train)} images of train"
    note = set_aside_note(whole, len(held), asked.val_share, asked.seed)
    return replace(source, splits={**source.splits, **parts}, notes=(*source.notes, note))
