from pathlib import Path

import matplotlib
import pytest

from wholenet.report.style import saved_figure


def test_a_figure_that_fails_half_way_leaves_the_old_picture_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(b"old")
    with pytest.raises(ZeroDivisionError), saved_figure(path, 2, 1):
        _ = 1 / 0
    assert [p.name for p in tmp_path.iterdir()] == ["picture.png"]
    assert path.read_bytes() == b"old"


def test_the_picture_appears_by_renaming(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    renamed: list[tuple[bytes, Path]] = []
    monkeypatch.setattr(Path, "replace", lambda self, target: renamed.append((self.read_bytes(), Path(target))))
    with saved_figure(tmp_path / "deep" / "picture.png", 2, 1):
        pass
    [(content, target)] = renamed
    assert content.endswith(b"IEND\xaeB`\x82")  # whole before it is renamed
    assert target == tmp_path / "deep" / "picture.png"
    assert not list(target.parent.iterdir())


def test_an_unknown_format_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="bmpp"), saved_figure(tmp_path / "picture.bmpp", 2, 1):
        pass
    assert not list(tmp_path.iterdir())


def test_the_look_is_gone_after_drawing(tmp_path: Path) -> None:
    before = dict(matplotlib.rcParams)
    with saved_figure(tmp_path / "picture.svg", 2, 1):
        assert dict(matplotlib.rcParams) != before
    assert dict(matplotlib.rcParams) == before
