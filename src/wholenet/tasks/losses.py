"""Losses of images with masks beside cross-entropy: soft Dice, focal, a sum of two, and distillation; and those of
masks alone by name.

Each is in float32 at least, whatever the logits come in, leaves out pixels labelled ``IGNORE``, and is 0 (not NaN)
where a batch has no others. Where several processes train, each one gets a part: the parts sum to the loss over all
their pixels, and the gradients of the parts to its gradient.

Letters: B images, K classes, H x W pixels.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from wholenet import parallel
from wholenet.data.sample import IGNORE
from wholenet.tasks.segmentation import SegmentationLoss, balanced_weights

MaskLoss = Callable[[Tensor, Tensor], Tensor]
"""(logits [B, K, H, W], target int64 [B, H, W]) -> scalar."""


class DiceLoss:
    """1 - mean over the classes present of 2 sum(p t) / (sum(p) + sum(t)), the sums over all pixels of the batch that
    count; p is the softmax probability of the class, t is 1 where the pixel is of it, else 0. A class is present if a
    pixel of the batch is of it.

    Milletari et al., "V-Net" (2016), Sec. 3, who have squares in the denominator and a foreground alone; without
    squares as nnU-Net has it (Isensee et al., 2021).
    """

    def __call__(self, logits: Tensor, target: Tensor) -> Tensor:
        """``logits`` [B, K, H, W], ``target`` int64 [B, H, W] -> scalar."""
        counted = (target != IGNORE)[:, None]
        probabilities = _wide(logits).softmax(1).where(counted, 0)
        truth = target[:, None] == torch.arange(logits.shape[1], device=target.device)[:, None, None]
        truth = truth & counted
        hits = parallel.summed_in_graph(probabilities.where(truth, 0).sum((0, 2, 3)))
        predicted = parallel.summed_in_graph(probabilities.sum((0, 2, 3)))
        true = parallel.summed(truth.sum((0, 2, 3)))
        present = true > 0
        dice = 2 * hits / (predicted + true).where(present, 1)
        whole = (1 - dice).where(present, 0).sum() / present.sum().clamp(min=1)
        return whole / parallel.processes()  # all have it, and a sum's gradient comes from each of them


class FocalLoss:
    """Mean over the pixels that count of -(1 - p)^gamma log p, where p is the softmax probability of the pixel's class:
    Lin et al., "Focal Loss for Dense Object Detection" (2017), Eq. 4, for many classes. Gamma 0 is cross-entropy.

    Args:
        gamma: how much less a pixel counts that is right already; 2 in the paper.
        class_weights: optional [K]; a pixel counts as much as its class (alpha of Eq. 5), in a weighted mean as that of
            :class:`SegmentationLoss`.
    """

    def __init__(self, gamma: float = 2.0, class_weights: Tensor | None = None) -> None:
        self.gamma = gamma
        self.class_weights = class_weights

    def __call__(self, logits: Tensor, target: Tensor) -> Tensor:
        """``logits`` [B, K, H, W], ``target`` int64 [B, H, W] -> scalar."""
        counted = target != IGNORE
        classes = target.where(counted, 0)
        log_p = _wide(logits).log_softmax(1).gather(1, classes[:, None])[:, 0]
        # A power below 1 has no finite slope at 0, where p has been rounded to 1.
        wrong = (-log_p.expm1()).clamp(min=torch.finfo(log_p.dtype).tiny)
        weights = torch.ones_like(log_p) if self.class_weights is None else self.class_weights[classes]
        weights = weights.where(counted, 0)
        mass = parallel.summed(weights.sum())
        return -(weights * wrong**self.gamma * log_p).sum() / mass.where(mass > 0, 1)


class SumOfLosses:
    """The plain sum of several losses."""

    def __init__(self, *losses: MaskLoss) -> None:
        self.losses = losses

    def __call__(self, logits: Tensor, target: Tensor) -> Tensor:
        """``logits`` [B, K, H, W], ``target`` int64 [B, H, W] -> scalar."""
        return torch.stack([loss(logits, target) for loss in self.losses]).sum()


class DistilledLoss:
    """``1 - share`` times a loss, and ``share`` times the mean over the pixels that count of the Kullback-Leibler
    divergence of the network's class probabilities from a teacher's, sum_k q (log q - log p).

    Hinton et al., "Distilling the Knowledge in a Neural Network" (2015), Sec. 2, at temperature 1; pixel by pixel as
    Liu et al., "Structured Knowledge Distillation for Semantic Segmentation" (2019), Eq. 1.

    Args:
        loss: against the masks.
        teacher: its logits [B, K, H, W] on the same images, constants.
        share: in [0, 1].
    """

    def __init__(self, loss: MaskLoss, teacher: Tensor, share: float) -> None:
        self.loss = loss
        self.teacher = teacher
        self.share = share

    def __call__(self, logits: Tensor, target: Tensor) -> Tensor:
        """``logits`` [B, K, H, W], ``target`` int64 [B, H, W] -> scalar."""
        counted = target != IGNORE
        log_q, log_p = _wide(self.teacher).log_softmax(1), _wide(logits).log_softmax(1)
        apart = (log_q.exp() * (log_q - log_p)).sum(1).where(counted, 0).sum()
        mass = parallel.summed(counted.sum())
        return (1 - self.share) * self.loss(logits, target) + self.share * apart / mass.where(mass > 0, 1)


def mask_loss(name: str, class_pixels: tuple[int, ...], balance: float, gamma: float, device: torch.device) -> MaskLoss:
    """The loss that ``FitConfig.loss`` calls so, for outputs on ``device``.

    Args:
        name: cross-entropy, dice, focal, or cross-entropy+dice.
        class_pixels: pixels of each class in the training data.
        balance: exponent of the class weights (:func:`balanced_weights`), of cross-entropy and of focal; 0 is none.
        gamma: of focal.
        device: of the class weights.

    Raises:
        KeyError: for another name.
    """
    weights = balanced_weights(class_pixels, balance)
    weights = None if weights is None else weights.to(device)
    made: dict[str, Callable[[], MaskLoss]] = {
        "cross-entropy": lambda: SegmentationLoss(weights),
        "dice": DiceLoss,
        "focal": lambda: FocalLoss(gamma, weights),
        "cross-entropy+dice": lambda: SumOfLosses(SegmentationLoss(weights), DiceLoss()),
    }
    return made[name]()


def loss_in_words(name: str, balance: float, gamma: float) -> str:
    """What :func:`mask_loss` makes of these.

    >>> loss_in_words("focal", 0.5, 2.0), loss_in_words("dice", 0.0, 2.0)
    ('focal (gamma 2), classes weighted by frequency**-0.5', 'dice')
    """
    weighted = f", classes weighted by frequency**-{balance:g}" if balance else ""
    return f"{name} (gamma {gamma:g}){weighted}" if name == "focal" else name + weighted


def _wide(logits: Tensor) -> Tensor:
    return logits.float() if logits.dtype in (torch.bfloat16, torch.float16) else logits
