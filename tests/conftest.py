"""One torch thread: on shared cores two can wait for each other for seconds. Triton's kernels are interpreted where
there is no GPU to compile them for."""

import copy
import functools
import gc
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import toy as toy_space
from run_files import PICTURES
from wholenet import files
from wholenet.data.detect import open_data
from wholenet.deploy.classifier import classification_answer
from wholenet.deploy.model_folder import save_model
from wholenet.deploy.segmenter import segmentation_answer
from wholenet.spaces.catalog import create_model

torch.set_num_threads(1)
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")  # before any kernel is imported

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def shared(name: str) -> Path:
    """A folder of real data that lies beside the project; without it the test is skipped."""
    folder = SHARED_DATA / name
    if not folder.is_dir():
        pytest.skip(f"real data, {name}, is not at {folder}")
    return folder


@pytest.fixture(scope="session", autouse=True)
def cache_folder(tmp_path_factory):
    """Facts of files that were looked at are kept here, not in the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


TOGETHER = {
    "forks": (
        "test_studies.py",
        "test_parallel.py",
        "test_cell_studies.py",
        "test_several_processes.py",
        "test_tasks_of_two_processes.py",
        "test_soak.py",
        "test_extending.py",
    ),
    "onnx": (
        "test_export.py",
        "test_export_labels.py",
        "test_export_stereo.py",
        "test_free_sizes.py",
        "test_measured.py",
        "test_removal.py",
        "test_operations.py",
    ),
}
"""Files that one worker runs, for they share what takes it seconds: the process that others are forked from
(tests/forked.py); torch's exporter, which imports for ten seconds."""

LONG = (
    *TOGETHER["forks"],
    *TOGETHER["onnx"],
    "test_matrix.py",
    "test_search_runs.py",
    "test_old_folders.py",
    "test_shrink.py",
    "test_stages.py",
    "test_grid_methods.py",
    "test_diagnose_run.py",
    "test_loop_of_methods.py",
    "test_cell_forms.py",
    "test_subgrid.py",
    "test_fit.py",
    "test_cli.py",
    "test_dots_runs.py",
    "test_fuzz.py",
    "test_autodeeplab.py",
    "test_formats.py",
    "test_discrete.py",
    "test_two_stage.py",
    "test_untrusted_files.py",
    "test_kernels.py",
    "test_bench.py",
    "test_model_folder.py",
    "test_curvature.py",
)


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="run also the tests that take minutes (make learning)")


def pytest_collection_modifyitems(config, items):
    """Files that take long come first: at the end one worker would be left with them (see ``make test``). Tests that
    take minutes are skipped where they are not asked for."""
    if not config.getoption("--slow"):
        for item in items:
            if item.get_closest_marker("slow"):
                item.add_marker(pytest.mark.skip(reason="trains for minutes: make learning runs it"))
    place = {name: i for i, name in enumerate(LONG)}
    items.sort(key=lambda item: place.get(item.path.name, len(LONG)))


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist
def pytest_xdist_make_scheduler(config, log):
    """With ``--dist loadfile`` a worker runs whole files; here those that are :data:`TOGETHER` too."""
    from xdist.scheduler import LoadFileScheduling

    class Files(LoadFileScheduling):
        def _split_scope(self, nodeid):
            file = super()._split_scope(nodeid)
            return next((name for name, files in TOGETHER.items() if Path(file).name in files), file)

    return Files(config, log) if config.option.dist == "loadfile" else None


def pytest_collection_finish():
    """What was imported and collected stays: the garbage collector need not walk through it again and again. Nor so
    often through what a test makes: of its time that took a twentieth."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


@pytest.fixture(scope="session", autouse=True)
def pictures_on_demand():
    with pytest.MonkeyPatch.context() as patch:
        PICTURES.patch(patch)
        yield


@pytest.fixture(scope="session", autouse=True)
def configs_read_once():
    """A small run reads its config seven times, a twelfth of its time: a YAML text is parsed once in a session."""
    parsed = functools.lru_cache(256)(files.parse_yaml)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "parse_yaml", lambda text: copy.deepcopy(parsed(text)))
        yield


@pytest.fixture(scope="session", autouse=True)
def nothing_waits_for_the_disk():
    """A small run asks a dozen times that its files be on the disk, and waits each time for milliseconds. Tests of what
    is asked when have a function of their own in its place."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture(scope="session")
def camvid() -> Path:
    return shared("camvid")


@pytest.fixture(scope="session")
def cifar10() -> Path:
    return shared("cifar10")


@pytest.fixture(scope="session")
def robustdarts() -> Path:
    """Eigenvalue trajectories and Hessians of the RobustDARTS study."""
    return shared("robustdarts")


@pytest.fixture(scope="module")
def toy():
    """The space of tests/toy.py is known to the tests of a file."""
    with toy_space.registered():
        yield


@pytest.fixture(scope="module")
def shallow():
    """The smallest grid is smaller still for the tests of a file."""
    with toy_space.shallow():
        yield


@pytest.fixture(scope="module")
def sliver():
    """The smallest grid has a single layer for the tests of a file: those of what a run does around its steps."""
    with toy_space.shallow(layers=1):
        yield


@pytest.fixture(scope="session")
def discs(tmp_path_factory) -> Path:
    """Twelve images of a bright disc on a dark ground. Tests that change them work on a copy."""
    root = tmp_path_factory.mktemp("discs")
    (root / "images").mkdir()
    (root / "masks").mkdir()
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:48, :64]
    for i in range(12):
        y, x = rng.integers(12, 36), rng.integers(12, 52)
        disc = (rows - y) ** 2 + (columns - x) ** 2 < 100
        image = rng.integers(0, 60, (48, 64, 3)) + 150 * disc[..., None]
        Image.fromarray(image.astype(np.uint8)).save(root / "images" / f"{i:02}.png")
        Image.fromarray(disc.astype(np.uint8)).save(root / "masks" / f"{i:02}.png")
    (root / "classes.json").write_text(json.dumps(["ground", "disc"]))
    return root


@pytest.fixture(scope="session")
def patches(tmp_path_factory):
    """A folder per class below train and test: 16 x 16 images that are mostly red, green or blue."""
    root = tmp_path_factory.mktemp("patches")
    rng = np.random.default_rng(0)
    for split, images in (("train", 16), ("test", 4)):
        for channel, name in enumerate(("red", "green", "blue")):
            folder = root / split / name
            folder.mkdir(parents=True)
            for i in range(images):
                image = rng.integers(0, 120, (16, 16, 3))
                image[..., channel] += 100
                Image.fromarray(image.astype(np.uint8)).save(folder / f"{i:02}.png")
    return root


@pytest.fixture(scope="module")
def models(discs, tmp_path_factory) -> Path:
    """Models that were not trained: of the discs in ``masks``, of the patches in ``labels``. Only to be read.

    Each file has its own: in some "nano" is smaller (:func:`shallow`), and the other files cannot read that model.
    """
    root = tmp_path_factory.mktemp("models")
    torch.manual_seed(0)
    masks = segmentation_answer(open_data(str(discs)).classes)
    save_model(root / "masks", "segmentation", create_model("grid-nano", num_classes=2), masks, {})
    cells = create_model("s2", num_classes=3, channels=4, cells=3)
    labels = classification_answer(("blue", "green", "red"), (0.5,) * 3, (0.2,) * 3, (16, 16))
    save_model(root / "labels", "classification", cells, labels, {})
    return root


@pytest.fixture(scope="session")
def ptb_small() -> Path:
    """Lines of the Penn Treebank: train.txt, valid.txt, test.txt."""
    return shared("ptb-small")
