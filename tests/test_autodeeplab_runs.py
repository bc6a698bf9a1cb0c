"""Runs on the space of Auto-DeepLab: what every space has of verbs, and the training of what was published."""

import dataclasses

import numpy as np
import pytest
import torch
import yaml

import wholenet
from run_files import PICTURES, assert_equal, checkpoint, records, stop_after, untimed
from wholenet.cli import main
from wholenet.data.sample import DataError
from wholenet.search.config import genotype_config
from wholenet.search.run_folder import RunFolder
from wholenet.spaces.autodeeplab.final import FinalNet
from wholenet.spaces.catalog import SPACES, create_model, left_of, subnets
from wholenet.spaces.genotype_file import space_of_genotype
from wholenet.spaces.sizes import PUBLISHED_PATHS

SHORT = {"epochs": 3, "batch": 2, "crop": "32x32", "lr": 0.02, "device": "cpu", "threads": 1}
OWN = {"space": "autodeeplab", "size": "tiny", "layers": 2, "filters": 2, "blocks": 1}
PHASES = {"warmup_share": 0.34, "search_share": 0.33}
FOUND = {"path": "0 1", "cell": ["sep_conv_3x3(H-2) + skip_connect(H-1)"], "decoding": "by hand"}


@pytest.fixture(scope="module")
def run(discs, tmp_path_factory):
    out = tmp_path_factory.mktemp("own") / "run"
    with PICTURES:
        wholenet.fit(discs, out, **OWN, **SHORT, **PHASES)
    return out


LESS = {"budget": "60%", "blocks": 2}


@pytest.fixture(scope="module")
def smaller(discs, tmp_path_factory):
    out = tmp_path_factory.mktemp("smaller") / "run"
    with PICTURES:
        wholenet.fit(discs, out, **{**OWN, **LESS}, **SHORT, **PHASES)
    return out


def test_a_budget_is_met_over_the_search_by_saliency_where_nothing_else_is_said(smaller):
    model = wholenet.load(smaller).network
    known, left = subnets(model.spec), left_of(model.spec)
    whole, macs = (known.macs(part, 32, 32) for part in (known.whole(), left))
    assert 0.3 * whole < macs <= 0.6 * whole
    assert [record["macs"] for record in records(smaller)] == [whole, whole, macs]
    assert RunFolder(smaller).fit_config.budget_by == "saliency-by-kind"
    assert (smaller / "architecture.png").stat().st_size > 5000
    brief = wholenet.diagnose(smaller, images=1)
    assert set(brief.entropy) == {"alpha", "beta"}


def test_a_budget_is_met_to_the_bit_where_it_was_stopped(smaller, discs, tmp_path):
    # In the second step of the epoch at whose end units go: what was seen of them before is in the checkpoint.
    stop_after(
        3, lambda: wholenet.fit(discs, tmp_path / "run", **{**OWN, **LESS}, **SHORT, **PHASES, checkpoint_minutes=0)
    )
    wholenet.resume(tmp_path / "run")
    assert_equal(checkpoint(smaller), checkpoint(tmp_path / "run"))
    assert untimed(records(smaller)) == untimed(records(tmp_path / "run"))


def test_what_met_a_budget_is_made_smaller_still(smaller, tmp_path):
    wholenet.shrink(smaller, tmp_path / "run", budget="50%", budget_by="random", epochs=1, budget_rounds=1)
    found = records(tmp_path / "run")
    assert found[0]["subnet"] == records(smaller)[-1]["subnet"]
    assert found[-1]["macs"] <= 0.5 * records(smaller)[0]["macs"]
    model = wholenet.load(tmp_path / "run").network
    assert subnets(model.spec).macs(left_of(model.spec), 32, 32) == found[-1]["macs"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"budget": "1%"}, "what cannot be removed costs"),
        ({"budget": "9GMACs"}, "no less than the"),
        ({"budget_by": "narrower"}, "by their own setting --filters alone; give another budget_by"),
        ({"budget_by": "shallower"}, "says how many layers there are, and so does layers"),
        ({"budget_by": "shallower", "layers": None, "budget": "5%"}, "the whole network costs .* --filters alone"),
        ({"budget_by": "magnitude"}, "multiplied by their weights alone; give saliency-by-kind"),
        ({"budget_floor": 0.5}, "a share of channels that stay"),
        ({"budget_units": "edge"}, "'edge' is no kind of unit here; known: operation, move"),
        ({"budget": "4ms"}, "are not timed: give the budget in multiply-adds"),
    ],
)
def test_a_budget_that_cannot_be_met_so_is_refused_before_anything_is_trained(options, said, discs, tmp_path):
    given = {**OWN, **LESS, **SHORT, **PHASES, **options}
    given = {name: value for name, value in given.items() if value is not None}
    with pytest.raises(ValueError, match=said):
        wholenet.fit(discs, tmp_path / "run", **given)
    assert not (tmp_path / "run").exists()


