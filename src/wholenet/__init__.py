"""wholenet: segmentation networks that learn their own architecture, in one run, with nothing cut away.

>>> import wholenet
>>> model = wholenet.create_model("grid-nano", num_classes=5)

Importing the package imports neither torch nor anything else that is slow; the names below do so when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from wholenet.version import VERSION

if TYPE_CHECKING:
    from wholenet.api import (
        decode,
        evaluate,
        export,
        fit,
        load,
        plan,
        predict,
        resume,
        retrain,
    )
    from wholenet.deploy.folds import fold
    from wholenet.inspection import compare, diagnose, push, write_report
    from wholenet.plugins import register
    from wholenet.search.read_run import read_run
    from wholenet.smaller import shrink
    from wholenet.spaces.catalog import create_model
    from wholenet.spaces.cell_space import cell_space
    from wholenet.spaces.supernet import Supernet

__version__ = VERSION

_HOME = {
    "create_model": "wholenet.spaces.catalog",
    "cell_space": "wholenet.spaces.cell_space",
    "Supernet": "wholenet.spaces.supernet",
    "fit": "wholenet.api",
    "resume": "wholenet.api",
    "retrain": "wholenet.api",
    "load": "wholenet.api",
    "evaluate": "wholenet.api",
    "predict": "wholenet.api",
    "decode": "wholenet.api",
    "diagnose": "wholenet.inspection",
    "export": "wholenet.api",
    "write_report": "wholenet.inspection",
    "compare": "wholenet.inspection",
    "push": "wholenet.inspection",
    "fold": "wholenet.deploy.folds",
    "read_run": "wholenet.search.read_run",
    "shrink": "wholenet.smaller",
    "plan": "wholenet.api",
    "register": "wholenet.plugins",
}

__all__ = [
    "Supernet",
    "cell_space",
    "compare",
    "create_model",
    "decode",
    "diagnose",
    "evaluate",
    "export",
    "fit",
    "fold",
    "load",
    "plan",
    "predict",
    "push",
    "read_run",
    "register",
    "resume",
    "retrain",
    "shrink",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'wholenet' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
