"""Where the times come from that a budget in milliseconds is counted by: a file, or this machine."""

from __future__ import annotations

from collections.abc import Callable

from wholenet.deploy.device_times import measure_table
from wholenet.jobs.segmentation import MaskData
from wholenet.machine import processor
from wholenet.search.config import FitConfig
from wholenet.spaces.catalog import grid_subnets
from wholenet.spaces.device_table import DeviceTable, check_table, read_table
from wholenet.spaces.space import Spec


def predicted_size(data: MaskData) -> tuple[int, int]:
    """(height, width) of the largest image that is held out: images are predicted whole."""
    return data.prepared.val_stats.max_height, data.prepared.val_stats.max_width


def table_of(config: FitConfig, spec: Spec, say: Callable[[str], None]) -> DeviceTable:
    """The table of times of a run with a budget in milliseconds: that of its file, or measured.

    Args:
        config: of the run; what its budget is of is settled.
        spec: of its supernet.
        say: told what the table is of, and how well it adds up.

    Raises:
        ValueError: if the file holds none, or one of another machine, size of image or network; if nothing can be
            removed from the network, or its units are not timed.
    """
    size = config.budget_size
    grid_subnets(spec)  # which says what cannot be removed, or timed
    if config.device_table is None:
        say(f"measuring how long the network's units take, for an image of {size[0]}x{size[1]}")
        table = measure_table(spec, size, threads=config.threads or 1)
    else:
        table = read_table(config.device_table)
        check_table(table, spec, size, processor(), config.device_table)
    say(f"{table.told}: {table.adds_up}")
    return table
