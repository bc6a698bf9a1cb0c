"""The weights of a trained model as the start of another run: by name and shape, with a report of what fits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from wholenet.deploy.model_files import file_digest, inside, place_of, read_config, some_of
from wholenet.deploy.model_folder import load_model
from wholenet.spaces.catalog import create_from
from wholenet.spaces.space import Spec
from wholenet.spaces.supernet import Supernet

CLASSIFIER = "net.decoder.classify."
"""Names of the grid's last layer begin with it: an output for each class."""
LOGITS = "arch.logits."


@dataclass(frozen=True)
class Given:
    """A trained model, before it is known how much of it fits."""

    path: str
    model: Supernet[Any]
    classes: tuple[str, ...]
    facts: dict[str, str]
    """Where it comes from, and its pretrained encoder: for people."""


@dataclass(frozen=True)
class Fit:
    """What of a model fits a network."""

    tensors: dict[str, Tensor]
    """Those that are taken, by name."""
    other_shape: list[str]
    """Each with both shapes."""
    missing: list[str]
    """In the network alone: they start anew."""
    unused: list[str]
    """In the model alone."""
    anew: list[str]
    """They would fit, but answer for other classes."""

    def lines(self, path: str) -> list[str]:
        """The report of it, for people; ``path`` is the model's."""
        whole = len(self.tensors) + len(self.other_shape) + len(self.missing) + len(self.anew)
        lines = [f"starts from {path}: {len(self.tensors)} of {whole} tensors taken"]
        told = {
            "of another shape, anew": self.other_shape,
            "for other classes, anew": self.anew,
            "not in it, anew": self.missing,
            "in it, not used": self.unused,
        }
        return lines + [f"  {what} ({len(names)}): {some_of(names)}" for what, names in told.items() if names]


def given_model(path: str | Path) -> Given:
    """The trained segmentation model in a run or model folder, read as such folders always are.

    Raises:
        ValueError: if there is none, it is for another task, or damaged.
    """
    loaded = load_model(path, task="segmentation")
    folder = place_of(path)
    assert folder is not None, "it was loaded"
    known = read_config(folder).get("facts", {})
    facts = {key: value for key, value in known.items() if key.startswith("stem_") and isinstance(value, str)}
    facts |= {"init": str(path), "init_sha256": file_digest(inside(folder, "model.safetensors"))}
    if (stem := loaded.network.spec.settings.get("stem")) is not None:
        facts["stem"] = stem
    return Given(str(path), loaded.network, tuple(loaded.classes.names), facts)


def what_fits(given: Given, spec: Spec, classes: Sequence[str]) -> Fit:
    """What of ``given`` the network of ``spec``, which tells ``classes`` apart, can start with: weights of its names
    and shapes; architecture parameters too, where both are relaxed in the same way.

    Raises:
        ValueError: if nothing fits; it says how the two networks differ.
    """
    with torch.device("meta"):
        wanted = {name: value for name, value in create_from(spec).state_dict().items() if _is_weight(name)}
    there = {name: value for name, value in given.model.state_dict().items() if _is_weight(name)}
    same_relaxation = given.model.spec.relaxation == spec.relaxation
    if given.model.discrete or spec.genotype is not None or not same_relaxation:
        there = {name: value for name, value in there.items() if not name.startswith(LOGITS)}
        wanted = {name: value for name, value in wanted.items() if not name.startswith(LOGITS)}
    both = [name for name in wanted if name in there]
    fitting = [name for name in both if there[name].shape == wanted[name].shape]
    anew = [name for name in fitting if name.startswith(CLASSIFIER) and tuple(classes) != given.classes]
    found = Fit(
        tensors={name: there[name].detach().cpu().clone() for name in fitting if name not in anew},
        other_shape=[
            f"{name} {list(there[name].shape)} there, {list(wanted[name].shape)} here"
            for name in both
            if name not in set(fitting)
        ],
        missing=[name for name in wanted if name not in there],
        unused=[name for name in there if name not in wanted],
        anew=anew,
    )
    if not any(name.startswith("net.") and there[name].ndim > 1 for name in found.tensors):
        raise ValueError(
            f"init={given.path!r}: none of its weights fits this network{differences(given, spec)}; give the settings "
            "of that model, or leave init out"
        )
    return found


def differences(given: Given, spec: Spec) -> str:
    """How the model's settings differ from those of ``spec``, in brackets; empty if they do not."""
    own = given.model.spec
    then, now = ({"space": one.space, **one.settings} for one in (own, spec))
    found = [
        f"{key} is {then.get(key)} there, {now.get(key)} here"
        for key in {**then, **now}
        if then.get(key) != now.get(key)
    ]
    return f" ({'; '.join(found)})" if found else ""


def _is_weight(name: str) -> bool:
    return name.startswith(("net.", LOGITS))
