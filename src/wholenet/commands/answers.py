"""What the commands have in common that use a trained network: how it is given, and how an answer is written."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from wholenet.search.config import parse_size

if TYPE_CHECKING:
    from wholenet.deploy.predict import SomeFailed
    from wholenet.deploy.tiles import Tiling

Device = Literal["auto", "cpu", "cuda"]


def loaded(model: str, device: str, tile: str | None) -> Any:
    """The model of any task; what is no size is refused before that takes its time."""
    from wholenet.trained import load_any

    if tile is not None:
        parse_size(tile)
    return load_any(model, device)


def tiling_of(tile: str | None, overlap: int | None) -> Tiling:
    """How images are to be cut."""
    from wholenet.deploy.tiles import Tiling

    given = {"tile": None if tile is None else parse_size(tile), "overlap": overlap}
    return Tiling(**{name: value for name, value in given.items() if value is not None})


def write_json(path: str | None, content: dict[str, Any]) -> None:
    """Write an answer to a file, if one was named."""
    if path is not None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(json.dumps(content, indent=2) + "\n")


def refuse(failed: SomeFailed | None) -> None:
    """Say what failed, and end with status 1."""
    if failed is not None:
        sys.stderr.write(f"wholenet predict: {failed}\n")
        raise SystemExit(1)
