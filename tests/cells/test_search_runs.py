"""Whole searches on a few small images: what they leave, going on where one stopped, stopping early, going back."""

import json
import os
import shutil
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console

import wholenet.cells.search as module
import wholenet.run as run_module
from run_files import PICTURES, stop_after_checkpoints
from wholenet.cells import selection
from wholenet.cells.best_of import Best, fit_cells, resume_cells, shortly
from wholenet.cells.diagnose import diagnose_search
from wholenet.cells.prepare import prepare_labels
from wholenet.cells.scorer import Scorer
from wholenet.cells.search import resume_search, search
from wholenet.cells.start import initial_search
from wholenet.cli import main
from wholenet.deploy.model_folder import load_model
from wholenet.search.cell_folder import CellFolder
from wholenet.search.interruption import Interrupted
from wholenet.search.methods import METHODS
from wholenet.search.random_search import weights_of as one_hot
from wholenet.search.stopping import Stopping
from wholenet.spaces.cell_tables import TABLES
from wholenet.spaces.darts_genotype import PUBLISHED, discretize, read_cell_genotype

QUIET = Console(quiet=True)


def weights_of(run):
    return torch.load(run / "checkpoint.pt", weights_only=True)["model"]


def assert_same_weights(first, second):
    assert first.keys() == second.keys()
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def test_a_search_leaves_a_genotype_a_model_and_pictures(small, capsys):
    with PICTURES:
        found = search(small(eigenvalue_every=2), QUIET)
    assert {p.name for p in found.run.iterdir()} >= {"cells.png", "search.png", "model", "genotype.yaml", "result.json"}
    assert read_cell_genotype(found.run / "genotype.yaml", "s2") == found.genotype
    model = load_model(found.run)
    assert model.classes == ("blue", "green", "red")
    assert discretize(model.network.arch(), TABLES["s2"]) == found.genotype
    records = CellFolder(found.run).records()
    assert [record["epoch"] for record in records] == [0, 1]
    assert all(record["eigenvalue"] is not None for record in records)  # every second, and the last
    assert records[-1]["error"] == found.error
    assert found.scored_on == "what the architecture learns from"
    with pytest.raises(ValueError, match="already holds a run"):
        search(small(), QUIET)
    assert resume_search(found.run, QUIET) == found
    main(["fit", "--resume", str(found.run)])
    *_, said, how = capsys.readouterr().out.splitlines()  # after a few steps nothing is decided
    assert said == "entropy 1.00: the search decided nothing, and this genotype is chance"
    assert how == f"train it: wholenet retrain {found.run / 'genotype.yaml'} DATA --out RUN"


@pytest.mark.parametrize(("method", "minutes", "stop"), [("darts", 0.0, 2), ("random-ws", 10.0, 1)])
def test_a_search_that_was_stopped_goes_on_to_the_same_bits(small, tmp_path, method, minutes, stop):
    options = {
        "checkpoint_minutes": minutes,  # 0: also in mid-epoch
        "batch": 6,
        "eigenvalue_every": 2,
        "epochs": 2,
        "space": "s4",
        "drop_path": 0.2,
        "cutout": 4,
        "samples": 2,
        "sample_batches": 1,
    }
    whole = search(small(method, out=str(tmp_path / "whole"), **options), QUIET)
    stop_after_checkpoints(stop, lambda: search(small(method, out=str(tmp_path / "stopped"), **options), QUIET))
    found = resume_search(tmp_path / "stopped", QUIET)
    assert_same_weights(weights_of(whole.run), weights_of(found.run))
    assert found.genotype == whole.genotype
    first, second = (
        [{k: v for k, v in r.items() if "second" not in k} for r in CellFolder(run).records()]
        for run in (whole.run, found.run)
    )
    assert first == second


def test_a_signal_while_curvature_is_looked_at_leaves_the_random_numbers_where_they_were(small, tmp_path):
    options = {"eigenvalue_every": 1, "drop_path": 0.3, "space": "s4"}
    whole = search(small(out=str(tmp_path / "whole"), **options), QUIET)

    def asked(*arguments, **how):
        torch.rand(5)
        os.kill(os.getpid(), signal.SIGTERM)
        raise AssertionError("the signal came later")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "curvature", asked)
        with pytest.raises(Interrupted, match="saved"):
            search(small(out=str(tmp_path / "stopped"), **options), QUIET)
    found = resume_search(tmp_path / "stopped", QUIET)
    assert_same_weights(weights_of(whole.run), weights_of(found.run))


