"""The command line as a user meets it: what it prints, what it writes, how it refuses."""

import ast
import inspect
import json
import re
import subprocess
import sys
from dataclasses import asdict, fields, replace
from functools import partial
from itertools import pairwise, zip_longest

import cv2
import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from run_files import PICTURES
from wholenet.arguments import as_python_names, as_typed
from wholenet.cli import SWITCHES, build_parser, main
from wholenet.commands.catalog import COMMANDS
from wholenet.commands.decode import DECODING_NAMES
from wholenet.data.cityscapes import CITYSCAPES
from wholenet.data.sets import DATA_SETS
from wholenet.deploy.model_folder import save_model
from wholenet.deploy.segmenter import segmentation_answer
from wholenet.diagnostics.run import diagnose as diagnose_run
from wholenet.jobs.catalog import TASKS
from wholenet.jobs.language import LANGUAGE
from wholenet.jobs.task import Counted
from wholenet.search.cell_config import CellConfig, cell_config
from wholenet.search.classifier_config import RetrainConfig
from wholenet.search.config import FitConfig
from wholenet.search.methods import METHODS
from wholenet.search.protocols import PROTOCOLS
from wholenet.spaces import count as counting
from wholenet.spaces.catalog import SPACES, create_model
from wholenet.spaces.decoding import DECODINGS
from wholenet.spaces.genotype import read_genotype

