"""Genotypes as DARTS' code prints them, and most code after it:
``Genotype(normal=[('sep_conv_3x3', 0), ...], normal_concat=range(2, 6), reduce=[...], reduce_concat=range(2, 6))``.

The text may be anybody's: it is parsed, never evaluated, and only lists, names and numbers are taken from it. Imports
no torch.
"""

from __future__ import annotations

import ast
import re
from typing import Any

from wholenet.files import shown

FIELDS = ("normal", "normal_concat", "reduce", "reduce_concat")
TEXT_CHARACTERS = 20_000
"""Longest text of one genotype; DARTS' take 700 characters."""
TEXT_DEPTH = 8
"""Deepest that its brackets may lie in one another."""
INPUTS, NODES, KEPT = 2, 4, 2
"""Nodes from outside, own nodes, and edges into each of the cells that are known here."""
_CALL = re.compile(r"\bGenotype\s*\(\s*[a-z_]+\s*=")


def is_genotype_text(text: str) -> bool:
    """Whether ``text`` has a genotype as DARTS' code prints it.

    >>> is_genotype_text("DARTS_V1 = Genotype(normal=[])"), is_genotype_text("space: cells")
    (True, False)
    """
    return _CALL.search(text) is not None


def parse_genotype_text(text: str) -> dict[str, Any]:
    """The two cells of the one genotype in ``text``: "normal" and "reduce", node by node [operation, source].

    What stands around it (a name, a log's date) does not count, weights behind the sources neither (GDAS' code).

    Raises:
        ValueError: if there are none or several, it is no such call, or the cells are not of four nodes that read two
            others each and are put side by side.
    """
    call = _call(text)
    found: dict[str, Any] = {}
    for keyword in call.keywords:
        if keyword.arg not in FIELDS or keyword.arg in found:
            raise ValueError(f"Genotype(...) has {shown(keyword.arg)}; expected {', '.join(FIELDS)}, each once")
        found[keyword.arg] = _plain(keyword.value, keyword.arg)
    missing = [kind for kind in ("normal", "reduce") if kind not in found]
    if call.args or missing:
        lacking = "values without a name" if call.args else f"no {missing[0]} cell"
        raise ValueError(f"Genotype(...) has {lacking}; expected {', '.join(f'{name}=' for name in FIELDS)}")
    own = list(range(INPUTS, INPUTS + NODES))
    for kind in ("normal", "reduce"):
        concat = found.get(f"{kind}_concat", own)
        if concat != own:
            raise ValueError(
                f"{kind}_concat is {shown(concat)}: it is a genotype of another space; the cells of DARTS put their "
                f"nodes {own[0]} to {own[-1]} side by side"
            )
    return {kind: _nodes(found[kind], kind) for kind in ("normal", "reduce")}


def _call(text: str) -> ast.Call:
    """The one call in ``text``, parsed."""
    calls = list(_CALL.finditer(text))
    if len(calls) != 1:
        raise ValueError(
            f"it holds {len(calls)} genotypes, Genotype(normal=...); expected one: copy the one that you mean into a "
            "file of its own"
        )
    written = _to_its_end(text[calls[0].start() :])
    try:
        parsed = ast.parse(written, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ValueError(f"{shown(written)} is no Genotype(...) as DARTS' code prints it: {error}") from error
    assert isinstance(parsed, ast.Call)  # from its name to its closing bracket
    return parsed


def _to_its_end(text: str) -> str:
    """``text`` up to the bracket that closes its first one."""
    depth = 0
    for end, character in enumerate(text[:TEXT_CHARACTERS], 1):
        depth += (character in "([{") - (character in ")]}")
        if depth > TEXT_DEPTH:
            raise ValueError(f"its brackets lie more than {TEXT_DEPTH} deep in one another; a genotype's lie 3 deep")
        if not depth and character == ")":
            return text[:end]
    raise ValueError(
        f"the bracket of Genotype( is not closed within {TEXT_CHARACTERS:,} characters: the text was cut short"
    )


def _plain(node: ast.expr, name: str) -> Any:
    """A literal, or ``range`` of two small numbers as a list."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "range":
        bounds = [argument.value for argument in node.args if isinstance(argument, ast.Constant)]
        if len(bounds) == len(node.args) == 2 and not node.keywords:
            first, end = bounds
            if type(first) is int and type(end) is int and 0 <= first <= end <= 100:
                return list(range(first, end))
        raise ValueError(f"{name} is {shown(ast.unparse(node))}; expected range(2, 6)")
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError) as error:
        raise ValueError(
            f"{name} is {shown(ast.unparse(node))}; expected a list of ('operation', source), and nothing that would "
            "have to be run"
        ) from error


def _nodes(pairs: Any, kind: str) -> list[list[list[Any]]]:
    if not isinstance(pairs, list | tuple):
        raise ValueError(f"the {kind} cell is {shown(pairs)}; expected a list of ('operation', source)")
    if len(pairs) != NODES * KEPT:
        raise ValueError(
            f"the {kind} cell has {len(pairs)} edges: it is a genotype of another space; the cells of DARTS have "
            f"{NODES * KEPT}, {KEPT} into each of {NODES} nodes"
        )
    for pair in pairs:
        whole = isinstance(pair, list | tuple) and len(pair) in (2, 3)
        if not whole or not isinstance(pair[0], str) or type(pair[1]) is not int:
            raise ValueError(f"the {kind} cell has {shown(pair)}; expected ('operation', source)")
    chosen = [list(pair[:2]) for pair in pairs]
    return [chosen[first : first + KEPT] for first in range(0, NODES * KEPT, KEPT)]
