"""Runs on texts: searched, continued to the bit in mid-epoch with the state that is carried, decoded, trained from
scratch, scored, asked; and by every method that has a meaning there."""

import csv
import json
import math
import random
import shutil
from pathlib import Path

import pytest
import torch
from torch.nn.functional import cross_entropy

import wholenet
from run_files import PICTURES, assert_equal, checkpoint, records, stop_after, untimed
from wholenet.cli import main
from wholenet.data.sample import DataError
from wholenet.data.text.texts import open_texts
from wholenet.deploy.language import surprise_of_lines
from wholenet.deploy.model_folder import load_model
from wholenet.jobs.catalog import task_config
from wholenet.jobs.language import LanguageSettings, SlownessLoss, divided, next_word_loss
from wholenet.report.compare import as_table
from wholenet.search.averaged_sgd import averaging, has_average, put_average_into
from wholenet.search.early_stopping import RULES, StoppingRule
from wholenet.search.gradients import Bilevel, second_order
from wholenet.search.steps import Batch, make_optimizers
from wholenet.search.unrolled import VirtualStep
from wholenet.spaces.catalog import create_model
from wholenet.spaces.recurrent.space import RecurrentSettings
from wholenet.spaces.recurrent.window import Window
from wholenet.tasks.ngram import KneserNey
from wholenet.tasks.perplexity import surprises

WORDS = {"det": ("the", "a"), "noun": ("cat", "dog", "bird"), "verb": ("sees", "hears", "likes")}
MACHINE = {"device": "cpu", "threads": 1}
SMALL = {"units": 6, "batch": 4, "window": 7, "lr": 1.0, **MACHINE}
SEARCH = {"task": "language", "nodes": 2, "epochs": 3, "gradient": "first-order", "arch_lr": 0.05, **SMALL}


def sentences(count, seed):
    source = random.Random(seed)
    form = ("det", "noun", "verb", "det", "noun")
    return [" ".join(source.choice(WORDS[kind]) for kind in form) for _ in range(count)]


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    folder = tmp_path_factory.mktemp("text")
    for name, lines in (("train", 40), ("valid", 8), ("test", 8)):
        (folder / f"{name}.txt").write_text("\n".join(sentences(lines, name)) + "\n")
    return folder