def test_the_error_of_the_best_sampled_architecture_is_kept_and_shown(small, capsys):
    found = search(small("random-ws", epochs=1, samples=2, sample_batches=1), QUIET)
    model, data = load_model(found.run).network, prepare_labels(CellFolder(found.run).search_config)
    weights = one_hot(found.genotype, TABLES["s2"], model.arch.logits["normal"])
    at_it = selection._With(model, lambda _: weights)
    assert found.sampled_error == pytest.approx(Scorer(at_it, data, torch.device("cpu")).error(data.val))
    main(["fit", "--resume", str(found.run)])
    said = "%   error of the best of 2 sampled architectures, with the supernet's weights"
    shown = capsys.readouterr().out
    assert f"{100 * found.sampled_error:.1f} {said}" in shown
    assert "chance" not in shown  # it was not chosen by weights
    result = found.run / "result.json"
    old = json.loads(result.read_text())
    del old["sampled_error"]  # as it was written before there was one
    result.write_text(json.dumps(old))
    assert resume_search(found.run, QUIET) == replace(found, sampled_error=None)


def test_the_supernet_of_single_stage_learns_and_is_its_own_final_model(small, patches):
    config = small("single-stage", epochs=6, lr=0.1, batch=4, val_share=0.25, eigenvalue_every=0)
    assert [(p.name, p.moves_architecture) for p in config.phases] == [
        ("warm-up", False),
        ("search", True),
        ("fine-tune", False),
    ]
    found = search(config, QUIET)
    assert found.test_error < 0.4
    model = load_model(found.run)
    assert any(norm.affine for name, norm in model.network.net.cells.named_modules() if hasattr(norm, "affine"))


def eigenvalues(monkeypatch, by_epoch):
    """Let the curvature be what a story needs: epoch -> eigenvalue, of the searches to come."""

    def told(*arguments):
        state = arguments[-1]
        return {"eigenvalue": by_epoch(state), "lowest_eigenvalue": 0.0}

    monkeypatch.setattr(module, "_ends_of_spectrum", told)


@pytest.fixture(scope="module")
def stopped_early(small_of, tmp_path_factory):
    """A search that its rule stopped."""
    config = small_of(tmp_path_factory.mktemp("es") / "run", "darts-es", stopping="paper", epochs=14, arch_lr=0.02)
    with pytest.MonkeyPatch.context() as patch:
        eigenvalues(patch, lambda state: 1.0 if state.epoch <= 6 else 10.0)
        return search(replace(config, val_every=20), QUIET)


def test_early_stopping_takes_the_architecture_from_before_the_growth(stopped_early):
    found = stopped_early
    records = CellFolder(found.run).records()
    # Averages over five epochs, five apart: the first above 4/3 is at the seventh epoch's growth, once there are ten.
    assert len(records) == 10
    assert found.genotype_epoch == 4
    assert found.genotype.to_dict() == records[4]["genotype"]


def test_a_search_that_was_stopped_just_after_its_rule_fired_does_not_go_on(stopped_early):
    found = stopped_early
    result = found.run / "result.json"
    whole = result.read_text()
    result.unlink()
    assert resume_search(found.run, QUIET) == found
    for damaged in (whole[:-9], "\0\0", "[]", whole.replace('"error"', '"terror"'), whole.replace("normal", "mormal")):
        result.write_text(damaged)
        if "mormal" not in damaged:
            with pytest.raises(ValueError, match=rf"{result}.* `wholenet fit --resume {found.run}` writes it anew"):
                CellFolder(found.run).result()
        assert resume_search(found.run, QUIET) == found
        assert result.read_text() == whole
    assert len(CellFolder(found.run).records()) == 10


