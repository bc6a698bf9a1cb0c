"""How fast a run is, as people read it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Pace:
    """What is counted in a second."""

    unit: str = "img"
    each: float = 1.0
    """So many in a sample, which records count ("images_per_second")."""

    def say(self, samples: float) -> str:
        """So many samples in a second.

        >>> Pace().say(36.14), Pace("tokens", 35).say(100)
        ('36.1 img/s', '3,500 tokens/s')
        """
        value = samples * self.each
        return f"{value:4.1f} {self.unit}/s" if self.each == 1 else f"{value:,.0f} {self.unit}/s"


IMAGES = Pace()
