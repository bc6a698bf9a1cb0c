"""One kind of model folder: what a task writes is what it reads, in every format; nothing in a config is believed."""

import json
import math
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args, get_origin, get_type_hints

import numpy as np
import pytest
import torch
from torch import nn

import wholenet
from old_folders import build
from wholenet import api
from wholenet.checked import Channels, bounds_of, checked
from wholenet.data.sample import Classes
from wholenet.deploy.answer import AnswerKind
from wholenet.deploy.classifier import MAX_SIDE, classification_answer
from wholenet.deploy.model_folder import ANSWERS, load_model, save_model
from wholenet.deploy.segmenter import TrainedModel, segmentation_answer
from wholenet.file_keys import check_keys
from wholenet.spaces.catalog import SPACES, create_model
from wholenet.spaces.darts_genotype import PUBLISHED
from wholenet.spaces.decoding import decode
from wholenet.spaces.space import Space, Spec
from wholenet.tasks.segmentation import predict_mask

CLASSES = Classes(("sky", "ground"), ((0, 0, 255), (0, 255, 0)), values=(3, 7), ignore_values=(255, 9))
MASKS = segmentation_answer(CLASSES, {"val_share": 0.2, "seed": 5})
LABELS = classification_answer(("a", "b"), (0.5, 0.4, 0.3), (0.2, 0.1, 0.3), (16, 24))
CELLS = {"channels": 4, "cells": 3}
GRID = create_model("grid-nano", num_classes=2)
MODELS = {
    "grid": ("segmentation", lambda: create_model("grid-nano", num_classes=2, activation="relu6")),
    "grid, gates": ("segmentation", lambda: create_model("grid-nano", num_classes=2, relaxation="sigmoid")),
    "grid, given": ("segmentation", lambda: create_model("grid-nano", num_classes=2, relaxation="given")),
    "grid, discrete": (
        "segmentation",
        lambda: create_model("grid-nano", num_classes=2, genotype=decode(GRID.arch(), "best-path")),
    ),
    **{
        name: ("classification", lambda name=name: create_model(name, num_classes=2, affine=True, **CELLS))
        for name in ("darts", "s1", "s2", "s3", "s4")
    },
    "cells, discrete": (
        "classification",
        lambda: create_model("darts", num_classes=2, genotype=PUBLISHED["darts-v2"], **CELLS),
    ),
}
FEW = ("grid", "grid, discrete", "s2", "cells, discrete")


def saved(name, path):
    """(its task, the model called so, its folder)."""
    task, make = MODELS[name]
    torch.manual_seed(0)
    model = make().eval()
    save_model(path, task, model, MASKS if task == "segmentation" else LABELS, {"epochs": 3, "error": None})
    return task, model, path


def answered(loaded):
    """What a model predicts for some image."""
    image = np.random.default_rng(0).integers(0, 256, (37, 50, 3), dtype=np.uint8)
    return loaded.predict(image) if isinstance(loaded, TrainedModel) else loaded.predict([image])


# ---- written and read


@pytest.mark.parametrize("name", MODELS)
def test_what_is_written_is_read_back_as_it_was(name, tmp_path):
    task, model, folder = saved(name, tmp_path / "m")
    config = json.loads((folder / "config.json").read_text())
    assert list(config) == ["format", "task", "model", "answer", "facts", "weights_sha256"]
    assert (config["format"], config["task"]) == (3, task)
    assert config["answer"] == (MASKS if task == "segmentation" else LABELS)
    others = (load_model(folder, task=task), wholenet.load(folder, device="cpu")) if name in FEW else ()
    for loaded in (first := load_model(folder), *others):
        assert loaded.network.spec == model.spec
        assert not loaded.network.training
        state = model.state_dict()
        assert loaded.network.state_dict().keys() == state.keys()
        assert all(torch.equal(value, state[key]) for key, value in loaded.network.state_dict().items())
        if task == "segmentation":
            assert (loaded.classes, loaded.held_out) == (CLASSES, {"val_share": 0.2, "seed": 5})
        else:
            assert [loaded.classes, loaded.size] == [("a", "b"), (16, 24)]
            assert {"mean": list(loaded.mean), "std": list(loaded.std)} == LABELS["normalization"]
    x = torch.randn(2, 3, 32, 32)
    found = []
    for network in (first.network, model.placed(torch.device("cpu"))):
        torch.manual_seed(1)  # S4 offers noise, drawn in the order of memory
        with torch.no_grad():
            found.append(network(x))
    torch.testing.assert_close(*found)


