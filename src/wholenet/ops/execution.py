"""How a network's training steps are run: in which precision, and operation by operation or as one program.

Evaluation and architecture steps of their own always run operation by operation; evaluation in float32.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import cast

import torch
from torch import Tensor, nn

from wholenet.ops.fused import on_kernels

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
        self._some = next(net.parameters())

    def __call__(self, x: Tensor, weights: Mapping[str, Tensor]) -> Tensor:
        """Images and architecture weights -> logits."""
        run = self.net
        if self.fast is not None and run.training and self._some.requires_grad:
            run = self.fast
        if self.precision is None:
            return run(x, weights)
        # Without the cache: a captured graph would keep the cast weights of the step it was captured in.
        with torch.autocast(self._some.device.type, self.precision, cache_enabled=self.fast is None):
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
    # The stream, because a capture that fails does not give it back.
    with on, torch.cuda.stream(torch.cuda.current_stream(x.device)):
        module = _Positional(net, run, names).train(net.training)
        graph = torch.cuda.make_graphed_callables(module, sample, allow_unused_input=True)
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
    plain = tried = Execution(net, precision)
    if mode == "eager":
        return plain
    with _buffers_unmoved(net):
        try:
            tried = Execution(net, precision, _fast(net, mode, x, weights, precision))
            problem = _difference(tried, mode, x, weights)
            # Steps that ask for the weights' gradients too are other programs to a compiler.
            _gradient(tried, x, {name: w.detach().requires_grad_() for name, w in weights.items()})
        except Exception as error:  # whatever a compiler or a driver may raise: training goes on without it
            with suppress(RuntimeError):  # a capture that failed may leave the allocator in no state for it
                torch.cuda.empty_cache()
            reason = (str(error) or type(error).__name__).strip().splitlines()[0]
            problem = f"does not work here ({reason})"
        if problem:
            say(f"--execution {mode} {problem}; training goes on with --execution eager")
            return plain
        ratio = _seconds(plain, x, weights) / _seconds(tried, x, weights)
    say(f"--execution {mode}: forward and backward pass at {ratio:.2f} times the eager speed")
    return tried


def _difference(tried: Execution, mode: str, x: Tensor, weights: Mapping[str, Tensor]) -> str | None:
    """What is wrong with the gradients of ``tried``; None if nothing is.

    Our kernels are held to the plain network in float32 on a small part of the images, parameter by parameter; a graph
    to the same operations run one by one; a compiled network, which rounds elsewhere, to the plain one within twice of
    what a change of the input's last digit does.
    """
    net, precision = tried.net, tried.precision
    if mode.startswith("kernels"):
        part = x[:2, :, :128, :128].float()
        exact, ours = (_gradients(Execution(net, None, fast), part, weights) for fast in (None, on_kernels(net)))
        whole = torch.stack([g.norm() for g in exact]).norm()
        worst = max(((o - e).norm() / (e.norm() + 1e-3 * whole)).item() for o, e in zip(ours, exact, strict=True))
        if not worst <= TOLERANCE:
            return f"gives a parameter a gradient that differs by {100 * worst:.2g} % from the plain one"
    if mode == "kernels":
        return None
    reference = Execution(net, precision, on_kernels(net) if mode.startswith("kernels") else None)
    again = x + torch.finfo(precision or x.dtype).eps * x.flip(-1) if mode == "compile" else x
    expected, other = _gradient(reference, x, weights), _gradient(reference, again, weights)
    found = _gradient(tried, x, weights)
    rounding, difference = (((g - expected).norm() / expected.norm()).item() for g in (other, found))
    if not difference <= TOLERANCE + 2 * rounding:
        return f"gives gradients that differ by {100 * difference:.2g} % from the plain ones"
    return None


def _fast(net: nn.Module, mode: str, x: Tensor, weights: Mapping[str, Tensor], precision: torch.dtype | None) -> Run:
    if mode == "compile":
        return compiled(net)
    run: Run = net
    if mode.startswith("kernels"):
        if not x.is_cuda:
            raise ValueError(f"the fused kernels need a GPU; the input is on {x.device.type}")
        run = on_kernels(net)
    return graphed(net, run, x, weights, precision) if mode.endswith("graph") else run


def _gradients(run: Execution, x: Tensor, weights: Mapping[str, Tensor]) -> list[Tensor]:
    """Gradient of the mean square of the output in every parameter of the network; zeros for those of no effect."""
    value = run(x, weights).float().square().mean()
    return list(torch.autograd.grad(value, list(run.net.parameters()), materialize_grads=True))


def _gradient(run: Execution, x: Tensor, weights: Mapping[str, Tensor]) -> Tensor:
    """:func:`_gradients` as one vector."""
    return torch.cat([g.flatten().float() for g in _gradients(run, x, weights)])


def _seconds(run: Execution, x: Tensor, weights: Mapping[str, Tensor], times: int = 3) -> float:
    return sum(seconds(lambda: _gradient(run, x, weights), x.device) for _ in range(times))


def seconds(run: Callable[[], object], device: torch.device) -> float:
    """Time of one call, until ``device`` has done what it was told to."""
    _synchronize(device)
    start = time.perf_counter()
    run()
    _synchronize(device)
    return time.perf_counter() - start


@contextmanager
def tuned(device: torch.device) -> Iterator[None]:
    """Within the block, cuDNN picks its algorithms by trying them: it pays where all inputs have one shape."""
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = device.type == "cuda" or before
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


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
