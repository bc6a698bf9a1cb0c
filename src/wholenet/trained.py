"""The verbs that use a trained network, for Python: load it, ask it, score it, write it down elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from wholenet.cells.score import score_labelled
from wholenet.checked import DisparityScale, Dropped, Megapixels, Share, checked_numbers
from wholenet.data.opening import MAX_MEGAPIXELS
from wholenet.deploy.classifier import TrainedClassifier
from wholenet.deploy.classify import classify_files
from wholenet.deploy.decode import decode_model
from wholenet.deploy.export import Check, check_export
from wholenet.deploy.export import export as export_model
from wholenet.deploy.export_images import real_images
from wholenet.deploy.export_labels import export_classifier
from wholenet.deploy.export_stereo import StereoCheck, export_stereo
from wholenet.deploy.flips import flipped_as_asked
from wholenet.deploy.hub import PREFIX, local_model
from wholenet.deploy.language import TrainedLanguageModel, write_surprises
from wholenet.deploy.model_folder import load_model, task_of_model
from wholenet.deploy.onnx_model import OnnxModel
from wholenet.deploy.predict_inputs import predict_inputs
from wholenet.deploy.score import score
from wholenet.deploy.segmenter import TrainedModel
from wholenet.deploy.stereo import TrainedStereo
from wholenet.deploy.stereo_files import two_sides, write_disparities
from wholenet.deploy.tiles import Tiling
from wholenet.deploy.video import is_video
from wholenet.diagnostics.drop import Price, drop_edges
from wholenet.files import check_output, shown
from wholenet.jobs.samples import TrainedOnSamples
from wholenet.machine import choose_device
from wholenet.search.run_folder import RunFolder


def load(path: str | Path, device: str = "auto") -> Any:
    """The trained network in a model folder or a run folder, or at ``hf://USER/NAME`` on the Hugging Face hub, ready to
    ``predict``.

    Returns:
        A ``TrainedModel``, whose ``predict`` takes an image and gives its mask; of a classifier, a
        ``TrainedClassifier``, whose ``predict`` takes images and gives the probabilities of their classes.

    Raises:
        ValueError: if there is none, or the device is not there.
        OSError: if it cannot be had from the hub.
    """
    return load_model(local_model(path), choose_device(device))


@checked_numbers
def evaluate(
    model: TrainedModel
    | TrainedClassifier
    | TrainedLanguageModel
    | TrainedStereo
    | TrainedOnSamples[Any]
    | OnnxModel
    | str
    | Path,
    data: str | Path,
    split: str | None = None,
    max_megapixels: Megapixels = MAX_MEGAPIXELS,
    *,
    tiling: Tiling | None = None,
    tta: bool = False,
    tta_vertical: bool = False,
    disparity_scale: DisparityScale | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Any:
    """IoU, Dice, precision, recall and boundary F per class, the confusion matrix and the score of each image of a
    split of ``data``, at full resolution: of the masks that ``predict`` writes. Of a classifier, the share of images
    whose class is found.

    Args:
        model: a trained network, its run or model folder, or an ONNX file that ``export`` wrote.
        data: see docs/data.md; its classes must be the model's.
        split: "train", "val", "test", as far as the data has them; None is val, of a classifier test.
        max_megapixels: files that decode to more are refused.
        tiling: how large images are cut; by default those over 4 megapixels are. Not of a classifier.
        tta: ask about its left-right mirror image too: the mean of the probabilities. Not of a classifier.
        tta_vertical: with ``tta``, up-down too: four views.
        disparity_scale: of pairs with disparity, pixels per unit of the files; None is as the files say.
        progress: called with (images scored, images in all); of a classifier at the end.

    Returns:
        :class:`wholenet.tasks.evaluation.Evaluation`, or of a classifier
        :class:`wholenet.tasks.classification.Accuracy`, of a language model
        :class:`wholenet.deploy.language.LanguageScores`, of a network for disparity
        :class:`wholenet.deploy.stereo.StereoScores`.

    Raises:
        DataError: for data that cannot be read, or of other classes; a split that is not there; an image that cannot be
            answered.
        ValueError: if there is no model, or its images are not cut into tiles.
        FloatingPointError: for logits that are not finite; the image is named.
    """
    loaded = load_any(model) if isinstance(model, str | Path) else model
    if isinstance(loaded, TrainedClassifier):
        if tiling is not None or tta or tta_vertical:
            raise ValueError("a classifier answers for a whole image, as it is; leave tiling and tta out")
        found = score_labelled(loaded, data, split or "test", max_megapixels)
        if progress:
            progress(found.images, found.images)
        return found
    if disparity_scale is not None and not isinstance(loaded, TrainedStereo):
        raise ValueError("disparity_scale is of pairs with disparity; this network is for something else: leave it out")
    if isinstance(loaded, TrainedLanguageModel | TrainedStereo | TrainedOnSamples) and (
        tiling is not None or tta or tta_vertical
    ):
        raise ValueError(f"{loaded.what} neither cuts nor mirrors what it looks at; leave tiling and tta out")
    if isinstance(loaded, TrainedLanguageModel):
        return loaded.evaluate(data, split or "val")
    if isinstance(loaded, TrainedStereo):
        return loaded.evaluate(data, split or "val", max_megapixels, scale=disparity_scale, progress=progress)
    if isinstance(loaded, TrainedOnSamples):
        return loaded.evaluate(str(data), split or "val")
    _check_segmenter(loaded)
    return score(
        loaded, str(data), split or "val", progress, max_megapixels, tiling, tta=tta, tta_vertical=tta_vertical
    )


@checked_numbers
def predict(
    model: TrainedModel | TrainedClassifier | TrainedLanguageModel | TrainedStereo | OnnxModel | str | Path,
    inputs: Sequence[str | Path],
    out: str | Path,
    *,
    overlay: bool = False,
    probabilities: bool = False,
    polygons: bool = False,
    tiling: Tiling | None = None,
    tta: bool = False,
    tta_vertical: bool = False,
    form: Literal["png", "pfm"] | None = None,
    color: bool = False,
    progress: Callable[[int, int], None] | None = None,
    max_megapixels: Megapixels = MAX_MEGAPIXELS,
) -> list[Path]:
    """Write an index PNG for every image file given, or found in a folder given, and one for every frame of a video.
    Of a classifier, write a CSV table of the images' classes, which ``out`` names; of a language model one of how
    surprising the lines of text files are; of a network for disparity, the disparity of each pair.

    An input that cannot be answered does not stop the others.

    Args:
        model: a trained network, its run or model folder, or an ONNX file that ``export`` wrote.
        inputs: image files, folders of them, videos (``deploy.video``); of disparity the left and the right images.
        out: folder for the masks; of a classifier, the table.
        overlay: write pictures (of videos, a video) with the masks in colour over them too.
        probabilities: of images, write the probability of every class at every pixel too, as .npz; see
            ``deploy.probabilities``.
        polygons: of images, write the masks as polygons too, as .geojson; see ``deploy.polygons``.
        tiling: how large images are cut; by default those over 4 megapixels are.
        tta: ask about its left-right mirror image too: the mean of the probabilities, in twice the time.
        tta_vertical: with ``tta``, up-down too: four views.
        form: of disparity, "png" (16 bits, 1/256 pixel) or "pfm"; with ``color``, in colours too.
        progress: called with (images done, images in all), for the images and then for each video.
        max_megapixels: larger images are refused before they are decoded.

    Returns:
        The masks of the images, and the folder of masks of each video; of a classifier the table.

    Raises:
        DataError: for an input that is not there, or whose masks would meet something, before anything is predicted.
        ValueError: if there is no model, nothing can be written to ``out``, a classifier is asked for masks, or videos
            for probabilities or polygons.
        SomeFailed: at the end, for inputs that could not be read or answered; it says what was ``written``.
    """
    videos = [path for path in inputs if is_video(path)]
    if videos and (probabilities or polygons):
        raise ValueError(
            f"{videos[0]} is a video: probabilities and polygons are written of images alone. Predict videos in a call "
            "of their own, or save the frames as images"
        )
    loaded = load_any(model) if isinstance(model, str | Path) else model
    of_masks = overlay or probabilities or polygons or tiling is not None or tta or tta_vertical
    if isinstance(loaded, TrainedClassifier):
        if of_masks:
            raise ValueError(
                "a classifier answers for whole images, without masks, and its table has the probabilities; leave "
                "overlay, probabilities, polygons, tiling and tta out"
            )
        classify_files(loaded, inputs, out, progress, max_megapixels)
        return [Path(out)]
    if isinstance(loaded, TrainedLanguageModel):
        if of_masks:
            raise ValueError(
                "a language model's table is of lines of text; leave overlay, probabilities, polygons, tiling, tta out"
            )
        write_surprises(loaded, inputs, out)
        return [Path(out)]
    if isinstance(loaded, TrainedStereo):
        if of_masks:
            raise ValueError("disparities are no masks; leave overlay, probabilities, polygons, tiling and tta out")
        own: dict[str, Any] = {"form": form or "png", "color": color, "max_megapixels": max_megapixels}
        return write_disparities(loaded, *two_sides(inputs), out, **own, progress=progress).files
    if form is not None or color:
        raise ValueError("form and color are of a network for disparity, and this is none; leave them out")
    _check_segmenter(loaded)
    loaded = flipped_as_asked(loaded, tta, tta_vertical)
    asked = {"overlay": overlay, "probabilities": probabilities, "polygons": polygons}
    return predict_inputs(loaded, inputs, out, **asked, tiling=tiling, progress=progress, max_megapixels=max_megapixels)


def load_any(path: str | Path, device: str = "auto", *, task: str | None = None) -> Any:
    """:func:`load`, or an ONNX file; of ``task`` alone, if one is named.

    Raises:
        ValueError: as :func:`load`; or if a GPU is asked for with an ONNX file, which runs on the CPU.
    """
    if str(path).startswith(PREFIX) or Path(path).suffix.lower() != ".onnx":
        return load_model(local_model(path), choose_device(device), task=task)
    if device == "cuda":
        raise ValueError("ONNX files run on the CPU here; use the run or model folder with --device cuda")
    return OnnxModel(path)


def _check_segmenter(loaded: Any) -> None:
    if isinstance(loaded, TrainedOnSamples):
        raise ValueError(
            f"this is a model of the task {loaded.task!r}, which writes no files: in Python, "
            "wholenet.load(...).predict(inputs) answers"
        )
    if not isinstance(loaded, TrainedModel | OnnxModel):
        raise ValueError(
            f"this is a {type(loaded).__name__}; expected a segmentation network or a classifier, since only of these "
            "two it is known how they are asked"
        )


@checked_numbers
def decode(path: str | Path, out: str | Path, decoding: str | None = None, tau: Share | None = None) -> Any:
    """Write the genotype that ``decoding`` finds in the supernet of a run or model folder to the file ``out``; None is
    the usual one of its space. ``tau`` is of the decoding "threshold" alone (0.5).

    Raises:
        ValueError: if there is no supernet in the folder, its space has no such decoding, or ``out`` cannot be written.
    """
    check_output(out)
    space, genotype = decode_model(path, decoding, tau)
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    space.write_genotype(genotype, Path(out))
    return genotype


@checked_numbers
def export(
    model: TrainedModel | TrainedStereo | str | Path,
    out: str | Path,
    form: str = "onnx",
    data: str | Path | None = None,
    *,
    drop_below: Dropped | None = None,
    size: tuple[int, int] | None = None,
    begin: Callable[[], None] = lambda: None,
) -> tuple[Check | StereoCheck, Price | None]:
    """Write a trained network, folded, to the file ``out``, compared with the unfolded one; see ``deploy.export``, and
    of networks for disparity ``deploy.export_stereo``, of classifiers ``deploy.export_labels``.

    Args:
        model: what ``load`` gives, or takes.
        out: file to write; it must not be there yet.
        form: "onnx" or "torch".
        data: where the real images of the comparison come from, and what ``drop_below`` is scored on; None is the data
            of the run, or else the built-in scenes.
        size: of a network for disparity, (height, width) of the pairs that the file takes; None is near 384x768.
        drop_below: leave out the edges of less weight, in (0, 1]; each cell keeps its strongest, and BatchNorm
            statistics are recalculated on the run's own training images. Of a run folder only.
        begin: called once all that is asked for can be done, before what takes long.

    Returns:
        The comparison, and what dropping cost (None if nothing was to be dropped).

    Raises:
        ValueError: if there is no model, the file exists, packages are not installed, or the
            comparison fails.
        DataError: for ``data`` that cannot be read.
    """
    check_export(out, form)
    if isinstance(model, TrainedStereo) or (isinstance(model, str | Path) and task_of_model(model) == "stereo"):
        if form != "onnx" or data is not None or drop_below is not None:
            raise ValueError(
                "networks for disparity are exported as ONNX, whole, and compared on pairs that are drawn: no other "
                "format, no data and no drop_below"
            )
        return export_stereo(load_any(model) if isinstance(model, str | Path) else model, out, size, begin), None
    if size is not None:
        raise ValueError(f"size={size} is of networks for disparity; others take images of any size: leave it out")
    if isinstance(model, TrainedClassifier) or (
        isinstance(model, str | Path) and task_of_model(model) == "classification"
    ):
        if wrong := [name for name, value in (("data", data), ("drop_below", drop_below)) if value is not None]:
            raise ValueError(
                f"a classifier is exported whole, and compared on random images: leave {' and '.join(wrong)} out"
            )
        classifier = load_any(model) if isinstance(model, str | Path) else model
        begin()
        return export_classifier(classifier, out, form), None
    task = task_of_model(model) if isinstance(model, str | Path) else None
    if isinstance(model, TrainedLanguageModel | TrainedOnSamples) or task not in (None, "segmentation"):
        of_what = "" if task is None else f", this one is of the task {shown(task)}"
        raise ValueError(f"networks for masks, labels and disparity are exported{of_what}: load it with wholenet.load")
    loaded = load_any(model, task="segmentation") if isinstance(model, str | Path) else model
    if isinstance(loaded, OnnxModel):
        raise ValueError(f"{model} is exported already; give the run or model folder that it was made of")
    if drop_below is not None and isinstance(model, TrainedModel):
        raise ValueError("drop_below needs the run that trained the model: give the run's folder")
    begin()
    price = None
    if drop_below is not None:
        assert not isinstance(model, TrainedModel)
        loaded, price = drop_edges(RunFolder(model), loaded, drop_below, None if data is None else str(data))
    where = None if isinstance(model, TrainedModel) else model
    return export_model(loaded, out, form, real_images(loaded, where, data)), price
