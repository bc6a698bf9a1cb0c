"""What a run on images with masks is told beside ``search/train_config.py``.

Imports no torch: the command line reads it.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field

from wholenet.checked import (
    BelowOne,
    Decay,
    Megapixels,
    PredictionZoom,
    Share,
    Side,
    Strength,
    check,
    checked,
)
from wholenet.data.host_moves import needs_host
from wholenet.data.pixels import Bands
from wholenet.files import shown
from wholenet.search.begin_config import BEGIN
from wholenet.search.budget_config import BUDGET, BudgetConfig
from wholenet.search.methods import METHODS, method_called
from wholenet.search.protocols import PROTOCOLS
from wholenet.search.search_config import OF_EVERY_RUN, SearchConfig, with_interval
from wholenet.search.train_config import OF_SEARCH, check_given
from wholenet.spaces.sizes import (
    DECODINGS,
    HEAD,
    OPERATIONS,
    Filters,
    GridHead,
    Layers,
    Size,
    check_head,
    operation_names,
)

Annotations = Literal["fine", "coarse", "both"]
MACHINE = ("device", "workers", "threads", "execution", "recompute", "checkpoint_minutes", "log")
"""Fields that a run may be continued with other values of: where and how it is computed, not what."""
WeightsAnnotations = Literal["fine", "coarse", "both", "both-then-fine"]
Zoom = Annotated[float, Field(ge=0.01, le=100)]
Degrees = Annotated[float, Field(ge=0, le=180)]
Bend = Annotated[float, Field(ge=0, le=100)]
Focus = Annotated[float, Field(ge=0, le=10)]
MaskLossName = Literal["cross-entropy", "dice", "focal", "cross-entropy+dice"]
FOCAL_GAMMA = 2.0
"""That of the paper (Lin et al., 2017, Sec. 4)."""
Noise = Annotated[float, Field(ge=0, le=10)]


def parse_size(text: str) -> tuple[int, int]:
    """ "HEIGHTxWIDTH" -> (height, width).

    Raises:
        ValueError: if the text is not two positive whole numbers joined by an x, or they are too large.

    >>> parse_size("512x1024")
    (512, 1024)
    """
    match = re.fullmatch(r"\s*(\d{1,9})\s*[xX]\s*(\d{1,9})\s*", str(text), re.ASCII)
    if not match or not all(map(int, match.groups())):
        raise ValueError(f"{shown(text)} is not a size; write HEIGHTxWIDTH in pixels, for example 512x1024")
    return check("height", int(match[1]), Side), check("width", int(match[2]), Side)


@checked
class FitConfig(BudgetConfig):
    """A run on segmentation data. :func:`fit_config` makes one of a method."""

    data: str
    """Folder with images and masks, or a data set by name: "scenes", the built-in data."""
    size: Size = "small"
    """Size of the grid supernet; `wholenet info SIZE` says what each costs."""
    filters: Filters | None = None
    """Channels at stride 4, each coarser level twice those of the one before; default: those of the size."""
    layers: Layers | None = None
    """Layers of the grid; default: those of the size."""
    cell: Literal["mixture", "separate"] = "mixture"
    """Operations mixed inside one bottleneck, or a whole bottleneck for each (Eq. 3 to the letter)."""
    activation: Literal["relu", "relu6", "hardswish"] = "hardswish"
    """Activation after each BatchNorm that has one (open)."""
    operations: str = OPERATIONS
    """Candidate operations of each cell, joined by commas: conv_3x3, conv_5x5, conv_7x7, dil_conv_3x3, or one that was
    registered from outside (docs/extending.md)."""
    head: GridHead = HEAD
    """What makes class logits of the grid's four levels: plain adds them up (the paper), skip adds the maps of a
    pretrained stem (ours), dpc has the dense prediction cell."""
    crop: str | None = None
    """HEIGHTxWIDTH trained on; default: the smallest training image, in multiples of 32, at most 512x1024."""
    loss: MaskLossName = "cross-entropy"
    """What is minimised: cross-entropy (the paper), soft Dice over the classes present, focal, or the sum of the first
    two (tasks/losses.py)."""
    focal_gamma: Focus = FOCAL_GAMMA
    """Of the focal loss: how much less pixels count that are right already; 0 is cross-entropy."""
    class_balance: Decay = 0.0
    """Weight classes by frequency**-this in the loss: 0 is plain cross-entropy, as the paper; 1 balances fully."""
    entropy_alpha: Strength = 0.0
    """Magnitude of the entropy penalty on operations (c_alpha of Eq. 4, sum over groups, in nats)."""
    entropy_beta: Strength = 0.0
    """Magnitude of the entropy penalty on edges (c_beta)."""
    entropy_schedule: Literal["constant", "linear"] = "constant"
    """f(t): a step to 1, or linear from 0 at the penalty's start to 1 at the end of the search."""
    entropy_start: Share = 0.15
    """Share of the epochs before the penalty acts."""
    weights_annotations: WeightsAnnotations = "fine"
    """Annotations that the weights learn from; "both-then-fine" takes fine ones alone for the fine-tune phase."""
    arch_annotations: Annotations = "fine"
    """Annotations that the architecture learns from."""
    coarse: Literal["given", "made"] = "given"
    """Coarse annotations come with the data (Cityscapes), or are made from the fine ones (data/coarsen.py)."""
    max_megapixels: Megapixels = 100.0
    """Images and masks that decode to more are refused, before they are decoded."""
    bands: Bands = "auto"
    """How image files become channels: photographs as viewers show them (8-bit RGB) and others band by band; all band
    by band, as stored (grey is one channel, RGBA four); or so with the pages of a TIFF as bands."""
    scale_min: Zoom = 0.5
    """Smallest zoom of the random scaling."""
    scale_max: Zoom = 2.0
    """Largest zoom."""
    flip: Share = 0.5
    """Probability of a left-right flip."""
    flip_vertical: Share = 0.0
    """Probability of an up-down flip, for images that have no up."""
    quarter_turns: bool = False
    """Turn images by 0, 90, 180 or 270 degrees, each as often; on the host."""
    rotate: Degrees = 0.0
    """Largest angle, in degrees, by which images are turned either way; corners that come in are ignored. On the
    host."""
    elastic: Bend = 0.0
    """Elastic deformation: standard deviation, in pixels, of displacements on a 3x3 grid (U-Net, 2015: 10). On the
    host."""
    transform: str | None = None
    """A transform of your own, by the name that it was registered by (docs/extending.md); on the host."""
    jitter: BelowOne = 0.4
    """Strength of brightness, contrast and saturation jitter."""
    noise: Noise = 0.02
    """Standard deviation of the Gaussian noise, images in [0, 1]."""
    recompute: bool = False
    """Keep less than a tenth of the feature maps for the backward pass and compute the others again: the same numbers
    for about 40 % more time."""
    zoom: PredictionZoom = 1.0
    """Zoom at which whole images are seen, in validation and wherever the network predicts: below 1 they are made
    smaller first, and the answer larger again. Which is best depends on the data (docs/results.md)."""
    try_zoom: PredictionZoom | None = None
    """Another zoom, tried once, at the first validation from half of the run on: the one of the two that scores better
    is the network's from there on, of equal ones the smaller (docs/results.md)."""
    augment_on: Literal["auto", "host", "device"] = "auto"
    """Where images are scaled, flipped and coloured; auto is the device if that is a GPU and can do what is asked."""

    @property
    def crop_size(self) -> tuple[int, int]:
        """(height, width) of `crop`, of a run that was begun: it writes into its config what it is trained on.

        Raises:
            ValueError: if the crop is not settled yet.
        """
        if self.crop is None:
            raise ValueError("this config has no crop; a run that was begun has one in its config.yaml")
        return parse_size(self.crop)

    @property
    def budget_size(self) -> tuple[int, int]:
        """(height, width) of the image that a budget is of, of a run that was begun."""
        return self.crop_size if self.budget_at is None else parse_size(self.budget_at)

    @property
    def space_settings(self) -> dict[str, Any]:
        """What shapes the network, by the names of its space: those of the grid are fields of their own."""
        return {name: getattr(self, name) for name in GRID_SETTINGS} if self.space == "grid" else self.settings

    def shaped(self, **settings: Any) -> Self:
        """This run of a network with other ``settings`` of its space."""
        return dataclasses.replace(self, **settings) if self.space == "grid" else super().shaped(**settings)

    @property
    def separate_data(self) -> bool:
        """Whether weights and architecture learn from different images or annotations."""
        return self.split == "disjoint" or self.weights_annotations != self.arch_annotations

    def __post_init__(self) -> None:
        if self.crop is not None:
            parse_size(self.crop)
        if self.budget_at is not None:
            parse_size(self.budget_at)
        operation_names(self.operations)
        if self.space == "grid" and self.settings:
            raise ValueError(
                f"settings has {shown(next(iter(self.settings)))}; what shapes a grid are fields of their own"
            )
        self.check_begin(self.execution)
        check_head(self.head, pretrained=self.stem is not None)
        self.check_budget()
        if self.loss == "dice" and self.class_balance:
            raise ValueError(
                f"class_balance={self.class_balance} weighs pixels by their class, and loss='dice' counts every class "
                "that is present alike already; leave class_balance out, or use loss='cross-entropy+dice'"
            )
        if self.loss != "focal" and self.focal_gamma != FOCAL_GAMMA:
            raise ValueError(f"focal_gamma={self.focal_gamma} is of loss='focal', not {self.loss!r}; leave it out")
        if self.scale_max < self.scale_min:
            raise ValueError(f"scale_max={self.scale_max}: expected at least scale_min={self.scale_min}")
        if self.augment_on == "device" and needs_host(self):
            moves = ("quarter_turns", "rotate", "elastic", "transform")
            asked = ", ".join(f"{name}={found!r}" for name in moves if (found := getattr(self, name)))
            raise ValueError(
                f"{asked}: done on the host, which augment_on='device' rules out; use augment_on='host' or 'auto'"
            )
        if self.split == "disjoint" and (self.weights_annotations, self.arch_annotations) != ("fine", "fine"):
            raise ValueError(
                "split='disjoint' divides the fine annotations, but coarse ones of the same images were asked for too; "
                "use split='same' with them"
            )
        if self.recompute and self.execution != "eager":
            raise ValueError(
                f"recompute=True runs parts of the network twice, which execution={self.execution!r} cannot capture; "
                "use execution='eager' with it"
            )
        if self.relaxation == "sigmoid" and (self.entropy_alpha or self.entropy_beta):
            raise ValueError(
                "the entropy penalty is on choices that sum to 1; relaxation='sigmoid' has gates, whose own term is "
                "regularizer='zero-one'"
            )
        super().__post_init__()

    def check_asked(self) -> None:
        """Make sure that nothing is asked of a new run that would do nothing.

        Raises:
            ValueError: naming what would not.
        """
        super().check_asked()
        if self.try_zoom == self.zoom:
            raise ValueError(f"try_zoom={self.try_zoom} is the zoom that images are seen at anyway; leave it out")


