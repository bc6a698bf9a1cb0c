"""What is left of a grid, or of a dense one: it computes what the whole one does with the rest at zero, costs what the
closed form says, and its gates are the derivatives that they are said to be."""

import copy
import itertools
import json
import math
import random
from dataclasses import replace

import pytest
import torch

from wholenet.architecture import uniform_weights
from wholenet.deploy.folds import fold
from wholenet.ops.operations import operations_called
from wholenet.spaces.catalog import create_from, create_model, shrink, subnets
from wholenet.spaces.count import macs_as_run
from wholenet.spaces.grid_subnets import KINDS, GridSubnets
from wholenet.spaces.links import NEAR, Reach, by_place, incoming
from wholenet.spaces.sizes import GridSize
from wholenet.spaces.space import spec_from_dict
from wholenet.spaces.subgrid import CellPart, Subgrid, channels_of, read_only
from wholenet.spaces.supernet import with_weights

SIZES = [(64, 96), (33, 47), (32, 32)]
DENSE = {"space": "dense-grid", "layers": 3}
TIED = {**DENSE, "tied": True}
KINDS_OF = [{}, {**DENSE, "layers": 2, "channel_sampling": 2}, {**TIED, "layers": 2, "reach_levels": 2}]


def grid(operations="conv_3x3,conv_5x5", size="nano", space="grid", **settings):
    torch.manual_seed(0)
    model = create_model(f"{space}-{size}", num_classes=5, operations=operations, **settings).double()
    for name, buffer in model.net.named_buffers():  # statistics of a network that has seen something
        if name.endswith("running_mean"):
            buffer.normal_()
        elif name.endswith("running_var"):
            buffer.uniform_(0.5, 2)
    for name, parameter in model.net.named_parameters():
        if "norm" in name or name.endswith("1.bias"):
            torch.nn.init.normal_(parameter, std=0.5)
    return model


def smaller(known, removed, seed):
    """Some subnet, with what was removed to come to it."""
    draw, left, gone = random.Random(seed), known.whole(), []
    for _ in range(removed):
        unit = draw.choice(known.units(left))
        gone.append(unit)
        left = known.without(left, unit)
    return left, gone


def written(net, level):
    """The BatchNorms whose outputs add up to the features of a level."""
    edges = [edge for name, edge in net.transitions.items() if name.split("_")[2] == str(level)]
    cells = [block.cell for name, block in net.cells.items() if name.endswith(f"_{level}")]
    bodies = [cell.project[1] for cell in cells if cell.state_dict()]
    stems = [net.stems[str(level)][2][1]] if str(level) in net.stems else []
    return [edge.norm for edge in edges] + bodies + stems


