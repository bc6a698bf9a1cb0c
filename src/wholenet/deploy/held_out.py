"""How a run set images aside where its data has no val split: models say it, so that the same ones score them."""

from __future__ import annotations

from typing import Any

from wholenet.checked import Seed, Share
from wholenet.file_keys import check_keys


def check_held_out(values: dict[str, Any], where: str) -> dict[str, Any]:
    """``values`` themselves: ``val_share`` and ``seed`` of :func:`wholenet.data.detect.open_data`, or nothing, where
    nobody said.

    Raises:
        ValueError: for other keys, types or numbers; ``where`` they stand is named.
    """
    if values:
        check_keys(values, {"val_share": Share, "seed": Seed}, f"{where}, held_out", only=True)
    return values
