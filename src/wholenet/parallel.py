"""Several processes that train one network, as ``torchrun`` starts them: who this one is, and how they agree.

Every process holds the whole network and a part of each batch. With one process, all of this does nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

PATIENCE = timedelta(hours=1)
"""How long a process waits for another: the first one may have a large data set to check."""


def start() -> None:
    """Join the processes that ``torchrun`` started with this one; do nothing where it did not start any."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not dist.is_initialized():
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() and dist.is_nccl_available() else "gloo"
        dist.init_process_group(backend, timeout=PATIENCE)


def stop() -> None:
    """Leave them."""
    if dist.is_initialized():
        dist.destroy_process_group()


def processes() -> int:
    """How many train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """The number of this one, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def is_first() -> bool:
    """Whether this is the process that writes files and speaks."""
    return rank() == 0


def local_rank() -> int:
    """The number of this one on its machine: that of its GPU."""
    return int(os.environ.get("LOCAL_RANK", "0")) if processes() > 1 else 0


def launcher() -> str:
    """What a command has to begin with, to be run by as many processes."""
    if processes() == 1:
        return ""
    here = int(os.environ.get("LOCAL_WORLD_SIZE", str(processes())))
    nodes = f"--nnodes {processes() // here} " if processes() > here else ""
    return f"torchrun {nodes}--nproc-per-node {here} -m "


def summed(x: Tensor) -> Tensor:
    """The sum of ``x`` over all processes; no gradient."""
    x = x.detach()
    if processes() == 1:
        return x
    total = x.clone()
    with _somebody_may_be_gone():
        dist.all_reduce(total)
    return total


def summed_in_graph(x: Tensor) -> Tensor:
    """:func:`summed`, through which gradients go, of any order: of ``x`` that of the sum of what all processes make of
    the result."""
    return x if processes() == 1 else _Summed.apply(x)


class _Summed(torch.autograd.Function):
    @staticmethod
    def forward(_ctx: Any, x: Tensor) -> Tensor:
        return summed(x)

    @staticmethod
    def backward(_ctx: Any, gradient: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        return summed_in_graph(gradient)


def summed_each(tensors: Iterable[Tensor]) -> list[Tensor]:
    """The sum of each tensor over all processes, without a gradient; with one process, the tensors as they are."""
    if processes() == 1:
        return list(tensors)
    totals = [x.detach().clone(memory_format=torch.contiguous_format) for x in tensors]
    sum_each(totals)
    return totals


def sum_each(tensors: Iterable[Tensor]) -> None:
    """Put in the place of each tensor its sum over all processes; they are sent as one."""
    if processes() == 1:
        return
    parts = list(tensors)
    if not parts:
        return
    flat = torch.cat([part.reshape(-1) for part in parts])
    with _somebody_may_be_gone():
        dist.all_reduce(flat)
    for part, piece in zip(parts, flat.split([part.numel() for part in parts]), strict=True):
        part.copy_(piece.view(part.shape))


def gathered(x: Tensor) -> Tensor:
    """``x`` of every process, stacked in the order of their numbers: [processes, ...]."""
    out = [torch.empty_like(x) for _ in range(processes())]
    with _somebody_may_be_gone():
        dist.all_gather(out, x)
    return torch.stack(out)


def own_rows(x: Tensor) -> Tensor:
    """Of the rows of ``x`` [B, ...], which all processes share equally, those of this one: [B / processes, ...]."""
    own = len(x) // processes()
    return x[rank() * own : (rank() + 1) * own]


def all_rows(x: Tensor) -> Tensor:
    """The rows of all processes, each of which brings equally many: the inverse of :func:`own_rows`; no gradient."""
    x = x.detach()
    return x if processes() == 1 else gathered(x.contiguous()).flatten(0, 1)


def largest(number: int) -> int:
    """The largest of the numbers that the processes bring."""
    if processes() == 1:
        return number
    found = torch.tensor(number)
    with _somebody_may_be_gone():
        dist.all_reduce(found, op=dist.ReduceOp.MAX)
    return int(found)


def as_the_first(values: Mapping[str, float]) -> dict[str, float]:
    """The first process's ``values``, which all bring under the same names: what they differ by in the last bits must
    not let one stop and another go on."""
    if processes() == 1:
        return dict(values)
    found = torch.tensor(list(values.values()), dtype=torch.float64)
    with _somebody_may_be_gone():
        dist.broadcast(found, 0)
    return dict(zip(values, found.tolist(), strict=True))


def meet() -> None:
    """Wait until every process is here."""
    largest(0)


@contextmanager
def first_alone() -> Iterator[None]:
    """The first process runs the block, then all others: what it has written, they find."""
    if not is_first():
        meet()
    yield
    if is_first():
        meet()


def refuse_stragglers() -> None:
    """Make sure that the processes that ``torchrun`` started train together.

    Raises:
        ValueError: if they have not joined.
    """
    if not dist.is_initialized() and (others := int(os.environ.get("WORLD_SIZE", "1"))) > 1:
        raise ValueError(
            f"torchrun started {others} processes, and this one has not joined them: start it without torchrun, or in "
            "Python call wholenet.parallel.start() first"
        )


def refuse_other_number(begun_with: int, run: object) -> None:
    """Make sure that the ``run`` that is continued was ``begun_with`` as many processes as there are.

    Raises:
        ValueError: if it was not.
    """
    if begun_with != processes():
        raise ValueError(
            f"{run} was begun with {begun_with} processes and this is one of {processes()}: the batches "
            "would be others. Continue it with as many (torchrun --nproc-per-node), or start a new run"
        )


def refuse_several(what: str) -> None:
    """Make sure that this is the only process.

    Raises:
        ValueError: if it is not; ``what`` names that which runs in one.
    """
    if processes() > 1 or int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ValueError(f"{what} run in one process each; start them without torchrun, several with `wholenet sweep`")


class ProcessLost(ConnectionError):
    """Another process of the run has ended, or cannot be reached."""


@contextmanager
def saying_how_to_go_on(command: str, checkpoint: Path) -> Iterator[None]:
    """Within the block, where another process is lost, say by which ``command`` the run goes on, and from which
    ``checkpoint`` if there is one.

    Raises:
        ProcessLost: with that.
    """
    try:
        yield
    except ProcessLost as lost:
        saved = "The last checkpoint is whole:"
        if not checkpoint.exists():  # then a new run gives its folder back
            saved = "Nothing was saved yet: start the run again or, if its folder is still there,"
        raise ProcessLost(f"{lost}. {saved} continue with `{command}`") from lost


@contextmanager
def _somebody_may_be_gone() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # DistBackendError is one
        raise ProcessLost(
            f"process {rank()} of {processes()} cannot reach the others any more, one of them has ended: "
            f"{str(error).splitlines()[0]}. See the first error above"
        ) from error
