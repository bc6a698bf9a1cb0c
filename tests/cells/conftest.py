"""Three classes that a small network can tell apart in a few steps."""

import numpy as np
import pytest
from PIL import Image

from wholenet.search.cell_config import cell_config


@pytest.fixture(scope="session")
def patches(tmp_path_factory):
    """A folder per class below train and test: 16 x 16 images that are mostly red, green or blue."""
    root = tmp_path_factory.mktemp("patches")
    rng = np.random.default_rng(0)
    for split, images in (("train", 16), ("test", 4)):
        for channel, name in enumerate(("red", "green", "blue")):
            folder = root / split / name
            folder.mkdir(parents=True)
            for i in range(images):
                image = rng.integers(0, 120, (16, 16, 3))
                image[..., channel] += 100
                Image.fromarray(image.astype(np.uint8)).save(folder / f"{i:02}.png")
    return root


@pytest.fixture
def small(patches, tmp_path):
    """Makes configs of small searches on these."""

    def make(method="darts", **given):
        options = {
            "space": "s2",
            "gradient": "first-order",
            "channels": 4,
            "cells": 3,
            "epochs": 2,
            "batch": 8,
            "shift": 1,
            "eigenvalue_tolerance": 0.5,
            "device": "cpu",
        }
        return cell_config(method, **{**options, "data": str(patches), "out": str(tmp_path / "run"), **given})

    return make
