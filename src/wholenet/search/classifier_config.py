"""What trainings on labelled images are told: that of a discrete network, and what a search shares with it.

Imports no torch: the command line reads it.
"""

from __future__ import annotations

from wholenet.checked import (
    Batch,
    BelowOne,
    Cells,
    Count,
    Decay,
    EvenChannels,
    Images,
    Megapixels,
    Pixels,
    Rate,
    Share,
    Strength,
    checked,
)
from wholenet.search.search_config import RunConfig


@checked
class ClassifierConfig(RunConfig):
    """What a search and the training of a discrete network have in common."""

    data: str
    """Folder with labelled images: parquet files, CIFAR's .bin files, SVHN's .mat files, or a folder per class."""
    channels: EvenChannels = 16
    """C of the first cells."""
    cells: Cells = 8
    """Cells of the network; of nb201 in three equal stages, 15 if nothing is given."""
    epochs: Count = 50
    """Passes over the images that the weights learn from."""
    batch: Batch = 64
    """Images per step; in a search, for the weights and for the architecture each."""
    lr: Rate = 0.025
    """SGD learning rate at the start of its cosine."""
    images: Images = 0
    """Use so many of the training images, the same number of every class as far as there are; 0 is all."""
    val_share: BelowOne = 0.0
    """Share of the training images set aside to score on, where the data has no val split; with 0 a search is scored on
    what the architecture learns from, as the papers do, and a training on the test split alone."""
    side: Pixels = 0
    """Side in pixels that images are shrunk to, by averaging; 0 leaves them."""

    momentum: BelowOne = 0.9
    """SGD momentum."""
    weight_decay: Decay = 3e-4
    """SGD weight decay: RobustDARTS' L2 factor."""
    clip: Strength = 5.0
    """Norm that the gradient of all weights is cut to; 0 leaves it."""
    drop_path: BelowOne = 0.0
    """Probability that a path is dropped, at the end; it rises linearly from 0."""
    flip: Share = 0.5
    """Probability of a left-right flip."""
    cutout: Pixels = 0
    """Side of the square that is cut out of an image; in a search, the share of images that lose one rises linearly
    from 0 to 1."""
    shift: Pixels = 4
    """Largest shift of an image, in pixels."""
    smoothing: BelowOne = 0.0
    """Label smoothing."""

    max_megapixels: Megapixels = 100.0
    """Image files that decode to more are refused."""


@checked
class RetrainConfig(ClassifierConfig):
    """The training of a discrete network from scratch (RobustDARTS' evaluation; DARTS' for CIFAR-10 has 36 channels
    and 20 cells)."""

    genotype: str
    """Genotype file, the name of a published one (spaces/published_cells.py), the text that DARTS' code prints, or a
    string of NAS-Bench-201."""
    epochs: Count = 600
    """Passes over the training images."""
    batch: Batch = 96
    """Images per step."""
    drop_path: BelowOne = 0.2
    """Probability that a path is dropped, at the end; it rises linearly from 0."""
    cutout: Pixels = 16
    """Side of the square that is cut out of every image."""
    auxiliary: Decay = 0.4
    """Weight of the auxiliary head's loss; 0 is without one."""
