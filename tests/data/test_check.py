"""The look at every sample before training: what it counts, what it refuses."""

import numpy as np
import pytest
from trees import ListData, labels, pair_up, picture, sample, write, write_pairs

from wholenet.data.check import SplitStats, check_crop, check_split, check_trainable
from wholenet.data.classes import default_colors
from wholenet.data.folder import FolderData
from wholenet.data.sample import IGNORE, Classes, DataError, Sample

ABC = Classes(("a", "b", "c"), default_colors(3), ignore_values=(11, IGNORE))


def stats_of(*masks: np.ndarray) -> SplitStats:
    return check_split(ListData(*map(sample, masks)), ABC, name="train", threads=1)


@pytest.mark.parametrize("threads", [1, 4])
def test_every_pixel_of_every_sample_is_counted(threads):
    masks = [labels(0, 1, IGNORE, height=4, width=9), labels(0, height=5, width=3), labels(1, height=2, width=2)]
    stats = check_split(ListData(*map(sample, masks)), ABC, name="train", threads=threads)
    assert stats == SplitStats(
        images=3,
        min_height=2,
        min_width=2,
        max_height=5,
        max_width=9,
        class_pixels=(12 + 15, 12 + 4, 0),
        ignore_pixels=12,
    )


def test_progress_is_told_after_each_sample():
    calls = []
    data = ListData(*(sample(labels(0, 1)) for _ in range(3)))
    check_split(data, ABC, name="train", progress=lambda done, total: calls.append((done, total)))
    assert calls == [(1, 3), (2, 3), (3, 3)]


def test_all_problems_are_reported_at_once_by_file(tmp_path):
    write_pairs(tmp_path / "x", tmp_path / "y", ["fine", "small", "strange", "broken", "maskless"])
    write(tmp_path / "x/small.png", picture(height=3))
    write(tmp_path / "y/strange.png", labels(0, 99))
    (tmp_path / "x/broken.png").write_bytes(b"")
    (tmp_path / "y/maskless.png").write_bytes(b"no picture")
    with pytest.raises(DataError) as error:
        check_split(FolderData(pair_up(tmp_path / "x", tmp_path / "y"), ABC), ABC, name="val")
    message = str(error.value)
    assert message.startswith("val: 4 of 5 samples cannot be used:")
    assert message.count("\n- ") == 4
    for fact in ("x/broken.png", "y/maskless.png", "3x8", "y/small.png", "99 (24 pixels)", "y/strange.png"):
        assert fact in message
    assert "fine" not in message


def test_ten_problems_are_shown_and_the_rest_counted():
    data = ListData(*(OSError(f"disk {letter}") for letter in "abcdefghijklm"))
    with pytest.raises(DataError, match="13 of 13 samples") as error:
        check_split(data, ABC, name="train")
    assert "sample 9: OSError('disk j')" in str(error.value)
    assert "disk k" not in str(error.value)
    assert str(error.value).endswith("and 3 more")


def test_what_holds_for_many_samples_is_said_once(tmp_path):
    strange = [Sample(picture(), labels(0, 3 + i % 2), f"n{i}") for i in range(8)]
    with pytest.raises(DataError) as error:
        check_split(ListData(*strange, OSError("disk")), ABC, name="train")
    first, second, third = str(error.value).splitlines()
    assert first.startswith("train: 9 of 9 samples cannot be used:")
    said = "- sample 0 (n0): mask values 3 (24 pixels); expected 0..2 or 255; so it is with sample 1 (n1)"
    assert second.startswith(said)
    assert second.endswith("sample 5 (n5), ...")
    assert third == "- sample 8: OSError('disk')"
    write_pairs(tmp_path / "x", tmp_path / "y", ["fine", "cut", "broken"])
    for name in ("cut", "broken"):
        (tmp_path / f"x/{name}.png").write_bytes(b"no picture")
    with pytest.raises(DataError) as error:
        check_split(FolderData(pair_up(tmp_path / "x", tmp_path / "y"), ABC), ABC, name="val")
    (line,) = str(error.value).splitlines()[1:]
    assert line.endswith(f"; so it is with {tmp_path / 'x/cut.png'}")


