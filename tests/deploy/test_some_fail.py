"""An input that cannot be answered does not stop the others, is named at the end, and nothing is written for it."""

import csv

import cv2
import numpy as np
import pytest
from PIL import Image

import wholenet
from wholenet.cli import main
from wholenet.data.sample import Classes, DataError
from wholenet.deploy.classify import classify_files
from wholenet.deploy.predict import SomeFailed, predict_files
from wholenet.deploy.video import predict_video

DAMAGED = ("00.png", "03.png", "04.png", "06.png")
"""The first, so that nothing was written before; cut short, empty, text, and a folder entry that is no picture."""


class Dark:
    """Answers dark images; with numbers that are lost, of bright ones."""

    classes = Classes(("a", "b"), ((0, 0, 255), (0, 255, 0)))

    def predict(self, image):
        if image.mean() > 128:
            raise FloatingPointError("the logits are lost")
        return np.zeros(image.shape[:2], np.uint8)


class DarkOnes:
    classes = ("a", "b")

    def predict(self, images):
        for image in images:
            Dark().predict(image)
        return np.array([[0.9, 0.1]] * len(images), np.float32)


@pytest.fixture
def images(tmp_path):
    """Eight, of which four are damaged, and one is answered by no number."""
    folder = tmp_path / "in"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(8):
        Image.fromarray(rng.integers(200 * (i == 5), 40 + 210 * (i == 5), (40, 48, 3)).astype(np.uint8)).save(
            folder / f"{i:02}.png"
        )
    whole = (folder / "00.png").read_bytes()
    for name, content in zip(DAMAGED, (whole[: len(whole) // 2], b"", b"no", whole[:40]), strict=True):
        (folder / name).write_bytes(content)
    return folder


FAILED = {*DAMAGED, "05.png"}


def test_the_other_images_are_predicted(images, tmp_path):
    seen = []
    with pytest.raises(SomeFailed, match="5 of 8 could not be answered; the others are done") as some:
        predict_files(Dark(), [images], tmp_path / "out", with_overlay=True, progress=lambda *now: seen.append(now))
    assert seen == [(i + 1, 8) for i in range(8)]
    assert {path.name for path in some.value.failed} == FAILED
    assert all(str(some.value).count(f"- {images / name}: ") == 1 for name in FAILED)
    stems = {path.stem for path in images.iterdir() if path.name not in FAILED}
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        f"{s}{e}" for s in stems for e in (".png", "_overlay.png")
    }
    assert {path.stem for path in some.value.written} == stems


def test_the_others_are_classified(images, tmp_path, monkeypatch):
    for batch in (64, 3, 1):
        monkeypatch.setattr("wholenet.deploy.classify.BATCH", batch)
        out = tmp_path / f"{batch}.csv"
        seen = []
        with pytest.raises(SomeFailed) as some:
            classify_files(DarkOnes(), [images], out, lambda *now, seen=seen: seen.append(now))
        assert seen[-1] == (8, 8)
        assert {path.name for path in some.value.failed} == FAILED
        with out.open(newline="") as file:
            rows = list(csv.reader(file))[1:]
        assert [row[0] for row in rows] == [str(images / f"{i:02}.png") for i in (1, 2, 7)]
    with pytest.raises(SomeFailed, match="2 of 2 could not be answered:"):
        classify_files(DarkOnes(), [images / "00.png", images / "05.png"], tmp_path / "none.csv")
    assert not (tmp_path / "none.csv").exists()


def video(path, frames):
    """With frames of these grey values."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for value in frames:
        writer.write(np.full((48, 64, 3), value, np.uint8))
    writer.release()
    return path


def test_the_other_videos_are_predicted_after_images_that_failed(images, tmp_path, monkeypatch):
    monkeypatch.setattr("wholenet.trained.load_any", lambda _: Dark())
    monkeypatch.setattr("wholenet.trained._check_segmenter", lambda _: None)
    names = ("empty", "lost", "whole")
    empty, lost, whole = (video(tmp_path / f"{name}.avi", [0, 0, 255 * (name == "lost")]) for name in names)
    empty.write_bytes(b"RIFF" + bytes(200))
    with pytest.raises(SomeFailed, match=r"7 of 11 could not") as some:
        wholenet.predict("model", [empty, images, lost, whole], tmp_path / "out", overlay=True)
    assert {path.name for path in some.value.failed} == {*FAILED, "empty.avi", "lost.avi"}
    assert f"{lost}, frame 2: the logits are lost" in str(some.value)
    assert len(list((tmp_path / "out" / "whole").iterdir())) == 3
    assert not [path for path in (tmp_path / "out").iterdir() if path.stem.startswith(("empty", "lost"))]
    assert some.value.written[-1] == tmp_path / "out" / "whole"


def test_a_video_that_is_cut_short_is_said_to_be(tmp_path):
    path = video(tmp_path / "long.avi", [0] * 40)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=r"long\.avi claims 40 frames, and \d+ could be decoded"):
        predict_video(Dark(), path, tmp_path / "out")
    assert 0 < len(list((tmp_path / "out" / "long").iterdir())) < 30


@pytest.mark.parametrize(("kind", "out", "told"), [("masks", "out", "masks in"), ("labels", "out.csv", "images in")])
def test_the_command_line_lists_them_and_exits_with_1(kind, out, told, models, images, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["predict", str(models / kind), str(images), "--out", str(tmp_path / out)])
    assert stop.value.code == 1
    shown = capsys.readouterr()
    assert f"4 {told} {tmp_path / out}" in shown.out
    assert "wholenet predict: 4 of 8 could not be answered" in shown.err
    assert all(f"- {images / name}: cannot be read as an image" in shown.err for name in DAMAGED)
    assert "Traceback" not in shown.err


def test_a_score_over_fewer_images_is_refused(models, discs, patches, tmp_path, capsys):
    """It would look like one over all."""
    for kind, data in (("masks", discs), ("labels", patches)):
        copy = tmp_path / kind
        for file in [path for path in data.rglob("*") if path.is_file()]:
            (copy / file.relative_to(data)).parent.mkdir(parents=True, exist_ok=True)
            (copy / file.relative_to(data)).write_bytes(file.read_bytes())
        for image in [*copy.glob("images/*.png"), *copy.glob("test/red/*.png")]:
            image.write_bytes(image.read_bytes()[:60])
        with pytest.raises(SystemExit) as stop:
            main(["evaluate", str(models / kind), str(copy), "--json", str(tmp_path / "scores.json")])
        assert stop.value.code == 2
        assert ".png: cannot be read as an image" in capsys.readouterr().err
    assert not (tmp_path / "scores.json").exists()
