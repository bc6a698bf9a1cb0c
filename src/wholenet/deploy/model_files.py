"""The files of a model folder, which may come from anybody: nothing in them is run, nothing is read from outside the
folder, and nothing is allocated before it is known what it will be.
"""

from __future__ import annotations

import stat
import struct
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from torch.overrides import TorchFunctionMode

from wholenet.files import parse_json, read_json, require_keys, shown
from wholenet.spaces.supernet import Supernet

HEADER_BYTES = 16 << 20
"""Largest header of a safetensors file. The largest network here has 1600 tensors, which take 200 kB."""
DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64}
"""The names that safetensors has for the types of our tensors."""
NAMED = 3
"""Tensors that a message names."""

AnyNet = TypeVar("AnyNet", bound=Supernet)


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


def load_network(build: Callable[[], AnyNet], folder: Path) -> AnyNet:
    """The network that ``build`` makes, with the weights in the folder's model.safetensors.

    It is built without memory first; what the file's header declares is compared with it, and only then read.

    Raises:
        ValueError: if there is no such file, it is damaged, or its tensors are not those of the network.
    """
    with torch.device("meta"), _Unfilled():
        model = build()
    file = inside(folder, "model.safetensors")
    try:
        _check_header(file, model.state_dict())
        tensors = load_file(file)
    except (OSError, ValueError, SafetensorError) as error:
        raise ValueError(f"{folder}: model.safetensors does not fit its config.json: {error}") from error
    # Copies: what is read is mapped from the file, which somebody may cut short.
    return model.filled({name: tensor.clone() for name, tensor in tensors.items()})


class _Unfilled(TorchFunctionMode):
    """Zeros for the few random numbers, not on the meta device, where the first arithmetic takes a second to import."""

    def __torch_function__(self, func: Any, _types: Any, args: Any = (), kwargs: dict[str, Any] | None = None) -> Any:
        if func is torch.randn:
            return torch.zeros(*args, device="cpu")
        return func(*args, **(kwargs or {}))


def _check_header(file: Path, expected: Mapping[str, Tensor]) -> None:
    found, size = _read_header(file), file.stat().st_size
    if missing := [name for name in expected if name not in found]:
        raise ValueError(f"{_some(missing)} not in the file; was it cut short, or made by another size or space?")
    if unknown := [name for name in found if name not in expected]:
        raise ValueError(f"the file has {_some(unknown)}, which the network does not")
    total = 0
    for name, tensor in expected.items():
        entry = found[name]
        require_keys(entry, {"dtype": str, "shape": list, "data_offsets": list}, f"the header's {name}")
        if entry["shape"] != list(tensor.shape) or DTYPES.get(entry["dtype"]) != tensor.dtype:
            raise ValueError(
                f"{name} is {shown(entry['dtype'])} {shown(entry['shape'])} in the file; the network has "
                f"{tensor.dtype} {list(tensor.shape)}"
            )
        total += tensor.numel() * tensor.element_size()
    if total > size:
        raise ValueError(f"its tensors take {total:,} bytes, but the file has {size:,}: it is cut short")


def _read_header(file: Path) -> dict[str, Any]:
    """What a safetensors file says of its tensors."""
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
    return header


def _some(names: Iterable[str]) -> str:
    listed = [shown(name) for name in names]
    more = f" and {len(listed) - NAMED} more" if len(listed) > NAMED else ""
    return ", ".join(listed[:NAMED]) + more
