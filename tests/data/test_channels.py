"""Images whose channels lie in several files, as nnU-Net has them."""

import json
from pathlib import Path

import numpy as np
import pytest
from trees import labels, write, write_pairs

from wholenet.data.bands import read_bands
from wholenet.data.channels import joined_channels
from wholenet.data.detect import find_tree, open_data
from wholenet.data.pieces import Stacked, place_of
from wholenet.data.review import review
from wholenet.data.sample import DataError

H, W = 40, 48


def channel(case, number, kind=np.uint8):
    return np.random.default_rng([case, number]).integers(0, 200, (H, W)).astype(kind)


def nnunet(root, channels=2, cases=4, names=("T1", "T2"), kind=np.uint8):
    for case in range(cases):
        for number in range(channels):
            write(root / "imagesTr" / f"case_{case:03}_{number:04}.png", channel(case, number, kind))
        write(root / "labelsTr" / f"case_{case:03}.png", labels(0, 1, height=H, width=W))
    table = {"channel_names": {str(i): name for i, name in enumerate(names)}, "labels": {"background": 0, "lesion": 1}}
    (root / "dataset.json").write_text(json.dumps(table))


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_the_bands_are_the_files_in_their_order(channels, kind, tmp_path):
    nnunet(tmp_path, channels, names=[str(i) for i in range(channels)], kind=kind)
    source = open_data(tmp_path)
    samples = [data[i] for data in source.splits.values() for i in range(len(data))]
    assert sorted(sample.name for sample in samples) == [f"case_{i:03}{'_0000' * (channels == 1)}" for i in range(4)]
    for sample in samples:
        expected = np.stack([channel(int(sample.name[5:8]), number, kind) for number in range(channels)], axis=2)
        if channels == 1 and kind == np.uint8:  # grey of 8 bits is a photograph by itself
            expected = expected.repeat(3, axis=2)
        np.testing.assert_array_equal(sample.image, expected)
        assert sample.image.dtype == expected.dtype


def test_names_of_channels_and_classes_are_told(tmp_path):
    nnunet(tmp_path)
    looked = review(tmp_path)
    assert [finding for finding in looked.findings if finding.severity != "note"] == []
    assert "each image is 2 files, one for each channel: T1, T2" in looked.notes
    assert looked.source is not None
    assert looked.source.classes.names == ("background", "lesion")
    assert looked.source.pixels is not None
    assert looked.source.pixels.channels == 2


def errors(root):
    return [str(finding) for finding in review(root).findings if finding.severity == "error"]


def test_channels_that_are_missing_or_differ_are_named(tmp_path):
    nnunet(tmp_path / "few")
    (tmp_path / "few/imagesTr/case_001_0001.png").unlink()
    gap, kind = errors(tmp_path / "few")
    assert "1 image whose channels are not 0 to 1, as dataset.json says" in gap
    assert "case_001 (0000)" in gap
    assert "1 image of 8-bit RGB, where 3 are of 2 bands of uint8" in kind
    assert "case_001_0000.png" in kind
    nnunet(tmp_path / "gap")
    (tmp_path / "gap/imagesTr/case_001_0001.png").rename(tmp_path / "gap/imagesTr/case_001_0002.png")
    assert "case_001 (0000, 0002)" in errors(tmp_path / "gap")[0]
    with pytest.raises(DataError, match=r"channels are not 0 to 1, as dataset\.json says"):
        open_data(tmp_path / "gap")
    nnunet(tmp_path / "three", names=("a", "b", "c"))
    assert "4 images whose channels are not 0 to 2, as dataset.json says" in errors(tmp_path / "three")[0]


def test_channels_of_two_sizes_or_types_are_refused(tmp_path):
    for name, other in (("size", channel(0, 1)[1:]), ("type", channel(0, 1, np.uint16))):
        nnunet(tmp_path / name)
        write(tmp_path / name / "imagesTr/case_000_0001.png", other)
        (told,) = errors(tmp_path / name)
        assert "a channel of 39x48" in told or "of uint16, and the first of 40x48 (height x width) of uint8" in told
        assert told.splitlines()[0].endswith("imagesTr/case_000_0001.png")
        assert "one size and one type" in told


def test_numbers_that_masks_have_too_are_no_channels(tmp_path):
    write_pairs(tmp_path / "images", tmp_path / "masks", ["x_0000", "x_0001"])
    assert [image.name for image, _ in find_tree(tmp_path).pairs["train"]] == ["x_0000.png", "x_0001.png"]


def test_a_stack_reads_as_its_parts(tmp_path):
    files = tuple(write(tmp_path / f"a_{i:04}.png", channel(0, i)) for i in range(2))
    found = read_bands(Stacked(files, tmp_path / "a.png"), "stored")
    np.testing.assert_array_equal(found, np.concatenate([read_bands(file, "stored") for file in files], axis=2))


@pytest.mark.parametrize(("channels", "expected"), [(2, ["a.png", "b_0000.png", "c.tif"]), (1, None), (3, None)])
def test_files_of_one_image_are_joined_for_a_network_of_as_many_channels(channels, expected):
    files = [Path(name) for name in ("a_0000.png", "a_0001.png", "b_0000.png", "c.tif")]
    found = [place_of(image).name for image in joined_channels(files, channels)]
    assert found == (expected or [file.name for file in files])
