"""Our score against the official one, on a small tree in the shape of Cityscapes."""

import argparse
import io
from contextlib import redirect_stdout

import numpy as np
import pytest
from PIL import Image

from wholenet.data.cityscapes import CITYSCAPES
from wholenet.data.detect import open_data
from wholenet.tasks.segmentation import ConfusionMatrix

official = pytest.importorskip(
    "cityscapesscripts.evaluation.evalPixelLevelSemanticLabeling", reason="cityscapesscripts is not installed"
)

CITY_FRAMES = ("aachen_000000_000019", "bochum_000001_000019")


@pytest.fixture
def tree(tmp_path):
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        for frame in CITY_FRAMES:
            city = frame.split("_")[0]
            images, masks = tmp_path / "leftImg8bit" / split / city, tmp_path / "gtFine" / split / city
            images.mkdir(parents=True)
            masks.mkdir(parents=True)
            Image.fromarray(rng.integers(0, 256, (24, 48, 3), dtype=np.uint8)).save(images / f"{frame}_leftImg8bit.png")
            # All label ids, void ones included, but for those that the two splits' images leave out.
            ids = rng.choice([0, 3, 4, 7, 8, 11, 13, 17, 20, 21, 23, 24, 26, 29, 33], (24, 48)).astype(np.uint8)
            Image.fromarray(ids).save(masks / f"{frame}_gtFine_labelIds.png")
    return tmp_path


def test_iou_and_miou_equal_the_official_evaluator(tree, tmp_path):
    val = open_data(tree).splits["val"]
    rng = np.random.default_rng(1)
    matrix = ConfusionMatrix(len(CITYSCAPES))
    truths, predictions = [], []
    for i in range(len(val)):
        sample = val[i]
        guess = rng.integers(0, 19, sample.mask.shape)
        guess = np.where(rng.random(guess.shape) < 0.5, np.where(sample.mask == 255, 0, sample.mask), guess)
        matrix.update(sample.mask, guess)
        path = tmp_path / f"{i}_prediction.png"
        Image.fromarray(np.array(CITYSCAPES.values, np.uint8)[guess]).save(path)
        predictions.append(str(path))
        truths.append(
            str(next(tree.glob(f"gtFine/val/*/{sample.name.removesuffix('_leftImg8bit')}_gtFine_labelIds.png")))
        )

    arguments = argparse.Namespace(**vars(official.args))
    arguments.evalInstLevelScore = arguments.evalPixelAccuracy = arguments.JSONOutput = False
    arguments.quiet, arguments.avgClassSize = True, {}
    with redirect_stdout(io.StringIO()):
        theirs = official.evaluateImgLists(predictions, truths, arguments)

    ours = matrix.scores()
    assert ours.miou == pytest.approx(theirs["averageScoreClasses"])
    for name, iou in zip(CITYSCAPES.names, ours.iou, strict=True):
        official_iou = theirs["classScores"][name]
        assert (iou is None) == np.isnan(official_iou)
        if iou is not None:
            assert iou == pytest.approx(official_iou)
