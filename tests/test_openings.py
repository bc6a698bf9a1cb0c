"""Every place in the source that opens a file for reading, and through what: docs/safety.md has what each refuses.

A new opening turns this red. Let it go through ``files.py`` (text, JSON, YAML) or ``data/opening.py`` (pictures), or
list it here with the reason why what it opens can do no harm.
"""

import ast
from collections import defaultdict
from pathlib import Path

import pytest

import wholenet

PACKAGE = Path(wholenet.__file__).parent
OPENINGS = {
    *("open", "fdopen", "read_text", "read_bytes", "mmap", "memmap", "fromfile", "loadtxt", "genfromtxt", "load"),
    *("load_file", "safe_open", "imread", "imreadmulti", "VideoCapture", "InferenceSession", "loadmat", "whosmat"),
    *(
        "read_table",
        "read_metadata",
        "read_schema",
        "ParquetFile",
        "ParquetDataset",
        "dataset",
        "from_file",
        "read_csv",
    ),
    *("TiffFile", "TiffSequence", "memmap", "imdecode"),
    *("ZipFile", "TarFile", "FileInput", "copyfileobj", "File", "full_load", "safe_load", "load_all", "safe_load_all"),
}
"""Names of what opens files, in Python and in the libraries that are used, or could be."""
ALLOWED = {
    # The readers: regular files alone, of bounded size.
    "files.py": {
        "path.read_bytes": "read_bytes, the one for text, JSON, YAML and records",
        "path.open": "read_start, the first bytes of a regular file",
        "yaml.load": "parse_yaml, of a text",
        "os.open": "a folder, to sync it",
    },
    "data/opening.py": {
        "Image.open": "the one for pictures: formats, sizes and depths are checked",
        "picture.load": "likewise",
        "Path.open": "64 bytes of what that refused",
    },
    "data/bands.py": {
        "Path.open": "a TIFF whose tags were read within bounds",
        "tifffile.TiffFile": "likewise; page by page, which opens no other file",
        "cv2.imdecode": "a PNG that Pillow has decoded before",
    },
    "planning/timing.py": {"open": "/proc of the system: how much memory is free, and to count the peak anew"},
    # Binary files of others, each with a check of its own (tests/deploy/test_untrusted_files.py).
    "data/labelled.py": {
        "file.read_bytes": "CIFAR's binary files, found as regular files; their size is compared with the format",
        "reader.read_metadata": "parquet: rows and unpacked size, before they are read",
        "reader.read_table": "parquet, after that",
        "reader.loadmat": "SVHN's files, by SciPy; two variables",
    },
    "data/stereo/arrays.py": {
        "zipfile.ZipFile": "a .npz of bounded size that was read before; nothing is unpacked to disk",
        "archive.open": "its one array, of which no more is read than an image of the largest size has",
    },
    "data/tables.py": {"reader.ParquetFile": "parquet: its schema and sizes, which check_rows compares; empty masks"},
    "data/pieces.py": {"reader.ParquetFile": "parquet, after that: one column of a group of rows"},
    "data/labelled_count.py": {"reader.read_metadata": "parquet: how many rows it declares, for people to read"},
    "deploy/model_files.py": {
        "file.open": "the header of model.safetensors, a regular file, with a limit",
        "load_file": "safetensors, after its header was compared with the network",
    },
    "deploy/onnx_check.py": {"path.open": "ONNX, before onnxruntime may see it", "mmap.mmap": "likewise"},
    "deploy/onnx_model.py": {"runtime.InferenceSession": "ONNX, after check_onnx"},
    "deploy/export_labels.py": {
        "runtime.InferenceSession": "the file that was just written",
        "load": "likewise",
    },
    "deploy/export_stereo.py": {"runtime.InferenceSession": "the file that was just written"},
    "deploy/video.py": {"path.open": "16 bytes: is it a video itself?", "cv2.VideoCapture": "videos, after that"},
    "search/checkpoint.py": {
        "path.read_bytes": "a checkpoint, compared with its checksum",
        "torch.load": "with weights_only, after that",
        "partial.open": "what was just written, to compare it",
    },
    # Code that is installed, or that the user's own code registered: what that opens is its own affair.
    "plugins.py": {"point.load": "a module or function that an installed package names in its entry points"},
    "data/sets.py": {"known.open": "a data set, by the function that was registered for it"},
    "search/logs.py": {"logger.open": "a log, by the function that was registered for it"},
    # What this very program wrote: a run's own records, logs of its processes, an export of a moment ago.
    "search/folder.py": {
        "holder.read_text": "who trains here",
    },
    "studies/processes.py": {
        "mark.read_text": "why a run diverged",
        "log.read_bytes": "the log of a run",
        "path.read_text": "likewise",
    },
    "benchmarks/shrunk.py": {"onnx.load": "the file that was just written", "runtime.InferenceSession": "likewise"},
    "deploy/export.py": {"torch.export.load": "the file that was just written", "load": "likewise"},
}
"""By file: what it calls, and what that opens."""


def called(node):
    """ "Path.open" of ``Path(name).open``; "path.read_text" of ``(folder / name).read_text`` where that is no name."""
    if isinstance(node, ast.Attribute):
        return f"{called(node.value)}.{node.attr}"
    if isinstance(node, ast.Call):
        return called(node.func)
    return node.id if isinstance(node, ast.Name) else "?"


def writes(call):
    """Whether it opens for writing alone."""
    given = [k.value for k in call.keywords if k.arg == "mode"] + call.args
    return any(isinstance(a, ast.Constant) and isinstance(a.value, str) and a.value[:1] in "wax" for a in given[:2])


def openings(source):
    """Calls that open files to read, but for functions of this package, which are looked at where they are."""
    tree = ast.parse(source)
    own = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("wholenet"):
            own |= {alias.asname or alias.name for alias in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = called(node.func)
            if name.split(".")[-1] in OPENINGS and name not in own and not (name.endswith("open") and writes(node)):
                yield name


def test_every_opening_of_a_file_is_known():
    found = defaultdict(set)
    for package in (PACKAGE, PACKAGE.parent / "wholenet_scenes"):
        for path in package.rglob("*.py"):
            if not path.name.startswith("triton_"):  # tl.load is of a GPU's memory
                for name in openings(path.read_text()):
                    found[path.relative_to(package).as_posix()].add(name)
    assert found == {file: set(readers) for file, readers in ALLOWED.items()}


@pytest.mark.parametrize(
    "source",
    [
        "open(path)",
        "open(path, 'rb')",
        "Path(name).open()",
        "path.open(mode='r')",
        "(folder / 'a').read_text()",
        "json.load(file)",
        "np.load(path)",
        "from numpy import load\nload(path)",
        "Image.open(path)",
        "cv2.imread(str(path))",
        "cv2.VideoCapture(name)",
        "torch.load(path, weights_only=True)",
        "safetensors.torch.load_file(path)",
        "with safe_open(path, 'pt') as file: pass",
        "pq.ParquetFile(path)",
        "scipy.io.loadmat(path)",
        "onnx.load(path)",
        "onnxruntime.InferenceSession(path)",
        "yaml.safe_load(text)",
    ],
)
def test_what_opens_a_file_is_seen(source):
    assert len(list(openings(source))) == 1


def test_what_writes_or_goes_through_a_reader_is_let_pass():
    source = (
        "from wholenet.files import read_text\nread_text(path)\npath.open('w')\nopen(path, 'ab')\npath.open(mode='x')"
    )
    assert not list(openings(source))
