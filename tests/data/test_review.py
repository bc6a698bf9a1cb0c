"""A whole data set looked at: the numbers are those of the samples, and all that is wrong is said at once."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from trees import ListData, labels, picture, sample, write, write_pairs

import wholenet
from wholenet.data.check import check_split, joined_stats
from wholenet.data.classes import default_colors, read_classes
from wholenet.data.detect import open_data
from wholenet.data.finding import EXAMPLES, Finding, by_severity, of_files, refuse_errors
from wholenet.data.label_findings import train_counts
from wholenet.data.labelled import Labelled, LabelledSource
from wholenet.data.labelled_review import labelled_findings
from wholenet.data.review import review
from wholenet.data.sample import Classes, DataError, DataSource
from wholenet.data.sets import DATA_SETS, DataSet
from wholenet.data.split_findings import duplicates, of_classes, split_stats
from wholenet.data.survey import ImageFacts, MaskFacts, Surveyed

NAMES = [f"p{i}" for i in range(4)]


@pytest.fixture
def root(tmp_path):
    """Two splits of 40 x 48 images that all differ."""
    for number, split in enumerate(("train", "val")):
        for i, name in enumerate(NAMES):
            write(tmp_path / f"images/{split}/{name}.png", picture(10 * number + i, 40 + i, 48))
            write(tmp_path / f"masks/{split}/{name}.png", labels(0, 1, 2, 255, height=40 + i, width=48))
    (tmp_path / "classes.json").write_text('["a", "b", "c"]')
    return tmp_path


def kinds(found):
    return {finding.kind for finding in found.findings if finding.severity != "note"}


def test_stats_and_source_are_those_of_reading_every_sample(root):
    found = review(root)
    assert kinds(found) == set()
    opened = open_data(root)
    assert found.source is not None
    assert found.source.classes == opened.classes
    for name, data in opened.splits.items():
        assert found.stats[name] == check_split(data, opened.classes, name=name)
        np.testing.assert_array_equal(found.source.splits[name][0].mask, data[0].mask)


def test_stats_of_two_splits_together_are_those_of_all_their_samples(root):
    found = review(root)
    assert found.source is not None
    samples = [data[i] for data in found.source.splits.values() for i in range(len(data))]
    together = check_split(ListData(*samples), found.source.classes, name="both")
    assert joined_stats(list(found.stats.values())) == together


def test_every_file_is_told_to_the_progress_once(root):
    calls = []
    review(root, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(i, 16) for i in range(1, 17)]


def test_a_class_file_that_is_proposed_reads_the_masks(root):
    write(root / "masks/train/p0.png", labels(0, 1, 7, height=40, width=48))
    (finding,) = [finding for finding in review(root).findings if finding.severity == "error"]
    assert finding.kind == "unknown-values"
    (root / "classes.json").write_text(finding.advice.split(":\n", 1)[1])
    assert kinds(review(root)) == set()
    assert read_classes(root / "classes.json").names == ("a", "b", "c", "class 7")


def test_all_that_is_wrong_is_said_at_once(root):
    (root / "masks/train/p0.png").unlink()
    (root / "images/val/p1.png").write_bytes(b"")
    write(root / "masks/val/p2.png", labels(0, 9, height=42, width=48))
    write(root / "masks/train/p3.png", labels(0, 1, height=10, width=48))
    found = review(root, crop=(64, 64))
    errors = {"image-without-mask", "unreadable", "unknown-values", "size", "smaller-than-crop"}
    assert kinds(found) == errors
    with pytest.raises(DataError, match="5 things must be put right") as error:
        refuse_errors(found.findings, str(root))
    for name in ("train/p0.png", "val/p1.png", "val/p2.png", "train/p3.png"):
        assert name in str(error.value)


def test_splits_that_nobody_uses_are_not_read(root):
    (root / "images/val/p1.png").write_bytes(b"")
    found = review(root, skipped=("val",))
    assert "unreadable" in kinds(review(root))
    assert "unreadable" not in kinds(found)


def test_an_impossible_val_share_is_no_finding(tmp_path):
    write_pairs(tmp_path / "images", tmp_path / "masks", NAMES)
    with pytest.raises(ValueError, match="between 0 and 1"):
        review(tmp_path, val_share=1.5)


@pytest.fixture
def mine():
    """Registers what is given to it as the data set "mine", for one test."""
    yield lambda source: wholenet.register(DataSet(name="mine", open=lambda asked: source))
    DATA_SETS.remove("mine")


def test_data_sets_by_name_are_looked_at_too(mine):
    classes = Classes(("a", "b"), default_colors(2))
    splits = {"train": ListData(*(sample(labels(0, 1)) for _ in range(3))), "val": ListData(sample(labels(0)))}
    mine(DataSource("mine", classes, splits))
    calls = []
    found = review("mine", progress=lambda done, total: calls.append((done, total)))
    assert calls == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert {name: stats.images for name, stats in found.stats.items()} == {"train": 3, "val": 1}
    assert kinds(review("mine", crop=(64, 64))) == {"smaller-than-crop"}
    assert review("mine", skipped=("train", "val")).stats == {}


def test_a_data_set_by_name_that_cannot_be_opened_is_a_finding(mine):
    mine(DataSource("mine", Classes(("a", "b"), default_colors(2)), {"val": ListData(sample(labels(0)))}))
    found = review("mine")
    assert kinds(found) == {"layout"}
    assert "mine has no train split; it has val" in found.findings[0].what


# ---- many classes


def many(k, masks=6):
    """Facts of masks in each of which two of ``k`` classes are rare, and the table."""
    table = Classes(tuple(f"c{i}" for i in range(k)), default_colors(k))
    found = Surveyed()
    pairs = []
    for i in range(masks):
        image, mask = Path(f"{i}.jpg"), Path(f"{i}.png")
        counts = {0: 10**6, 1 + 2 * i % (k - 1): 1, 2 + 2 * i % (k - 2): 1}
        found.images[image] = ImageFacts((9, 9), "JPEG", "RGB", "", 1, False, False, f"{i}", False)
        found.masks[mask] = MaskFacts((9, 9), "PNG", "L", "", 1, False, False, f"{i}", "index", counts, 0, {})
        pairs.append((image, mask))
    return pairs, found, table


def test_masks_are_counted_once_however_many_classes_there_are(monkeypatch):
    pairs, found, table = many(13)
    stats = split_stats(pairs, found, table)
    assert stats is not None
    calls = []

    def counting(facts, classes):
        calls.append(facts)
        return train_counts(facts, classes)

    monkeypatch.setattr("wholenet.data.split_findings.train_counts", counting)
    (rare,) = [f for f in of_classes({"train": pairs}, found, {"train": stats}, table) if f.kind == "rare-class"]
    assert rare.what.startswith("12 classes below")
    assert (rare.count, len(set(rare.files))) == (6, EXAMPLES)  # each mask once, though it holds two of them
    assert len(calls) == len(pairs)
    assert default_colors(13) is default_colors(13)


def test_absent_classes_are_told_together(monkeypatch):
    pairs, found, table = many(20, masks=2)
    found.masks[pairs[1][1]].counts[7] = 5
    splits = {"train": pairs[:1], "val": pairs[1:]}
    stats = {name: split_stats(some, found, table) for name, some in splits.items()}
    told = {f.kind: f for f in of_classes(splits, found, stats, table)}
    assert told["missing-from-train"].what == (
        'no pixel of train is "c3", "c4" or "c7", but some of val are: they cannot be learned'
    )
    assert told["missing-from-train"].files == ("1.png",)
    assert told["missing-class"].count == 14
    assert '"c5", "c6", "c8", ' in told["missing-class"].what
    assert told["missing-class"].what.endswith('"c15" or of 4 more classes: they cannot be learned')


def test_copies_are_compared_within_their_group_alone():
    asked = []

    class Name(str):
        __slots__ = ()
        __hash__ = str.__hash__

        def __eq__(self, other):
            asked.append(other)
            return str.__eq__(self, other)

    pairs, found, _ = many(3, masks=400)
    named = [(Name(image), Name(mask)) for image, mask in pairs]
    images = {image: replace(found.images[Path(image)], digest=str(i // 2)) for i, (image, _) in enumerate(named)}
    masks = {mask: found.masks[Path(mask)] for _, mask in named}
    (told,) = duplicates({"train": named}, Surveyed(images, masks))
    assert (told.kind, told.count) == ("masks-contradict", 200)
    assert len(asked) < 5 * len(named)


def test_ignored_colors_are_told(root):
    colors = [[9, 9, 9], [200, 0, 0], [0, 0, 200]]
    named = [{"name": name, "color": color} for name, color in zip("abc", colors, strict=True)]
    (root / "classes.json").write_text(json.dumps({"classes": named, "ignore_colors": [[1, 1, 1]]}))
    for mask in (root / "masks").rglob("*.png"):
        height = 40 + int(mask.stem[1:])
        write(mask, np.array([[1, 1, 1]] * 4 + colors, np.uint8)[labels(0, 1, 2, 3, 4, 5, 6, height=height, width=48)])
    (told, _) = [finding for finding in review(root).findings if finding.kind == "mostly-ignored"]
    assert "57% of the pixels are ignored (values 255; colours (1, 1, 1))" in told.what


# ---- labelled images


def labelled(train, test=(0, 1), classes=("cat", "dog", "emu"), same=()):
    """Images that all differ, but for the (train, test) pairs ``same``; classes by number."""
    rng = np.random.default_rng(0)
    splits = {
        name: Labelled(rng.integers(0, 256, (len(labels), 8, 8, 3), dtype=np.uint8), np.array(labels))
        for name, labels in (("test", test), ("train", train))
    }
    for i, j in same:
        splits["test"].images[j] = splits["train"].images[i]
    return LabelledSource("d", classes, splits)


def test_labelled_images_of_balanced_classes_are_fine():
    assert labelled_findings(labelled([0, 1, 2] * 3)) == []


def test_a_class_without_a_training_image_is_named():
    (finding,) = labelled_findings(labelled([0, 2] * 3))
    assert (finding.severity, finding.kind) == ("warning", "missing-from-train")
    assert "'dog'" in finding.what


def test_a_class_with_hardly_any_training_image_is_named():
    (finding,) = labelled_findings(labelled([0] * 150 + [1] * 2 + [2]))
    assert (finding.severity, finding.kind) == ("warning", "rare-class")
    assert "'emu'" in finding.what
    assert "'dog'" not in finding.what


def test_copies_among_images_without_files_are_numbered():
    (finding,) = labelled_findings(labelled([0, 1, 2], test=(1, 0), same=[(0, 1)]))
    assert (finding.kind, finding.files) == ("in-train-and-test", ("train image 0 = test image 1",))
    assert {f.kind for f in labelled_findings(labelled([0, 1, 2], test=(1, 0), same=[(0, 0)]))} == {
        "in-train-and-test",
        "labels-contradict",
    }


# ---- findings


def test_a_finding_reads_as_what_where_and_what_to_do():
    files = [f"{i}.png" for i in range(EXAMPLES + 2)]
    (finding,) = of_files("error", "k", files, "too dark", "Light them.")
    assert str(finding) == "7 images too dark: 0.png, 1.png, 2.png, 3.png, 4.png, ...\nLight them."
    assert (finding.count, finding.files) == (7, tuple(files[:EXAMPLES]))
    (finding,) = of_files("note", "k", ["a.png"], "too dark", "Light it.", noun="mask")
    assert str(finding) == "1 mask too dark: a.png\nLight it."
    assert of_files("note", "k", [], "too dark", "") == []


def test_errors_come_first_and_alone_stop():
    warning, error, note = (Finding(severity, "k", severity) for severity in ("warning", "error", "note"))
    assert by_severity([note, warning, error]) == [error, warning, note]
    refuse_errors([warning, note], "data")
    with pytest.raises(DataError, match=r"^error$"):
        refuse_errors([warning, error, note], "data")


def test_of_many_errors_ten_are_shown_and_the_rest_counted():
    errors = [Finding("error", "k", f"problem {i}") for i in range(13)]
    with pytest.raises(DataError, match="data: 13 things") as raised:
        refuse_errors(errors, "data")
    assert "- problem 9" in str(raised.value)
    assert "problem 10" not in str(raised.value)
    assert str(raised.value).endswith("and 3 more: wholenet check-data data")


def test_everything_in_a_finding_is_plain(root):
    (root / "images/val/p1.png").write_bytes(b"")
    for finding in review(root).findings:
        json.dumps(vars(finding))
        assert all(isinstance(file, str) for file in finding.files)
