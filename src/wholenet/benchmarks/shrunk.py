"""What a smaller network saves where it runs: folded, exported, in onnxruntime, against the whole one."""

from __future__ import annotations

import copy
import importlib
import random
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from wholenet.benchmarks.inference import difference
from wholenet.benchmarks.measure import interleaved, made, random_batch, row
from wholenet.benchmarks.row import Row, Setting
from wholenet.data.sample import Classes
from wholenet.deploy.export import export
from wholenet.deploy.onnx_model import OnnxModel
from wholenet.deploy.segmenter import TrainedModel
from wholenet.search.goals import goal_of
from wholenet.spaces.catalog import shrink, subnets
from wholenet.spaces.supernet import Supernet

SHARES = ("50%", "30%", "15%")
"""Of the whole network's multiply-adds."""
CUT = ("30%",)
"""Of which a network is timed, too, that is left where units are removed."""
FLOOR = 0.125
"""Share of each bottleneck and level that stays where units are removed, as in a run."""
WHOLE = "the whole network"
ALL, COARSE = "in onnxruntime", "without the last resize"
"""Logits are enlarged to the image's size at the end, which costs the same whatever the network is."""


def run(setting: Setting) -> Iterator[Row]:
    if setting.device.type != "cpu":
        return
    models = {WHOLE: made(setting.size, setting.device)}
    known = subnets(models[WHOLE].spec)
    kept: dict[str, Any] = {}
    for share in SHARES:
        try:
            goal = goal_of(models[WHOLE].spec, share, setting.crop)
            kept[f"{share}, narrower"] = known.narrower(goal.cost, goal.most)
        except ValueError:  # a small grid cannot cost as little
            continue
        if share in CUT:
            kept[f"{share}, cut at random"] = cut_at_random(known, goal.cost, goal.most)
    for name, left in kept.items():
        models[name] = copy.deepcopy(models[WHOLE])
        shrink(models[name], left)
    whole = known.macs(known.whole(), *setting.crop)
    fewer = {name: whole / known.macs(left, *setting.crop) for name, left in kept.items()}
    images = random_batch(1, setting.crop, setting.device).images
    with torch.no_grad():  # so that the statistics are not those of an untrained network
        for model in models.values():
            for _ in range(2):
                model(images)
            model.eval()
    x = np.ascontiguousarray(images.numpy())
    with tempfile.TemporaryDirectory() as folder:
        runs = {name: exported(model, setting, Path(folder)) for name, model in models.items()}
    calls = {(name, part): partial(call, x) for name, parts in runs.items() for part, call in parts.items()}
    taken = interleaved({" ".join(key): call for key, call in calls.items()}, setting.rounds, setting.device)
    for name in kept:
        with torch.no_grad():
            exact = copy.deepcopy(models[name]).double()(images.double())
        error = difference(torch.from_numpy(runs[name][ALL](x)), exact)
        for part in runs[name]:
            said = f"{part}: {name}, {fewer[name]:.2f}x fewer MACs"
            times = taken[f"{WHOLE} {part}"], taken[f"{name} {part}"]
            yield row(said, WHOLE, *times, error if part == ALL else None, setting.device)


def exported(model: Supernet, setting: Setting, folder: Path) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """``model`` once it is folded and written as ONNX, on as many threads as ``setting`` says: images float32
    [B, C, H, W] -> logits float32 [B, classes, H, W], and those before they are enlarged, at stride 4."""
    names = tuple(f"class {i}" for i in range(model.spec.outputs))
    trained = TrainedModel(model, Classes(names, tuple((i, i, i) for i in range(len(names)))), setting.device, {})
    file = folder / f"{len(list(folder.iterdir()))}.onnx"
    export(trained, file, "onnx", [np.zeros((*setting.crop, 3), np.uint8)])
    return {ALL: OnnxModel(file, threads=setting.threads).logits, COARSE: without_last_resize(file, setting.threads)}


def without_last_resize(file: Path, threads: int) -> Callable[[np.ndarray], np.ndarray]:
    """The network in ``file`` up to what its last layer, a resize, is given."""
    onnx, runtime = (importlib.import_module(name) for name in ("onnx", "onnxruntime"))
    model = onnx.load(file)
    graph = model.graph
    last = max(place for place, node in enumerate(graph.node) if node.op_type == "Resize")
    name = graph.node[last].input[0]
    del graph.node[last:], graph.output[:]
    graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    session = runtime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    entry = graph.input[0].name
    return lambda x: session.run(None, {entry: x})[0]


def cut_at_random(known: Any, cost: Any, most: int) -> Any:
    """What is left of the whole where units go by chance until it costs no more than ``most``: about what a search
    leaves in width and depth, without one."""
    left, chance = known.whole(), random.Random(0)
    while known.cost(left, cost) > most:
        ways = list(known.units(left, FLOOR) or known.units(left))
        chance.shuffle(ways)
        smaller = (known.without(left, unit) for unit in ways)
        left = next(way for way in smaller if known.least(way, cost) <= most)
    return left
