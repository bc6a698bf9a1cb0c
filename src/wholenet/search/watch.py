"""Early warnings of a run: each once, while there is time to do something about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

RUNAWAY = 2.0
"""Times the lowest loss so far, and at least this far above it in nats..."""
RUNAWAY_NATS = 0.5
COLLAPSED = 0.1
"""Normalised entropy, 1 for an even choice and 0 for a decided one, below which a search has as good as ended."""
DEAD_FROM = 0.5
"""Share of the run from which on a class should have been found somewhere."""
WARNINGS = {
    "runaway loss": "the loss grew far above its lowest value; a lower --lr is steadier",
    "entropy collapse": "the architecture was as good as decided early in the search; a lower --arch-lr decides later",
    "dead classes": "a class was never found on the validation images; rare ones count for more with --class-balance",
}
"""Kinds of warnings, in a few words each, for what is read after the run."""


class Watch:
    """Looks at each epoch of a run.

    Args:
        classes: their names.
        pixels: of each class (or images, of labels), on the validation split: what is not there cannot be found.
        epochs: of the whole run.
        penalised: whether the entropy is pushed down on purpose; then its fall is no surprise.
        advice: what to do about a class that is never found.
    """

    def __init__(
        self, classes: Sequence[str], pixels: Sequence[int], epochs: int, *, penalised: bool, advice: str = ""
    ) -> None:
        self.classes = classes
        self.pixels = pixels
        self.epochs = epochs
        self.penalised = penalised
        self.advice = advice

    def __call__(
        self,
        records: Sequence[Mapping[str, Any]],
        record: Mapping[str, Any],
        per_class: Sequence[float | None] | None,
    ) -> dict[str, str]:
        """What is new to warn of after an epoch: kind -> text.

        Args:
            records: of the epochs before, with the kinds that were warned of in ``"warnings"``.
            record: of the epoch.
            per_class: scores of the classes on the validation split, in [0, 1], if it was scored.
        """
        said = {kind for earlier in records for kind in earlier.get("warnings", ())}
        found = {
            "runaway loss": self._runaway(records, record),
            "entropy collapse": self._collapse(record),
            "dead classes": self._dead(record, per_class),
        }
        return {kind: text for kind, text in found.items() if text is not None and kind not in said}

    def _runaway(self, records: Sequence[Mapping[str, Any]], record: Mapping[str, Any]) -> str | None:
        if not records:
            return None
        best = min(records, key=lambda earlier: earlier["loss"])
        if record["loss"] < max(RUNAWAY * best["loss"], best["loss"] + RUNAWAY_NATS):
            return None
        return (
            f"the loss has grown from {best['loss']:.3f} in epoch {best['epoch'] + 1} to {record['loss']:.3f} in epoch "
            f"{record['epoch'] + 1}; if it goes on so, start again with a lower --lr"
        )

    def _collapse(self, record: Mapping[str, Any]) -> str | None:
        if record["arch_loss"] is None or self.penalised:
            return None
        low = {name: value for name, value in record.get("entropy", {}).items() if value < COLLAPSED}
        if not low:
            return None
        spelled = " and ".join(f"{name} {value:.2f}" for name, value in low.items())
        return (
            f"the architecture is as good as decided in epoch {record['epoch'] + 1} (normalised entropy of {spelled}, "
            "where 1 is undecided); the rest of the search will change little. A lower --arch-lr decides later"
        )

    def _dead(self, record: Mapping[str, Any], per_class: Sequence[float | None] | None) -> str | None:
        if per_class is None or record["epoch"] + 1 < DEAD_FROM * self.epochs:
            return None
        scored = zip(self.classes, self.pixels, per_class, strict=True)
        dead = [name for name, pixels, share in scored if pixels and share == 0]
        if not dead:
            return None
        return (
            f"after epoch {record['epoch'] + 1} of {self.epochs} the network never finds {', '.join(dead)} on the "
            f"validation images{self.advice}"
        )