def grid_parts(method: str) -> dict[str, Any]:
    """What ``method`` is on the grid: fields of :class:`FitConfig`.

    Raises:
        ValueError: for a method that is unknown, or that the grid cannot carry (those that it can are named).
    """
    known = f"elsewhere there are: {', '.join(grid_methods())}"
    if method_called(method).searches:
        raise ValueError(f"method {method!r} compares the genotypes of several searches on a cell space; {known}")
    parts = {"gradient": "second-order", "split": "disjoint", "arch_update": "architecture-first"}
    parts = {} if method == "single-stage" else {**parts, **METHODS[method].parts}
    fields = {field.name for field in dataclasses.fields(FitConfig)}
    if lacking := [name for name in parts if name not in fields]:
        raise ValueError(
            f"method {method!r} is made of {lacking[0]!r}, which cell spaces alone have (--space darts, s1 to s4, "
            f"nb201, on labelled images); {known}"
        )
    return parts


def fit_config(method: str = "single-stage", **given: Any) -> FitConfig:
    """The config of ``method`` on the grid, with what is ``given`` on top. "two-stage" is the protocol of that name.

    Raises:
        ValueError: for an unknown method, one that the grid cannot carry, or parts that do not go together.
    """
    if method == "two-stage":
        if given.setdefault("protocol", method) != method:
            raise ValueError(
                f"method is {method!r} and protocol is {shown(given['protocol'])}; they are two names of one option: "
                "keep one"
            )
        method = "single-stage"
    check_given(FitConfig, {"method": method, **given})
    if given.get("space", "grid") != "grid":
        fields = {field.name for field in dataclasses.fields(FitConfig)} - set(SIZE_NAMES)
        if foreign := [name for name in GRID_ALONE if name in given and name not in SIZE_NAMES]:
            raise ValueError(f"{foreign[0]} is of the space 'grid'; space {shown(given['space'])} has its own settings")
        own = {name: given.pop(name) for name in list(given) if name not in fields}
        given["settings"] = {**given.get("settings", {}), **own}
        if given["space"] in DECODINGS and PROTOCOLS[given.get("protocol", "single-stage")].retrains:
            given.setdefault("decoding", DECODINGS[given["space"]][0])
    config = FitConfig(**with_interval({**grid_parts(method), **given, "method": method}))
    config.check_asked()
    config.check_begin_asked()
    config.check_budget_asked()
    return config


