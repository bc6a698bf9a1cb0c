"""By which decodings networks are cut out of the supernets of every registered space, and what is said of others."""

from functools import partial
from types import SimpleNamespace
from typing import get_args, get_type_hints

import pytest
import torch

from wholenet.architecture import uniform_weights
from wholenet.deploy.decode import decode_network
from wholenet.jobs.catalog import task_config
from wholenet.search.config import FitConfig, fit_config
from wholenet.search.run_folder import check_space
from wholenet.spaces.catalog import SPACES, create_model
from wholenet.spaces.sizes import DECODINGS

NAMES = get_args(get_type_hints(FitConfig)["decoding"])
"""Those that runs can be told."""


@pytest.fixture(scope="module")
def supernets():
    """By space, what decoding asks of a supernet."""
    found = {name: SimpleNamespace(spec=SimpleNamespace(space=name)) for name in SPACES}
    for name, space in SPACES.items():
        if space.genotype.decodes:
            with torch.device("meta"):
                model = create_model(f"{name}-tiny" if "tiny" in space.variants else name, num_classes=3)
            weights = uniform_weights(model.net.masks)
            found[name] = SimpleNamespace(spec=model.spec, arch=lambda weights=weights: weights)
    return found


def test_a_space_is_decoded_by_what_it_has_and_refuses_the_rest_with_these(supernets, tmp_path):
    for name, model in supernets.items():
        kind = SPACES[name].genotype
        if not kind.decodes:
            with pytest.raises(ValueError, match=f"space '{name}' has no decoding"):
                decode_network(model)
            continue
        assert set(kind.decodings) <= set(NAMES)
        usual_name = kind.decodings[0]
        assert decode_network(model)[1] == decode_network(model, usual_name)[1]
        for decoding in (*NAMES, "viterbi"):
            if decoding in kind.decodings:
                space, genotype = decode_network(model, decoding)
                space.write_genotype(genotype, tmp_path / name)
                settings = space.settings_of(model.spec.settings)
                assert space.read_genotype(tmp_path / name, settings) == genotype
            else:
                with pytest.raises(
                    ValueError, match=f"'{decoding}': networks of space '{name}' are decoded"
                ) as refused:
                    decode_network(model, decoding)
                assert str(refused.value).endswith(
                    f"by {' or '.join(kind.decodings)}; give decoding='{kind.decodings[0]}'"
                )
            if decoding in kind.decodings and decoding != "threshold":
                with pytest.raises(ValueError, match=rf"tau=0\.7 is of decoding='threshold', not of '{decoding}'"):
                    decode_network(model, decoding, 0.7)
        if "threshold" in kind.decodings:
            assert "0.7" in decode_network(model, "threshold", 0.7)[1].decoding


def test_the_usual_one_is_the_same_where_no_torch_is_imported():
    for name, space in SPACES.items():
        if space.genotype.decodes:
            assert space.genotype.decodings[0] == DECODINGS.get(name, ("best-path",))[0]


def test_a_run_of_two_stages_is_refused_before_it_begins():
    for name, space in SPACES.items():
        if not space.genotype.decodes:
            continue
        task, kind = space.tasks[0], space.genotype
        given = {"data": "d", "out": "o", "space": name, "protocol": "two-stage", "retrain_epochs": 1}
        make = partial(fit_config, "single-stage") if task == "segmentation" else partial(task_config, task)
        check_space(make(**given))
        for decoding in NAMES:
            if decoding in kind.decodings:
                check_space(make(**given, decoding=decoding))
            else:
                with pytest.raises(ValueError, match=f"decoding='{decoding}': .* are decoded by {kind.decodings[0]}"):
                    check_space(make(**given, decoding=decoding))
        for decoding in kind.decodings:
            config = make(**given, decoding=decoding, decoding_tau=0.7)
            if decoding == "threshold":
                check_space(config)
            else:
                with pytest.raises(ValueError, match=r"decoding_tau=0\.7 is of decoding='threshold', not of"):
                    check_space(config)
