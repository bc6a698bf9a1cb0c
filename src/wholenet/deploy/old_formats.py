"""Configs of model folders that earlier versions wrote: classifiers had format 1, segmentation models format 2."""

from __future__ import annotations

from typing import Any

from wholenet.file_keys import check_keys

Kinds = dict[str, Any]

TASKS = {1: "classification", 2: "segmentation"}
"""By format."""
NAMES = {1: "space", 2: "name"}
"""The key of the space in "model"; a name is "grid-small"."""
ANSWERS: dict[int, Kinds] = {
    1: {"classes": list, "normalization": dict, "size": list},
    2: {"classes": dict, "normalization": dict, "held_out": dict},
}
SPEC: Kinds = {"num_classes": int, "in_channels": int, "relaxation": str, "genotype": dict | None}
"""What "model" has besides the settings of the space, which stand beside these."""


def is_old(config: dict[str, Any]) -> bool:
    """Whether ``config`` says that it has a format that is read, but no longer written."""
    found = config.get("format")
    return type(found) is int and found in TASKS and config.get("task") == (TASKS[1] if found == 1 else None)


def renewed(config: dict[str, Any], where: str) -> dict[str, Any]:
    """An old ``config`` as format 3 has it. Values are moved, not checked.

    Raises:
        ValueError: if there is nothing to be moved; ``where`` is named.
    """
    number = config["format"]
    check_keys(config, {"model": dict, **ANSWERS[number]}, where)
    model = config["model"]
    check_keys(model, {NAMES[number]: str, **SPEC}, f"{where}, model")
    space, _, size = model[NAMES[number]].partition("-")
    settings = {name: value for name, value in model.items() if name not in (NAMES[number], *SPEC)}
    return {
        **{name: value for name, value in config.items() if name not in ("model", *ANSWERS[number])},
        "format": 3,
        "task": TASKS[number],
        "model": {
            "space": space,
            "settings": {**settings, **({"size": size} if size else {})},
            "outputs": model["num_classes"],
            "channels": model["in_channels"],
            "relaxation": model["relaxation"],
            "genotype": model["genotype"],
        },
        "answer": {name: config[name] for name in ANSWERS[number]},
        "facts": config.get("facts", {}),
    }
