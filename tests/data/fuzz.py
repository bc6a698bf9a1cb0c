"""Kinds of damaged and odd data sets, made out of good ones, and what must be said of each.

``python tests/data/fuzz.py`` prints docs/data-problems.md.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import struct
import sys
import tempfile
import zlib
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from fuzz_layouts import LAYOUTS
from fuzz_outlines import OUTLINES
from fuzz_pairs import PAIRS
from fuzz_texts import TEXTS, good_text
from PIL import Image
from stereo_trees import good_pairs
from tiffs import tiff

HEIGHT, WIDTH = 40, 48
NAMES = {"train": [f"t{i}" for i in range(6)], "val": [f"v{i}" for i in range(3)]}
CLASSES = (("sky", (0, 0, 255)), ("road", (128, 64, 128)), ("car", (200, 0, 0)))
ORIENTATION = 0x0112
PAGE = Path(__file__).parents[2] / "docs" / "data-problems.md"

Outcome = Literal["error", "warning", "fine"]


@dataclass(frozen=True)
class Kind:
    """A way to spoil a data set."""

    damage: Callable[[Path], object]
    """Changes a copy of the good data set."""
    outcome: Outcome
    says: tuple[str, ...] = ()
    """What must be in the message; the file's name always is."""
    options: tuple[str, ...] = ()
    """Of `wholenet check-data`."""
    masks: Mapping[str, np.ndarray] = field(default_factory=dict)
    """What training must see instead of the good data set's mask, by image."""
    base: Literal["masks", "labelled", "text", "pairs"] = "masks"
    links: bool = False
    """Whether the file system must know links."""


# ---- good data sets


def picture(name: str) -> np.ndarray:
    return np.random.default_rng(list(name.encode())).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def truth(name: str) -> np.ndarray:
    """Sky above road, a car on it; no two are the same."""
    mask = np.ones((HEIGHT, WIDTH), np.uint8)
    number = int(name[1:])
    mask[: 12 + number] = 0
    mask[24:34, 4 + 2 * number : 20 + 2 * number] = 2
    return mask


def good(root: Path) -> None:
    for split, names in NAMES.items():
        for kind in ("images", "masks"):
            (root / kind / split).mkdir(parents=True)
        for name in names:
            Image.fromarray(picture(name)).save(image(root, name))
            Image.fromarray(truth(name)).save(mask(root, name))
    write_classes(root)


def good_labelled(root: Path) -> None:
    for split, count in (("train", 4), ("test", 2)):
        for label in ("cat", "dog"):
            (root / split / label).mkdir(parents=True)
            for i in range(count):
                pixels = picture(f"{split}{label}{i}")[:16, :16]
                Image.fromarray(pixels).save(root / split / label / f"{label}{i}.png")


def write_classes(root: Path, colors: bool = True, **more: object) -> None:
    entries = [
        {"id": i, "name": name} | ({"color": color} if colors else {}) for i, (name, color) in enumerate(CLASSES)
    ]
    (root / "classes.json").write_text(json.dumps({"classes": entries, **more}))


def image(root: Path, name: str, suffix: str = ".png") -> Path:
    return root / "images" / ("train" if name[0] == "t" else "val") / f"{name}{suffix}"


def mask(root: Path, name: str, suffix: str = ".png") -> Path:
    return root / "masks" / ("train" if name[0] == "t" else "val") / f"{name}{suffix}"


def everyone() -> list[str]:
    return [name for names in NAMES.values() for name in names]


# ---- ways to spoil a file


def cut(path: Path, share: float = 0.5) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])


def resave(path: Path, **options: object) -> None:
    with Image.open(path) as opened:
        opened.load()
        copy = opened.copy()
    copy.save(path, **options)


def replace_image(
    root: Path, pixels: np.ndarray | Image.Image, name: str = "t1", suffix: str = ".png", **how: object
) -> None:
    image(root, name).unlink()
    picture = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    picture.save(image(root, name, suffix), **how)


def replace_mask(
    root: Path, pixels: np.ndarray | Image.Image, name: str = "t1", suffix: str = ".png", **how: object
) -> None:
    mask(root, name).unlink()
    picture = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    picture.save(mask(root, name, suffix), **how)


def every_mask(root: Path, change: Callable[[np.ndarray], np.ndarray | Image.Image], **how: object) -> None:
    for name in everyone():
        replace_mask(root, change(truth(name)), name, **how)


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, *chunks: bytes, depth: int = 8, color: int = 0, data: bytes = b"") -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    whole = chunk(b"IHDR", header) + b"".join(chunks) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + whole


def add_chunk(path: Path, kind: bytes, content: bytes) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[:33] + chunk(kind, content) + whole[33:])


def damage_pixels(path: Path) -> None:
    content = bytearray(path.read_bytes())
    middle = content.index(b"IDAT") + 200
    content[middle : middle + 40] = bytes(byte ^ 0x5A for byte in content[middle : middle + 40])
    path.write_bytes(content)


