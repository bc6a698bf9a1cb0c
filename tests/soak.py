"""Kill a real run again and again, go on with it each time, and compare it with one that was never stopped.

python tests/soak.py --kills 50        (make soak)

The processes are killed with SIGKILL: while they start, at a random moment of training, in the middle of writing a
checkpoint; or asked to stop with SIGTERM or Ctrl-C. Prints where and when each one ended; exits with status 1 if the
final weights, optimisers, random states, counters or records differ in a bit.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from forked import Forked
from wholenet.cli import main as command_line
from wholenet.search.folder import Folder
from wholenet.search.phases import phase_at
from wholenet.search.protocols import plan_phases
from wholenet.search.run_folder import RunFolder

IMAGES = 25
STEPS_PER_EPOCH = 10
"""Of the images that are not held out, two a step."""
WAYS = ("at a random moment", "writing a checkpoint", "starting", "SIGTERM", "Ctrl-C")
SHARES = (0.45, 0.3, 0.1, 0.1, 0.05)
TIMED = ("seconds", "steady_seconds", "data_seconds", "images_per_second")
POLL_S = 0.0005
Work = Callable[[list[str]], None]
STEPS = (1, 10)
"""Least and most steps that a process lives for."""


def make_images(root: Path) -> None:
    """A folder of images of discs, with masks."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:40, :40]
    for name in ("images", "masks"):
        (root / name).mkdir(parents=True)
    for i in range(IMAGES):
        y, x = rng.integers(10, 30, 2)
        disc = (rows - y) ** 2 + (columns - x) ** 2 < 80
        image = rng.integers(0, 60, (40, 40, 3)) + 150 * disc[..., None]
        Image.fromarray(image.astype(np.uint8)).save(root / "images" / f"{i:02}.png")
        Image.fromarray(disc.astype(np.uint8)).save(root / "masks" / f"{i:02}.png")
    (root / "classes.json").write_text(json.dumps(["ground", "disc"]))


def command(data: Path, out: Path, epochs: int) -> list[str]:
    """What starts the run."""
    options = (
        "--size nano --batch 2 --crop 32x32 --lr 0.02 --device cpu --threads 1 --checkpoint-minutes 0 --val-every 2"
    )
    searches = "--arch-update alternating --warmup-share 0.25 --search-share 0.35"
    words = [*options.split(), *searches.split(), "--epochs", str(epochs)]
    return ["fit", str(data), "--out", str(out), *words]


def fingerprint(run: Path) -> str:
    """Of all that a finished run holds but times and places."""
    hashed = hashlib.sha256()

    def add(value: Any) -> None:
        if isinstance(value, torch.Tensor):
            hashed.update(f"{value.dtype} {value.shape}".encode() + value.numpy().tobytes())
        elif isinstance(value, dict):
            for key in value:
                hashed.update(repr(key).encode())
                add(value[key])
        elif isinstance(value, list | tuple):
            for part in value:
                add(part)
        else:
            hashed.update(repr(value).encode())

    folder = Folder(run)
    saved = folder.read_checkpoint(torch.device("cpu"))
    assert saved is not None
    for records in (saved.pop("records"), folder.records()):
        add([{key: value for key, value in record.items() if key not in TIMED} for record in records])
    add(saved)
    hashed.update((run / "model" / "model.safetensors").read_bytes())
    return hashed.hexdigest()


@dataclass(frozen=True)
class Death:
    """How one process ended."""

    way: str
    phase: str
    epoch: int
    step: int
    partial: bool
    """Whether a checkpoint was half written."""


