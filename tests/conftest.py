"""One torch thread: on shared cores two can wait for each other for seconds."""

from pathlib import Path

import pytest
import torch

torch.set_num_threads(1)

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture
def camvid() -> Path:
    folder = SHARED_DATA / "camvid"
    if not folder.is_dir():
        pytest.skip(f"CamVid is not at {folder}")
    return folder
