"""What subnets have in common whose units are options of the architecture: modules go whole, nothing is cut, and
nothing but its own weight multiplies what a unit gives."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar

import torch
from torch import Tensor, nn

from wholenet.spaces.subnets import Unit

Subnet = TypeVar("Subnet")


class OptionSubnets(ABC, Generic[Subnet]):
    """A part of a :class:`wholenet.spaces.subnets.Subnets`, which has the docstrings.

    Args:
        space: name of the space, for messages.
    """

    scaled = False
    by_hand: ClassVar[str]
    """How networks of the space are made narrower, for messages."""

    def __init__(self, space: str) -> None:
        self.space = space

    @abstractmethod
    def whole(self) -> Subnet: ...  # noqa: D102

    @abstractmethod
    def multiply_adds(self, height: int, width: int) -> Any: ...  # noqa: D102

    @abstractmethod
    def cost(self, subnet: Subnet, by: Any) -> int: ...  # noqa: D102

    @abstractmethod
    def choices(self, subnet: Subnet, unit: Unit) -> Sequence[tuple[str, tuple[int, ...]]]: ...  # noqa: D102

    def narrower(self, by: Any, most: int) -> Subnet:
        """The whole, if it costs no more than ``most``: channels are not cut.

        Raises:
            ValueError: if it does.
        """
        if (cost := self.cost(self.whole(), by)) > most:
            raise ValueError(
                f"the whole network costs {by.in_words(cost)}, more than {by.in_words(most)}, and those of the space "
                f"{self.space!r} are made narrower by {self.by_hand} alone; give another budget_by, such as saliency, "
                "or more"
            )
        return self.whole()

    def macs(self, subnet: Subnet, height: int, width: int) -> int:
        """``cost`` by ``multiply_adds``."""
        return self.cost(subnet, self.multiply_adds(height, width))

    def gates(self, net: nn.Module, subnet: Subnet, units: Sequence[Unit], options: Mapping[str, Tensor]) -> Tensor:  # noqa: ARG002
        """Those of the options that the units are."""
        return torch.stack([options[name][at] for unit in units for name, at in self.choices(subnet, unit)])

    def factors(self, net: nn.Module, subnet: Subnet, units: Sequence[Unit]) -> list[Tensor]:  # noqa: ARG002
        """Nothing multiplies what an option gives but its own weight.

        Raises:
            ValueError: always.
        """
        raise ValueError(f"nothing scales what an option of the space {self.space!r} gives")

    def cut(self, name: str, tensor: Tensor, old: Subnet, new: Subnet) -> Tensor:  # noqa: ARG002
        """All of it: what goes, goes as a whole."""
        return tensor
