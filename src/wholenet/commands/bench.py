"""``wholenet bench``."""

from __future__ import annotations

from collections.abc import Sequence

from wholenet.checked import Batch, Count, Threads
from wholenet.commands.answers import Device


def bench(
    names: Sequence[str] = (),
    *,
    size: str = "tiny",
    batch: Batch = 4,
    crop: str = "176x240",
    rounds: Count = 9,
    threads: Threads = 1,
    json: str | None = None,
    device: Device = "auto",
) -> None:
    """Measure speed and memory as ratios, interleaved, each with its equality check.

    Args:
        names: Benchmarks; default: all that the device can run.
        size: Size of the grid supernet.
        batch: Images in a training step.
        crop: HEIGHTxWIDTH of the images.
        rounds: Ratios that the median is of.
        threads: CPU threads of torch.
        json: Write the rows to this file.
        device: Where to compute.
    """
    from wholenet.bench import bench

    options = {"size": size, "batch": batch, "crop": crop, "rounds": rounds, "threads": threads}
    bench(names, device=device, json_file=json, **options)
