"""Files that somebody else may have made: each is refused with a message; nothing in it is run, followed or written.

The payload, wherever something could run it, creates the file ``RAN``.
"""

import io
import json
import os
import pickle
import re
import shutil
import struct
from contextlib import redirect_stderr
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import save_file

from wholenet.cli import main
from wholenet.data.classes import read_classes
from wholenet.data.labelled import open_labelled
from wholenet.data.sample import Classes
from wholenet.deploy.classifier import classification_answer
from wholenet.deploy.model_folder import load_model, save_model
from wholenet.deploy.onnx_model import OnnxModel
from wholenet.deploy.segmenter import segmentation_answer
from wholenet.search.checkpoint import read_checkpoint, write_checkpoint
from wholenet.search.config_files import is_cell_run, read_config
from wholenet.spaces.catalog import create_model
from wholenet.spaces.darts_genotype import read_cell_genotype
from wholenet.spaces.genotype import read_genotype
from wholenet.sweeps.plan import read_sweep

CLASSES = Classes(("sky", "ground"), ((0, 0, 255), (0, 255, 0)), values=(3, 7), ignore_values=(255, 9))
RAN = "ran"


class Payload:
    """Creates RAN where it is unpickled."""

    def __reduce__(self):
        return os.system, (f"touch {RAN}",)


CODE = (
    f"!!python/object/apply:os.system ['touch {RAN}']",
    f"!!python/object/new:os.system [touch {RAN}]",
    "!!python/name:os.system",
    "!!python/module:antigravity",
)
BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 40))
TEXTS = {
    "code": (f"lr: {CODE[0]}\n", "could not determine a constructor"),
    "an object": (f"{CODE[1]}\n", "could not determine a constructor"),
    "a name": (f"lr: {CODE[2]}\n", "could not determine a constructor"),
    "a module": (f"lr: {CODE[3]}\n", "could not determine a constructor"),
    "a billion values": (BOMB, "it stands for .* values"),
    "itself": ("a: &a [*a]\n", "it contains itself"),
    "itself, by a merge": ("a: &a {<<: *a}\n", "it contains itself"),
    "itself, as a key": ("a: &a {*a : 1}\n", "it contains itself"),
    "lists within lists": ("a: " + "[" * 60_000, "too deep"),
    "lists within lists, whole": ("a: " + "[" * 60_000 + "]" * 60_000, "too deep"),
    "mappings within mappings": ("{a: " * 60_000, "too deep"),
    "lists in lines": ("- " * 60_000 + "1\n", "too deep"),
    "keys within keys": ("? " * 60_000 + "1\n", "too deep"),
    "a long number": ("seed: " + "9" * 5000, "a number of 5,000 characters; expected at most 50"),
    "a long number to the base 16": ("seed: 0x" + "f" * 5000, "a number of 5,002 characters"),
    "a long number to the base 60": ("seed: 1" + ":59" * 20_000, "a number of 60,001 characters"),
    "a long fraction to the base 60": ("lr: 1" + ":59" * 20_000 + ".5", "a number of 60,003 characters"),
    "a bool that is none": ("control: !!bool maybe", "'maybe' is no bool"),
    "a number that is none": ("seed: !!int ''", "'' is no int"),
    "a fraction that is none": ("lr: !!float ''", "'' is no float"),
    "a time that is none": ("lr: !!timestamp x", "'x' is no timestamp"),
    "a day that is none": ("lr: 2001-99-99", "'2001-99-99' is no timestamp"),
    "two documents": ("lr: 1\n---\nlr: 2\n", "expected a single document"),
    "a key twice": ("lr: 1\nlr: 2\n", "'lr' is written more than once"),
    "a list as a key": ("? [a]\n: 1\n", "unhashable"),
    "no text": (b"\xff\xfe\x00", "no text in UTF-8"),
    "too much": (b"#" * (2 << 20), "expected at most 1,048,576"),
}