def test_a_trellis_is_shallower_from_the_start(discs, tmp_path):
    own = {name: value for name, value in OWN.items() if name != "layers"}
    given = {**own, **SHORT, "epochs": 1, "steps_per_epoch": 1, "budget": "60%", "budget_by": "shallower"}
    wholenet.fit(discs, tmp_path / "run", **given)
    model = wholenet.load(tmp_path / "run").network
    known = [
        subnets(create_model("autodeeplab-tiny", num_classes=2, filters=2, blocks=1, layers=n).spec)
        for n in (1, 2, 3, 4)
    ]
    macs = [some.macs(some.whole(), 32, 32) for some in known]
    fitting = max(n for n, one in enumerate(macs, 1) if one <= 0.6 * macs[-1])
    assert (model.net.layers, model.spec.subnet) == (fitting, None)
    assert records(tmp_path / "run")[-1]["macs"] == macs[fitting - 1]


@pytest.fixture
def genotype(tmp_path):
    (tmp_path / "g.yaml").write_text(yaml.safe_dump({"genotype": FOUND, "space": "autodeeplab"}))
    return tmp_path / "g.yaml"


def test_a_search_moves_both_kinds_of_logits_and_is_drawn(run):
    for name in ("alpha", "beta"):
        values = [np.array(record["logits"][name]) for record in records(run)]
        assert not np.array_equal(values[0], values[1])
        assert np.array_equal(values[1], values[2])
    assert (run / "architecture.png").stat().st_size > 5000
    spec = wholenet.load(run, device="cpu").network.spec
    assert (spec.model_name, spec.settings["filters"]) == ("autodeeplab-tiny", 2)


def test_a_search_goes_on_to_the_bit(run, discs, tmp_path):
    stop_after(4, lambda: wholenet.fit(discs, tmp_path / "run", **OWN, **SHORT, **PHASES, checkpoint_minutes=0))
    wholenet.resume(tmp_path / "run")
    assert_equal(checkpoint(run), checkpoint(tmp_path / "run"))
    assert untimed(records(run)) == untimed(records(tmp_path / "run"))


def test_what_a_search_found_is_written_read_and_trained(run, discs, tmp_path):
    found = wholenet.decode(run, tmp_path / "g.yaml")
    space = SPACES["autodeeplab"]
    settings = space.settings_of({name: value for name, value in OWN.items() if name != "space"})
    assert space.read_genotype(tmp_path / "g.yaml", settings) == found
    assert space_of_genotype(str(tmp_path / "g.yaml")) == "autodeeplab"
    brief = wholenet.diagnose(run, out=tmp_path / "diagnosis", images=1)
    assert set(brief.entropy) == {"alpha", "beta"}


def test_the_network_of_a_genotype_goes_on_to_the_bit_with_its_drop_path(genotype, discs, tmp_path):
    options = {"size": "tiny", "filters": 2, "path_keep": 0.5, **SHORT}
    whole = wholenet.retrain(genotype, discs, tmp_path / "whole", **options).learned.run
    stop_after(4, lambda: wholenet.retrain(genotype, discs, tmp_path / "run", **options, checkpoint_minutes=0))
    wholenet.resume(tmp_path / "run")
    assert_equal(checkpoint(whole), checkpoint(tmp_path / "run"))
    network = wholenet.load(whole, device="cpu").network
    assert isinstance(network.net, FinalNet)
    assert network.discrete
    with pytest.raises(ValueError, match="discrete network, which has no architecture weights"):
        wholenet.diagnose(whole)
    with pytest.raises(ValueError, match="discrete network, which has nothing to decode"):
        wholenet.decode(whole, tmp_path / "none.yaml")


OF_SUPERNETS = {"layers": 7, "blocks": 2, "transitions": "incoming", "affine": True, "resize_first": True}


