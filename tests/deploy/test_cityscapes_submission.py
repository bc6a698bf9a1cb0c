"""What goes to the Cityscapes evaluation server, and what is refused before it could."""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wholenet.data.cityscapes import CITYSCAPES
from wholenet.data.sample import DataError
from wholenet.deploy.cityscapes_submission import write_cityscapes_submission

# (id, train id, name, ignoreInEval) of the official scripts, cityscapesscripts/helpers/labels.py.
OFFICIAL_LABELS = [
    (0, 255, "unlabeled", True),
    (1, 255, "ego vehicle", True),
    (2, 255, "rectification border", True),
    (3, 255, "out of roi", True),
    (4, 255, "static", True),
    (5, 255, "dynamic", True),
    (6, 255, "ground", True),
    (7, 0, "road", False),
    (8, 1, "sidewalk", False),
    (9, 255, "parking", True),
    (10, 255, "rail track", True),
    (11, 2, "building", False),
    (12, 3, "wall", False),
    (13, 4, "fence", False),
    (14, 255, "guard rail", True),
    (15, 255, "bridge", True),
    (16, 255, "tunnel", True),
    (17, 5, "pole", False),
    (18, 255, "polegroup", True),
    (19, 6, "traffic light", False),
    (20, 7, "traffic sign", False),
    (21, 8, "vegetation", False),
    (22, 9, "terrain", False),
    (23, 10, "sky", False),
    (24, 11, "person", False),
    (25, 12, "rider", False),
    (26, 13, "car", False),
    (27, 14, "truck", False),
    (28, 15, "bus", False),
    (29, 255, "caravan", True),
    (30, 255, "trailer", True),
    (31, 16, "train", False),
    (32, 17, "motorcycle", False),
    (33, 18, "bicycle", False),
    (-1, -1, "license plate", True),
]
TEST_FRAMES = ("berlin_000000_000019", "bad-honnef_000123_045678")


class Diagonal:
    """A model that sees each of its classes somewhere, and keeps count of the images it was given."""

    def __init__(self, classes=CITYSCAPES):
        self.classes = classes
        self.calls = 0

    def predict(self, image):
        self.calls += 1
        return (np.add.outer(np.arange(image.shape[0]), np.arange(image.shape[1])) % len(self.classes)).astype(np.uint8)


def image(folder: Path, frame: str, height: int = 1024, width: int = 2048) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{frame}_leftImg8bit.png"
    Image.new("RGB", (width, height)).save(path)
    return path


def refusal(model: Diagonal, inputs: list[Path], out: Path) -> str:
    """The message of the refusal, which must come before any work."""
    before = sorted(out.rglob("*"))
    with pytest.raises(DataError) as error:
        write_cityscapes_submission(model, inputs, out)
    assert model.calls == 0
    assert sorted(out.rglob("*")) == before
    return str(error.value)


def test_the_table_of_labels_is_the_official_one():
    evaluated = [(train_id, label_id, name) for label_id, train_id, name, ignored in OFFICIAL_LABELS if not ignored]
    assert sorted(evaluated) == list(zip(range(19), CITYSCAPES.values, CITYSCAPES.names, strict=True))
    assert {label_id % 256 for label_id, _, _, ignored in OFFICIAL_LABELS if ignored} == set(CITYSCAPES.ignore_values)


@pytest.mark.parametrize("order", [1, -1], ids=["in the order of train ids", "in another order"])
def test_each_pixel_holds_the_label_id_of_the_class_predicted_there(tmp_path, order):
    classes = replace(CITYSCAPES, names=CITYSCAPES.names[::order])
    model = Diagonal(classes)
    path = image(tmp_path / "in", TEST_FRAMES[0])
    (written,) = write_cityscapes_submission(model, [path], tmp_path / "out")
    with Image.open(written) as picture:
        assert (picture.format, picture.mode, picture.size) == ("PNG", "L", (2048, 1024))
        ids = np.array(picture)
    id_of = {name: label_id for label_id, _, name, _ in OFFICIAL_LABELS}
    predicted = model.predict(np.zeros((1024, 2048, 3), np.uint8))
    for train_id, name in enumerate(classes.names):
        assert (ids[predicted == train_id] == id_of[name]).all()
    void = [label_id for label_id, _, _, ignored in OFFICIAL_LABELS if ignored]
    assert not np.isin(ids, void).any()


def test_one_file_for_each_frame_in_the_order_of_the_inputs(tmp_path):
    for frame in TEST_FRAMES:
        image(tmp_path / "leftImg8bit" / frame.split("_")[0], frame)
    calls = []
    written = write_cityscapes_submission(
        Diagonal(), [tmp_path / "leftImg8bit"], tmp_path / "out", progress=lambda *call: calls.append(call)
    )
    assert [path.name for path in written] == [f"{frame}_pred_labelIds.png" for frame in sorted(TEST_FRAMES)]
    assert sorted((tmp_path / "out").iterdir()) == sorted(written)
    assert calls == [(1, 2), (2, 2)]
    again = write_cityscapes_submission(Diagonal(), [tmp_path / "leftImg8bit"], tmp_path / "out")
    assert again == written, "a submission can be written over an earlier one"


