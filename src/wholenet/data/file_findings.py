"""What there is to say of single files and pairs: facts in, findings out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from wholenet.data.drawn import BACKGROUND, Drawn
from wholenet.data.finding import EXAMPLES, Finding, but_for_numbers, of_files
from wholenet.data.folder import JPEG_ADVICE, Mask, Pair, size_mismatch
from wholenet.data.pieces import Image
from wholenet.data.pixels import Bands, Pixels
from wholenet.data.stored import PictureError
from wholenet.data.survey import ImageFacts, MaskFacts, Surveyed

UPRIGHT = 1
SQUARE_TURNS = (2, 3, 4)
"""EXIF orientations that leave height and width as they are: the size does not tell whether the mask was turned too."""
TOO_SMALL, SMALL = 8, 32
"""Sides, in pixels, below which an image is refused, or doubted: networks here halve it five times."""
ALIKE = 0.5
"""Share of the pixels of objects that several of them claim, above which they are hardly several."""
_LOSSY = ("JPEG", "MPO")
_LOSSY_COMPRESSION = ("jpeg", "tiff_jpeg")


def unusable(found: Surveyed) -> list[Finding]:
    """The files that cannot be read at all, those with one reason together."""
    findings = []
    masks = {
        mask: error
        for mask, error in found.unusable_masks.items()
        if not (isinstance(mask, Drawn) and mask.image in found.unusable_images)  # which says it already
    }
    for noun, problems in (("image", found.unusable_images), ("mask", masks)):
        groups: dict[tuple[str, str], list[tuple[object, PictureError]]] = defaultdict(list)
        for path, error in problems.items():
            groups[error.kind, but_for_numbers(error.reason)].append((path, error))
        for (kind, _), group in groups.items():
            first = group[0][1]
            files = sorted(error.place for _, error in group)
            findings += of_files("error", kind, files, f"cannot be used: {first.reason}", first.advice, noun=noun)
    return findings


def of_small_images(images: Mapping[Image, ImageFacts]) -> list[Finding]:
    """Images that a network can hardly make anything of."""
    tiny = [path for path, facts in images.items() if min(facts.size) < TOO_SMALL]
    small = [path for path, facts in images.items() if TOO_SMALL <= min(facts.size) < SMALL]
    return [
        *of_files(
            "error",
            "too-small",
            tiny,
            f"lower or narrower than {TOO_SMALL} pixels{_first_size(tiny, images)}",
            "Nothing can be learned from so few pixels: remove them with their masks, or replace them.",
        ),
        *of_files(
            "warning",
            "small",
            small,
            f"lower or narrower than {SMALL} pixels{_first_size(small, images)}",
            "The network reduces images by 32; enlarge these, or remove them with their masks.",
        ),
    ]


def of_kinds(images: Mapping[Image, ImageFacts], bands: Bands) -> list[Finding]:
    """Images of other bands, or another type, than most: a network takes one kind."""
    by_kind: dict[str, list[Image]] = defaultdict(list)
    for path, facts in images.items():
        by_kind[facts.kind].append(path)
    usual = max(by_kind, key=lambda kind: len(by_kind[kind]), default="")
    findings = []
    for kind, files in by_kind.items():
        if kind != usual:
            what = f"of {kind}, where {len(by_kind[usual])} are of {usual}, such as {by_kind[usual][0]}"
            advice = "A network takes images of one kind: convert these or those, or make two data sets of them."
            if bands != "auto":
                advice += f" Without --bands {bands} photographs, grey or in colour, with or without alpha, are RGB."
            findings += of_files("error", "image-kinds", files, what, advice)
    return findings


def of_channels(pixels: Pixels) -> list[Finding]:
    """Channels in which nothing is to be seen."""
    flat = [i for i, (low, high) in enumerate(zip(pixels.low, pixels.high, strict=True), start=1) if low == high]
    if not flat:
        return []
    listed = ", ".join(f"{i} ({pixels.low[i - 1]:g})" for i in flat[:EXAMPLES])
    what = f"{len(flat)} of {pixels.channels} bands of a single value in all of train: {listed}"
    advice = "It tells a network nothing, but other values of it later would confuse it. Leave it out of all images."
    return [Finding("warning", "flat-band", what, advice, count=len(flat))]


def of_images(images: Mapping[Image, ImageFacts]) -> list[Finding]:
    """What is odd about images that can be read, whatever their sizes."""
    return [
        *of_files(
            "warning",
            "cmyk",
            [path for path, facts in images.items() if facts.mode == "CMYK"],
            "in CMYK, made for printing",
            "Its colours become RGB by a plain rule, not as a viewer shows them; convert all images to RGB, or none.",
        ),
        *of_files(
            "warning",
            "transparent-image",
            [path for path, facts in images.items() if facts.transparent],
            "with transparent pixels",
            "Transparency (an alpha channel) is dropped: what is hidden behind it is trained on. Flatten these images. "
            "A fourth band of another kind that a program called alpha, such as near infrared, is dropped too; "
            "--bands stored keeps it.",
        ),
        *of_files(
            "warning",
            "flat-image",
            [path for path, facts in images.items() if facts.flat],
            "of one colour throughout",
            "Nothing can be seen in such an image: a failed capture? Remove it with its mask.",
        ),
        *of_files(
            "note",
            "no-data",
            [path for path, facts in images.items() if any(band.missing for band in facts.stats)],
            "with pixels without data (GDAL_NODATA)",
            "They are left out of mean and spread, and become the mean of the image's other pixels in that band. If "
            "they are to be ignored, give them a value in the masks that is.",
        ),
    ]


def of_pairs(pairs: Sequence[Pair], found: Surveyed) -> list[Finding]:
    """Sizes and rotations, of images with their masks."""
    both = [(i, found.images[i], m, found.masks[m]) for i, m in pairs if i in found.images and m in found.masks]
    differ = [(i, a, m, b) for i, a, m, b in both if a.size != b.size]
    findings = []
    if differ:
        image, a, mask, b = differ[0]
        shown = size_mismatch(image, a.size, mask, b.size)
        what = f"{len(differ)} mask{'s' * (len(differ) > 1)} of another size than the image. {shown}"
        findings += [Finding("error", "size", what, files=tuple(str(i) for i, *_ in differ[:5]), count=len(differ))]
    same = [(i, a, b) for i, a, _, b in both if a.size == b.size and a.orientation != UPRIGHT]
    doubtful = [
        image
        for image, a, b in same
        if a.orientation != b.orientation and (a.orientation in SQUARE_TURNS or a.size[0] == a.size[1])
    ]
    turned = [image for image, *_ in same if image not in set(doubtful)]
    findings += of_files(
        "warning",
        "exif",
        doubtful,
        "turned or mirrored by an EXIF tag, of the size of the mask either way",
        "The image is trained on as viewers show it. Make sure that the mask was drawn on that; if so, save the image "
        "upright, without the tag, and this warning goes.",
    )
    findings += of_files(
        "note", "exif-applied", turned, "turned by an EXIF tag, which is applied", "The masks fit the turned images."
    )
    return findings


def of_masks(masks: Mapping[Mask, MaskFacts]) -> list[Finding]:
    """What is odd about masks that can be read, whatever their classes."""
    return [
        *of_files(
            "error",
            "lossy-mask",
            [p for p, facts in masks.items() if facts.format in _LOSSY or facts.compression in _LOSSY_COMPRESSION],
            "saved as JPEG, whatever the file is called",
            JPEG_ADVICE,
            noun="mask",
        ),
        *of_files(
            "warning",
            "transparent-mask",
            [path for path, facts in masks.items() if facts.transparent],
            "with transparent pixels",
            "Transparency (an alpha channel) is dropped: such pixels count as the label behind it. If they are to be "
            "ignored, give them a value or colour of their own and list it as ignored in classes.json.",
            noun="mask",
        ),
        *of_files(
            "note",
            "white-is-zero",
            [path for path, facts in masks.items() if facts.white_is_zero],
            "with WhiteIsZero (PhotometricInterpretation 0), read as stored",
            "The value in the file is the class; viewers show such files inverted, the highest value black.",
            noun="mask",
        ),
        *_of_objects(masks),
    ]


def _of_objects(masks: Mapping[Mask, MaskFacts]) -> list[Finding]:
    """Of masks that are joined of a mask for each object: objects in one place."""
    shared = {mask: facts.shared for mask, facts in masks.items() if facts.shared}
    alike = [mask for mask, pixels in shared.items() if pixels > ALIKE * _covered(masks[mask])]
    others = [mask for mask in shared if mask not in set(alike)]
    return [
        *of_files(
            "warning",
            "objects-alike",
            alike,
            f"in which objects share more than {ALIKE:.0%} of their pixels",
            "Are these masks of one thing by several people, or copies? All that any of them marks is taken. Keep one "
            "of each.",
            noun="mask",
        ),
        *of_files(
            "note",
            "objects-overlap",
            others,
            f"in which objects overlap, {sum(shared[mask] for mask in others)} pixels in all",
            "There the smaller object is seen. Areas of one class that overlap or touch become one area.",
            noun="mask",
        ),
    ]


def _covered(facts: MaskFacts) -> int:
    return sum(pixels for code, pixels in facts.counts.items() if code != BACKGROUND)


def _first_size(files: Sequence[Image], images: Mapping[Image, ImageFacts]) -> str:
    return " ({}x{})".format(*images[files[0]].size) if files else ""
