"""Floors and scores of language models: Kneser-Ney against its formula written out, and windows of any length."""

import math
import random
from collections import Counter

import pytest
import torch
from torch.nn.functional import cross_entropy

from wholenet.data.text.texts import open_texts
from wholenet.spaces.catalog import create_model
from wholenet.spaces.recurrent.genotype import PUBLISHED, random_cell
from wholenet.spaces.recurrent.window import Window
from wholenet.tasks.ngram import KneserNey
from wholenet.tasks.perplexity import Surprise, parts_of, surprise, surprises

TEXT = [int(4 * random.Random(7 * n).random() ** 2) for n in range(60)]
WORDS = 5  # the last one never comes


def direct(text, word, before, order, highest):
    """The formula, by counting anew each time: no tables."""
    if order == 0:
        return 1 / WORDS
    context = tuple(before)[len(before) - (order - 1) :]
    lower = direct(text, word, context[1:], order - 1, False)
    grams = [tuple(text[i : i + order]) for i in range(len(text) - order + 1)]
    if highest:
        count = Counter(grams)
    else:  # how many different words stand before
        longer = {tuple(text[i : i + order + 1]) for i in range(len(text) - order)}
        count = Counter(gram[1:] for gram in longer)
    of = {gram: number for gram, number in count.items() if gram[:-1] == context}
    if not of:
        return lower
    total = sum(of.values())
    return max(of.get((*context, word), 0) - 0.75, 0) / total + 0.75 * len(of) / total * lower


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_kneser_ney_is_its_formula_and_its_probabilities_sum_to_one(order):
    model = KneserNey(TEXT, WORDS, order)
    source = random.Random(1)
    for _ in range(40):
        before = [source.randrange(WORDS) for _ in range(order - 1)]
        found = [model.probability(word, before) for word in range(WORDS)]
        assert sum(found) == pytest.approx(1, abs=1e-12)
        expected = [direct(TEXT, word, before, order, True) for word in range(WORDS)]
        assert found == pytest.approx(expected, abs=1e-12)


def test_the_perplexity_of_a_text_counts_every_token_after_the_end_of_a_line():
    model, text = KneserNey(TEXT, WORDS, 3), [0, 1, 4, 0]
    asked = [(0, [2]), (1, [2, 0]), (4, [0, 1]), (0, [1, 4])]
    nats = -sum(math.log(model.probability(word, before)) for word, before in asked)
    assert model.perplexity(text, start=2) == pytest.approx(math.exp(nats / 4))


@pytest.mark.parametrize("genotype", [None, "darts-rnn-v2", "lstm"])
def test_a_text_has_one_score_whatever_is_read_at_once(genotype):
    torch.manual_seed(0)
    model = create_model("recurrent", num_classes=9, units=5, genotype=PUBLISHED.get(genotype)).double()
    text = torch.randint(9, (101,))
    every = [surprises(model, text, 8, "cpu", window=window) for window in (35, 7, 1)]
    torch.testing.assert_close(every[0], every[1], atol=1e-12, rtol=0)
    torch.testing.assert_close(every[0], every[2], atol=1e-12, rtol=0)
    assert model.training  # it is as it was
    whole = surprise(model, text, 8, "cpu")
    assert (whole.tokens, whole.nats) == (101, pytest.approx(every[0].sum().item()))
    # In three parts all tokens are scored too; the first part is the same.
    three = surprises(model, text, 8, "cpu", parts=3)
    assert len(three) == 101
    torch.testing.assert_close(three[:34], every[0][:34], atol=1e-12, rtol=0)
    assert not torch.allclose(three[34:], every[0][34:])


def test_a_uniform_model_is_as_perplexed_as_it_has_words():
    model = create_model("recurrent", num_classes=8, units=3)
    with torch.no_grad():
        model.net.embedding.zero_()
    found = surprise(model, torch.randint(8, (50,)), 0, "cpu")
    assert found.perplexity == pytest.approx(8, rel=1e-6)
    assert found.bits_per_word == pytest.approx(3, rel=1e-6)


def test_perplexity_beyond_numbers_is_infinite_and_short_texts_are_one_part():
    assert Surprise(1e6, 1).perplexity == math.inf
    assert [parts_of(n) for n in (1, 1999, 2000, 10**7)] == [1, 1, 2, 10]


def test_the_penn_treebank_has_the_counts_and_floors_that_others_found(ptb_small):
    texts = open_texts(ptb_small)
    assert (len(texts.vocabulary), texts.found.once) == (5792, 2038)
    found = {name: (texts.lines[name], len(part.tokens), part.unseen) for name, part in texts.splits.items()}
    assert found == {"train": (3033, 66_481, 0), "val": (337, 7279, 343), "test": (3761, 82_430, 3669)}
    end = texts.vocabulary.index["<eos>"]
    train, val = (texts.splits[name].tokens.tolist() for name in ("train", "val"))
    test = texts.splits["test"].tokens.tolist()
    for order, *perplexities in (1, 436.45, 443.46), (2, 170.86, 211.95), (3, 154.29, 203.7), (4, 152.1, 207.18):
        model = KneserNey(train, 5792, order)
        for text, perplexity in zip((val, test), perplexities, strict=True):
            assert model.perplexity(text, end) == pytest.approx(perplexity, abs=0.005)
    # Elsewhere each text began with three ends of lines; a cell is told of one, and so are these models (152.10).
    padded = KneserNey([end] * 3 + train, 5792, 4)
    val = [end] * 3 + val
    nats = -sum(math.log(padded.probability(val[place], val[place - 3 : place])) for place in range(3, len(val)))
    assert math.exp(nats / (len(val) - 3)) == pytest.approx(152.11, abs=0.005)


def test_a_cell_learns_a_language_that_cannot_be_known_from_the_last_word_alone():
    """a b a c, over and over: what comes after a, the state has to tell. Knowing the last word alone, half of the words
    would be one of two."""
    torch.manual_seed(0)
    no_dropout = dict.fromkeys(("drop_words", "drop_embedding", "drop_cell_input", "drop_hidden", "drop_output"), 0.0)
    cell = random_cell(0)
    model = create_model("recurrent", num_classes=4, in_channels=1, genotype=cell, units=16, **no_dropout)
    with torch.no_grad():
        for matrix in model.net.cell.parameters():
            matrix.mul_(10)  # it is to learn in seconds
    text = torch.tensor([0, 1, 0, 2] * 12)
    columns = torch.stack([text[first : first + 41] for first in range(4)])
    optimizer = torch.optim.Adam(model.net.parameters(), lr=0.05)
    hidden = None
    for step in range(100):
        first = step % 5 * 8
        reading = model(Window(columns[:, first : first + 8], hidden if first else None))
        hidden = reading.hidden.detach()  # the state goes on, its gradient does not
        loss = cross_entropy(reading.logits.flatten(0, 1), columns[:, first + 1 : first + 9].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    last_word_alone = KneserNey(text.tolist() * 20, 4, 2).perplexity(text.tolist(), 2)
    assert last_word_alone == pytest.approx(2**0.5, rel=0.01)
    assert surprise(model, text, 2, "cpu").perplexity < 1.3 < last_word_alone
