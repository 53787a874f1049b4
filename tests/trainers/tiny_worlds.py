"""Worlds small enough to know the answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class TinyEpisodes:
    length: NDArray[np.int64]
    total_reward: Floats
    success: NDArray[np.bool_]
    terms: dict[str, Floats] = field(default_factory=dict)
    raw_terms: dict[str, Floats] = field(default_factory=dict)
    metrics: dict[str, Floats] = field(default_factory=dict)


@dataclass(frozen=True)
class TinyStep:
    observation: Floats
    reward: Floats
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]
    final_observation: Floats
    active: NDArray[np.bool_]
    episodes: TinyEpisodes
    taken: Floats | None = None


class PointMass:
    """A point on a line is pushed to the origin: stochastic, with a state, episodes that end well or run out of time.

    observation = (position, speed), the episode ends within 0.1 of the origin at a speed below 0.2.
    """

    observation_size = 2
    action_size = 1
    discrete_branches: tuple[int, ...] = ()
    action_mask = None
    time_limit = 40

    def __init__(self, num_envs: int, seed: int) -> None:
        self.num_envs = num_envs
        self._random = np.random.default_rng(seed)
        self._body = np.zeros((num_envs, 2), np.float32)
        self._age = np.zeros(num_envs, np.int64)
        self._total = np.zeros(num_envs, np.float32)

    def reset(self, seed: int) -> Floats:
        self._random = np.random.default_rng(seed)
        self._start(np.ones(self.num_envs, bool))
        return self._body.copy()

    def step(self, action: Floats) -> TinyStep:
        assert np.abs(action).max() <= 1
        push = action[:, 0] + 0.05 * self._random.standard_normal(self.num_envs, dtype=np.float32)
        self._body[:, 1] += 0.2 * push
        self._body[:, 0] += 0.2 * self._body[:, 1]
        self._age += 1
        arrived = (np.abs(self._body[:, 0]) < 0.1) & (np.abs(self._body[:, 1]) < 0.2)
        reward = (arrived - 0.1 * np.abs(self._body[:, 0])).astype(np.float32)
        self._total += reward
        late = (self._age >= self.time_limit) & ~arrived
        ended, final = arrived | late, self._body.copy()
        episodes = TinyEpisodes(
            length=self._age[ended],
            total_reward=self._total[ended],
            success=arrived[ended],
            terms={"all": self._total[ended]},
            metrics={"speed": np.abs(final[ended, 1])},
        )
        self._start(ended)
        everyone = np.ones(self.num_envs, bool)
        return TinyStep(self._body.copy(), reward, arrived, late, final, everyone, episodes)

    def get_state(self) -> Mapping[str, Any] | None:
        return {
            "random": self._random.bit_generator.state,
            "body": self._body.copy(),
            "age": self._age.copy(),
            "total": self._total.copy(),
        }

    def set_state(self, state: Mapping[str, Any]) -> Floats:
        self._random.bit_generator.state = state["random"]
        self._body, self._age, self._total = (np.array(state[name]) for name in ("body", "age", "total"))
        return self._body.copy()

    def close(self) -> None:
        pass

    def _start(self, who: NDArray[np.bool_]) -> None:
        count = int(who.sum())
        self._body[who, 0] = self._random.uniform(-2, 2, count)
        self._body[who, 1] = self._random.uniform(-0.5, 0.5, count)
        self._age[who] = 0
        self._total[who] = 0


class Bandit:
    """Every episode is one decision; the best action is 0.8 x the observation's first entry, the second is noise."""

    observation_size = 2
    action_size = 1
    discrete_branches: tuple[int, ...] = ()
    action_mask = None

    def __init__(self, num_envs: int, seed: int) -> None:
        self.num_envs = num_envs
        self._random = np.random.default_rng(seed)
        self._observation = self._draw()

    def reset(self, seed: int) -> Floats:
        self._random = np.random.default_rng(seed)
        self._observation = self._draw()
        return self._observation

    def step(self, action: Floats) -> TinyStep:
        error = action[:, 0] - 0.8 * self._observation[:, 0]
        reward = -np.square(error).astype(np.float32)
        final, self._observation = self._observation, self._draw()
        everyone = np.ones(self.num_envs, bool)
        episodes = TinyEpisodes(np.ones(self.num_envs, np.int64), reward, np.abs(error) < 0.1)
        return TinyStep(self._observation, reward, everyone, ~everyone, final, everyone, episodes)

    def get_state(self) -> Mapping[str, Any] | None:
        return None

    def set_state(self, state: Mapping[str, Any]) -> Floats:
        raise NotImplementedError

    def close(self) -> None:
        pass

    def _draw(self) -> Floats:
        return self._random.uniform(-1, 1, (self.num_envs, 2)).astype(np.float32)


class TwoRooms:
    """An episode starts in a room that pays nothing and goes on in one that pays 1 per step, which it leaves by chance.

    The chance is 0.2 per step; then the episode is at a true end, or only cut off. observation = the room, 0 or 1.
    """

    observation_size = 1
    action_size = 1
    discrete_branches: tuple[int, ...] = ()
    action_mask = None

    def __init__(self, num_envs: int, *, cut_off: bool) -> None:
        self.num_envs = num_envs
        self._cut_off = cut_off
        self._random = np.random.default_rng(0)
        self._room = np.zeros(num_envs, np.float32)

    def reset(self, seed: int) -> Floats:
        self._random = np.random.default_rng(seed)
        self._room[:] = 0
        return self._look()

    def step(self, action: Floats) -> TinyStep:
        reward = self._room.copy()
        ended = (self._random.random(self.num_envs) < 0.2) & (self._room == 1)
        self._room[:] = 1
        final = self._look()
        self._room[ended] = 0
        never, ends = np.zeros(self.num_envs, bool), np.ones(ended.sum(), np.int64)
        episodes = TinyEpisodes(ends, ends.astype(np.float32), ends > 0)
        terminated, truncated = (never, ended) if self._cut_off else (ended, never)
        return TinyStep(self._look(), reward, terminated, truncated, final, ~never, episodes)

    def get_state(self) -> Mapping[str, Any] | None:
        return None

    def set_state(self, state: Mapping[str, Any]) -> Floats:
        raise NotImplementedError

    def close(self) -> None:
        pass

    def _look(self) -> Floats:
        return self._room[:, None].copy()


