"""Searches that are over in half a second."""

from functools import partial

import pytest

from wholenet.search.cell_config import cell_config


def small_config(out, method="darts", **given):
    """The config of a small search: a step an epoch."""
    options = {
        "space": "s2",
        "gradient": "first-order",
        "channels": 4,
        "cells": 3,
        "epochs": 2,
        "batch": 12,
        "images": 24,
        "shift": 1,
        "eigenvalue_every": 0,
        "eigenvalue_tolerance": 0.5,
        "device": "cpu",
    }
    if "stopping" in given:  # it says what it looks at
        options.pop("eigenvalue_every")
    return cell_config(method, **{**options, "out": str(out), **given})


@pytest.fixture(scope="session")
def small_of(patches):
    """Makes configs of small searches on these, of their folder and method."""
    return partial(small_config, data=str(patches))


@pytest.fixture
def small(small_of, tmp_path):
    """Makes them for a folder of the test's own."""

    def make(method="darts", out=tmp_path / "run", **given):
        return small_of(out, method, **given)

    return make
