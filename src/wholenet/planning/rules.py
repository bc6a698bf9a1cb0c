"""How a plan chooses, as functions of plain numbers. Where a rule rests on a measurement, it says on which."""

from __future__ import annotations

import math
from collections.abc import Sequence

from wholenet.search.train_config import TrainConfig

CPU_PIXELS = 176 * 240
GPU_PIXELS = 512 * 512
"""Pixels of a training crop, about: CamVid's recipe on two cores (docs/recipes.md), and a common size on GPUs."""
LEAST_PIXELS = 96 * 128
"""Where the time is short, crops get no smaller (the demo's)."""
SMALLEST_CROP = 32
STEP, STEP_WITH_STEM = 16, 32
"""Sides of a crop are multiples of it; an encoder would pad others (``spaces/encoder.py``)."""
SCALES = (0.5, 1.25)
"""Zooms where a crop shows a part of the image (CamVid's recipe)."""
PASSES, LEAST_STEPS = 100, 1500
"""What data is taken to need: so many passes over it, and never fewer steps."""
PASSES_WITH_STEM = 50
"""For a size behind a pretrained stem, which has learned much of what a larger network would (measured:
docs/pretrained.md)."""
MOST_STEPS = 10_000
"""Data needs no more of them for a network to be worth its time, however large it is (not measured)."""
STEPS_OF_SIZE = {"nano": 0.5, "tiny": 0.5, "small": 2, "base": 3, "medium": 3, "large": 3}
"""How many times the steps that the data needs each size takes before it is ahead of smaller ones, which learn more in
less time (docs/plans.md: the first four were measured, and where they overtake lies between what was)."""
FEW_STEPS = 1000
"""Where not even the smallest network takes so many, crops are smaller."""
HIGH_RATE = 0.1
HIGH_RATE_STEPS = 2000
"""SGD's rate of the recipes for CPUs, and the length up to which it is taken; the seed paper has 0.003 for 111,000
steps."""
TRAINED_SHARE = 0.3
"""Of SGD's rate, for a run that starts from a trained model (measured: docs/plans.md)."""
ADAMW_RATE = 1e-3
"""AdamW's rate at the start, whatever the length (that of its paper and of torch)."""
TRAVEL = 3.0
"""How far a logit must be able to go: two options that went so far apart in opposite directions are decided (0.998)."""
PAPER_ARCH_RATE = TrainConfig.arch_lr
LEAST_ARCH_STEPS = 10
"""In how many steps a logit may travel so far, at the least. Adam's step is about its rate, whatever a gradient's size:
at the rate that just lets a logit travel in a search, noise alone moves it by about ``TRAVEL / sqrt(steps)``. That is
all the way in a search of one step, and a third of it in one of 10; shorter ones have the rate of 10 steps."""
STALE_STEPS = 40
RECALIBRATION_BATCHES = 8
"""Runs of at most so many steps score better with BatchNorm's statistics estimated anew, on so many batches; more do
not help them, and in longer runs it depends on the data (measured: docs/plans.md)."""
RARE = 0.02
"""A class of a smaller share of the pixels is rare."""


