"""The card of a model on the Hugging Face hub: what it is, how good, on what, and how it is loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from wholenet.deploy.classifier import TrainedClassifier
from wholenet.deploy.hub import HubName
from wholenet.deploy.segmenter import TrainedModel
from wholenet.tasks.score import Score
from wholenet.version import VERSION

UNKNOWN = "unknown"
"""The licence of a model whose maker did not say one, as the hub spells it."""
KINDS = {
    TrainedModel: ("image-segmentation", "mean_iou", ["semantic-segmentation"]),
    TrainedClassifier: ("image-classification", "accuracy", []),
}
"""Of a model: the hub's name of its task, of its metric, and more tags."""
MOST_CLASSES = 200
"""That are named."""


@dataclass(frozen=True, kw_only=True)
class CardFacts:
    """What a card says beside what the model itself knows."""

    place: HubName
    licence: str = UNKNOWN
    data: str | None = None
    """Name of the data set."""
    score: Score | None = None
    """What ``value``, ``constant`` and ``control`` are."""
    value: float | None = None
    constant: float | None = None
    control: float | None = None
    splits: Mapping[str, str] | None = None
    """Split -> how many images it has, of which size."""
    made: Mapping[str, Any] | None = None
    """How the network was trained."""
    stem: Mapping[str, str] | None = None
    """Of a pretrained stem: its name, source and licence."""
    picture: str | None = None
    """File of the picture, beside the card."""


def card_text(model: Any, facts: CardFacts) -> str:
    """The card, Markdown with a head of YAML."""
    parts = [
        f"---\n{yaml.safe_dump(_head(model, facts), sort_keys=False, allow_unicode=True)}---\n",
        f"# {facts.place.name}\n",
        _what_it_is(model, facts) + "\n",
    ]
    if facts.picture is not None:
        parts.append(f"![Images, their true masks, and what the network sees]({facts.picture})\n")
    parts += [_scores(facts), _data(model, facts), _use(model, facts), _made(facts)]
    return "\n".join(part for part in parts if part)


def _head(model: Any, facts: CardFacts) -> dict[str, Any]:
    task, metric, tags = _kind(model)
    head: dict[str, Any] = {"license": facts.licence, "library_name": "wholenet"}
    if task is not None:
        head["pipeline_tag"] = task
    head["tags"] = ["wholenet", "neural-architecture-search", *tags]
    if metric is None:
        return head
    head["metrics"] = [metric]
    if facts.score is not None and facts.value is not None and facts.data is not None:
        value = facts.value if facts.score.higher else 1 - facts.value
        result = {
            "task": {"type": task},
            "dataset": {"name": facts.data, "type": facts.data},
            "metrics": [{"type": metric, "value": round(value, 4), "name": f"{metric} on the validation images"}],
        }
        head["model-index"] = [{"name": facts.place.name, "results": [result]}]
    return head


def _kind(model: Any) -> tuple[str | None, str | None, Sequence[str]]:
    return KINDS.get(type(model), (None, None, ()))


def _what_it_is(model: Any, facts: CardFacts) -> str:
    parameters = sum(parameter.numel() for parameter in model.network.parameters())
    what = {TrainedModel: "segmentation network", TrainedClassifier: "image classifier"}.get(type(model), "network")
    on = "" if facts.data is None else f", trained on {plain(facts.data)}"
    if model.network.discrete:
        how = "Its architecture is a discrete one, in config.json."
    elif (facts.made or {}).get("architecture") == "uniform":
        how = "Its architecture never moved: it is the control of a search."
    else:
        how = "Its architecture was learned together with its weights, in one run, and nothing of it was cut away."
    size = f"{parameters / 1e6:.2f} million parameters ({model.network.spec.model_name})"
    return f"A {what} of wholenet, with {size}{on}. {how}"


def _scores(facts: CardFacts) -> str:
    rows = {
        "this network": facts.value,
        "the same network with an architecture that never moves, trained for as long": facts.control,
        "always answering the one best class": facts.constant,
    }
    if facts.score is None or facts.value is None:
        return ""
    lines = [f"| {name} | {facts.score.say(value)} |" for name, value in rows.items() if value is not None]
    return "\n".join(
        [
            "## Score",
            "",
            f"| {'on the validation images' if facts.score.percent else 'on what was held out'} | |",
            "|---|---|",
            *lines,
            "",
        ]
    )


def _data(model: Any, facts: CardFacts) -> str:
    lines = []
    if facts.splits:
        lines += [f"- {name}: {told}" for name, told in facts.splits.items()]
    if isinstance(model, TrainedModel):
        lines.append(f"- {plain(model.pixels.told())}")
    names = model.classes.names if isinstance(model, TrainedModel) else getattr(model, "classes", None)
    if names:
        some = ", ".join(plain(name) for name in list(names)[:MOST_CLASSES])
        lines.append(f"- {len(names)} classes: {some}{', ...' if len(names) > MOST_CLASSES else ''}")
    return "\n".join(["## Data", "", *lines, ""]) if lines else ""


def _use(model: Any, facts: CardFacts) -> str:
    code = ["import wholenet", f'model = wholenet.load("{facts.place}")']
    if isinstance(model, TrainedModel):
        pixels = model.pixels
        kind = "uint8 [H, W, 3] RGB" if pixels.photo else f"{pixels.type} [H, W, {pixels.channels}]"
        code.append(f"mask = model.predict(image)  # {kind} -> uint8 [H, W] class indices")
    elif isinstance(model, TrainedClassifier):
        code.append("probabilities = model.predict([image])  # uint8 [H, W, 3] RGB each -> float32 [N, classes]")
    else:
        code.append("answers = model.predict(inputs)")
    shell = f"\nor `wholenet predict {facts.place} IMAGES --out masks/`" if isinstance(model, TrainedModel) else ""
    return "\n".join(["## Use", "", "```python", *code, "```", f"{shell} (`pip install 'wholenet[hub]'`).", ""])


def _made(facts: CardFacts) -> str:
    lines = [f"- {name}: {plain(str(value))}" for name, value in (facts.made or {}).items()]
    stem = dict(facts.stem or {})
    if stem:
        lines.append(
            f"- pretrained start: weights of {plain(stem.get('stem_weights', 'an encoder'))}, whose licence is "
            f"{plain(stem.get('stem_licence', 'not stated'))}; what it asks for holds for this model too"
        )
    if facts.licence == UNKNOWN:
        lines.append("- licence: its maker has not said one")
    return "\n".join(["## Making", "", *lines, f"- wholenet: {VERSION}", ""])


def plain(text: str) -> str:
    """``text`` where Markdown would take some of its letters for marks.

    >>> plain("a|b <c>")
    'a\\\\|b &lt;c>'
    """
    for mark in "\\`*_[]|":
        text = text.replace(mark, f"\\{mark}")
    return " ".join(text.replace("<", "&lt;").split())
