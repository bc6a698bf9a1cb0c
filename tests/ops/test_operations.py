"""The candidate operations of the grid's cell: all forms of all of them compute the same, and names are checked."""

import json
from itertools import combinations

import pytest
import torch
from torch import nn

import wholenet
from wholenet.data.sample import Classes
from wholenet.deploy.model_folder import load_model, save_model
from wholenet.deploy.segmenter import segmentation_answer
from wholenet.ops.bottleneck import CELLS
from wholenet.ops.forms import plain_form
from wholenet.ops.mixture import OperationMixture, spread
from wholenet.ops.operations import (
    OPERATIONS,
    DepthwiseConvolution,
    Operation,
    check_operation,
    convolution,
    operations_called,
)
from wholenet.ops.shares import Kernel
from wholenet.spaces.catalog import create_model, discrete_from
from wholenet.spaces.count import count, linear_flops, meta_flops
from wholenet.spaces.decoding import DECODINGS, decode
from wholenet.spaces.genotype import read_genotype, write_genotype
from wholenet.spaces.grid import DEFAULT, Grid
from wholenet.spaces.sizes import GRID_SIZES, GridSize
from wholenet.spaces.supernet import with_weights

pytestmark = pytest.mark.usefixtures("shallow")

CLASSES = Classes(("ground", "disc", "sky"), ((0, 0, 0), (230, 159, 0), (0, 114, 178)))


class Squashed(nn.Module):
    """Not linear, with statistics of its own: it declares nothing."""

    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x):
        return self.norm(self.conv(x.tanh()))


FOREIGN = (Operation("dil_conv_5x5", lambda channels: DepthwiseConvolution(channels, 5, 3)), Operation("no", Squashed))
EVERY = (*OPERATIONS.values(), *FOREIGN)
"""In this order they are offered; the last declares nothing."""
NAMES = ",".join(operation.name for operation in EVERY)


@pytest.fixture(autouse=True)
def toy(monkeypatch):
    """A grid of one layer, and the foreign operations known."""
    monkeypatch.setitem(GRID_SIZES, "nano", GridSize(layers=1, filters=4, expansion=2, head=8))
    for operation in FOREIGN:
        wholenet.register(operation)
    yield
    for operation in FOREIGN:
        OPERATIONS.remove(operation.name)


def trained(seed=0, **settings):
    """A model whose BatchNorms have seen something, in float64 and eval mode."""
    torch.manual_seed(seed)
    model = create_model("grid-nano", num_classes=3, **{"operations": NAMES, **settings}).double().train()
    for norm in (m for m in model.net.modules() if isinstance(m, nn.BatchNorm2d)):
        nn.init.normal_(norm.weight, 1, 0.3)
        nn.init.normal_(norm.bias)
    for logits in model.arch.logits.values():
        nn.init.normal_(logits)
    with torch.no_grad():
        for _ in range(3):
            model(torch.randn(2, 3, 64, 64, dtype=torch.float64))
    return model.eval()


