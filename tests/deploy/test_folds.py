"""Who lays the networks of a space flat: what is registered, and what is said where nothing is."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

import wholenet
from wholenet.data.sample import Classes
from wholenet.deploy.export import exportable
from wholenet.deploy.fold import fold_grid, without_norms
from wholenet.deploy.folds import FOLDS, Fold, fold, fold_of
from wholenet.deploy.segmenter import TrainedModel
from wholenet.spaces.catalog import SPACES, create_model
from wholenet.spaces.space import Facts
from wholenet.spaces.supernet import create


class Flat(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.net, self.weights = model.net, model.arch.scored()
        self.relu = nn.ReLU(inplace=True)

    def forward(self, images):
        return self.net(images, self.weights)


@pytest.fixture
def flat(toy):
    def register(**how):
        wholenet.register(Fold("kernels", Flat, **how))

    yield register
    FOLDS.remove("kernels")


def test_every_space_has_a_fold_or_says_that_it_has_none():
    assert set(FOLDS) <= set(SPACES)
    for name in SPACES:
        whole, discrete = (SimpleNamespace(spec=SimpleNamespace(space=name), discrete=d) for d in (False, True))
        known = FOLDS.get(name)
        if known is None:
            assert fold_of(whole) is None
            with pytest.raises(ValueError, match=f"of space '{name}' are folded, as of grid, dense-grid, autodeeplab"):
                fold(whole)
        else:
            assert fold_of(whole) is known.fold
        assert fold_of(discrete) is (known.fold if known is not None and known.discrete else without_norms)


def test_the_fold_of_a_space_from_outside_is_what_is_exported_and_predicts_if_it_is_told_to(flat):
    model = create_model("kernels", num_classes=2, width=2, layers=1).eval()
    trained = TrainedModel(model, Classes(("a", "b"), ((0, 0, 0), (1, 1, 1))), torch.device("cpu"), {})
    assert not isinstance(exportable(model), Flat)
    assert trained.folded is model
    flat()
    made = exportable(model)
    assert isinstance(made, Flat)
    assert not made.relu.inplace
    assert TrainedModel(model, trained.classes, trained.device, {}).folded is model
    FOLDS.remove("kernels")
    flat(predicts=True)
    found = TrainedModel(model, trained.classes, trained.device, {}).folded
    assert isinstance(found, Flat)
    x = torch.randn(1, 3, 9, 7)
    assert torch.equal(found(x), model(x))
    with pytest.raises(ValueError, match="eval mode"):
        wholenet.fold(model.train())


def test_a_discrete_network_is_folded_by_its_space_only_where_that_says_so(flat):
    space = SPACES["kernels"]
    genotype = space.genotype.from_dict({"chosen": [1]})
    settings = space.settings_of({"width": 2, "layers": 1})
    model = create(space, settings, Facts(2), genotype=genotype).eval()
    flat()
    assert not isinstance(fold(model), Flat)
    x = torch.randn(1, 3, 9, 7)
    torch.testing.assert_close(fold(model)(x), model(x))
    FOLDS.remove("kernels")
    flat(discrete=True)
    assert isinstance(fold(model), Flat)


def test_a_grid_is_folded_by_its_own():
    for name in ("grid", "dense-grid"):
        assert FOLDS[name].fold is fold_grid
