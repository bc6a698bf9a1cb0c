"""``wholenet evaluate``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wholenet.checked import DisparityScale, Megapixels, Overlap, PredictionZoom
from wholenet.commands.answers import Device, loaded, tiling_of, write_json
from wholenet.data.task import how_read
from wholenet.search.config import FitConfig

if TYPE_CHECKING:
    from wholenet.tasks.classification import Accuracy


def evaluate(
    model: str,
    data: str,
    *,
    split: str | None = None,
    json: str | None = None,
    tile: str | None = None,
    overlap: Overlap | None = None,
    tta: bool = False,
    tta_vertical: bool = False,
    zoom: PredictionZoom | None = None,
    max_megapixels: Megapixels = FitConfig.max_megapixels,
    disparity_scale: DisparityScale | None = None,
    device: Device = "auto",
) -> None:
    """Score a trained network: IoU, Dice, precision, recall and boundary F per class; the worst images. Of a language
    model the perplexity, beside that of models that count; of a network for disparity the errors in pixels, beside
    those of block matching.

    Args:
        model: Run folder, model folder, hf://USER/NAME, or ONNX file that `wholenet export` wrote.
        data: Folder with images and masks, or with labelled images; or a data set by name: "scenes". A text; pairs of
            images with disparity.
        split: Split to score; default: val, or test of labelled images.
        json: Write the scores to this file.
        tile: HEIGHTxWIDTH of pieces to cut images into; default: only images over 4 megapixels.
        overlap: Pixels that neighbouring pieces share; default: 256.
        tta: Ask about left-right mirror images too: the mean of the probabilities, in twice the time.
        tta_vertical: With it, about up-down ones too: four views.
        zoom: At which images are seen, over their own size (0.1 to 1); default: as the model has it.
        max_megapixels: Images and masks that decode to more are refused.
        disparity_scale: Of disparity: pixels that one unit in the files stands for; default: as the files say.
        device: Where to compute.
    """
    from rich.console import Console

    from wholenet.deploy.classifier import TrainedClassifier
    from wholenet.deploy.language import TrainedLanguageModel
    from wholenet.deploy.score import scores_to_dict
    from wholenet.deploy.stereo import TrainedStereo
    from wholenet.jobs.samples import TrainedOnSamples
    from wholenet.report.data_check import printable
    from wholenet.report.evaluation import evaluation_lines
    from wholenet.report.progress import counted
    from wholenet.trained import evaluate

    network = loaded(model, device, tile, zoom)
    stereo = isinstance(network, TrainedStereo)
    if disparity_scale is not None and not stereo:
        raise ValueError("--disparity-scale is of pairs of images with disparity; this network is for something else")
    others = (TrainedClassifier, TrainedLanguageModel, TrainedStereo, TrainedOnSamples)
    if isinstance(network, others) and (tile or overlap is not None or tta or tta_vertical):
        this = "a classifier" if isinstance(network, TrainedClassifier) else network.what
        raise ValueError(f"--tile, --overlap and --tta are about masks; this is {this}")
    progress = counted(Console(stderr=True), "scoring")
    if isinstance(network, TrainedClassifier):
        print(printable(how_read(data, "classification")))
        scores = evaluate(network, data, split, max_megapixels)
        _tell_accuracy(scores, network.classes)
        per_class = dict(zip(network.classes, scores.per_class, strict=True))
        write_json(json, {"accuracy": scores.top1, "per_class": per_class, "images": scores.images})
        return
    if isinstance(network, TrainedLanguageModel | TrainedStereo):
        own = {"disparity_scale": disparity_scale, "progress": progress} if stereo else {}
        scores = evaluate(network, data, split, max_megapixels, **own)
        print("\n".join(scores.lines()))
        write_json(json, scores.to_dict())
        return
    if isinstance(network, TrainedOnSamples):
        value = evaluate(network, data, split)
        print(network.score.say(value))
        write_json(json, {network.score.name: value})
        return
    tiling = tiling_of(tile, overlap)
    print(printable(how_read(data, "segmentation")))
    mirrored = {"tta": tta, "tta_vertical": tta_vertical}
    scores = evaluate(network, data, split, max_megapixels, tiling=tiling, progress=progress, **mirrored)
    print("\n".join(evaluation_lines(scores, network.classes.names)))
    write_json(json, scores_to_dict(scores, network.classes.names))


def _tell_accuracy(scores: Accuracy, classes: tuple[str, ...]) -> None:
    width = max(map(len, (*classes, "accuracy")))
    for name, share in zip(classes, scores.per_class, strict=True):
        print(f"{name:{width}}  {'     -' if share is None else f'{100 * share:5.1f} %'}")
    images = f"{scores.images} image{'s' * (scores.images != 1)}"
    print(f"{'accuracy':{width}}  {100 * scores.top1:5.1f} %   error {100 * scores.error:.2f} %, {images}")
