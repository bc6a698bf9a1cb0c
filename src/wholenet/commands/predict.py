"""``wholenet predict``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from wholenet.checked import Count, Megapixels, Overlap, PredictionZoom, Seed
from wholenet.commands.answers import Device, loaded, refuse, tiling_of
from wholenet.search.config import FitConfig

if TYPE_CHECKING:
    from wholenet.deploy.classifier import TrainedClassifier
    from wholenet.deploy.language import TrainedLanguageModel
    from wholenet.deploy.stereo import TrainedStereo
    from wholenet.deploy.tiles import Tiling


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
    zoom: PredictionZoom | None = None,
    cityscapes_submission: bool = False,
    sample: Count | None = None,
    seed: Seed | None = None,
    format: Literal["png", "pfm"] | None = None,
    color: bool = False,
    max_megapixels: Megapixels = FitConfig.max_megapixels,
    device: Device = "auto",
) -> None:
    """Write a mask for every image: PNG, pixel value = class index. Of a language model, a table of how surprising
    each line of a text is; of a network for disparity, the disparity of each pair.

    Args:
        model: Run folder, model folder, hf://USER/NAME, or ONNX file that `wholenet export` wrote.
        images: Image files, folders of them, or videos; of a language model text files; of a
            network for disparity the left and the right images, as two files or two folders.
        out: Folder for the masks or disparities; of a classifier or a language model, the CSV file to write.
        overlay: Also write the mask in colour over the image.
        probabilities: Also STEM.npz: every class's probability, float16 [K, H, W].
        polygons: Also STEM.geojson: polygons in pixel coordinates.
        tile: HEIGHTxWIDTH of pieces to cut images into; default: only images over 4 megapixels.
        overlap: Pixels that neighbouring pieces share; default: 256.
        tta: Ask about left-right mirror images too: the mean of the probabilities, in twice the time.
        tta_vertical: With it, about up-down ones too: four views.
        zoom: At which images are seen, over their own size (0.1 to 1); default: as the model has it.
        cityscapes_submission: Write label ids under the names that the Cityscapes evaluation server expects.
        sample: Of a language model: write so many words that go on where the text ends, in the place of the table.
        seed: With it, of the drawing (0).
        format: Of disparity: 16-bit PNG of 1/256 pixel (the default), or PFM.
        color: Of disparity: also in colours, above a bar in pixels.
        max_megapixels: Images and masks that decode to more are refused.
        device: Where to compute.
    """
    from wholenet.deploy.classifier import TrainedClassifier
    from wholenet.deploy.language import TrainedLanguageModel
    from wholenet.deploy.stereo import TrainedStereo

    if overlay and cityscapes_submission:
        raise ValueError(
            "--overlay writes a second picture of each frame, which the Cityscapes evaluator refuses; "
            "give --overlay and --cityscapes-submission in two calls with two --out folders"
        )
    if cityscapes_submission and (probabilities or polygons):
        raise ValueError("a Cityscapes submission is label ids alone; drop --probabilities and --polygons")
    network = loaded(model, device, tile, zoom)
    beside = {"overlay": overlay, "probabilities": probabilities, "polygons": polygons}
    flips = {"tta": tta, "tta_vertical": tta_vertical}
    of_masks = {**beside, "cityscapes_submission": cityscapes_submission, **flips}
    of_masks |= {"tile": tile is not None, "overlap": overlap is not None}
    if isinstance(network, TrainedStereo):
        _refuse(of_masks, network.what)
        if sample is not None or seed is not None:
            raise ValueError(f"--sample and --seed are of a language model, and this is {network.what}")
        _disparities(network, images, out, format or "png", color, max_megapixels)
        return
    if format is not None or color:
        raise ValueError("--format and --color are of a network for disparity, and this is none")
    if isinstance(network, TrainedClassifier):
        _refuse(of_masks, "a classifier, whose table has the probabilities of its classes")
        _classify(network, images, out, max_megapixels)
        return
    if isinstance(network, TrainedLanguageModel):
        _refuse(of_masks, network.what)
        _surprises(network, images, out, sample, seed)
        return
    if sample is not None or seed is not None:
        raise ValueError("--sample and --seed are of a language model, and this is none")
    _masks(network, images, out, tiling_of(tile, overlap), cityscapes_submission, max_megapixels, beside, flips)


def _refuse(of_masks: dict[str, bool], this: str) -> None:
    """Refuse options that are about masks."""
    if given := [f"--{name.replace('_', '-')}" for name, asked in of_masks.items() if asked]:
        are, them = ("is", "it") if len(given) == 1 else ("are", "them")
        raise ValueError(f"{', '.join(given)} {are} about masks, and this is {this}; leave {them} out")


def _masks(
    network: Any,
    images: list[str],
    out: str,
    tiling: Tiling | None,
    submission: bool,
    max_megapixels: float,
    beside: dict[str, bool],
    flips: dict[str, bool],
) -> None:
    from rich.console import Console

    from wholenet.data.pictures import bands_shown
    from wholenet.deploy.cityscapes_submission import write_cityscapes_submission
    from wholenet.deploy.flips import flipped_as_asked
    from wholenet.deploy.predict import SomeFailed, opened_folders
    from wholenet.report.progress import counted
    from wholenet.trained import predict

    files, masks = opened_folders(images)
    if masks:
        print(
            f"left out, as masks of images beside them: {len(masks)} ({masks[0].name}, ...); name a file to predict it"
        )
    failed = None
    progress = counted(Console(stderr=True), "predicting")
    try:
        if submission:
            asked = flipped_as_asked(network, **flips)
            written = write_cityscapes_submission(asked, files, out, tiling=tiling, progress=progress)
        else:
            options = {"tiling": tiling, "max_megapixels": max_megapixels, "progress": progress}
            written = predict(network, files, out, **beside, **flips, **options)
    except SomeFailed as some:
        written, failed = some.written, some
    for folder in [path for path in written if path.is_dir()]:
        print(f"masks of each frame in {folder}")
    print(f"{sum(not path.is_dir() for path in written)} masks in {out}")
    if beside["overlay"] and written and not network.pixels.photo:
        shown = bands_shown(network.pixels.channels)
        each = "each " if network.pixels.channels > 2 else ""
        print(f"overlays show {shown}, {each}stretched from its 2nd to its 98th percentile in the image")
    refuse(failed)


def _disparities(
    network: TrainedStereo, images: list[str], out: str, form: str, color: bool, max_megapixels: float
) -> None:
    from rich.console import Console

    from wholenet.deploy.predict import SomeFailed
    from wholenet.deploy.stereo_files import two_sides, write_disparities
    from wholenet.report.data_check import printable
    from wholenet.report.progress import counted

    failed, count = None, 0
    told = counted(Console(stderr=True), "predicting")
    try:
        written = write_disparities(
            network, *two_sides(images), out, form=form, color=color, progress=told, max_megapixels=max_megapixels
        )
        count = len(written.files)
        for note in written.notes():
            print(printable(note))
    except SomeFailed as some:
        count, failed = len(some.written), some
    print(f"{count} {'disparity' if count == 1 else 'disparities'} in {out}")
    refuse(failed)


def _surprises(network: TrainedLanguageModel, texts: list[str], out: str, sample: int | None, seed: int | None) -> None:
    from wholenet.data.text.files import read_lines
    from wholenet.deploy.language import write_surprises
    from wholenet.files import check_output, write_whole
    from wholenet.report.data_check import printable

    if sample is None:
        if seed is not None:
            raise ValueError("--seed is of the words that --sample draws")
        whole = write_surprises(network, texts, out)
        print(
            f"{whole.surprise.tokens:,} tokens at perplexity {whole.perplexity:.2f} ({whole.words:,} words known, "
            f"{whole.unseen:,} of the tokens are none of these); each line in {out}"
        )
        return
    if len(texts) != 1:
        raise ValueError(f"--sample goes on with one text; {len(texts)} were given")
    if Path(out).exists():
        raise ValueError(f"{out} is there already; choose another --out, for example sample.txt")
    check_output(out)
    drawn = network.sample(sample, read_lines(Path(texts[0])), seed or 0)
    write_whole(out, drawn + "\n")
    print(printable(drawn))


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
