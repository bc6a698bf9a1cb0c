"""The page of a run, ``report.html``: what it reached, on which images, how it went, and how it was made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from wholenet import parallel
from wholenet.data.pictures import drawing_colors, picture_of
from wholenet.data.sample import Classes, DataError, SegmentationData
from wholenet.deploy.model_folder import load_model
from wholenet.deploy.overlay import outlined
from wholenet.deploy.score import open_for
from wholenet.deploy.segmenter import TrainedModel
from wholenet.deploy.tiles import Tiling
from wholenet.files import read_text, read_yaml
from wholenet.report.html import bullets, paragraph, picture, picture_file, section, table, text, write_page
from wholenet.report.in_words import in_words
from wholenet.report.next_steps import next_steps
from wholenet.report.progress import duration
from wholenet.report.removed import removed_table
from wholenet.search.read_run import Row, RunTables, read_run
from wholenet.search.run_folder import RunFolder
from wholenet.search.watch import WARNINGS
from wholenet.spaces.grid_costs import macs_in_words
from wholenet.tasks.boundary import TOLERANCE
from wholenet.tasks.evaluation import Evaluation, ImageScore, mean, measure_masks

PAGE = "report.html"
"""Name of the page, in the run's folder."""
SHOWN = 3
"""Best images, and as many worst ones."""
WIDTH = 460
"""Pixels of a picture in the page, at most."""
MOST_CLASSES = 40
"""In the picture of a confusion matrix."""
DEEPEST = 0.7
"""How much of the blue a cell of the confusion matrix gets that has all pixels of its row."""
CAPTIONS = {
    "curves": "Loss, score and learning rate over the epochs",
    "entropy": "How decided the architecture is: 1 is uniform, 0 one-hot",
    "search": "Error, loss and curvature over the epochs",
    "architecture": "The architecture: strength of edges and operations",
    "cells": "The cells that were found",
    "stages": "Operations that are left, stage by stage",
    "left": "Operations that are left, epoch by epoch",
    "pairs": "Pairs of edges by strength",
    "predictions": "Some validation images, their true and their predicted masks",
    "disparity": "Some pairs held out: what the network estimates, the truth, and the error, in pixels",
    "surprise": "Lines of the text held out: how surprising each word is to the network and to Kneser-Ney of order 3",
}
PERCENT = {
    "miou": "mIoU, %",
    "pixel_accuracy": "pixel accuracy, %",
    "error": "error, %",
    "test_error": "test error, %",
}
"""Scores that are shares, as the page has them."""
COSTS = {"macs": "multiply-adds", "whole_macs": "of the whole network"}
"""Multiply-adds, likewise."""
HOW_IT_WENT = ("curves", "entropy", "search")
ARCHITECTURE = ("architecture", "cells", "stages", "left", "pairs")
ANSWERS = ("predictions", "surprise", "disparity")
"""Pictures of what a network answers, by its task."""


