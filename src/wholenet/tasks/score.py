"""What the networks of a task are compared by."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Score:
    """What the networks of a task are compared by."""

    name: str
    """In records: "miou"."""
    label: str
    """For people: "mIoU"."""
    percent: bool = False
    """A share in [0, 1], which people read in per cent."""
    higher: bool = True
    """More is better."""

    def say(self, value: float) -> str:
        """``value`` as people read it.

        >>> Score("miou", "mIoU", percent=True).say(0.5)
        '50.0 % mIoU'
        """
        return f"{100 * value:.1f} % {self.label}" if self.percent else f"{value:.4g} {self.label}"


MIOU = Score("miou", "mIoU", percent=True)
ERROR = Score("error", "error", percent=True, higher=False)