@pytest.fixture(scope="module")
def gone_back(small_of, tmp_path_factory):
    """A search that goes back again and again; where it stood just after, and what it had saved before."""
    rule = {"stopping": "paper", "epochs": 12, "weight_decay": 3e-4}
    config = small_of(tmp_path_factory.mktemp("ada") / "run", "darts-ada", space="nb201", **rule)
    seen, kept = [], {}
    go_back, save = Stopping._go_back, CellFolder.save_checkpoint

    def watched(self, epoch):
        go_back(self, epoch)
        state = self.state
        seen.append((epoch, state.epoch, {k: v.clone() for k, v in state.model.state_dict().items()}))

    def saving(self, state, name="checkpoint.pt"):
        save(self, state, name)
        if name == "epoch-4.pt" and not kept:
            kept.update({k: v.clone() for k, v in state["model"].items()})

    with pytest.MonkeyPatch.context() as patch:
        eigenvalues(patch, lambda state: 2.0**state.epoch)  # it always grows too fast
        patch.setattr(Stopping, "_go_back", watched)
        patch.setattr(CellFolder, "save_checkpoint", saving)
        return search(replace(config, val_every=20), QUIET), seen, kept


def test_adaptive_regularisation_goes_back_and_regularises_more_until_the_limit(gone_back):
    found, _, _ = gone_back
    run = CellFolder(found.run)
    records = run.records()
    assert [record["epoch"] for record in records] == list(range(12))
    gone = [json.loads(line) for line in (found.run / "discarded.jsonl").read_text().splitlines()]
    assert [record["epoch"] for record in gone] == 2 * list(range(5, 10))  # twice from the tenth epoch to the fifth
    decays = [[record["weight_decay"] for record in some] for some in (records[:5], gone[:5], gone[5:], records[5:])]
    assert decays == [
        pytest.approx([decay] * len(some)) for decay, some in zip((3e-4, 3e-4, 3e-3, 3e-2), decays, strict=True)
    ]
    assert weights_of(found.run)["arch.logits.cell"].isfinite().all()


def test_going_back_restores_weights_optimisers_and_random_state(gone_back):
    _, seen, kept = gone_back
    epoch, now, weights = seen[0]
    assert (epoch, now) == (4, 5)
    assert_same_weights(weights, kept)


def recoloured(data, other):
    """A copy in which one training image is black."""
    shutil.copytree(data, other)
    path = next(path for path in sorted(other.rglob("*.png")) if "train" in path.parts)
    Image.fromarray(np.zeros_like(np.asarray(Image.open(path)))).save(path)
    return other


@pytest.fixture
def twice(monkeypatch):
    """R-DARTS with the weakest and the strongest of its four values."""
    method = METHODS["r-darts-l2"]
    monkeypatch.setitem(METHODS._known, "r-darts-l2", replace(method, searches=method.searches[::3]))


def test_several_searches_and_the_best_of_them(small, patches, tmp_path, twice):
    shutil.copytree(patches, tmp_path / "copy")
    config = small("r-darts-l2", epochs=1, retrain_epochs=1, images=0, data=str(tmp_path / "copy"))
    best = fit_cells(config, QUIET)
    assert isinstance(best, Best)
    assert len(best.errors) == 2
    assert best.errors[best.chosen] == min(best.errors)
    searches = [CellFolder(best.run / "searches" / str(i)) for i in range(2)]
    assert [run.search_config.weight_decay for run in searches] == [3e-4, 81e-4]
    assert read_cell_genotype(best.run / "genotype.yaml") == read_cell_genotype(searches[best.chosen].genotype)
    shutil.rmtree(searches[1].path)  # as if it had been stopped before
    assert resume_cells(best.run, QUIET) == best
    shutil.move(tmp_path / "copy", tmp_path / "new")
    with pytest.raises(ValueError, match=r"is not there any more.*fit --resume \S+ --data NEW"):
        resume_cells(best.run, QUIET)
    with pytest.raises(ValueError, match="have changed since"):
        resume_cells(best.run, QUIET, data=recoloured(tmp_path / "new", tmp_path / "other"))
    assert resume_cells(best.run, QUIET, data=tmp_path / "new") == best
    parts = [*searches, *(CellFolder(run.path / "retrained") for run in searches), CellFolder(best.run)]
    assert {part.config.data for part in parts} == {str(tmp_path / "new")}


