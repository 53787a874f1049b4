"""What one step of any world gives back. Trainers know it only by the shape of their own `VecEnv` protocol."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Episodes:
    """The episodes that ended in one step; every array has one entry per ended episode."""

    copy: NDArray[np.int64]
    """Which copy it was."""
    length: NDArray[np.int64]
    """Decisions taken."""
    total_reward: NDArray[np.float32]
    success: NDArray[np.bool_] | NDArray[np.float32]
    """NaN where the world can't tell."""
    terms: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    """Weighted reward per term, summed over the episode; their sum is `total_reward`."""
    raw_terms: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    """Unweighted value per term, averaged over the episode's real steps."""
    metrics: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    """The task's metrics."""
    costs: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    """What each constraint cost: its mean over the episode's time, or its sum where it is counted."""


@dataclass(frozen=True)
class Step:
    """One decision of every copy; arrays `[num_envs, …]`."""

    observation: NDArray[np.float32]
    """What to act on next; of a new episode where the old one ended."""
    reward: NDArray[np.float32]
    terminated: NDArray[np.bool_]
    """The episode came to a true end: no value beyond it."""
    truncated: NDArray[np.bool_]
    """The episode was cut off by time: the value of `final_observation` goes on."""
    final_observation: NDArray[np.float32]
    """The last observation of the old episode where one ended, else `observation`."""
    active: NDArray[np.bool_]
    """False where a row holds no transition (an agent that was absent or still at its last action, or a numerically
    bad episode)."""
    episodes: Episodes
    taken: NDArray[np.float32] | None = None
    """The actions that led to the transitions, where agents decide at different times; None: those of this step."""
    costs: NDArray[np.float32] | None = None
    """What each constraint measured in this decision `[num_envs, constraints]`; None where the world can't tell."""
