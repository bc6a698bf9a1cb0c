"""The other systems of Tables 4 and 6, at the total cost of the grid's single-stage run: Auto-DeepLab, the dense grid
(after DCNAS), the grid with the dense prediction cell as head.

The cost is time: of a training step of each network over that of the grid, steps interleaved in one process. By
multiply-adds the dense prediction cell would get a seventh of the grid's epochs for a third more time.

Arithmetic of the scale "cpu" on CamVid (367 images, 45 steps an epoch), from the CPU time of steps on a busy core: grid
0.09 s, dense 0.13, dense prediction cell 0.14, trellis 0.36, its discrete network 0.09. Three times the scale's 12
epochs are 36 * 45 * 0.09 = 146 s and 45 s of architecture steps; with start and validation some 210 s. Seven rows of
three seeds, two at a time: 37 minutes; the rows of the protocols at 12 epochs: 9.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from statistics import median
from typing import Any

from wholenet.deploy.model_folder import load_model
from wholenet.search.config import FitConfig
from wholenet.search.phases import single_stage
from wholenet.search.run_folder import RunFolder, recorded_facts, space_of, spec_of
from wholenet.search.train_config import OF_SEARCH
from wholenet.spaces.space import Spec
from wholenet.studies.entropies import TRELLIS
from wholenet.studies.pool import Pool
from wholenet.studies.protocols import SINGLE, TWO_STAGE, Way, protocol_runs, protocol_ways
from wholenet.studies.setting import Setting
from wholenet.studies.step_times import relative_times

LENGTH = {"cpu": 3, "gpu": 1, "paper": 1}
"""Budget of all systems, in lengths of the scale's own run: Auto-DeepLab has a quarter of the grid's epochs."""
TIMES = "systems-times.json"


@dataclass(frozen=True)
class System:
    """A way to a final network in a space of its own."""

    space: str | None
    """Where to search; None: the grid, with the dense prediction cell as head."""
    decoding: tuple[str, float] | None = None
    """How the discrete network is cut out, and its threshold; None: the supernet is the final network."""
    search: Mapping[str, Any] = field(default_factory=dict)
    """What its paper's own protocol has otherwise than the seed's, at the scale "paper" alone."""
    training: Mapping[str, Any] = field(default_factory=dict)
    """And in the training of what was found; what the search alone has otherwise is the seed's again."""


AUTODEEPLAB = {"epochs": 40, "batch": 2, "crop": "321x321", "scale_min": 0.5, "scale_max": 0.5, "split": "disjoint"}
AUTODEEPLAB |= {"lr": 0.025, "lr_end": 1e-3, "lr_schedule": "cosine", "weight_decay": 3e-4}
AUTODEEPLAB |= {"arch_lr": 3e-3, "arch_weight_decay": 1e-3, "warmup_share": 0.5, "search_share": 0.5}
"""Its paper, Sec. 4.1: images of half the size; the architecture moves in the second half, on the other images."""
AUTODEEPLAB_TRAINING = {"epochs": 1500, "steps_per_epoch": 1000, "batch": 16, "crop": "769x769"}
AUTODEEPLAB_TRAINING |= {"lr": 0.05, "weight_decay": 4e-5}
"""1.5 million steps; the batch is open."""
DCNAS = {"epochs": 120, "split": "disjoint", "search_share": 0.95}
"""Of its protocol the lengths are known; the rest is the seed's."""
SYSTEMS: Mapping[str, System] = {
    "Auto-DeepLab, two-stage": System(
        "autodeeplab", ("best-path", 0.5), AUTODEEPLAB, {**AUTODEEPLAB_TRAINING, "split": "same"}
    ),
    "dense grid, single-stage": System("dense-grid"),
    "dense grid, two-stage": System("dense-grid", ("threshold", 0.5), DCNAS, {"epochs": 800, "split": "same"}),
    "grid with DPC head, single-stage": System(None, search={"epochs": 500}),
}


def shapes(scale: str, size: str) -> Mapping[str, Mapping[str, Any]]:
    """Settings of each space that is not the grid; ``size`` is the grid's."""
    dense: dict[str, Any] = {"size": size}
    if scale == "paper":  # DCNAS: L = 14, F = 64, a quarter of the channels, links drawn
        dense = {"size": "medium", "operations": "conv_3x3,conv_5x5,conv_7x7", "channel_sampling": 4}
        dense |= {"sampled_links": 3}
    trellis = {**TRELLIS[scale], **({"layers": 12, "final_filters": 20} if scale == "paper" else {})}
    return {"autodeeplab": trellis, "dense-grid": dense}


def ways(setting: Setting, pool: Pool) -> dict[str, Way]:
    """All rows of Tables 4 and 6: the protocols on the grid, these again for as long as the systems get, and those."""
    own = setting.config()
    rows = protocol_ways(protocol_runs(setting, pool))
    longer = replace(own, epochs=LENGTH[setting.scale] * own.epochs)
    grid = rows[SINGLE].final[0]
    if longer != own:
        cut = {name: how for name, how in TWO_STAGE.items() if how["decoding"] == "threshold"}
        again = protocol_ways(protocol_runs(setting, pool, longer, cut))
        grid = again[SINGLE].final[0]
        rows |= {f"grid, {name}, {longer.epochs} epochs": way for name, way in again.items()}
    return rows | system_ways(setting, pool, grid)


