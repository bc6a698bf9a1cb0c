"""A diagnosis on disk: ``diagnosis.json``, ``genotype.yaml`` of the best discrete network, and one picture."""

from __future__ import annotations

import json
import textwrap
from itertools import cycle
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.ticker import MaxNLocator, MultipleLocator

from wholenet.diagnostics.diagnosis import Diagnosis
from wholenet.diagnostics.discrete import DiscreteNetwork
from wholenet.diagnostics.entropy import Movement
from wholenet.diagnostics.verdict import verdict
from wholenet.files import check_output
from wholenet.report.panels import PHASE_TINTS
from wholenet.report.style import BLUE, GREEN, INK, MUTED, ORANGE, PURPLE, SKY, VERMILION, headline, saved_figure
from wholenet.spaces.genotype import write_genotype
from wholenet.spaces.grid_costs import macs_in_words
from wholenet.spaces.links import STRIDES

VARIANT_COLORS = {"zeroed": VERMILION, "renormalized": ORANGE, "recalibrated": BLUE, "fine-tuned": GREEN}
VARIANT_WORDS = {
    "zeroed": "weights at zero, as the paper",
    "renormalized": "the others scaled up",
    "recalibrated": "BatchNorm recalculated",
    "fine-tuned": "fine-tuned",
}
MARKERS = "Dsov^PX"
"""One for each discrete network."""
MOVED = LinearSegmentedColormap.from_list("moved", ["#FFFFFF", SKY, BLUE])


FILES = ("diagnosis.png", "diagnosis.json", "genotype.yaml")


def check_diagnosis(out: str | Path) -> None:
    """Make sure that :func:`write_diagnosis` will be able to write into the folder ``out``.

    Raises:
        ValueError: saying what is in the way.
    """
    check_output(out, folder=True)
    for name in FILES:
        check_output(Path(out) / name)


