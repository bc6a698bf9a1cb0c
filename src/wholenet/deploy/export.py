"""A trained network as one file that runs without wholenet: ONNX, or torch's own exported program.

The network is folded first, and the file is compared with the unfolded network before it is put into its place.
"""

from __future__ import annotations

import copy
import importlib
import json
import logging
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from wholenet.data.classes import classes_to_dict
from wholenet.data.pixels import Pixels
from wholenet.deploy.folds import fold_of
from wholenet.deploy.onnx_check import seal
from wholenet.deploy.onnx_model import FORMAT, METADATA, OnnxModel, smallest_at
from wholenet.deploy.segmenter import TrainedModel
from wholenet.files import check_output
from wholenet.spaces.supernet import Supernet

RANDOM_SIZES = ((1, 64, 96), (2, 75, 101), (3, 33, 33), (1, 227, 419))
"""(B, H, W) of the random inputs that an export is checked on."""
ENDS = ["images"], ["logits"]
"""Names of what goes in and comes out."""
ONNX_PACKAGES = ("onnx", "onnxscript", "onnxruntime")
TOLERANCE = 1e-3
"""Largest difference allowed, relative to the largest logit: far above rounding, far below a mistake."""

Run = Callable[[np.ndarray], np.ndarray]
"""Normalised images, float32 [B, C, H, W] -> class logits, float32 [B, classes, H, W]."""


@dataclass(frozen=True)
class Check:
    """How an exported file compares with the network that it was made of."""

    max_abs_error: float
    """Largest difference between any two logits."""
    max_abs_logit: float
    same_class: float
    """Share of the pixels, of random and real images, that get the same class; of a classifier, of the images."""
    inputs: int


def export(model: TrainedModel, out: str | Path, form: str, images: list[np.ndarray]) -> Check:
    """Write ``model``, folded, to the file ``out``.

    Batch, height and width are free (heights and widths from 33). Input "images": float32 [B, C, H, W], normalised;
    output "logits": float32 [B, classes, H, W]. Classes and normalisation are in the file: see :func:`description`.

    Args:
        model: see :func:`wholenet.load`.
        out: file to write.
        form: a name in :data:`FORMATS`.
        images: real images of the model's kind, that it is checked on, besides random ones; any that are smaller than
            an exported network takes are left out.

    Raises:
        ValueError: for an unknown format, a file that exists, packages that are not installed, or (nothing is written
            then) an exported network that does not compute what the model does.
    """
    check_export(out, form)
    write, load = FORMATS[form]
    with checked_file(model, out) as (network, partial):
        write(exportable(network), description(model), partial)
        check = _compare(load(partial), network, _inputs(images, model.pixels, smallest_at(network.spec.zoom)))
        refuse_difference(check.max_abs_error, check.max_abs_logit)
    return check


@contextmanager
def checked_file(model: Any, out: str | Path) -> Iterator[tuple[Supernet[Any], Path]]:
    """Within the block, the network of ``model`` on the CPU and a file beside ``out`` to write; that becomes ``out`` at
    the end of the block, and goes where the block raises. The network goes back to its device."""
    out = Path(out)
    partial = out.with_name(f"{out.stem}.partial{out.suffix}")
    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield model.network.cpu(), partial
        partial.replace(out)
    finally:
        partial.unlink(missing_ok=True)
        model.network.to(model.device)


def refuse_difference(error: float, largest: float, what: str = "logits", unit: str = "") -> None:
    """Make sure that a file computes what its network does.

    Args:
        error: the largest difference between two outputs.
        largest: output.
        what: outputs are, for people.
        unit: of them, likewise.

    Raises:
        ValueError: if they differ by more than rounding.
    """
    if not error <= TOLERANCE * largest:  # not a number is not equal either
        raise ValueError(
            f"the exported network differs from the model by {error:.2g}{unit} ({what} up to {largest:.2g}), which is "
            "more than rounding; nothing was written. Please report this"
        )


def exportable(network: Supernet[Any]) -> nn.Module:
    """A copy of ``network`` with as few operations as we know to make of it, since each costs a tracer the same; and as
    torch.export wants it: in-place operations take it minutes to undo, other memory layouts make it warn."""
    lay = fold_of(network)
    net = copy.deepcopy(network).eval() if lay is None else lay(network)
    for module in net.modules():
        if isinstance(module, nn.ReLU | nn.ReLU6 | nn.Hardswish):
            module.inplace = False
    for parameter in net.parameters():
        parameter.data = parameter.data.contiguous()
    return net


def check_export(out: str | Path, form: str) -> None:
    """Make sure that an export can begin.

    Raises:
        ValueError: for an unknown format, packages that are not installed, or if something is in the place of ``out``,
            or cannot be written there.
    """
    if form not in FORMATS:
        raise ValueError(f"unknown format {form!r}; known: {', '.join(FORMATS)}")
    if form == "onnx" and (missing := [name for name in ONNX_PACKAGES if find_spec(name) is None]):
        raise ValueError(f"ONNX needs {', '.join(missing)}, not installed here: pip install 'wholenet[export]'")
    if Path(out).exists():
        raise ValueError(f"{out} exists; remove it, or choose another --out")
    check_output(out)


