"""The page of a run says what its folder says, stands alone, and takes no name for HTML."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
from pages import Page
from PIL import Image

import wholenet
from old_folders import FIXTURES, build
from wholenet.cli import main
from wholenet.report.html import text, write_page
from wholenet.report.next_steps import next_steps
from wholenet.report.run_page import write_report_or_say

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A single-stage run with its control, its data beside it, one class of which has a hostile name."""
    root = tmp_path_factory.mktemp("runs")
    path = build("single-stage", root)
    classes = root / "discs" / "classes.json"
    classes.write_text(json.dumps(["ground", HOSTILE]))
    config = path / "model" / "config.json"
    model = json.loads(config.read_text())
    names = next(part["classes"] for part in _mappings(model) if isinstance(part.get("classes"), list))
    names[1]["name"] = HOSTILE
    config.write_text(json.dumps(model))
    (root / "discs" / "images" / "0.png").rename(root / "discs" / "images" / "a<b>&'.png")
    (root / "discs" / "masks" / "0.png").rename(root / "discs" / "masks" / "a<b>&'.png")
    Image.new("RGB", (30, 20)).save(path / "curves.png")
    return path


def _mappings(value):
    if isinstance(value, dict):
        yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _mappings(part)


def test_the_page_has_the_scores_the_pictures_and_the_settings(run, tmp_path):
    page = Page(wholenet.write_report(run, tmp_path / "page.html"))
    val = run.parent / "discs"
    scores = wholenet.evaluate(run, val)
    rows = {row[0]: row[1:] for row in page.rows if row}
    assert rows["ground"] == [
        "-" if value is None else f"{100 * value:.1f}"
        for value in (*(column[0] for column in (scores.iou, scores.dice, scores.precision)), scores.recall[0])
    ] + [f"{100 * scores.boundary_f[0]:.1f}", f"{100 * scores.share[0]:.1f}"]
    counts = np.array(scores.counts)
    shares = 100 * counts / counts.sum(1, keepdims=True)
    assert rows["0 ground"] == [f"{share:.0f}" for share in shares[0]]
    assert rows[f"1 {HOSTILE}"] == [f"{share:.0f}" for share in shares[1]]
    assert rows["epochs"] == ["3"]
    assert ["control", "3 of 3"] in [row[:2] for row in page.rows]
    for image in scores.per_image:
        assert f"{image.name}: mIoU {100 * image.miou:.1f} %" in page.text
    assert len(page.pictures) == 1 + scores.images
    assert any(picture.size == (30, 20) for picture in page.pictures)


def test_the_page_loads_nothing_and_takes_no_name_for_html(run, tmp_path):
    page = Page(wholenet.write_report(run, tmp_path / "page.html"))
    assert page.policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    assert HOSTILE in page.text
    assert "<script" not in (tmp_path / "page.html").read_text()
    write_page(tmp_path / "other.html", f"{HOSTILE}\x1b\u202e", f"<p>{text('a & b')}</p>")
    other = Page(tmp_path / "other.html")
    assert other.text.count(HOSTILE) == 2
    assert "\\x1b\\u202e" in other.text


def test_a_plan_is_told_with_its_reasons(run, tmp_path):
    plan = (
        "# machine: 2 <b>threads",
        "seed: 3",
        "stem: null",
        "crop: [64, 64]  # as large: as they are",
        "lr: 0.1  # x",
    )
    (run / "plan.yaml").write_text("\n".join(plan))
    try:
        page = Page(wholenet.write_report(run, tmp_path / "page.html"))
        at = page.rows.index(["setting", "value", "why"])
        assert page.rows[at + 1 : at + 5] == [
            *(["seed", "3", "given"], ["stem", "", "given"]),
            *(["crop", "[64, 64]", "as large: as they are"], ["lr", "0.1", "x"]),
        ]
        assert "machine: 2 <b>threads" in page.text
        (run / "plan.yaml").write_text("{")
        with pytest.raises(ValueError, match=r"plan\.yaml"):
            wholenet.write_report(run, tmp_path / "page.html")
    finally:
        (run / "plan.yaml").unlink()
    assert "How it was planned" not in Page(wholenet.write_report(run, tmp_path / "page.html")).text


