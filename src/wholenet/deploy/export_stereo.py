"""A trained network for disparity as one ONNX file that runs without wholenet, for pairs of one size.

Letters: H, W height and width of a pair.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from wholenet.data.stereo.planes import draw_planes
from wholenet.deploy.export import check_export, checked_file, onnx_program, refuse_difference, save_program
from wholenet.deploy.onnx_model import FORMAT
from wholenet.deploy.stereo import CHANNELS, TrainedStereo, least_size, normalized
from wholenet.spaces.autodispnet.pair import Pair
from wholenet.spaces.supernet import Supernet

SIZE = 384, 768
"""(H, W) where none is given, but for what the network's multiples make of it."""
DRAWN = 2
"""Pairs of planes that a file is compared on, besides one of noise."""
ENDS = ["left", "right"], ["disparity"]


@dataclass(frozen=True)
class StereoCheck:
    """How an exported file compares with the network that it was made of."""

    size: tuple[int, int]
    """(H, W) of the pairs that it takes."""
    max_abs_error: float
    """Largest difference between any two disparities, in pixels."""
    largest: float
    """Disparity, in pixels."""
    inputs: int


class _Estimating(nn.Module):
    """Two images in, one disparity out."""

    def __init__(self, network: Supernet[Any]) -> None:
        super().__init__()
        self.network = network

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        return self.network(Pair(left, right)).full  # pyright: ignore[reportArgumentType]


def export_stereo(
    model: TrainedStereo, out: str | Path, size: tuple[int, int] | None = None, begin: Callable[[], None] = lambda: None
) -> StereoCheck:
    """Write ``model`` to the ONNX file ``out``.

    Inputs "left" and "right": float32 [1, 3, H, W], RGB / 255 minus the mean that stands in the file's metadata; output
    "disparity": float32 [1, H, W], in pixels of the left image.

    Args:
        model: see :func:`wholenet.load`.
        out: file to write.
        size: (H, W), multiples of what the network takes; None is near 384x768.
        begin: called once the size is known to do, before the network is traced.

    Raises:
        ValueError: for a file that exists, packages that are not installed, a size that the network does not take, or
            (nothing is written then) a file that does not compute what the model does.
    """
    check_export(out, "onnx")
    least = least_size(model.network.net)
    height, width = size or (-(-side // least) * least for side in SIZE)
    if height % least or width % least:
        near = "x".join(str(max(1, round(side / least)) * least) for side in (height, width))
        raise ValueError(f"size {height}x{width}: this network takes multiples of {least}; give {near}")
    begin()
    with checked_file(model, out) as (own, partial):
        network = _Estimating(own).eval()
        _write(network, (height, width), _description(model, (height, width)), partial)
        check = _compare(partial, network, (height, width), model.mean)
        refuse_difference(check.max_abs_error, max(check.largest, 1.0), "disparities", " px")
    return check


def _description(model: TrainedStereo, size: tuple[int, int]) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "task": "stereo",
        "model": model.network.spec.model_name,
        "mean": list(model.mean),
        "images": f"left and right: float32 [1, 3, {size[0]}, {size[1]}], RGB, value / 255 - mean",
        "disparity": f"float32 [1, {size[0]}, {size[1]}], pixels of the left image",
    }


def _write(network: nn.Module, size: tuple[int, int], about: dict[str, Any], path: Path) -> None:
    images = tuple(torch.zeros(1, CHANNELS, *size) for _ in ENDS[0])
    save_program(onnx_program(network, images, None, ends=ENDS), about, path)


@torch.no_grad()
def _compare(path: Path, network: nn.Module, size: tuple[int, int], mean: tuple[float, ...]) -> StereoCheck:
    runtime: Any = importlib.import_module("onnxruntime")  # check_export has seen it
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    noise = np.random.default_rng(0).standard_normal((2, 1, CHANNELS, *size), np.float32)
    pairs = [(noise[0], noise[1])]
    for index in range(DRAWN):
        drawn = draw_planes(0, index, *size, max_disparity=size[1] / 6)
        pairs.append((normalized([drawn.left], mean), normalized([drawn.right], mean)))
    error = largest = 0.0
    for left, right in pairs:
        ours = network(torch.from_numpy(left), torch.from_numpy(right)).numpy()
        theirs = session.run(ENDS[1], {"left": left, "right": right})[0]
        error = float(np.maximum(error, np.abs(ours - theirs).max()))  # not a number stays that
        largest = max(largest, float(ours.max()))
    return StereoCheck(size, error, largest, len(pairs))
