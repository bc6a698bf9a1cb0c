"""The documents name things that are there: tests that hold their sentences, and files that they link to."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
HELD = ("safety.md", "reliability.md", "data-problems.md")
"""Pages of promises, which say what holds them."""
LISTED = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")


def named(page):
    """Files of tests, and the functions in them, that a page names."""
    return LISTED.findall(page.read_text())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_test_that_a_page_names_is_there(page):
    for file, function in named(page):
        assert (ROOT / file).is_file(), file
        if function:
            body = ast.parse((ROOT / file).read_text()).body
            assert function.startswith("test_"), function
            assert function in {part.name for part in body if isinstance(part, ast.FunctionDef)}, f"{file}::{function}"


@pytest.mark.parametrize("page", HELD)
def test_pages_of_promises_say_what_holds_them(page):
    assert named(ROOT / "docs" / page)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_to_a_file_leads_to_one(page):
    links = re.findall(r"\]\(([^)\s]+)\)", page.read_text())
    for link in links:
        place, _, anchor = link.partition("#")
        if "://" in link or link.startswith("mailto:"):
            continue
        assert (page.parent / place).exists(), link
        if anchor and (not place or place.endswith(".md")):
            text = (page.parent / place).read_text() if place else page.read_text()
            headings = [re.sub(r"[^\w\s-]", "", line).strip() for line in re.findall(r"^#+ (.+)$", text, re.MULTILINE)]
            assert anchor in {heading.lower().replace(" ", "-") for heading in headings}, link
