"""A trained network that estimates disparity, and what its model folder says besides the network.

Letters: H, W height and width of a pair.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from wholenet import parallel
from wholenet.checked import Share
from wholenet.data.opening import MAX_MEGAPIXELS
from wholenet.data.pictures import check_image
from wholenet.data.pixels import normalize
from wholenet.data.sample import DataError
from wholenet.data.splits import spread
from wholenet.data.stereo.review import open_stereo
from wholenet.data.stereo.sample import StereoSample, StereoSplit
from wholenet.deploy.answer import AnswerKind
from wholenet.file_keys import check_keys, numbers
from wholenet.spaces.autodispnet.pair import Pair
from wholenet.spaces.supernet import Supernet
from wholenet.tasks.disparity import LOST, DisparityErrors, DisparityScores, Errors
from wholenet.tasks.disparity_floors import DisparityFloors, floors_of, known_of

CHANNELS, OUTPUTS = 3, 1
LOOKED_AT = 200
"""Pairs of train, evenly spread, that a median is of."""
AT_ONCE = 1 << 20
"""Pixels of left images that are estimated at once, at most; pairs of one size alone."""
MOST_AT_ONCE = 16
"""And pairs."""
HEADS = {"epe": "EPE, px", "over_1": "> 1 px", "over_2": "> 2 px", "over_3": "> 3 px", "d1": "D1"}
"""Errors, and what people call them; all but the first are shares."""
Images = tuple[NDArray[np.uint8], NDArray[np.uint8]]


def least_size(model: Any) -> int:
    """What both sides of the pairs that a network sees are a multiple of: its ``multiple``, where it has one."""
    return int(getattr(model, "multiple", 1))


def check_pair(left: NDArray[np.uint8], right: NDArray[np.uint8], least: int) -> None:
    """Make sure that a network can look at a pair.

    Raises:
        ValueError: if they are no RGB images of one size, or too small.
    """
    check_image(left)
    check_image(right)
    if left.shape != right.shape:
        sizes = " and ".join(f"{image.shape[0]}x{image.shape[1]}" for image in (left, right))
        raise ValueError(f"the left and the right image are {sizes} (height x width); both must have one size")
    if min(left.shape[:2]) < least:
        raise ValueError(
            f"a pair of {left.shape[0]}x{left.shape[1]} is too small for this network, which sees {least}x{least} or "
            "more; give larger images, or a network of fewer levels"
        )


@torch.no_grad()
def estimate(
    model: Supernet[Any], pairs: Sequence[Images], mean: Sequence[float], device: torch.device
) -> NDArray[np.float32]:
    """Disparities float32 [N, H, W] in pixels of N pairs of one size, by a network in eval mode.

    Images are enlarged to the next multiples of what the network takes, as the released networks do it, and disparities
    brought back to the images' size, divided by how much wider the images were made. On the CPU.

    Raises:
        ValueError: as :func:`check_pair`.
        FloatingPointError: for disparities that are not finite.
    """
    least = least_size(model.net)
    for left, right in pairs:
        check_pair(left, right, least)
    height, width = pairs[0][0].shape[:2]
    size = -(-height // least) * least, -(-width // least) * least

    def seen(side: int) -> Tensor:
        images = torch.from_numpy(normalized([pair[side] for pair in pairs], mean)).to(device)
        return images if size == (height, width) else _resized(images, size)

    full = model(Pair(seen(0), seen(1))).full.float()  # pyright: ignore[reportArgumentType]
    if size != (height, width):
        full = _resized(full[:, None], (height, width))[:, 0] * (width / size[1])
    if not full.isfinite().all():
        raise FloatingPointError(LOST)
    return full.cpu().numpy()


def _resized(images: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(images, size, mode="bilinear", align_corners=False)


def normalized(images: Sequence[NDArray[np.uint8]], mean: Sequence[float]) -> NDArray[np.float32]:
    """What a network is fed: images in [0, 1] minus their ``mean``, float32 [N, 3, H, W]."""
    return np.ascontiguousarray(normalize(np.stack(images), mean, (1.0,) * CHANNELS).transpose(0, 3, 1, 2))


def estimates(
    model: Supernet[Any], samples: Iterable[StereoSample], mean: Sequence[float], device: torch.device
) -> Iterator[tuple[StereoSample, NDArray[np.float32]]]:
    """Each pair with its disparity [H, W], several of one size at once. Leaves the model's mode as it was."""
    training = model.training
    model.eval()
    try:
        for some in _alike(samples):
            found = estimate(model, [(sample.left, sample.right) for sample in some], mean, device)
            yield from zip(some, found, strict=True)
    finally:
        model.train(training)


