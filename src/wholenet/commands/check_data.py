"""``wholenet check-data``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from wholenet.checked import Batch, Count, Disparity, DisparityScale, InnerShare, Megapixels, Seed
from wholenet.commands.answers import write_json
from wholenet.data.pixels import Bands
from wholenet.data.task import how_read, own_task_of, task_of
from wholenet.search.config import FitConfig, parse_size


def check_data(
    data: str,
    *,
    task: Literal["segmentation", "classification", "language", "stereo"] | None = None,
    json: str | None = None,
    crop: str | None = None,
    val_share: InnerShare = FitConfig.val_share,
    data_seed: Seed = FitConfig.data_seed,
    max_megapixels: Megapixels = FitConfig.max_megapixels,
    bands: Bands = "auto",
    vocab: Count | None = None,
    batch: Batch | None = None,
    units: Count | None = None,
    disparity_scale: DisparityScale | None = None,
    max_disparity: Disparity | None = None,
) -> None:
    """Read every file of a data set once, and say all that is wrong with it.

    Args:
        data: Folder with images and masks, with labelled images, or with pairs of images and disparity; a text, as a
            file or as a folder with train.txt; or a data set by name: "scenes".
        task: Default: as the data looks.
        json: Write everything found to this file.
        crop: HEIGHTxWIDTH to be trained on; default: as the data allows.
        val_share: Share held out where there is no val split.
        data_seed: Seed of what is held out.
        max_megapixels: Images and masks that decode to more are refused.
        bands: How image files become channels: photographs as 8-bit RGB and others band by band; all band by band, as
            stored; or so with the pages of a TIFF as bands.
        vocab: Of a text: words that are to be known, the most frequent; default: all.
        batch: Of a text: columns that a search is to read side by side; default: says how many are possible.
        units: Of a text: units of the network, for the memory that it takes; default: as a search's.
        disparity_scale: Of disparity: pixels that one unit in the files stands for; default: as the files say.
        max_disparity: Of disparity: pixels that a network is to see at most; default: says how many there are.
    """
    from rich.console import Console

    from wholenet.data.labelled_review import review_labelled
    from wholenet.data.review import review
    from wholenet.data.stereo.review import review_stereo
    from wholenet.data.text.review import review_text
    from wholenet.report.data_check import printable
    from wholenet.report.progress import counted

    of_texts = given(vocab=vocab, batch=batch, units=units)
    of_pairs = given(disparity_scale=disparity_scale, max_disparity=max_disparity)
    of_images = given(crop=crop, bands=None if bands == "auto" else bands)
    name = task or own_task_of(data) or task_of(data)
    what = {"language": "text", "stereo": "pairs"}.get(name, "images")
    meant = {"text": of_texts, "pairs": of_pairs, "images": of_images}
    refuse([option for of, options in meant.items() if of != what for option in options], data, what)
    print(printable(how_read(data, name)))
    size = None if crop is None else parse_size(crop)
    shared = {"max_megapixels": max_megapixels, "progress": counted(Console(stderr=True), "checking")}
    held = {"val_share": val_share, "seed": data_seed}
    if name == "language":
        found = review_text(data, **of_texts)
    elif name == "stereo":
        found = review_stereo(data, scale=disparity_scale, reach=max_disparity, **held, **shared)
    elif name == "classification":
        if size is not None:
            raise ValueError("--crop is for images with masks; these are labelled images, which are not cropped")
        if bands != "auto":
            raise ValueError("--bands is for images with masks; labelled images are read as 8-bit RGB")
        found = review_labelled(data, **shared)
    else:
        found = review(data, crop=size, bands=bands, **held, **shared)
    answer(found, json)


MEANT = {
    **dict.fromkeys(("vocab", "batch", "units"), ("texts", "language")),
    **dict.fromkeys(("disparity_scale", "max_disparity"), ("pairs with disparity", "stereo")),
    **dict.fromkeys(("crop", "bands"), ("images", "segmentation")),
}
"""Option -> what it is for, and of which task that is."""


def given(**options: Any) -> dict[str, Any]:
    """The options that were given."""
    return {name: value for name, value in options.items() if value is not None}


def refuse(options: Sequence[str], data: str, what: str) -> None:
    """Make sure that no option is for other data.

    Raises:
        ValueError: naming one.
    """
    if options:
        meant, task = MEANT[options[0]]
        raise ValueError(
            f"--{options[0].replace('_', '-')} is for {meant}; {data} is read as {what}: give --task {task} if it is "
            "that"
        )


def answer(found: Any, json: str | None) -> None:
    """Print a review, write it to a file if one is named, and end with status 2 where there are errors."""
    from rich.console import Console

    from wholenet.report.data_check import print_review, review_to_dict

    print_review(found, Console())
    write_json(json, review_to_dict(found))
    if any(finding.severity == "error" for finding in found.findings):
        raise SystemExit(2)