def kept_inside(known, level, groups):
    """Channels inside the stem of a level: each as long as one of two features is left."""
    return {c // 2 for group in groups for c in channels_of(group, known.features[level])}


def zeroed(model, known, left):
    """The whole network and weights with which it computes what ``left`` alone would: what is gone is at zero."""
    net = copy.deepcopy(model.net)
    masks = left.masks()
    for level, groups in enumerate(left.levels):
        for group in set(known.whole().levels[level]) - set(groups):
            channels = list(channels_of(group, known.features[level]))
            for norm in written(net, level):
                with torch.no_grad():
                    norm.weight[channels] = 0
                    norm.bias[channels] = 0
        inside = kept_inside(known, level, groups)
        if str(level) in net.stems:
            gone = [c for c in range(known.features[level] // 2) if c not in inside]
            for norm in (net.stems[str(level)][place][1] for place in (0, 1)):
                with torch.no_grad():
                    norm.weight[gone] = 0
                    norm.bias[gone] = 0
    weights = {name: w * masks[name] for name, w in model.arch().items()}
    for layer, level in known.whole().cells:
        part = left.cells.get((layer, level))
        cell = net.cells[f"{layer}_{level}"].cell
        with torch.no_grad():
            if part is None or part.bare:
                cell.project[1].weight.zero_()
                cell.project[1].bias.zero_()
                continue
            for group in set(known.whole().cells[layer, level].groups) - set(part.groups):
                channels = list(channels_of(group, known.widths[level]))
                cell.norm.weight[channels] = 0
                cell.norm.bias[channels] = 0
    return net, weights


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    "settings", [{}, {"operations": "conv_3x3,dil_conv_3x3"}, {"activation": "relu"}, DENSE, TIED], ids=str
)
@pytest.mark.parametrize("seed", range(3))
def test_what_is_left_computes_what_the_whole_does_with_the_rest_at_zero(seed, settings, training):
    model = grid(**settings)
    known = subnets(model.spec)
    left, gone = smaller(known, 60, seed)
    assert {unit.kind for unit in gone} == set(KINDS)
    whole, weights = zeroed(model, known, left)
    shrink(model, left)
    assert sum(p.numel() for p in model.net.parameters()) < sum(p.numel() for p in whole.parameters())
    x = torch.randn(2, 3, 64, 96, dtype=torch.float64)
    found = model.net.train(training)(x, weights)
    torch.testing.assert_close(found, whole.train(training)(x, weights), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("settings", KINDS_OF, ids=str)
def test_removing_in_steps_is_removing_at_once(settings):
    model = grid(**settings)
    known = subnets(model.spec)
    stepwise, draw, left = copy.deepcopy(model), random.Random(5), known.whole()
    for _ in range(4):
        for _ in range(8):
            left = known.without(left, draw.choice(known.units(left)))
        shrink(stepwise, left)
    shrink(model, left)
    for (name, one), (other, two) in zip(model.state_dict().items(), stepwise.state_dict().items(), strict=True):
        assert name == other
        assert torch.equal(one, two), name


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "settings",
    [{}, {"operations": "conv_3x3,conv_7x7,dil_conv_3x3"}, {"size": "tiny"}, {"size": "medium"}, *KINDS_OF[1:], DENSE],
    ids=str,
)
def test_the_closed_form_counts_what_runs(settings, size):
    if settings.get("size") == "medium" and size != (32, 32):
        pytest.skip("the largest once")
    model = grid(**settings).float().eval()
    known = subnets(model.spec)
    for removed in (0, 15, 25):
        left, _ = smaller(known, removed, removed)
        spec = model.spec if not removed else type(model.spec)(**{**model.spec.to_dict(), "subnet": left.to_dict()})
        assert known.macs(left, *size) == macs_as_run(create_from(spec).eval(), *size)


@pytest.mark.parametrize("settings", KINDS_OF, ids=str)
def test_a_smaller_network_folds_and_is_made_again_from_its_spec(settings):
    model = grid(**settings)
    left, _ = smaller(subnets(model.spec), 40, 1)
    shrink(model, left)
    again = create_from(spec_from_dict(json.loads(json.dumps(model.spec.to_dict())))).double()
    again.load_state_dict(model.state_dict())
    x = torch.randn(1, 3, 50, 70, dtype=torch.float64)
    with torch.no_grad():
        expected = model.eval()(x)
        torch.testing.assert_close(again.eval()(x), expected, rtol=1e-9, atol=1e-9)  # layouts differ
        torch.testing.assert_close(fold(model)(x), expected, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("settings", KINDS_OF, ids=str)
def test_weights_of_a_choice_sum_to_one_over_what_is_left(settings):
    model = grid(**settings)
    left, _ = smaller(subnets(model.spec), 60, 2)
    shrink(model, left)
    for name, weights in model.arch().items():
        mask = left.masks()[name]
        assert (weights[~mask] == 0).all()
        torch.testing.assert_close(weights.sum(-1), mask.any(-1).to(weights.dtype))
    loss = model(torch.randn(2, 3, 32, 32, dtype=torch.float64)).square().mean()
    loss.backward()
    for name, logits in model.arch.logits.items():
        assert logits.grad.isfinite().all()
        assert (logits.grad[~left.masks()[name]] == 0).all()
    fixed = with_weights(model.eval(), uniform_weights(left.masks()))
    assert fixed(torch.zeros(1, 3, 32, 32, dtype=torch.float64)).isfinite().all()


@pytest.mark.parametrize("settings", KINDS_OF, ids=str)
def test_every_gate_is_the_derivative_in_a_factor_on_the_unit(settings):
    model = grid("conv_3x3,conv_5x5,dil_conv_3x3", **settings).train()
    known = subnets(model.spec)
    left, _ = smaller(known, 12, 3)
    shrink(model, left)
    torch.manual_seed(1)
    # At 32x32 pixels BatchNorm would see two values of the coarsest map, and magnify rounding errors.
    x, target = torch.randn(2, 3, 64, 96, dtype=torch.float64), torch.randint(5, (2, 64, 96))

    def loss():
        return torch.nn.functional.cross_entropy(model(x), target)

    loss().backward()
    units = known.units(left)
    gates = known.gates(model.net, left, units, {})
    some = [unit for kind in KINDS for unit in [u for u in units if u.kind == kind][:6]]
    step = 1e-6  # short enough to meet no kink of an activation
    for unit in some:
        values = []
        for factor in (1 + step, 1 - step):
            with _scaled(model.net, known, left, unit, factor), torch.no_grad():
                values.append(loss().item())
        slope = (values[0] - values[1]) / (2 * step)
        assert gates[units.index(unit)].item() == pytest.approx(slope, rel=1e-4, abs=1e-8), unit


@pytest.mark.parametrize("settings", KINDS_OF, ids=str)
def test_factors_are_what_the_gate_is_on(settings):
    model = grid(**settings)
    known = subnets(model.spec)
    left, _ = smaller(known, 12, 3)
    shrink(model, left)

    def magnitude(unit):
        return known.factors(model.net, left, [unit])[0].detach().abs().mean()

    for unit in known.units(left):
        found = magnitude(unit)
        with _scaled(model.net, known, left, unit, 3.0):  # by a hook or in the weights
            more = magnitude(unit)
        if unit.kind not in ("edge", "bottleneck"):
            torch.testing.assert_close(more, 3 * found)
        elif unit.kind == "edge":
            torch.testing.assert_close(found, transition_of(model.net, known, unit).norm.weight.abs().mean())
        else:
            torch.testing.assert_close(
                found, model.net.cells["{}_{}".format(*unit.where)].cell.project[1].weight.abs().mean()
            )


@pytest.mark.parametrize("settings", [{}, DENSE, {**TIED, "layers": 2}], ids=str)
def test_choices_of_a_cell_are_its_options(settings):
    model = grid("conv_3x3,conv_5x5,dil_conv_3x3", **settings)
    known = subnets(model.spec)
    sums = dict.fromkeys(known.whole().cells, 0.0)
    weights = {name: torch.rand_like(w) * model.arch.mask(name) for name, w in model.arch().items()}
    for unit in known.units(known.whole()):
        for name, at in known.choices(known.whole(), unit):
            sums[at[:2]] += weights[name][at].item()
    for (layer, level), found in sums.items():
        expected = weights["alpha"][layer, level].sum() + weights["beta"][layer, level].sum()
        assert found == pytest.approx(expected.item())


def transition_of(net, known, edge):
    """The one that a unit is."""
    layer, target, place = edge.where
    return net.transitions[by_place(layer, target, known.reach)[place].key]


class _scaled:
    """Within the block, what ``unit`` gives is multiplied by ``factor``: by a hook on what computes it, or in the
    weights where something that is not linear comes after."""

    def __init__(self, net, known, left, unit, factor):
        self.saved, self.hook, self.factor = [], None, factor
        if unit.kind == "width":
            level, group = unit.where
            self._multiply(written(net, level), left.levels[level], known.features[level], group)
            if str(level) in net.stems:
                before = sorted(kept_inside(known, level, left.levels[level]))
                after = kept_inside(known, level, [other for other in left.levels[level] if other != group])
                scale = torch.tensor([1.0 if c in after else factor for c in before], dtype=torch.float64)
                self._scale([net.stems[str(level)][place][1] for place in (0, 1)], scale)
            return
        layer, level, *which = unit.where
        cell = None if unit.kind == "edge" else net.cells[f"{layer}_{level}"].cell
        if unit.kind == "channels":
            self._multiply([cell.norm], left.cells[layer, level].groups, known.widths[level], which[0])
        elif unit.kind == "operation":
            weight = cell.depthwise.convs[known.operations[which[0]].key].weight
            self.saved.append((weight, weight.data.clone()))
            weight.data.mul_(factor)
        else:
            edge = unit.kind == "edge"
            module = transition_of(net, known, unit) if edge else cell.project
            self.hook = module.register_forward_hook(lambda _module, _args, out: out * factor)

    def _multiply(self, norms, groups, width, group):
        parts = [(g, len(channels_of(g, width))) for g in groups]
        scale = torch.cat([torch.full((n,), self.factor if g == group else 1.0, dtype=torch.float64) for g, n in parts])
        self._scale(norms, scale)

    def _scale(self, norms, scale):
        for norm in norms:
            for parameter in (norm.weight, norm.bias):
                self.saved.append((parameter, parameter.data.clone()))
                parameter.data.mul_(scale)

    def __enter__(self):
        pass

    def __exit__(self, *_):
        if self.hook is not None:
            self.hook.remove()
        for parameter, value in self.saved:
            parameter.data = value


@pytest.mark.parametrize("image", [(64, 96), (33, 47)])
@pytest.mark.parametrize("layers", [1, 2])
def test_the_least_is_the_cheapest_of_all_ways(layers, image):
    known = GridSubnets(GridSize(layers=layers, filters=4, expansion=2), operations_called(["conv_3x3"]), 3, 3)
    places = [(layer, level) for layer in range(layers) for level in range(4)]
    sources = [[edge.source for edge in incoming(*place)] for place in places]
    ways = []
    for way in itertools.product(*sources):
        cells = {at: CellPart((source,), (), ()) for at, source in zip(places, way, strict=True)}
        ways.append(read_only(Subgrid(layers, ("conv_3x3",), cells, ((0,),) * 4)))
    by = known.multiply_adds(*image)
    assert known.least(known.whole(), by) == min(known.macs(way, *image) for way in ways)
    some = ways[-1]  # of a part, that part's
    assert known.least(some, by) == known.macs(some, *image)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("reach", [NEAR, Reach(2, 1), Reach(3, 3)], ids=str)
@pytest.mark.parametrize("seed", range(3))
def test_the_least_is_the_cheapest_of_all_ways_whatever_the_reach(reach, tied, seed):
    """Of a random part with few of them."""
    known = GridSubnets(
        GridSize(layers=3, filters=4, expansion=2), operations_called(["conv_3x3"]), 3, 3, reach, tied=tied
    )
    draw, left = random.Random(seed), known.whole()
    while math.prod(len(part.inputs) for part in left.cells.values()) > 200:
        left = known.without(left, draw.choice([unit for unit in known.units(left) if unit.kind == "edge"]))
    ways = itertools.product(*(part.inputs for part in left.cells.values()))
    found = []
    for way in ways:
        cells = {at: replace(part, inputs=(one,)) for (at, part), one in zip(left.cells.items(), way, strict=True)}
        found.append(known.macs(read_only(replace(left, cells=cells)), 64, 96))
    assert len(found) > 10
    assert known.least(left, known.multiply_adds(64, 96), ("edge",)) == min(found)


@pytest.mark.parametrize("kinds", [some for n in range(len(KINDS)) for some in itertools.combinations(KINDS, n)])
def test_the_least_of_some_kinds_is_what_removing_them_comes_to(kinds):
    """For every choice of one edge per cell: what is left when the larger of two groups and kernels goes first."""
    known = GridSubnets(GridSize(layers=1, filters=6, expansion=1), operations_called(["conv_3x3", "conv_5x5"]), 3, 3)
    whole = known.whole()
    edges = [[unit for unit in known.units(whole) if unit.kind == "edge" and unit.where[1] == at] for at in range(4)]
    found = []
    for kept in itertools.product(*edges) if "edge" in kinds else [()]:
        left = whole
        for unit in itertools.chain(*edges) if kept else ():
            left = left if unit in kept else known.without(left, unit)
        while units := [unit for unit in known.units(left) if unit.kind in kinds]:
            left = known.without(left, max(units, key=lambda unit: _size_of(known, unit)))
        found.append(known.macs(left, 64, 64))
    assert known.least(whole, known.multiply_adds(64, 64), kinds) == min(found)


def _size_of(known, unit):
    if unit.kind in ("channels", "width"):
        *_, level, group = unit.where
        return len(channels_of(group, (known.widths if unit.kind == "channels" else known.features)[level]))
    return unit.where[-1]


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.75, 0.99])
@pytest.mark.parametrize("size", ["nano", "tiny", "medium"])
def test_a_narrower_grid_is_the_dearest_of_those_that_are_narrower_alike(size, share):
    with torch.device("meta"):
        known = subnets(create_model(f"grid-{size}", num_classes=5).spec)
    whole, cost = known.whole(), known.multiply_adds(96, 128)
    most = int(share * known.cost(whole, cost))
    ways = []
    for n, m in itertools.product(range(1, 9), repeat=2):
        if abs(n - m) <= 1 and (size != "medium" or n == 8):  # with channel sampling levels stay
            cells = {at: CellPart(p.inputs, p.operations, p.groups[:m]) for at, p in whole.cells.items()}
            ways.append(Subgrid(whole.layers, whole.operations, cells, tuple(groups[:n] for groups in whole.levels)))
    costs = [known.cost(way, cost) for way in ways]
    if min(costs) > most:
        with pytest.raises(ValueError, match="the narrowest grid with all cells and edges costs"):
            known.narrower(cost, most)
    else:
        assert known.cost(known.narrower(cost, most), cost) == max(n for n in costs if n <= most)


def test_a_narrower_grid_is_one_of_fewer_filters():
    """But for the gates inside bottlenecks, which stay as deep as they were."""
    with torch.device("meta"):
        tiny, half = (subnets(create_model("grid-tiny", num_classes=5, filters=f).spec) for f in (16, 8))
    cost = tiny.multiply_adds(96, 128)
    whole = tiny.whole()
    cells = {at: CellPart(part.inputs, part.operations, part.groups[:4]) for at, part in whole.cells.items()}
    narrow = Subgrid(whole.layers, whole.operations, cells, tuple(groups[:4] for groups in whole.levels))
    gates = sum(2 * 24 * 2**level * (12 * 2**level - 6 * 2**level) for level in range(4)) * whole.layers
    assert tiny.cost(narrow, cost) - gates == half.macs(half.whole(), 96, 128)


@pytest.mark.parametrize("settings", [{}, DENSE, TIED], ids=str)
def test_there_is_always_something_left_to_compute(settings):
    known = subnets(grid(**settings).spec)
    left = known.whole()
    while units := known.units(left):
        smaller_one = known.without(left, units[0])
        assert known.macs(smaller_one, 64, 64) <= known.macs(left, 64, 64)
        left = smaller_one
    assert all(part.bare for part in left.cells.values())
    transitions = {by_place(*at, known.reach)[place].first for at, part in left.cells.items() for place in part.inputs}
    assert settings.get("tied") or all(len(part.inputs) == 1 for part in left.cells.values())
    assert len(transitions) <= len(left.cells)
    assert {level for layer, level in left.cells if layer == left.layers - 1} == set(range(4))
    assert all(len(groups) == 1 for groups in left.levels)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda d: d["cells"].pop(), "which the decoder reads"),
        (lambda d: d["cells"][0].update(inputs=[]), "reads nothing"),
        (lambda d: d["cells"][0].update(inputs=[16]), "which is not there"),
        (lambda d: d["cells"][0].update(groups=[]), "operations without channels"),
        (lambda d: d["cells"][0].update(groups=[0, 99]), "that there is not"),
        (lambda d: d["cells"][0].update(operations=["mine"]), "is none"),
        (lambda d: d["cells"].append(d["cells"][0]), "is there twice"),
        (lambda d: d.update(layers=7), "decoder reads"),
        (lambda d: d.update(more=1), "more"),
        (lambda d: d["cells"][0].update(stride=5), "is none"),
        (lambda d: d["levels"].update({"4": []}), "for each of 4 levels"),
        (lambda d: d["levels"].update({"4": [9]}), "for each of 4 levels"),
        (lambda d: d["levels"].update({"4": "0"}), "levels: 4=.0.: expected list"),
        (lambda d: d["levels"].pop("8"), "levels has no .8.; expected 4, 8, 16, 32"),
    ],
)
def test_what_is_no_subnet_is_refused(spoil, told):
    spec = grid().spec
    values = json.loads(json.dumps(subnets(spec).whole().to_dict()))
    assert subnets(spec).from_dict(values) == subnets(spec).whole()
    spoil(values)
    with pytest.raises(ValueError, match=told):
        subnets(spec).from_dict(values)


