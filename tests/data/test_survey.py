"""Facts of files: read once, kept, noticed when they change, and equal to what training reads."""

import json
import math
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from trees import labels, picture, write, write_pairs

from wholenet.data import facts_cache, survey
from wholenet.data.classes import default_colors
from wholenet.data.facts_cache import FactsCache, cache_folder
from wholenet.data.infer import BINARY
from wholenet.data.label_findings import UNCOUNTED, train_counts
from wholenet.data.opening import PictureError, quiet_pillow
from wholenet.data.pictures import read_image, read_mask
from wholenet.data.sample import IGNORE, Classes
from wholenet.data.survey import MOST_COLORS, facts_from_list, facts_to_list, look_at_image, look_at_mask

ABC = Classes(("a", "b", "c"), ((10, 0, 0), (0, 10, 0), (0, 0, 10)), ignore_values=(11, IGNORE))
UNCOLORED = Classes(("a", "b", "c"), default_colors(3))


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """Two pairs, and a cache of their own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_pairs(tmp_path / "x", tmp_path / "y", ["a", "b"])
    return tmp_path


def surveyed(tree, **options):
    images, masks = sorted((tree / "x").iterdir()), sorted((tree / "y").iterdir())
    return survey.survey(images, masks, cache=FactsCache(tree), **options)


@pytest.fixture
def decoded(monkeypatch):
    """The names of the files that were decoded."""
    names = []

    def watched(read):
        def reading(path, *rest):
            names.append(f"{path.parent.name}/{path.name}")
            return read(path, *rest)

        return reading

    for name in ("bands_with_header", "raw_mask_with_header"):
        monkeypatch.setattr(survey, name, watched(getattr(survey, name)))
    return names


def test_a_second_look_decodes_nothing(tree, decoded):
    first = surveyed(tree)
    assert sorted(decoded) == ["x/a.png", "x/b.png", "y/a.png", "y/b.png"]
    decoded.clear()
    assert surveyed(tree) == first
    assert decoded == []


@pytest.mark.parametrize("changed", ["size", "time", "content"])
def test_a_file_of_another_size_or_time_is_decoded_again(tree, decoded, changed):
    surveyed(tree)
    decoded.clear()
    path = tree / "y" / "b.png"
    time = path.stat().st_mtime_ns
    if changed == "size":
        path.write_bytes(path.read_bytes() + b"more")
        os.utime(path, ns=(time, time))
    elif changed == "content":  # of the same size, the time set back, as tools that copy do
        path = tree / "y" / "b.bmp"
        (tree / "y" / "b.png").unlink()
        write(path, labels(0, 1, 2))
        surveyed(tree)
        decoded.clear()
        before = path.stat()
        while path.stat().st_ctime_ns == before.st_ctime_ns:  # clocks of disks tick slowly
            write(path, labels(2, 1, 0))
            os.utime(path, ns=(before.st_mtime_ns, before.st_mtime_ns))
        assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    else:
        write(path, labels(2, 1, 0))
        os.utime(path, ns=(time + 1, time + 1))
    found = surveyed(tree)
    assert decoded == [f"y/{path.name}"]
    assert found.masks[path] == look_at_mask(path)


def test_what_could_not_be_read_is_tried_again(tree, decoded):
    (tree / "x" / "a.png").write_bytes(b"")
    assert set(surveyed(tree).unusable_images) == {tree / "x" / "a.png"}
    decoded.clear()
    surveyed(tree)
    assert decoded == ["x/a.png"]


def test_a_file_that_is_gone_is_unusable(tree):
    found = survey.survey([tree / "gone.png"], [], cache=FactsCache(tree))
    assert "gone.png: cannot be read as an image" in str(found.unusable_images[tree / "gone.png"])


def test_a_lower_limit_counts_for_what_was_decoded_before_too(tree):
    assert not surveyed(tree).unusable_images
    found = surveyed(tree, max_megapixels=1e-6)
    assert set(found.unusable_images) == {tree / "x" / "a.png", tree / "x" / "b.png"}
    assert set(found.unusable_masks) == {tree / "y" / "a.png", tree / "y" / "b.png"}


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", '{"files": 3}', '{"made_by": MADE, "files": {"PATH": [1]}}', '{"made_by": MADE, "files": []}']
    + [
        f'{{"made_by": MADE, "files": {{"PATH": [SIZE, TIME, CTIME, {facts}]}}}}'
        for facts in ("null", "3", '["image"]', "{}")
    ]
    + ['{"made_by": ["older"], "files": {"PATH": [SIZE, TIME, CTIME, ["mask"]]}}', "[" * 99999, "\udcff"],
)
def test_a_damaged_cache_is_ignored_and_rewritten(tree, decoded, content):
    path = tree / "x" / "a.png"
    facts = surveyed(tree)
    (file,) = cache_folder().iterdir()
    whole = file.read_text()
    for word, value in (
        ("MADE", json.dumps(facts_cache._made_by())),
        ("PATH", str(path)),
        ("SIZE", str(path.stat().st_size)),
        ("CTIME", str(path.stat().st_ctime_ns)),
        ("TIME", str(path.stat().st_mtime_ns)),
    ):
        content = content.replace(word, value)
    file.write_bytes(content.encode("utf-8", "surrogateescape"))
    decoded.clear()
    assert surveyed(tree) == facts
    assert "x/a.png" in decoded
    assert json.loads(file.read_text()) == json.loads(whole)
    assert [left.name for left in cache_folder().iterdir()] == [file.name]


def known(tree):
    return sorted(Path(name).name for name in FactsCache(tree)._known)


def test_a_look_at_fewer_files_forgets_none_but_those_that_are_gone(tree, decoded):
    surveyed(tree)
    survey.survey([tree / "x" / "a.png"], [], cache=FactsCache(tree))
    surveyed(tree, max_megapixels=1e-6)
    assert known(tree) == ["a.png", "a.png", "b.png", "b.png"]
    (tree / "x" / "a.png").unlink()
    decoded.clear()
    surveyed(tree)
    assert decoded == []
    assert known(tree) == ["a.png", "b.png", "b.png"]


def test_what_was_decoded_before_an_interruption_is_kept(tree, decoded):
    def interrupt(done, _):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        surveyed(tree, progress=interrupt)
    assert known(tree) == ["a.png", "b.png"]
    decoded.clear()
    surveyed(tree)
    assert sorted(decoded) == ["y/a.png", "y/b.png"]


def test_without_a_place_to_write_nothing_is_lost_but_time(tree, decoded):
    (tree / "cache").write_text("a file in the place of the folder")
    assert surveyed(tree) == surveyed(tree)
    assert len(decoded) == 8


def test_the_cache_lies_in_the_users_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "wholenet" / "checks"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_folder() == tmp_path / "home" / ".cache" / "wholenet" / "checks"


def stored(kind, path):
    """A mask of labels 0, 1, 2 and 11, in one of the forms that masks come in."""
    mask = labels(0, 1, 2, 1, 11)
    if kind == "palette":
        image = Image.fromarray(mask).convert("P")
        image.putpalette([3 * i % 256 for i in range(768)])
        image.save(path)
    elif kind == "16-bit":
        Image.fromarray(mask.astype(np.uint16)).save(path)
    elif kind == "colors":
        colors = np.array([*ABC.colors], np.uint8)
        Image.fromarray(colors[mask % 3]).save(path)
    elif kind == "three channels":
        Image.fromarray(np.repeat(labels(0, 1, 2)[..., None], 3, axis=2)).save(path)
    elif kind == "1-bit":
        Image.fromarray(labels(0, 1) > 0).save(path)
    else:
        Image.fromarray(mask).save(path)
    return path


@pytest.mark.parametrize(
    ("kind", "classes"),
    [
        ("plain", ABC),
        ("palette", ABC),
        ("16-bit", ABC),
        ("colors", ABC),
        ("three channels", UNCOLORED),
        ("1-bit", ABC),
        ("1-bit", BINARY),
    ],
)
def test_counts_out_of_facts_are_those_of_the_mask_as_training_reads_it(kind, classes, tmp_path):
    path = stored(kind, tmp_path / "mask.png")
    counts, unknown, by_color = train_counts(look_at_mask(path), classes)
    np.testing.assert_array_equal(counts, np.bincount(read_mask(path, classes).ravel(), minlength=256))
    assert unknown == {}
    assert by_color == (kind == "colors")


def test_unknown_codes_are_counted_apart(tmp_path):
    path = write(tmp_path / "mask.png", labels(0, 1, 7))
    counts, unknown, _ = train_counts(look_at_mask(path), ABC)
    assert unknown == {7: 16}
    assert counts.sum() == 32


def test_of_a_photograph_some_colors_are_counted_and_the_rest_is_unknown(tmp_path):
    path = write(tmp_path / "mask.png", picture(height=90, width=90))
    facts = look_at_mask(path)
    assert len(facts.counts) == MOST_COLORS
    counts, unknown, _ = train_counts(facts, ABC)
    assert counts.sum() + sum(unknown.values()) == 8100
    assert unknown[UNCOUNTED] == facts.uncounted > 0


@pytest.mark.parametrize("kind", ["palette", "colors", "1-bit", "16-bit"])
def test_facts_survive_json(kind, tmp_path):
    for facts in (
        look_at_mask(stored(kind, tmp_path / "mask.png")),
        look_at_image(write(tmp_path / "i.png", picture())),
    ):
        assert facts_from_list(json.loads(json.dumps(facts_to_list(facts)))) == facts


def test_equal_pixels_have_equal_digests_however_they_are_stored(tmp_path):
    one = look_at_image(write(tmp_path / "a.png", picture()))
    assert look_at_image(write(tmp_path / "b.bmp", picture())).digest == one.digest
    assert look_at_image(write(tmp_path / "c.png", picture(seed=1))).digest != one.digest
    tall = look_at_image(write(tmp_path / "d.png", picture().reshape(8, 6, 3)))
    assert tall.digest != one.digest


def exif(kind, count, value):
    """An EXIF block whose one tag is an orientation of this type."""
    return b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<HHHI", 1, 0x0112, kind, count) + value


@pytest.mark.parametrize(
    "block",
    [
        exif(3, 1, struct.pack("<HHI", 0, 0, 0)),
        exif(3, 1, struct.pack("<HHI", 9, 0, 0)),
        exif(7, 4, b"abcd" + bytes(4)),
        exif(2, 2, b"6\0\0\0" + bytes(4)),
        exif(5, 1, struct.pack("<IIII", 26, 0, 6, 1)),
        exif(5, 1, struct.pack("<IIII", 26, 0, 0, 0)),
        exif(11, 1, struct.pack("<fI", 6, 0)),
        exif(11, 1, struct.pack("<fI", math.inf, 0)),
        exif(11, 1, struct.pack("<fI", math.nan, 0)),
    ],
    ids=["0", "9", "bytes", "text", "6/1", "0/0", "6.0", "infinite", "nan"],
)
def test_an_orientation_that_is_none_counts_as_upright(tmp_path, block):
    Image.fromarray(picture()).save(tmp_path / "a.jpg", exif=block)
    with quiet_pillow():
        facts = look_at_image(tmp_path / "a.jpg")
    assert (facts.orientation, facts.size) == (1, (6, 8))
    assert facts_from_list(json.loads(json.dumps(facts_to_list(facts)))) == facts


def test_a_large_tiff_may_be_read_where_our_limit_allows_it(tmp_path, monkeypatch):
    """Pillow measures it a second time when it decodes."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert read_image(write(tmp_path / "a.tif", picture())).shape == (6, 8, 3)


def test_of_a_mask_of_32_bits_values_below_0_are_counted(tmp_path):
    Image.fromarray(labels(0, 1).astype(np.int32) - 1).save(tmp_path / "mask.tif")
    facts = look_at_mask(tmp_path / "mask.tif")
    assert facts.counts == {-1: 24, 0: 24}
    assert train_counts(facts, ABC)[1] == {-1: 24}


def test_our_limit_stands_in_for_pillows_which_stays_as_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)  # Pillow would warn from 11 pixels on, and raise from 21
    path = write(tmp_path / "a.png", picture())
    assert read_image(path).shape == (6, 8, 3)
    assert Image.MAX_IMAGE_PIXELS == 10
    with pytest.raises(PictureError, match=r"a\.png: decodes to 6x8 .*the limit is 1e-05.*--max-megapixels"):
        read_image(path, 1e-5)
    assert Image.MAX_IMAGE_PIXELS == 10


def test_the_header_alone_is_read_of_what_is_refused_for_its_size(tmp_path, monkeypatch):
    path = write(tmp_path / "a.png", picture())

    def decoding(*_):
        raise AssertionError("decoded")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", decoding)
    with pytest.raises(PictureError, match="decodes to"):
        read_image(path, 1e-5)
