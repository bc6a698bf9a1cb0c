"""The recurrent space of DARTS as a :class:`Space`: which of its networks is built."""

from __future__ import annotations

import torch
from torch import nn

from wholenet.spaces.recurrent.cells import DiscreteCell, SearchCell
from wholenet.spaces.recurrent.fused import FusedCell, hidden_of_equal_size
from wholenet.spaces.recurrent.genotype import (
    OPERATIONS,
    PUBLISHED,
    FusedGenotype,
    Genotype,
    decode,
    edges,
    genotype_from_dict,
)
from wholenet.spaces.recurrent.net import RecurrentNet
from wholenet.spaces.recurrent.settings import INITIAL, RecurrentSettings
from wholenet.spaces.recurrent.window import Window
from wholenet.spaces.space import Facts, GenotypeKind, Space


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
        embedding_range=settings.embedding_range,
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
    added={"embedding_range": INITIAL},
    genotype=GenotypeKind(genotype_from_dict, decode=decode, published=PUBLISHED),
    # A word costs the same wherever it stands.
    example=lambda image: Window(torch.zeros(1, 1, dtype=torch.int64, device=image.device)),
)
