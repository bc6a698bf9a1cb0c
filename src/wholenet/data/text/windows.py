"""A text laid out in columns that are read side by side, window by window.

Letters: B columns, N tokens, R rows that can be learned from (the last one of a column has no successor).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate

import numpy as np
from torch import Tensor

from wholenet.data.sample import DataError

SHORT_SHARE, SPREAD, SHORTEST, LONGER = 0.05, 5.0, 5, 20
"""Of varying windows (AWD-LSTM's code): how many are of half the length, their standard deviation, the least length,
and how far they may exceed the whole."""


def in_columns(tokens: Tensor, batch: int, what: str, processes: int = 1) -> Tensor:
    """[N] -> [B, N // B], each row of the result a part of the text; up to B - 1 tokens at the end are left out.

    Args:
        tokens: int64 [N].
        batch: B; where several ``processes`` share the columns, those of each.
        what: the text, for people.
        processes: how many.

    Raises:
        DataError: if a column would have fewer than two tokens.
    """
    columns = batch * processes
    if len(tokens) < 2 * columns:
        most = len(tokens) // 2 // processes
        each = f" in each of {processes} processes" if processes > 1 else ""
        advice = f"the largest batch that works is {most}: give --batch {most}" if most else "give more text"
        raise DataError(
            f"{what} has {len(tokens):,} tokens, and a batch of {batch} columns{each} needs {2 * columns:,}; {advice}"
        )
    rows = len(tokens) // columns
    return tokens[: rows * columns].view(columns, rows)


def divided(train: Tensor, share: float, end: int) -> tuple[Tensor, Tensor]:
    """A text in two, after the line in which ``share`` of its tokens are reached; anywhere, where that is the last.

    Args:
        train: int64 [N].
        share: of the first part, in (0, 1).
        end: the token that ends a line.
    """
    ends = (train == end).nonzero().flatten() + 1
    wanted = min(max(round(share * len(train)), 1), len(train) - 1)
    place = ends[ends >= wanted]
    cut = int(place[0]) if len(place) and int(place[0]) < len(train) else wanted
    return train[:cut], train[cut:]


def lengths(rows: int, window: int, *, vary: bool, seed: int, turn: int, spread: float = SPREAD) -> list[int]:
    """How long the windows of a pass over R ``rows`` are: as many in every pass.

    Args:
        rows: R.
        window: tokens of one.
        vary: draw them as AWD-LSTM does, and stretch them evenly to fill the pass; else all are ``window`` long, the
            last one shorter.
        seed: of the run.
        turn: the number of the pass.
        spread: standard deviation of those drawn; 0, as in DARTS' search, for whole and half windows alone.

    >>> lengths(100, 35, vary=False, seed=0, turn=0)
    [35, 35, 30]
    >>> varied = lengths(1000, 35, vary=True, seed=0, turn=3)
    >>> len(varied), sum(varied), len(set(varied)) > 1
    (29, 1000, True)
    """
    count = -(-rows // window)
    if not vary or count == 1:
        return [window] * (count - 1) + [rows - window * (count - 1)]
    chance = np.random.default_rng([seed, turn])
    half = window / 2 if spread else window // 2
    middles = np.where(chance.random(count) < SHORT_SHARE, half, window)
    drawn = chance.normal(middles, spread).clip(min(SHORTEST, window), window + LONGER)
    beyond = np.maximum(drawn - 1, 1e-9).cumsum()  # each has one row, and its share of the others
    ends = np.arange(1, count + 1) + np.round(beyond * ((rows - count) / beyond[-1])).astype(int)
    return np.diff(ends, prepend=0).tolist()


@dataclass(frozen=True)
class Walk:
    """The windows of a text, pass after pass; each is a function of its number."""

    columns: Tensor
    """int64 [B, R + 1]."""
    window: int
    vary: bool
    seed: int
    spread: float = SPREAD
    _passes: dict[int, Sequence[tuple[int, int]]] = field(default_factory=dict, compare=False, repr=False)

    @property
    def rows(self) -> int:
        """R."""
        return self.columns.shape[1] - 1

    def __len__(self) -> int:
        """Windows in a pass."""
        return -(-self.rows // self.window)

    def place(self, number: int) -> tuple[int, int]:
        """First row, and row behind the last, of window ``number``."""
        turn, place = divmod(number, len(self))
        if turn not in self._passes:
            drawn = {"vary": self.vary, "seed": self.seed, "turn": turn, "spread": self.spread}
            ends = list(accumulate(lengths(self.rows, self.window, **drawn)))
            self._passes.clear()  # one at a time
            self._passes[turn] = list(zip([0, *ends], ends, strict=False))
        return self._passes[turn][place]

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor]:
        """Window ``number``: its tokens [B, T], and those after each, [B, T]."""
        first, end = self.place(number)
        return self.columns[:, first:end], self.columns[:, first + 1 : end + 1]


def fingerprint(tokens: Tensor) -> str:
    """A text as a few characters, by which a changed one is known.

    >>> import torch
    >>> fingerprint(torch.tensor([0, 1])) == fingerprint(torch.tensor([1, 0]))
    False
    """
    return hashlib.sha256(tokens.numpy().tobytes()).hexdigest()[:16]
