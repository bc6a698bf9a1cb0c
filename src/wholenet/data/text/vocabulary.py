"""The words that a language model knows, found in its training text alone.

Letters: V words, N tokens.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from wholenet.data.sample import DataError
from wholenet.data.text.files import MOST_WORDS, Lines
from wholenet.files import shown

UNKNOWN, END = "<unk>", "<eos>"
"""What stands for a word that is not known, and what ends a line."""
LONGEST_WORD = 1000
"""Characters."""
EXAMPLES = 5


@dataclass(frozen=True)
class Encoded:
    """A text as numbers of words."""

    tokens: Tensor
    """int64 [N], each line ended by :data:`END`."""
    unseen: int
    """Words that are not in the vocabulary, each time."""
    examples: tuple[str, ...]
    """Some of them."""

    @property
    def share_unseen(self) -> float:
        """Of all tokens."""
        return self.unseen / len(self.tokens)


@dataclass(frozen=True)
class Vocabulary:
    """V words by their numbers."""

    words: tuple[str, ...]
    index: Mapping[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "index", {word: number for number, word in enumerate(self.words)})

    def __len__(self) -> int:
        return len(self.words)

    def encode(self, lines: Lines) -> Encoded:
        """The text of ``lines``; a word that is not known is :data:`UNKNOWN`."""
        unknown, end, known = self.index[UNKNOWN], self.index[END], self.index
        tokens: list[int] = []
        unseen: Counter[str] = Counter()
        for line in lines:
            for word in line:
                number = known.get(word)
                if number is None:
                    unseen[word] += 1
                    number = unknown
                tokens.append(number)
            tokens.append(end)
        examples = tuple(word for word, _ in unseen.most_common(EXAMPLES))
        return Encoded(torch.tensor(tokens), unseen.total(), examples)

    def decode(self, tokens: Iterable[int]) -> str:
        """A text of these numbers, a line break for each :data:`END`.

        >>> Vocabulary(("a", "b", "<eos>", "<unk>")).decode([0, 1, 2, 1])
        'a b\\nb'
        """
        lines = " ".join(self.words[token] for token in tokens).split(END)
        return "\n".join(line.strip() for line in lines)


@dataclass(frozen=True)
class Found:
    """A vocabulary, and how it came about."""

    vocabulary: Vocabulary
    types: int
    """Different words of the training text, :data:`END` among them."""
    once: int
    """Those of them that are there once."""
    replaced: int
    """Those that became :data:`UNKNOWN`."""


def find_vocabulary(train: Lines, size: int = 0) -> Found:
    """The words of the training text, the most frequent first, of equals the one that came first.

    Where the text has no :data:`UNKNOWN`, nothing could be learned of it: the words that are there once become it.

    Args:
        train: its lines.
        size: keep so many words, :data:`END` and :data:`UNKNOWN` among them; 0 keeps all.

    Raises:
        DataError: for fewer than two words, or more than ``MOST_WORDS``.
    """
    counts = Counter(word for line in train for word in line)
    counts[END] += len(train)
    once = sum(count == 1 for count in counts.values())
    kept = dict(counts)
    if UNKNOWN not in counts:
        kept = {word: count for word, count in counts.items() if count > 1 or word == END} | {UNKNOWN: 0}
    order = [word for word, _ in Counter(kept).most_common()]
    if size and size < len(order):
        first = [word for word in order if word not in (END, UNKNOWN)][: max(size - 2, 0)]
        order = [word for word in order if word in {*first, END, UNKNOWN}]
    if len(order) < 3:
        raise DataError(
            f"the training text has {len(counts) - 1} different word(s), of which {len(order) - 2} would be known; "
            "expected some, most of them more than once: give more text"
        )
    if len(order) > MOST_WORDS:
        raise DataError(f"the training text has {len(order):,} words; give --vocab N, at most {MOST_WORDS:,}")
    if long := next((word for word in order if len(word) > LONGEST_WORD), None):
        raise DataError(f"the training text has a word of {len(long):,} characters, {shown(long)}: is it text?")
    return Found(Vocabulary(tuple(order)), len(counts), once, len(set(counts) - set(order)))


def vocabulary_from(words: Any, where: str) -> Vocabulary:
    """The vocabulary of plain values, which may come from anywhere.

    Raises:
        ValueError: if they are no different words with :data:`END` and :data:`UNKNOWN` among them.
    """
    if not isinstance(words, Sequence) or isinstance(words, str) or not 3 <= len(words) <= MOST_WORDS:
        raise ValueError(f"{where} is {shown(words)}; expected a list of 3 to {MOST_WORDS:,} words")
    for word in words:
        if not isinstance(word, str) or not word or len(word) > LONGEST_WORD or len(word.split()) != 1:
            raise ValueError(f"{where} has {shown(word)}; expected words without blanks")
    if len(set(words)) != len(words):
        raise ValueError(f"{where} has a word twice")
    if lacking := [word for word in (END, UNKNOWN) if word not in words]:
        raise ValueError(f"{where} has no {lacking[0]}")
    return Vocabulary(tuple(words))
