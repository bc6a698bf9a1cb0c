"""Whatever input files are called, what is made of them lies in --out, and is readable there."""

import csv
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from wholenet.data.sample import Classes, DataError
from wholenet.deploy.cityscapes_submission import write_cityscapes_submission
from wholenet.deploy.classify import classify_files
from wholenet.deploy.predict import predict_files
from wholenet.deploy.video import check_videos, predict_video

NAMES = [
    "line\nbreak.png",
    "-rf.png",
    "--out=x.png",
    " .png",
    "~.png",
    "$(touch ran).png",
    "a;touch ran.png",
    "%d.png",
    "C:\\windows.png",
    "\x1b[2J.png",
    "=1+cmd|' C calc'!A0.png",
    'quote",comma.png',
    os.fsdecode(b"bytes\xff\xfe.png"),
]


class Half:
    """Finds the second class in the right half of an image, and the first class of an image."""

    classes = Classes(("a", "b"), ((0, 0, 255), (0, 255, 0)), values=(0, 1), ignore_values=(255,))

    def predict(self, image):
        mask = np.zeros(image.shape[:2], np.uint8)
        mask[:, image.shape[1] // 2 :] = 1
        return mask


class Always:
    classes = ("=a", "b,\nc")

    def predict(self, images):
        return np.array([[0.9, 0.1]] * len(images), np.float32)


@pytest.fixture
def images(tmp_path):
    (tmp_path / "in").mkdir()
    for name in NAMES:
        with (tmp_path / "in" / name).open("wb") as file:
            Image.fromarray(np.zeros((8, 12, 3), np.uint8)).save(file, format="PNG")
    return tmp_path / "in"


def everything(root: Path) -> set[Path]:
    return {path for path in root.rglob("*")}


def test_masks_lie_directly_in_out(images, tmp_path):
    before = everything(tmp_path)
    given = [images / name for name in NAMES]
    written = predict_files(Half(), given, tmp_path / "out", with_overlay=True)
    made = everything(tmp_path) - before - {tmp_path / "out"}
    assert len(made) == 2 * len(NAMES)
    assert all(path.parent == tmp_path / "out" for path in made)
    for path in written:
        with path.open("rb") as file, Image.open(file) as mask:
            assert mask.size == (12, 8)


def test_a_table_of_classes_is_read_back_as_it_is(images, tmp_path):
    given = [images / name for name in NAMES]
    classify_files(Always(), given, tmp_path / "classes.csv")
    with (tmp_path / "classes.csv").open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header == ["file", "class", "=a", "b,\nc"]
    assert len(rows) == len(NAMES)
    for row, path in zip(rows, given, strict=True):
        assert row == [str(path).encode("utf-8", "backslashreplace").decode(), "=a", "0.900000", "0.100000"]


def test_a_table_is_not_written_through_a_link(images, tmp_path):
    (tmp_path / "classes.csv").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match="is there already"):
        classify_files(Always(), [images], tmp_path / "classes.csv")
    assert not (tmp_path / "elsewhere").exists()


def test_a_link_in_the_place_of_a_mask_is_refused(images, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "-rf.png").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataError, match=r"is a symbolic link, to .*elsewhere"):
        predict_files(Half(), [images / "-rf.png"], tmp_path / "out")
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("name", ["..png", "...png", "....png"])
def test_names_of_dots_alone_are_refused(name, images, tmp_path):
    (images / "-rf.png").rename(images / name)
    with pytest.raises(DataError, match="not of dots alone"):
        predict_files(Half(), [images / name], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_name_that_gets_too_long_is_refused_before_anything_is_predicted(images, tmp_path):
    long = images / f"{'x' * 250}.png"
    (images / "-rf.png").rename(long)
    with pytest.raises(DataError, match="up to 255 bytes"):
        predict_files(Half(), [images / " .png", long], tmp_path / "out", with_overlay=True)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["...avi", "..avi"])
def test_a_video_cannot_lead_out(name, tmp_path):
    (tmp_path / name).write_bytes(b"RIFF")
    with pytest.raises(DataError, match=r"would be written as '\.+'"):
        check_videos([tmp_path / name], tmp_path / "new" / "out")


@pytest.mark.parametrize("name", ["%05d.avi", "-i.avi", "a\nb.avi", "http:x.avi"])
def test_frames_of_a_video_lie_in_out(name, tmp_path, monkeypatch):
    writer = cv2.VideoWriter(str(tmp_path / "plain.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10, (32, 16))
    writer.write(np.zeros((16, 32, 3), np.uint8))
    writer.release()
    monkeypatch.chdir(tmp_path)
    Path("plain.avi").rename(name)
    before = everything(tmp_path)
    assert predict_video(Half(), name, tmp_path / "out") == 1
    made = everything(tmp_path) - before
    assert made == {
        tmp_path / "out",
        tmp_path / "out" / Path(name).stem,
        tmp_path / "out" / Path(name).stem / "000000.png",
    }


@pytest.mark.parametrize(
    "content", [b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", b"ffconcat version 1.0\nfile x\n", b""]
)
def test_a_play_list_is_no_video(content, tmp_path):
    (tmp_path / "v.mp4").write_bytes(content)
    with pytest.raises(DataError, match="begins neither as AVI"):
        check_videos([tmp_path / "v.mp4"], tmp_path / "out")


@pytest.mark.parametrize(
    "name", ["../x_000000_000001_leftImg8bit.png", "a\n_000000_000001_leftImg8bit.png", "..._leftImg8bit.png"]
)
def test_a_submission_takes_names_of_its_form_alone(name, tmp_path):
    model = Half()
    names = tuple(f"c{i}" for i in range(2))
    model.classes = Classes(names, ((0, 0, 255), (0, 255, 0)), values=(0, 1), ignore_values=(255,))
    (tmp_path / "in").mkdir()
    Image.fromarray(np.zeros((8, 12, 3), np.uint8)).save(tmp_path / "in" / "a.png")
    (tmp_path / "in" / "a.png").rename(tmp_path / "in" / Path(name).name)
    with pytest.raises(DataError):
        write_cityscapes_submission(model, [tmp_path / "in"], tmp_path / "out")
    assert not (tmp_path / "out").exists()
