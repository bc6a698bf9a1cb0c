"""What a search space is to everything else: values and functions, of which only the first few are needed.

Letters: G groups, O options of a group.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import yaml
from torch import Tensor

from wholenet.architecture import Weights
from wholenet.checked import Channels, Classes, PredictionZoom, built, checked, checked_in_order, settings_from
from wholenet.file_keys import check_keys
from wholenet.files import read_yaml, shown, write_whole
from wholenet.spaces.cell_tables import PUBLISHED, is_cell_space
from wholenet.spaces.genotype_text import is_genotype_text
from wholenet.spaces.published_cells import PUBLISHED_CELLS
from wholenet.spaces.subnets import Subnets

THRESHOLD = "threshold"
"""The decoding that looks at ``tau``."""
Decode = Callable[[Weights, str, float], Any]
"""(weights, decoding, tau) -> the genotype that is left of a supernet."""


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
    weights: Callable[[Any], Weights] = lambda _genotype: {}
    """Genotype -> the architecture weights that its discrete network is called with; by default it has nothing to
    weigh."""
    check: Callable[[Any, Any], None] | None = None
    """(genotype, settings): raises a ValueError if it is of another space or size."""
    decode: Decode | None = None
    """What cuts a genotype out of a supernet; None: none can be cut out of it."""
    read: Callable[[str | Path], Any] | None = None
    """File -> genotype; None: YAML of the space's name and the genotype's plain values."""
    write: Callable[[Any, Path], None] | None = None
    """(genotype, file), likewise."""
    decoder: Callable[[Any], Decode] | None = None
    """Settings -> ``decode``, where it is another for other settings."""
    decodings: tuple[str, ...] = ("best-path",)
    """Names of the rules that ``decode`` knows, the first the usual one: it is asked for no others."""
    supernet_settings: tuple[str, ...] = ()
    """Names of the space's settings that shape supernets alone: a discrete network is as its genotype says."""
    published: Mapping[str, Any] = field(default_factory=dict)
    """Genotypes by the names that they are asked for with in the place of a file."""

    @property
    def decodes(self) -> bool:
        """Whether one can be cut out of a supernet."""
        return self.decode is not None or self.decoder is not None


