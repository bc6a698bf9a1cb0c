"""What shapes a network of AutoDispNet's space. Imports no torch: the command line reads it."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Field

from wholenet.checked import Channels, checked
from wholenet.spaces.autodispnet.layout import FINAL_DECODER, FINAL_WIDTH, FINEST, SIZES, Shape

StemFactor = Annotated[float, Field(ge=1, le=64)]
Displacement = Annotated[int, Field(ge=0, le=4096)]
Upsamplings = Annotated[int, Field(ge=1, le=4)]
Stages = Annotated[int, Field(ge=1, le=3)]


@checked
class AutoDispNetSettings:
    """What shapes a network of this space."""

    size: Literal["full", "tiny"] = "full"
    """Which cells there are: full (features at an eighth, down to 1/64), or tiny (no feature cell, down to 1/16), for
    CPUs."""
    width: Channels | None = None
    """C: channels of the first cells' nodes. Default: 24 in a search, 42 of a discrete network (AutoDispNet-C); 8 of
    tiny."""
    stem_factor: StemFactor | None = None
    """The stem's channels over C. Default: 64/42; 2 of tiny."""
    displacement: Displacement | None = None
    """The largest shift of the correlation, in pixels of its resolution: an eighth, of tiny a quarter. Default: 40; 8
    of tiny."""
    two_sided: bool | None = None
    """Shifts go both ways. Default: only if `published`; disparities of rectified pairs are not negative."""
    decoder: Upsamplings | None = None
    """Upsampling cells, each with a prediction. Default: 3 in a search, 4 of a discrete network; 2 of tiny."""
    affine: bool = False
    """BatchNorms of a supernet have an affine map; a discrete network's always have."""
    stages: Stages = 1
    """1 is AutoDispNet-C; each further one refines what the one before estimates (S): 3 is AutoDispNet-CSS."""
    published: bool = False
    """As the released networks: no BatchNorm, features correlated as they are, and no dilated convolution of stride 2
    in the space. Small networks learn nothing in minutes so."""

    def __post_init__(self) -> None:
        for final in (False, True):
            shape = self.shape(final=final)
            if shape.decoder > shape.coarsest - FINEST:
                raise ValueError(
                    f"decoder={shape.decoder}: size={self.size!r} has features at {shape.coarsest - FINEST} finer "
                    f"resolutions than its coarsest; give at most {shape.coarsest - FINEST}"
                )

    def shape(self, *, final: bool) -> Shape:
        """What the settings come to; ``final``: of a discrete network."""
        whole = SIZES[self.size]
        if final and self.size == "full":
            whole = replace(whole, width=FINAL_WIDTH, decoder=FINAL_DECODER)
        given = {name: getattr(self, name) for name in ("width", "stem_factor", "displacement", "decoder")}
        return replace(whole, **{name: value for name, value in given.items() if value is not None})