def test_the_readme_says_what_it_is(tmp_path):
    for name in FEW:
        task, model, folder = saved(name, tmp_path / "m")
        lines = (folder / "README.md").read_text().splitlines()
        assert lines[0] == f"# A wholenet {ANSWERS[task].model}"
        assert {f"- model: {model.spec.model_name}", "- epochs: 3"} < set(lines)
        assert any(line.startswith("- genotype: ") for line in lines) == model.discrete


def older(config):
    """A config as the versions before format 3 wrote it."""
    spec, answer = config["model"], config["answer"]
    settings = dict(spec["settings"])
    plain = {"num_classes": spec["outputs"], "in_channels": spec["channels"]}
    rest = {"relaxation": spec["relaxation"], "genotype": spec["genotype"]}
    kept = {"facts": config["facts"], "weights_sha256": config["weights_sha256"]}
    if config["task"] == "segmentation":
        model = {"name": f"{spec['space']}-{settings.pop('size')}", **plain, **settings, **rest}
        return {"format": 2, "model": model, **answer, **kept}
    model = {"space": spec["space"], **plain, **settings, **rest}
    return {"format": 1, "task": "classification", "model": model, **answer, **kept}


@pytest.mark.parametrize("name", FEW)
def test_all_formats_of_the_same_weights_answer_the_same(name, tmp_path):
    _, model, folder = saved(name, tmp_path / "m")
    expected, file = load_model(folder), folder / "config.json"
    config = json.loads(file.read_text())
    for checksum in (True, False):  # the earliest had none
        old = older(config)
        old = old if checksum else {key: value for key, value in old.items() if key != "weights_sha256"}
        file.write_text(json.dumps(old))
        found = load_model(folder)
        assert type(found) is type(expected)
        assert found.network.spec == model.spec
        assert np.array_equal(answered(found), answered(expected))
    file.write_text(json.dumps(older(config)))
    damaged = bytearray((folder / "model.safetensors").read_bytes())
    damaged[-1] ^= 1
    (folder / "model.safetensors").write_bytes(damaged)
    with pytest.raises(ValueError, match="SHA-256"):
        load_model(folder)


@pytest.mark.parametrize("name", ["single-stage", "two-stage", "search", "retrain"])
def test_a_folder_of_an_earlier_version_is_written_in_the_new_format_and_answers_the_same(name, tmp_path):
    run = build(name, tmp_path)
    old = load_model(run)
    if isinstance(old, TrainedModel):
        save_model(tmp_path / "new", "segmentation", old.network, segmentation_answer(old.classes, old.held_out), {})
    else:
        answer = classification_answer(old.classes, old.mean, old.std, old.size)
        save_model(tmp_path / "new", "classification", old.network, answer, {})
    new = load_model(tmp_path / "new")
    assert new.network.spec == old.network.spec
    assert np.array_equal(answered(new), answered(old))


@pytest.mark.parametrize("name", FEW)
def test_what_is_wrong_with_an_old_config_is_said_as_with_a_new_one(name, tmp_path):
    """Every value that it has is moved to where it is checked, or checked before."""
    _, _, folder = saved(name, tmp_path / "m")
    file = folder / "config.json"
    old = older(json.loads(file.read_text()))
    for path in paths(old):
        if path[0] in ("facts", "weights_sha256", "task") or path[:2] == ("model", "genotype"):
            continue
        refused(file, changed(old, path, DROPPED), path)
        for wrong in of_other_types(at(old, path)):
            refused(file, changed(old, path, wrong), path)


