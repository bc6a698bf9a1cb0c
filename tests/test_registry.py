"""Registries: what is asked for is found, or named with what is near; nothing is replaced."""

import pytest

from wholenet.registry import Registry, UnknownName


@pytest.fixture
def methods():
    return Registry("method", {"darts": 1, "pc-darts": 2, "single-stage": 3})


def test_it_is_a_mapping_in_the_order_of_registration(methods):
    methods.add("mine", 4)
    assert dict(methods) == {"darts": 1, "pc-darts": 2, "single-stage": 3, "mine": 4}
    assert "mine" in methods
    assert "yours" not in methods
    assert methods.get("yours") is None
    methods.remove("mine")
    assert len(methods) == 3


def test_a_name_that_is_taken_is_refused_and_the_same_thing_again_is_not(methods):
    thing = object()
    methods.add("mine", thing)
    methods.add("mine", thing)  # a module that is imported twice
    with pytest.raises(ValueError, match=r"there is a method 'mine' already; register yours under another name"):
        methods.add("mine", object())
    assert methods["mine"] is thing


@pytest.mark.parametrize("name", ["", "a b", "../up", "a/b", "a\n"])
def test_names_stand_in_paths_and_on_command_lines(name, methods):
    with pytest.raises(ValueError, match="expected a name of letters"):
        methods.add(name, 0)


def test_an_unknown_name_is_refused_with_the_near_and_the_known(methods):
    with pytest.raises(ValueError, match=r"unknown method 'dart'; did you mean 'darts' .*Known: darts, pc-darts") as e:
        methods["dart"]
    assert isinstance(e.value, UnknownName)
    with pytest.raises(ValueError, match=r"unknown method 'xyz'; known: darts, pc-darts, single-stage"):
        methods["xyz"]
    with pytest.raises(ValueError, match="unknown method"):
        methods[["a", "list"]]


def test_where_nothing_is_registered_that_is_said():
    with pytest.raises(ValueError, match=r"unknown transform 'mine'; known: none$"):
        Registry("transform")["mine"]
