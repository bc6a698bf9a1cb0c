"""Networks laid flat for inference, by the space that they are of; users register how theirs are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from wholenet.deploy.fold import fold_grid, without_norms
from wholenet.deploy.fold_trellis import fold_trellis
from wholenet.plugins import load_plugins
from wholenet.registry import Registry
from wholenet.spaces.supernet import Supernet


@dataclass(frozen=True)
class Fold:
    """How networks of a space are laid flat: what makes the same function of fewer operations."""

    name: str
    """Of the space."""
    fold: Callable[[Supernet[Any]], nn.Module]
    """A model in eval mode, which it does not change -> a module that answers what the model does, at the zoom of its
    ``spec``: images [B, C, H, W] -> logits."""
    discrete: bool = False
    """Whether it takes discrete networks too. Of others, convolutions take the BatchNorms behind them in."""
    predicts: bool = False
    """Whether predictions are made by it. A file that is exported is compared with the model; these are not."""


FOLDS: Registry[Fold] = Registry(
    "fold",
    {
        fold.name: fold
        for fold in (
            Fold("grid", fold_grid, discrete=True, predicts=True),
            Fold("dense-grid", fold_grid, discrete=True, predicts=True),
            Fold("autodeeplab", fold_trellis),
        )
    },
    load_plugins,
)
"""By space; :func:`wholenet.register` adds to them."""


def fold_of(model: Supernet[Any]) -> Callable[[Supernet[Any]], nn.Module] | None:
    """How ``model`` is laid flat; None: nobody knows."""
    found = FOLDS.get(model.spec.space)
    if found is not None and (found.discrete or not model.discrete):
        return found.fold
    return without_norms if model.discrete else None


def fold(model: Supernet[Any]) -> nn.Module:
    """The network of ``model`` at its present architecture weights, for inference: images [B, C, H, W] -> class logits
    [B, classes, H, W], or what else it answers.

    Of the grids and of Auto-DeepLab's supernet, folded in float64, then cast to the model's own type; on its device. Of
    discrete networks of other spaces, with the BatchNorms in their convolutions. ``model`` is not changed.

    Raises:
        ValueError: if the model is in training mode: it would normalise by the batch, which cannot be folded. For a
            supernet of a space that nobody has registered a :class:`Fold` of.
    """
    lay = fold_of(model)
    if lay is None:
        raise ValueError(
            f"nobody says how supernets of space {model.spec.space!r} are folded, as of {', '.join(FOLDS)}: register a "
            "wholenet.deploy.folds.Fold, or use the model as it is"
        )
    if model.training:
        raise ValueError("fold takes a model in eval mode, whose BatchNorms are fixed: call model.eval() first")
    return lay(model)
