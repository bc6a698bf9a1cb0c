"""A language model around a recurrent cell: embedding, cell, and a decoder whose weights are the embedding's.

Letters: B texts, T words, V words of the vocabulary, n units, S numbers of a state.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wholenet.ops.draws import drawn_for_all
from wholenet.spaces.recurrent.cells import Cell, uniform
from wholenet.spaces.recurrent.fused import FusedCell
from wholenet.spaces.recurrent.settings import INITIAL
from wholenet.spaces.recurrent.window import Reading, Window


class RecurrentNet(nn.Module):
    """Reads windows of texts, side by side, and says what word comes after each.

    Args:
        cell: a search cell, a discrete one, or a fused one.
        words: V.
        units: n.
        masks: the choices of the space; none of a discrete network.
        embedding_range: the embedding begins uniform within this of zero.
        drop_words: share of the words of the vocabulary whose embedding is zero for a window.
        drop_embedding: of the numbers of embeddings, the same at all times of a window.
        drop_cell_input: likewise, again, as the cell takes them.
        drop_hidden: of the numbers of states as matrices take them, the same at all nodes and times of a window.
        drop_output: of the numbers that the decoder takes, likewise.
    """

    def __init__(
        self,
        cell: Cell | FusedCell,
        words: int,
        units: int,
        masks: Mapping[str, Tensor],
        *,
        embedding_range: float = INITIAL,
        drop_words: float = 0.0,
        drop_embedding: float = 0.0,
        drop_cell_input: float = 0.0,
        drop_hidden: float = 0.0,
        drop_output: float = 0.0,
    ) -> None:
        super().__init__()
        self.masks = dict(masks)
        self.embedding = uniform(words, units, within=embedding_range)
        self.cell = cell
        self.bias = nn.Parameter(torch.zeros(words))
        self.drop_words, self.drop_embedding = drop_words, drop_embedding
        self.drop_cell_input, self.drop_hidden, self.drop_output = drop_cell_input, drop_hidden, drop_output

    def forward(self, window: Window, weights: Mapping[str, Tensor]) -> Reading:
        """Read ``window``. In training mode all dropout is drawn first, once for the window."""
        tokens, hidden = window
        if hidden is None:
            hidden = self.embedding.new_zeros(len(tokens), self.cell.state)
        like = self.embedding.new_empty(len(tokens), self.embedding.shape[1])
        of_words = self._kept(self.embedding[:, :1], self.drop_words)
        embedded, taken, kept, given = (
            drawn_for_all(like, lambda part, p=p: self._kept(part, p)) if self.training and p else like.new_ones(())
            for p in (self.drop_embedding, self.drop_cell_input, self.drop_hidden, self.drop_output)
        )
        rows = F.embedding(tokens.T, self.embedding * of_words)
        states, hidden = self._read(rows * embedded * taken, hidden, kept, weights)
        states = states.transpose(0, 1)
        logits = F.linear(states * (given if given.dim() == 0 else given[:, None]), self.embedding, self.bias)
        return Reading(logits, hidden, states)

    def _read(
        self, inputs: Tensor, hidden: Tensor, kept: Tensor, weights: Mapping[str, Tensor]
    ) -> tuple[Tensor, Tensor]:
        if isinstance(self.cell, FusedCell):
            return self.cell(inputs, hidden)
        states = self.cell.read(inputs, hidden, kept, weights)
        return states, states[-1]

    def _kept(self, like: Tensor, p: float) -> Tensor:
        """A dropout mask of the shape of ``like``: 0 with probability ``p``, else 1 / (1 - p)."""
        if not (self.training and p):
            return like.new_ones(())
        return torch.empty_like(like, requires_grad=False).bernoulli_(1 - p).div_(1 - p)
