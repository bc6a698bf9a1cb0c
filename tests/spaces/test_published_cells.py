"""Published genotypes by name, against what is known of their networks; and genotypes as DARTS' code prints them."""

import pytest
import torch

import wholenet.spaces.genotype_text as text_module
from wholenet.spaces.catalog import SPACES
from wholenet.spaces.darts import DartsNet
from wholenet.spaces.darts_genotype import PUBLISHED, check_in_space, read_cell_genotype
from wholenet.spaces.genotype_text import parse_genotype_text

# Parameters of the CIFAR network of 36 channels and 20 cells, without and with auxiliary head: exact where the authors'
# code was run (DARTS, P-DARTS, DOTS), else millions, as others have counted them.
EXACT = [
    ("darts-v1", 10, 3_169_414, 3_645_840),
    ("darts-v2", 10, 3_349_342, 3_825_768),
    ("p-darts", 10, 3_433_798, 3_910_224),
    ("p-darts", 100, 3_485_728, 4_031_364),
    ("dots", 10, 3_526_030, 4_002_456),
    ("dots-cifar100", 100, 4_061_368, 4_607_004),
]
MILLIONS = {"pc-darts": 3.63, "gdas": 3.36}


# What the authors' code has, as it prints it: of PC-DARTS, SmoothDARTS, DrNAS, P-DARTS and GDAS.
PRINTED = {
    "pc-darts": """Genotype(normal=[('sep_conv_3x3', 1), ('skip_connect', 0), ('sep_conv_3x3', 0), ('dil_conv_3x3', 1),
        ('sep_conv_5x5', 0), ('sep_conv_3x3', 1), ('avg_pool_3x3', 0), ('dil_conv_3x3', 1)],
        normal_concat=range(2, 6), reduce=[('sep_conv_5x5', 1), ('max_pool_3x3', 0), ('sep_conv_5x5', 1),
        ('sep_conv_5x5', 2), ('sep_conv_3x3', 0), ('sep_conv_3x3', 3), ('sep_conv_3x3', 1), ('sep_conv_3x3', 2)],
        reduce_concat=range(2, 6))""",
    "pc-darts-imagenet": """Genotype(normal=[('skip_connect', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 0),
        ('skip_connect', 1), ('sep_conv_3x3', 1), ('sep_conv_3x3', 3), ('sep_conv_3x3', 1), ('dil_conv_5x5', 4)],
        normal_concat=range(2, 6), reduce=[('sep_conv_3x3', 0), ('skip_connect', 1), ('dil_conv_5x5', 2),
        ('max_pool_3x3', 1), ('sep_conv_3x3', 2), ('sep_conv_3x3', 1), ('sep_conv_5x5', 0), ('sep_conv_3x3', 3)],
        reduce_concat=range(2, 6))""",
    "sdarts-rs": """Genotype(normal=[('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_5x5', 1), ('skip_connect', 0),
        ('sep_conv_3x3', 3), ('skip_connect', 1), ('sep_conv_3x3', 1), ('dil_conv_3x3', 2)],
        normal_concat=range(2, 6), reduce=[('max_pool_3x3', 0), ('sep_conv_3x3', 1), ('skip_connect', 2),
        ('max_pool_3x3', 0), ('dil_conv_5x5', 3), ('max_pool_3x3', 0), ('sep_conv_3x3', 2), ('sep_conv_5x5', 3)],
        reduce_concat=range(2, 6))""",
    "sdarts-adv": """Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 1),
        ('skip_connect', 0), ('sep_conv_5x5', 0), ('dil_conv_3x3', 3), ('dil_conv_3x3', 4), ('skip_connect', 0)],
        normal_concat=range(2, 6), reduce=[('max_pool_3x3', 0), ('sep_conv_5x5', 1), ('skip_connect', 2),
        ('max_pool_3x3', 0), ('skip_connect', 3), ('skip_connect', 2), ('skip_connect', 2), ('sep_conv_5x5', 4)],
        reduce_concat=range(2, 6))""",
    "drnas": """Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_5x5', 1), ('sep_conv_3x3', 1), ('sep_conv_3x3', 2),
        ('skip_connect', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 2), ('dil_conv_5x5', 3)],
        normal_concat=range(2, 6), reduce=[('max_pool_3x3', 0), ('sep_conv_5x5', 1), ('dil_conv_5x5', 2),
        ('sep_conv_5x5', 1), ('sep_conv_5x5', 1), ('dil_conv_5x5', 3), ('skip_connect', 4), ('sep_conv_5x5', 1)],
        reduce_concat=range(2, 6))""",
    "drnas-imagenet": """Genotype(normal=[('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 0),
        ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('dil_conv_3x3', 3), ('skip_connect', 0), ('sep_conv_3x3', 1)],
        normal_concat=range(2, 6), reduce=[('max_pool_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0),
        ('skip_connect', 2), ('sep_conv_3x3', 0), ('sep_conv_3x3', 2), ('sep_conv_3x3', 3), ('sep_conv_3x3', 1)],
        reduce_concat=range(2, 6))""",
    "p-darts": """Genotype(normal=[('skip_connect', 0), ('dil_conv_3x3', 1), ('skip_connect', 0), ('sep_conv_3x3', 1),
        ('sep_conv_3x3', 1), ('sep_conv_3x3', 3), ('sep_conv_3x3', 0), ('dil_conv_5x5', 4)],
        normal_concat=range(2, 6), reduce=[('avg_pool_3x3', 0), ('sep_conv_5x5', 1), ('sep_conv_3x3', 0),
        ('dil_conv_5x5', 2), ('max_pool_3x3', 0), ('dil_conv_3x3', 1), ('dil_conv_3x3', 1), ('dil_conv_5x5', 3)],
        reduce_concat=range(2, 6))""",
    "gdas": """Genotype(normal=[('skip_connect', 0, 0.1301), ('skip_connect', 1, 0.1294), ('skip_connect', 0, 0.1306),
        ('sep_conv_5x5', 2, 0.1298), ('sep_conv_3x3', 3, 0.1292), ('skip_connect', 0, 0.129),
        ('sep_conv_5x5', 4, 0.1293), ('sep_conv_3x3', 3, 0.1289)], normal_concat=range(2, 6),
        reduce=[('sep_conv_5x5', 0, 0.1286), ('sep_conv_3x3', 1, 0.1278), ('sep_conv_5x5', 2, 0.1272),
        ('sep_conv_5x5', 1, 0.127), ('dil_conv_5x5', 2, 0.1279), ('sep_conv_3x3', 1, 0.1273),
        ('sep_conv_5x5', 0, 0.1283), ('sep_conv_5x5', 1, 0.1275)], reduce_concat=range(2, 6))""",
}
# Those of DARTS and DOTS, normal and reduction cell, from their releases too.
LISTED = {
    "darts-v1": (
        "sep3:1 sep3:0 skip:0 sep3:1 skip:0 sep3:1 sep3:0 skip:2",
        "max:0 max:1 skip:2 max:0 max:0 skip:2 skip:2 avg:0",
    ),
    "darts-v2": (
        "sep3:0 sep3:1 sep3:0 sep3:1 sep3:1 skip:0 skip:0 dil3:2",
        "max:0 max:1 skip:2 max:1 max:0 skip:2 skip:2 max:1",
    ),
    "dots": (
        "skip:0 sep3:1 sep3:0 sep3:1 sep3:0 sep3:1 skip:1 dil3:3",
        "sep3:0 sep3:1 max:0 max:1 max:0 dil5:3 max:0 dil5:4",
    ),
    "dots-cifar100": (
        "sep3:0 sep3:1 skip:0 sep3:1 sep3:1 sep3:3 sep3:1 dil3:4",
        "avg:0 avg:1 sep5:0 sep5:1 sep3:0 dil5:3 sep3:3 dil3:4",
    ),
    "dots-imagenet": (
        "dil5:0 skip:1 skip:0 sep3:1 sep3:0 sep3:1 sep3:0 sep5:1",
        "sep5:0 sep3:1 sep3:0 sep5:1 max:0 dil5:3 sep3:0 max:1",
    ),
}
WORDS = {"sep3": "sep_conv_3x3", "sep5": "sep_conv_5x5", "dil3": "dil_conv_3x3", "dil5": "dil_conv_5x5"}
WORDS |= {"max": "max_pool_3x3", "avg": "avg_pool_3x3", "skip": "skip_connect"}


