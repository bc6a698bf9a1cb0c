"""The command line: parse, call, stop. Nothing slow is imported before the arguments are known to be good."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict, fields
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

import yaml
from jsonargparse import Namespace

from wholenet.arguments import ArgumentParser, options_in
from wholenet.checked import (
    Batch,
    BelowOne,
    Classes,
    Count,
    Dropped,
    InnerShare,
    Jobs,
    Megapixels,
    Overlap,
    Seed,
    Share,
    Threads,
)
from wholenet.data.sets import DATA_SETS
from wholenet.data.task import Task, how_read, task_of
from wholenet.files import SHOWN, check_output, parse_yaml, read_text, shown
from wholenet.plugins import import_modules
from wholenet.search.cell_config import MACHINE as CELL_MACHINE
from wholenet.search.cell_config import (
    CellConfig,
    ClassifierConfig,
    RetrainConfig,
    cell_config,
    is_cell_run,
    read_cell_config,
)
from wholenet.search.config import GRID_ALONE, MACHINE, FitConfig, fit_config, grid_methods, parse_size, read_config
from wholenet.search.interruption import Interrupted
from wholenet.search.methods import METHODS
from wholenet.spaces.sizes import CELL_SPACES, grid_size
from wholenet.studies.catalog import CATALOG, CELL_STUDIES
from wholenet.studies.processes import DIVERGED
from wholenet.studies.setting import SCALES, CellSetting, Setting
from wholenet.version import VERSION

if TYPE_CHECKING:
    from wholenet.deploy.classifier import TrainedClassifier
    from wholenet.deploy.predict import SomeFailed
    from wholenet.deploy.tiles import Tiling
    from wholenet.spaces.space import Space

DECODING_NAMES = get_args(get_type_hints(FitConfig)["decoding"])
OPTIONS = [*(field.name for field in fields(FitConfig)), "task"]
"""What may stand in a file of options, for images with masks; for labelled images; for the training of a genotype."""
CELL_OPTIONS = [*(field.name for field in fields(CellConfig)), "task"]
RETRAIN_OPTIONS = [field.name for field in fields(RetrainConfig)]
LABELLED = "Folder with labelled images: parquet files, CIFAR's .bin, SVHN's .mat, or a folder per class; or a name."
EITHER = 'Folder with images and masks, or with labelled images; or a data set by name: "scenes".'
DESCRIPTION = "Networks that learn their own architecture: segmentation in one run, and the searches of DARTS."


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; exits with status 2 and one message for anything that a user can put right."""
    typed = _with_underscores(sys.argv[1:] if arguments is None else list(arguments))
    try:
        typed, modules = _imports(typed)
        import_modules(modules)
        task, space = asked(typed)
        parser = build_parser(task, space)
    except (ValueError, OSError) as error:  # --config, or the config of the run that --resume names
        sys.stderr.write(f"wholenet {typed[0] if typed else ''}: {error}\n")
        raise SystemExit(2) from error
    # Of runs, what was not typed is as a file of options, the method or the run itself has it.
    parsed = parser.parse_args(typed, defaults=typed[:1] not in (["fit"], ["retrain"]))
    command = parsed.command
    commands = COMMANDS | (CLASSIFICATION if task == "classification" else {})
    try:
        if parsed[command].get("json") is not None:
            check_output(parsed[command].json)
        commands[command](parsed[command])
    except (ValueError, FloatingPointError, OSError, MemoryError) as error:
        said = DIVERGED if isinstance(error, FloatingPointError) else ""  # which studies look for
        sys.stderr.write(f"wholenet {command}: {said}{error}\n")
        raise SystemExit(2) from error
    except RuntimeError as error:
        from wholenet.search.memory import ran_out_of_memory

        if not ran_out_of_memory(error):
            raise
        advice = "--tile" if command in ("evaluate", "predict") else "--batch or --crop"
        sys.stderr.write(f"wholenet {command}: {error}\nA smaller {advice} needs less memory.\n")
        raise SystemExit(2) from error
    except Interrupted as stop:
        sys.stderr.write(f"\nwholenet {command}: {stop.message}\n")
        raise SystemExit(stop.status) from None
    except KeyboardInterrupt:
        sys.stderr.write(f"\nwholenet {command}: stopped{_how_to_go_on(command, typed)}\n")
        raise SystemExit(130) from None


def _how_to_go_on(command: str, typed: Sequence[str]) -> str:
    if command in ("study", "sweep"):
        return f", all its runs too; the same command goes on: `{shlex.join(['wholenet', *typed])}`"
    if command in ("fit", "retrain"):
        return f"; a run continues from its last checkpoint with `wholenet {command} --resume RUN`"
    return ""


def _imports(typed: Sequence[str]) -> tuple[list[str], list[str]]:
    """What was typed without ``--import MODULE``, and the modules."""
    left, modules, words = [], list[str](), iter(typed)
    for word in words:
        if word == "--import":
            modules.append(next(words, ""))
        elif word.startswith("--import="):
            modules.append(word.removeprefix("--import="))
        else:
            left.append(word)
    return left, modules


