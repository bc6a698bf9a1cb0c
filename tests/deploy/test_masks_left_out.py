"""A folder that holds masks beside its images is predicted without the masks."""

import numpy as np
import pytest
from PIL import Image

import wholenet.deploy.predict as predict_module
from wholenet.commands.predict import predict
from wholenet.deploy.predict import list_images, opened_folders


def tree(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((4, 4), np.uint8)).save(path)
    return root


@pytest.mark.parametrize(
    ("images", "masks"),
    [
        (("a.jpg", "b.png"), ("a_mask.png", "b-gt.png")),
        (("p1/a.png", "p2/image.png"), ("p1/a_L.png", "p2/mask.png")),
        (("images/a.png", "images/sub/b.png"), ("masks/a.png", "masks/sub/b.png")),
        (("train/images/a.jpg",), ("train/labels/a.png",)),
        (("JPEGImages/a.jpg",), ("SegmentationClass/a.png",)),
        (("leftImg8bit/val/x/a_leftImg8bit.png",), ("gtFine/val/x/a_gtFine_labelIds.png",)),
        # Nothing that they could be masks of.
        (("a_mask.png", "b.png"), ()),
        (("masks/a.png", "masks/b.png"), ()),
        (("masks/a.png", "other/b.png"), ()),
        (("image.png", "a_mask.png"), ()),
    ],
)
def test_masks_beside_their_images_are_left_out(tmp_path, images, masks):
    root = tree(tmp_path / "in", *images, *masks)
    assert {path.relative_to(root).as_posix() for path in list_images([root])} == {*images}
    assert {path.relative_to(root).as_posix() for path in opened_folders([root])[1]} == {*masks}


def test_a_mask_that_is_named_is_predicted(tmp_path):
    root = tree(tmp_path / "in", "a.png", "a_mask.png", "masks/a.png", "images/a.png")
    assert list_images([root / "a_mask.png"]) == [root / "a_mask.png"]
    assert list_images([root / "masks"]) == [root / "masks" / "a.png"]


def test_a_folder_is_listed_once(tmp_path, monkeypatch, capsys):
    root = tree(tmp_path / "in", "images/a.png", "masks/a.png")
    listed, asked = [], []
    real = predict_module.files_below
    monkeypatch.setattr(predict_module, "files_below", lambda path, ends: listed.append(path) or real(path, ends))
    monkeypatch.setattr("wholenet.commands.predict.loaded", lambda *_: None)
    monkeypatch.setattr(
        "wholenet.trained.predict", lambda _net, files, *_, **__: asked.extend(list_images(files)) or []
    )
    predict("model", [str(root)], out=str(tmp_path / "out"))
    assert (listed, asked) == ([root], [root / "images" / "a.png"])
    assert "left out, as masks of images beside them: 1 (a.png, ...)" in capsys.readouterr().out
