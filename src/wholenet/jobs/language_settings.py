"""What runs on texts can be told. Imports no torch: the command line reads it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from wholenet.checked import CountOrNone, Decay, Strength, checked
from wholenet.data.text.files import MOST_WORDS

Words = Annotated[int, Field(ge=0, le=MOST_WORDS)]
Tokens = Annotated[int, Field(ge=1, le=10_000)]


@checked
class LanguageSettings:
    """Options of runs on texts."""

    vocab: Words = 0
    """Words that are known, the most frequent of train; others count as <unk>. 0 is all."""
    window: Tokens = 35
    """Tokens that are read before the weights move; the state goes on to the next window without gradient."""
    vary_windows: bool = True
    """Windows of varying lengths: in a search one in twenty is half as long, as in DARTS' code; in the training of a
    cell as AWD-LSTM draws them. The rate of a step of SGD is scaled by its length."""
    clip: Strength = 0.25
    """Norm that the gradient of all weights is cut to, in virtual steps too; 0 leaves it."""
    slowness: Decay = 1e-3
    """Strength of a penalty on how far states move from word to word (mean square), in weight steps alone."""
    arch_text: Literal["train", "val"] = "train"
    """With split='disjoint', what the architecture learns from: the last lines of train, of which the weights get
    `weights_share`; or the validation text, which scores it too, as in DARTS' code: then report test alone."""
    average_after: CountOrNone = 0
    """Scorings that may bring nothing before SGD gives way to torch's ASGD, whose averaged weights are scored and kept
    (AWD-LSTM: 5); 0 is never."""
