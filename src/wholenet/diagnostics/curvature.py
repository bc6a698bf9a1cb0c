"""Curvature in the architecture: the ends of the spectrum of the loss's Hessian in the logits.

RobustDARTS (Sec. 4) watches the largest eigenvalue of the validation loss: where it grows during the search, the
discrete network fails. Largest means the highest, not the one of largest magnitude, which may be the lowest: both ends
are reported. Products with the Hessian come from backward passes through the gradient; differences of gradients are of
no use here (kinks of ReLU and pooling on a small batch), and are not offered.

Letters: n logits that count, over all architecture parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from wholenet import parallel
from wholenet.architecture import as_given
from wholenet.checked import BelowOne, Decay, checked_numbers
from wholenet.ops.recompute import nothing_recomputed
from wholenet.ops.statistics import still_statistics
from wholenet.search.steps import Batch, Loss, constant
from wholenet.spaces.supernet import Supernet

Product = Callable[[Tensor], Tensor]
"""Vector [n] -> Hessian times vector [n]."""


@dataclass(frozen=True)
class Drawn:
    """Which batch: a function of these, and of the run's settings for what it draws."""

    images: str
    """Which of the run's images: "val", "architecture" (what the architecture learns from)."""
    stream: str
    number: int
    """In its stream, from 0."""
    seed: int
    """Of the run."""

    def __str__(self) -> str:
        return f"batch {self.number} of the stream {self.stream!r}, {self.images} images, seed {self.seed}"


@dataclass(frozen=True)
class Curvature:
    """Both ends of the Hessian's spectrum, and how they were found."""

    highest: float
    """What RobustDARTS calls the dominant eigenvalue."""
    lowest: float
    logits: int
    """n."""
    products: int
    """Products with the Hessian that it took; n of them for all rows."""
    tolerance: float
    """Bound on the error of both ends, relative to the larger magnitude; 0 for all rows."""
    batchnorm: str
    """"batch": normalised by the batch, as RobustDARTS; "running": by the running statistics."""
    images: int
    """In the batch."""
    batch: Drawn | None = None
    """Which one; None where the caller did not say."""
    loss: str | None = None
    """Whose Hessian it is; None where the caller did not say."""


@checked_numbers
def curvature(
    model: Supernet,
    batch: Batch,
    loss: Loss,
    *,
    batchnorm: Literal["batch", "running"] = "batch",
    method: Literal["lanczos", "rows"] = "lanczos",
    tolerance: BelowOne = 1e-3,
    weight_decay: Decay = 0.0,
    drawn: Drawn | None = None,
    said: str | None = None,
) -> Curvature:
    """Curvature of ``loss`` on ``batch`` in the logits of ``model``, whose weights and statistics stay as they are.

    Args:
        model: a supernet, in any mode.
        batch: one batch, validation data if one wants RobustDARTS' number; of several processes, each one's share.
        loss: (output, target) -> scalar; of several processes, each one's part of it.
        batchnorm: see :class:`Curvature`.
        method: Lanczos iteration, or the whole matrix by rows.
        tolerance: see :class:`Curvature`; of the Lanczos iteration.
        weight_decay: of the logits; RobustDARTS' code counts theirs (1e-3) in, which adds it to every eigenvalue.
        drawn: which batch it is, for the record.
        said: which loss it is, likewise.

    Raises:
        ValueError: if the architecture is fixed, or there is no such way or tolerance.
        FloatingPointError: if the loss or the Hessian is not finite.
    """
    if batchnorm not in ("batch", "running") or method not in ("lanczos", "rows"):
        raise ValueError(f"batchnorm={batchnorm!r}, method={method!r}: expected batch or running, lanczos or rows")
    if model.arch.relaxation is as_given:
        raise ValueError("the architecture of this model is fixed: it has no logits to take a curvature in")
    training, moving = model.training, [p.requires_grad for p in model.arch.parameters()]
    model.train(batchnorm == "batch")
    model.arch.unfreeze()
    try:
        with constant(model.net), still_statistics(model.net), nothing_recomputed(model.net):
            value = loss(model.net(batch.images, model.arch()), batch.targets)
            counts = [model.arch.mask(name) for name in model.arch.logits]
            product, n = hessian_product(value, list(model.arch.parameters()), counts)
            if method == "rows":
                values = torch.linalg.eigvalsh(hessian(product, n, value))
                lowest, highest, products, bound = values[0].item(), values[-1].item(), n, 0.0
            else:
                lowest, highest, products, bound = lanczos(product, n, value, tolerance)
    finally:
        model.train(training)
        for parameter, was in zip(model.arch.parameters(), moving, strict=True):
            parameter.requires_grad_(was)
    images = parallel.processes() * len(batch.targets)
    ends = highest + weight_decay, lowest + weight_decay
    return Curvature(*ends, n, products, bound, batchnorm, images, drawn, said)


