"""A trained network laid flat for inference: BatchNorm, alpha and beta folded into convolutions, kernels merged.

The same function, up to the rounding of the last digits. What provably changes nothing goes: edges of weight zero, and
the cells and stems that then nobody reads. A pretrained encoder stays as it is: what is in it is its library's affair.

Letters: B images, C channels, H x W pixels; K operations, L layers; level i = 0..3 stands for stride 4 * 2**i.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_conv_bn_weights

from wholenet.ops.bottleneck import BareCell, MixtureCell, SeparateCell
from wholenet.ops.forms import total
from wholenet.ops.layers import ConvNorm, PartialChannels, lay_out
from wholenet.ops.mixture import OperationMixture
from wholenet.ops.norms import BatchNorm
from wholenet.ops.resize import restride
from wholenet.ops.zoom import seen_at
from wholenet.spaces.grid import Decoder, Grid, Stem, Transition, level_features, stem_features
from wholenet.spaces.links import LEVELS, Edge
from wholenet.spaces.reach import FINEST
from wholenet.spaces.supernet import Supernet

Flat = TypeVar("Flat", bound=nn.Module)
IN_ORDER = (nn.Sequential.forward, ConvNorm.forward)
"""Forward passes of sequences that run one layer after the other."""
NORMS = (BatchNorm, nn.BatchNorm2d)


def fold_grid(model: Supernet) -> Folded:
    """:func:`wholenet.deploy.folds.fold` of a grid, dense or not, or of a discrete network of one."""
    return laid_flat(model, Folded)


def laid_flat(model: Supernet, kind: Callable[[Any, Tensor, Tensor, float], Flat]) -> Flat:
    """The network of ``model`` as the ``kind`` of module that is made of a copy of it in float64, of alpha, of beta and
    of the zoom at which it sees images.

    Raises:
        ValueError: if the model is in training mode.
    """
    if model.training:
        raise ValueError("fold takes a model in eval mode, whose BatchNorms are fixed: call model.eval() first")
    some = next(model.net.parameters())
    with torch.no_grad():
        weights = {name: w.double() for name, w in model.arch.scored().items()}
        folded = kind(copy.deepcopy(model.net).double(), weights["alpha"], weights["beta"], model.spec.zoom)
    folded.to(some.device, some.dtype).requires_grad_(False)
    lay_out(folded)
    return folded.eval()


def without_norms(model: Supernet) -> Supernet:
    """A copy of a discrete network of any space, for inference: BatchNorms that stand behind a convolution are in it.

    Folded in float64, then cast to the model's own type. ``model`` is not changed.
    """
    some = next(model.net.parameters())
    with torch.no_grad():
        copied = copy.deepcopy(model).eval().double()
        flat(copied.net)
    return copied.to(some.dtype).requires_grad_(False)


class Folded(nn.Module):
    """What :func:`fold_grid` makes.

    Args:
        net: the trained network, in float64; parts of it are taken over.
        alpha: float64 [L, 4, K].
        beta: float64 [L, 4, 3].
        zoom: at which it sees images.
    """

    def __init__(self, net: Grid, alpha: Tensor, beta: Tensor, zoom: float = 1.0) -> None:
        super().__init__()
        self.zoom = zoom
        self.edges = live_edges(net, beta)
        self.reach, self.tied = net.reach.layers, net.tied
        self.channels = net.decoder.channels
        read = {e.source for row in self.edges for edges in row.values() for e in edges if e.back > e.layer}
        self.encoder, self.skips = net.encoder, net.skips
        self.stems = nn.ModuleDict({str(i): _stem(net.stems[str(i)]) for i in sorted(read)})
        self.transitions = nn.ModuleDict()
        self.cells = nn.ModuleDict()
        self.shared = {edge.key: net.transition_of(edge) for row in self.edges for e in row.values() for edge in e}
        """Where one P serves several edges, its name by the edge's; else the edge's own."""
        self.scales = {key: 1.0 for key in self.shared}
        for layer, row in enumerate(self.edges):
            for level, edges in row.items():
                self.transitions.update(_shared(net, edges) if net.tied else _transitions(net, edges, beta))
                if net.tied:
                    self.scales |= {e.key: beta[e.layer, e.target, e.slot].item() for e in edges}
                partial = cast(PartialChannels, net.cells[f"{layer}_{level}"])
                cell = FoldedCell(partial.cell, alpha[layer, level, net.offered[layer][level]])
                self.cells[f"{layer}_{level}"] = PartialChannels(cell, self.channels[level], partial.groups)
        self.decoder = FoldedDecoder(net.decoder) if isinstance(net.decoder, Decoder) else flat(net.decoder)

    def forward(self, x: Tensor) -> Tensor:
        """Images [B, C, H, W] -> logits [B, classes, H, W]."""
        return seen_at(self.zoom, self._logits, x)

    def _logits(self, x: Tensor) -> Tensor:
        maps = list[Tensor]()
        if self.encoder is None:
            features, sizes = stem_features(self.stems, x)
        else:
            maps = self.encoder(x)
            features, sizes = level_features(self.stems, maps)
        before, brought = [features], dict[str, Tensor]()
        for layer, row in enumerate(self.edges):
            mixed = {
                level: total([self._term(edge, before, sizes[level], brought) for edge in edges])
                # All edges of weight zero: what the cell makes of zeros is still something.
                if edges
                else x.new_zeros(x.shape[0], self.channels[level], *sizes[level])
                for level, edges in row.items()
            }
            features = {level: self.cells[f"{layer}_{level}"](value) for level, value in mixed.items()}
            before = [*before, features][-self.reach :]
        outputs = [*(features[level] for level in range(LEVELS)), *(maps if self.skips else ())]
        return restride(self.decoder(outputs), (x.shape[-2], x.shape[-1]), FINEST)

    def _term(
        self, edge: Edge, before: Sequence[dict[int, Tensor]], size: tuple[int, int], brought: dict[str, Tensor]
    ) -> Tensor:
        """What ``edge`` adds to the input of its cell."""
        source, name = before[-edge.back][edge.source], self.shared[edge.key]
        if not self.tied:
            return self.transitions[name](source, size)
        if name not in brought:
            brought[name] = self.transitions[name](source, size)
        return self.scales[edge.key] * brought[name]


def live_edges(net: Grid, beta: Tensor) -> list[dict[int, list[Edge]]]:
    """The edges that count, by layer and target level: of a weight other than zero, into a cell that is read.

    A cell that is read is listed even if it has lost all its edges.
    """
    rows: list[dict[int, list[Edge]]] = []
    read = {(net.layers - 1, level) for level in range(LEVELS)}
    for layer in reversed(range(net.layers)):
        edges = {level: net.edges[layer][level] for level in range(LEVELS) if (layer, level) in read}
        row = {level: [e for e in into if beta[layer, level, e.slot] != 0] for level, into in edges.items()}
        read |= {(layer - edge.back, edge.source) for into in row.values() for edge in into}
        rows.insert(0, row)
    return rows


class FoldedTransition(nn.Module):
    """One term of a cell's input: 1 x 1 convolution and resize, the convolution at the smaller of the two sizes.

    Args:
        conv: the convolution.
        up: levels from the source to the target: below 0 the target is coarser.
    """

    def __init__(self, conv: nn.Conv2d, up: int) -> None:
        super().__init__()
        self.conv = conv
        self.up = up

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        """``x`` [B, C, h, w] -> [B, C', *size]."""
        if self.up < 0:
            return self.conv(restride(x, size, self.up))
        return restride(self.conv(x), size, self.up)


class FoldedBranch(nn.Module):
    """A bottleneck of three convolutions and a gate, without its residual. Operations that are no kernel run beside the
    second convolution.

    Args:
        cell: the trained bottleneck.
        alpha: [K], the weights of its operations.
        scale: a scalar that its output is multiplied with.
    """

    def __init__(self, cell: MixtureCell, alpha: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.expand = _conv_norm(cell.expand)
        self.activation = cell.activation
        mixture = cell.depthwise
        self.depthwise = (
            FoldedMixture(mixture, cell.norm, alpha) if mixture.alone else _kernel(mixture, cell.norm, alpha)
        )
        self.gate = cell.gate
        self.project = _conv_norm(cell.project, scale)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> the same shape."""
        h = self.activation(self.depthwise(self.activation(self.expand(x))))
        return self.project(self.gate(h))


class FoldedMixture(nn.Module):
    """Operations that declare nothing, side by side, beside the one kernel of the others; BatchNorm in their weights.
    Those of weight zero are left out.

    Args:
        mixture: the trained operations.
        norm: the BatchNorm that follows.
        alpha: [K].
    """

    def __init__(self, mixture: OperationMixture, norm: nn.BatchNorm2d, alpha: Tensor) -> None:
        super().__init__()
        weights = dict(zip(mixture.convs, alpha, strict=True))
        live = [key for key in mixture.alone if weights[key] != 0]
        self.operations = nn.ModuleList([mixture.convs[key] for key in live])
        self.kernel = _kernel(mixture, norm, alpha) if len(mixture.alone) < len(weights) else None
        one = fused(alpha.new_ones(norm.num_features, 1, 1, 1), norm)  # what BatchNorm makes of a map
        scales = [weights[key] * one.weight.view(-1, 1, 1) for key in live]
        self.scales = nn.ParameterList([nn.Parameter(scale.detach().clone()) for scale in scales])
        self.constant = nn.Parameter(cast(Tensor, one.bias).detach().view(-1, 1, 1).clone())

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> the same shape."""
        # The kernel's convolution has the constant already.
        first = torch.zeros_like(x) + self.constant if self.kernel is None else self.kernel(x)
        sides = zip(self.operations, self.scales, strict=True)
        return total([first, *(operation(x) * scale for operation, scale in sides)])


class FoldedCell(nn.Module):
    """``residual * x + sum of branches``.

    Args:
        cell: the trained cell, of either kind.
        alpha: [K].
    """

    def __init__(self, cell: nn.Module, alpha: Tensor) -> None:
        super().__init__()
        one = alpha.new_ones(())
        if isinstance(cell, BareCell):
            branches, residual = [], one
        elif isinstance(cell, SeparateCell):
            operations = [cast(MixtureCell, operation) for operation in cell.operations.values()]
            branches = [FoldedBranch(o, alpha.new_ones(1), w) for o, w in zip(operations, alpha, strict=True)]
            residual = alpha.sum()
        else:
            branches, residual = [FoldedBranch(cast(MixtureCell, cell), alpha, one)], one
        self.branches = nn.ModuleList(branches)
        self.residual = residual.item()

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> the same shape."""
        return total([x if self.residual == 1 else self.residual * x, *(branch(x) for branch in self.branches)])


class FoldedDecoder(nn.Module):
    """The decoder, its first convolution run on each level before that is enlarged."""

    def __init__(self, decoder: Decoder) -> None:
        super().__init__()
        merge = fused(decoder.merge.weight, decoder.norm)
        parts = merge.weight.split(decoder.channels, dim=1)
        self.merge = nn.ModuleList([conv_of(part, None if i else merge.bias) for i, part in enumerate(parts)])
        self.activation = decoder.activation
        self.classify = decoder.classify

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Maps, the first the largest -> class logits [B, classes, h, w] of its size."""
        size = (features[0].shape[-2], features[0].shape[-1])
        parts = [conv(f) for conv, f in zip(self.merge, features, strict=True)]
        merged = total([restride(part, size, i % LEVELS) for i, part in enumerate(parts)])
        return self.classify(self.activation(merged))


def _transitions(net: Grid, edges: Sequence[Edge], beta: Tensor) -> dict[str, nn.Module]:
    """The transitions into one cell. The constants of all are added by the first: a resized constant is itself."""
    convs = []
    for edge in edges:
        transition = cast(Transition, net.transitions[edge.key])
        convs.append(fused(transition.conv.weight, transition.norm, beta[edge.layer, edge.target, edge.slot]))
    constant = total([conv.bias for conv in convs]) if convs else None
    return {
        edge.key: FoldedTransition(conv_of(conv.weight, None if i else constant), edge.source - edge.target)
        for i, (edge, conv) in enumerate(zip(edges, convs, strict=True))
    }


def _shared(net: Grid, edges: Sequence[Edge]) -> dict[str, nn.Module]:
    """The transitions of edges that share theirs with others: their weights stay outside."""
    found = {}
    for edge in edges:
        transition = cast(Transition, net.transitions[net.transition_of(edge)])
        conv = fused(transition.conv.weight, transition.norm)
        found[net.transition_of(edge)] = FoldedTransition(conv, edge.source - edge.target)
    return found


def _stem(stem: nn.Module) -> nn.Sequential:
    if isinstance(stem, ConvNorm):  # behind an encoder
        return nn.Sequential(_conv_norm(stem))

    def layers() -> Iterator[nn.Module]:
        for block in cast(Stem, stem):
            yield _conv_norm(cast(ConvNorm, block))
            yield cast(ConvNorm, block)[2]

    return nn.Sequential(*layers())


def flat(module: nn.Module) -> nn.Module:
    """``module`` with each BatchNorm that stands behind a convolution, in a sequence, in that convolution."""
    for child in module.modules():
        if isinstance(child, nn.Sequential) and type(child).forward in IN_ORDER:
            for at, (conv, norm) in enumerate(pairwise(list(child))):
                # Types, not instances: another's forward may do something else.
                if type(conv) is nn.Conv2d and type(norm) in NORMS:
                    child[at], child[at + 1] = fuse_conv_bn_eval(conv, cast(nn.BatchNorm2d, norm)), nn.Identity()
    return module


def _conv_norm(block: ConvNorm, scale: Tensor | None = None) -> nn.Conv2d:
    conv, norm = cast(nn.Conv2d, block[0]), cast(nn.BatchNorm2d, block[1])
    return fused(conv.weight, norm, scale, stride=conv.stride, padding=conv.padding)


def _kernel(mixture: OperationMixture, norm: nn.BatchNorm2d, alpha: Tensor) -> nn.Conv2d:
    """The operations of ``mixture`` that declare a kernel as one convolution, then ``norm``."""
    kernel, dilation = mixture.merged(alpha, mixture.dilation), mixture.dilation
    return fused(kernel, norm, padding=dilation * (kernel.shape[-1] // 2), dilation=dilation, groups=len(kernel))


def fused(weight: Tensor, norm: nn.BatchNorm2d, scale: Tensor | None = None, **how: Any) -> nn.Conv2d:
    """The convolution by ``weight``, then ``norm`` as it is in evaluation, then times ``scale``."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    one = torch.ones_like(norm.running_var) if scale is None else scale.expand_as(norm.running_var)
    slope, shift = (norm.weight * one, norm.bias * one) if norm.affine else (one, torch.zeros_like(one))
    parts = fuse_conv_bn_weights(weight, None, norm.running_mean, norm.running_var, norm.eps, slope, shift)
    return conv_of(*parts, **how)


def conv_of(weight: Tensor, bias: Tensor | None, *, groups: int = 1, **how: Any) -> nn.Conv2d:
    """The convolution by ``weight`` [C', C / groups, h, w] and ``bias`` [C'], copied."""
    outputs, inputs, height, width = weight.shape
    conv = nn.Conv2d(inputs * groups, outputs, (height, width), groups=groups, bias=bias is not None, **how)
    conv.weight = nn.Parameter(weight.detach().clone())
    if bias is not None:
        conv.bias = nn.Parameter(bias.detach().clone())
    return conv
