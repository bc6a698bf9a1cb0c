"""The files of a model folder, which may come from anybody: nothing in them is run, nothing is read from outside the
folder, and nothing is allocated before it is known what it will be.

config.json holds the SHA-256 of model.safetensors. The two are written into a folder of their own, which then takes its
place, so that a crash never parts them.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import struct
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook
from torch.overrides import TorchFunctionMode

from wholenet.file_keys import check_keys
from wholenet.files import parse_json, read_json, settle, shown, write_whole
from wholenet.spaces.supernet import Supernet

HEADER_BYTES = 16 << 20
"""Largest header of a safetensors file. The largest network here has 1600 tensors, which take 200 kB."""
DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64}
"""The names that safetensors has for the types of our tensors."""
SPARE = 500
"""Parameters that a network may make for nothing, besides as many as it has."""
NAMED = 3
"""Tensors that a message names."""
DIGEST = "weights_sha256"
"""Key of config.json."""

AnyNet = TypeVar("AnyNet", bound=Supernet)


def write_model(path: Path, model: nn.Module, config: dict[str, Any], card: str) -> None:
    """Write the weights of ``model``, its config and its README into the folder ``path``, in the place of what is
    there.

    A reader never meets half a model, and a crash at any moment leaves the old one or the new: see :func:`place_of`.

    Raises:
        FloatingPointError: for weights that are not finite, or a variance below 0 (named); nothing is written then.
        OSError: if it cannot be written; what was there stays.
    """
    tensors = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    if (problem := unusable(tensors)) is not None:
        raise FloatingPointError(f"{path}: no model is written, because {problem}")
    partial, old = path.with_name(path.name + ".partial"), _set_aside(path)
    if not path.exists() and old.exists():  # a crash between the two renames below
        old.replace(path)
    for leftover in (partial, old):
        shutil.rmtree(leftover, ignore_errors=True)
    partial.mkdir(parents=True)
    content = save(tensors)
    with (partial / "model.safetensors").open("wb") as file:  # safetensors' own writing hides that a disk is full
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    config = {**config, DIGEST: hashlib.sha256(content).hexdigest()}
    write_whole(partial / "config.json", json.dumps(config, indent=2) + "\n")
    write_whole(partial / "README.md", card)
    settle(partial)
    if path.exists():
        path.replace(old)
    partial.replace(path)
    settle(path.parent)
    shutil.rmtree(old, ignore_errors=True)


def place_of(path: str | Path) -> Path | None:
    """The model folder that ``path`` is, or holds as ``model``; None if there is none.

    It is NAME.old where a crash kept :func:`write_model` from putting the new one into its place.

    Raises:
        ValueError: if it is a symbolic link that leads out of ``path``.
    """
    path = Path(path)
    for name in ("model", _set_aside(Path("model")).name):
        if (path / name / "config.json").is_file():
            return inside(path, name)
    places = [path, *([_set_aside(path)] if path.name and not path.exists() else [])]
    return next((place for place in places if (place / "config.json").exists()), None)


def _set_aside(path: Path) -> Path:
    return path.with_name(path.name + ".old")


def inside(folder: Path, name: str) -> Path:
    """The file or folder called ``name`` in ``folder``.

    Raises:
        ValueError: if it is not there, or a symbolic link that leads out of the folder.
    """
    path = folder / name
    if not path.exists():
        raise ValueError(f"{path} is not there; a model folder holds config.json and model.safetensors")
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ValueError(
            f"{path} is a symbolic link that leads out of its folder, to {path.resolve()}; expected the file itself. "
            "If you trust it, copy the folder with `cp -rL`"
        )
    return path


def read_config(folder: Path) -> dict[str, Any]:
    """What the config.json of a model folder says.

    Raises:
        ValueError: if it is not there, not in the folder, or no JSON mapping.
    """
    path = inside(folder, "config.json")
    try:
        config = read_json(path)
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    if not isinstance(config, dict):
        raise ValueError(f"{path} holds {type(config).__name__}; expected a mapping, as `wholenet fit` writes it")
    return config


def load_network(build: Callable[[], AnyNet], folder: Path, config: Mapping[str, Any]) -> AnyNet:
    """The network that ``build`` makes, with the weights in the folder's model.safetensors.

    It is built without memory first, as long as it has no more tensors than the file's header declares; the two are
    compared, and only then is the file read.

    Args:
        build: makes it, untrained.
        folder: the model folder.
        config: its config. Those of earlier versions have no checksum.

    Raises:
        ValueError: if there is no such file, it is damaged or altered, its tensors are not those of the network, or
            nothing can be computed with them.
    """
    file = inside(folder, "model.safetensors")
    with _fitting(folder):
        header = read_header(file)
    with torch.device("meta"), _Unfilled(), _no_more_than(len(header[0])):
        model = build()
    with _fitting(folder):
        _check_header(header, model.state_dict())
        if DIGEST in config:
            _check_digest(file, config[DIGEST])
        tensors = load_file(file)
    if (problem := unusable(tensors)) is not None:
        raise ValueError(
            f"{folder}: nothing can be predicted with this model: {problem}. Train it again, or copy it anew"
        )
    # Copies: what is read is mapped from the file, which somebody may cut short.
    return model.filled({name: tensor.clone() for name, tensor in tensors.items()})


def read_tensors(file: Path) -> dict[str, Tensor]:
    """All tensors of a safetensors file: copies, which stay whatever becomes of the file.

    Raises:
        ValueError: if it is none, damaged, or nothing can be computed with them.
        OSError: if it cannot be read.
    """
    read_header(file)
    try:
        tensors = {name: tensor.clone() for name, tensor in load_file(file).items()}
    except SafetensorError as error:
        raise ValueError(f"it is damaged, or no safetensors file ({error})") from error
    if (problem := unusable(tensors)) is not None:
        raise ValueError(problem)
    return tensors


def unusable(tensors: Mapping[str, Tensor]) -> str | None:
    """What is wrong with the first of a network's ``tensors`` that nothing can be computed with; None if nothing is.

    >>> unusable({"norm.weight": torch.tensor([1.0, float("nan")])})
    'norm.weight has 1 of 2 values that are not finite'
    >>> unusable({"norm.running_var": torch.tensor([1.0, -0.5])})
    'norm.running_var, which holds variances, has one of -0.5'
    """
    for name, tensor in tensors.items():
        if wrong := int((~tensor.isfinite()).sum()):
            return f"{name} has {wrong:,} of {tensor.numel():,} values that are not finite"
        if name.endswith("running_var") and bool((tensor < 0).any()):
            return f"{name}, which holds variances, has one of {tensor.min().item():.3g}"
    return None


def file_digest(file: Path) -> str:
    """The SHA-256 of what is in the file."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _check_digest(file: Path, expected: object) -> None:
    found = file_digest(file)
    if found != expected:
        raise ValueError(
            f"its SHA-256 is {found}, and {shown(expected)} was written into {DIGEST}; it is damaged, or another file. "
            f"Copy the folder anew. If you altered the weights yourself, take {DIGEST} out of config.json"
        )


