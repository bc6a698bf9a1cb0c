"""Everything a run can be told, with the seed paper's values as defaults unless marked as ours.

Imports no torch: the command line reads it.

Where a field says "open", the paper does not: docs/architecture.md, "Points the paper leaves open".
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import Field

from wholenet.checked import (
    Batch,
    BelowOne,
    Count,
    CountOrNone,
    Decay,
    InnerShare,
    Jobs,
    Megapixels,
    Minutes,
    Rate,
    Seed,
    Share,
    Side,
    Strength,
    built,
    check,
    checked,
)
from wholenet.files import read_text, read_yaml, shown, write_whole
from wholenet.search.early_stopping import RULES
from wholenet.search.methods import METHODS
from wholenet.search.phases import single_stage
from wholenet.search.search_config import SearchConfig, with_interval
from wholenet.spaces.sizes import OPERATIONS, Size, operation_names

Config = TypeVar("Config")
Annotations = Literal["fine", "coarse", "both"]
END = "# all of it: without this line, the file was cut short"
"""Last line of a run's config."""
MACHINE = ("device", "workers", "threads", "execution", "recompute", "checkpoint_minutes")
"""Fields that a run may be continued with other values of: where and how it is computed, not what."""
WeightsAnnotations = Literal["fine", "coarse", "both", "both-then-fine"]
Zoom = Annotated[float, Field(ge=0.01, le=100)]
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
class FitConfig(SearchConfig):
    """A run on segmentation data; by default the single-stage protocol (seed paper, Sec. 3 and 4.1). :func:`fit_config`
    makes one of a method."""

    data: str
    """Folder with images and masks, or a data set by name: "scenes", the built-in data."""
    space: str = "grid"
    """Search space: the grid, or one that was registered from outside (docs/extending.md)."""
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Of a space from outside, its own settings."""
    size: Size = "small"
    """Size of the grid supernet; `wholenet info SIZE` says what each costs."""
    cell: Literal["mixture", "separate"] = "mixture"
    """Operations mixed inside one bottleneck, or a whole bottleneck for each (Eq. 3 to the letter)."""
    activation: Literal["relu", "relu6", "hardswish"] = "hardswish"
    """Activation after each BatchNorm that has one (open)."""
    operations: str = OPERATIONS
    """Candidate operations of each cell, joined by commas: conv_3x3, conv_5x5, conv_7x7, dil_conv_3x3, or one that was
    registered from outside (docs/extending.md)."""
    architecture: Literal["learned", "uniform"] = "learned"
    """"uniform" freezes all edges and operations at equal strength: the control for any claim about search."""
    control: bool = False
    """Also train the frozen-uniform control for the same time, in OUT/control, and report both."""

    method: str = "single-stage"
    """How the architecture is searched: one of `search/methods.py`, as far as the grid can carry it."""
    protocol: Literal["single-stage", "two-stage"] = "single-stage"
    """Keep the supernet (the seed paper), or the usual way: search, cut it down, train what is left from scratch."""
    decoding: Literal["best-path", "strongest", "threshold"] = "best-path"
    """Two-stage: which edges stay; the strongest operation of each cell always does (spaces/decoding.py)."""
    decoding_tau: Share = 0.5
    """Threshold decoding: keep edges of at least this share of the weight of the cell's strongest."""
    retrain_epochs: CountOrNone = 0
    """Two-stage: epochs of the second stage; 0 is as many as make both stages cost the multiply-adds of the
    single-stage run of as many `epochs`."""
    genotype: str | None = None
    """Genotype file: train this discrete network alone, from scratch."""

    epochs: Count = 600
    """Passes over the data that the weights learn from, all three phases together."""
    warmup_share: Share = 0.05
    """Share of the epochs before the architecture moves."""
    search_share: Share = 0.35
    """Share of the epochs in which it moves; the rest is fine-tuning."""
    batch: Batch = 16
    """Images per step."""
    crop: str | None = None
    """HEIGHTxWIDTH trained on; default: the smallest training image, in multiples of 32, at most 512x1024."""
    seed: Seed = 0
    """Seed of the initial weights, the drawn batches and the augmentation."""

    lr: Rate = 3e-3
    """SGD learning rate at the start."""
    lr_schedule: Literal["poly", "cosine"] = "poly"
    """Decay to zero over the whole run (open; poly with power 0.9 as Auto-DeepLab)."""
    momentum: BelowOne = 0.9
    """SGD momentum (open)."""
    weight_decay: Decay = 5e-4
    """SGD weight decay."""
    class_balance: Decay = 0.0
    """Weight classes by frequency**-this in the loss: 0 is plain cross-entropy, as the paper; 1 balances fully."""

    arch_lr: Rate = 3e-3
    """Adam learning rate of the architecture; no schedule."""
    arch_weight_decay: Decay = 1e-3
    """Adam weight decay of the architecture (coupled: pulls the logits to uniform)."""
    arch_update: Literal["auto", "simultaneous", "alternating", "architecture-first"] = "auto"
    """Architecture gradient out of the weight step's backward pass, at no cost (ours), or from a step of its own on a
    batch of its own: after the weights' (the paper), or before it (DARTS). Auto is simultaneous unless weights and
    architecture are given different data or a part of the method needs steps of their own."""
    arch_batchnorm: Literal["frozen", "updated"] = "frozen"
    """Whether architecture steps move BatchNorm's running statistics."""
    entropy_alpha: Strength = 0.0
    """Magnitude of the entropy penalty on operations (c_alpha of Eq. 4, sum over groups, in nats)."""
    entropy_beta: Strength = 0.0
    """Magnitude of the entropy penalty on edges (c_beta)."""
    entropy_schedule: Literal["constant", "linear"] = "constant"
    """f(t): a step to 1, or linear from 0 at the penalty's start to 1 at the end of the search."""
    entropy_start: Share = 0.15
    """Share of the epochs before the penalty acts."""

    split: Literal["same", "disjoint"] = "same"
    """Weights and architecture learn from the same images (Sec. 4.5; alternating steps draw them separately), or from
    disjoint parts."""
    weights_share: InnerShare = 0.5
    """With disjoint parts, the share of the training images that the weights get."""
    weights_annotations: WeightsAnnotations = "fine"
    """Annotations that the weights learn from; "both-then-fine" takes fine ones alone for the fine-tune phase."""
    arch_annotations: Annotations = "fine"
    """Annotations that the architecture learns from."""
    coarse: Literal["given", "made"] = "given"
    """Coarse annotations come with the data (Cityscapes), or are made from the fine ones (data/coarsen.py)."""
    val_share: InnerShare = 0.2
    """Share of the images held out for validation where the data has no split of its own."""
    max_megapixels: Megapixels = 100.0
    """Images and masks that decode to more are refused, before they are decoded."""

    scale_min: Zoom = 0.5
    """Smallest zoom of the random scaling."""
    scale_max: Zoom = 2.0
    """Largest zoom."""
    flip: Share = 0.5
    """Probability of a left-right flip."""
    jitter: BelowOne = 0.4
    """Strength of brightness, contrast and saturation jitter."""
    noise: Noise = 0.02
    """Standard deviation of the Gaussian noise, images in [0, 1]."""

    data_seed: Seed = 0
    """Seed of what is held out (and of images that are drawn): the same over the seeds of a study."""
    val_every: CountOrNone = 0
    """Epochs between validations; 0 picks them so that a run has at most 20."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to compute; auto takes a GPU if there is one."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Type that the network computes in while it trains; auto is bfloat16 on a GPU that has it, else float32.
    Architecture weights, BatchNorm statistics, loss and scores are always in float32."""
    execution: Literal["eager", "compile", "graph", "kernels", "kernels+graph"] = "eager"
    """How weight steps are run: operation by operation, through torch.compile, as CUDA graphs, on our own Triton
    kernels, or on these as CUDA graphs. All but the first are tried before, and left with a reason where they fail."""
    recompute: bool = False
    """Keep less than a tenth of the feature maps for the backward pass and compute the others again: the same numbers
    for about 40 % more time."""
    augment_on: Literal["auto", "host", "device"] = "auto"
    """Where images are scaled, flipped and coloured; auto is the device if that is a GPU."""
    workers: Jobs = 0
    """Processes that read and augment images ahead."""
    threads: Jobs = 0
    """CPU threads of torch; 0 leaves torch's choice."""
    checkpoint_minutes: Minutes = 10.0
    """Time between two checkpoints, beside one after every epoch; 0 is after every step."""

    def single_stage(self, **changes: Any) -> FitConfig:
        """This run under the single-stage protocol, with ``changes`` on top."""
        only_two_stage = {"protocol": "single-stage", "decoding": "best-path", "decoding_tau": 0.5, "retrain_epochs": 0}
        return dataclasses.replace(self, **{**only_two_stage, **changes})

    @property
    def crop_size(self) -> tuple[int, int]:
        """(height, width) of `crop`, of a run that was begun: it writes into its config what it is trained on.

        Raises:
            ValueError: if the crop is not settled yet.
        """
        if self.crop is None:
            raise ValueError("this config has no crop; a run that was begun has one in its config.yaml")
        return parse_size(self.crop)

    def frozen_uniform(self, **changes: Any) -> FitConfig:
        """The control of this run: the same network and data, an architecture that never moves, nothing of a search."""
        nothing = {"stopping": "none", "after_stopping": "stop", "eigenvalue_every": 0, "perturbation": "none"}
        nothing |= {"regularizer": "none", "gradient": "first-order", "method": "single-stage"}
        return self.single_stage(**{"architecture": "uniform", "control": False, **nothing, **changes})

    @property
    def moves_architecture(self) -> bool:
        """Whether logits are learned at all."""
        return self.architecture == "learned" and self.genotype is None

    @property
    def update(self) -> str:
        """Who moves first, or whether both do at once: what `arch_update` comes to."""
        if self.arch_update != "auto":
            return self.arch_update
        if self.gradient != "first-order":
            return "architecture-first"
        own_steps = self._separate_data or self.arch_batchnorm == "updated" or self.perturbation != "none"
        return "alternating" if own_steps else "simultaneous"

    @property
    def simultaneous(self) -> bool:
        """Whether the architecture moves by the weight step's backward pass."""
        return self.update == "simultaneous"

    @property
    def _separate_data(self) -> bool:
        return self.split == "disjoint" or self.weights_annotations != self.arch_annotations

    def __post_init__(self) -> None:
        if self.crop is not None:
            parse_size(self.crop)
        operation_names(self.operations)
        if self.space == "grid" and self.settings:
            raise ValueError(
                f"settings has {shown(next(iter(self.settings)))}; what shapes a grid are fields of their own"
            )
        if self.scale_max < self.scale_min:
            raise ValueError(f"scale_max={self.scale_max}: expected at least scale_min={self.scale_min}")
        if self.warmup_share + self.search_share > 1:
            raise ValueError(
                f"warmup_share={self.warmup_share} and search_share={self.search_share} exceed the whole run; "
                "the paper uses 0.05 and 0.35"
            )
        if self.control and not self.warmup_share and (self.protocol == "two-stage" or self.search_share == 1):
            raise ValueError(
                "control=True measures the control's length by epochs that leave the architecture alone, but "
                f"warmup_share=0 and search_share={self.search_share} leave none; set warmup_share above 0"
            )
        if self.control and self.architecture == "uniform":
            raise ValueError("control=True with architecture='uniform' would train the control twice; drop one of them")
        if self.split == "disjoint" and (self.weights_annotations, self.arch_annotations) != ("fine", "fine"):
            raise ValueError(
                "split='disjoint' divides the fine annotations, but coarse ones of the same images were asked for too; "
                "use split='same' with them"
            )

        if self.protocol == "two-stage" and (self.genotype is not None or self.architecture == "uniform"):
            raise ValueError(
                "protocol='two-stage' searches for its own genotype; it goes neither with a given one nor with "
                "architecture='uniform'"
            )
        if self.protocol == "single-stage" and (self.decoding, self.decoding_tau, self.retrain_epochs) != (
            "best-path",
            0.5,
            0,
        ):
            raise ValueError(
                "decoding, decoding_tau and retrain_epochs are of protocol='two-stage'; the single-stage protocol "
                "neither decodes nor retrains"
            )
        if self.protocol == "two-stage":
            search = single_stage(self.epochs, self.warmup_share, self.search_share)[1]
            if search.end == search.first:
                raise ValueError(
                    f"protocol='two-stage' has no epoch of search with epochs={self.epochs} and "
                    f"search_share={self.search_share}, so nothing to decode; raise one of them"
                )
        if self.genotype is not None and (self.architecture == "uniform" or self.control):
            raise ValueError(
                "a discrete network has no architecture to freeze or to compare with; drop architecture and control"
            )
        if self.recompute and self.execution != "eager":
            raise ValueError(
                f"recompute=True runs parts of the network twice, which execution={self.execution!r} cannot capture; "
                "use execution='eager' with it"
            )
        if self.arch_update == "simultaneous" and self._separate_data:
            raise ValueError(
                "arch_update='simultaneous' takes both gradients from one batch, but weights and architecture were "
                "given different data; use arch_update='alternating' with them"
            )
        self._check_search()
        if self.arch_update == "simultaneous" and self.arch_batchnorm == "updated":
            raise ValueError(
                "arch_batchnorm='updated' is about architecture steps of their own, which arch_update='simultaneous' "
                "does not have; use arch_update='alternating' with it"
            )

    def check_asked(self) -> None:
        """Make sure that nothing is asked of a new run that would do nothing: of a search, in the training of a
        discrete network. Runs from before this was refused are read.

        Raises:
            ValueError: naming it.
        """
        for field in dataclasses.fields(self):
            if self.genotype and field.name in OF_SEARCH and getattr(self, field.name) != field.default:
                raise ValueError(
                    f"genotype={self.genotype!r} is trained as it is, so {field.name}={getattr(self, field.name)!r} "
                    "would do nothing; leave it out"
                )

    def _check_search(self) -> None:
        """Make sure that the parts of the search go together."""
        self.check_search(moves_architecture=self.moves_architecture)
        if self.gradient != "first-order" and self.update != "architecture-first":
            raise ValueError(
                f"gradient={self.gradient!r} is of an architecture step before the weight step (DARTS, Alg. 1); use "
                "arch_update='architecture-first' with it"
            )
        if self.gradient != "first-order" and self.arch_batchnorm == "updated":
            raise ValueError(f"arch_batchnorm='updated' goes with gradient='first-order', not {self.gradient!r}")
        if self.perturbation != "none" and self.simultaneous:
            raise ValueError(
                f"perturbation={self.perturbation!r} disturbs weight steps, which arch_update='simultaneous' takes the "
                "architecture's gradient from; use 'alternating' or 'architecture-first' with it"
            )
        if self.relaxation == "sigmoid" and (self.entropy_alpha or self.entropy_beta):
            raise ValueError(
                "the entropy penalty is on choices that sum to 1; relaxation='sigmoid' has gates, whose own term is "
                "regularizer='zero-one'"
            )
        if self.stopping != "none":
            search = single_stage(self.epochs, self.warmup_share, self.search_share)[1]
            length, least = search.end - search.first, RULES[self.stopping].least_epochs(self.eigenvalue_every)
            if length < least:
                raise ValueError(
                    f"epochs={self.epochs} with search_share={self.search_share} search for {length} epochs; "
                    f"stopping={self.stopping!r} cannot fire in fewer than {least}: give more epochs, or another rule"
                )