def _alike(samples: Iterable[StereoSample]) -> Iterator[list[StereoSample]]:
    """Neighbours of one size, as many as are estimated at once."""
    some: list[StereoSample] = []
    for sample in samples:
        height, width = sample.left.shape[:2]
        most = min(MOST_AT_ONCE, AT_ONCE // (height * width))
        if some and (some[0].left.shape != sample.left.shape or len(some) >= most):
            yield some
            some = []
        some.append(sample)
    if some:
        yield some


def split_scores(
    model: Supernet[Any],
    split: StereoSplit,
    mean: Sequence[float],
    device: torch.device,
    progress: Callable[[int, int], None] | None = None,
) -> DisparityScores:
    """Errors of a network on the pairs of a split as they are: of their own size, never augmented.

    Several processes share the pairs; each of them returns the scores on all.

    Raises:
        DataError: for a pair that cannot be read, or is too small; it is named.
        FloatingPointError: for disparities that are not finite.
    """
    least, errors, names = least_size(model.net), DisparityErrors(), split.names

    def read() -> Iterator[StereoSample]:
        for index in range(parallel.rank(), len(split), parallel.processes()):
            sample = split[index]
            try:
                check_pair(sample.left, sample.right, least)
            except ValueError as error:
                raise DataError(f"{names[index]}: {error}") from error
            yield sample

    for done, (sample, found) in enumerate(estimates(model, read(), mean, device), 1):
        errors.update(found, sample.disparity, sample.visible)
        if progress is not None:
            progress(min(len(split), done * parallel.processes()), len(split))
    return errors.over_processes().scores()


@dataclass(frozen=True)
class StereoScores:
    """What a network comes to on a split, beside answers that take none."""

    network: DisparityScores
    floors: DisparityFloors

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {**asdict(self.network), "floors": asdict(self.floors)}

    def lines(self) -> list[str]:
        """For people to read."""
        floors = self.floors
        rows = {"network": self.network.all, "network, visible": self.network.visible}
        rows |= {
            "SGBM": floors.sgbm.all,
            "SGBM, visible": floors.sgbm.visible,
            "SGBM, its matches": floors.sgbm_matched,
        }
        rows |= {f"always {floors.constant:.1f} px": floors.median.all}
        found = {name: errors for name, errors in rows.items() if errors is not None}
        width = max(map(len, found))
        head = f"{'':{width}}  " + "  ".join(f"{name:>8}" for name in HEADS.values())
        pairs, pixels = self.network.pairs, self.network.all.pixels
        visible = "; visible: what the right image sees as well" if self.network.visible is not None else ""
        note = (
            f"{pairs} pair{'s' * (pairs != 1)}, {pixels:,} pixels of known disparity{visible}. D1: off by more than "
            f"3 px and 5 %. The constant is the median of train, of {LOOKED_AT} pairs at most."
        )
        return [head, *(f"{name:{width}}  {_row(errors)}" for name, errors in found.items()), note]


def _row(errors: Errors) -> str:
    values = [getattr(errors, name) for name in HEADS]
    return "  ".join([f"{values[0]:8.3f}", *(f"{100 * value:6.2f} %" for value in values[1:])])


@dataclass(frozen=True)
class TrainedStereo:
    """A network with all that it takes to use it."""

    network: Supernet[Any]
    """In eval mode."""
    mean: tuple[float, ...]
    """Of red, green and blue in [0, 1], which is taken from images."""
    device: torch.device
    what: ClassVar[str] = "a network for disparity"

    def predict(self, left: NDArray[np.uint8], right: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Disparity in pixels, float32 [H, W], of the left one of a rectified pair of RGB images uint8 [H, W, 3].

        Raises:
            ValueError: if they are no such pair, or too small.
            FloatingPointError: for disparities that are not finite.
        """
        return estimate(self.network, [(left, right)], self.mean, self.device)[0]

    def evaluate(
        self,
        data: str | Path,
        split: str = "val",
        max_megapixels: float = MAX_MEGAPIXELS,
        *,
        scale: float | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> StereoScores:
        """Its errors on a split of pairs at full size, beside the median of train and block matching.

        Args:
            data: a folder, or a data set by name.
            split: of it.
            max_megapixels: larger files are refused before they are decoded.
            scale: pixels of disparity per unit of the files, where these do not say it.
            progress: called with (pairs scored, pairs in all).

        Raises:
            DataError: for data that cannot be used, or a split that is not there.
            FloatingPointError: for disparities that are not finite.
        """
        splits = open_stereo(data, scale=scale, max_megapixels=max_megapixels).splits
        if split not in splits:
            raise DataError(f"{data} has no {split} split; it has {', '.join(splits)}: give --split")
        found = split_scores(self.network, splits[split], self.mean, self.device, progress)
        return StereoScores(found, floors_of(known_of(splits["train"], LOOKED_AT), splits[split]))


def mean_of(split: StereoSplit, pairs: int) -> tuple[float, ...]:
    """Mean of red, green and blue, in [0, 1], of so many pairs, evenly spread."""
    samples = (split[index] for index in spread(len(split), pairs))
    found = np.mean([sample.left.mean((0, 1)) + sample.right.mean((0, 1)) for sample in samples], 0)
    return tuple(round(float(value), 6) for value in found / 2 / 255)


def stereo_answer(mean: Sequence[float]) -> dict[str, Any]:
    """What :func:`wholenet.deploy.model_folder.save_model` takes."""
    return {"mean": list(map(float, mean))}


def _read(values: Mapping[str, Any], where: str) -> tuple[float, ...]:
    check_keys(values, {"mean": numbers(CHANNELS, Share)}, where, only=True)
    return tuple(values["mean"])


STEREO: AnswerKind[tuple[float, ...]] = AnswerKind(
    model="network for disparity",
    read=_read,
    outputs=lambda _: OUTPUTS,
    channels=lambda _: CHANNELS,
    predictor=TrainedStereo,
    card=lambda mean: [
        f"- images: RGB / 255 minus {', '.join(f'{value:.3f}' for value in mean)}",
        "",
        "```sh",
        "wholenet predict THIS_FOLDER left/ right/ --out disparity/",
        "```",
    ],
)
