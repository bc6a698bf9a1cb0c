"""The files of a data set: which images, which masks, and what is wrong with them by their names alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wholenet.data.finding import Finding
from wholenet.data.folder import Pair
from wholenet.data.outlines import Outlined
from wholenet.data.sample import Classes


@dataclass(frozen=True)
class Tree:
    """The files of a data set, before its masks mean anything."""

    pairs: Mapping[str, list[Pair]]
    """Split -> images with masks; "train" always."""
    findings: tuple[Finding, ...] = ()
    """What is wrong with files and folders, by their names."""
    known_classes: Classes | None = None
    """The classes that this arrangement of folders implies, or that files beside the masks say."""
    mask_folders: tuple[Path, ...] = ()
    """Where a class file may lie, besides the root."""
    notes: tuple[str, ...] = ()
    outlined: Outlined | None = None
    """The annotations that the masks are drawn from, if they are no files."""
    told: str = ""
    """How its files are arranged, where a ``Layout`` does not say it."""
    by_folder: bool = False
    """Whether images of one folder belong together, as those of a patient do, and are not to be divided."""
    origin: str = "no class file: the classes are those the folders' names imply"
    """Where ``known_classes`` are from, for people to read."""
