"""The genotype of a trained supernet, from its folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from wholenet.deploy.classifier import TrainedClassifier
from wholenet.deploy.model_folder import load_model
from wholenet.spaces.catalog import SPACES
from wholenet.spaces.space import Space
from wholenet.spaces.supernet import Supernet

TAU = 0.5
"""Where none is given."""


def decode_model(path: str | Path, decoding: str | None = None, tau: float | None = None) -> tuple[Space, Any]:
    """The discrete network that ``decoding`` finds in the supernet of a run or model folder.

    Args:
        path: the folder.
        decoding: one of the ``decodings`` of the space; None: the usual one, which mostly is "best-path".
        tau: of "threshold": keep edges of at least this share of the weight of the cell's strongest; None: 0.5.

    Returns:
        Its space, and the genotype.

    Raises:
        ValueError: if there is no model, it is a discrete network already or met a budget, or the decoding or tau is
            none.
    """
    loaded = load_model(path)
    chosen = Path(path) / "genotype.yaml"
    if isinstance(loaded, TrainedClassifier) and chosen.is_file():
        raise ValueError(f"{path} holds a classifier, of whose cells what was chosen is a file already: {chosen}")
    if isinstance(loaded, TrainedClassifier):  # it is said what is needed
        loaded = load_model(path, task="segmentation")
    model = loaded.network
    if model.discrete:
        searched = Path(path) / "search"
        where = f"decode its first stage, {searched}" if searched.is_dir() else "decode the run that it came from"
        raise ValueError(f"{path} holds a discrete network, which has nothing to decode; {where}")
    if model.spec.subnet is not None:
        raise ValueError(
            f"{path} met a budget: its network is what is left of the supernet, and is not cut down further"
        )
    return decode_network(model, decoding, tau)


def decode_network(model: Supernet[Any], decoding: str | None = None, tau: float | None = None) -> tuple[Space, Any]:
    """:func:`decode_model`, of a supernet as it is now."""
    space = SPACES[model.spec.space]
    decoding = space.check_decoding(decoding, tau)
    settings = space.settings_of(model.spec.settings)
    return space, space.decode(model.arch(), decoding, TAU if tau is None else tau, settings)
