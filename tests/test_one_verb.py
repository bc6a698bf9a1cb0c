"""The verbs of Python ask the data, the run or the model what it is."""

import numpy as np
import pytest

import wholenet
from wholenet.cells.search import Searched
from wholenet.control import Compared
from wholenet.deploy.classifier import TrainedClassifier
from wholenet.diagnostics.curvature import Curvature
from wholenet.tasks.classification import Accuracy

pytestmark = pytest.mark.usefixtures("shallow")

MASKS = {
    "size": "nano",
    "epochs": 1,
    "batch": 2,
    "crop": "32x32",
    "device": "cpu",
    "warmup_share": 0.0,
    "search_share": 1.0,
}
LABELS = {"space": "s2", "channels": 4, "cells": 3, "epochs": 1, "batch": 8, "device": "cpu", "gradient": "first-order"}
LABELS |= {"eigenvalue_every": 0, "images": 24}


@pytest.fixture(scope="module")
def searched(patches, tmp_path_factory):
    out = tmp_path_factory.mktemp("verbs") / "run"
    assert isinstance(wholenet.fit(patches, out, **LABELS), Searched)
    return out


def test_data_says_what_is_trained(discs, patches, tmp_path):
    assert isinstance(wholenet.fit(discs, tmp_path / "masks", **MASKS), Compared)
    labels = {name: value for name, value in LABELS.items() if name != "space"}
    found = wholenet.fit(patches, tmp_path / "labels", method="sdarts-rs", **labels)
    assert isinstance(found, Searched)
    with pytest.raises(
        ValueError, match="unknown task 'labels'; known: segmentation, language, stereo, classification"
    ):
        wholenet.fit(patches, tmp_path / "x", task="labels")
    with pytest.raises(ValueError, match=r"is read as labelled images .* are for images with"):
        wholenet.fit(patches, tmp_path / "x", task="segmentation", **MASKS)


def test_a_run_says_how_it_is_continued_and_diagnosed(searched, patches, tmp_path):
    assert isinstance(wholenet.resume(searched), Searched)
    with pytest.raises(ValueError, match="lr cannot be given with it"):
        wholenet.resume(searched, lr=1.0)
    assert isinstance(wholenet.diagnose(searched, device="cpu", tolerance=0.5), Curvature)
    with pytest.raises(ValueError, match="diagnosed on its own data"):
        wholenet.diagnose(searched, patches)
    small = {"channels": 4, "cells": 3, "epochs": 1, "batch": 8, "auxiliary": 0.0, "device": "cpu"}
    first = wholenet.retrain(searched / "genotype.yaml", patches, tmp_path / "net", **small)
    assert wholenet.resume(tmp_path / "net") == first


def test_a_model_says_how_it_is_scored_and_what_it_answers(searched, patches, tmp_path):
    found = wholenet.evaluate(searched, patches)
    model = wholenet.load(searched, device="cpu")
    assert isinstance(model, TrainedClassifier)
    assert isinstance(found, Accuracy)
    assert wholenet.evaluate(model, patches, "test") == found
    written = wholenet.predict(searched, [patches / "test"], tmp_path / "classes.csv")
    assert written == [tmp_path / "classes.csv"]
    assert len(written[0].read_text().splitlines()) == 1 + found.images
    for options in ({"overlay": True}, {"tiling": wholenet.trained.Tiling()}):
        with pytest.raises(ValueError, match="answers for whole images"):
            wholenet.predict(model, [patches / "test"], tmp_path / "x", **options)
    with pytest.raises(ValueError, match="a classifier is exported whole"):
        wholenet.export(searched, tmp_path / "x.onnx", drop_below=0.5)
    assert model.predict([np.zeros((16, 16, 3), np.uint8)]).shape == (1, len(model.classes))


def test_the_former_names_warn_who_calls_them_and_do_the_same(searched, patches, tmp_path):
    with pytest.warns(DeprecationWarning, match="evaluate_classifier goes with the next version") as told:
        found = wholenet.api.evaluate_classifier(searched, patches)
    assert found == wholenet.evaluate(searched, patches)
    with pytest.warns(DeprecationWarning, match="wholenet.predict takes any model") as more:
        assert wholenet.api.classify(searched, [patches / "test"], tmp_path / "old.csv") == found.images
    wholenet.predict(searched, [patches / "test"], tmp_path / "new.csv")
    assert (tmp_path / "old.csv").read_bytes() == (tmp_path / "new.csv").read_bytes()
    with pytest.warns(DeprecationWarning, match="wholenet.diagnose takes any run") as last:
        curved = wholenet.api.diagnose_search(searched, device="cpu", tolerance=0.5)
    assert curved == wholenet.diagnose(searched, device="cpu", tolerance=0.5)
    with (
        pytest.warns(DeprecationWarning, match='wholenet.fit\\(data, out, task="classification"\\)') as first,
        pytest.raises(ValueError, match="unknown method 'darst'"),
    ):
        wholenet.api.fit_classifier(patches, tmp_path / "x", "darst")
    assert {one.filename for warned in (told, more, last, first) for one in warned} == {__file__}


def test_verbs_refuse_what_is_of_another_task_and_tell_how_far_they_are(searched, discs, patches, tmp_path):
    with pytest.raises(ValueError, match="tolerance is for a search on a cell space"):
        wholenet.diagnose(tmp_path, tolerance=0.1)
    with pytest.raises(ValueError, match="tolerance=2: expected"):
        wholenet.diagnose(tmp_path, tolerance=2)
    done = []
    found = wholenet.evaluate(searched, patches, progress=lambda *counts: done.append(counts))
    assert done == [(found.images, found.images)]
