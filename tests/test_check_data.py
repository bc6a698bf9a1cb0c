"""`wholenet check-data`, and the limit that it shares with fit, evaluate and predict."""

import io
import json

import pytest
from rich.console import Console

import wholenet
from wholenet.cli import main
from wholenet.data.detect import open_data
from wholenet.data.finding import Finding
from wholenet.data.review import Review, review
from wholenet.deploy.model_folder import save_model
from wholenet.deploy.segmenter import segmentation_answer
from wholenet.report.data_check import print_review, print_warnings, printable
from wholenet.spaces.catalog import create_model


@pytest.fixture
def broken(discs, tmp_path):
    """The discs, one of them cut short and one without its mask."""
    for kind in ("images", "masks"):
        (tmp_path / "data" / kind).mkdir(parents=True)
        for path in (discs / kind).iterdir():
            (tmp_path / "data" / kind / path.name).write_bytes(path.read_bytes())
    (tmp_path / "data" / "images" / "03.png").write_bytes(b"cut")
    (tmp_path / "data" / "masks" / "05.png").unlink()
    return tmp_path / "data"


def refused(capsys, *arguments, status=2):
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    assert stop.value.code == status
    return capsys.readouterr()


def test_good_data_is_shown_by_split_and_class(discs, tmp_path, capsys):
    main(["check-data", str(discs), "--json", str(tmp_path / "found.json")])
    shown = capsys.readouterr()
    assert "train  10      48x64           0.0 %" in shown.out
    assert "disc    " in shown.out
    assert "no val split: 2 of the 12 images" in shown.out
    assert f"{discs} can be trained on: 0 errors, 0 warnings" in shown.out
    assert shown.err == "checking: 24/24\n"
    found = json.loads((tmp_path / "found.json").read_text())
    assert set(found) == {"data", "findings", "notes", "splits"}
    train = found["splits"]["train"]
    assert (train["images"], train["ignore_share"]) == (10, 0.0)
    assert sum(train["class_shares"].values()) == pytest.approx(1)
    assert sum(train["class_pixels"].values()) == 10 * 48 * 64


def test_bad_data_is_refused_with_all_that_is_wrong(broken, tmp_path, capsys):
    shown = refused(capsys, "check-data", broken, "--json", tmp_path / "found.json")
    assert f"{broken} cannot be trained on as it is: 2 errors" in shown.out
    found = json.loads((tmp_path / "found.json").read_text())["findings"]
    errors = {finding["kind"]: finding for finding in found if finding["severity"] == "error"}
    assert errors["unreadable"]["files"] == [str(broken / "images" / "03.png")]
    assert errors["image-without-mask"]["files"] == [str(broken / "images" / "05.png")]
    assert all(finding["count"] == 1 and finding["advice"] for finding in errors.values())


def test_fit_refuses_it_before_there_is_a_run_folder(broken, tmp_path, capsys):
    message = refused(capsys, "fit", broken, "--out", tmp_path / "run", "--size", "nano").err
    assert "2 things must be put right first" in message
    assert "03.png" in message
    assert "05.png" in message
    assert not (tmp_path / "run").exists()


def test_labelled_images_are_shown_by_class(patches, tmp_path, capsys):
    main(["check-data", str(patches), "--json", str(tmp_path / "found.json")])
    shown = capsys.readouterr().out
    assert "train  48      16x16" in shown
    assert "green  16             4" in shown
    splits = json.loads((tmp_path / "found.json").read_text())["splits"]
    assert splits["test"] == {"images": 12, "size": [16, 16], "images_per_class": {"blue": 4, "green": 4, "red": 4}}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--crop", "big"], "'big' is not a size"),
        (["--val-share", "2"], "--val-share=2: expected a share strictly between 0 and 1"),
        (["--max-megapixels", "0"], "--max-megapixels=0: expected above 0"),
        (["--json", "/dev/null/found.json"], "/dev/null is a file and no folder"),
    ],
)
def test_options_that_cannot_be_are_refused(options, said, discs, capsys):
    assert said in refused(capsys, "check-data", discs, *options).err


def test_labelled_images_have_no_crop(patches, capsys):
    assert "--crop is for images with masks" in refused(capsys, "check-data", patches, "--crop", "32x32").err


# ---- on a terminal


def test_a_terminal_gets_tables_and_colors(broken):
    (broken / "classes.json").write_text('["ground", "[bold]disc"]')
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=True, force_interactive=True, width=100)
    print_review(review(broken), console)
    assert "\x1b[" in shown.getvalue()
    assert "03.png" in shown.getvalue()
    assert "[bold]disc" in shown.getvalue()


def test_names_are_shown_whatever_their_bytes():
    odd = "caf\udce9\x1b[31m [bold] a\nb"
    assert printable(odd) == "caf\\udce9\\x1b[31m [bold] a\nb"
    shown = io.StringIO()
    finding = Finding("warning", "k", "odd", files=(odd,))
    for interactive in (True, False):
        console = Console(file=shown, force_terminal=interactive, force_interactive=interactive, width=30)
        print_review(Review("data", (finding,)), console)
    print_warnings([finding, Finding("note", "k", "not shown")], Console(file=shown))
    assert shown.getvalue().count("caf\\udce9\\x1b[31m [bold] a") == 3
    assert "not shown" not in shown.getvalue()
    shown.getvalue().encode()


# ---- the limit of evaluate and predict


@pytest.fixture(scope="module")
def model(discs, tmp_path_factory):
    """An untrained network that knows the discs' classes."""
    folder = tmp_path_factory.mktemp("model") / "model"
    save_model(
        folder,
        "segmentation",
        create_model("grid-nano", num_classes=2),
        segmentation_answer(open_data(discs).classes),
        {},
    )
    return folder


def test_evaluate_refuses_what_is_larger_than_the_limit(model, discs, capsys):
    message = refused(capsys, "evaluate", model, discs, "--max-megapixels", "0.001").err
    assert ".png: decodes to 48x64" in message
    assert "the limit is 0.001" in message
    main(["evaluate", str(model), str(discs), "--max-megapixels", "0.01"])


def test_predict_refuses_what_is_larger_than_the_limit(model, discs, tmp_path, capsys):
    arguments = ("predict", model, discs / "images", "--out", tmp_path / "out", "--max-megapixels", "0.001")
    message = refused(capsys, *arguments, status=1).err
    assert "00.png: decodes to 48x64" in message
    assert "--max-megapixels" in message
    assert not list((tmp_path / "out").iterdir())


def test_python_has_the_limit_too(model, discs, tmp_path):
    loaded = wholenet.load(model)
    with pytest.raises(ValueError, match="decodes to 48x64"):
        wholenet.evaluate(loaded, discs, max_megapixels=0.001)
    with pytest.raises(ValueError, match="decodes to 48x64"):
        wholenet.predict(loaded, [discs / "images" / "00.png"], tmp_path / "out", max_megapixels=0.001)
    with pytest.raises(ValueError, match="decodes to 48x64"):
        wholenet.fit(discs, tmp_path / "run", size="nano", max_megapixels=0.001)
    assert not (tmp_path / "run").exists()
