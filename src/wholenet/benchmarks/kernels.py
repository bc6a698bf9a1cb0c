"""Our Triton kernels against torch's, on the feature maps of one size of the supernet, in bfloat16."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wholenet.benchmarks.measure import interleaved, largest_difference, row
from wholenet.benchmarks.row import Row, Setting
from wholenet.ops import fused
from wholenet.spaces.sizes import grid_size

NEEDS_GPU = True
KERNEL = 5


def run(setting: Setting) -> Iterator[Row]:
    size = grid_size(setting.size)
    for level in range(4):
        channels = size.filters * 2**level // size.sampling * size.expansion
        height, width = (side // 4 // 2**level for side in setting.crop)
        x = random(setting.batch, channels, height, width, device=setting.device)
        for kind in (Depthwise(x), NormActivation(x)):
            yield kind.row(f"{kind.name}, {channels} channels, {height}x{width}", setting)


class Operation(ABC):
    """An operation on ``x`` in torch's form, in ours, and exactly."""

    name: str

    def __init__(self, x: Tensor) -> None:
        self.x = x
        self.inputs = [x]

    @abstractmethod
    def __call__(self, ours: bool) -> Tensor: ...

    @abstractmethod
    def exact(self) -> Tensor: ...

    def row(self, name: str, setting: Setting) -> Row:
        gradient = random(*self.x.shape, device=setting.device)

        def backward(out: Tensor) -> list[Tensor]:
            return [out.detach(), *torch.autograd.grad(out, self.inputs, gradient.to(out.dtype))]

        exact = [t.double() for t in backward(self.exact())]
        error = largest_difference([t.double() for t in backward(self(ours=True))], exact)
        runs = {"torch": lambda: backward(self(ours=False)), "ours": lambda: backward(self(ours=True))}
        taken = interleaved(runs, max(20, setting.rounds), setting.device)
        return row(f"{name}, both passes", "torch", taken["torch"], taken["ours"], error, setting.device)


class Depthwise(Operation):
    name = f"depthwise {KERNEL}x{KERNEL}"

    def __init__(self, x: Tensor) -> None:
        super().__init__(x)
        self.weight = random(x.shape[1], 1, KERNEL, KERNEL, device=x.device).detach().float().requires_grad_()
        self.inputs = [x, self.weight]

    def __call__(self, ours: bool) -> Tensor:
        # Torch's convolution wants its weights in the type of its input, as autocast would give them.
        return fused.depthwise_convolution(self.x, self.weight if ours else self.weight.to(self.x.dtype), ours)

    def exact(self) -> Tensor:
        return F.conv2d(self.x.double(), self.weight.double(), padding=KERNEL // 2, groups=self.x.shape[1])


class NormActivation(Operation):
    name = "norm and hardswish"

    def __init__(self, x: Tensor) -> None:
        super().__init__(x)
        self.norm, self.activation = nn.BatchNorm2d(x.shape[1]).to(x.device).train(), nn.Hardswish()

    def __call__(self, ours: bool) -> Tensor:
        return fused.norm_activation(self.x, self.norm, self.activation, ours)

    def exact(self) -> Tensor:
        return F.hardswish(F.batch_norm(self.x.double(), None, None, training=True, eps=self.norm.eps))


def random(*shape: int, device: torch.device) -> Tensor:
    x = torch.randn(*shape, device=device, dtype=torch.bfloat16)
    return x.contiguous(memory_format=torch.channels_last).requires_grad_()