def asked(typed: Sequence[str]) -> tuple[Task, str]:
    """Task and space that `wholenet fit` is asked for: as `--task` or `--space` says, typed or in a file of options, as
    the run is that `--resume` names, or as the data looks."""
    if not typed or typed[0] != "fit":
        return "segmentation", "grid"
    split = [(*word.partition("="), following) for word, following in pairwise([*typed, ""]) if word.startswith("--")]
    pairs = [(name, value if equals else following) for name, equals, value, following in split]
    in_files = options_in([value for name, value in pairs if name == "--config"], None)
    given = {**{f"--{name}": value for name, value in in_files.items()}, **dict(pairs)}
    space = given.get("--space", "grid")
    if not isinstance(space, str):
        raise ValueError(f"space={shown(space)}: expected a name")
    if given.get("--task") in get_args(Task):
        return ("classification" if given["--task"] == "classification" else "segmentation"), space
    if "task" in in_files:
        raise ValueError(f"task={shown(in_files['task'])}: expected {' or '.join(get_args(Task))}")
    if "--space" in given:
        return "classification" if space in CELL_SPACES else "segmentation", space
    if "--resume" in given:
        return "classification" if is_cell_run(Path(given["--resume"])) else "segmentation", "grid"
    after_nothing = [word for before, word in pairwise(typed) if not before.startswith("--") or "=" in before]
    words = [*after_nothing, *([in_files["data"]] if isinstance(in_files.get("data"), str) else [])]
    data = next((w for w in words if not w.startswith("-") and (w in DATA_SETS or Path(w).is_dir())), None)
    return "segmentation" if data is None else task_of(data), space


def _settings_of(space: str) -> list[str]:
    """Names of the settings of a space from outside."""
    return [] if space in ("grid", *CELL_SPACES) else [field.name for field in fields(_registered(space).settings)]


def _registered(space: str) -> Space:
    from wholenet.search.run_folder import outside_space  # imports torch

    return outside_space(space)


