"""``wholenet check-data``."""

from __future__ import annotations

from wholenet.checked import InnerShare, Megapixels, Seed
from wholenet.commands.answers import write_json
from wholenet.data.pixels import Bands
from wholenet.data.sets import Task
from wholenet.data.task import how_read, task_of
from wholenet.search.config import FitConfig, parse_size


def check_data(
    data: str,
    *,
    task: Task | None = None,
    json: str | None = None,
    crop: str | None = None,
    val_share: InnerShare = FitConfig.val_share,
    data_seed: Seed = FitConfig.data_seed,
    max_megapixels: Megapixels = FitConfig.max_megapixels,
    bands: Bands = "auto",
) -> None:
    """Decode every file of a data set once, and say all that is wrong with it.

    Args:
        data: Folder with images and masks, or with labelled images; or a data set by name: "scenes".
        task: Default: as the data looks.
        json: Write everything found to this file.
        crop: HEIGHTxWIDTH to be trained on; default: as the data allows.
        val_share: Share held out where there is no val split.
        data_seed: Seed of what is held out.
        max_megapixels: Images and masks that decode to more are refused.
        bands: How image files become channels: photographs as 8-bit RGB and others band by band; all band by band, as
            stored; or so with the pages of a TIFF as bands.
    """
    from rich.console import Console

    from wholenet.data.labelled_review import review_labelled
    from wholenet.data.review import review
    from wholenet.report.data_check import print_review, printable, review_to_dict
    from wholenet.report.progress import counted

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
    print_review(found, Console())
    write_json(json, review_to_dict(found))
    if any(finding.severity == "error" for finding in found.findings):
        raise SystemExit(2)
