"""A finished run, opened to be cut: its network and data, scores, and a short fine-tuning of what the cut left."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch import Tensor

from wholenet.data.splits import evenly_spaced
from wholenet.deploy.folds import fold
from wholenet.deploy.model_folder import load_model
from wholenet.diagnostics.batchnorm import recalibration_batches
from wholenet.diagnostics.discretization import CurvePoint
from wholenet.files import read_json, write_whole
from wholenet.jobs.masks import prepare
from wholenet.machine import choose_device, use_threads
from wholenet.search.draw import draw, steps_per_epoch
from wholenet.search.run_folder import RunFolder
from wholenet.search.schedule import Schedule
from wholenet.search.steps import OPTIMIZERS, Batch, set_rate, weight_step
from wholenet.spaces.supernet import Supernet
from wholenet.tasks.losses import mask_loss
from wholenet.tasks.segmentation import evaluate


class Cutting:
    """The network of a finished run and what it takes to cut it.

    Args:
        path: the run folder.
        val_images: score on so many validation images, spread evenly; None is all.
    """

    def __init__(self, path: Path, val_images: int | None = None) -> None:
        self.config = RunFolder(path).fit_config
        use_threads(self.config.threads)
        self.device = choose_device(self.config.device)
        self.data = prepare(self.config, Console(quiet=True))
        self.model = load_model(path, self.device, task="segmentation").network
        self._val = evenly_spaced(self.data.val, val_images)

    def score(self, model: Supernet) -> float:
        """Validation mIoU, in [0, 1]."""
        # Folded: the same answers, and what the cut has left dead is not computed.
        return evaluate(
            fold(model), self._val, len(self.data.source.classes), self.device, pixels=self.data.pixels
        ).miou

    def batches(self, images: int) -> list[Tensor]:
        """So many training images [B, C, h, w] to recalculate statistics on; the same ones each time."""
        return list(recalibration_batches(self.data.weights, self.config, images, self.data.pixels))

    def fine_tuned(self, cut: Supernet, share: float, rate: float) -> Supernet:
        """A copy of ``cut``, its weights trained for ``share`` of the run's epochs (one step at least), from ``rate``
        times its learning rate down to zero.
        """
        config, data = self.config, self.data
        model = copy.deepcopy(cut).train()
        steps = max(1, round(share * config.epochs * steps_per_epoch(len(data.weights), config.batch)))
        pixels = data.train_stats.class_pixels
        loss = mask_loss(config.loss, pixels, config.class_balance, config.focal_gamma, self.device)
        optimizer = OPTIMIZERS[config.optimizer](
            model.net.parameters(), config.lr, config.momentum, config.weight_decay
        )
        drawn = draw(data.weights, "after the cut", 0, steps, data.crop, config, pixels=data.pixels)
        schedule = Schedule(epochs=1, steps_per_epoch=steps, lr=rate * config.lr, decay=config.lr_schedule)
        for step, (images, targets) in enumerate(drawn):
            set_rate(optimizer, schedule.now(0, step).lr)
            images = images.to(self.device, memory_format=torch.channels_last)
            weight_step(model, Batch(images, targets.to(self.device)), loss, optimizer)
        return model.eval()


def cut_once(
    paths: Sequence[Path], cut: Callable[[Path], list[CurvePoint]], settings: Mapping[str, Any], jobs: int
) -> dict[Path, list[CurvePoint]]:
    """What ``cut`` finds of each run, ``jobs`` runs at a time; kept in the run's folder, so that no run is cut twice in
    the same way.

    Args:
        paths: run folders.
        cut: a function that another process can import, or a ``partial`` of one.
        settings: plain values; all that decides what ``cut`` does to a run.
        jobs: processes; with one it happens in this one.
    """
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:10]
    kept = f"cut-{digest}.json"
    waiting = [path for path in paths if not (path / kept).exists()]
    keep = partial(_cut_and_keep, cut=cut, kept=kept)
    if jobs == 1:
        for path in waiting:
            keep(path)
    elif waiting:
        with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as processes:
            list(processes.map(keep, waiting))
    return {path: [CurvePoint(**point) for point in read_json(path / kept)] for path in paths}


def _cut_and_keep(path: Path, cut: Callable[[Path], list[CurvePoint]], kept: str) -> None:
    write_whole(path / kept, json.dumps([asdict(point) for point in cut(path)]))
