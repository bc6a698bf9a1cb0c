"""Operations of the cell spaces, and tables of them, that users register."""

import pytest
import torch
from torch import nn

import wholenet
from wholenet.ops.candidates import CANDIDATES, CellOperation, SeparableConvolutions
from wholenet.ops.cell_trial import check_cell_operation
from wholenet.spaces.catalog import SPACES, create_model
from wholenet.spaces.cell_space import cell_space
from wholenet.spaces.cell_tables import PAIRS, TABLES, is_cell_space, table_of


class Liar(SeparableConvolutions):
    """Declares a separable convolution, and adds the input."""

    def forward(self, x):
        return super().forward(x) + x


def convolution(channels, stride, *_):
    return nn.Conv2d(channels, channels, 3, stride, 1)


def test_ours_do_what_is_asked_of_an_operation():
    before = torch.get_rng_state()
    for operation in CANDIDATES.values():
        check_cell_operation.__wrapped__(operation)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda channels, *_: nn.Conv2d(channels, channels, 3, 1, 1), r"stride 2 makes \(2, 16, 12, 8\) of a map"),
        (lambda channels, stride, *_: nn.Conv2d(channels, 3, 1, stride), r"stride 1 makes \(2, 3, 12, 8\) of a map"),
        (lambda _channels, stride, *_: nn.Upsample(scale_factor=3 - 2 * stride), "stride 2 fails on a map"),
        (lambda channels, stride: nn.Conv2d(channels, channels, 1, stride), "stride 1 fails on a map .*TypeError"),
        (lambda *_: "a layer", "stride 1 makes a str; expected a torch.nn.Module"),
        (
            lambda channels, stride, *_: nn.Sequential(nn.ReLU(inplace=True), convolution(channels, stride)),
            "changes its",
        ),
        (lambda channels, stride, *_: Liar(channels, 3, (stride,), affine=False), "does not compute what it declares"),
    ],
)
def test_an_operation_that_no_cell_can_have_is_refused(make, said):
    with pytest.raises(ValueError, match=said):
        check_cell_operation(CellOperation("mine", make))


@pytest.mark.parametrize(
    ("name", "said"), [("a.b", "expected a name of letters"), ("", "expected a name"), ("keys", "torch has something")]
)
def test_a_name_that_weights_cannot_be_found_by_is_refused(name, said):
    with pytest.raises(ValueError, match=said):
        CellOperation(name, convolution)


EVERY = dict.fromkeys(PAIRS, ("none", "sep_conv_3x3"))


@pytest.mark.parametrize(
    ("edges", "said"),
    [
        (["skip_connect", "sep_con_3x3"], "unknown cell operation 'sep_con_3x3'; did you mean 'sep_conv_3x3'"),
        (["noise", "noise"], "'noise' is there twice"),
        ([], "expected up to 32 names"),
        ({"normal": EVERY}, "space 'mine' has edges of .*; expected 'normal' and 'reduce'"),
        ({"normal": EVERY, "reduce": {}}, "the reduce cell of space 'mine' offers nothing from node 0 to 2"),
        ({"normal": {**EVERY, (3, 2): ["noise"]}, "reduce": EVERY}, r"has an edge \(3, 2\); expected"),
        (
            {"normal": {**EVERY, (1, 3): ["noise"]}, "reduce": EVERY},
            "2 operations on its first edge and 1 from node 1 to",
        ),
    ],
)
def test_a_table_that_there_cannot_be_is_refused(edges, said):
    with pytest.raises(ValueError, match=said):
        cell_space("mine", edges)


@pytest.mark.parametrize("taken", ["grid", "s2"])
def test_a_space_whose_name_is_taken_leaves_nothing_behind(taken):
    before = dict(TABLES)
    with pytest.raises(ValueError, match=f"there is a space '{taken}' already"):
        wholenet.register(cell_space(taken, ["noise", "sep_conv_3x3"]))
    assert dict(TABLES) == before
    assert not is_cell_space("grid")
    with pytest.raises(ValueError, match="there is a cell operation 'noise' already"):
        wholenet.register(CellOperation("noise", convolution))


def test_a_table_of_ones_own_makes_the_network_that_the_same_table_of_ours_makes():
    edges = {kind: {(e.source, e.target): e.operations for e in some} for kind, some in TABLES["s1"].items()}
    wholenet.register(space := cell_space("mine", edges))
    try:
        wholenet.register(space)  # again
        assert is_cell_space("mine")
        models = []
        for name in ("s1", "mine"):
            torch.manual_seed(0)
            models.append(create_model(name, num_classes=3, channels=4, cells=3).eval())
        x = torch.randn(1, 3, 8, 8)
        assert torch.equal(*(model(x) for model in models))
    finally:
        SPACES.remove("mine")
        TABLES.remove("mine")


def test_operations_take_the_place_of_those_of_a_table():
    assert table_of("darts", "skip_connect,sep_conv_3x3") == TABLES["s2"]
    assert table_of("s1") is TABLES["s1"]
    assert "operations" not in create_model("s2", num_classes=2, channels=4, cells=3).spec.settings