def test_settings_that_shape_supernets_alone_are_refused_with_a_genotype(genotype, discs, tmp_path):
    space = SPACES["autodeeplab"]
    assert set(OF_SUPERNETS) == set(space.genotype.supernet_settings)
    usual = create_model("autodeeplab-tiny", num_classes=3, genotype=FOUND)
    for name, value in OF_SUPERNETS.items():
        same = create_model("autodeeplab-tiny", num_classes=3, genotype=FOUND, **{name: value})
        assert [(n, p.shape) for n, p in same.named_parameters()] == [(n, p.shape) for n, p in usual.named_parameters()]
        with pytest.raises(ValueError, match=f"{name} shapes supernets of the space 'autodeeplab' alone"):
            wholenet.retrain(genotype, discs, tmp_path / "run", size="tiny", **{name: value}, **SHORT)
    assert not (tmp_path / "run").exists()


def test_names_of_such_settings_are_those_of_their_space():
    for space in SPACES.values():
        if space.genotype is not None:
            assert set(space.genotype.supernet_settings) <= {field.name for field in dataclasses.fields(space.settings)}


def test_drop_path_moves_with_the_run(genotype, discs, tmp_path, monkeypatch):
    seen = []
    real = FinalNet.forward

    def forward(net, x, weights):
        seen.extend([net.time] if net.training else [])
        return real(net, x, weights)

    monkeypatch.setattr(FinalNet, "forward", forward)
    wholenet.retrain(genotype, discs, tmp_path / "run", size="tiny", filters=2, **{**SHORT, "epochs": 2})
    assert seen == pytest.approx(np.arange(len(seen)) / len(seen))


def test_the_published_network_is_asked_for_by_name(capsys):
    main(["retrain", "autodeeplab", "data", "--filters", "20", "--print-config"])
    values = yaml.safe_load(capsys.readouterr().out)
    assert (values["space"], values["filters"], values["lr"], values["weight_decay"]) == ("autodeeplab", 20, 0.05, 4e-5)
    made = genotype_config(
        "autodeeplab", SPACES["autodeeplab"].recipe, data="", out="", space="autodeeplab", filters=48
    )
    assert made.settings == {"filters": 48}
    with torch.device("meta"):
        genotype = SPACES["autodeeplab"].genotype.published["autodeeplab"]
        model = create_model("autodeeplab-paper", num_classes=19, filters=48, genotype=genotype)
    assert sum(p.numel() for p in model.net.parameters()) == 44_424_691


def test_published_names_are_those_of_their_spaces():
    assert {name: space.name for space in SPACES.values() if space.genotype for name in space.genotype.published} == (
        PUBLISHED_PATHS
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"filters": 3, "blocks": 1}, "filters=3 with blocks=1: .*even number of filters"),
        ({"filters": 0}, "filters=0"),
        ({"size": "small"}, "size='small'"),
        ({"stem": "timm/resnet18"}, "stem is of the space 'grid'"),
        ({"protocol": "two-stage", "decoding": "strongest"}, "'autodeeplab' are decoded by best-path; give decoding="),
        ({"batch": 1}, "a batch of one image"),
        ({"genotype": "GRID"}, "is a genotype of the space 'grid'; expected 'autodeeplab'"),
        ({"crop": "16x64"}, "images of 16x64 pixels have no four levels"),
    ],
)
def test_what_the_space_cannot_have_is_said(options, said, discs, tmp_path):
    if "genotype" in options:
        (tmp_path / "grid.yaml").write_text("format: 1\nspace: grid\nlayers: 3\ncells: []\n")
        options = {"genotype": str(tmp_path / "grid.yaml")}
    phases = {} if "genotype" in options else PHASES
    with pytest.raises(ValueError, match=said):
        wholenet.fit(discs, tmp_path / "run", **{**OWN, **SHORT, **phases, **options})
    assert not (tmp_path / "run" / "search").exists()  # it is said before the search, not behind it


def test_a_path_is_no_genotype_of_other_spaces(genotype, discs, tmp_path):
    with pytest.raises(ValueError, match="of the space 'autodeeplab'; expected one of 'grid'"):
        wholenet.fit(discs, tmp_path / "run", size="nano", genotype=str(genotype), **SHORT)
    with pytest.raises(ValueError, match="about a search"):
        wholenet.retrain("autodeeplab", discs, tmp_path / "run", relaxation="sigmoid")


def test_labelled_images_are_none_with_masks(genotype, patches, tmp_path):
    said = r"labelled images .* 3 classes .*; networks of the space 'autodeeplab' are for images with masks\..* darts"
    with pytest.raises(DataError, match=said):
        wholenet.retrain(genotype, patches, tmp_path / "run", size="tiny", filters=2, **SHORT)
    with pytest.raises(DataError, match=said):
        wholenet.fit(patches, tmp_path / "run", **OWN, **SHORT)
