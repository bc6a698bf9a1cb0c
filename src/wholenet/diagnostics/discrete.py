"""The discrete networks inside a supernet: what each decoding would keep, and what it scores without retraining."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from wholenet.architecture import Weights
from wholenet.diagnostics.discretization import Score, Variant
from wholenet.spaces.catalog import discrete_from
from wholenet.spaces.count import macs_as_run
from wholenet.spaces.decoding import DECODINGS, decode
from wholenet.spaces.genotype import Genotype
from wholenet.spaces.grid import DEFAULT
from wholenet.spaces.supernet import Supernet

TAUS = (0.25, 0.5, 0.75, 0.9)
"""Thresholds tried: near uniform even 0.9 keeps all edges, and far from it 0.25 keeps few."""


@dataclass(frozen=True)
class DiscreteNetwork:
    """One discrete network with the supernet's weights."""

    genotype: Genotype
    miou: float
    """With the weights and the BatchNorm statistics of the supernet."""
    miou_recalibrated: float
    """With BatchNorm statistics recalculated."""
    parameters: int
    macs: int
    """Multiply-adds of one image, as run."""

    @property
    def edges(self) -> int:
        """Edges that are left."""
        return sum(len(cell.inputs) for cell in self.genotype.cells)

    @property
    def best_miou(self) -> float:
        """The better of its two scores."""
        return max(self.miou, self.miou_recalibrated)

    def to_dict(self) -> dict[str, Any]:
        """Plain values; of the genotype, how it was decoded and how much it keeps."""
        return {
            "decoding": self.genotype.decoding,
            "cells": len(self.genotype.cells),
            "edges": self.edges,
            "miou": self.miou,
            "miou_recalibrated": self.miou_recalibrated,
            "parameters": self.parameters,
            "macs": self.macs,
        }


def decoded(weights: Weights, taus: Sequence[float] = TAUS, operations: Sequence[str] = DEFAULT) -> list[Genotype]:
    """The genotype of every decoding, "threshold" at each of ``taus``; of equal ones, the first. ``operations`` are the
    names of what cells choose among."""
    distinct: list[Genotype] = []
    for name in DECODINGS:
        for tau in taus if name == "threshold" else taus[:1]:
            genotype = decode(weights, name, tau, operations)
            if all(genotype.cells != other.cells for other in distinct):
                distinct.append(genotype)
    return distinct


def discrete_networks(
    model: Supernet, genotypes: Sequence[Genotype], recalibrate: Variant, score: Score, size: tuple[int, int]
) -> list[DiscreteNetwork]:
    """Cut ``model`` (which is not changed) down to each of ``genotypes`` and score what is left.

    Args:
        model: the supernet.
        genotypes: see :func:`decoded`.
        recalibrate: recalculates BatchNorm statistics.
        score: called twice per genotype.
        size: (height, width) of the image that multiply-adds are counted on.
    """
    networks = []
    for genotype in genotypes:
        network = discrete_from(model, genotype)
        parameters = sum(parameter.numel() for parameter in network.net.parameters())
        scores = score(network), score(recalibrate(network))
        networks.append(DiscreteNetwork(genotype, *scores, parameters, macs_as_run(network, *size)))
    return networks


def best_network(networks: Sequence[DiscreteNetwork]) -> DiscreteNetwork:
    """The one with the highest score, recalculated or not; among equals the one with fewer multiply-adds."""
    return max(networks, key=lambda network: (network.best_miou, -network.macs))
