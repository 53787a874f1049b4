"""A watched world goes on to the next lesson when its returns or its progress say so."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from companion.mlagents.curriculum import Completion, Curriculum, Lesson
from companion.mlagents.parameters import Parameter
from companion.worlds._step import Episodes, Step
from companion.worlds.lessons import Lessons, LessonsWorld


class Clock:
    """Two copies; the observation is the age of the episode, which ends truly at 3 with a return of 3 x `reward`."""

    num_envs, observation_size, action_size = 2, 1, 1
    discrete_branches: tuple[int, ...] = ()
    action_mask = None

    def __init__(self, reward: float = 1.0) -> None:
        self.reward, self.age, self.resets = reward, np.zeros(2, np.int64), 0

    def reset(self, seed: int) -> NDArray[np.float32]:
        del seed
        self.resets += 1
        self.age = np.array([0, -1])  # the second copy is a step late
        return self._look()

    def step(self, action: NDArray[np.float32]) -> Step:
        del action
        self.age += 1
        ended, final = self.age == 3, self._look()
        total = np.full(int(ended.sum()), 3 * self.reward, np.float32)
        episodes = Episodes(np.flatnonzero(ended), np.full(len(total), 3), total, total > 0)
        self.age[ended] = 0
        reward = np.full(2, self.reward, np.float32)
        return Step(self._look(), reward, ended, np.zeros(2, bool), final, np.ones(2, bool), episodes)

    def _look(self) -> NDArray[np.float32]:
        return self.age[:, None].astype(np.float32)


def lessons(criterion: Completion) -> dict[str, tuple[Lesson, ...]]:
    return {"height": (Lesson("low", 1.0, criterion), Lesson("high", 2.0)), "gravity": (Lesson("gravity", 9.81),)}


def watched(
    criterion: Completion, world: Clock, *, file: Path | None = None, done: int = 0
) -> tuple[LessonsWorld, list[Mapping[str, Parameter]]]:
    told: list[Mapping[str, Parameter]] = []
    shared = Lessons(Curriculum(lessons(criterion), seed=0), told.append, file)
    return shared.watch(world, "A", steps=20, done=done), told


def play(world: LessonsWorld, steps: int) -> list[Step]:
    return [world.step(np.zeros((2, 1), np.float32)) for _ in range(steps)]


def test_the_next_lesson_is_told_once_enough_episodes_were_good_enough() -> None:
    """Episodes end at steps 3 and 4 with 3 each; smoothed, 0.75 x 3 = 2.25 is above 2."""
    world, told = watched(Completion("A", min_lesson_length=2, threshold=2.0), Clock())
    assert (world.num_envs, world.observation_size, world.action_mask) == (2, 1, None)
    world.reset(0)
    play(world, 3)
    assert told == []
    steps = play(world, 3)
    assert told == [{"height": 2.0}]
    assert [step.episodes.metrics["lesson_height"].tolist() for step in steps] == [[0.0], [], [1.0]]
    assert "lesson_gravity" not in steps[0].episodes.metrics


def test_progress_counts_the_transitions_of_its_own_training_also_those_before_a_resume() -> None:
    """Of 20 transitions, two per step: 12 are more than half."""
    criterion = Completion("A", "progress", threshold=0.5)
    world, told = watched(criterion, Clock())
    world.reset(0)
    play(world, 5)
    assert told == []
    play(world, 1)
    assert told == [{"height": 2.0}]
    resumed, told = watched(criterion, Clock(), done=10)
    resumed.reset(0)
    play(resumed, 1)
    assert told == [{"height": 2.0}]


def test_a_lesson_that_asks_for_it_cuts_all_episodes_off() -> None:
    """At step 3 the first copy ends truly; the second, two steps old, is cut off where it stands."""
    clock = Clock()
    world, _ = watched(Completion("A", threshold=1.0, require_reset=True), clock)
    world.reset(0)
    *_, last = play(world, 3)
    assert clock.resets == 2
    assert (last.terminated.tolist(), last.truncated.tolist()) == ([True, False], [False, True])
    assert last.final_observation[:, 0].tolist() == [3.0, 2.0]
    assert last.observation[:, 0].tolist() == [0.0, -1.0]


def test_a_resumed_training_stays_in_its_lesson(tmp_path: Path) -> None:
    file = tmp_path / "lessons.json"
    world, told = watched(Completion("A", threshold=1.0), Clock(), file=file)
    world.reset(0)
    play(world, 4)
    assert told == [{"height": 2.0}]
    again = Lessons(Curriculum(lessons(Completion("A", threshold=1.0)), seed=0), told.append, file)
    assert again.curriculum.parameters == told[-1] == {"height": 2.0, "gravity": 9.81}


def test_two_behaviors_share_lessons() -> None:
    """What A achieves changes the world of B too; B's own returns do not count."""
    told: list[Mapping[str, Parameter]] = []
    shared = Lessons(Curriculum(lessons(Completion("A", threshold=1.0)), seed=0), told.append)
    worlds = shared.watch(Clock(0.1), "A", 20), shared.watch(Clock(5.0), "B", 20)
    for world in worlds:
        world.reset(0)
    play(worlds[1], 6)
    play(worlds[0], 6)
    assert told == []
    better = shared.watch(Clock(1.0), "A", 20)
    better.reset(0)
    play(better, 3)
    assert told == [{"height": pytest.approx(2.0)}]
