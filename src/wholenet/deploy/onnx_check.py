"""What an ONNX file says of itself, before onnxruntime opens it: that it needs no other file, claims no memory that it
does not fill, holds numbers, and is as it was written.

An ONNX file is a program of array operations: it can read no files and run nothing else, but it can take any time and
memory. onnxruntime itself would open the files that it names as the places of its weights. Read by hand, as protocol
buffers, because those who predict need onnxruntime alone.
"""

from __future__ import annotations

import hashlib
import math
import mmap
from collections.abc import Iterator
from pathlib import Path

import numpy as np

NESTED: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
}
"""The messages of onnx.proto that tensors lie in, by the numbers of their fields."""
NAME, DIMS, TYPE, EXTERNAL, LOCATION = 8, 1, 2, 13, 14
"""Fields of a tensor: its name, its shape, the type of its elements, and where it is if it is not here."""
RAW, FLOATS = 9, {4: "<f4", 10: "<f8"}
"""Fields that hold its elements: as bytes, or as a list of floats of one kind."""
RAW_FLOATS = {1: "<f4", 10: "<f2", 11: "<f8"}
"""By type, how numpy calls floats that lie there as bytes."""
SEAL = b"\x72\x53\x0a\x0fwholenet_sha256\x12\x40"
"""What stands before the checksum, 64 digits, at the end of a file: one more entry of the model's metadata."""
DIGITS = 64
DEPTH = 64
"""Graphs within graphs; an exported network has one."""
PER_BYTE = 2
"""Elements that a byte holds at most, in ONNX's smallest type."""


def check_onnx(path: Path) -> None:
    """Make sure that the file stands alone, and is as :func:`seal` left it. Those of earlier versions have no seal.

    Raises:
        ValueError: if it is no ONNX file, has been altered since, keeps weights in other files, declares tensors larger
            than itself, or has some that are sparse or not finite.
    """
    if not path.stat().st_size:
        raise ValueError(f"{path} cannot be read as ONNX: it is empty")
    with path.open("rb") as file:
        content = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    end = max(0, len(content) - DIGITS - len(SEAL))
    if content[end:-DIGITS] == SEAL and _digest(content[:end]) != content[-DIGITS:]:
        raise ValueError(
            f"{path} has been damaged or altered since `wholenet export` wrote it: its checksum is another. Copy it "
            "anew, or export it anew"
        )
    try:
        _check(content, "model", 0)
    except (IndexError, _NoMessage) as error:
        raise ValueError(f"{path} cannot be read as ONNX: it is damaged, or something else") from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def seal(path: Path) -> None:
    """Put a checksum of all that is in an ONNX file behind it, as one more entry of the model's metadata."""
    with path.open("rb+") as file:
        content = file.read()
        file.write(SEAL + _digest(content))


def _digest(content: bytes | memoryview) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()


class _NoMessage(Exception):
    """The bytes are no protocol buffer."""


def _check(message: memoryview, kind: str, depth: int) -> None:
    if depth > DEPTH:
        raise _NoMessage
    if kind == "sparse":  # onnxruntime fills it out: its shape alone, of any size, is what it takes of memory
        raise ValueError("it has a sparse tensor, and `wholenet export` writes none: export it anew")
    if kind == "tensor":
        _check_tensor(message)
        return
    nested = NESTED[kind]
    for number, value in _fields(message):
        if number in nested:
            if isinstance(value, int):
                raise _NoMessage
            _check(value, nested[number], depth + 1)


def _check_tensor(message: memoryview) -> None:
    name, shape, elsewhere = "", list[int](), False
    kind, raw, floats = 0, memoryview(b""), list[tuple[memoryview, str]]()
    for number, value in _fields(message):
        if number == NAME and not isinstance(value, int):
            name = bytes(value[:100]).decode(errors="replace")
        elif number == DIMS:
            shape += [value] if isinstance(value, int) else list(_varints(value))
        elif number == TYPE and isinstance(value, int):
            kind = value
        elif number == RAW and not isinstance(value, int):
            raw = value
        elif number in FLOATS and not isinstance(value, int):
            floats.append((value, FLOATS[number]))
        elif number == EXTERNAL or (number == LOCATION and value):
            elsewhere = True
    if elsewhere:
        raise ValueError(
            f"its tensor {name!r} is kept in another file, which could be any file of yours; `wholenet export` writes "
            "one file that holds everything: export it anew"
        )
    if math.prod(shape) > PER_BYTE * len(message):
        raise ValueError(
            f"its tensor {name!r} claims to be {'x'.join(map(str, shape))}, but the file has only "
            f"{len(message):,} bytes of it"
        )
    if kind in RAW_FLOATS:
        floats.append((raw, RAW_FLOATS[kind]))
    if not all(_finite(*held) for held in floats):
        raise ValueError(f"its tensor {name!r} has values that are not finite: nothing can be predicted with it")


def _finite(held: memoryview, kind: str) -> bool:
    count = len(held) // np.dtype(kind).itemsize
    return bool(np.isfinite(np.frombuffer(held, kind, count)).all())


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """(number, value) of each field: a whole number, or bytes."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, at = _varint(message, at)
            yield number, value
            continue
        length, at = _varint(message, at) if wire == 2 else ({1: 8, 5: 4}.get(wire), at)
        if length is None or not number or at + length > len(message):
            raise _NoMessage
        yield number, message[at : at + length]
        at += length


def _varints(packed: memoryview) -> Iterator[int]:
    at = 0
    while at < len(packed):
        value, at = _varint(packed, at)
        yield value


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """A number, seven bits to the byte, and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        byte = message[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise _NoMessage
