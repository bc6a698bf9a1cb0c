"""Checkpoint files: written whole or not at all, and known to be as they were written when they are read.

A file is what ``torch.save`` writes, then the SHA-256 of that, then a mark: torch itself reads altered numbers without
a word.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import pickle
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from wholenet.files import settle

MARK = b"wholenet checkpoint"
DIGEST_BYTES = 32
NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What the system says where a disk, a quota or a file is full."""


class DamagedCheckpoint(ValueError):
    """The file is not as it was written."""


class DiskFull(OSError):
    """There is no room for what a run has to write; the message says how much it takes."""


def write_checkpoint(path: Path, state: dict[str, Any], *, keep_previous: bool = True) -> None:
    """Write ``state`` (tensors and plain values) to ``path``, so that a crash at any moment leaves a whole checkpoint.

    The new file is on the disk, and read back, before the old one gives way: it becomes :func:`previous`, or is
    replaced.

    Raises:
        OSError: if it cannot be written; what was there before stays.
    """
    buffer = io.BytesIO()
    torch.save(state, buffer)
    content = buffer.getbuffer()
    hashed = hashlib.sha256(content)
    ending = hashed.digest() + MARK
    hashed.update(ending)
    partial = path.with_suffix(".partial")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.write(ending)
            file.flush()
            os.fsync(file.fileno())
        with partial.open("rb") as file:
            if hashlib.file_digest(file, "sha256").digest() != hashed.digest():
                raise OSError(errno.EIO, "what was written is not what is read back", str(partial))
    except OSError:
        partial.unlink(missing_ok=True)
        raise
    if keep_previous and path.exists():
        path.replace(previous(path))
    partial.replace(path)
    settle(path.parent)


def read_checkpoint(path: Path, device: torch.device) -> dict[str, Any]:
    """What :func:`write_checkpoint` wrote, its tensors on ``device``. Nothing in the file is run.

    Raises:
        DamagedCheckpoint: if it is cut short, altered, or something else.
    """
    content = path.read_bytes()
    end = len(content) - len(MARK) - DIGEST_BYTES
    whole = memoryview(content)
    if end < 0 or not content.endswith(MARK):
        raise DamagedCheckpoint(f"{path} is cut short, or no checkpoint ({len(content):,} bytes)")
    if hashlib.sha256(whole[:end]).digest() != content[end : end + DIGEST_BYTES]:
        raise DamagedCheckpoint(f"{path} has been altered since it was written: its checksum is another")
    try:
        return torch.load(io.BytesIO(whole[:end]), map_location=device, weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise DamagedCheckpoint(f"{path} cannot be read: {error}") from error


def previous(path: Path) -> Path:
    """Where the checkpoint before the one in ``path`` is.

    >>> previous(Path("run/checkpoint.pt")).name
    'checkpoint.previous.pt'
    """
    return path.with_name(f"{path.stem}.previous{path.suffix}")


def state_bytes(state: object) -> int:
    """Bytes of all tensors in a state."""
    if isinstance(state, Tensor):
        return state.numel() * state.element_size()
    parts = state.values() if isinstance(state, dict) else state if isinstance(state, list | tuple) else ()
    return sum(state_bytes(part) for part in parts)


def room_needed(state: dict[str, Any], models: int = 1) -> int:
    """Bytes that a run writes at most: two checkpoints, the next one while it is written, and so many model folders."""
    model, average = state_bytes(state["model"]), state_bytes(state.get("average"))
    groups = state.get("weight_optimizer", {}).get("param_groups", [])
    copies = 3 if any("betas" in group for group in groups) else 2  # before the first step there is no momentum yet
    return 3 * max(state_bytes(state), copies * model + average) + models * model


def check_room(folder: Path, state: dict[str, Any], written: int = 0, models: int = 1) -> None:
    """Make sure that there is room in ``folder`` for what the run will write, so many ``models`` among it, ``written``
    bytes of which are there.

    Raises:
        DiskFull: if there is not.
    """
    needed, free = room_needed(state, models) - written, shutil.disk_usage(folder).free
    if free < needed:
        raise DiskFull(
            f"{folder}: {_megabytes(free)} are free on its disk; the checkpoints and the model of this run take up to "
            f"{_megabytes(needed)} more. Make room, or put the run on another disk"
        )


@contextmanager
def saying_what_a_full_disk_needs(
    folder: Path, state: Callable[[], dict[str, Any]], command: str, models: int = 1
) -> Iterator[None]:
    """Within the block, an error for want of room becomes a :class:`DiskFull` that says how much there has to be.

    Args:
        folder: that is written to.
        state: gives what a checkpoint holds.
        command: that continues the run.
        models: model folders that the run writes.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in NO_SPACE:
            raise
        needed = _megabytes(room_needed(state(), models))
        raise DiskFull(
            f"{folder}: {os.strerror(error.errno).lower()} while writing {error.filename or 'to it'}; "
            f"{_megabytes(shutil.disk_usage(folder).free)} are free. Up to {needed} are needed "
            "for the checkpoints and the model, beside pictures. The last checkpoint is whole. Make room, then "
            f"continue with `{command}`"
        ) from error


def _megabytes(count: int) -> str:
    return f"{max(1, round(count / 1e6)):,} MB"
