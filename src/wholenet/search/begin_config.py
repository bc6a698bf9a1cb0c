"""What a run on images with masks starts from: chance, a pretrained encoder, another model. Imports no torch."""

from __future__ import annotations

from wholenet.checked import CountOrNone, Rate, checked
from wholenet.search.parts import GRADIENTS
from wholenet.search.train_config import TrainConfig
from wholenet.spaces.encoder_name import parts_of_name

WARMUP = 40
"""Steps, at most, in which the rate rises where a pretrained stem meets an untrained grid."""
STEM_LR = 0.3
"""Where none is given, a pretrained stem's learning rate over that of all other weights (docs/pretrained.md)."""

BEGIN = ("stem", "stem_weights", "stem_lr", "stem_freeze_epochs", "freeze_stem", "init", "lr_warmup")
"""The fields that it adds."""


@checked
class BeginConfig(TrainConfig):
    """Where the weights come from, and how those that are trained already are treated; all ours."""

    stem: str | None = None
    """Pretrained encoder in the place of the grid's stems: timm/NAME (docs/pretrained.md)."""
    stem_weights: str | None = None
    """Its weights, a safetensors file with timm's names; default: those that timm names on the Hugging Face hub."""
    stem_lr: Rate | None = None
    """Its learning rate, over that of all other weights; default: 0.3."""
    stem_freeze_epochs: CountOrNone = 0
    """Epochs before the stem moves; until then it computes as in evaluation and nothing of it is kept for gradients."""
    freeze_stem: bool = False
    """The stem never moves: a pretrained one, or with `init` the grid's own."""
    init: str | None = None
    """Run or model folder whose weights the run starts with, as far as names and shapes fit."""
    lr_warmup: CountOrNone | None = None
    """Steps over which the rate of all weights rises linearly at the start; default: 0, with a pretrained stem 40, but
    at most a tenth of the run."""

    @property
    def pretrained(self) -> bool:
        """Whether the run starts from weights that something else has learned."""
        return self.stem is not None or self.init is not None

    @property
    def stem_rate(self) -> float:
        """That of a pretrained stem, over that of all other weights."""
        return STEM_LR if self.stem_lr is None else self.stem_lr

    def warmup_steps(self, steps: int) -> int:
        """Those of a run of so many ``steps``."""
        if self.lr_warmup is not None:
            return self.lr_warmup
        return 0 if self.stem is None else min(WARMUP, steps // 10)

    def check_begin(self, execution: str) -> None:
        """Make sure that what is asked of a stem goes together, and with the rest of the run.

        Raises:
            ValueError: if it does not.
        """
        if self.stem is not None:
            parts_of_name(self.stem)
        for name, found in self.frozen.items():
            if found and execution.endswith("graph"):
                raise ValueError(
                    f"{name}={found!r} changes what a step runs, which execution={execution!r} captures once; use "
                    "execution='eager' or 'kernels' with it"
                )
        if self.freeze_stem and self.stem_freeze_epochs:
            raise ValueError("freeze_stem=True is for all epochs; leave stem_freeze_epochs out")
        if self.stem is not None and GRADIENTS.called(self.gradient).unrolls:
            raise ValueError(
                f"gradient={self.gradient!r} looks through a step of one learning rate, and a pretrained stem has one "
                "of its own; use gradient='first-order' with it"
            )

    @property
    def frozen(self) -> dict[str, int]:
        """How long the stem stays as it is: the settings that say so."""
        return {"stem_freeze_epochs": self.stem_freeze_epochs, "freeze_stem": self.freeze_stem}

    def check_begin_asked(self) -> None:
        """Make sure that what is said of a stem is said of one that has learned something.

        Raises:
            ValueError: if it is not.
        """
        if self.stem is None:
            for name in ("stem_weights", "stem_lr"):
                if (found := getattr(self, name)) is not None:
                    raise ValueError(
                        f"{name}={found!r} is of a pretrained stem, and there is none; give stem=timm/NAME with it"
                    )
        for name, found in self.frozen.items():
            if found and not self.pretrained:
                raise ValueError(
                    f"{name}={found!r} would keep a stem as it is that has learned nothing; give stem=timm/NAME or "
                    "init=RUN with it"
                )
