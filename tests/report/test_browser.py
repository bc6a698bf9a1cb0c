"""A real browser shows the pages whole: nothing is asked of any network, nothing is cut off, all can be read."""

import json

import numpy as np
import pytest
from browser import BROWSERS, VARIABLE, Browser, Tab, find_browser
from pages import Page
from PIL import Image

import wholenet
from old_folders import build
from wholenet.report.curves import draw_curves
from wholenet.report.html import write_page
from wholenet.report.run_page import _shaded

LONG = "sites_with_names_that_nobody_would_break_" * 3
PLAN = """# machine: 2 CPU threads
size: nano
epochs: 29  # as many as fit into the time
crop: [208, 208]  # of the images' shape
"""

CUT_OFF = """
    [...document.body.querySelectorAll("*")].filter(one => {
        for (let at = one; at !== document.body; at = at.parentElement)
            if (at !== one && ["auto", "scroll"].includes(getComputedStyle(at).overflowX)) return false;
        const {left, right} = one.getBoundingClientRect();
        return left < -0.5 || right > document.documentElement.clientWidth + 0.5;
    }).map(one => one.outerHTML.slice(0, 100))
"""
"""Elements that reach over the edges of the window, but for those within a part that is moved from side to side."""
PALE = """
    (() => {
        const channels = color => color.match(/[\\d.]+/g).map(Number);
        const over = ([r, g, b, a = 1], below) => [r, g, b].map((value, k) => a * value + (1 - a) * below[k]);
        const paper = matchMedia("(prefers-color-scheme: dark)").matches ? [18, 18, 18] : [255, 255, 255];
        const ground = one => one === null ? paper
            : over(channels(getComputedStyle(one).backgroundColor), ground(one.parentElement));
        const linear = value => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
        const light = color => color.map(value => linear(value / 255))
            .reduce((sum, value, k) => sum + value * [0.2126, 0.7152, 0.0722][k], 0);
        const pale = [];
        const words = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
        while (words.nextNode()) {
            if (!words.currentNode.data.trim()) continue;
            const one = words.currentNode.parentElement, below = ground(one);
            const both = [light(below), light(over(channels(getComputedStyle(one).color), below))];
            const contrast = (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05);
            if (contrast < 4.5) pale.push(words.currentNode.data.trim() + ": " + contrast.toFixed(2));
        }
        return pale;
    })()
"""
"""Words whose contrast with what is behind them is below 4.5, which WCAG 2.2 asks for (success criterion 1.4.3). What a
page leaves open is dark here for people who prefer that."""
OUT_OF_SIGHT = """
    [...document.querySelectorAll("tr")].map(row => row.cells[1]).filter(cell => cell.textContent)
        .filter(cell => cell.getBoundingClientRect().right > innerWidth).map(cell => cell.parentElement.innerText)
"""
"""Rows of tables the first number of which is only seen once the table was moved."""
UNSEEN = """
    Promise.all([...document.images].map(one => one.decode().then(() => one.naturalWidth, () => 0)))
        .then(widths => widths.filter(width => !width).length)
"""
"""How many pictures cannot be decoded."""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    program = find_browser()
    if program is None:
        pytest.skip(f"no browser here: none of {', '.join(BROWSERS)} is on the PATH, and {VARIABLE} names none")
    running = Browser(program, tmp_path_factory.mktemp("browser") / "profile")
    yield running
    running.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The page of a planned run with a control, whose names are long; of a search; and of two runs compared."""
    root = tmp_path_factory.mktemp("pages")
    run, data = build("single-stage", root), root / "discs"
    for kind in ("images", "masks"):
        (data / kind / "0.png").rename(data / kind / f"{LONG}.png")
    config = run / "model" / "config.json"
    config.write_text(config.read_text().replace('"disc"', json.dumps(f"disc {LONG}")))
    (data / "classes.json").write_text(json.dumps(["ground", f"disc {LONG}"]))
    (run / "plan.yaml").write_text(PLAN)
    draw_curves(run / "curves.png", wholenet.read_run(run).records, [("search", 0, 3)])
    Image.fromarray(np.full((900, 2400, 3), 200, np.uint8)).save(run / "architecture.png")
    search = build("search", root)
    wholenet.compare([run, run / "control"], root / "comparison.html")
    return {
        "run": wholenet.write_report(run, root / "run.html"),
        "search": wholenet.write_report(search, root / "search.html"),
        "comparison": root / "comparison.html",
    }


WORDS = {
    "run": (
        *("Confusion matrix", "Worst images", "Loss, score and learning rate over the epochs", "How it was planned"),
        *("machine: 2 CPU threads", "as many as fit into the time", "[208, 208]", "mIoU, control", "Settings"),
    ),
    "search": ("In plain words", "Settings"),
    "comparison": ("2 runs", "control's mIoU, %", "Over the epochs"),
}


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("name", ["run", "search", "comparison"])
def test_a_page_is_shown_whole_on_a_phone_and_on_a_desk(name, width, browser, pages):
    page = pages[name]
    with Tab(browser, page, width) as tab:
        assert tab.run(UNSEEN) == 0
        assert tab.run("document.images.length") == len(Page(page).pictures)
        assert tab.run("document.documentElement.scrollWidth") <= tab.run("innerWidth") == width
        assert tab.run(CUT_OFF) == []
        assert tab.run(OUT_OF_SIGHT) == []
        shown = tab.run("document.body.innerText")
        assert [words for words in WORDS[name] if words not in shown] == []
        assert tab.complaints() == []
        first, *others = tab.requests()
        assert first == tab.address
        assert {address.partition(":")[0] for address in others} <= {"data"}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["run", "comparison"])
def test_its_words_can_be_read_whatever_people_prefer(name, scheme, browser, pages):
    with Tab(browser, pages[name], scheme=scheme) as tab:
        assert tab.run(f"matchMedia('(prefers-color-scheme: {scheme})').matches")
        assert tab.run(PALE) == []


def test_all_shades_of_a_confusion_matrix_can_be_read(browser, tmp_path):
    cells = "".join(_shaded(share / 100) for share in range(101))
    write_page(tmp_path / "page.html", "Shades", f"<table><tbody><tr>{cells}</tr></tbody></table>")
    with Tab(browser, tmp_path / "page.html") as tab:
        assert tab.run("document.querySelectorAll('td').length") == 101
        assert tab.run(PALE) == []


def test_what_is_wrong_with_a_page_is_found(browser, tmp_path):
    """Each of the looks above turns red, and the page's own policy keeps it from the network and from scripts."""
    body = (
        '<p style="color: #999">pale</p><p style="width: 900px">wide</p>'
        '<img alt="damaged" src="data:image/png;base64,AAAA"><img alt="elsewhere" src="http://127.0.0.1:9/x.png">'
        "<script>document.title = 'run'</script>"
    )
    write_page(tmp_path / "bad.html", "Bad", body)
    with Tab(browser, tmp_path / "bad.html", 390, "dark") as tab:
        assert tab.run(UNSEEN) == 2
        assert tab.run("document.documentElement.scrollWidth") > 390
        assert [found for found in tab.run(CUT_OFF) if "wide" in found]
        assert [found.partition(":")[0] for found in tab.run(PALE)] == ["pale"]
        assert len([words for words in tab.complaints() if "Content Security Policy" in words]) == 2
        assert tab.run("document.title") == "Bad"
    (tmp_path / "open.html").write_text("<p style='color: #333'>dark on dark</p><img src='http://127.0.0.1:9/x.png'>")
    with Tab(browser, tmp_path / "open.html", scheme="dark") as tab:
        assert tab.requests() == [tab.address, "http://127.0.0.1:9/x.png"]
        assert len(tab.run(PALE)) == 1


def test_a_picture_of_the_page_can_be_taken(browser, pages, tmp_path):
    with Tab(browser, pages["run"], 390) as tab:
        shot = Image.open(tab.screenshot(tmp_path / "shot.png")).convert("RGB")
    assert shot.width == 390
    assert shot.height > 2000
    assert np.asarray(shot).std() > 5