def write_report(
    run: str | Path,
    out: str | Path | None = None,
    data: str | None = None,
    device: torch.device | str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write the page of a run, finished or not. Where several processes run, all of them call this, and share the
    images.

    Args:
        run: the run folder.
        out: the file; None is ``report.html`` in the folder.
        data: where the data is now; None is where the run had it. Where it is not, the page says so.
        device: where the validation images are answered.
        progress: called with (images scored, images to score in all).

    Returns:
        The file.

    Raises:
        DataError: if the ``data`` that is given cannot be read.
        ValueError: if there is no run in the folder, or its files are damaged.
        OSError: if the page cannot be written.
    """
    return _written(run, out, data, device, progress)[0]


def _written(
    run: str | Path,
    out: str | Path | None,
    data: str | None,
    device: torch.device | str,
    progress: Callable[[int, int], None] | None,
) -> tuple[Path, Sequence[ImageScore]]:
    """The page, and the scores of the images, the worst first."""
    tables = read_run(run)
    target = tables.path / PAGE if out is None else Path(out)
    scored, ranked = ("", ())
    if tables.task == "segmentation":
        scored, ranked = _scored(RunFolder(run), data, device, progress)
    if parallel.is_first():
        write_page(target, f"Run {tables.path.resolve().name}", _numbers(tables) + _body(tables, scored))
    return target, ranked


def write_report_or_say(run: Path, device: torch.device | str, say: Callable[[str], None]) -> None:
    """:func:`write_report` at the end of a run, and the run in plain words. The run is worth more than both: what is in
    the way of them is told to ``say``, and nothing else happens."""
    try:
        page, ranked = _written(run, None, None, device, None)
        for sentence in at_the_end(read_run(run), ranked):
            say(sentence)
        say(f"open {page}")
    except (ValueError, OSError, FloatingPointError) as error:
        say(f"warning: {run / PAGE} was not written: {error}. `wholenet report {run}` writes it later")


def at_the_end(run: RunTables, ranked: Sequence[ImageScore]) -> list[str]:
    """What people are told when a run is over: what it reached, whether its search decided anything, its worst images
    (``ranked``, the worst first), and what to try next."""
    worst = [f"{image.name} ({percent(image.miou)} %)" for image in ranked[: min(SHOWN, len(ranked) // 2)]]
    images = [f"Worst images, by the mIoU of their own: {', '.join(worst)}."] if worst else []
    return [*in_words(run), *images, *(f"Next: {step}" for step in next_steps(run))]


def _body(run: RunTables, scored: str) -> str:
    pictures = {name: picture_file(run.path / f"{name}.png", caption) for name, caption in CAPTIONS.items()}
    genotype = run.path / "genotype.yaml"
    named = paragraph("The discrete network is in genotype.yaml.", "muted") if genotype.is_file() else ""
    chosen = "" if "<figure>" in scored else section("Predictions", *(pictures[name] for name in ANSWERS))
    settings = [(name, _shown(value)) for name, value in run.config.items()]
    return "".join(
        (
            section("In plain words", bullets(in_words(run))),
            section("What to try next", bullets(steps)) if (steps := next_steps(run)) else "",
            scored,
            chosen,
            section("How it went", *(pictures[name] for name in HOW_IT_WENT)),
            section("Architecture", *(pictures[name] for name in ARCHITECTURE), named),
            section("What went, and when", removed_table(run)),
            section("Runs in the folder", _results(run)),
            section("Warnings", bullets(_warnings(run))),
            section("How it was planned", *_planned(run.path / "plan.yaml")),
            section("Settings", table(("setting", "value"), settings, "words")),
        )
    )


# ---- numbers of the folder


def _numbers(run: RunTables) -> str:
    """The few numbers that people look for first."""
    own, *others = run.results
    shown: list[tuple[str, float | None]] = []
    if run.score is not None:
        key, what = run.score.name, run.score.label
        shown = [(what, own[key])]
        shown += [
            (f"{what}, {row['part']}{_so_far(row)}", row[key])
            for row in others
            if row["part"] in ("control", "second stage")
        ]
    shown += [("best constant class", own.get("constant_miou"))]
    in_percent = run.score is None or run.score.percent
    told = [
        (words, f"{percent(value)} %" if in_percent else f"{value:.4g}") for words, value in shown if value is not None
    ]
    label = "" if run.score is None else run.score.label
    told += [(f"{label} of {name}", f"{value:.4g}") for name, value in run.floors.items()]
    if own.get("whole_macs"):
        told += [(f"of {macs_in_words(own['whole_macs'])}", f"{own['macs'] / own['whole_macs']:.0%}")]
    told += [("epochs", f"{own['epochs']} of {own['planned']}"), ("training", duration(own["seconds"]))]
    return f'<div class="numbers">{"".join(f"<div><b>{text(n)}</b>{text(words)}</div>" for words, n in told)}</div>\n'


def _so_far(row: Row) -> str:
    """Where a part of a run is not finished, how far it is."""
    return "" if row["epochs"] >= row["planned"] else f" (epoch {row['epochs']} of {row['planned']})"


def _results(run: RunTables) -> str:
    common = ("part", "folder", "epochs", "planned", "seconds", "constant_miou")
    scores = [name for name in run.results[0] if name not in common]

    def cell(name: str, value: Any) -> str:
        if value is not None and name in COSTS:
            return macs_in_words(value)
        return percent(value) if name in PERCENT else "-" if value is None else f"{value:.4g}"

    def row(found: Row) -> list[str]:
        epochs = f"{found['epochs']} of {found['planned']}"
        return [found["part"], epochs, duration(found["seconds"]), *(cell(n, found.get(n)) for n in scores)]

    head = [{**PERCENT, **COSTS}.get(name, name) for name in scores]
    return table(("run", "epochs", "training", *head), [row(one) for one in run.results])


def _planned(path: Path) -> list[str]:
    """What a plan went by, and the settings that it chose, each with its reason; nothing where nothing was planned."""
    if not path.is_file():
        return []
    lines = read_text(path).splitlines()
    reasons = {line.partition(":")[0]: line.partition("  # ")[2] for line in lines}
    notes = [line.removeprefix("# ") for line in lines if line.startswith("# ")]
    values = read_yaml(path)
    chosen = values.items() if isinstance(values, dict) else ()
    rows = [(name, _shown(value), reasons.get(str(name)) or "given") for name, value in chosen]
    return [bullets(notes), table(("setting", "value", "why"), rows, "words")]


def _shown(value: Any) -> Any:
    return "" if value is None else value


def _warnings(run: RunTables) -> list[str]:
    """What was noticed while it trained; each kind once, by the epoch that first had it."""
    first: dict[str, int] = {}
    for record in run.records:
        for kind in record.get("warnings") or []:
            first.setdefault(str(kind), record["epoch"] + 1)
    return [f"{WARNINGS.get(kind, kind)}, first after epoch {epoch}" for kind, epoch in first.items()]


# ---- numbers of the validation images


def _scored(
    run: RunFolder, data: str | None, device: torch.device | str, progress: Callable[[int, int], None] | None
) -> tuple[str, Sequence[ImageScore]]:
    """Scores, confusion matrix, best and worst images, or why there are none; and the images, the worst first."""
    if not run.model.is_dir():
        return section("Validation images", paragraph("The run has no model yet.")), ()
    model: TrainedModel = load_model(run.path, device, task="segmentation")
    try:
        val = open_for(model, data or run.config.data, run.fit_config.max_megapixels).splits["val"]
    except (DataError, OSError) as error:
        if data is not None:  # somebody said that it is there
            raise
        said = f"The data of the run cannot be read, so there are no scores by class or image: {error}"
        return section("Validation images", paragraph(said)), ()
    found = measure_masks(lambda image: Tiling().predict(model.predict, image), val, len(model.classes), progress)
    page = "".join(
        (
            section("Scores by class", _by_class(found, model.classes)),
            section("Confusion matrix", _confusion(found, model.classes)),
            _images(found, model, val),
        )
    )
    return page, found.ranked()


def _by_class(found: Evaluation, classes: Classes) -> str:
    columns = (found.iou, found.dice, found.precision, found.recall, found.boundary_f)
    rows = [[name, *map(percent, values)] for name, *values in zip(classes.names, *columns, found.share, strict=True)]
    rows.append(["mean", *(percent(mean(column)) for column in columns), ""])
    head = ("%", "IoU", "Dice", "precision", "recall", "boundary F", "of pixels")
    note = (
        f"Of the masks that `wholenet predict` writes, over all {found.images} validation images together. Boundaries "
        f"match within {100 * TOLERANCE:g} % of the image's diagonal (Csurka et al., 2013)."
    )
    return table(head, rows) + paragraph(note, "muted")


def _confusion(found: Evaluation, classes: Classes) -> str:
    said = [
        f"{classes.names[true]} is taken for {classes.names[predicted]}: {percent(share)} % of it"
        for true, predicted, share in found.confusions()
    ]
    words = paragraph("Most pixels are lost where", "muted") + bullets(said) if said else ""
    if len(classes) > MOST_CLASSES:
        return words
    counts = np.array(found.counts, np.int64)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    head = "".join(f'<th scope="col" title="{text(name)}">{k}</th>' for k, name in enumerate(classes.names))
    rows = [
        f'<tr><th scope="row">{k} {text(name)}</th>{"".join(map(_shaded, shares[k].tolist()))}</tr>'
        for k, name in enumerate(classes.names)
    ]
    note = paragraph("Rows are the true classes, columns the predicted ones; % of the row's pixels.", "muted")
    body = f"<thead><tr><th></th>{head}</tr></thead>\n<tbody>\n" + "\n".join(rows)
    return f'{note}<div class="wide"><table>{body}</tbody></table></div>\n{words}'


def _shaded(share: float) -> str:
    # Pale enough for dark words on all of it: on the full blue neither dark nor white ones are easy to read.
    return f'<td style="background: rgba(0, 114, 178, {DEEPEST * share:.3f})">{100 * share:.0f}</td>'


def _images(found: Evaluation, model: TrainedModel, val: SegmentationData) -> str:
    ranked = found.ranked()
    worst = ranked[: min(SHOWN, -(-len(ranked) // 2))]
    best = ranked[len(worst) :][-SHOWN:][::-1]
    place_of = {id(image): place for place, image in enumerate(found.per_image)}
    titles = (("Worst images", worst), ("Best images", best))
    parts = [
        section(title, *(_image(image, model, val, place_of[id(image)]) for image in images))
        for title, images in titles
    ]
    colors = zip(model.classes.names, drawing_colors(model.classes), strict=True)
    entries = [
        f'<span class="entry"><span class="swatch" style="background: rgb{color}"></span>{text(name)}</span>'
        for name, color in colors
    ]
    note = "Image, truth, prediction; by the mean IoU over the classes of the image alone."
    legend = f'{paragraph(note, "muted")}<p class="legend">{"".join(entries)}</p>'
    return section("Images", legend) + "".join(parts) if ranked else ""


def _image(score: ImageScore, model: TrainedModel, val: SegmentationData, place: int) -> str:
    image, truth, _ = val[place]
    answer = Tiling().predict(model.predict, image)
    shown = picture_of(image)
    panels = [shown, outlined(shown, truth, model.classes), outlined(shown, answer, model.classes)]
    return picture(_side_by_side(panels), f"{score.name}: mIoU {percent(score.miou)} %")


def _side_by_side(panels: Sequence[np.ndarray]) -> np.ndarray:
    """The pictures, all of one size, in a row with white between, as large as the page needs."""
    height, width = panels[0].shape[:2]
    if width > WIDTH:
        size = (WIDTH, max(1, round(height * WIDTH / width)))
        panels = [cv2.resize(panel, size, interpolation=cv2.INTER_AREA) for panel in panels]
    gap = np.full((panels[0].shape[0], 6, 3), 255, np.uint8)
    return np.concatenate([part for panel in panels for part in (panel, gap)][:-1], 1)


def percent(share: float | None) -> str:
    """In percent, with one digit; "-" for None."""
    return "-" if share is None else f"{100 * share:.1f}"
