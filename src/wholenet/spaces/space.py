"""What a search space is to everything else: values and functions, of which only the first few are needed.

Letters: G groups, O options of a group.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from wholenet.architecture import Weights
from wholenet.checked import Channels, Classes, checked, checked_in_order, missing
from wholenet.files import shown


@checked_in_order
class Facts:
    """What only the data knows about the network to be built."""

    outputs: Classes
    """Classes to tell apart."""
    channels: Channels = 3
    """Of the inputs."""


@dataclass(frozen=True)
class GenotypeKind:
    """The discrete networks of a space."""

    from_dict: Callable[[Any], Any]
    """Plain values, which may come from anywhere -> a genotype, which has ``to_dict``."""
    weights: Callable[[Any], Weights]
    """Genotype -> the architecture weights that its discrete network is called with."""
    check: Callable[[Any, Any], None] | None = None
    """(genotype, settings): raises a ValueError if it is of another space or size."""


@dataclass(frozen=True, kw_only=True)
class Space:
    """A search space. Structure is data: ``build`` makes a network that is called with (inputs, weights) and has
    ``masks``, the choices of the space: name -> boolean [G..., O], made with ``device="cpu"``, since model folders
    build the network without memory first. All else walks over these.

    A network may also have ``competing``: names of masks whose options compete (softmax) whatever the relaxation.
    """

    name: str
    settings: type
    """A frozen dataclass of numbers, words and truth values: what shapes the network, the same for the command line and
    model folders. What a folder says is checked by it alone: make it with :func:`wholenet.checked.checked`."""
    build: Callable[[Any, Facts, Any], Any]
    """(settings, facts, genotype or None) -> the supernet; with a genotype the discrete network alone."""
    variants: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Settings by name: "small" of the space "grid" makes the model "grid-small"."""
    tasks: tuple[str, ...] = ()
    """Names of the tasks that its networks are for; empty: of any."""
    multiple: int = 1
    """Both sides of an input are a multiple of this."""
    genotype: GenotypeKind | None = None
    """None: the space has no discrete networks."""

    def settings_of(self, values: Mapping[str, Any], *, whole: bool = False) -> Any:
        """The settings with these values.

        Args:
            values: by name.
            whole: leave none to its default.

        Raises:
            ValueError: for one that is unknown, missing or does not do.
        """
        known = list(self.settings.__dataclass_fields__)
        if whole and (lacking := [name for name in known if name not in values]):
            raise ValueError(missing(lacking))
        if unknown := [name for name in values if name not in known]:
            raise ValueError(
                f"space {self.name!r} has no setting {shown(unknown[0])}; known: {', '.join(known) or 'none'}"
            )
        return self.settings(**values)


@checked
class Spec:
    """All that makes an untrained network again, as plain values: what the config of a model folder says of it."""

    space: str
    settings: Mapping[str, Any]
    outputs: Classes
    channels: Channels = 3
    relaxation: str = "softmax"
    """How logits become weights; "given" where there are no logits, only weights."""
    genotype: Mapping[str, Any] | None = None
    """Of a discrete network."""

    @property
    def model_name(self) -> str:
        """What people call it: "grid-small", "s2"."""
        size = self.settings.get("size")
        return self.space if size is None else f"{self.space}-{size}"


def known_names(spaces: Mapping[str, Space]) -> Sequence[str]:
    """Names that models are created by.

    >>> from types import SimpleNamespace
    >>> grid = Space(name="grid", settings=SimpleNamespace, build=lambda *_: None, variants={"tiny": {}})
    >>> known_names({"grid": grid})
    ['grid-tiny']
    """
    return [
        name if variant is None else f"{name}-{variant}"
        for name, space in spaces.items()
        for variant in space.variants or (None,)
    ]
