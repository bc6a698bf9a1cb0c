"""Small data sets in the shapes that people have them in, kept beside this checkout: what a user expects of each."""

from pathlib import Path

import pytest

from wholenet.data.review import review
from wholenet.data.task import task_of

CASES = Path(__file__).parents[2].parent / "shared" / "cases"
EXPECTED = {
    "planar16-rgb-silent": (3, "uint16"),
    "tif4-nir-dropped": (4, "uint8"),
    "tif-multiband-misnamed": (7, "uint8"),
    "tif-float-rgb": (3, "float32"),
    **dict.fromkeys(("miniswhite-mask-inverted", "kitti-as-classes", "patient-folders-as-classes"), (3, "uint8")),
    **dict.fromkeys(("parquet-beside-masks", "hf-parquet-masks", "nfc-nfd", "jpg-png-names"), (3, "uint8")),
    **dict.fromkeys(("prefix-names", "cvat-masks", "voc-partly-masked", "mmseg-dirs", "nnunet-2d"), (3, "uint8")),
    **dict.fromkeys(("coco", "yolo-seg", "masks-per-object"), (3, "uint8")),
}
"""Channels and type; all can be trained on as they are."""
ASKED = {
    "drive-fov-mask": ["1st_manual", "Say which are meant"],
    "grey-0-128-255-proposal": ['"id": 0', '"id": 128', '"id": 255'],
}
"""What the question says."""


@pytest.mark.skipif(not CASES.is_dir(), reason="the cases are not beside this checkout")
@pytest.mark.parametrize("case", [*EXPECTED, *ASKED])
def test_every_case_is_segmentation_that_can_be_trained_on_or_a_question(case):
    if case.startswith("tif"):
        pytest.importorskip("tifffile", reason="part of wholenet[tiff]")
    if case.startswith("hf"):
        pytest.importorskip("pyarrow", reason="part of wholenet[parquet]")
    root = CASES / case / "data"
    assert task_of(root) == "segmentation"
    looked = review(root)
    errors = [str(finding) for finding in looked.findings if finding.severity == "error"]
    if case in ASKED:
        (error,) = errors
        assert all(fact in error for fact in ASKED[case])
        return
    assert errors == []
    assert looked.source is not None
    assert looked.source.pixels is not None
    assert (looked.source.pixels.channels, looked.source.pixels.type) == EXPECTED[case]
    sample = looked.source.splits["train"][0]
    assert sample.image.shape[2:] == (EXPECTED[case][0],)
