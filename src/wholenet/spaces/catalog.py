"""The search spaces by name, and the models of each."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from wholenet.checked import Channels, Classes, checked_numbers
from wholenet.ops.execution import Execution
from wholenet.ops.layers import lay_out
from wholenet.ops.recompute import set_recompute
from wholenet.plugins import load_plugins
from wholenet.registry import Registry
from wholenet.spaces.autodeeplab.space import AUTODEEPLAB
from wholenet.spaces.autodispnet.space import AUTODISPNET
from wholenet.spaces.cell_space import CELL_SPACES
from wholenet.spaces.dense_space import DENSE_GRID
from wholenet.spaces.dots.space import DOTS
from wholenet.spaces.grid_space import GRID
from wholenet.spaces.grid_subnets import GridSubnets
from wholenet.spaces.nb201.space import NB201
from wholenet.spaces.recurrent.space import RECURRENT
from wholenet.spaces.space import Facts, Space, Spec, known_names
from wholenet.spaces.subnets import Subnets
from wholenet.spaces.supernet import Supernet, create, subnets_of

SPACES: Registry[Space] = Registry(
    "space",
    {space.name: space for space in (GRID, DENSE_GRID, AUTODEEPLAB, RECURRENT, AUTODISPNET, *CELL_SPACES, NB201, DOTS)},
    load_plugins,
)
"""By name; :func:`wholenet.register` adds to them."""


@checked_numbers
def create_model(
    name: str,
    *,
    num_classes: Classes,
    in_channels: Channels = 3,
    relaxation: str = "softmax",
    genotype: Any = None,
    **settings: Any,
) -> Supernet[Any]:
    """An untrained supernet by name: that of a space ("s2"), or of a space and one of its sizes ("grid-small").

    Weights come from torch's global random state: call ``torch.manual_seed`` first for a repeatable start.

    Args:
        name: of the space, and a size of it where it has sizes.
        num_classes: classes to tell apart.
        in_channels: of the images.
        relaxation: how logits become weights: "softmax", "sigmoid"; "given" for fixed uniform weights.
        genotype: build this discrete network alone: a genotype of the space, or its plain values.
        settings: of the space, on top of those of the size.

    Raises:
        ValueError: for an unknown name or setting (the known ones are listed), counts below 1, or a genotype of another
            space or size.

    >>> import torch
    >>> model = create_model("grid-nano", num_classes=4)
    >>> model(torch.zeros(1, 3, 33, 47)).shape
    torch.Size([1, 4, 33, 47])
    """
    space, named = find(name)
    return create(
        space,
        space.settings_of({**named, **settings}),
        Facts(num_classes, in_channels),
        relaxation=relaxation,
        genotype=genotype,
    )


def find(name: str) -> tuple[Space, dict[str, Any]]:
    """The space of the model called ``name``, and the settings that its name stands for.

    Raises:
        ValueError: for an unknown name.
    """
    for space in SPACES.values():
        if name == space.name and not space.variants:
            return space, {}
        if name.startswith(f"{space.name}-") and name.removeprefix(f"{space.name}-") in space.variants:
            return space, dict(space.variants[name.removeprefix(f"{space.name}-")])
    raise ValueError(f"unknown model {name!r}; known: {', '.join(known_names(SPACES))}")


def create_from(spec: Spec) -> Supernet[Any]:
    """The untrained network that ``spec`` describes.

    Raises:
        ValueError: for an unknown space, or values that do not do.
    """
    space = SPACES[spec.space]
    facts = Facts(spec.outputs, spec.channels)
    settings = space.settings_of(spec.settings)
    return create(
        space,
        settings,
        facts,
        relaxation=spec.relaxation,
        genotype=spec.genotype,
        subnet=spec.subnet,
        zoom=spec.zoom,
    )


def discrete_from(model: Supernet[Any], genotype: Any) -> Supernet[Any]:
    """The discrete network alone, with copies of ``model``'s weights for what is left; in ``model``'s mode.

    Raises:
        ValueError: if ``model`` does not have what the genotype keeps.
    """
    space = SPACES[model.spec.space]
    facts = Facts(model.spec.outputs, model.spec.channels)
    settings = space.settings_of(model.spec.settings)
    discrete = create(space, settings, facts, genotype=genotype, zoom=model.spec.zoom)
    own, found = discrete.net.state_dict(), model.net.state_dict()
    if missing := sorted(set(own) - set(found)):
        raise ValueError(f"the model does not have {missing[0]} and {len(missing) - 1} more that the genotype keeps")
    some = next(model.net.parameters())
    discrete.to(some.dtype).net.load_state_dict({name: found[name] for name in own})
    return discrete.placed(some.device).train(model.training)


def subnets(spec: Spec) -> Subnets[Any]:
    """What can be removed from the supernet of ``spec``.

    Raises:
        ValueError: if nothing can.
    """
    space = SPACES[spec.space]
    return subnets_of(space, space.settings_of(spec.settings), Facts(spec.outputs, spec.channels))


def grid_subnets(spec: Spec) -> GridSubnets:
    """:func:`subnets` of a grid, whose units can be timed.

    Raises:
        ValueError: if nothing can be removed, or it is not the grid (of a dense one, edges are not timed).
    """
    found = subnets(spec)
    if not isinstance(found, GridSubnets) or spec.space != "grid":
        raise ValueError(f"units of space {spec.space!r} are not timed: give the budget in multiply-adds, like 2GMACs")
    return found


def left_of(spec: Spec) -> Any:
    """The subnet that a network of ``spec`` is: all of it, where nothing was removed."""
    known = subnets(spec)
    return known.whole() if spec.subnet is None else known.from_dict(spec.subnet)


def shrink(model: Supernet[Any], subnet: Any) -> None:
    """Leave ``subnet`` alone of ``model``, in place: other, smaller parameters with the values that those before had;
    the same logits, of which fewer count.

    Raises:
        ValueError: for a network that nothing can be removed from.
    """
    known, before = subnets(model.spec), left_of(model.spec)
    spec = replace(model.spec, subnet=subnet.to_dict())
    with torch.device("meta"):
        net = create_from(spec).net
    found = model.net.state_dict()
    own = {name: known.cut(name, found[name], before, subnet) for name in net.state_dict()}
    net.load_state_dict(own, assign=True)
    old = dict(model.net.named_parameters())
    for name, parameter in net.named_parameters():
        parameter.requires_grad_(old[name].requires_grad)
    lay_out(net)
    set_recompute(net, getattr(model.net, "recompute", False))
    model.arch.keep(net.masks)
    model.net, model.spec = net.train(model.net.training), spec
    model.execution = Execution(net, model.execution.precision)
