"""The average entropies of Table 1's other rows: Auto-DeepLab's trellis and DARTS with decoupled topology (DOTS).

The paper's average is the mean of -p ln p over every entry of the stored tensor, so it tells how a tensor was stored.
Here are the readings that were tried, in closed form where all options are equally strong, and what a search here comes
to in the same readings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from wholenet.architecture import mean_entry_entropy, normalized_entropy, uniform_weights
from wholenet.data.labelled_count import images_of
from wholenet.deploy.model_folder import load_model
from wholenet.search.dots_config import TOPOLOGY
from wholenet.spaces.autodeeplab.trellis import Transitions, beta_mask, unpacked
from wholenet.spaces.cell_tables import INPUTS, NODES, PAIRS, PUBLISHED
from wholenet.spaces.darts import masks as masks_of
from wholenet.spaces.dots.pairs import COLDEST, edge_weights, pair_mask, tempered
from wholenet.spaces.dots.survivors import GROUPS
from wholenet.studies.outcomes import diverged
from wholenet.studies.pool import Pool
from wholenet.studies.setting import CellSetting, Setting

TWO_WAY = 2 / 3
"""What public code (NoamRosenberg/autodeeplab) multiplies the softmaxes of two moves by."""
DEPTHS = range(8, 15)
"""Layers that the reading of Auto-DeepLab's edges was tried with."""
PRINTED = 0.259
"""Its start in the paper."""
MARGINAL_SLOTS = 8
"""Padding of the edges' marginals that comes nearest to the paper's 0.126; no tensor of the code has it."""
TRELLIS = {
    "cpu": {"size": "tiny", "layers": 3, "filters": 2, "blocks": 2},
    "gpu": {"size": "paper", "layers": 10},
    "paper": {"size": "paper", "layers": 10},
}
"""Settings of the trellis by scale. On a CPU it is as small as it gets: a step of batch 8 at 96x128 took 0.36 s of CPU
time, the grid's 0.09."""
TOPOLOGY_EPOCHS = {"cpu": 16, "gpu": 16, "paper": 40}
"""Of DOTS' second search."""


@dataclass(frozen=True)
class Reading:
    """A row: an average entropy that a search begins with, and what one here came to."""

    name: str
    paper: tuple[float, float] | None
    """Start and end in the paper; None where it has none."""
    start: float
    ends: Sequence[float] = ()
    """By seed; none where nothing was searched."""
    normalized: Sequence[float] = ()
    """The same, normalised."""


def trellis_entropy(layers: int, transitions: Transitions = "outgoing", *, scaled: bool = False) -> float:
    """The average over [L, 4, 3] where all moves are equally strong; ``scaled``: as public code has them."""
    mask = beta_mask(layers, transitions)
    return _of_moves(uniform_weights({"beta": mask})["beta"], mask, scaled=scaled)


def printing(value: float) -> list[str]:
    """The readings of Auto-DeepLab's edges, of any depth in ``DEPTHS``, that print ``value`` with three digits."""
    readings: Mapping[str, tuple[Transitions, bool]] = {
        f"two-way softmaxes times {TWO_WAY:.2f}": ("outgoing", True),
        "as they are": ("outgoing", False),
        "of incoming moves": ("incoming", False),
    }
    return [
        f"L = {layers}, {name}"
        for name, (transitions, scaled) in readings.items()
        for layers in DEPTHS
        if f"{trellis_entropy(layers, transitions, scaled=scaled):.3f}" == f"{value:.3f}"
    ]


def _of_moves(weights: Tensor, mask: Tensor, *, scaled: bool) -> float:
    factor = torch.where(mask.sum(-1, keepdim=True) == 2, TWO_WAY, 1.0) if scaled else 1.0
    return mean_entry_entropy(weights * factor, mask).item()


def marginal_entropy() -> float:
    """The average over [4, 8] of what edges count that are in as many pairs as others: 2 / n each of n into a node."""
    uniform = uniform_weights({"pairs": pair_mask()})["pairs"]
    weights = edge_weights(uniform)
    mask = torch.zeros(NODES, MARGINAL_SLOTS, dtype=torch.bool)
    padded = torch.zeros(NODES, MARGINAL_SLOTS)
    for node, own in enumerate(weights.split([INPUTS + node for node in range(NODES)])):
        padded[node, : len(own)], mask[node, : len(own)] = own, True
    return mean_entry_entropy(padded, mask).item()


