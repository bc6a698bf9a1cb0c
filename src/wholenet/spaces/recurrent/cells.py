"""The recurrent cell of DARTS, as a supernet and as a discrete cell (Sec. 2.2; code: quark0/darts, folder rnn).

Node 0 joins the input and the state before; each node after it takes a highway step from its predecessors. A matrix of
a node serves all its predecessors and all operations; none has a bias.

Letters: B texts, n units, j node (its predecessors are nodes 0 to j - 1), P predecessors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wholenet import parallel
from wholenet.ops.forms import TwoForms, total
from wholenet.ops.norms import BatchNorm
from wholenet.ops.statistics import counted_step
from wholenet.spaces.recurrent.genotype import CHOSEN, NONE, RecurrentGenotype, rows
from wholenet.spaces.recurrent.settings import INITIAL

FUNCTIONS = {"tanh": torch.tanh, "relu": torch.relu, "sigmoid": torch.sigmoid, "identity": lambda x: x}


def uniform(*shape: int, within: float = INITIAL) -> nn.Parameter:
    """A matrix as it is before training."""
    return nn.Parameter(torch.empty(*shape).uniform_(-within, within))


def product(x: Tensor, matrix: Tensor) -> Tensor:
    """``x`` times ``matrix``, in the type of ``x`` also where autocast multiplies in another."""
    return (x @ matrix).to(x.dtype)


def highway(before: Tensor, gate: Tensor, candidate: Tensor) -> Tensor:
    """``before`` + sigmoid(``gate``) (``candidate`` - ``before``)."""
    return torch.lerp(before, candidate, gate.sigmoid())


class SharedNorm(BatchNorm):
    """The one BatchNorm of a search cell, without an affine map: all nodes and all time steps share its statistics."""

    def __init__(self, units: int) -> None:
        super().__init__(units, affine=False)

    def forward(self, input: Tensor) -> Tensor:
        """[B, n] -> the same shape."""
        if self.training and parallel.processes() > 1:
            return self.normalized(input[:, :, None, None], None, None)[:, :, 0, 0]
        step = counted_step(self)
        return F.batch_norm(
            input, self.running_mean, self.running_var, None, None, self.training, momentum=step, eps=self.eps
        )


class Cell(nn.Module):
    """What both cells have: the matrices, and node 0.

    Args:
        units: n.
        nodes: after node 0.
    """

    def __init__(self, units: int, nodes: int) -> None:
        super().__init__()
        self.units = self.state = units
        self.first = uniform(2 * units, 2 * units)
        """Its upper half is of the input, its lower half of the state."""
        self.steps = nn.ParameterList(uniform(units, 2 * units) for _ in range(nodes))

    def read(self, inputs: Tensor, hidden: Tensor, kept: Tensor, weights: Mapping[str, Tensor]) -> Tensor:
        """Read a window word by word.

        Args:
            inputs: [T, B, n], dropped already.
            hidden: the state before, [B, n].
            kept: dropout mask of states, [B, n], the same at all times and nodes; the carry path ignores it.
            weights: of the architecture.

        Returns:
            The state after each word, [T, B, n].
        """
        prepared = self.prepared(weights)
        of_input, of_state = self.first.split(self.units)
        states = []
        for given in product(inputs, of_input):
            gate, candidate = (given + product(hidden * kept, of_state)).chunk(2, -1)
            hidden = self.after(highway(hidden, gate, candidate.tanh()), kept, prepared)
            states.append(hidden)
        return torch.stack(states)

    def prepared(self, weights: Mapping[str, Tensor]) -> Sequence[Tensor]:
        """What :meth:`after` needs of the architecture's weights, once for a window."""
        raise NotImplementedError

    def after(self, first: Tensor, kept: Tensor, prepared: Sequence[Tensor]) -> Tensor:
        """The state [B, n] that the cell gives, from what node 0 has."""
        raise NotImplementedError


class DiscreteCell(Cell):
    """A cell whose nodes have one predecessor and one operation each. No BatchNorm."""

    def __init__(self, units: int, genotype: RecurrentGenotype) -> None:
        super().__init__(units, len(genotype.cell))
        self.genotype = genotype

    def prepared(self, weights: Mapping[str, Tensor]) -> Sequence[Tensor]:
        """Nothing."""
        del weights
        return ()

    def after(self, first: Tensor, kept: Tensor, prepared: Sequence[Tensor]) -> Tensor:
        """Nodes in order; the mean of those that the genotype names."""
        del prepared
        nodes = [first]
        for (name, source), matrix in zip(self.genotype.cell, self.steps, strict=True):
            gate, candidate = product(nodes[source] * kept, matrix).chunk(2, -1)
            nodes.append(highway(nodes[source], gate, FUNCTIONS[name](candidate)))
        return total([nodes[node] for node in self.genotype.output]) / len(self.genotype.output)


class SearchCell(Cell, TwoForms):
    """All predecessors and operations at once, weighed; a shared BatchNorm after every node, node 0 included.

    A node is the sum over edges i and operations o, but ``none``, of w_io (s_i + c_i (f_o(h_i) - s_i)). With W_i the
    sum of w_io and g_i that of w_io f_o(h_i), this is the sum over i of a highway step from W_i s_i to g_i: what the
    fast form computes, all edges of a node in one product.
    """

    def __init__(self, units: int, nodes: int) -> None:
        super().__init__(units, nodes)
        self.norm = SharedNorm(units)

    def prepared(self, weights: Mapping[str, Tensor]) -> Sequence[Tensor]:
        """Of each node the weights of its edges, [P, 5]; in the fast form first W, then each operation's,
        [5, P, 1, 1]."""
        of_nodes = [weights["alpha"][into] for into in rows(len(self.steps))]
        if self.plain:
            return of_nodes
        whole = [torch.cat([w[:, NONE + 1 :].sum(-1, keepdim=True), w[:, NONE + 1 :]], -1) for w in of_nodes]
        return [w.T[:, :, None, None] for w in whole]

    def after(self, first: Tensor, kept: Tensor, prepared: Sequence[Tensor]) -> Tensor:
        """The mean of the nodes after node 0."""
        nodes = self.norm(first)[None]
        mixed = self.edge_by_edge if self.plain else _mixed
        for matrix, weights in zip(self.steps, prepared, strict=True):
            node = self.norm(mixed(nodes, kept, matrix, weights))
            nodes = torch.cat([nodes, node[None]])
        return nodes[1:].mean(0)

    @staticmethod
    def edge_by_edge(nodes: Tensor, kept: Tensor, matrix: Tensor, weights: Tensor) -> Tensor:
        """As papers write it."""
        terms = []
        for source, row in zip(nodes, weights, strict=True):
            gate, candidate = product(source * kept, matrix).chunk(2, -1)
            for name, weight in zip(CHOSEN, row[NONE + 1 :], strict=True):
                terms.append(weight * (source + gate.sigmoid() * (FUNCTIONS[name](candidate) - source)))
        return total(terms)


def _mixed(nodes: Tensor, kept: Tensor, matrix: Tensor, weights: Tensor) -> Tensor:
    """A node [B, n] from its predecessors [P, B, n]."""
    carried, tanh, relu, sigmoid, identity = weights
    gate, candidate = product(nodes * kept, matrix).chunk(2, -1)
    found = torch.addcmul(identity * candidate, tanh, candidate.tanh())
    found = torch.addcmul(found, relu, candidate.relu())
    found = torch.addcmul(found, sigmoid, candidate.sigmoid())
    return highway(carried * nodes, gate, found).sum(0)