def genotype_config(genotype: str, recipe: Mapping[str, Any], **given: Any) -> FitConfig:
    """The config of the training of a ``genotype``'s network from scratch: a file or a published name; ``recipe`` is
    what its space trains them with.

    Raises:
        ValueError: for an option that is unknown, or is about a search.
    """
    if searching := sorted({"control", "protocol", *OF_SEARCH} & set(given)):
        raise ValueError(f"{searching[0]} is about a search; the network of a genotype has nothing to search")
    return fit_config(**{**recipe, **given, "genotype": genotype})


ADDED: dict[str, Any] = {"method": "single-stage", "space": "grid", "settings": {}}
ADDED |= {"bands": "auto", "operations": OPERATIONS, "steps_per_epoch": 0, "keep": "last", "log": "none"}
ADDED |= {"loss": "cross-entropy", "focal_gamma": FOCAL_GAMMA, "optimizer": "sgd"}
ADDED |= {"flip_vertical": 0.0, "quarter_turns": False, "rotate": 0.0, "elastic": 0.0, "transform": None}
ADDED |= {"recalibrate": 0, "ema": 0.0, "lr_end": 0.0}
ADDED |= {f.name: f.default for f in dataclasses.fields(SearchConfig) if f.name not in OF_EVERY_RUN}
ADDED |= {name: getattr(BudgetConfig, name) for name in (*BEGIN, *BUDGET)}
ADDED |= {"filters": None, "layers": None, "head": HEAD, "zoom": 1.0, "try_zoom": None}
"""Fields that the configs of runs did not have before 2026-11-29, and what they were then."""
GRID_SETTINGS = ("size", "filters", "layers", "cell", "activation", "operations", "stem", "head")
"""Fields that shape a grid."""
SIZE_NAMES = ("size", "filters", "layers", "cell", "activation", "operations", "head")
"""Those that other spaces may have settings of their own called by."""
GRID_ALONE = (*GRID_SETTINGS, "stem_weights", "stem_lr", "stem_freeze_epochs", "freeze_stem", "recompute")
"""Fields that mean nothing to another space."""


def grid_methods() -> list[str]:
    """Methods that the grid can carry."""
    fields = {field.name for field in dataclasses.fields(FitConfig)}
    return [name for name, method in METHODS.items() if not method.searches and set(method.parts) <= fields]