# ---- nothing is believed

DROPPED = object()


def paths(config, start=()):
    """The way to every value of a config that has a name, a number of a list, or both."""
    for key, value in config.items() if isinstance(config, dict) else enumerate(config):
        path = (*start, key)
        yield path
        if path[-1] in ("facts", "classes", "inputs", "cells", "kernels", "normal", "reduce"):
            continue  # people's own; the forms of a class file and of a genotype, which have tests of their own
        if isinstance(value, dict | list):
            yield from paths(value, path)


def at(config, path):
    for key in path:
        config = config[key]
    return config


def changed(config, path, value):
    config = json.loads(json.dumps(config))
    part = at(config, path[:-1])
    if value is DROPPED:
        del part[path[-1]]
    else:
        part[path[-1]] = value
    return config


def of_other_types(value):
    number = isinstance(value, int | float) and not isinstance(value, bool)
    for other in (None, True, 3, 2.5, "x", [], ["x"], {}, {"x": 1}):
        is_number = isinstance(other, int | float) and not isinstance(other, bool)
        alike = number and is_number and (isinstance(value, float) or isinstance(other, int))
        if type(other) is not type(value) and not alike:
            yield other


def refusal(folder):
    try:
        load_model(folder)
    except ValueError as error:
        return str(error)
    return ""


def refused(file, config, path):
    file.write_text(json.dumps(config))
    said = refusal(file.parent)
    assert said, f"{path} is taken as it is in {config}"
    assert str(file.parent) in said, path
    assert "config.json" in said, path
    assert len(said) < 1500


OPTIONAL = {("weights_sha256",), ("model", "genotype", "decoding")}
"""Who alters weights takes the checksum out; how a genotype was made is for people."""


@pytest.fixture(params=FEW)
def folder(request, tmp_path):
    return saved(request.param, tmp_path / "m")[2]


def test_a_field_that_is_missing_or_unknown_is_refused(folder):
    file = folder / "config.json"
    config = json.loads(file.read_text())
    assert len(list(paths(config))) > 20
    for path in paths(config):
        if path not in OPTIONAL and not isinstance(at(config, path[:-1]), list):
            refused(file, changed(config, path, DROPPED), path)
        if isinstance(at(config, path), dict) and path not in (("facts",), ("model", "genotype")):
            refused(file, changed(config, (*path, "more"), 1), path)
    refused(file, {**config, "more": 1}, ())


def test_a_field_of_another_type_is_refused(folder):
    file = folder / "config.json"
    config = json.loads(file.read_text())
    supernet = config["model"]["genotype"] is None
    for path in paths(config):
        for wrong in of_other_types(at(config, path)):
            if path == ("model", "genotype", "decoding") or (path == ("model", "genotype") and wrong is None):
                continue
            assert not supernet or path != ("model", "genotype") or wrong is not None
            refused(file, changed(config, path, wrong), path)


def beyond(hint):
    """Values that a field of this type may not have."""
    bounds = bounds_of(hint)
    if bounds is not None:
        yield from (bounds.low - 1, bounds.high + 1, 10**30)
    elif get_origin(hint) is Literal:
        yield from ("", "x", get_args(hint)[0].upper(), "../../etc", "x" * 10**6)


