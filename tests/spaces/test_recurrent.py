"""The recurrent space: what DARTS' own code gives, to all digits that were written down; the fast form of the search
cell is the plain one; masks hold for a window."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from wholenet.ops.execution import Execution
from wholenet.ops.forms import plain_form
from wholenet.spaces.catalog import create_model
from wholenet.spaces.recurrent import cells as cells_module
from wholenet.spaces.recurrent.genotype import (
    OPERATIONS,
    PUBLISHED,
    decode,
    edges,
    genotype_from_dict,
    one_hot,
    random_cell,
)
from wholenet.spaces.recurrent.window import Window

NO_DROPOUT = dict.fromkeys(("drop_words", "drop_embedding", "drop_cell_input", "drop_hidden", "drop_output"), 0.0)
V1, V2, ENAS = (PUBLISHED[name] for name in ("darts-rnn-v1", "darts-rnn-v2", "enas-rnn"))
ALPHA = {"alpha": torch.tensor([[5 * e + o for o in range(5)] for e in range(36)], dtype=torch.float64).sin() / 2}


def made(words, genotype=None, **settings):
    return create_model("recurrent", num_classes=words, in_channels=1, genotype=genotype, **settings)


def tiny(genotype=None):
    """V 7, n 4: tensor j (0 embedding, 1 W0, 2 to 9 the nodes', 10 the bias) has 0.5 sin(1 + k + 10 j) at place k."""
    model = made(7, genotype, units=4, **NO_DROPOUT).double()
    cell = model.net.cell
    for j, tensor in enumerate([model.net.embedding, cell.first, *cell.steps, model.net.bias]):
        places = torch.arange(tensor.numel(), dtype=torch.float64)
        tensor.data = (1 + places + 10 * j).sin().view_as(tensor) / 2
    return model.eval()


TOKENS = torch.tensor([[(3 * t + 5 * b + 1) % 7 for t in range(3)] for b in range(2)])
TARGETS = (TOKENS + 2) % 7


def nll(reading, targets=TARGETS):
    return cross_entropy(reading.logits.flatten(0, 1), targets.flatten())


@pytest.mark.parametrize(
    ("genotype", "units", "words", "parameters"),
    [
        (None, 300, 10_000, 4_810_000),
        (V1, 300, 10_000, 4_810_000),
        (V1, 850, 10_000, 22_960_000),
        (V2, 850, 10_000, 22_960_000),
        (V2, 700, 33_278, 33_127_878),
        (ENAS, 850, 10_000, 27_295_000),
        (None, 100, 5_792, 784_992),
        (V2, 300, 5_792, 3_543_392),
    ],
)
def test_published_counts(genotype, units, words, parameters):
    with torch.device("meta"):
        model = made(words, genotype, units=units)
    assert sum(parameter.numel() for parameter in model.net.parameters()) == parameters
    assert {name: tuple(mask.shape) for name, mask in model.net.masks.items()} == (
        {} if genotype else {"alpha": (36, 5)}
    )


def test_an_lstm_and_a_gru_have_the_parameters_of_a_cell_or_the_units_that_are_asked_for():
    with torch.device("meta"):
        cell = sum(p.numel() for p in made(5_792, V2, units=100).net.parameters())
        for fused in ("lstm", "gru"):
            own = sum(p.numel() for p in made(5_792, PUBLISHED[fused], units=100).net.parameters())
            assert abs(own - cell) < 0.002 * cell
        plain = made(5_792, PUBLISHED["lstm"], units=100, hidden=100)
    assert sum(p.numel() for p in plain.net.parameters()) == 665_792


def test_the_cell_of_enas_is_what_its_release_lists():
    names = ["tanh", "tanh", "relu", "tanh", "tanh", "relu", "relu", "relu", "relu", "relu", "relu"]
    assert PUBLISHED["enas-rnn"].cell == tuple(zip(names, (0, 1, 1, 3, 3, 3, 4, 7, 8, 8, 8), strict=True))
    assert PUBLISHED["enas-rnn"].output == (2, 5, 6, 9, 10, 11)


@pytest.mark.parametrize(
    ("genotype", "value", "hidden", "norm"),
    [
        (V1, 1.932701777616, (-0.0146698559, -0.0315666767, 0.0110837023, 0.0595532263), 0.1543777629),
        (V2, 1.921930928916, (0.142249049, 0.1208188738, 0.1321992006, 0.163943882), 0.1527662380),
    ],
)
def test_discrete_cells_are_those_of_darts(genotype, value, hidden, norm):
    model = tiny(genotype)
    reading = model(Window(TOKENS))
    loss = nll(reading)
    assert loss.item() == pytest.approx(value, abs=1e-11)
    torch.testing.assert_close(reading.hidden[0], torch.tensor(hidden, dtype=torch.float64), atol=1e-9, rtol=0)
    gradients = torch.autograd.grad(loss, list(model.net.parameters()))
    assert sum(g.numel() for g in gradients) == 355
    assert torch.cat([g.flatten() for g in gradients]).norm().item() == pytest.approx(norm, abs=1e-9)


@pytest.mark.parametrize("plain", [False, True])
def test_the_supernet_is_that_of_darts(plain):
    model = tiny()
    with plain_form(model.net, plain=plain):
        logits = ALPHA["alpha"].clone().requires_grad_()
        reading = model.net(Window(TOKENS), {"alpha": logits.softmax(-1)})
        loss = nll(reading)
        (gradient,) = torch.autograd.grad(loss, logits)
        assert loss.item() == pytest.approx(2.178345487252, abs=1e-11)
        hidden = torch.tensor((1.5764481907, 1.6110265602, 1.8564277696, 1.9652426736), dtype=torch.float64)
        torch.testing.assert_close(reading.hidden[0], hidden, atol=1e-9, rtol=0)
        assert gradient.norm().item() == pytest.approx(0.1324684633, abs=1e-9)
        row = (-0.0370817173, -0.0051299458, 0.0016390248, 0.0428462402, -0.0022736019)
        torch.testing.assert_close(gradient[0], torch.tensor(row, dtype=torch.float64), atol=1e-9, rtol=0)
        assert gradient.sum(-1).abs().max() < 1e-12

        weights = {"alpha": logits.detach().softmax(-1)}
        loss = nll(model.train().net(Window(TOKENS), weights))
        assert loss.item() == pytest.approx(1.923309094654, abs=1e-10)
        mean = torch.tensor((0.2450081228, 0.2267292507, 0.1464817810, 0.2531431540), dtype=torch.float64)
        torch.testing.assert_close(model.net.cell.norm.running_mean, mean, atol=1e-9, rtol=0)
        assert model.net.cell.norm.num_batches_tracked == 27


def test_the_fast_form_is_the_plain_one_gradients_included():
    torch.manual_seed(0)
    model = made(11, units=6, nodes=5).double().train()
    tokens, before = torch.randint(11, (4, 3)), torch.randn(4, 6, dtype=torch.float64)
    found = []
    for plain in (False, True):
        torch.manual_seed(1)  # of the masks
        with plain_form(model.net, plain=plain):
            reading = model(Window(tokens, before))
            value = nll(reading, tokens)
            first = torch.autograd.grad(value, list(model.parameters()), create_graph=True)
            along = sum((g * g.detach().sin()).sum() for g in first)
            second = torch.autograd.grad(along, list(model.arch.parameters()))
            found.append([value.detach(), reading.hidden.detach(), *[g.detach() for g in first], *second])
    for fast, plain in zip(*found, strict=True):
        torch.testing.assert_close(fast, plain, atol=1e-12, rtol=1e-10)


def test_the_genotype_of_given_weights_and_of_ties():
    chosen = decode({"alpha": ALPHA["alpha"].softmax(-1)})
    assert str(chosen) == "relu:0 identity:1 tanh:1 identity:1 identity:2 identity:2 identity:1 identity:3"
    assert str(decode({"alpha": torch.full((3, 5), 0.2)})) == "tanh:0 tanh:0"


@pytest.mark.parametrize("genotype", [V1, V2, random_cell(3)], ids=str)
def test_one_hot_weights_without_batchnorm_are_the_discrete_cell(genotype):
    model, discrete = tiny(), tiny(genotype)
    model.net.cell.norm = torch.nn.Identity()
    whole = model.net(Window(TOKENS), {name: w.double() for name, w in one_hot(genotype).items()})
    torch.testing.assert_close(whole.logits, discrete(Window(TOKENS)).logits, atol=1e-13, rtol=0)
    assert decode(one_hot(genotype)) == genotype


@pytest.mark.parametrize("genotype", [None, V2, ENAS, PUBLISHED["lstm"], PUBLISHED["gru"]], ids=str)
def test_windows_of_a_text_are_the_text_where_the_state_is_carried(genotype):
    torch.manual_seed(0)
    model = made(13, genotype, units=5).double().eval()
    text = torch.randint(13, (2, 36))
    whole = model(Window(text)).logits
    for length in (35, 7, 1):
        hidden, parts, fresh = None, [], []
        for start in range(0, 36, length):
            reading = model(Window(text[:, start : start + length], hidden))
            fresh.append(model(Window(text[:, start : start + length])).logits)
            parts, hidden = [*parts, reading.logits], reading.hidden
        torch.testing.assert_close(torch.cat(parts, 1), whole, atol=1e-13, rtol=0)
        assert not torch.allclose(torch.cat(fresh, 1), whole)


def test_a_dropout_mask_holds_for_a_window_and_the_carry_path_ignores_it():
    model = made(3, V1, units=64, drop_hidden=0.5, drop_output=0.0).train()
    given = []
    cell = model.net.cell
    read = cell.read
    cell.read = lambda inputs, *rest: given.append((inputs, rest[1])) or read(inputs, *rest)
    torch.manual_seed(0)
    with torch.no_grad():
        model.net.embedding.fill_(1.0)
        model(Window(torch.zeros(2, 35, dtype=torch.long)))
    inputs, kept = given[0]
    assert torch.equal(inputs[0], inputs[34])
    assert not torch.equal(inputs[0, 0], inputs[0, 1])  # each text has its own
    assert set(inputs.unique().tolist()) == {0.0, 1 / 0.8 / 0.25}
    assert set(kept.unique().tolist()) == {0.0, 2.0}
    # With closed gates (sigmoid of a very negative number) the state passes through, masked or not.
    with torch.no_grad():
        for matrix in (cell.first, *cell.steps):
            matrix.zero_()
        open_to_input = torch.full((1, 2, 64), 0.0)
        before = torch.randn(2, 64)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(cells_module, "product", lambda x, _: torch.full((*x.shape[:-1], 128), -1e4))
            patch.setattr(cell, "after", lambda first, *_: first)
            after = read(open_to_input, before, kept, {})
    assert torch.equal(after[0], before)


def test_words_are_dropped_whole_and_nothing_is_when_scoring():
    model = made(1000, V1, units=8, **{**NO_DROPOUT, "drop_words": 0.5})
    text = Window(torch.arange(20)[None])
    assert torch.equal(model.eval()(text).logits, model(text).logits)
    rows = []
    model.net.cell.read = lambda inputs, hidden, *_: rows.append(inputs) or inputs
    model.train()(text)
    size = rows[0][:, 0].abs().sum(-1)
    expected = model.net.embedding.detach()[:20].abs().sum(-1)
    assert all(s == 0 or s == pytest.approx(2 * e.item()) for s, e in zip(size.tolist(), expected, strict=True))
    assert 0 < (size == 0).sum() < 20


def test_all_cells_have_names_and_all_random_ones_are_of_the_space():
    assert len(set(map(str, PUBLISHED.values()))) == len(PUBLISHED)
    cells = [PUBLISHED[f"random-rnn-{seed}"] for seed in range(100)]
    assert {name for cell in cells for name, _ in cell.cell} == set(OPERATIONS[1:])
    assert {(source, node) for cell in cells for node, (_, source) in enumerate(cell.cell, 1)} == set(edges(8))
    assert all(genotype_from_dict(cell.to_dict()) == cell for cell in PUBLISHED.values())


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"cell": [["tanh", 1]], "output": [1]}, "predecessor 1; expected a node from 0 to 0"),
        ({"cell": [["none", 0]], "output": [1]}, "operation 'none'; expected one of tanh"),
        ({"cell": [], "output": [1]}, "0 nodes; expected 1 to 50"),
        ({"cell": [["tanh", 0]] * 51, "output": [1]}, "51 nodes"),
        ({"cell": [["tanh", 0]], "output": [2]}, "expected different nodes from 1 to 1"),
        ({"cell": ["tanh:0"], "output": [1]}, "expected an operation and a predecessor"),
        ({"fused": "rnn"}, "expected one of lstm, gru"),
    ],
)
def test_what_is_no_cell_is_refused(values, message):
    with pytest.raises(ValueError, match=message):
        genotype_from_dict(values)


@pytest.mark.parametrize("genotype", [None, V2, PUBLISHED["lstm"]], ids=str)
def test_products_may_be_in_bfloat16_and_states_stay_in_float32(genotype):
    torch.manual_seed(0)
    model = made(9, genotype, units=8, **NO_DROPOUT).train()
    text = Window(torch.randint(9, (4, 6)))
    weights = model.arch()
    plain = model.net(text, weights)
    narrow = Execution(model.net, torch.bfloat16)(text, weights)
    assert narrow.hidden.dtype == narrow.states.dtype == torch.float32
    torch.testing.assert_close(narrow.hidden, plain.hidden, atol=0.05, rtol=0.1)
    again = Execution(model.net, torch.bfloat16)(text._replace(hidden=narrow.hidden.detach()), weights)
    nll(again, text.tokens).backward()
    assert model.net.embedding.grad.isfinite().all()
