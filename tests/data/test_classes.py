"""Class files: every accepted form, every refusal, and the way to JSON and back."""

import json
from pathlib import Path

import pytest

from wholenet.data.classes import (
    classes_from_dict,
    classes_to_dict,
    default_colors,
    fill_colors,
    format_classes,
    read_classes,
    same_names,
)
from wholenet.data.sample import Classes, DataError


def table_of(tmp_path: Path, content: object) -> Classes:
    path = tmp_path / "classes.json"
    path.write_text(json.dumps(content))
    return read_classes(path)


def test_the_long_form_is_read_in_full(tmp_path):
    content = {
        "ignore_index": [11, 12],
        "ignore_color": [0, 0, 0],
        "classes": [{"id": 3, "name": "sky", "color": [1, 2, 3]}, {"id": 5, "name": "road", "color": [4, 5, 6]}],
    }
    expected = Classes(("sky", "road"), ((1, 2, 3), (4, 5, 6)), (3, 5), (11, 12, 255), ((0, 0, 0),))
    assert table_of(tmp_path, content) == expected


@pytest.mark.parametrize(
    "content",
    [
        ["sky", "road"],
        {"0": "sky", "1": "road"},
        {"1": "road", "0": "sky"},
        {"classes": ["sky", "road"]},
        {"classes": {"0": "sky", "1": "road"}},
        {"classes": [{"name": "sky"}, {"name": "road"}]},
    ],
)
def test_all_short_forms_mean_the_same(tmp_path, content):
    assert table_of(tmp_path, content) == Classes(("sky", "road"), default_colors(2))


@pytest.mark.parametrize("suffix", [".yaml", ".yml"])
def test_yaml_is_read_too(tmp_path, suffix):
    path = tmp_path / f"classes{suffix}"
    path.write_text("ignore_index: 0\nclasses:\n  7: road\n  8: sidewalk\n")
    assert read_classes(path) == Classes(("road", "sidewalk"), default_colors(2), (7, 8), (0, 255))


def test_255_is_not_ignored_if_a_class_has_that_id(tmp_path):
    table = table_of(tmp_path, {"ignore_index": 7, "classes": {"0": "no", "255": "yes"}})
    assert table.values == (0, 255)
    assert table.ignore_values == (7,)


def test_a_class_of_id_255_and_no_word_on_ignoring_is_no_contradiction(tmp_path):
    table = table_of(tmp_path, {"0": "no", "255": "yes"})
    assert (table.values, table.ignore_values) == ((0, 255), ())


def test_colors_left_out_differ_from_those_given(tmp_path):
    taken = default_colors(1)[0]
    table = table_of(tmp_path, {"classes": [{"name": "a"}, {"name": "b", "color": list(taken)}, {"name": "c"}]})
    assert table.colors[1] == taken
    assert len(set(table.colors)) == 3


@pytest.mark.parametrize(
    ("content", "facts"),
    [
        ([{"id": 4, "name": "a"}, {"id": 4, "name": "b"}], ["id 4", "more than one class"]),
        (["a", "a"], ["name 'a'", "more than one class"]),
        ([{"name": "a", "color": [1, 1, 1]}, {"name": "b", "color": [1, 1, 1]}], ["color (1, 1, 1)"]),
        ({"65536": "a", "1": "b"}, ["0..65535", "65536"]),
        ([{"id": -1, "name": "a"}, {"id": 1, "name": "b"}], ["0..65535", "-1"]),
        ([{"id": 1.5, "name": "a"}, {"id": 1, "name": "b"}], ["whole number", "1.5"]),
        ([{"id": True, "name": "a"}, {"id": 0, "name": "b"}], ["whole number", "True"]),
        (["a"], ["2 to 254", "found 1"]),
        ([], ["found 0"]),
        ([f"c{i}" for i in range(255)], ["2 to 254", "found 255"]),
        ({"ignore_index": 1, "classes": ["a", "b"]}, ['"b"', "id 1", "ignore"]),
        ({"ignore_index": 255, "classes": {"0": "a", "255": "b"}}, ['"b"', "id 255", "ignore"]),
        (
            {"ignore_color": [9, 9, 9], "classes": [{"name": "a", "color": [9, 9, 9]}, "b"]},
            ['"a"', "color (9, 9, 9)", "ignore"],
        ),
        ({"ignore_color": [9, 9], "classes": ["a", "b"]}, ["three whole numbers", "[9, 9]"]),
        ([{"name": "a", "color": [0, 0, 256]}, "b"], ["0..255", "[0, 0, 256]"]),
        ([{"name": "a", "color": None}, "b"], ["three whole numbers", "None"]),
        ({"ignore_colors": 3, "classes": ["a", "b"]}, ["ignore_colors", "3"]),
        ([{"id": 0}, "b"], ["name must be text", "None"]),
        (["a", "  "], ["name must be text"]),
        (["a", "b\x1b[2J"], ["none of them for control", "\\x1b"]),
        (["a", "b\u202e"], ["none of them for control", "\\u202e"]),
        ([{"name": "a", "colour": [0, 0, 0]}, "b"], ["unknown key 'colour'", "id, name, color"]),
        ({"ignore": 3, "classes": ["a", "b"]}, ["unknown key 'ignore'", "ignore_index"]),
        ({"sky": "blue", "1": "b"}, ["whole number", "'sky'"]),
        (3, ["list of classes", "found 3"]),
        ({"classes": None}, ["list of classes", "found None"]),
    ],
)
def test_a_bad_table_is_refused_with_its_file_and_the_accepted_forms(tmp_path, content, facts):
    with pytest.raises(DataError) as error:
        table_of(tmp_path, content)
    for fact in [str(tmp_path / "classes.json"), "Accepted forms", *facts]:
        assert fact in str(error.value)


