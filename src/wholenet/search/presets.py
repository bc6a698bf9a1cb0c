"""Settings that go together, by name: ``wholenet fit DATA --preset NAME``. Imports no torch.

What is given by hand, typed or in a file, comes on top.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

PRESETS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        # The defaults of FitConfig are the seed paper's (Sec. 4.1), but for the architecture's update.
        "paper": {"arch_update": "alternating"},
        # The built-in street scenes on a CPU: a minute of training, and as long for the frozen-uniform control.
        "demo": {
            "size": "nano",
            "epochs": 6,
            "batch": 8,
            "crop": "96x128",
            "scale_min": 0.6,
            "scale_max": 1.2,
            "lr": 0.1,
            "class_balance": 0.3,
            "control": True,
            "device": "cpu",
            "val_every": 2,
        },
        # CamVid (360x480, 11 classes) from scratch in under 20 minutes on two CPU cores, and as long for its control:
        # docs/recipes.md has what it reached. A crop shows between a sixth and all of an image at half its size; the
        # paper's rate is for 600 epochs of batch 16; a mild balance pays where poles and people are 1 % of the pixels.
        "camvid-cpu": {
            "size": "tiny",
            "epochs": 32,
            "batch": 8,
            "crop": "176x240",
            "scale_min": 0.5,
            "scale_max": 1.25,
            "zoom": 0.79,
            "lr": 0.1,
            "class_balance": 0.5,
            "arch_update": "alternating",
            "control": True,
            "device": "cpu",
            "threads": 2,
        },
    }
)