def build_parser(task: Task = "segmentation", space: str = "grid") -> ArgumentParser:
    """The parser of all commands; `fit` has other options for each task."""
    parser = ArgumentParser(prog="wholenet", description=DESCRIPTION, version=VERSION)
    commands = parser.add_subcommands(dest="command")

    checking = ArgumentParser(description="Decode every file of a data set once, and say all that is wrong with it.")
    checking.add_argument("data", help=EITHER)
    checking.add_argument("--task", choices=get_args(Task), default=None, help="Default: as the data looks.")
    checking.add_argument("--json", default=None, help="Write everything found to this file.")
    checking.add_argument("--crop", default=None, help="HEIGHTxWIDTH to be trained on; default: as the data allows.")
    checking.add_value(
        "--val_share", InnerShare, default=FitConfig.val_share, help="Share held out where there is no val split."
    )
    checking.add_value("--data_seed", Seed, default=FitConfig.data_seed, help="Seed of what is held out.")
    _add_limit(checking)
    commands.add_subcommand("check-data", checking)

    commands.add_subcommand("fit", _fit_parser(task, space))

    retrain = ArgumentParser(description="Train the discrete network of a genotype from scratch, on labelled images.")
    retrain.add_argument(
        "genotype", nargs="?", default=None, help="Genotype file that a search wrote, or darts-v1, darts-v2."
    )
    retrain.add_argument("data", nargs="?", default=None, help=LABELLED)
    retrain.add_argument("--out", default=None, help="Run folder to create.")
    _add_resume(retrain)
    _add_config(retrain)
    retrain.add_fields(RetrainConfig, but=("data", "out", "genotype"))
    commands.add_subcommand("retrain", retrain)

    evaluate = ArgumentParser(description="Score a trained network: IoU per class, mIoU, pixel accuracy.")
    evaluate.add_argument("model", help="Run folder, model folder, or ONNX file that `wholenet export` wrote.")
    evaluate.add_argument("data", help=EITHER)
    evaluate.add_argument("--split", default=None, help="Split to score; default: val, or test of labelled images.")
    evaluate.add_argument("--json", default=None, help="Write the scores to this file.")
    _add_tiling(evaluate)
    _add_limit(evaluate)
    _add_device(evaluate)
    commands.add_subcommand("evaluate", evaluate)

    predict = ArgumentParser(description="Write a mask for every image: PNG, pixel value = class index.")
    predict.add_argument("model", help="Run folder, model folder, or ONNX file that `wholenet export` wrote.")
    predict.add_argument("images", nargs="+", help="Image files, folders of them, or videos.")
    predict.add_argument("--out", required=True, help="Folder for the masks; of a classifier, the CSV file to write.")
    predict.add_argument("--overlay", action="store_true", help="Also write the mask in colour over the image.")
    _add_tiling(predict)
    predict.add_argument(
        "--cityscapes_submission",
        action="store_true",
        help="Write label ids under the names that the Cityscapes evaluation server expects.",
    )
    _add_limit(predict)
    _add_device(predict)
    commands.add_subcommand("predict", predict)

    diagnose = ArgumentParser(description="Did the search of a run decide anything, and what would cutting it cost?")
    diagnose.add_argument("run", help="Run folder.")
    diagnose.add_argument("data", nargs="?", default=None, help="Data to score on; default: that of the run.")
    diagnose.add_argument("--out", default=None, help="Folder for the diagnosis; default: RUN/diagnosis.")
    diagnose.add_value("--images", Count, default=None, help="Score so many validation images; default: all.")
    diagnose.add_argument(
        "--curvature", action="store_true", help="Also the ends of the Hessian's spectrum in the architecture."
    )
    diagnose.add_argument(
        "--batchnorm", choices=["batch", "running"], default=None, help="Of the curvature: statistics (default: batch)."
    )
    diagnose.add_argument(
        "--method", choices=["lanczos", "rows"], default=None, help="Of the curvature: iteration, or the whole matrix."
    )
    diagnose.add_value(
        "--tolerance", BelowOne, default=None, help="Of the Lanczos iteration, relative (default: 0.001)."
    )
    _add_device(diagnose)
    commands.add_subcommand("diagnose", diagnose)

    decode = ArgumentParser(description="Write the genotype of a discrete network inside a trained supernet.")
    decode.add_argument("run", help="Run folder or model folder.")
    decode.add_argument("--out", required=True, help="Genotype file to write.")
    decode.add_argument("--decoding", default="best-path", choices=DECODING_NAMES, help="Which edges stay.")
    decode.add_value(
        "--tau", Share, default=None, help="Threshold: share of the weight of the cell's strongest edge (0.5)."
    )
    commands.add_subcommand("decode", decode)

    study = ArgumentParser(
        description="Rerun a table or figure of the papers, their numbers beside ours: "
        + "; ".join(f"{name}: {what}" for name, what in CATALOG.items())
        + "."
    )
    study.add_argument("name", choices=list(CATALOG), help="Which one.")
    study.add_argument("--scale", default="cpu", choices=list(SCALES), help="Half an hour, hours, the paper's way.")
    study.add_argument(
        "--data", default=None, help='Folder with images and masks; default: "scenes". Or with labelled images.'
    )
    study.add_value("--seeds", Count, default=3, help="Runs of every arm.")
    study.add_argument("--out", required=True, help="Folder for results and runs; finished runs there are used.")
    study.add_value("--jobs", Jobs, default=0, help="Runs at the same time; 0: a CPU core each, or one on a GPU.")
    study.add_argument("--make_coarse", action="store_true", help="Make coarse annotations out of the fine ones.")
    study.add_argument(
        "--set", metavar="NAME=VALUE", action="append", default=[], help="An option of fit for every run; repeatable."
    )
    commands.add_subcommand("study", study)

    sweep = ArgumentParser(description="Train all runs of a file, over seeds and configurations (docs/clusters.md).")
    sweep.add_argument("file", help="YAML: data, out, options, grid, runs, jobs, slurm.")
    sweep.add_value("--jobs", Jobs, default=0, help="Runs at the same time; 0: as the file says.")
    sweep.add_argument("--slurm", action="store_true", help="Submit the runs as jobs of a Slurm cluster.")
    sweep.add_argument("--dry_run", action="store_true", help="Check everything and list the runs; start none.")
    sweep.add_argument(
        "--set", metavar="NAME=VALUE", action="append", default=[], help="An option of fit for every run; repeatable."
    )
    commands.add_subcommand("sweep", sweep)

    export = ArgumentParser(description="Write a trained network as one file that runs without wholenet.")
    export.add_argument("model", help="Run folder or model folder.")
    export.add_argument(
        "--format", default="onnx", choices=["onnx", "torch"], help="ONNX, or torch's exported program."
    )
    export.add_argument("--out", required=True, help="File to write.")
    export.add_argument("--data", default=None, help="Data to check the file on; default: the run's, or the scenes.")
    export.add_value(
        "--drop_below",
        Dropped,
        default=None,
        help="Leave out edges of less weight, and say what that costs in mIoU.",
    )
    commands.add_subcommand("export", export)

    bench = ArgumentParser(description="Measure speed and memory as ratios, interleaved, each with its equality check.")
    bench.add_argument("names", nargs="*", help="Benchmarks; default: all that the device can run.")
    bench.add_argument("--size", default="tiny", help="Size of the grid supernet.")
    bench.add_value("--batch", Batch, default=4, help="Images in a training step.")
    bench.add_argument("--crop", default="176x240", help="HEIGHTxWIDTH of the images.")
    bench.add_value("--rounds", Count, default=9, help="Ratios that the median is of.")
    bench.add_value("--threads", Threads, default=1, help="CPU threads of torch.")
    bench.add_argument("--json", default=None, help="Write the rows to this file.")
    _add_device(bench)
    commands.add_subcommand("bench", bench)

    info = ArgumentParser(description="Count the parameters and the arithmetic of a supernet.")
    info.add_argument("size", help=f"Size of the grid supernet, or a cell space: {', '.join(CELL_SPACES)}.")
    info.add_value("--classes", Classes, default=None, help="Classes to tell apart; default: 19, or 10.")
    info.add_argument("--input", default=None, help="HEIGHTxWIDTH of the image; default: 1024x2048, or 32x32.")
    info.add_argument("--operations", default=None, help="Of the grid: candidates of each cell, as in fit.")
    info.add_argument("--json", default=None, help="Write the counts to this file.")
    commands.add_subcommand("info", info)
    return parser


