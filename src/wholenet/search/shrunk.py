"""What making a trained network smaller came to: its score before, right after, and in the end. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence

from wholenet.search.keep import best_record
from wholenet.search.phases import Phase
from wholenet.search.records import Record
from wholenet.tasks.score import Score


def before_and_after(phases: Sequence[Phase]) -> tuple[int, ...]:
    """Epochs of a run that makes a trained network smaller which have to be scored: the first, in which nothing moves,
    and the last before weights do. None of other runs.

    >>> from wholenet.search.phases import shrinking, single_stage
    >>> before_and_after(shrinking(12, 4)), before_and_after(single_stage(12))
    ((0, 4), ())
    """
    if not any(phase.removes for phase in phases):
        return ()
    return 0, max(phase.end for phase in phases if not phase.moves_weights) - 1


def shrunk_lines(records: Sequence[Record], phases: Sequence[Phase], score: Score, keep: str) -> list[str]:
    """How such a run went, for people: scores, and multiply-adds of one image; none of another run.

    Args:
        records: of all its epochs.
        phases: likewise.
        score: of its task.
        keep: which network it kept, "last" or "best".
    """
    if not (scored := before_and_after(phases)):
        return []
    told: dict[str, Record] = {"before": records[scored[0]], "right after removal": records[scored[-1]]}
    if len(records) > scored[-1] + 1:
        kept = best_record(records, score) if keep == "best" else None
        told["after fine-tuning"] = records[-1] if kept is None else kept
    lines = []
    for what, record in told.items():
        share = f" ({record['macs'] / records[0]['macs']:.0%})" if what != "before" else ""
        lines.append(f"{what:20} {score.say(record[score.name]):>12}   {record['macs'] / 1e6:,.4g} MMACs{share}")
    return lines