def hessian_product(value: Tensor, parameters: Sequence[Tensor], counts: Sequence[Tensor]) -> tuple[Product, int]:
    """Products with the Hessian of the scalar ``value`` in the entries of ``parameters`` where ``counts`` is true; of
    several processes, of the sum of theirs.

    Returns:
        The product, and n. It raises a FloatingPointError if it is not finite.
    """
    # A parameter that the value does not depend on has rows of zeros.
    gradients = torch.autograd.grad(value, list(parameters), create_graph=True, materialize_grads=True)
    gradient = torch.cat([g[there] for g, there in zip(gradients, counts, strict=True)])

    def product(vector: Tensor) -> Tensor:
        along = (gradient * vector).sum()
        rows = torch.autograd.grad(along, list(parameters), retain_graph=True, materialize_grads=True)
        found = parallel.summed(torch.cat([row[there] for row, there in zip(rows, counts, strict=True)]))
        if not found.isfinite().all():
            raise FloatingPointError(
                f"the curvature in the architecture is not finite, where the loss is {value.item()}"
            )
        return found

    return product, len(gradient)


def hessian(product: Product, n: int, like: Tensor) -> Tensor:
    """The whole matrix [n, n], a product per row, of the type and on the device of ``like``; made symmetric."""
    eye = torch.eye(n, dtype=like.dtype, device=like.device)
    rows = torch.stack([product(row) for row in eye])
    return (rows + rows.T) / 2


def lanczos(product: Product, n: int, like: Tensor, tolerance: float) -> tuple[float, float, int, float]:
    """Both ends of the spectrum of a symmetric matrix [n, n], by Lanczos iteration with full reorthogonalisation.

    Args:
        product: with the matrix.
        n: its size; as many products give its whole spectrum.
        like: a tensor of the type and on the device of the vectors.
        tolerance: stop when the residuals of both ends, which bound their distance from the nearest eigenvalue, are
            below this share of the larger magnitude.

    Returns:
        Lowest, highest, products made, and the bound reached.
    """
    generator = torch.Generator().manual_seed(0)
    basis: list[Tensor] = []
    diagonal: list[float] = []
    beside: list[float] = []
    vector = _fresh(n, basis, like, generator)
    while True:
        basis.append(vector)
        image = product(vector)
        diagonal.append((vector @ image).item())
        rest = _orthogonal(image, basis)
        length = rest.norm().item()
        small = torch.diag(torch.tensor(diagonal, dtype=torch.float64))
        for i, entry in enumerate(beside):
            small[i, i + 1] = small[i + 1, i] = entry
        values, vectors = torch.linalg.eigh(small)
        magnitude = max(abs(values[0].item()), abs(values[-1].item()), torch.finfo(like.dtype).tiny)
        bound = length * max(abs(vectors[-1, 0].item()), abs(vectors[-1, -1].item())) / magnitude
        ended = length <= 10 * torch.finfo(like.dtype).eps * magnitude
        if len(basis) == n or (bound <= tolerance and len(basis) > 1 and not ended):
            return values[0].item(), values[-1].item(), len(basis), 0.0 if len(basis) == n else bound
        # A space that the matrix maps to itself has no way out; go on in another direction.
        beside.append(0.0 if ended else length)
        vector = _fresh(n, basis, like, generator) if ended else rest / length


def _fresh(n: int, basis: list[Tensor], like: Tensor, generator: torch.Generator) -> Tensor:
    """A random unit vector orthogonal to ``basis``."""
    vector = _orthogonal(torch.randn(n, generator=generator).to(like.device, like.dtype), basis)
    return vector / vector.norm()


def _orthogonal(vector: Tensor, basis: list[Tensor]) -> Tensor:
    if not basis:
        return vector
    known = torch.stack(basis)
    for _ in range(2):  # once leaves what rounding left
        vector = vector - known.T @ (known @ vector)
    return vector
