"""Every number that wholenet is told has two bounds, at its field, and they hold from Python and from the command line.

Nothing is listed here: classes, functions and options are found.
"""

import dataclasses
import importlib
import inspect
import math
import pkgutil
from itertools import product
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

import wholenet
from wholenet import api, inspection, old_names, trained
from wholenet.arguments import Typed
from wholenet.checked import bounds_of, check, checked, names_of
from wholenet.cli import build_parser
from wholenet.deploy.tiles import Tiling
from wholenet.files import SHOWN
from wholenet.jobs.language import LanguageSettings
from wholenet.jobs.stereo import StereoSettings
from wholenet.search.cell_config import CellConfig
from wholenet.search.classifier_config import RetrainConfig
from wholenet.search.config import FitConfig
from wholenet.search.task_config import TaskConfig
from wholenet.spaces.autodeeplab.space import AutoDeepLabSettings
from wholenet.spaces.autodispnet.space import AutoDispNetSettings
from wholenet.spaces.catalog import create_model
from wholenet.spaces.cell_space import CellSettings
from wholenet.spaces.dense_space import DenseGridSettings
from wholenet.spaces.device_table import DeviceTable
from wholenet.spaces.dots.space import DotsSettings
from wholenet.spaces.grid_space import GridSettings
from wholenet.spaces.nb201.space import Nb201Settings
from wholenet.spaces.recurrent.space import RecurrentSettings
from wholenet.spaces.space import Facts, Spec
from wholenet.studies.setting import CellSetting, Setting
from wholenet.studies.task_setting import TaskSetting
from wholenet.sweeps.plan import SweepFile

PLACES = {"data": "x", "out": "y"}
BESIDE = {
    FitConfig: {
        ("warmup_share", 1): {"search_share": 0.0},
        ("search_share", 1): {"warmup_share": 0.0},
        ("scale_min", 100): {"scale_max": 100},
        ("scale_max", 0.01): {"scale_min": 0.01},
        ("decoding_tau", 0): {"protocol": "two-stage"},
        ("decoding_tau", 1): {"protocol": "two-stage"},
        ("retrain_epochs", 1_000_000): {"protocol": "two-stage"},
        ("focal_gamma", 0): {"loss": "focal"},
        ("focal_gamma", 10): {"loss": "focal"},
    },
    TaskConfig: {
        ("warmup_share", 1): {"search_share": 0.0},
        ("search_share", 1): {"warmup_share": 0.0},
        ("decoding_tau", 0): {"protocol": "two-stage", "retrain_epochs": 1},
        ("decoding_tau", 1): {"protocol": "two-stage", "retrain_epochs": 1},
        ("retrain_epochs", 1_000_000): {"protocol": "two-stage"},
    },
    CellConfig: {
        ("warmup_share", 1): {"architecture": "uniform"},
        ("search_share", 0): {"architecture": "uniform"},
        ("groups", 2048): {"channels": 4096},
        ("epochs_before", 1_000_000): {"space": "dots"},
        ("stage", 15): {"stages": 16},
    },
}
"""What else a config needs where a field is at its end."""
MADE = {
    FitConfig: PLACES,
    CellConfig: PLACES,
    RetrainConfig: {**PLACES, "genotype": "darts-v1"},
    Setting: {"scale": "cpu", "data": "scenes", "out": Path("x")},
    CellSetting: {"scale": "cpu", "data": "x", "out": Path("x")},
    TaskSetting: {"scale": "cpu", "data": "x", "out": Path("x")},
    SweepFile: PLACES,
    Tiling: {},
    GridSettings: {},
    AutoDeepLabSettings: {},
    DotsSettings: {},
    Nb201Settings: {},
    DenseGridSettings: {"layers": 100, "filters": 128},
    RecurrentSettings: {},
    AutoDispNetSettings: {},
    LanguageSettings: {},
    StereoSettings: {},
    TaskConfig: {"data": "d", "out": "o", "task": "mine", "space": "s2"},
    CellSettings: {},
    Facts: {"outputs": 2},
    Spec: {"space": "grid", "settings": {}, "outputs": 2},
    DeviceTable: {
        **{"device": "d", "torch": "2.0", "threads": 1, "clock": "cpu", "date": "2026-11-29"},
        **{"height": 32, "width": 32, "space": "grid", "settings": {}, "outputs": 2, "channels": 3},
        **{"units": {}, "checks": []},
    },
}


def of_package(found):
    """What the modules of the package define, as far as ``found`` takes it."""
    for module in pkgutil.walk_packages(wholenet.__path__, "wholenet."):
        if "triton" in module.name or module.name.endswith("__main__"):
            continue
        for value in vars(importlib.import_module(module.name)).values():
            if getattr(value, "__module__", None) == module.name and found(value):
                yield value


def is_number(hint):
    return bool({"int", "float"} & set(names_of(hint))) and bool not in (hint, *get_args(hint))


def ends(hint):
    """(what is just inside, what is just outside) of both ends of a field."""
    bounds = bounds_of(hint)
    whole = "int" in names_of(hint)
    for end, left_out, towards in ((bounds.low, bounds.above, -1), (bounds.high, bounds.below, 1)):
        number = int(end) if whole else float(end)
        if whole:
            assert not left_out
            yield number, number + towards
        else:
            yield (
                math.nextafter(number, -towards * math.inf) if left_out else number,
                number if left_out else math.nextafter(number, towards * math.inf),
            )


CASES = [
    (cls, name)
    for cls in MADE
    for name, hint in get_type_hints(cls, include_extras=True).items()
    if bounds_of(hint) is not None
]