def grid_parts(method: str) -> dict[str, Any]:
    """What ``method`` is on the grid: fields of :class:`FitConfig`.

    Raises:
        ValueError: for a method that is unknown, or that the grid cannot carry (those that it can are named).
    """
    known = f"on the grid there are: {', '.join(grid_methods())}"
    if METHODS[method].searches:
        raise ValueError(f"method {method!r} compares the genotypes of several searches on a cell space; {known}")
    parts = {"gradient": "second-order", "split": "disjoint", "arch_update": "architecture-first"}
    parts = {} if method == "single-stage" else {**parts, **METHODS[method].parts}
    fields = {field.name for field in dataclasses.fields(FitConfig)}
    if lacking := [name for name in parts if name not in fields]:
        raise ValueError(f"method {method!r} is made of {lacking[0]!r}, which cell spaces alone have; {known}")
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
    if given.get("space", "grid") != "grid":
        fields = {field.name for field in dataclasses.fields(FitConfig)}
        if foreign := [name for name in GRID_ALONE if name in given]:
            raise ValueError(f"{foreign[0]} is of the space 'grid'; space {shown(given['space'])} has its own settings")
        own = {name: given.pop(name) for name in list(given) if name not in fields}
        given["settings"] = {**given.get("settings", {}), **own}
    config = FitConfig(**with_interval({**grid_parts(method), **given, "method": method}))
    config.check_asked()
    return config


