"""What networks reach in a minute of training on real words and on planes: scores that others measured, with room for
the seed. Minutes, so ``make learning`` runs them, and ``make test`` does not."""

import numpy as np
import pytest

import wholenet
from wholenet.data.stereo.augment import swapped
from wholenet.data.stereo.planes import PlanesSplit

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
MACHINE = {"device": "cpu", "threads": 1}
WORDS = {"units": 100, "batch": 20, "optimizer": "adamw", "epochs": 2, "drop_words": 0.0, "drop_output": 0.5}
"""Adam at 0.004 in windows of about 35; dropout of embeddings is 0.2."""


@pytest.mark.parametrize(
    ("genotype", "own", "below"),
    [
        # 401.6 elsewhere; the unigram has 436.45.
        ("darts-rnn-v2", {"drop_cell_input": 0.25, "drop_hidden": 0.25}, 436.45),
        # 324.2 elsewhere, of an LSTM whose embedding began, it seems, as in AWD-LSTM's code: that fits all its epochs.
        ("lstm", {"hidden": 100, "drop_cell_input": 0.0, "embedding_range": 0.1}, 350),
    ],
)
def test_two_epochs_on_the_penn_treebank(genotype, own, below, ptb_small, tmp_path):
    found = wholenet.retrain(genotype, ptb_small, tmp_path / "run", **WORDS, **own, **MACHINE).learned
    assert found.floors["unigram"] == pytest.approx(436.45, abs=0.005)
    assert found.scores < below


def test_a_hundred_steps_on_planes(tmp_path):
    """2.96 after 83 steps elsewhere, of a network with BatchNorm and a normalised correlation to both sides, whose rate
    nobody wrote down."""
    options = {"size": "tiny", "two_sided": True, "lr": 0.01, "augment": 0.0, "epochs": 4, "steps_per_epoch": 25}
    found = wholenet.retrain("autodispnet", "planes", tmp_path / "run", batch=8, **options, **MACHINE).learned
    assert found.floors["median"] > 3.5
    assert found.scores < 3.3
    # In a mirror, with the eyes in each other's place, what it sees is as good: it knows of no side but left and right.
    model, val = wholenet.load(tmp_path / "run", device="cpu"), PlanesSplit("val", 32)
    errors = {"plain": [], "in a mirror": []}
    for index in range(len(val)):
        for name, pair in zip(errors, (val[index], swapped(val[index])), strict=True):
            errors[name].append(np.abs(model.predict(pair.left, pair.right) - pair.disparity).mean())
    assert np.mean(errors["in a mirror"]) == pytest.approx(np.mean(errors["plain"]), rel=0.2)
