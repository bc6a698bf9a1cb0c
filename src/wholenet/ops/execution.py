"""How a network's training steps are run: in which precision, and operation by operation or as one program.

Evaluation and architecture steps of their own always run operation by operation; evaluation in float32.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import cast

import torch
from torch import Tensor, nn

from wholenet.ops.fused import check_kernels, on_kernels

Run = Callable[[Tensor, Mapping[str, Tensor]], Tensor]
"""(images, architecture weights) -> logits."""

MODES = ("eager", "compile", "graph", "kernels", "kernels+graph")
TOLERANCE = 0.01
"""Largest difference from the eager gradient, relative to its norm, that a trial lets pass, beyond what rounding makes.
"""


def precision_for(name: str, device: torch.device) -> torch.dtype | None:
    """The type that convolutions run in under autocast, or None for float32 throughout.

    Args:
        name: "float32", "bfloat16", or "auto": bfloat16 on a GPU that has it in hardware.
        device: where.
    """
    if name == "auto":
        hardware = device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0)
        return torch.bfloat16 if hardware else None
    return torch.bfloat16 if name == "bfloat16" else None


class Execution:
    """Calls a network as its weight steps do.

    Args:
        net: the network, called with (images, architecture weights).
        precision: see :func:`precision_for`. Architecture weights, BatchNorm statistics and the loss stay in float32.
        fast: another way to compute ``net`` with gradients of all its parameters, in training mode.
    """

    def __init__(self, net: nn.Module, precision: torch.dtype | None = None, fast: Run | None = None) -> None:
        self.net = net
        self.precision = precision
        self.fast = fast

    def __call__(self, x: Tensor, weights: Mapping[str, Tensor]) -> Tensor:
        """Images and architecture weights -> logits."""
        run = self.net
        if self.fast is not None and run.training and all(parameter.requires_grad for parameter in run.parameters()):
            run = self.fast
        if self.precision is None:
            return run(x, weights)
        # Without the cache: a captured graph would keep the cast weights of the step it was captured in.
        with torch.autocast(x.device.type, self.precision, cache_enabled=self.fast is None):
            return run(x, weights)


def compiled(net: nn.Module, backend: str = "inductor") -> Run:
    """``net`` through `torch.compile`, for one size of input."""
    return torch.compile(net, backend=backend, dynamic=False)


def graphed(net: nn.Module, run: Run, x: Tensor, weights: Mapping[str, Tensor], precision: torch.dtype | None) -> Run:
    """``run``'s forward and backward pass through ``net`` captured as CUDA graphs, for inputs like these.

    Raises:
        ValueError: if the input is not on a GPU.
    """
    if not x.is_cuda:
        raise ValueError(f"CUDA graphs need a GPU; the input is on {x.device.type}")
    names = tuple(weights)
    # As if the weights' gradients were asked for: one graph serves steps that want them and steps that do not.
    sample = (x.detach().clone(), *(w.detach().clone().requires_grad_() for w in weights.values()))
    on = torch.autocast(x.device.type, precision or torch.bfloat16, enabled=precision is not None, cache_enabled=False)
    with on:
        graph = torch.cuda.make_graphed_callables(_Positional(net, run, names).train(net.training), sample)
    return lambda image, values: cast(Tensor, graph(image, *(values[name] for name in names)))


class _Positional(nn.Module):
    """``run``, a way to call ``net``, called with its architecture weights one by one."""

    def __init__(self, net: nn.Module, run: Run, names: tuple[str, ...]) -> None:
        super().__init__()
        self.net = net  # for its parameters
        self.run = run
        self.names = names

    def forward(self, x: Tensor, *values: Tensor) -> Tensor:
        return self.run(x, dict(zip(self.names, values, strict=True)))


def execution(
    net: nn.Module,
    mode: str,
    precision: torch.dtype | None,
    x: Tensor,
    weights: Mapping[str, Tensor],
    say: Callable[[str], None],
) -> Execution:
    """The way to run ``net`` that ``mode`` names, tried on an input before it is trusted; "eager" if that fails, or if
    its gradients are not the eager ones.

    Args:
        net: in training mode.
        mode: one of ``MODES``.
        precision: see :func:`precision_for`.
        x: images of the size that training has, on the device.
        weights: architecture weights.
        say: told in one sentence what was found.
    """
    plain = Execution(net, precision)
    if mode == "eager":
        return plain
    with _buffers_unmoved(net):
        try:
            fast = _fast(net, mode, x, weights, precision)
            tried = Execution(net, precision, fast)
            expected, found = _gradient(plain, x, weights), _gradient(tried, x, weights)
            # How much rounding matters here: the same pass on an input that differs in its last digit.
            nudged = _gradient(plain, x + torch.finfo(precision or x.dtype).eps * x.flip(-1), weights)
        except Exception as error:  # whatever a compiler or a driver may raise: training goes on without it
            torch.cuda.empty_cache()
            reason = (str(error) or type(error).__name__).strip().splitlines()[0]
            say(f"--execution {mode} does not work here ({reason}); training goes on with --execution eager")
            return plain
        rounding, difference = (((g - expected).norm() / expected.norm()).item() for g in (nudged, found))
        if not difference <= TOLERANCE + 2 * rounding:
            say(
                f"--execution {mode} gives gradients that differ by {100 * difference:.2g} % from the plain ones; "
                "training goes on with --execution eager"
            )
            return plain
        ratio = _seconds(plain, x, weights) / _seconds(tried, x, weights)
    say(f"--execution {mode}: forward and backward pass at {ratio:.2f} times the eager speed")
    return tried


def _fast(net: nn.Module, mode: str, x: Tensor, weights: Mapping[str, Tensor], precision: torch.dtype | None) -> Run:
    if mode == "compile":
        return compiled(net)
    run: Run = net
    if mode.startswith("kernels"):
        if not x.is_cuda:
            raise ValueError(f"the fused kernels need a GPU; the input is on {x.device.type}")
        check_kernels()
        run = on_kernels(net)
    return graphed(net, run, x, weights, precision) if mode.endswith("graph") else run


def _gradient(run: Execution, x: Tensor, weights: Mapping[str, Tensor]) -> Tensor:
    """Gradient of the mean square of the output in all parameters of the network, as one vector."""
    value = run(x, weights).float().square().mean()
    return torch.cat([g.flatten().float() for g in torch.autograd.grad(value, list(run.net.parameters()))])


def _seconds(run: Execution, x: Tensor, weights: Mapping[str, Tensor], times: int = 3) -> float:
    _synchronize(x)
    start = time.perf_counter()
    for _ in range(times):
        _gradient(run, x, weights)
    _synchronize(x)
    return time.perf_counter() - start


def _synchronize(x: Tensor) -> None:
    if x.is_cuda:
        torch.cuda.synchronize(x.device)


@contextmanager
def _buffers_unmoved(net: nn.Module) -> Iterator[None]:
    """Put BatchNorm's running statistics back where they were, in place: a captured graph knows their addresses."""
    before = [(buffer, buffer.clone()) for buffer in net.buffers()]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, value in before:
                buffer.copy_(value)
