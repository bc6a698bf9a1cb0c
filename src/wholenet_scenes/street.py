"""The street itself: how wide, what runs along it, what it meets on its way; no pixels."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

FAR_M = 170.0
"""Where the street ends and the skyline stands."""


@dataclass(frozen=True)
class Street:
    """A cross-section of the street, in metres from its middle, and what it meets on its way."""

    half: float
    """Half the road's width."""
    walk: float
    """The width of either pavement."""
    verge: bool
    """Whether a strip of grass lies between road and pavement."""
    parking: bool
    crossing: float | None
    """Where the cross street begins (it is 9 m wide), if there is one."""
    zebra: float | None
    setback: float
    """From the pavement to the houses: 0 in the city, a garden in a suburb."""
    suburb: bool
    cobbled: bool

    @property
    def line(self) -> float:
        """Where the houses stand."""
        return self.half + self.walk + self.setback

    def blocked(self, z0: float, z1: float) -> bool:
        """Whether the cross street runs through z0..z1."""
        return self.crossing is not None and z0 < self.crossing + 9 and z1 > self.crossing


def draw_street(rng: Random) -> Street:
    """City or suburb, wide or narrow."""
    suburb = rng.random() < 0.35
    crossing = rng.uniform(12, 38) if rng.random() < 0.5 else None
    zebra = rng.uniform(8, 22) if rng.random() < 0.35 else None
    return Street(
        half=rng.choice((3.3, 4.2, 5.4, 6.8)) + rng.uniform(-0.3, 0.3),
        walk=rng.uniform(2.2, 4.6),
        verge=rng.random() < 0.3,
        parking=rng.random() < 0.6,
        crossing=crossing,
        zebra=crossing - 3.8 if crossing is not None and rng.random() < 0.7 else zebra,
        setback=rng.uniform(2, 6) if suburb else 0.0,
        suburb=suburb,
        cobbled=rng.random() < 0.15,
    )