class HalfIdle(PointMass):
    """A point mass whose odd copies are absent: their rows hold nonsense that nobody may learn from."""

    nonsense = float("nan")

    def step(self, action: Floats) -> TinyStep:
        step = super().step(action)
        step.active[1::2] = False
        step.reward[1::2] = self.nonsense
        return step


class Absent(PointMass):
    """A point mass of which no copy is ever there."""

    def step(self, action: Floats) -> TinyStep:
        step = super().step(action)
        step.active[:] = False
        return step


class MixedBandit(Bandit):
    """Every episode is one decision of all kinds: an entry that should be 0.8 x, and choices of 3 and of 2.

    For an observation (x, y) the right choices are 0 below y = -1/3, 1 in the middle, 2 above 1/3, and 1 where x > 0.
    Each wrong choice costs 1.
    """

    continuous = 1
    discrete_branches: tuple[int, ...] = (3, 2)

    @property
    def action_size(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]: worlds only promise to tell it
        return self.continuous + len(self.discrete_branches)

    def step(self, action: Floats) -> TinyStep:
        x, y = self._observation.T
        wanted = np.stack([np.digitize(y, (-1 / 3, 1 / 3)), x > 0], axis=-1)[:, : len(self.discrete_branches)]
        picked = action[:, self.continuous :]
        assert not picked.size or (np.all(picked == picked.round()) and np.all(picked < self.discrete_branches))
        mask = self.action_mask
        if mask is not None:
            assert mask[np.arange(self.num_envs), picked[:, 0].astype(int)].all(), "a closed choice was taken"
        wrong = (picked != wanted).sum(-1)
        error = action[:, 0] - 0.8 * x if self.continuous else np.zeros(self.num_envs)
        reward = -(np.square(error) + wrong).astype(np.float32)
        final, self._observation = self._observation, self._draw()
        everyone = np.ones(self.num_envs, bool)
        episodes = TinyEpisodes(np.ones(self.num_envs, np.int64), reward, (np.abs(error) < 0.1) & (wrong == 0))
        return TinyStep(self._observation, reward, everyone, ~everyone, final, everyone, episodes)


class MaskedBandit(MixedBandit):
    """One choice of 3, of which the right one is closed where x > 0; there either of the others will do."""

    continuous = 0
    discrete_branches = (3,)

    @property
    def action_mask(self) -> NDArray[np.bool_]:  # pyright: ignore[reportIncompatibleVariableOverride]: as action_size
        x, y = self._observation.T
        wanted = np.digitize(y, (-1 / 3, 1 / 3))
        return (np.arange(3) != wanted[:, None]) | (x <= 0)[:, None]


class Recall:
    """An episode shows +1 or -1 once, then nothing for a while, and then asks which it was: choice 0 for -1, 1 for +1.

    observation = (what is shown, 1 where the answer is due). A right answer pays 1; the others are not looked at.
    """

    observation_size = 2
    action_size = 1
    discrete_branches: tuple[int, ...] = (2,)
    action_mask = None
    decisions = 5

    def __init__(self, num_envs: int, seed: int) -> None:
        self.num_envs = num_envs
        self._random = np.random.default_rng(seed)
        self._shown = np.zeros(num_envs, np.float32)
        self._age = np.zeros(num_envs, np.int64)

    def reset(self, seed: int) -> Floats:
        self._random = np.random.default_rng(seed)
        self._age = self._random.integers(0, self.decisions, self.num_envs)  # so that the copies don't end together
        self._shown = self._draw()
        return self._look()

    def step(self, action: Floats) -> TinyStep:
        ended = self._age == self.decisions - 1
        right = ended & ((action[:, 0] == 1) == (self._shown > 0))
        reward = right.astype(np.float32)
        self._age = np.where(ended, 0, self._age + 1)
        final = np.zeros((self.num_envs, 2), np.float32)
        self._shown = np.where(ended, self._draw(), self._shown)
        observation = self._look()
        lengths = np.full(ended.sum(), self.decisions)
        episodes = TinyEpisodes(lengths, reward[ended], right[ended])
        everyone = np.ones(self.num_envs, bool)
        final = np.where(ended[:, None], final, observation)
        return TinyStep(observation, reward, ended, ended & False, final, everyone, episodes)

    def get_state(self) -> Mapping[str, Any] | None:
        return {"random": self._random.bit_generator.state, "shown": self._shown.copy(), "age": self._age.copy()}

    def set_state(self, state: Mapping[str, Any]) -> Floats:
        self._random.bit_generator.state = state["random"]
        self._shown, self._age = np.array(state["shown"]), np.array(state["age"])
        return self._look()

    def close(self) -> None:
        pass

    def _draw(self) -> Floats:
        return self._random.choice(np.array([-1, 1], np.float32), self.num_envs)

    def _look(self) -> Floats:
        due = self._age == self.decisions - 1
        return np.stack([np.where(self._age == 0, self._shown, 0), due], axis=-1).astype(np.float32)