@dataclass(frozen=True, kw_only=True)
class Space:
    """A search space. Structure is data: ``build`` makes a network that is called with (inputs, weights) and has
    ``masks``, the choices of the space: name -> boolean [G..., O], made with ``device="cpu"``, since model folders
    build the network without memory first. All else walks over these.

    A network may also have ``competing``: names of masks whose options compete (softmax) whatever the relaxation; and
    ``relaxations``, by name of a mask, of those that have another one of their own.
    """

    name: str
    settings: type
    """A frozen dataclass of numbers, words and truth values: what shapes the network, the same for the command line and
    model folders. What a folder says is checked by it alone: make it with :func:`wholenet.checked.checked`."""
    build: Callable[..., Any]
    """(settings, facts, genotype or None) -> the supernet; with a genotype the discrete network alone."""
    variants: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Settings by name: "small" of the space "grid" makes the model "grid-small"."""
    tasks: tuple[str, ...] = ()
    """Names of the tasks that its networks are for; empty: of any."""
    recipe: Mapping[str, Any] = field(default_factory=dict)
    """What the source trains its discrete networks with: options of a run, below those that are given."""
    multiple: int = 1
    """Both sides of an input are a multiple of this."""
    genotype: GenotypeKind | None = None
    """None: the space has no discrete networks."""
    subnets: Callable[[Any, Facts], Subnets[Any]] | None = None
    """(settings, facts) -> what can be removed from the supernet and what is left then; None: nothing can. The network
    is then built by ``build`` with ``subnet``, what is left, as a fourth argument; None is all."""
    costs: Callable[[Any], Mapping[str, tuple[str, tuple[int, ...]]]] | None = None
    """Network -> which of its modules one option alone runs: the module's name -> (mask, index of the option in it).
    What they cost is counted from that (``spaces/option_costs.py``). None: nobody can tell."""
    example: Callable[[Tensor], Any] | None = None
    """An image [1, channels, H, W] -> what the networks are called with in the place of images, to count what that
    costs; None: images."""
    slots: Mapping[str, int] = field(default_factory=dict)
    """Name of a mask -> entries of a group in the source's own tensor, where that has more of them than there are
    options: "average entropy" is the mean over all (``mean_entry_entropy``)."""
    check_batch: Callable[[Any, int, tuple[int, int]], None] | None = None
    """(settings, images of a training step, their height and width) -> None. Raises ValueError, saying what to do,
    where the networks cannot be trained on such. None: they can be on all."""
    at: Callable[[Any, float], None] | None = None
    """(network, share of the run that is over): sets what moves with time inside the network, before each step."""
    added: Mapping[str, Any] = field(default_factory=dict)
    """Settings that came later, and what they were before: model folders have them where they are anything else."""

    def read_genotype(self, path: str | Path, settings: Any) -> Any:
        """The genotype in a file, or the published one of that name, of a network of these settings.

        Raises:
            ValueError: if there is none of this space and size, or the space has no discrete networks.
        """
        kind = self._discrete()
        if not is_cell_space(self.name) and (str(path) in PUBLISHED_CELLS or is_genotype_text(str(path))):
            raise ValueError(
                f"{shown(str(path))} is a genotype of the spaces of cells ({', '.join(PUBLISHED)}), not of "
                f"{self.name!r}: `wholenet retrain` trains it, on labelled images"
            )
        if str(path) in kind.published:
            genotype = kind.published[str(path)]
        elif kind.read is not None:
            genotype = kind.read(path)
        else:
            if not Path(path).exists():
                near = difflib.get_close_matches(str(path)[:50], kind.published, n=3)
                likely = f"; did you mean {' or '.join(near)}?" if near else ""
                what = f"{shown(str(path))} is neither a file nor the name of a genotype"
                raise ValueError(f"{what} of the space {self.name!r}{likely}")
            content = read_yaml(path)
            if isinstance(content, Mapping) and content.get("space", self.name) != self.name:
                raise ValueError(f"{path} is a genotype of the space {shown(content['space'])}; expected {self.name!r}")
            check_keys(content, {"genotype": dict, "space": str}, str(path), only=True)
            with _said_of(path):
                genotype = self.genotype_of(content["genotype"])
        if kind.check is not None:
            with _said_of(path):
                kind.check(genotype, settings)
        return genotype

    def check_given(self, names: Iterable[str], genotype: str) -> None:
        """Make sure that of the settings that were given, by their ``names``, each shapes the network of ``genotype``.

        Raises:
            ValueError: naming the first that does not.
        """
        of_supernets = self._discrete().supernet_settings
        if idle := [name for name in names if name in of_supernets]:
            raise ValueError(
                f"genotype={shown(genotype)} is trained as it is, and {idle[0]} shapes supernets of the space "
                f"{self.name!r} alone; leave it out"
            )

    def genotype_of(self, values: Any) -> Any:
        """The genotype of plain values, which may come from anywhere.

        Raises:
            ValueError: if they are none, whatever a space from outside raises then.
        """
        try:
            return self._discrete().from_dict(values)
        except ValueError:  # which a name that is not known is, too
            raise
        except (ArithmeticError, AttributeError, LookupError, TypeError) as error:
            why = f"{type(error).__name__}: {shown(str(error))}"
            raise ValueError(f"{shown(values)} is no genotype of the space {self.name!r} ({why})") from error

    def write_genotype(self, genotype: Any, path: Path) -> None:
        """Write what :meth:`read_genotype` reads. The line ``space`` comes last: a file cut short is known by it."""
        kind = self._discrete()
        if kind.write is not None:
            kind.write(genotype, path)
        else:
            write_whole(path, yaml.safe_dump({"genotype": genotype.to_dict(), "space": self.name}, sort_keys=False))

    def check_decoding(self, decoding: str | None, tau: float | None = None, called: str = "tau") -> str:
        """Make sure that networks of this space are decoded so.

        Args:
            decoding: name of the rule; None: the usual one.
            tau: the threshold, if one is asked for; None: none is.
            called: what that is called where it is asked for.

        Returns:
            The name.

        Raises:
            ValueError: saying how they are.
        """
        kind = self._discrete()
        if not kind.decodes:
            raise ValueError(f"space {self.name!r} has no decoding, so nothing can be cut out of its supernet")
        decoding = kind.decodings[0] if decoding is None else decoding
        there = f"networks of space {self.name!r} are decoded by {' or '.join(kind.decodings)}"
        if decoding not in kind.decodings:
            raise ValueError(f"decoding={shown(decoding)}: {there}; give decoding={kind.decodings[0]!r}")
        if tau is not None and decoding != THRESHOLD:
            raise ValueError(
                f"{called}={tau:g} is of decoding={THRESHOLD!r}, not of {decoding!r}: leave it out; {there}"
            )
        return decoding

    def decode(self, weights: Weights, decoding: str | None, tau: float, settings: Any) -> Any:
        """The genotype that is left of a supernet of these settings at these weights; by the usual ``decoding``, if
        none is named.

        Raises:
            ValueError: if none can be cut out of it, or not so.
        """
        kind, decoding = self._discrete(), self.check_decoding(decoding)
        decode = kind.decode if kind.decoder is None else kind.decoder(settings)
        assert decode is not None  # it decodes
        return decode(weights, decoding, tau)

    def _discrete(self) -> GenotypeKind:
        if self.genotype is None:
            raise ValueError(f"space {self.name!r} has no discrete networks, so there is no genotype of it")
        return self.genotype

    def settings_of(self, values: Mapping[str, Any], *, whole: bool = False) -> Any:
        """The settings with these values.

        Args:
            values: by name.
            whole: leave none to its default, but for those that were ``added``.

        Raises:
            ValueError: for one that is unknown, missing or does not do.
        """
        return settings_from(self.settings, values, f"space {self.name!r}", whole=whole, added=self.added)

    def values_of(self, settings: Any) -> dict[str, Any]:
        """``settings`` as plain values, as model folders have them; :meth:`settings_of` gives them back."""
        values = asdict(settings)
        return {name: value for name, value in values.items() if name not in self.added or value != self.added[name]}


@contextmanager
def _said_of(path: str | Path) -> Iterator[None]:
    """Name the file in what goes wrong within the block."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


LATER: Mapping[str, Any] = {"subnet": None, "zoom": 1.0}
"""Of a spec, what model folders of before 2026-11-29 and 2026-11-30 do not say, and those say of today where it is
anything else."""


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
    subnet: Mapping[str, Any] | None = None
    """What is left of a supernet that something was removed from."""
    zoom: PredictionZoom = 1.0
    """At which a network for masks sees images when it predicts."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as model folders have them; :func:`spec_from_dict` gives the spec back."""
        return {name: value for name, value in asdict(self).items() if name not in LATER or value != LATER[name]}

    @property
    def model_name(self) -> str:
        """What people call it: "grid-small", "s2"."""
        size = self.settings.get("size")
        return self.space if size is None else f"{self.space}-{size}"


def spec_from_dict(values: Any) -> Spec:
    """The spec of plain values, which may come from anywhere.

    Raises:
        ValueError: if one is unknown, missing or does not do.
    """
    return built(Spec, {**LATER, **values} if isinstance(values, Mapping) else values, whole=True)


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
