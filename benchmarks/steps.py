"""What the exact fast forms gain: ratios of step times, interleaved in one process, each beside its equality check.

    python benchmarks/forms.py [--size tiny] [--batch 4] [--crop 176x240] [--rounds 9] [--device cpu] [--json FILE]

Three forms of the same network: "plain" (every candidate run, feature maps mixed, torch's bilinear resize), "plain,
channels_last" (the same in the other memory layout), and "fast" (as training runs it). A ratio above 1 means that fast
is faster. Absolute times are printed on a GPU alone: on a shared CPU they say more about the neighbours.
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

import wholenet.ops.resize
from wholenet.ops.forms import plain_form
from wholenet.search.config import parse_size
from wholenet.search.steps import Batch, architecture_gradient, make_optimizers, weight_step
from wholenet.spaces.supernet import Supernet, create_model
from wholenet.tasks.segmentation import SegmentationLoss

LOSS = SegmentationLoss()
CLASSES = 11


@contextmanager
def as_papers_write_it(model: Supernet) -> Iterator[None]:
    """Every layer in its plain form, and every resize by torch's own kernel."""
    limit = wholenet.ops.resize.MATMUL_LIMIT
    wholenet.ops.resize.MATMUL_LIMIT = 0
    try:
        with plain_form(model):
            yield
    finally:
        wholenet.ops.resize.MATMUL_LIMIT = limit


def gradients(model: Supernet, batch: Batch) -> list[Tensor]:
    """Output and the gradient of every parameter, weights and logits."""
    out = model(batch.images)
    return [out.detach(), *torch.autograd.grad(LOSS(out, batch.targets), list(model.parameters()))]


def equality(size: str, device: torch.device) -> float:
    """Largest difference in float64 between fast and plain, outputs and all gradients, relative to the largest entry of
    the tensor that it is in."""
    torch.manual_seed(0)
    model = create_model(f"grid-{size}", num_classes=CLASSES).double().placed(device).train()
    images = torch.randn(2, 3, 64, 96, dtype=torch.float64, device=device)
    batch = Batch(images, torch.randint(CLASSES, (2, 64, 96), device=device))
    fast = gradients(model, batch)
    with as_papers_write_it(model):
        plain = gradients(model, batch)
    return max(((f - p).abs().max() / p.abs().max().clamp_min(1e-9)).item() for f, p in zip(fast, plain, strict=True))


def steps(model: Supernet, batch: Batch, plain: bool) -> dict[str, Callable[[], None]]:
    """The steps to time, by name."""
    optimizer, _ = make_optimizers(model, lr=1e-3, momentum=0.9, weight_decay=0, arch_lr=1e-3, arch_weight_decay=0)

    def weight() -> None:
        weight_step(model, batch, LOSS, optimizer)

    def architecture() -> None:
        if plain:  # one backward pass through everything, as a search written without thought for it does
            LOSS(model(batch.images), batch.targets).backward()
            model.zero_grad()
        else:
            architecture_gradient(model, batch, LOSS)

    def bilevel() -> None:
        weight()
        architecture()

    def inference() -> None:
        model.eval()
        with torch.no_grad():
            model(batch.images)
        model.train()

    return {"weight step": weight, "architecture step": architecture, "bilevel step": bilevel, "inference": inference}


def timed(run: Callable[[], None], device: torch.device) -> float:
    """Seconds of one call."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    run()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", default="tiny")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--crop", default="176x240")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", default=None)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    device = torch.device(args.device)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    error = equality("nano", device)

    torch.manual_seed(0)
    shape = parse_size(args.crop)
    images = torch.randn(args.batch, 3, *shape, device=device)
    targets = torch.randint(CLASSES, (args.batch, *shape), device=device)
    contiguous = create_model(f"grid-{args.size}", num_classes=CLASSES).to(device).train()
    last = copy.deepcopy(contiguous).placed(device)
    fast = copy.deepcopy(last)
    channels_last = Batch(images.contiguous(memory_format=torch.channels_last), targets)
    forms = {
        "plain": (contiguous, steps(contiguous, Batch(images, targets), plain=True)),
        "plain, channels_last": (last, steps(last, channels_last, plain=True)),
        "fast": (fast, steps(fast, channels_last, plain=False)),
    }
    rows = []
    for name in forms["fast"][1]:
        seconds: dict[str, list[float]] = {form: [] for form in forms}
        for round_ in range(args.rounds + 1):
            for form, (model, run) in forms.items():
                if form == "fast":
                    took = timed(run[name], device)
                else:
                    with as_papers_write_it(model):
                        took = timed(run[name], device)
                if round_:  # the first round warms up
                    seconds[form].append(took)
        for baseline in ("plain", "plain, channels_last"):
            ratios = [b / f for b, f in zip(seconds[baseline], seconds["fast"], strict=True)]
            row = {
                "name": name,
                "baseline": baseline,
                "ratio_median": round(statistics.median(ratios), 3),
                "ratio_min": round(min(ratios), 3),
                "ratio_max": round(max(ratios), 3),
                "n": args.rounds,
                "max_abs_error": error,
            }
            if device.type == "cuda":
                row["ms"] = round(1e3 * statistics.median(seconds["fast"]), 2)
            rows.append(row)
            print(
                f"{name:18} against {baseline:21} {row['ratio_median']:5.2f}x  "
                f"({row['ratio_min']:.2f}-{row['ratio_max']:.2f}, n={args.rounds})"
                + (f"  {row['ms']} ms" if "ms" in row else ""),
                flush=True,
            )
    print(f"largest difference in float64, all outputs and gradients: {error:.1e}")
    if args.json:
        Path(args.json).write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