@pytest.fixture(scope="module")
def search(text, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "search"
    with PICTURES:
        return out, wholenet.fit(text, out, **SEARCH)


def test_a_search_is_scored_beside_its_floors_and_draws_its_cell(search):
    out, found = search
    rows = records(out)
    assert found.learned.scores == rows[-1]["perplexity"]
    assert set(found.learned.floors) == {"Kneser-Ney of order 3", "unigram"}
    assert found.learned.constant == found.learned.floors["unigram"] < 11
    assert rows[0]["logits"] != rows[-1]["logits"]
    assert all((out / f"{name}.png").exists() for name in ("architecture", "curves", "entropy", "surprise"))
    facts = json.loads((out / "environment.json").read_text())
    assert facts["train"]["words"] == 10
    assert facts["floors"] == found.learned.floors
    assert facts["val"] == {"lines": 8, "tokens": 48, "unseen": 0, "text": facts["val"]["text"]}


def test_it_goes_on_to_the_bit_in_mid_epoch_with_the_state_that_was_carried(search, text, tmp_path):
    stop_after(5, lambda: wholenet.fit(text, tmp_path / "run", **SEARCH, checkpoint_minutes=0))
    saved = checkpoint(tmp_path / "run")
    assert saved["tally"]["steps"] not in (0, None)
    assert {name: tuple(state.shape) for name, state in saved["carried"].items()} == {
        "weights": (4, 6),
        "architecture": (4, 6),
    }
    assert all(state.abs().sum() > 0 for state in saved["carried"].values())
    wholenet.resume(tmp_path / "run")
    assert_equal(checkpoint(search[0]), checkpoint(tmp_path / "run"))
    assert untimed(records(search[0])) == untimed(records(tmp_path / "run"))


def test_it_goes_on_with_the_same_text_alone(search, text, tmp_path):
    copy = shutil.copytree(search[0], tmp_path / "run")
    other = shutil.copytree(text, tmp_path / "text")
    words = (other / "train.txt").read_text().replace("cat", "x").replace("dog", "cat").replace("x", "dog")
    (other / "train.txt").write_text(words)
    with pytest.raises(ValueError, match=r"the data of .* have changed since .*train vocabulary"):
        wholenet.resume(copy, data=other)


def test_verbs_ask_the_folder_what_it_is(search, text, tmp_path, capsys):
    out = search[0]
    main(["evaluate", str(out), str(text), "--json", str(tmp_path / "scores.json")])
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert scores["perplexity"] == pytest.approx(records(out)[-1]["perplexity"], rel=1e-5)
    assert scores["bits_per_word"] == pytest.approx(math.log2(scores["perplexity"]))
    said = capsys.readouterr().out
    assert "48 tokens, 10 words known, 0.00 % of the tokens unseen" in said
    assert "Kneser-Ney of order 3" in said
    assert wholenet.evaluate(out, text, "test").surprise.tokens == 48
    single = wholenet.evaluate(out, text / "test.txt")
    assert "the last 1 of 8 lines" in single.lines()[0]
    assert single.surprise.tokens == 6

    (tmp_path / "lines.txt").write_text("the cat sees a zebra\n\nthe dog\n")
    main(["predict", str(out), str(tmp_path / "lines.txt"), "--out", str(tmp_path / "s.csv")])
    assert "10 tokens at perplexity" in (told := capsys.readouterr().out)
    assert "(10 words known, 1 of the tokens are none of these)" in told
    rows = list(csv.DictReader((tmp_path / "s.csv").read_text().splitlines()))
    assert [(row["line"], row["tokens"], row["unseen"]) for row in rows] == [
        ("1", "6", "1"),
        ("2", "1", "0"),
        ("3", "3", "0"),
    ]
    model = wholenet.load(out, device="cpu")
    lines = [line.split() for line in ["the cat sees a zebra", "", "the dog"]]
    whole = model.score(model.vocabulary.encode(lines))
    assert sum(float(row["nats"]) for row in rows) == pytest.approx(whole.nats, abs=1e-3)
    assert math.exp(float(rows[0]["nats"]) / 6) == pytest.approx(float(rows[0]["perplexity"]), rel=1e-3)

    main(["predict", str(out), str(tmp_path / "lines.txt"), "--sample", "9", "--out", str(tmp_path / "s.txt")])
    assert (tmp_path / "s.txt").read_text() == model.sample(9, lines) + "\n"
    assert model.sample(9, lines) != model.sample(9, lines, seed=1)

    brief = wholenet.diagnose(out, out=tmp_path / "d", curvature=True)
    assert brief.supernet == pytest.approx(records(out)[-1]["perplexity"])
    assert brief.curvature.highest >= brief.curvature.lowest
    assert brief.curvature.images == 4
    assert (
        wholenet.diagnose(out, out=tmp_path / "d", curvature=True).curvature == brief.curvature
    )  # masks too are drawn
    page = wholenet.write_report(out, tmp_path / "page.html").read_text()
    kneser_ney = wholenet.read_run(out).floors["Kneser-Ney of order 3"]
    assert f"Kneser-Ney of order 3 has {kneser_ney:.4g}" in page
    assert f"a perplexity of {records(out)[-1]['perplexity']:.4g} (10 words known" in page
    assert "Lines of the text held out" in page
    assert page.count("data:image/png") == 4
    assert "images" not in page.split("Settings")[0].split("</style>")[1].replace("data:image", "")
    rows = wholenet.compare([out, out])
    assert rows[0]["perplexity"] == records(out)[-1]["perplexity"]
    assert as_table([{"genotype": None}, {"genotype": "lstm"}])[1] == [["-"], ["lstm"]]
    for given in (out, model):
        with pytest.raises(ValueError, match="networks for masks, labels and disparity are exported"):
            wholenet.export(given, tmp_path / "x.onnx")


def test_words_are_shown_with_their_surprise_to_both_models(search, text):
    model = wholenet.load(search[0], device="cpu")
    texts = open_texts(text)
    train, val = texts.splits["train"], texts.splits["val"]
    lines = surprise_of_lines(model.network, train, val, texts.vocabulary, torch.device("cpu"))
    held_out = (text / "valid.txt").read_text().splitlines()
    assert [line.words for line in lines] == [[*held_out[place].split(), "<eos>"] for place in (0, 2, 4, 5, 7)]
    every = surprises(model.network, val.tokens, texts.vocabulary.index["<eos>"], "cpu") / math.log(2)
    assert lines[0].network == pytest.approx(every[:6].tolist())
    kneser_ney = KneserNey(train.tokens.tolist(), 10, 3)
    word, *before = (texts.vocabulary.index[name] for name in (lines[0].words[2], *lines[0].words[:2]))
    assert lines[0].counted[2] == pytest.approx(-math.log2(kneser_ney.probability(word, before)))


def test_what_was_found_is_trained_from_scratch_and_an_lstm_beside_it(search, text, tmp_path, capsys):
    main(["decode", str(search[0]), "--out", str(tmp_path / "cell.yaml")])
    assert str(tmp_path / "cell.yaml") in capsys.readouterr().out
    options = ["--units", "6", "--batch", "4", "--epochs", "1", "--optimizer", "adamw", "--device", "cpu"]
    for genotype in (tmp_path / "cell.yaml", "lstm"):
        out = tmp_path / Path(genotype).stem
        main(["retrain", str(genotype), str(text), *options, "--out", str(out)])
        assert "Kneser-Ney of order 3" in capsys.readouterr().out
        network = load_model(out).network
        assert network.discrete
        assert not network.net.masks
        assert records(out)[0]["lr"] == 4e-3
        assert not (out / "entropy.png").exists()  # a discrete network has nothing to decide


def test_two_stages_and_a_control_are_those_of_every_space(text, tmp_path):
    options = {**SEARCH, "epochs": 2, "protocol": "two-stage", "retrain_epochs": 1}
    found = wholenet.fit(text, tmp_path / "two", **options)
    assert load_model(tmp_path / "two").network.discrete
    assert found.learned.scores == records(tmp_path / "two")[-1]["perplexity"]
    shares = {"warmup_share": 0.5, "search_share": 0.5}
    found = wholenet.fit(text, tmp_path / "own", **{**SEARCH, "epochs": 2, **shares}, control=True)
    assert found.uniform is not None
    assert set(records(found.uniform.run)[-1]["entropy"].values()) == {1.0}


@pytest.mark.parametrize(
    "options",
    [
        {"method": "darts", "gradient": "second-order", "split": "same"},
        {"method": "darts", "gradient": "second-order-exact", "arch_text": "val"},
        {"method": "sdarts-adv"},
        {"method": "gdas"},
        {"method": "darts-es", "stopping": "paper", "gradient": "first-order"},
        {"method": "darts-ada", "stopping": "paper", "gradient": "first-order"},
        {"method": "beta-darts"},
        {"method": "one-level", "gradient": "one-level"},
        {"method": "single-stage", "warmup_share": 0.5, "search_share": 0.5, "recalibrate": 1},
        {"architecture": "uniform"},
        {"method": "darts", "weight_decay": 0.01, "optimizer": "adamw", "lr": 0.01},
    ],
    ids=lambda options: "-".join(map(str, options.values())),
)
def test_methods(options, text, tmp_path, monkeypatch):
    shortest = StoppingRule(window=1, lag=1, growth=1e9, centred=False, earliest=0)
    monkeypatch.setitem(RULES, "paper", shortest)
    epochs = shortest.least_epochs(1) if "stopping" in options else 1
    own = {**SEARCH, "epochs": epochs, "steps_per_epoch": 2, **options}
    found = wholenet.fit(text, tmp_path / "run", **own)
    assert 1 < found.learned.scores < 1e6
    record = records(tmp_path / "run")[-1]
    assert (record["arch_loss"] is not None) == (own.get("architecture") != "uniform")
    if options.get("method") in ("darts-es", "darts-ada"):
        assert math.isfinite(record["eigenvalue"])


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"batch": 1}, ValueError, "batch=1: the search cell's BatchNorm"),
        ({"batch": 500}, DataError, r"needs 1,000; the largest batch that works is 96: give --batch 96"),
        ({"space": "grid"}, ValueError, "space='grid' is for segmentation"),
        (
            {"units": 16_384, "batch": 65_536, "vocab": 9, "window": 10_000},
            DataError,
            r"takes about .*\n.* give --vocab",
        ),
        ({"window": 0}, ValueError, "window=0: expected at least 1"),
        ({"method": "pc-darts"}, ValueError, "'groups', which cell spaces alone have"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_it_begins(options, error, said, text, tmp_path):
    with pytest.raises(error, match=said):
        wholenet.fit(text, tmp_path / "run", **{**SEARCH, **options})
    assert not (tmp_path / "run").exists()


def test_recipes_are_those_of_the_source_below_what_is_given():
    places = {"data": "x", "out": "y"}
    search = task_config("language", **places)
    assert (search.method, search.gradient, search.batch, search.lr, search.momentum) == (
        *("darts", "second-order", 256, 20.0, 0.0),
    )
    assert (search.epochs, search.weight_decay, search.warmup_share, search.search_share) == (50, 5e-7, 0.0, 1.0)
    assert (search.arch_lr, search.arch_weight_decay, search.lr_schedule) == (3e-3, 1e-3, "constant")
    network = RecurrentSettings()
    assert (network.units, network.drop_words, network.drop_embedding, network.drop_cell_input) == (300, 0.0, 0.2, 0.75)
    assert (network.drop_hidden, network.drop_output) == (0.25, 0.75)
    asked = LanguageSettings()
    assert (asked.window, asked.clip, asked.slowness) == (35, 0.25, 1e-3)
    published = task_config("language", genotype="darts-rnn-v2", **places).settings
    assert (published["units"], published["drop_words"]) == (850, 0.1)
    training = task_config("language", genotype="darts-rnn-v2", **places, units=100)
    assert (training.batch, training.weight_decay, training.settings["units"]) == (64, 8e-7, 100)
    assert training.task_settings == {"average_after": 5}
    assert task_config("language", **places, optimizer="adamw", gradient="first-order").lr == 4e-3
    with pytest.raises(ValueError, match="use gradient='first-order', or optimizer='sgd'"):
        task_config("language", **places, optimizer="adamw")


def test_the_architecture_gets_lines_of_its_own():
    lines = torch.tensor([1, 2, 0, 1, 0, 2, 2, 2, 0, 1, 0])
    weights, rest = divided(lines, 0.5, end=0)
    assert torch.equal(torch.cat([weights, rest]), lines)
    assert weights.tolist() == lines[:9].tolist()
    assert [len(part) for part in divided(torch.ones(10), 0.8, end=0)] == [8, 2]


def test_the_loss_of_weights_has_a_penalty_on_how_far_states_move():
    torch.manual_seed(0)
    model = create_model("recurrent", num_classes=5, units=3).eval()
    tokens = torch.randint(5, (2, 4))
    reading = model(Window(tokens))
    moved = sum(((reading.states[:, t + 1] - reading.states[:, t]) ** 2).sum() for t in range(3)) / (2 * 3 * 3)
    plain = cross_entropy(reading.logits.reshape(8, 5), tokens.reshape(8))
    assert next_word_loss(reading, tokens).item() == pytest.approx(plain.item())
    assert SlownessLoss(0.5)(reading, tokens).item() == pytest.approx((plain + 0.5 * moved).item(), rel=1e-6)
    one = model(Window(tokens[:, :1]))
    assert SlownessLoss(0.5)(one, tokens[:, :1]).isfinite()


def test_a_text_is_known_by_its_files_and_its_runs_go_on_from_the_command_line(text, tmp_path, capsys):
    given = [
        "--units",
        "4",
        "--nodes",
        "2",
        "--batch",
        "4",
        "--lr",
        "1",
        "--device",
        "cpu",
        "--gradient",
        "first-order",
    ]
    run = ["--epochs", "1", "--steps-per-epoch", "2", "--out", str(tmp_path / "run")]
    main(["fit", str(text), *given, *run])
    said = capsys.readouterr().out
    assert "Kneser-Ney of order 3" in said
    assert "tokens/s" in said
    assert "img/s" not in said
    main(["fit", "--resume", str(tmp_path / "run")])
    assert "Kneser-Ney of order 3" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["fit", str(text), "--task", "language", "--unit", "4"])
    assert "Did you mean --units" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["retrain", "lstm", str(text), "--arch-lr", "0.1"])
    assert "--arch_lr" in capsys.readouterr().err.replace("-lr", "_lr")


