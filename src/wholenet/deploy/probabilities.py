"""The probability of every class at every pixel, as a file of numpy.

One file per image, STEM.npz: "probabilities", float16 [K, H, W], and "classes", the K names. All classes stay in one
file, which pictures cannot hold, and no scale has to be known to read it. float16 has three digits down to 0.00006, and
steps of 0.00000006 below that: where a picture of 16 bits has one step, of 0.000015. ``numpy.load`` reads it, without
pickle.

Letters: K classes, H x W pixels, h x w of a tile.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from wholenet.data.sample import Classes
from wholenet.deploy.predictor import Predictor
from wholenet.deploy.tiles import Tiling


def mask_and_probabilities(model: Predictor, image: np.ndarray, tiling: Tiling) -> tuple[np.ndarray, np.ndarray]:
    """The mask of ``image``, uint8 [H, W], and the softmax of its logits, float16 [K, H, W]. No class is more probable
    than that which the mask names. The image, uint8 [H, W, 3], is cut and put together as for the mask alone.

    Raises:
        ValueError: for an image that the model refuses.
        FloatingPointError: for logits that are not finite.
    """
    height, width = image.shape[:2]
    mask = np.empty((height, width), np.uint8)
    probabilities = np.empty((len(model.classes), height, width), np.float16)
    for seen, kept, inner in tiling.pieces(height, width):
        logits = model.class_logits(np.ascontiguousarray(image[seen]))[:, *inner]
        mask[kept] = logits.argmax(0)
        probabilities[:, *kept] = torch.from_numpy(logits).softmax(0).half().numpy()
    return mask, probabilities


def write_probabilities(path: Path, probabilities: np.ndarray, classes: Classes) -> None:
    """Write float16 [K, H, W] and the names of the classes; ``path`` should end in .npz."""
    with path.open("wb") as file:
        np.savez_compressed(file, probabilities=probabilities, classes=np.array(classes.names))
