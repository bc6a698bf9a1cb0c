"""A trained language model, and what its model folder says besides the network."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import torch

from wholenet.data.sample import DataError
from wholenet.data.text.files import Lines, read_lines
from wholenet.data.text.texts import read_splits
from wholenet.data.text.vocabulary import END, Encoded, Vocabulary, vocabulary_from
from wholenet.deploy.answer import AnswerKind
from wholenet.file_keys import check_keys
from wholenet.files import check_output
from wholenet.spaces.recurrent.window import Window
from wholenet.spaces.supernet import Supernet
from wholenet.tasks.ngram import MOST_TOKENS, KneserNey
from wholenet.tasks.perplexity import Surprise, surprise, surprises

ORDERS = {"Kneser-Ney of order 3": 3, "unigram": 1}
"""Floors: what people call them, and their order."""
SHOWN_ORDER = 3
LINES, FIRST_WORDS = 5, 400
"""Of a picture of words: lines, and tokens at the beginning of a text that they are of."""
SHORTEST_LINE = 5
"""Words of a line, where there are such."""
COLUMNS = ("line", "tokens", "unseen", "nats", "perplexity")


def floors_of(train: Encoded, asked: Encoded, vocabulary: Vocabulary) -> dict[str, float]:
    """Perplexity of a text to models that count words in the training text, of the same vocabulary; none where that is
    too long to be counted."""
    if len(train.tokens) > MOST_TOKENS:
        return {}
    counted, text, end = train.tokens.tolist(), asked.tokens.tolist(), vocabulary.index[END]
    return {name: KneserNey(counted, len(vocabulary), order).perplexity(text, end) for name, order in ORDERS.items()}


def surprise_of_lines(
    model: Supernet[Any], train: Encoded, asked: Encoded, vocabulary: Vocabulary, device: torch.device
) -> list[LineOfWords]:
    """A few lines of a text word by word: evenly spaced ones of its beginning, each given all before it.

    Args:
        model: the network.
        train: where Kneser-Ney counts; not where that is too long.
        asked: the text.
        vocabulary: of both.
        device: where the model is.
    """
    end = vocabulary.index[END]
    tokens = asked.tokens[:FIRST_WORDS]
    if end in tokens.tolist():
        tokens = tokens[: int((tokens == end).nonzero()[-1]) + 1]
    network = surprises(model, tokens, end, device).tolist()
    counted: list[float] | None = None
    if len(train.tokens) <= MOST_TOKENS:
        counting = KneserNey(train.tokens.tolist(), len(vocabulary), SHOWN_ORDER)
        counted = list(counting.surprises(tokens.tolist(), end))
    ends = [place + 1 for place, token in enumerate(tokens.tolist()) if token == end] or [len(tokens)]
    spans = [(a, b) for a, b in zip([0, *ends], ends, strict=False)]
    spans = [(a, b) for a, b in spans if b - a > SHORTEST_LINE] or spans
    chosen = [spans[round(place)] for place in torch.linspace(0, len(spans) - 1, min(LINES, len(spans))).tolist()]
    bits = 1 / math.log(2)
    return [
        LineOfWords(
            [vocabulary.words[token] for token in tokens[a:b].tolist()],
            [bits * value for value in network[a:b]],
            None if counted is None else [bits * value for value in counted[a:b]],
        )
        for a, b in chosen
    ]


@dataclass(frozen=True)
class LanguageScores:
    """What a text is to a language model. Perplexities of other vocabularies, or other texts, do not compare."""

    surprise: Surprise
    unseen: int
    """Tokens that are not in the vocabulary."""
    words: int
    """In the vocabulary."""
    floors: Mapping[str, float] = field(default_factory=dict)
    """Perplexities of models that count, where there was a text to count in."""
    how: tuple[str, ...] = ()
    """How the text was divided, where it was not."""

    @property
    def perplexity(self) -> float:
        """All tokens counted, the ends of lines among them."""
        return self.surprise.perplexity

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "perplexity": self.perplexity,
            "bits_per_word": self.surprise.bits_per_word,
            "tokens": self.surprise.tokens,
            "unseen": self.unseen,
            "vocabulary": self.words,
            "floors": dict(self.floors),
        }

    def lines(self) -> list[str]:
        """For people to read."""
        whole, width = self.surprise, max(map(len, ("bits per word", *self.floors)))
        share = 100 * self.unseen / whole.tokens
        return [
            *self.how,
            f"{'perplexity':{width}}  {whole.perplexity:8.2f}   of {whole.tokens:,} tokens, {self.words:,} words "
            f"known, {share:.2f} % of the tokens unseen",
            f"{'bits per word':{width}}  {whole.bits_per_word:8.3f}",
            *(
                f"{name:{width}}  {value:8.2f}   counted in train, the same words"
                for name, value in self.floors.items()
            ),
        ]


class LineOfWords(NamedTuple):
    """A line word by word."""

    words: list[str]
    network: list[float]
    """Surprise of each to the network, in bits."""
    counted: list[float] | None
    """To Kneser-Ney; None where it was not counted."""


class LineSurprise(NamedTuple):
    """Of a line, given all lines before it."""

    line: int
    """From 1."""
    tokens: int
    """Its end among them."""
    unseen: int
    nats: float
    perplexity: float


@dataclass(frozen=True)
class TrainedLanguageModel:
    """A network with all that it takes to use it."""

    network: Supernet[Any]
    """In eval mode."""
    vocabulary: Vocabulary
    device: torch.device
    what: ClassVar[str] = "a language model"

    def evaluate(self, data: str | Path, split: str = "val") -> LanguageScores:
        """Its scores on a split of a text, beside those of models that count words in the text's train.

        Raises:
            DataError: for what is no text, or a split that is not there.
        """
        lines, how = read_splits(data)
        if split not in lines:
            raise DataError(f"{data} has no {split} split; it has {', '.join(lines)}: give --split with one of them")
        asked = self.vocabulary.encode(lines[split])
        floors = floors_of(self.vocabulary.encode(lines["train"]), asked, self.vocabulary)
        told = tuple(map(str, how))
        return LanguageScores(self.score(asked), asked.unseen, len(self.vocabulary), floors, told)

    def score(self, text: Encoded) -> Surprise:
        """Of a text in its vocabulary."""
        return surprise(self.network, text.tokens, self.vocabulary.index[END], self.device)

    def predict(self, lines: Lines) -> list[LineSurprise]:
        """How surprising each line is, given all lines before it."""
        text = self.vocabulary.encode(lines)
        every = surprises(self.network, text.tokens, self.vocabulary.index[END], self.device)
        found, first = [], 0
        for number, line in enumerate(lines, 1):
            part = every[first : first + len(line) + 1]
            unseen = sum(word not in self.vocabulary.index for word in line)
            of = Surprise(part.sum().item(), len(part))
            found.append(LineSurprise(number, of.tokens, unseen, of.nats, of.perplexity))
            first += len(line) + 1
        return found

    @torch.no_grad()
    def sample(self, words: int, after: Lines = [], seed: int = 0) -> str:  # noqa: B006
        """A text of so many words, drawn one by one, that goes on where the lines ``after`` end.

        Args:
            words: tokens to draw, ends of lines among them.
            after: what comes before; nothing is the end of a line.
            seed: of the drawing.
        """
        end, chance = self.vocabulary.index[END], torch.Generator().manual_seed(seed)
        before = (
            torch.cat([torch.tensor([end]), self.vocabulary.encode(after).tokens]) if after else torch.tensor([end])
        )
        drawn: list[int] = []
        window = Window(before[None].to(self.device))
        for _ in range(words):
            reading = self.network(window)
            chances = reading.logits[0, -1].double().softmax(0).cpu()
            drawn.append(int(torch.multinomial(chances, 1, generator=chance)))
            window = Window(torch.tensor([drawn[-1:]], device=self.device), reading.hidden)
        return self.vocabulary.decode(drawn)


def write_surprises(model: TrainedLanguageModel, texts: Sequence[str | Path], out: str | Path) -> LanguageScores:
    """Write a table with a row for each line of some text files, and say what they come to together.

    Raises:
        DataError: for a file that is no text.
        ValueError: if there is something in the place of ``out``, or nothing can be written there.
    """
    target = Path(out)
    if target.exists() or target.is_symlink():
        raise ValueError(f"{target} is there already; choose another --out, for example scores.csv")
    check_output(target)
    read = {str(path): read_lines(Path(path)) for path in texts}
    found = {path: model.predict(lines) for path, lines in read.items()}
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = ("file",) if len(found) > 1 else ()
    with target.open("x", newline="", encoding="utf-8", errors="backslashreplace") as file:
        writer = csv.writer(file)
        writer.writerow([*beside, *COLUMNS])
        for path, lines in found.items():
            own = (path,) if beside else ()
            writer.writerows([*own, *line[:3], f"{line.nats:.4f}", f"{line.perplexity:.4f}"] for line in lines)
    every = [line for lines in found.values() for line in lines]
    whole = Surprise(sum(line.nats for line in every), sum(line.tokens for line in every))
    return LanguageScores(whole, sum(line.unseen for line in every), len(model.vocabulary))


def language_answer(vocabulary: Vocabulary) -> dict[str, Any]:
    """What :func:`wholenet.deploy.model_folder.save_model` takes."""
    return {"vocabulary": list(vocabulary.words)}


def _read(values: Mapping[str, Any], where: str) -> Vocabulary:
    check_keys(values, {"vocabulary": list}, where, only=True)
    return vocabulary_from(values["vocabulary"], f"{where}, vocabulary")


LANGUAGE: AnswerKind[Vocabulary] = AnswerKind(
    model="language model",
    read=_read,
    outputs=len,
    channels=lambda _: 1,
    predictor=TrainedLanguageModel,
    card=lambda vocabulary: [
        f"- vocabulary: {len(vocabulary):,} words; others count as <unk>",
        "",
        "```sh",
        "wholenet predict THIS_FOLDER text.txt --out scores.csv",
        "```",
    ],
)