@pytest.mark.parametrize("operations", [EVERY, *combinations(EVERY, 2), *((one,) for one in EVERY)])
def test_operations_in_one_convolution_equal_operations_one_by_one(operations):
    torch.manual_seed(0)
    mixture = OperationMixture(3, operations).double().eval()
    x = torch.randn(2, 3, 9, 11, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(len(operations), dtype=torch.float64).requires_grad_()
    inputs = [x, weights, *mixture.parameters()]

    def run(plain):
        with plain_form(mixture, plain=plain):
            out = mixture(x, weights)
        first = torch.autograd.grad(out.square().sum(), inputs, create_graph=True)
        return [out, *first, *torch.autograd.grad(first[0].square().sum() + first[1].square().sum(), inputs)]

    for merged, plain in zip(run(plain=False), run(plain=True), strict=True):
        torch.testing.assert_close(merged, plain, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("cell", CELLS)
def test_the_forms_of_a_network_agree_over_all_operations(cell, mode):
    torch.manual_seed(0)
    net = Grid(GRID_SIZES["nano"], 3, cell=cell, operations=EVERY).double().train(mode == "train")
    weights = {name: (mask / mask.sum(-1, keepdim=True)).double().requires_grad_() for name, mask in net.masks.items()}
    x, found = torch.randn(2, 3, 64, 37, dtype=torch.float64), []
    for plain in (True, False):
        with plain_form(net, plain=plain):
            out = net(x, weights)
        found.append([out, *torch.autograd.grad(out.square().mean(), [*weights.values(), *net.parameters()])])
    for merged, plain in zip(*found, strict=True):
        torch.testing.assert_close(merged, plain, atol=1e-10, rtol=1e-9)


def test_a_dilated_kernel_costs_its_taps_alone_and_others_share_what_room_there_is():
    def merged(*operations):
        mixture = OperationMixture(2, operations)
        kernel = mixture.merged(torch.ones(len(operations)), mixture.dilation)
        return mixture.dilation, kernel.shape[-1], int((kernel[0] != 0).sum())

    assert merged(convolution(3, 2)) == (2, 3, 9)
    assert merged(convolution(3, 2), convolution(3, 4)) == (2, 5, 17)
    assert merged(convolution(3, 2), convolution(1)) == (2, 3, 9)
    assert merged(convolution(3, 2), convolution(3)) == (1, 5, 17)
    assert merged(convolution(1)) == (1, 1, 1)


def test_a_kernel_that_is_no_square_is_spread_both_ways():
    kernel = Kernel(torch.randn(2, 1, 3, 5, dtype=torch.float64), dilation=6)
    x = torch.randn(1, 2, 40, 40, dtype=torch.float64)
    for dilation, size in ((1, (13, 25)), (2, (7, 13)), (3, (5, 9)), (6, (3, 5))):
        apart = spread(kernel, dilation)
        assert apart.shape[2:] == size
        torch.testing.assert_close(Kernel(apart, dilation).applied(x), kernel.applied(x))


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("operations", [NAMES, "no", "dil_conv_3x3", "no,dil_conv_5x5"])
def test_a_folded_network_equals_the_model(cell, operations):
    model = trained(cell=cell, operations=operations)
    x = torch.randn(2, 3, 64, 96, dtype=torch.float64)
    folded = wholenet.fold(model)
    torch.testing.assert_close(folded(x), model(x), atol=1e-11, rtol=1e-11)
    if operations == "dil_conv_3x3":
        depthwise = [m for m in folded.modules() if getattr(m, "groups", 1) == 8]
        assert {(m.kernel_size, m.dilation) for m in depthwise} == {((3, 3), (2, 2))}


def test_folding_leaves_out_what_has_no_weight():
    model = trained()
    weights = {name: w.detach().clone() for name, w in model.arch().items()}
    weights["alpha"][..., -1] = 0
    cut, x = with_weights(model, weights), torch.randn(1, 3, 64, 64, dtype=torch.float64)
    folded = wholenet.fold(cut)
    torch.testing.assert_close(folded(x), cut(x), atol=1e-11, rtol=1e-11)
    assert not any(isinstance(module, Squashed) for module in folded.modules())
    weights["alpha"][...] = 0
    empty = with_weights(trained(operations="no"), {**weights, "alpha": torch.zeros(1, 4, 1, dtype=torch.float64)})
    torch.testing.assert_close(wholenet.fold(empty)(x), empty(x), atol=1e-11, rtol=1e-11)


@pytest.mark.parametrize("decoding", DECODINGS)
def test_a_discrete_network_is_read_back_and_answers_as_the_supernet(decoding, tmp_path):
    model = trained()
    genotype = decode(model.arch(), decoding, 0.3, model.net.operations)
    chosen = {cell.operation for cell in genotype.cells}
    assert chosen <= set(NAMES.split(","))
    assert len(chosen) > 1
    write_genotype(genotype, tmp_path / "genotype.yaml")
    assert read_genotype(tmp_path / "genotype.yaml") == genotype
    assert json.loads(json.dumps(genotype.to_dict()))["operations"] == NAMES.split(",")
    alone, x = discrete_from(model, genotype), torch.randn(1, 3, 64, 64, dtype=torch.float64)
    weights = {name: w.double() for name, w in genotype.weights().items()}
    torch.testing.assert_close(alone(x), model.net(x, weights), atol=1e-11, rtol=1e-11)


def test_a_genotype_of_other_operations_is_refused_with_the_option_to_give():
    genotype = decode(trained().arch(), "strongest", 0.5, tuple(NAMES.split(",")))
    with pytest.raises(ValueError, match=rf"the network among conv_3x3,conv_5x5; give --operations {NAMES}"):
        create_model("grid-nano", num_classes=3, genotype=genotype)


def test_what_is_counted_is_what_runs():
    model = create_model("grid-nano", num_classes=3, operations="conv_3x3,dil_conv_3x3").eval()
    assert linear_flops(model, 64, 96) == meta_flops(model, 64, 96)
    three, both, mine = (
        count("grid-nano", height=64, width=96, operations=names)
        for names in ("conv_3x3", "conv_3x3,dil_conv_3x3", "conv_3x3,no")
    )
    pixels = 16 * 24
    maps = sum(2 * 4 * 2**level * pixels // 4**level for level in range(4))  # values of the four cells' wide maps
    assert both.macs - three.macs == mine.macs - three.macs == mine.macs_merged - three.macs_merged == 9 * maps
    assert both.macs_merged - three.macs_merged == (25 - 9) * maps


def test_the_default_s_model_says_nothing_of_operations_and_others_come_back(tmp_path):
    assert "operations" not in create_model("grid-nano", num_classes=3).spec.settings
    assert "operations" not in create_model("grid-nano", num_classes=3, operations=",".join(DEFAULT)).spec.settings
    model = trained().float()
    save_model(tmp_path / "m", "segmentation", model, segmentation_answer(CLASSES, {"val_share": 0.4, "seed": 3}), {})
    loaded = load_model(tmp_path / "m").network
    assert loaded.net.operations == tuple(NAMES.split(","))
    assert loaded.spec == model.spec
    x = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(loaded(x), model(x), atol=1e-5, rtol=1e-5)


def test_a_folder_whose_operation_is_not_registered_here_says_what_to_import(tmp_path):
    answer = segmentation_answer(CLASSES, {"val_share": 0.4, "seed": 3})
    save_model(tmp_path / "m", "segmentation", trained().float(), answer, {})
    OPERATIONS.remove("no")
    said = r"config.json, model, settings: unknown grid operation 'no'; .*--import MODULE"
    try:
        with pytest.raises(ValueError, match=said):
            load_model(tmp_path / "m")
    finally:
        wholenet.register(FOREIGN[1])


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_onnx_computes_what_the_model_does(tmp_path):
    pytest.importorskip("onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    model = trained().float()
    cell, x = wholenet.fold(model).cells["0_0"], torch.randn(1, 4, 17, 13)  # a whole network takes half a minute
    torch.onnx.export(cell, (x,), tmp_path / "cell.onnx", input_names=["x"], dynamo=True, verbose=False)
    session = onnxruntime.InferenceSession(str(tmp_path / "cell.onnx"), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"x": x.numpy()})
    with torch.no_grad():
        expected = model.net.cells["0_0"](x, model.arch()["alpha"][0, 0])
    torch.testing.assert_close(torch.from_numpy(found), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("operations", "said"),
    [
        ("conv_3x3,dil_conv_3", "unknown grid operation 'dil_conv_3'; did you mean 'dil_conv_3x3'.*--import MODULE"),
        ("conv_3x3,conv_3x3", "'conv_3x3' is there twice"),
        ("conv_3x3, conv_5x5", "expected up to 32 names joined by commas, without spaces"),
        ("", "expected up to 32 names"),
    ],
)
def test_names_that_do_not_do_are_refused(operations, said):
    with pytest.raises(ValueError, match=said):
        create_model("grid-nano", num_classes=3, operations=operations)


def test_a_name_that_is_taken_or_none_is_refused():
    with pytest.raises(ValueError, match="there is a grid operation 'conv_3x3' already; register yours under another"):
        wholenet.register(Operation("conv_3x3", Squashed))
    with pytest.raises(ValueError, match=r"operation 'a\.b': expected a name of letters"):
        Operation("a.b", Squashed)
    assert len({operation.key for operation in operations_called(NAMES.split(","))}) == len(EVERY)


class Claims(nn.Conv2d):
    """Says that it is a convolution without bias, and has one."""

    @property
    def shares(self):
        return Kernel(self.weight)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda _c: torch.relu, "makes a builtin_function_or_method; expected a torch.nn.Module"),
        (lambda c: nn.Conv2d(c, c, 3), r"makes \(1, 4, 11, 9\) of a map \(1, 4, 13, 11\)"),
        (lambda _c: nn.ReLU(inplace=True), "changes its input"),
        (lambda c: Claims(c, c, 3, padding=1, groups=c), "does not compute what it declares"),
        (lambda c: DepthwiseConvolution(c, 4), "4x4: expected an odd size"),
    ],
)
def test_an_operation_that_cannot_stand_in_a_cell_is_refused_before_a_network_is_built(make, said):
    with pytest.raises(ValueError, match=said):
        check_operation(Operation("mine", make))


def test_the_trial_takes_no_random_numbers():
    torch.manual_seed(0)
    check_operation(Operation("mine", Squashed))
    after = torch.rand(1)
    torch.manual_seed(0)
    assert torch.equal(after, torch.rand(1))
