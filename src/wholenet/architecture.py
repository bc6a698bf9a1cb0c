"""The relaxed architecture: logits that live outside the network, and the weights that they become.

A search space declares its choices as boolean masks, one per architecture parameter: ``alpha`` (which operation in a
cell), ``beta`` (which incoming edge of a cell). The last axis of a mask holds the options of one choice, called a
*group*; ``False`` marks an option that does not exist (an edge off the grid). The network is called with the weights,
``net(x, arch())``, and never sees a logit.

Letters: G groups (any number of leading axes), O options of a group (last axis).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from wholenet.discretization_aware import capped, sharpened
from wholenet.plugins import load_plugins
from wholenet.registry import Registry
from wholenet.sampled_weights import (
    Concrete,
    Draw,
    StraightThrough,
    Temperature,
    dirichlet,
    dirichlet_mean,
    most_likely,
    only_the_pair,
    path,
    path_of_two,
)

Weights = dict[str, Tensor]
"""Relaxed architecture as the network takes it: one tensor per architecture parameter, same shape as its logits."""

Relax = Callable[[Tensor, Tensor], Tensor]
"""(logits [..., O], mask [..., O]) -> weights [..., O]; 0 for options that do not exist."""

INIT_SCALE = 1e-3
"""Standard deviation of the initial logits (Auto-DeepLab, Sec. 5.1; the seed paper does not say)."""


def masked_softmax(logits: Tensor, mask: Tensor) -> Tensor:
    """Softmax over the options that exist (seed paper, Eq. 2); the others get weight 0 and gradient 0.

    >>> masked_softmax(torch.zeros(3), torch.tensor([True, True, False])).tolist()
    [0.5, 0.5, 0.0]
    """
    return logits.masked_fill(~mask, -torch.inf).softmax(-1)


def masked_sigmoid(logits: Tensor, mask: Tensor) -> Tensor:
    """A gate of its own for each option that exists, so that they do not compete (Fair DARTS).

    >>> masked_sigmoid(torch.zeros(3), torch.tensor([True, True, False])).tolist()
    [0.5, 0.5, 0.0]
    """
    return torch.where(mask, logits.sigmoid(), 0.0)


def as_given(logits: Tensor, mask: Tensor) -> Tensor:
    """No relaxation: the "logits" are the weights. What a discrete or pruned architecture is made of."""
    return logits * mask


@dataclass(frozen=True)
class Relaxation:
    """How logits become weights, by name."""

    name: str
    weights: Relax
    """What is recorded, penalised, decoded and, but for the next two, trained and scored with."""
    draw: Draw | None = None
    """The weights of one step of training; None: ``weights``."""
    scored: Relax | None = None
    """What the supernet is with once it is not searched any more: in evaluation, in fine-tuning, as a folded and an
    exported network; None: ``weights``."""
    moved: Callable[[Tensor, Tensor, Tensor], Tensor] | None = None
    """(logits before a step, after it, its gradient) -> the logits to go on with; None: those after it."""

    def __call__(self, logits: Tensor, mask: Tensor) -> Tensor:
        """The weights [..., O] of logits [..., O]."""
        return self.weights(logits, mask)


RELAXATIONS: Registry[Relaxation] = Registry(
    "relaxation",
    {
        kind.name: kind
        for kind in (
            Relaxation("softmax", masked_softmax),
            Relaxation("sigmoid", masked_sigmoid),
            Relaxation("sharpened", sharpened),
            Relaxation("gumbel", masked_softmax, StraightThrough(Temperature(10.0, 0.1, "linear")), scored=most_likely),
            Relaxation("concrete", masked_softmax, Concrete(Temperature(2.5, 0.026, "geometric")), scored=most_likely),
            Relaxation("dirichlet", dirichlet_mean, dirichlet),
            Relaxation("path", masked_softmax, path, scored=most_likely),
            Relaxation("two-paths", masked_softmax, path_of_two, scored=most_likely, moved=only_the_pair),
        )
    },
    load=load_plugins,
)
"""Those that a search can move."""
CAPPED = Relaxation("capped", capped)
"""That of edges alone, where a space says so."""
AS_GIVEN = "given"
"""Name of :func:`as_given` in a model's specification."""


