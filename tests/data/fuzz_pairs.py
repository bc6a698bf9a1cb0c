"""Kinds of damaged and odd pairs with disparity for ``fuzz.py``."""

from __future__ import annotations

import io
import shutil
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from stereo_trees import HEIGHT, WIDTH, scene, write_image, write_pair, write_pfm


class PairRow(NamedTuple):
    """A way to spoil pairs with disparity, and what must be said of it."""

    damage: Callable[[Path], object]
    outcome: Literal["error", "warning", "fine"]
    says: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


def left(root: Path, split: str = "train", n: int = 1) -> Path:
    return root / "left" / split / f"p{n}.png"


def right(root: Path, split: str = "train", n: int = 1) -> Path:
    return root / "right" / split / f"p{n}.png"


def truth(root: Path, split: str = "train", n: int = 1) -> Path:
    return root / "disparity" / split / f"p{n}.pfm"


def every(root: Path) -> Sequence[tuple[str, int]]:
    """(Split, number) of all pairs."""
    return [(path.parent.name, int(path.stem[1:])) for path in sorted((root / "left").rglob("*.png"))]


def with_truth(change: Callable[[np.ndarray], np.ndarray], split: str | None = None) -> Callable[[Path], object]:
    """All truths, or those of a split, changed."""
    return lambda root: [
        write_pfm(truth(root, of, n), change(scene(n)[2])) for of, n in every(root) if split in (None, of)
    ]


def one_truth(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], object]:
    return lambda root: write_pfm(truth(root), change(scene(1)[2]))


def as_png(units: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], object]:
    """All truths as PNG."""

    def change(root: Path) -> None:
        for split, n in every(root):
            truth(root, split, n).unlink()
            write_image(truth(root, split, n).with_suffix(".png"), units(scene(n)[2]))

    return change


