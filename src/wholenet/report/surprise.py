"""The picture of a language model: lines of text word by word, each as dark as it was surprising."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.patches import Rectangle

from wholenet.deploy.language import LineOfWords
from wholenet.report.data_check import printable
from wholenet.report.style import BLUE, INK, MUTED, bare_axes, headline, saved_figure

SURPRISE = "surprise.png"
"""Name of the picture, in the run's folder."""
WIDTH, LEFT, RIGHT = 10.6, 1.35, 0.3
"""Inches: of the picture, and beside its words."""
LETTER, GAP, ROW, PAIR, APART = 0.079, 0.05, 0.27, 0.06, 0.2
"""Inches: of a letter, between words, of a row, between two of rows that belong together, and between lines."""
LONGEST = 24
"""Letters of a word that are shown."""
MOST_BITS = 14.0
"""Colours end there: one of 16,384 words."""
COLORS = LinearSegmentedColormap.from_list("surprise", ["#FFFFFF", "#9CC4E0", BLUE, "#00304D"])
Span = tuple[int, int]


def draw_surprise(file: Path, lines: Sequence[LineOfWords], title: str) -> None:
    """Draw lines of text, below each other: the words coloured by their surprise to the network, and again to
    Kneser-Ney where it was counted.

    Args:
        file: the picture; its suffix says the format.
        lines: what is shown.
        title: a headline.
    """
    wrapped = [_wrapped([_shown(word) for word in line.words]) for line in lines]
    heights = [
        len(rows) * (ROW * (1 if line.counted is None else 2) + PAIR) for line, rows in zip(lines, wrapped, strict=True)
    ]
    height = 1.25 + sum(heights) + APART * len(lines)
    with saved_figure(file, WIDTH, height) as figure:
        axes = bare_axes(figure, 0.0, 0.0, WIDTH, height)
        axes.set_xlim(0, WIDTH)
        axes.set_ylim(height, 0)
        headline(axes, 0.25, 0.3, title)
        _draw_key(axes, 0.62)
        y = 1.05
        for line, rows in zip(lines, wrapped, strict=True):
            for first, end in rows:
                for name, bits in (("network", line.network), ("Kneser-Ney", line.counted)):
                    if bits is not None:
                        said = f"{name} {sum(bits) / len(bits):.1f}" if first == 0 else ""
                        axes.text(0.25, y + ROW / 2, said, color=MUTED, va="center")
                        _draw_words(axes, y, [_shown(word) for word in line.words[first:end]], bits[first:end])
                        y += ROW
                y += PAIR
            y += APART


def _shown(word: str) -> str:
    word = printable(word)
    return word if len(word) <= LONGEST else f"{word[: LONGEST - 3]}..."


def _inches(word: str) -> float:
    return LETTER * len(word) + 2 * GAP


def _wrapped(words: Sequence[str]) -> list[Span]:
    """(first word, word behind the last) of each row."""
    room, rows, first, filled = WIDTH - LEFT - RIGHT, [], 0, 0.0
    for number, word in enumerate(words):
        if filled + _inches(word) > room and number > first:
            rows.append((first, number))
            first, filled = number, 0.0
        filled += _inches(word)
    return [*rows, (first, len(words))]


def _draw_words(axes: Axes, y: float, words: Sequence[str], bits: Sequence[float]) -> None:
    x = LEFT
    for word, value in zip(words, bits, strict=True):
        share, width = min(value / MOST_BITS, 1.0), _inches(word)
        axes.add_patch(Rectangle((x, y), width - 0.02, ROW - 0.02, facecolor=COLORS(share), linewidth=0))
        color = "white" if share > 0.5 else INK
        place = (x + width / 2 - 0.01, y + ROW / 2)
        axes.text(*place, word, color=color, ha="center", va="center", family="DejaVu Sans Mono", fontsize=8.6)
        x += width


def _draw_key(axes: Axes, y: float) -> None:
    axes.text(
        0.25,
        y,
        "Bits of surprise of each word, given all before it; at the left the mean of the line. 1 bit: one of two words "
        "alike in chance; 10 bits: one of 1,024.",
        color=MUTED,
        va="center",
        fontsize=8.5,
    )
    x = 0.25
    for bits in range(0, 15, 2):
        axes.add_patch(
            Rectangle((x, y + 0.15), 0.5, 0.17, facecolor=COLORS(bits / MOST_BITS), edgecolor="#B8C1CC", linewidth=0.5)
        )
        label = f"{bits}" if bits < MOST_BITS else f"{bits} or more"
        inside = bits < MOST_BITS
        color = MUTED if not inside else "white" if bits > MOST_BITS / 2 else INK
        axes.text(
            x + (0.25 if inside else 0.58),
            y + 0.235,
            label,
            color=color,
            ha="center" if inside else "left",
            va="center",
            fontsize=8,
        )
        x += 0.55