def test_a_value_out_of_bounds_is_refused(folder):
    file = folder / "config.json"
    config = json.loads(file.read_text())
    hints: dict[tuple[str, ...], Any] = {
        ("model", name): hint for name, hint in get_type_hints(Spec, include_extras=True).items()
    }
    settings = SPACES[config["model"]["space"]].settings
    hints |= {("model", "settings", name): hint for name, hint in get_type_hints(settings, include_extras=True).items()}
    cases = {path: list(beyond(hint)) for path, hint in hints.items()}
    cases |= {
        ("format",): [0, 1, 2, 4, 10**30],
        ("task",): ["", "x", "x" * 10**6],
        ("model", "space"): ["", "x", "x" * 10**6],
        ("model", "relaxation"): ["", "x", "x" * 10**6],
        ("weights_sha256",): ["", "0" * 64],
    }
    infinite = [math.nan, math.inf, -math.inf]
    if config["task"] == "segmentation":
        cases |= {
            ("answer", "held_out", "val_share"): [-0.1, 1.1, *infinite],
            ("answer", "held_out", "seed"): [-1, 2**63, 10**30],
        }
    else:
        cases |= {("answer", "size", i): [-1, 0, MAX_SIDE + 1, 10**30] for i in range(2)}
        cases |= {("answer", "normalization", "std", i): [0, -1.0, *infinite] for i in range(3)}
    cases[("answer", "normalization", "mean", 1)] = [*infinite, 10**400]
    assert sum(map(len, cases.values())) > 25
    for path, wrongs in cases.items():
        for wrong in wrongs:
            refused(file, changed(config, path, wrong), path)


@pytest.mark.parametrize("name", FEW)
def test_a_config_of_the_other_task_is_refused(name, tmp_path):
    task, _, folder = saved(name, tmp_path / "m")
    file = folder / "config.json"
    config = json.loads(file.read_text())
    (other,) = {"segmentation", "classification"} - {task}
    refused(file, {**config, "task": other}, ("task",))
    answer = LABELS if task == "segmentation" else MASKS
    refused(file, {**config, "answer": answer}, ("answer",))
    refused(file, {**config, "task": other, "answer": answer}, ("task",))  # of a network that has no such answer


# ---- what would not be read is not written


