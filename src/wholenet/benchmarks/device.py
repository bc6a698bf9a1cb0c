"""A GPU: what it can do, how much of that a training step gets, and what the paper's schedule would take.

Achieved bandwidth and arithmetic are lower bounds: bytes are those of the feature maps that a step must read and write
at least (every convolution's input and output, once forward and twice backward), FLOPs those of the convolutions.
"""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from wholenet.benchmarks.measure import LOSS, channels_last, interleaved, made, random_batch, row
from wholenet.benchmarks.row import Row, Setting
from wholenet.ops.execution import MODES, Execution, execution
from wholenet.search.cost import flops
from wholenet.search.steps import Batch, architecture_gradient, make_optimizers, simultaneous_step, weight_step
from wholenet.spaces.supernet import Supernet

NEEDS_GPU = True
EPOCHS, IMAGES, SEARCH_SHARE, PAPER_HOURS = 600, 2975, 0.35, 132
"""The paper's schedule on Cityscapes, and its V100-hours."""
RATES: dict[str, Any] = {"lr": 1e-3, "momentum": 0.9, "weight_decay": 5e-4, "arch_lr": 3e-3, "arch_weight_decay": 1e-3}


def run(setting: Setting) -> Iterator[Row]:
    device = setting.device
    bandwidth, peak = copy_bandwidth(device), matmul_rate(device)
    print(f"copy {bandwidth / 1e9:.0f} GB/s, bfloat16 matmul {peak / 1e12:.0f} TFLOP/s")
    model = made(setting.size, device).placed(device)
    batch = channels_last(random_batch(setting.batch, setting.crop, device))
    optimizer, _ = make_optimizers(model, **RATES)
    work = flops(lambda: weight_step(model, batch, LOSS, optimizer))
    traffic = 3 * convolution_bytes(model, batch.images)
    print(f"a weight step: {work / 1e9:.0f} GFLOP, at least {traffic / 1e9:.1f} GB of feature maps in bfloat16")

    with torch.no_grad():
        weights = model.arch()
    ways = {"float32": Execution(model.net), "eager": Execution(model.net, torch.bfloat16)}
    seconds: dict[str, float] = {}
    for name in ["float32", *(mode for mode in MODES if mode != "compile")]:  # that takes minutes: compiled.py
        # One at a time, beside eager: captured graphs keep their memory.
        way = ways.get(name) or execution(model.net, name, torch.bfloat16, batch.images, weights, print)
        if way.fast is None and name not in ways:
            continue
        steps = {
            "eager": lambda: step(model, ways["eager"], batch, optimizer),
            name: lambda way=way: step(model, way, batch, optimizer),
        }
        taken = interleaved(steps, setting.rounds, device)
        size = f"{setting.size}, {setting.batch} x {setting.crop[0]}x{setting.crop[1]}"
        precision = name if name == "float32" else f"bfloat16 {name}"
        yield row(f"weight step of {size}, {precision}", "bfloat16 eager", taken["eager"], taken[name], None, device)
        seconds[name] = median(taken[name])
        crops = setting.batch / seconds[name]
        print(
            f"  {crops:.1f} crops/s; {traffic / seconds[name] / 1e9:.0f} GB/s "
            f"({traffic / seconds[name] / bandwidth:.0%} of copy); {work / seconds[name] / 1e12:.1f} TFLOP/s "
            f"({work / seconds[name] / peak:.1%} of matmul); "
            f"{EPOCHS * IMAGES / crops / 3600:.1f} h for the weight steps of the paper's schedule",
            flush=True,
        )
        del way, steps
        torch.cuda.empty_cache()

    model.execution = ways["eager"]
    both = interleaved(
        {
            "architecture": lambda: architecture_gradient(model, batch, LOSS),
            "simultaneous": lambda: simultaneous_step(model, batch, LOSS, optimizer),
            "weight": lambda: weight_step(model, batch, LOSS, optimizer),
        },
        setting.rounds,
        device,
    )
    for name in ("architecture", "simultaneous"):
        yield row(f"{name} step, bfloat16 eager", "weight step", both["weight"], both[name], None, device)
    best = min(seconds, key=lambda name: seconds[name])
    alone = EPOCHS * IMAGES * seconds[best] / setting.batch / 3600
    beside = EPOCHS * IMAGES * SEARCH_SHARE * median(both["architecture"]) / setting.batch / 3600
    print(
        f"the paper's full schedule ({EPOCHS} epochs x {IMAGES} images, {SEARCH_SHARE:.0%} with architecture steps): "
        f"{alone + beside:.1f} h alternating, {alone:.1f} h simultaneous, with weight steps in {best!r}; "
        f"the paper: {PAPER_HOURS} V100-hours"
    )


def step(model: Supernet, way: Execution, batch: Batch, optimizer: torch.optim.Optimizer) -> None:
    model.execution = way
    weight_step(model, batch, LOSS, optimizer)


def copy_bandwidth(device: torch.device) -> float:
    """Bytes per second, read and written, of a copy of 1 GiB."""
    source = torch.empty(2**30, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    taken = interleaved({"copy": lambda: target.copy_(source)}, 20, device)["copy"]
    return 2 * source.numel() / median(taken)


def matmul_rate(device: torch.device, side: int = 8192) -> float:
    """FLOPs per second of a bfloat16 product of square matrices."""
    a, b = (torch.randn(side, side, dtype=torch.bfloat16, device=device) for _ in range(2))
    taken = interleaved({"matmul": lambda: a @ b}, 20, device)["matmul"]
    return 2 * side**3 / median(taken)


def convolution_bytes(model: Supernet, images: torch.Tensor) -> int:
    """Bytes of all convolutions' inputs and outputs in one forward pass, two per number."""
    with torch.no_grad(), Convolutions() as found:
        model(images)
    return 2 * found.numbers


class Convolutions(TorchDispatchMode):
    """Counts the numbers that convolutions read and write, weights not included."""

    numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if func is torch.ops.aten.convolution.default:
            self.numbers += args[0].numel() + out.numel()
        return out
