"""No source can run what it reads: nothing unpickles, imports by a name from a file, or evaluates text.

And no source speaks to the network.
"""

import ast
from pathlib import Path

import pytest

import wholenet

PACKAGE = Path(wholenet.__file__).parent
FILES = sorted([*PACKAGE.rglob("*.py"), *(PACKAGE.parent / "wholenet_scenes").rglob("*.py")])
SAFE_LOADERS = {"SafeLoader", "CSafeLoader", "_PlainLoader"}
NEVER = {
    *("eval", "exec", "compile", "__import__", "os.system", "os.popen"),
    *(
        f"{module}.{name}"
        for module in ("pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib")
        for name in ("load", "loads", "Unpickler", "open")
    ),
    *("yaml.unsafe_load", "yaml.full_load", "yaml.unsafe_load_all", "yaml.full_load_all"),
    *("torch.jit.load", "torch.hub.load", "torch.package.PackageImporter", "runpy.run_path", "runpy.run_module"),
}
LOADS_ITS_OWN = {("deploy/export.py", "torch.export.load")}
"""What is read there was written a moment before, by the same call."""


NETWORK = {
    *(
        "socket",
        "ssl",
        "http",
        "urllib",
        "ftplib",
        "smtplib",
        "imaplib",
        "poplib",
        "telnetlib",
        "xmlrpc",
        "socketserver",
    ),
    *(
        "requests",
        "httpx",
        "aiohttp",
        "urllib3",
        "websockets",
        "paramiko",
        "boto3",
        "fsspec",
        "huggingface_hub",
        "wandb",
    ),
}
SAYS_WHERE_IT_RUNS = {("search/folder.py", "socket")}
"""The name of the machine, in the file of a lock."""


ONE_PLACE = {"Image.open": "data/opening.py"}
"""What only one file calls, with the formats that it may take: by itself it starts Ghostscript for one."""


def name_of(node: ast.expr) -> str:
    """ "torch.load" of the function in a call."""
    if isinstance(node, ast.Attribute):
        return f"{name_of(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "?"


def keyword(call: ast.Call, name: str) -> object:
    return next((ast.unparse(k.value) for k in call.keywords if k.arg == name), None)


def problems(source: str, where: str = "") -> list[str]:
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module in ("pickle", "marshal", "shelve", "dill", "cloudpickle"):
            found.append(f"from {node.module} import")  # under other names they would not be seen here
        imported = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        imported += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        network = [
            name for name in imported if name.split(".")[0] in NETWORK and (where, name) not in SAYS_WHERE_IT_RUNS
        ]
        found += [f"import {name}" for name in network]
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "socket" and node.attr != "gethostname":
            found.append(f"socket.{node.attr}")
        if not isinstance(node, ast.Call):
            continue
        name = name_of(node.func)
        if name in NEVER or where != ONE_PLACE.get(name, where):
            found.append(name)
        elif name == "torch.load" and keyword(node, "weights_only") != "True":
            found.append("torch.load without weights_only=True")
        elif name == "torch.export.load" and (where, name) not in LOADS_ITS_OWN:
            found.append(name)
        elif name in ("np.load", "numpy.load") and keyword(node, "allow_pickle") not in (None, "False"):
            found.append("np.load with allow_pickle")
        elif name in ("yaml.load", "yaml.load_all"):
            loader = keyword(node, "Loader") or (ast.unparse(node.args[1]) if len(node.args) > 1 else "")
            if str(loader).split(".")[-1] not in SAFE_LOADERS:
                found.append(f"{name} with {loader or 'no loader'}")
        elif keyword(node, "shell") not in (None, "False"):
            found.append(f"{name} with a shell")
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(path.parents[2])))
def test_nothing_that_is_read_can_run(path):
    where = str(path.relative_to(PACKAGE)) if path.is_relative_to(PACKAGE) else path.name
    assert problems(path.read_text(), where) == []


@pytest.mark.parametrize(
    "source",
    [
        "eval(text)",
        "pickle.load(file)",
        "pickle.Unpickler(file).load()",
        "from pickle import loads",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "torch.export.load(path)",
        "np.load(path, allow_pickle=True)",
        "yaml.load(text)",
        "yaml.load(text, yaml.Loader)",
        "yaml.load(text, Loader=yaml.FullLoader)",
        "subprocess.run(text, shell=True)",
        "Image.open(path)",
        "import urllib.request",
        "from http.client import HTTPSConnection",
        "import numpy, requests",
        "socket.create_connection(place)",
    ],
)
def test_what_would_run_it_is_seen(source):
    assert problems(source)


def test_what_is_safe_is_let_pass():
    assert not problems(
        "torch.load(path, weights_only=True)\nnp.load(path)\nyaml.safe_load(text)\nmodel.eval()\nre.compile(text)"
    )
