"""What the report is made from: the lines of a run's ``metrics.jsonl`` and the plan of its phases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Record = Mapping[str, Any]
"""One finished epoch: "epoch" (from 0), "phase", "lr", "loss", "arch_loss" or None, "entropy" and "entropy_paper" (each
{"alpha", "beta"}), "miou" and "pixel_accuracy" (in [0, 1]) or None, "seconds", of which "data_seconds" waiting for
batches, "images_per_second"."""

Phase = tuple[str, int, int]
"""Name, first epoch, end epoch (half-open, counted from 0). May be empty."""
