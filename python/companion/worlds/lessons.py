"""Curricula of ML-Agents around any world: it is watched, and its players are told when a lesson is over."""

import json
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from companion.mlagents.curriculum import Curriculum
from companion.mlagents.parameters import Parameter
from companion.worlds._step import Step

Tell = Callable[[Mapping[str, Parameter]], None]
"""Sends environment parameters to all players."""


class Lessons:
    """A curriculum that several behaviours share, each watched in a thread of its own.

    Args:
        curriculum: where training stands.
        tell: called with the parameters of new lessons, and with all where training goes on in lessons reached before;
            what holds at first is for the world's maker to send.
        file: keeps the lessons reached, so that a training that is resumed goes on in them; not kept if not given.
    """

    def __init__(self, curriculum: Curriculum, tell: Tell, file: Path | None = None) -> None:
        self.curriculum = curriculum
        self._tell = tell
        self._file = file
        self._lock = threading.Lock()
        self._returns: dict[str, deque[float]] = {}
        self._progress: dict[str, float] = {}
        if file is not None and file.exists():
            curriculum.set_state(json.loads(file.read_text(encoding="utf-8")))
            tell(curriculum.parameters)

    def watch(self, world: Any, behavior: str, steps: int, done: int = 0) -> "LessonsWorld":
        """The world of a behaviour, watched.

        Args:
            world: a VecEnv.
            behavior: whose it is.
            steps: transitions that its training lasts.
            done: of these, before it was resumed.
        """
        with self._lock:
            self._returns[behavior] = deque(maxlen=self.curriculum.episodes_kept(behavior))
            self._progress[behavior] = done / steps
        return LessonsWorld(self, world, behavior, steps, done)

    def note(self, behavior: str, progress: float, returns: NDArray[np.float32]) -> bool:
        """Take in what happened in a step; whether every episode has to start anew now."""
        with self._lock:
            self._progress[behavior] = progress
            self._returns[behavior].extend(map(float, returns))
            change = self.curriculum.update(self._progress, self._returns)
            if change is None:
                return False
            for latest in self._returns.values():
                latest.clear()
            if self._file is not None:
                self._file.write_text(json.dumps(self.curriculum.get_state()) + "\n", encoding="utf-8")
        self._tell(change.parameters)
        return change.must_reset


class LessonsWorld:
    """A world whose steps and returns decide on lessons; else as the world itself.

    Episodes tell the metric `lesson_<parameter>`, the number of the lesson in which they ended, from 0.
    """

    def __init__(self, lessons: Lessons, world: Any, behavior: str, steps: int, done: int) -> None:
        self._lessons = lessons
        self._world = world
        self._behavior = behavior
        self._steps = steps
        self._done = done

    def __getattr__(self, name: str) -> Any:
        """Sizes, masks and all else that is the world's own."""
        return getattr(self._world, name)

    def step(self, action: NDArray[np.float32]) -> Step:
        """Take one decision in every copy; where a new lesson asks for it, all episodes are cut off after it."""
        step: Step = self._world.step(action)
        self._done += int(step.active.sum())
        numbers = self._lessons.curriculum.lesson_numbers
        ended = len(step.episodes.length)
        metrics = {f"lesson_{name}": np.full(ended, number, np.float32) for name, number in numbers.items()}
        step = replace(step, episodes=replace(step.episodes, metrics={**step.episodes.metrics, **metrics}))
        if not self._lessons.note(self._behavior, self._done / self._steps, step.episodes.total_reward):
            return step
        first = self._world.reset(0)
        going_on = ~(step.terminated | step.truncated)
        return replace(
            step,
            observation=first,
            truncated=step.truncated | going_on,
            final_observation=np.where(going_on[:, None], step.observation, step.final_observation),
        )
