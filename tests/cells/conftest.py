"""Searches that are over in half a second."""

import pytest

from wholenet.search.cell_config import cell_config


@pytest.fixture
def small(patches, tmp_path):
    """Makes configs of small searches on these: a step an epoch."""

    def make(method="darts", **given):
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
        return cell_config(method, **{**options, "data": str(patches), "out": str(tmp_path / "run"), **given})

    return make
