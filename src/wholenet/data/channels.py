"""Images of several files, one for each channel, as nnU-Net names them: a_0000.png, a_0001.png, with the mask a.png.

Format: https://github.com/MIC-DKFZ/nnUNet/blob/master/documentation/dataset_format.md.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from wholenet.data.classes import DATASET, is_table_of_others
from wholenet.data.finding import Finding, of_files
from wholenet.data.folder import CHANNEL, IMAGE_SUFFIXES, FilePair, Pair, files_below
from wholenet.data.pieces import Image, Stacked
from wholenet.files import read_json


def channel_names(root: Path) -> tuple[str, ...]:
    """The names that nnU-Net's dataset.json gives to the channels, in the order of their numbers; none if there is no
    such file, or it is damaged, which whoever reads the classes says."""
    path = root / DATASET
    if not is_table_of_others(path):
        return ()
    content = read_json(path)
    named = content.get("channel_names", content.get("modality"))
    if not isinstance(named, dict) or not all(key.isdecimal() for key in named):
        return ()
    return tuple(str(named[key]) for key in sorted(named, key=int))


def channel_note(pairs: Sequence[Pair], names: Sequence[str]) -> list[str]:
    """What to say of images of several files."""
    first = next((image for image, _ in pairs if isinstance(image, Stacked)), None)
    if first is None:
        return []
    called = f": {', '.join(names)}" if names else ""
    return [f"each image is {len(first.files)} files, one for each channel{called}"]


def with_channels(pairs: Sequence[FilePair], names: Sequence[str] = ()) -> tuple[list[Pair], list[Finding]]:
    """The pairs, each image with the other channels that lie beside it, and what is wrong with their numbers.

    Only images whose names end in a channel's number and whose masks do not are looked at.
    """
    numbered = [image for image, mask in pairs if CHANNEL.search(image.stem) and not CHANNEL.search(mask.stem)]
    if not numbered:
        return [*pairs], []
    beside = {folder: _by_image(folder) for folder in {image.parent for image in numbered}}
    files_of = {image: beside[image.parent][CHANNEL.sub("", image.stem)] for image in numbered}
    several = any(len(files) > 1 for files in files_of.values())  # a lone file may hold all channels, as RGB does
    found: list[Pair] = []
    gaps = []
    for image, mask in pairs:
        files = files_of.get(image, [image])
        stem = CHANNEL.sub("", image.stem)
        count = len(names) if several and len(names) > 1 else len(files)
        if image in files_of and [int(file.stem[-4:]) for file in files] != list(range(count)):
            gaps.append(f"{image.parent / stem} ({', '.join(file.stem[-4:] for file in files)})")
        place = image.with_name(f"{stem}{image.suffix}")
        found.append((Stacked(tuple(files), place), mask) if len(files) > 1 else (image, mask))
    advice = "Channels are numbered 0000, 0001, ...; add the files that are missing, or give each channel one file."
    expected = f"0 to {len(names) - 1}, as {DATASET} says" if len(names) > 1 else "numbered from 0"
    return found, of_files("error", "channel-missing", gaps, f"whose channels are not {expected}", advice)


def joined_channels(files: Sequence[Path], channels: int) -> list[Image]:
    """The images in ``files``, for a network of so many channels: those that lie in a file for each channel as one.

    >>> [str(image) for image in joined_channels([Path("a_0000.png"), Path("a_0001.png"), Path("b.tif")], 2)]
    ['a_0000.png to a_0001.png', 'b.tif']
    """
    groups: dict[Path, list[Path]] = defaultdict(list)
    for file in files:
        groups[file.with_name(CHANNEL.sub("", file.stem) + file.suffix)].append(file)
    found: list[Image] = []
    for place, own in groups.items():
        numbers = [int(file.stem[-4:]) for file in own if CHANNEL.search(file.stem)]
        if channels > 1 and sorted(numbers) == list(range(channels)) and len(own) == channels:
            found.append(Stacked(tuple(sorted(own)), place))
        else:
            found += own
    return found


def _by_image(folder: Path) -> Mapping[str, list[Path]]:
    """Name without a channel's number -> the files of its channels, in their order."""
    found: dict[str, list[Path]] = defaultdict(list)
    for path in files_below(folder, IMAGE_SUFFIXES):
        if path.parent == folder and CHANNEL.search(path.stem):
            found[CHANNEL.sub("", path.stem)].append(path)
    return found
