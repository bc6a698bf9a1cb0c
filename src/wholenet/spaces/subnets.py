"""What can be removed from a supernet, as everything else sees it; each space says it of its own networks.

A *subnet* is the part of a supernet that is left. It is a value of the space's own, with ``to_dict``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

from torch import Tensor, nn

Subnet = TypeVar("Subnet")


class Unit(NamedTuple):
    """Something that can be removed by itself."""

    kind: str
    """Units of one kind are compared with each other: "edge", "channels", ..."""
    where: tuple[int, ...]
    """Which of that kind: as the space counts."""


class Cost(Protocol):
    """What the parts of a network cost, for one image: each space knows what it asks of it. In whole numbers."""

    @property
    def name(self) -> str:
        """What it is counted in: "macs" (multiply-adds) or "ms" (time, in nanoseconds)."""
        ...

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the image."""
        ...

    def in_words(self, amount: int) -> str:
        """So much of it, for people."""
        ...


class Subnets(Protocol[Subnet]):
    """The subnets of the supernets of one space, settings and facts."""

    @property
    def gated(self) -> Sequence[str]:
        """Architecture parameters whose options are units, and whose gates are read from a factor on their weights; of
        other units from the parameters of the network."""
        ...

    @property
    def scaled(self) -> bool:
        """Whether the network's parameters multiply what units give, so that there are :meth:`factors`."""
        ...

    def whole(self) -> Subnet:
        """All of it."""
        ...

    def from_dict(self, values: Mapping[str, Any]) -> Subnet:
        """Plain values, which may come from anywhere -> the subnet.

        Raises:
            ValueError: if they are none of this supernet.
        """
        ...

    def multiply_adds(self, height: int, width: int) -> Cost:
        """Of one image of height x width pixels, in the form that runs."""
        ...

    def cost(self, subnet: Subnet, by: Any) -> int:
        """What a subnet costs, ``by`` a :class:`Cost` of this space."""
        ...

    def least(self, subnet: Subnet, by: Any, kinds: Collection[str] = ...) -> int:
        """:meth:`cost` of the cheapest part of a subnet that removing units of these kinds can come to; of all, if none
        are named."""
        ...

    def narrower(self, by: Any, most: int) -> Subnet:
        """The whole made narrower alike everywhere, until it costs no more than ``most``.

        Raises:
            ValueError: if it cannot cost as little.
        """
        ...

    def units(self, subnet: Subnet, floor: float = 0.0) -> Sequence[Unit]:
        """What can be removed next, in a fixed order, if a share ``floor`` of each part is to stay."""
        ...

    def count(self, subnet: Subnet) -> dict[str, int]:
        """How many of each thing are left, by what people call them."""
        ...

    def without(self, subnet: Subnet, unit: Unit) -> Subnet:
        """The subnet without a unit of its own, and without what nobody reads then."""
        ...

    def macs(self, subnet: Subnet, height: int, width: int) -> int:
        """:meth:`cost` by :meth:`multiply_adds`."""
        ...

    def gates(self, net: nn.Module, subnet: Subnet, units: Sequence[Unit], options: Mapping[str, Tensor]) -> Tensor:
        """The derivative of the loss in a gate on each unit, a factor at 1, out of the gradients that the parameters of
        ``net`` hold, or that in a factor on each option's weight, [G..., O] by the names of :attr:`gated`: float
        [number of units]. To first order, removing a unit adds minus that to the loss."""
        ...

    def factors(self, net: nn.Module, subnet: Subnet, units: Sequence[Unit]) -> list[Tensor]:
        """What multiplies each unit's output, differentiable in the parameters of ``net``: float [some] of each."""
        ...

    def choices(self, subnet: Subnet, unit: Unit) -> Sequence[tuple[str, tuple[int, ...]]]:
        """Which options of the architecture's weights go with the unit: their name and its place; empty: none."""
        ...

    def cut(self, name: str, tensor: Tensor, old: Subnet, new: Subnet) -> Tensor:
        """What is left for ``new`` of a parameter or buffer of ``old``, by its name in the network, or of what has its
        shape."""
        ...