def test_the_official_evaluator_finds_each_file(tmp_path):
    official = pytest.importorskip(
        "cityscapesscripts.evaluation.evalPixelLevelSemanticLabeling", reason="cityscapesscripts is not installed"
    )
    images = [image(tmp_path / "in", frame) for frame in TEST_FRAMES]
    written = write_cityscapes_submission(Diagonal(), images, tmp_path / "out")
    arguments = argparse.Namespace(predictionPath=str(tmp_path / "out"), predictionWalk=None)
    for frame, path in zip(TEST_FRAMES, written, strict=True):
        assert official.getPrediction(arguments, f"{frame}_gtFine_labelIds.png") == str(path)


def test_a_model_of_other_classes_is_refused_by_their_names(tmp_path):
    names = tuple("lane" if name == "rider" else name for name in CITYSCAPES.names)
    path = image(tmp_path / "in", TEST_FRAMES[0])
    message = refusal(Diagonal(replace(CITYSCAPES, names=names)), [path], tmp_path / "out")
    assert "Missing: rider; unexpected: lane." in message


def test_a_model_of_fewer_or_more_classes_is_refused(tmp_path):
    path = image(tmp_path / "in", TEST_FRAMES[0])
    c = CITYSCAPES
    fewer = replace(c, names=c.names[:-1], colors=c.colors[:-1], values=c.values[:-1])
    assert "Missing: bicycle; unexpected: none." in refusal(Diagonal(fewer), [path], tmp_path / "out")
    more = replace(c, names=(*c.names, "trailer"), colors=(*c.colors, (0, 0, 110)), values=(*c.values, 30))
    assert "Missing: none; unexpected: trailer." in refusal(Diagonal(more), [path], tmp_path / "out")


@pytest.mark.parametrize(
    "name",
    [
        "holiday.png",
        "berlin_000000_000019.png",
        "berlin_000000_000019_gtFine_color.png",
        "berlin_00000_000019_leftImg8bit.png",
        "berlin_000000_0000190_leftImg8bit.png",
        "new_york_000000_000019_leftImg8bit.png",
        "berlin_000000_000019_leftImg8bit.jpg",
    ],
)
def test_an_image_that_is_not_named_as_a_frame_is_refused(tmp_path, name):
    good = image(tmp_path / "in", TEST_FRAMES[0])
    Image.new("RGB", (2048, 1024)).save(tmp_path / "in" / name)
    message = refusal(Diagonal(), [good, tmp_path / "in" / name], tmp_path / "out")
    assert f"{name}: the server knows images as <city>_<sequence>_<frame>_leftImg8bit.png" in message


@pytest.mark.parametrize(("height", "width"), [(512, 1024), (2048, 1024), (1024, 2047)])
def test_an_image_of_another_size_is_refused_even_if_it_is_the_last(tmp_path, height, width):
    images = [image(tmp_path / "in", TEST_FRAMES[0]), image(tmp_path / "in", TEST_FRAMES[1], height, width)]
    message = refusal(Diagonal(), images, tmp_path / "out")
    assert f"{images[1]} is {height}x{width}" in message
    assert "1024x2048 only" in message


def test_a_file_that_is_no_image_is_refused(tmp_path):
    path = image(tmp_path / "in", TEST_FRAMES[0])
    path.write_bytes(b"no picture")
    assert f"{path}: cannot be read as an image" in refusal(Diagonal(), [path], tmp_path / "out")


def test_two_images_of_one_frame_are_refused(tmp_path):
    images = [image(tmp_path / folder, TEST_FRAMES[0]) for folder in ("a", "b")]
    message = refusal(Diagonal(), images, tmp_path / "out")
    assert "would both be written to" in message
    assert all(str(path) in message for path in images)


@pytest.mark.parametrize("rival", ["{}_overlay.png", "old/{}_pred_labelIds.png"])
def test_another_picture_of_a_frame_in_the_folder_is_refused(tmp_path, rival):
    path = image(tmp_path / "in", TEST_FRAMES[0])
    other = tmp_path / "out" / rival.format(TEST_FRAMES[0])
    other.parent.mkdir(parents=True)
    other.touch()
    message = refusal(Diagonal(), [path], tmp_path / "out")
    assert f"{other} begins with {TEST_FRAMES[0]} too" in message
    other.rename(other.with_name("bonn_000000_000019_overlay.png"))
    write_cityscapes_submission(Diagonal(), [path], tmp_path / "out")


def test_the_folder_of_the_images_is_refused(tmp_path):
    path = image(tmp_path / "in", TEST_FRAMES[0])
    assert "choose another --out" in refusal(Diagonal(), [tmp_path / "in"], tmp_path / "in")
    assert path.is_file()