def _fit_parser(task: Task, space: str) -> ArgumentParser:
    classifies = task == "classification"
    other = "segmentation" if classifies else "classification"
    what = (
        "Search a cell space for a network that classifies images (DARTS, S1-S4)."
        if classifies
        else "Train a network on a folder of images and masks, or on the built-in scenes."
    )
    fit = ArgumentParser(description=f"{what} For the options of the other task: wholenet fit --task {other} --help")
    data = LABELLED if classifies else 'Folder with images and masks, or a data set by name: "scenes".'
    fit.add_argument("data", nargs="?", default=None, help=data)
    fit.add_argument("--out", default=None, help="Run folder to create.")
    _add_resume(fit)
    _add_config(fit)
    fit.add_argument("--task", choices=get_args(Task), default=task, help="Default: as the data looks.")
    if classifies:
        fit.add_fields(CellConfig, but=("data", "out", "method"))
        fit.add_argument("--method", default="darts", help=f"One of {', '.join(METHODS)}.")
    else:
        outside = space not in ("grid", *CELL_SPACES)
        fit.add_fields(FitConfig, but=("data", "out", "method", "settings", *(GRID_ALONE if outside else ())))
        if outside:
            fit.add_fields(_registered(space).settings)
        fit.add_argument(
            "--method",
            default="single-stage",
            help=f"One of {', '.join(grid_methods())}; what is given by hand comes on top.",
        )
    return fit


def _add_resume(parser: ArgumentParser) -> None:
    parser.add_argument("--resume", metavar="RUN", default=None, help="Continue the run in this folder.")
    parser.add_argument(
        "--data",
        dest="moved",
        metavar="NEW",
        default=None,
        help="With --resume: where its data is now, if it was moved.",
    )


def _add_config(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--config",
        metavar="FILE",
        action="append",
        default=None,
        help="YAML file with any of the options below; repeatable, the last wins. What is typed wins over all.",
    )
    parser.add_argument(
        "--print_config", action="store_true", help="Only print what all options come to, as a file for --config."
    )


def _add_tiling(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--tile",
        default=None,
        help="HEIGHTxWIDTH of pieces to cut images into; default: only images over 4 megapixels.",
    )
    parser.add_value("--overlap", Overlap, default=None, help="Pixels that neighbouring pieces share; default: 256.")


def _add_limit(parser: ArgumentParser) -> None:
    parser.add_value(
        "--max_megapixels",
        Megapixels,
        default=FitConfig.max_megapixels,
        help="Images and masks that decode to more are refused.",
    )


def _add_device(parser: ArgumentParser) -> None:
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"], help="Where to compute.")


def _with_underscores(arguments: list[str]) -> list[str]:
    """--arch-lr is --arch_lr, and --control alone is --control=true: fields are named as in Python, options as people
    type them.
    """
    configs = (FitConfig, CellConfig, RetrainConfig)
    switches = {f"--{f.name}" for config in configs for f in fields(config) if isinstance(f.default, bool)}
    out = []
    for argument, following in pairwise([*arguments, ""]):
        name, equals, value = argument.partition("=")
        if name.startswith("--"):
            name = "--" + name[2:].replace("-", "_")
        if name in switches and not equals and following not in ("true", "false"):
            equals, value = "=", "true"
        out.append(name + equals + value)
    return out


# ---- the commands


def _fit(args: Namespace) -> None:
    given = _given(args, OPTIONS)
    if given.get("space") in CELL_SPACES:
        raise ValueError(f"space {shown(given['space'])} is for labelled images: give --task classification with it")
    if not isinstance(given.get("method", ""), str):
        raise ValueError(f"method={shown(given['method'])}: expected one of {', '.join(grid_methods())}")
    if args.print_config:
        _print_config(fit_config(**{"data": "", "out": "", **given}))
        return
    if args.resume is None and ("data" not in given or "out" not in given):
        raise ValueError("give the data and a folder for the run: `wholenet fit DATA --out RUN`")
    started = fit_config(**given) if args.resume is None else str(args.resume)
    from wholenet import parallel  # imports torch
    from wholenet.control import fit_with_control, resume_with_control

    parallel.start()
    if isinstance(started, FitConfig):
        compared = fit_with_control(started)
    else:
        compared = resume_with_control(started, data=args.moved, **_of_machine(given, MACHINE))
    speaks = parallel.is_first()
    parallel.stop()
    if not speaks:
        return
    learned = compared.learned
    print(f"\nvalidation mIoU      {100 * learned.scores.miou:5.1f} %   {learned.run}")
    if compared.uniform is not None:
        uniform = compared.uniform
        print(f"frozen-uniform       {100 * uniform.scores.miou:5.1f} %   {uniform.run}")
    print(f"best constant class  {100 * learned.constant_miou:5.1f} %")
    for picture in ("predictions", "architecture", "curves", "entropy"):
        if (path := learned.run / f"{picture}.png").exists():
            print(f"open {path}")