def uniform_weights(masks: Mapping[str, Tensor]) -> Weights:
    """All options of a group equally strong; an empty group has none.

    >>> uniform_weights({"beta": torch.tensor([[True, True, False]])})["beta"].tolist()
    [[0.5, 0.5, 0.0]]
    """
    return {name: mask / mask.sum(-1, keepdim=True).clamp_min(1) for name, mask in masks.items()}


def group_entropy(weights: Tensor, mask: Tensor) -> Tensor:
    """Shannon entropy H = -sum p ln p of each group, in nats: ``weights`` [..., O] -> [...].

    The seed paper prints its penalty (Eq. 4) without the minus sign, which would reward entropy; this is H >= 0, the
    quantity that a penalty has to *add* to a minimised loss. Options that do not exist count as 0 ln 0 = 0, with zero
    gradient rather than NaN.
    """
    p = torch.where(mask, weights, 1.0)
    return -(p * p.clamp_min(torch.finfo(p.dtype).tiny).log()).sum(-1)


def normalized_entropy(weights: Tensor, mask: Tensor) -> Tensor:
    """Mean over groups of H / ln n, n the number of options that exist: 1 is uniform, 0 is one-hot. A scalar.

    Groups of one option have nothing to choose and are left out.
    """
    options = mask.sum(-1)
    chosen = options > 1
    if not chosen.any():
        return weights.new_zeros(())
    return (group_entropy(weights, mask)[chosen] / options[chosen].log()).mean()


def mean_entry_entropy(weights: Tensor, mask: Tensor, slots: int | None = None) -> Tensor:
    """The seed paper's "average entropy" (Table 1): the mean of -p ln p over *every entry* of the stored tensor.

    Entries that hold no option count as zeros, so the value depends on the padding: with ``slots`` it is computed as if
    the last axis had that many entries (the paper's edges fit 7). Use :func:`normalized_entropy` to compare networks.
    """
    groups = mask[..., 0].numel()
    return group_entropy(weights, mask).sum() / (groups * (slots or mask.shape[-1]))


def one_hot(choice: Tensor, mask: Tensor) -> Tensor:
    """Discrete weights: ``choice`` [...] holds the index of the chosen option of each group.

    Raises:
        ValueError: if a chosen option does not exist.
    """
    weights = nn.functional.one_hot(choice, mask.shape[-1]).to(torch.get_default_dtype())
    if (weights.bool() & ~mask).any():
        raise ValueError("one_hot was given a choice that the mask rules out; choose among the options that exist")
    return weights


def rescaled(weights: Tensor, total: Tensor | float = 1.0) -> Tensor:
    """``weights`` [..., O] with each group scaled to sum to ``total`` (a number or [..., 1]); zeros stay zeros.

    >>> rescaled(torch.tensor([[0.25, 0.25, 0.0], [0.0, 0.0, 0.0]])).tolist()
    [[0.5, 0.5, 0.0], [0.0, 0.0, 0.0]]
    """
    found = weights.sum(-1, keepdim=True)
    return torch.where(found > 0, weights * total / found.clamp_min(torch.finfo(weights.dtype).tiny), 0.0)


def weakest_first(weights: Tensor, mask: Tensor) -> Tensor:
    """Flat indices of the options that exist, from the weakest to the strongest; ties in the order of the table.

    One ranking over all groups, as the seed paper drops edges (Sec. 4.2), which says itself that weights of different
    cells are not quite comparable: an even choice among two is 1/2 each and among three 1/3.
    """
    flat = torch.where(mask, weights, torch.inf).flatten()
    return flat.argsort(stable=True)[: int(mask.sum())]


