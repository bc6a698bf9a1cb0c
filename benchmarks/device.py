"""A GPU: what it can do, how much of that a training step gets, and what the paper's schedule would take.

Achieved bandwidth and arithmetic are lower bounds: bytes are those of the feature maps that a step must read and write
at least (every convolution's input and output, once forward and twice backward), FLOPs those of the convolutions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from measure import LOSS, channels_last, interleaved, made, random_batch, row
from torch import nn

from wholenet.bench import Row, Setting
from wholenet.ops.execution import MODES, Execution, execution
from wholenet.search.cost import flops
from wholenet.search.steps import architecture_gradient, make_optimizers, simultaneous_step, weight_step
from wholenet.spaces.supernet import Supernet

NEEDS_GPU = True
EPOCHS, IMAGES, SEARCH_SHARE, PAPER_HOURS = 600, 2975, 0.35, 132
"""The paper's schedule on Cityscapes, and its V100-hours."""
RATES = {"lr": 1e-3, "momentum": 0.9, "weight_decay": 5e-4, "arch_lr": 3e-3, "arch_weight_decay": 1e-3}


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

    steps: dict[str, Callable[[], object]] = {}
    with torch.no_grad():
        weights = model.arch()
    modes = [mode for mode in MODES if mode != "compile"]  # that takes minutes: benchmarks/compiled.py
    for name, precision, mode in [("float32", None, "eager"), *((m, torch.bfloat16, m) for m in modes)]:
        chosen: Execution = execution(model.net, mode, precision, batch.images, weights, print)
        if name == "float32" or mode == "eager" or chosen.fast is not None:
            steps[name] = lambda chosen=chosen: weight(model, chosen, batch, optimizer)
    taken = interleaved(steps, setting.rounds, device)
    for name in steps:
        what = f"weight step of {setting.size}, {setting.batch} x {setting.crop[0]}x{setting.crop[1]}, "
        what += name if name == "float32" else f"bfloat16 {name}"
        yield row(what, "float32", taken["float32"], taken[name], None, device)
        second = sorted(taken[name])[len(taken[name]) // 2]
        crops = setting.batch / second
        print(
            f"  {crops:.1f} crops/s; {traffic / second / 1e9:.0f} GB/s ({traffic / second / bandwidth:.0%} of copy); "
            f"{work / second / 1e12:.1f} TFLOP/s ({work / second / peak:.1%} of matmul); "
            f"{EPOCHS * IMAGES / crops / 3600:.1f} h for the weight steps of the paper's schedule"
        )

    best = min(steps, key=lambda name: sorted(taken[name])[len(taken[name]) // 2])
    second = sorted(taken[best])[len(taken[best]) // 2] / setting.batch
    model.execution = Execution(model.net, torch.bfloat16)
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
    extra = sorted(both["architecture"])[len(both["architecture"]) // 2] / setting.batch
    hours = EPOCHS * IMAGES * (second + SEARCH_SHARE * extra) / 3600
    print(
        f"the paper's full schedule ({EPOCHS} epochs x {IMAGES} images, {SEARCH_SHARE:.0%} with architecture steps): "
        f"{hours:.1f} h alternating, {EPOCHS * IMAGES * second / 3600:.1f} h simultaneous, with weight steps in "
        f"{best!r}; the paper: {PAPER_HOURS} V100-hours"
    )


def weight(model: Supernet, chosen: Execution, batch, optimizer) -> None:  # pyright: ignore
    model.execution = chosen
    weight_step(model, batch, LOSS, optimizer)


def copy_bandwidth(device: torch.device) -> float:
    """Bytes per second, read and written, of a copy of 1 GiB."""
    source = torch.empty(2**30, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    taken = interleaved({"copy": lambda: target.copy_(source)}, 20, device)["copy"]
    return 2 * source.numel() / sorted(taken)[len(taken) // 2]


def matmul_rate(device: torch.device, side: int = 8192) -> float:
    """FLOPs per second of a bfloat16 product of square matrices."""
    a, b = (torch.randn(side, side, dtype=torch.bfloat16, device=device) for _ in range(2))
    taken = interleaved({"matmul": lambda: a @ b}, 20, device)["matmul"]
    return 2 * side**3 / sorted(taken)[len(taken) // 2]


def convolution_bytes(model: Supernet, images: torch.Tensor) -> int:
    """Bytes of all convolutions' inputs and outputs in one forward pass, two per number."""
    numbers = 0

    def count(_: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        nonlocal numbers
        numbers += inputs[0].numel() + output.numel()

    hooks = [m.register_forward_hook(count) for m in model.modules() if isinstance(m, nn.Conv2d)]
    with torch.no_grad():
        model(images)
    for hook in hooks:
        hook.remove()
    return 2 * numbers
