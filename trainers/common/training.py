"""What every trainer does alike before, beside and after its updates."""

import copy
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import nn

from trainers.common import checkpoint
from trainers.common.run import Run
from trainers.common.vec_env import VecEnv

MAY_CHANGE = frozenset({"steps", "threads", "device", "checkpoint_interval_s", "evaluation_interval"})
"""Settings that a resumed run may have changed: how long, how often, on what."""


def plain(config: Any) -> dict[str, Any]:
    """A Config as a checkpoint keeps it and as `checkpoint.require_same` compares it."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(config).items()}


def finished(actor: nn.Module) -> nn.Module:
    """A copy on the CPU that learns no more."""
    return copy.deepcopy(actor).cpu().eval()


def passed(interval: int, steps: int, new_steps: int) -> bool:
    """Whether a multiple of the interval lies in the last new steps; an interval of 0 is never passed."""
    return interval > 0 and steps // interval != (steps - new_steps) // interval


def evaluate(run: Run, actor: nn.Module, steps: int) -> None:
    """Let the run judge the actor as it is, if it wants to."""
    if run.evaluate is not None:
        figures = run.evaluate(finished(actor))
        run.log(steps, {f"Evaluation/{name}": value for name, value in figures.items()})


class Learning(Protocol):
    """What changes as a trainer learns, and can be saved."""

    updates: int

    def get_state(self) -> dict[str, Any]: ...
    def set_state(self, state: Mapping[str, Any]) -> None: ...


def begin(world: VecEnv, learner: Learning, run: Run, seed: int) -> NDArray[np.float32]:
    """Restore the run's checkpoint or start anew, and save that; the observation to act on."""
    state = run.load()
    if state is None:
        observation = world.reset(seed)
        run.save(state_of(world, learner))
        return observation
    learner.set_state(state["learner"])
    checkpoint.set_random_state(state["random"])
    if state["world"] is None:
        # The world can't tell its state: go on with other episodes than those already learned from.
        return world.reset(seed + learner.updates)
    return world.set_state(state["world"])


def state_of(world: VecEnv, learner: Learning) -> dict[str, Any]:
    """All that `begin` needs to go on from here."""
    return {"learner": learner.get_state(), "world": world.get_state(), "random": checkpoint.random_state()}
