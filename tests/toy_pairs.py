"""A small network for disparity, for tests of what a run on pairs does whatever it searches."""

import torch
import torch.nn.functional as F
from PIL import Image

import wholenet
from wholenet.checked import checked
from wholenet.data.stereo.disparity_files import write_disparity
from wholenet.data.stereo.planes import draw_planes
from wholenet.spaces.autodispnet.pair import Disparities
from wholenet.spaces.catalog import SPACES
from wholenet.spaces.space import Space

NAME = "toy-pairs"
SIZE, TRAIN, VAL = (24, 40), 8, 3
"""Height and width of pairs, and how many there are."""


class ToyNet(torch.nn.Module):
    """Looks at a quarter of the resolution, by one of two convolutions."""

    multiple, reach = 4, 8

    def __init__(self):
        super().__init__()
        self.masks = {"look": torch.ones(1, 2, dtype=torch.bool, device="cpu")}
        self.looks = torch.nn.ModuleList(torch.nn.Conv2d(6, 4, k, padding=k // 2) for k in (1, 3))
        self.answer = torch.nn.Conv2d(4, 1, 1)

    def forward(self, pair, weights):
        x = F.avg_pool2d(torch.cat([pair.left, pair.right], 1), 4)
        first, second = (w * look(x) for w, look in zip(weights["look"][0], self.looks, strict=True))
        found = self.answer((first + second).tanh()).square()
        full = F.interpolate(found, scale_factor=4.0, mode="bilinear")
        return Disparities(full[:, 0], (found[:, 0], F.avg_pool2d(found, 2, ceil_mode=True)[:, 0]))


@checked
class NoSettings:
    """Nothing shapes it."""


def register():
    wholenet.register(Space(name=NAME, settings=NoSettings, build=lambda *_: ToyNet(), tasks=("stereo",), multiple=4))


def forget():
    SPACES.remove(NAME)


def write_pairs(root, size=SIZE):
    """A folder of planes in two splits, named by numbers throughout."""
    for i in range(TRAIN + VAL):
        pair = draw_planes(0, i, *size, max_disparity=7.0)
        folder = root / ("train" if i < TRAIN else "val")
        for side in ("left", "right", "disparity"):
            (folder / side).mkdir(parents=True, exist_ok=True)
        for side in ("left", "right"):
            Image.fromarray(getattr(pair, side)).save(folder / side / f"{i:02}.png")
        write_disparity(folder / "disparity" / f"{i:02}.pfm", pair.disparity)
    return root
