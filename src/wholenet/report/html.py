"""Pages that stand alone: one file of HTML, pictures inside, nothing asked of any network, every text escaped."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Sequence
from html import escape
from pathlib import Path

import numpy as np
from PIL import Image

from wholenet.files import read_bytes, write_whole
from wholenet.report.data_check import printable

PICTURE_BYTES = 64 << 20
"""Of the largest picture that is put into a page."""
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
"""Browsers are told to load nothing, and to run nothing."""
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1F2933; background: #fff; }
body { max-width: 1080px; margin: 2em auto; padding: 0 1.5em; overflow-wrap: break-word; }
h1 { font-size: 1.6em; margin-bottom: .2em; } h2 { font-size: 1.15em; margin: 2em 0 .6em; }
p, li { max-width: 75ch; } .muted { color: #6B7785; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; } .wide { overflow-x: auto; }
th, td { padding: .25em .7em; text-align: right; border-bottom: 1px solid #DDE2E8; }
td, tbody th { white-space: nowrap; }
td:first-child, tbody th { white-space: normal; overflow-wrap: anywhere; min-width: 7em; }
th { color: #6B7785; font-weight: 600; } th:first-child, td:first-child { text-align: left; }
.words td { text-align: left; vertical-align: top; }
.words td:first-child { white-space: nowrap; min-width: 0; }
.words td:last-child { white-space: normal; overflow-wrap: anywhere; }
.words th { text-align: left; }
img { max-width: 100%; height: auto; display: block; } figure { margin: 0 0 1.2em; }
.chart { overflow-x: auto; } .chart img { width: 100%; min-width: 600px; max-width: 840px; }
figcaption { color: #6B7785; margin-bottom: .3em; overflow-wrap: anywhere; }
.swatch { display: inline-block; width: .9em; height: .9em; border: 1px solid #0002; margin-right: .4em; }
.legend span.entry { display: inline-block; margin-right: 1.2em; overflow-wrap: anywhere; }
.numbers { display: flex; flex-wrap: wrap; gap: 1em 2.5em; margin: 1.2em 0; }
.numbers b { display: block; font-size: 1.7em; line-height: 1.2; }
@media (max-width: 600px) { body { padding: 0 1em; } th, td { padding: .25em .45em; } ul { padding-left: 1.4em; } }
""".strip()


def text(words: object) -> str:
    """Words as they stand in a page: nothing in them is taken for HTML, turns the text about or is a control
    character."""
    return escape(printable(str(words)))


def table(head: Sequence[object], rows: Sequence[Sequence[object]], kind: str = "") -> str:
    """A table of words and numbers. ``kind`` "words" aligns all of it to the left."""
    top = "".join(f'<th scope="col">{text(word)}</th>' for word in head)
    body = "".join("<tr>" + "".join(f"<td>{text(cell)}</td>" for cell in row) + "</tr>\n" for row in rows)
    whole = f"<thead><tr>{top}</tr></thead>\n<tbody>\n{body}</tbody>"
    return f'<div class="wide"><table class="{escape(kind)}">{whole}</table></div>\n'


def section(title: str, *parts: str) -> str:
    """A heading with what stands below it; nothing where there is nothing."""
    body = "\n".join(part for part in parts if part)
    return f"<section><h2>{text(title)}</h2>\n{body}\n</section>\n" if body else ""


def paragraph(words: object, kind: str = "") -> str:
    """A paragraph."""
    return f'<p class="{escape(kind)}">{prose(words)}</p>'


def prose(words: object) -> str:
    """:func:`text`, with what stands between backquotes as code."""
    return re.sub("`([^`]+)`", r"<code>\1</code>", text(words))


def bullets(lines: Sequence[str]) -> str:
    """A list."""
    return "<ul>" + "".join(f"<li>{prose(line)}</li>" for line in lines) + "</ul>" if lines else ""


def picture_file(path: Path, caption: str) -> str:
    """A PNG file with its caption, never so small that its words cannot be read: in a narrow window it is moved from
    side to side. Nothing if it is not there."""
    if not path.is_file():
        return ""
    return _figure(read_bytes(path, PICTURE_BYTES), "png", caption, "chart")


def picture(pixels: np.ndarray, caption: str) -> str:
    """A picture, uint8 [H, W, 3], with its caption."""
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, format="JPEG", quality=88)
    return _figure(content.getvalue(), "jpeg", caption)


def _figure(content: bytes, kind: str, caption: str, shown_as: str = "picture") -> str:
    inline = f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
    image = f'<div class="{shown_as}"><img alt="{text(caption)}" src="{inline}"></div>'
    return f"<figure><figcaption>{text(caption)}</figcaption>{image}</figure>\n"


def write_page(path: Path, title: str, body: str) -> None:
    """Write a page; whoever looks at ``path`` sees the old one or the new, never half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(
        path,
        "<!DOCTYPE html>\n"
        '<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{text(title)}</title>\n<style>\n{STYLE}\n</style>\n</head>\n<body>\n<h1>{text(title)}</h1>\n{body}"
        "</body>\n</html>\n",
    )
