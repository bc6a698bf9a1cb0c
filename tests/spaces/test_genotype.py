"""The genotype as a value and as a text file: what goes in comes out, and what is no genotype is named."""

import pytest
import torch
import yaml

from wholenet.architecture import masked_softmax
from wholenet.spaces.catalog import create_model
from wholenet.spaces.decoding import DECODINGS, decode
from wholenet.spaces.genotype import (
    DiscreteCell,
    Genotype,
    genotype_from_dict,
    genotype_from_weights,
    read_genotype,
    write_genotype,
)
from wholenet.spaces.links import LEVELS, STRIDES, masks


def random_weights(seed=0, layers=3, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    return {
        name: masked_softmax(scale * torch.randn(mask.shape, generator=generator), mask)
        for name, mask in masks(layers).items()
    }


def straight(layers=2):
    """Every stride reads itself alone."""
    cells = (DiscreteCell(layer, s, "conv_3x3", {s: 1.0}) for layer in range(1, layers + 1) for s in STRIDES)
    return Genotype(layers, tuple(cells))


def changed(tmp_path, change):
    """The file of ``straight``, after ``change`` was made to its content."""
    content = straight().to_dict()
    change(content)
    path = tmp_path / "genotype.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(yaml.dump(_plain(content)))))
    return path


def _plain(value):
    if isinstance(value, dict):
        return {key: _plain(v) for key, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, list | tuple) else value


@pytest.mark.parametrize("decoding", DECODINGS)
@pytest.mark.parametrize("scale", [1.0, 20.0])
@pytest.mark.parametrize("seed", range(3))
def test_a_genotype_that_was_written_is_read_back_equal(decoding, scale, seed, tmp_path):
    genotype = decode(random_weights(seed, scale=scale), decoding, 0.0)
    write_genotype(genotype, tmp_path / "genotype.yaml")
    assert read_genotype(tmp_path / "genotype.yaml", layers=3) == genotype
    assert genotype_from_dict(genotype.to_dict()) == genotype


def test_the_file_is_small_and_has_a_line_per_cell(tmp_path):
    genotype = decode(random_weights(layers=14), "threshold", 0.0)
    write_genotype(genotype, tmp_path / "genotype.yaml")
    lines = (tmp_path / "genotype.yaml").read_text().splitlines()
    assert sum(line.startswith("- {layer: ") for line in lines) == len(genotype.cells) == 14 * LEVELS
    assert len(lines) <= len(genotype.cells) + 10
    assert max(map(len, lines)) <= 120
    assert not any("!" in line for line in lines)


def test_a_genotype_gives_the_weights_it_was_made_of():
    weights = decode(random_weights(), "threshold", 0.0).weights()
    assert genotype_from_weights(weights, "again").weights().keys() == weights.keys()
    for name, w in genotype_from_weights(weights, "again").weights().items():
        assert torch.equal(w, weights[name])


def test_two_operations_in_a_cell_are_no_genotype():
    with pytest.raises(ValueError, match=r"layer 1, stride 4 has 2 operations; .* decode the architecture first"):
        genotype_from_weights(random_weights(), "none")


def test_a_genotype_says_how_much_is_left():
    assert str(straight(3)) == "12 of 12 cells, 12 of 30 edges (by hand)"


def test_the_number_of_layers_has_to_be_that_of_the_size_asked_for(tmp_path):
    write_genotype(straight(2), tmp_path / "genotype.yaml")
    assert read_genotype(tmp_path / "genotype.yaml").layers == 2
    with pytest.raises(ValueError, match=r"genotype of 2 layers, but the size asked for has 3; give the --size"):
        read_genotype(tmp_path / "genotype.yaml", layers=3)
    with pytest.raises(ValueError, match=r"has 2 layers, grid-nano has 3"):
        create_model("grid-nano", num_classes=2, genotype=straight(2))


def set_in_first_cell(**values):
    return lambda content: content["cells"][0].update(values)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda c: c.update(space="darts"), "genotype of the space 'darts'; expected one of 'grid'"),
        (lambda c: c.update(format=2), "genotype format 2; this wholenet reads format 1"),
        (lambda c: c.pop("format"), "genotype format None"),
        (lambda c: c.pop("cells"), "no genotype"),
        (lambda c: c.pop("layers"), "has layers: None; expected a whole number"),
        (lambda c: c.update(layers=0), "0 layers; a grid has 1 to 100"),
        (lambda c: c.update(layers=-3), "-3 layers"),
        (lambda c: c.update(layers=1), "layer 2, stride 4 lies off the grid of 1 layers"),
        (lambda c: c.update(kernels=[3, 7]), r"chooses among kernels \(3, 7\); the grid space has \(3, 5\)"),
        (lambda c: c.update(cells=None), "a line of the genotype is not .*: cells is None$"),
        (lambda c: c.update(cells=[5]), "a line of the genotype is not .*: it is 5$"),
        (lambda c: c["cells"][0].pop("inputs"), "a line of the genotype is not .*: it has no 'inputs'$"),
        (set_in_first_cell(inputs=None), "a line of the genotype is not .*: its inputs are None$"),
        (set_in_first_cell(inputs=[4]), r"a line of the genotype is not .*: its inputs are \[4\]$"),
        (lambda c: c.update(kernels=None), "chooses among kernels None; the grid space has"),
        (lambda c: c.pop("kernels") and c.update(operations=["x" * 5000]), r"the genotype chooses among x{1,400}$"),
        (
            lambda c: c.update(operations=["conv_3x3", "conv_5x5"]),
            "has 'kernels'; expected .*, and of the last two one$",
        ),
        (lambda c: c.update(decodng="x"), "the genotype has 'decodng'; expected format, "),
        (lambda c: c.update(decoding="\x1b[2J"), r"decoding is '\\x1b\[2J'; expected a text of up to 100 characters"),
        (set_in_first_cell(inputs={4: True}), "has an input of weight True; expected a number above 0"),
        (set_in_first_cell(operation="conv_3x3"), "a line of the genotype is not .*: it has 'kernel'$"),
        (set_in_first_cell(inputs={"four": 1.0}), "a cell of the genotype has stride: 'four'; expected a whole number"),
        (set_in_first_cell(inputs={4: "much"}), "has an input of weight 'much'; expected a number"),
        (set_in_first_cell(inputs={4: "1" * 5000}), r"has an input of weight .{,200}; expected a number|weight inf"),
        (set_in_first_cell(layer=1.5), "has layer: 1.5; expected a whole number"),
        (set_in_first_cell(kernel=True), "has kernel: True; expected a whole number"),
        (
            set_in_first_cell(kernel=7),
            "stride 4 has the operation 'conv_7x7'; the genotype chooses among conv_3x3, conv_5x5",
        ),
        (set_in_first_cell(stride=6), r"stride 6 lies off the grid"),
        (set_in_first_cell(inputs={16: 1.0}), "layer 1, stride 4 reads from stride 16; .* its neighbours alone"),
        (set_in_first_cell(inputs={5: 1.0}), "reads from stride 5; .* its neighbours alone"),
        (set_in_first_cell(inputs={4: 0.0}), "stride 4 with weight 0.0; expected a number above 0"),
        (set_in_first_cell(inputs={4: -1.0}), "weight -1.0; expected a number above 0"),
        (set_in_first_cell(inputs={4: float("nan")}), "weight nan; expected"),
        (set_in_first_cell(inputs={4: float("inf")}), "weight inf; expected"),
        (set_in_first_cell(inputs={}), "layer 1, stride 4 reads from nowhere"),
        (lambda c: c.update(layers=2.5), "layers: 2.5; expected a whole number"),
        (lambda c: c["cells"].append(c["cells"][0]), "layer 1, stride 4 is there twice"),
        (lambda c: c["cells"].pop(0), "layer 2, stride 4 reads the cell at layer 1, stride 4, which is not there"),
        (lambda c: c["cells"].pop(), "the decoder reads the cell at layer 2, stride 32, which is not there"),
        (lambda c: c.update(cells=[]), "the decoder reads the cell at layer 2, stride 4, which is not there"),
    ],
)
def test_what_is_no_network_of_the_grid_is_refused_with_the_file_and_the_place(change, expected, tmp_path):
    path = changed(tmp_path, change)
    with pytest.raises(ValueError, match=expected) as refused:
        read_genotype(path)
    assert str(path) in str(refused.value)