def options_of(*command):
    """The command line as a reader of a file of options."""

    def read(path):
        said = io.StringIO()
        with redirect_stderr(said), pytest.raises(SystemExit) as stop:
            main([*command, "--config", str(path)])
        assert stop.value.code == 2
        raise ValueError(said.getvalue())

    return read


READERS = {
    "config": read_config,
    "genotype": read_genotype,
    "cell genotype": read_cell_genotype,
    "classes": read_classes,
    "sweep": read_sweep,
    "options of fit": options_of("fit", "nowhere", "--out", "x"),
    "options of a search": options_of("fit", "nowhere", "--out", "x", "--task", "classification"),
    "options of retrain": options_of("retrain", "darts-v1", "nowhere", "--out", "x"),
}


@pytest.fixture(autouse=True)
def nothing_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield
    assert not list(tmp_path.rglob(RAN))


def write(path, content):
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize("kind", READERS)
def test_a_text_file_that_holds_anything_else_than_plain_values_is_refused(kind, tmp_path):
    for content, expected in TEXTS.values():
        path = write(tmp_path / "classes.yaml", content)
        with pytest.raises(ValueError, match=f"(?s)classes.yaml.*({expected})") as refused:
            READERS[kind](path)
        assert len(str(refused.value)) < 3000


@pytest.mark.parametrize("kind", READERS)
def test_a_pipe_is_no_file(kind, tmp_path):
    os.mkfifo(tmp_path / "classes.yaml")
    with pytest.raises(ValueError, match="no regular file"):
        READERS[kind](tmp_path / "classes.yaml")


@pytest.mark.parametrize("command", [("study", "table-2", "--out", "x"), ("sweep", "s.yaml")])
def test_a_value_that_is_set_by_hand_is_read_as_one_in_a_file(command, tmp_path, capsys):
    write(tmp_path / "s.yaml", "data: scenes\nout: x\n")
    for content, expected in TEXTS.values():
        if isinstance(content, bytes):
            continue
        with pytest.raises(SystemExit) as stop:
            main([*command, "--set", f"lr={content}"])
        assert stop.value.code == 2
        assert re.search(f"(?s)--set lr: .*({expected})", capsys.readouterr().err)


def test_a_value_that_is_typed_is_never_taken_for_yaml(capsys):
    for text in ("[" * 60_000, "1" + ":59" * 20_000, "9" * 5000, "&a [*a]", "!!int ''", CODE[0]):
        for name, kind in (("seed", "int"), ("lr", "float"), ("epochs", "int")):
            with pytest.raises(SystemExit) as stop:
                main(["fit", "nowhere", "--out", "x", f"--{name}", text])
            assert stop.value.code == 2
            said = capsys.readouterr().err
            assert re.search(f"^wholenet fit: --{name}=.*: expected ({kind}|[01] to|a finite number)", said)
            assert len(said) < 500


@pytest.mark.parametrize("content", ["config: {}", "genotype: {{config: {}}}", "lr: {{config: {}}}", "cfg: {}"])
def test_no_value_in_a_file_of_options_opens_another(content, tmp_path):
    secret = write(tmp_path / "secret", "root:x:0:0")
    path = write(tmp_path / "options.yaml", content.format(secret))
    for kind in ("options of fit", "options of a search", "options of retrain", "sweep"):
        with pytest.raises(ValueError, match=r"unknown field|unknown option|expected|nowhere is not") as refused:
            READERS[kind](path)
        assert "root:x" not in str(refused.value)


@pytest.mark.parametrize(
    "content", ["", "[]", "3", "text", "a: 1", "1: 2", "data: x", "{data: [x], out: y}", "kind: [a]"]
)
@pytest.mark.parametrize("reader", [read_config])
def test_a_config_of_other_fields_is_refused_by_name(reader, content, tmp_path):
    with pytest.raises(ValueError, match=r"config.yaml"):
        reader(write(tmp_path / "config.yaml", content))


