"""Several processes: the same numbers as one, the same files, and an end when one is lost."""

import os
import signal
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from forked import Forked
from run_files import assert_equal, checkpoint, records, untimed
from two_processes import WAYS, command, in_two, launched, scored, trained, written
from wholenet import parallel
from wholenet.cli import main
from wholenet.commands.study import study
from wholenet.commands.sweep import sweep
from wholenet.data.sample import Sample
from wholenet.data.stream import Order
from wholenet.ops.norms import BatchNorm, _OverAll
from wholenet.search.config import FitConfig
from wholenet.search.draw import names_in_batch
from wholenet.search.folder import Folder

PATIENCE_S = 120


def start(work, argument, log):
    """Two processes; tests/two_processes.py says what of."""
    return Forked(work, argument, log=log, env=os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"})


def ended(process):
    text = process.communicate(timeout=PATIENCE_S)[0]
    return process.returncode, text


OPTIONS = "--size nano --epochs 3 --batch 2 --crop 32x32 --lr 0.02 --device cpu --threads 1"
SEARCHES = "--warmup-share 0.34 --search-share 0.33 --arch-update alternating"
FIT = [*OPTIONS.split(), *SEARCHES.split()]


@pytest.fixture(scope="module")
def done(discs, tmp_path_factory):
    """What two processes wrote; in ``whole`` there is a run that was never stopped."""
    out = tmp_path_factory.mktemp("two")
    (out / "config.yaml").touch()
    words = ["fit", str(discs), "--out", str(out / "whole"), *FIT]
    status, text = ended(start(partial(in_two, written), (out, words), out / "log"))
    assert status == 0, text
    return out


def test_two_processes_compute_what_one_does_in_all_three_phases_and_stop_after_the_same_step(done):
    def both(name):
        return [torch.load(done / f"{name}-{rank}.pt", weights_only=True) for rank in (0, 1)]

    for name in WAYS:
        expected = trained(name)
        first, second = both(name)
        for key, value in expected.items():
            torch.testing.assert_close(first[key], value, rtol=1e-9, atol=1e-9, msg=lambda m, key=key: f"{key}: {m}")
            assert torch.equal(first[key], second[key]), key
    first, second = both("scored")
    assert first == second == scored()
    assert first["images"] == 3
    assert first["found"].index("first") < first["found"].index("second") < first["found"].index("third")
    first, second = both("stopped")
    assert first == second
    assert (first["steps"], first["number"]) == (4, signal.SIGTERM)
    resumed = f"torchrun --nproc-per-node 2 -m wholenet fit --resume {done}"
    assert first["message"] == f"stopped in epoch 1, after step 4 of 9; saved. Continue with `{resumed}`"
    assert checkpoint(done)["tally"]["steps"] == 4


def test_the_normalisation_over_all_is_batchnorm_where_there_is_one_process(monkeypatch):
    monkeypatch.setattr(parallel, "gathered", lambda x: x[None])
    torch.manual_seed(0)
    x = torch.randn(3, 5, 4, 6, dtype=torch.float64, requires_grad=True)
    weight, bias = (torch.randn(5, dtype=torch.float64, requires_grad=True) for _ in range(2))
    upstream = torch.randn(3, 5, 4, 6, dtype=torch.float64)
    mean, variance = torch.zeros(5, dtype=torch.float64), torch.ones(5, dtype=torch.float64)
    expected = F.batch_norm(x, mean, variance, weight, bias, training=True, momentum=0.1)
    gradients = torch.autograd.grad(expected, (x, weight, bias), upstream)
    norm = BatchNorm(5).double()
    monkeypatch.setattr(parallel, "processes", lambda: 2)  # take that path; alone, the other's share is nothing
    monkeypatch.setattr(parallel, "summed", lambda x: x)
    out = norm.normalized(x, weight, bias)
    torch.testing.assert_close(out, expected)
    torch.testing.assert_close(torch.autograd.grad(out, (x, weight, bias), upstream), gradients)
    torch.testing.assert_close((norm.running_mean, norm.running_var), (mean, variance))
    for check in (torch.autograd.gradcheck, torch.autograd.gradgradcheck):
        assert check(lambda x, w, b: _OverAll.apply(x, w, b, 1e-5)[0], (x, weight, bias))


@pytest.mark.parametrize(("size", "batch", "shares"), [(7, 4, 2), (5, 6, 3), (3, 4, 4)])
def test_the_shares_of_a_batch_are_the_batch(size, batch, shares):
    order = {"seed": 3, "stream": "weights", "batches": 9}
    whole = Order(size, batch, **order)
    parts = [Order(size, batch, **order, shares=shares, share=share) for share in range(shares)]
    for k in range(9):
        assert [index for part in parts for index in part.indices(k)] == whole.indices(k)


def test_a_batch_that_diverged_is_named_with_the_images_of_all_processes(monkeypatch):
    images = [Sample(np.zeros((1, 1, 3), np.uint8), np.zeros((1, 1), np.uint8), f"image-{i}") for i in range(7)]
    one = names_in_batch(images, "weights", 2, FitConfig(data="x", out="y", batch=4))
    monkeypatch.setattr(parallel, "processes", lambda: 2)
    for rank in range(2):
        monkeypatch.setattr(parallel, "rank", lambda rank=rank: rank)
        assert names_in_batch(images, "weights", 2, FitConfig(data="x", out="y", batch=2)) == one
    assert len(set(one)) == 4


def test_one_process_is_alone():
    assert (parallel.processes(), parallel.rank(), parallel.is_first(), parallel.launcher()) == (1, 0, True, "")
    x = torch.ones(3)
    parallel.sum_each([x])
    assert torch.equal(parallel.summed(x), x)
    assert torch.equal(parallel.all_rows(parallel.own_rows(x)), x)
    assert parallel.largest(7) == 7
    with parallel.first_alone():
        pass


def after_a_checkpoint(process, run, count=3):
    """Wait until the run has written so many more; its processes' numbers, the first one's first."""
    seen, path = set(), run / "checkpoint.pt"
    before = path.stat().st_mtime_ns if path.exists() else 0
    while len(seen) < count:
        assert process.poll() is None, process.communicate()[0]
        with suppress(FileNotFoundError):  # not yet; or between the old one and the new
            seen.add(path.stat().st_mtime_ns)
        seen.discard(before)
        time.sleep(0.002)
    first = int((run / ".lock.holder").read_text().split()[1])
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [first, *(int(child) for child in children if int(child) != first)]


def test_a_run_of_two_processes_ends_when_one_is_lost_and_goes_on_to_the_bit(done, discs, tmp_path, capsys):
    run = tmp_path / "run"
    words = ["fit", str(discs), "--out", str(run), *FIT, "--checkpoint-minutes", "0"]
    process = start(launched, words, tmp_path / "log")
    other = after_a_checkpoint(process, run)[1]
    os.kill(other, signal.SIGKILL)
    status, text = ended(process)
    assert status not in (0, None)
    assert Folder(run).load_checkpoint(torch.device("cpu"), pytest.fail) is not None

    with pytest.raises(SystemExit) as alone:
        main(["fit", "--resume", str(run)])
    assert alone.value.code == 2
    assert "was begun with 2 processes and this is one of 1" in capsys.readouterr().err

    status, text = ended(start(partial(in_two, command), ["fit", "--resume", str(run)], tmp_path / "resumed"))
    assert status == 0, text
    assert text.count("validation mIoU") == 1
    assert_equal(checkpoint(run), checkpoint(done / "whole"))
    assert untimed(records(run)) == untimed(records(done / "whole"))


def test_what_starts_runs_of_its_own_is_no_part_of_several_processes(monkeypatch, tmp_path):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ValueError, match="sweeps run in one process each; start them without torchrun"):
        sweep("sweep.yaml")
    with pytest.raises(ValueError, match="studies run in one process each"):
        study("table-1", out=str(tmp_path / "study"))
    assert not (tmp_path / "study").exists()
