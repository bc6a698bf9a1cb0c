"""What ``study robust-darts`` is on tasks other than classification: a table per task, which ``robust_task.py`` runs.

Sources: RobustDARTS (Zela et al., ICLR 2020), Sec. 5 and its appendix; DARTS' code for the rest of what is trained.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wholenet.search.task_config import TaskConfig
from wholenet.spaces.sizes import RANDOM_CELLS, RANDOM_DISPARITY_CELLS
from wholenet.studies.robust_scores import on_pairs, on_text, splits_of_pairs, splits_of_text

Options = Mapping[str, Any]
"""Of ``wholenet fit`` or ``wholenet retrain``."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where trained networks are scored at the end."""

    name: str
    """For people: "test"."""
    split: str
    data: str | None = None
    """Another data set than that of the study: one by name, or a folder; None: the study's."""


@dataclass(frozen=True, kw_only=True)
class Robustness:
    """The study on one task."""

    task: str
    title: str
    source: str
    searches: Mapping[str, Options]
    """By scale, before an arm changes anything."""
    trainings: Mapping[str, Options]
    """By scale: of each genotype that was found, of random ones and of controls."""
    shared: Sequence[str] = ()
    """Settings of a search that its trainings have too: what makes the data the same."""
    arms: Callable[[str, TaskConfig, int], Mapping[str, Options]]
    """(scale, a search, its weight steps in all) -> what each arm changes about the search, by the name of the arm. The
    first is the one that others are compared with, and that early stopping is replayed on."""
    rule: str = "paper"
    """Of early stopping."""
    random: Sequence[str]
    """Genotypes without any search, by name."""
    controls: Sequence[str]
    """Other networks that are trained as the genotypes are."""
    timed: Sequence[str] = ()
    """Those of the controls that are also trained for as much time as the genotypes get, because an epoch of theirs is
    shorter."""
    places: Sequence[Place]
    """Arms are judged at each; the figure is of the first."""
    splits: Callable[[str, Options], Sequence[str]]
    """(a data set, settings of the task that it is read with) -> the names of its splits."""
    scores: Callable[[Any, str, str, Options], tuple[float, Mapping[str, float]]]
    """(a network, a data set, a split of it, settings as above) -> its score, and those of simple answers by what they
    are."""
    digits: int = 1
    """That a score is shown with."""
    notes: Sequence[str] = ()
    """What a reader has to know to compare."""


STRENGTHS = (1, 3, 9, 27)
"""Factors on the strength of L2: RobustDARTS' on its language models, from memory."""
PAPERS_DECAY = 5e-7
"""The strength that they are on: that of DARTS' search."""
SHRINKAGE = 0.053
"""What rate x decay x steps is in DARTS' search on the Penn Treebank: 20 x 5e-7 x about 5,300. A short search has to
keep this product, or its L2 does nothing."""
SMALL_DROPOUT = {"drop_cell_input": 0.25, "drop_output": 0.5}
"""DARTS' 0.75 is for 300 units and a million words."""


def strengths_of_l2(scale: str, search: TaskConfig, steps: int) -> dict[str, Options]:
    """The searches that differ in the weight decay of the weights alone.

    >>> from wholenet.jobs.catalog import task_config
    >>> search = task_config("language", data="", out="", gradient="first-order")
    >>> strengths_of_l2("cpu", search, 265)["L2 x 3"]
    {'weight_decay': 3e-05}
    """
    plain = PAPERS_DECAY if scale == "paper" else SHRINKAGE / (search.lr * steps)
    return {f"L2 x {factor}": {"weight_decay": float(f"{factor * plain:.3g}")} for factor in STRENGTHS}


LANGUAGE = Robustness(
    task="language",
    title="RobustDARTS on language: strengths of L2, and stopping early",
    source="RobustDARTS, Sec. 5 (its numbers for language could not be checked and are not quoted)",
    searches={
        # Minutes a search on one core. DARTS' rate of 20 diverges in a network that small: 5 and 10 learn alike, and
        # faster.
        "cpu": {
            "units": 64,
            "batch": 64,
            "vocab": 2000,
            "epochs": 12,
            "lr": 5.0,
            "gradient": "first-order",
            "eigenvalue_every": 1,
            "eigenvalue_tolerance": 0.03,
            "val_every": 1000,
            "device": "cpu",
            "threads": 1,
            **SMALL_DROPOUT,
        },
        # DARTS' supernet, for a short while.
        "gpu": {"epochs": 20, "gradient": "first-order", "eigenvalue_every": 1, "val_every": 1000, "device": "cuda"},
        # DARTS' code: 300 units, 256 columns, 50 epochs, second order.
        "paper": {"eigenvalue_every": 1, "val_every": 1000, "device": "cuda"},
    },
    trainings={
        "cpu": {
            "units": 100,
            "batch": 20,
            "epochs": 10,
            "optimizer": "adamw",
            "val_every": 1000,
            **SMALL_DROPOUT,
        },
        "gpu": {"units": 300, "batch": 64, "epochs": 60, "optimizer": "adamw", "val_every": 1000, **SMALL_DROPOUT},
        # DARTS' code: 850 units, SGD and averaged SGD; as many epochs as it selects with.
        "paper": {},
    },
    shared=("vocab",),
    arms=strengths_of_l2,
    random=RANDOM_CELLS[:5],
    controls=("darts-rnn-v2", "lstm", "gru"),
    timed=("lstm", "gru"),
    places=(Place(name="test", split="test"),),
    splits=splits_of_text,
    scores=on_text,
    notes=(
        "Perplexities are of the words known here, others count as <unk>; those of other vocabularies do not compare. "
        "One-shot scores are of supernets of other sizes than the trained cells, whose BatchNorm mixes nodes and time "
        "steps: they compare with each other alone.",
        "An LSTM or a GRU has as many parameters as a cell of eight nodes.",
    ),
)
AUGMENTATION = 1.0
"""Strength of augmentation where it is not what varies."""
AUGMENTATIONS = {"cpu": (0.0, 2.0), "gpu": (0.0, 2.0), "paper": (0.0, 0.1, 0.5, 1.5, 2.0)}
"""Other strengths in the search, by scale."""
TRAINING: Options = {"augment": AUGMENTATION, "val_every": 1000}
"""Of every network for disparity that is trained from scratch."""
DECAY = 3e-4
"""Of the weights in a search on disparity, as RobustDARTS has it."""
FACTORS = {"cpu": (27,), "gpu": (27,), "paper": (3, 9, 27)}
"""On that, by scale."""
SHORT_SHRINKAGE = 0.0225
"""Rate x decay x steps of L2 x 1 in a short search on disparity: a hundredth of the papers' 0.025 x 3e-4 x 300,000, 27
times which would leave few steps nothing to learn. At 3e-4 itself 240 steps of AdamW would shrink by 0.0002, and at 27
times that by 0.006: the arms would be one."""