def damage_header(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[18] ^= 0x01  # the width, without its checksum
    path.write_bytes(content)


def tag(path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    resave(path, exif=exif)


def palette_mask(labels: np.ndarray, *colors: tuple[int, int, int]) -> Image.Image:
    drawn = Image.fromarray(labels, mode=None).convert("P")
    drawn.putdata(labels.ravel().tolist())
    drawn.putpalette([part for color in colors for part in color])
    return drawn


COLORS = np.array([color for _, color in CLASSES], np.uint8)


def colored(labels: np.ndarray) -> np.ndarray:
    return COLORS[labels]


def with_alpha(pixels: np.ndarray, alpha: int) -> np.ndarray:
    layer = np.full((*pixels.shape[:2], 1), 255, np.uint8)
    layer[:8] = alpha
    return np.concatenate([pixels.reshape(*layer.shape[:2], -1), layer], axis=2)


def relabelled(name: str, **where: int) -> np.ndarray:
    """The good mask with some labels changed: ``car=7`` makes every car a 7."""
    labels = truth(name)
    out = labels.copy()
    for label, value in where.items():
        out[labels == [n for n, _ in CLASSES].index(label)] = value
    return out


def only(names: list[str], change: Callable[[str], np.ndarray]) -> dict[str, np.ndarray]:
    return {name: change(name) for name in names}


def in_every_mask(**where: int) -> Callable[[Path], None]:
    def damage(root: Path) -> None:
        for name in everyone():
            replace_mask(root, relabelled(name, **where), name)

    return damage


def in_train(**where: int) -> Callable[[Path], None]:
    def damage(root: Path) -> None:
        for name in NAMES["train"]:
            replace_mask(root, relabelled(name, **where), name)

    return damage


def text(name: str, content: str | bytes) -> Callable[[Path], None]:
    def damage(root: Path) -> None:
        path = root / name
        path.unlink(missing_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)

    return damage


def both(*damages: Callable[[Path], object]) -> Callable[[Path], None]:
    def damage(root: Path) -> None:
        for one in damages:
            one(root)

    return damage


def without_classes(damage: Callable[[Path], object]) -> Callable[[Path], None]:
    return both(lambda root: (root / "classes.json").unlink(), damage)


def mirrored_smoothly(labels: np.ndarray, factor: int) -> np.ndarray:
    """What resizing with interpolation does to labels ``factor`` apart."""
    large = Image.fromarray((labels * factor).astype(np.uint8))
    smaller = large.resize((WIDTH // 3, HEIGHT // 3), Image.Resampling.BILINEAR)
    return np.array(smaller.resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR))


def link_to_nothing(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.with_name("gone.png"))


def swap_folders(root: Path) -> None:
    (root / "images").rename(root / "x")
    (root / "masks").rename(root / "images")
    (root / "x").rename(root / "masks")


def one_image_only(root: Path) -> None:
    shutil.rmtree(root / "images" / "val")
    shutil.rmtree(root / "masks" / "val")
    for name in NAMES["train"][1:]:
        image(root, name).unlink()
        mask(root, name).unlink()


def drop_val(root: Path) -> None:
    shutil.rmtree(root / "images" / "val")
    shutil.rmtree(root / "masks" / "val")


def copy_pair(root: Path, name: str, new: str, with_mask_of: str | None = None) -> None:
    shutil.copy(image(root, name), image(root, new))
    shutil.copy(mask(root, with_mask_of or name), mask(root, new))


def to_bytes_name(root: Path) -> None:
    for path in (image(root, "t1"), mask(root, "t1")):
        path.rename(os.fsdecode(os.fsencode(path.parent) + b"/caf\xe9.png"))


def rename_pair(new: str) -> Callable[[Path], None]:
    def damage(root: Path) -> None:
        for path in (image(root, "t1"), mask(root, "t1")):
            path.rename(path.with_name(f"{new}.png"))

    return damage


def enlarge(root: Path, names: list[str], factor: int) -> None:
    for name in names:
        for path, how in ((image(root, name), Image.Resampling.BILINEAR), (mask(root, name), Image.Resampling.NEAREST)):
            with Image.open(path) as opened:
                larger = opened.resize((WIDTH * factor, HEIGHT * factor), how)
            larger.save(path)


def shrink(root: Path, height: int, width: int, name: str = "t1") -> None:
    for path in (image(root, name), mask(root, name)):
        with Image.open(path) as opened:
            smaller = opened.resize((width, height), Image.Resampling.NEAREST)
        smaller.save(path)


def into_city(root: Path) -> None:
    for path in (image(root, "t1"), mask(root, "t1")):
        (path.parent / "bonn").mkdir()
        path.rename(path.parent / "bonn" / path.name)


def hidden_files(root: Path) -> None:
    for junk in ("images/train/.DS_Store", "images/train/Thumbs.db", "images/train/._t1.png", "masks/train/._t9.png"):
        (root / junk).write_bytes(b"junk")
    (root / "images/train/__MACOSX").mkdir()
    (root / "images/train/__MACOSX/t1.png").write_bytes(b"junk")
    (root / "masks/train/.thumbs").mkdir()
    (root / "masks/train/.thumbs/t1.png").write_bytes(b"junk")


def left_out_pair(root: Path) -> None:
    image(root, "t9", ".heic").write_bytes(b"ftypheic")
    mask(root, "t9", ".npy").write_bytes(b"\x93NUMPY")


def animated(root: Path) -> None:
    frames = [Image.fromarray(picture(name)) for name in ("t1", "t2")]
    replace_image(root, frames[0], suffix=".tif", save_all=True, append_images=frames[1:])


def animated_png(root: Path) -> None:
    frames = [Image.fromarray(picture(name)) for name in ("t1", "t2")]
    replace_image(root, frames[0], save_all=True, append_images=frames[1:])


def paged_mask(root: Path) -> None:
    pages = [Image.fromarray(truth(name)) for name in ("t1", "t2")]
    replace_mask(root, pages[0], suffix=".tif", save_all=True, append_images=pages[1:])


def replace_tiff(
    path: Path,
    pixels: np.ndarray,
    order: str = "<",
    big: bool = False,
    behind: Mapping[str, object] | None = None,
    **tags: object,
) -> None:
    """A TIFF in place of the PNG: [H, W, C] numbers, as ``tiffs.tiff`` writes them; with a second page if asked."""
    path.unlink()
    page = {"pixels": pixels, **tags}
    pages = [page] if behind is None else [page, page | behind]
    path.with_suffix(".tif").write_bytes(tiff(*pages, order=order, big=big))


def every_image(root: Path, change: Callable[[np.ndarray], np.ndarray]) -> None:
    for name in everyone():
        replace_image(root, change(picture(name)), name)


def every_tiff(root: Path, change: Callable[[np.ndarray], np.ndarray], **tags: object) -> None:
    for name in everyone():
        replace_tiff(image(root, name), change(picture(name)), **tags)


def paged(root: Path, name: str, last: np.ndarray | None = None) -> None:
    """The three bands as pages; ``last`` instead of the picture that the last is of."""
    image(root, name).unlink()
    bands = [picture(name)[..., :1], picture(name)[..., 1:2], (picture(name) if last is None else last)[..., 2:]]
    pages = [{"pixels": band.astype(np.uint16)} for band in bands]
    image(root, name, ".tif").write_bytes(tiff(*pages))


def deep_color(path: Path, name: str) -> None:
    rows = b"".join(b"\0" + (row * np.uint16(9)).astype(">u2").tobytes() for row in picture(name))
    path.write_bytes(png(WIDTH, HEIGHT, depth=16, color=2, data=rows))


def huge_text(path: Path) -> None:
    add_chunk(path, b"zTXt", b"Comment\0\0" + zlib.compress(bytes(3 << 20)))


def mixed_binary(root: Path) -> None:
    every_mask(root, lambda labels: (labels == 2).astype(np.uint8))
    replace_mask(root, ((truth("t1") == 2) * 255).astype(np.uint8))


def two_classes(root: Path) -> None:
    (root / "classes.json").write_text('["ground", "car"]')


def disagreeing_palettes(root: Path) -> None:
    every_mask(root, lambda labels: palette_mask(labels, (9, 0, 0), (0, 9, 0), (0, 0, 9)))
    replace_mask(root, palette_mask(truth("t1"), (9, 0, 0), (0, 0, 9), (0, 9, 0)))


def rare(name: str) -> np.ndarray:
    labels = relabelled(name, car=1)
    if name in ("t1", "v1"):
        labels[30, 30] = 2
    return labels


def rare_class(root: Path) -> None:
    for name in everyone():
        replace_mask(root, rare(name), name)


def mostly_ignored(root: Path) -> None:
    def change(labels: np.ndarray) -> np.ndarray:
        labels = labels.copy()
        labels[:, : WIDTH * 3 // 4] = 255
        return labels

    every_mask(root, change)


NEARLY_ROAD = np.ones((HEIGHT, WIDTH), np.uint8)
NEARLY_ROAD[:1, :12], NEARLY_ROAD[20:21, :12] = 0, 2


HALF = np.array([0, 128, 255], np.uint8)
SMALLER = {"t1": truth("t1")[:20, :20]}
IGNORED = np.full((HEIGHT, WIDTH), 255, np.uint8)
HTML = "<!DOCTYPE html><html><title>404 Not Found</title></html>"
SCALED = json.dumps([{"id": 100 * i, "name": name} for i, (name, _) in enumerate(CLASSES)])

KINDS: dict[str, Kind] = {
    # files that cannot be read
    "image empty": Kind(lambda r: image(r, "t1").write_bytes(b""), "error", ("t1.png", "the file is empty")),
    "mask empty": Kind(lambda r: mask(r, "t1").write_bytes(b""), "error", ("masks/train/t1.png", "cannot be read")),
    "image truncated, PNG": Kind(
        lambda r: cut(image(r, "t1")), "error", ("t1.png", "cannot be read", "Replace the file")
    ),
    "mask truncated, PNG": Kind(lambda r: cut(mask(r, "t1"), 0.7), "error", ("masks/train/t1.png", "cannot be read")),
    "image truncated, JPEG": Kind(
        lambda r: (replace_image(r, picture("t1"), suffix=".jpg"), cut(image(r, "t1", ".jpg"), 0.6)),
        "error",
        ("t1.jpg", "truncated"),
    ),
    "image truncated, TIFF": Kind(
        lambda r: (replace_image(r, picture("t1"), suffix=".tif"), cut(image(r, "t1", ".tif"), 0.6)),
        "error",
        ("t1.tif", "cannot be read"),
    ),
    "pixels damaged": Kind(lambda r: damage_pixels(image(r, "t1")), "error", ("t1.png", "cannot be read")),
    "header damaged (bad CRC)": Kind(lambda r: damage_header(image(r, "t1")), "error", ("t1.png", "cannot be read")),
    "text called .png": Kind(text("images/train/t1.png", "hello"), "error", ("t1.png", "of no known format")),
    "PostScript called .jpg": Kind(
        lambda r: (
            Image.fromarray(picture("t1")).save(r / "t1.eps"),
            image(r, "t1").unlink(),
            (r / "t1.eps").rename(image(r, "t1", ".jpg")),
        ),
        "error",
        ("t1.jpg", "of no known format"),
    ),
    "HTML page called .jpg": Kind(
        both(lambda r: image(r, "t1").unlink(), text("images/train/t1.jpg", HTML)),
        "error",
        ("t1.jpg", "perhaps an error page"),
    ),
    "noise called .tif": Kind(
        both(lambda r: image(r, "t1").unlink(), text("images/train/t1.tif", b"II*\0" + bytes(range(256)))),
        "error",
        ("t1.tif", "cannot be read"),
    ),
    "image without pixels": Kind(
        lambda r: image(r, "t1").write_bytes(png(0, 40)), "error", ("t1.png", "cannot be read")
    ),
    "several files damaged": Kind(
        lambda r: [cut(image(r, name)) for name in ("t1", "t3", "v0")],
        "error",
        ("3 images cannot be used", "t1.png", "t3.png", "v0.png"),
    ),
    "image decodes to 40000x40000": Kind(
        lambda r: image(r, "t1").write_bytes(png(40000, 40000)),
        "error",
        ("t1.png", "1600 megapixels; the limit is 100", "--max-megapixels 1601"),
    ),
    "mask decodes to 12000x12000": Kind(
        lambda r: mask(r, "t1").write_bytes(png(12000, 12000)), "error", ("masks/train/t1.png", "144 megapixels")
    ),
    "larger than a limit that was given": Kind(
        lambda r: enlarge(r, ["t1"], 4),
        "error",
        ("t1.png", "160x192", "the limit is 0.01"),
        options=("--max-megapixels", "0.01"),
    ),
    "metadata that unpacks to megabytes": Kind(
        lambda r: huge_text(image(r, "t1")), "error", ("t1.png", "Decompressed data too large")
    ),
    "broken colour profile": Kind(lambda r: add_chunk(image(r, "t1"), b"iCCP", b"x\0\0" + bytes(40)), "fine"),
    "broken EXIF": Kind(lambda r: add_chunk(image(r, "t1"), b"eXIf", b"MM\0*\0\0\0\x09" + bytes(9)), "fine"),
    # depth, colour, layers
    "images 16-bit grey": Kind(lambda r: every_image(r, lambda p: p[..., 0] * np.uint16(9)), "fine"),
    "image 16-bit grey among others": Kind(
        lambda r: replace_image(r, picture("t1")[..., 0].astype(np.uint16)),
        "error",
        ("t1.png", "1 band of uint16, where 8 are of 8-bit RGB, such as", "t0.png", "of one kind"),
    ),
    "images 16-bit colour": Kind(lambda r: [deep_color(image(r, n), n) for n in everyone()], "fine"),
    "image 16-bit colour among others": Kind(
        lambda r: deep_color(image(r, "t1"), "t1"), "error", ("t1.png", "of 3 bands of uint16", "t0.png")
    ),
    "images 16-bit colour, TIFF, band after band": Kind(
        lambda r: every_tiff(r, lambda p: p.astype(np.uint16) * 16, color=2, planar=True), "fine"
    ),
    "images 32-bit float colour": Kind(lambda r: every_tiff(r, lambda p: p.astype(np.float32) / 255, color=2), "fine"),
    "image 32-bit float colour among others": Kind(
        lambda r: replace_tiff(image(r, "t1"), picture("t1").astype(np.float32) / 255, color=2),
        "error",
        ("t1.tif", "of 3 bands of float32", "t0.png"),
    ),
    "images of four bands, the fourth near infrared": Kind(
        lambda r: every_tiff(r, lambda p: with_alpha(p, 99), color=2, extra=(0,)), "fine"
    ),
    "image of four bands among others": Kind(
        lambda r: replace_tiff(image(r, "t1"), with_alpha(picture("t1"), 99), color=2, extra=(0,)),
        "error",
        ("t1.tif", "of 4 bands of uint8, where 8 are of 8-bit RGB"),
    ),
    "images of seven bands": Kind(
        lambda r: every_tiff(r, lambda p: np.concatenate([p, p, p[..., :1]], axis=2), extra=(0,) * 6), "fine"
    ),
    "images with a band that shows nothing": Kind(
        lambda r: every_tiff(r, lambda p: with_alpha(p, 255).astype(np.uint16), color=2, extra=(0,)),
        "warning",
        ("1 of 4 bands of a single value in all of train: 4 (255)",),
    ),
    "images RGBA, read as stored": Kind(
        lambda r: every_image(r, lambda p: with_alpha(p, 0)), "fine", options=("--bands", "stored")
    ),
    "images grey, read as stored": Kind(
        lambda r: every_image(r, lambda p: p[..., 0]), "fine", options=("--bands", "stored")
    ),
    "image grey among others, read as stored": Kind(
        lambda r: replace_image(r, picture("t1")[..., 0]),
        "error",
        ("t1.png", "1 image of 1 band of uint8, where 8 are of 8-bit RGB, such as", "Without --bands stored"),
        options=("--bands", "stored"),
    ),
    "image with palette, read as stored": Kind(
        lambda r: replace_image(r, Image.fromarray(picture("t1")).convert("P")),
        "error",
        ("t1.png", "a picture in Pillow mode P, whose bands are no measurements"),
        options=("--bands", "stored"),
    ),
    "images of pages that are bands": Kind(
        lambda r: [paged(r, n) for n in everyone()], "fine", options=("--bands", "pages")
    ),
    "image of pages of several sizes": Kind(
        lambda r: ([paged(r, n) for n in everyone() if n != "t1"], paged(r, "t1", picture("t1")[:20])),
        "error",
        ("t1.tif", "page 2 has 1 band of uint16, 20x48; expected 1 of uint16, 40x48"),
        options=("--bands", "pages"),
    ),
    "image 16-bit, white is zero": Kind(
        lambda r: replace_tiff(image(r, "t1"), picture("t1")[..., :1].astype(np.uint16), color=0),
        "error",
        ("t1.tif", "where 0 is white", "can be read in two ways"),
    ),
    "image of bands of several types": Kind(
        lambda r: replace_tiff(image(r, "t1"), picture("t1").astype(np.uint16), color=2, more={258: [16, 16, 8]}),
        "error",
        ("t1.tif", "3 bands of 16/16/8 bits; expected one of uint8"),
    ),
    "image of 2000 bands": Kind(
        lambda r: replace_tiff(image(r, "t1"), np.zeros((8, 8, 2000), np.uint8), extra=(0,) * 1999),
        "error",
        ("t1.tif", "2000 bands; the limit is 1024"),
    ),
    "image of many bands that decodes to gigabytes": Kind(
        lambda r: replace_tiff(
            image(r, "t1"), np.zeros((8, 8, 1000), np.uint8), extra=(0,) * 999, more={256: [9000], 257: [8]}
        ),
        "error",
        ("t1.tif", "decodes to 72 MB, 1000 bands of 8x9000", "the limit is 2 MB"),
        options=("--max-megapixels", "0.1"),
    ),
    "image of several bands, compressed as JPEG": Kind(
        lambda r: replace_tiff(image(r, "t1"), with_alpha(picture("t1"), 9), extra=(0, 0, 0), more={259: [7]}),
        "error",
        ("t1.tif", "compressed in a way that is not read here (Compression 7)"),
    ),
    "image, a BigTIFF in big-endian order": Kind(
        lambda r: replace_tiff(image(r, "t1"), picture("t1"), ">", True, color=2),
        "error",
        ("t1.tif", "a BigTIFF in big-endian order"),
    ),
    "image 32-bit": Kind(
        lambda r: replace_image(r, np.full((HEIGHT, WIDTH), 7, np.int32), suffix=".tif"),
        "error",
        ("t1.tif", "1 band of int32, where 8 are of 8-bit RGB"),
    ),
    "image float, with NaN": Kind(
        lambda r: replace_image(r, np.full((HEIGHT, WIDTH), np.nan, np.float32), suffix=".tif"),
        "error",
        ("t1.tif", "1920 pixels without a number (NaN"),
    ),
    "image float, with a mark for missing data": Kind(
        lambda r: replace_image(r, np.where(truth("t1") == 2, -3.4e38, 1).astype(np.float32), suffix=".tif"),
        "error",
        ("t1.tif", "160 pixels without a number"),
    ),
    "images with pixels without data (GDAL_NODATA)": Kind(
        lambda r: every_tiff(r, lambda p: p[..., :1].astype(np.int16), nodata="7"), "fine"
    ),
    "image without any data (GDAL_NODATA)": Kind(
        lambda r: (
            every_tiff(r, lambda p: p[..., :1].astype(np.int16), nodata="7"),
            image(r, "t1", ".tif").write_bytes(
                tiff({"pixels": np.full((HEIGHT, WIDTH, 1), 7, np.int16), "nodata": "7"})
            ),
        ),
        "error",
        ("t1.tif", "band 1 has no pixel but those without data"),
    ),
    "image 2-bit grey": Kind(
        lambda r: image(r, "t1").write_bytes(png(WIDTH, HEIGHT, depth=2, data=bytes(13 * HEIGHT))),
        "error",
        ("t1.png", "2 bits per pixel"),
    ),
    "image LAB": Kind(
        lambda r: replace_image(r, Image.new("LAB", (WIDTH, HEIGHT)), suffix=".tif"), "error", ("t1.tif", "LAB")
    ),
    "image CMYK, JPEG": Kind(
        lambda r: replace_image(r, Image.fromarray(picture("t1")).convert("CMYK"), suffix=".jpg"),
        "warning",
        ("t1.jpg", "in CMYK"),
    ),
    "image with transparent pixels, RGBA": Kind(
        lambda r: replace_image(r, with_alpha(picture("t1"), 0)), "warning", ("t1.png", "transparent")
    ),
    "image with transparent pixels, LA": Kind(
        lambda r: replace_image(r, with_alpha(picture("t1")[..., :1], 9)), "warning", ("t1.png", "transparent")
    ),
    "image with transparent palette": Kind(
        lambda r: replace_image(r, Image.fromarray(picture("t1")).convert("P"), transparency=bytes(64)),
        "warning",
        ("t1.png", "transparent"),
    ),
    "image RGBA, opaque": Kind(lambda r: replace_image(r, with_alpha(picture("t1"), 255)), "fine"),
    "image grey": Kind(lambda r: replace_image(r, picture("t1")[..., 0]), "fine"),
    "image 1-bit": Kind(lambda r: replace_image(r, picture("t1")[..., 0] > 99), "fine"),
    "image with palette": Kind(lambda r: replace_image(r, Image.fromarray(picture("t1")).convert("P")), "fine"),
    "image progressive JPEG": Kind(lambda r: replace_image(r, picture("t1"), suffix=".jpg", progressive=True), "fine"),
    "image JPEG called .png": Kind(lambda r: replace_image(r, picture("t1"), format="JPEG"), "fine"),
    "images as BMP, TIFF, WebP": Kind(
        lambda r: [replace_image(r, picture(n), n, s) for n, s in (("t0", ".bmp"), ("t1", ".tiff"), ("t2", ".webp"))],
        "fine",
    ),
    "image of several pages": Kind(
        animated, "error", ("t1.tif", "several pictures in one file (pages)", "say so with --bands pages")
    ),
    "image animated": Kind(animated_png, "error", ("t1.png", "several pictures in one file (an animation)")),
    "mask of several pages": Kind(paged_mask, "error", ("masks/train/t1.tif", "several pictures in one file")),
    "image with smaller copies behind it": Kind(
        lambda r: replace_tiff(image(r, "t1"), picture("t1"), behind={"more": {254: [1]}}, color=2), "fine"
    ),
    "image of one colour": Kind(
        lambda r: replace_image(r, np.zeros((HEIGHT, WIDTH, 3), np.uint8)), "warning", ("t1.png", "of one colour")
    ),
    # rotation and size
    "EXIF turns the image, the mask is not turned": Kind(
        lambda r: tag(image(r, "t1"), 6), "error", ("t1.png", "48x40", "40x48", "turned by its EXIF tag")
    ),
    "EXIF turns the image, the mask fits": Kind(
        lambda r: (
            replace_image(r, np.rot90(picture("t1")).copy()),
            tag(image(r, "t1"), 6),
        ),
        "fine",
    ),
    "EXIF turns the image upside down": Kind(
        lambda r: tag(image(r, "t1"), 3), "warning", ("t1.png", "EXIF", "Make sure that the mask was drawn on that")
    ),
    "EXIF mirrors image and mask": Kind(
        lambda r: (tag(image(r, "t1"), 2), tag(mask(r, "t1"), 2)), "fine", masks={"t1": truth("t1")[:, ::-1]}
    ),
    "mask of another size": Kind(
        lambda r: replace_mask(r, truth("t1")[:30]), "error", ("t1.png", "40x48", "30x48", "nearest-neighbour")
    ),
    "images of mixed sizes": Kind(
        lambda r: enlarge(r, ["t1", "t2"], 2),
        "fine",
        masks={n: np.kron(truth(n), np.ones((2, 2), np.uint8)) for n in ("t1", "t2")},
    ),
    "image of 1x1": Kind(lambda r: shrink(r, 1, 1), "error", ("t1.png", "lower or narrower than 8 pixels (1x1)")),
    "image of 20x20": Kind(
        lambda r: replace_image(r, picture("t1")[:20, :20]) or replace_mask(r, truth("t1")[:20, :20]),
        "warning",
        ("t1.png", "lower or narrower than 32 pixels (20x20)"),
        masks=SMALLER,
    ),
    "one image much smaller than the others": Kind(
        lambda r: enlarge(r, [n for n in everyone() if n != "t1"], 3),
        "warning",
        ("t1.png", "every crop will be as small"),
        masks={n: np.kron(truth(n), np.ones((3, 3), np.uint8)) for n in everyone() if n != "t1"},
    ),
    "crop larger than the images": Kind(
        lambda r: None, "error", ("t0.png", "64x64", "the largest that fits is 32x32"), options=("--crop", "64x64")
    ),
    # which file belongs to which
    "image without mask": Kind(
        lambda r: mask(r, "t1").unlink(), "error", ("1 image without mask", "t1.png", "Searched in")
    ),
    "mask without image": Kind(lambda r: image(r, "t1").unlink(), "error", ("1 mask without image", "t1.png")),
    "both kinds of missing partners": Kind(
        lambda r: (mask(r, "t1").unlink(), image(r, "v1").unlink()),
        "error",
        ("1 image without mask", "t1.png", "1 mask without image", "v1.png"),
    ),
    "one image, and one without mask": Kind(
        lambda r: (one_image_only(r), shutil.copy(image(r, "t0"), image(r, "t1"))),
        "error",
        ("1 image without mask", "t1.png"),
    ),
    "two images of one name": Kind(
        lambda r: shutil.copy(image(r, "t2"), image(r, "t1", ".jpg")), "error", ("several images of one name", "t1.jpg")
    ),
    "two masks for one image": Kind(
        lambda r: shutil.copy(mask(r, "t2"), mask(r, "t1_mask")), "error", ("several masks of one name", "t1_mask.png")
    ),
    "stems that differ in case": Kind(
        lambda r: mask(r, "t1").rename(mask(r, "t1").with_name("T1.png")), "error", ("without mask", "t1.png", "T1.png")
    ),
    "no masks at all": Kind(
        lambda r: shutil.rmtree(r / "masks"), "error", ("no folder of masks beside", "Accepted layouts")
    ),
    "no masks for val": Kind(
        lambda r: shutil.rmtree(r / "masks" / "val"), "error", ("images/val", "no folder of masks belongs to these")
    ),
    "val empty": Kind(
        lambda r: [(image(r, n).unlink(), mask(r, n).unlink()) for n in NAMES["val"]],
        "error",
        ("images/val", "no images"),
    ),
    "train empty": Kind(
        lambda r: [(image(r, n).unlink(), mask(r, n).unlink()) for n in NAMES["train"]],
        "error",
        ("images/train", "no images"),
    ),
    "no train": Kind(
        lambda r: (shutil.rmtree(r / "images" / "train"), shutil.rmtree(r / "masks" / "train")),
        "error",
        ("no train split, only val",),
    ),
    "one image and no val": Kind(one_image_only, "error", ("t0.png", "cannot be divided in two")),
    "no val": Kind(drop_val, "fine"),
    "folder gone": Kind(shutil.rmtree, "error", ("does not exist",)),
    "folder that is a file": Kind(
        lambda r: (shutil.rmtree(r), r.write_text("zip")), "error", ("is a file, not a folder",)
    ),
    "empty folder": Kind(lambda r: (shutil.rmtree(r), r.mkdir()), "error", ("no layout that wholenet knows",)),
    "images and masks swapped": Kind(
        swap_folders, "error", ("masks/train/t0.png", "pixels of no known class", "are the images")
    ),
    "images and masks swapped, no class file": Kind(
        without_classes(swap_folders),
        "error",
        ("masks/train/t0.png", "are RGB pictures", "or that these are the images"),
    ),
    "grey photographs as masks, no class file": Kind(
        without_classes(lambda r: [replace_mask(r, picture(n)[..., 0] // 2, n) for n in everyone()]),
        "error",
        ("t0.png", "like photographs or instance numbers"),
    ),
    "upper-case suffixes": Kind(
        lambda r: [p.rename(p.with_suffix(".PNG")) for p in (image(r, "t1"), mask(r, "t1"))], "fine"
    ),
    "masks called _mask": Kind(lambda r: [mask(r, n).rename(mask(r, f"{n}_mask")) for n in NAMES["train"]], "fine"),
    "hidden files, .DS_Store, Thumbs.db, __MACOSX": Kind(hidden_files, "fine"),
    "sub-folders": Kind(into_city, "fine"),
    "files of other formats": Kind(left_out_pair, "warning", ("t9.heic", "t9.npy", "left out")),
    "folder called like a picture": Kind(
        lambda r: image(r, "t9").mkdir(), "warning", ("t9.png", "called like a picture")
    ),
    "folder in place of an image": Kind(
        lambda r: (image(r, "t1").unlink(), image(r, "t1").mkdir()), "error", ("t1.png", "1 mask without image")
    ),
    "image a link to nothing": Kind(
        lambda r: link_to_nothing(image(r, "t1")), "error", ("t1.png", "link to nothing"), links=True
    ),
    "image and mask links to nothing": Kind(
        lambda r: (link_to_nothing(image(r, "t1")), link_to_nothing(mask(r, "t1"))),
        "error",
        ("images/train/t1.png", "masks/train/t1.png", "link to nothing"),
        links=True,
    ),
    "image a link to itself": Kind(
        lambda r: (image(r, "t1").unlink(), image(r, "t1").symlink_to("t1.png")),
        "error",
        ("t1.png", "link to nothing"),
        links=True,
    ),
    "folder linked into itself": Kind(
        lambda r: (r / "images/train/again").symlink_to(r / "images"), "warning", ("again", "not searched"), links=True
    ),
    "name that is no UTF-8": Kind(to_bytes_name, "fine", links=True),
    "name with spaces and accents": Kind(rename_pair("été à la mer"), "fine"),
    "name with a line break": Kind(rename_pair("a\nb"), "fine", links=True),
    # how masks are stored
    "mask JPEG called .png": Kind(
        lambda r: replace_mask(r, truth("t1"), format="JPEG", quality=100),
        "error",
        ("masks/train/t1.png", "saved as JPEG"),
    ),
    "mask TIFF, compressed as JPEG": Kind(
        lambda r: replace_mask(r, truth("t1"), suffix=".tif", compression="jpeg", quality=100),
        "error",
        ("masks/train/t1.tif", "saved as JPEG"),
    ),
    "masks JPEG": Kind(
        lambda r: [replace_mask(r, truth(n), n, ".jpg") for n in everyone()],
        "error",
        ("masks saved as JPEG", "masks/train/t0.jpg", "JPEG changes pixel values"),
    ),
    "mask RGB, by the colours": Kind(lambda r: replace_mask(r, colored(truth("t1"))), "fine"),
    "mask RGB, unknown colour": Kind(
        lambda r: replace_mask(
            r, np.where(truth("t1")[..., None] == 2, (9, 9, 9), colored(truth("t1"))).astype(np.uint8)
        ),
        "error",
        (
            "masks/train/t1.png",
            "(9, 9, 9) (160 pixels in 1 masks)",
            "expected (0, 0, 255) sky",
            '"name": "class 9-9-9"',
        ),
    ),
    "masks RGB, no class file": Kind(
        without_classes(lambda r: every_mask(r, colored)),
        "error",
        ("masks/train/t0.png", "RGB pictures", "(128, 64, 128)", "classes.json"),
    ),
    "mask RGB of three equal channels": Kind(
        both(
            lambda r: write_classes(r, colors=False),
            lambda r: replace_mask(r, np.repeat(truth("t1")[..., None], 3, axis=2)),
        ),
        "fine",
    ),
    "mask RGB of three equal channels, class file with colours": Kind(
        lambda r: replace_mask(r, np.repeat(truth("t1")[..., None], 3, axis=2)),
        "error",
        ("masks/train/t1.png", "(1, 1, 1)", "expected (0, 0, 255) sky"),
    ),
    "mask RGBA with transparent pixels": Kind(
        lambda r: replace_mask(r, with_alpha(colored(truth("t1")), 0)), "warning", ("masks/train/t1.png", "transparent")
    ),
    "mask grey with transparent pixels": Kind(
        lambda r: replace_mask(r, with_alpha(truth("t1"), 0)), "warning", ("masks/train/t1.png", "transparent")
    ),
    "masks with palettes": Kind(lambda r: every_mask(r, lambda m: palette_mask(m, *(c for _, c in CLASSES))), "fine"),
    "palettes disagree, no class file": Kind(
        without_classes(disagreeing_palettes), "error", ("palettes disagree", "t0.png", "t1.png")
    ),
    "palette in which classes have each other's colours": Kind(
        lambda r: replace_mask(r, palette_mask(truth("t1"), (128, 64, 128), (0, 0, 255), (200, 0, 0))),
        "warning",
        ("masks/train/t1.png", "index 0 is sky by value, but has the colour (128, 64, 128) of road"),
    ),
    "masks CMYK": Kind(
        lambda r: replace_mask(r, Image.new("CMYK", (WIDTH, HEIGHT)), suffix=".tif"), "error", ("t1.tif", "CMYK")
    ),
    "mask float": Kind(
        lambda r: replace_mask(r, truth("t1").astype(np.float32), suffix=".tif"), "error", ("t1.tif", "32 bits, float")
    ),
    "mask 4-bit grey": Kind(
        lambda r: mask(r, "t1").write_bytes(png(WIDTH, HEIGHT, depth=4, data=bytes(25 * HEIGHT))),
        "error",
        ("masks/train/t1.png", "4 bits per pixel"),
    ),
    "mask in which white is zero": Kind(lambda r: replace_tiff(mask(r, "t1"), truth("t1")[..., None], color=0), "fine"),
    "1-bit mask in which white is zero": Kind(
        lambda r: replace_tiff(mask(r, "t1"), (truth("t1")[..., None] == 2).astype(np.uint8), color=0, bits=1),
        "error",
        ("masks/train/t1.tif", "WhiteIsZero", "can be read in two ways"),
    ),
    "mask of two bands": Kind(
        lambda r: replace_tiff(mask(r, "t1"), np.repeat(truth("t1")[..., None], 2, axis=2), extra=(0,)),
        "error",
        ("masks/train/t1.tif", "2 bands of 8 bits", "gdal_translate -b 1"),
    ),
    "masks 16-bit": Kind(lambda r: every_mask(r, lambda m: m.astype(np.uint16)), "fine"),
    "masks 16-bit, ids above 255": Kind(
        both(
            text("classes.json", json.dumps([{"id": 1000 * i, "name": name} for i, (name, _) in enumerate(CLASSES)])),
            lambda r: every_mask(r, lambda m: m.astype(np.uint16) * 1000),
        ),
        "fine",
    ),
    "mask 16-bit, unknown id above 255": Kind(
        lambda r: replace_mask(r, truth("t1").astype(np.uint16) + 300),
        "error",
        ("masks/train/t1.png", "300 (", "expected 0..2", '"id": 300'),
    ),
    "mask 32-bit, with -1": Kind(
        lambda r: replace_mask(r, truth("t1").astype(np.int32) - 1, suffix=".tif"),
        "error",
        ("masks/train/t1.tif", "-1 (624 pixels in 1 masks)", "has a value in 0..65535"),
    ),
    "mask 32-bit, with -1, no class file": Kind(
        without_classes(lambda r: replace_mask(r, truth("t1").astype(np.int32) - 1, suffix=".tif")),
        "error",
        ("masks/train/t1.tif", "-1 (624 pixels in 1 masks)"),
    ),
    # what masks hold
    "unknown value": Kind(
        lambda r: [replace_mask(r, relabelled(n, car=7), n) for n in ("t1", "v1")],
        "error",
        ("2 masks with pixels of no known class", "7 (320 pixels in 2 masks)", "t1.png", "v1.png", '"name": "class 7"'),
    ),
    "black and white masks, no class file": Kind(
        without_classes(lambda r: every_mask(r, lambda m: ((m == 2) * 255).astype(np.uint8))),
        "fine",
        masks={n: (truth(n) == 2).astype(np.uint8) for n in everyone()},
    ),
    "black and white masks, class file of ids 0 and 1": Kind(
        both(two_classes, lambda r: every_mask(r, lambda m: ((m == 2) * 255).astype(np.uint8))),
        "error",
        ("masks/train/t0.png", "0 and 255", "the white is not trained on", '{"id": 255, "name": "car"'),
    ),
    "1-bit masks, class file of ids 0 and 1": Kind(
        both(two_classes, lambda r: every_mask(r, lambda m: m == 2)),
        "fine",
        masks={n: (truth(n) == 2).astype(np.uint8) for n in everyone()},
    ),
    "some masks 0/1, others 0/255, no class file": Kind(
        without_classes(mixed_binary), "error", ("t0.png", "t1.png", "written in two ways")
    ),
    "some masks 0/1, others 0/255": Kind(
        both(two_classes, mixed_binary),
        "warning",
        ("masks/train/t1.png", "with 255 and without 1"),
        masks={
            n: np.where(truth(n) == 2, 255, 0).astype(np.uint8) if n == "t1" else (truth(n) == 2).astype(np.uint8)
            for n in everyone()
        },
    ),
    "black and white masks with smoothed edges, no class file": Kind(
        without_classes(lambda r: every_mask(r, lambda m: mirrored_smoothly(m >= 1, 255))),
        "error",
        ("t0.png", "edges smoothed", "nearest-neighbour"),
    ),
    "masks resized with interpolation": Kind(
        both(text("classes.json", SCALED), lambda r: every_mask(r, lambda m: mirrored_smoothly(m, 100))),
        "error",
        ("t0.png", "pixels of no known class", "resized with interpolation"),
    ),
    "grey levels with gaps, no class file": Kind(
        without_classes(lambda r: every_mask(r, lambda m: m * 38)), "error", ("t0.png", "0, 38, 76", "classes.json")
    ),
    "masks of 0, 128 and 255, no class file": Kind(
        without_classes(lambda r: every_mask(r, lambda m: HALF[m])),
        "error",
        ("t0.png", "0, 128, 255", '{"id": 255, "name": "class 255"', "if it is to be ignored"),
    ),
    "masks of 0, 128 and 255, class file of ids 0 to 2": Kind(
        lambda r: every_mask(r, lambda m: HALF[m]),
        "error",
        ("t0.png", '"id": 128', "255, which the masks hold too, stays ignored in it"),
    ),
    "300 instance numbers, no class file": Kind(
        without_classes(lambda r: every_mask(r, lambda m: np.arange(m.size, dtype=np.uint16).reshape(m.shape) % 300)),
        "error",
        ("t0.png", "values up to 299; at most 254"),
    ),
    "everything ignored": Kind(
        in_every_mask(sky=255, road=255, car=255),
        "error",
        ("t0.png", "train: all 11520 pixels of its 6 masks are ignored"),
    ),
    "everything ignored, no class file": Kind(
        without_classes(in_every_mask(sky=255, road=255, car=255)), "error", ("t0.png", "nothing to learn")
    ),
    "one mask ignored throughout": Kind(
        lambda r: replace_mask(r, IGNORED),
        "warning",
        ("masks/train/t1.png", "ignored throughout"),
        masks={"t1": IGNORED},
    ),
    "most pixels ignored": Kind(
        mostly_ignored,
        "warning",
        ("t0.png", "75% of the pixels are ignored"),
        masks={n: np.where(np.arange(WIDTH) < 36, 255, truth(n)).astype(np.uint8) for n in everyone()},
    ),
    "one class only": Kind(in_every_mask(sky=1, car=1), "error", ("t0.png", 'of one class, "road"')),
    "one class only, no class file": Kind(
        without_classes(in_every_mask(sky=1, road=1, car=1)), "error", ("t0.png", "nothing to learn from one class")
    ),
    "one mask of one class": Kind(
        lambda r: replace_mask(r, np.ones_like(truth("t1"))), "fine", masks={"t1": np.ones_like(truth("t1"))}
    ),
    "class missing from train": Kind(
        in_train(car=1),
        "warning",
        ("v0.png", 'no pixel of train is "car"', "cannot be learned"),
        masks={n: relabelled(n, car=1) for n in NAMES["train"]},
    ),
    "class missing everywhere": Kind(
        in_every_mask(car=1), "warning", ('no pixel is "car"',), masks={n: relabelled(n, car=1) for n in everyone()}
    ),
    "class of a few pixels": Kind(
        rare_class,
        "warning",
        ("t1.png", "car 0.0087 %", "--class-balance"),
        masks={n: rare(n) for n in everyone()},
    ),
    "class that is nearly everything": Kind(
        lambda r: every_mask(r, lambda m: NEARLY_ROAD),
        "warning",
        ('98.8% of the labelled pixels of train are "road"',),
        masks={n: NEARLY_ROAD for n in everyone()},
    ),
    # the same picture twice
    "image in train and in val": Kind(
        lambda r: shutil.copy(image(r, "t1"), image(r, "v1")),
        "warning",
        ("images/train/t1.png = ", "images/val/v1.png", "both in train and in val"),
    ),
    "image in train and in val, encoded anew": Kind(
        lambda r: replace_image(r, picture("t1"), "v1", ".bmp"), "warning", ("t1.png = ", "v1.bmp", "same pixels")
    ),
    "image twice, masks that contradict": Kind(
        lambda r: copy_pair(r, "t1", "t9", with_mask_of="t3"),
        "warning",
        ("t1.png = ", "t9.png", "with different masks"),
        masks={"t9": truth("t3")},
    ),
    "image and mask twice in train": Kind(lambda r: copy_pair(r, "t1", "t9"), "fine", masks={"t9": truth("t1")}),
    # class files
    "class file cut short": Kind(
        text("classes.json", '{"classes": ["sky", '), "error", ("classes.json", "cannot be read")
    ),
    "class file empty": Kind(text("classes.json", ""), "error", ("classes.json", "cannot be read")),
    "class file binary": Kind(text("classes.json", b"\xff\xfe\x00\x80"), "error", ("classes.json", "cannot be read")),
    "class file nested without end": Kind(text("classes.json", "[" * 99999), "error", ("classes.json", "too deep")),
    "class file of numbers": Kind(text("classes.json", "[0, 1, 2]"), "error", ("classes.json", "name must be text")),
    "class file of one class": Kind(
        text("classes.json", '["sky"]'), "error", ("classes.json", "2 to 254 classes, found 1")
    ),
    "class file with an id twice": Kind(
        text("classes.json", '[{"id": 0, "name": "a"}, {"id": 0, "name": "b"}]'),
        "error",
        ("classes.json", "the id 0 belongs to more than one class"),
    ),
    "class file with a name twice": Kind(
        text("classes.json", '["a", "a", "b"]'), "error", ("classes.json", "belongs to more than one class")
    ),
    "class file with NaN as id": Kind(
        text("classes.json", '[{"id": NaN, "name": "a"}, {"id": 1, "name": "b"}]'),
        "error",
        ("classes.json", "whole number", "found nan"),
    ),
    "class file with a negative id": Kind(
        text("classes.json", '[{"id": -1, "name": "a"}, {"id": 1, "name": "b"}]'),
        "error",
        ("classes.json", "whole number in 0..65535, found -1"),
    ),
    "class file with a colour of two parts": Kind(
        text("classes.json", '[{"name": "a", "color": [1, 2]}, "b", "c"]'),
        "error",
        ("classes.json", "three whole numbers"),
    ),
    "class file with an unknown key": Kind(
        text("classes.json", '{"classes": ["a", "b", "c"], "ignore": 3}'),
        "error",
        ("classes.json", "unknown key 'ignore'"),
    ),
    "class file that ignores a class": Kind(
        text("classes.json", '{"classes": ["a", "b", "c"], "ignore_index": 1}'),
        "error",
        ("classes.json", "also says to ignore"),
    ),
    "class file in YAML with a tab": Kind(
        both(lambda r: (r / "classes.json").unlink(), text("classes.yaml", "classes:\n\t- sky\n")),
        "error",
        ("classes.yaml", "cannot be read"),
    ),
    "class file in YAML with a list as key": Kind(
        both(lambda r: (r / "classes.json").unlink(), text("classes.yaml", "? [a, b]\n: sky\n")),
        "error",
        ("classes.yaml", "cannot be read"),
    ),
    "two class files that differ": Kind(
        text("masks/classes.json", '["a", "b", "c"]'), "error", ("two class files that differ", "masks/classes.json")
    ),
    "class file called otherwise": Kind(
        lambda r: (r / "classes.json").rename(r / "labels.txt"), "warning", ("labels.txt", "not read as a class file")
    ),
    "class file a link to nothing": Kind(
        lambda r: ((r / "classes.json").unlink(), (r / "classes.json").symlink_to("gone")),
        "warning",
        ("classes.json", "not read as a class file"),
        links=True,
    ),
    # labelled images
    "labelled images": Kind(lambda r: None, "fine", base="labelled"),
    "labelled image damaged": Kind(
        lambda r: cut(r / "train/cat/cat1.png"), "error", ("cat1.png", "cannot be read"), base="labelled"
    ),
    "labelled images, a broken one beside them": Kind(
        lambda r: ((r / "notes").mkdir(), (r / "notes/old.png").write_bytes(b"broken")), "fine", base="labelled"
    ),
    "labelled images, a class with a control character": Kind(
        lambda r: [(r / split / "dog").rename(r / split / "do\x1bg") for split in ("train", "test")],
        "error",
        ("a class is called", "do\\x1bg", "rename it"),
        base="labelled",
        links=True,
    ),
    "labelled images, several damaged": Kind(
        lambda r: (cut(r / "train/cat/cat1.png"), cut(r / "test/dog/dog0.png")),
        "error",
        ("cat1.png", "dog0.png", "2 images cannot be used"),
        base="labelled",
    ),
    "labelled image of another size": Kind(
        lambda r: Image.fromarray(picture("t1")).save(r / "train/cat/cat1.png"),
        "error",
        ("cat1.png is 40x48", "most images are 16x16"),
        base="labelled",
    ),
    "labelled images of one class": Kind(
        lambda r: (shutil.rmtree(r / "train/dog"), shutil.rmtree(r / "test/dog")),
        "error",
        ("at least two to tell apart",),
        base="labelled",
    ),
    "class of labelled images that train lacks": Kind(
        lambda r: (r / "test/dog").rename(r / "test/emu"), "error", ("test", "'emu'"), base="labelled"
    ),
    "labelled image in train and in test": Kind(
        lambda r: shutil.copy(r / "train/cat/cat1.png", r / "test/cat/cat0.png"),
        "warning",
        ("train/cat/cat1.png = ", "test/cat/cat0.png", "both in train and in test"),
        base="labelled",
    ),
    "labelled image under two labels": Kind(
        lambda r: shutil.copy(r / "train/cat/cat1.png", r / "train/dog/dog3.png"),
        "warning",
        ("cat1.png = ", "dog3.png", "two different labels"),
        base="labelled",
    ),
}


# ---- names and folders


def rename(root: Path, new_image: str, new_mask: str) -> None:
    """Of the pair t1."""
    image(root, "t1").rename(image(root, "t1").with_name(new_image))
    mask(root, "t1").rename(mask(root, "t1").with_name(new_mask))


KINDS |= {
    "image in Unicode's composed form, mask in the other": Kind(
        lambda r: rename(r, "gr\u00f6\u00dfe.png", "gro\u0308\u00dfe.png"), "fine", links=True
    ),
    "mask that keeps the image's suffix": Kind(lambda r: rename(r, "a.png", "a.png.png"), "fine"),
    "img_1 with mask_1": Kind(lambda r: rename(r, "img_1.png", "mask_1.png"), "fine"),
    "names that differ in a number": Kind(
        lambda r: rename(r, "img_1.png", "mask_2.png"),
        "error",
        ("1 image without mask", "img_1.png", "The nearest name to img_1.png is mask_2.png"),
    ),
    "two images whose names look alike": Kind(
        lambda r: (
            rename(r, "\u00e9.png", "\u00e9.png"),
            shutil.copy(image(r, "t2"), image(r, "t2").with_name("e\u0301.png")),
        ),
        "error",
        ("several images of one name", "the names look alike", "NFC or NFD"),
        links=True,
    ),
    "two folders that may be the masks": Kind(
        lambda r: shutil.copytree(r / "masks", r / "second_reader"),
        "error",
        ("second_reader", "besides", "look like masks of", "Say which are meant"),
    ),
    "a folder of pictures that is not used": Kind(lambda r: shutil.copytree(r / "images", r / "backup"), "fine"),
}

KINDS |= {
    name: Kind(row.damage, row.outcome, row.says, masks=row.masks) for name, row in {**OUTLINES, **LAYOUTS}.items()
}
KINDS |= {name: Kind(row.damage, row.outcome, row.says, row.options, base="text") for name, row in TEXTS.items()}
KINDS |= {name: Kind(row.damage, row.outcome, row.says, row.options, base="pairs") for name, row in PAIRS.items()}
GOOD = {"masks": good, "labelled": good_labelled, "text": good_text, "pairs": good_pairs}


# ---- the page


def damaged(kind: Kind, root: Path) -> Path:
    """The data set in the new folder ``root``, good and then damaged."""
    GOOD[kind.base](root)
    kind.damage(root)
    return root


def said(report: str, root: Path) -> str:
    """The first error of a report of `check-data`, or the first warning; of texts and pairs that have none the first
    note. In one line without this machine's folders."""
    found = {
        severity: [
            block for block in re.split(r"\n(?=error: |warning: |note: |\n)", report) if block.startswith(severity)
        ]
        for severity in ("error", "warning", *(["note"] if re.search("is read as (text|pairs)", report) else []))
    }
    found["note"] = [block for block in found.get("note", []) if not block.startswith("note: read as ")]
    line = next((blocks[0] for blocks in found.values() if blocks), "")
    first = line.split("\n")[0].partition(": ")[2].replace(f"{root}/", "").replace(str(root), root.name)
    first = re.sub(r"\(for example ", "(", first).replace("|", "\\|").strip()
    return first if len(first) <= 200 else first[:197].rstrip() + "..."


HELD = (
    (
        "each row below: `wholenet check-data` says this, and exits with 2 for an error, 0 otherwise; `wholenet fit` "
        "says it of images with masks, of texts and of pairs, and makes no run folder where it is an error; what "
        "training sees of those that may be trained on is right",
        ["test_every_kind_of_damage_is_found"],
    ),
    ("every finding that wholenet knows is met by a row", ["test_every_kind_of_finding_is_met_by_a_kind_of_damage"]),
    ("no row is missing", ["test_the_page_lists_every_kind", "test_there_are_at_least_sixty_kinds"]),
)
"""What the page promises, and the tests that hold it."""


def rows() -> dict[str, str]:
    """The page's rows as they are: kind -> what it says of it."""
    listed = PAGE.read_text().split("| kind |")[1].splitlines()[2:]
    return {
        name.removeprefix("| "): text for name, _, text in (line.removesuffix(" |").split(" | ", 2) for line in listed)
    }


def page() -> str:
    """docs/data-problems.md."""
    from wholenet.cli import main

    lines = [
        "# What wholenet says of damaged and odd data",
        "",
        "Made by `make fuzz-table`: a good data set is spoiled in each of these ways (`tests/data/fuzz.py`). Errors",
        "stop; warnings do not. Of several findings the first is shown, cut to one line; the advice after it is not.",
        "",
        "| promise | test |",
        "|---|---|",
        *(
            f"| {promise} | {', '.join(f'`tests/data/test_fuzz.py::{test}`' for test in tests)} |"
            for promise, tests in HELD
        ),
        "",
        "| kind | | what wholenet says first |",
        "|---|---|---|",
    ]
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = str(Path(folder) / "cache")
        for number, (name, kind) in enumerate(KINDS.items()):
            root = damaged(kind, Path(folder) / str(number) / "data")
            out = io.StringIO()
            with redirect_stdout(out), redirect_stderr(io.StringIO()), suppress(SystemExit):
                main(["check-data", str(root), *kind.options])
            lines.append(f"| {name} | {kind.outcome} | {said(out.getvalue(), root)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(page())