def test_averaged_sgd_is_torchs_and_averages_its_own_steps():
    net = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(net.weight)
    optimizer = averaging(torch.optim.SGD(net.parameters(), lr=1.0))
    assert not has_average(optimizer)
    found = []
    for lr in (1, 0.5, 1, 1, 1):
        optimizer.param_groups[0]["lr"] = lr
        net.weight.grad = torch.ones(1, 1)
        optimizer.step()
        copy = torch.nn.Linear(1, 1, bias=False)
        put_average_into(optimizer, copy, net)
        found.append((net.weight.item(), copy.weight.item()))
    steps, averages = zip(*found, strict=True)
    assert steps == pytest.approx((-1, -2, -2.5, -3.5, -4.5))
    assert averages == pytest.approx((-1, -2, -2.25, -8 / 3, -3.125))


def test_a_run_that_averages_keeps_the_average_and_goes_on_to_the_bit(text, tmp_path):
    options = {**SMALL, "genotype": "darts-rnn-v1", "epochs": 5, "average_after": 1, "lr": 8.0, "clip": 1.0}
    options |= {"task": "language", "keep": "last"}
    wholenet.fit(text, tmp_path / "whole", **options)
    saved = checkpoint(tmp_path / "whole")
    switched = "lambd" in saved["weight_optimizer"]["param_groups"][0]
    assert switched, [record["perplexity"] for record in records(tmp_path / "whole")]
    kept = load_model(tmp_path / "whole").network.net
    own = {name.removeprefix("net."): value for name, value in saved["model"].items()}
    assert not torch.equal(kept.embedding, own["embedding"])
    assert torch.equal(kept.embedding, saved["weight_optimizer"]["state"][0]["ax"])

    stop_after(41, lambda: wholenet.fit(text, tmp_path / "run", **options, checkpoint_minutes=0))
    wholenet.resume(tmp_path / "run")
    assert_equal(saved, checkpoint(tmp_path / "run"))