def test_words_compare_the_score_with_the_constant_and_the_control_and_judge_the_search(run, tmp_path):
    page = Page(wholenet.write_report(run, tmp_path / "page.html"))
    own, control = wholenet.read_run(run).results
    assert f"the network reaches {100 * own['miou']:.1f} % mIoU" in page.text
    assert f"always answering the one best class would reach {100 * own['constant_miou']:.1f} %" in page.text
    assert f"trained for as long, has {100 * control['miou']:.1f} %" in page.text
    assert "on edges (normalised entropy" in page.text
    assert "Do not credit the search, because the frozen-uniform control is within 1 point of it." in page.text
    (run / "diagnosis").mkdir()
    try:
        (run / "diagnosis" / "diagnosis.json").write_text(json.dumps({"verdict": ["The search slept.", 3]}))
        again = Page(wholenet.write_report(run, tmp_path / "page.html"))
        assert "The search slept." in again.text
        assert "on edges" not in again.text
    finally:
        shutil.rmtree(run / "diagnosis")


def test_with_a_control_that_is_not_finished_nothing_is_compared(run, tmp_path):
    other = tmp_path / "run"
    shutil.copytree(run, other)
    lines = (other / "control" / "metrics.jsonl").read_text().splitlines(keepends=True)
    (other / "control" / "metrics.jsonl").write_text("".join(lines[:2]))
    page = Page(wholenet.write_report(other))
    assert "control is not finished: 2 of 3 epochs are done" in page.text
    assert "mIoU, control (epoch 2 of 3)" in page.text
    assert "trained for as long" not in page.text
    assert "credit" not in page.text


def test_without_its_data_or_its_model_a_run_still_has_a_page(run, tmp_path):
    moved = tmp_path / "run"
    shutil.copytree(run, moved)
    config = (moved / "config.yaml").read_text()
    (moved / "config.yaml").write_text(config.replace(str(run.parent), str(tmp_path / "gone")))
    Image.new("RGB", (31, 21)).save(moved / "predictions.png")
    page = Page(wholenet.write_report(moved))
    assert any(picture.size == (31, 21) for picture in page.pictures)
    assert "The data of the run cannot be read, so there are no scores by class or image" in page.text
    assert "on edges (normalised entropy" in page.text
    with pytest.raises(ValueError, match="nowhere"):
        wholenet.write_report(moved, data="nowhere")
    scored = Page(wholenet.write_report(moved, data=run.parent / "discs"))
    assert "Worst images" in scored.text
    shutil.rmtree(moved / "model")
    assert "The run has no model yet." in Page(wholenet.write_report(moved)).text


@pytest.mark.parametrize("name", ["search", "retrain", "search-stopped", "two-stage"])
def test_runs_of_other_kinds_have_a_page(name, tmp_path):
    run = build(name, tmp_path)
    page = Page(wholenet.write_report(run))
    found = wholenet.read_run(run)
    what = "mIoU" if found.task == "segmentation" else "error"
    assert f"% {what}" in page.text
    assert [row[0] for row in page.rows].count("seed") == 1
    if found.results[0]["epochs"] < found.results[0]["planned"] and name == "two-stage":
        assert "The run is not finished" in page.text


def test_what_is_in_the_way_of_the_page_is_told_and_the_run_goes_on(run, tmp_path):
    other, said = tmp_path / "run", []
    shutil.copytree(run, other)
    write_report_or_say(other, "cpu", said.append)
    assert said[-1] == f"open {other}/report.html"
    own, control = wholenet.read_run(other).results[0], wholenet.read_run(other).results[-1]
    assert f"reaches {100 * own['miou']:.1f} % mIoU" in said[0]
    assert f"{100 * own['constant_miou']:.1f} %" in said[0]
    assert f"control, trained for as long, has {100 * control['miou']:.1f} %" in said[0]
    assert any(sentence.startswith("The search ") for sentence in said)
    worst = wholenet.evaluate(other, run.parent / "discs").worst[0]
    assert f"Worst images, by the mIoU of their own: {worst.name} ({100 * worst.miou:.1f} %)" in "".join(said)
    assert any(sentence.startswith("Next: ") for sentence in said)
    said.clear()
    (other / "report.html").unlink()
    (other / "report.html").mkdir()
    write_report_or_say(other, "cpu", said.append)
    assert len(said) == 1
    assert said[0].startswith(f"warning: {other}/report.html was not written")


