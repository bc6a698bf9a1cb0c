"""What a run on a text comes to: windows that are read on where the last ones ended, perplexity, and its floors.

Source: DARTS' recurrent code (quark0/darts, folder rnn), itself AWD-LSTM's; docs/language.md has what is other.

Letters: B columns of text, T tokens of a window, V words, n units.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from rich.console import Console
from torch import Tensor

from wholenet import parallel
from wholenet.data.finding import refuse_errors
from wholenet.data.text.review import SEARCH_SHARE, UNITS_OF_A_SEARCH, of_memory
from wholenet.data.text.texts import Texts, open_texts
from wholenet.data.text.vocabulary import END
from wholenet.data.text.windows import Walk, divided, fingerprint, in_columns
from wholenet.deploy.language import LANGUAGE as ANSWER
from wholenet.deploy.language import floors_of, language_answer, surprise_of_lines
from wholenet.jobs.language_settings import LanguageSettings
from wholenet.jobs.task import Counted, Task, Watched, settings_of
from wholenet.report.progress import plain
from wholenet.report.surprise import SURPRISE, draw_surprise
from wholenet.run import Scored
from wholenet.search.averaged_sgd import averaging, brings_nothing, is_averaging
from wholenet.search.draw import batch_of_all
from wholenet.search.phases import Phase
from wholenet.search.schedule import Schedule
from wholenet.search.state import TrainState
from wholenet.search.steps import Batch, Loss
from wholenet.search.task_config import TaskConfig
from wholenet.search.updates import Batches, Parts
from wholenet.spaces.recurrent.window import Reading, Window
from wholenet.spaces.space import Facts
from wholenet.spaces.supernet import Supernet
from wholenet.tasks.pace import Pace
from wholenet.tasks.perplexity import PERPLEXITY, surprise

SEARCH = {"method": "darts", "epochs": 50, "batch": 256, "weight_decay": 5e-7, "warmup_share": 0.0, "search_share": 1.0}
"""Of a search, as DARTS' recurrent code has it."""
TRAINING = {"epochs": 300, "batch": 64, "weight_decay": 8e-7, "average_after": 5}
"""Of a cell that was found, likewise; its code trains for as long as it gets better, at most 8,000 epochs."""
UNITS = {"units": 850, "drop_words": 0.1}
"""And of its network."""
ADAM = {"lr": 4e-3, "momentum": 0.9, "weight_decay": 0.0}
SGD = {"lr": 20.0, "momentum": 0.0}


class TextStreams:
    """The two streams of a run: window k of each is always the same; the state between them is the run's. Where several
    processes train, ``walks`` are over the columns of all, of which each reads its own."""

    def __init__(self, walks: Mapping[str, Walk], device: torch.device) -> None:
        self.walks = walks
        self.device = device

    def epoch(self, state: TrainState, phase: Phase) -> tuple[Batches, Batches]:
        """The windows of the epoch to come: for the weights, and for the architecture."""
        del phase
        return self._from("weights", state.weight_steps), self._from("architecture", state.arch_steps)

    def names(self, stream: str, number: int) -> list[str]:
        """Where a window is."""
        walk = self.walks.get(stream, self.walks["weights"])
        first, end = walk.place(number)
        return [f"words {first + 1} to {end} of each of the {len(walk.columns)} columns of text for the {stream}"]

    def one(self, stream: str, number: int, epoch: int) -> Batch:  # noqa: ARG002
        """Window ``number`` of a stream, on the device, read from a state of zeros."""
        tokens, targets = map(parallel.own_rows, self.walks.get(stream, self.walks["weights"])[number])
        return Batch(Window(tokens), targets).to(self.device)

    def _from(self, stream: str, first: int) -> Batches:
        number = first
        while True:
            tokens, targets = map(parallel.own_rows, self.walks[stream][number])
            yield Window(tokens), targets
            number += 1


