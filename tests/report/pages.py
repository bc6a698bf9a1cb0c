"""Pages as a strict reader sees them."""

import base64
import io
from html.parser import HTMLParser

from PIL import Image

VOID = {"meta", "img"}
KNOWN = {
    *("html", "head", "meta", "title", "style", "body", "h1", "h2", "section", "p", "ul", "li", "div", "span", "b"),
    *("table", "thead", "tbody", "tr", "th", "td", "figure", "figcaption", "img", "code"),
}
ADDRESSES = {
    "src",
    "href",
    "srcset",
    "action",
    "data",
    "poster",
    "background",
    "ping",
    "formaction",
    "cite",
    "manifest",
}
"""Attributes by which a page asks for something."""


class Page(HTMLParser):
    """The words and pictures of a page.

    Raises:
        AssertionError: for an element that is not closed in its place or is unknown, an attribute given twice or one
            that runs something, and for anything that would be loaded from elsewhere.
    """

    def __init__(self, path):
        super().__init__(convert_charrefs=True)
        self.open, self.words, self.pictures, self.policy, self.rows = [], [], [], "", []
        content = path.read_text(encoding="utf-8")
        assert content.startswith("<!DOCTYPE html>\n<html")
        self.feed(content)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        assert tag in KNOWN, tag
        assert self.open or tag == "html"
        given = dict(attrs)
        assert len(given) == len(attrs)
        assert not [name for name in given if name.startswith("on")]
        for name in ADDRESSES & set(given):
            assert (tag, name) == ("img", "src")
            head, _, data = given[name].partition(";base64,")
            assert head in ("data:image/png", "data:image/jpeg")
            self.pictures.append(Image.open(io.BytesIO(base64.b64decode(data, validate=True))))
        assert "url(" not in (given.get("style") or "")
        if given.get("http-equiv") == "Content-Security-Policy":
            self.policy = given["content"]
        if tag == "img":
            assert given["alt"]
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "style":
            assert "url(" not in data
            assert "@import" not in data
            return
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data
        self.words.append(data)

    def unknown_decl(self, data):
        raise AssertionError(data)

    @property
    def text(self):
        return " ".join("".join(self.words).split())
