"""What a run starts from where that is not chance: the weights of a pretrained encoder, or of a trained model.

They are found and looked at before anything is made, and kept in the run folder (start.safetensors, start.json), so
that a continued run and the control need neither the network nor the file again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from wholenet.deploy.init_weights import Fit, Given, differences, given_model, what_fits
from wholenet.deploy.model_files import file_digest, read_tensors, some_of
from wholenet.deploy.stem_weights import StemWeights, check_stem, stem_weights
from wholenet.file_keys import check_keys
from wholenet.files import read_json, shown, write_whole
from wholenet.search.config import FitConfig
from wholenet.search.folder import CHECKPOINT
from wholenet.search.protocols import PROTOCOLS
from wholenet.search.run_folder import RunFolder
from wholenet.search.shrinking import shrink_training
from wholenet.search.state import TrainState
from wholenet.search.train_config import TrainConfig
from wholenet.spaces.catalog import create_from, subnets
from wholenet.spaces.space import Spec
from wholenet.spaces.supernet import Supernet

ENCODER = "net.encoder."
"""Names of a pretrained encoder's tensors, in a model, begin with it."""
STEMS = "net.stems."
"""Likewise of the grid's own stems."""
LOGITS = "arch.logits."
KEYS = {"sha256": str, "facts": dict}
"""Of start.json. A run that starts with a network which is smaller than its supernet already has "subnet" too."""


@dataclass(frozen=True)
class Beginning:
    """What was found for a run, before there is one."""

    stem: StemWeights | None = None
    given: Given | None = None


def starts_from_something(config: TrainConfig) -> bool:
    """Whether the run starts from weights that something else has learned."""
    return isinstance(config, FitConfig) and config.pretrained


def shrinks(config: TrainConfig) -> bool:
    """Whether the run makes smaller what it starts from."""
    return isinstance(config, FitConfig) and config.shrinks


def find_beginning(config: TrainConfig, say: Callable[[str], None]) -> Beginning:
    """Find what ``config`` starts from. A control starts from what is in the folder of its run.

    Args:
        config: of the run.
        say: told of sources and licences.

    Raises:
        ValueError: if it is not there, cannot be had or does not fit.
    """
    if not isinstance(config, FitConfig) or not config.pretrained:
        return Beginning()
    if _kept_by_whole(config.out) is not None:
        return Beginning()
    warning = None if config.stem is None else check_stem(config.stem)
    if warning is not None:
        say(f"warning: {warning}")
    given = None if config.init is None else given_model(config.init)
    has_encoder = given is not None and given.model.spec.settings.get("stem") == config.stem
    stem = None
    if config.stem is not None and (config.stem_weights is not None or not has_encoder):
        stem = stem_weights(config.stem, config.stem_weights, say)
        say(str(stem))
    elif config.stem is not None and given is not None:
        licence = given.facts.get("stem_licence", "not stated")
        say(f"pretrained stem {config.stem}: as {given.path} has it, licence {licence}")
    return Beginning(stem, given)


def write_beginning(
    run: RunFolder, beginning: Beginning, spec: Spec, classes: Sequence[str], say: Callable[[str], None]
) -> None:
    """Put what was found into the folder of ``run``; report how much of a given model fits.

    Raises:
        ValueError: if nothing of it does.
    """
    tensors, facts = dict[str, Tensor](), dict[str, str]()
    report: list[str] = []
    subnet = None
    if beginning.given is not None:
        subnet, why = part_of(run.config, beginning.given, spec)
        spec = replace(spec, subnet=subnet)
        fit = what_fits(beginning.given, spec, classes)
        check_frozen(run.config, beginning, fit, spec)
        tensors |= fit.tensors
        facts |= beginning.given.facts
        report = fit.lines(beginning.given.path)
        report += [f"  {why}"] if why else []
        if (fit.other_shape or fit.missing) and (how := differences(beginning.given, spec)):
            report.append(f"  the two networks differ{how}")
    if beginning.stem is not None:
        tensors |= {ENCODER + name: value for name, value in beginning.stem.tensors.items()}
        facts |= beginning.stem.facts
    if not tensors:
        return
    for line in report:
        say(line)
    partial = run.start.with_suffix(".partial")
    partial.write_bytes(save({name: value.contiguous() for name, value in tensors.items()}))
    digest = file_digest(partial)
    partial.replace(run.start)
    about = {"sha256": digest, "facts": facts, "report": report} | ({} if subnet is None else {"subnet": subnet})
    write_whole(run.start_facts, json.dumps(about, indent=2) + "\n")  # last: where it is, the other is whole


def check_frozen(config: TrainConfig, beginning: Beginning, fit: Fit, spec: Spec) -> None:
    """Make sure that a stem which is to stay as it is, for all epochs or some, is one that has learned something.

    Args:
        config: of the run.
        beginning: what it starts from.
        fit: how much of the given model the run's network takes.
        spec: of that network.

    Raises:
        ValueError: if the model does not have the stem.
    """
    if not isinstance(config, FitConfig) or beginning.given is None or beginning.stem is not None:
        return
    asked = next((f"{name}={value!r}" for name, value in config.frozen.items() if value), None)
    stem = STEMS if config.stem is None else ENCODER
    lacking = [name for name in (*fit.missing, *fit.other_shape) if name.startswith(stem)]
    if asked is not None and lacking:
        raise ValueError(
            f"{asked} would keep a stem as it is that has learned nothing: {beginning.given.path} does not have "
            f"{some_of(lacking)}{differences(beginning.given, spec)}; give the stem and the settings of that model, or "
            "let the stem move"
        )