def test_virtual_steps_are_clipped_and_a_clip_that_does_nothing_changes_nothing():
    torch.manual_seed(0)
    model = create_model("recurrent", num_classes=7, units=4, nodes=2).double()
    batches = [Batch(Window(torch.randint(7, (3, 5))), torch.randint(7, (3, 5))) for _ in range(2)]
    sgd, _ = make_optimizers(model, lr=2.0, momentum=0, weight_decay=0.1, arch_lr=1, arch_weight_decay=0)

    def gradient(clip):
        torch.manual_seed(1)
        return second_order(Bilevel(model.train(), *batches, next_word_loss, sgd, None, clip))[1][0]

    torch.testing.assert_close(gradient(1e9), gradient(0.0), atol=0, rtol=0)
    assert not torch.allclose(gradient(0.01), gradient(0.0))
    tensors = [torch.tensor([3.0]), torch.tensor([4.0])]
    cut, factor = VirtualStep(1.0, clip=0.5).cut(tensors)
    assert factor == pytest.approx(0.1, rel=1e-5)
    assert torch.stack(cut).norm().item() == pytest.approx(0.5, rel=1e-5)
    assert VirtualStep(1.0, clip=9.0).cut(tensors)[1] == 1


def test_the_difference_of_gradients_has_equal_masks_on_both_sides():
    """With masks of their own the implicit term would be noise of the size of 1 / the step between the sides."""
    torch.manual_seed(0)
    model = create_model("recurrent", num_classes=7, units=8, nodes=2).double().train()
    batches = [Batch(Window(torch.randint(7, (3, 6))), torch.randint(7, (3, 6))) for _ in range(2)]
    sgd, _ = make_optimizers(model, lr=0.5, momentum=0, weight_decay=0, arch_lr=1, arch_weight_decay=0)
    found = []
    with torch.no_grad():
        for parameter in model.net.parameters():
            parameter.mul_(10)
    for implicit in ("difference", "exact"):
        torch.manual_seed(1)
        found.append(second_order(Bilevel(model, *batches, next_word_loss, sgd, None, 0.25), implicit)[1][0])
    assert (found[0] - found[1]).norm() < 0.02 * found[1].norm()