@pytest.mark.parametrize(
    "change",
    [
        {"layers": 10**12},
        {"layers": 10**400},
        {"layers": [3]},
        {"cells": 3},
        {"cells": [{"layer": float("inf"), "stride": 4, "kernel": 3, "inputs": {4: 1.0}}]},
        {"cells": [{"layer": 1, "stride": 4, "kernel": 3, "inputs": [4]}]},
        {"kernels": None},
        {"format": {"a": "b" * 10000}},
        {"space": "x" * 10**5},
    ],
)
def test_a_genotype_that_claims_too_much_is_refused(change, tmp_path):
    plain = {"format": 1, "space": "grid", "layers": 3, "kernels": [3, 5], "cells": []}
    with pytest.raises(ValueError, match="genotype") as refused:
        read_genotype(write(tmp_path / "g.yaml", yaml.safe_dump({**plain, **change})))
    assert len(str(refused.value)) < 1000


@pytest.mark.parametrize("change", [{"normal": [[["skip_connect", float("inf")]]] * 4}, {"normal": 3}, {"format": [1]}])
def test_a_genotype_of_cells_that_claims_too_much_is_refused(change, tmp_path):
    node = [["skip_connect", 0], ["skip_connect", 1]]
    plain = {"format": 1, "space": "cells", "normal": [node] * 4, "reduce": [node] * 4}
    plain = json.loads(json.dumps(plain))
    with pytest.raises(ValueError, match=r"g\.yaml"):
        read_cell_genotype(write(tmp_path / "g.yaml", json.dumps({**plain, **change})))


@pytest.mark.parametrize(
    "content",
    [
        "lr: {class_path: os.system, init_args: {command: touch ran}}",
        "class_path: os.system\ninit_args: {command: touch ran}",
        "class_path: subprocess.Popen",
        "size: {__path__: /etc/passwd}",
        *(f"lr: {code}" for code in CODE),
        *(f"genotype: {code}" for code in CODE[:1]),
        "print_config: true",
        "cfg: x",
    ],
)
@pytest.mark.parametrize("task", ["segmentation", "classification"])
def test_an_options_file_cannot_name_code_to_import(content, task, tmp_path, capsys):
    file = write(tmp_path / "options.yaml", content)
    with pytest.raises(SystemExit) as stop:
        main(["fit", "nowhere", "--out", "x", "--task", task, "--config", str(file)])
    assert stop.value.code == 2
    assert "nowhere" not in capsys.readouterr().err.splitlines()[0]


def test_the_command_line_says_what_is_wrong_with_a_runs_config(tmp_path, capsys):
    (tmp_path / "run").mkdir()
    for content in (f"a: {CODE[0]}", "kind: search\nextra: 1", BOMB):
        write(tmp_path / "run" / "config.yaml", content)
        with pytest.raises(SystemExit) as stop:
            main(["fit", "--resume", str(tmp_path / "run")])
        assert stop.value.code == 2
        assert "config.yaml" in capsys.readouterr().err
    write(tmp_path / "run" / "config.yaml", "3")
    assert not is_cell_run(tmp_path / "run")


