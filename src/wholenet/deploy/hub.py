"""Models on the Hugging Face hub: ``hf://USER/NAME`` stands for a model folder, and model folders are uploaded.

What comes from there is read as any model folder is, which may come from anybody (docs/safety.md).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from wholenet.data.facts_cache import cache_folder
from wholenet.files import shown

PREFIX = "hf://"
FILES = ("config.json", "model.safetensors")
"""What makes a model folder."""
_PART = re.compile(r"(?!.*(--|\.\.))[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,94}[A-Za-z0-9_])?")
_REVISION = re.compile(r"(?!.*\.\.)[A-Za-z0-9_][A-Za-z0-9_./-]{0,99}")


class HubError(OSError):
    """What the hub, or the way there, refused; the message says what was to be done."""


@dataclass(frozen=True)
class HubName:
    """Where a model is on the hub."""

    user: str
    """Or an organisation."""
    name: str
    revision: str | None = None
    """A branch, a tag or a commit; None is the newest."""

    @property
    def repository(self) -> str:
        """As the hub calls it."""
        return f"{self.user}/{self.name}"

    def __str__(self) -> str:
        return PREFIX + self.repository + (f"@{self.revision}" if self.revision else "")


def hub_name(text: str) -> HubName:
    """The place that "USER/NAME" or "USER/NAME@REVISION" is, with or without ``hf://`` before it.

    Raises:
        ValueError: if it is none.

    >>> hub_name("hf://me/streets@v1")
    HubName(user='me', name='streets', revision='v1')
    """
    place, at, revision = text.removeprefix(PREFIX).partition("@")
    user, slash, name = place.partition("/")
    whole = slash and _PART.fullmatch(user) and _PART.fullmatch(name)
    if not whole or (at and not _REVISION.fullmatch(revision)):
        raise ValueError(
            f"{shown(text)} is no place on the Hugging Face hub; expected USER/NAME, for example me/streets, of "
            "letters, digits, '-', '_' and '.'"
        )
    return HubName(user, name, revision or None)


def local_model(path: str | Path) -> str | Path:
    """``path``, or where it begins with ``hf://`` the folder that holds what was downloaded from there, brought up to
    date if the hub can be reached.

    Raises:
        ValueError: if it names no place on the hub, or huggingface_hub is not installed.
        HubError: if there is no such model, or it cannot be had.
    """
    if not str(path).startswith(PREFIX):
        return path
    place = hub_name(str(path))
    hub = _hub()
    # Not in the hub's own cache: files there are links that lead out of their folder.
    folder = cache_folder().parent / "hub" / place.user / place.name / (place.revision or "main").replace("/", "--")
    try:
        hub.snapshot_download(
            place.repository, revision=place.revision, local_dir=str(folder), allow_patterns=list(FILES)
        )
    except Exception as error:  # of the network, of the hub, of the disk: whatever it raises
        raise HubError(
            f"{place} cannot be had from the Hugging Face hub ({_reason(error)}). Look at the name and the network; a "
            "private model needs the token of somebody who may see it: `hf auth login`, or HF_TOKEN"
        ) from error
    return folder


def check_can_upload() -> None:
    """Make sure that there is what an upload needs.

    Raises:
        ValueError: if huggingface_hub is not installed, or nobody is logged in.
    """
    if not _hub().get_token():
        raise ValueError(
            "nobody is logged in to the Hugging Face hub; give `hf auth login` a token that may write "
            "(https://huggingface.co/settings/tokens), or put it into HF_TOKEN"
        )


def upload(folder: Path, place: HubName, *, public: bool, message: str) -> str:
    """Upload all of ``folder`` as one commit, into a repository that is made if there is none.

    Args:
        folder: with a model in it.
        place: where to.
        public: whether a repository that is made now can be seen by all. One that is there stays as it is.
        message: of the commit.

    Returns:
        The address of the repository.

    Raises:
        ValueError: as :func:`check_can_upload`.
        HubError: if the hub refuses, or cannot be reached.
    """
    check_can_upload()
    try:
        api = _hub().HfApi()
        made = api.create_repo(place.repository, repo_type="model", private=not public, exist_ok=True)
        api.upload_folder(repo_id=place.repository, repo_type="model", folder_path=str(folder), commit_message=message)
    except Exception as error:  # likewise
        raise HubError(
            f"{place.repository} was not uploaded to the Hugging Face hub ({_reason(error)}). Look at the name (you "
            "must be allowed to write there), the token (`hf auth whoami`) and the network; the same command tries "
            "again"
        ) from error
    return str(made)


def _hub() -> Any:
    try:
        return import_module("huggingface_hub")
    except ImportError as error:
        raise ValueError(
            "the Hugging Face hub needs huggingface_hub, not installed here: pip install 'wholenet[hub]'"
        ) from error


def _reason(error: Exception) -> str:
    return (str(error) or type(error).__name__).strip().splitlines()[0]