def test_all_checked_classes_are_here():
    found = set(of_package(lambda value: inspect.isclass(value) and hasattr(value, "__pydantic_fields__")))
    assert found <= {base for cls in MADE for base in cls.__mro__}
    assert len(CASES) > 80


def test_no_number_of_a_checked_class_lacks_a_bound():
    for cls in MADE:
        for name, hint in get_type_hints(cls, include_extras=True).items():
            bounds = bounds_of(hint)
            assert not is_number(hint) or (bounds is not None and None not in (bounds.low, bounds.high)), name


@pytest.mark.parametrize("cls", MADE, ids=lambda cls: cls.__name__)
def test_a_number_at_its_end_is_taken_and_one_beyond_is_refused_by_name(cls):
    hints = get_type_hints(cls, include_extras=True)
    for name in [name for of, name in CASES if of is cls]:
        for inside, outside in ends(hints[name]):
            given = {**MADE[cls], **BESIDE.get(cls, {}).get((name, inside), {}), name: inside}
            if (cls, name) != (Tiling, "overlap") or not inside:  # the rest is about the tile
                assert getattr(cls(**given), name) == inside
            with pytest.raises(ValueError, match=f"^{name}={outside!r}: expected ".replace("+", r"\+")):
                cls(**{**given, name: outside})


def test_the_command_line_has_the_same_bounds():
    seen = 0
    for task in ("segmentation", "classification"):
        parser = build_parser(task)
        commands = next(action for action in parser._actions if action.dest == "command").choices
        for command, sub in commands.items():
            for action in sub._actions:
                of_jsonargparse = getattr(action, "_typehint", None)  # which would read it as YAML
                assert of_jsonargparse is None or not is_number(of_jsonargparse), f"{command} {action.option_strings}"
                assert type(action.default) not in (int, float) or isinstance(action.type, Typed)
                if not isinstance(action.type, Typed) or not is_number(action.type.kind):
                    continue
                assert bounds_of(action.type.kind) is not None, action.option_strings
                seen += 1
                for inside, outside in ends(action.type.kind):
                    assert action.type(repr(inside)) == inside
                    with pytest.raises(Exception, match=f"--{action.dest.replace('_', '-')}="):
                        action.type(repr(outside))
    assert seen > 100


def test_the_verbs_for_python_have_bounds_and_check_them():
    homes = [module.__name__ for module in (api, trained, inspection, old_names)]
    verbs = [f for f in vars(api).values() if inspect.isfunction(f) and f.__module__ in homes]
    verbs = [f for f in [*verbs, create_model] if not f.__name__.startswith("_")]
    seen = 0
    for verb in verbs:
        hints = get_type_hints(verb, include_extras=True)
        for name, parameter in inspect.signature(verb).parameters.items():
            if parameter.kind is parameter.VAR_KEYWORD or not is_number(hints[name]):
                continue
            seen += 1
            required = {n: None for n, p in inspect.signature(verb).parameters.items() if p.default is p.empty}
            required = {n: v for n, v in required.items() if n != "options"}
            for _, outside in ends(hints[name]):
                with pytest.raises(ValueError, match=f"^{name}=.*: expected"):
                    verb(**{**{n: 2 if is_number(hints[n]) else "nowhere" for n in required}, name: outside})
    assert seen >= 9


@pytest.mark.parametrize(
    ("name", "value"),
    [("lr", math.nan), ("lr", math.inf), ("lr", True), ("lr", "1"), ("seed", True), ("seed", "3"), ("seed", 3.0)],
)
def test_what_is_no_number_of_its_type_is_refused(name, value):
    expected = (
        "a finite number"
        if isinstance(value, float) and not math.isfinite(value)
        else {"lr": "float", "seed": "int"}[name]
    )
    with pytest.raises(ValueError, match=f"^{name}=.*: expected {expected}"):
        FitConfig(**PLACES, **{name: value})


def test_a_whole_number_will_do_for_a_real_one_and_stays_what_it_is():
    config = FitConfig(**PLACES, lr=1)
    assert type(config.lr) is int
    assert type(dataclasses.replace(config, seed=3).lr) is int


def test_what_is_huge_fits_in_a_message():
    huge = (10**5000, -(10**5000), [10**5000], "9" * 10**6, [[[]]] * 10**5)
    for name, value in product(("seed", "lr", "size", "crop"), huge):
        with pytest.raises(ValueError, match=f"{name}=|is not a size") as error:
            FitConfig(**PLACES, **{name: value})
        assert len(str(error.value)) < 6 * SHOWN


def test_several_errors_are_told_at_once_and_names_near_an_unknown_one():
    with pytest.raises(ValueError, match=r"^epochs=0: expected at least 1; lr=-1: expected above 0$"):
        FitConfig(**PLACES, epochs=0, lr=-1)
    with pytest.raises(ValueError, match=r"unknown field 'epocs' \(did you mean epochs\?\); known: data, out"):
        FitConfig(**PLACES, epocs=3)
    with pytest.raises(ValueError, match=r"^data, out missing; give them values$"):
        FitConfig()


def test_a_subclass_has_its_parents_fields_checked_and_words_of_its_own():
    @checked
    class Own(RetrainConfig):
        def __post_init__(self):
            raise ValueError("in our words")

    with pytest.raises(ValueError, match=r"^in our words$"):
        Own(**MADE[RetrainConfig])
    with pytest.raises(ValueError, match=r"^batch=0: expected at least 1$"):
        Own(**MADE[RetrainConfig], batch=0)


def test_a_check_gives_the_value():
    (kind,) = [hint for name, hint in get_type_hints(FitConfig, include_extras=True).items() if name == "lr"]
    assert check("lr", "1e-3", kind, strict=False) == 1e-3