def _check_data(args: Namespace) -> None:
    from rich.console import Console

    from wholenet.data.labelled_review import review_labelled
    from wholenet.data.review import review
    from wholenet.report.data_check import print_review, printable, review_to_dict
    from wholenet.report.progress import counted

    crop = None if args.crop is None else parse_size(args.crop)
    progress = counted(Console(stderr=True), "checking")
    task = args.task or task_of(args.data)
    print(printable(how_read(args.data, task)))
    if task == "classification":
        if crop is not None:
            raise ValueError("--crop is for images with masks; these are labelled images, which are not cropped")
        found = review_labelled(args.data, max_megapixels=args.max_megapixels, progress=progress)
    else:
        found = review(
            args.data,
            val_share=args.val_share,
            seed=args.data_seed,
            crop=crop,
            max_megapixels=args.max_megapixels,
            progress=progress,
        )
    print_review(found, Console())
    _write_json(args.json, review_to_dict(found))
    if any(finding.severity == "error" for finding in found.findings):
        raise SystemExit(2)


def _fit_cells(args: Namespace) -> None:
    given = _given(args, CELL_OPTIONS)
    method = given.get("method", "darts")
    if args.resume is None and (not isinstance(method, str) or method not in METHODS):
        raise ValueError(
            f"method {shown(method)} does not fit the space {shown(given.get('space', 'darts'))}; those that do: "
            f"{', '.join(METHODS)}"
        )
    if args.print_config:
        varied = {name for special in METHODS[method].searches for name in special}
        _print_config(cell_config(**{"data": "", "out": "", **given}), *varied)
        return
    if args.resume is None and ("data" not in given or "out" not in given):
        raise ValueError("give the data and a folder for the run: `wholenet fit DATA --out RUN --space darts`")
    started = cell_config(**given) if args.resume is None else str(args.resume)
    from wholenet.cells.best_of import Best, fit_cells, resume_cells  # imports torch

    if isinstance(started, CellConfig):
        found = fit_cells(started)
    else:
        found = resume_cells(started, data=args.moved, **_of_machine(given, CELL_MACHINE))
    if isinstance(found, Best):
        for number, error in enumerate(found.errors):
            print(f"search {number + 1}: error {100 * error:.1f} % after the short training")
    else:
        print(f"\nsupernet's error   {100 * found.error:5.1f} %   on {found.scored_on}")
        if found.sampled_error is not None:
            from wholenet.search.cell_folder import CellFolder

            of = f"the best of {CellFolder(found.run).search_config.samples} sampled architectures"
            print(f"best sampled       {100 * found.sampled_error:5.1f} %   error of {of}, with the supernet's weights")
        if found.test_error is not None:
            print(f"test error         {100 * found.test_error:5.1f} %")
        if found.control is not None:
            print(f"frozen-uniform     {100 * found.control.error:5.1f} %   error, {found.control.run}")
        if found.second_stage is not None:
            shown_errors = {"": found.second_stage.error, "test ": found.second_stage.test_error}
            told = ", ".join(f"{name}error {100 * e:.1f} %" for name, e in shown_errors.items() if e is not None)
            print(f"second stage       {told or 'trained'}   {found.second_stage.run}")
        print(f"open {found.run / 'search.png'}")
    if found.genotype is not None:
        print(f"open {found.run / 'cells.png'}")
        print(f"train it: wholenet retrain {found.run / 'genotype.yaml'} DATA --out RUN")


def _retrain(args: Namespace) -> None:
    given = _given(args, RETRAIN_OPTIONS)
    if args.print_config:
        _print_config(RetrainConfig(**{"data": "", "out": "", "genotype": "", **given}), "genotype")
        return
    if args.resume is None and not {"genotype", "data", "out"} <= set(given):
        raise ValueError("give a genotype, the data and a folder: `wholenet retrain GENOTYPE DATA --out RUN`")
    started = RetrainConfig(**given) if args.resume is None else str(args.resume)
    from wholenet.cells.retrain import resume_retrain, retrain  # imports torch

    if isinstance(started, RetrainConfig):
        found = retrain(started)
    else:
        found = resume_retrain(started, data=args.moved, **_of_machine(given, CELL_MACHINE))
    print(f"\nparameters   {found.parameters:,}")
    for name, error in (("validation", found.error), ("test", found.test_error)):
        if error is not None:
            print(f"{name + ' error':17}{100 * error:5.2f} %")


