"""``wholenet predict``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wholenet.checked import Megapixels, Overlap
from wholenet.commands.answers import Device, loaded, refuse, tiling_of
from wholenet.search.config import FitConfig

if TYPE_CHECKING:
    from wholenet.deploy.classifier import TrainedClassifier


def predict(
    model: str,
    images: list[str],
    *,
    out: str,
    overlay: bool = False,
    probabilities: bool = False,
    polygons: bool = False,
    tile: str | None = None,
    overlap: Overlap | None = None,
    tta: bool = False,
    tta_vertical: bool = False,
    cityscapes_submission: bool = False,
    max_megapixels: Megapixels = FitConfig.max_megapixels,
    device: Device = "auto",
) -> None:
    """Write a mask for every image: PNG, pixel value = class index.

    Args:
        model: Run folder, model folder, hf://USER/NAME, or ONNX file that `wholenet export` wrote.
        images: Image files, folders of them, or videos.
        out: Folder for the masks; of a classifier, the CSV file to write.
        overlay: Also write the mask in colour over the image.
        probabilities: Also STEM.npz: every class's probability, float16 [K, H, W].
        polygons: Also STEM.geojson: polygons in pixel coordinates.
        tile: HEIGHTxWIDTH of pieces to cut images into; default: only images over 4 megapixels.
        overlap: Pixels that neighbouring pieces share; default: 256.
        tta: Ask about left-right mirror images too: the mean of the probabilities, in twice the time.
        tta_vertical: With it, about up-down ones too: four views.
        cityscapes_submission: Write label ids under the names that the Cityscapes evaluation server expects.
        max_megapixels: Images and masks that decode to more are refused.
        device: Where to compute.
    """
    from rich.console import Console

    from wholenet.api import predict
    from wholenet.data.pictures import bands_shown
    from wholenet.deploy.cityscapes_submission import write_cityscapes_submission
    from wholenet.deploy.classifier import TrainedClassifier
    from wholenet.deploy.flips import flipped_as_asked
    from wholenet.deploy.predict import SomeFailed
    from wholenet.report.progress import counted

    if overlay and cityscapes_submission:
        raise ValueError(
            "--overlay writes a second picture of each frame, which the Cityscapes evaluator refuses; "
            "give --overlay and --cityscapes-submission in two calls with two --out folders"
        )
    if cityscapes_submission and (probabilities or polygons):
        raise ValueError("a Cityscapes submission is label ids alone; drop --probabilities and --polygons")
    network = loaded(model, device, tile)
    failed = None
    if isinstance(network, TrainedClassifier):
        if any((overlay, probabilities, polygons, cityscapes_submission, tile, overlap is not None, tta, tta_vertical)):
            raise ValueError(
                "--overlay, --probabilities, --polygons, --tile, --overlap, --tta, --cityscapes-submission are about "
                "masks; this is a classifier, whose table has the probabilities of its classes"
            )
        _classify(network, images, out, max_megapixels)
        return
    tiling = tiling_of(tile, overlap)
    progress = counted(Console(stderr=True), "predicting")
    try:
        if cityscapes_submission:
            asked = flipped_as_asked(network, tta, tta_vertical)
            written = write_cityscapes_submission(asked, images, out, tiling=tiling, progress=progress)
        else:
            beside = {"overlay": overlay, "probabilities": probabilities, "polygons": polygons}
            beside |= {"tta": tta, "tta_vertical": tta_vertical}
            options = {"tiling": tiling, "max_megapixels": max_megapixels, "progress": progress}
            written = predict(network, images, out, **beside, **options)
    except SomeFailed as some:
        written, failed = some.written, some
    for folder in [path for path in written if path.is_dir()]:
        print(f"masks of each frame in {folder}")
    print(f"{sum(not path.is_dir() for path in written)} masks in {out}")
    if overlay and written and not network.pixels.photo:
        shown = bands_shown(network.pixels.channels)
        print(f"overlays show {shown}, each stretched from its 2nd to its 98th percentile in the image")
    refuse(failed)


def _classify(network: TrainedClassifier, images: list[str], out: str, max_megapixels: float) -> None:
    from rich.console import Console

    from wholenet.deploy.classify import classify_files
    from wholenet.deploy.predict import SomeFailed
    from wholenet.report.progress import counted

    failed = None
    try:
        answered = classify_files(network, images, out, counted(Console(stderr=True), "classifying"), max_megapixels)
    except SomeFailed as some:
        answered, failed = some.inputs - len(some.failed), some
    print(f"{answered} images in {out}")
    refuse(failed)
