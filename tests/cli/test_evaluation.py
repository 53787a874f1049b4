"""Judging is fair: a fixed number of episodes per copy, independent of how long each takes."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from companion import tasks
from companion.cli._baselines import BaselinePolicy
from companion.cli._evaluation import (
    Evaluation,
    Exam,
    Request,
    bootstrap_interval,
    evaluate,
    gain_interval,
    print_table,
    wilson_interval,
)
from companion.simulator.batch import Simulator
from companion.tasks import Metric
from companion.worlds._step import Episodes, Step
from tests.cli.conftest import REPOSITORY, Companion

TASK = replace(
    tasks.load("arm_reach"),
    metrics=(Metric("distance", "m", "x", "last"), Metric("unheard", "1", "x")),
)
EXAM = Exam.of(TASK)
JUDGED = Evaluation("arm_reach", "m", 1, 0, 0.0, (0.0, 0.0), (0.0, 0.0), {}, {}, 0)


class CountingWorld:
    """Failures take one step, successes ten: whoever takes the episodes that end first sees failures only."""

    action_mask: NDArray[np.bool_] | None = None

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


class Policy:
    """Acts on what it sees, and counts what it was told of its memory."""

    def __init__(self) -> None:
        self.decisions = np.zeros(0)
        self.seen: list[list[float]] = []
        self.masks: list[object] = []

    def act(self, observation: NDArray[np.float32], mask: NDArray[np.bool_] | None = None) -> NDArray[np.float32]:
        self.decisions = np.zeros(len(observation)) if not len(self.decisions) else self.decisions
        self.seen.append(self.decisions.tolist())
        self.masks.append(None if mask is None else mask.tolist())
        self.decisions = self.decisions + 1
        return observation[:, :1]

    def restart(self, rows: NDArray[np.bool_] | None = None) -> None:
        self.decisions = np.zeros(0) if rows is None else np.where(rows, 0, self.decisions)

    def take_back(self, rows: NDArray[np.bool_]) -> None:
        self.decisions = self.decisions - rows


def test_long_episodes_count_as_much_as_short_ones() -> None:
    evaluation, _ = evaluate(Policy(), CountingWorld(400), Request(EXAM, "m", episodes=2000))
    assert evaluation.episodes == 2000
    assert evaluation.success_rate == pytest.approx(0.5, abs=0.04)
    assert evaluation.metrics["episode_s"].mean == pytest.approx(5.5 * TASK.control_period_s, rel=0.05)
    assert evaluation.metrics["time_to_success_s"].mean == pytest.approx(10 * TASK.control_period_s)


@pytest.mark.parametrize("episodes", [1, 7, 8, 9, 17])
def test_exactly_so_many_episodes_are_judged(episodes: int) -> None:
    evaluation, _ = evaluate(Policy(), CountingWorld(8), Request(EXAM, "m", episodes=episodes))
    assert evaluation.episodes == episodes


def test_the_same_seed_gives_the_same_figures() -> None:
    first, second, third = (
        evaluate(Policy(), CountingWorld(8), Request(EXAM, "m", episodes=50, seed=seed))[0] for seed in (1, 1, 2)
    )
    assert first == second and first.metrics["episode_s"] != third.metrics["episode_s"]


def test_figures_worked_out_by_hand() -> None:
    always, observed = evaluate(
        Policy(), CountingWorld(4, success_share=1.0), Request(EXAM, "m.onnx", episodes=4, seed=3)
    )
    assert (always.task, always.model, always.seed, always.success_rate) == ("arm_reach", "m.onnx", 3, 1.0)
    figure = always.metrics["return"]
    assert (figure.mean, figure.p05, figure.median, figure.p95) == (10.0, 10.0, 10.0, 10.0)
    assert "unheard" not in always.metrics
    assert observed.low.tolist() == [0, -9] and observed.high.tolist() == [9, 0]
    assert observed.samples.shape[1] == 2 and len(observed.samples) > 1


def test_json_holds_null_where_no_episode_had_a_figure() -> None:
    never, _ = evaluate(Policy(), CountingWorld(4, success_share=0.0), Request(EXAM, "m", episodes=4, set={"a": 1.0}))
    plain = json.loads(json.dumps(never.to_json(), allow_nan=False))
    assert {"task", "model", "episodes", "seed", "success_rate", "success_ci95", "metrics"} <= set(plain)
    assert plain["metrics"]["time_to_success_s"] is None and plain["metrics"]["distance"] is None
    assert plain["metrics"]["return"] == 1.0 and plain["quantiles"]["return"] == [1.0, 1.0, 1.0]
    assert plain["success_rate"] == 0.0 and plain["set"] == {"a": 1.0}


class Scripted:
    """Two copies whose episodes take two decisions: row 0 decides at every step, row 1 at every other one."""

    num_envs = 2

    def __init__(self, success: float = np.nan) -> None:
        self.action_mask: NDArray[np.bool_] | None = None
        self._success = success

    def reset(self, seed: int) -> NDArray[np.float32]:
        self._time = 0
        return self._observation()

    def step(self, action: NDArray[np.float32]) -> Step:
        self._time += 1
        active = np.array([True, self._time % 2 == 0])
        ended = np.array([self._time % 2 == 0, self._time % 4 == 0])
        rows = np.flatnonzero(ended)
        returns, success = (rows + 1).astype(np.float32), np.full(len(rows), self._success, np.float32)
        episodes = Episodes(rows, np.full(len(rows), 2), returns, success)
        observation, none = self._observation(), np.zeros(2, bool)
        return Step(observation, np.zeros(2, np.float32), ended, none, observation, active, episodes)

    def close(self) -> None:
        pass

    def _observation(self) -> NDArray[np.float32]:
        self.action_mask = np.array([[True, self._time % 2 == 0]] * 2)
        return np.full((2, 1), self._time, np.float32)


GYM = Exam("gym:Scripted-v0", max_episode_steps=None, success_means="a return of 2 or more")


def test_a_policy_remembers_its_own_decisions_of_this_episode_only() -> None:
    policy = Policy()
    evaluate(policy, Scripted(), Request(GYM, "m", episodes=4))
    assert policy.seen[:6] == [[0, 0], [1, 0], [0, 1], [1, 1], [0, 0], [1, 0]]
    assert policy.masks[:2] == [[[True, True]] * 2, [[True, False]] * 2], "the mask belongs to what is acted on"


def test_masks_are_kept_beside_the_samples() -> None:
    short = replace(GYM, max_episode_steps=3)
    _, observed = evaluate(Policy(), Scripted(), Request(short, "m", episodes=4))
    assert observed.masks is not None and len(observed.masks) == len(observed.samples)
    assert observed.masks[:, 1].tolist() == (observed.samples[:, 0] % 2 == 0).tolist()


def test_without_a_word_on_success_the_return_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    found, _ = evaluate(Policy(), Scripted(), Request(GYM, "m", episodes=4, set={"gravity": 9.8}))
    plain = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert plain["success_rate"] is None and plain["success_ci95"] is None
    assert plain["metrics"] == {"length": 2.0, "return": 1.5} and plain["units"]["length"] == "decisions"
    print_table(found, GYM)
    told = capsys.readouterr().out.splitlines()[0]
    assert told.startswith("gym:Scripted-v0: mean return 1.5 over 4 episodes (95 % interval 1 to 2)")
    assert "succeed" not in told
    success, _ = evaluate(Policy(), Scripted(1.0), Request(GYM, "m", episodes=4))
    print_table(success, GYM)
    assert "; 100% succeed, by a return of 2 or more" in capsys.readouterr().out


def test_the_bootstraps_interval_is_that_of_scipy() -> None:
    from scipy.stats import bootstrap

    values = np.random.default_rng(3).exponential(5, 200)
    scipys = bootstrap((values,), np.mean, method="percentile", rng=1).confidence_interval
    assert bootstrap_interval(values) == pytest.approx((scipys.low, scipys.high), rel=0.02)
    assert bootstrap_interval(np.full(7, 500.0)) == (500, 500)
    assert np.isnan(bootstrap_interval(np.ones(1))).all()


def test_wilsons_interval() -> None:
    """Wilson 1927, by hand: centre (p + z²/2n) / (1 + z²/n), half-width z sqrt(p(1-p)/n + z²/4n²) / (1 + z²/n)."""
    z, n, p = 1.959963984540054, 500, 0.97
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    assert wilson_interval(485, 500) == pytest.approx((centre - half, centre + half), abs=1e-9)
    assert wilson_interval(0, 10)[0] == 0.0 and wilson_interval(10, 10)[1] == 1.0


# --- the yardstick ---

ARM_MODEL = REPOSITORY / "exported_models" / "arm_reach.onnx"
WITH_BASELINE = [name for name in tasks.names() if tasks.load(name).baseline is not None]


@pytest.mark.parametrize("name", WITH_BASELINE)
def test_a_baseline_acts_on_what_a_policy_sees_and_nothing_else(name: str) -> None:
    """It is given the observation alone, so that a look at any other signal would be a KeyError."""
    task = tasks.load(name)
    simulator, policy = Simulator(task, 8, seed=2, threads=1), BaselinePolicy(task)
    again, signals = BaselinePolicy(task), simulator.reset()
    actions = []
    for _ in range(20):
        actions.append(policy.act(task.layout.pack(signals)))
        signals = simulator.step(actions[-1]).next_signals
    assert all(action.shape == (8, len(task.action)) and np.isfinite(action).all() for action in actions)
    assert np.std(actions, axis=1).max() > 0.01, "different places ask for different actions"
    repeated = Simulator(task, 8, seed=2, threads=1).reset()
    np.testing.assert_array_equal(again.act(task.layout.pack(repeated)), actions[0])


def test_a_task_without_a_baseline_is_refused_with_those_that_have_one() -> None:
    with pytest.raises(ValueError, match=r"task 'bare' has no baseline.* choose from arm_.*mobile_goto"):
        BaselinePolicy(replace(TASK, name="bare", baseline=None))


def test_a_baseline_that_remembers_is_told_whose_episode_ended() -> None:
    told: list[list[bool]] = []

    class Remembers:
        def __call__(self, signals: Mapping[str, Any]) -> NDArray[np.float64]:
            return np.zeros((len(next(iter(signals.values()))), 6))

        def restart(self, rows: NDArray[np.bool_]) -> None:
            told.append(rows.tolist())

    policy = BaselinePolicy(replace(TASK, baseline=Remembers))
    policy.restart()
    policy.restart(np.array([True, False]))
    assert told == [[True, False]]


def test_the_gain_over_the_baseline_is_newcombes() -> None:
    """Newcombe 1998, table II, example (a): 56/70 less 48/80 is 0.2000, by his method 10 from 0.0524 to 0.3339."""
    first, second = (
        replace(JUDGED, success_rate=good / of, success_ci95=wilson_interval(good, of))
        for good, of in ((56, 70), (48, 80))
    )
    assert gain_interval(first, second) == pytest.approx((0.0524, 0.3339), abs=5e-5)


def test_policy_and_baseline_are_judged_side_by_side(companion: Companion, tmp_path: Path) -> None:
    model = ARM_MODEL
    few = ("--episodes", 4, "--copies", 4, "--seed", 5, "--set", "payload_kg=0")
    both = companion("evaluate", model, "--baseline", "arm_reach", *few, "--json")
    told = json.loads(both.out)
    assert told["model"] == str(model) and told["baseline"]["model"] == "baseline of arm_reach"
    assert told["success_gain"] == told["success_rate"] - told["baseline"]["success_rate"]
    assert told["success_gain_ci95"][0] < told["success_gain"] < told["success_gain_ci95"][1]
    alone = json.loads(companion("evaluate", "--baseline", "arm_reach", *few, "--json").out)
    same = {key for key in alone if alone[key] == told["baseline"][key]}
    assert {"task", "episodes", "seed", "success_rate", "set"} <= same
    record = tmp_path / "ledgers"
    shown = companion("evaluate", model, "--baseline", "arm_reach", *few, "--record", record)
    assert "the policy's success less the baseline's: +0.00%" in shown.out and "distance" in shown.out
    assert [path.name for path in sorted(record.iterdir())] == ["baseline", "policy"]
    companion("evaluate", model, *few, "--record", record).assert_refused("--record", "holds something")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), ("MODEL", "--baseline TASK")),
        (("--baseline", "arm_raech"), ("no task 'arm_raech'", "arm_reach")),
        (("--baseline", "arm_reach", "--set", "payload=1"), ("no perturbation 'payload'", "payload_kg")),
        ((ARM_MODEL, "--baseline", "mobile_goto"), ("mobile_goto", "arm_reach")),
    ],
)
def test_what_can_not_be_judged_is_one_line(
    companion: Companion, words: tuple[Any, ...], told: tuple[str, ...]
) -> None:
    companion("evaluate", *words).assert_refused(*told)


def test_a_world_without_ends_is_told() -> None:
    world = CountingWorld(2)
    world.invalid_count = 5
    endless = replace(TASK, max_episode_s=TASK.control_period_s)
    world.reset(0)
    world._share = 1.0
    with pytest.raises(ValueError, match=r"only 0 of 2 episodes .* \(5 were numerically bad\)"):
        evaluate(Policy(), world, Request(Exam.of(endless), "m", episodes=2))
