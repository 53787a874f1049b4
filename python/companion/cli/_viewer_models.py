"""Policies that can drive besides the one that was asked for: others of the task on this disk, and runs under way."""

import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from companion.cli._cards import check_card_fits, task_subject
from companion.cli._errors import is_told_in_one_line, one_line
from companion.cli._flags import perturbations
from companion.cli._plays import Wanted, acting, resting, scripted
from companion.cli._run_directory import CHECKPOINTS, POLICY, read_config, read_recipe, read_record
from companion.cli._viewer_stage import MakeController, Play
from companion.deploy.actor import OnnxActor, OnnxNetwork
from companion.rewards import load_recipe
from companion.rewards.lint import DEFAULT_DISCOUNT
from companion.tasks import Controller, Task

if TYPE_CHECKING:
    from companion.cli._checkpoints import Learned

MODELS, RUNS = Path("exported_models"), Path("runs")
"""Where policies are looked for, below the present folder."""
MOST_RUNS = 20
"""The newest ones."""
LOOK_EVERY_S = 1.0
"""Between two looks at a run's checkpoint."""
NEWEST = "newest checkpoint"


class FileDriver:
    """An exported policy: its file is read whenever an episode begins, so that a new one counts from then on."""

    def __init__(self, play: Play, path: Path) -> None:
        self._play, self._path = play, path
        self._trouble = ""

    def __call__(self) -> Controller:
        """A controller for an episode; one at rest where the file can't be used."""
        task = self._play.task
        try:
            actor = OnnxActor(self._path)
            subject = task_subject(task, self._play.recipe, discrete=bool(actor.card.motions))
            check_card_fits(actor.card, subject, str(self._path))
        except ValueError as error:
            self._trouble = one_line(error)
            return resting(task)
        self._trouble = ""
        return acting(task, actor)()

    def told(self) -> str:
        """What a person should know of it."""
        return self._trouble


@dataclass(frozen=True)
class _Seen:
    """A checkpoint."""

    learned: "Learned"
    saved_at: float
    """As the file system tells time, s."""


class NewestDriver:
    """The policy of a run's newest checkpoint, which a thread of its own looks for; it counts from the next episode on.

    Args:
        task: that the run learns.
        directory: of the run.
    """

    def __init__(self, task: Task, directory: Path) -> None:
        self._task, self._directory = task, directory
        self._newest: _Seen | None = None
        self._driving: _Seen | None = None
        self._trouble = ""
        self._thread: threading.Thread | None = None

    def look(self) -> None:
        """Read the newest checkpoint, and go on looking for newer ones.

        Raises:
            ValueError: if there is none that can be read.
        """
        self._read()
        if self._thread is None:
            self._thread = threading.Thread(target=self._follow, daemon=True)
            self._thread.start()

    def __call__(self) -> Controller:
        """A controller for an episode; one at rest where there is no checkpoint."""
        if self._thread is None:
            try:
                self.look()
            except Exception as error:
                if not is_told_in_one_line(error):
                    raise
                self._trouble = one_line(error)
        self._driving = self._newest
        if self._driving is None:
            return resting(self._task)
        return acting(self._task, OnnxNetwork(self._driving.learned.network))()

    def told(self) -> str:
        """What a person should know of the checkpoint that drives the present episode."""
        if self._driving is None or self._trouble:
            return self._trouble
        age_s = time.time() - self._driving.saved_at
        return f"{self._directory} after {self._driving.learned.steps:,} steps, saved {age_s:.0f} s ago"

    def _follow(self) -> None:
        while True:
            time.sleep(LOOK_EVERY_S)
            try:
                if self._newest is None or self._saved_at() != self._newest.saved_at:
                    self._read()
                    self._trouble = ""
            except Exception as error:  # whatever a damaged file leads to: the last good policy goes on
                self._trouble = one_line(error)

    def _read(self) -> None:
        from companion.cli._checkpoints import learned_so_far

        saved_at = self._saved_at()  # before it is read: what is saved meanwhile is read next time
        self._newest = _Seen(learned_so_far(self._directory), saved_at)

    def _saved_at(self) -> float:
        """When; 0 while there is none."""
        with suppress(OSError):
            return (self._directory / CHECKPOINTS[0]).stat().st_mtime
        return 0.0


def run_play(directory: Path, wanted: Wanted) -> tuple[Play, Mapping[str, float]]:
    """What a run's newest checkpoint does; and which perturbations are fixed.

    Raises:
        ValueError: if it is no run of a robot's task, or has no checkpoint.
    """
    from companion.cli._checkpoints import task_of

    record = read_record(directory)
    task = task_of(record, directory)
    recipe = read_recipe(directory, task, record.recipe) if wanted.recipe is None else load_recipe(task, wanted.recipe)
    newest = NewestDriver(task, directory)
    newest.look()
    fixed = {**record.set, **perturbations(task, wanted.set)}
    discount = float(read_config(directory).get("discount", DEFAULT_DISCOUNT))
    return Play(task, recipe, discount, {NEWEST: newest, **scripted(task)}), fixed


def models_of(play: Play) -> dict[str, MakeController]:
    """All policies of the play's task that are here now, by where they are."""
    name = play.task.name
    found: dict[str, MakeController] = {}
    for path in sorted(MODELS.glob(f"{name}*.onnx")):
        found[str(path)] = FileDriver(play, path)
    for directory in _runs_of(name):
        if (directory / POLICY).exists():
            found[str(directory)] = FileDriver(play, directory / POLICY)
        elif any((directory / file).exists() for file in CHECKPOINTS):
            found[f"{directory}, {NEWEST}"] = NewestDriver(play.task, directory)
    return found


def _runs_of(name: str) -> list[Path]:
    """The newest runs of a task, the latest first."""
    found = []
    for path in RUNS.glob("*/run.json"):
        with suppress(ValueError, OSError):
            if read_record(path.parent).task == name:
                found.append((path.stat().st_mtime, path.parent))
    return [directory for _, directory in sorted(found, reverse=True)[:MOST_RUNS]]