def system_ways(setting: Setting, pool: Pool, grid: RunFolder) -> dict[str, Way]:
    """Every system, each for the time of the run ``grid``; at the scale "paper" for as long as its paper says."""
    length = Length(setting, grid)
    configs = {name: length.search(name, system) for name, system in SYSTEMS.items()}
    searched = pool.trained_arms({name: setting.over_seeds(config) for name, config in configs.items()})
    cut = {name: system for name, system in SYSTEMS.items() if system.decoding is not None}
    trainings = {name: length.trainings(name, system, searched[name], pool) for name, system in cut.items()}
    final = pool.trained_arms(trainings)
    return {name: Way(runs, final.get(name, runs)) for name, runs in searched.items()}


def at_what_cost(setting: Setting) -> str:
    """What the rows of :func:`ways` have in common."""
    if setting.scale == "paper":
        return "protocols at one total cost, other systems as in their papers"
    times = LENGTH[setting.scale]
    # The protocols of the grid again, and then the systems, are longer.
    return (
        "at one total cost"
        if times == 1
        else f"first {2 + len(TWO_STAGE)} rows at one total cost, others at {times} times that"
    )


def notes(setting: Setting) -> list[str]:
    """What a reader has to know of the rows of systems."""
    lengths = "They are trained as their papers say, where that is known (docs/studies)."
    if setting.scale != "paper":
        epochs = LENGTH[setting.scale] * setting.config().epochs
        lengths = (
            f"Each got the time of {epochs} epochs of the grid's single stage, by steps timed interleaved in one "
            "process: that share of it for the search that it takes of the grid's, the rest for the second stage."
        )
    return [
        f"Auto-DeepLab, dense grid (after DCNAS), DPC head: spaces of their own. {lengths}",
        "The non-dense rows of DCNAS are the grid's: with a reach of one layer and one level a dense grid is that.",
    ]


class Length:
    """How long searches and trainings are, by the time of steps of their networks over one of the grid's.

    Args:
        setting: of the study.
        grid: the run whose time each gets.
    """

    def __init__(self, setting: Setting, grid: RunFolder) -> None:
        self.setting = setting
        self.grid = replace(grid.fit_config, seed=0)
        facts = grid.environment()
        if facts is None:
            raise ValueError(f"{grid.path} has not begun")
        self.facts = recorded_facts(facts)
        self.own = setting.scale == "paper"

    def times(self, specs: Mapping[str, Spec]) -> dict[str, float]:
        """Of a step, over the grid's."""
        return relative_times(specs, spec_of(self.grid, self.facts), self.grid, self.setting.out / TIMES)

    def search(self, name: str, system: System) -> FitConfig:
        """The run of the first stage, or the only one."""
        base = replace(self.grid, data=self.setting.data, out="")
        if system.space is None:
            config = self.setting.varied(base, head="dpc")
        else:
            settings = shapes(self.setting.scale, base.size)[system.space]
            config = self.setting.elsewhere(base, system.space, settings)
        if self.own:
            return replace(config, **system.search)
        ratio = self.times({name: spec_of(config, self.facts)})[name]
        epochs = max(3, round(base.epochs / ratio))
        if system.decoding is None:
            return replace(config, epochs=epochs)
        warmup, search, _ = single_stage(epochs, base.warmup_share, base.search_share)
        share = warmup.end / search.end
        return replace(config, epochs=search.end, warmup_share=share, search_share=1 - share)

    def trainings(self, name: str, system: System, searched: Sequence[RunFolder], pool: Pool) -> list[FitConfig]:
        """Of what each search found, from scratch, all as long."""
        assert system.decoding is not None
        decoding, tau = system.decoding
        specs: dict[str, Spec] = {}
        paths: list[str] = []
        for run in searched:
            space, settings = space_of(run.config)
            model = load_model(run.path, task="segmentation").network
            found = space.decode(model.arch(), decoding, tau, settings)  # pyright: ignore[reportArgumentType]
            specs[f"{name}, seed {run.config.seed}"] = replace(model.spec, genotype=found.to_dict())
            paths.append(pool.genotype_file(space.name, found, space.write_genotype))
        nothing = {f.name: f.default for f in fields(FitConfig) if f.name in OF_SEARCH}
        base = replace(searched[0].fit_config, data=self.setting.data, out="", **nothing)
        if self.own:
            of_search = {name: getattr(self.grid, name) for name in system.search if name not in OF_SEARCH}
            length = {**of_search, **system.training}
        else:
            left = (
                self.grid.epochs - single_stage(self.grid.epochs, self.grid.warmup_share, self.grid.search_share)[1].end
            )
            length = {"epochs": max(1, round(left / median(self.times(specs).values())))}
        return [
            replace(base, **length, genotype=path, seed=run.config.seed)
            for path, run in zip(paths, searched, strict=True)
        ]
