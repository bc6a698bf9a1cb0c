"""The folded supernet of Auto-DeepLab computes what it does, in float64 to the last digits, and runs nothing that is
dead."""

import copy
import random
from dataclasses import replace

import pytest
import torch
from torch import nn

from wholenet.deploy.export import _traced_twice, exportable, save_program
from wholenet.deploy.fold_trellis import fold_trellis
from wholenet.spaces.autodeeplab.genotype import OPERATIONS
from wholenet.spaces.autodeeplab.trellis import Move, levels
from wholenet.spaces.catalog import create_model, shrink, subnets

DOUBLE = torch.float64


def trained(seed=0, layers=3, **options):
    """A model whose every number differs from its start: statistics, affine maps, logits."""
    torch.manual_seed(seed)
    model = create_model("autodeeplab-tiny", num_classes=3, layers=layers, filters=2, blocks=2, **options).double()
    for logits in model.arch.logits.values():
        nn.init.normal_(logits)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2)
            if module.affine:
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.normal_(module.bias)
    return model.eval()


@torch.no_grad()
def difference(model, size):
    x = torch.randn(2, 3, *size, dtype=DOUBLE)
    folded = fold_trellis(model)
    expected = model(x)
    return ((folded(x) - expected).abs().max() / expected.abs().max()).item(), folded


@pytest.mark.parametrize(
    "options",
    [{}, {"separable_atrous": True, "affine": True}, {"resize_first": True, "transitions": "incoming"}],
    ids=["paper", "separable", "public"],
)
@pytest.mark.parametrize("size", [(33, 47), (64, 32)])
def test_it_equals_the_model(options, size):
    model = trained(**options)
    before = copy.deepcopy(model.state_dict())
    error, folded = difference(model, size)
    assert error < 1e-12
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


@pytest.mark.parametrize(
    ("kept", "convolutions"), [("none", 0), ("skip_connect", 1), ("atrous_conv_3x3", 1), ("sep_conv_5x5", 4)]
)
def test_what_has_no_weight_is_left_out(kept, convolutions, monkeypatch):
    """One operation on all edges, and one path to one level: all other nodes are dead, but those that heads read."""
    model = trained()
    alpha = torch.zeros(model.net.masks["alpha"].shape, dtype=DOUBLE)
    alpha[:, OPERATIONS.index(kept)] = 1
    beta = torch.zeros(model.net.masks["beta"].shape, dtype=DOUBLE)
    for layer, (source, target) in enumerate([(0, 0), (0, 1), (1, 1)], 1):
        beta[model.net.place_of(Move(layer, source, target))] = 1
    monkeypatch.setattr(type(model.arch), "scored", lambda _self: {"alpha": alpha, "beta": beta})
    x = torch.randn(2, 3, 33, 47, dtype=DOUBLE)
    folded = fold_trellis(model)
    with torch.no_grad():
        expected = model.net(x, {"alpha": alpha, "beta": beta})
        torch.testing.assert_close(folded(x), expected, atol=1e-12, rtol=1e-12)
    for cell in folded.cells.values():
        assert [sum(isinstance(m, nn.Conv2d) for m in block.modules()) for block in cell.blocks] == [convolutions] * 2
    assert all(len(moves) == 1 for moves in folded.moves.values())
    assert {level for layer, level in folded.moves if layer == 3} == set(levels(3))


def test_a_model_in_training_is_refused():
    with pytest.raises(ValueError, match=r"call model\.eval\(\) first"):
        fold_trellis(trained().train())


def test_a_supernet_is_traced_at_two_sizes_and_written_for_all(tmp_path):
    """Nodes with one predecessor and with two, of either side."""
    runtime = pytest.importorskip("onnxruntime")
    model = trained(layers=2).float()
    about = {"normalization": {"mean": [0, 0, 0]}}
    program = _traced_twice(exportable(model), about)
    assert program is not None
    save_program(program, about, tmp_path / "net.onnx")
    session = runtime.InferenceSession(tmp_path / "net.onnx")
    for shape in ((1, 3, 64, 96), (3, 3, 33, 75)):
        x = torch.randn(*shape)
        with torch.no_grad():
            expected = model(x)
        found = torch.from_numpy(session.run(None, {"images": x.numpy()})[0])
        torch.testing.assert_close(found, expected, atol=1e-5 * expected.abs().max().item(), rtol=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_what_is_left_of_a_smaller_trellis_folds_and_keeps_its_zoom(seed):
    model = trained(seed)
    known = subnets(model.spec)
    left, rng = known.whole(), random.Random(seed)
    for _ in range(25):
        units = known.units(left)
        left = known.without(left, rng.choice(units)) if units else left
    shrink(model, left)
    model.spec = replace(model.spec, zoom=0.6)
    error, folded = difference(model, (65, 78))
    assert folded.zoom == 0.6
    assert error < 1e-12
