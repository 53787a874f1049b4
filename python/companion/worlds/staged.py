"""A recipe's curriculum around any world: it is watched, and its settings change stage by stage."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from companion.mlagents.parameters import Uniform
from companion.rewards.curriculum import Curriculum, Ended, Value
from companion.tasks import Task
from companion.worlds._step import Step

Tell = Callable[[str, Value, np.random.Generator], None]
"""Gives a setting to a world: a number, or a range to draw from for each episode that begins."""


class StagedWorld:
    """A world whose steps and successes decide on stages; else as the world itself.

    Args:
        world: not reset yet.
        curriculum: of as many copies.
        tell: called with every setting now, and whenever one changes.
        seed: of the draws.
        file: keeps the stages of a world that can't tell its state, so that a resumed training goes on in them.
    """

    def __init__(
        self, world: Any, curriculum: Curriculum, tell: Tell, *, seed: int = 0, file: Path | None = None
    ) -> None:
        self._world = world
        self.curriculum = curriculum
        self._tell = tell
        self._random = np.random.default_rng(seed)
        self._file = file
        self._tell_all()

    def __getattr__(self, name: str) -> Any:
        """Sizes, masks and all else that is the world's own."""
        return getattr(self._world, name)

    def step(self, action: NDArray[np.float32]) -> Step:
        """Take one decision in every copy; a new stage is that of the episodes that begin after it."""
        step: Step = self._world.step(action)
        ended = Ended(step.episodes.copy, step.episodes.success)
        changed = self.curriculum.note(int(step.active.sum()), step.terminated | step.truncated, ended)
        for name in changed:
            self._tell(name, self.curriculum.value(name), self._random)
        if changed and self._file is not None:
            self._file.write_text(json.dumps(self.curriculum.number) + "\n", encoding="utf-8")
        return step

    def get_state(self) -> dict[str, Any] | None:
        """The world's and the curriculum's."""
        state = self._world.get_state()
        if state is None:
            return None
        return {"world": state, "curriculum": self.curriculum.get_state(), "random": self._random.bit_generator.state}

    def set_state(self, state: Mapping[str, Any]) -> NDArray[np.float32]:
        """Go on from a saved state; the observation to act on."""
        self.curriculum.set_state(state["curriculum"])
        self._tell_all()
        self._random.bit_generator.state = state["random"]
        return self._world.set_state(state["world"])

    def _tell_all(self) -> None:
        for name in self.curriculum.stages:
            self._tell(name, self.curriculum.value(name), self._random)


def stages_before(file: Path) -> dict[str, int]:
    """The stages that a training had reached; {} if none was kept."""
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}


def tell_embedded(world: Any, task: Task) -> Tell:
    """To the embedded world: each episode that begins draws from a range."""
    whole = {entry.name for entry in task.perturbations if entry.is_integer}

    def tell(name: str, value: Value, random: np.random.Generator) -> None:
        low, high = value if isinstance(value, tuple) else (value, value)
        if name in whole:
            world.set_parameter(name, lambda count: random.integers(int(low), int(high), count, endpoint=True))
        else:
            world.set_parameter(name, lambda count: random.uniform(low, high, count))

    return tell


def tell_players(world: Any) -> Tell:
    """To players of ML-Agents, as environment parameters: numbers, and uniform samplers."""

    def tell(name: str, value: Value, random: np.random.Generator) -> None:
        seed = int(random.integers(2**31 - 1))
        world.set_parameters({name: Uniform(*value, seed) if isinstance(value, tuple) else value})

    return tell
