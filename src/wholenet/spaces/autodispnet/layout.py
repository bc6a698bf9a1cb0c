"""Which cells a network has, as data: their types, widths and resolutions. Level l is a resolution of 1 / 2**l."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

STEM_LEVEL = 2
"""Of what the stem gives: two convolutions of stride 2."""
FINEST = 2
"""The level of the last cell, at least: the decoder reads the encoder's features, of which none are finer."""


class CellAt(NamedTuple):
    """A cell of a network."""

    kind: str
    """ "normal", "reduce" or "upsample"."""
    channels: int
    """C of its nodes; its output has 3 C."""
    level: int
    """Of its output."""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """How large a network is."""

    width: int
    """C."""
    stem_factor: float
    """The stem's first convolution has so many times C channels, the second one twice as many."""
    features: int
    """Reduction cells that both images go through by themselves, before they are correlated."""
    encoder: int
    """Cells after that, normal and reduction cells in turn."""
    decoder: int
    """Upsampling cells."""
    displacement: int
    """D of the correlation, in pixels of its level."""

    @property
    def stem(self) -> int:
        """Channels of the stem's first convolution."""
        return int(self.stem_factor * self.width)

    @property
    def coarsest(self) -> int:
        """The level after the encoder."""
        return STEM_LEVEL + self.features + self.encoder // 2

    @property
    def reach(self) -> int:
        """The largest disparity that the correlation sees, in pixels of the image.

        >>> FULL.reach, TINY.reach
        (320, 32)
        """
        return self.displacement * 2 ** (STEM_LEVEL + self.features)

    @property
    def multiple(self) -> int:
        """Both sides of an image are a multiple of this."""
        return 2**self.coarsest

    def feature_cells(self) -> list[CellAt]:
        """Of one image.

        >>> FULL.feature_cells()
        [CellAt(kind='reduce', channels=48, level=3)]
        """
        return [CellAt("reduce", self.width * 2**i, STEM_LEVEL + i) for i in range(1, self.features + 1)]

    def encoder_cells(self, *, reduce_first: bool = False) -> list[CellAt]:
        """Of both images together; of a stage that refines (``reduce_first``) those in the place of feature cells too:
        one more, that begins with a reduction.

        >>> [cell.kind[0] for cell in FULL.encoder_cells()], [cell.level for cell in FULL.encoder_cells()]
        (['n', 'r', 'n', 'r', 'n', 'r'], [3, 4, 4, 5, 5, 6])
        >>> [cell.kind[0] for cell in FULL.encoder_cells(reduce_first=True)]
        ['r', 'n', 'r', 'n', 'r', 'n', 'r']
        """
        kinds = ["normal", "reduce"] * ((self.encoder + 1) // 2)
        kinds = kinds[: self.encoder]
        doublings = 0 if reduce_first else self.features
        if reduce_first:
            kinds = [*["reduce"] * self.features, *kinds]
        found = []
        for kind in kinds:
            doublings += kind == "reduce"
            found.append(CellAt(kind, self.width * 2**doublings, STEM_LEVEL + doublings))
        return found

    def decoder_cells(self) -> list[CellAt]:
        """From coarse to fine.

        >>> FULL.decoder_cells()[-1]
        CellAt(kind='upsample', channels=48, level=3)
        """
        widest = self.width * 2 ** (self.coarsest - STEM_LEVEL)
        return [CellAt("upsample", widest // 2**i, self.coarsest - i) for i in range(1, self.decoder + 1)]


FULL = Shape(width=24, stem_factor=64 / 42, features=1, encoder=6, decoder=3, displacement=40)
TINY = Shape(width=8, stem_factor=2.0, features=0, encoder=4, decoder=2, displacement=8)
SIZES: Mapping[str, Shape] = {"full": FULL, "tiny": TINY}
"""Of a search. ``tiny`` is ours, for CPUs."""
FINAL_WIDTH, FINAL_DECODER = 42, 4
"""C and the decoder cells of AutoDispNet-C, the discrete network of size ``full``."""
