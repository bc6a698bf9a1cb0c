"""``wholenet report``."""

from __future__ import annotations

from wholenet.commands.answers import Device


def report(run: str, data: str | None = None, *, out: str | None = None, device: Device = "auto") -> None:
    """Write the page of a run: what it reached, on which images, how, and why.

    Args:
        run: Run folder.
        data: Images with masks to score on; default: the run's.
        out: HTML file to write; default: RUN/report.html.
        device: Where to compute.
    """
    from rich.console import Console

    from wholenet.inspection import write_report
    from wholenet.report.progress import counted

    progress = counted(Console(stderr=True), "scoring")
    print(f"open {write_report(run, out, data, device=device, progress=progress)}")
