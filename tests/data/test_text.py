"""Texts: what is read, what is refused in which words, the vocabulary, and windows that cover a text."""

import numpy as np
import pytest
import torch

from wholenet.data.sample import DataError
from wholenet.data.text import files as files_module
from wholenet.data.text.files import find_texts, looks_like_text, read_lines
from wholenet.data.text.texts import open_texts
from wholenet.data.text.vocabulary import find_vocabulary, vocabulary_from
from wholenet.data.text.windows import Walk, in_columns, lengths

LINES = ["the cat sat on the mat", "a dog sat on the cat", "the dog and the cat sat"]


def written(folder, **splits):
    folder.mkdir(exist_ok=True)
    for name, lines in splits.items():
        (folder / f"{name}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def test_the_vocabulary_is_of_train_alone_the_most_frequent_first_and_words_that_are_there_once_stand_for_unknown(
    tmp_path,
):
    texts = open_texts(written(tmp_path / "t", train=LINES, val=["the bird sat"], test=["the cat", ""]))
    words = texts.vocabulary.words
    # mat, a and and are there once; <eos> as often as there are lines.
    assert words == ("the", "cat", "sat", "<eos>", "on", "dog", "<unk>")
    assert (texts.found.types, texts.found.once, texts.found.replaced) == (9, 3, 3)
    assert texts.splits["val"].tokens.tolist() == [0, 6, 2, 3]
    assert texts.splits["val"].unseen == 1
    assert texts.splits["test"].tokens.tolist() == [0, 1, 3, 3]
    assert texts.vocabulary.decode(texts.splits["test"].tokens.tolist()) == "the cat\n\n"
    assert any("1 of 4 tokens (25.00 %)" in note and note.endswith("'bird'") for note in texts.notes)


def test_where_train_has_unk_all_its_words_are_known_and_so_many_with_vocab():
    lines = [line.split() for line in [*LINES, "<unk> sat"]]
    assert len(find_vocabulary(lines).vocabulary) == 10
    small = find_vocabulary(lines, 4)
    assert small.vocabulary.words == ("the", "sat", "<eos>", "<unk>")
    assert small.replaced == 6


def test_a_tenth_of_the_lines_is_held_out_where_there_is_no_val_and_that_is_said(tmp_path):
    (tmp_path / "one.txt").write_text("".join(f"the word {n % 3} is {n % 5}\n" for n in range(40)))
    texts = open_texts(tmp_path / "one.txt")
    assert texts.lines == {"train": 36, "val": 4}
    assert "the last 4 of 40 lines" in texts.notes[0]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"good words\n\xff\xfe here", r"byte 11 is no UTF-8"),
        (b"a\0b\0", "byte 1 is NUL"),
        (b"", "is empty: it has 0 bytes"),
        (b" \n\n", "is empty: it has 3 bytes and no word"),
    ],
)
def test_what_is_no_text_is_refused_with_its_place(tmp_path, content, said):
    (tmp_path / "train.txt").write_bytes(content)
    with pytest.raises(DataError, match=rf"train\.txt .*{said}"):
        open_texts(tmp_path)


def test_texts_are_known_by_their_files_and_lists_of_images_are_none(tmp_path):
    folder = written(tmp_path / "t", train=LINES)
    assert looks_like_text(folder)
    assert looks_like_text(folder / "train.txt")
    assert not looks_like_text(tmp_path)
    (folder / "a.png").touch()
    assert not looks_like_text(folder)
    (folder / "a.png").rename(folder / "images")
    assert looks_like_text(folder)
    (folder / "images").unlink()
    (folder / "images").mkdir()
    assert not looks_like_text(folder)
    assert looks_like_text(written(tmp_path / "u", val=LINES))  # whose train.txt is missed then
    assert not looks_like_text(tmp_path / "nothing")


def test_words_of_a_text_are_shown_escaped(tmp_path):
    notes = open_texts(written(tmp_path / "t", train=LINES, val=["\x1b[2J cat"])).notes
    assert [note for note in notes if "\\x1b[2J" in note]
    assert not [note for note in notes if "\x1b" in note]


def test_a_file_beyond_the_limit_a_pipe_and_a_folder_without_text_are_refused(tmp_path, monkeypatch):
    (tmp_path / "a.txt").write_text("a b\n")
    monkeypatch.setattr(files_module, "MOST_BYTES", 3)
    with pytest.raises(DataError, match="4 bytes; expected at most 3"):
        read_lines(tmp_path / "a.txt")
    with pytest.raises(DataError, match=r"has no train\.txt \(it has a\.txt\)"):
        open_texts(tmp_path)
    with pytest.raises(DataError, match="is not there"):
        open_texts(tmp_path / "nothing")
    with pytest.raises(DataError, match="planes is a data set for stereo, and text is needed"):
        find_texts("planes")
    with pytest.raises(DataError, match="nothing is not there; give a text file"):
        read_lines(tmp_path / "nothing")
    with pytest.raises(DataError, match=r"is a folder; give a text file, for example .*a\.txt"):
        read_lines(tmp_path)


