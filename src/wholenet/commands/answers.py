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


def loaded(model: str, device: str, tile: str | None, zoom: float | None) -> Any:
    """The model of any task, one for masks at that ``zoom``; what is no size is refused before that takes its time."""
    from wholenet.deploy.segmenter import TrainedModel
    from wholenet.trained import load_any

    if tile is not None:
        parse_size(tile)
    found = load_any(model, device)
    if zoom is None:
        return found
    if not isinstance(found, TrainedModel):
        raise ValueError(
            f"--zoom={zoom:g} is of a network for masks, in its run or model folder, and {model} is none; a file that "
            "was exported sees images at the zoom that its network had: leave it out"
        )
    return found.at_zoom(zoom)


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
