"""``wholenet decode``."""

from __future__ import annotations

from typing import Annotated, get_args, get_type_hints

from wholenet.checked import Share
from wholenet.search.config import FitConfig
from wholenet.signatures import Shown

DECODING_NAMES = get_args(get_type_hints(FitConfig)["decoding"])
Decoding = Annotated[str | None, Shown(choices=DECODING_NAMES)]


def decode(run: str, *, out: str, decoding: Decoding = None, tau: Share | None = None) -> None:
    """Write the genotype of a discrete network inside a trained supernet.

    Args:
        run: Run folder or model folder.
        out: Genotype file to write.
        decoding: Which edges stay; default: best-path, of dense-grid threshold.
        tau: Threshold: share of the weight of the cell's strongest edge (0.5).
    """
    from wholenet.deploy.model_folder import load_model
    from wholenet.diagnostics.verdict import chance_in
    from wholenet.trained import decode  # imports torch

    genotype = decode(run, out, decoding, tau)
    print(f"{genotype} in {out}")
    print(f"train it from scratch: wholenet retrain {out} DATA --out RUN")
    if (said := chance_in(load_model(run).network)) is not None:
        print(said)
