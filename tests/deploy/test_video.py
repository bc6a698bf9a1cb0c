"""A video is answered frame by frame."""

import cv2
import numpy as np
import pytest

from wholenet.data.pictures import read_image
from wholenet.data.sample import Classes, DataError
from wholenet.deploy.video import check_videos, is_video, predict_video

FRAMES = 5


class Brightness:
    """Says whether a pixel is bright."""

    classes = Classes(("dark", "bright"), ((0, 0, 0), (255, 0, 0)))

    def predict(self, image):
        return (image.mean(-1) > 128).astype(np.uint8)


@pytest.fixture
def video(tmp_path):
    path = tmp_path / "moving.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for i in range(FRAMES):
        frame = np.zeros((48, 64, 3), np.uint8)
        frame[:, 8 * i : 8 * i + 16] = 255
        writer.write(frame)
    writer.release()
    return path


def test_every_frame_gets_its_mask_and_the_overlay_is_a_video(video, tmp_path):
    seen = []
    count = predict_video(
        Brightness(), video, tmp_path / "out", with_overlay=True, progress=lambda *now: seen.append(now)
    )
    assert count == FRAMES
    assert seen == [(i + 1, FRAMES) for i in range(FRAMES)]
    assert cv2.VideoCapture(str(tmp_path / "out" / "moving_overlay.mp4")).get(cv2.CAP_PROP_FPS) == 10
    names = [f"{i:06}.png" for i in range(FRAMES)]
    assert sorted(path.name for path in (tmp_path / "out" / "moving").iterdir()) == names
    for i, name in enumerate(names):
        mask = read_image(tmp_path / "out" / "moving" / name)[..., 0]
        assert mask[:, 8 * i + 4 : 8 * i + 12].all()
        assert not mask[:, 8 * i + 24 :].any()
    shown = cv2.VideoCapture(str(tmp_path / "out" / "moving_overlay.mp4"))
    assert int(shown.get(cv2.CAP_PROP_FRAME_COUNT)) == FRAMES
    first = shown.read()[1][..., ::-1].astype(int)
    bright = first[10:40, 4:12].mean((0, 1))
    assert bright[0] > bright[1] + 50  # white under red
    shown.release()


def test_what_cannot_be_read_or_is_there_is_refused(video, tmp_path):
    (tmp_path / "text.mp4").write_text("no")
    with pytest.raises(DataError, match=r"begins neither as AVI nor as .* Convert it"):
        check_videos([tmp_path / "text.mp4"], tmp_path / "out")
    (tmp_path / "text.mp4").write_bytes(b"\0\0\0\x18ftypisom" + bytes(60))
    with pytest.raises(DataError, match="no frame could be decoded"):
        predict_video(Brightness(), tmp_path / "text.mp4", tmp_path / "out")
    with pytest.raises(DataError, match="does not exist"):
        predict_video(Brightness(), tmp_path / "nothing.mp4", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "moving_overlay.mp4").touch()
    with pytest.raises(DataError, match=r"moving_overlay\.mp4 exists already"):
        predict_video(Brightness(), video, tmp_path / "out")
    (tmp_path / "out" / "moving_overlay.mp4").unlink()
    predict_video(Brightness(), video, tmp_path / "out")
    with pytest.raises(DataError, match="moving exists already"):
        check_videos([video], tmp_path / "out")
    with pytest.raises(DataError, match="predict them apart"):
        check_videos([video, video], tmp_path / "new")


def test_videos_are_known_by_their_names():
    assert is_video("a/b.MP4")
    assert not is_video("a/b.png")
    assert not is_video("a/folder")
