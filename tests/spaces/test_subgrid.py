"""What is left of a grid: it computes what the whole one does with the rest at zero, costs what the closed form says,
and its gates are the derivatives that they are said to be."""

import copy
import itertools
import json
import random

import pytest
import torch

from wholenet.architecture import uniform_weights
from wholenet.deploy.fold import fold
from wholenet.ops.operations import operations_called
from wholenet.spaces.catalog import create_from, create_model, shrink, subnets
from wholenet.spaces.count import macs_as_run
from wholenet.spaces.grid import incoming
from wholenet.spaces.grid_subnets import KINDS, GridSubnets
from wholenet.spaces.sizes import GridSize
from wholenet.spaces.space import spec_from_dict
from wholenet.spaces.subgrid import CellPart, Subgrid, channels_of, read_only
from wholenet.spaces.supernet import with_weights

SIZES = [(64, 96), (33, 47), (32, 32)]


def grid(operations="conv_3x3,conv_5x5", size="nano", **settings):
    torch.manual_seed(0)
    model = create_model(f"grid-{size}", num_classes=5, operations=operations, **settings).double()
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


def zeroed(model, known, left):
    """The whole network and weights with which it computes what ``left`` alone would: what is gone is at zero."""
    net = copy.deepcopy(model.net)
    masks = left.masks()
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
@pytest.mark.parametrize("settings", [{}, {"operations": "conv_3x3,dil_conv_3x3"}, {"activation": "relu"}])
@pytest.mark.parametrize("seed", range(3))
def test_what_is_left_computes_what_the_whole_does_with_the_rest_at_zero(seed, settings, training):
    model = grid(**settings)
    known = subnets(model.spec)
    left, gone = smaller(known, 40, seed)
    assert {unit.kind for unit in gone} == set(KINDS)
    whole, weights = zeroed(model, known, left)
    shrink(model, left)
    assert sum(p.numel() for p in model.net.parameters()) < sum(p.numel() for p in whole.parameters())
    x = torch.randn(2, 3, 64, 96, dtype=torch.float64)
    found = model.net.train(training)(x, weights)
    torch.testing.assert_close(found, whole.train(training)(x, weights), rtol=1e-9, atol=1e-9)


def test_removing_in_steps_is_removing_at_once():
    model = grid()
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
    [{}, {"operations": "conv_3x3,conv_7x7,dil_conv_3x3"}, {"size": "tiny"}, {"size": "medium"}],
    ids=lambda settings: "-".join(settings.values()),
)
def test_the_closed_form_counts_what_runs(settings, size):
    if settings.get("size") == "medium" and size != (32, 32):
        pytest.skip("the largest once")
    model = create_model(f"grid-{settings.get('size', 'nano')}", num_classes=5, **_without_size(settings)).eval()
    known = subnets(model.spec)
    for removed in (0, 15, 25):
        left, _ = smaller(known, removed, removed)
        spec = model.spec if not removed else type(model.spec)(**{**model.spec.to_dict(), "subnet": left.to_dict()})
        assert known.macs(left, *size) == macs_as_run(create_from(spec).eval(), *size)


def _without_size(settings):
    return {name: value for name, value in settings.items() if name != "size"}


def test_a_smaller_network_folds_and_is_made_again_from_its_spec():
    model = grid()
    left, _ = smaller(subnets(model.spec), 40, 1)
    shrink(model, left)
    again = create_from(spec_from_dict(json.loads(json.dumps(model.spec.to_dict())))).double()
    again.load_state_dict(model.state_dict())
    x = torch.randn(1, 3, 50, 70, dtype=torch.float64)
    with torch.no_grad():
        expected = model.eval()(x)
        torch.testing.assert_close(again.eval()(x), expected, rtol=1e-9, atol=1e-9)  # layouts differ
        torch.testing.assert_close(fold(model)(x), expected, rtol=1e-8, atol=1e-8)


def test_weights_of_a_choice_sum_to_one_over_what_is_left():
    model = grid()
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


def test_every_gate_is_the_derivative_in_a_factor_on_the_unit():
    model = grid("conv_3x3,conv_5x5,dil_conv_3x3").train()
    known = subnets(model.spec)
    left, _ = smaller(known, 12, 3)
    shrink(model, left)
    torch.manual_seed(1)
    x, target = torch.randn(2, 3, 32, 32, dtype=torch.float64), torch.randint(5, (2, 32, 32))

    def loss():
        return torch.nn.functional.cross_entropy(model(x), target)

    loss().backward()
    units = known.units(left)
    gates = known.gates(model.net, left, units)
    some = [unit for kind in KINDS for unit in [u for u in units if u.kind == kind][:6]]
    step = 1e-5
    for unit in some:
        layer, level, *which = unit.where
        values = []
        for factor in (1 + step, 1 - step):
            with _scaled(model.net, known, left, unit.kind, layer, level, which, factor), torch.no_grad():
                values.append(loss().item())
        slope = (values[0] - values[1]) / (2 * step)
        assert gates[units.index(unit)].item() == pytest.approx(slope, rel=1e-4, abs=1e-8), unit