@dataclass
class TextData:
    """A text, divided; a :class:`wholenet.jobs.task.Data`."""

    texts: Texts
    settings: LanguageSettings
    weights: Tensor
    """int64 [N]: what the weights learn from."""
    architecture: Tensor
    _floors: dict[str, float] = field(default_factory=dict)

    def network(self) -> Facts:
        """As many outputs as there are words."""
        return Facts(len(self.texts.vocabulary), 1)

    def size(self) -> None:
        """There are no images."""

    def steps_per_epoch(self, batch: int) -> int:
        """Windows in a pass over ``batch`` columns."""
        return len(self._walk(self.weights, batch, 0))

    def pace(self, config: TaskConfig) -> Pace:
        """Tokens of a window, of which each column has one in a step."""
        walk = self._walk(self.weights, batch_of_all(config), config.seed)
        return Pace("tokens", walk.rows / len(walk))

    def streams(self, config: TaskConfig, schedule: Schedule, device: torch.device) -> TextStreams:
        """What is read."""
        del schedule
        columns = batch_of_all(config)
        weights = self._walk(self.weights, columns, config.seed)
        if config.genotype is None:  # DARTS' search draws whole and half windows alone
            weights = replace(weights, spread=0.0)
        own = replace(self._walk(self.architecture, columns, config.seed), vary=False)
        return TextStreams({"weights": weights, "architecture": own}, device)

    def _walk(self, tokens: Tensor, batch: int, seed: int) -> Walk:
        columns = in_columns(tokens, batch, "what is learned from")
        return Walk(columns, self.settings.window, self.settings.vary_windows, seed)

    def loss(self, config: TaskConfig, device: torch.device) -> Loss:  # noqa: ARG002
        """Cross-entropy, a mean over tokens."""
        return next_word_loss

    def score(self, model: Supernet[Any], device: torch.device) -> Scored:
        """Perplexity of the validation text, all its tokens counted."""
        val = self.texts.splits["val"]
        found = surprise(model, val.tokens, self.texts.vocabulary.index[END], device)
        return Scored({PERPLEXITY.name: found.perplexity}, None, found.perplexity)

    def constant(self) -> float | None:
        """That of the unigram: words by how often they are."""
        return self.floors().get("unigram")

    def floors(self) -> Mapping[str, float]:
        """Perplexities of the validation text to models that count; counted once."""
        if not self._floors:
            splits = self.texts.splits
            self._floors |= floors_of(splits["train"], splits["val"], self.texts.vocabulary)
        return dict(self._floors)

    def classes(self) -> None:
        """Nothing is told apart."""

    def watched(self) -> Watched:
        """No class can be missed."""
        return Watched()

    def answer(self, config: TaskConfig) -> Mapping[str, Any]:  # noqa: ARG002
        """The words."""
        return language_answer(self.texts.vocabulary)

    def facts(self) -> dict[str, Any]:
        """Lines, tokens, words that are not known, by split; and what models that count come to."""
        return {**self.unchanged(), "floors": dict(self.floors())}

    def unchanged(self) -> dict[str, Any]:
        """What a continued run must find again, by split."""
        found = {
            name: {
                "lines": self.texts.lines[name],
                "tokens": len(part.tokens),
                "unseen": part.unseen,
                "text": fingerprint(part.tokens),
            }
            for name, part in self.texts.splits.items()
        }
        words = self.texts.vocabulary.words
        found["train"] |= {"words": len(words), "vocabulary": hashlib.sha256(" ".join(words).encode()).hexdigest()[:16]}
        return found

    def undivided(self) -> TextData:
        """The same, where the weights learn from all of train."""
        return replace(self, weights=self.texts.splits["train"].tokens)

    def draw(self, folder: Path, model: Supernet[Any], device: torch.device) -> None:
        """How surprising the words of a few lines of the validation text are, to the network and to Kneser-Ney."""
        splits, vocabulary = self.texts.splits, self.texts.vocabulary
        lines = surprise_of_lines(model, splits["train"], splits["val"], vocabulary, device)
        draw_surprise(folder / SURPRISE, lines, "Words of the text held out, and how surprising each is")


def prepare(config: TaskConfig, console: Console) -> TextData:
    """Read and divide the text of a run.

    Raises:
        DataError: for a text that cannot be learned from.
        ValueError: for a batch that does not do.
    """
    settings = settings_of(LANGUAGE, config)
    texts = open_texts(config.data, settings.vocab)
    say = plain(console)
    counts = ", ".join(f"{name} {len(part.tokens):,}" for name, part in texts.splits.items())
    say(f"{config.data} is read as text: tokens {counts}; {len(texts.vocabulary):,} words are known")
    for note in texts.notes:
        say(note)
    check_memory(len(texts.vocabulary), config)
    train = texts.splits["train"].tokens
    weights = architecture = train
    if config.split == "disjoint" and config.moves_architecture:
        if settings.arch_text == "val":
            architecture = texts.splits["val"].tokens
        else:
            weights, architecture = divided(train, config.weights_share, texts.vocabulary.index[END])
    for what, tokens in (("the text for the weights", weights), ("the text for the architecture", architecture)):
        in_columns(tokens, config.batch, what, parallel.processes())
    if config.genotype is None and batch_of_all(config) < 2:
        raise ValueError("batch=1: the search cell's BatchNorm needs at least 2 columns; give --batch 2 or more")
    return TextData(texts, settings, weights, architecture)


