"""Folders of trained models and runs as earlier versions wrote them, kept as text below ``fixtures/``.

A fixture is the folder that a run left, file by file, but for two things. No weights are kept: of each
``model.safetensors`` and ``checkpoint.pt`` there is a ``.json`` that says what is in it, each tensor by its type and
shape, every plain value as it was; :func:`formula` fills the tensors. And where the run had the path of the folder that
all is in, the text has :data:`ROOT`. Pictures and README.md, which nothing reads, are left out.

In those ``.json`` files a tensor is a text, its sides: ``"4x3x3x3"``, after its type where that is not float32:
``"int64 1"``. Where its values matter (an architecture that never moved, the steps that Adam counts) they are written:
``"= 2.0"``. ``{"part": NAME}`` is what ``parts/NAME.json`` holds, since several files hold the same; ``{"range": 3}``
is ``[0, 1, 2]``; ``{"tuple": [...]}`` a tuple; ``{"each": "momentum_buffer", "of": [...]}`` an optimiser's state of
nothing but that, parameter by parameter. Names of a network's tensors are trees, parted at their dots.

They were written by the version of 2026-11-29, before the two kinds of runs and of model folders were merged.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save
from torch import Tensor

FIXTURES = Path(__file__).parent / "fixtures"
ROOT = "/ROOT"
"""Stands for the folder that runs and data are in."""
DIGEST = "WEIGHTS_SHA256"
"""Stands for the digest of model.safetensors."""
GOLDEN = (math.sqrt(5) - 1) / 2


# ---- the data that the runs were trained on


def make_discs(root: Path) -> Path:
    """Eight images of a bright disc on a striped ground, with masks, 64 x 64."""
    folder = root / "discs"
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    rows, columns = np.mgrid[:64, :64]
    for i in range(8):
        disc = (rows - 16 - 4 * i) ** 2 + (columns - 44 + 4 * i) ** 2 < 240
        ground = (3 * rows[..., None] + 5 * columns[..., None] + 40 * np.arange(3) + 7 * i) % 60
        Image.fromarray((ground + 150 * disc[..., None]).astype(np.uint8)).save(folder / "images" / f"{i}.png")
        Image.fromarray(disc.astype(np.uint8)).save(folder / "masks" / f"{i}.png")
    (folder / "classes.json").write_text('["ground", "disc"]')
    return folder


def make_stripes(root: Path) -> Path:
    """Black and white stripes, 16 x 16, of three widths, in a folder per class below train and (diagonal ones) test.

    Half of every image is white, so that mean and deviation are 0.5 on any machine, to the bit.
    """
    folder = root / "stripes"
    rows, columns = np.mgrid[:16, :16]
    for split, images in (("train", 8), ("test", 2)):
        for width, name in ((2, "narrow"), (4, "middle"), (8, "wide")):
            (folder / split / name).mkdir(parents=True)
            for i in range(images):
                across = rows + columns if split == "test" else columns if i % 2 else rows
                white = (across + i) // width % 2
                image = np.repeat(255 * white[..., None], 3, -1)
                Image.fromarray(image.astype(np.uint8)).save(folder / split / name / f"{i}.png")
    return folder


# ---- from text to folders


def build(name: str, root: Path) -> Path:
    """The folder of the run ``name`` in ``root``, with the data of all runs beside it."""
    for make, data in ((make_discs, "discs"), (make_stripes, "stripes")):
        if not (root / data).exists():
            make(root)
    for file in sorted(path for path in (FIXTURES / name).rglob("*") if path.is_file()):
        target = root / file.relative_to(FIXTURES)
        target.parent.mkdir(parents=True, exist_ok=True)
        if file.name == "model.safetensors.json":
            target.with_suffix("").write_bytes(save(tensors(file)))
        elif file.name == "checkpoint.pt.json":
            target.with_suffix("").write_bytes(checkpoint_bytes(_state(json.loads(file.read_text()))))
        else:
            target.write_text(file.read_text().replace(ROOT, str(root)))
    for weights in (root / name).rglob("model.safetensors"):
        config = weights.with_name("config.json")
        config.write_text(config.read_text().replace(DIGEST, hashlib.sha256(weights.read_bytes()).hexdigest()))
    return root / name


def checkpoint_bytes(state: dict[str, Any]) -> bytes:
    """A checkpoint file: what torch saves, its SHA-256, a mark."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    content = buffer.getvalue()
    return content + hashlib.sha256(content).digest() + b"wholenet checkpoint"


def tensors(file: Path) -> dict[str, Tensor]:
    """The tensors of the network that a ``model.safetensors.json`` lists."""
    return _network(json.loads(file.read_text()))


def formula(name: str, dtype: str, shape: tuple[int, ...]) -> Tensor:
    """Values of the tensor ``name``: squares times the golden ratio, modulo 1, from where the name's checksum says.

    Of the size that a fresh network's have; variances and second moments are above 0.
    """
    if name == "torch_random":
        return torch.Generator().manual_seed(0).get_state()
    start, count = zlib.crc32(name.encode()), math.prod(shape)
    spread = (start / 2**32 + GOLDEN * np.arange(count) ** 2) % 1 - 0.5
    if dtype == "int64":
        values = np.full(count, 1 + start % 9)
    elif name.endswith(("running_var", "exp_avg_sq")) or (name.endswith("weight") and len(shape) == 1):
        values = 1 + spread
    elif len(shape) > 2:
        values = spread * math.sqrt(24 / math.prod(shape[1:]))
    else:
        values = spread / 4
    return torch.from_numpy(values).to(getattr(torch, dtype)).reshape(shape)


def _state(content: dict[str, Any]) -> dict[str, Any]:
    return {key: _network(value) if key == "model" else _plain(value, key) for key, value in content.items()}


def _network(tree: dict[str, Any]) -> dict[str, Tensor]:
    return {name: _tensor(text, name) for name, text in _flat(tree)}


def _flat(tree: Any, name: str = "") -> Iterator[tuple[str, str]]:
    tree = _part(tree)
    if isinstance(tree, str):
        yield name, tree
        return
    for key, below in tree.items():
        yield from _flat(below, f"{name}.{key}" if name else key)


def _plain(value: Any, name: str) -> Any:
    value = _part(value)
    if isinstance(value, str):
        return _tensor(value, name)
    if isinstance(value, list):
        return [_plain(part, f"{name}.{i}") for i, part in enumerate(value)]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"tuple"}:
        return tuple(value["tuple"])
    if value.keys() == {"range"}:
        return list(range(value["range"]))
    if value.keys() == {"each", "of"}:
        each = value["each"]
        return {i: {each: _tensor(text, f"{name}.{i}.{each}")} for i, text in enumerate(value["of"])}
    return {int(key) if key.isdigit() else key: _plain(part, f"{name}.{key}") for key, part in value.items()}


def _part(value: Any) -> Any:
    if isinstance(value, dict) and value.keys() == {"part"}:
        return json.loads((FIXTURES / "parts" / f"{value['part']}.json").read_text())
    return value


def _tensor(text: str, name: str) -> Tensor:
    if text.startswith("= "):
        return torch.tensor(json.loads(text.removeprefix("= ")), dtype=torch.float32)
    dtype, _, sides = text.rpartition(" ")
    return formula(name, dtype or "float32", tuple(map(int, sides.split("x"))) if sides else ())
