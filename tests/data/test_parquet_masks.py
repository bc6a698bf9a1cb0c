"""Images with masks in parquet files."""

import io

import numpy as np
import pytest
from PIL import Image
from trees import labels, picture

import wholenet
from wholenet.data import pieces
from wholenet.data.detect import find_tree, open_data
from wholenet.data.review import review
from wholenet.data.sample import DataError
from wholenet.data.task import how_read, surely_labelled, task_of

pa = pytest.importorskip("pyarrow", reason="part of wholenet[parquet]")
pq = pytest.importorskip("pyarrow.parquet")
H, W = 40, 48


def encoded(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def mask(i):
    return np.roll(labels(0, 1, 2, height=H, width=W), i)


def table(numbers, names=("image", "annotation"), plain=False, without=()):
    wrap = (lambda one: one) if plain else (lambda one: {"bytes": one, "path": None})
    rows = {names[0]: [wrap(encoded(picture(i, H, W))) for i in numbers]}
    rows[names[1]] = [None if i in without else wrap(encoded(mask(i))) for i in numbers]
    return pa.table(rows)


def write(path, numbers, group=2, **how):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table(numbers, **how), path, row_group_size=group)


FORMS = {
    "as datasets writes them": (
        *({"data/train-00000-of-00002.parquet": range(3), "data/train-00001-of-00002.parquet": range(3, 6)}, {}),
    ),
    "a folder for each split": ({"default/train/0000.parquet": range(6)}, {"names": ("pixel_values", "label")}),
    "a lone table of bytes": ({"mine.parquet": range(6)}, {"plain": True, "names": ("img", "segmentation_mask")}),
    "words": ({"train.parquet": range(6)}, {"names": ("rgb_image", "GroundTruthMask")}),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kept", [0, 1 << 30])
def test_rows_are_read_as_they_were_written_in_any_order(form, kept, tmp_path, monkeypatch):
    files, how = FORMS[form]
    for place, numbers in files.items():
        write(tmp_path / place, numbers, **how)
    monkeypatch.setattr(pieces, "KEPT_BYTES", kept)
    assert task_of(tmp_path) == "segmentation"
    source = open_data(tmp_path)
    assert {name: len(data) for name, data in source.splits.items()} == {"train": 5, "val": 1}
    seen = {}
    for data in source.splits.values():
        for i in np.random.default_rng(0).permutation(len(data)).tolist():
            sample = data[i]
            seen[sample.name] = sample
            np.testing.assert_array_equal(data[i].image, sample.image)
    assert len(seen) == 6
    for i, name in enumerate(sorted(seen)):
        np.testing.assert_array_equal(seen[name].image, picture(i, H, W))
        np.testing.assert_array_equal(seen[name].mask, mask(i))


def test_splits_are_told_by_names_and_a_test_without_masks_is_left_out(tmp_path):
    write(tmp_path / "data/train-0.parquet", range(4))
    write(tmp_path / "data/validation-0.parquet", range(4, 6))
    write(tmp_path / "data/test-0.parquet", range(6, 8), without=(6, 7))
    (tmp_path / "id2label.json").write_text('{"0": "sky", "1": "road", "2": "car"}')
    source = open_data(tmp_path)
    assert {name: len(data) for name, data in source.splits.items()} == {"train": 4, "val": 2}
    assert source.classes.names == ("sky", "road", "car")
    assert any("test is left out" in note for note in source.notes)
    said = how_read(tmp_path, "segmentation")
    assert "images in the column image, masks in annotation; train: 4 rows of train-0.parquet; val: 2 rows" in said
    assert not [finding for finding in review(tmp_path).findings if finding.severity != "note"]


def test_what_is_wrong_is_named_by_file_and_row(tmp_path):
    write(tmp_path / "train.parquet", range(5), without=(3,))
    (error,) = [one for one in find_tree(tmp_path).findings if one.severity == "error"]
    assert (error.what, error.files) == ("1 row without mask", (f"{tmp_path / 'train.parquet'}, row 3, image",))
    rows = table(range(3)).to_pylist()
    rows[1]["image"]["bytes"] = rows[1]["image"]["bytes"][:400]
    rows[2]["annotation"] = {"bytes": encoded(mask(2)[1:]), "path": None}
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "train.parquet")
    told = "\n".join(str(one) for one in review(tmp_path).findings if one.severity == "error")
    assert "train.parquet, row 1, image" in told
    assert "is 40x48 but its mask" in told
    assert "row 2, annotation is 39x48" in told


