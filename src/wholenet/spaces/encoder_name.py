"""Names of pretrained encoders, as configs and model folders have them. Imports no torch: the command line reads this.

A model folder may come from anybody, and some names make timm read elsewhere ("hf-hub:...", "local-dir:..."): only
names of its own list are taken.
"""

from __future__ import annotations

import re

from wholenet.files import shown

LIBRARY = "timm/"
_NAME = re.compile(r"timm/([a-z0-9_]+)(?:\.([a-z0-9_]+))?", re.ASCII)
TRIED = ("tf_efficientnet_lite0",)
"""Encoders that were trained, folded and exported here."""


def parts_of_name(stem: str) -> tuple[str, str]:
    """The architecture of an encoder, and which of its weights are meant ("": the library's choice).

    Raises:
        ValueError: for anything but ``timm/NAME`` or ``timm/NAME.TAG``.

    >>> parts_of_name("timm/resnet18.a1_in1k")
    ('resnet18', 'a1_in1k')
    """
    match = _NAME.fullmatch(stem)
    if match is None:
        raise ValueError(
            f"stem={shown(stem)}: expected timm/NAME, a name in timm.list_models() such as timm/{TRIED[0]}; names that "
            "are read from elsewhere (hf-hub:, local-dir:, paths) are not taken, give such weights by stem_weights"
        )
    return match[1], match[2] or ""