# ---- model folders


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder of each kind."""
    torch.manual_seed(0)
    root = tmp_path_factory.mktemp("models")
    save_model(
        root / "m",
        "segmentation",
        create_model("grid-nano", num_classes=2),
        segmentation_answer(CLASSES, {"val_share": 0.2, "seed": 0}),
        {},
    )
    model = create_model("s2", num_classes=2, channels=4, cells=3)
    save_model(
        root / "c", "classification", model, classification_answer(("a", "b"), (0.5,) * 3, (0.2,) * 3, (16, 16)), {}
    )
    load_model(root / "m")
    load_model(root / "c")
    return root


@pytest.fixture
def segmenter(saved, tmp_path):
    return Path(shutil.copytree(saved / "m", tmp_path / "m"))


@pytest.fixture
def classifier(saved, tmp_path):
    return Path(shutil.copytree(saved / "c", tmp_path / "c"))


def edited(folder, **changes):
    """Put values into config.json, by dotted names; DROPPED takes one out."""
    path = folder / "config.json"
    config = json.loads(path.read_text())
    for name, value in changes.items():
        *parents, last = name.split("__")
        part = config
        for parent in parents:
            part = part[parent]
        part[last] = value
        if value is DROPPED:
            del part[last]
    path.write_text(json.dumps(config))


DROPPED = object()
CLASS = {"name": "a", "id": 0}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"model": DROPPED}, "has no 'model'; expected format, task, model, answer"),
        ({"answer": DROPPED}, "has no 'answer'"),
        ({"answer__classes": DROPPED}, "answer has no 'classes'"),
        ({"model": [1]}, r"model=\[1\]: expected dict, found list"),
        ({"weights_sha265": "0"}, "has an unknown 'weights_sha265'; known: format, "),
        ({"answer__held_out": {"classes": []}}, "held_out has no 'val_share'"),
        ({"answer__held_out": {"val_share": 0.2, "seed": 0, "path": "/"}}, "held_out has an unknown 'path'"),
        ({"answer__held_out__seed": "x"}, "held_out: seed='x': expected int, found str"),
        ({"answer__held_out__val_share": 7}, r"val_share=7: expected a share in \[0, 1\]"),
        ({"format": "x" * 10**6}, "model format 'xxx"),
        ({"format": True}, "model format True; this wholenet reads format 3, classifiers of format 1"),
        ({"format": 3.0}, "model format 3.0"),
        (
            {"task": "segmentatoin"},
            "unknown task 'segmentatoin'; did you mean 'segmentation'.*has to be imported first",
        ),
        ({"task": "../../etc"}, "unknown task '../../etc'; known: segmentation, classification"),
        ({"task": "x" * 10**6}, "unknown task 'xxx"),
        ({"task": ["segmentation"]}, "task=.'segmentation'.: expected str, found list"),
        ({"model__space": "gird"}, "unknown space 'gird'; did you mean 'grid'.*has to be imported first"),
        ({"model__space": "../../etc"}, "unknown space '../../etc'; known: grid, "),
        ({"model__space": DROPPED}, "model has no 'space'"),
        ({"model__import": "os"}, "model: unknown field 'import'; known: space, settings"),
        (
            {"model__settings__import": "os"},
            "space 'grid' has no setting 'import'; known: size, cell, activation, operations",
        ),
        ({"model__settings__size": "../../etc"}, r"size='../../etc': expected one of 'nano'"),
        ({"model__settings__size": "x" * 10**6}, "size='xxx"),
        ({"model__settings": [["size", "nano"]]}, "settings=.*: expected Mapping, found list"),
        ({"model__outputs": 10**12}, "model: outputs=1000000000000: expected at most 100,000"),
        ({"model__outputs": 7}, "the model has 7 outputs and 3 input channels; expected 2 and 3"),
        ({"model__outputs": True}, "outputs=True: expected int, found bool"),
        ({"model__channels": 4}, "2 outputs and 4 input channels; expected 2 and 3, as its answer has it"),
        ({"model__channels": 10**9}, "channels=1000000000: expected at most 4,096"),
        ({"model__relaxation": "x" * 10**6}, "unknown relaxation 'xxx"),
        ({"model__genotype": {"space": "grid", "cells": [], "layers": 10**9, "format": 1}}, "kernels"),
        ({"answer__classes": {"classes": [CLASS] * 10**4}}, "2 to 254 classes, found 10000"),
        ({"answer__classes": {"classes": ["a", "b\x1b[2J"]}}, "none of them for control"),
        ({"answer__normalization": {"mean": [0]}}, "images were normalised by"),
    ],
)
def test_a_models_config_that_does_not_do_is_refused(segmenter, changes, expected):
    edited(segmenter, **changes)
    with pytest.raises(ValueError, match=expected) as refused:
        load_model(segmenter)
    assert len(str(refused.value)) < 1500


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"answer__size": DROPPED}, "has no 'size'"),
        ({"answer__size": [16]}, r"size=\[16\]: expected at least 2 values, found 1"),
        ({"answer__size": [16, 16.5]}, r"size\[1\]=16.5: expected int, found float"),
        ({"answer__size": [10**9, 16]}, r"size\[0\]=1000000000: expected at most 4,096"),
        ({"answer__normalization__std": [0, 1, 1]}, r"std\[0\]=0: expected above 0"),
        ({"answer__normalization__mean": ["a"] * 3}, r"mean\[0\]='a': expected float, found str"),
        ({"answer__classes": ["a"] * 200_000}, "200,000 classes; expected 1 to 100,000"),
        ({"answer__classes": ["a", 3]}, "a class is called 3"),
        (
            {"answer__classes": ["a", "b\u202e"]},
            r"a class is called 'b\\u202e'; expected text without control characters",
        ),
        ({"answer__classes": ["a", "b", "c"]}, "2 outputs and 3 input channels; expected 3 and 3"),
        ({"model__settings__channels": 10**9}, "channels=1000000000: expected at most 4,096"),
        ({"model__settings__cells": 10**9}, "cells=1000000000: expected at most 200"),
        ({"model__settings__groups": 0}, "groups=0: expected at least 1"),
        ({"model__settings__affine": "yes"}, "affine='yes': expected bool"),
        ({"model__space": "os"}, "unknown space 'os'"),
        ({"model__genotype": {"normal": []}}, "this genotype has no reduce cell"),
        ({"model__settings__channels": 64}, "the network has torch.float32"),
    ],
)
def test_a_classifiers_config_that_does_not_do_is_refused(classifier, changes, expected):
    edited(classifier, **changes)
    with pytest.raises(ValueError, match=expected) as refused:
        load_model(classifier)
    assert len(str(refused.value)) < 1500


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "3", "[" * 10**5, '{"a": 1, "a": 2}', b"\x80\x04\x95", b" " * (5 << 20)]
)
def test_a_config_that_is_no_mapping_is_refused(segmenter, content, tmp_path):
    write(segmenter / "config.json", content)
    with pytest.raises(ValueError, match=r"config\.json"):
        load_model(segmenter)


def test_names_of_classes_in_all_languages_load_again(classifier, segmenter):
    names = ["ice\u00a0cream", "می\u200cخ"]
    edited(classifier, answer__classes=names)
    assert list(load_model(classifier).classes) == names
    edited(segmenter, answer__classes={"classes": names})
    assert list(load_model(segmenter).classes.names) == names


def secret(tmp_path):
    (tmp_path / "secret").mkdir()
    return tmp_path / "secret"


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_link_out_of_the_model_folder_is_refused_and_one_within_it_is_not(segmenter, name, tmp_path):
    (segmenter / name).rename(segmenter / "own")
    (segmenter / name).symlink_to("own")
    load_model(segmenter)
    (segmenter / "own").rename(secret(tmp_path) / name)
    (segmenter / name).unlink()
    (segmenter / name).symlink_to(tmp_path / "secret" / name)
    with pytest.raises(ValueError, match=r"symbolic link that leads out .* to .*secret"):
        load_model(segmenter)


def test_a_runs_model_must_lie_in_the_run(segmenter, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "model").symlink_to(segmenter)
    with pytest.raises(ValueError, match="symbolic link that leads out"):
        load_model(tmp_path / "run")
    (tmp_path / "latest").symlink_to(segmenter)
    load_model(tmp_path / "latest")  # what the user names is the user's


def with_header(file, header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    file.write_bytes(struct.pack("<Q", len(text)) + text + data)


def header_of(file):
    content = file.read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    return json.loads(content[8 : 8 + length]), content[8 + length :]


NAME = "net.decoder.classify.weight"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda h: h[NAME].update(shape=[10**6, 10**6]), rf"{NAME} is 'F32' \[1000000, 1000000\] in the file"),
        (lambda h: h[NAME].update(shape=[2, 64, 1]), r"the network has torch.float32 \[2, 64, 1, 1\]"),
        (lambda h: h[NAME].update(dtype="F64"), f"{NAME} is 'F64'"),
        (lambda h: h[NAME].update(dtype=["F32"]), "dtype=.*: expected str, found"),
        (lambda h: h.update({NAME: 3}), f"the header's {NAME} is 3; expected a mapping"),
        (lambda h: h.pop(NAME), f"'{NAME}' not in the file"),
        (lambda h: h.update({"more": h[NAME]}), "the file has 'more', which the network does not"),
        (lambda h: h.update({f"more{i}": h[NAME] for i in range(9)}), "'more2' and 6 more, which the network does not"),
        (lambda h: h[NAME].update(data_offsets=[0, 10**12]), "does not fit its config.json"),
        (lambda h: h[NAME].update(data_offsets=[-5, 1]), "does not fit its config.json"),
    ],
)
def test_weights_that_are_not_the_networks_are_refused_by_the_header(segmenter, change, expected):
    file = segmenter / "model.safetensors"
    header, data = header_of(file)
    change(header)
    with_header(file, header, data)
    with pytest.raises(ValueError, match=f"does not fit its config.json: .*{expected}|{expected}"):
        load_model(segmenter)


def test_files_that_are_no_weights_are_refused(segmenter, tmp_path):
    file = segmenter / "model.safetensors"
    header, data = header_of(file)
    torch.save({"net": Payload()}, tmp_path / "pickled")
    contents = {
        "empty": b"",
        "short": b"\x01",
        "a header longer than the file": struct.pack("<Q", 10**15) + b"{}",
        "a long header": struct.pack("<Q", 20 << 20) + b" " * (20 << 20),
        "a pickle": (tmp_path / "pickled").read_bytes(),
        "a bare pickle": pickle.dumps(Payload()),
        "no mapping": struct.pack("<Q", 2) + b"[]",
        "no JSON": struct.pack("<Q", 2) + b"{x",
        "lists within lists": struct.pack("<Q", 10**5) + b"[" * 10**5,
        "cut short": struct.pack("<Q", len(json.dumps(header))) + json.dumps(header).encode() + data[:100],
    }
    for content in contents.values():
        file.write_bytes(content)
        with pytest.raises(ValueError, match=r"does not fit its config\.json"):
            load_model(segmenter)
    file.unlink()
    with pytest.raises(ValueError, match=r"model\.safetensors is not there"):
        load_model(segmenter)
    os.mkfifo(file)
    with pytest.raises(ValueError, match="no regular file"):
        load_model(segmenter)


def test_nothing_is_allocated_for_a_model_that_is_refused(classifier, monkeypatch):
    """A folder of a few bytes that describes a network of gigabytes."""
    edited(classifier, model__settings__channels=4096, model__settings__cells=5)
    real, devices = torch.empty, []

    def empty(*args, **kwargs):
        made = real(*args, **kwargs)
        devices.append((made.device.type, made.numel()))
        return made

    monkeypatch.setattr(torch, "empty", empty)
    with pytest.raises(ValueError, match=r"not in the file|in the file; the network has"):
        load_model(classifier)
    assert max(count for device, count in devices if device == "meta") > 10**7
    assert all(count < 10**4 for device, count in devices if device != "meta")


def test_a_checkpoint_is_not_unpickled(tmp_path):
    write_checkpoint(tmp_path / "checkpoint.pt", {"epoch": Payload()})  # whole, with its checksum
    with pytest.raises(ValueError, match=r"checkpoint\.pt cannot be read"):
        read_checkpoint(tmp_path / "checkpoint.pt", torch.device("cpu"))


# ---- ONNX


def tensor(onnx, **fields):
    made = onnx.TensorProto(name="w", data_type=onnx.TensorProto.FLOAT, dims=[1], raw_data=bytes(4))
    for name, value in fields.items():
        if name == "external":
            made.ClearField("raw_data")
            made.data_location = onnx.TensorProto.EXTERNAL
            made.external_data.add(key="location", value=value)
        elif name == "values":
            raw = fields.get("as_bytes", False)
            return onnx.helper.make_tensor("w", 1, [len(value)], np.float32(value).tobytes() if raw else value, raw=raw)
        elif name == "dims":
            made.ClearField("dims")
            made.dims.extend(value)
    return made


def model_of(onnx, initializer=None, attribute=None, about=None):
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    nodes = [helper.make_node("Identity", ["images"], ["logits"])]
    if attribute is not None:
        nodes.append(helper.make_node("Constant", [], ["c"], value=attribute))
    ends = [helper.make_tensor_value_info(name, kind, [1, 3, 64, 64]) for name in ("images", "logits")]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], [] if initializer is None else [initializer])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    if about is not None:
        helper.set_model_props(model, {"wholenet": about})
    return model.SerializeToString()


WRONG_ENDS = """{"format": 1, "classes": {"classes": ["a"]},
"normalization": {"mean": [0, 0, 0], "std": [1, 1, 1]}}"""


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({"initializer": {"external": "../../../etc/passwd"}}, "tensor 'w' is kept in another file"),
        ({"initializer": {"external": "weights.bin"}}, "`wholenet export` writes one file"),
        ({"attribute": {"external": "/etc/passwd"}}, "tensor 'w' is kept in another file"),
        ({"initializer": {"dims": [10**6, 10**6]}}, "'w' claims to be 1000000x1000000"),
        ({"attribute": {"dims": [1 << 62]}}, "'w' claims to be 4611686018427387904"),
        ({"initializer": {"values": [float("nan")]}}, "'w' has values that are not finite"),
        ({"attribute": {"values": [0.0, float("-inf")], "as_bytes": True}}, "'w' has values that are not finite"),
        ({"about": "[1]"}, r"does not say which classes .*format \[1\]"),
        ({"about": "{"}, "what it says of itself cannot be read"),
        ({"about": '{"format": 1}'}, "has no 'classes'"),
        (
            {"about": '{"format": 1, "classes": {"classes": ["a"]}, "normalization": {"mean": [1], "std": 2}}'},
            r"mean=\[1\]: expected at least 3 values, found 1",
        ),
        ({"about": WRONG_ENDS.replace("{", '{"held_out": [], ', 1)}, r"held_out=\[\]: expected dict, found list"),
        ({"about": WRONG_ENDS.replace("{", '{"held_out": {"seed": 1}, ', 1)}, "held_out has no 'val_share'"),
        ({"about": WRONG_ENDS}, "one for each of its classes"),
    ],
)
def test_an_onnx_file_that_needs_or_claims_more_than_it_holds_is_refused(parts, expected, tmp_path):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    made = {name: tensor(onnx, **part) if isinstance(part, dict) else part for name, part in parts.items()}
    file = write(tmp_path / "m.onnx", model_of(onnx, **made))
    with pytest.raises(ValueError, match=expected) as refused:
        OnnxModel(file)
    assert "m.onnx" in str(refused.value)


@pytest.mark.parametrize("place", ["graph", "attribute"])
def test_sparse_tensors_are_refused_whatever_they_claim(place, tmp_path):
    """Of 79 bytes, onnxruntime made 4 GB."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    helper = onnx.helper
    values, indices = (helper.make_tensor(name, kind, [1], [0]) for name, kind in (("s", 1), ("i", 7)))
    sparse = helper.make_sparse_tensor(values, indices, [1 << 40])
    model = onnx.ModelProto.FromString(model_of(onnx))
    if place == "graph":
        model.graph.sparse_initializer.append(sparse)
    else:
        model.graph.node.append(helper.make_node("Constant", [], ["c"], sparse_value=sparse))
    with pytest.raises(ValueError, match="has a sparse tensor, and `wholenet export` writes none"):
        OnnxModel(write(tmp_path / "m.onnx", model.SerializeToString()))