@pytest.mark.parametrize("name", LISTED)
def test_a_published_genotype_is_what_its_release_lists(name):
    for kind, listed in zip(("normal", "reduce"), LISTED[name], strict=True):
        found = [choice for node in getattr(PUBLISHED[name], kind) for choice in node]
        assert found == [(WORDS[word], int(source)) for word, source in (pair.split(":") for pair in listed.split())]


def test_all_published_genotypes_are_compared():
    assert set(PUBLISHED) == set(PRINTED) | set(LISTED)


@pytest.mark.parametrize("name", PRINTED)
def test_a_published_genotype_is_what_the_authors_code_has(name):
    assert read_cell_genotype(PRINTED[name]) == PUBLISHED[name]


def parameters(name, classes=10, *, auxiliary=False):
    with torch.device("meta"):
        net = DartsNet(PUBLISHED[name].table(), classes, channels=36, cells=20, search=False, auxiliary=auxiliary)
    return sum(parameter.numel() for parameter in net.parameters())


@pytest.mark.parametrize(("name", "classes", "without", "with_it"), EXACT)
def test_a_published_network_has_the_parameters_of_the_authors_code(name, classes, without, with_it):
    assert (parameters(name, classes), parameters(name, classes, auxiliary=True)) == (without, with_it)


@pytest.mark.parametrize("name", MILLIONS)
def test_a_published_network_has_as_many_parameters_as_others_count(name):
    assert parameters(name) / 1e6 == pytest.approx(MILLIONS[name], abs=0.01)


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_genotype_is_of_the_darts_space_with_two_edges_into_each_node(name):
    genotype = PUBLISHED[name]
    check_in_space(genotype, "darts")
    assert all(len(node) == 2 for kind in ("normal", "reduce") for node in getattr(genotype, kind))
    assert sum(map(len, genotype.table().values())) == 16
    assert "none" not in genotype.operations("normal") + genotype.operations("reduce")


