"""The machine that a run is made on: its device, and what is recorded of it."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from wholenet import parallel
from wholenet.files import read_text
from wholenet.version import VERSION


def choose_device(name: str) -> torch.device:
    """The device called "cpu" or "cuda"; "auto" is a GPU if there is one.

    Raises:
        ValueError: if a GPU is asked for where there is none.
    """
    found = torch.cuda.is_available()
    if name == "cuda" and not found:
        raise ValueError(
            f"--device cuda was asked for, but this torch ({torch.__version__}) sees no GPU; use --device cpu or "
            "auto, or install a build of torch that fits the machine's GPU"
        )
    if name == "cpu" or not found:
        return torch.device("cpu")
    if parallel.processes() == 1:
        return torch.device("cuda")
    own = torch.device("cuda", parallel.local_rank())
    torch.cuda.set_device(own)
    return own


def use_threads(threads: int) -> None:
    """Let torch compute on so many threads of the CPU; 0: on as many as it does."""
    if threads:
        torch.set_num_threads(threads)


@contextmanager
def on_threads(threads: int) -> Iterator[None]:
    """Within the block torch computes on so many threads of the CPU; 0: on as many as it does."""
    before = torch.get_num_threads()
    use_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def machine(device: torch.device) -> dict[str, Any]:
    """Versions, commit and device: what any run records."""
    return {
        "wholenet": VERSION,
        "commit": _commit(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or "cpu",
        "threads": torch.get_num_threads(),
        "processes": parallel.processes(),
    }


def processor() -> str:
    """The model of the CPU, as far as the system says it: "AMD EPYC 7763 64-Core Processor"."""
    try:
        lines = read_text("/proc/cpuinfo").splitlines()
    except (ValueError, OSError):  # no Linux
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(filter(None, [*named, platform.processor(), platform.machine()]), "cpu")


def _commit() -> str | None:
    """The commit of the checkout that wholenet runs from; None where it was installed otherwise, or there is no git."""
    source = Path(__file__)
    git = ["git", "-C", str(source.parent)]
    try:
        tracked = subprocess.run([*git, "ls-files", "--error-unmatch", source.name], capture_output=True, check=False)
        head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    except OSError:
        return None
    return head.stdout.strip() if tracked.returncode == head.returncode == 0 else None
