"""A text, looked at before anything is trained on it: all that is wrong or odd, at once.

`wholenet check-data` shows what is found here.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from wholenet.data.finding import Finding, by_severity
from wholenet.data.sample import DataError
from wholenet.data.text.texts import Texts, open_texts
from wholenet.data.text.vocabulary import END
from wholenet.data.text.windows import divided, in_columns

UNITS_OF_A_SEARCH, WINDOW = 300, 35
"""Defaults of a search (the source's)."""
SEARCH_SHARE = 0.8
"""Share of train's text that the weights of a search learn from; the architecture learns from the rest."""


@dataclass(frozen=True)
class TextReview:
    """What a look at a text brought to light."""

    where: str
    findings: tuple[Finding, ...]
    """Errors first."""
    texts: Texts | None = None
    """The text; None if it cannot be opened for one of the errors."""


def review_text(where: str | Path, *, vocab: int = 0, batch: int | None = None, units: int | None = None) -> TextReview:
    """Read a text of any form that :func:`wholenet.data.text.texts.open_texts` knows, and say all that is wrong or odd.

    Args:
        where: the folder, or the file.
        vocab: words that are known; 0 is all.
        batch: columns that a search is to read side by side; None only says how many are possible.
        units: of the network; None is a search's default.
    """
    try:
        texts = open_texts(where, vocab)
    except DataError as error:
        return TextReview(str(where), (Finding("error", "no-text", str(error)),))
    words = len(texts.vocabulary)
    memory = of_memory(words, units=units or UNITS_OF_A_SEARCH, batch=batch or 1, window=WINDOW)
    columns = of_columns(texts.splits["train"].tokens, texts.vocabulary.index[END], batch)
    return TextReview(str(where), tuple(by_severity([*memory, *texts.findings, *columns])), texts)


def of_memory(words: int, *, units: int, batch: int, window: int) -> list[Finding]:
    """An error if embedding and decoder of V ``words`` cannot be trained in the machine's memory."""
    # Weights, gradient and two averages of an optimiser; logits, their probabilities and their gradient.
    needed = 4 * (4 * words * (units + 1) + 3 * words * batch * window)
    try:
        there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):  # not everywhere
        return []
    if needed <= there:
        return []
    what = f"a vocabulary of {words:,} words with units={units} and batch={batch} takes about {needed / 2**30:,.0f} GiB"
    advice = f"The machine has {there / 2**30:,.0f}: give --vocab N, a smaller --batch or fewer --units."
    return [Finding("error", "vocabulary-too-large", what, advice)]


def of_columns(train: Tensor, end: int, batch: int | None) -> list[Finding]:
    """Whether the text is long enough for B columns side by side; without ``batch``, for which it is."""
    parts = dict(zip(("weights", "architecture"), divided(train, SEARCH_SHARE, end), strict=True))
    if batch is not None:
        try:
            for name, part in parts.items():
                in_columns(part, batch, f"the text for the {name} of a search")
        except DataError as error:
            return [Finding("error", "too-few-words", str(error))]
        return []
    search, cell = min(map(len, parts.values())) // 2, len(train) // 2
    if search < 2:
        least = min(map(len, parts.values()))
        what = f"train has {len(train):,} tokens, and a part of it for a search {least}; two columns need 4"
        return [Finding("error", "too-few-words", what, "Give more text.")]
    what = f"train is long enough for --batch {search:,} of a search, and --batch {cell:,} where a cell is trained"
    return [Finding("note", "largest-batch", f"{what}, at most")]