def drop_weakest(weights: Tensor, mask: Tensor, share: float, *, renormalize: bool = False) -> Tensor:
    """``weights`` with the weakest ``share`` in [0, 1] of the existing options set to zero.

    Args:
        weights: [..., O].
        mask: boolean [..., O].
        share: of the options that exist; rounded to the nearest whole number of them.
        renormalize: scale what is left of each group to the group's former sum. A group that lost everything stays
            zero either way.

    Raises:
        ValueError: for a share outside [0, 1].

    >>> drop_weakest(torch.tensor([[0.1, 0.4, 0.5]]), torch.ones(1, 3, dtype=torch.bool), 1 / 3).tolist()
    [[0.0, 0.4000000059604645, 0.5]]
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share={share}: expected a share of the options in [0, 1]")
    dropped = weakest_first(weights, mask)[: round(share * int(mask.sum()))]
    left = weights.flatten().index_fill(0, dropped, 0.0).view_as(weights)
    return rescaled(left, weights.sum(-1, keepdim=True)) if renormalize else left


def _stays(before: Tensor, _after: Tensor, _gradient: Tensor) -> Tensor:
    return before


class Architecture(nn.Module):
    """Architecture parameters (logits) and the relaxation that turns them into weights.

    The logits are ordinary parameters, so they are in the ``state_dict``; the masks are not (the space has them).

    Args:
        masks: name -> boolean mask [..., O] of the options that exist; each group needs at least one, or ``empty``.
        relaxation: logits -> weights.
        others: relaxations of single architecture parameters, where it is not ``relaxation``.
        generator: source of the initial logits, ``INIT_SCALE`` x N(0, 1).
        empty: let groups be without an option: their weights are zero, as in what is left of a supernet.
    """

    def __init__(
        self,
        masks: Mapping[str, Tensor],
        relaxation: Relax = masked_softmax,
        others: Mapping[str, Relax] | None = None,
        generator: torch.Generator | None = None,
        *,
        empty: bool = False,
    ) -> None:
        super().__init__()
        self.relaxation = relaxation
        self.others = dict(others or {})
        self.draws = True
        """Whether :meth:`drawn` draws: a search, and the warm-up before it."""
        self.progress = 0.0
        """Share of the search that is over."""
        self.waiting: frozenset[str] = frozenset()
        """Parameters that steps leave as they are, though the optimiser's momenta follow."""
        self.gates: Callable[[], Mapping[str, Tensor]] = dict
        """Factors on weights in weight steps, by name, whose derivatives somebody asks for; none by default."""
        self.costs: Mapping[str, Tensor] | None = None
        """What each option costs, [G..., O] by name, on the logits' device; None where nobody asked."""
        self.logits = nn.ParameterDict()
        for name, mask in masks.items():
            if not empty and not mask.any(-1).all():
                raise ValueError(f"{name}: a group without any option cannot be normalised; drop it from the table")
            self.logits[name] = nn.Parameter(INIT_SCALE * torch.randn(mask.shape, generator=generator))
            self.register_buffer(f"mask_{name}", mask.clone(), persistent=False)
        self._find_empty()

    @classmethod
    def fixed(cls, weights: Weights, masks: Mapping[str, Tensor]) -> Architecture:
        """An architecture that is just these weights, frozen: discrete, pruned, or set by hand.

        Here alone a group may be empty (a cell that is not there): all its weights are zero.
        """
        arch = cls({}, as_given)
        for name, mask in masks.items():
            there = mask.to(weights[name].device, copy=True)
            arch.logits[name] = nn.Parameter(weights[name].detach() * there, requires_grad=False)
            arch.register_buffer(f"mask_{name}", there, persistent=False)
        return arch

    def mask(self, name: str) -> Tensor:
        """Which options of ``name`` exist: boolean [..., O]."""
        return self.get_buffer(f"mask_{name}")

    def forward(self) -> Weights:
        """The weights, one tensor per architecture parameter; differentiable in the logits unless frozen."""
        return self._each(lambda relax: relax)

    def drawn(self) -> Weights:
        """The weights of one step of training: drawn anew in each call where the relaxation draws, else those of
        :meth:`scored`."""
        if not self.draws:
            return self.scored()

        def draw(relax: Relax) -> Relax:
            if not isinstance(relax, Relaxation) or relax.draw is None:
                return relax
            own = relax.draw
            return lambda logits, mask: own(logits, mask, self.progress)

        return self._each(draw)

    def gated(self, weights: Weights) -> Weights:
        """``weights`` times the factors that there are."""
        return {**weights, **{name: weights[name] * gate for name, gate in self.gates().items()}}

    def scored(self) -> Weights:
        """The weights of the supernet as a network of its own: in evaluation, fine-tuned, folded, exported."""
        return self._each(lambda relax: (isinstance(relax, Relaxation) and relax.scored) or relax)

    @torch.no_grad()
    def moving(self, step: Callable[[], object], gradient: Sequence[Tensor]) -> None:
        """Let an optimiser take a ``step`` along the ``gradient``, one per parameter, and correct the logits as the
        relaxation does; those that are ``waiting`` stay."""
        correct = [_stays if name in self.waiting else self._correction(name) for name in self.logits]
        before = [
            None if own is None else logits.clone() for own, logits in zip(correct, self.logits.values(), strict=True)
        ]
        step()
        for own, old, logits, g in zip(correct, before, self.logits.values(), gradient, strict=True):
            if own is not None and old is not None:
                logits.copy_(own(old, logits, g))

    def _correction(self, name: str) -> Callable[[Tensor, Tensor, Tensor], Tensor] | None:
        kind = self.others.get(name, self.relaxation)
        return kind.moved if isinstance(kind, Relaxation) else None

    def _each(self, form: Callable[[Relax], Relax]) -> Weights:
        """The logits of each name by a ``form`` of its relaxation."""
        return {
            name: self._relaxed(name, form(self.others.get(name, self.relaxation)), logits)
            for name, logits in self.logits.items()
        }

    def _relaxed(self, name: str, relax: Relax, logits: Tensor) -> Tensor:
        mask = self.mask(name)
        if name not in self._empty:
            return relax(logits, mask)
        # A softmax over nothing is NaN, and so is its slope.
        return relax(logits, mask | ~mask.any(-1, keepdim=True)) * mask

    def keep(self, masks: Mapping[str, Tensor]) -> None:
        """From here on only the options of ``masks`` exist, a part of those that did; logits stay as they are. Groups
        may lose all of theirs."""
        for name, mask in masks.items():
            self.mask(name).copy_(mask)
        self._find_empty()

    def _find_empty(self) -> None:
        """Note which parameters have a group without options, once: asking a mask would wait for a GPU."""
        self._empty = {name for name in self.logits if not self.mask(name).any(-1).all()}

    @property
    def moves(self) -> bool:
        """Whether gradients reach the logits now."""
        return any(logits.requires_grad for logits in self.logits.values())

    def freeze(self) -> None:
        """No gradient reaches the logits from here on (warm-up and fine-tune phases)."""
        self.requires_grad_(False)

    def unfreeze(self) -> None:
        """Let gradients reach the logits (search phase)."""
        self.requires_grad_(True)

    @torch.no_grad()
    def set_uniform(self) -> None:
        """All options of a group equally strong, and none of them drawn: the control that every claim about search
        needs.

        Raises:
            ValueError: if the weights are fixed; make new ones with :func:`uniform_weights` instead.
        """
        if self.relaxation is as_given:
            raise ValueError(
                "these architecture weights are fixed; use Architecture.fixed(uniform_weights(masks), masks)"
            )
        for logits in self.logits.values():
            logits.zero_()
        self.draws = False

    def entropies(self) -> dict[str, Tensor]:
        """Sum of the group entropies in nats per architecture parameter: what Eq. 4 sums; differentiable."""
        return {name: group_entropy(w, self.mask(name)).sum() for name, w in self().items()}

    @torch.no_grad()
    def normalized_entropies(self) -> dict[str, float]:
        """:func:`normalized_entropy` per architecture parameter."""
        return {name: normalized_entropy(w, self.mask(name)).item() for name, w in self().items()}
