"""A training that is watched: alarms in the progress view, in TensorBoard, in `alarms.jsonl`, each with an episode."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from companion.cli._ledgers import can_record
from companion.cli._report_runs import EPISODES, RETURN, SUCCESS
from companion.cli._run_directory import LEDGER
from companion.rewards import Recipe
from companion.rewards.ledger import LedgerError, LedgerWriter, open_ledger, parts_of
from companion.rewards.monitor import Alarm, Monitor, Seen
from companion.rewards.rescoring import judge
from companion.tasks import Task
from trainers.common.run import Run

ALARMS, CLIPS, COUNT = "alarms.jsonl", "alarms", "Monitor/Alarms"
TERM = "Reward/"
PROBE_COPIES = 16
"""Episodes of the good probes that tell how often an event should fire."""


@dataclass(frozen=True)
class Watched:
    """What a monitor must know of a training."""

    task: Task
    recipe: Recipe
    directory: Path
    set: Mapping[str, float]
    """Perturbations fixed from outside."""

    def monitor(self) -> Monitor:
        """A new one."""
        return Monitor(self.recipe, self.good_counts)

    def seen(self, step: int, scalars: Mapping[str, float]) -> Seen | None:
        """What a line of the log says of the episodes that ended; None if none did."""
        if not scalars.get(EPISODES) or not np.isfinite(scalars.get(SUCCESS, np.nan)):
            return None
        terms = {term.name: float(scalars[TERM + term.name]) for term in self.recipe.terms}
        events = [term for term in self.recipe.terms if term.kind == "event" and term.weight]
        counts = {term.name: terms[term.name] / term.weight for term in events}
        return Seen(float(step), scalars[EPISODES], scalars[SUCCESS], scalars[RETURN], terms, counts)

    def good_counts(self) -> dict[str, float]:
        """How often each event fires in an episode of the good probes that succeeds; {} without probes."""
        from companion.cli._probing import Probing, probe_cases

        good = replace(self.task, probes=tuple(probe for probe in self.task.probes if probe.rank == "good"))
        if not good.probes:
            return {}
        case = probe_cases(Probing(good, PROBE_COPIES, seed=0, set=self.set))[0]
        if not case.episodes:
            return {}
        judged = judge(self.recipe, self.task, case.record, 1.0)
        per_episode = judged.scores.term_returns(case.record).mean(axis=0)
        events = [(at, term) for at, term in enumerate(self.recipe.terms) if term.kind == "event" and term.weight]
        return {term.name: float(per_episode[at] / term.weight) for at, term in events}

    def keep_clip(self, alarm: Alarm) -> Path | None:
        """Of the last recorded episodes, the one that the blamed term paid most for without success, as a ledger."""
        if not can_record() or not parts_of(self.directory / LEDGER):
            return None
        ledger = open_ledger(self.directory)
        record = ledger.last()
        judged = judge(self.recipe, self.task, record, ledger.about.discount)
        paid = judged.term_returns[:, judged.scores.names.index(alarm.term)]
        failed = np.flatnonzero(~record.succeeded)
        among = failed if len(failed) else np.arange(len(paid))
        folder = self.directory / CLIPS / f"{alarm.transitions:.0f}-{alarm.sign.replace(' ', '-')}-{alarm.term}"
        writer = LedgerWriter(folder, replace(ledger.about, source=f"an alarm: {alarm.said}"))
        writer.add(record.of([int(among[paid[among].argmax()])]))
        writer.close()
        return folder


class MonitoredRun(Run):
    """A run whose log is watched for a reward that is earned in another way than it was meant to be."""

    def __init__(self, directory: Path, watched: Watched, **settings: Any) -> None:
        super().__init__(directory, **settings)
        self._watched, self._monitor = watched, watched.monitor()
        self.alarms = 0

    def log(self, step: int, scalars: Mapping[str, float]) -> None:
        """Log, and raise what alarms there are."""
        seen = self._watched.seen(step, scalars)
        found = [] if seen is None else self._monitor.add(seen)
        self.alarms += len(found)
        super().log(step, scalars if seen is None else {**scalars, COUNT: float(self.alarms)})
        for alarm in found:
            self._raise(alarm, step)

    def _raise(self, alarm: Alarm, step: int) -> None:
        clip = None
        try:
            clip = self._watched.keep_clip(alarm)
        except (LedgerError, OSError) as error:  # an alarm must not end the training that it warns of
            self.progress.note(f"no episode could be kept: {error}")
        where = "" if clip is None else f"; an episode is in {clip}"
        self.progress.note(f"look at the reward: {alarm.said}{where}")
        self._tensorboard(step).add_text("Monitor/Alarm", alarm.said, step)
        line = {**asdict(alarm), "clip": None if clip is None else clip.name}
        with (self.directory / ALARMS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
