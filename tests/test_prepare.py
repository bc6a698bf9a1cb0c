"""Who learns from what: annotations and splits on a small tree in the shape of Cityscapes."""

import io
import shutil

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from wholenet.data.coarsen import coarsen
from wholenet.data.sample import DataError
from wholenet.jobs.masks import default_crop, prepare
from wholenet.search.config import FitConfig

FRAMES = {"train": 5, "val": 2, "train_extra": 3}


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """Images are told apart by their first pixel; coarse masks are half void."""
    root = tmp_path_factory.mktemp("cityscapes")
    number = 0
    for split, count in FRAMES.items():
        for i in range(count):
            frame = f"aachen_{i:06}_000019"
            image = np.full((40, 64, 3), 100, np.uint8)
            image[0, 0] = number = number + 1
            fine = np.where(np.arange(64) < 32, 7, 23).astype(np.uint8) * np.ones((40, 1), np.uint8)
            coarse = np.where(np.arange(40)[:, None] < 20, 0, fine).astype(np.uint8)
            kinds = {"leftImg8bit": image, "gtCoarse_labelIds": coarse}
            if split != "train_extra":
                kinds["gtFine_labelIds"] = fine
            for kind, pixels in kinds.items():
                folder = root / kind.split("_")[0] / split / "aachen"
                folder.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(folder / f"{frame}_{kind}.png")
    return root


def prepared(tree, **options):
    config = FitConfig(data=str(tree), out="unused", crop="32x64", **options)
    return prepare(config, Console(file=io.StringIO()))


def identities(data):
    return sorted(int(data[i].image[0, 0, 0]) for i in range(len(data)))


def void_share(data):
    return np.mean([(data[i].mask == 255).mean() for i in range(len(data))])


@pytest.mark.parametrize(
    ("weights", "arch"), [("fine", "fine"), ("fine", "coarse"), ("coarse", "fine"), ("both", "fine"), ("both", "both")]
)
def test_weights_and_architecture_learn_from_the_annotations_they_are_given(tree, weights, arch):
    data = prepared(tree, weights_annotations=weights, arch_annotations=arch)
    sizes = {"fine": 5, "coarse": 8, "both": 13}
    voids = {"fine": 0, "coarse": 0.5, "both": 4 / 13}
    for part, which in ((data.weights, weights), (data.architecture, arch)):
        assert len(part) == sizes[which]
        assert void_share(part) == pytest.approx(voids[which])
    assert len(data.val) == 2


def test_by_default_both_see_the_full_set(tree):
    data = prepared(tree)
    assert identities(data.weights) == identities(data.architecture) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("share", [0.4, 0.6, 0.8])
def test_disjoint_parts_share_no_image_and_leave_none_out(tree, share):
    data = prepared(tree, split="disjoint", weights_share=share)
    assert len(data.weights) == round(5 * share)
    assert sorted(identities(data.weights) + identities(data.architecture)) == [1, 2, 3, 4, 5]


def test_every_image_is_read_before_training(tree, tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    for i in range(6):
        Image.fromarray(np.full((40, 40, 3), i, np.uint8)).save(tmp_path / "images" / f"{i}.png")
        Image.fromarray(np.resize(np.array([0, 1], np.uint8), (40, 40))).save(tmp_path / "masks" / f"{i}.png")
    (tmp_path / "classes.json").write_text('["a", "b"]')
    Image.fromarray(np.full((40, 40), 9, np.uint8)).save(tmp_path / "masks" / "3.png")
    (tmp_path / "images" / "5.png").write_bytes(b"not an image")
    with pytest.raises(DataError) as error:
        prepare(FitConfig(data=str(tmp_path), out="unused", val_share=0.01), Console(file=io.StringIO()))
    problems = str(error.value)
    # One of the six was drawn for validation; what is wrong with the others is said all at once.
    assert ("3.png" in problems) + ("5.png" in problems) >= 1
    if "3.png" in problems:
        assert "9" in problems


def test_the_default_crop_is_in_multiples_of_32_and_at_most_the_papers(tree):
    stats = prepared(tree).train_stats
    assert default_crop(stats) == (32, 64)
    larger = type(stats)(**{**vars(stats), "min_height": 1024, "min_width": 2048})
    assert default_crop(larger) == (512, 1024)
    smaller = type(stats)(**{**vars(stats), "min_height": 20, "min_width": 31})
    assert default_crop(smaller) == (20, 31)


def test_the_weights_can_learn_from_both_and_then_from_the_fine_ones_alone(tree):
    data = prepared(tree, weights_annotations="both-then-fine", arch_annotations="both")
    assert (len(data.weights), len(data.fine_tune), len(data.architecture)) == (13, 5, 13)
    assert void_share(data.fine_tune) == 0
    data = prepared(tree, weights_annotations="both")
    assert data.fine_tune is data.weights


def test_coarse_annotations_are_made_only_where_there_are_none(tree, tmp_path):
    assert void_share(prepared(tree, arch_annotations="coarse", coarse="made").architecture) == 0.5  # the tree's own
    without = tmp_path / "tree"
    shutil.copytree(tree, without, ignore=shutil.ignore_patterns("gtCoarse", "train_extra"))
    with pytest.raises(DataError, match=r"no coarse annotations .*--coarse made"):
        prepared(without, arch_annotations="coarse")
    data = prepared(without, arch_annotations="coarse", coarse="made")
    assert identities(data.architecture) == identities(data.weights)
    for made, fine in zip(data.architecture, data.weights, strict=True):
        assert np.array_equal(made.mask, coarsen(fine.mask))


def test_a_second_stage_draws_from_all_that_the_first_divided(tree):
    data = prepared(tree, split="disjoint", protocol="two-stage")
    assert identities(data.retrain) == sorted(identities(data.weights) + identities(data.architecture))
