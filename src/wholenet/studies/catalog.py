"""The studies by name. Imports no torch: the command line lists them."""

from __future__ import annotations

CATALOG: dict[str, str] = {
    "table-1": "average entropy of edges and operations at the start and the end of the search",
    "table-2": "mIoU by magnitude and schedule of the entropy penalty",
    "table-3": "parameters and FLOPs of the four sizes",
    "table-4": "the supernet as final model, against search, cut and retrain, and against frozen-uniform",
    "table-6": "what the protocols of table-4 cost",
    "table-7": "weights and architecture learning from halves, all, coarse or fine annotations",
    "figure-2": "mIoU after dropping a growing share of the edges",
    "figure-3": "entropy over training, by penalty",
    "control": "ways to search, each against a frozen-uniform control of the same time",
    "length": "short and long searches, each against such a control",
    "figure-4": "the dominant eigenvalue during the search on S1-S4, with the data split and without",
    "robust-darts": "early stopping, adaptive and stronger regularisation against DARTS; on text and disparity too",
    "spaces": "all methods on DARTS' space, against random genotypes and a frozen-uniform supernet",
    "pays": "one network of a budget: searched for in one run, cut by chance, narrower or shallower from the start",
    "pays-further": "what else was tried at these budgets: distillation, a longer search, other draws of chance",
    "budget": "the same once edges are dropped: by learned strength, against chance",
}
"""What each one shows."""
CELL_STUDIES = ("figure-4", "robust-darts", "spaces")
"""Those on labelled images; the others are on images with masks."""
TASKS_OF_STUDIES: dict[str, tuple[str, ...]] = {"robust-darts": ("classification", "language", "stereo")}
"""Of those that are on several tasks; the first is meant where none is named."""
