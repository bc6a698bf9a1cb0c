"""A diagnosis on disk: the files, the picture, the table."""

import json
from dataclasses import replace

import pytest
import torch
from PIL import Image

from run_files import PICTURES
from wholenet.diagnostics.diagnosis import Comparison, Diagnosis
from wholenet.diagnostics.discrete import DiscreteNetwork, decoded
from wholenet.diagnostics.discretization import CurvePoint
from wholenet.diagnostics.entropy import EpochEntropy, PhaseEntropy, movement
from wholenet.diagnostics.verdict import verdict
from wholenet.report.diagnosis import draw_diagnosis, table, write_diagnosis
from wholenet.spaces.genotype import read_genotype
from wholenet.spaces.links import masks


def weights(layers):
    generator = torch.Generator().manual_seed(0)
    return {
        name: torch.where(mask, torch.randn(mask.shape, generator=generator), -torch.inf).softmax(-1)
        for name, mask in masks(layers).items()
    }


def diagnosis(layers=3, epochs=3):
    own = weights(layers)
    history = tuple(EpochEntropy(epoch, 1 - 0.1 * epoch / epochs, 1 - 0.5 * epoch / epochs) for epoch in range(epochs))
    phases = (PhaseEntropy("search", 0, epochs, history[0], history[-1]),) if history else ()
    return Diagnosis(
        run="runs/one",
        data="scenes",
        images=10,
        searched=True,
        epochs=epochs,
        planned=20,
        scored_epoch=epochs,
        seconds=100.0,
        miou=0.6,
        constant_miou=0.1,
        parameters=1_000_000,
        macs=2_000_000_000,
        edges=10 * layers,
        entropy={"alpha": 0.9, "beta": 0.5},
        history=history,
        phases=phases,
        movement={name: movement(w, masks(layers)[name]) for name, w in own.items()},
        most_decided=(),
        curve=tuple(
            CurvePoint(share, round(share * 10 * layers), name, 0.6 * (1 - share))
            for share in (0.0, 0.5)
            for name in ("zeroed", "recalibrated", "another")
        ),
        discrete=tuple(DiscreteNetwork(genotype, 0.25, 0.375, 500_000, 10**9) for genotype in decoded(own)),
    )


OTHER = Comparison(0.55, 22, 90.0)
STATES = {
    "plain": diagnosis(),
    "not one epoch logged": diagnosis(epochs=0),
    "deep and long": replace(diagnosis(layers=14, epochs=600), control=OTHER, second_stage=OTHER),
    "all scores zero": replace(
        diagnosis(), miou=0.0, constant_miou=0.0, curve=(CurvePoint(0.0, 0, "zeroed", 0.0),), searched=False
    ),
}


@pytest.mark.parametrize("state", STATES.values(), ids=STATES)
def test_every_state_can_be_drawn(tmp_path, state):
    draw_diagnosis(tmp_path / "d.png", state)
    with Image.open(tmp_path / "d.png") as image:
        image.load()
        assert 1500 < image.width < 1800
        assert 1100 < image.height < 1700


def test_the_folder_holds_the_picture_the_values_with_the_verdict_and_the_best_genotype(tmp_path):
    own = diagnosis()
    with PICTURES:
        files = write_diagnosis(own, tmp_path / "new" / "folder")
    assert [path.name for path in files] == ["diagnosis.png", "diagnosis.json", "genotype.yaml"]
    assert sorted(path.name for path in files[0].parent.iterdir()) == sorted(path.name for path in files)
    content = json.loads(files[1].read_text())
    assert content.pop("verdict") == list(verdict(own))
    assert content == own.to_dict()
    assert read_genotype(files[2], layers=3).cells == own.best_discrete.genotype.cells


def test_the_table_has_a_line_for_the_supernet_each_network_and_each_comparison():
    own = diagnosis()
    plain, compared = table(own), table(replace(own, control=OTHER, second_stage=OTHER))
    assert len(plain) == 3 + len(own.discrete)
    assert len(compared) == len(plain) + 2
    assert "60.0 %" in plain[1]
    assert "2 GMACs" in plain[1]
    for line, network in zip(plain[2:], own.discrete, strict=False):
        assert network.genotype.decoding in line
        assert "25.0 %" in line
        assert "37.5 %" in line
    assert any("frozen-uniform control" in line and "22 epochs" in line for line in compared)
