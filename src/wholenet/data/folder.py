"""Images and masks in folders: which belong together, and a data set of the pairs."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from wholenet.data.bands import read_bands
from wholenet.data.drawn import Drawn
from wholenet.data.finding import EXAMPLES, Finding, of_files
from wholenet.data.layouts import KNOWN_LAYOUTS, is_copy
from wholenet.data.naming import composed, paired_by_words, shows_another
from wholenet.data.opening import MAX_MEGAPIXELS
from wholenet.data.pictures import read_mask
from wholenet.data.pieces import Cell, Image, place_of
from wholenet.data.pixels import Bands
from wholenet.data.sample import Classes, DataError, Sample

Mask = Path | Cell | Drawn
"""A file, a row of a table, or what is drawn from a file (``data/drawn.py``)."""
Pair = tuple[Image, Mask]
"""An image (``data/pieces.py``) and its mask."""
FilePair = tuple[Path, Path]
"""The same, both being files."""

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
MASK_SUFFIXES = (".png", ".bmp", ".tif", ".tiff", ".gif")
JPEG_SUFFIXES = (".jpg", ".jpeg", ".jfif", ".jpe")
JPEG_ADVICE = (
    "JPEG changes pixel values, so labels come out as other labels. Export the masks again as PNG; to convert the JPEG "
    "files does not bring the labels back."
)
OTHER_SUFFIXES = (
    *(".gif", ".jfif", ".jpe", ".jp2", ".j2k", ".heic", ".heif", ".avif", ".dng", ".raw", ".tga", ".ppm", ".pgm"),
    *(".npy", ".npz", ".mat", ".exr", ".hdr", ".nii", ".dcm", ".svg", ".xml"),
)
"""Pictures and annotations that people have and wholenet does not read; text beside the data is nobody's mistake."""
MASK_ENDING = re.compile(r"[_-](masks?|labels?|labelids|gt|seg|segmentation|annot|annotation|l)$", re.IGNORECASE)
_MASK_BEGINNING = re.compile(r"(masks?|labels?|gt|seg|segmentation|annotation)([_-]?\d+)?$", re.IGNORECASE)
"""Of the whole name: "mask.png" beside "image.png", "mask_1.png" beside "image_1.png"."""
SHOWN = "shows-another"
"""The kind of finding about pictures that are left out as they show images or masks to people."""


CHANNEL = re.compile(r"(?<=.)_\d{4}$")
"""nnU-Net's end of the names of images."""
_OME = re.compile(r"(?<=.)\.ome$", re.IGNORECASE)
_IMAGE_SUFFIX = re.compile(rf"({'|'.join(map(re.escape, IMAGE_SUFFIXES))})$", re.IGNORECASE)


