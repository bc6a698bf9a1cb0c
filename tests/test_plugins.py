"""What installed packages register: found without being named, once, and none that is broken stops another."""

import sys
from types import SimpleNamespace

import pytest
import torch

import wholenet
from wholenet import plugins
from wholenet.data.detect import open_data
from wholenet.data.sample import DataError
from wholenet.data.sets import DATA_SETS, DataSet, data_set
from wholenet.registry import UnknownName
from wholenet.spaces.catalog import SPACES, create_model
from wholenet.spaces.grid_space import GRID
from wholenet.spaces.space import Space

REGISTERS = """
import wholenet
from wholenet.data.sets import DataSet

def register():
    wholenet.register(DataSet(name="{name}", open=lambda asked: None))
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Installs a package of one module with an entry point, for one test."""
    before = set(DATA_SETS)
    installed = []
    monkeypatch.setattr(plugins, "_failed", None)
    monkeypatch.syspath_prepend(tmp_path)

    def put(package, code, value, point=None):
        installed.append(package)
        (tmp_path / f"{package}.py").write_text(code)
        info = tmp_path / f"{package}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[wholenet]\n{point or package} = {value}\n")

    yield put
    for name in set(DATA_SETS) - before:
        DATA_SETS.remove(name)
    for package in installed:
        sys.modules.pop(package, None)


def test_a_module_registers_when_it_is_imported_and_a_function_when_it_is_called(install):
    install("one_of_many", REGISTERS.format(name="first") + "register()\n", "one_of_many")
    install("another", REGISTERS.format(name="second"), "another:register")
    for name in ("first", "second", "scenes"):
        assert name in DATA_SETS
    assert not plugins.load_plugins()


def test_nothing_is_imported_before_a_name_is_looked_up_and_then_once(install):
    install("counted", "import builtins\nbuiltins.counted = getattr(builtins, 'counted', 0) + 1\n", "counted")
    assert "grid" in SPACES
    assert "counted" not in sys.modules
    assert data_set("nobody") is None
    module = sys.modules.pop("counted")
    assert data_set("nobody") is None
    assert "counted" not in sys.modules
    sys.modules["counted"] = module


@pytest.mark.parametrize(
    ("code", "value", "why"),
    [
        ("import nothing_of_the_kind", "broken", "ModuleNotFoundError: No module named 'nothing_of_the_kind'"),
        ("raise SystemExit('no licence')", "broken", "SystemExit: no licence"),
        ("", "broken:register", "AttributeError: .*register"),
        ("register = 3", "broken:register", "TypeError: expected a module or a function, found a int"),
        (REGISTERS.format(name="scenes") + "register()", "broken", "ValueError: there is a data set 'scenes' already"),
    ],
)
def test_one_that_fails_is_named_where_its_name_is_missed_and_stops_no_other(install, code, value, why):
    install("broken", code, value)
    install("whole", REGISTERS.format(name="whole") + "register()\n", "whole")
    assert data_set("whole") is not None
    assert len(open_data("scenes").splits) == 3
    told = f"the installed package broken 1.2 registers is not there, because loading {value} failed \\({why}"
    with pytest.raises(DataError, match=f'or the name of a data set: "scenes", "whole"; .*{told}'):
        open_data("nobody")
    with pytest.raises(UnknownName, match=f"unknown space 'nobody'; known: grid, .*; what {told}"):
        SPACES["nobody"]


def test_a_folder_is_not_taken_for_a_data_set_whose_package_is_broken(install, tmp_path, monkeypatch):
    (tmp_path / "lost" / "images").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    install("broken", "1 / 0", "broken", point="lost")
    with pytest.raises(DataError, match=r"^lost: what the installed package broken 1\.2 .*ZeroDivisionError"):
        data_set("lost")
    assert data_set("./lost") is None


def test_the_own_entry_points_are_those_of_the_project():
    import tomllib
    from pathlib import Path

    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    assert project["entry-points"] == {plugins.GROUP: {own.name: own.value for own in plugins.OWN}}


# ---- register


def test_a_space_is_registered_as_a_data_set_is():
    mine = Space(name="mine", settings=GRID.settings, build=GRID.build, variants={"small": GRID.variants["nano"]})
    wholenet.register(mine)
    try:
        assert SPACES["mine"] is mine
        model = create_model("mine-small", num_classes=3)
        assert model(torch.zeros(1, 3, 64, 64)).shape == (1, 3, 64, 64)
    finally:
        SPACES.remove("mine")
    with pytest.raises(ValueError, match="there is a space 'grid' already"):
        wholenet.register(Space(name="grid", settings=GRID.settings, build=GRID.build))


def test_things_of_a_kind_that_nobody_registers_are_refused():
    with pytest.raises(
        TypeError, match=r"a types\.SimpleNamespace cannot be registered; expected a wholenet.data.sets"
    ):
        wholenet.register(SimpleNamespace(name="mine"))


def test_a_thing_of_a_more_special_kind_is_registered_as_what_it_is():
    class Own(DataSet):
        pass

    own = Own(name="own", open=lambda asked: None)
    wholenet.register(own)
    assert DATA_SETS["own"] is own
    DATA_SETS.remove("own")


def test_every_kind_that_can_be_registered_has_its_registry():
    from importlib import import_module

    for kind, (module, name) in plugins.REGISTRIES.items():
        owner, _, cls = kind.rpartition(".")
        assert "name" in getattr(import_module(owner), cls).__dataclass_fields__
        assert getattr(import_module(module), name).kind