class Soak:
    """One run, killed as long as there are kills left, then let finish."""

    def __init__(self, data: Path, out: Path, epochs: int, seed: int, forked: Work | None) -> None:
        self.forked = forked
        self.first = command(data, out, epochs)
        self.out = out
        self.random = random.Random(seed)
        self.deaths: list[Death] = []
        self.warnings = 0

    def begun(self) -> bool:
        """Whether there is a run to go on with."""
        return (self.out / "config.yaml").exists()

    def start(self) -> subprocess.Popen[str] | Forked:
        """A process that begins the run, or goes on with it."""
        words = ["fit", "--resume", str(self.out)] if self.begun() else self.first
        if self.forked:
            return Forked(self.forked, words, log=self.out.with_suffix(".log"))
        words = [sys.executable, "-m", "wholenet", *words]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)

    def kill_once(self) -> bool:
        """Start a process and end it; False if it finished first."""
        way = self.random.choices(WAYS, SHARES)[0]
        partial = self.out / "checkpoint.partial"
        process = self.start()
        number = {"SIGTERM": signal.SIGTERM, "Ctrl-C": signal.SIGINT}.get(way, signal.SIGKILL)
        if way == "starting":
            time.sleep(self.random.uniform(0.0, 0.2 if self.forked else 4.0))
        else:
            self.wait_for_steps(process, self.random.randint(*STEPS))
            time.sleep(self.random.uniform(0.0, 0.05))
            while way == "writing a checkpoint" and process.poll() is None and not partial.exists():
                time.sleep(POLL_S)
        process.send_signal(number)
        text = process.communicate()[0]
        if process.returncode == 0:
            return False
        expected = -number if number == signal.SIGKILL else 128 + number
        if process.returncode != expected:
            raise SystemExit(f"killed {way}, the process ended with {process.returncode}, expected {expected}:\n{text}")
        if number != signal.SIGKILL and f"wholenet fit --resume {self.out}" not in text:
            raise SystemExit(f"asked to stop, the process did not say how to go on:\n{text}")
        self.deaths.append(self.look(way, partial.exists()))
        return True

    def wait_for_steps(self, process: subprocess.Popen[str] | Forked, count: int) -> None:
        """Until ``process`` has saved so many steps, or is over."""
        checkpoint = self.out / "checkpoint.pt"
        last = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
        while count and process.poll() is None:
            time.sleep(POLL_S)
            try:
                now = checkpoint.stat().st_mtime_ns
            except FileNotFoundError:  # not yet; or between the old one and the new
                continue
            count, last = count - (now != last), now

    def look(self, way: str, partial: bool) -> Death:
        """Where the run stands."""
        said: list[str] = []
        state = Folder(self.out).load_checkpoint(torch.device("cpu"), said.append) if self.begun() else None
        if said:  # a kill never damages a checkpoint
            raise SystemExit(said[0])
        if state is None:
            return Death(way, "before the first checkpoint", 0, 0, partial)
        phases = plan_phases(RunFolder(self.out).config)
        epoch = state["epoch"]
        phase = phase_at(phases, epoch).name if epoch < phases[-1].end else "finished"
        return Death(way, phase, epoch, state["tally"]["steps"], partial)

    def finish(self) -> None:
        """Let it go on to its end."""
        process = self.start()
        text = process.communicate()[0]
        if process.returncode:
            raise SystemExit(f"the run could not be finished:\n{text}")


def main(words: Sequence[str] | None = None, forked: Work | None = None) -> None:
    """See above.

    Args:
        words: of the command line; None for those of this process.
        forked: what the processes do with the words of a command, if they are forked (tests/forked.py) and start at
            once; None starts each anew.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args(words)
    epochs = max(3, -(-arguments.kills * 5 // STEPS_PER_EPOCH))  # a little more than they all live for
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        make_images(root / "data")
        print(f"a run of {epochs} epochs of {STEPS_PER_EPOCH} steps, never stopped", flush=True)
        command_line(command(root / "data", root / "whole", epochs))
        soak = Soak(root / "data", root / "killed", epochs, arguments.seed, forked)
        while len(soak.deaths) < arguments.kills and soak.kill_once():
            d = soak.deaths[-1]
            half = ", a checkpoint half written" if d.partial else ""
            print(
                f"{len(soak.deaths):3} {d.way:20} {d.phase:11} epoch {d.epoch + 1:3} step {d.step:2}{half}", flush=True
            )
        soak.finish()
        same = fingerprint(root / "whole") == fingerprint(root / "killed")
    print(f"\n{len(soak.deaths)} kills in {time.monotonic() - began:.0f} s")
    for name, counts in (
        ("way", Counter(d.way for d in soak.deaths)),
        ("phase", Counter(d.phase for d in soak.deaths)),
    ):
        print(f"by {name}: " + ", ".join(f"{what} {count}" for what, count in counts.most_common()))
    in_epoch = sum(0 < d.step < STEPS_PER_EPOCH for d in soak.deaths)
    print(f"in mid-epoch: {in_epoch}; with a checkpoint half written: {sum(d.partial for d in soak.deaths)}")
    if len(soak.deaths) < arguments.kills:
        raise SystemExit(f"the run finished after {len(soak.deaths)} of {arguments.kills} kills; give more epochs")
    if not same:
        raise SystemExit("DIFFERENT: the run that was killed did not end where the other one did")
    print("the same to the last bit: weights, both optimisers, random states, counters, records, model")


if __name__ == "__main__":
    main()
