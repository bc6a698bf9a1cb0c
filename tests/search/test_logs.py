"""Records go to each logger once, over all processes that continue a run, and no logger costs the run anything."""

import json
import shutil
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

import wholenet
from run_files import assert_equal, checkpoint, records
from wholenet import parallel
from wholenet.cli import main
from wholenet.search.cell_config import cell_config
from wholenet.search.loggers import LOGGERS, Logger, check_loggers, check_wandb, loggers
from wholenet.search.logs import Logs, numbers_of
from wholenet.search.run_folder import RunFolder

FIXTURES = Path(__file__).parents[1] / "fixtures"
SMALL = {"size": "nano", "epochs": 3, "batch": 2, "crop": "32x32", "device": "cpu", "steps_per_epoch": 2}


class Memory:
    """A log that remembers; ``fails`` may raise at a step."""

    def __init__(self, fails=lambda step: None):
        self.fails = fails
        self.runs = []
        self.sent = []
        self.closed = 0

    def open(self, run):
        self.runs.append(run)
        return self

    def log(self, step, numbers):
        self.fails(step)
        self.sent.append((self.runs[-1].id, step, dict(numbers)))

    def close(self):
        self.closed += 1

    @property
    def steps(self):
        return [step for _, step, _ in self.sent]


@pytest.fixture
def memory():
    """The logger "memory"."""
    found = Memory()
    wholenet.register(Logger("memory", found.open))
    yield found
    LOGGERS.remove("memory")


@pytest.fixture
def other():
    """A second one, "other"."""
    found = Memory()
    wholenet.register(Logger("other", found.open))
    yield found
    LOGGERS.remove("other")


@pytest.fixture
def folder(tmp_path):
    """Of a run with a control, called "first"."""
    shutil.copytree(FIXTURES / "single-stage", tmp_path / "first")
    return RunFolder(tmp_path / "first")


def several(count):
    return [{"epoch": epoch, "loss": 1.0 / (epoch + 1)} for epoch in range(count)]


def test_a_log_has_every_number_of_every_record_and_costs_not_a_bit(memory, discs, tmp_path):
    wholenet.fit(discs, tmp_path / "plain", **SMALL)
    wholenet.fit(discs, tmp_path / "logged", **SMALL, log="memory")
    assert_equal(checkpoint(tmp_path / "plain"), checkpoint(tmp_path / "logged"))
    lines = records(tmp_path / "logged")
    assert memory.sent == [(memory.runs[0].id, line["epoch"] + 1, numbers_of(line)) for line in lines]
    assert {"loss", "miou", "lr", "seconds", "entropy/alpha", "entropy/beta"} <= set(memory.sent[-1][2])
    (about,) = memory.runs
    assert (about.name, about.first_step, memory.closed) == ("logged", 1, 1)
    assert about.settings["lr"] == wholenet.read_run(tmp_path / "logged").config["lr"]


def test_a_run_that_is_killed_and_continued_logs_each_epoch_once(memory, discs, tmp_path, monkeypatch):
    """Killed in the worst places: once the record is written, and once the epoch is logged."""

    class Killed(BaseException):
        """Nothing is done any more."""

    def dies(real, number):
        def call(self, *arguments):
            real(self, *arguments)
            if len(self.run.records()) == number:
                raise Killed

        return call

    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr("wholenet.search.keeper.Keeper.record", dies(wholenet.search.keeper.Keeper.record, 2))
        with pytest.raises(Killed):
            wholenet.fit(discs, out, **SMALL, log="memory")
    assert memory.steps == [1]
    with monkeypatch.context() as patch:
        patch.setattr(Logs, "send", dies(Logs.send, 2))
        with pytest.raises(Killed):
            wholenet.resume(out)
    wholenet.resume(out)
    assert memory.steps == [1, 2, 3]
    assert [run.first_step for run in memory.runs] == [1, 2, 3]
    assert len({run.id for run in memory.runs}) == 1
    wholenet.resume(out)  # of a finished run nothing is missing
    assert len(memory.runs) == 3


def test_one_that_fails_is_told_once_and_gets_what_it_lacks_later(memory, other, folder):
    def full(step):
        if step >= 2:
            raise ConnectionError("no route to host")

    memory.fails = full
    said = []
    with Logs(folder, "memory,other", said.append) as logs:
        for count in (1, 2, 3):
            logs.send(several(count))
    (line,) = said
    assert "memory failed (ConnectionError: no route to host)" in line
    assert f"wholenet fit --resume {folder.path}" in line
    assert (memory.steps, other.steps) == ([1], [1, 2, 3])
    memory.fails = lambda step: None
    with Logs(folder, "memory,other", said.append) as logs:
        logs.send(several(4))
    assert (memory.steps, other.steps) == ([1, 2, 3, 4], [1, 2, 3, 4])
    assert len(said) == 1