def _given(args: Namespace, known: Sequence[str]) -> dict[str, Any]:
    """The options that were typed, and those of files where they were not."""
    for name in ("config", "resume", "moved", "print_config"):
        args[name] = args.get(name)
    if args.print_config and args.resume is not None:
        raise ValueError(f"--print-config is for a run to be; {args.resume}/config.yaml has what this one was told")
    if args.moved is not None and args.resume is None:
        raise ValueError(
            "--data says where the data of a moved run is, with --resume RUN; for a new run, give DATA alone"
        )
    if args.config is not None or args.get("space") is not None:
        space = args.get("space") or options_in(args.config, None).get("space", "grid")
        known = [*known, *_settings_of(space)]
    typed = {name: args[name] for name in known if name in args and args[name] is not None}
    given = {**options_in(args.config, known), **typed}
    given.pop("task", None)
    return given


def _print_config(config: FitConfig | ClassifierConfig, *but: str) -> None:
    values = {name: value for name, value in asdict(config).items() if name not in ("data", "out", *but)}
    values |= values.pop("settings", {})
    print(yaml.safe_dump(values, sort_keys=False), end="")


def _of_machine(given: dict[str, Any], machine: Sequence[str]) -> dict[str, Any]:
    if changed := [name for name in given if name not in machine]:
        raise ValueError(
            f"--resume takes data and settings from the run, so {', '.join(changed)} cannot be given with it, only "
            f"{', '.join(f'--{name}' for name in machine)}; data that was moved is given as --data NEW"
        )
    return given


def _evaluate(args: Namespace) -> None:
    from rich.console import Console

    from wholenet.deploy.classifier import TrainedClassifier
    from wholenet.deploy.score import score, scores_to_dict
    from wholenet.report.data_check import printable
    from wholenet.report.progress import counted

    model = _loaded(args)
    if isinstance(model, TrainedClassifier):
        _evaluate_classifier(args, model)
        return
    tiling = _tiling(args)
    print(printable(how_read(args.data, "segmentation")))
    progress = counted(Console(stderr=True), "scoring")
    scores = score(model, args.data, args.split or "val", progress, args.max_megapixels, tiling)
    width = max(map(len, model.classes.names))
    for name, iou in zip(model.classes.names, scores.iou, strict=True):
        print(f"{name:{width}}  {'     -' if iou is None else f'{100 * iou:5.1f} %'}")
    print(
        f"{'mIoU':{width}}  {100 * scores.miou:5.1f} %   pixel accuracy {100 * scores.pixel_accuracy:.1f} %, "
        f"{scores.images} images"
    )
    _write_json(args.json, scores_to_dict(scores, model.classes.names))


def _loaded(args: Namespace) -> Any:
    """The model of any task; what is no size is refused before that takes its time."""
    from wholenet.api import load_any

    if args.tile is not None:
        parse_size(args.tile)
    return load_any(args.model, args.device)


def _tiling(args: Namespace) -> Tiling:
    from wholenet.deploy.tiles import Tiling

    tile = {} if args.tile is None else {"tile": parse_size(args.tile)}
    return Tiling(**tile, **({} if args.overlap is None else {"overlap": args.overlap}))


def _evaluate_classifier(args: Namespace, model: TrainedClassifier) -> None:
    from wholenet.api import evaluate_classifier
    from wholenet.report.data_check import printable

    if args.tile or args.overlap is not None:
        raise ValueError("--tile and --overlap are about masks; this is a classifier")
    print(printable(how_read(args.data, "classification")))
    scores = evaluate_classifier(model, args.data, args.split or "test", args.max_megapixels)
    width = max(map(len, (*model.classes, "accuracy")))
    for name, share in zip(model.classes, scores.per_class, strict=True):
        print(f"{name:{width}}  {'     -' if share is None else f'{100 * share:5.1f} %'}")
    print(
        f"{'accuracy':{width}}  {100 * scores.top1:5.1f} %   error {100 * scores.error:.2f} %, {scores.images} images"
    )
    _write_json(
        args.json,
        {
            "accuracy": scores.top1,
            "per_class": dict(zip(model.classes, scores.per_class, strict=True)),
            "images": scores.images,
        },
    )


def _classify(args: Namespace, model: TrainedClassifier) -> None:
    from rich.console import Console

    from wholenet.api import classify
    from wholenet.deploy.predict import SomeFailed
    from wholenet.report.progress import counted

    if args.overlay or args.cityscapes_submission or args.tile or args.overlap is not None:
        raise ValueError(
            "--overlay, --tile, --overlap and --cityscapes-submission are about masks; this is a classifier"
        )
    progress = counted(Console(stderr=True), "classifying")
    failed = None
    try:
        images = classify(model, args.images, args.out, progress, args.max_megapixels)
    except SomeFailed as some:
        images, failed = some.inputs - len(some.failed), some
    print(f"{images} images in {args.out}")
    _refuse(failed)


