"""At which of two zooms a network sees images: the one that scores better in validation.

Which one that is depends on what is looked for: thin things are lost where images are seen smaller (docs/results.md,
"The zoom").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from wholenet.search.config import FitConfig
from wholenet.search.keep import rank
from wholenet.search.records import Record
from wholenet.search.train_config import TrainConfig
from wholenet.tasks.score import Score


def tries_zoom(config: TrainConfig, records: Sequence[Record], epochs: int, score: Score) -> bool:
    """Whether the epoch after these ``records`` is the one after which the other zoom is tried: the first that is
    scored from half of the run on.

    >>> from wholenet.tasks.score import MIOU
    >>> config = FitConfig(data="d", out="o", zoom=0.8, try_zoom=1.0)
    >>> scored = [{"epoch": epoch, "miou": 0.5 if epoch % 2 else None} for epoch in range(8)]
    >>> [epoch for epoch in (1, 3, 5, 7) if tries_zoom(config, scored[:epoch], 8, MIOU)]
    [3]
    """
    if not isinstance(config, FitConfig) or config.try_zoom is None:
        return False
    late = [record for record in records if 2 * (record["epoch"] + 1) >= epochs]
    return 2 * (len(records) + 1) >= epochs and all(record[score.name] is None for record in late)


def better_zoom(values: Mapping[float, float], score: Score) -> float:
    """The zoom of the best of these scores; of equal ones the smallest, which costs least.

    >>> from wholenet.tasks.score import MIOU
    >>> better_zoom({0.8: 0.5, 1.0: 0.6}, MIOU), better_zoom({1.0: 0.5, 0.8: 0.5}, MIOU)
    (1.0, 0.8)
    """
    return max(sorted(values), key=lambda zoom: rank(values[zoom], score))
