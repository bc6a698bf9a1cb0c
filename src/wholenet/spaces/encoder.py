"""A pretrained encoder of timm in the place of the grid's stems: an image to its feature maps at the grid's strides.

timm is imported when an encoder is asked for, and not before: it need not be installed (the extra "timm").

Letters: B images, C channels, H x W pixels; level i = 0..3 stands for stride 4 * 2**i.
"""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from wholenet.checked import near
from wholenet.files import shown
from wholenet.ops.norms import of_others
from wholenet.ops.resize import padded
from wholenet.spaces.encoder_name import LIBRARY, parts_of_name

TRIED_SIZES = ((64, 96), (75, 101))
"""(H, W) of the images that an encoder is tried on before a run: one of whole strides, one that is odd."""


def timm_module() -> Any:
    """The library.

    Raises:
        ValueError: if it is not installed, or cannot be imported beside the torch that is.
    """
    try:
        return importlib.import_module("timm")
    except ModuleNotFoundError as error:
        if error.name == "timm":
            raise ValueError(
                "a pretrained stem is an encoder of timm, which is not installed here: pip install 'wholenet[timm]'"
            ) from None
        reason = str(error)
    except Exception as error:  # torchvision's operators are missing where it was made for another torch
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    raise ValueError(
        f"timm cannot be imported here ({reason}); it needs torchvision, and torch and torchvision must come from one "
        "index: install both again in one command, as pytorch.org has it"
    )


@cache
def _architectures(timm: Any) -> frozenset[str]:
    return frozenset(timm.list_models())


def architecture_of(stem: str) -> str:
    """The architecture that ``stem``, "timm/NAME" or "timm/NAME.TAG", means: one that timm has.

    Raises:
        ValueError: if it is no such name (near ones are named), or timm is not there.
    """
    name, _ = parts_of_name(stem)
    known = _architectures(timm_module())
    if name not in known:
        raise ValueError(
            f"stem={shown(stem)}: timm has no model of that name{near(name, sorted(known))}; "
            "python -c 'import timm; print(timm.list_models())' lists them"
        )
    return name


class Renorm(nn.Module):
    """Images as wholenet normalises them -> as an encoder was trained on them: an affine map of each channel.

    Its numbers come with the encoder's weights; until then it changes nothing. It is not folded into the convolution
    after it: that pads with zeros, which would mean another colour.
    """

    def __init__(self) -> None:
        super().__init__()
        self.scale: Tensor
        self.shift: Tensor
        self.register_buffer("scale", torch.ones(1, 3, 1, 1))
        self.register_buffer("shift", torch.zeros(1, 3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """[B, 3, H, W] -> the same shape."""
        return torch.addcmul(self.shift, x, self.scale)


class Encoder(nn.Module):
    """A network of timm, without its head, untrained; its weights are loaded into it.

    Args:
        stem: "timm/NAME".
        strides: at which its maps are wanted; of several maps at a stride, the last.

    Raises:
        ValueError: for an unknown name, a network without maps at these strides, or one that cannot be kept in a model
            folder.
    """

    def __init__(self, stem: str, strides: tuple[int, ...]) -> None:
        super().__init__()
        name = architecture_of(stem)
        try:
            body = timm_module().create_model(name, pretrained=False, features_only=True)
            reductions, channels = list(body.feature_info.reduction()), list(body.feature_info.channels())
        except Exception as error:  # whatever timm raises for a network without feature maps
            reason = (str(error) or type(error).__name__).strip().splitlines()[0]
            raise ValueError(
                f"{LIBRARY}{name} has no feature maps for the grid to read ({reason}); choose another"
            ) from error
        last = {int(reduction): i for i, reduction in enumerate(reductions)}
        if missing := [stride for stride in strides if stride not in last]:
            raise ValueError(
                f"{LIBRARY}{name} has no feature map at stride {', '.join(map(str, missing))} (it has them at "
                f"{', '.join(map(str, reductions))}); the grid reads strides {', '.join(map(str, strides))}: choose a "
                "convolutional network such as tf_efficientnet_lite0"
            )
        saved = body.state_dict()
        lost = [name for name, _ in body.named_buffers() if name not in saved]
        odd = [name for name, value in saved.items() if value.dtype not in (torch.float32, torch.int64)]
        if lost or odd:
            raise ValueError(
                f"{LIBRARY}{name} keeps {(lost + odd)[0]} in a form that a model folder does not hold; choose another"
            )
        self.name = name
        self.strides = strides
        self.picked = [last[stride] for stride in strides]
        self.channels = [channels[i] for i in self.picked]
        """Of the maps."""
        self.renorm = Renorm()
        self.body = body

    def forward(self, x: Tensor) -> list[Tensor]:
        """Images [B, 3, H, W] -> for each stride s a map [B, C_s, H' / s, W' / s], the finest first. H' and W' are the
        next multiples of the largest stride: these networks pad, and round, differently for other sides, which would
        move what their maps say."""
        with of_others():  # timm's BatchNorms know nothing of other processes
            maps = self.body(self.renorm(padded(x, max(self.strides))))
        return [maps[i] for i in self.picked]


def try_encoder(stem: str, strides: tuple[int, ...]) -> None:
    """Make sure that the encoder ``stem`` answers for images of any size. Nothing of its size is allocated.

    Raises:
        ValueError: as :class:`Encoder`, or if it does not.
    """
    with torch.device("meta"), torch.no_grad():
        encoder = _built_nowhere(stem, strides)
        for height, width in TRIED_SIZES:
            whole = [-(-side // max(strides)) * max(strides) for side in (height, width)]
            expected = [
                (1, c, *(side // stride for side in whole)) for c, stride in zip(encoder.channels, strides, strict=True)
            ]
            try:
                found = [tuple(x.shape) for x in encoder(torch.empty(1, 3, height, width))]
            except Exception as error:
                reason = (str(error) or type(error).__name__).strip().splitlines()[0]
                raise ValueError(
                    f"{LIBRARY}{encoder.name} does not take images of {height}x{width} ({reason}); the grid needs an "
                    "encoder for any size: choose a convolutional one"
                ) from error
            if found != expected:
                raise ValueError(
                    f"{LIBRARY}{encoder.name} makes maps {found} of an image of {height}x{width}; expected {expected}: "
                    "choose a convolutional network"
                )


def _built_nowhere(stem: str, strides: tuple[int, ...]) -> Encoder:
    """The encoder, on the meta device.

    Raises:
        ValueError: if it cannot be built there, as model folders build it.
    """
    encoder = Encoder(stem, strides).eval()
    there = [name for name, value in encoder.state_dict().items() if not value.is_meta]
    if there:
        raise ValueError(
            f"{LIBRARY}{encoder.name} makes {there[0]} wherever it is built; model folders build a network without "
            "memory first: choose another"
        )
    return encoder
