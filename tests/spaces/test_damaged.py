"""Model configs and genotype files of every registered space, damaged one value at a time: what is read is what the
file says, or a ValueError names the file. Spaces whose settings and genotypes are of one kind count once."""

import json
from copy import deepcopy
from dataclasses import asdict, replace
from functools import reduce
from operator import getitem

import pytest
import torch
from torch import nn
from torch.nn.modules.module import register_module_module_registration_hook

from wholenet.data.sample import Classes
from wholenet.data.text.vocabulary import END, UNKNOWN
from wholenet.deploy import model_folder
from wholenet.deploy.classifier import classification_answer
from wholenet.deploy.model_folder import ANSWERS, load_model, save_model
from wholenet.deploy.segmenter import segmentation_answer
from wholenet.deploy.stereo import stereo_answer
from wholenet.files import parse_json
from wholenet.spaces.catalog import SPACES, create_model
from wholenet.spaces.cell_family import family_of
from wholenet.spaces.cell_tables import table_of
from wholenet.spaces.nb201.genotype import TABLE
from wholenet.spaces.space import Facts
from wholenet.spaces.supernet import create, subnets_of

SMALL = {"size": "tiny", "layers": 1, "filters": 4, "blocks": 1, "channels": 4, "cells": 3, "units": 4, "nodes": 2}
SMALL |= {"width": 2, "displacement": 2}
"""Settings, of spaces that have them."""
ANSWER = {
    "segmentation": segmentation_answer(
        Classes(("sky", "ground"), ((0, 0, 255), (0, 255, 0))), {"val_share": 0.2, "seed": 0}
    ),
    "classification": classification_answer(("a", "b"), (0.5,) * 3, (0.2,) * 3, (8, 8)),
    "language": {"vocabulary": [UNKNOWN, END, "a"]},
    "stereo": stereo_answer((0.5,) * 3),
}
VALUES = (
    None,
    True,
    -1,
    3,
    1e9,
    1e400,
    float("nan"),
    10**400,
    "x",
    "\x1b[2J",
    [],
    {},
    [[None]],
    {"4": [1]},
    [0] * 1000,
)


def kinds():
    """A space of each kind of settings and genotypes."""
    known = [space for space in SPACES.values() if set(space.tasks) & set(ANSWER)]
    return {(space.settings, space.genotype and space.genotype.from_dict): space for space in reversed(known)}.values()


def small(space):
    """(settings, facts, genotype or None) of a small network."""
    task = space.tasks[0]
    read = ANSWERS[task].read(ANSWER[task], "here")
    facts = Facts(ANSWERS[task].outputs(read), ANSWERS[task].channels(read))
    settings = space.settings_of({name: v for name, v in SMALL.items() if name in space.settings.__dataclass_fields__})
    if space.genotype is None:
        return settings, facts, None
    weights = create(space, settings, facts).arch()
    if space.genotype.decodes:
        return settings, facts, space.decode(weights, None, 0.5, settings)
    table = TABLE if space.name == "nb201" else table_of("darts" if space.name == "dots" else space.name)
    return settings, facts, family_of(space.name).discretize(weights, table)


@pytest.fixture(scope="module")
def each():
    torch.manual_seed(0)
    return [(space, *small(space)) for space in kinds()]


def places(value, own=(), at=()):
    """Where there is something in plain values, within ``own``; of a list in its last."""
    if at[: len(own)] == own:
        yield at
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inside:
        if isinstance(value, dict) or key == len(value) - 1:
            yield from places(part, own, (*at, key))


def damaged(values, own=()):
    """Each place within ``own`` taken out, replaced by each of ``VALUES``, there twice, or beside something more."""
    for at in filter(None, places(values, own)):
        for change in ("take out", "twice", "more", *VALUES):
            root = deepcopy(values)
            *way, key = at
            parent = reduce(getitem, way, root)
            found = parent[key]
            if change == "take out":
                del parent[key]
            elif change == "twice" and isinstance(found, list) and found:
                found.append(deepcopy(found[-1]))
            elif change == "more" and isinstance(found, dict):
                found["more"] = 1
            elif change in ("twice", "more"):
                continue
            else:
                parent[key] = change
            yield at, change, root


def says(read, file):
    """Whether all that ``file`` says is in what was ``read`` of it."""
    if isinstance(file, dict):
        return isinstance(read, dict) and all(k in read and says(read[k], part) for k, part in file.items())
    if isinstance(file, list | tuple):
        return isinstance(read, list | tuple) and len(read) == len(file) and all(map(says, read, file))
    return read == file and isinstance(read, bool) == isinstance(file, bool)


def read_or_named(read, file, where):
    """What ``read`` gives, or None if it raises a ValueError that names the file."""
    try:
        return read(file)
    except ValueError as error:
        said = str(error)
    assert str(file) in said, where
    assert len(said) < 1500, where
    return None


def plain(genotype):
    return json.loads(json.dumps(genotype.to_dict()))


def reader_and_writer(space, settings):
    if "classification" not in space.tasks:
        return lambda file: space.read_genotype(file, settings), space.write_genotype
    family = family_of(space.name)
    return family.read, lambda genotype, file: family.write(genotype, file, None, None)