def of_autodeeplab(setting: Setting, pool: Pool) -> list[Reading]:
    """The rows of Auto-DeepLab; a supernet is trained with every seed, as the grid's was."""
    settings = TRELLIS[setting.scale]
    config = setting.elsewhere(setting.config(), "autodeeplab", settings)
    ends: dict[str, list[float]] = {"alpha": [], "plain": [], "scaled": []}
    normalized: dict[str, list[float]] = {"alpha": [], "beta": []}
    layers = settings["layers"]
    for run in pool.trained(setting.over_seeds(config)):
        arch = load_model(run.path, task="segmentation").network.arch
        with torch.no_grad():
            weights = arch()
        whole = beta_mask(layers)
        moves = unpacked(weights["beta"], layers, "outgoing")
        ends["alpha"].append(mean_entry_entropy(weights["alpha"], arch.mask("alpha")).item())
        ends["plain"].append(_of_moves(moves, whole, scaled=False))
        ends["scaled"].append(_of_moves(moves, whole, scaled=True))
        for name, found in normalized.items():
            found.append(normalized_entropy(weights[name], arch.mask(name)).item())
    eight = torch.ones(1, 8, dtype=torch.bool)
    operations = mean_entry_entropy(uniform_weights({"alpha": eight})["alpha"], eight).item()
    code, plain = f"two-way times {TWO_WAY:.2f}, as public code", "outgoing softmax, as the paper"
    return [
        Reading("Auto-DeepLab, operations", (0.260, 0.258), operations, ends["alpha"], normalized["alpha"]),
        Reading(f"Auto-DeepLab, edges, L = 10, {code}", (0.259, 0.256), trellis_entropy(10, scaled=True)),
        Reading(f"Auto-DeepLab, edges, L = 12, {code}", None, trellis_entropy(12, scaled=True)),
        Reading(f"Auto-DeepLab, edges, L = 12, {plain}", None, trellis_entropy(12)),
        *(
            Reading(
                f"Auto-DeepLab, edges, L = {layers}, {how}",
                None,
                trellis_entropy(layers, scaled=scaled),
                ends["scaled" if scaled else "plain"],
                normalized["beta"],
            )
            for how, scaled in ((code, True), (plain, False))
        ),
    ]


def of_darts(setting: Setting, pool: Pool) -> list[Reading]:
    """The rows of DARTS; their ends, by a search of each kind with every seed, where there are labelled images."""
    eight = masks_of(PUBLISHED["darts"])["normal"]
    groups = torch.ones(len(PAIRS), len(GROUPS), len(GROUPS[0]), dtype=torch.bool)
    starts = {
        name: mean_entry_entropy(uniform_weights({"": mask})[""], mask).item()
        for name, mask in {"eight": eight, "groups": groups, "pairs": pair_mask()}.items()
    }
    rows = {
        "eight": Reading("DARTS, operations", (0.260, 0.256), starts["eight"]),
        "groups": Reading("DARTS, operations in two groups (DOTS)", None, starts["groups"]),
        "pairs": Reading("DARTS, pairs of edges in [4, 10] (DOTS)", (0.126, 0.126), starts["pairs"]),
        "cold": Reading(f"the same at the last temperature, {COLDEST}", None, starts["pairs"]),
    }
    if setting.labelled is not None:
        labelled = CellSetting(scale=setting.scale, data=setting.labelled, out=setting.out, seeds=setting.seeds)
        quiet = {"eigenvalue_every": 0, "images": _images(setting.labelled, labelled.example.images)}
        darts = labelled.config("darts", space="darts", **quiet)
        dots = labelled.config("darts", space="dots", topology_epochs=TOPOLOGY_EPOCHS[setting.scale], **quiet)
        runs = pool.done([*labelled.over_seeds(darts), *labelled.over_seeds(dots)])
        left = {"eight": runs[: setting.seeds], "groups": runs[setting.seeds :], "pairs": runs[setting.seeds :]}
        for name, of_row in left.items():
            paths = [run.path / (TOPOLOGY if name == "pairs" else "") for run in of_row if not diverged(run)]
            found = [_ends(path, 1.0) for path in paths]
            rows[name] = replace(rows[name], ends=[end for end, _ in found], normalized=[n for _, n in found])
            if name == "pairs":
                cold = [_ends(path, COLDEST) for path in paths]
                rows["cold"] = replace(rows["cold"], ends=[end for end, _ in cold], normalized=[n for _, n in cold])
    flat = starts["pairs"] * pair_mask().numel() / pair_mask().sum().item()
    return [
        *rows.values(),
        Reading("DARTS, the same pairs in one list of 20", None, flat),
        Reading(f"DARTS, what each edge counts (2 / n) in [4, {MARGINAL_SLOTS}]", None, marginal_entropy()),
    ]


def _images(where: str, wanted: int) -> int:
    """So many training images, or all where there are fewer."""
    there = images_of(Path(where)) if Path(where).is_dir() else {}
    return min(wanted, there.get("train", wanted))


def _ends(path: Path, temperature: float) -> tuple[float, float]:
    """Average and normalised entropy of what a search on labelled images came to, mean of its two types of cells."""
    arch = load_model(path, task="classification").network.arch
    with torch.no_grad():
        weights = {name: tempered(w, temperature) if temperature != 1 else w for name, w in arch().items()}
    names = [name for name in weights if name.endswith("_pairs")] or list(weights)
    both = [(mean_entry_entropy(weights[n], arch.mask(n)), normalized_entropy(weights[n], arch.mask(n))) for n in names]
    average, normalized = torch.tensor(both).mean(0).tolist()
    return average, normalized
