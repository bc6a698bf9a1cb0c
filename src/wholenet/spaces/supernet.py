"""What users hold: a network together with its architecture; and the names by which one is made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, Self, TypeVar

import torch
from torch import Tensor, nn

from wholenet.architecture import AS_GIVEN, RELAXATIONS, Architecture, Weights, uniform_weights
from wholenet.checked import Channels, Classes, checked_numbers
from wholenet.ops.execution import Execution
from wholenet.ops.layers import lay_out
from wholenet.spaces.genotype import Genotype, genotype_from_dict
from wholenet.spaces.grid import Grid
from wholenet.spaces.sizes import GRID_SIZES, grid_size

Net = TypeVar("Net", bound=nn.Module)


class Supernet(nn.Module, Generic[Net]):
    """Owns ``net`` and ``arch``, saves both, and calls ``net(x, arch())``.

    Args:
        net: called with (x, weights); has ``masks``, the choices of its space.
        arch: the architecture parameters of that space.
        spec: the arguments of :func:`create_model`, or of the like function of another space, that make this model
            again, as plain values.
    """

    def __init__(self, net: Net, arch: Architecture, spec: dict[str, Any]) -> None:
        super().__init__()
        self.net = net
        self.arch = arch
        self.spec = spec
        self.execution = Execution(net)
        """How training's steps call ``net``; calling the model itself is always plain float32."""

    def placed(self, device: torch.device) -> Self:
        """This model on ``device``, laid out for speed."""
        self.to(device)
        lay_out(self.net)
        return self

    def filled(self, tensors: Mapping[str, Tensor]) -> Self:
        """This model, built on the meta device, with ``tensors``, its whole state, for its parameters and buffers."""
        self.load_state_dict(tensors, assign=True)
        self.execution = Execution(self.net)  # it looks at a parameter, and these are others
        return self

    def forward(self, x: Tensor) -> Tensor:
        """Images [B, in_channels, H, W] -> class logits: [B, classes, H, W] of a grid, [B, classes] of a cell space."""
        return self.net(x, self.arch())


@checked_numbers
def create_model(
    name: str,
    *,
    num_classes: Classes,
    in_channels: Channels = 3,
    cell: str = "mixture",
    activation: str = "hardswish",
    relaxation: str = "softmax",
    genotype: Genotype | dict[str, Any] | None = None,
) -> Supernet[Grid]:
    """An untrained supernet by name: "grid-" and a size of ``spaces.sizes``; with a ``genotype`` (or its plain values),
    the discrete network alone, its edges fixed.

    Weights come from torch's global random state: call ``torch.manual_seed`` first for a repeatable start.

    Raises:
        ValueError: for an unknown name or option (the known ones are listed), a number out of bounds, or a genotype of
            another space or size.

    >>> model = create_model("grid-nano", num_classes=4)
    >>> model(torch.zeros(1, 3, 33, 47)).shape
    torch.Size([1, 4, 33, 47])
    """
    space, _, size = name.partition("-")
    if space != "grid" or size not in GRID_SIZES:
        raise ValueError(f"unknown model {name!r}; known: {', '.join(f'grid-{s}' for s in GRID_SIZES)}")
    if relaxation not in (*RELAXATIONS, AS_GIVEN):
        raise ValueError(f"unknown relaxation {relaxation!r}; known: {', '.join((*RELAXATIONS, AS_GIVEN))}")
    shape = grid_size(size)
    if isinstance(genotype, dict):
        genotype = genotype_from_dict(genotype)
    if genotype is not None and genotype.layers != shape.layers:
        raise ValueError(
            f"the genotype has {genotype.layers} layers, {name} has {shape.layers}; give the size it was decoded from"
        )
    spec = {
        "name": name,
        "num_classes": num_classes,
        "in_channels": in_channels,
        "cell": cell,
        "activation": activation,
        "relaxation": relaxation,
        "genotype": None if genotype is None else genotype.to_dict(),
    }
    kept = None if genotype is None else genotype.masks()
    net = Grid(shape, num_classes, in_channels, cell=cell, activation=activation, kept=kept)
    if genotype is not None:
        arch = Architecture.fixed(genotype.weights(), net.masks)
    elif relaxation == AS_GIVEN:
        arch = Architecture.fixed(uniform_weights(net.masks), net.masks)
    else:
        arch = Architecture(net.masks, RELAXATIONS[relaxation])
    return Supernet(net, arch, spec)


def with_weights(model: Supernet[Grid], weights: Weights) -> Supernet[Grid]:
    """``model``'s network (shared, not copied) with these architecture weights, fixed: pruned, discrete, uniform...

    On ``model``'s device and in its mode.
    """
    spec = model.spec if model.spec["genotype"] is not None else {**model.spec, "relaxation": AS_GIVEN}
    own = Supernet(model.net, Architecture.fixed(weights, model.net.masks), spec)
    return own.to(next(model.net.parameters()).device).train(model.training)


def discrete_from(model: Supernet[Grid], genotype: Genotype) -> Supernet[Grid]:
    """The discrete network alone, with copies of ``model``'s weights for what is left; in ``model``'s mode.

    Raises:
        ValueError: if ``model`` does not have what the genotype keeps.
    """
    arguments: dict[str, Any] = {**model.spec, "genotype": genotype}
    discrete = create_model(**arguments)
    own, found = discrete.net.state_dict(), model.net.state_dict()
    if missing := sorted(set(own) - set(found)):
        raise ValueError(f"the model does not have {missing[0]} and {len(missing) - 1} more that the genotype keeps")
    some = next(model.net.parameters())
    discrete.to(some.dtype).net.load_state_dict({name: found[name] for name in own})
    return discrete.placed(some.device).train(model.training)