def test_tables_without_pictures_or_of_no_split_are_refused(tmp_path):
    (tmp_path / "a").mkdir()
    pq.write_table(pa.table({"image": [b"x"], "text": ["y"]}), tmp_path / "a/train.parquet")
    with pytest.raises(DataError, match=r"train\.parquet has columns image, text; expected pictures in one column"):
        find_tree(tmp_path / "a")
    write(tmp_path / "b/train.parquet", range(2))
    write(tmp_path / "b/other.parquet", range(2))
    with pytest.raises(DataError, match=r"other\.parquet: the name of a parquet file, or of its folder, is train"):
        find_tree(tmp_path / "b")
    write(tmp_path / "c/val.parquet", range(2))
    with pytest.raises(DataError, match=r"none of the parquet files is of train; found val\.parquet"):
        find_tree(tmp_path / "c")
    (tmp_path / "d").mkdir()
    (tmp_path / "d/train.parquet").write_bytes(b"PAR1 damaged")
    with pytest.raises(DataError, match=r"train\.parquet cannot be read as parquet"):
        find_tree(tmp_path / "d")


def test_labels_that_are_numbers_stay_labels(tmp_path):
    whole = table(range(3)).append_column("label", pa.array([0, 1, 0]))
    pq.write_table(whole, tmp_path / "train.parquet")
    assert task_of(tmp_path) == "classification"
    assert len(find_tree(tmp_path).pairs["train"]) == 3


def test_a_table_is_of_labelled_images_alone_where_no_column_of_it_may_be_masks(tmp_path):
    tables = {
        "labels": {"img": [b"x"], "label": [0]},
        "words": {"image": [b"x"], "text": ["y"]},
        "numbers": {"label": [0]},
    }
    for name, columns in tables.items():
        (tmp_path / name).mkdir()
        pq.write_table(pa.table(columns), tmp_path / name / "train.parquet")
    write(tmp_path / "masks/train.parquet", range(2))
    (tmp_path / "both").mkdir()
    pq.write_table(table(range(3)).append_column("label", pa.array([0, 1, 0])), tmp_path / "both/train.parquet")
    found = {name: surely_labelled(tmp_path / name) for name in (*tables, "masks", "both")}
    assert found == {"labels": True, "words": False, "numbers": False, "masks": False, "both": False}
    with pytest.raises(
        DataError, match=r"labelled images .*parquet.*networks of the space 'grid' are for images with mask"
    ):
        wholenet.fit(tmp_path / "labels", tmp_path / "run", space="grid", size="nano", task="segmentation", epochs=1)
    assert not (tmp_path / "run").exists()


def test_a_table_beside_pictures_is_no_data_set(tmp_path):
    write(tmp_path / "train.parquet", range(2))
    Image.fromarray(picture()).save(tmp_path / "a.png")
    with pytest.raises(DataError, match="has no layout that wholenet knows"):
        find_tree(tmp_path)


def test_a_second_look_decodes_no_row_unless_the_table_has_changed(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write(tmp_path / "data" / "train.parquet", range(4))
    write(tmp_path / "data" / "val.parquet", range(4, 6))
    seen = []
    monkeypatch.setattr(
        pieces.Cell, "content", lambda cell, read=pieces.Cell.content: (seen.append(cell), read(cell))[1]
    )
    first = review(tmp_path / "data")
    assert len(set(seen)) == 12
    seen.clear()
    assert review(tmp_path / "data").findings == first.findings
    assert not seen
    write(tmp_path / "data" / "val.parquet", range(5, 7))
    review(tmp_path / "data")
    assert {cell.file.name for cell in seen} == {"val.parquet"}
