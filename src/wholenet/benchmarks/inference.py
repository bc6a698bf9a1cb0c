"""Inference: as papers write it, as the model runs, folded, and in ONNX runtime."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

from wholenet.architecture import one_hot
from wholenet.benchmarks.measure import compared, interleaved, made, random_batch, torch_resize, written_plainly
from wholenet.benchmarks.row import Row, Setting
from wholenet.data.sample import Classes
from wholenet.deploy.export import export
from wholenet.deploy.folds import fold
from wholenet.deploy.onnx_model import OnnxModel
from wholenet.deploy.segmenter import TrainedModel
from wholenet.spaces.supernet import Supernet, with_weights

PLAIN = ["plain", "plain, channels_last"]


def run(setting: Setting) -> Iterator[Row]:
    device = setting.device
    contiguous = made(setting.size, device)
    batch = random_batch(1, setting.crop, device)
    with torch.no_grad():  # so that the statistics are not those of an untrained network
        for _ in range(2):
            contiguous(batch.images)
    contiguous.eval()
    last = copy.deepcopy(contiguous).placed(device).eval()
    folded = fold(last)
    images = batch.images.contiguous(memory_format=torch.channels_last)

    def plainly(model: Supernet, x: torch.Tensor) -> Callable[[], object]:
        def call() -> object:
            with torch.no_grad(), torch_resize():
                return model(x)

        return call

    def quietly(model: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[], object]:
        def call() -> object:
            with torch.no_grad():
                return model(images)

        return call

    runs: dict[str, Callable[[], object]] = {
        "plain": plainly(written_plainly(copy.deepcopy(contiguous)), batch.images),
        "plain, channels_last": plainly(written_plainly(copy.deepcopy(last)), images),
        "as the model runs": quietly(last),
        "folded": quietly(folded),
    }
    taken = interleaved(runs, setting.rounds, device)
    double = written_plainly(copy.deepcopy(contiguous).double())
    with torch.no_grad(), torch_resize():
        exact = double(batch.images.double())
    fold_error = difference(fold(double)(batch.images.double()), exact)
    yield from compared(
        "inference, as the model runs", taken, "as the model runs", PLAIN, difference(last(images), exact), device
    )
    yield from compared("inference, folded", taken, "folded", PLAIN, fold_error, device)
    yield from one_operation(setting, last, images)
    if device.type == "cpu":
        yield from onnxruntime(setting, runs, last, images, exact)


def difference(out: torch.Tensor, exact: torch.Tensor) -> float:
    return (out.detach().double() - exact).abs().max().item()


def one_operation(setting: Setting, model: Supernet, images: torch.Tensor) -> Iterator[Row]:
    """Keeping all operations is free: folded, against the same grid with the 5x5 operation alone in every cell."""
    largest = torch.full(model.net.masks["alpha"].shape[:2], 1)
    with torch.no_grad():
        weights = {**model.arch(), "alpha": one_hot(largest, model.net.masks["alpha"]).to(images.device)}
    folded = {"all kept": fold(model), "5x5 alone": fold(with_weights(model, weights))}

    def calling(net: torch.nn.Module) -> Callable[[], object]:
        return lambda: net(images)

    taken = interleaved({name: calling(net) for name, net in folded.items()}, setting.rounds, setting.device)
    name = "inference, folded, all operations kept"
    yield from compared(name, taken, "all kept", ["5x5 alone"], None, setting.device)


def onnxruntime(
    setting: Setting, runs: dict[str, Callable[[], object]], model: Supernet, images: torch.Tensor, exact: torch.Tensor
) -> Iterator[Row]:
    """With as many threads as torch: onnxruntime's own spin while they wait, and slow what runs beside them."""
    names = tuple(f"class {i}" for i in range(exact.shape[1]))
    trained = TrainedModel(model, Classes(names, tuple((i, i, i) for i in range(len(names)))), setting.device, {})
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.onnx"
        picture = np.zeros((*setting.crop, 3), np.uint8)
        export(trained, file, "onnx", [picture])
        onnx = OnnxModel(file, threads=setting.threads)
        x = np.ascontiguousarray(images.numpy())
        own = {"onnxruntime": lambda: onnx.logits(x)}
        taken = interleaved({**{name: runs[name] for name in PLAIN}, **own}, setting.rounds, setting.device)
        error = difference(torch.from_numpy(onnx.logits(x)), exact)
    yield from compared("inference, folded, in onnxruntime", taken, "onnxruntime", PLAIN, error, setting.device)