@pytest.mark.parametrize("errors", [(0.7, 0.2), (0.2, 0.7)])
def test_of_several_searches_that_of_the_smallest_error_is_kept(errors, small, monkeypatch, twice):
    found = [(PUBLISHED[name], error) for name, error in zip(("darts-v1", "darts-v2"), errors, strict=True)]
    told = iter(found)
    monkeypatch.setattr("wholenet.cells.best_of._searched_and_tried", lambda *_, **__: next(told))
    best = fit_cells(small("r-darts-l2", space="darts"), QUIET)
    assert best.errors == errors
    assert (best.genotype, best.errors[best.chosen]) == min(found, key=lambda pair: pair[1])


def test_a_search_that_diverges_is_out_of_the_comparison(small, monkeypatch, twice):
    real = run_module.train_epoch

    def diverging(state, *arguments):
        if state.weight_optimizer.param_groups[0]["weight_decay"] > 5e-3:
            raise FloatingPointError("the loss became nan")
        return real(state, *arguments)

    monkeypatch.setattr(run_module, "train_epoch", diverging)
    best = fit_cells(small("r-darts-l2", epochs=1, retrain_epochs=1, eigenvalue_every=0), QUIET)
    assert best.errors[1] == 1.0
    assert best.chosen == 0


def test_all_are_compared_after_the_same_training(small):
    config = small("r-darts-dp", momentum=0.8)
    short = [shortly(config, "g.yaml", f"out{i}") for i in range(2)]
    assert replace(short[0], out="") == replace(short[1], out="")
    assert (short[0].drop_path, short[0].momentum) == (config.drop_path, 0.8)


def test_the_curvature_of_a_saved_search(stopped_early):
    found = stopped_early
    curved = diagnose_search(found.run, torch.device("cpu"), tolerance=0.1)
    assert curved.highest > curved.lowest
    assert (curved.logits, curved.images, curved.batchnorm) == (56, 12, "batch")
    written = json.loads((found.run / "diagnosis.json").read_text())["curvature"]
    assert written["highest"] == curved.highest
    assert written["batch"] == {"images": "architecture", "stream": "diagnosis", "number": 0, "seed": 0}
    assert diagnose_search(found.run, torch.device("cpu"), tolerance=0.1) == curved


def test_the_control_keeps_all_options_equally_strong(small):
    found = search(small("single-stage", architecture="uniform"), QUIET)
    assert all(record["entropy"]["normal"] == pytest.approx(1) for record in CellFolder(found.run).records())


def test_the_same_seed_is_the_same_start(small):
    torch.manual_seed(3)
    first = initial_search(small(), 3, torch.device("cpu"))
    torch.manual_seed(3)
    second = initial_search(small(), 3, torch.device("cpu"))
    assert_same_weights(first.model.state_dict(), second.model.state_dict())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch": 30, "images": 0}, "batch=30, but there are only 24 images"),
        ({"side": 18}, "must be multiples of 4.*--side 16"),
        ({"images": 99}, "images=99, but there are only 48 training images; give images=48 at most"),
        ({"device": "cuda"}, "sees no GPU"),
        ({"val_share": 0.5, "weights_share": 0.1, "batch": 4, "images": 0}, "only 2 images for the weights"),
        ({"data": "nowhere"}, "is not a folder"),
    ],
)
def test_what_cannot_be_searched_is_refused_before_a_folder_is_made(small, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        search(small(**options), QUIET)
    assert not (tmp_path / "run").exists()


def test_a_search_does_not_go_on_with_other_images(small, patches, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(patches, copy)
    found = search(small(data=str(copy), images=0), QUIET)
    (found.run / "result.json").unlink()
    next((copy / "train" / "red").iterdir()).unlink()
    with pytest.raises(ValueError, match=r"have changed since.*(weights|architecture) images: 24 then, 23 now"):
        resume_search(found.run, QUIET)


def test_a_search_goes_on_where_its_data_was_moved_to(small, patches, tmp_path):
    shutil.copytree(patches, tmp_path / "copy")
    found = search(small(data=str(tmp_path / "copy")), QUIET)
    shutil.move(tmp_path / "copy", tmp_path / "new")
    with pytest.raises(ValueError, match=r"is not there any more.*fit --resume \S+ --data NEW"):
        resume_search(found.run, QUIET)
    assert resume_search(found.run, QUIET, data=tmp_path / "new") == found
    assert CellFolder(found.run).config.data == str(tmp_path / "new")