def augmentations_and_l2(scale: str, search: TaskConfig, steps: int) -> dict[str, Options]:
    """The searches that differ in augmentation alone, and those that differ in the weight decay of the weights alone.

    >>> from wholenet.jobs.catalog import task_config
    >>> search = task_config("stereo", data="", out="", size="tiny")
    >>> augmentations_and_l2("cpu", search, 240)["L2 x 27"]
    {'augment': 1.0, 'weight_decay': 0.844}
    """
    decay = DECAY if scale == "paper" else SHORT_SHRINKAGE / (search.lr * steps)

    def arm(augment: float, factor: int) -> Options:
        return {"augment": augment, "weight_decay": float(f"{factor * decay:.3g}")}

    arms = {f"augmentation {AUGMENTATION:g}, L2 x 1": arm(AUGMENTATION, 1)}
    arms |= {f"augmentation {strength:g}": arm(strength, 1) for strength in AUGMENTATIONS[scale]}
    return arms | {f"L2 x {factor}": arm(AUGMENTATION, factor) for factor in FACTORS[scale]}


STEREO = Robustness(
    task="stereo",
    title="RobustDARTS on disparity: strengths of augmentation and L2, and stopping early",
    source="RobustDARTS, Sec. 5 (its numbers for disparity could not be checked and are not quoted)",
    searches={
        # Minutes a search on one core; rates are those of `tiny`.
        "cpu": {
            "size": "tiny",
            "batch": 4,
            "epochs": 12,
            "steps_per_epoch": 20,
            "eigenvalue_every": 1,
            "eigenvalue_tolerance": 0.03,
            "val_every": 1000,
            "device": "cpu",
            "threads": 1,
        },
        # The papers' supernet, for a hundredth of their steps.
        "gpu": {
            "epochs": 20,
            "steps_per_epoch": 150,
            "arch_lr": 3e-3,
            "eigenvalue_every": 1,
            "eigenvalue_tolerance": 0.03,
            "val_every": 1000,
            "device": "cuda",
            "workers": 8,
        },
        # RobustDARTS, second hand: first order, 300,000 steps.
        "paper": {
            "epochs": 100,
            "steps_per_epoch": 3000,
            "eigenvalue_every": 1,
            "val_every": 1000,
            "device": "cuda",
            "workers": 8,
        },
    },
    trainings={
        "cpu": {**TRAINING, "size": "tiny", "batch": 8, "epochs": 12, "steps_per_epoch": 50},
        "gpu": {**TRAINING, "epochs": 20, "steps_per_epoch": 500},
        # RobustDARTS, from memory: 300,000 steps of Adam at 0.0001.
        "paper": {**TRAINING, "epochs": 100, "steps_per_epoch": 3000},
    },
    shared=("disparity_scale", "max_megapixels"),
    arms=augmentations_and_l2,
    random=RANDOM_DISPARITY_CELLS[:5],
    controls=("autodispnet",),
    places=(Place(name="test", split="test"), Place(name="scenes-stereo", split="test", data="scenes-stereo")),
    splits=splits_of_pairs,
    scores=on_pairs,
    digits=2,
    notes=(
        "EPE: end-point error in pixels, on whole pairs as they are. Supernets are scored on plain pairs, too: were "
        "those augmented, the one-shot EPE would rise with the strength by itself. Eigenvalues are of the loss that "
        "each search has, on a batch with its own augmentation. Trainings have one strength, whatever the search had.",
        "scenes-stereo is another domain, on which nothing was trained: transfer.",
        "Genotypes differ in size, and a skip connection with stride 2 is the heaviest operation: look at the "
        "parameters beside the EPE.",
    ),
)
TABLES: Mapping[str, Robustness] = {table.task: table for table in (LANGUAGE, STEREO)}
"""By task."""


def robustness_on(task: str) -> Robustness:
    """The table of ``task``.

    Raises:
        ValueError: if it has none.
    """
    if task not in TABLES:
        raise ValueError(
            f"study robust-darts has no table for task {task!r}; it has classification, {', '.join(TABLES)}"
        )
    return TABLES[task]
