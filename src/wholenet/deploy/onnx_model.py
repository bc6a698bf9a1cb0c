"""A network that ``wholenet export`` wrote as ONNX, run by onnxruntime: what it takes to use it is in the file."""

from __future__ import annotations

import importlib
import math
from pathlib import Path

import numpy as np

from wholenet.checked import PredictionZoom, check
from wholenet.data.classes import classes_from_dict
from wholenet.data.pixels import Pixels
from wholenet.deploy.held_out import check_held_out
from wholenet.deploy.onnx_check import check_onnx
from wholenet.file_keys import check_keys
from wholenet.files import parse_json, shown
from wholenet.tasks.finite import LOST

METADATA = "wholenet"
"""Key of the file's metadata under which :func:`description` stands, as JSON."""
FORMAT = 1
SMALLEST = 33
"""Least height and width for an exported network: two pixels at stride 32; torch.export takes one for a constant."""


def smallest_at(zoom: float) -> int:
    """Least height and width for an exported network that sees images at ``zoom``.

    >>> smallest_at(1.0), smallest_at(0.5)
    (33, 66)
    """
    return max(SMALLEST, math.ceil(SMALLEST / zoom))


class OnnxModel:
    """Predicts like ``TrainedModel``, without torch.

    Args:
        path: a file that ``wholenet export`` wrote.
        threads: of onnxruntime; 0 leaves its choice.

    Raises:
        ValueError: if onnxruntime is not installed, the file is no ONNX file, or what it says of classes,
            normalisation and images held out is missing or does not do.
    """

    def __init__(self, path: str | Path, threads: int = 0) -> None:
        try:
            runtime = importlib.import_module("onnxruntime")  # not everyone needs it
        except ImportError as error:
            raise ValueError("ONNX needs onnxruntime, not installed here: pip install 'wholenet[export]'") from error
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        if not Path(path).is_file():
            raise ValueError(f"{path} does not exist; give a file that `wholenet export` wrote")
        check_onnx(Path(path))
        try:
            self._session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises classes of its own that have no common base but this
            raise ValueError(f"{path} cannot be read as ONNX: {error}") from error
        text = self._session.get_modelmeta().custom_metadata_map.get(METADATA)
        try:
            about = parse_json(text) if text else {}
        except ValueError as error:
            raise ValueError(f"{path}: what it says of itself cannot be read: {error}") from error
        if isinstance(about, dict) and about.get("task", "segmentation") != "segmentation":
            raise ValueError(
                f"{path} is a network for {shown(about['task'])}, which is run by onnxruntime itself: what goes in and "
                "comes out stands in its metadata. Give the run or model folder here"
            )
        if not isinstance(about, dict) or about.get("format") != FORMAT:
            found = about.get("format") if isinstance(about, dict) else about
            raise ValueError(
                f"{path} does not say which classes it tells apart and how images are normalised (wholenet format "
                f"{shown(found)}, expected {FORMAT}); export it anew with `wholenet export`"
            )
        about = {"held_out": {}, **about}  # files of earlier versions do not say it
        check_keys(about, {"classes": dict, "normalization": dict, "held_out": dict}, str(path))
        self.about = about
        self.held_out = check_held_out(about["held_out"], str(path))
        self.classes = classes_from_dict(about["classes"])
        self.pixels = Pixels.from_dict(about, str(path))
        self.least = smallest_at(check(f"{path}: zoom", about.get("zoom", 1.0), PredictionZoom))
        self._check_ends(path)

    def _check_ends(self, path: str | Path) -> None:
        """Make sure that it takes images and gives logits of its classes."""
        ends = [(end.name, end.shape) for end in (*self._session.get_inputs(), *self._session.get_outputs())]
        names, shapes = [name for name, _ in ends], [shape for _, shape in ends]
        if (
            names != ["images", "logits"]
            or [len(s) for s in shapes] != [4, 4]
            or shapes[1][1] != len(self.classes)
            or shapes[0][1] != self.pixels.channels
        ):
            raise ValueError(
                f"{path} goes from and to {shown(ends)}; expected images [B, {self.pixels.channels}, H, W] and logits "
                f"[B, {len(self.classes)}, H, W], one for each of its classes"
            )

    def logits(self, x: np.ndarray) -> np.ndarray:
        """Normalised images, float32 [B, C, H, W] -> class logits, float32 [B, classes, H, W]."""
        return self._session.run(["logits"], {"images": x})[0]

    def predict(self, image: np.ndarray) -> np.ndarray:
        """Train ids, uint8 [H, W], of an image [H, W, C], uint8 RGB unless ``pixels`` are others, at least ``least``
        high and wide.

        Raises:
            ValueError: if the image has another shape or type, or is smaller.
            FloatingPointError: for logits that are not finite.
        """
        return self.class_logits(image).argmax(0).astype(np.uint8)

    def class_logits(self, image: np.ndarray) -> np.ndarray:
        """Class logits, float32 [K, H, W], of such an image; ``predict`` names the largest.

        Raises:
            ValueError: as ``predict``.
            FloatingPointError: likewise.
        """
        self.pixels.check(image)
        if min(image.shape[:2]) < self.least:
            raise ValueError(
                f"an image of {image.shape[0]}x{image.shape[1]} is too small for an exported network, which takes "
                f"{self.least}x{self.least} or more; use the run or model folder, or larger images or tiles"
            )
        x = self._scaled(image) if self.pixels.photo else self.pixels.normalized(image)
        logits = self.logits(np.ascontiguousarray(x.transpose(2, 0, 1))[None])
        if not np.isfinite((logits.min(), logits.max())).all():
            raise FloatingPointError(LOST)
        return logits[0]

    def _scaled(self, image: np.ndarray) -> np.ndarray:
        """A photograph, by the constants in the file."""
        mean, std = (np.array(values, np.float32) for values in (self.pixels.mean, self.pixels.std))
        return (image.astype(np.float32) / 255 - mean) / std
