"""The lines that turn what is not read into what is."""

import shlex
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from wholenet.data.detect import find_tree
from wholenet.data.formats import VOLUMES
from wholenet.data.sample import DataError


@pytest.mark.parametrize("folders", [("imagesTr", "labelsTr"), ("imgs", "masks")])
@pytest.mark.parametrize("end", [*VOLUMES, ".NRRD"])
def test_the_line_for_volumes_writes_each_slice_of_each_kind_of_volume(end, folders, tmp_path, monkeypatch):
    volume = np.arange(24).reshape(2, 3, 4)  # slices, rows, columns
    nnunet = folders[0] == "imagesTr"
    files = [f"{folders[0]}/p1{'_0000' * nnunet}{end}", f"{folders[1]}/p1{end}"]
    for file in files:
        (tmp_path / file).parent.mkdir()
        (tmp_path / file).touch()
    with pytest.raises(DataError, match="is a volume of slices") as found:
        find_tree(tmp_path)
    *_, line = str(found.value).splitlines()
    words = shlex.split(line)
    assert words[:2] == ["python", "-c"]
    assert words[3:] == [f"{folder}/*{end}" for folder in folders]
    written = {}
    readers = {
        "nibabel": SimpleNamespace(load=lambda _: SimpleNamespace(get_fdata=lambda: volume.T.astype(float))),
        "SimpleITK": SimpleNamespace(ReadImage=lambda path: path, GetArrayFromImage=lambda _: volume),
        "tifffile": SimpleNamespace(imwrite=lambda path, pixels: written.update({path: pixels})),
    }
    for name, module in readers.items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(sys, "argv", ["-c", *files])
    exec(words[2], {})  # what people paste
    ends = {folders[0]: "_0000" * nnunet, folders[1]: ""}
    assert {*written} == {Path(folder, f"z{z:03}_p1{tail}.tif") for folder, tail in ends.items() for z in range(2)}
    for path, pixels in written.items():
        assert pixels.dtype == (np.float32 if path.parts[0] == folders[0] else np.uint8)
        np.testing.assert_array_equal(pixels, volume[int(path.name[1:4])])
