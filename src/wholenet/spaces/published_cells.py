"""Cells that were published, by name: what papers found on the DARTS space. Imports no torch.

Each is a normal and a reduction cell, "operation:source" node by node, as the authors' code lists them; in the order of
their strength where that code keeps it.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass

SHORT = {
    "none": "none",
    "skip": "skip_connect",
    "max": "max_pool_3x3",
    "avg": "avg_pool_3x3",
    "sep3": "sep_conv_3x3",
    "sep5": "sep_conv_5x5",
    "dil3": "dil_conv_3x3",
    "dil5": "dil_conv_5x5",
}
"""Operations by the words that are used here."""


@dataclass(frozen=True)
class PublishedCells:
    """A normal and a reduction cell."""

    source: str
    """Whose, and found on what."""
    normal: str
    reduce: str

    def nodes(self, kind: str) -> tuple[tuple[tuple[str, int], ...], ...]:
        """(operation, source) of each node of a cell's own, "normal" or "reduce".

        >>> PublishedCells("", "skip:0 sep3:1", "").nodes("normal")
        ((('skip_connect', 0), ('sep_conv_3x3', 1)),)
        """
        text = self.normal if kind == "normal" else self.reduce
        return tuple(
            tuple((SHORT[name], int(source)) for name, source in (pair.split(":") for pair in node.split()))
            for node in text.split("|")
        )


PUBLISHED_CELLS = {
    "darts-v1": PublishedCells(
        "DARTS, first order, CIFAR-10",
        "sep3:1 sep3:0 | skip:0 sep3:1 | skip:0 sep3:1 | sep3:0 skip:2",
        "max:0 max:1 | skip:2 max:0 | max:0 skip:2 | skip:2 avg:0",
    ),
    "darts-v2": PublishedCells(
        "DARTS, second order, CIFAR-10",
        "sep3:0 sep3:1 | sep3:0 sep3:1 | sep3:1 skip:0 | skip:0 dil3:2",
        "max:0 max:1 | skip:2 max:1 | max:0 skip:2 | skip:2 max:1",
    ),
    # Some copies have sep5:2 instead of the last sep5:1; the authors' code, in both of its repositories, has this.
    "gdas": PublishedCells(
        "GDAS, CIFAR-10 (its V1)",
        "skip:0 skip:1 | skip:0 sep5:2 | sep3:3 skip:0 | sep5:4 sep3:3",
        "sep5:0 sep3:1 | sep5:2 sep5:1 | dil5:2 sep3:1 | sep5:0 sep5:1",
    ),
    "p-darts": PublishedCells(
        "P-DARTS, CIFAR-10",
        "skip:0 dil3:1 | skip:0 sep3:1 | sep3:1 sep3:3 | sep3:0 dil5:4",
        "avg:0 sep5:1 | sep3:0 dil5:2 | max:0 dil3:1 | dil3:1 dil5:3",
    ),
    "pc-darts": PublishedCells(
        "PC-DARTS, CIFAR-10",
        "sep3:1 skip:0 | sep3:0 dil3:1 | sep5:0 sep3:1 | avg:0 dil3:1",
        "sep5:1 max:0 | sep5:1 sep5:2 | sep3:0 sep3:3 | sep3:1 sep3:2",
    ),
    "pc-darts-imagenet": PublishedCells(
        "PC-DARTS, ImageNet",
        "skip:1 sep3:0 | sep3:0 skip:1 | sep3:1 sep3:3 | sep3:1 dil5:4",
        "sep3:0 skip:1 | dil5:2 max:1 | sep3:2 sep3:1 | sep5:0 sep3:3",
    ),
    "sdarts-rs": PublishedCells(
        "SmoothDARTS, random, CIFAR-10",
        "sep3:1 sep3:0 | sep5:1 skip:0 | sep3:3 skip:1 | sep3:1 dil3:2",
        "max:0 sep3:1 | skip:2 max:0 | dil5:3 max:0 | sep3:2 sep5:3",
    ),
    "sdarts-adv": PublishedCells(
        "SmoothDARTS, adversarial, CIFAR-10",
        "sep3:0 sep3:1 | sep3:1 skip:0 | sep5:0 dil3:3 | dil3:4 skip:0",
        "max:0 sep5:1 | skip:2 max:0 | skip:3 skip:2 | skip:2 sep5:4",
    ),
    "drnas": PublishedCells(
        "DrNAS, CIFAR-10",
        "sep3:0 sep5:1 | sep3:1 sep3:2 | skip:0 sep3:1 | sep3:2 dil5:3",
        "max:0 sep5:1 | dil5:2 sep5:1 | sep5:1 dil5:3 | skip:4 sep5:1",
    ),
    "drnas-imagenet": PublishedCells(
        "DrNAS, ImageNet",
        "sep3:1 sep3:0 | sep3:0 sep3:1 | sep3:0 dil3:3 | skip:0 sep3:1",
        "max:0 sep3:1 | sep3:0 skip:2 | sep3:0 sep3:2 | sep3:3 sep3:1",
    ),
    "dots": PublishedCells(
        "DOTS, CIFAR-10",
        "skip:0 sep3:1 | sep3:0 sep3:1 | sep3:0 sep3:1 | skip:1 dil3:3",
        "sep3:0 sep3:1 | max:0 max:1 | max:0 dil5:3 | max:0 dil5:4",
    ),
    "dots-cifar100": PublishedCells(
        "DOTS, CIFAR-100",
        "sep3:0 sep3:1 | skip:0 sep3:1 | sep3:1 sep3:3 | sep3:1 dil3:4",
        "avg:0 avg:1 | sep5:0 sep5:1 | sep3:0 dil5:3 | sep3:3 dil3:4",
    ),
    "dots-imagenet": PublishedCells(
        "DOTS, ImageNet",
        "dil5:0 skip:1 | skip:0 sep3:1 | sep3:0 sep3:1 | sep3:0 sep5:1",
        "sep5:0 sep3:1 | sep3:0 sep5:1 | max:0 dil5:3 | sep3:0 max:1",
    ),
}
"""By name. RobustDARTS publishes two cells for each search on S1 to S4, and does not say which ones it reports: none is
here."""


def near_names(name: str) -> str:
    """ "did you mean ...? ", where a published name is near; else nothing.

    >>> near_names("pcdarts")
    "did you mean 'pc-darts' or 'p-darts'? "
    """
    near = difflib.get_close_matches(name[:50].lower().replace("_", "-"), PUBLISHED_CELLS, n=2, cutoff=0.7)
    return f"did you mean {' or '.join(map(repr, near))}? " if near else ""
