"""What is left of a trellis: it computes what the whole one does with the rest at zero, costs what runs, and its gates
are the derivatives that they are said to be."""

import copy
import itertools
import json
import random

import pytest
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from wholenet.ops import leaving
from wholenet.spaces.autodeeplab.genotype import OPERATIONS
from wholenet.spaces.autodeeplab.subnets import KINDS
from wholenet.spaces.autodeeplab.trellis import Move
from wholenet.spaces.catalog import create_from, create_model, shrink, subnets
from wholenet.spaces.space import spec_from_dict

OWN = {"layers": 4, "blocks": 2, "filters": 4}
SIZE = (64, 96)


def trellis(**settings):
    torch.manual_seed(0)
    model = create_model("autodeeplab-tiny", num_classes=3, **{**OWN, **settings}).double()
    for name, buffer in model.net.named_buffers():  # statistics of a network that has seen something
        if name.endswith("running_mean"):
            buffer.normal_()
        elif name.endswith("running_var"):
            buffer.uniform_(0.5, 2)
    return model


def smaller(known, removed, seed):
    """Some subnet."""
    draw, left, gone = random.Random(seed), known.whole(), []
    for _ in range(removed):
        gone.append(draw.choice(known.units(left)))
        left = known.without(left, gone[-1])
    return left, gone


def zeroed(model, left):
    """The whole network and weights with which it computes what ``left`` alone does. A node at zero is not yet gone:
    BatchNorm gives its readers, the cell two layers on and a head, constants. So these are taken away."""
    net = copy.deepcopy(model.net)
    for at, cell in net.cells.items():
        layer, level = map(int, at.split("_"))
        if (layer - 2, level) not in left.nodes and cell.two_back is not None:
            cell.two_back = None
            cell.rows = {edge: row for edge, row in cell.rows.items() if edge[0]}
    for level in list(net.heads):
        if (left.layers, int(level)) not in left.nodes:
            del net.heads[level]
    return net, {name: w * left.masks()[name] for name, w in model.arch().items()}


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    "settings", [{}, {"transitions": "incoming", "affine": True, "separable_atrous": True}], ids=str
)
@pytest.mark.parametrize("seed", range(2))
def test_what_is_left_computes_what_the_whole_does_with_the_rest_at_zero(seed, settings, training):
    model = trellis(**settings)
    known = subnets(model.spec)
    left, gone = smaller(known, 25, seed)
    assert {unit.kind for unit in gone} == set(KINDS)
    whole, weights = zeroed(model, left)
    shrink(model, left)
    assert sum(p.numel() for p in model.net.parameters()) < sum(p.numel() for p in whole.parameters())
    x = torch.randn(2, 3, *SIZE, dtype=torch.float64)
    found = model.net.train(training)(x, weights)
    torch.testing.assert_close(found, whole.train(training)(x, weights), rtol=1e-9, atol=1e-9)
    loss = model(x).square().mean()
    loss.backward()
    for name, logits in model.arch.logits.items():
        assert (logits.grad[~left.masks()[name]] == 0).all()


@pytest.mark.parametrize(
    "settings", [{}, {"transitions": "incoming", "separable_atrous": True}, {"resize_first": True}], ids=str
)
@pytest.mark.parametrize("removed", [0, 12, 30])
def test_the_closed_form_counts_the_convolutions_that_run(removed, settings, monkeypatch):
    # Elsewhere 1 x 1 convolutions are products of matrices, as sums of maps are, which are not counted.
    monkeypatch.setattr(leaving, "_across", lambda x, weights: F.conv2d(x, torch.cat(weights), groups=len(weights)))
    model = trellis(**settings).eval()
    known = subnets(model.spec)
    left, _ = smaller(known, removed, removed)
    if removed:
        shrink(model, left)
    for size in (SIZE, (33, 47)):
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            model(torch.zeros(1, 3, *size, dtype=torch.float64))
        counted = counter.get_flop_counts()["Global"][torch.ops.aten.convolution]
        assert known.macs(left, *size) == counted // 2


