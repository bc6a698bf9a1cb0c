"""What a run does when its rule of early stopping fires: its search ends, or it goes back and regularises more."""

from __future__ import annotations

import json
from collections.abc import Callable

import torch

from wholenet import parallel
from wholenet.search.early_stopping import RULES, Evaluation
from wholenet.search.folder import Folder
from wholenet.search.records import Record
from wholenet.search.state import TrainState


class Stopping:
    """A rule over the eigenvalues that a run has recorded, and what to do when it fires.

    Args:
        run: keeps checkpoints to go back to, ``epoch-*.pt``, and ``discarded.jsonl``.
        state: of the run.
        rule: a name in ``RULES``; "none" never fires.
        epochs: of the whole run; after its last one it is not stopped.
        go_back: go back to before the eigenvalue grew and regularise more, instead of ending (RobustDARTS, adaptive).
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
        self.rule = None if rule == "none" else RULES[rule]
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
        if self.rule is None or self.go_back or self.goes_on or self.state.epoch >= self.epochs:
            return None
        return self.rule.goes_back_to(self._evaluations())

    def after(self, record: Record) -> int | None:
        """After an epoch, do what the rule says: the epoch whose architecture the run ends with, or None where it goes
        on, from an earlier epoch maybe."""
        if self.rule is None or record["eigenvalue"] is None or self.state.frozen_at is not None:
            return None
        fires = None if self.state.epoch == self.epochs else self.rule.goes_back_to(self._evaluations())
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
            self.say(f"the eigenvalue has grown: stopped, with the architecture of epoch {fires + 1}")
            return fires
        self.state.frozen_at = fires
        self.say(
            f"the eigenvalue has grown: the search is over; weights go on, at the architecture of epoch {fires + 1}"
        )
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

    def _evaluations(self) -> list[Evaluation]:
        return [(r["epoch"], r["eigenvalue"]) for r in self.state.records if r["eigenvalue"] is not None]

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
        assert saved is not None  # kept for as long as there is an increase to come
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
        self.say(
            f"the eigenvalue has grown: back to epoch {epoch + 1}, with weight decay {stronger:g} instead of {decay:g}"
        )


def _name(epoch: int) -> str:
    return f"epoch-{epoch}.pt"
