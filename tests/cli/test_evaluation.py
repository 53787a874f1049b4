"""Judging is fair: a fixed number of episodes per copy, independent of how long each takes."""

import json
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from companion import tasks
from companion.cli._evaluation import Request, evaluate, wilson_interval
from companion.tasks import Metric
from companion.worlds._step import Episodes, Step

TASK = replace(
    tasks.load("arm_reach"),
    metrics=(Metric("distance", "m", "x", "last"), Metric("unheard", "1", "x")),
)


class CountingWorld:
    """Failures take one step, successes ten: whoever takes the episodes that end first sees failures only."""

    def __init__(self, copies: int, success_share: float = 0.5) -> None:
        self.num_envs = copies
        self.invalid_count = 0
        self._share = success_share

    def reset(self, seed: int) -> NDArray[np.float32]:
        self._random = np.random.default_rng(seed)
        self._elapsed = np.zeros(self.num_envs, int)
        self._will_succeed = self._random.random(self.num_envs) < self._share
        return self._observation()

    def step(self, action: NDArray[np.float32]) -> Step:
        assert action.shape == (self.num_envs, 1)
        self._elapsed += 1
        ended = np.flatnonzero(self._elapsed >= np.where(self._will_succeed, 10, 1))
        episodes = Episodes(
            copy=ended,
            length=self._elapsed[ended],
            total_reward=self._elapsed[ended].astype(np.float32),
            success=self._will_succeed[ended],
            metrics={"distance": np.where(self._will_succeed[ended], 0.0, np.nan).astype(np.float32)},
        )
        self._elapsed[ended] = 0
        self._will_succeed[ended] = self._random.random(len(ended)) < self._share
        none = np.zeros(self.num_envs, bool)
        observation = self._observation()
        return Step(observation, np.zeros(self.num_envs, np.float32), none, none, observation, ~none, episodes)

    def close(self) -> None:
        pass

    def _observation(self) -> NDArray[np.float32]:
        return np.stack((self._elapsed, -self._elapsed), axis=1).astype(np.float32)


def act(observation: NDArray[np.float32]) -> NDArray[np.float32]:
    return observation[:, :1]


def test_long_episodes_count_as_much_as_short_ones() -> None:
    evaluation, _ = evaluate(act, CountingWorld(400), Request(TASK, "m", episodes=2000))
    assert evaluation.episodes == 2000
    assert evaluation.success_rate == pytest.approx(0.5, abs=0.04)
    assert evaluation.metrics["episode_s"].mean == pytest.approx(5.5 * TASK.control_period_s, rel=0.05)
    assert evaluation.metrics["time_to_success_s"].mean == pytest.approx(10 * TASK.control_period_s)


@pytest.mark.parametrize("episodes", [1, 7, 8, 9, 17])
def test_exactly_so_many_episodes_are_judged(episodes: int) -> None:
    evaluation, _ = evaluate(act, CountingWorld(8), Request(TASK, "m", episodes=episodes))
    assert evaluation.episodes == episodes


def test_the_same_seed_gives_the_same_figures() -> None:
    first, second, third = (
        evaluate(act, CountingWorld(8), Request(TASK, "m", episodes=50, seed=seed))[0] for seed in (1, 1, 2)
    )
    assert first == second and first.metrics["episode_s"] != third.metrics["episode_s"]


def test_figures_worked_out_by_hand() -> None:
    always, observed = evaluate(act, CountingWorld(4, success_share=1.0), Request(TASK, "m.onnx", episodes=4, seed=3))
    assert (always.task, always.model, always.seed, always.success_rate) == ("arm_reach", "m.onnx", 3, 1.0)
    figure = always.metrics["return"]
    assert (figure.mean, figure.p05, figure.median, figure.p95) == (10.0, 10.0, 10.0, 10.0)
    assert "unheard" not in always.metrics
    assert observed.low.tolist() == [0, -9] and observed.high.tolist() == [9, 0]
    assert observed.samples.shape[1] == 2 and len(observed.samples) > 1


def test_json_holds_null_where_no_episode_had_a_figure() -> None:
    never, _ = evaluate(act, CountingWorld(4, success_share=0.0), Request(TASK, "m", episodes=4, set={"a": 1.0}))
    plain = json.loads(json.dumps(never.to_json(), allow_nan=False))
    assert {"task", "model", "episodes", "seed", "success_rate", "success_ci95", "metrics"} <= set(plain)
    assert plain["metrics"]["time_to_success_s"] is None and plain["metrics"]["distance"] is None
    assert plain["metrics"]["return"] == 1.0 and plain["quantiles"]["return"] == [1.0, 1.0, 1.0]
    assert plain["success_rate"] == 0.0 and plain["set"] == {"a": 1.0}


def test_wilsons_interval() -> None:
    """Wilson 1927, by hand: centre (p + z²/2n) / (1 + z²/n), half-width z sqrt(p(1-p)/n + z²/4n²) / (1 + z²/n)."""
    z, n, p = 1.959963984540054, 500, 0.97
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    assert wilson_interval(485, 500) == pytest.approx((centre - half, centre + half), abs=1e-9)
    assert wilson_interval(0, 10)[0] == 0.0 and wilson_interval(10, 10)[1] == 1.0


def test_a_world_without_ends_is_told() -> None:
    world = CountingWorld(2)
    world.invalid_count = 5
    endless = replace(TASK, max_episode_s=TASK.control_period_s)
    world.reset(0)
    world._share = 1.0
    with pytest.raises(ValueError, match=r"only 0 of 2 episodes .* \(5 were numerically bad\)"):
        evaluate(act, world, Request(endless, "m", episodes=2))