def test_one_that_cannot_be_opened_or_closed_stops_nothing(folder):
    def refuse(run):
        raise RuntimeError("not logged in")

    broken = Memory()
    broken.close = lambda: 1 / 0
    said = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(LOGGERS._known, "refuses", Logger("refuses", refuse))
        patch.setitem(LOGGERS._known, "ends-badly", Logger("ends-badly", broken.open))
        with Logs(folder, "refuses,ends-badly", said.append) as logs:
            logs.send(several(2))
    assert broken.steps == [1, 2]
    assert ["refuses failed (RuntimeError: not logged in)" in said[0], "ZeroDivisionError" in said[1]] == [True, True]


def test_a_search_that_goes_back_begins_its_logs_anew(memory, folder):
    with Logs(folder, "memory", print) as logs:
        logs.send(several(4))
        logs.send(several(2))  # what came after is put aside
        logs.send(several(3))
    first, second = memory.runs
    assert first.id != second.id
    assert [step for run, step, _ in memory.sent if run == second.id] == [1, 2, 3]
    assert memory.closed == 2


def test_a_damaged_list_of_what_was_sent_is_told_and_all_is_sent_again(memory, folder):
    for damaged in ("{", "{}", '{"id": "a", "steps": {"memory": "3"}}'):
        (folder.path / "logged.json").write_text(damaged)
        said = []
        with Logs(folder, "memory", said.append) as logs:
            logs.send(several(2))
        assert "logged.json" in said[0]
        assert memory.steps[-2:] == [1, 2]
    assert json.loads((folder.path / "logged.json").read_text())["steps"] == {"memory": 2}


def test_only_the_first_of_several_processes_logs(memory, folder, monkeypatch):
    monkeypatch.setattr(parallel, "is_first", lambda: False)
    with Logs(folder, "memory", print) as logs:
        logs.send(several(2))
    assert not memory.runs


def test_a_control_is_called_after_its_run(memory, folder):
    control = RunFolder(folder.control)
    with Logs(control, "memory", print) as logs:
        logs.send(several(1))
    assert memory.runs[0].name == "first/control"


# ---- what is asked for is there, before anything is trained


def test_what_is_not_there_is_said_before_training(discs, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "trackio", None)  # as if it were not installed
    for words in (["fit", discs, "--epochs", "1"], ["fit", discs, "--minutes", "1"]):
        with pytest.raises(SystemExit):
            main([*map(str, words), "--log", "trackio", "--out", str(tmp_path / "run")])
        said = capsys.readouterr().err
        assert "--log=trackio needs trackio" in said
        assert "`pip install 'wholenet[trackio]'`" in said
    assert not (tmp_path / "run").exists()
    with pytest.raises(ValueError, match="needs trackio"):
        cell_config(data="d", out="o", log="trackio")


@pytest.mark.parametrize(
    ("names", "said"),
    [("mlfow", "unknown logger 'mlfow'"), ("", "unknown logger ''"), ("none,wandb", "keep one of them")],
)
def test_names_that_mean_nothing_are_refused(names, said):
    with pytest.raises(ValueError, match=said):
        loggers(names)


def test_a_run_is_continued_without_a_logger_that_is_gone(discs, tmp_path, monkeypatch):
    found = Memory()
    monkeypatch.setitem(LOGGERS._known, "memory", Logger("memory", found.open))
    wholenet.fit(discs, tmp_path / "run", **{**SMALL, "epochs": 1}, log="memory")
    monkeypatch.delitem(LOGGERS._known, "memory")
    with pytest.raises(ValueError, match="unknown logger 'memory'"):
        wholenet.resume(tmp_path / "run")
    wholenet.resume(tmp_path / "run", log="none")
    assert wholenet.read_run(tmp_path / "run").config["log"] == "none"


# ---- the three, on stand-ins


def module_of(monkeypatch, name, **content):
    made = ModuleType(name)
    vars(made).update(content)
    monkeypatch.setitem(sys.modules, name, made)