def write_diagnosis(diagnosis: Diagnosis, out: str | Path) -> list[Path]:
    """Write all of it into the folder ``out``, which is made if it is not there, over what an earlier one wrote.

    Returns:
        The picture, the JSON, the genotype if there is one.
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    picture, plain, genotype = files = [out / name for name in FILES]
    content = diagnosis.to_dict() | {"verdict": list(verdict(diagnosis))}
    plain.write_text(json.dumps(content, indent=2) + "\n")
    draw_diagnosis(picture, diagnosis)
    if diagnosis.best_discrete is None:
        genotype.unlink(missing_ok=True)  # of an earlier one
        return files[:2]
    write_genotype(diagnosis.best_discrete.genotype, genotype)
    return files


def draw_diagnosis(path: str | Path, diagnosis: Diagnosis) -> None:
    """Draw entropy over time, what moved from uniform, and the discretization curve, under the verdict."""
    lines = "\n".join(textwrap.fill(sentence, 150) for sentence in verdict(diagnosis)).split("\n")
    panels_in, header_in = 7.4, 0.55 + 0.205 * len(lines)
    height_in = panels_in + header_in
    with saved_figure(path, 11.0, height_in) as figure:
        figure.set_layout_engine("constrained", rect=(0, 0, 1, panels_in / height_in), h_pad=0.08, w_pad=0.12)
        title = f"Diagnosis of {Path(diagnosis.run).name}"
        headline(figure, 0.02, 1 - 0.24 / height_in, title)
        words = {"color": MUTED, "va": "top", "fontsize": 9.5, "linespacing": 1.45}
        figure.text(0.02, 1 - 0.45 / height_in, "\n".join(lines), **words)
        rows = figure.add_gridspec(2, 1, height_ratios=(1, 1.15))
        columns = rows[0].subgridspec(2, 2, width_ratios=(1, 1.15))
        _draw_entropy(figure.add_subplot(columns[:, 0]), diagnosis)
        _draw_movement(figure.add_subplot(columns[0, 1]), diagnosis.movement["beta"], "Edges (β)")
        _draw_movement(figure.add_subplot(columns[1, 1]), diagnosis.movement["alpha"], "Operations (α)")
        _draw_curve(figure.add_subplot(rows[1]), diagnosis)


def _draw_entropy(axes: Axes, diagnosis: Diagnosis) -> None:
    axes.set_title("Entropy: 1 = uniform, 0 = one-hot")
    for phase, tint in zip(diagnosis.phases, cycle(PHASE_TINTS)):
        look = {"facecolor": tint, "edgecolor": "#C4CCD6", "linewidth": 0.4, "zorder": 0}
        axes.axvspan(phase.first + 0.5, phase.end + 0.5, label=phase.phase, **look)
    epochs = [entropy.epoch + 1 for entropy in diagnosis.history]
    marker = "o" if len(epochs) <= 40 else ""
    for name, color, word in (("beta", BLUE, "edges (β)"), ("alpha", ORANGE, "operations (α)")):
        values = [getattr(entropy, name) for entropy in diagnosis.history]
        label = f"{word}  {diagnosis.entropy[name]:.3f}"
        axes.plot(epochs, values, color=color, label=label, marker=marker, markersize=3.5)
    axes.set_xlim(0.5, max(diagnosis.planned, *epochs, 1) + 0.5)
    axes.set_ylim(0, 1.08)
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=3, labelcolor=MUTED, columnspacing=1.4)


def _draw_movement(axes: Axes, movement: Movement, what: str) -> None:
    """A cell of the map per cell of the grid, with the number in it: small movements look small, and can be read."""
    moved = np.array(movement.groups).T  # [4, L]
    axes.set_title(f"{what} moved, %: 0 is uniform, 100 one-hot")
    axes.imshow(moved, cmap=MOVED, vmin=0, vmax=1, aspect="auto")
    for (level, layer), value in np.ndenumerate(moved):
        color = "white" if value > 0.6 else INK
        axes.text(layer, level, f"{100 * value:.0f}", ha="center", va="center", fontsize=8, color=color)
    axes.grid(visible=False)
    axes.set_yticks(range(len(STRIDES)), [f"stride {stride}" for stride in STRIDES])
    axes.set_xticks(range(moved.shape[1]), [f"{layer + 1}" for layer in range(moved.shape[1])])
    axes.set_xlabel("layer", labelpad=1)


def _draw_curve(axes: Axes, diagnosis: Diagnosis) -> None:
    inside = ", and of the discrete networks inside" if diagnosis.discrete else " of what its budget left"
    axes.set_title(f"Validation mIoU, %, as edges are dropped{inside}: no retraining")
    for variant in dict.fromkeys(point.variant for point in diagnosis.curve):
        points = [point for point in diagnosis.curve if point.variant == variant]
        dropped = [100 * point.dropped / diagnosis.edges for point in points]
        scores = [100 * point.miou for point in points]
        word = VARIANT_WORDS.get(variant, variant)
        axes.plot(dropped, scores, color=VARIANT_COLORS.get(variant, PURPLE), marker="o", markersize=3.5, label=word)
    for network, marker in zip(diagnosis.discrete, cycle(MARKERS)):
        _draw_network(axes, network, diagnosis.edges, marker)
    if diagnosis.discrete:
        axes.plot([], [], linestyle="", marker="o", color=MUTED, mfc="white", label="hollow: as is; full: recalculated")
    lines = [(diagnosis.constant_miou, MUTED, "best constant class")]
    if diagnosis.control is not None:
        lines.append((diagnosis.control.miou, PURPLE, f"frozen-uniform control ({diagnosis.control.epochs} epochs)"))
    if diagnosis.second_stage is not None:
        stage = diagnosis.second_stage
        lines.append((stage.miou, GREEN, f"second stage, retrained ({stage.epochs} epochs)"))
    for miou, color, label in lines:
        axes.axhline(100 * miou, color=color, linewidth=1.3, linestyle=(0, (4, 3)), label=label, zorder=1.5)
    axes.set_xlim(-2, 100)
    axes.set_ylim(bottom=0)
    axes.margins(y=0.08)
    axes.set_xlabel("edges dropped, %")
    axes.xaxis.set_major_locator(MultipleLocator(10))
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0, labelcolor=MUTED)


def _draw_network(axes: Axes, network: DiscreteNetwork, edges: int, marker: str) -> None:
    """Both scores of one discrete network, on a thin line: hollow as it is, full with BatchNorm recalculated."""
    x = 100 * (1 - network.edges / edges)
    scores = [100 * network.miou, 100 * network.miou_recalibrated]
    axes.plot([x, x], scores, color=INK, linewidth=0.8, zorder=2.5)
    look = {"marker": marker, "color": INK, "markersize": 6.5, "linestyle": "", "zorder": 3}
    axes.plot([x], scores[:1], **look, mfc="white")
    axes.plot([x], scores[1:], **look, label=f"discrete: {network.genotype.decoding}, {network.edges} edges")


def table(diagnosis: Diagnosis) -> list[str]:
    """The diagnosis in a few lines of text: what was scored, what it costs, what it reaches."""
    name = "whole supernet" if diagnosis.left is None else f"what is left, {diagnosis.left:.0%}"
    rows = [(name, (diagnosis.miou, None), diagnosis.edges, diagnosis.parameters, diagnosis.macs)]
    rows += [
        (f"discrete: {n.genotype.decoding}", (n.miou, n.miou_recalibrated), n.edges, n.parameters, n.macs)
        for n in diagnosis.discrete
    ]
    width = max(len("frozen-uniform control"), *(len(name) for name, *_ in rows))
    lines = [f"{'':{width}}    mIoU  BN recalculated  edges  parameters"]
    for name, (miou, recalculated), edges, parameters, macs in rows:
        again = "-" if recalculated is None else f"{100 * recalculated:.1f} %"
        cost = f"{edges:5d}  {parameters / 1e6:8.3f} M  {macs_in_words(macs):>10}"
        lines.append(f"{name:{width}}  {100 * miou:4.1f} %  {again:>15}  {cost}")
    for name, other in (("frozen-uniform control", diagnosis.control), ("second stage", diagnosis.second_stage)):
        if other is not None:
            time = f"{other.epochs} epochs in {other.seconds:.0f} s"
            lines.append(f"{name:{width}}  {100 * other.miou:4.1f} %  {time}")
    if diagnosis.twin is not None:
        lines.append(
            f"{'twin':{width}}          the same network at uniform weights, what was learned in its other weights: "
            f"logits differ by {diagnosis.twin:.0e}"
        )
    if diagnosis.curvature is not None:
        c = diagnosis.curvature
        ends = f"highest eigenvalue {c.highest:.3g}, lowest {c.lowest:.3g}"
        lines.append(
            f"{'curvature':{width}}          {ends}; of {c.loss}, {c.logits} logits, {c.images} images, BatchNorm by "
            f"{c.batchnorm}"
        )
    lines.append(
        f"{'the run itself':{width}}          {diagnosis.epochs} of {diagnosis.planned} epochs in "
        f"{diagnosis.seconds:.0f} s; {diagnosis.images} images scored"
    )
    return lines