IMAGE, MASK = picture(), labels(0, 1)


@pytest.mark.parametrize(
    ("bad", "fact"),
    [
        (Sample(IMAGE, labels(0, 3), "n"), r"mask values 3 \(24 pixels\); expected 0\.\.2 or 255"),
        (Sample(IMAGE.astype(np.float32), MASK, "n"), r"uint8 \[H, W, 3\], found float32 \[6, 8, 3\]"),
        (Sample(IMAGE[..., 0], MASK, "n"), r"uint8 \[H, W, 3\], found uint8 \[6, 8\]"),
        (Sample(IMAGE, MASK.astype(np.int64), "n"), r"uint8 \[H, W\], found int64"),
        (Sample(IMAGE, IMAGE, "n"), r"uint8 \[H, W\], found uint8 \[6, 8, 3\]"),
        (Sample(IMAGE, MASK[:4], "n"), r"image \[6, 8\] and mask \[4, 8\] differ"),
    ],
)
def test_samples_that_break_the_contract_are_named(bad, fact):
    with pytest.raises(DataError, match=rf"train: 1 of 2 .*\n- sample 1 \(n\): .*{fact}"):
        check_split(ListData(sample(MASK), bad), ABC, name="train")


def test_a_programming_error_in_a_data_set_is_not_taken_for_bad_data():
    with pytest.raises(ZeroDivisionError):
        check_split(ListData(ZeroDivisionError()), ABC, name="train")


def test_an_empty_split_is_refused():
    with pytest.raises(DataError, match="val: this split is empty"):
        check_split(ListData(), ABC, name="val")


def test_masks_that_are_ignored_throughout_are_refused():
    with pytest.raises(DataError, match=r"val: all 48 pixels of its 1 masks are ignored \(values 11, 255\)"):
        check_split(ListData(sample(labels(IGNORE))), ABC, name="val")


def test_one_class_alone_cannot_be_trained_on():
    with pytest.raises(DataError, match=r'of one class, "b"; 24 pixels are ignored \(values 11, 255\)'):
        check_trainable(stats_of(labels(1, IGNORE)), ABC)


def test_classes_that_never_occur_are_named():
    assert check_trainable(stats_of(labels(0, 2)), ABC) == ["b"]
    assert check_trainable(stats_of(labels(0, 1, 2)), ABC) == []


def test_the_best_constant_answer_is_the_best_of_all_constant_answers():
    rng = np.random.default_rng(0)
    truth = rng.choice([0, 1, 2, IGNORE], p=[0.2, 0.5, 0.2, 0.1], size=(30, 40)).astype(np.uint8)
    stats = stats_of(truth)
    scores = [constant_miou(truth, answer) for answer in range(3)]
    assert stats.best_constant_miou() == pytest.approx(max(scores))


def constant_miou(truth: np.ndarray, answer: int) -> float:
    counts = truth != IGNORE
    ious = []
    for label in range(3):
        true, said = counts & (truth == label), counts & (answer == label)
        if (true | said).any():
            ious.append((true & said).sum() / (true | said).sum())
    return float(np.mean(ious))


def test_absent_classes_do_not_lower_the_best_constant_answer():
    assert stats_of(labels(0)).best_constant_miou() == 1.0


def test_a_crop_must_fit_into_the_smallest_image():
    stats = SplitStats(1, 360, 480, 720, 960, (1, 1), 0)
    check_crop(stats, (360, 480), "train")
    for crop in ((361, 480), (64, 512)):
        with pytest.raises(DataError, match=rf"train: a crop of {crop[0]}x{crop[1]} .*360x480; .* 352x480 \(multiples"):
            check_crop(stats, crop, "train")


def test_images_too_small_for_any_crop_are_told_so():
    with pytest.raises(DataError, match="20x480; enlarge them to 32 or more"):
        check_crop(SplitStats(1, 20, 480, 20, 480, (1, 1), 0), (64, 64), "train")