def check_memory(words: int, config: TaskConfig) -> None:
    """Make sure that embedding and decoder can be trained in the machine's memory.

    Raises:
        DataError: if they cannot.
    """
    units = int(config.settings.get("units", UNITS_OF_A_SEARCH))
    window = int(config.task_settings.get("window", LanguageSettings.window))
    if config.device != "cuda":
        refuse_errors(of_memory(words, units=units, batch=config.batch, window=window), config.data)


def next_word_loss(reading: Reading, targets: Tensor) -> Tensor:
    """Cross-entropy of the words [B, T] that come next, in nats, a mean; where several processes train, each one's part
    of the mean over all their words, of which they have equally many: the parts sum to it."""
    logits = reading.logits.flatten(0, 1)
    wide = logits.float() if logits.dtype in (torch.bfloat16, torch.float16) else logits
    return F.cross_entropy(wide, targets.flatten()) / parallel.processes()


@dataclass(frozen=True)
class SlownessLoss:
    """:func:`next_word_loss`, and ``strength`` times the mean square of how far states move from word to word
    (AWD-LSTM's temporal activation regularisation)."""

    strength: float

    def __call__(self, reading: Reading, targets: Tensor) -> Tensor:
        """A scalar."""
        value = next_word_loss(reading, targets)
        if reading.states.shape[1] < 2:
            return value
        moved = reading.states.diff(dim=1).square().mean() / parallel.processes()
        return value + self.strength * moved


def parts(own: Parts, data: TextData, config: TaskConfig, device: torch.device) -> Parts:
    """Clipping, the penalty of weight steps, and rates that follow the length of a window."""
    del device
    settings = data.settings

    def rate(state: TrainState, batch: Batch) -> float:
        scaled = config.optimizer == "sgd" and not is_averaging(state.weight_optimizer)
        return batch.targets.shape[1] / settings.window if scaled else 1.0

    slow = SlownessLoss(settings.slowness)
    weight_loss = (lambda _batch: slow) if settings.slowness else None
    return replace(own, clip=settings.clip, virtual_clip=settings.clip, weight_loss=weight_loss, rate=rate)


def after_epoch(state: TrainState, config: TaskConfig) -> None:
    """Let SGD give way to averaged SGD, where it brings nothing more."""
    patience = settings_of(LANGUAGE, config).average_after
    if not patience or config.optimizer != "sgd" or is_averaging(state.weight_optimizer):
        return
    scores = [record.get(PERPLEXITY.name) for record in state.records]
    if scores[-1] is not None and brings_nothing([score for score in scores if score is not None], patience):
        state.weight_optimizer = averaging(state.weight_optimizer)


def recipe(given: Mapping[str, Any]) -> dict[str, Any]:
    """The source's values for a search, or for the training of a cell."""
    found: dict[str, Any] = {"space": "recurrent", "lr_schedule": "constant"}
    if given.get("genotype") is not None:
        found |= TRAINING | (UNITS if given.get("space", "recurrent") == "recurrent" else {})
    else:
        found |= {**SEARCH, "arch_lr": 3e-3, "arch_weight_decay": 1e-3, "weights_share": SEARCH_SHARE}
        if given.get("architecture") == "uniform":
            found |= {"method": "single-stage"}
    return found | (ADAM if given.get("optimizer") == "adamw" else SGD)


LANGUAGE = Task(
    name="language",
    settings=LanguageSettings,
    prepare=prepare,
    score=PERPLEXITY,
    answer=ANSWER,
    unscored={PERPLEXITY.name: None},
    recipe=recipe,
    parts=parts,
    floors=TextData.floors,
    pace=TextData.pace,
    counted=Counted(
        one="one word, of a vocabulary of {outputs:,}",
        outputs=10_000,  # of the Penn Treebank
        no_size="reads text, whose words are counted one by one",
    ),
    after_epoch=after_epoch,
)