def description(model: TrainedModel) -> dict[str, Any]:
    """What the file says of itself, as plain values; "pixels" only of images that are no photographs,
    "zoom" where it sees them at another size."""
    about = model.pixels.to_dict()
    zoom = model.network.spec.zoom
    how = "RGB, (value / 255 - mean)" if model.pixels.photo else f"{model.pixels}, (value - mean)"
    return {
        "format": FORMAT,
        "model": model.network.spec.model_name,
        "classes": classes_to_dict(model.classes),
        "normalization": about.pop("normalization"),
        "held_out": model.held_out,
        "images": f"float32 [B, {model.pixels.channels}, H, W], {how} / std; H and W from {smallest_at(zoom)}",
        "logits": "float32 [B, classes, H, W]; the class is the argmax over axis 1",
        **({"zoom": zoom} if zoom != 1 else {}),
        **about,
    }


def _dynamic(about: dict[str, Any]) -> dict[int, Any]:
    dim, least = torch.export.Dim, smallest_at(about.get("zoom", 1.0))
    return {0: dim("batch", min=1), 2: dim("height", min=least), 3: dim("width", min=least)}


def _example(about: dict[str, Any]) -> Tensor:
    least = smallest_at(about.get("zoom", 1.0))
    return torch.zeros(2, len(about["normalization"]["mean"]), 2 * least, 3 * least)


def _write_onnx(net: nn.Module, about: dict[str, Any], path: Path) -> None:
    save_program(_traced_twice(net, about) or onnx_program(net, (_example(about),), (_dynamic(about),)), about, path)


def save_program(program: Any, about: dict[str, Any], path: Path) -> None:
    """Write an ONNX program to a file that says ``about`` of itself."""
    program.model.metadata_props[METADATA] = json.dumps(about)
    program.save(path)
    seal(path)


def _traced_twice(net: nn.Module, about: dict[str, Any]) -> Any | None:
    """The program, without reasoning about free sizes; None if there is no way round that."""
    sizes = importlib.import_module("wholenet.deploy.free_sizes")  # it needs the packages of ONNX
    channels = len(about["normalization"]["mean"])
    zoom = about.get("zoom", 1.0)
    images = [torch.zeros(batch, channels, height, width) for batch, height, width in sizes.traced(zoom)]
    first, second = (onnx_program(net, (some,), None, optimize=False) for some in images)
    try:
        sizes.free_sizes(first.model, second.model, zoom)
    except sizes.SizesUnknown:
        return None
    with _quiet():
        first.optimize()
    return first


def onnx_program(
    net: nn.Module,
    images: tuple[Tensor, ...],
    dynamic: Any,
    *,
    ends: tuple[list[str], list[str]] = ENDS,
    optimize: bool = True,
) -> Any:
    """The ONNX program of a network.

    Args:
        net: of the network.
        images: what it is traced with.
        dynamic: the sizes that are free, about which torch reasons; None: none are.
        ends: names of what goes in and comes out.
        optimize: leave operations out that compute nothing.
    """
    with _quiet():
        program = torch.onnx.export(
            net,
            images,
            dynamo=True,
            dynamic_shapes=dynamic,
            input_names=ends[0],
            output_names=ends[1],
            verbose=False,
            optimize=optimize,
        )
    assert program is not None
    return program


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's warnings: of packages that nothing here needs, and of torch's own deprecations."""
    logging.getLogger("torch.onnx._internal.exporter._registration").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _load_onnx(path: Path) -> Run:
    return OnnxModel(path, threads=1).logits


def _write_torch(net: nn.Module, about: dict[str, Any], path: Path) -> None:
    write_torch(net, _example(about), _dynamic(about), about, path)


def write_torch(net: nn.Module, example: Tensor, dynamic: dict[int, Any], about: dict[str, Any], path: Path) -> None:
    """Write torch's exported program of a network, traced with ``example``, to a file that says ``about`` of itself."""
    program = torch.export.export(net, (example,), dynamic_shapes=(dynamic,))
    torch.export.save(program, path, extra_files={f"{METADATA}.json": json.dumps(about)})


def load_torch(path: Path) -> Run:
    """What :func:`write_torch` has just written, to be compared: such a file may hold code."""
    net = torch.export.load(path).module()
    return lambda x: net(torch.from_numpy(x)).numpy()


FORMATS: dict[str, tuple[Callable[[nn.Module, dict[str, Any], Path], None], Callable[[Path], Run]]] = {
    "onnx": (_write_onnx, _load_onnx),
    "torch": (_write_torch, load_torch),
}
"""By name: how it is written, and how it is loaded to be compared."""


@torch.no_grad()
def _compare(run: Run, network: nn.Module, inputs: Iterable[np.ndarray]) -> Check:
    error = largest = 0.0
    same = compared = count = 0
    for x in inputs:
        ours, theirs = network(torch.from_numpy(x)).numpy(), run(x)
        error = float(np.maximum(error, np.abs(ours - theirs).max()))
        largest = max(largest, float(np.abs(ours).max()))
        same += int((ours.argmax(1) == theirs.argmax(1)).sum())
        compared += ours[:, 0].size
        count += 1
    return Check(error, largest, same / compared, count)


def _inputs(images: list[np.ndarray], pixels: Pixels, least: int) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(0)
    for batch, height, width in RANDOM_SIZES:
        yield rng.standard_normal((batch, pixels.channels, max(height, least), max(width, least)), np.float32)
    for image in images:
        if min(image.shape[:2]) >= least:
            yield np.ascontiguousarray(pixels.normalized(image).transpose(2, 0, 1))[None]