def printed(genotype, concat="range(2, 6)"):
    """As DARTS' code prints it."""
    cells = {kind: [choice for node in getattr(genotype, kind) for choice in node] for kind in ("normal", "reduce")}
    return (
        f"Genotype(normal={cells['normal']}, normal_concat={concat}, reduce={cells['reduce']}, reduce_concat={concat})"
    )


@pytest.mark.parametrize("name", PUBLISHED)
def test_what_darts_code_prints_is_read_from_a_file_or_as_it_is(name, tmp_path):
    genotype, file = PUBLISHED[name], tmp_path / "genotype.txt"
    file.write_text(f"# found on 2019-03-04\n11/05 06:07 PM genotype = {printed(genotype, '[2, 3, 4, 5]')}\nepoch 3\n")
    assert read_cell_genotype(file, "darts") == read_cell_genotype(printed(genotype)) == genotype
    assert read_cell_genotype(printed(genotype).replace(", ", ",\n    ")) == genotype


def test_what_robust_darts_code_prints_is_read_noise_included():
    """Of its cells none has a name here."""
    cells = [("noise", 0), ("sep_conv_3x3", 1)] * 4
    text = f"Genotype(normal={cells}, normal_concat=range(2, 6), reduce={cells}, reduce_concat=range(2, 6))"
    found = read_cell_genotype(text, "s4")
    assert found.normal == found.reduce == (tuple(cells[:2]),) * 4
    with pytest.raises(ValueError, match="noise from node 0 to 2, where s2 offers"):
        read_cell_genotype(text, "s2")


GOOD = printed(PUBLISHED["pc-darts"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD.replace("avg_pool_3x3", "average"), r"unknown cell operation 'average'; known: none, max_pool_3x3"),
        (GOOD.replace("('avg_pool_3x3', 0), ", ""), r"normal cell has 7 edges: it is a genotype of another space"),
        (GOOD.replace("range(2, 6)", "[2, 3, 4, 5, 6]"), r"normal_concat is \[2, 3, 4, 5, 6\]: .* another space"),
        (GOOD.replace("range(2, 6)", "range(2, 10**9)"), r"expected range\(2, 6\)"),
        (GOOD.replace("('avg_pool_3x3', 0)", "('avg_pool_3x3', 5)"), r"node 5 reads node 5; it can read 0 to 4"),
        (GOOD.replace("('avg_pool_3x3', 0)", "('avg_pool_3x3', '0')"), r"expected \('operation', source\)"),
        (GOOD.replace("('avg_pool_3x3', 0)", "__import__('os').getcwd()"), r"nothing that would have to be run"),
        (GOOD.replace("normal_concat", "concat"), r"has 'concat'; expected normal, normal_concat, reduce, "),
        (GOOD.replace("reduce=", "normal="), r"has 'normal'; expected .*, each once"),
        ("Genotype(normal=[])", r"no reduce cell"),
        (GOOD[:-1], r"not closed within .* characters: the text was cut short"),
        (GOOD[:-30], r"not closed within"),
        (GOOD + GOOD, r"holds 2 genotypes.*copy the one"),
        ("Genotype(normal=" + "[" * 9, r"more than 8 deep"),
        ("Genotype(normal=[1 2])", r"is no Genotype\(...\) as DARTS' code prints it"),
        ("Genotype(normal=3, reduce=4)", r"normal cell is 3; expected a list"),
    ],
)
def test_other_texts_are_refused(text, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        read_cell_genotype(text)
    file = tmp_path / "genotype.txt"
    file.write_text(text)
    with pytest.raises(ValueError, match=message) as error:
        read_cell_genotype(file)
    assert str(file) in str(error.value)


def test_nothing_in_a_text_is_run(tmp_path):
    made = tmp_path / "made"
    with pytest.raises(ValueError, match="nothing that would have to be run"):
        parse_genotype_text(f"Genotype(normal=[open({str(made)!r}, 'w')], reduce=[])")
    assert not made.exists()
    assert not {"eval", "exec", "compile"} & set(vars(text_module))


def test_a_name_that_is_nearly_one_is_told_and_the_grid_says_whose_they_are():
    with pytest.raises(ValueError, match=r"pcdarts is no published genotype \(did you mean 'pc-darts' or 'p-darts'\?"):
        read_cell_genotype("pcdarts")
    with pytest.raises(ValueError, match="dil_conv_3x3 from node 1 to 3, where s2 offers"):
        read_cell_genotype(GOOD, "s2")
    for name in ("pc-darts", GOOD):
        for space in ("grid", "autodeeplab"):
            with pytest.raises(ValueError, match=rf"of the spaces of cells .*not of '{space}': `wholenet retrain`"):
                SPACES[space].read_genotype(name, None)