class FolderData:
    """Pairs of files, read when asked for; a ``SegmentationData``.

    Args:
        pairs: each image with its mask.
        classes: what the masks' pixels mean.
        max_megapixels: larger files are refused before they are decoded.
        bands: how images are read.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        classes: Classes,
        max_megapixels: float = MAX_MEGAPIXELS,
        bands: Bands = "auto",
    ) -> None:
        self.pairs = tuple(pairs)
        self.classes = classes
        self.max_megapixels = max_megapixels
        self.bands: Bands = bands
        self._names = short_names(self.image_paths)

    @property
    def image_paths(self) -> tuple[Path, ...]:
        """The places of the images, files or not, in the order of the samples."""
        return tuple(place_of(image) for image, _ in self.pairs)

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Sample:
        """Read one sample.

        Raises:
            DataError: if a file cannot be read, the sizes differ, or the mask holds an unknown value.
            IndexError: if there is no such sample.
        """
        index = range(len(self))[index]
        image_path, mask_path = self.pairs[index]
        image = read_bands(image_path, self.bands, self.max_megapixels)
        mask = read_mask(mask_path, self.classes, self.max_megapixels)
        if image.shape[:2] != mask.shape:
            raise DataError(size_mismatch(image_path, image.shape, mask_path, mask.shape))
        return Sample(image, mask, self._names[index])


def size_mismatch(image: Image, image_shape: tuple[int, ...], mask: Mask, mask_shape: tuple[int, ...]) -> str:
    """What to say of a pair whose sizes differ."""
    if isinstance(mask, Drawn):
        return (
            f"{image} is {_size(image_shape)} but {mask.file} has outlines for an image of {_size(mask_shape)} "
            "(height x width). Export the annotations for the images as they are, or take the images that were "
            f"annotated{_turned(image_shape, mask_shape)}."
        )
    return (
        f"{image} is {_size(image_shape)} but its mask {mask} is {_size(mask_shape)} (height x width). Both must have "
        f"one size: resize the masks with nearest-neighbour sampling{_turned(image_shape, mask_shape)}."
    )


def short_names(paths: Sequence[Path]) -> tuple[str, ...]:
    """A name for each file, fit for a file name itself: its stem, or with its folders where a stem occurs twice.

    >>> short_names([Path("day/a.png"), Path("day/b.png")])
    ('a', 'b')
    >>> short_names([Path("day/a.png"), Path("night/a.png")])
    ('day__a', 'night__a')
    """
    stems = tuple(bare_stem(path.name) for path in paths)
    if len(set(stems)) == len(stems):
        return stems
    common = os.path.commonpath([path.parent for path in paths])
    return tuple("__".join(path.relative_to(common).with_name(bare_stem(path.name)).parts) for path in paths)


@dataclass(frozen=True)
class Matching:
    """Which images and masks belong together, and what is odd about the rest."""

    pairs: list[FilePair]
    """In the order of the images' paths."""
    findings: tuple[Finding, ...] = ()


def match(images: Path, masks: Path) -> Matching:
    """The images below one folder with their masks below the other.

    A mask has its image's sub-folder and stem, or the stem and a usual ending: "a.jpg" goes with "a.png", "a_mask.png",
    "a_label.png", "a_labels.png", "a_gt.png", "a_seg.png", "a_L.png" (and so on, also with "-"). Both folders may be
    one, in which masks have such an ending, or are called "mask", and images are not. "x.jpg" goes with "x.jpg.png"
    too. Names are compared in Unicode's composed form (NFC), however they are stored. Where all that is left on both
    sides is equal but for words like "img" and "mask", that is paired, with a note: "img_0.png" with "mask_0.png".
    """
    images_of, masks_of = _by_stem(images, IMAGE_SUFFIXES), defaultdict[Path, list[Path]](list)
    masks_by_stem = _by_stem(masks, MASK_SUFFIXES)
    images_of = _without_channel(images_of, masks_by_stem)
    shown = []
    if images == masks:
        images_of, masks_by_stem, shown = _told_apart(images_of, masks_by_stem)
    for key, files in masks_by_stem.items():
        masks_of[_image_key(key, images_of)] += files
    by_words = paired_by_words(
        images_of.keys() - masks_of.keys(),
        {key: files[0].stem for key, files in masks_of.items() if key not in images_of},
    )
    masks_of |= {image: masks_of.pop(mask) for image, mask in by_words.items()}
    both = [key for key in images_of if key in masks_of]
    lossy_by_stem = _by_stem(masks, JPEG_SUFFIXES) if images != masks else {}
    jpegs = {_image_key(key, images_of): files[0] for key, files in lossy_by_stem.items()}
    lossy = {key: path for key, path in jpegs.items() if key in images_of and key not in masks_of}
    alone = [files[0] for key, files in images_of.items() if key not in masks_of and key not in lossy]
    lonely = [files[0] for key, files in masks_of.items() if key not in images_of]
    findings = [
        *_ambiguous(images_of, "images"),
        *_ambiguous(masks_of, "masks"),
        *of_files("error", "lossy-mask", [*lossy.values()], "saved as JPEG", JPEG_ADVICE, noun="mask"),
        *unpaired(alone, "image", "mask", masks, lonely),
        *unpaired(lonely, "mask", "image", images, alone),
        *of_files("note", SHOWN, shown, "left out that show others to people, by their names", "", noun="picture"),
        *_told_of_words([(images_of[key][0], masks_of[key][0]) for key in by_words]),
        *_left_out(images, IMAGE_SUFFIXES if images != masks else (*IMAGE_SUFFIXES, *MASK_SUFFIXES)),
        *(_left_out(masks, MASK_SUFFIXES, said=set(lossy.values())) if images != masks else ()),
    ]
    if not images_of:
        what = f"{images}: no images ({', '.join(IMAGE_SUFFIXES)}) in this folder."
        findings.insert(0, Finding("error", "no-images", what, KNOWN_LAYOUTS))
    return Matching([(images_of[key][0], masks_of[key][0]) for key in both], tuple(findings))


