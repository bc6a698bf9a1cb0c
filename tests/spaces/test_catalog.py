"""Spaces as values: what is registered is built, described and built again by its name alone."""

import json
from dataclasses import asdict, dataclass, replace

import pytest
import torch
from torch import nn

from wholenet.search.config import fit_config
from wholenet.spaces.catalog import SPACES, create_from, create_model, find
from wholenet.spaces.space import Space, Spec, known_names


@dataclass(frozen=True)
class Width:
    width: int = 4


class Mine(nn.Module):
    """Two convolutions, mixed."""

    def __init__(self, outputs, channels, width):
        super().__init__()
        self.masks = {"which": torch.ones(1, 2, dtype=torch.bool)}
        self.first = nn.Conv2d(channels, width, 3, padding=1)
        self.options = nn.ModuleList([nn.Conv2d(width, outputs, k, padding=k // 2) for k in (1, 3)])

    def forward(self, x, weights):
        h = self.first(x)
        return sum(w * option(h) for w, option in zip(weights["which"][0], self.options, strict=True))


@pytest.fixture
def mine():
    space = Space(name="mine", settings=Width, build=lambda s, facts, _: Mine(facts.outputs, facts.channels, s.width))
    SPACES.add("mine", space)
    yield space
    SPACES.remove("mine")


def test_a_space_of_a_user_is_built_by_name_and_searched_like_any_other(mine):
    model = create_model("mine", num_classes=3, width=5)
    assert model(torch.zeros(2, 3, 8, 8)).shape == (2, 3, 8, 8)
    assert model.arch()["which"].sum().item() == pytest.approx(1)
    assert not model.discrete
    with pytest.raises(ValueError, match="space 'mine' has no setting 'depth'; known: width"):
        create_model("mine", num_classes=3, depth=2)
    with pytest.raises(ValueError, match="space 'mine' has no discrete networks"):
        create_model("mine", num_classes=3, genotype={})


@pytest.mark.parametrize("name", [*known_names(SPACES), "mine"])
def test_a_spec_is_plain_values_that_make_the_model_again(name, mine):
    if name in ("grid-base", "grid-medium", "grid-large"):
        pytest.skip("only larger than the others")
    model = create_model(name, num_classes=4, relaxation="sigmoid")
    spec = Spec(**json.loads(json.dumps(asdict(model.spec))))
    again = create_from(spec)
    assert again.spec == model.spec
    assert spec.model_name == name
    state, other = model.state_dict(), again.state_dict()
    assert {key: value.shape for key, value in state.items()} == {key: value.shape for key, value in other.items()}


@pytest.mark.parametrize("name", ["grid-nano", "dense-grid-nano", "autodeeplab-tiny", "mine"])
def test_a_run_says_what_shapes_its_network_by_the_names_of_its_space(name, mine):
    """The grid's settings are options of every run, those of others lie in a mapping: one way to read and change
    both."""
    space, values = find(name)
    settings = space.settings_of(values)
    config = fit_config(data="d", out="o", space=space.name, **values)
    assert space.settings_of(config.space_settings) == settings
    changed = {"width": 7} if name == "mine" else {"layers": 3}
    shaped = config.shaped(**changed)
    assert space.settings_of(shaped.space_settings) == replace(settings, **changed)
    again = shaped.shaped(**{key: getattr(settings, key) for key in changed})
    assert space.settings_of(again.space_settings) == settings


@pytest.mark.parametrize("name", known_names({name: space for name, space in SPACES.items() if space.slots}))
def test_a_source_has_no_fewer_slots_than_there_are_options(name):
    if name in ("grid-base", "grid-medium", "grid-large"):
        pytest.skip("only larger than the others")
    masks = create_model(name, num_classes=2).net.masks
    for choice, slots in find(name)[0].slots.items():
        assert slots >= masks[choice].shape[-1]


def test_what_is_not_registered_is_named_with_what_is(mine):
    with pytest.raises(ValueError, match=r"unknown model 'yours'; known: grid-nano, .*, s4, nb201, dots, mine"):
        create_model("yours", num_classes=2)
    with pytest.raises(ValueError, match="there is a space 'mine' already"):
        SPACES.add("mine", object())