@pytest.mark.parametrize(
    ("name", "text", "fact"),
    [
        ("classes.json", '{"0": "a", "0": "b"}', "'0' is written more than once"),
        ("classes.yaml", "0: a\n0: b\n", "0 is written more than once"),
        ("classes.json", '["a", ', "cannot be read"),
        ("classes.yaml", "a: [", "cannot be read"),
        ("classes.yaml", "- yes\n- b\n", "quote"),
        ("classes.yaml", "", "found None"),
        ("classes.yaml", "!!python/object:os.system {}", "cannot be read"),
    ],
)
def test_broken_files_are_refused_by_name(tmp_path, name, text, fact):
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match="classes") as error:
        read_classes(tmp_path / name)
    assert str(tmp_path / name) in str(error.value)
    assert fact in str(error.value)


def test_a_missing_file_is_refused_by_name(tmp_path):
    with pytest.raises(DataError, match=r"none\.json"):
        read_classes(tmp_path / "none.json")


@pytest.mark.parametrize(
    "table",
    [
        Classes(("a", "b"), ((0, 0, 0), (255, 255, 255)), (0, 255), ()),
        Classes(("a", "b"), ((1, 1, 1), (1, 1, 1)), (9, 3), (11,), ((5, 5, 5), (6, 6, 6))),
        Classes(("ä",), ((1, 2, 3),)),
    ],
)
def test_every_table_survives_json_exactly(table):
    assert classes_from_dict(json.loads(json.dumps(classes_to_dict(table)))) == table


def test_a_saved_table_is_a_class_file(tmp_path):
    table = Classes(("a", "b"), ((1, 2, 3), (4, 5, 6)), (9, 3), (11, 255), ((5, 5, 5),))
    assert table_of(tmp_path, classes_to_dict(table)) == table


def test_the_printed_table_is_a_class_file(tmp_path):
    table = Classes(('say "a"', "b"), ((1, 2, 3), (4, 5, 6)), (9, 3), (11, 255))
    (tmp_path / "classes.json").write_text(format_classes(table))
    assert read_classes(tmp_path / "classes.json") == table


def test_default_colors_are_distinct_never_gray_and_do_not_depend_on_their_number():
    colors = default_colors(254)
    assert len(set(colors)) == 254
    assert all(len(set(color)) > 1 for color in colors)
    assert default_colors(5) == colors[:5]


def test_filling_keeps_what_is_given_and_avoids_what_is_taken():
    first, second, third = default_colors(3)
    assert fill_colors([None, second], taken=[first]) == (third, second)


def test_tables_that_name_other_classes_are_told_apart():
    ab, ba = Classes(("a", "b"), default_colors(2)), Classes(("b", "a"), default_colors(2))
    same_names(ab, Classes(("a", "b"), ba.colors, (3, 4)), "x")
    with pytest.raises(DataError, match=r'x are not .* class 0 is "b" there, "a" was expected'):
        same_names(ba, ab, "x")
    with pytest.raises(DataError, match="3 classes there, 2 expected"):
        same_names(Classes(("a", "b", "c"), default_colors(3)), ab, "x")
