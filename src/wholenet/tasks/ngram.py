"""Language models that only count, as floors for those that learn: interpolated Kneser-Ney of any order.

Kneser and Ney 1995, interpolated (Chen and Goodman 1999, Sec. 2.8), with one discount. The text is one run of tokens:
contexts cross lines. The highest order counts how often a word follows a context; lower ones, how many different words
stand before both. Below order 1 all words are equally likely.

Letters: V words, N tokens.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

DISCOUNT = 0.75
MOST_TOKENS = 5_000_000
"""Of a training text that is counted: a count takes about 200 bytes."""
Gram = tuple[int, ...]


@dataclass(frozen=True)
class _Context:
    """What follows a context."""

    total: float
    """Of the counts."""
    types: int
    """Different words."""


class KneserNey:
    """P(word | the words before it).

    Args:
        tokens: the training text.
        words: V.
        order: words looked at, the predicted one among them; 1 is a unigram.
        discount: taken from each count, in (0, 1).
    """

    def __init__(self, tokens: Sequence[int], words: int, order: int, discount: float = DISCOUNT) -> None:
        self.words, self.order, self.discount = words, order, discount
        self.counts: list[dict[Gram, int]] = [{} for _ in range(order)]
        """By length less one: how often, or of shorter ones after how many different words."""
        highest = self.counts[-1]
        for end in range(order, len(tokens) + 1):
            gram = tuple(tokens[end - order : end])
            highest[gram] = highest.get(gram, 0) + 1
        for longer in range(order - 1, 0, -1):
            shorter = self.counts[longer - 1]
            for gram in self.counts[longer]:
                shorter[gram[1:]] = shorter.get(gram[1:], 0) + 1
        self.contexts: list[dict[Gram, _Context]] = []
        for counts in self.counts:
            found: dict[Gram, list[int]] = {}
            for gram, count in counts.items():
                of = found.setdefault(gram[:-1], [0, 0])
                of[0] += count
                of[1] += 1
            self.contexts.append({context: _Context(total, types) for context, (total, types) in found.items()})

    def probability(self, word: int, before: Sequence[int]) -> float:
        """Of ``word`` after the words ``before``, of which the last ``order`` - 1 count."""
        value = 1 / self.words
        for length in range(min(self.order, len(before) + 1)):
            context = tuple(before[len(before) - length :])
            of = self.contexts[length].get(context)
            if of is None:
                break  # nor is a longer one known
            count = self.counts[length].get((*context, word), 0)
            value = max(count - self.discount, 0.0) / of.total + self.discount * of.types / of.total * value
        return value

    def surprises(self, tokens: Sequence[int], start: int) -> Iterator[float]:
        """-ln of the probability of each token of a text that is taken to follow the token ``start``, the end of a
        line, as networks are scored."""
        reach, whole = self.order - 1, [start, *tokens]
        for place in range(1, len(whole)):
            yield -math.log(self.probability(whole[place], whole[max(0, place - reach) : place]))

    def perplexity(self, tokens: Sequence[int], start: int) -> float:
        """Of such a text."""
        total = 0.0
        for value in self.surprises(tokens, start):
            total += value
        return math.exp(total / len(tokens))
