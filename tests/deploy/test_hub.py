"""Models on the Hugging Face hub, which is a folder here: what is uploaded, what its card says, and what comes back."""

import inspect
import json
import shutil
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

import wholenet
from wholenet.cli import main
from wholenet.deploy.hub import hub_name
from wholenet.deploy.model_folder import save_model
from wholenet.deploy.segmenter import segmentation_answer
from wholenet.spaces.catalog import create_model

FIXTURES = Path(__file__).parents[1] / "fixtures"
CALLS = {
    "create_repo": {"repo_id": "a/b", "repo_type": "model", "private": True, "exist_ok": True},
    "upload_folder": {"repo_id": "a/b", "repo_type": "model", "folder_path": "f", "commit_message": "m"},
    "snapshot_download": {"repo_id": "a/b", "revision": None, "local_dir": "f", "allow_patterns": ["x"]},
}
"""What is asked of the hub, by the names that its package has for it."""


class Hub(ModuleType):
    """A stand-in for huggingface_hub of the three calls that are used, and of who is logged in."""

    def __init__(self, root):
        super().__init__("huggingface_hub")
        self.root, self.token, self.down, self.asked = root, "hf_token", None, []
        self.HfApi = lambda: SimpleNamespace(create_repo=self._create, upload_folder=self._upload)

    def get_token(self):
        return self.token

    def _check(self, call, given):
        if self.down is not None:
            raise self.down
        assert given.keys() == CALLS[call].keys()
        self.asked.append((call, given))

    def _create(self, repo_id, **given):
        self._check("create_repo", {"repo_id": repo_id, **given})
        (self.root / repo_id).mkdir(parents=True, exist_ok=given["exist_ok"])
        return f"https://hub/{repo_id}"

    def _upload(self, **given):
        self._check("upload_folder", given)
        shutil.copytree(given["folder_path"], self.root / given["repo_id"], dirs_exist_ok=True)

    def snapshot_download(self, repo_id, **given):
        self._check("snapshot_download", {"repo_id": repo_id, **given})
        Path(given["local_dir"]).mkdir(parents=True, exist_ok=True)
        for name in given["allow_patterns"]:
            shutil.copy(self.root / repo_id / name, given["local_dir"])


@pytest.fixture
def hub(tmp_path, monkeypatch):
    found = Hub(tmp_path / "hub")
    monkeypatch.setitem(sys.modules, "huggingface_hub", found)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return found


FACTS = {"data": "streets", "epochs": "2 of 3", "val_miou": 0.25}
STEM = {"stem_weights": "timm/lcnet_050.ra2_in1k", "stem_licence": "cc-by-nc-4.0", "stem_sha256": "0" * 64}


@pytest.fixture
def run(tmp_path, models):
    """A run with a control and a picture, whose model starts from a pretrained stem."""
    shutil.copytree(FIXTURES / "single-stage", tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "model")
    classes = wholenet.load(models / "masks").classes
    torch.manual_seed(0)
    network = create_model("grid-nano", num_classes=2)
    save_model(tmp_path / "run" / "model", "segmentation", network, segmentation_answer(classes), FACTS | STEM)
    Image.new("RGB", (8, 8)).save(tmp_path / "run" / "predictions.png")
    return tmp_path / "run"


def card(folder):
    """The head of the card in ``folder``, and its text."""
    _, head, body = (folder / "README.md").read_text().split("---\n", 2)
    return yaml.safe_load(head), body


def test_what_is_uploaded_predicts_the_same_when_it_comes_back(hub, run):
    assert wholenet.push(run, "me/streets") == "https://hub/me/streets"
    uploaded = {path.name for path in (hub.root / "me" / "streets").iterdir()}
    assert uploaded == {"README.md", "config.json", "model.safetensors", "predictions.png"}
    image = np.random.default_rng(0).integers(0, 255, (40, 56, 3), np.uint8)
    there, here = (wholenet.load(place, "cpu").class_logits(image) for place in ("hf://me/streets", run))
    assert np.array_equal(there, here)
    assert [call for call, _ in hub.asked] == ["create_repo", "upload_folder", "snapshot_download"]


def test_a_repository_is_private_unless_it_is_said_to_be_public(hub, run):
    for words, private in (([], True), (["--public"], False)):
        main(["push", str(run), "me/streets", *words])
        assert next(given for call, given in reversed(hub.asked) if call == "create_repo")["private"] is private


