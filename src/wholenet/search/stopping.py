"""What a run does when its rule of early stopping fires: its search ends, or it goes back and regularises more."""

from __future__ import annotations

import json
from collections.abc import Callable

import torch

from wholenet import parallel
from wholenet.search.folder import Folder
from wholenet.search.parts import EARLY_STOPPING
from wholenet.search.records import Record
from wholenet.search.state import TrainState


class Stopping:
    """A rule over what a run has recorded, and what to do when it fires.

    Args:
        run: keeps checkpoints to go back to, ``epoch-*.pt``, and ``discarded.jsonl``.
        state: of the run.
        rule: a name in ``EARLY_STOPPING``.
        epochs: of the whole run; after its last one it is not stopped.
        go_back: go back to the epoch that the rule names and regularise more, instead of ending (RobustDARTS,
            adaptive).
        goes_on: a search that ends is not the end of the run: the weights go on alone.
        factor: on the weight decay, where it goes back.
        limit: the weight decay never gets above this.
        device: for the tensors of a checkpoint.
        say: told when the rule fires.
    """

    def __init__(
        self,
        run: Folder,
        state: TrainState,
        rule: str,
        *,
        epochs: int,
        go_back: bool,
        goes_on: bool = False,
        factor: float,
        limit: float,
        device: torch.device,
        say: Callable[[str], None],
    ) -> None:
        self.run = run
        self.state = state
        self.rule = EARLY_STOPPING[rule]
        self.epochs = epochs
        self.go_back = go_back
        self.goes_on = goes_on
        self.factor = factor
        self.limit = limit
        self.device = device
        self.say = say

    def fired(self) -> int | None:
        """Of a run that is continued: the epoch whose architecture it ends with, if the rule fired just before it was
        stopped."""
        records = self.state.records
        if self.go_back or self.goes_on or self.state.epoch >= self.epochs or not records:
            return None
        return self._ends() if self.rule.every or self._asks(records[-1]) else None

    def after(self, record: Record) -> int | None:
        """After an epoch, do what the rule says: the epoch whose architecture the run ends with, or None where it goes
        on, from an earlier epoch maybe."""
        if not self._asks(record) or self.state.frozen_at is not None:
            return None
        fires = None if self.state.epoch == self.epochs else self._ends()
        if self.go_back:
            if self._stronger() is not None and parallel.is_first():
                self.run.save_checkpoint(self.state.state_dict(), _name(record["epoch"]))
            if fires is not None:
                self._go_back(fires)
            return None
        if fires is None:
            return None
        self._take(fires)
        if not self.goes_on:
            self.say(f"{self._why}: stopped, with the architecture of epoch {fires + 1}")
            return fires
        self.state.frozen_at = fires
        self.say(f"{self._why}: the search is over; weights go on, at the architecture of epoch {fires + 1}")
        return None

    def _take(self, epoch: int) -> None:
        """Put the logits of ``epoch`` back, where its record has them; elsewhere it has a genotype."""
        if (found := self.state.records[epoch].get("logits")) is not None:
            with torch.no_grad():
                for name, logits in self.state.model.arch.logits.items():
                    logits.copy_(torch.tensor(found[name], dtype=torch.float64))

    def forget(self, after: int = -1) -> None:
        """Remove the checkpoints of epochs after ``after``."""
        for path in self.run.path.glob("epoch-*.pt") if parallel.is_first() else ():
            if int(path.stem.removeprefix("epoch-")) > after:
                path.unlink()

    @property
    def _why(self) -> str:
        return self.rule.why or f"early stopping by {self.rule.name!r}"

    def _asks(self, record: Record) -> bool:
        """Whether the rule has something new to judge by."""
        if self.rule.ends is None:
            return False
        return record["eigenvalue" if self.rule.every else "arch_loss"] is not None

    def _ends(self) -> int | None:
        """What the rule says of all that is recorded."""
        records = self.state.records
        epoch = None if self.rule.ends is None else self.rule.ends(records)
        if epoch is not None and not 0 <= epoch < len(records):
            raise ValueError(
                f"early stopping by {self.rule.name!r} names epoch {epoch}; expected one that is over, from 0 to "
                f"{len(records) - 1}, or None"
            )
        return epoch

    def _stronger(self) -> float | None:
        """The weight decay after the next increase; None if that would be more than may be."""
        stronger = self.state.weight_optimizer.param_groups[0]["weight_decay"] * self.factor
        return stronger if stronger <= self.limit * (1 + 1e-9) else None

    def _go_back(self, epoch: int) -> None:
        """Go back to the end of ``epoch`` and regularise more, unless that is as much as may be (RobustDARTS).

        The history from there on is put aside, so that the rule judges anew; the original's keeps judging by it. If the
        process ends on the way, the run goes on from the epoch before, and the rule fires again.
        """
        stronger, state = self._stronger(), self.state
        if stronger is None:
            return
        saved = self.run.read_checkpoint(self.device, _name(epoch))
        if saved is None:  # they are kept for as long as there is an increase to come
            raise ValueError(
                f"early stopping by {self.rule.name!r} goes back to epoch {epoch}, after which it was not asked; "
                "expected one after which it was"
            )
        decay = state.weight_optimizer.param_groups[0]["weight_decay"]
        gone = [record for record in state.records if record["epoch"] > epoch]
        kept = [record for record in state.records if record["epoch"] <= epoch]
        parallel.meet()  # now all have read it
        state.load_state_dict(saved)
        state.records = kept  # a checkpoint from before there were records in it has none
        for group in state.weight_optimizer.param_groups:
            group["weight_decay"] = stronger
        if parallel.is_first():
            with (self.run.path / "discarded.jsonl").open("a") as file:
                file.writelines(json.dumps(record) + "\n" for record in gone)
            self.run.save_checkpoint(state.state_dict())
            self.run.rewrite_records(state.records)
        self.forget(after=epoch if self._stronger() else -1)
        self.say(f"{self._why}: back to epoch {epoch + 1}, with weight decay {stronger:g} instead of {decay:g}")


def _name(epoch: int) -> str:
    return f"epoch-{epoch}.pt"
