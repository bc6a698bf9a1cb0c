"""The weights of a pretrained encoder: from the Hugging Face hub, or a file; as safetensors alone, in which no code is.

What they were trained on, by whom and under which licence is their makers' affair: it is said, and written down.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor

from wholenet.data.pixels import MEAN, STD
from wholenet.deploy.model_files import file_digest, read_header, read_tensors, some_of
from wholenet.spaces.encoder import Encoder, architecture_of, timm_module, try_encoder
from wholenet.spaces.encoder_name import TRIED, parts_of_name
from wholenet.spaces.links import STRIDES

FILE_NAME = "model.safetensors"
"""Of weights on the hub."""


@dataclass(frozen=True)
class StemWeights:
    """What an encoder starts with."""

    tensors: dict[str, Tensor]
    """By their names in :class:`wholenet.spaces.encoder.Encoder`."""
    facts: dict[str, str]
    """Where they come from, for people: names begin with "stem_"."""

    def __str__(self) -> str:
        """A sentence for the start of a run."""
        facts = self.facts
        return (
            f"pretrained stem {facts['stem']}: weights of {facts['stem_weights']}, licence "
            f"{facts['stem_licence']}, SHA-256 {facts['stem_sha256'][:12]}"
        )


def check_stem(stem: str) -> str | None:
    """Make sure that a grid can have the encoder ``stem``. Little is computed.

    Returns:
        A warning; None if it is one that was tried.

    Raises:
        ValueError: see :func:`wholenet.spaces.encoder.try_encoder`.
    """
    try_encoder(stem, STRIDES)
    if architecture_of(stem) in TRIED:
        return None
    return f"{stem} is not among the encoders that were trained and exported here ({', '.join(TRIED)}); it may do too"


def stem_weights(stem: str, file: str | Path | None = None, say: Callable[[str], None] = lambda _: None) -> StemWeights:
    """The weights of the encoder ``stem``, "timm/NAME" or "timm/NAME.TAG".

    Args:
        stem: its name.
        file: a safetensors file of timm's network; None: the one that timm names on the hub, or its copy in the cache.
        say: told before anything is fetched.

    Raises:
        ValueError: if there are none, they cannot be had (both ways are named), or do not fit (the tensors are named).
    """
    timm, name = timm_module(), architecture_of(stem)
    about = _about(timm, stem)
    if file is None:
        path, source = _from_hub(stem, about, say), str(about["hf_hub_id"])
    else:
        path, source = Path(file), Path(file).name
        if not path.is_file():
            raise ValueError(f"stem_weights={str(file)!r}: no such file; give the safetensors file of {stem}")
    try:
        _check_fit(timm, name, path)
        tensors = read_tensors(path)
    except (OSError, SafetensorError, ValueError) as error:
        raise ValueError(f"{path} cannot be the weights of {stem}: {error}") from error
    logging.getLogger("timm").setLevel(logging.ERROR)  # it warns of the head, which an encoder does not have
    overlay = {"state_dict": tensors}
    body = timm.create_model(name, pretrained=True, features_only=True, pretrained_cfg_overlay=overlay)
    encoder = Encoder(stem, STRIDES)
    encoder.body.load_state_dict(body.state_dict())
    mean, std = (torch.tensor(about[key]).view(1, 3, 1, 1) for key in ("mean", "std"))
    ours = [torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, STD)]
    encoder.renorm.scale.copy_(ours[1] / std)
    encoder.renorm.shift.copy_((ours[0] - mean) / std)
    facts = {
        "stem": stem,
        "stem_weights": source,
        "stem_licence": str(about["license"] or "not stated"),
        "stem_sha256": file_digest(path),
        "stem_timm": str(timm.__version__),
    }
    return StemWeights({key: value.clone() for key, value in encoder.state_dict().items()}, facts)


def _about(timm: Any, stem: str) -> dict[str, Any]:
    """What timm says of the weights that ``stem`` names.

    Raises:
        ValueError: if it has none of that tag (those that it has are named).
    """
    name, tag = parts_of_name(stem)
    try:
        found = timm.get_pretrained_cfg(f"{name}.{tag}" if tag else name)
    except RuntimeError:  # timm's, of a tag that it does not know; older ones give None
        found = None
    if tag and (found is None or found.tag != tag):
        known = [one.partition(".")[2] for one in timm.list_models(f"{name}.*", pretrained=True)]
        raise ValueError(f"stem={stem!r}: timm has no weights {tag!r} of {name}; it has {', '.join(known) or 'none'}")
    keys = {"hf_hub_id": None, "mean": MEAN, "std": STD, "license": None}
    return {key: getattr(found, key, default) or default for key, default in keys.items()}


def _from_hub(stem: str, about: dict[str, Any], say: Callable[[str], None]) -> Path:
    """The file on the hub that timm names, or its copy in the cache.

    Raises:
        ValueError: if timm names none, or it cannot be had.
    """
    by_hand = "give them as a file (--stem-weights FILE, in Python stem_weights), in safetensors and with timm's names"
    place = about["hf_hub_id"]
    if not place:
        raise ValueError(f"timm names no weights of {stem} on the Hugging Face hub; {by_hand}, or choose another stem")
    try:
        hub = importlib.import_module("huggingface_hub")
        if not isinstance(hub.try_to_load_from_cache(place, FILE_NAME), str):
            say(f"fetching the weights of {stem} from the Hugging Face hub ({place})")
            _ask_once(hub, place)
        return Path(hub.hf_hub_download(place, FILE_NAME))
    except Exception as error:  # of the network, of the hub, of the cache: whatever it raises
        reason = (str(error) or type(error).__name__).strip().splitlines()[0]
        raise ValueError(
            f"the weights of {stem}, {place}, cannot be had from the Hugging Face hub ({reason}). Go "
            "online once, so that they are in its cache (HF_HOME says where; copied to this machine it does too); or "
            f"{by_hand}"
        ) from error


def _ask_once(hub: Any, place: str) -> None:
    """Look whether the hub can be reached, by one question. A download asks six times, which takes 23 seconds and is no
    setting of huggingface_hub's. What the hub answers is the download's affair, which asks a busy one again.

    Raises:
        Exception: whatever kept the question from being answered.
    """
    with suppress(hub.errors.HfHubHTTPError):
        hub.get_hf_file_metadata(hub.hf_hub_url(place, FILE_NAME))


def _check_fit(timm: Any, name: str, path: Path) -> None:
    """Compare what the file's header declares with the whole network of timm, but for its classifier.

    Raises:
        ValueError: naming tensors that are missing, or of another shape.
    """
    with torch.device("meta"):
        expected = timm.create_model(name, pretrained=False, num_classes=0).state_dict()
    found = {key: entry.get("shape") for key, entry in read_header(path)[0].items() if isinstance(entry, dict)}
    needed = {key: list(value.shape) for key, value in expected.items() if not key.endswith("num_batches_tracked")}
    if missing := [key for key in needed if key not in found]:
        raise ValueError(
            f"{some_of(missing)} not in it ({len(missing)} of {len(needed)}); is it of another network, or does it "
            "have other names than timm's?"
        )
    if other := [key for key in needed if found[key] != needed[key]]:
        some = "; ".join(f"{key} is {found[key]}, expected {needed[key]}" for key in other[:3])
        raise ValueError(f"{len(other)} of {len(needed)} tensors have another shape: {some}")