class _scaled:
    """Within the block, what ``unit`` gives is multiplied by ``factor``: by a hook on what computes it."""

    def __init__(self, net, known, left, kind, layer, level, which, factor):
        cell = net.cells[f"{layer}_{level}"].cell
        if kind == "edge":
            self.module, self.change = net.transitions[f"{layer}_{which[0]}_{level}"], lambda out: out * factor
        elif kind == "bottleneck":
            self.module, self.change = cell.project, lambda out: out * factor
        elif kind == "operation":
            self.module = cell.depthwise.convs[known.operations[which[0]].key]
            self.change = None
        else:
            groups = left.cells[layer, level].groups
            sizes = [len(channels_of(group, known.widths[level])) for group in groups]
            scale = torch.cat(
                [
                    torch.full((n,), factor if g == which[0] else 1.0, dtype=torch.float64)
                    for g, n in zip(groups, sizes, strict=True)
                ]
            )
            # Before the activation, whose slope is not its own: the gate is on what BatchNorm gives.
            self.module, self.change = cell.norm, lambda out: out * scale[:, None, None]
        self.factor = factor

    def __enter__(self):
        if self.change is None:
            self.module.weight.data.mul_(self.factor)
        elif isinstance(self.module, torch.nn.BatchNorm2d):  # its affine map is used, not its forward pass
            self.saved = [p.data.clone() for p in (self.module.weight, self.module.bias)]
            scale = self.change(torch.ones(len(self.module.weight), 1, 1, dtype=torch.float64)).flatten()
            self.module.weight.data.mul_(scale)
            self.module.bias.data.mul_(scale)
        else:
            self.hook = self.module.register_forward_hook(lambda _module, _args, out: self.change(out))

    def __exit__(self, *_):
        if self.change is None:
            self.module.weight.data.div_(self.factor)
        elif isinstance(self.module, torch.nn.BatchNorm2d):
            self.module.weight.data, self.module.bias.data = self.saved
        else:
            self.hook.remove()


@pytest.mark.parametrize("image", [(64, 96), (33, 47)])
@pytest.mark.parametrize("layers", [1, 2])
def test_the_least_is_the_cheapest_of_all_ways(layers, image):
    known = GridSubnets(GridSize(layers=layers, filters=4, expansion=2), operations_called(["conv_3x3"]), 3, 3)
    places = [(layer, level) for layer in range(layers) for level in range(4)]
    sources = [[edge.source for edge in incoming(*place)] for place in places]
    ways = []
    for way in itertools.product(*sources):
        cells = {at: CellPart((source,), (), ()) for at, source in zip(places, way, strict=True)}
        ways.append(read_only(Subgrid(layers, ("conv_3x3",), cells)))
    assert known.least(known.whole(), *image) == min(known.macs(way, *image) for way in ways)
    some = ways[-1]  # of a part, that part's
    assert known.least(some, *image) == known.macs(some, *image)


def test_there_is_always_something_left_to_compute():
    known = subnets(grid().spec)
    left = known.whole()
    while units := known.units(left):
        smaller_one = known.without(left, units[0])
        assert known.macs(smaller_one, 64, 64) <= known.macs(left, 64, 64)
        left = smaller_one
    assert all(part.bare and len(part.inputs) == 1 for part in left.cells.values())
    assert {level for layer, level in left.cells if layer == left.layers - 1} == set(range(4))


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
    ],
)
def test_what_is_no_subnet_is_refused(spoil, told):
    spec = grid().spec
    values = json.loads(json.dumps(subnets(spec).whole().to_dict()))
    assert subnets(spec).from_dict(values) == subnets(spec).whole()
    spoil(values)
    with pytest.raises(ValueError, match=told):
        subnets(spec).from_dict(values)


def test_what_cannot_be_counted_is_refused():
    with pytest.raises(ValueError, match="cell='separate' has a bottleneck per operation"):
        subnets(create_model("grid-nano", num_classes=3, cell="separate").spec)
    with pytest.raises(ValueError, match="space 's2' does not say what can be removed"):
        subnets(create_model("s2", num_classes=3, channels=4, cells=3).spec)


def test_groups_divide_the_channels():
    for width in (1, 5, 8, 18, 48, 96):
        groups = [list(channels_of(group, width)) for group in range(min(8, width))]
        assert list(itertools.chain(*groups)) == list(range(width))
