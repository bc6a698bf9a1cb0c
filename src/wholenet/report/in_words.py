"""A run in plain words: what it reached, beside the best constant answer and its control, and whether the search
decided anything."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from wholenet.architecture import normalized_entropy, rescaled
from wholenet.deploy.model_folder import load_model, spec_of_model
from wholenet.diagnostics.discretization import current_weights
from wholenet.diagnostics.entropy import movement
from wholenet.diagnostics.verdict import credit, search_verdict
from wholenet.files import read_json
from wholenet.search import stages
from wholenet.search.cell_config import CellConfig
from wholenet.search.cell_folder import CellFolder
from wholenet.search.config import FitConfig
from wholenet.search.option_budget import OptionBudget
from wholenet.search.read_run import Row, RunTables
from wholenet.search.run_folder import RunFolder
from wholenet.search.search_config import RunConfig
from wholenet.spaces.grid_costs import macs_in_words
from wholenet.spaces.sizes import GRIDS
from wholenet.spaces.supernet import Supernet
from wholenet.tasks.score import Score


def in_words(run: RunTables) -> list[str]:
    """Sentences about the run, for its page."""
    own, *others = run.results
    control = next((row for row in others if row["part"] == "control"), None)
    under_way = None if control is None or control["epochs"] >= control["planned"] else control
    segments, cells = run.task == "segmentation", run.task == "classification"
    compared = control if under_way is None else None
    beside = run.score is not None and not run.score.percent
    said = _beside_floors(run, own, compared) if beside else [_on_score(own, compared, run.score)]
    if "macs" in own:
        said.append(f"Its network takes {_left(own)} for an image of the size that its budget is of.")
    if segments and 2 * own["epochs"] >= own["planned"] and (sentence := _on_zoom(RunFolder(run.path))):
        said.append(sentence)
    if own["epochs"] < own["planned"] and not _stopped(run):
        said.append(f"The run is not finished: {own['epochs']} of {own['planned']} epochs are done.")
    if cells and (sentence := _on_stages(run)):
        said.append(sentence)
    if under_way is not None:
        done = f"{under_way['epochs']} of {under_way['planned']}"
        said.append(
            f"Its frozen-uniform control is not finished: {done} epochs are done. Until then nothing is compared."
        )
    searched = _searched(run)
    if said_before := _diagnosis(run.path):
        return [*said, *said_before]
    if not cells and (sentence := _on_search(RunFolder(run.path))):
        said.append(sentence)
    score = _good(own, run.score)
    if len({record.get("macs") for record in run.records}) > 1:
        if controls := _of_what_went((CellFolder if cells else RunFolder)(run.path).config):
            said.append(f"What choosing what goes was worth, more runs say: with {' and with '.join(controls)}.")
    elif not beside and score is not None and searched and under_way is None:
        end = credit(searched, score, None if control is None else _good(control, run.score))
        said.append(end.removeprefix("and ")[:1].upper() + end.removeprefix("and ")[1:] + ".")
    if segments and searched and RunFolder(run.path).fit_config.budget is None:
        said.append("What cutting the supernet down would cost, `wholenet diagnose` measures.")
    return said


def _on_zoom(run: RunFolder) -> str | None:
    """How large the network sees images, where the run tried two ways."""
    config = run.fit_config
    if config.try_zoom is None or not run.model.is_dir():
        return None
    zoom = spec_of_model(run.model).zoom
    return f"It sees images at a zoom of {zoom:g}; the run tried {config.zoom:g} and, half-way, {config.try_zoom:g}."


def _left(own: Row) -> str:
    """What a budget left, of what."""
    whole, said = own.get("whole_macs"), macs_in_words(own["macs"])
    return said if whole is None else f"{said}, {own['macs'] / whole:.0%} of the whole one's {macs_in_words(whole)},"


def _on_stages(run: RunTables) -> str | None:
    """What follows a search in its folder."""
    config = CellFolder(run.path).config
    following = stages.later(config) if isinstance(config, CellConfig) else []
    return f"Searches follow it in its folder: {'; '.join(map(stages.in_words, following))}." if following else None


def _of_what_went(config: RunConfig) -> list[str]:
    """The options of the runs that a run which removed units is to be compared with: those that it may have, but its
    own."""
    if isinstance(config, OptionBudget):
        return ["--budget-by random"] if config.option_scoring != "random" else []
    assert isinstance(config, FitConfig)
    fewer = config.space in GRIDS and not (config.shrinks or config.timed)
    alike = ["random", "shallower"] if fewer else ["random"]
    return [f"--budget-by {name}" for name in alike if name != config.scoring]


def _on_score(own: Row, control: Row | None, score: Score | None) -> str:
    if score is None:
        return "What its scores mean, the task says that was registered for the run; they are in the table of its runs."
    value = own[score.name]
    if value is None:
        return "Nothing was scored yet."
    parts = [f"On the images held out the network reaches {score.say(value)}"]
    if own.get("constant_miou") is not None:
        parts.append(f"always answering the one best class would reach {100 * own['constant_miou']:.1f} %")
    if control is not None and (other := control[score.name]) is not None:
        parts.append(f"its frozen-uniform control, trained for as long, has {100 * other:.1f} %")
    return "; ".join(parts) + "."


def _on_text(run: RunTables, value: float) -> str:
    """Its perplexity."""
    facts = (RunFolder(run.path).environment() or {}).get("train")
    words = facts.get("words") if isinstance(facts, dict) else None
    known = f" ({words:,} words known, others count as <unk>)" if isinstance(words, int) else ""
    return (
        f"On the text held out the network has a perplexity of {value:.4g}{known}: it is as unsure of the next word as "
        f"if {value:.4g} were equally likely. Less is better."
    )


@dataclass(frozen=True)
class _Words:
    """What is said of a score that is no share."""

    reached: Callable[[RunTables, float], str]
    """A sentence on the score."""
    floors: str
    """What simple answers are, before their scores."""
    apart: str
    """What does not compare."""


def _on_pairs(_run: RunTables, value: float) -> str:
    """Its end-point error."""
    return (
        f"On the pairs held out the network has an end-point error of {value:.4g} px: it is off by so much on average, "
        "over all pixels whose disparity is known, at full size and without augmentation. Less is better."
    )


WORDS = {
    "language": _Words(
        _on_text,
        "Of models that only count the same words of train",
        "Perplexities of other vocabularies, or of other texts, do not compare with these.",
    ),
    "stereo": _Words(
        _on_pairs,
        "Of answers that learn nothing from pairs, in px (the median of train everywhere; block matching)",
        "Errors on other data, or on pairs of another size, do not compare with these.",
    ),
}
"""By task."""


def _beside_floors(run: RunTables, own: Row, control: Row | None) -> list[str]:
    """A score of which less is better, beside those of simple answers, and beside its control's."""
    words, score = WORDS[run.task], run.score
    assert score is not None
    value = own[score.name]
    if value is None:
        return ["Nothing was scored yet."]
    said = [words.reached(run, value)]
    if floors := run.floors:
        listed = ", ".join(
            f"{name} has {floor:.4g} ({'better' if floor <= value else 'worse'})" for name, floor in floors.items()
        )
        said.append(f"{words.floors}: {listed}.")
    if control is not None and (other := control[score.name]) is not None:
        better = "better" if value < other else "no better"
        said.append(
            f"Its frozen-uniform control, trained for as long, has {other:.4g}: the run is {better}, by one seed, "
            "which says little."
        )
    return [*said, words.apart]


