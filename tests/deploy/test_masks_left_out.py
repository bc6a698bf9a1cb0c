"""A folder that holds masks beside its images is predicted without the masks."""

import numpy as np
import pytest
from PIL import Image

from wholenet.deploy.predict import left_out, list_images


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
    assert {path.relative_to(root).as_posix() for path in left_out([root])} == {*masks}


def test_a_mask_that_is_named_is_predicted(tmp_path):
    root = tree(tmp_path / "in", "a.png", "a_mask.png", "masks/a.png", "images/a.png")
    assert list_images([root / "a_mask.png"]) == [root / "a_mask.png"]
    assert list_images([root / "masks"]) == [root / "masks" / "a.png"]