def test_defaults_of_onnx_functions_are_looked_at_too(tmp_path):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    default = onnx.helper.make_attribute("a", tensor(onnx, external="/etc/passwd"))
    model = onnx.ModelProto.FromString(model_of(onnx))
    model.functions.append(onnx.helper.make_function("d", "f", [], [], [], [], attribute_protos=[default]))
    with pytest.raises(ValueError, match="tensor 'w' is kept in another file"):
        OnnxModel(write(tmp_path / "m.onnx", model.SerializeToString()))


@pytest.mark.parametrize("content", [b"", b"text", b"\xff" * 100, b":\x05\x01", pickle.dumps(Payload()), b":\x02" * 50])
def test_what_is_no_onnx_file_is_refused(content, tmp_path):
    pytest.importorskip("onnxruntime")
    with pytest.raises(ValueError, match="cannot be read as ONNX"):
        OnnxModel(write(tmp_path / "m.onnx", content))


# ---- data


def test_hostile_data_is_refused(tmp_path):
    """What is pickled, cut short or says too much; and files that only have the name."""
    files = {
        "data_batch_1": (pickle.dumps(Payload()), "pickled: opening it would run"),
        "train.parquet": (b"PAR1" + pickle.dumps(Payload()), "cannot be read as parquet"),
        "train_32x32.mat": (b"MATLAB 5.0 MAT-file" + pickle.dumps(Payload()), "cannot be read as a MATLAB file"),
        "data_batch_1.bin": (pickle.dumps(Payload()), "expected a multiple of 3073"),
    }
    for i, (name, (content, expected)) in enumerate(files.items()):
        folder = tmp_path / str(i)
        folder.mkdir()
        write(folder / name, content)
        with pytest.raises(ValueError, match=expected):
            open_labelled(folder)


