"""What a benchmark is asked for, and what it answers."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch


@dataclass(frozen=True)
class Row:
    """One comparison: a baseline's time, or memory, by that of what is measured. Above 1, ours is the smaller."""

    name: str
    baseline: str
    ratio_median: float
    ratio_min: float
    ratio_max: float
    n: int
    """Rounds, each of which gives one ratio."""
    max_abs_error: float | None
    """Largest difference between the outputs (of training steps, and the gradients) of the two; None where they are not
    meant to be equal."""
    ms: float | None = None
    """Median milliseconds of what is measured; on a GPU alone."""
    baseline_ms: float | None = None
    """The same of the baseline, where the time itself is asked for."""

    def to_dict(self) -> dict[str, object]:
        """The JSON form; absolute times only where there are any."""
        values = {name: value for name, value in asdict(self).items() if "ms" not in name or value is not None}
        return {name: round(value, 3) if name.startswith("ratio") else value for name, value in values.items()}

    def __str__(self) -> str:
        error = "" if self.max_abs_error is None else f"  differs by {self.max_abs_error:.1e}"
        ms = "" if self.ms is None else f"  {self.ms:.2f} ms"
        ms += "" if self.baseline_ms is None else f" (baseline {self.baseline_ms:.2f} ms)"
        return (
            f"{self.name:50} {self.baseline:22} {self.ratio_median:6.2f}x  "
            f"({self.ratio_min:.2f}-{self.ratio_max:.2f}, n={self.n}){error}{ms}"
        )


@dataclass(frozen=True)
class Setting:
    """What is measured, and where."""

    device: torch.device
    size: str
    batch: int
    crop: tuple[int, int]
    rounds: int
    threads: int