pytestmark = pytest.mark.usefixtures("shallow")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Train, val and test images, left half one class and right half another."""
    root = tmp_path_factory.mktemp("halves")
    for split, count in (("train", 6), ("val", 2), ("test", 2)):
        for kind in ("images", "masks"):
            (root / kind / split).mkdir(parents=True)
        for i in range(count):
            mask = np.zeros((40, 56), np.uint8)
            mask[:, 28 + i :] = 1
            image = np.where(mask[..., None] == 1, 200, 30) + np.random.default_rng(i).integers(0, 20, (40, 56, 3))
            Image.fromarray(image.astype(np.uint8)).save(root / "images" / split / f"{i}.png")
            Image.fromarray(mask).save(root / "masks" / split / f"{i}.png")
    return root


@pytest.fixture(scope="module")
def run(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("cli") / "run"
    options = "--size nano --epochs 3 --crop 32x32 --batch 2 --seed 0 --device cpu --lr 0.05 --arch-lr 0.01"
    with PICTURES:
        main(["fit", str(folder), "--out", str(out), *options.split()])
    return out


def refused(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    assert stop.value.code == 2
    message = capsys.readouterr().err
    assert "Traceback" not in message
    return message


def every_help():
    """Of each command, and of what trains on each space, task, data set and genotype, with each method and protocol."""
    asked = [["--help"], ["fit", "--help-all"], *([command, "--help"] for command in COMMANDS)]
    of_fit = [f"--space={space}" for space in SPACES] + [f"--task={task}" for task in (*TASKS, "classification")]
    named = [f"--method={method}" for method in METHODS] + [f"--protocol={protocol}" for protocol in PROTOCOLS]
    asked += [["fit", *filter(None, pair), "--help"] for pair in zip_longest([*of_fit, *DATA_SETS], named)]
    genotypes = [next(iter(s.genotype.published), None) for s in SPACES.values() if s.genotype is not None]
    return asked + [["retrain", name, "--help"] for name in ("darts-v2", *filter(None, genotypes))]


def test_help_imports_no_torch():
    asked = every_help()
    assert len([words for words in asked if words[0] == "retrain"]) == 5  # also of each space that has published ones
    code = (
        f"import sys\nsys.modules['torch'] = None\nfrom wholenet.cli import main\nfor arguments in {asked!r}:\n"
        "    try:\n        main(arguments)\n    except SystemExit as stop:\n        assert stop.code == 0\n"
        "main(['info', 'nano'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.count("usage: wholenet") == len(asked)
    assert done.returncode == 2
    assert re.fullmatch(r"wholenet needs torch, which is not installed: pip install torch; .*\n", done.stderr)


@pytest.mark.parametrize(
    ("words", "config", "positional"),
    [
        (["fit"], FitConfig, {"data"}),
        (["fit", "--task=classification"], CellConfig, {"data"}),
        (["retrain"], RetrainConfig, {"data", "genotype"}),
    ],
)
def test_every_field_of_the_config_is_an_option_with_its_docstring_as_help(words, config, positional, capsys):
    with pytest.raises(SystemExit):
        main([*words, "--help-all"])
    shown = "".join(capsys.readouterr().out.split())
    explained = {}
    for cls in (cls for cls in reversed(config.__mro__) if cls is not object):
        body = ast.parse(inspect.getsource(cls)).body[0].body
        for field, text in pairwise(body):
            if isinstance(field, ast.AnnAssign):
                explained[field.target.id] = " ".join(text.value.value.split())
    assert set(explained) == set(config.__dataclass_fields__)
    for name in set(explained) - positional - {"out", "method", "settings"}:
        assert f"--{name.replace('_', '-')}" in shown
        assert "".join(as_typed(explained[name], explained).split()) in shown


def test_fit_says_what_came_out_and_which_pictures_to_open(run, folder, capsys):
    main(["fit", "--resume", str(run)])
    shown = capsys.readouterr().out
    assert "validation mIoU" in shown
    assert "best constant class" in shown
    for picture in ("predictions", "architecture", "curves", "entropy"):
        assert f"open {run / picture}.png" in shown
        assert (run / f"{picture}.png").is_file()


def test_options_are_spelt_with_hyphens_or_underscores(run):
    assert "arch_lr: 0.01" in (run / "config.yaml").read_text()


@pytest.mark.parametrize("kind", [FitConfig, CellConfig, RetrainConfig])
def test_every_setting_is_named_in_a_message_as_it_is_typed(kind):
    names = {field.name for field in fields(kind)}
    for name in names:
        with pytest.raises(ValueError, match=f"{name}=") as found:
            kind(**{"data": "", "out": "", name: object()})
        said = as_typed(f"{found.value}; leave `{name}` out", names)
        assert said.count(f"--{name.replace('_', '-')}") == 2, said
        assert "_" not in name or name not in said, said
        assert as_typed(f"plan.yaml: {found.value}", names) == f"plan.yaml: {found.value}"


def test_refusals_and_help_name_options_as_they_are_typed(capsys):
    said = refused(capsys, "fit", "scenes", "--epochs", 3, "--loss", "dice", "--class-balance", 1)
    assert "--class-balance=1.0 weighs" in said
    assert "--loss=dice" in said
    assert "class_balance" not in said
    assert "arguments: --lr-min" in refused(capsys, "fit", "scenes", "--lr-min", 3)
    with pytest.raises(SystemExit):
        main(["fit", "--help-all"])
    told = capsys.readouterr().out
    options = {field.name for field in fields(FitConfig) if "_" in field.name}
    assert not options & set(re.findall(r"\w+", told))


def test_a_switch_needs_no_value(capsys):
    for given in (["--control"], ["--control", "true"], ["--control=true"]):
        parsed = build_parser().parse_args(as_python_names(["fit", *given, "--out", "y"], SWITCHES))
        assert parsed.fit.control is True
    assert build_parser().parse_args(as_python_names(["fit", "--control", "false"], SWITCHES)).fit.control is False
    # Nor does one of a space or a task with settings of their own, before a word or at the end.
    for given in (["--published", "planes", "--two-sided"], ["--published=true", "planes", "--two-sided", "true"]):
        main(["fit", "--task", "stereo", *given, "--print-config"])
        assert {"published: true", "two_sided: true"} <= set(capsys.readouterr().out.splitlines())
    main(["fit", "--task", "language", "x.txt", "--vary-windows", "false", "--print-config"])
    assert "vary_windows: false" in capsys.readouterr().out.splitlines()


def test_a_config_file_gives_options_and_the_command_line_wins(tmp_path, capsys):
    (tmp_path / "recipe.yaml").write_text("size: nano\nepochs: 7\nlr: 0.02\n")
    (tmp_path / "later.yaml").write_text("lr: 0.3\nseed: 4\n")
    files = [f"--config={tmp_path / 'recipe.yaml'}", "--config", str(tmp_path / "later.yaml")]
    for words in ([*files, "--epochs=2"], ["--epochs", "2", *files], [files[0], "--epochs=2", *files[1:]]):
        main(["fit", "scenes", "--print-config", *words])
        told = yaml.safe_load(capsys.readouterr().out)
        assert (told["size"], told["epochs"], told["lr"], told["seed"]) == ("nano", 2, 0.3, 4)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["fit", "scenes", "--lr=0.5"], FitConfig(data="", out="", lr=0.5)),
        (["fit", "--method", "two-stage"], FitConfig(data="", out="", protocol="two-stage")),
        (["fit", "--space", "s2", "--method=darts-es"], cell_config("darts-es", data="", out="", space="s2")),
        (["fit", "--task=classification", "--method=r-darts-l2"], cell_config("r-darts-l2", data="", out="")),
        (["retrain", "--cells=6"], RetrainConfig(data="", out="", genotype="", cells=6)),
    ],
)
def test_print_config_prints_what_all_options_come_to_as_a_file_for_config(words, expected, tmp_path, capsys):
    main([*words, "--print-config"])
    first = capsys.readouterr().out
    (tmp_path / "all.yaml").write_text(first)
    told, known = yaml.safe_load(first), asdict(expected)
    assert told == {name: known[name] for name in told}
    assert {"data", "out"} <= set(known) - set(told) <= {"data", "out", "genotype", "weight_decay", "settings"}
    main([words[0], "--print-config", f"--config={tmp_path / 'all.yaml'}"])
    assert capsys.readouterr().out == first


def test_print_config_of_another_space_has_its_settings_and_not_the_grids(tmp_path, capsys):
    main(["fit", "--space=autodeeplab", "--size=tiny", "--epochs=2", "--print-config"])
    first = capsys.readouterr().out
    told = yaml.safe_load(first)
    assert told["size"] == "tiny"
    assert not {"settings", "stem", "recompute", "layers"} & set(told)
    (tmp_path / "all.yaml").write_text(first)
    main(["fit", "--print-config", f"--config={tmp_path / 'all.yaml'}"])
    assert capsys.readouterr().out == first


def test_an_unknown_option_in_a_file_is_refused_with_the_file_and_names_near_it(tmp_path, capsys):
    (tmp_path / "recipe.yaml").write_text("epocs: 7\n")
    for words in (["fit", "scenes"], ["retrain", "darts-v1", "data"]):
        message = refused(capsys, *words, "--out", tmp_path / "x", "--config", tmp_path / "recipe.yaml")
        assert "recipe.yaml: unknown option 'epocs' (did you mean epochs" in message


def test_print_config_is_of_a_new_run(run, capsys):
    assert "config.yaml has" in refused(capsys, "fit", "--resume", run, "--print-config")


def test_a_file_of_options_says_of_which_task_it_is(tmp_path, capsys):
    (tmp_path / "s.yaml").write_text("space: s2\n")
    main(["fit", "scenes", "--print-config", f"--config={tmp_path / 's.yaml'}"])
    assert yaml.safe_load(capsys.readouterr().out)["method"] == "darts"
    (tmp_path / "s.yaml").write_text("task: regression\n")
    assert "unknown task 'regression'; known: segmentation, language, stereo, classification" in refused(
        capsys, "fit", "scenes", f"--config={tmp_path / 's.yaml'}"
    )


def test_options_are_not_abbreviated(capsys):
    for word in ("--epo=3", "--epo"):
        message = refused(capsys, "fit", "scenes", "--out", "x", word, "3")
        assert f"unrecognized arguments: {word}" in message
        assert "Did you mean --epochs?" in message


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("fit scenes --space dense-grid --recompute true", "--recompute is of the space grid, not of dense-grid"),
        ("fit scenes --space autodeeplab --sampled-links 3", "--sampled-links is of the space dense-grid, not of auto"),
        ("fit scenes --cells 8", "--cells is for labelled images (classification), not for images with masks"),
        ("fit scenes --space s2 --crop 32x32", "--crop is for images with masks (segmentation), not for labelled"),
        ("retrain autodeeplab scenes --space grid", "the space that its genotype says: leave --space out"),
        ("retrain autodeeplab scenes --arch-lr 1", "--arch-lr is about a search, of `wholenet fit`"),
        ("retrain darts-v2 data --method darts", "--method is about a search, of `wholenet fit`"),
    ],
)
def test_an_option_of_something_else_is_told_of_what(words, said, capsys):
    message = refused(capsys, *words.split())
    assert said in message
    assert "Known options" not in message


def test_one_option_by_two_names_is_refused_where_they_differ(capsys):
    words = ["fit", "scenes", "--print-config", "--method=two-stage"]
    assert "keep one" in refused(capsys, *words, "--protocol=single-stage")
    main([*words, "--protocol=two-stage"])


def test_without_a_terminal_an_epoch_is_one_plain_line(folder, tmp_path, capsys):
    options = "--size nano --epochs 2 --crop 32x32 --batch 2"
    main(["fit", str(folder), "--out", str(tmp_path / "r"), *options.split()])
    shown = capsys.readouterr().out
    assert len([line for line in shown.splitlines() if line.startswith("epoch ")]) == 2
    assert "\r" not in shown
    assert "\x1b" not in shown


def test_evaluate_prints_and_writes_the_scores(run, folder, tmp_path, capsys):
    main(["evaluate", str(run), str(folder), "--split", "test", "--json", str(tmp_path / "scores.json")])
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert {"miou", "iou", "dice", "boundary_f", "confusion_matrix", "per_image", "images"} <= set(scores)
    assert sum(map(sum, scores["confusion_matrix"])) == sum(image["pixels"] for image in scores["per_image"])
    assert set(scores["iou"]) == {"class 0", "class 1"}
    assert scores["images"] == 2
    assert scores["miou"] == pytest.approx(sum(scores["iou"].values()) / 2)
    assert f"{100 * scores['miou']:.1f} %" in capsys.readouterr().out


def test_predict_writes_index_masks_with_the_stem_and_size_of_the_image(run, folder, tmp_path):
    odd = tmp_path / "odd.JPG"
    Image.fromarray(np.zeros((31, 45, 3), np.uint8)).save(odd, format="JPEG")
    main(["predict", str(run), str(folder / "images" / "test"), str(odd), "--out", str(tmp_path / "out"), "--overlay"])
    masks = {path.name: np.array(Image.open(path)) for path in (tmp_path / "out").glob("*.png")}
    assert set(masks) == {"0.png", "1.png", "odd.png", "0_overlay.png", "1_overlay.png", "odd_overlay.png"}
    assert masks["odd.png"].shape == (31, 45)
    assert masks["0.png"].shape == (40, 56)
    assert masks["0.png"].max() <= 1
    height, width, _ = masks["0_overlay.png"].shape  # of the image, and a legend below
    assert height > 40
    assert width >= 56


def test_predict_cuts_images_into_tiles_and_takes_videos(run, tmp_path, capsys):
    Image.fromarray(np.zeros((70, 90, 3), np.uint8)).save(tmp_path / "large.png")
    writer = cv2.VideoWriter(str(tmp_path / "short.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    writer.write(np.zeros((48, 64, 3), np.uint8))
    writer.release()
    files = [str(tmp_path / "large.png"), str(tmp_path / "short.avi")]
    main(["predict", str(run), *files, "--out", str(tmp_path / "out"), "--tile", "40x48", "--overlap", "8"])
    assert np.array(Image.open(tmp_path / "out" / "large.png")).shape == (70, 90)
    assert np.array(Image.open(tmp_path / "out" / "short" / "000000.png")).shape == (48, 64)
    printed = capsys.readouterr().out
    assert f"masks of each frame in {tmp_path / 'out' / 'short'}" in printed
    assert "1 masks in" in printed
    with pytest.raises(SystemExit):
        main(["predict", str(run), *files, "--out", str(tmp_path / "no"), "--tile", "40x48", "--overlap", "21"])
    assert "expected an overlap of 0 to half the shorter side" in capsys.readouterr().err
    assert not (tmp_path / "no").exists()


def test_predict_writes_a_cityscapes_submission(tmp_path, capsys):
    torch.manual_seed(0)
    save_model(
        tmp_path / "model",
        "segmentation",
        create_model("grid-nano", num_classes=19),
        segmentation_answer(CITYSCAPES),
        {},
    )
    frame = tmp_path / "berlin_000000_000019_leftImg8bit.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (1024, 2048, 3), dtype=np.uint8)).save(frame)
    predict = ["predict", str(tmp_path / "model"), str(frame), "--out"]
    main([*predict, str(tmp_path / "train_ids")])
    main([*predict, str(tmp_path / "label_ids"), "--cityscapes-submission"])
    assert f"1 masks in {tmp_path / 'label_ids'}" in capsys.readouterr().out
    with Image.open(tmp_path / "train_ids" / f"{frame.stem}.png") as picture:
        train_ids = np.array(picture)
    with Image.open(tmp_path / "label_ids" / "berlin_000000_000019_pred_labelIds.png") as picture:
        np.testing.assert_array_equal(np.array(picture), np.array(CITYSCAPES.values)[train_ids])


def test_a_cityscapes_submission_of_other_classes_or_with_overlays_is_refused(run, folder, tmp_path, capsys):
    arguments = ["predict", run, folder / "images" / "test", "--out", tmp_path / "out", "--cityscapes-submission"]
    message = refused(capsys, *arguments)
    assert "Missing: road, sidewalk" in message
    assert "unexpected: class 0, class 1" in message
    assert "two --out folders" in refused(capsys, *arguments, "--overlay")
    assert not (tmp_path / "out").exists()


def test_diagnose_prints_a_table_and_three_sentences_and_writes_them(run, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("wholenet.inspection.diagnose_run", partial(diagnose_run, shares=(0.5,)))
    with PICTURES:
        main(["diagnose", str(run), "--out", str(tmp_path / "found"), "--images", "1", "--device", "cpu"])
    shown = capsys.readouterr().out
    content = json.loads((tmp_path / "found" / "diagnosis.json").read_text())
    assert content["images"] == 1
    assert " is read as images with masks (segmentation)" in shown.splitlines()[0]
    assert len(content["verdict"]) == 3
    for sentence in content["verdict"]:
        assert f"{sentence}\n" in shown
    assert "whole supernet" in shown
    for name in ("diagnosis.png", "diagnosis.json", "genotype.yaml"):
        assert f"open {tmp_path / 'found' / name}" in shown
        assert (tmp_path / "found" / name).is_file()
    assert not (run / "diagnosis").exists()


def test_decode_writes_a_genotype_that_can_be_trained(run, tmp_path, capsys):
    main(["decode", str(run), "--out", str(tmp_path / "g.yaml"), "--decoding", "threshold", "--tau", "0"])
    shown = capsys.readouterr().out
    assert "20 of 20 edges (threshold 0)" in shown
    assert f"wholenet retrain {tmp_path / 'g.yaml'} DATA --out RUN" in shown
    assert shown.splitlines()[-1] == "entropy 1.00: the search decided nothing, and this genotype is chance"
    assert read_genotype(tmp_path / "g.yaml", layers=2).decoding == "threshold 0"


def test_the_decodings_on_offer_are_all_there_are():
    assert set(DECODING_NAMES) == set(DECODINGS)


def test_info_counts_the_supernets_of_cell_spaces(tmp_path, capsys):
    main(["info", "s1", "--classes", "100", "--json", str(tmp_path / "info.json")])
    assert json.loads((tmp_path / "info.json").read_text())["parameters"] == 428_276
    shown = capsys.readouterr().out
    assert "428,276" in shown
    assert re.search(r"architecture +\d+\n", shown)


def test_info_counts_and_writes_json(tmp_path, capsys):
    main(["info", "nano", "--classes", "4", "--input", "64x96", "--json", str(tmp_path / "info.json")])
    counts = json.loads((tmp_path / "info.json").read_text())
    assert set(counts) == {"parameters", "architecture_parameters", "macs", "flops", "macs_merged"}
    assert counts["flops"] == 2 * counts["macs"]
    assert counts["macs_merged"] < counts["macs"]
    assert "2 per multiply-add" in capsys.readouterr().out


class Passes:
    """In the place of the counter: a pass of a network is run and counted as one."""

    def __init__(self, **_):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def get_total_flops(self):
        return 2 * 10**9


def test_info_calls_a_network_of_every_space_as_it_wants_to_be_called(capsys, monkeypatch):
    """On few real pixels: counting, and pretending to compute, take many times as long."""
    monkeypatch.setattr(counting, "FlopCounterMode", Passes)
    monkeypatch.setattr(
        counting, "meta_flops", lambda model, *size: counting._both_forms(model, torch.zeros(1, 3, *size))
    )
    for space, kind in SPACES.items():
        size = next((name for name in ("nano", "tiny") if name in kind.variants), None)
        name = size if space == "grid" else space if size is None else f"{space}-{size}"
        main(["info", name, *([] if kind.tasks == ("language",) else ["--input", "80x48"])])
        assert re.search(r"parameters +[1-9][0-9,]* ", capsys.readouterr().out), name
    counting.count.cache_clear()


def test_info_counts_what_a_word_costs(tmp_path, capsys):
    main(["info", "recurrent", "--classes", "50", "--json", str(tmp_path / "info.json")])
    counts = json.loads((tmp_path / "info.json").read_text())
    units = 300
    # Input and state, 36 edges, and the decoder; parameters as in DARTS, with a bias for each word.
    assert counts["macs"] == 76 * units**2 + 50 * units
    assert counts["parameters"] == 20 * units**2 + 50 * (units + 1)
    assert "one word, of a vocabulary of 50" in capsys.readouterr().out
    assert "--input: recurrent reads text" in refused(capsys, "info", "recurrent", "--input", "64x64")


def test_info_counts_what_a_task_of_ones_own_says(capsys):
    counted = Counted(one="one letter of {outputs}", outputs=26, no_size="reads letters")
    TASKS.add("letters", replace(LANGUAGE, name="letters", counted=counted))
    SPACES.add("letters", replace(SPACES["recurrent"], name="letters", tasks=("letters",)))
    try:
        main(["info", "letters"])
        assert capsys.readouterr().out.startswith("letters, one letter of 26\n")
        assert "--input: letters reads letters; leave it out" in refused(capsys, "info", "letters", "--input", "64x64")
    finally:
        SPACES.remove("letters")
        TASKS.remove("letters")


def test_an_unknown_option_is_refused_with_those_near_and_all_known(capsys):
    message = refused(capsys, "fit", "scenes", "--out", "x", "--sizes", "nano")
    assert "--sizes" in message
    assert "Did you mean --size" in message
    assert "--arch-lr" in message


def test_an_option_of_another_task_is_refused_with_that_task(capsys, patches):
    for data, what in (("planes", "pairs of images with disparity"), (str(patches), "labelled images")):
        for words in (["--minutes", "3"], ["--plan-only"]):
            message = refused(capsys, "fit", data, "--out", "x", *words)
            assert f"{words[0]} is for images with masks (segmentation), not for {what} (" in message
            assert "give --epochs: such runs are not planned\n" in message
            assert "Did you mean" not in message
        assert "--preset is for images with masks (segmentation)" in refused(capsys, "fit", data, "--preset", "paper")
    assert "--skip-dropout is " in refused(capsys, "fit", "scenes", "--skip-dropout=x")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["fit", "scenes", "--out", "x", "--size", "giant"], ["size", "'nano', 'tiny', 'small'"]),
        (["fit", "scenes", "--out", "x", "--device", "tpu"], ["device", "'auto', 'cpu', 'cuda'"]),
        (["fit", "scenes", "--out", "x", "--epochs", "many"], ["epochs", "int", "many"]),
        (["fit", "scenes", "--out", "x", "--epochs", "0"], ["epochs=0", "at least 1"]),
        (["fit", "scenes", "--out", "x", "--crop", "12"], ["'12' is not a size", "HEIGHTxWIDTH"]),
        (["fit"], ["give the data: `wholenet fit DATA`"]),
        (["fit", "--resume", "nowhere"], ["nowhere holds no run"]),
        (
            ["fit", "scenes", "--resume", "nowhere"],
            ["data cannot be given with it, only --device", "--checkpoint-minutes"],
        ),
        (["fit", "--resume", "nowhere", "--epochs", "9"], ["epochs cannot be given"]),
        (["fit", "nowhere", "--out", "x"], ["nowhere"]),
        (["info", "giant"], ["unknown size 'giant'", "nano, tiny, small"]),
        (["info", "nano", "--input", "big"], ["'big' is not a size"]),
        (["info", "s1", "--input", "30x32"], ["30x32: expected sides that are multiples of 4 for s1, e.g. 28x32"]),
        (["info", "nano", "--classes", "0"], ["--classes=0", "at least 1"]),
        (["evaluate", "nowhere", "scenes"], ["nowhere holds no model"]),
        (["evaluate", "nowhere.onnx", "scenes"], ["nowhere.onnx does not exist"]),
        (["evaluate", "x.onnx", "scenes", "--device", "cuda"], ["ONNX files run on the CPU"]),
        (["evaluate", "nowhere", "scenes", "--tile", "big"], ["'big' is not a size"]),
        (["predict", "nowhere", "x.png", "--out", "y"], ["nowhere holds no model"]),
        (["predict", "nowhere.onnx", "x.png", "--out", "y"], ["nowhere.onnx does not exist"]),
        (["predict", "nowhere", "x.png", "--out", "y", "--tile", "big"], ["'big' is not a size"]),
        (["predict", "x.onnx", "x.png", "--out", "y", "--device", "cuda"], ["ONNX files run on the CPU"]),
        (["export", "nowhere", "--out", "x.onnx"], ["nowhere holds no model"]),
        (["export", "nowhere", "--out", "x", "--format", "caffe"], ["'onnx', 'torch'"]),
        (["diagnose", "nowhere"], ["nowhere holds no run"]),
        (["diagnose", "nowhere", "--tolerance", "0.3"], ["nowhere holds no run"]),
        (["decode", "nowhere", "--out", "x"], ["nowhere holds no model"]),
        (["decode", "nowhere"], ["required: decode.out"]),
        (["decode", "x", "--out", "y", "--decoding", "viterbi"], ["'best-path', 'strongest', 'threshold'"]),
        (["train", "x"], ["'fit', 'retrain', 'evaluate', ", "'diagnose', 'report', 'compare', 'decode'"]),
        ([], ["fit", "evaluate", "predict"]),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_message(arguments, expected, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    message = refused(capsys, *arguments)
    for part in expected:
        assert part in message
    assert not list(tmp_path.iterdir())


def test_a_gpu_where_there_is_none_is_refused(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    message = refused(capsys, "fit", folder, "--out", tmp_path / "x", "--device", "cuda")
    assert "sees no GPU" in message


def test_a_split_that_does_not_exist_is_refused_with_those_that_do(run, folder, capsys):
    message = refused(capsys, "evaluate", run, folder, "--split", "dev")
    assert "'dev'" in message
    assert "train, val, test" in message


def test_data_of_other_classes_is_refused(run, capsys):
    message = refused(capsys, "evaluate", run, "scenes")
    assert "11 classes there, 2 expected" in message


def test_predictions_that_would_overwrite_each_other_or_the_images_are_refused(run, folder, tmp_path, capsys):
    images = folder / "images"
    message = refused(capsys, "predict", run, images / "test", images / "val", "--out", tmp_path / "out")
    assert "would both be written to" in message
    message = refused(capsys, "predict", run, images / "test", "--out", images / "test")
    assert "would overwrite the image itself" in message
    message = refused(capsys, "predict", run, tmp_path / "nothing", "--out", tmp_path / "out")
    assert "does not exist" in message
    (tmp_path / "empty").mkdir()
    message = refused(capsys, "predict", run, tmp_path / "empty", "--out", tmp_path / "out")
    assert "holds no images" in message
    assert "parquet" not in message
    (tmp_path / "empty" / "train.parquet").touch()
    assert "write those in its .parquet as files" in refused(capsys, "predict", run, tmp_path / "empty", "--out", "out")


@pytest.mark.parametrize(
    ("place", "arguments", "said"),
    [
        ("wholenet.studies.pool.run_each", "study control --scale cpu --out OUT/a b", None),
        (
            "wholenet.control.fit",
            "fit scenes --out OUT/r --size nano --epochs 9",
            "from its last checkpoint with `wholenet fit --resume",
        ),
        ("wholenet.cells.retrain.retrain", "retrain darts-v2 x --out OUT/r", "with `wholenet retrain --resume RUN`"),
        ("wholenet.trained.load_model", "predict x x --out OUT/p", "wholenet predict: stopped\n"),
        ("wholenet.trained.load_model", "evaluate x scenes", "wholenet evaluate: stopped\n"),
    ],
)
def test_who_interrupts_a_command_is_told_how_to_go_on_with_that(place, arguments, said, tmp_path, monkeypatch, capsys):
    def interrupted(*_args, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr(place, interrupted)
    words = [word.replace("OUT", str(tmp_path)) for word in re.split(" (?!b$)", arguments)]
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 130
    told = capsys.readouterr().err
    assert (said or f"the same command goes on: `wholenet study control --scale cpu --out '{tmp_path}/a b'`") in told
    assert ("--resume" in told) == (words[0] in ("fit", "retrain"))