ADDED: dict[str, Any] = {"method": "single-stage", "space": "grid", "settings": {}, "operations": OPERATIONS}
ADDED |= {f.name: f.default for f in dataclasses.fields(SearchConfig) if f.name not in ("data", "out")}
"""Fields that the configs of runs did not have before 2026-11-29, and what they were then."""
OF_SEARCH = {field.name for field in dataclasses.fields(SearchConfig)} - {"data", "out"}
OF_SEARCH |= {
    "method",
    "arch_lr",
    "arch_weight_decay",
    "arch_update",
    "arch_batchnorm",
    "entropy_alpha",
    "entropy_beta",
}
OF_SEARCH |= {"entropy_schedule", "entropy_start", "warmup_share", "search_share"}
"""Fields that are about a search alone."""
GRID_SETTINGS = ("size", "cell", "activation", "operations")
"""Fields that shape a grid."""
GRID_ALONE = (*GRID_SETTINGS, "recompute")
"""Fields that mean nothing to another space."""


def grid_methods() -> list[str]:
    """Methods that the grid can carry."""
    fields = {field.name for field in dataclasses.fields(FitConfig)}
    return [name for name, method in METHODS.items() if not method.searches and set(method.parts) <= fields]


def write_config(config: FitConfig, path: Path) -> None:
    """Write every field as YAML; :func:`read_config` gives the same config back."""
    write_values(dataclasses.asdict(config), path)