def _refuse(failed: SomeFailed | None) -> None:
    """Say what failed, and end with status 1."""
    if failed is not None:
        sys.stderr.write(f"wholenet predict: {failed}\n")
        raise SystemExit(1)


def _predict(args: Namespace) -> None:
    from rich.console import Console

    from wholenet.api import predict
    from wholenet.deploy.cityscapes_submission import write_cityscapes_submission
    from wholenet.deploy.classifier import TrainedClassifier
    from wholenet.deploy.predict import SomeFailed
    from wholenet.report.progress import counted

    if args.overlay and args.cityscapes_submission:
        raise ValueError(
            "--overlay writes a second picture of each frame, which the Cityscapes evaluator refuses; "
            "give --overlay and --cityscapes-submission in two calls with two --out folders"
        )
    model = _loaded(args)
    if isinstance(model, TrainedClassifier):
        _classify(args, model)
        return
    tiling = _tiling(args)
    progress = counted(Console(stderr=True), "predicting")
    failed = None
    try:
        if args.cityscapes_submission:
            written = write_cityscapes_submission(model, args.images, args.out, tiling=tiling, progress=progress)
        else:
            written = predict(
                model,
                args.images,
                args.out,
                overlay=args.overlay,
                tiling=tiling,
                progress=progress,
                max_megapixels=args.max_megapixels,
            )
    except SomeFailed as some:
        written, failed = some.written, some
    for folder in [path for path in written if path.is_dir()]:
        print(f"masks of each frame in {folder}")
    print(f"{sum(not path.is_dir() for path in written)} masks in {args.out}")
    _refuse(failed)


def _diagnose_search(args: Namespace, how: dict[str, Any]) -> None:
    from wholenet.api import diagnose_search
    from wholenet.report.data_check import printable

    if args.data is not None or args.out is not None or args.images is not None:
        raise ValueError("a search on a cell space is diagnosed on its own data; drop DATA, --out and --images")
    check_output(Path(args.run) / "diagnosis.json")
    print(printable(how_read(read_cell_config(Path(args.run) / "config.yaml").data, "classification")))
    found = diagnose_search(args.run, device=args.device, **how)
    print(f"highest eigenvalue {found.highest:10.4f}   (dominant, in {found.logits} logits)")
    print(f"lowest eigenvalue  {found.lowest:10.4f}")
    print(
        f"{found.images} images, BatchNorm by {found.batchnorm}, {found.products} products, both ends within "
        f"{found.tolerance:.0e} of the larger magnitude"
    )
    print(f"on {found.batch}")
    print(f"open {Path(args.run) / 'diagnosis.json'}")


def _diagnose(args: Namespace) -> None:
    how = {name: args[name] for name in ("batchnorm", "method", "tolerance") if args[name] is not None}
    if "tolerance" in how and args.method == "rows":
        raise ValueError("--tolerance is of the Lanczos iteration; --method rows finds the whole spectrum: give one")
    if is_cell_run(Path(args.run)):
        _diagnose_search(args, how)
        return
    if how:
        raise ValueError(
            f"--{next(iter(how))} is for a search on a cell space; of a segmentation run --curvature normalises by the "
            "batch, and iterates (Lanczos) to 0.001"
        )
    from rich.console import Console

    from wholenet.api import diagnose
    from wholenet.diagnostics.diagnosis import Diagnosis
    from wholenet.diagnostics.verdict import verdict
    from wholenet.report.data_check import printable
    from wholenet.report.diagnosis import check_diagnosis, table
    from wholenet.report.progress import counted

    config, out = Path(args.run) / "config.yaml", Path(args.out or Path(args.run) / "diagnosis")
    check_diagnosis(out)
    if args.data is not None or config.is_file():
        print(printable(how_read(args.data or read_config(config).data, "segmentation")))
    progress = counted(Console(stderr=True), "diagnosing")
    found = diagnose(
        args.run,
        args.data,
        args.out,
        images=args.images,
        curvature=args.curvature,
        device=args.device,
        progress=progress,
    )
    if not isinstance(found, Diagnosis):
        print("\n".join(["", *found.lines(), "", f"open {out / 'diagnosis.json'}"]))
        return
    print("\n".join(["", *table(found), "", *verdict(found), ""]))
    for name in ("diagnosis.png", "diagnosis.json", "genotype.yaml"):
        print(f"open {out / name}")


def _decode(args: Namespace) -> None:
    if args.tau is not None and args.decoding != "threshold":
        raise ValueError(f"--tau is for --decoding threshold alone; {args.decoding} does not look at it")
    from wholenet.api import decode

    genotype = decode(args.run, args.out, args.decoding, 0.5 if args.tau is None else args.tau)
    print(f"{genotype} in {args.out}")