def test_what_to_try_next_is_a_command_of_the_runs_own_network(run):
    found = wholenet.read_run(run)
    own = {**found.results[0], "constant_miou": 0.3, "epochs": 2, "planned": 2}
    rose = dataclasses.replace(found, results=[own], records=[{"epoch": e, "miou": 0.5 + e / 10} for e in (0, 1)])
    kept = {"space": "autodeeplab", "settings": {"size": "tiny", "path_keep": 0.5}}
    trellis = dataclasses.replace(rose, config={**found.config, **kept})
    assert f"`wholenet fit {found.config['data']} --init {run} --minutes N`" in next_steps(rose)[0]
    like = "--size tiny --path-keep 0.5"
    assert f"--space autodeeplab {like} --init {run} --minutes N`" in next_steps(trellis)[0]
    of_genotype = dataclasses.replace(rose, config={**trellis.config, "genotype": "g.yaml"})
    assert f"retrain g.yaml {found.config['data']} {like} --init {run} --epochs N`" in next_steps(of_genotype)[0]
    own["constant_miou"] = 0.7
    assert "more time (--epochs)" in next_steps(of_genotype)[0]
    assert "more time (--minutes)" in next_steps(trellis)[0]


@pytest.mark.parametrize(
    ("scores", "said"),
    [
        ((0.2, 0.305), "no better than one constant answer"),
        ((0.5, 0.6), "still rose by 10.0 points"),
        ((0.5, 0.7, 0.65), "fell by 5.0 points after epoch 2"),
        ((0.5, 0.7, 0.695), "another --seed"),
        ((0.7,), "another --seed"),
        ((), None),
    ],
)
def test_what_to_try_next_is_what_the_scores_say(run, scores, said):
    found = wholenet.read_run(run)
    own = {**found.results[0], "constant_miou": 0.3, "epochs": len(scores), "planned": len(scores)}
    records = [{"epoch": epoch, "miou": score} for epoch, score in enumerate(scores)]
    stem = dataclasses.replace(found, records=records, results=[own], config={**found.config, "stem": "timm/x"})
    assert len(next_steps(stem)) == (said is not None)
    assert (said or "") in "".join(next_steps(stem))
    short = dataclasses.replace(stem, config={**stem.config, "steps_per_epoch": 2})
    assert ("are few" in "".join(next_steps(short))) == (said == "another --seed")
    own["planned"] += 1
    assert next_steps(stem) == []
    own["planned"] -= 1
    assert any("--stem timm/" in step for step in next_steps(dataclasses.replace(stem, config=found.config))) == bool(
        scores
    )


def test_classes_of_a_model_with_many_are_not_drawn_as_a_matrix(run, tmp_path, monkeypatch):
    monkeypatch.setattr("wholenet.report.run_page.MOST_CLASSES", 1)
    page = Page(wholenet.write_report(run, tmp_path / "page.html"))
    assert "0 ground" not in [row[0] for row in page.rows if row]
    assert "is taken for" in page.text or "Most pixels" not in page.text


# ---- compared


def test_runs_are_compared_by_scores_and_the_settings_that_differ(run, tmp_path, capsys):
    other = run / "control"
    rows = wholenet.compare([run, other], tmp_path / "page.html")
    own, control = (wholenet.read_run(path) for path in (run, other))
    assert [row["miou"] for row in rows] == [own.results[0]["miou"], control.results[0]["miou"]]
    assert rows[0]["control_miou"] == own.results[1]["miou"]
    assert [row["architecture"] for row in rows] == ["learned", "uniform"]
    differing = {n for n in own.config if own.config[n] != control.config[n]} - {"out"}
    assert differing <= set(rows[0])
    assert not {"lr", "seed", "size"} & set(rows[0])
    page = Page(tmp_path / "page.html")
    assert page.rows[0][:2] == ["run", "mIoU, %"]
    assert [row[0] for row in page.rows[1:3]] == [str(run), str(other)]
    main(["compare", str(run), str(other), "--json", str(tmp_path / "rows.json")])
    assert json.loads((tmp_path / "rows.json").read_text()) == {"runs": json.loads(json.dumps(rows))}
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[2].startswith(str(other))


def test_what_cannot_be_compared_or_written_is_refused(run, tmp_path, capsys):
    with pytest.raises(ValueError, match="found 1 run to compare"):
        wholenet.compare([run])
    with pytest.raises(ValueError, match="runs of two tasks have no score in common"):
        wholenet.compare([run, FIXTURES / "search"])
    (tmp_path / "file").write_text("")
    for words in (["report", run], ["compare", run, run]):
        with pytest.raises(SystemExit) as stop:
            main([*map(str, words), "--out", str(tmp_path / "file" / "x.html")])
        assert stop.value.code == 2
        assert "is a file and no folder" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["report", str(tmp_path)])
    assert "holds no run" in capsys.readouterr().err