@pytest.mark.parametrize("transitions", ["outgoing", "incoming"])
def test_every_gate_is_the_derivative_in_a_factor_on_the_options_weight(transitions):
    model = trellis(transitions=transitions).train()
    known = subnets(model.spec)
    left, _ = smaller(known, 12, 3)
    shrink(model, left)
    x, target = torch.randn(2, 3, *SIZE, dtype=torch.float64), torch.randint(3, (2, *SIZE))
    weights = {name: w.detach() for name, w in model.arch().items()}

    def loss(at):
        return F.cross_entropy(model.net(x, at), target)

    gates = {name: torch.ones_like(w, requires_grad=True) for name, w in weights.items()}
    model.arch.gates = lambda: gates
    loss(model.arch.gated(weights)).backward()
    units = known.units(left)
    found = known.gates(model.net, left, units, {name: gate.grad for name, gate in gates.items()})
    step = 1e-6
    for unit in [unit for kind in KINDS for unit in [u for u in units if u.kind == kind][:4]]:
        ((name, at),) = known.choices(left, unit)
        values = []
        for factor in (1 + step, 1 - step):
            scaled = {**weights, name: weights[name].clone()}
            scaled[name][at] *= factor
            with torch.no_grad():
                values.append(loss(scaled).item())
        slope = (values[0] - values[1]) / (2 * step)
        assert found[units.index(unit)].item() == pytest.approx(slope, rel=1e-4, abs=1e-8), unit


@pytest.mark.parametrize("seed", range(3))
def test_the_least_is_that_of_the_cheapest_path_and_can_be_reached(seed):
    known = subnets(trellis(layers=3).spec)
    left, _ = smaller(known, 6, seed)
    by = known.multiply_adds(*SIZE)
    least, paths = known.least(left, by, ("move",)), []
    for path in itertools.product(range(4), repeat=3):
        moves = [Move(n, a, b) for n, (a, b) in enumerate(itertools.pairwise((0, *path)), 1)]
        if set(moves) <= set(left.moves):
            paths.append(known.cost(left.without_moves(set(left.moves) - set(moves)), by))
    assert least == min(paths)
    assert least > known.least(left, by)
    while known.cost(left, by) > known.least(left, by):
        ways = [known.without(left, unit) for unit in known.units(left)]
        cheap = [way for way in ways if known.least(way, by) == known.least(left, by)]
        left = min(cheap, key=lambda way: known.cost(way, by))
    assert known.count(left)["moves"] == 3


def test_removing_goes_on_until_a_path_of_cells_with_an_operation_each_is_left_and_its_spec_makes_it_again():
    model = trellis()
    known = subnets(model.spec)
    left = known.whole()
    while units := known.units(left):
        left = known.without(left, units[0])
    assert known.count(left) == {"operations": left.blocks, "moves": 4, "nodes": 4}
    assert known.from_dict(json.loads(json.dumps(left.to_dict()))) == left
    shrink(model, left)
    again = create_from(spec_from_dict(json.loads(json.dumps(model.spec.to_dict())))).double()
    again.load_state_dict(model.state_dict())
    x = torch.randn(1, 3, 50, 70, dtype=torch.float64)
    torch.testing.assert_close(again.eval()(x), model.eval()(x), rtol=1e-9, atol=1e-9)  # layouts differ


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda d: d.update(layers=7), "is of 7 layers and a cell of 5 edges; this network has 4 and 5"),
        (lambda d: d["operations"].pop(), "a cell of 4 edges"),
        (lambda d: d["operations"].__setitem__(0, []), "on an edge; expected some of none, max_pool_3x3"),
        (lambda d: d["operations"].__setitem__(0, ["mine"]), "on an edge; expected some of"),
        (lambda d: d["operations"].__setitem__(1, ["none"]), "block1 is left without an operation on an edge from H-1"),
        (lambda d: d["moves"].append([1, 4, 32]), "the move .* is none; expected"),
        (lambda d: d["moves"].append("1"), "the move .* is none; expected"),
        (lambda d: d["moves"].clear(), "nothing is left of the last layer"),
        (lambda d: d["moves"].__delitem__(slice(0, 1)), "the move to stride 4 of layer 2 comes from a node"),
        (lambda d: d.update(more=1), "more"),
    ],
)
def test_what_is_no_subnet_is_refused(spoil, told):
    known = subnets(trellis().spec)
    values = json.loads(json.dumps(known.whole().to_dict()))
    assert known.from_dict(values) == known.whole()
    assert values["operations"][0] == list(OPERATIONS)
    spoil(values)
    with pytest.raises(ValueError, match=told):
        known.from_dict(values)