@pytest.mark.parametrize("text", ["", "- 1\n- 2\n", "just words", "42", "a: [", "\t- x: {", "a: b: c"])
def test_a_file_that_holds_something_else_is_refused(text, tmp_path):
    (tmp_path / "genotype.yaml").write_text(text)
    with pytest.raises(ValueError, match=r"genotype\.yaml.*genotype"):
        read_genotype(tmp_path / "genotype.yaml")


def test_a_genotype_file_that_was_cut_short_is_refused(tmp_path):
    path = tmp_path / "genotype.yaml"
    write_genotype(straight(), path)
    text = path.read_text()
    for end in range(len(text) - 1):  # without the last line's end it is whole
        path.write_text(text[:end])
        with pytest.raises(ValueError, match=str(path)):
            read_genotype(path, straight().layers)


def test_a_file_that_is_not_there_or_no_text_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"nothing\.yaml cannot be read as a genotype"):
        read_genotype(tmp_path / "nothing.yaml")
    with pytest.raises(ValueError, match="cannot be read as a genotype"):
        read_genotype(tmp_path)
    (tmp_path / "picture.yaml").write_bytes(b"\x89PNG\xff\xfe\x00")
    with pytest.raises(ValueError, match=r"picture\.yaml cannot be read as a genotype"):
        read_genotype(tmp_path / "picture.yaml")
