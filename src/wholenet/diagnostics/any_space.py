"""Diagnose a run on a space from outside: what can be asked of any network that takes weights and has masks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch

from wholenet.architecture import normalized_entropy, one_hot, rescaled, uniform_weights
from wholenet.checked import Count, checked_numbers
from wholenet.data.check import check_split
from wholenet.data.splits import evenly_spaced
from wholenet.deploy.model_folder import load_model
from wholenet.deploy.score import open_for
from wholenet.diagnostics.curvature import Curvature
from wholenet.diagnostics.discretization import current_weights
from wholenet.diagnostics.entropy import Movement, movement
from wholenet.diagnostics.run import curvature_of
from wholenet.search.run_folder import RunFolder
from wholenet.spaces.supernet import with_weights
from wholenet.tasks.segmentation import evaluate


@dataclass(frozen=True)
class Brief:
    """What a run on any space is asked. Scores are shares in [0, 1], on the validation split."""

    run: str
    data: str
    images: int
    searched: bool
    """False: the architecture never moved (a control)."""
    epochs: int
    parameters: int
    constant_miou: float
    """Of always answering the one class that scores best so."""
    miou: float
    strongest_miou: float
    """At the strongest option of each choice, with the supernet's weights: what cutting costs before any retraining."""
    uniform_miou: float
    """At all options equally strong, likewise."""
    entropy: Mapping[str, float]
    """Normalised, of each architecture parameter: 1 is uniform, 0 one-hot."""
    movement: Mapping[str, Movement]
    curvature: Curvature | None

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return asdict(self)

    def lines(self) -> list[str]:
        """For people to read."""
        found = [
            f"whole supernet          {100 * self.miou:5.1f} % mIoU, {self.images} images",
            f"strongest options only  {100 * self.strongest_miou:5.1f} % mIoU, before any retraining",
            f"all options equal       {100 * self.uniform_miou:5.1f} % mIoU",
            f"best constant class     {100 * self.constant_miou:5.1f} % mIoU",
        ]
        for name, value in self.entropy.items():
            moved = self.movement[name]
            found.append(f"{name}: entropy {value:.3f} of 1, {100 * moved.decided:.0f} % of the choices decided")
        if self.curvature is not None:
            found.append(f"curvature: highest {self.curvature.highest:.4g}, lowest {self.curvature.lowest:.4g}")
        return found


@checked_numbers
def diagnose_any(
    run: RunFolder,
    data: str | None = None,
    device: torch.device | str = "cpu",
    images: Count | None = None,
    with_curvature: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Brief:
    """Ask of ``run`` what any space can answer; arguments as :func:`wholenet.diagnostics.run.diagnose`.

    Raises:
        DataError: for data that cannot be read, or of other classes.
        ValueError: for a run without a model, or of a discrete network.
    """
    config = run.config
    model = load_model(run.path, device, task="segmentation")
    network = model.network
    if network.discrete:
        raise ValueError(f"{run.path} trained a discrete network, which has no architecture weights to diagnose")
    source = open_for(model, data or config.data, config.max_megapixels)
    val = evenly_spaced(source.splits["val"], images)
    masks, weights = network.net.masks, current_weights(network)
    variants = {
        "miou": weights,
        "strongest_miou": {name: one_hot(w.argmax(-1), masks[name]) for name, w in weights.items()},
        "uniform_miou": uniform_weights(masks),
    }
    done, total = 0, len(variants) * len(val)

    def count(_done: int, _total: int) -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, total)

    ends = curvature_of(network, val, config, device) if with_curvature else None
    scores = {
        name: evaluate(with_weights(network, at), val, len(model.classes), device, count).miou
        for name, at in variants.items()
    }
    shares = {name: rescaled(w) for name, w in weights.items()}
    return Brief(
        run=str(run.path),
        data=data or config.data,
        images=len(val),
        searched=config.moves_architecture,
        epochs=len(run.records()),
        parameters=sum(parameter.numel() for parameter in network.net.parameters()),
        constant_miou=check_split(val, model.classes, name="val").best_constant_miou(),
        entropy={name: normalized_entropy(w, masks[name]).item() for name, w in shares.items()},
        movement={name: movement(w, masks[name]) for name, w in shares.items()},
        curvature=ends,
        **scores,
    )
