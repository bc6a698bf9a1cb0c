"""Commands are functions: what their parsers take follows from signatures, type hints and docstrings."""

import dataclasses
import inspect
from typing import Annotated, Any, Literal

import docstring_parser
import pytest

from wholenet.checked import Share
from wholenet.cli import build_parser, main
from wholenet.commands.asked import asked, named_modules
from wholenet.commands.catalog import CLASSIFICATION, COMMANDS
from wholenet.search.cell_config import CellConfig
from wholenet.search.classifier_config import RetrainConfig
from wholenet.search.config import FitConfig
from wholenet.search.option_groups import FIRST, GROUPS
from wholenet.signatures import Fields, Shown, parser_of

CONFIGS = (FitConfig, CellConfig, RetrainConfig)


def fields_of(config):
    return {field.name for field in dataclasses.fields(config)}


def mix(
    first: str,
    rest: list[str],
    *,
    kind: Literal["a", "b"] = "a",
    other: Literal["c", "d"] | None = None,
    part: Share | None = None,
    loud: bool = False,
    set_: Annotated[list[str], Shown(option="set", metavar="NAME=VALUE")] = [],  # noqa: B006
    out: str,
) -> None:
    """Mix things.

    Args:
        first: The first word.
        rest: The other
            words.
        kind: Which.
        other: Which else.
        part: How much.
        loud: Whether to shout.
        set_: More.
        out: Where to.
    """


def test_a_signature_makes_a_parser(capsys):
    parser = parser_of(mix)
    found = parser.parse_args(["x", "y", "z", "--out", "o", "--part=0.5", "--loud", "--set", "a=1", "--set=b=2"])
    assert vars(found) == {
        "first": "x",
        "rest": ["y", "z"],
        "kind": "a",
        "other": None,
        "part": 0.5,
        "loud": True,
        "set_": ["a=1", "b=2"],
        "out": "o",
    }
    for words, said in (
        (["x", "y"], "required: out"),
        (["x", "--out", "o"], "required: rest"),
        (["x", "y", "--out=o", "--part=2"], "--part=2: expected a share in [0, 1]"),
        (["x", "y", "--out=o", "--kind=c"], "'a', 'b'"),
        (["x", "y", "--out=o", "--other=a"], "'c', 'd'"),
    ):
        with pytest.raises(SystemExit) as stop:
            parser.parse_args(words)
        assert stop.value.code == 2
        assert said in capsys.readouterr().err
    told = " ".join(parser.format_help().split())
    for text in ("Mix things.", "The other words.", "--set NAME=VALUE More.", "float, a share in [0, 1]"):
        assert text in told


@pytest.mark.parametrize("command", [*COMMANDS.values(), *CLASSIFICATION.values()], ids=lambda one: one.__name__)
def test_every_parameter_of_a_command_is_explained(command):
    told = docstring_parser.parse(inspect.getdoc(command))
    named = [name for name, one in inspect.signature(command).parameters.items() if one.kind is not one.VAR_KEYWORD]
    assert [part.arg_name for part in told.params] == named
    assert all(part.description for part in told.params)


# ---- groups


def test_every_field_of_every_config_is_in_exactly_one_group_and_no_other_name_is():
    listed = [name for names in GROUPS.values() for name in names]
    assert len(listed) == len(set(listed))
    assert set(listed) == set().union(*map(fields_of, CONFIGS))
    assert set(listed) > FIRST


def helped(capsys, *words):
    with pytest.raises(SystemExit) as stop:
        main([*words])
    assert stop.value.code == 0
    return capsys.readouterr().out


def options_in(text):
    """The options that a help explains, as they are called in Python."""
    return {line.split()[0][2:].replace("-", "_") for line in text.splitlines() if line.startswith("  --")}


@pytest.mark.parametrize(
    ("words", "config", "others"),
    [
        (["fit"], FitConfig, {"settings"}),
        (["fit", "--task=classification"], CellConfig, set()),
        (["retrain"], RetrainConfig, {"genotype"}),
    ],
)
def test_help_shows_a_dozen_options_and_help_all_all_of_them_under_the_headings_of_their_groups(
    words, config, others, capsys
):
    short, full = helped(capsys, *words, "--help"), helped(capsys, *words, "--help-all")
    fields = fields_of(config) - others - {"data", "out"}
    own = {"help_all", "out", "resume", "config"} | ({"task"} if words[0] == "fit" else set())
    own |= {"minutes", "preset", "plan_only"} if config is FitConfig else set()
    assert options_in(short) == own | (fields & FIRST)
    assert options_in(full) == own | {"data", "print_config"} | fields
    assert 8 <= len(fields & FIRST) <= 13
    for text, names in ((short, fields & FIRST), (full, fields)):
        headings = [line[:-1] for line in text.splitlines() if line.removesuffix(":") in GROUPS and line[-1] == ":"]
        assert headings == [heading for heading, of in GROUPS.items() if set(of) & names]
    hidden = len(options_in(full)) - len(options_in(short))
    assert f"{hidden} more options are shown by --help-all." in short
    assert "more options" not in full


