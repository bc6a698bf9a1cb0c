"""A model is a folder that can always be loaded: model.safetensors, config.json, README.md. No pickle anywhere.

One kind for every space and task. config.json, of format 3: "task"; "model", a :class:`wholenet.spaces.space.Spec`;
"answer", the task's own part (:mod:`wholenet.deploy.answer`); "facts" for people to read; "weights_sha256".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, overload

import torch

from wholenet.deploy.answer import AnswerKind
from wholenet.deploy.classifier import CLASSIFICATION, TrainedClassifier
from wholenet.deploy.language import LANGUAGE
from wholenet.deploy.model_files import DIGEST, load_network, place_of, read_config, write_model
from wholenet.deploy.old_formats import is_old, renewed
from wholenet.deploy.segmenter import SEGMENTATION, TrainedModel
from wholenet.deploy.stereo import STEREO
from wholenet.file_keys import check_keys
from wholenet.files import parse_json, shown
from wholenet.registry import Registry, UnknownName
from wholenet.search.cell_config import SEARCHES
from wholenet.spaces.catalog import SPACES, create_from
from wholenet.spaces.space import Spec, spec_from_dict
from wholenet.spaces.supernet import Supernet

FORMAT = 3
ANSWERS: Registry[AnswerKind[Any]] = Registry(
    "task", {"segmentation": SEGMENTATION, "classification": CLASSIFICATION, "language": LANGUAGE, "stereo": STEREO}
)
"""By the name of the task."""
KEYS = {"format": int, "task": str, "model": dict, "answer": dict, "facts": dict, DIGEST: str}

Device = str | torch.device
Found = TypeVar("Found")


def save_model(path: Path, task: str, model: Supernet[Any], answer: Mapping[str, Any], facts: dict[str, Any]) -> None:
    """Write the model folder.

    Args:
        path: the folder; what is there is replaced.
        task: a name in :data:`ANSWERS`.
        model: the network.
        answer: what it takes to use it, as the task has it (``segmentation_answer``, ``classification_answer``).
        facts: for people to read (epochs, score...), in its config and its README.

    Raises:
        ValueError: if this could not be read again.
        FloatingPointError: for weights that are not finite.
        OSError: if it cannot be written; what was there stays.
    """
    config = {"format": FORMAT, "task": task, "model": model.spec.to_dict(), "answer": dict(answer), "facts": facts}
    read = _read(parse_json(json.dumps(config)), str(path / "config.json"))
    write_model(path, model, config, _card(read, facts))


@overload
def load_model(path: str | Path, device: Device = ..., *, task: Literal["segmentation"]) -> TrainedModel: ...
@overload
def load_model(path: str | Path, device: Device = ..., *, task: Literal["classification"]) -> TrainedClassifier: ...
@overload
def load_model(path: str | Path, device: Device = ..., *, task: str | None = ...) -> Any: ...
def load_model(path: str | Path, device: Device = "cpu", *, task: str | None = None) -> Any:
    """Load a model folder, or the model of a run folder. It may come from anybody: see docs/safety.md.

    Args:
        path: the folder.
        device: where it is to compute.
        task: what it has to be for; None takes any.

    Returns:
        What the folder's task predicts with: a :class:`TrainedModel`, a :class:`TrainedClassifier`.

    Raises:
        ValueError: if there is no model, it is for another task, was written by another format, its config does not do,
            its weights do not fit its config or have been altered, or they are not finite.
    """
    folder, config = _model_config(path)
    where = str(folder / "config.json")
    read = _read(renewed(config, where) if is_old(config) else config, where)
    if task is not None and task != read.task:
        raise ValueError(f"{folder} is a {read.kind.model}; this is for a {ANSWERS[task].model}")
    device = torch.device(device)

    def build() -> Supernet[Any]:
        try:
            return create_from(read.spec)
        except ValueError as error:
            raise ValueError(f"{where}, model: {error}") from error
        except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError) as error:
            what = f"space {read.spec.space!r} builds no network of these settings and this genotype"
            told = shown(str(error).partition("\n")[0])
            raise ValueError(f"{where}, model: {what} ({type(error).__name__}: {told})") from error

    network = load_network(build, folder, config).placed(device).eval()
    return read.kind.predictor(network, read.answer, device)


def task_of_model(path: str | Path) -> str | None:
    """The task of the model in a folder, as its config has it; None where that is no folder of a model: who loads it
    says so."""
    folder = place_of(path)
    found = None if folder is None else read_config(folder).get("task")
    return found if isinstance(found, str) else None


def spec_of_model(path: str | Path) -> Spec:
    """What makes the network of a model folder, or of the model of a run folder; nothing is built.

    Raises:
        ValueError: if there is no model, or its config does not do.
    """
    folder, config = _model_config(path)
    where = str(folder / "config.json")
    return _read(renewed(config, where) if is_old(config) else config, where).spec


def _model_config(path: str | Path) -> tuple[Path, dict[str, Any]]:
    """The model folder that ``path`` is or holds, and what its config says."""
    folder = place_of(path)
    if folder is None:
        unfinished = (Path(path) / "config.yaml").is_file()
        if unfinished and (Path(path) / SEARCHES).is_dir() and (Path(path) / "genotype.yaml").is_file():
            raise ValueError(
                f"{path} holds no model: the run in it kept the best of several searches, which is a genotype. Train "
                f"it with `wholenet retrain {path}/genotype.yaml DATA --out RUN`, or give one of {path}/{SEARCHES}"
            )
        why = "the run in it has not been validated yet, so it has none" if unfinished else "no config.json in it"
        raise ValueError(
            f"{path} holds no model ({why}); give the folder that `wholenet fit --out` made, or its model/"
        )
    return folder, read_config(folder)


@dataclass(frozen=True)
class _Config:
    task: str
    kind: AnswerKind[Any]
    spec: Spec
    answer: Any


def _read(config: dict[str, Any], where: str) -> _Config:
    """What a config of format 3 says. Nothing is built yet."""
    found = config.get("format")
    if type(found) is not int or found != FORMAT:
        raise ValueError(
            f"{where}: model format {shown(found)}; this wholenet reads format {FORMAT}, classifiers of format 1 and "
            "segmentation models of format 2"
        )
    check_keys({DIGEST: "", **config}, KEYS, where, only=True)  # who alters weights takes the checksum out
    kind = _registered(ANSWERS, config["task"], where)
    check_keys(config["model"], {"space": str}, f"{where}, model")
    space = _registered(SPACES, config["model"]["space"], f"{where}, model")
    if space.tasks and config["task"] not in space.tasks:
        raise ValueError(
            f"{where}: space {space.name!r} is for {' and '.join(space.tasks)}; its networks have no answer for "
            f"{config['task']}"
        )
    try:
        spec = spec_from_dict(config["model"])
    except ValueError as error:
        raise ValueError(f"{where}, model: {error}") from error
    try:
        space.settings_of(spec.settings, whole=True)
    except ValueError as error:
        raise ValueError(f"{where}, model, settings: {error}") from error
    answer = kind.read(config["answer"], f"{where}, answer")
    expected = (kind.outputs(answer), kind.channels(answer))
    if (spec.outputs, spec.channels) != expected:
        raise ValueError(
            f"{where}: the model has {spec.outputs} outputs and {spec.channels} input channels; expected "
            f"{expected[0]} and {expected[1]}, as its answer has it"
        )
    return _Config(config["task"], kind, spec, answer)


def _registered(known: Registry[Found], name: str, where: str) -> Found:
    try:
        return known.called(name)
    except UnknownName as error:
        raise ValueError(f"{where}: {error}") from error


def _card(read: _Config, facts: dict[str, Any]) -> str:
    spec = read.spec
    kind = SPACES[spec.space].genotype
    genotype = None if spec.genotype is None or kind is None else str(SPACES[spec.space].genotype_of(spec.genotype))
    about = {"model": spec.model_name, **spec.settings, "relaxation": spec.relaxation, "genotype": genotype, **facts}
    lines = [f"- {name}: {value}" for name, value in about.items() if value is not None and name != "size"]
    return "\n".join([f"# A wholenet {read.kind.model}", "", *lines, *read.kind.card(read.answer), ""])