def test_a_damaged_genotype_file_is_read_as_it_says_or_refused_by_name(each, tmp_path, monkeypatch):
    for space, settings, _, genotype in each:
        if genotype is None:
            continue
        file = tmp_path / f"{space.name}.yaml"
        read, write = reader_and_writer(space, settings)
        write(genotype, file)
        assert plain(read(file)) == plain(genotype)
        text = file.read_text()
        for length in range(0, len(text) - 1, max(1, len(text) // 8)):
            file.write_text(text[:length])
            assert read_or_named(read, file, (space.name, length)) is None
        for bad in (text + text.splitlines()[-1], "[" * 1000, text.replace("genotype:", "genotype: {a: ") + "}"):
            file.write_text(bad)
            assert read_or_named(read, file, space.name) is None
        frame = {"genotype": plain(genotype), "space": space.name}
        whole = {**plain(genotype), "space": {"nb201": "nb201", "grid": "grid"}.get(space.name, "cells")}
        own = frame if "classification" not in space.tasks and space.genotype.read is None else whole
        with monkeypatch.context() as patch:
            patch.setattr("wholenet.files.parse_yaml", parse_json)  # PyYAML takes ten times as long
            for at, change, values in damaged(own):
                file.write_text(json.dumps(values))
                found = read_or_named(read, file, (space.name, at, change))
                if found is not None:
                    said = {"format": 1, "genotype": plain(found), "space": own["space"], **plain(found)}
                    assert says(said, values), (space.name, at, change)


class Unbuilt(nn.Module):
    """In the place of a network, which would take long."""

    def __init__(self, masks):
        super().__init__()
        self.masks, self.some = masks, nn.Parameter(torch.ones(()))


def unbuilt(space):
    def build(_settings, _facts, genotype, _subnet=None):
        weights = {"alpha": torch.ones(1, 2)} if genotype is None else space.genotype.weights(genotype)
        return Unbuilt({name: found > 0 for name, found in weights.items()})

    return replace(space, build=build)


def models(space, settings, facts, genotype):
    """Each with what of its config is its own."""
    yield create(space, settings, facts), ()
    if genotype is not None:
        yield create(space, settings, facts, genotype=genotype), ("model", "genotype")
    if space.subnets is not None:
        whole = subnets_of(space, settings, facts).whole()
        yield create(space, settings, facts, subnet=plain(whole)), ("model", "subnet")


def test_a_damaged_model_config_is_read_as_it_says_or_refused_by_name(each, tmp_path, monkeypatch):
    """The weights, by which many other networks are refused, are not looked at."""
    for space, settings, facts, genotype in each:
        task, file = space.tasks[0], tmp_path / space.name / "config.json"

        def read(path):
            return load_model(path.parent).network.spec

        for model, own in models(space, settings, facts, genotype):
            save_model(file.parent, task, model, ANSWER[task], {})
            text = file.read_text()
            with monkeypatch.context() as patch:
                patch.setitem(SPACES._known, space.name, unbuilt(space))
                patch.setattr(model_folder, "load_network", lambda build, *_: build())
                patch.setattr(model_folder, "place_of", lambda path: path)
                assert read(file) == model.spec
                for bad in (
                    text[:-3],
                    text[: len(text) // 2],
                    text.replace('"model":', '"model": 1, "model":'),
                    "[" * 9**5,
                ):
                    file.write_text(bad)
                    assert read_or_named(read, file, space.name) is None
                for at, change, values in damaged(json.loads(text), own):
                    patch.setattr(model_folder, "read_config", lambda _path, found=values: found)
                    spec = read_or_named(read, file, (space.name, at, change))
                    if spec is not None:
                        settings_read = space.settings_of(spec.settings)
                        said = {**asdict(spec), "settings": asdict(settings_read)}
                        if spec.subnet is not None:
                            said["subnet"] = subnets_of(space, settings_read, facts).from_dict(spec.subnet).to_dict()
                        assert says(json.loads(json.dumps(said)), values["model"]), (space.name, at, change)


def test_what_a_space_from_outside_makes_of_damage_names_the_file_too(toy, tmp_path):
    """The one of docs/extending.md looks at nothing itself."""
    space, file = SPACES["kernels"], tmp_path / "m" / "config.json"
    settings = space.settings_of({"width": 2, "layers": 1})
    genotype = space.genotype.from_dict({"chosen": [1]})
    space.write_genotype(genotype, tmp_path / "g.yaml")
    for bad in ("{}", "{chosen: 5}", "{chosen: [x]}", "{chosen: [.inf]}", "{chosen: [[]]}"):
        (tmp_path / "g.yaml").write_text(f"genotype: {bad}\nspace: kernels\n")
        with pytest.raises(ValueError, match=r"g\.yaml: "):
            space.read_genotype(tmp_path / "g.yaml", settings)
    model = create(space, settings, Facts(2), genotype=genotype)
    save_model(file.parent, "segmentation", model, ANSWER["segmentation"], {})
    for own in (("model", "settings"), ("model", "genotype")):
        for at, change, values in damaged(json.loads(file.read_text()), own):
            file.write_text(json.dumps(values))
            read_or_named(load_model, file.parent, (at, change))


def test_a_config_of_many_more_tensors_than_the_file_has_is_refused_before_it_is_built(tmp_path):
    """A few bytes can describe a hundred thousand, which takes minutes to build even without memory."""
    save_model(
        tmp_path / "m",
        "classification",
        create_model("nb201", num_classes=2, channels=4, cells=3),
        ANSWER["classification"],
        {},
    )
    load_model(tmp_path / "m")
    file, made = tmp_path / "m" / "config.json", []
    file.write_text(file.read_text().replace('"cells": 3', '"cells": 198'))
    counted = register_module_module_registration_hook(lambda *_: made.append(1))
    try:
        with pytest.raises(
            ValueError, match=r"config\.json, model: it has more than .* expected the .* of model\.safe"
        ):
            load_model(tmp_path / "m")
    finally:
        counted.remove()
    assert len(made) < 8000  # of 15,873