def crop_for(smallest: tuple[int, int], pixels: int, step: int = STEP) -> tuple[int, int]:
    """(height, width) to train on, of images of at least ``smallest``: of their shape, of about so many ``pixels``,
    multiples of ``step``.

    >>> crop_for((360, 480), 176 * 240), crop_for((360, 480), 176 * 240, STEP_WITH_STEM)
    ((176, 240), (192, 224))
    >>> crop_for((100, 60), 176 * 240)
    (96, 48)
    """
    height, width = smallest
    zoom = min(1.0, math.sqrt(pixels / (height * width)))
    sides = [max(step, round(side * zoom / step) * step) for side in (height, width)]
    limits = [max(SMALLEST_CROP, side // step * step) for side in (height, width)]
    return (
        min(max(sides[0], SMALLEST_CROP), limits[0], height),
        min(max(sides[1], SMALLEST_CROP), limits[1], width),
    )


def scales_for(crop: tuple[int, int], smallest: tuple[int, int]) -> tuple[float, float]:
    """Smallest and largest zoom: where a crop is a part of the image, down to where it shows the whole, at most to half
    the size; where it is the whole already, a little of both.

    >>> scales_for((176, 240), (360, 480)), scales_for((96, 128), (96, 128))
    ((0.5, 1.25), (0.8, 1.25))
    """
    shown = max(crop[0] / smallest[0], crop[1] / smallest[1])
    return round(min(max(SCALES[0], shown), 0.8), 2), SCALES[1]


def zoom_for(least: float, most: float) -> float:
    """Zoom at which whole images are seen, of a network trained at zooms between these, log-uniform: the middle, but
    never larger than the images are (measured: docs/results.md).

    >>> zoom_for(0.5, 1.25), zoom_for(0.4, 0.8), zoom_for(0.8, 1.25), zoom_for(0.01, 0.02)
    (0.79, 0.57, 1.0, 0.1)
    """
    return min(max(round(math.sqrt(least * most), 2), 0.1), 1.0)


def batch_for(images: int, largest: int) -> int:
    """Images in a step: ``largest``, or as many as there are, but two, which BatchNorm needs.

    >>> batch_for(367, 8), batch_for(5, 8), batch_for(1, 8)
    (8, 5, 2)
    """
    return max(2, min(images, largest))


def steps_needed(images: int, batch: int) -> int:
    """Steps that the data is taken to need.

    >>> steps_needed(24, 8), steps_needed(1200, 8)
    (1500, 15000)
    """
    return max(LEAST_STEPS, math.ceil(PASSES * images / batch))


def steps_enough(images: int, batch: int, *, size: str, stem: bool) -> int:
    """Steps that a size has to take to be chosen, if it is not the smallest.

    >>> [steps_enough(images, 8, size="tiny", stem=False) for images in (24, 367, 100_000)]
    [1500, 2294, 5000]
    >>> [steps_enough(images, 8, size="small", stem=False) for images in (24, 367, 100_000)]
    [3000, 9176, 20000]
    >>> [steps_enough(367, 8, size=size, stem=True) for size in ("tiny", "small")]
    [1500, 4588]
    """
    passes = PASSES_WITH_STEM if stem else PASSES
    needed = min(max(LEAST_STEPS, math.ceil(passes * images / batch)), MOST_STEPS)
    return max(LEAST_STEPS, math.ceil(STEPS_OF_SIZE[size] * needed))


def rate_for(steps: int) -> float:
    """SGD's rate at the start of a run of so many steps: ours up to ``HIGH_RATE_STEPS``, and then less, by the root.

    >>> rate_for(600), round(rate_for(111_000), 4)
    (0.1, 0.0134)
    """
    return HIGH_RATE * min(1.0, math.sqrt(HIGH_RATE_STEPS / steps))


def arch_rate_for(arch_steps: int) -> float:
    """Adam's rate of a search of so many steps. Adam moves a logit by its rate in a step and no more, so this is the
    paper's where that lets a logit travel by ``TRAVEL``, and else as much as does, but never more than lets it travel
    so far in ``LEAST_ARCH_STEPS``.

    >>> arch_rate_for(39_000), arch_rate_for(100), arch_rate_for(1)
    (0.003, 0.03, 0.3)
    """
    return max(PAPER_ARCH_RATE, TRAVEL / max(LEAST_ARCH_STEPS, arch_steps))


def recalibration_for(steps: int) -> int:
    """Batches on which BatchNorm's statistics are estimated anew before each validation of a run of so many steps.

    >>> recalibration_for(36), recalibration_for(100)
    (8, 0)
    """
    return RECALIBRATION_BATCHES if steps <= STALE_STEPS else 0


def balance_for(class_pixels: Sequence[int]) -> float:
    """How much classes are weighed by their rarity: half, where there is a rare one (CamVid's recipe).

    >>> balance_for([900, 100]), balance_for([990, 10]), balance_for([1000, 0])
    (0.0, 0.5, 0.0)
    """
    there = [pixels for pixels in class_pixels if pixels]
    return 0.5 if min(there) < RARE * sum(there) else 0.0


def fewer_pixels(pixels: int, steps: int) -> int:
    """Pixels of a crop where the smallest network has time for so few ``steps``: fewer, down to ``LEAST_PIXELS``.

    >>> fewer_pixels(CPU_PIXELS, 2000) == CPU_PIXELS, fewer_pixels(CPU_PIXELS, 500) == CPU_PIXELS // 2
    (True, True)
    >>> fewer_pixels(CPU_PIXELS, 10) == LEAST_PIXELS
    True
    """
    return min(pixels, max(LEAST_PIXELS, pixels * steps // FEW_STEPS))


def epochs_for(steps: int, phases: int = 3, most: int = 30) -> tuple[int, int]:
    """(epochs, steps in each) for a run of about so many steps, never more: an epoch is what is recorded and scored.

    Raises:
        ValueError: if there is not a step for each of the ``phases``.

    >>> epochs_for(1500), epochs_for(40), epochs_for(4)
    ((30, 50), (20, 2), (4, 1))
    """
    if steps < phases:
        raise ValueError(f"there is time for {steps} steps; expected one for each of the {phases} phases at least")
    each = max(1, math.ceil(steps / most))
    return steps // each, each