def part_of(config: TrainConfig, given: Given, spec: Spec) -> tuple[Mapping[str, Any] | None, str]:
    """What a run starts with of its supernet, where the network that it starts from is a part of one itself.

    Args:
        config: of the run.
        given: the network that it starts from.
        spec: of the run's supernet.

    Returns:
        (what is left of the supernet, None for all; a sentence about it, empty where there is nothing to say).
    """
    own = given.model.spec
    if own.subnet is None:
        return None, ""
    if shrinks(config):
        return own.subnet, ""
    part = f"{given.path} is a part of its supernet"
    whole = f"{part}; this run has a whole one"
    if isinstance(config, FitConfig) and config.budget is not None:
        return None, f"{whole}, of which --budget leaves what it says; `wholenet shrink` makes the part smaller still"
    if PROTOCOLS[config.protocol].retrains:
        return None, f"{whole}, out of which --protocol {config.protocol} cuts its network"
    if spec.genotype is not None or (own.space, own.settings) != (spec.space, spec.settings):
        return None, f"{whole}, for its settings are others"
    return own.subnet, f"{part}, and so is the network of this run: what was removed is not there"


def check_whole(given: Given, spec: Spec, classes: Sequence[str]) -> Spec:
    """Make sure that a run whose supernet is that of ``spec`` can take ``given`` as a whole, to make it smaller.

    Returns:
        Of the network that it starts with.

    Raises:
        ValueError: if the network is another one, a discrete one, or tells other classes apart.
    """
    if given.model.discrete:
        raise ValueError(f"{given.path} holds a discrete network, which has no units to choose from; give a supernet")
    if tuple(classes) != given.classes:
        raise ValueError(
            f"{given.path} tells {', '.join(given.classes)} apart, and the data has {', '.join(classes)}: give data of "
            "the same classes"
        )
    own = given.model.spec
    if replace(own, subnet=None, zoom=spec.zoom) != spec:
        how = differences(given, spec) or f" (channels: {own.channels} and {spec.channels}; relaxation: "
        how = how if how.endswith(")") else f"{how}{own.relaxation} and {spec.relaxation})"
        raise ValueError(f"{given.path} is another network than the run's{how}; give the settings of the model")
    return own


def begin(run: RunFolder, config: TrainConfig, state: TrainState) -> None:
    """Let the network of ``state``, untrained, start from what the folder of ``run`` has, unless the run has a
    checkpoint.

    Raises:
        ValueError: if that is not there, was altered, or is of another network.
    """
    if not starts_from_something(config):
        return
    model = state.model
    left = beginning_facts(run).get("subnet") if run.outermost.start_facts.is_file() else None
    if left is not None:
        shrink_training(model, state.weight_optimizer, subnets(model.spec).from_dict(left))
        state.average_anew()
    if (run.path / CHECKPOINT).exists():
        return
    tensors = start_tensors(run)
    if config.architecture == "uniform":
        tensors = {name: value for name, value in tensors.items() if not name.startswith(LOGITS)}
    own = model.state_dict()
    # A discrete network is a part of the supernet.
    tensors = {name: value for name, value in tensors.items() if name in own}
    if other := [name for name, value in tensors.items() if value.shape != own[name].shape]:
        raise ValueError(f"{run.outermost.start} has {some_of(other)} of another shape than the network; start anew")
    model.load_state_dict(tensors, strict=False)
    state.average_anew()


def start_tensors(run: RunFolder) -> dict[str, Tensor]:
    """What ``run`` starts from, by name, as its folder keeps it.

    Raises:
        ValueError: if it is not there, or was altered.
    """
    start, expected = run.outermost.start, beginning_facts(run)["sha256"]
    try:
        found = file_digest(start)
        if found != expected:
            raise ValueError(f"its SHA-256 is {found}, and {shown(expected)} was written down")
        return read_tensors(start)
    except (OSError, ValueError) as error:
        raise ValueError(f"{start}, which the run starts from, cannot be used: {error}. Start anew") from error


def network_at_start(run: RunFolder, spec: Spec) -> Supernet[Any]:
    """The network that a run which shrinks starts from, whole, in eval mode; nothing is drawn to build it.

    Args:
        run: whose protocol shrinks, so that its folder keeps all of that network.
        spec: of the network, with what had been removed from it before.

    Raises:
        ValueError: as :func:`start_tensors`.
    """
    with torch.device("meta"):
        model = create_from(spec)
    return model.filled(start_tensors(run)).eval().requires_grad_(False)


def beginning_facts(run: RunFolder) -> dict[str, Any]:
    """What start.json says, of the run or of that which it is a part of.

    Raises:
        ValueError: if it is not there, or damaged.
    """
    path = run.outermost.start_facts
    if not path.is_file():
        raise ValueError(f"{path} is not there, and the run has no checkpoint yet: start it anew, with another --out")
    found = read_json(path)
    check_keys(found, KEYS, str(path))
    return found


def facts_for_model(run: RunFolder, config: TrainConfig) -> dict[str, str]:
    """What the model of ``run`` says of its beginning: sources, licence, SHA-256."""
    if not starts_from_something(config) or not run.outermost.start_facts.is_file():
        return {}
    facts = beginning_facts(run)["facts"]
    return {name: str(value) for name, value in facts.items() if name != "stem"}  # that is a setting of the network


def _kept_by_whole(out: str) -> RunFolder | None:
    """The run that a run in the folder ``out`` would be a part of, if that has a beginning."""
    path = Path(out)
    whole = RunFolder.at(path.parent) if path.name in ("control", "search") else None
    return whole if whole is not None and whole.outermost.start_facts.is_file() else None
