"""A stand-in for timm, of which wholenet uses four functions: two small networks, one without a map at stride 4.

It computes nothing that timm computes; what holds for timm itself is in the tests that skip where it is not installed.
"""

import fnmatch
from types import ModuleType, SimpleNamespace

import torch
from torch import nn

MEAN, STD = (0.5, 0.4, 0.3), (0.5, 0.25, 0.2)
CHANNELS = {"small_net": {2: [4], 4: [6], 8: [5], 16: [7, 9], 32: [10]}, "flat_net": {16: [4, 4, 4]}}
"""By network: stride -> channels of its maps, in order."""
TAGS = {"small_net": "a_in1k"}


class NormAct(nn.BatchNorm2d):
    """BatchNorm with an activation inside, as timm's BatchNormAct2d is."""

    def forward(self, x):
        return super().forward(x).relu()


class Network(nn.Module):
    def __init__(self, name, num_classes=3):
        super().__init__()
        self.stages, self.info, before, stride = nn.ModuleDict(), [], 3, 1
        for reduction, maps in CHANNELS[name].items():
            for i, channels in enumerate(maps):
                step = reduction // stride
                conv = nn.Conv2d(before, channels, max(3, step), step, max(3, step) // 2 if step < 3 else 0, bias=False)
                self.stages[f"{reduction}_{i}"] = nn.Sequential(conv, NormAct(channels))
                self.info.append((reduction, channels))
                before, stride = channels, reduction
        self.classifier = nn.Linear(before, num_classes) if num_classes else nn.Identity()

    def forward(self, x):
        maps = []
        for stage in self.stages.values():
            x = stage(x)
            maps.append(x)
        return maps

    @property
    def feature_info(self):
        return SimpleNamespace(reduction=lambda: [r for r, _ in self.info], channels=lambda: [c for _, c in self.info])


def create_model(name, pretrained=False, features_only=False, num_classes=3, pretrained_cfg_overlay=None):
    net = Network(name, 0 if features_only else num_classes)
    if pretrained:
        net.load_state_dict(pretrained_cfg_overlay["state_dict"], strict=False)
    return net


def list_models(pattern="*", pretrained=False):
    names = [f"{name}.{tag}" for name, tag in TAGS.items()] if pretrained else list(CHANNELS)
    return [name for name in names if fnmatch.fnmatch(name, pattern)]


def get_pretrained_cfg(name):
    name, _, tag = name.partition(".")
    if name not in TAGS:
        return None
    if tag not in ("", TAGS[name]):
        raise RuntimeError(f"Invalid pretrained tag ({tag}) for {name}.")
    facts = {"hf_hub_id": f"fake/{name}", "mean": MEAN, "std": STD, "license": "cc-by-nc-4.0", "tag": TAGS[name]}
    return SimpleNamespace(**facts)


def module():
    """It, to be put into sys.modules."""
    fake = ModuleType("timm")
    for function in (create_model, list_models, get_pretrained_cfg):
        setattr(fake, function.__name__, function)
    fake.__version__ = "0.0.fake"
    return fake


def weights(name="small_net", seed=1):
    """Trained, as it were: the whole network's state, whose statistics are not those of a start."""
    torch.manual_seed(seed)
    net = Network(name).train()
    for _ in range(3):
        net(2 * torch.randn(4, 3, 64, 64) + 1)
    return {key: value.contiguous() for key, value in net.state_dict().items()}