def _good(row: Row, score: Score | None) -> float | None:
    """The score, more of which is better; None where it is not known."""
    if score is None or (value := row[score.name]) is None:
        return None
    return value if score.higher else 1 - value


def _searched(run: RunTables) -> bool:
    if run.task == "classification":
        config = CellFolder(run.path).config
        return isinstance(config, CellConfig) and config.architecture != "uniform"
    return run.config["genotype"] is None and run.config["architecture"] != "uniform"


def _stopped(run: RunTables) -> bool:
    """Whether a stopping rule may have ended it before its time."""
    return run.config.get("stopping", "none") != "none" or (run.path / "result.json").is_file()


def _on_search(run: RunFolder) -> str | None:
    """Whether its search decided anything; None where there is no supernet to ask."""
    stage = RunFolder.at(run.search) or run
    if not stage.model.is_dir():
        return None
    network: Supernet = load_model(stage.path, torch.device("cpu")).network
    if network.discrete:
        return f"The network is a discrete one, of the genotype {run.genotype}: nothing was searched in this run."
    masks = network.net.masks
    weights = {name: rescaled(w) for name, w in current_weights(network).items()}
    entropy = {name: normalized_entropy(w, masks[name]).item() for name, w in weights.items()}
    moved = {name: movement(w, masks[name]) for name, w in weights.items()}
    searched = stage.config.architecture != "uniform"
    if stage.config.space == "grid" or not searched:
        return search_verdict(searched, entropy, moved)
    parts = [
        f"{name} has a normalised entropy of {entropy[name]:.3f} (1 is uniform), and {100 * moved[name].decided:.0f} % "
        "of its choices prefer one option by 5 points or more over uniform"
        for name in entropy
    ]
    return f"Of the architecture, {'; '.join(parts)}."


def _diagnosis(run: Path) -> list[str]:
    """What `wholenet diagnose` said of it; nothing where nobody asked, or a file of its name says something else."""
    path = run / "diagnosis" / "diagnosis.json"
    found = read_json(path) if path.is_file() else {}
    said = found.get("verdict", []) if isinstance(found, dict) else []
    return [sentence for sentence in said if isinstance(sentence, str)] if isinstance(said, list) else []
