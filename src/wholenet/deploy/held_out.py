"""How a run set images aside where its data has no val split: models say it, so that the same ones score them."""

from __future__ import annotations

from typing import Any

from wholenet.files import require_keys, require_range

LARGEST_SEED = 2**63 - 1


def check_held_out(values: dict[str, Any], where: str) -> dict[str, Any]:
    """``values`` themselves: ``val_share`` and ``seed`` of :func:`wholenet.data.detect.open_data`, or nothing, where
    nobody said.

    Raises:
        ValueError: for other keys, types or numbers; ``where`` they stand is named.
    """
    if values:
        require_keys(values, {"val_share": (int, float), "seed": int}, f"{where}, held_out", only=True)
        require_range(values, {"val_share": (0, 1), "seed": (0, LARGEST_SEED)}, f"{where}, held_out")
    return values
