"""What users hold: a network together with its architecture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Generic, Self, TypeVar

import torch
from torch import Tensor, nn

from wholenet.architecture import AS_GIVEN, RELAXATIONS, Architecture, Weights, uniform_weights
from wholenet.ops.execution import Execution
from wholenet.ops.layers import lay_out
from wholenet.ops.zoom import seen_at
from wholenet.spaces.space import Facts, Space, Spec
from wholenet.spaces.subnets import Subnets

Net = TypeVar("Net", bound=nn.Module)


class Supernet(nn.Module, Generic[Net]):
    """Owns ``net`` and ``arch``, saves both, and calls ``net(x, arch.scored())``; in eval mode at the zoom of ``spec``.

    Args:
        net: called with (x, weights); has ``masks``, the choices of its space.
        arch: the architecture parameters of that space.
        spec: what makes this model again.
    """

    def __init__(self, net: Net, arch: Architecture, spec: Spec) -> None:
        super().__init__()
        self.net = net
        self.arch = arch
        self.spec = spec
        self.execution = Execution(net)
        """How training's steps call ``net``; calling the model itself is always plain float32."""

    @property
    def discrete(self) -> bool:
        """Whether this is a discrete network, which has nothing to choose."""
        return self.spec.genotype is not None

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

    def at_zoom(self, zoom: float) -> Supernet[Net]:
        """The same network, with the same weights, that sees images at another ``zoom``."""
        return Supernet(self.net, self.arch, replace(self.spec, zoom=zoom)).train(self.training)

    def forward(self, x: Tensor) -> Tensor:
        """Images [B, channels, H, W] -> class logits: [B, classes, H, W] of segmentation, [B, classes] of labels."""
        weights = self.arch.scored()
        return self.net(x, weights) if self.training else seen_at(self.spec.zoom, lambda y: self.net(y, weights), x)


def create(
    space: Space,
    settings: Any,
    facts: Facts,
    *,
    relaxation: str = "softmax",
    genotype: Any = None,
    subnet: Mapping[str, Any] | None = None,
    zoom: float = 1.0,
) -> Supernet[Any]:
    """An untrained supernet of ``space``; with a ``genotype`` (or its plain values), that discrete network alone; with
    the plain values of a ``subnet``, what that leaves of the supernet; ``zoom`` is that at which it predicts.

    Weights come from torch's global random state: call ``torch.manual_seed`` first for a repeatable start.

    Raises:
        ValueError: for an unknown relaxation (the known ones are listed), or a genotype or a subnet of another space or
            size.
    """
    relax = None if relaxation == AS_GIVEN else RELAXATIONS[relaxation]
    kind = space.genotype
    if genotype is not None and kind is None:
        raise ValueError(f"space {space.name!r} has no discrete networks, so no genotype of it can be built")
    if genotype is not None and kind is not None:
        genotype = space.genotype_of(dict(genotype)) if isinstance(genotype, Mapping) else genotype
        if kind.check is not None:
            kind.check(genotype, settings)
    spec = Spec(
        space=space.name,
        settings=space.values_of(settings),
        outputs=facts.outputs,
        channels=facts.channels,
        relaxation=relaxation,
        genotype=None if genotype is None else genotype.to_dict(),
        subnet=subnet,
        zoom=zoom,
    )
    if subnet is None:
        net = space.build(settings, facts, genotype)
    elif genotype is not None:
        raise ValueError("a discrete network has nothing to choose from; leave either the genotype or the subnet out")
    else:
        net = space.build(settings, facts, None, subnets_of(space, settings, facts).from_dict(subnet))
    if any(mask.is_meta for mask in net.masks.values()):
        raise ValueError(
            f"the network of space {space.name!r} makes its masks wherever its weights are made; model folders make "
            'these nowhere at first, so make the masks with device="cpu"'
        )
    if genotype is not None and kind is not None:
        arch = Architecture.fixed(kind.weights(genotype), net.masks)
    elif relax is None:
        arch = Architecture.fixed(uniform_weights(net.masks), net.masks)
    else:
        others = {name: RELAXATIONS["softmax"] for name in getattr(net, "competing", ())}
        others |= getattr(net, "relaxations", {})
        arch = Architecture(net.masks, relax, others, empty=subnet is not None)
    return Supernet(net, arch, spec)


def subnets_of(space: Space, settings: Any, facts: Facts) -> Subnets[Any]:
    """What can be removed from a supernet of ``space``.

    Raises:
        ValueError: if nothing can, or not with these settings.
    """
    if space.subnets is None:
        raise ValueError(
            f"space {space.name!r} does not say what can be removed from its supernet, and what that costs"
        )
    return space.subnets(settings, facts)


def with_weights(model: Supernet[Any], weights: Weights) -> Supernet[Any]:
    """``model``'s network (shared, not copied) with these architecture weights, fixed: pruned, discrete, uniform...

    On ``model``'s device and in its mode.
    """
    spec = model.spec if model.discrete else replace(model.spec, relaxation=AS_GIVEN)
    own = Supernet(model.net, Architecture.fixed(weights, model.net.masks), spec)
    return own.to(next(model.net.parameters()).device).train(model.training)
