"""What shapes a network of the recurrent space. Imports no torch: the command line reads it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from wholenet.checked import BelowOne, checked

MOST_NODES = 50
"""Of a cell."""
Units = Annotated[int, Field(ge=1, le=16_384)]
Nodes = Annotated[int, Field(ge=1, le=MOST_NODES)]
Range = Annotated[float, Field(gt=0, le=10)]
INITIAL = 0.04
"""Matrices begin uniform within this of zero (DARTS' code)."""


@checked
class RecurrentSettings:
    """What shapes a network of this space. Dropout is that of DARTS' search; a mask holds for a whole window."""

    units: Units = 300
    """Of embedding, cell and decoder; the published evaluation has 850."""
    nodes: Nodes = 8
    """Of the search cell, after the first, which joins input and state; a discrete cell has as many as its genotype."""
    hidden: Units | None = None
    """Units inside an LSTM or a GRU; default: as many as give it the parameters of a cell."""
    embedding_range: Range = INITIAL
    """The embedding begins uniform within this of zero: DARTS' code; AWD-LSTM's has 0.1, with which all cells learn
    faster at first."""
    drop_words: BelowOne = 0.0
    """Share of the words that are left out of a window; the published evaluation has 0.1."""
    drop_embedding: BelowOne = 0.2
    """Dropout of embeddings."""
    drop_cell_input: BelowOne = 0.75
    """Dropout of embeddings once more, as the cell takes them."""
    drop_hidden: BelowOne = 0.25
    """Dropout of states, the same at all nodes; not inside an LSTM or a GRU."""
    drop_output: BelowOne = 0.75
    """Dropout of what the decoder takes."""
