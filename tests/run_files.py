"""What run folders hold, read back to be compared."""

import json

import torch


def records(run):
    """metrics.jsonl."""
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def checkpoint(run):
    """checkpoint.pt: all that the next epoch depends on."""
    return torch.load(run / "checkpoint.pt", weights_only=True)


def assert_equal(first, second):
    """Two checkpoints, to the bit."""
    assert first.keys() == second.keys()
    for key, value in first.items():
        if isinstance(value, dict):
            assert_equal(value, second[key])
        elif isinstance(value, torch.Tensor):
            assert torch.equal(value, second[key]), key
        elif key != "param_groups":
            assert value == second[key], key