def write_values(values: dict[str, Any], path: Path) -> None:
    """Write the fields of a run's config, and a last line by which it is known to be whole."""
    write_whole(path, f"{yaml.safe_dump(values, sort_keys=False)}{END}\n")


def read_config(path: Path) -> FitConfig:
    """Read a config that :func:`write_config` wrote.

    Raises:
        ValueError: for a field that does not exist, or a file that holds something else (with the file).
    """
    values = read_yaml(path)
    if isinstance(values, dict) and "kind" in values:
        raise ValueError(f"{path} is of a run on a cell space; this is for runs on images with masks")
    return build_config(FitConfig, values, path, ADDED)


def build_config(kind: type[Config], values: Any, path: Path, added: Collection[str] = ()) -> Config:
    """The config whose fields are the ``values`` in a file. A file from before there was a last line to know it by may
    do without the fields that were ``added`` since.

    Raises:
        ValueError: if they are no fields of its, one that has no default is missing, a value does not do, or the file
            was cut short; with the file.
    """
    try:
        config = built(kind, values)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    # A file that was cut short is good YAML too, and what it lost must not become the default.
    text = read_text(path)
    fields = [f.name for f in dataclasses.fields(kind)]  # pyright: ignore[reportArgumentType]
    missing = [name for name in fields if name not in values and name not in added]
    if not text.rstrip().endswith(END) and (missing or not text.endswith("\n")):
        lost = f"has no {', '.join(missing[:9])}" if missing else "its last value may not be all there"
        raise ValueError(
            f"{path} ends without its last line and {lost}: it was cut short. Put it back, or write what is missing as "
            "the run had it, each as `name: value` in a line"
        )
    return config
