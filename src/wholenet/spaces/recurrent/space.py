"""The recurrent space of DARTS as a :class:`Space`: its settings, and which of its networks is built."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import nn

from wholenet.checked import BelowOne, checked
from wholenet.spaces.recurrent.cells import DiscreteCell, SearchCell
from wholenet.spaces.recurrent.fused import FusedCell, hidden_of_equal_size
from wholenet.spaces.recurrent.genotype import (
    MOST_NODES,
    OPERATIONS,
    PUBLISHED,
    FusedGenotype,
    Genotype,
    decode,
    edges,
    genotype_from_dict,
)
from wholenet.spaces.recurrent.net import RecurrentNet
from wholenet.spaces.recurrent.window import Window
from wholenet.spaces.space import Facts, GenotypeKind, Space

Units = Annotated[int, Field(ge=1, le=16_384)]
Nodes = Annotated[int, Field(ge=1, le=MOST_NODES)]


@checked
class RecurrentSettings:
    """What shapes a network of this space. Dropout is that of DARTS' search; a mask holds for a whole window."""

    units: Units = 300
    """Of embedding, cell and decoder; the published evaluation has 850."""
    nodes: Nodes = 8
    """Of the search cell, after the first, which joins input and state; a discrete cell has as many as its genotype."""
    hidden: Units | None = None
    """Units inside an LSTM or a GRU; default: as many as give it the parameters of a cell."""
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


def _build(settings: RecurrentSettings, facts: Facts, genotype: Genotype | None) -> nn.Module:
    masks = {}
    if genotype is None:
        masks = {"alpha": torch.ones(len(edges(settings.nodes)), len(OPERATIONS), dtype=torch.bool, device="cpu")}
        cell = SearchCell(settings.units, settings.nodes)
    elif isinstance(genotype, FusedGenotype):
        hidden = settings.hidden or hidden_of_equal_size(genotype.fused, settings.units, settings.nodes)
        cell = FusedCell(genotype.fused, settings.units, hidden)
    else:
        cell = DiscreteCell(settings.units, genotype)
    return RecurrentNet(
        cell,
        facts.outputs,
        settings.units,
        masks,
        drop_words=settings.drop_words,
        drop_embedding=settings.drop_embedding,
        drop_cell_input=settings.drop_cell_input,
        drop_hidden=settings.drop_hidden,
        drop_output=settings.drop_output,
    )


RECURRENT = Space(
    name="recurrent",
    settings=RecurrentSettings,
    build=_build,
    tasks=("language",),
    genotype=GenotypeKind(genotype_from_dict, decode=decode, published=PUBLISHED),
    # A word costs the same wherever it stands.
    example=lambda image: Window(torch.zeros(1, 1, dtype=torch.int64, device=image.device)),
)