def test_the_card_says_how_good_on_what_how_it_is_used_and_whose_weights_are_in_it(run, tmp_path, capsys):
    main(["push", str(run), "me/streets", "--license", "cc-by-4.0", "--dry-run", str(tmp_path / "dry")])
    assert "nothing was uploaded" in capsys.readouterr().out
    head, body = card(tmp_path / "dry")
    assert (head["license"], head["library_name"], head["pipeline_tag"]) == (
        "cc-by-4.0",
        "wholenet",
        "image-segmentation",
    )
    assert "semantic-segmentation" in head["tags"]
    assert head["metrics"] == ["mean_iou"]
    own, control = wholenet.read_run(run).results[:2]
    (result,) = head["model-index"][0]["results"]
    assert result["metrics"][0]["value"] == pytest.approx(own["miou"], abs=1e-4)
    for value in (own["miou"], own["constant_miou"], control["miou"]):
        assert f"| {100 * value:.1f} % mIoU |" in body
    facts = json.loads((run / "environment.json").read_text())
    assert f"- train: {facts['train']['images']} images of" in body
    assert "- 2 classes: ground, disc" in body
    assert "8-bit RGB" in body
    assert 'model = wholenet.load("hf://me/streets")' in body
    assert "weights of timm/lcnet\\_050.ra2\\_in1k, whose licence is cc-by-nc-4.0" in body
    assert "](predictions.png)" in body
    assert str(run) not in body


def test_a_picture_shows_images_and_can_be_left_out(run, tmp_path):
    wholenet.push(run, "me/streets", picture=False, dry_run=tmp_path / "dry")
    assert "png" not in card(tmp_path / "dry")[1]
    assert not (tmp_path / "dry" / "predictions.png").exists()


def test_a_model_folder_and_a_classifier_have_cards_too(run, models, tmp_path):
    wholenet.push(run / "model", "me/streets", dry_run=tmp_path / "masks")
    head, body = card(tmp_path / "masks")
    assert head["license"] == "unknown"
    assert "its maker has not said one" in body
    assert "| this network | 25.0 % mIoU |" in body
    wholenet.push(models / "labels", "me/colours", dry_run=tmp_path / "labels")
    head, body = card(tmp_path / "labels")
    assert (head["pipeline_tag"], head["metrics"]) == ("image-classification", ["accuracy"])
    assert "- 3 classes: blue, green, red" in body


def test_names_of_classes_do_not_break_the_card(models, tmp_path):
    found = wholenet.load(models / "masks")
    odd = segmentation_answer(found.classes)
    for one, name in zip(odd["classes"]["classes"], ("a|b <i>", "# c `d`"), strict=True):
        one["name"] = name
    save_model(tmp_path / "odd", "segmentation", found.network, odd, {})
    wholenet.push(tmp_path / "odd", "me/odd", dry_run=tmp_path / "dry")
    assert "- 2 classes: a\\|b &lt;i>, # c \\`d\\`" in card(tmp_path / "dry")[1]


@pytest.mark.parametrize(
    "name", ["streets", "me/", "/streets", "a/b/c", "me/..", "../x", "me/a--b", "me/-a", "me/a@../b", "me/a@", "m e/a"]
)
def test_what_is_no_place_on_the_hub_is_refused(name, run, hub):
    with pytest.raises(ValueError, match="expected USER/NAME"):
        wholenet.push(run, name)
    with pytest.raises(ValueError, match="expected USER/NAME"):
        wholenet.load(f"hf://{name}")
    assert not hub.asked


def test_a_place_is_kept_by_its_revision(hub, run):
    assert str(hub_name("hf://me/a@v1.0")) == "hf://me/a@v1.0"
    wholenet.push(run, "me/a")
    for name in ("hf://me/a", "hf://me/a@v1"):
        wholenet.load(name, "cpu")
    first, second = (given for call, given in hub.asked if call == "snapshot_download")
    assert (first["revision"], second["revision"]) == (None, "v1")
    assert first["local_dir"] != second["local_dir"]


def test_what_is_missing_is_said_before_anything_is_made(run, hub, tmp_path, monkeypatch, capsys):
    def refused(*words):
        with pytest.raises(SystemExit) as stop:
            main(["push", *map(str, words)])
        assert stop.value.code == 2
        return capsys.readouterr().err

    hub.token = None
    assert "nobody is logged in" in refused(run, "me/streets")
    hub.token = "hf_token"
    assert "holds no model" in refused(tmp_path, "me/streets")
    assert "expected an identifier of the hub's" in refused(run, "me/streets", "--license", "Do what you want")
    assert "exists; name a new folder" in refused(run, "me/streets", "--dry-run", run)
    assert "leave @v1 out" in refused(run, "me/streets@v1")
    hub.down = ConnectionError("no route\nto host")
    assert "was not uploaded to the Hugging Face hub (no route)" in refused(run, "me/streets")
    with pytest.raises(OSError, match=r"hf://me/streets cannot be had .* \(no route\)"):
        wholenet.load("hf://me/streets")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)  # as if it were not installed
    assert "pip install 'wholenet[hub]'" in refused(run, "me/streets")
    assert not hub.asked
    wholenet.push(run, "me/streets", dry_run=tmp_path / "dry")  # needs no hub


def test_the_hub_takes_what_it_is_asked():
    real = pytest.importorskip("huggingface_hub")
    for call, given in CALLS.items():
        function = getattr(real, call)
        assert inspect.signature(function).bind(**given)
    assert callable(real.get_token)