@pytest.mark.parametrize(
    ("splits", "said"),
    [
        ({"train": ["a b c a b c"]}, "is one line of 6 words, of which none can be held out"),
        ({"train": LINES, "valid": LINES, "val": LINES}, r"valid\.txt and val\.txt are both"),
        ({"train": ["a", "b"], "val": ["a"]}, "2 different word"),
    ],
)
def test_texts_that_nothing_can_be_learned_from_are_refused(tmp_path, splits, said):
    with pytest.raises(DataError, match=said):
        open_texts(written(tmp_path / "t", **splits))


@pytest.mark.parametrize(
    ("splits", "said"),
    [
        ({"train": [" ".join(LINES * 100)], "val": LINES}, "train is one sentence of 1,800 words"),
        ({"train": [f"Cats{n}, dogs sit." for n in range(9)], "val": ["dogs"]}, r"seems not to be tokenised"),
        ({"train": LINES, "val": [LINES[0], "the cat"]}, "100 % of the lines of val are in train too"),
    ],
)
def test_odd_texts_are_warned_of(tmp_path, splits, said):
    notes = open_texts(written(tmp_path / "t", **splits)).notes
    assert [note for note in notes if note.startswith("warning: ") and said.replace("\\", "") in note]
    ordinary = open_texts(written(tmp_path / "o", train=LINES, val=["the cat and the dog sat"])).notes
    assert not [note for note in ordinary if note.startswith("warning")]


def test_a_text_shorter_than_its_columns_is_refused_with_the_batch_that_works():
    with pytest.raises(DataError, match=r"has 7 tokens, and a batch of 4 columns needs 8.*--batch 3"):
        in_columns(torch.arange(7), 4, "train")
    with pytest.raises(DataError, match=r"4 columns in each of 2 processes needs 16; .* works is 3: give --batch 3"):
        in_columns(torch.arange(15), 4, "train", processes=2)
    assert torch.equal(in_columns(torch.arange(9), 2, "train", processes=2), in_columns(torch.arange(9), 4, "train"))
    assert in_columns(torch.arange(9), 4, "train").tolist() == [[0, 1], [2, 3], [4, 5], [6, 7]]


@pytest.mark.parametrize("vary", [False, True])
@pytest.mark.parametrize(("rows", "window"), [(1, 5), (35, 35), (36, 35), (400, 7), (90, 1)])
def test_windows_follow_each_other_and_cover_a_pass(rows, window, vary):
    columns = torch.arange(2 * (rows + 1)).view(2, rows + 1)
    walk = Walk(columns, window, vary, 3)
    for turn in range(3):
        tokens, targets = zip(*(walk[turn * len(walk) + place] for place in range(len(walk))), strict=True)
        assert torch.equal(torch.cat(tokens, 1), columns[:, :-1])
        assert torch.equal(torch.cat(targets, 1), columns[:, 1:])
        assert all(part.shape[1] for part in tokens)
    assert torch.equal(walk[2][0], Walk(columns, window, vary, 3)[2][0])  # a function of its number


def test_windows_vary_as_awd_lstm_draws_them_and_are_others_in_each_pass():
    many = lengths(200_000, 35, vary=True, seed=0, turn=0)
    short = sum(length < 24 for length in many) / len(many)
    assert 0.03 < short < 0.08
    # A mean of 34.1 is stretched to fill 35 rows a window.
    assert 34.9 < sum(many) / len(many) <= 35
    assert max(many) <= 57
    assert many != lengths(200_000, 35, vary=True, seed=0, turn=1) != lengths(200_000, 35, vary=True, seed=1, turn=1)


def test_windows_spread_as_those_of_awd_lstm_do():
    """Its code draws max(5, int(normal(35, 5))), around 17.5 for one in twenty; here the same are stretched to a mean
    of 35."""
    chance, shares = np.random.default_rng(5), (0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98)
    middles = np.where(chance.random(100_000) < 0.05, 17.5, 35)
    drawn = np.maximum(5, chance.normal(middles, 5).astype(int))
    theirs = np.quantile(drawn * (35 / drawn.mean()), shares)
    found = np.array(lengths(700_000, 35, vary=True, seed=0, turn=0))
    assert np.abs(np.quantile(found, shares) - theirs).max() < 1.1  # both are of whole tokens
    # The variance of the mixture, stretched, and that of rounding both ends.
    exact = 25 * (34 / 33.125) ** 2 + 0.05 * 0.95 * (17.5 * 34 / 33.125) ** 2 + 1 / 6
    assert found.var() == pytest.approx(exact, rel=0.04)


def test_windows_of_a_search_are_whole_or_half():
    """Stretched to fill the pass, by one mean in all: 35 * 0.95 + 17 * 0.05 = 34.1."""
    found = np.array(lengths(200_000, 35, vary=True, seed=0, turn=0, spread=0.0))
    assert found.sum() == 200_000
    assert set(found) <= {17, 18, 35, 36, 37}
    assert 0.03 < (found < 20).mean() < 0.08


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("a b", "expected a list"),
        (["a", "<eos>"], "expected a list"),
        (["a", "b", "<eos>"], "has no <unk>"),
        (["a", "a", "<eos>", "<unk>"], "a word twice"),
        (["a b", "<eos>", "<unk>"], "words without blanks"),
        ([1, "<eos>", "<unk>"], "words without blanks"),
        (["a" * 1001, "<eos>", "<unk>"], "words without blanks"),
    ],
)
def test_a_vocabulary_of_anybodys_is_checked(words, said):
    with pytest.raises(ValueError, match=said):
        vocabulary_from(words, "vocabulary")