class _Unfilled(TorchFunctionMode):
    """Zeros for the few random numbers, not on the meta device, where the first arithmetic takes a second to import."""

    def __torch_function__(self, func: Any, _types: Any, args: Any = (), kwargs: dict[str, Any] | None = None) -> Any:
        if func is torch.randn:
            return torch.zeros(*args, device="cpu")
        return func(*args, **(kwargs or {}))


@contextmanager
def _fitting(folder: Path) -> Iterator[None]:
    """Say of what goes wrong within the block whose it is."""
    try:
        yield
    except (OSError, ValueError, SafetensorError) as error:
        raise ValueError(f"{folder}: model.safetensors does not fit its config.json: {error}") from error


@contextmanager
def _no_more_than(tensors: int) -> Iterator[None]:
    """Let no network be built within the block whose parameters are far more than so many ``tensors``: a config of a
    few bytes can describe one of millions, which takes minutes. Some are made and left out again, of an encoder say."""
    most, made, own = 2 * tensors + SPARE, 0, threading.get_ident()

    def count(_module: nn.Module, _name: str, parameter: nn.Parameter | None) -> None:
        nonlocal made
        made += parameter is not None and threading.get_ident() == own
        if made > most:
            raise ValueError(f"it has more than {most:,} tensors; expected the {tensors:,} of model.safetensors")

    counted = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        counted.remove()


def _check_header(header: tuple[Mapping[str, Any], int], expected: Mapping[str, Tensor]) -> None:
    found, size = header
    if missing := [name for name in expected if name not in found]:
        raise ValueError(f"{some_of(missing)} not in the file; was it cut short, or made by another size or space?")
    if unknown := [name for name in found if name not in expected]:
        raise ValueError(f"the file has {some_of(unknown)}, which the network does not")
    total = 0
    for name, tensor in expected.items():
        entry = found[name]
        check_keys(entry, {"dtype": str, "shape": list, "data_offsets": list}, f"the header's {name}")
        if entry["shape"] != list(tensor.shape) or DTYPES.get(entry["dtype"]) != tensor.dtype:
            raise ValueError(
                f"{name} is {shown(entry['dtype'])} {shown(entry['shape'])} in the file; the network has "
                f"{tensor.dtype} {list(tensor.shape)}"
            )
        total += tensor.numel() * tensor.element_size()
    if total != size:
        raise ValueError(
            f"its tensors take {total:,} bytes, but {size:,} follow the header: it is cut short, or something was added"
        )


def read_header(file: Path) -> tuple[dict[str, Any], int]:
    """What a safetensors file says of its tensors, and the bytes behind that.

    Raises:
        ValueError: if it is no regular file, or begins otherwise than such a file does.
    """
    found = file.stat()
    if not stat.S_ISREG(found.st_mode):
        raise ValueError(f"{file} is no regular file")
    with file.open("rb") as opened:
        start = opened.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if not 0 < length <= min(HEADER_BYTES, found.st_size - 8):
            raise ValueError(
                f"it claims a header of {length:,} bytes; expected at most {HEADER_BYTES:,}, in a file of "
                f"{found.st_size:,}. It is damaged, or no safetensors file"
            )
        try:
            header = parse_json(opened.read(length).decode())
        except ValueError as error:
            raise ValueError(f"its header cannot be read ({error}); it is damaged, or no safetensors file") from error
    if not isinstance(header, dict):
        raise ValueError("its header is no mapping; it is damaged, or no safetensors file")
    header.pop("__metadata__", None)
    return header, found.st_size - 8 - length


def some_of(names: Iterable[str]) -> str:
    """The first few of ``names``, and how many more there are."""
    listed = [shown(name) for name in names]
    more = f" and {len(listed) - NAMED} more" if len(listed) > NAMED else ""
    return ", ".join(listed[:NAMED]) + more
