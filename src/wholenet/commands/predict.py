"""``wholenet predict``."""

from __future__ import annotations

from wholenet.checked import Megapixels, Overlap
from wholenet.commands.answers import Device, loaded, refuse, tiling_of
from wholenet.search.config import FitConfig


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
    cityscapes_submission: bool = False,
    max_megapixels: Megapixels = FitConfig.max_megapixels,
    device: Device = "auto",
) -> None:
    """Write a mask for every image: PNG, pixel value = class index.

    Args:
        model: Run folder, model folder, or ONNX file that `wholenet export` wrote.
        images: Image files, folders of them, or videos.
        out: Folder for the masks; of a classifier, the CSV file to write.
        overlay: Also write the mask in colour over the image.
        probabilities: Also STEM.npz: every class's probability, float16 [K, H, W].
        polygons: Also STEM.geojson: polygons in pixel coordinates.
        tile: HEIGHTxWIDTH of pieces to cut images into; default: only images over 4 megapixels.
        overlap: Pixels that neighbouring pieces share; default: 256.
        cityscapes_submission: Write label ids under the names that the Cityscapes evaluation server expects.
        max_megapixels: Images and masks that decode to more are refused.
        device: Where to compute.
    """
    from rich.console import Console

    from wholenet.api import predict
    from wholenet.data.pictures import bands_shown
    from wholenet.deploy.cityscapes_submission import write_cityscapes_submission
    from wholenet.deploy.classifier import TrainedClassifier
    from wholenet.deploy.classify import classify_files
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
        if any((overlay, probabilities, polygons, cityscapes_submission, tile, overlap is not None)):
            raise ValueError(
                "--overlay, --probabilities, --polygons, --tile, --overlap, --cityscapes-submission are about masks; "
                "this is a classifier, whose table has the probabilities of its classes"
            )
        progress = counted(Console(stderr=True), "classifying")
        try:
            answered = classify_files(network, images, out, progress, max_megapixels)
        except SomeFailed as some:
            answered, failed = some.inputs - len(some.failed), some
        print(f"{answered} images in {out}")
        refuse(failed)
        return
    tiling = tiling_of(tile, overlap)
    progress = counted(Console(stderr=True), "predicting")
    try:
        if cityscapes_submission:
            written = write_cityscapes_submission(network, images, out, tiling=tiling, progress=progress)
        else:
            beside = {"overlay": overlay, "probabilities": probabilities, "polygons": polygons}
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
