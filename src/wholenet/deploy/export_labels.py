"""A trained classifier as one file that runs without wholenet: ONNX, or torch's own exported program.

Letters: B images, K classes, H x W their size, which is that of the images that it learned from.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from wholenet.deploy.classifier import CHANNELS, TrainedClassifier
from wholenet.deploy.export import (
    ENDS,
    Check,
    Run,
    check_export,
    checked_file,
    exportable,
    load_torch,
    onnx_program,
    refuse_difference,
    save_program,
    write_torch,
)
from wholenet.deploy.onnx_model import FORMAT

BATCHES = (1, 2, 5)
"""Of the random images that an export is compared on."""
TRACED = 2
"""Images that are traced; the number is free."""


def export_classifier(model: TrainedClassifier, out: str | Path, form: str = "onnx") -> Check:
    """Write ``model`` to the file ``out``, its number of images free.

    Input "images": float32 [B, 3, H, W], normalised; output "logits": float32 [B, K]. The names of the classes, the
    normalisation and (H, W), to which other images are resized, are in the file's metadata.

    Args:
        model: see :func:`wholenet.load`.
        out: file to write.
        form: "onnx" or "torch".

    Returns:
        How it compares with the model, on random images.

    Raises:
        ValueError: for an unknown format, a file that exists, packages that are not installed, or (nothing is written
            then) a file that does not compute what the model does.
    """
    check_export(out, form)
    write, load = FORMS[form]
    with checked_file(model, out) as (network, partial):
        write(exportable(network), torch.zeros(TRACED, CHANNELS, *model.size), _description(model), partial)
        check = _compare(load(partial), network, model.size)
        refuse_difference(check.max_abs_error, check.max_abs_logit)
    return check


def _description(model: TrainedClassifier) -> dict[str, Any]:
    height, width = model.size
    return {
        "format": FORMAT,
        "task": "classification",
        "model": model.network.spec.model_name,
        "classes": list(model.classes),
        "normalization": {"mean": list(model.mean), "std": list(model.std)},
        "size": [height, width],
        "images": f"float32 [B, {CHANNELS}, {height}, {width}], RGB, (value / 255 - mean) / std",
        "logits": f"float32 [B, {len(model.classes)}]; the class is the argmax over axis 1",
    }


def _dynamic() -> dict[int, Any]:
    return {0: torch.export.Dim("batch", min=1)}


def _write_onnx(net: nn.Module, example: torch.Tensor, about: dict[str, Any], path: Path) -> None:
    save_program(onnx_program(net, (example,), (_dynamic(),)), about, path)


def _load_onnx(path: Path) -> Run:
    runtime = importlib.import_module("onnxruntime")
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    ((images,), (logits,)) = ENDS
    return lambda x: session.run([logits], {images: x})[0]


def _write_torch(net: nn.Module, example: torch.Tensor, about: dict[str, Any], path: Path) -> None:
    write_torch(net, example, _dynamic(), about, path)


FORMS = {"onnx": (_write_onnx, _load_onnx), "torch": (_write_torch, load_torch)}
"""By name: how it is written, and how it is loaded to be compared."""


@torch.no_grad()
def _compare(run: Run, network: nn.Module, size: tuple[int, int]) -> Check:
    rng = np.random.default_rng(0)
    inputs = [rng.standard_normal((batch, CHANNELS, *size), np.float32) for batch in BATCHES]
    pairs = [(network(torch.from_numpy(x)).numpy(), run(x)) for x in inputs]
    ours, theirs = (np.concatenate(found) for found in zip(*pairs, strict=True))
    same = float((ours.argmax(1) == theirs.argmax(1)).mean())
    return Check(float(np.abs(ours - theirs).max()), float(np.abs(ours).max()), same, len(inputs))
