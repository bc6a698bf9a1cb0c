"""A trained network as a folder for the Hugging Face hub: its files, its card, and the picture in it."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch

from wholenet.data.check import SplitStats
from wholenet.deploy.classifier import TrainedClassifier
from wholenet.deploy.hub import FILES, HubName, check_can_upload, hub_name, upload
from wholenet.deploy.model_files import inside, place_of, read_config
from wholenet.deploy.model_folder import load_model
from wholenet.deploy.segmenter import TrainedModel
from wholenet.files import check_output, shown, write_whole
from wholenet.report.card import UNKNOWN, CardFacts, card_text
from wholenet.report.progress import duration
from wholenet.search.read_run import RunTables, read_run
from wholenet.search.run_folder import RunFolder
from wholenet.tasks.score import ERROR, MIOU

PICTURE = "predictions.png"
SETTINGS = ("method", "protocol", "architecture", "epochs", "batch", "crop", "seed", "keep")
"""Of a run, those that its card has."""


def push_model(
    model: str | Path,
    name: str,
    *,
    public: bool = False,
    licence: str | None = None,
    picture: bool = True,
    dry_run: str | Path | None = None,
) -> str:
    """Upload the model of a run or model folder, with a card; or only write what would be uploaded.

    Args:
        model: the folder. Of a run the card has the control's score, the data and the picture, too.
        name: where to, "USER/NAME".
        public: whether all may see a repository that is made now; without it only its owner does.
        licence: of the weights, by the hub's identifier ("apache-2.0"); None says that it is unknown.
        picture: whether the run's picture, which shows validation images, goes with it.
        dry_run: a new folder, which what would be uploaded is written into; nothing is uploaded then.

    Returns:
        The address of the repository, or the folder.

    Raises:
        ValueError: for a folder without a model, a name or a licence that is none, a ``dry_run`` that is there already;
            if huggingface_hub is not installed, or nobody is logged in.
        HubError: if the hub refuses.
        OSError: if nothing can be written to ``dry_run``.
    """
    place = hub_name(name)
    if place.revision is not None:
        raise ValueError(f"{shown(name)}: a push makes the newest revision; leave @{place.revision} out")
    if licence is not None and not re.fullmatch(r"[a-z0-9][a-z0-9.+-]{0,60}", licence):
        raise ValueError(
            f"license={shown(licence)}: expected an identifier of the hub's, such as apache-2.0 or cc-by-4.0"
        )
    if dry_run is None:
        check_can_upload()
    elif Path(dry_run).exists():
        raise ValueError(f"{dry_run} exists; name a new folder")
    else:
        check_output(dry_run, folder=True)
    with tempfile.TemporaryDirectory(prefix="wholenet-push-") as made:
        folder = Path(made)
        _fill(folder, Path(model), place, licence or UNKNOWN, picture)
        if dry_run is not None:
            Path(dry_run).mkdir(parents=True)
            for file in folder.iterdir():
                shutil.copyfile(file, Path(dry_run) / file.name)
            return str(dry_run)
        return upload(folder, place, public=public, message=f"{place.name}, by wholenet push")


def _fill(folder: Path, path: Path, place: HubName, licence: str, picture: bool) -> None:
    """Put the model in ``path`` into ``folder``, its card and its picture."""
    model = load_model(path, torch.device("cpu"))  # which is to say: what is uploaded can be loaded
    source = place_of(path)
    assert source is not None, "it was loaded from there"
    for name in FILES:
        shutil.copyfile(inside(source, name), folder / name)
    written = read_config(source)["facts"]
    known = {"place": place, "licence": licence, "data": _text(written, "data"), "stem": _stem(written)}
    if (path / "config.yaml").is_file():
        run = read_run(path)
        if picture and (path / PICTURE).is_file() and run.task == "segmentation":
            shutil.copyfile(path / PICTURE, folder / PICTURE)
            known["picture"] = PICTURE
        known |= _of_run(run)
    else:
        known |= _of_model(model, written)
    write_whole(folder / "README.md", card_text(model, CardFacts(**known)))


def _stem(written: dict[str, Any]) -> dict[str, str] | None:
    return {key: str(value) for key, value in written.items() if key in ("stem_weights", "stem_licence")} or None


def _text(values: dict[str, Any], key: str) -> str | None:
    return str(values[key]) if key in values else None


def _of_model(model: Any, written: dict[str, Any]) -> dict[str, Any]:
    """What a model folder alone says."""
    score, key = {TrainedModel: (MIOU, "val_miou"), TrainedClassifier: (ERROR, "error")}.get(type(model), (None, ""))
    value = written.get(key)
    known = {"score": score, "value": value} if isinstance(value, int | float) else {}
    return known | {"made": {key: written[key] for key in ("epochs", "architecture", "method") if key in written}}


def _of_run(run: RunTables) -> dict[str, Any]:
    own, *others = run.results
    made: dict[str, Any] = {name: run.config[name] for name in SETTINGS if run.config.get(name) is not None}
    if run.config.get("genotype") is not None:  # nothing was searched
        made = {name: value for name, value in made.items() if name not in ("method", "protocol", "architecture")}
    made |= {"epochs": f"{own['epochs']} of {own['planned']}", "training": duration(own["seconds"])}
    known: dict[str, Any] = {"made": made}
    if run.score is not None:
        control = next((row for row in others if row["part"] == "control"), {})
        known |= {"score": run.score, "value": own[run.score.name], "control": control.get(run.score.name)}
        known["constant"] = own.get("constant_miou")
    if run.task == "segmentation":
        known["splits"] = _splits(RunFolder(run.path))
    return known


def _splits(run: RunFolder) -> dict[str, str]:
    """Split -> how many images it has, and their sizes; nothing where that was not written down, or is damaged."""
    facts = run.environment(lambda _: None) or {}
    told = {}
    for name in ("train", "val"):
        try:
            found = SplitStats(**facts[name])
        except (KeyError, TypeError):
            continue
        sizes = [f"{found.min_height}x{found.min_width}", f"{found.max_height}x{found.max_width}"]
        told[name] = f"{found.images} images of {' to '.join(dict.fromkeys(sizes))} pixels (height x width)"
    return told
