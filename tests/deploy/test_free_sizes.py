"""Two graphs of fixed sizes make one of any size, or none."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

pytest.importorskip("onnxscript")
onnxruntime = pytest.importorskip("onnxruntime")

from wholenet.deploy.export import _traced_twice  # noqa: E402

ABOUT = {"normalization": {"mean": [0, 0, 0]}}
pytestmark = pytest.mark.filterwarnings("ignore")


class Sized(nn.Module):
    """Padding by size, as TensorFlow pads; a resize to a size that no map has yet, and one to a map's."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, stride=2)
        self.down = nn.Conv2d(4, 5, 3, stride=2, padding=1)

    def forward(self, x):
        height, width = x.shape[-2:]
        y = self.conv(F.pad(x, (width % 2, 1, height % 2, 1)))
        small = F.interpolate(y, ((height + 7) // 8, (width + 7) // 8), mode="bilinear")
        whole = small.mean((2, 3), keepdim=True).expand(-1, -1, *y.shape[2:])
        return F.interpolate(self.down(y + whole), (height, width), mode="bilinear")


class Mirrored(nn.Module):
    """What depends on the size is no size of a map."""

    def forward(self, x):
        return F.pad(x, (x.shape[-1] // 3, 0))


def test_sizes_are_read_from_maps(tmp_path):
    torch.manual_seed(0)
    net = Sized().eval()
    program = _traced_twice(net, ABOUT)
    assert program is not None
    program.save(tmp_path / "m.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "m.onnx"), providers=["CPUExecutionProvider"])
    for shape in ((1, 3, 33, 33), (2, 3, 34, 65), (3, 3, 75, 102), (1, 3, 64, 47)):
        x = torch.randn(shape)
        with torch.no_grad():
            expected = net(x).numpy()
        np.testing.assert_allclose(session.run(None, {"images": x.numpy()})[0], expected, atol=1e-5)


def test_what_is_no_size_of_a_map_is_left_to_torch():
    assert _traced_twice(Mirrored(), ABOUT) is None
