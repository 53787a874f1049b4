"""The policy of a training that is under way, as its newest checkpoint has it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from companion import tasks
from companion.cli import _run_directory, _settings
from companion.cli._problems import GYM, UNITY
from companion.cli._run_directory import RunRecord
from companion.menu import pick
from companion.tasks import Task
from trainers.common import checkpoint
from trainers.common.progress import ProgressView
from trainers.common.run import Run

if TYPE_CHECKING:
    from trainers.common.vec_env import Step


@dataclass(frozen=True)
class Learned:
    """What a run has learned so far."""

    network: bytes
    """The ONNX network that robots would run, without a card."""
    steps: int
    """Transitions that it learned from, by the run's metrics."""


def learned_so_far(directory: Path) -> Learned:
    """The actor of a run's newest checkpoint, whichever trainer wrote it; nothing in the run is touched.

    Raises:
        ValueError: if it is no run of a robot's task, or holds no checkpoint that can be read.
    """
    import trainers
    from trainers.common.onnx_export import robot_onnx

    record = _run_directory.read_record(directory)
    task = task_of(record, directory)
    trainer = pick(trainers, record.trainer, "trainer")
    if getattr(trainer, "MAKES_A_WORLD_PER_WORKER", False):
        raise ValueError(f"{directory} can't be looked into while it learns: {record.trainer} would start its workers")
    where = str(directory / _run_directory.CONFIG)
    read = _settings.from_mapping(_run_directory.read_config(directory), where)
    config = replace(_settings.resolve(trainer.Config, [read]), threads=1, device="cpu")
    motions = task.motion_table() if record.actions == "discrete" else None
    steps = _run_directory.steps_done(directory)
    actor = trainer.train(_Sizes.of(task, motions), config, _Glimpse(directory))
    return Learned(robot_onnx(actor, task.layout.size, motions), steps)


def task_of(record: RunRecord, directory: Path) -> Task:
    """The robot's task that a run learns.

    Raises:
        ValueError: if it is somebody else's environment.
    """
    if record.task.startswith((GYM, UNITY)):
        raise ValueError(f"{directory} learns {record.task}; only the robots' tasks can be watched")
    return tasks.load(record.task)


class _Glimpse(Run):
    """What a trainer takes for a run to go on with that is to stop at once: it loads its state, and saves nothing."""

    def __init__(self, directory: Path) -> None:
        # The run's own `__init__` would open the files of a training that writes them now.
        self.directory, self.evaluate, self.progress = directory, None, ProgressView(quiet=True)
        self.stop_requested = True

    @property
    def elapsed_s(self) -> float:
        """No time passes."""
        return 0.0

    def load(self) -> dict[str, Any]:
        """The newest state, without its world and its memories of what was lived through.

        Raises:
            ValueError: if there is none.
        """
        saved = checkpoint.load(self.directory)
        if saved is None:
            raise ValueError(f"{self.directory} has no checkpoint yet; try again once it learns")
        state = saved["trainer"]
        forgotten: dict[str, Any] = {"world": None} if "world" in state else {}
        if "replay" in state:
            forgotten["replay"] = {**state["replay"], "added": 0}
        return {**state, **forgotten}

    def log(self, step: int, scalars: Mapping[str, float]) -> None:
        """Nobody listens."""

    def snapshot(self, state: Mapping[str, Any]) -> Callable[[], None]:
        """Nothing is written."""
        return lambda: None

    def save(self, state: Mapping[str, Any]) -> None:
        """Nothing is written."""


@dataclass(frozen=True)
class _Sizes:
    """What a trainer takes for a world: it has the sizes of the task's and never takes a step."""

    observation_size: int
    action_size: int
    discrete_branches: tuple[int, ...]
    num_envs: int = 1
    action_mask: None = None

    @staticmethod
    def of(task: Task, motions: Any) -> "_Sizes":
        """Of a task whose policy picks among these motions, or acts continuously."""
        if motions is None:
            return _Sizes(task.layout.size, len(task.action), ())
        return _Sizes(task.layout.size, 1, (len(motions),))

    def __call__(self, copies: int, seed: int) -> "_Sizes":
        return replace(self, num_envs=copies)

    def reset(self, seed: int) -> NDArray[np.float32]:
        return np.zeros((self.num_envs, self.observation_size), np.float32)

    def step(self, action: NDArray[np.float32]) -> "Step":
        raise AssertionError("the training stops before its first step")

    def advise(self) -> NDArray[np.float32]:
        raise AssertionError("nobody learns")

    def get_state(self) -> None:
        return

    def set_state(self, state: Mapping[str, Any]) -> NDArray[np.float32]:
        return self.reset(0)

    def close(self) -> None:
        pass
