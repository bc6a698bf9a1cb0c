"""``wholenet check-data``."""

from __future__ import annotations

from typing import Any, Literal

from wholenet.checked import Batch, Count, InnerShare, Megapixels, Seed
from wholenet.commands.answers import write_json
from wholenet.data.pixels import Bands
from wholenet.data.task import how_read, task_of
from wholenet.search.config import FitConfig, parse_size


def check_data(
    data: str,
    *,
    task: Literal["segmentation", "classification", "language"] | None = None,
    json: str | None = None,
    crop: str | None = None,
    val_share: InnerShare = FitConfig.val_share,
    data_seed: Seed = FitConfig.data_seed,
    max_megapixels: Megapixels = FitConfig.max_megapixels,
    bands: Bands = "auto",
    vocab: Count | None = None,
    batch: Batch | None = None,
    units: Count | None = None,
) -> None:
    """Read every file of a data set once, and say all that is wrong with it.

    Args:
        data: Folder with images and masks, or with labelled images; a text, as a file or as a folder with train.txt; or
            a data set by name: "scenes".
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
    """
    from rich.console import Console

    from wholenet.data.labelled_review import review_labelled
    from wholenet.data.review import review
    from wholenet.data.sets import data_set
    from wholenet.data.text.files import looks_like_text
    from wholenet.data.text.review import review_text
    from wholenet.report.data_check import printable
    from wholenet.report.progress import counted

    own = {name: value for name, value in {"vocab": vocab, "batch": batch, "units": units}.items() if value is not None}
    if task == "language" or (task is None and data_set(data) is None and looks_like_text(data)):
        if crop is not None or bands != "auto":
            raise ValueError(f"--{'bands' if crop is None else 'crop'} is for images; {data} is read as text")
        print(f"{printable(data)} is read as text (language)")
        answer(review_text(data, **own), json)
        return
    if own:
        raise ValueError(
            f"--{next(iter(own))} is for texts; {data} is read as images: give --task language if it is one"
        )
    size = None if crop is None else parse_size(crop)
    progress = counted(Console(stderr=True), "checking")
    task = task or task_of(data)
    print(printable(how_read(data, task)))
    if task == "classification":
        if size is not None:
            raise ValueError("--crop is for images with masks; these are labelled images, which are not cropped")
        if bands != "auto":
            raise ValueError("--bands is for images with masks; labelled images are read as 8-bit RGB")
        found = review_labelled(data, max_megapixels=max_megapixels, progress=progress)
    else:
        found = review(
            data,
            val_share=val_share,
            seed=data_seed,
            crop=size,
            max_megapixels=max_megapixels,
            bands=bands,
            progress=progress,
        )
    answer(found, json)


def answer(found: Any, json: str | None) -> None:
    """Print a review, write it to a file if one is named, and end with status 2 where there are errors."""
    from rich.console import Console

    from wholenet.report.data_check import print_review, review_to_dict

    print_review(found, Console())
    write_json(json, review_to_dict(found))
    if any(finding.severity == "error" for finding in found.findings):
        raise SystemExit(2)
