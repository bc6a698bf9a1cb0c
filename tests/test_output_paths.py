"""Where something is to be written is looked at before the work, and what cannot be written is said in words."""

import os
import shutil
import stat

import pytest

from wholenet.cli import main
from wholenet.files import check_output


def everything(root):
    """What is there, with times: a look changes nothing."""
    return {path: (path.lstat().st_mtime_ns, path.lstat().st_size) for path in root.rglob("*")}


def test_what_can_be_written_is_let_pass_and_left_as_it_is(tmp_path):
    (tmp_path / "old.json").write_text("old")
    (tmp_path / "there").mkdir()
    (tmp_path / "link.json").symlink_to("not yet/x.json")
    before = everything(tmp_path)
    for name in ("new.json", "old.json", "there/new.json", "a/b/c.json", "link.json"):
        check_output(tmp_path / name)
    for name in ("new", "there", "a/b/c"):
        check_output(tmp_path / name, folder=True)
    check_output("/dev/stdout")
    check_output("/dev/null")
    assert everything(tmp_path) == before


def test_what_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "there").mkdir()
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "under a file").symlink_to("file/x")
    before = everything(tmp_path)
    for name, folder, expected in (
        ("there", False, "there is a folder; give the name of a file"),
        ("file", True, "file is a file; give a folder"),
        ("file/x", False, "because .*file is a file and no folder"),
        ("file/x/y", True, "because .*file is a file and no folder"),
        ("under a file", False, "because .*file is a file and no folder"),
        ("x" * 300, False, r"cannot be written \(File name too long\)"),
        (f"{'x' * 300}/y", True, r"cannot be written \(File name too long\)"),
        ("circle", False, "cannot be written"),
    ):
        with pytest.raises(ValueError, match=expected):
            check_output(tmp_path / name, folder=folder)
    assert everything(tmp_path) == before
    with pytest.raises(ValueError, match="cannot be written"):
        check_output("/proc/nothing/x")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_or_file_without_permission_is_said(tmp_path):
    (tmp_path / "file").touch(mode=stat.S_IRUSR)
    (tmp_path / "there").mkdir(mode=stat.S_IRUSR | stat.S_IXUSR)
    for name in ("file", "there/new", "there/a/b"):
        with pytest.raises(ValueError, match="Permission denied"):
            check_output(tmp_path / name)


@pytest.fixture(scope="module")
def folders(discs, patches, models, tmp_path_factory):
    """A model of each kind, and a run folder and a search that `diagnose` takes as such."""
    root = tmp_path_factory.mktemp("folders")
    for name in ("masks", "labels"):
        shutil.copytree(models / name, root / name)
    (root / "run").mkdir()
    (root / "run" / "config.yaml").write_text(f"data: {discs}\nout: x\nsize: nano\n")
    (root / "search").mkdir()
    (root / "search" / "config.yaml").write_text(f"kind: search\ndata: {patches}\nout: x\n")
    (root / "search" / "diagnosis.json").mkdir()
    return root


class Worked(BaseException):
    """Something else than the path was looked at."""


WORK = (
    *("wholenet.trained.load_model", "wholenet.inspection.diagnose_run"),
    *("wholenet.trained.decode_model", "wholenet.data.review.review", "wholenet.data.labelled_review.review_labelled"),
    *(
        "wholenet.spaces.count.count",
        "wholenet.bench.available",
        "wholenet.jobs.segmentation.prepare",
        "wholenet.studies.pool.run_each",
    ),
    *(
        "wholenet.cells.search.prepare_labels",
        "wholenet.cells.retrain.prepare_labels",
        "wholenet.cells.diagnose.prepare_labels",
    ),
)


@pytest.mark.parametrize(
    "arguments",
    [
        "check-data DISCS --json BAD",
        "check-data PATCHES --json BAD",
        "fit DISCS --out BAD",
        "fit PATCHES --out BAD",
        "fit PATCHES --out BAD --method r-darts-l2",
        "retrain darts-v2 PATCHES --out BAD",
        "evaluate MODELS/masks DISCS --json BAD",
        "evaluate MODELS/labels PATCHES --json BAD",
        "diagnose MODELS/run --out BAD",
        "diagnose MODELS/search",
        "report MODELS/run --out BAD",
        "report MODELS/search --out BAD",
        "compare MODELS/run MODELS/run --out BAD",
        "decode MODELS/masks --out BAD",
        "export MODELS/masks --out BAD --format torch",
        "info nano --json BAD",
        "bench --json BAD",
        "study control --out BAD",
        "study robust-darts --data PATCHES --out BAD",
        "sweep SWEEP --dry-run",
        "sweep SWEEP",
    ],
)
def test_every_command_looks_before_it_works(arguments, folders, discs, patches, tmp_path, monkeypatch, capsys):
    def work(*_, **__):
        raise Worked

    for place in WORK:
        monkeypatch.setattr(place, work)
    (tmp_path / "file").write_text("x")
    (tmp_path / "sweep.yaml").write_text(f"data: {discs}\nout: {tmp_path}/file/x\noptions: {{size: nano}}\n")
    places = {"DISCS": discs, "PATCHES": patches, "MODELS": folders, "BAD": tmp_path / "file" / "x"}
    places["SWEEP"] = tmp_path / "sweep.yaml"
    for name, place in places.items():
        arguments = arguments.replace(name, str(place))
    with pytest.raises(SystemExit) as stop:
        main(arguments.split())
    assert stop.value.code == 2
    said = capsys.readouterr().err
    assert "is a file and no folder" in said or "diagnosis.json is a folder" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "sweep.yaml"]


def test_predictions_are_refused_before_the_first(folders, discs, patches, tmp_path, capsys):
    (tmp_path / "file").write_text("x")
    (tmp_path / "out" / "05_overlay.png").mkdir(parents=True)
    for arguments in (
        f"{folders}/masks {discs}/images --out {tmp_path}/file",
        f"{folders}/masks {discs}/images --out {tmp_path}/out --overlay",
        f"{folders}/labels {patches}/test --out {tmp_path}/file/x.csv",
    ):
        with pytest.raises(SystemExit) as stop:
            main(["predict", *arguments.split()])
        assert stop.value.code == 2
        assert "file" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["05_overlay.png"]


def test_missing_folders_on_the_way_to_a_file_are_made(tmp_path):
    main(["info", "nano", "--json", str(tmp_path / "a" / "b" / "info.json")])
    assert (tmp_path / "a" / "b" / "info.json").is_file()


def test_a_table_of_earlier_benchmarks_is_kept_until_there_is_a_row(tmp_path):
    (tmp_path / "rows.json").write_text("[1]")
    with pytest.raises(SystemExit):
        main(["bench", "nothing", "--json", str(tmp_path / "rows.json")])
    assert (tmp_path / "rows.json").read_text() == "[1]"
