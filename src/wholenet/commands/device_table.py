"""``wholenet device-table``."""

from __future__ import annotations

from typing import Any

from wholenet.checked import Channels, Classes, Minutes, Threads
from wholenet.files import check_output
from wholenet.search.config import fit_config, parse_size
from wholenet.spaces.sizes import GRID_SIZES, Filters, Layers, Size


def device_table(
    of: str,
    *,
    out: str = "device-table.json",
    size: Size | None = None,
    filters: Filters | None = None,
    layers: Layers | None = None,
    activation: str | None = None,
    operations: str | None = None,
    classes: Classes | None = None,
    channels: Channels | None = None,
    at: str | None = None,
    threads: Threads = 1,
    seconds: Minutes = 20.0,
) -> None:
    """Measure how long the units of a grid take on this machine's CPU, for fit --budget 30ms --device-table FILE.

    Args:
        of: Size of the grid supernet; or data, whose classes, channels and size of image it takes.
        out: File to write.
        size: Of the grid, with data; default: small.
        filters: As in fit.
        layers: As in fit.
        activation: As in fit.
        operations: As in fit.
        classes: Without data: classes to tell apart; default: 19.
        channels: Without data: of the images; default: 3.
        at: HEIGHTxWIDTH of the image; default: the largest image that is held out, or 1024x2048 without data.
        threads: CPU threads of torch.
        seconds: About how long to measure; at least a few runs of every network are taken.
    """
    shape = {"filters": filters, "layers": layers, "activation": activation, "operations": operations}
    given: dict[str, Any] = {name: value for name, value in shape.items() if value is not None}
    asked = None if at is None else parse_size(at)
    check_output(out)
    if of in GRID_SIZES:
        if size is not None:
            raise ValueError(f"{of!r} is a size, and --size {size} another; give one of them, or data")
        config = fit_config(data="", out="", size=of, **given)
    else:
        if classes is not None or channels is not None:
            raise ValueError("--classes and --channels are what data says; give a size of the grid, or leave them out")
        config = fit_config(data=of, out="", size=size or "small", **given)

    from rich.console import Console

    from wholenet.deploy.device_times import measure_table
    from wholenet.jobs.masks import prepare
    from wholenet.jobs.segmentation import MaskData
    from wholenet.jobs.times import predicted_size
    from wholenet.search.run_folder import spec_of
    from wholenet.spaces.device_table import write_table
    from wholenet.spaces.space import Facts

    facts = Facts(classes or 19, channels or 3)
    if of not in GRID_SIZES:
        data = MaskData(prepare(config, Console(stderr=True)))
        facts, asked = data.network(), asked or predicted_size(data)
    table = measure_table(spec_of(config, facts), asked or (1024, 2048), threads=threads, seconds=seconds)
    write_table(table, out)
    print(f"{table.told}: {table.adds_up}")
    print(f"wrote {out}: {len(table.units)} units")