def _export(args: Namespace) -> None:
    from wholenet.api import export
    from wholenet.report.data_check import printable

    if args.data is not None:
        print(printable(how_read(args.data, "segmentation")))
    check, price = export(args.model, args.out, args.format, args.data, drop_below=args.drop_below)
    if price is not None:
        print(
            f"{price.dropped} of {price.edges} edges dropped: {100 * price.miou_before:.1f} % mIoU before, "
            f"{100 * price.miou_after:.1f} % after, on {price.images} validation images"
        )
    print(
        f"{args.out}: on {check.inputs} random and real inputs logits differ by at most {check.max_abs_error:.1e} (of "
        f"{check.max_abs_logit:.3g}), and {100 * check.same_class:.3f} % of the pixels get the same class"
    )


def _study(args: Namespace) -> None:
    cells = args.name in CELL_STUDIES
    if cells and (args.data is None or args.make_coarse):
        raise ValueError(f"study {args.name} searches on labelled images: give --data CIFAR10, without --make-coarse")
    kind = CellSetting if cells else Setting
    setting = kind(
        scale=args.scale,
        data=args.data or "scenes",
        out=Path(args.out),
        seeds=args.seeds,
        jobs=args.jobs,
        make_coarse=args.make_coarse,
        overrides=tuple(_override(text, CellConfig if cells else FitConfig) for text in args.set),
    )
    from wholenet.studies.study import study  # imports torch

    result, page = study(args.name, setting)
    print()
    print(read_text(page))
    print(f"open {page}")
    if result.figure:
        print(f"open {setting.out / result.figure}")


def _sweep(args: Namespace) -> None:
    from wholenet.sweeps.plan import read_sweep  # imports torch

    if args.jobs and args.slurm:
        raise ValueError("--jobs is for runs on this machine; with --slurm the cluster decides how many run at once")
    plan = read_sweep(args.file, dict(_assignment(text) for text in args.set))
    from wholenet.report.data_check import printable
    from wholenet.sweeps.sweep import describe, submit, sweep

    for line in dict.fromkeys(how_read(run.config.data, run.task) for run in plan.runs):
        print(printable(line), file=sys.stderr)  # what a dry run prints can be pasted
    if args.dry_run:
        print("\n".join(describe(plan)))
        return
    if args.slurm:
        submit(plan)
        print(f"open {plan.out / 'sweep.md'} for what is done so far; the same command again submits what has failed")
        return
    failed = sweep(plan, args.jobs)
    print(f"\n{read_text(plan.out / 'sweep.md')}\nopen {plan.out / 'sweep.md'}")
    if failed:
        raise SystemExit(1)


def _assignment(text: str, known: Sequence[str] | None = None) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    name = name.strip().replace("-", "_")
    if not equals or (known is not None and name not in known):
        among = "" if known is None else f" with one of {', '.join(known)}"
        raise ValueError(f"--set {text[:SHOWN]}: expected NAME=VALUE{among}")
    try:
        return name, parse_yaml(value)
    except ValueError as error:
        raise ValueError(f"--set {name}: {error}") from error


def _override(text: str, config: type[FitConfig] | type[CellConfig]) -> tuple[str, Any]:
    return _assignment(text, [field.name for field in fields(config) if field.name not in ("data", "out", "seed")])


def _bench(args: Namespace) -> None:
    from wholenet.bench import bench

    bench(
        args.names,
        device=args.device,
        size=args.size,
        batch=args.batch,
        crop=args.crop,
        rounds=args.rounds,
        threads=args.threads,
        json_file=args.json,
    )


def _info(args: Namespace) -> None:
    in_cells = args.size in CELL_SPACES
    settings = {} if args.operations is None else {"operations": args.operations}
    if in_cells and settings:
        raise ValueError(f"--operations are of the grid's cells; the space {args.size!r} has its own table")
    if not in_cells:
        grid_size(args.size)
    height, width = parse_size(args.input or ("32x32" if in_cells else "1024x2048"))
    classes = args.classes if args.classes is not None else 10 if in_cells else 19
    from wholenet.spaces.count import count

    name = args.size if in_cells else f"grid-{args.size}"
    counts = count(name, num_classes=classes, height=height, width=width, **settings)
    print(f"{name}, {classes} classes, one image of {height}x{width}")
    print(f"parameters   {counts.parameters:14,}   (architecture parameters not included)")
    print(f"architecture {counts.architecture_parameters:14,}")
    print(f"FLOPs        {counts.flops / 1e9:14.3f} G (plain form, as papers count; 2 per multiply-add)")
    print(f"MACs         {counts.macs / 1e9:14.3f} G (plain form)")
    print(f"MACs merged  {counts.macs_merged / 1e9:14.3f} G (as run)")
    _write_json(args.json, vars(counts))


def _write_json(path: str | None, content: dict[str, Any]) -> None:
    if path is not None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(json.dumps(content, indent=2) + "\n")


COMMANDS = {
    "check-data": _check_data,
    "fit": _fit,
    "retrain": _retrain,
    "evaluate": _evaluate,
    "predict": _predict,
    "diagnose": _diagnose,
    "decode": _decode,
    "export": _export,
    "info": _info,
    "bench": _bench,
    "study": _study,
    "sweep": _sweep,
}
CLASSIFICATION = {"fit": _fit_cells}
"""What is another command where images are classified."""
