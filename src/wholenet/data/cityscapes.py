"""Cityscapes: its 19 evaluated classes and its tree of cities.

Masks are read from the ``_labelIds`` files; ids outside the 19 count nowhere, as in the official evaluation.
"""

from __future__ import annotations

from pathlib import Path

from wholenet.data.finding import Finding
from wholenet.data.folder import FilePair, Matching, files_below, unpaired
from wholenet.data.sample import IGNORE, Classes

_CLASSES = (
    (7, "road", (128, 64, 128)),
    (8, "sidewalk", (244, 35, 232)),
    (11, "building", (70, 70, 70)),
    (12, "wall", (102, 102, 156)),
    (13, "fence", (190, 153, 153)),
    (17, "pole", (153, 153, 153)),
    (19, "traffic light", (250, 170, 30)),
    (20, "traffic sign", (220, 220, 0)),
    (21, "vegetation", (107, 142, 35)),
    (22, "terrain", (152, 251, 152)),
    (23, "sky", (70, 130, 180)),
    (24, "person", (220, 20, 60)),
    (25, "rider", (255, 0, 0)),
    (26, "car", (0, 0, 142)),
    (27, "truck", (0, 0, 70)),
    (28, "bus", (0, 60, 100)),
    (31, "train", (0, 80, 100)),
    (32, "motorcycle", (0, 0, 230)),
    (33, "bicycle", (119, 11, 32)),
)
"""Label id, name, colour; in the order of the train ids."""

CITYSCAPES = Classes(
    names=tuple(name for _, name, _ in _CLASSES),
    colors=tuple(color for _, _, color in _CLASSES),
    values=tuple(label_id for label_id, _, _ in _CLASSES),
    # The license plate's id is -1, which an 8-bit file holds as 255.
    ignore_values=(0, 1, 2, 3, 4, 5, 6, 9, 10, 14, 15, 16, 18, 29, 30, IGNORE),
)


def cityscapes_pairs(root: Path) -> dict[str, Matching]:
    """The images with their masks: "train", "val" (where there), and "coarse" where there are coarse annotations.

    "coarse" joins those of train and train_extra. There is no "test": its labels are withheld, and the files that
    stand for them mark hardly more than the car that carries the camera.
    """
    fine = {split: _match(root, split, "gtFine") for split in ("train", "val")}
    if not fine["train"].pairs and not fine["train"].findings:
        finding = Finding(
            "error",
            "no-images",
            f"{root}: no fine annotations to train on; expected leftImg8bit/train/<city>/*_leftImg8bit.png and "
            "gtFine/train/<city>/*_gtFine_labelIds.png",
        )
        fine["train"] = Matching([], (finding,))
    coarse = [_match(root, split, "gtCoarse") for split in ("train", "train_extra")]
    joined = Matching([p for part in coarse for p in part.pairs], tuple(f for part in coarse for f in part.findings))
    return {split: found for split, found in {**fine, "coarse": joined}.items() if found.pairs or found.findings}


def _match(root: Path, split: str, kind: str) -> Matching:
    """The images of ``leftImg8bit/<split>`` with masks of ``<kind>/<split>``; empty if either folder is missing."""
    images, masks = root / "leftImg8bit" / split, root / kind / split
    if not (images.is_dir() and masks.is_dir()):
        return Matching([])
    found = [path for path in files_below(images, (".png",)) if path.stem.endswith("_leftImg8bit")]
    pairs: list[FilePair] = [(path, _mask_of(path, masks, kind)) for path in found]
    alone = [image for image, mask in pairs if not mask.is_file()]
    return Matching([pair for pair in pairs if pair[1].is_file()], tuple(unpaired(alone, "image", "mask", masks)))


def _mask_of(image: Path, masks: Path, kind: str) -> Path:
    return masks / image.parent.name / image.name.replace("_leftImg8bit", f"_{kind}_labelIds")