@pytest.mark.parametrize("description", ["[", '{"info": {"features": {"label": {"names": [1, 2]}}}}'])
def test_a_parquet_files_description_is_not_believed(description, tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = pyarrow.table({"image": [b"", b""], "label": [0, 1]}).replace_schema_metadata({"huggingface": description})
    parquet.write_table(table, tmp_path / "train.parquet")
    with pytest.raises(ValueError, match=r"description in its schema|its classes are called"):
        open_labelled(tmp_path)


def test_a_parquet_file_that_unfolds_to_gigabytes_is_refused(tmp_path, monkeypatch):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr("wholenet.data.labelled.MAX_ROWS", 10)
    parquet.write_table(pyarrow.table({"image": [b""] * 11, "label": [0] * 11}), tmp_path / "train.parquet")
    with pytest.raises(ValueError, match="declares 11 rows"):
        open_labelled(tmp_path)


def test_weights_of_another_folder_with_the_same_names_still_load(segmenter):
    """The checks refuse what is wrong, not what was written by other means."""
    header, _ = header_of(segmenter / "model.safetensors")
    edited(segmenter, weights_sha256=DROPPED)
    tensors = {name: value.contiguous() for name, value in load_model(segmenter).network.state_dict().items()}
    save_file(dict(reversed(tensors.items())), segmenter / "model.safetensors", metadata={"made": "elsewhere"})
    assert set(header) - {"__metadata__"} == set(tensors)
    again = load_model(segmenter).network.state_dict()
    assert all(torch.equal(again[name], value) for name, value in tensors.items())
