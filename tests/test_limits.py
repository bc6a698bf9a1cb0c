"""The limits of docs/safety.md: each is as the page says, and what is beyond it is refused."""

import re
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from PIL import Image

from wholenet.data.labelled import MAX_PACKED, MAX_ROWS, check_rows
from wholenet.data.opening import MAX_MEGAPIXELS
from wholenet.data.pictures import read_image
from wholenet.data.sample import DataError
from wholenet.files import TEXT_BYTES, YAML_BYTES, YAML_VALUES, parse_yaml, read_text, read_yaml
from wholenet.spaces.genotype import Genotype
from wholenet.spaces.sizes import MAX_LAYERS
from wholenet.sweeps.plan import MAX_RUNS, read_sweep

PAGE = (Path(__file__).parents[1] / "docs" / "safety.md").read_text()
LIMITS = {
    "text files": {"files.TEXT_BYTES": 4 << 20},
    "outlines": {"data.outlines.ANNOTATION_BYTES": 512 << 20, "data.outlines.MOST_POINTS": 100_000},
    "YAML": {"files.YAML_BYTES": 1 << 20, "files.YAML_VALUES": 100_000},
    "header": {"deploy.model_files.HEADER_BYTES": 16 << 20},
    "genotypes as": {"spaces.genotype_text.TEXT_CHARACTERS": 20_000, "spaces.genotype_text.TEXT_DEPTH": 8},
    "layers": {"spaces.sizes.MAX_LAYERS": 100},
    "classes": {"data.classes.MAX_CLASSES": 254, "deploy.classifier.MAX_CLASSES": 100_000},
    "network of a classifier": {"deploy.classifier.MAX_SIDE": 4096},
    "every number": {},
    "tags of a TIFF": {"data.tiff.MOST_TAGS": 65_535, "data.tiff.MOST_BANDS": 65_535, "data.tiff.MOST_COPIES": 64},
    "an image": {"data.opening.MAX_MEGAPIXELS": 100},
    "a parquet file": {"data.labelled.MAX_ROWS": 20_000_000, "data.labelled.MAX_PACKED": 50},
    "texts to learn": {"data.text.files.MOST_BYTES": 512 << 20, "data.text.vocabulary.MOST_WORDS": 100_000},
    "files of disparity": {"data.stereo.arrays.BYTES_OF_A_NUMBER": 8, "data.stereo.arrays.HEADER_BYTES": 4096},
    "runs of a sweep": {"sweeps.plan.MAX_RUNS": 10_000},
}
"""By how the rows of the page's table begin."""
UNITS = {"MiB": 1 << 20, "GiB": 1 << 30, "million": 10**6}


def test_the_page_says_what_holds():
    rows = re.findall(r"^\| (.+?) \| (.+?) \| .+? \|$", PAGE.split("## Limits")[1].split("\n## ")[0], re.MULTILINE)[1:]
    assert len(rows) == len(LIMITS)
    for begins, values in LIMITS.items():
        ((_, said),) = [row for row in rows if row[0].startswith(begins)]
        told = {
            int(number.replace(" ", "")) * UNITS.get(unit, 1)
            for number, unit in re.findall(r"(\d+(?: \d{3})*)(?: (MiB|GiB|million))?", said)
        }
        for name, value in values.items():
            module, _, constant = name.rpartition(".")
            assert getattr(import_module(f"wholenet.{module}"), constant) == value
            assert value in told, (begins, value, told)


def test_text_and_yaml(tmp_path):
    for limit, read, content in ((TEXT_BYTES, read_text, b" "), (YAML_BYTES, read_yaml, b"#")):
        (tmp_path / "x").write_bytes(content * limit)
        read(tmp_path / "x")
        (tmp_path / "x").write_bytes(content * (limit + 1))
        with pytest.raises(ValueError, match=f"expected at most {limit:,}"):
            read(tmp_path / "x")
    words = "[" + "x," * (YAML_VALUES // 100 - 1) + "x]"
    parse_yaml(f"a: &a {words}\nb: [{'*a,' * 98}]")
    with pytest.raises(ValueError, match=r"it stands for .* values"):
        parse_yaml(f"a: &a {words}\nb: [{'*a,' * 100}]")


def test_layers_of_a_genotype():
    with pytest.raises(ValueError, match="the decoder reads the cell at layer 100"):  # there may be so many
        Genotype(MAX_LAYERS, (), "by hand")
    with pytest.raises(ValueError, match="101 layers; a grid has 1 to 100"):
        Genotype(MAX_LAYERS + 1, (), "by hand")


def test_an_image(tmp_path):
    side = int((MAX_MEGAPIXELS * 1e6) ** 0.5)
    Image.fromarray(np.zeros((side + 1, side), np.uint8)).save(tmp_path / "x.png", compress_level=1)
    with pytest.raises(DataError, match="megapixels; the limit is 100"):
        read_image(tmp_path / "x.png")


def test_a_parquet_file(tmp_path):
    (tmp_path / "x").write_bytes(bytes(1000))

    def declared(rows, size):
        return SimpleNamespace(
            num_rows=rows, num_row_groups=2, row_group=lambda i: SimpleNamespace(total_byte_size=size // 2)
        )

    assert MAX_PACKED * 1000 < 1 << 30
    check_rows(declared(MAX_ROWS, 1 << 30), tmp_path / "x")
    for rows, size in ((MAX_ROWS + 1, 2), (1, (1 << 30) + 2)):
        with pytest.raises(DataError, match="declares"):
            check_rows(declared(rows, size), tmp_path / "x")


def test_runs_of_a_sweep(tmp_path):
    grid = {"seed": list(range(MAX_RUNS // 2 + 1)), "batch": [1, 2]}
    (tmp_path / "s.yaml").write_text(yaml.safe_dump({"data": "scenes", "out": str(tmp_path / "out"), "grid": grid}))
    with pytest.raises(ValueError, match=r"the grid makes 10,002 runs; expected at most 10,000"):
        read_sweep(tmp_path / "s.yaml")


@pytest.mark.parametrize("kind", ["EPS", "PPM", "TGA", "ICO", "PCX", "JPEG2000"])
def test_pictures_of_other_formats_are_refused_whatever_they_are_called(kind, tmp_path):
    """Pillow itself would open them; for one it starts Ghostscript."""
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(tmp_path / "made", format=kind)
    for name in ("x.png", "x.jpg", "x.tif"):
        (tmp_path / name).write_bytes((tmp_path / "made").read_bytes())
        with pytest.raises(DataError, match="of no known format"):
            read_image(tmp_path / name)
