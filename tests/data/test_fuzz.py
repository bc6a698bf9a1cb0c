"""Every damaged or odd data set of ``fuzz.py``: never a traceback, never a silent pass, always the file's name."""

import ast
import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
from fuzz import KINDS, damaged, rows, said, truth
from rich.console import Console

import wholenet.data
from wholenet.cli import main
from wholenet.data.finding import SEVERITIES
from wholenet.data.sample import DataError
from wholenet.data.stereo.review import open_stereo
from wholenet.jobs.catalog import task_config
from wholenet.jobs.language import prepare as prepare_text
from wholenet.jobs.masks import prepare
from wholenet.search.config import FitConfig

RAN, FOUND = set(), set()
"""Kinds of damage that were tried, and kinds of findings that came of it."""


def checked(capsys, *arguments):
    """(Exit status, what was printed)."""
    try:
        main(["check-data", *map(str, arguments)])
        status = 0
    except SystemExit as stop:
        status = stop.code
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err
    return status, out


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_damage_is_found(name, tmp_path, capsys):
    kind = KINDS[name]
    if kind.links and os.name == "nt":
        pytest.skip("the file system has no such files")
    root = damaged(kind, tmp_path / "data")
    status, out = checked(capsys, root, "--json", tmp_path / "found.json", *kind.options)
    found = json.loads((tmp_path / "found.json").read_text())["findings"]
    RAN.add(name)
    FOUND.update(finding["kind"] for finding in found)
    severities = [finding["severity"] for finding in found]
    assert severities == sorted(severities, key=SEVERITIES.index)
    assert status == (2 if kind.outcome == "error" else 0), out
    assert severities[:1] == [kind.outcome] if kind.outcome != "fine" else set(severities) <= {"note"}, out
    for fact in kind.says:
        assert fact in out, out
    assert said(out, root) == rows()[name], "make fuzz-table writes the page anew"
    if kind.base == "masks":
        fitted(kind, root, tmp_path)
    if kind.base == "text":
        read_for_training(kind, root, tmp_path)
    if kind.base == "pairs":
        opened_for_training(kind, root)


def fitted(kind, root, tmp_path):
    """What `fit` makes of it: refused before there is a run folder, or trained on as it should be."""
    pairs = zip(kind.options[::2], kind.options[1::2], strict=True)
    options = {key[2:].replace("-", "_"): float(v) if "mega" in key else v for key, v in pairs}
    config = FitConfig(data=str(root), out=str(tmp_path / "run"), **options)
    shown = io.StringIO()
    if kind.outcome == "error":
        with pytest.raises(DataError) as error:
            prepare(config, Console(file=shown))
        for fact in kind.says:
            assert fact in str(error.value)
        assert not (tmp_path / "run").exists()
        return
    prepared = prepare(config, Console(file=shown, width=80))
    assert ("warning: " in shown.getvalue()) == (kind.outcome == "warning")
    if kind.outcome == "warning":
        for fact in kind.says:
            assert fact in shown.getvalue()
    seen = 0
    for data in (prepared.weights, prepared.val):
        for i in range(len(data)):
            sample = data[i]
            expected = kind.masks.get(sample.name, truth(sample.name) if sample.name[1:].isdigit() else truth("t1"))
            np.testing.assert_array_equal(sample.mask, expected)
            seen += 1
    assert seen >= 6


def read_for_training(kind, root, tmp_path):
    """What `fit` makes of a text, before it makes a run folder."""
    given = {"batch": 2, "data": str(root), "out": str(tmp_path / "run"), "device": "cpu"}
    given |= {key[2:]: int(value) for key, value in zip(kind.options[::2], kind.options[1::2], strict=True)}
    shown = io.StringIO()
    config = task_config("language", **given)
    if kind.outcome == "error":
        with pytest.raises(DataError):
            prepare_text(config, Console(file=shown))
        return
    prepare_text(config, Console(file=shown, width=80))
    assert ("warning: " in shown.getvalue()) == (kind.outcome == "warning")
    if not any("--batch" in fact for fact in kind.says):
        for fact in kind.says:
            assert fact in shown.getvalue()


def opened_for_training(kind, root):
    """What `fit` makes of pairs, before it makes a run folder."""
    words = {"--disparity-scale": ("scale", float), "--max-disparity": ("reach", float)}
    words |= {"--max-megapixels": ("max_megapixels", float)}
    pairs = zip(kind.options[::2], kind.options[1::2], strict=True)
    given = {words[word][0]: words[word][1](value) for word, value in pairs if word in words}
    if kind.outcome == "error":
        with pytest.raises(DataError) as error:
            open_stereo(root, **given)
        for fact in kind.says:
            assert fact in str(error.value)
        return
    source = open_stereo(root, **given)
    assert any(note.startswith("warning: ") for note in source.notes) == (kind.outcome == "warning")
    for fact in kind.says:
        assert any(fact in note for note in source.notes)
    for split in source.splits.values():
        for i in range(len(split)):
            sample = split[i]
            assert np.nanmin(sample.disparity) >= 0
            assert sample.left.shape == (*sample.disparity.shape, 3) == sample.right.shape


def test_there_are_at_least_sixty_kinds():
    assert len(KINDS) >= 60
    assert sum(kind.outcome == "error" for kind in KINDS.values()) >= 40


OF_LAYOUTS = {"listed-without-pair", "looked-at"}
"""Of the lists of Pascal VOC, and of many pairs before a run: test_detect.py and test_stereo_data.py meet them."""


def spelled_kinds():
    """The kinds of findings that the source spells out."""
    for path in Path(wholenet.data.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            called = isinstance(node, ast.Call) and getattr(node.func, "id", "")
            if called in ("Finding", "of_files", "PictureError") and isinstance(node.args[1], ast.Constant):
                yield node.args[1].value


def test_every_kind_of_finding_is_met_by_a_kind_of_damage():
    if len(RAN) < len(KINDS):
        pytest.skip("when this file is run as a whole")
    assert len(set(spelled_kinds())) > 30
    assert set(spelled_kinds()) - FOUND - OF_LAYOUTS == set()


def test_the_page_lists_every_kind():
    assert list(rows()) == list(KINDS)
