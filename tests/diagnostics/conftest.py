import pytest
import torch

from wholenet.spaces.catalog import create_model


@pytest.fixture
def model():
    """A nano supernet whose edges are far from uniform, for two classes."""
    torch.manual_seed(0)
    own = create_model("grid-nano", num_classes=2)
    own.arch.logits["beta"].data.normal_()
    return own.eval()