@pytest.mark.parametrize(
    ("inputs", "told"),
    [
        (["0/4", "3/4"], "it cannot read '3/4'; expected LAYER/STRIDE within its reach"),
        ([4], "it cannot read 4"),
        (["0/32"], "it cannot read '0/32'"),
        (["1/8"], "the cell at layer 3, stride 4 reads level 1 of the layer 2 before, which is not there"),
        ([], "reads nothing"),
    ],
)
def test_what_a_cell_of_a_dense_grid_cannot_read_is_refused(inputs, told):
    known = subnets(grid(**DENSE, reach_levels=2).spec)
    values = json.loads(json.dumps(known.whole().to_dict()))
    assert known.from_dict(values) == known.whole()
    assert values["cells"][-4]["inputs"] == [f"{layer}/{stride}" for layer in (2, 1, 0) for stride in (4, 8, 16)]
    del values["cells"][1]
    for cell in values["cells"]:
        cell["inputs"] = [name for name in cell["inputs"] if name != "1/8"]
    assert (0, 1) not in known.from_dict(values).cells
    values["cells"][-4]["inputs"] = inputs
    with pytest.raises(ValueError, match=told):
        known.from_dict(values)


def test_what_cannot_be_counted_is_refused():
    with pytest.raises(ValueError, match="head='dpc': what it costs is not counted"):
        subnets(create_model("dense-grid-nano", num_classes=3, head="dpc").spec)
    with pytest.raises(ValueError, match="cell='separate' has a bottleneck per operation"):
        subnets(create_model("grid-nano", num_classes=3, cell="separate").spec)
    with pytest.raises(ValueError, match="space 'dots' does not say what can be removed"):
        subnets(create_model("dots", num_classes=3, channels=4, cells=3).spec)


def test_groups_divide_the_channels():
    for width in (1, 5, 8, 18, 48, 96):
        groups = [list(channels_of(group, width)) for group in range(min(8, width))]
        assert list(itertools.chain(*groups)) == list(range(width))
