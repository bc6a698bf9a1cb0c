"""How surprised a language model is by a text: in nats, as perplexity, in bits per word.

Letters: N tokens, B parts of the text that are read side by side, T tokens of a window.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wholenet import parallel
from wholenet.spaces.recurrent.window import Window
from wholenet.tasks.score import Score

PERPLEXITY = Score("perplexity", "perplexity", higher=False)
WINDOW = 35
LOST = "the network's outputs are not finite, so there is nothing to score"
SIDE_BY_SIDE, LEAST = 10, 1000
"""Parts that a text is scored in, and the fewest tokens of one: each begins from a state of zeros."""


@dataclass(frozen=True)
class Surprise:
    """Of a text, all its tokens counted."""

    nats: float
    """Summed."""
    tokens: int

    @property
    def perplexity(self) -> float:
        """The exponential of the mean; infinite where that is too large for a number."""
        mean = self.nats / self.tokens
        return math.exp(mean) if mean < 700 else math.inf

    @property
    def bits_per_word(self) -> float:
        """Of a token, the ends of lines among them."""
        return self.nats / self.tokens / math.log(2)


def parts_of(tokens: int) -> int:
    """How many parts a text of so many tokens is scored in.

    >>> [parts_of(n) for n in (10, 7_279, 82_430)]
    [1, 7, 10]
    """
    return max(1, min(SIDE_BY_SIDE, tokens // LEAST))


@torch.no_grad()
def surprises(
    model: nn.Module, tokens: Tensor, start: int, device: torch.device | str, *, parts: int = 1, window: int = WINDOW
) -> Tensor:
    """-ln of the probability of each token, given all before it in its part; float64 [N], on the CPU. Leaves the
    model's mode as it was.

    Args:
        model: called with a :class:`Window`.
        tokens: int64 [N].
        start: the token that the text is taken to follow: the end of a line.
        device: where the model is.
        parts: read side by side, each from a state of zeros; the first token of each is predicted from the last of the
            one before.
        window: tokens that are read at once; the result is the same for all.

    Raises:
        FloatingPointError: for logits that are not finite.
    """
    every = _read(model, *_side_by_side(tokens, start, parts), device, window).flatten()[: len(tokens)]
    if not every.isfinite().all():
        raise FloatingPointError(LOST)
    return every


def _side_by_side(tokens: Tensor, start: int, parts: int) -> tuple[Tensor, Tensor]:
    """What is read and what is asked of each part, [B, N / B] both; behind the N-th token there is padding."""
    length = -(-len(tokens) // parts)
    padding = length * parts - len(tokens)  # at the end of the last part, or of the last ones
    before = torch.cat([tokens.new_tensor([start]), tokens, tokens.new_full((padding,), start)])
    return before[:-1].view(parts, length), before[1:].view(parts, length)


def _read(model: nn.Module, given: Tensor, asked: Tensor, device: torch.device | str, window: int) -> Tensor:
    """-ln of the probability of each token that is ``asked``; float64 [B, N / B], on the CPU."""
    training = model.training
    model.eval()
    found, hidden = [], None
    try:
        for first in range(0, given.shape[1], window):
            reading = model(Window(given[:, first : first + window].to(device), hidden))
            hidden = reading.hidden
            logits = reading.logits.flatten(0, 1)
            values = F.cross_entropy(logits, asked[:, first : first + window].flatten().to(device), reduction="none")
            found.append(values.double().view(len(given), -1).cpu())
    finally:
        model.train(training)
    return torch.cat(found, 1)


@torch.no_grad()
def surprise(
    model: nn.Module, tokens: Tensor, start: int, device: torch.device | str, window: int = WINDOW
) -> Surprise:
    """Of a whole text, in as many parts as it is scored in; arguments as :func:`surprises` has them.

    Several processes share the parts; each of them returns the sum over all.

    Raises:
        FloatingPointError: for logits that are not finite.
    """
    parts, share, shares = parts_of(len(tokens)), parallel.rank(), parallel.processes()
    own = slice(parts * share // shares, parts * (share + 1) // shares)
    given, asked = _side_by_side(tokens, start, parts)
    nats = torch.zeros((), dtype=torch.float64)
    if len(given[own]):  # there may be fewer parts than processes
        counted = (torch.arange(given.numel()) < len(tokens)).view(given.shape)[own]
        nats = _read(model, given[own], asked[own], device, window)[counted].sum()
    nats = parallel.summed(nats)
    if not nats.isfinite():
        raise FloatingPointError(LOST)
    return Surprise(nats.item(), len(tokens))