def as_bytes(content: bytes, suffix: str = ".pfm") -> Callable[[Path], object]:
    return lambda root: (truth(root).unlink(), truth(root).with_suffix(suffix).write_bytes(content))


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def npz(**arrays: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def bomb() -> bytes:
    """A .npz of a few kilobytes whose array has a gigabyte."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("a.npy", "w") as member:
        member.write(npy(np.zeros((HEIGHT, WIDTH)))[:128] + bytes(3 << 20))
    return file.getvalue()


def exchanged(root: Path) -> None:
    shutil.move(root / "left", root / "x")
    shutil.move(root / "right", root / "left")
    shutil.move(root / "x", root / "right")


def lower(rows: int) -> Callable[[Path], object]:
    """Right images that are so many rows lower than the left ones."""
    return lambda root: [write_image(right(root, s, n), np.roll(scene(n)[1], rows, axis=0)) for s, n in every(root)]


def kitti(root: Path) -> None:
    """KITTI's names instead, with the frame after each, which has no truth."""
    for kind in ("left", "right", "disparity"):
        shutil.rmtree(root / kind)
    for n in range(4):
        write_pair(
            root / "training", f"image_2/{n:06}_10.png", f"image_3/{n:06}_10.png", f"disp_occ_0/{n:06}_10.png", n
        )
        for folder in ("image_2", "image_3"):
            write_image(root / "training" / folder / f"{n:06}_11.png", scene(9)[0])


def without_images(root: Path) -> None:
    for split, n in every(root):
        left(root, split, n).unlink()
        right(root, split, n).unlink()


HALF = np.s_[: HEIGHT // 2]
WHOLE = f"{HEIGHT}x{WIDTH}"


def part(of: np.ndarray, value: float, where: tuple | slice = HALF) -> np.ndarray:
    changed = of.copy()
    changed[where] = value
    return changed


PAIRS = {
    "pairs": PairRow(
        lambda r: None,
        "fine",
        ("disparities up to 12 px: --displacement 2 holds them (of 8 px each; with --size tiny 3",),
    ),
    "pairs in KITTI's folders, and frames without truth": PairRow(
        kitti,
        "fine",
        ("read as KITTI 2015", "no val split: 1 of the 4 pairs", "4 left images without disparity, not read"),
    ),
    "pairs, a left image without right": PairRow(
        lambda r: right(r).unlink(),
        "error",
        ("1 image left without right", "p1.png", "Searched by the same name below"),
    ),
    "pairs, a right image without left": PairRow(
        lambda r: left(r).unlink(), "error", ("1 image right without left", "p1.png")
    ),
    "pairs, one without disparity": PairRow(
        lambda r: truth(r).unlink(), "error", ("1 image without disparity", "p1.png", "below", "disparity/train")
    ),
    "pairs, disparity without images": PairRow(
        lambda r: write_pfm(truth(r, n=7), scene(7)[2]), "error", ("1 disparity file without images", "p7.pfm")
    ),
    "pairs, val without a folder of disparity": PairRow(
        lambda r: shutil.rmtree(r / "disparity" / "val"), "error", ("val has no folder of disparity beside", "left/val")
    ),
    "pairs without any image": PairRow(without_images, "error", ("no images", "left/train", "right/train")),
    "pairs in folders of other names": PairRow(
        lambda r: (r / "left").rename(r / "one"),
        "error",
        ("has no known layout", "one/", "Accepted"),
        ("--task", "stereo"),
    ),
    "pairs, two left images of one name": PairRow(
        lambda r: write_image(left(r).with_suffix(".jpg"), scene(1)[0]),
        "error",
        ("several files of one name", "p1.jpg"),
    ),
    "pairs, a right image of another size": PairRow(
        lambda r: write_image(right(r), scene(1)[1][:, :-8]),
        "error",
        ("left/train/p1.png is 64x96", "is 64x88", "one size"),
    ),
    "pairs, a truth of another size": PairRow(
        one_truth(lambda d: d[::2, ::2]), "error", ("p1.png is 64x96", "p1.pfm is 32x48", "have to be scaled")
    ),
    "pairs, a damaged left image": PairRow(
        lambda r: left(r).write_bytes(left(r).read_bytes()[:400]), "error", ("1 file cannot be used", "p1.png")
    ),
    "pairs, a right image that is the left one": PairRow(
        lambda r: write_image(right(r), scene(1)[0]),
        "warning",
        ("1 pair with the same pixels in left and right", "p1.png"),
    ),
    "pairs, one of train in val too": PairRow(
        lambda r: [shutil.copy(of(r, "train", 1), of(r, "val", 4)) for of in (left, right, truth)],
        "warning",
        ("1 pair both in train and in val, with the same pixels", "left/train/p1.png = ", "left/val/p4.png"),
    ),
    "pairs, left and right exchanged": PairRow(
        exchanged, "warning", ("left and right seem exchanged", "matches is at -", "Exchange the folders")
    ),
    "pairs that are not rectified": PairRow(
        lower(3), "warning", ("rows differ by about 3 px", "Rectify the images first")
    ),
    "pairs with negative disparity": PairRow(
        with_truth(lambda d: -d), "fine", ("6 files of negative disparities, whose sign is dropped",)
    ),
    "pairs, disparities on both sides of 0": PairRow(
        one_truth(lambda d: part(d, -1)), "error", ("p1.pfm", "both sides of 0 (-1 to 10 px)", "Mark what is not known")
    ),
    "pairs, 0 px nearly everywhere": PairRow(
        one_truth(lambda d: part(d, 0, np.s_[: HEIGHT - 8])), "error", ("p1.pfm", "0 px at more than 75% of", "NaN")
    ),
    "pairs, disparities beyond the width": PairRow(
        one_truth(lambda d: part(d, 999)), "error", ("p1.pfm", "beyond the width of the image (4 to 999 px)", "NaN")
    ),
    "pairs, a truth that knows nothing": PairRow(
        one_truth(lambda d: d * np.nan), "warning", ("1 file without any known pixel; left out", "p1.pfm")
    ),
    "pairs, nothing known in all of val": PairRow(
        with_truth(lambda d: d * np.inf, "val"), "error", ("val has no pair of whose disparity anything is known",)
    ),
    "pairs, truth of 8 bits": PairRow(
        as_png(lambda d: d.astype(np.uint8)),
        "error",
        ("8 bits per pixel, values 3 to 9", "Give --disparity-scale", "0.25"),
    ),
    "pairs, truth of 8 bits, with its scale": PairRow(
        as_png(lambda d: (4 * d).astype(np.uint8)), "fine", ("disparities up to 12 px",), ("--disparity-scale", "0.25")
    ),
    "pairs, truth of 8 bits saved with 16": PairRow(
        as_png(lambda d: d.astype(np.uint16)),
        "error",
        ("16 bits per pixel with values 3 to 9 alone", "--disparity-scale"),
    ),
    "pairs, disparities beyond what a network sees": PairRow(
        lambda r: None,
        "warning",
        ("disparity above 8 px", "the largest is 12 px", "--displacement 2 would hold them"),
        ("--max-disparity", "8"),
    ),
    "pairs, depth instead of disparity": PairRow(
        with_truth(lambda d: 90 / d), "warning", ("the truth looks like depth", "focal length")
    ),
    "pairs, truth of images in twice the size": PairRow(
        with_truth(lambda d: 2 * d), "warning", ("the truth is about 2 times what the images show", "--disparity-scale")
    ),
    "pairs, truth as colours for people": PairRow(
        as_png(lambda d: np.stack([d, 2 * d, 3 * d], axis=2).astype(np.uint8)),
        "error",
        ("3 bands of uint8", "for people"),
    ),
    "pairs, a damaged PNG of disparity": PairRow(as_bytes(b"\x89PNG", ".png"), "error", ("p1.png", "cannot be read")),
    "pairs, a PFM cut short": PairRow(
        lambda r: truth(r).write_bytes(truth(r).read_bytes()[:-4]),
        "error",
        ("p1.pfm", "takes 24,576 bytes, and has 24,572"),
    ),
    "pairs, a PFM that claims a terabyte": PairRow(
        as_bytes(b"Pf\n500000 500000\n-1\n1234"), "error", ("p1.pfm", "megapixels; the limit is 100")
    ),
    "pairs, a PFM that is none": PairRow(
        as_bytes(b"P5\n96 64\n255\n" + bytes(96 * 64)), "error", ("does not begin with Pf",)
    ),
    "pairs, a PFM of no pixels": PairRow(as_bytes(b"Pf\n0 64\n-1\n"), "error", ("it says 64x0 (height x width)",)),
    "pairs, a PFM of optical flow": PairRow(
        as_bytes(b"PF\n96 64\n-1\n" + bytes(12 * 96 * 64)), "error", ("three bands (PF), as optical flow",)
    ),
    "pairs, an .npy with a pickle": PairRow(
        as_bytes(npy(np.array([None])), ".npy"), "error", ("p1.npy", "an array of object [1]", "float32 [H, W]")
    ),
    "pairs, an .npy of bytes that are none": PairRow(
        as_bytes(b"\x93NUMPY\x01", ".npy"), "error", ("p1.npy", "array of NumPy")
    ),
    "pairs, an .npy of whole numbers": PairRow(
        as_bytes(npy(scene(1)[2].astype(np.int32)), ".npy"), "error", ("int32 numbers", "--disparity-scale")
    ),
    "pairs, an .npz of two arrays": PairRow(
        as_bytes(npz(a=scene(1)[2], b=scene(1)[2]), ".npz"), "error", ("p1.npz", "has 2 arrays (a, b); expected one")
    ),
    "pairs, an .npz that is none": PairRow(as_bytes(b"PK\3\4", ".npz"), "error", ("cannot be read as .npz",)),
    "pairs, an .npz that unpacks to more": PairRow(
        as_bytes(bomb(), ".npz"), "error", ("unpacks to more than 244,096 bytes",), ("--max-megapixels", "0.03")
    ),
}
