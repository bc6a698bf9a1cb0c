"""What each option of a supernet costs by itself: multiply-adds of the modules that it alone runs.

A space says which modules these are (``Space.costs``); counting them is the same for all.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from wholenet.spaces.catalog import SPACES, create_from
from wholenet.spaces.module_macs import option_macs
from wholenet.spaces.space import Space, Spec
from wholenet.spaces.supernet import Supernet

ASKS = {"regularizer": "cost", "pruning": "gates"}
"""Options that ask for costs, and their values that do."""


def check_costs(space: Space, by: str = "regularizer") -> None:
    """Make sure that the options of ``space`` have costs, which the option ``by`` of a run asks for.

    Raises:
        ValueError: if it does not say which modules they run.
    """
    if space.costs is None:
        raise ValueError(
            f"{by}={ASKS[by]!r} needs what each option costs, and space {space.name!r} does not say which of its "
            f"modules an option alone runs (Space.costs); give {by}='none'"
        )


def option_costs(spec: Spec, size: tuple[int, int]) -> dict[str, Tensor]:
    """Multiply-adds of each option of the supernet of ``spec``, on one image, or pair, of ``size`` = (H, W), in the
    plain form.

    Nothing is computed: the network is built without memory. What all options run (stems, what is around them) is in
    none of the numbers.

    Returns:
        float64 [G..., O] by architecture parameter, on the CPU; 0 where an option costs nothing, or none exists.

    Raises:
        ValueError: if the space does not say which modules an option runs.
    """
    space = SPACES[spec.space]
    check_costs(space)
    assert space.costs is not None
    with torch.device("meta"):
        net: Any = create_from(spec).net.eval()
        image = torch.zeros(1, spec.channels, *size)
        inputs = image if space.example is None else space.example(image)
    return option_macs(net, space.costs(net), inputs)[0]


def with_costs(model: Supernet[Any], size: tuple[int, int] | None) -> None:
    """Let the architecture of ``model`` know what its options cost on images of ``size``, as float32 on its device.

    Raises:
        ValueError: if the space does not say which modules an option runs, or inputs are no images.
    """
    if size is None:
        raise ValueError("regularizer='cost' counts multiply-adds on images, and the inputs of this task are none")
    found = option_costs(model.spec, size)
    model.arch.costs = {
        name: cost.to(model.arch.logits[name]) for name, cost in found.items() if name in model.arch.logits
    }
