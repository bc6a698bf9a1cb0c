"""Annotations that are no masks, known by the names of their files: what they are, and what makes masks of them."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from wholenet.data.folder import IMAGE_SUFFIXES, files_below
from wholenet.data.layouts import Layout, subfolders
from wholenet.files import read_start, read_text

ADVICE = (
    "wholenet reads masks, one PNG for each image, with the number of the class as the value of a pixel, in a folder "
    "masks beside images; or outlines of objects as COCO, YOLO, LabelMe or CVAT for images writes them."
)
NIFTI, ITK = "nibabel", "SimpleITK"
"""Packages that read volumes."""
VOLUMES = {".nii.gz": NIFTI, ".nii": NIFTI, ".mha": ITK, ".mhd": ITK, ".nrrd": ITK}
"""Ends of the names of volumes, and what reads them."""
READ = {NIFTI: "nibabel.load(p).get_fdata().T", ITK: "SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(p))"}
"""The slices of the volume ``p``, the first axis over them."""
_START = 4096
_MOST = 1000
"""Files whose names are read in one of them."""


class OtherFormat(NamedTuple):
    """Annotations that are no masks."""

    file: Path
    """One of the files, or folders, that tell it."""
    told: str
    """What they are, and what to do."""
    certain: bool = True
    """Whether it can be nothing else; text beside an image may say anything of it."""


def other_format(root: Path) -> OtherFormat | None:
    """What the annotations in ``root`` are, where they are no masks; None if nothing is known."""
    below = list(islice(subfolders(root).values(), 20))
    folders = [root, *below, *(inner for folder in below for inner in islice(subfolders(folder).values(), 5))]
    names = {folder: [p for p in islice(folder.iterdir(), _MOST) if p.is_file()] for folder in folders}
    images = {p.stem for files in names.values() for p in files if p.suffix.lower() in IMAGE_SUFFIXES}
    for suffix, name in ((".txt", "YOLO"), (".json", "Supervisely"), (".xml", "Pascal VOC")):
        own = [p for files in names.values() for p in files if p.suffix.lower() == suffix and _stem(p) in images]
        if own and (suffix != ".txt" or _are_numbers(own[0])):
            return OtherFormat(
                own[0],
                f"{own[0]} and others have the names of images: boxes or outlines of objects, as in {name}. "
                f"{ADVICE} Export the annotations anew in one of these; boxes alone do not say which pixels are meant.",
                certain=False,
            )
    return _of_arrow(names) or _of_via(names)


def _of_arrow(names: Mapping[Path, Sequence[Path]]) -> OtherFormat | None:
    """What ``datasets`` saves to disk."""
    for folder, files in names.items():
        if any(p.suffix == ".arrow" for p in files) and any(
            p.name in ("state.json", "dataset_info.json") for p in files
        ):
            several = (folder.parent / "dataset_dict.json").is_file()
            where = folder.parent if several else folder
            line = "d = datasets.load_from_disk(sys.argv[1]); " + (
                "[s.to_parquet(n + '.parquet') for n, s in d.items()]" if several else "d.to_parquet('train.parquet')"
            )
            return OtherFormat(
                folder,
                f"{folder} holds a data set of Hugging Face's as Arrow, as save_to_disk writes it, and wholenet reads "
                "parquet. This line, in an empty folder, writes that (pip install datasets):\n"
                f'python -c "import sys, datasets; {line}" {shlex.quote(str(where.absolute()))}',
            )
    return None


def _of_via(names: Mapping[Path, Sequence[Path]]) -> OtherFormat | None:
    for files in names.values():
        for file in files:
            if file.suffix.lower() == ".json" and b'"shape_attributes"' in read_start(file, _START):
                return OtherFormat(
                    file,
                    f"{file} has outlines of objects as VIA (VGG Image Annotator) writes them. {ADVICE} Load the "
                    'project in VIA and choose "Export Annotations (COCO format)".',
                )
    return None


def of_volumes(root: Path, layout: Layout) -> str | None:
    """What to say where the images are volumes, as nnU-Net's mostly are; None where there are pictures."""
    folders = list(dict.fromkeys(folder for pair in layout.folders.values() for folder in pair if folder is not None))
    files = (path for folder in folders for path in islice(sorted(folder.iterdir()), _MOST))
    found = next(((path, end) for path in files for end in VOLUMES if path.name.lower().endswith(end)), None)
    if found is None or any(files_below(folder, IMAGE_SUFFIXES) for folder in folders):
        return None
    path, end = found
    images = [images for images, _ in layout.folders.values()]
    return (
        f"{path} is a volume of slices, and wholenet reads pictures. This line, in {root}, writes the slices of "
        f"volumes beside them (pip install {VOLUMES[end]} tifffile):\n"
        + slices_line(
            [one.relative_to(root) for one in images],
            [one.relative_to(root) for one in folders],
            path.name[-len(end) :],
        )
    )


def slices_line(images: Sequence[Path], folders: Sequence[Path], end: str) -> str:
    """The line that writes the slices of volumes as pictures, z000_ and so on before their names.

    Args:
        images: the folders among them that hold images, which become floats; labels become bytes.
        folders: where volumes are.
        end: of their names.
    """
    reader = VOLUMES[end.lower()]
    of_images = tuple(f"{folder.as_posix()}/" for folder in images)
    where = " ".join(shlex.quote(folder.as_posix()) + f"/*{end}" for folder in folders)
    return (
        f"""python -c "import sys, pathlib, {reader}, tifffile; """
        f"""[tifffile.imwrite(f.with_name(f'z{{z:03}}_{{f.name[:-{len(end)}]}}.tif'), """
        f"""s.astype('f4' if p.startswith({of_images!r}) else 'u1')) """
        f"""for p in sys.argv[1:] for f in [pathlib.Path(p)] for z, s in enumerate({READ[reader]})]\" {where}"""
    )


def _stem(file: Path) -> str:
    """ "a" of a.txt, and of a.jpg.json."""
    inner = Path(file.stem)
    return inner.stem if inner.suffix.lower() in IMAGE_SUFFIXES else file.stem


def _are_numbers(file: Path) -> bool:
    """Whether the first line of a text is numbers, as it is in YOLO's format; other texts are captions."""
    try:
        lines = read_text(file).splitlines()
        return all(float(word) >= 0 for word in (lines[0] if lines else "").split())
    except (OSError, ValueError):
        return False