@pytest.mark.parametrize(
    ("task", "answer", "expected"),
    [
        ("classification", LABELS | {"classes": ["a", "b", "c"]}, "2 outputs and 3 input channels; expected 3 and 3"),
        ("classification", LABELS | {"classes": ["a", "b\x1b[2J"]}, "expected text without control characters"),
        ("classification", LABELS | {"size": [16]}, "expected at least 2 values"),
        ("classification", MASKS, "classes=.*: expected list, found dict"),
        ("clasification", LABELS, "unknown task 'clasification'; did you mean 'classification'"),
    ],
)
def test_what_could_not_be_read_again_is_not_written(task, answer, expected, tmp_path):
    _, model, folder = saved("s2", tmp_path / "m")
    before = {path: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(ValueError, match=f"config.json.*{expected}"):
        save_model(folder, task, model, answer, {})
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


# ---- spaces and tasks of others


@checked
class Width:
    width: Channels = 4


class Pixels(nn.Module):
    """Outputs for every pixel, of a mixture of two convolutions."""

    where: str | None = "cpu"

    def __init__(self, outputs, channels, width):
        super().__init__()
        self.masks = {"which": torch.ones(1, 2, dtype=torch.bool, device=self.where)}
        self.first = nn.Conv2d(channels, width, 3, padding=1)
        self.options = nn.ModuleList([nn.Conv2d(width, outputs, k, padding=k // 2) for k in (1, 3)])

    def forward(self, x, weights):
        h = self.first(x)
        return sum(w * option(h) for w, option in zip(weights["which"][0], self.options, strict=True))


@dataclass(frozen=True)
class TrainedDepths:
    network: nn.Module
    far: float
    device: torch.device


def read_depths(values, where):
    check_keys(values, {"far": float}, where, only=True)
    return values["far"]


DEPTH = AnswerKind(
    model="network of depths",
    read=read_depths,
    outputs=lambda far: 1,
    channels=lambda _: 4,
    predictor=TrainedDepths,
    card=lambda far: [f"- depths up to {far} m"],
)


def test_a_space_of_a_user_has_models_of_each_task(tmp_path):
    space = Space(name="mine", settings=Width, build=lambda s, facts, _: Pixels(facts.outputs, facts.channels, s.width))
    SPACES.add("mine", space)
    try:
        model = create_model("mine", num_classes=2).eval()
        save_model(tmp_path / "m", "segmentation", model, MASKS, {})
        image = np.random.default_rng(0).integers(0, 256, (9, 11, 3), dtype=np.uint8)
        assert np.array_equal(load_model(tmp_path / "m").predict(image), predict_mask(model, image))
    finally:
        SPACES.remove("mine")


def test_a_space_and_a_task_of_a_user_have_the_same_folders(tmp_path):
    space = Space(name="mine", settings=Width, build=lambda s, facts, _: Pixels(facts.outputs, facts.channels, s.width))
    SPACES.add("mine", space)
    ANSWERS.add("depth", DEPTH)
    try:
        model = create_model("mine", num_classes=1, in_channels=4, width=5)
        save_model(tmp_path / "m", "depth", model, {"far": 80.0}, {})
        loaded = wholenet.load(tmp_path / "m", device="cpu")
        assert isinstance(loaded, TrainedDepths)
        assert loaded.far == 80
        assert asdict(loaded.network.spec) == asdict(model.spec)
        assert "- depths up to 80.0 m" in (tmp_path / "m" / "README.md").read_text().splitlines()
        x = torch.randn(1, 4, 8, 8)
        torch.testing.assert_close(loaded.network(x), model(x))
        with pytest.raises(ValueError, match="m is a network of depths; this is for a segmentation model"):
            load_model(tmp_path / "m", task="segmentation")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Pixels, "where", None)
            with pytest.raises(ValueError, match='so make the masks with device="cpu"'):
                load_model(tmp_path / "m")
        config = json.loads((tmp_path / "m" / "config.json").read_text())
        refused(tmp_path / "m" / "config.json", changed(config, ("model", "settings", "width"), 0), ("width",))
        (tmp_path / "m" / "config.json").write_text(json.dumps(config))
    finally:
        SPACES.remove("mine")
        ANSWERS.remove("depth")
    with pytest.raises(ValueError, match=r"config.json: unknown task 'depth'; known: .*has to be imported first"):
        load_model(tmp_path / "m")
    ANSWERS.add("depth", DEPTH)
    try:
        with pytest.raises(ValueError, match=r"model: unknown space 'mine'; .*nown: .*has to be imported first"):
            load_model(tmp_path / "m")
    finally:
        ANSWERS.remove("depth")


# ---- each verb takes its task's models


def test_the_verbs_say_which_models_they_are_for(tmp_path):
    masks, labels = saved("grid", tmp_path / "masks")[2], saved("s2", tmp_path / "labels")[2]
    out = tmp_path / "out"
    for given in (labels, load_model(labels)):
        for call in (
            lambda given=given: wholenet.evaluate(given, "scenes"),
            lambda given=given: wholenet.predict(given, ["x.png"], out, overlay=True),
        ):
            with pytest.raises(
                ValueError, match=r"is a classifier|a classifier answers|one for classification is needed"
            ):
                call()
    with pytest.raises(ValueError, match="labels is a classifier; this is for a segmentation model"):
        wholenet.decode(labels, out)
    (labels / "genotype.yaml").touch()
    with pytest.raises(ValueError, match=r"what was chosen is a file already: .*labels.genotype\.yaml"):
        wholenet.decode(labels, out)
    for given in (masks, load_model(masks)):
        for call in (
            lambda given=given: api.evaluate_classifier(given, "x"),
            lambda given=given: api.classify(given, ["x.png"], out),
        ):
            with (
                pytest.warns(DeprecationWarning, match="takes any model"),
                pytest.raises(
                    ValueError, match=r"is a segmentation model; this is for a classifier|is no classifier but"
                ),
            ):
                call()
    assert not out.exists()


def test_the_former_name_warns_and_does_the_same(tmp_path):
    masks, labels = saved("grid", tmp_path / "masks")[2], saved("s2", tmp_path / "labels")[2]
    with pytest.warns(DeprecationWarning, match="wholenet.load takes any model"):
        found = api.load_classifier(labels, device="cpu")
    assert np.array_equal(answered(found), answered(wholenet.load(labels, device="cpu")))
    with (
        pytest.warns(DeprecationWarning, match="next version"),
        pytest.raises(ValueError, match="is a segmentation model"),
    ):
        api.load_classifier(masks, device="cpu")