def test_a_group_whose_fields_are_no_options_has_no_heading():
    def small(**options: Annotated[Any, Fields(RetrainConfig, but=("lr", "genotype"))]) -> None:
        """Small."""

    told = parser_of(small).format_help()
    assert "--lr " not in told
    assert "Early stopping" not in told
    assert "--epochs" in told


def test_a_field_that_is_in_no_group_is_an_option_all_the_same():
    @dataclasses.dataclass
    class Foreign:
        """Somebody else's."""

        epochs: int = 1
        """How long."""
        tempo: int = 3
        """How fast."""

    def play(**options: Annotated[Any, Fields(Foreign)]) -> None:
        """Play."""

    parser = parser_of(play)
    assert vars(parser.parse_args(["--tempo", "5"])) == {"epochs": 1, "tempo": 5}
    assert parser.format_help().index("Training:") < parser.format_help().index("More:")


# ---- the first pass


def test_the_first_pass_takes_modules_and_files_and_leaves_the_rest_in_order(tmp_path):
    words = ["--import", "a", "fit", "x", "--lr", "1", "--import=b", "--control=true"]
    assert named_modules(words) == (["a", "b"], ["fit", "x", "--lr", "1", "--control=true"])
    (tmp_path / "o.yaml").write_text("epochs: 3\nspace: s2\n")
    found = asked(["fit", "scenes", f"--config={tmp_path / 'o.yaml'}", "--epochs", "2"])
    assert (found.words, found.task, found.space) == (["fit", "scenes", "--epochs", "2"], "classification", "s2")
    assert found.files.values == {"epochs": 3, "space": "s2"}
    assert asked(["evaluate", "--config", "x"]).words == ["evaluate", "--config", "x"]


def test_the_value_of_an_option_is_not_taken_for_the_data(tmp_path, patches, discs):
    for words in (
        ["fit", "--out", str(discs), str(patches)],
        ["fit", "--channels", "4", "--lr", "0.1", "--genotype", str(discs), str(patches), "--print_config"],
        ["fit", "--print_config", str(patches)],
    ):
        assert asked(words).task == "classification"
    assert asked(["fit", "--out", str(patches), "--lr", "1"]).task == "segmentation"
    (tmp_path / "o.yaml").write_text(f"data: {patches}\n")
    assert asked(["fit", "--config", str(tmp_path / "o.yaml")]).task == "classification"
    assert asked(["fit", str(patches), "--task=segmentation"]).task == "segmentation"
    assert asked(["fit", str(discs), "--space", "s1"]).task == "classification"


def test_data_or_a_space_of_a_task_of_its_own_say_which_it_is():
    for words in (["planes", "--space", "grid"], ["planes", "--space", "s1"], ["nothing", "--space", "autodispnet"]):
        assert asked(["fit", *words]).task == "stereo"
    assert asked(["fit", "planes", "--space", "grid"]).space == "grid"  # which the task refuses
    assert asked(["fit", "planes"]).space == "autodispnet"
    assert asked(["fit", "scenes", "--space", "recurrent"]).task == "language"
    assert asked(["fit", "planes", "--space", "s1", "--task", "classification"]).task == "classification"


def test_a_file_of_options_is_read_once(tmp_path, monkeypatch, capsys):
    from wholenet import option_files

    opened = []
    real = option_files.read_yaml
    monkeypatch.setattr(option_files, "read_yaml", lambda file: opened.append(file) or real(file))
    (tmp_path / "o.yaml").write_text("epochs: 3\n")
    main(["fit", "scenes", "--print-config", f"--config={tmp_path / 'o.yaml'}"])
    assert "epochs: 3" in capsys.readouterr().out
    assert opened == [str(tmp_path / "o.yaml")]


def test_all_commands_are_listed_with_what_they_do(capsys):
    told = " ".join(helped(capsys, "--help").split())
    for name in COMMANDS:
        assert name in told
    assert "Count the parameters and the arithmetic of a supernet." in told
    assert set(COMMANDS) == set(commands_of(build_parser()))


def commands_of(parser):
    return next(one for one in parser._actions if one.dest == "command").choices


@pytest.mark.parametrize("name", ["fit", "retrain", "evaluate"])
def test_behind_the_name_of_a_command_no_other_is_made(name):
    alone, every = build_parser(first=name), build_parser()
    assert list(commands_of(alone)) == [name]
    assert commands_of(alone)[name].format_help() == commands_of(every)[name].format_help()
    assert set(commands_of(build_parser(first="--help"))) == set(COMMANDS)