@pytest.mark.parametrize("name", ["wandb", "trackio"])
def test_wandb_and_trackio_are_told_the_run_and_its_steps(name, folder, monkeypatch):
    calls = []
    fake = SimpleNamespace(
        log=lambda data, step: calls.append(("log", data, step)), finish=lambda: calls.append(("finish", None))
    )
    module_of(monkeypatch, name, init=lambda **told: calls.append(("init", told)) or fake)
    monkeypatch.delenv(f"{name.upper()}_PROJECT", raising=False)
    with Logs(folder, name, print) as logs:
        logs.send(several(1))
        logs.send(several(2))
    with Logs(folder, name, print) as logs:
        logs.send(several(3))
    kinds = [kind for kind, *_ in calls]
    assert kinds == ["init", "log", "log", "finish", "init", "log", "finish"]
    first, second = (told for kind, told, *_ in calls if kind == "init")
    assert first == second
    assert (first["project"], first["resume"]) == ("wholenet", "allow")
    assert first["name"].startswith("first")
    assert first["config"]["lr"] == folder.config.lr
    assert [call[1:] for call in calls if call[0] == "log"] == [
        ({"loss": 1.0}, 1),
        ({"loss": 0.5}, 2),
        ({"loss": 1.0 / 3}, 3),
    ]


def wandb_of(monkeypatch, mode="online", **content):
    settings = SimpleNamespace(mode=mode)
    module_of(monkeypatch, "wandb", setup=lambda: SimpleNamespace(settings=settings), **content)
    check_wandb.cache_clear()


def test_wandb_without_a_login_is_refused_before_a_run_and_is_never_asked_for_one(discs, tmp_path, monkeypatch):
    """In a terminal wandb asks who is there once it is told the first epoch, and the run waits for the answer."""
    asked = []

    def login(prompt=True, verify=True):
        asked.append((prompt, verify))
        return known

    known = False
    wandb_of(monkeypatch, login=login)
    with pytest.raises(ValueError, match=r"nobody is logged in.*`wandb login`.*WANDB_MODE=offline.*--log none"):
        wholenet.fit(discs, tmp_path / "run", **SMALL, log="wandb")
    assert not (tmp_path / "run").exists()
    with pytest.raises(ValueError, match="nobody is logged in"):
        cell_config(data="d", out="o", log="wandb")
    known = True
    check_loggers("wandb")
    check_loggers("wandb")
    assert asked == 3 * [(False, False)]  # a second look at one that is logged in is none
    # A version that cannot look without asking has its key looked at; what stays on this machine needs none.
    for key in ("k", None):
        wandb_of(monkeypatch, login=lambda verify=True: pytest.fail("asks"), api=SimpleNamespace(api_key=key))
        if key is None:
            with pytest.raises(ValueError, match="nobody is logged in"):
                check_loggers("wandb")
        else:
            check_loggers("wandb")
    wandb_of(monkeypatch, mode="offline", login=login)
    check_loggers("wandb")
    assert len(asked) == 3
    check_wandb.cache_clear()


def test_tensorboard_has_every_step_once(folder):
    """Read back from its files; a process was killed once it had written a step that nobody knows of."""
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with Logs(folder, "tensorboard", print) as logs:
        logs.send(several(2))
        logs._open["tensorboard"].log(3, {"loss": 9.0})
    with Logs(folder, "tensorboard", print) as logs:
        logs.send(several(4))
    found = EventAccumulator(str(folder.path / "tensorboard"))
    found.Reload()
    sent = found.Scalars("loss")
    assert [event.step for event in sent] == [1, 2, 3, 4]
    assert [event.value for event in sent] == pytest.approx([record["loss"] for record in several(4)])


def test_tensorboard_is_told_where_to_write_and_from_which_step(folder, monkeypatch):
    made, written = [], []

    class Writer:
        def __init__(self, **told):
            made.append(told)

        def add_scalar(self, name, value, step):
            written.append((name, value, step))

        def add_text(self, name, text):
            written.append((name, "lr: " in text))

        def flush(self):
            pass

        close = flush

    module_of(monkeypatch, "tensorboard")
    module_of(monkeypatch, "torch.utils.tensorboard", SummaryWriter=Writer)
    for count in (2, 3):
        with Logs(folder, "tensorboard", print) as logs:
            logs.send(several(count))
    place = str(folder.path / "tensorboard")
    assert made == [{"log_dir": place, "purge_step": 1}, {"log_dir": place, "purge_step": 3}]
    assert written == [("settings", True), ("loss", 1.0, 1), ("loss", 0.5, 2), ("loss", 1.0 / 3, 3)]