def unpaired(
    alone: Sequence[Path], kind: str, partner: str, searched: Path, others: Sequence[Path] = ()
) -> list[Finding]:
    """What to say of the files that are without their partner, ``others`` being without theirs too."""
    nearest = ""
    if alone and others:
        names = [path.name for path in others]
        first = [name for name in names if name[:1] == alone[0].name[:1]]  # else what ends alike is the nearest
        near = get_close_matches(alone[0].name, first or names, n=1, cutoff=0)[0]
        nearest = f" The nearest name to {alone[0].name} is {near}."
    advice = (
        f"Searched in {searched}, by the same sub-folder and name.{nearest} Add the missing {partner}s there, "
        f"or move these {kind}s out of the data set."
    )
    return of_files("error", f"{kind}-without-{partner}", alone, f"without {partner}", advice, noun=kind)


def files_below(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """The files with these suffixes (in any case), sorted by path; hidden ones and macOS's "._" copies left out, and
    folders below it that are copies of LabelMe's files."""
    found = (path for path in folder.rglob("*") if path.suffix.lower() in suffixes and path.is_file())
    return sorted(p for p in found if not _hidden(p, folder) and (p.parent == folder or not is_copy(p.parent)))


def bare_stem(name: str) -> str:
    """A file's name without its suffix, of which OME-TIFFs have two.

    >>> bare_stem("a.png"), bare_stem("a.ome.tif")
    ('a', 'a')
    """
    stem = Path(name).stem
    return _OME.sub("", stem) if name.lower().endswith((".tif", ".tiff")) else stem


def _by_stem(folder: Path, suffixes: tuple[str, ...]) -> dict[Path, list[Path]]:
    """Path below ``folder`` without suffix, in Unicode's composed form -> the files of that name."""
    grouped: dict[Path, list[Path]] = defaultdict(list)
    for path in files_below(folder, suffixes):
        grouped[composed(path.relative_to(folder).with_name(bare_stem(path.name)))].append(path)
    return grouped


def _without_channel(images: dict[Path, list[Path]], masks: Container[Path]) -> dict[Path, list[Path]]:
    """nnU-Net ends the names of images in the number of their channel; its masks have none. Further channels are found
    by ``data/channels.py``."""
    if any(not CHANNEL.search(key.name) for key in images):
        return images
    first = {key: files for key, files in images.items() if key.name.endswith("_0000")} or images
    short = {key.with_name(CHANNEL.sub("", key.name)): files for key, files in first.items()}
    return short if any(key in masks for key in short) and not any(key in masks for key in images) else images


def _told_apart(
    images: dict[Path, list[Path]], masks: dict[Path, list[Path]]
) -> tuple[dict[Path, list[Path]], dict[Path, list[Path]], list[Path]]:
    """Of files in one folder, those that are images, those that are masks, and those that show others, by the ends of
    their names."""
    every = {**images, **masks}
    showing = {key for key in every if shows_another(key, every)}
    ending = {key for key in every if called_as_mask(key.name)}
    return (
        {key: files for key, files in images.items() if key not in ending | showing},
        {key: files for key, files in masks.items() if key in ending - showing},
        [path for key, files in every.items() if key in showing for path in files],
    )


def called_as_mask(stem: str) -> bool:
    """Whether a file of that name, among images, is a mask.

    >>> [called_as_mask(stem) for stem in ("a_mask", "mask", "mask_2", "masked")]
    [True, True, True, False]
    """
    return bool(MASK_ENDING.search(stem) or _MASK_BEGINNING.fullmatch(stem))


def _image_key(mask_key: Path, images: Container[Path]) -> Path:
    """The key of a mask's image: its own, or what is left without an image's suffix ("x.jpg") and a usual ending."""
    name = mask_key.name
    bare = _IMAGE_SUFFIX.sub("", name) or name
    likely = [part for one in (name, bare) for part in (one, MASK_ENDING.sub("", one) or one)]
    likely.append(_IMAGE_SUFFIX.sub("", likely[1]) or name)
    keys = [mask_key.with_name(part) for part in likely]
    return next((key for key in keys if key in images), keys[1])


def _told_of_words(pairs: Sequence[FilePair]) -> list[Finding]:
    if not pairs:
        return []
    examples = tuple(f"{image.name} with {mask.name}" for image, mask in pairs[:EXAMPLES])
    what = f"{len(pairs)} images and masks paired by what is left of their names without words like img and mask"
    advice = "If they do not belong together, give each mask the name of its image."
    return [Finding("note", "paired-by-words", what, advice, examples, len(pairs))]


def _ambiguous(grouped: dict[Path, list[Path]], kind: str) -> Iterator[Finding]:
    clashes = [files for files in grouped.values() if len(files) > 1]
    if clashes:
        shown = "; ".join(", ".join(map(str, files)) for files in clashes[:EXAMPLES])
        more = f"; and {len(clashes) - EXAMPLES} more" if len(clashes) > EXAMPLES else ""
        alike = any(len({composed(file) for file in files}) < len(files) for files in clashes)
        form = " (the names look alike: they differ in their Unicode form, NFC or NFD)" if alike else ""
        what = f"several {kind} of one name{form}: {shown}{more}."
        yield Finding("error", f"several-{kind}", what, "Keep one of them.", count=len(clashes))


def _left_out(folder: Path, suffixes: tuple[str, ...], said: Container[Path] = ()) -> Iterator[Finding]:
    """What a search for files with these suffixes does not see, or not as what it is; ``said`` were told of already."""
    entries = [path for path in sorted(folder.rglob("*")) if not _hidden(path, folder)]
    wanted = [path for path in entries if path.suffix.lower() in suffixes]
    dead = [path for path in wanted if path.is_symlink() and not path.exists()]
    yield from of_files(
        "error",
        "broken-link",
        dead,
        "that are links to nothing" if len(dead) > 1 else "that is a link to nothing",
        "Restore what they point to, or remove the links and their partners.",
        noun="file",
    )
    yield from of_files(
        "warning",
        "folder-called-as-file",
        [path for path in wanted if path.is_dir()],
        "called like a picture, searched as a folder",
        "Rename it; if a picture was to be there, put it there.",
        noun="folder",
    )
    yield from of_files(
        "warning",
        "linked-folder",
        [path for path in entries if path.is_symlink() and path.is_dir()],
        "below behind a link, not searched",
        "Links in the data set's upper folders are followed, those below are not: move the files here, or link each.",
        noun="folder",
    )
    others = (*OTHER_SUFFIXES, *IMAGE_SUFFIXES, *MASK_SUFFIXES)
    strange = [p for p in entries if p.suffix.lower() in others and p.suffix.lower() not in suffixes and p.is_file()]
    yield from of_files(
        "warning",
        "other-suffix",
        [path for path in strange if path not in said],
        f"in {folder} left out: read here are {', '.join(suffixes)}",
        "Export them again in one of these formats (masks as PNG), or move them out of the data set.",
        noun="file",
    )


def _hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in path.relative_to(folder).parts)


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[0]}x{shape[1]}"


def _turned(image: tuple[int, ...], mask: tuple[int, ...]) -> str:
    return "; here the image seems turned by its EXIF tag, the mask not" if image[:2] == mask[::-1] else ""
